"""Tests of turning columns into numbers and strings."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import columns
from mtl_graph.data import sources

_NAN = float("nan")


def _objects(*values):
  return np.array(values, dtype=object)


def _table(values):
  return sources.Table({"c": values}, [("p1", 1), ("p2", len(values) - 1)])


class NumbersTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", _objects("1", "-2.5e3", " 4 ", ""), [1, -2500, 4, _NAN]),
      ("text_nan", _objects("nan", "NaN"), [_NAN, _NAN]),
      ("none", _objects(1, None, 2.5), [1, _NAN, 2.5]),
      ("bytes", np.array([b"1", b""]), [1, _NAN]),
      ("unicode", np.array(["1", ""]), [1, _NAN]),
      ("integers", np.array([1, -2], np.int8), [1, -2]),
      ("unsigned", np.array([1, 2], np.uint64), [1, 2]),
      ("booleans", np.array([True, False]), [1, 0]),
      ("floats", np.array([0.5, _NAN], np.float32), [0.5, _NAN]),
      ("vectors", np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
  )
  def test_reads(self, values, expected):
    result = columns.numbers(_table(values), "c")
    self.assertEqual(result.dtype, np.float64)
    np.testing.assert_array_equal(result, expected)

  @parameterized.named_parameters(
      ("text", _objects("1", "2", "x1"), "p2, row 2, column 'c': found 'x1'; "
       "allowed: a number"),
      ("spaces", _objects("1", "  "), "p2, row 1, column 'c': found '  '"),
      ("infinite_text", _objects("inf", "1"), "p1, row 1, column 'c': found "
       "'inf'; allowed: a finite number"),
      ("infinite", np.array([1, -np.inf]), "p2, row 1, column 'c': found "
       "'-inf'"),
      ("infinite_in_vector", np.array([[1, 2], [3, np.inf]]), "p2, row 1, "),
      ("too_large", _objects("1e999", "1"), "p1, row 1, .*found '1e999'"),
      ("complex", np.array([1j, 2]), "p1, row 1, .*found '1j'"),
      ("long", _objects("1", "y" * 100), "found 'y{57}[.]{3}'; allowed"),
  )
  def test_refused(self, values, message):
    with self.assertRaisesRegex(sources.DataError, message):
      columns.numbers(_table(values), "c")


class IntegersTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", _objects("0", "12", "", "3.0"), [0, 12, -1, 3]),
      ("floats", np.array([4.0, _NAN, -0.0]), [4, -1, 0]),
      ("integers", np.array([4, 0]), [4, 0]),
      ("large", _objects(str(2 ** 53)), [2 ** 53]),
  )
  def test_reads(self, values, expected):
    result = columns.integers(_table(values), "c")
    self.assertEqual(result.dtype, np.int64)
    self.assertEqual(result.tolist(), expected)

  @parameterized.named_parameters(
      ("fraction", _objects("1", "1.5"), "p2, row 1, column 'c': found '1.5'; "
       "allowed: a whole number of at least 0"),
      ("negative", _objects("-1", "1"), "p1, row 1, column 'c': found '-1'"),
      ("too_large", np.array([1e17, 1]), "found '1e[+]17'; allowed: a whole"),
      ("text", _objects("x", "1"), "found 'x'; allowed: a number"),
      ("vectors", np.ones([2, 2]), r"^p1: column 'c' has shape \[2, 2\]; "
       "allowed: one value per row"),
  )
  def test_refused(self, values, message):
    with self.assertRaisesRegex(sources.DataError, message):
      columns.integers(_table(values), "c")


class StringsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", _objects("a", "", " b "), ["a", "", " b "]),
      ("none", _objects("a", None), ["a", ""]),
      # How pandas marks what is missing in a column of strings.
      ("nan_among_text", _objects("a", _NAN), ["a", ""]),
      ("bytes", np.array(["zürich".encode(), b""]), ["zürich", ""]),
      ("unicode", np.array(["a", ""]), ["a", ""]),
      ("integers", np.array([7, 12]), ["7", "12"]),
      ("floats", np.array([0.1, _NAN]), ["0.1", ""]),
  )
  def test_reads(self, values, expected):
    self.assertEqual(columns.strings(_table(values), "c").tolist(), expected)

  def test_vectors_are_refused(self):
    with self.assertRaisesRegex(sources.DataError, r"shape \[1, 2\]"):
      columns.strings(_table(np.array([["a", "b"]])), "c")


if __name__ == "__main__":
  absltest.main()
