"""Tests of rows handed over in Python: arrays, lists and data frames."""

import datetime

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import arrays as arrays_lib
from mtl_graph.data import columns
from mtl_graph.data import lists
from mtl_graph.data import table as table_lib

try:
  import pandas
except ImportError:
  pandas = None

_NAN = float("nan")


class ArraysTest(parameterized.TestCase):

  def test_takes_arrays_and_lists_and_leaves_the_rest_alone(self):
    table = arrays_lib.read(
        {"a": [1, 2], "b": np.array([[1.0], [2.0]]), "c": ("x", "y"),
         "other": [1, 2, 3], "ragged": [[1], [1, 2]]}, ["c", "a", "b"],
        "arrays['train']")
    self.assertEqual(list(table.columns), ["c", "a", "b"])
    self.assertEqual(table.columns["c"].tolist(), ["x", "y"])
    self.assertEqual(table.columns["b"].shape, (2, 1))
    self.assertEqual(table.files, [("arrays['train']", 2)])

  @parameterized.named_parameters(
      ("missing", {"aa": [1]}, "^arrays: no column 'a' .*nearest: 'aa'"),
      ("scalar", {"a": 1.5}, "^arrays: found columns of 'a': no rows"),
      ("empty", {"a": []}, "^arrays: found no rows"),
      ("value_among_lists", {"a": [[1], [1, 2], 3]}, "^arrays, row 3, column "
       "'a': found 3; allowed: a list of values, as other rows have"),
      ("lists_of_lists", {"a": [[[1], [2, 3]], [[1]]]},
       r"^arrays, row 1, column 'a': found \[\[1\], \[2, 3\]\]; allowed: a l"),
      ("several_shapes", {"a": [[1], [[1, 2]]]},
       r"^arrays, row 2, column 'a': found shape \[1, 2\], but not in every"),
  )
  def test_refused(self, arrays, message):
    with self.assertRaisesRegex(table_lib.DataError, message) as caught:
      arrays_lib.read(arrays, ["a"], "arrays")
    self.assertNotIn("\n", str(caught.exception))

  def test_lengths_must_agree(self):
    with self.assertRaisesRegex(table_lib.DataError,
                                "'a': 2 rows, 'b': 1 rows; allowed: one entry"):
      arrays_lib.read({"a": [1, 2], "b": [1]}, ["a", "b"], "arrays")

  def test_masked_values_are_missing(self):
    values = np.ma.masked_array([1.5, 2.5], [False, True])
    table = arrays_lib.read({"a": values}, ["a"], "arrays")
    np.testing.assert_array_equal(columns.numbers(table, "a"), [1.5, _NAN])

  def test_hashes_are_of_whole_rows(self):
    table = arrays_lib.read({"a": [1, 1, 1], "b": ["x", "y", "x"],
                             "c": [[1], [2, 3], [1]]}, ["a"], "arrays", True)
    self.assertEqual(list(table.columns), ["a"])
    one, two, three = table.hashes
    self.assertEqual(one, three)
    self.assertNotEqual(one, two)
    self.assertIsNone(arrays_lib.read({"a": [1]}, ["a"], "arrays").hashes)

  def test_rows_are_hashed_only_if_all_arrays_have_as_many(self):
    with self.assertRaisesRegex(table_lib.DataError, "'a': 2 rows, 'b': 1 row"):
      arrays_lib.read({"a": [1, 2], "b": [1]}, ["a"], "arrays", True)


class RaggedTest(parameterized.TestCase):

  def _read(self, values):
    return arrays_lib.read({"a": values}, ["a"], "arrays").columns["a"]

  @parameterized.named_parameters(
      ("numbers", [[1], [1, 2], []], [[1], [1, 2], []], np.int64),
      ("mixed_numbers", [[1], [0.5, 2]], [[1], [0.5, 2]], np.float64),
      ("text", [["a"], ["b", "c"], None], [["a"], ["b", "c"], []], object),
      ("tuples", [(1,), (1, 2)], [[1], [1, 2]], np.int64),
      ("arrays", [np.array([1], np.float32), np.array([2, 3], np.float32)],
       [[1], [2, 3]], np.float32),
      ("missing_elements", [[1, None], [2]], [[1, None], [2]], object),
  )
  def test_lists_of_several_lengths(self, values, expected, dtype):
    column = self._read(values)
    self.assertTrue(lists.is_ragged(column))
    self.assertEqual([row.tolist() for row in column], expected)
    self.assertEqual({row.dtype for row in column}, {np.dtype(dtype)})

  def test_an_array_of_lists(self):
    values = np.empty(2, object)
    values[:] = [[1, 2], [3]]
    self.assertEqual([row.tolist() for row in self._read(values)],
                     [[1, 2], [3]])
    values[:] = [[1, 2], [3, 4]]
    self.assertEqual(self._read(values).tolist(), [[1, 2], [3, 4]])
    values[:] = [np.ones([2, 3]), np.zeros([2, 3])]
    self.assertEqual(self._read(values).shape, (2, 2, 3))

  def test_at_most_one_value_each(self):
    np.testing.assert_array_equal(self._read([[1], [], [3]]), [1, _NAN, 3])
    self.assertEqual(self._read([["a"], [], None]).tolist(), ["a", "", ""])


