"""Tests of turning columns into numbers and strings."""

import time

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import columns
from mtl_graph.data import table as table_lib

_NAN = float("nan")


def _objects(*values):
  return np.array(values, dtype=object)


def _ragged(*rows):
  values = np.empty(len(rows), object)
  values[:] = [np.array(row) for row in rows]
  return values


def _table(values):
  return table_lib.Table({"c": values}, [("p1", 1), ("p2", len(values) - 1)])


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
      ("vectors_of_text", np.array([["1", ""], ["3", "4"]]),
       [[1, _NAN], [3, 4]]),
      ("lists_of_at_most_one", _ragged([1.5], [], [2]), [1.5, _NAN, 2]),
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
      ("text_in_vector", np.array([["1", "2"], ["3", "x"]]),
       "p2, row 1, column 'c': found 'x'"),
      ("lists", _ragged([1], [1, 2], [1, 2, 3]), "p2, row 1, column 'c': found "
       "2 values; allowed: one value, or nothing where it is missing"),
      ("long", _objects("1", "y" * 100), "found 'y{57}[.]{3}'; allowed"),
  )
  def test_refused(self, values, message):
    with self.assertRaisesRegex(table_lib.DataError, message):
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
    with self.assertRaisesRegex(table_lib.DataError, message):
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
    with self.assertRaisesRegex(table_lib.DataError, r"shape \[1, 2\]"):
      columns.strings(_table(np.array([["a", "b"]])), "c")

  def test_lists_are_refused_where_they_hold_several(self):
    with self.assertRaisesRegex(table_lib.DataError,
                                "p2, row 2, column 'c': found 2 values"):
      columns.strings(_table(_ragged(["a"], [], ["a", "b"])), "c")
    self.assertEqual(columns.strings(_table(_ragged(["a"], [])), "c").tolist(),
                     ["a", ""])

  def test_nul_is_refused(self):
    with self.assertRaisesRegex(table_lib.DataError, "p2, row 1, column 'c': "
                                "found 'a.*; allowed: text without NUL"):
      columns.strings(_table(_objects("a", "a\0b")), "c")


class PaddedStringsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", _objects("a|b|c", "", "d", None), False,
       [["a", "b"], ["", ""], ["d", ""], ["", ""]]),
      ("last", _objects("a|b|c", "", "d"), True,
       [["b", "c"], ["", ""], ["d", ""]]),
      ("spaces_stay", _objects(" a | b", "c"), False,
       [[" a ", " b"], ["c", ""]]),
      ("empty_among_others", _objects("|b", "a||c"), False,
       [["", "b"], ["a", ""]]),
      ("empty_at_the_end", _objects("a|b|c||", "a|b||d"), True,
       [["b", "c"], ["", "d"]]),
      ("numbers", np.array([5.0, _NAN, 7]), False,
       [["5", ""], ["", ""], ["7", ""]]),
      ("matrix", np.array([["a", "b", "c"], ["d", "", ""]]), False,
       [["a", "b"], ["d", ""]]),
      ("last_of_matrix", np.array([["a", "b", "c"], ["d", "", ""]]), True,
       [["b", "c"], ["d", ""]]),
      ("lists", _ragged(["a", "b", "c"], [], ["d"]), True,
       [["b", "c"], ["", ""], ["d", ""]]),
      ("lists_of_integers", _ragged([7, 8, 9], [5]), False,
       [["7", "8"], ["5", ""]]),
  )
  def test_reads(self, values, keep_last, expected):
    result = columns.padded_strings(_table(values), "c", "|", 2, keep_last)
    self.assertEqual(result.dtype, object)
    self.assertEqual(result.tolist(), expected)
    self.assertTrue(all(type(v) is str for v in result.reshape(-1)))

  def test_other_separators(self):
    self.assertEqual(columns.padded_strings(
        _table(_objects("a, b|c", "d")), "c", ", ", 3, False).tolist(),
                     [["a", "b|c", ""], ["d", "", ""]])

  def test_refused(self):
    with self.assertRaisesRegex(table_lib.DataError, "p2, row 1, column 'c': "
                                "found 'x.*; allowed: text without NUL"):
      columns.padded_strings(_table(_objects("a|b", "a|x\0")), "c", "|", 1,
                             False)
    with self.assertRaisesRegex(table_lib.DataError, r"shape \[2, 2, 2\]; "
                                "allowed: one value, or a list of them, per"):
      columns.padded_strings(_table(np.ones([2, 2, 2])), "c", "|", 1, False)

  def test_many_rows_take_little_time(self):
    texts = _objects(*["|".join(map(str, range(i % 9))) for i in range(36000)])
    table = _table(texts)
    for read in (columns.padded_strings, columns.padded_integers,
                 columns.padded_numbers):
      start = time.process_time()
      self.assertEqual(read(table, "c", "|", 5, True).shape, (36000, 5))
      # A tenth of this on one core that is not busy.
      self.assertLess(time.process_time() - start, 2)


class PaddedIntegersTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", _objects("1|2|3", "", "4"), False, [[1, 2], [-1, -1], [4, -1]]),
      ("last", _objects("1|2|3", "", "4"), True, [[2, 3], [-1, -1], [4, -1]]),
      ("empty_among_others", _objects("|2", "3.0||4"), False,
       [[-1, 2], [3, -1]]),
      ("one_each", np.array([5, 6]), False, [[5, -1], [6, -1]]),
      ("matrix", np.array([[1, _NAN, _NAN], [1, 2, 3]]), True,
       [[1, -1], [2, 3]]),
      ("lists", _ragged([1, 2, 3], [4]), True, [[2, 3], [4, -1]]),
  )
  def test_reads(self, values, keep_last, expected):
    result = columns.padded_integers(_table(values), "c", "|", 2, keep_last)
    self.assertEqual(result.dtype, np.int64)
    self.assertEqual(result.tolist(), expected)

  @parameterized.named_parameters(
      ("text", _objects("1", "", "1|x"), "p2, row 2, column 'c': found 'x'; "
       "allowed: a number"),
      ("fraction", _objects("1|2", "3|1.5"), "p2, row 1, column 'c': found "
       "'1.5'; allowed: a whole number of at least 0"),
      ("negative", np.array([[1, 2], [3, -1]]), "p2, row 1, column 'c': found "
       "'-1'; allowed: a whole"),
      ("beyond_the_width", _objects("1|2|3|-4", "1"), "p1, row 1, .*'-4'"),
      ("too_large", _ragged([1], [2, 2 ** 53 + 2]), "p2, row 1, .*9007199254"),
  )
  def test_refused(self, values, message):
    with self.assertRaisesRegex(table_lib.DataError, message):
      columns.padded_integers(_table(values), "c", "|", 2, False)


class PaddedNumbersTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", _objects("1.5|-2|3", "", "4"), False,
       [[1.5, -2], [_NAN, _NAN], [4, _NAN]]),
      ("last", _objects("1.5|-2|3||", ""), True, [[-2, 3], [_NAN, _NAN]]),
      ("lists", _ragged([1.0, _NAN, 2], [4]), False, [[1, _NAN], [4, _NAN]]),
      ("matrix", np.array([[1, 2], [3, 4]]), False, [[1, 2], [3, 4]]),
  )
  def test_reads(self, values, keep_last, expected):
    result = columns.padded_numbers(_table(values), "c", "|", 2, keep_last)
    self.assertEqual(result.dtype, np.float32)
    np.testing.assert_array_equal(result, expected)

  @parameterized.named_parameters(
      ("text", _objects("1", "2|x"), "p2, row 1, column 'c': found 'x'"),
      ("infinite", _ragged([1.0], [1, np.inf]), "p2, row 1, column 'c': found "
       "'inf'; allowed: a finite"),
      ("too_large", _objects("1", "2|1e40"), "p2, row 1, column 'c': found "
       "'1e40'; allowed: a number that fits 32-bit"),
  )
  def test_refused(self, values, message):
    with self.assertRaisesRegex(table_lib.DataError, message):
      columns.padded_numbers(_table(values), "c", "|", 2, False)


class VectorsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", _objects("1|2", "", "3|", None), "|", 2,
       [[1, 2], [_NAN, _NAN], [3, _NAN], [_NAN, _NAN]]),
      ("matrix", np.array([[1, 2], [3, _NAN]]), None, 2, [[1, 2], [3, _NAN]]),
      ("matrix_of_text", np.array([["1", "2"], ["3", ""]]), "|", 2,
       [[1, 2], [3, _NAN]]),
      ("lists", _ragged([1, 2], [], [3, 4]), None, 2,
       [[1, 2], [_NAN, _NAN], [3, 4]]),
      ("one_number", _objects("1", ""), None, 1, [[1], [_NAN]]),
      ("one_number_each", np.array([1, _NAN, 3]), "|", 1, [[1], [_NAN], [3]]),
  )
  def test_reads(self, values, separator, size, expected):
    result = columns.vectors(_table(values), "c", separator, size)
    self.assertEqual(result.dtype, np.float64)
    np.testing.assert_array_equal(result, expected)

  @parameterized.named_parameters(
      ("too_few", _objects("1|2|3", "1|2"), "p2, row 1, column 'c': found 2 "
       r"values; allowed: 3 numbers with '\|' between them, or nothing"),
      ("too_many", _ragged([1, 2, 3], [1, 2, 3, 4]), "p2, row 1, column 'c': "
       "found 4 values; allowed: 3 numbers"),
      ("text", _objects("1|2|3", "1|x|3"), "p2, row 1, column 'c': found 'x'; "
       "allowed: a number"),
      ("infinite", _objects("1|2|3", "1|inf|3"), "p2, row 1, column 'c': found "
       "'inf'; allowed: a finite"),
      ("matrix", np.ones([2, 4]), r"^p1: column 'c' has shape \[2, 4\]; "
       r"allowed: \[2, 3\]"),
      ("images", np.ones([2, 1, 3]), r"^p1: .*\[2, 1, 3\]; allowed: \[2, 3\]"),
  )
  def test_refused(self, values, message):
    with self.assertRaisesRegex(table_lib.DataError, message):
      columns.vectors(_table(values), "c", "|", 3)


class AsStoredTest(parameterized.TestCase):

  @parameterized.parameters((np.float32, float(np.float32(0.1))),
                            (np.float64, 0.1), (np.int64, 0.1), (object, 0.1))
  def test_rounds_as_the_column_does(self, dtype, expected):
    table = _table(np.zeros(2, dtype))
    self.assertEqual(columns.as_stored(0.1, table, "c"), expected)


if __name__ == "__main__":
  absltest.main()
