"""Tests of columns whose rows hold several values."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import lists

_NAN = float("nan")


def _lists(rows, dtype=np.float64):
  return lists.Lists(np.array([v for row in rows for v in row], dtype),
                     np.array([len(row) for row in rows], np.int64))


def _ragged(*rows):
  values = np.empty(len(rows), object)
  for i, row in enumerate(rows):
    values[i] = np.array(row)
  return values


class ColumnTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("one_each", [[1], [2]], np.int64, [1, 2], np.int64),
      ("some_missing", [[1], [], [3]], np.int64, [1, _NAN, 3], np.float64),
      ("float32_stays", [[], [3]], np.float32, [_NAN, 3], np.float32),
      ("booleans", [[], [True]], bool, [_NAN, 1], np.float64),
      ("text", [["a"], []], object, ["a", ""], object),
      ("all_missing", [[], []], np.float32, [_NAN, _NAN], np.float32),
      ("too_large_for_nan", [[2 ** 60 + 1], []], np.int64,
       ["1152921504606846977", ""], object),
      ("as_many_each", [[1, 2], [3, 4]], np.int64, [[1, 2], [3, 4]], np.int64),
      ("no_rows", [], np.int64, [], np.int64),
  )
  def test_simplest_form(self, rows, dtype, expected, expected_dtype):
    values = lists.column(_lists(rows, dtype))
    self.assertEqual(values.dtype, expected_dtype)
    np.testing.assert_array_equal(values, np.array(expected, expected_dtype))
    self.assertFalse(lists.is_ragged(values))

  @parameterized.parameters(np.float32, object)
  def test_ragged_rows_are_vectors(self, dtype):
    rows = [[], [1, 2], [3], []]
    values = lists.column(_lists(rows, dtype))
    self.assertEqual(values.shape, (4,))
    self.assertTrue(lists.is_ragged(values))
    self.assertEqual([row.tolist() for row in values], rows)
    self.assertEqual({row.dtype for row in values}, {np.dtype(dtype)})

  @parameterized.parameters(
      (np.array([[1, 2], [3, 4]]), [1, 2, 3, 4], [2, 2]),
      (np.array([1, 2]), [1, 2], [1, 1]),
      (np.ones([2, 2, 3]), [1] * 12, [6, 6]),
      (_ragged([], [1, 2], [3]), [1, 2, 3], [0, 2, 1]))
  def test_of_takes_apart(self, values, flat, lengths):
    taken = lists.of(values)
    self.assertEqual(taken.flat.tolist(), flat)
    self.assertEqual(taken.lengths.tolist(), lengths)


class ConcatenateTest(absltest.TestCase):

  def test_rows_follow_one_another(self):
    both = lists.concatenate([_lists([[1], [2, 3]]), _lists([[], [4]])])
    self.assertEqual(both.flat.tolist(), [1, 2, 3, 4])
    self.assertEqual(both.lengths.tolist(), [1, 2, 0, 1])

  def test_a_part_without_values_fits_any(self):
    both = lists.concatenate([_lists([[], []]), _lists([["a"]], object)])
    self.assertEqual(lists.column(both).tolist(), ["", "", "a"])

  def test_numbers_and_text_do_not_mix(self):
    with self.assertRaisesRegex(TypeError, "must hold numbers, or text"):
      lists.concatenate([_lists([[1]]), _lists([["a"]], object)])


class PadTest(parameterized.TestCase):

  @parameterized.parameters(
      (False, [[0, 0], [1, 2], [4, 0], [0, 0], [5, 6]]),
      (True, [[0, 0], [2, 3], [4, 0], [0, 0], [5, 6]]))
  def test_cuts_and_fills(self, keep_last, expected):
    values = _lists([[], [1, 2, 3], [4], [], [5, 6]], np.int64)
    padded = lists.pad(values, 2, keep_last, 0)
    self.assertEqual(padded.dtype, np.int64)
    self.assertEqual(padded.tolist(), expected)

  def test_every_width_agrees_with_slices(self):
    random = np.random.RandomState(1)
    rows = [random.randint(1, 9, random.randint(0, 6)).tolist()
            for _ in range(50)]
    for width in range(1, 8):
      for keep_last in (False, True):
        expected = []
        for row in rows:
          kept = row[-width:] if keep_last else row[:width]
          expected.append(kept + [0] * (width - len(kept)))
        self.assertEqual(
            lists.pad(_lists(rows, np.int64), width, keep_last, 0).tolist(),
            expected)

  def test_without_end(self):
    values = _lists([[0, 1, 0], [0, 0], [], [2], [0, 0, 3]], np.int64)
    kept = lists.without_end(values, values.flat == 0)
    self.assertEqual(kept.flat.tolist(), [0, 1, 2, 0, 0, 3])
    self.assertEqual(kept.lengths.tolist(), [2, 0, 0, 1, 3])


if __name__ == "__main__":
  absltest.main()