@absltest.skipIf(pandas is None, "pandas is not installed")
class DataFrameTest(parameterized.TestCase):

  def _table(self, values, dtype=None, index=None):
    frame = pandas.DataFrame({"a": pandas.Series(values, index, dtype)})
    return arrays_lib.read(frame, ["a"], "arrays")

  def test_columns_by_name(self):
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"], 3: [0.5, 1]},
                             index=[7, 9])
    table = arrays_lib.read(frame, ["b", "3"], "arrays['train']")
    self.assertEqual(list(table.columns), ["b", "3"])
    self.assertEqual(table.columns["3"].tolist(), [0.5, 1])
    self.assertEqual(table.files, [("arrays['train']", 2)])

  @parameterized.named_parameters(
      ("integers", [1, 2], "int64", [1, 2]),
      ("floats", [0.5, None], "float32", [0.5, _NAN]),
      ("booleans", [True, False], "bool", [1, 0]),
      ("nullable_integers", [1, None], "Int64", [1, _NAN]),
      ("nullable_unsigned", [1, 2], "UInt8", [1, 2]),
      ("nullable_floats", [0.5, None], "Float64", [0.5, _NAN]),
      ("nullable_booleans", [True, None, False], "boolean", [1, _NAN, 0]),
      ("categories", [5, 7, 5], "category", [5, 7, 5]),
      ("categories_missing", [5, None, 7], "category", [5, _NAN, 7]),
      ("objects", [1, None], "object", [1, _NAN]),
      ("text", ["1.5", None], "string", [1.5, _NAN]),
      ("sparse", [0.0, 2.0], "Sparse[float]", [0, 2]),
  )
  def test_numbers(self, values, dtype, expected):
    np.testing.assert_array_equal(
        columns.numbers(self._table(values, dtype), "a"), expected)

  @parameterized.named_parameters(
      ("objects", ["a", None, _NAN], "object", ["a", "", ""]),
      ("text", ["a", None, ""], "string", ["a", "", ""]),
      ("inferred", ["a", None], None, ["a", ""]),
      ("categories", ["b", "a", None, "b"], "category", ["b", "a", "", "b"]),
      ("nullable_integers", [5, None], "Int64", ["5", ""]),
      ("large", [2 ** 60 + 1, None], "Int64", [str(2 ** 60 + 1), ""]),
      ("dates", [datetime.datetime(2020, 1, 31), None], "datetime64[s]",
       ["2020-01-31T00:00:00", ""]),
  )
  def test_strings(self, values, dtype, expected):
    self.assertEqual(columns.strings(self._table(values, dtype), "a").tolist(),
                     expected)

  def test_lists(self):
    column = self._table([[1, 2], [], None, [3]]).columns["a"]
    self.assertEqual([row.tolist() for row in column], [[1, 2], [], [], [3]])

  def test_arrow(self):
    try:
      import pyarrow
    except ImportError:
      self.skipTest("pyarrow is not installed")
    table = self._table([1, None], pandas.ArrowDtype(pyarrow.int32()))
    np.testing.assert_array_equal(columns.numbers(table, "a"), [1, _NAN])
    table = self._table([[1, 2], None, [3]],
                        pandas.ArrowDtype(pyarrow.list_(pyarrow.int32())))
    self.assertEqual([row.tolist() for row in table.columns["a"]],
                     [[1, 2], [], [3]])

  def test_hashes_agree_with_arrays(self):
    values = {"a": [1, 2], "b": ["x", None]}
    self.assertEqual(
        arrays_lib.read(pandas.DataFrame(values), ["a"], "t", True).hashes
        .tolist(), arrays_lib.read(values, ["a"], "t", True).hashes.tolist())

  @parameterized.named_parameters(
      ("missing", ["a", "bb"], "^arrays: no column 'b' .*nearest: 'bb'"),
      ("twice", ["b", "b"], "^arrays: column 'b' is named more than once"),
  )
  def test_refused(self, names, message):
    frame = pandas.DataFrame([[1, 2]], columns=names)
    with self.assertRaisesRegex(table_lib.DataError, message):
      arrays_lib.read(frame, ["b"], "arrays")


if __name__ == "__main__":
  absltest.main()
