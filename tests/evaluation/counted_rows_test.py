"""Tests of which rows count, and of how bad ones are refused."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.evaluation import counted_rows

_NAN = float("nan")


def _check(rows, labels, predictions, weights):
  for found, expected in zip(rows, (labels, predictions, weights)):
    np.testing.assert_array_equal(found, expected)


class CountedRowsTest(parameterized.TestCase):

  def test_rows_of_weight_0_are_left_out(self):
    weights = [1.0, 0.0, 2.0]
    _check(counted_rows.of_two_classes([0, 7, 1], [0.1, _NAN, 0.3], weights,
                                       "name"), [0, 1], [0.1, 0.3], [1, 2])
    _check(counted_rows.of_classes(
        [0, -1, 1], [[1, 0], [_NAN, 0], [0, 1]], weights, "name"),
           [0, 1], [[1, 0], [0, 1]], [1, 2])
    _check(counted_rows.of_predicted_classes(
        [0, 9, 1], [1, _NAN, 2], weights, 3, "name"), [0, 1], [1, 2], [1, 2])
    _check(counted_rows.of_numbers([4, _NAN, 5], [1, _NAN, 2], weights, "name"),
           [4, 5], [1, 2], [1, 2])

  def test_missing_numbers_are_left_out(self):
    _check(counted_rows.of_numbers(
        [4, _NAN, 5], [[1, 2], [_NAN, 0], [3, 4]], [1, 2, 3], "name",
        num_axes=2), [4, 5], [[1, 2], [3, 4]], [1, 3])

  def test_by_column(self):
    labels = [[1, 2, _NAN], [3, _NAN, _NAN], [5, 6, 7]]
    values = [[8, 7, _NAN], [6, _NAN, 4], [_NAN, 2, 1]]
    columns = counted_rows.by_column(labels, values, [1, 2, 0], "name")
    self.assertLen(columns, 3)
    _check(columns[0], [1, 3], [8, 6], [1, 2])
    _check(columns[1], [2], [7], [1])
    _check(columns[2], [], [], [])

  def test_by_column_of_a_vector(self):
    columns = counted_rows.by_column([1, _NAN], [3, 4], [1, 1], "name")
    self.assertLen(columns, 1)
    _check(columns[0], [1], [3], [1])

  def test_one_nan_empties_all_columns(self):
    columns = counted_rows.by_column(
        [[1, 2], [3, 4]], [[1, 2], [3, _NAN]], [1, 1], "name")
    self.assertLen(columns, 2)
    for rows in columns:
      _check(rows, [], [], [])

  def test_by_two_classes(self):
    columns = counted_rows.by_two_classes(
        [[1, _NAN], [0, 1]], [[0.1, _NAN], [0.2, 0.3]], [1, 2], "name")
    _check(columns[0], [1, 0], [0.1, 0.2], [1, 2])
    _check(columns[1], [1], [0.3], [2])
    self.assertEqual(columns[1].labels.dtype, np.int64)

  @parameterized.parameters(np.float32, np.float64, np.int32)
  def test_types(self, dtype):
    labels, values = np.array([0, 1], dtype), np.array([1, 0], dtype)
    weights = np.ones(2, dtype)
    for rows, expected in (
        (counted_rows.of_two_classes(labels, values, weights, "name"),
         (np.int64, np.float64, np.float64)),
        (counted_rows.of_classes(
            labels, np.ones([2, 3], dtype), weights, "name"),
         (np.int64, dtype, np.float64)),
        (counted_rows.of_numbers(labels, values, weights, "name"),
         (np.float64, np.float64, np.float64))):
      self.assertEqual(tuple(array.dtype for array in rows),
                       tuple(np.dtype(kind) for kind in expected))

  @parameterized.named_parameters(
      ("labels", [5, 1], [5], [5],
       r"`labels` must have shape \[N\], found \[5, 1\]"),
      ("scores", [5], [4], [5],
       r"`scores` must have shape \[5\], found \[4\]"),
      ("scores_matrix", [5], [5, 1], [5],
       r"`scores` must have shape \[5\], found \[5, 1\]"),
      ("weights", [5], [5], [],
       r"`weights` must have shape \[5\], found \[\]"),
  )
  def test_bad_shape_names_the_argument(
      self, labels, scores, weights, message):
    with self.assertRaisesRegex(ValueError, f"^name: {message}"):
      counted_rows.of_two_classes(np.ones(labels), np.ones(scores),
                                  np.ones(weights), "name", "scores")


class MeanOfEntriesTest(absltest.TestCase):

  def test_equals_the_mean_over_all_entries(self):
    columns = counted_rows.by_column(
        [[1, 2, _NAN], [3, _NAN, _NAN]], np.ones([2, 3]), [1, 3], "name")
    means = [np.average(rows.labels, weights=rows.weights)
             if rows.labels.size else _NAN for rows in columns]
    self.assertEqual(counted_rows.mean_of_entries(means, columns),
                     (1 + 2 + 3 * 3) / (1 + 1 + 3))

  def test_nan_without_entries(self):
    columns = counted_rows.by_column(
        np.full([2, 2], _NAN), np.ones([2, 2]), [1, 1], "name")
    self.assertTrue(
        np.isnan(counted_rows.mean_of_entries([_NAN, _NAN], columns)))


class RatioTest(absltest.TestCase):

  def test_by_hand(self):
    self.assertEqual(counted_rows.ratio(np.float32(1.0), 4), 0.25)
    self.assertIs(type(counted_rows.ratio(np.float64(1.0), 4)), float)
    self.assertTrue(np.isnan(counted_rows.ratio(1.0, 0.0)))


if __name__ == "__main__":
  absltest.main()
