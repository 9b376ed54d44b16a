"""Tests of reading Parquet files."""

import datetime
import decimal
import os
import sys
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import lists
from mtl_graph.data import parquet_files
from mtl_graph.data import table as table_lib

try:
  import pyarrow
  from pyarrow import parquet
except ImportError:
  pyarrow = None

_NAN = float("nan")
_DATE = datetime.date(2020, 1, 31)
_TIME = datetime.datetime(2020, 1, 31, 12, 30)


class MissingTest(absltest.TestCase):

  def test_says_what_to_install(self):
    with mock.patch.dict(sys.modules, {"pyarrow": None}):
      with self.assertRaisesRegex(
          table_lib.DataError, "^t.parquet: to be read it needs pyarrow; "
          r"allowed: pip install 'mtl-graph\[parquet\]'$"):
        parquet_files.read(["t.parquet"], ["a"], "data.train")


@absltest.skipIf(pyarrow is None, "pyarrow is not installed")
class ParquetFilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _write(self, name, columns, **options):
    path = os.path.join(self._folder, name)
    parquet.write_table(pyarrow.table(columns), path, **options)
    return path

  def _read(self, columns, *names, hash_rows=False):
    return parquet_files.read(
        [os.path.join(self._folder, name) for name in names], columns,
        "data.train", hash_rows)

  def _column(self, values, kind=None):
    self._write("t", {"a": pyarrow.array(values, kind and kind())})
    return self._read(["a"], "t").columns["a"]

  @parameterized.named_parameters(
      ("integers", [1, -2], "int8", [1, -2], np.int8),
      ("large", [2 ** 64 - 1, 0], "uint64", [2 ** 64 - 1, 0], np.uint64),
      ("integers_missing", [1, None], "int64", [1, _NAN], np.float64),
      ("large_missing", [2 ** 60 + 1, None], "int64", [str(2 ** 60 + 1), ""],
       object),
      ("floats", [0.5, None], "float32", [0.5, _NAN], np.float32),
      ("doubles", [0.1, 2.0], "float64", [0.1, 2], np.float64),
      ("halves", [0.5, 2.0], "float16", [0.5, 2], np.float16),
      ("booleans", [True, False], "bool_", [True, False], bool),
      ("booleans_missing", [True, None, False], "bool_", [1, _NAN, 0],
       np.float64),
      ("text", ["ü", None, ""], "string", ["ü", "", ""], object),
      ("large_text", ["ü", None], "large_string", ["ü", ""], object),
      ("text_view", ["ü", None], "string_view", ["ü", ""], object),
      ("bytes", ["ü".encode(), None], "binary", ["ü", ""], object),
      ("decimals", [decimal.Decimal("1.50"), None], None, ["1.50", ""], object),
      ("dates", [_DATE, None], "date32", ["2020-01-31", ""], object),
      ("times", [_TIME, None], None, ["2020-01-31 12:30:00.000000", ""],
       object),
      ("nulls", [None, None], "null", [_NAN, _NAN], np.float64),
  )
  def test_one_value_each(self, values, kind, expected, dtype):
    column = self._column(values, kind and getattr(pyarrow, kind))
    self.assertEqual(column.dtype, dtype)
    np.testing.assert_array_equal(column, np.array(expected, dtype))

  @parameterized.parameters((["a", None, "a"], ["a", "", "a"]),
                            ([5, None, 5], [5, _NAN, 5]))
  def test_dictionaries(self, values, expected):
    self._write("t", {"a": pyarrow.array(values).dictionary_encode()})
    np.testing.assert_array_equal(self._read(["a"], "t").columns["a"],
                                  np.array(expected, type(expected[0])
                                           if expected[1] == "" else float))

  @parameterized.named_parameters(
      ("even", [[1, 2], [3, 4]], lambda: pyarrow.list_(pyarrow.int64()),
       [[1, 2], [3, 4]]),
      ("fixed", [[1, 2], [3, 4]], lambda: pyarrow.list_(pyarrow.int64(), 2),
       [[1, 2], [3, 4]]),
      ("even_with_nulls", [[1, None], [3, 4]],
       lambda: pyarrow.list_(pyarrow.int64()), [[1, _NAN], [3, 4]]),
      ("at_most_one", [[1.5], [], None],
       lambda: pyarrow.list_(pyarrow.float64()), [1.5, _NAN, _NAN]),
      ("only_nulls", [None, []], lambda: pyarrow.list_(pyarrow.null()),
       [_NAN, _NAN]),
  )
  def test_lists_of_one_length(self, values, kind, expected):
    np.testing.assert_array_equal(self._column(values, kind), expected)

  @parameterized.named_parameters(
      ("numbers", [[1, 2], None, [3], []], "list_", "int32", None),
      ("large", [[0.5, 2], None, [3]], "large_list", "float32", None),
      ("text", [["a", None], [], ["b"]], "list_", "string",
       [["a", ""], [], ["b"]]),
  )
  def test_lists_of_several_lengths(self, values, kind, element, expected):
    column = self._column(values, lambda: getattr(pyarrow, kind)(
        getattr(pyarrow, element)()))
    self.assertTrue(lists.is_ragged(column))
    self.assertEqual([row.tolist() for row in column],
                     expected or [row or [] for row in values])

  def test_fixed_lists_with_nulls(self):
    column = self._column([[1, 2], None, [3, 4]],
                          lambda: pyarrow.list_(pyarrow.int64(), 2))
    self.assertEqual([row.tolist() for row in column], [[1, 2], [], [3, 4]])

  def test_lists_of_dictionaries(self):
    column = self._column([["a", "b"], ["a"]], lambda: pyarrow.list_(
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string())))
    self.assertEqual([row.tolist() for row in column], [["a", "b"], ["a"]])

  def test_only_the_columns_wanted_are_read(self):
    path = self._write("t", {"a": [1, 2], "b.c": ["x", "y"],
                             "nested": [{"z": 1}, {"z": 2}]})
    table = self._read(["b.c", "a"], "t")
    self.assertEqual(list(table.columns), ["b.c", "a"])
    self.assertEqual(table.columns["b.c"].tolist(), ["x", "y"])
    self.assertEqual(table.files, [(path, 2)])
    self.assertIsNone(table.hashes)
    with mock.patch.object(parquet.ParquetFile, "read", autospec=True,
                           side_effect=parquet.ParquetFile.read) as read:
      self._read(["a"], "t")
    self.assertEqual(read.call_args.kwargs["columns"], ["a"])

  def test_files_follow_one_another(self):
    self._write("t1", {"a": [1, 2], "b": [["x"], []]}, row_group_size=1)
    self._write("t2", {"b": [["y", "z"]], "a": pyarrow.array([None])})
    self._write("t3", {"a": pyarrow.array([0.5]), "b": pyarrow.array([None])},
                compression="gzip")
    table = self._read(["a", "b"], "t1", "t2", "t3")
    np.testing.assert_array_equal(table.columns["a"], [1, 2, _NAN, 0.5])
    self.assertEqual([row.tolist() for row in table.columns["b"]],
                     [["x"], [], ["y", "z"], []])
    self.assertEqual([length for _, length in table.files], [2, 1, 1])

  def test_hashes_are_of_whole_rows(self):
    self._write("t1", {"a": [1, 1, 1], "b": [["x"], ["x", "y"], ["x"]]})
    self._write("t2", {"b": [["x", "y"], None],
                       "a": pyarrow.array([1.0, None])})
    hashes = self._read(["a"], "t1", "t2", hash_rows=True).hashes
    self.assertEqual(hashes[0], hashes[2])
    self.assertEqual(hashes[1], hashes[3])
    self.assertLen(set(hashes.tolist()), 3)
    again = self._read(["b"], "t2", "t1", hash_rows=True)
    self.assertEqual(again.hashes.tolist(), hashes[[3, 4, 0, 1, 2]].tolist())
    self.assertEqual(list(again.columns), ["b"])

  @parameterized.named_parameters(
      ("no_column", lambda: {"b": [1], "aa": [1]}, r"t: no column 'a' "
       r"\(data.train\); allowed: b, aa; nearest: 'aa'"),
      ("struct", lambda: {"a": [{"x": 1}]},
       "t: column 'a' is of type struct<x: int64>: .*; allowed: numbers, bool"),
      ("lists_of_lists", lambda: {"a": [[[1]]]},
       "t: column 'a' is of type list<.*list<"),
      ("not_utf_8", lambda: {"a": [b"x", None, b"\xff"]}, "t, row 3, column "
       r"'a': found bytes that are not UTF-8: b'\\xff'; allowed: UTF-8 text"),
      ("not_utf_8_in_list", lambda: {"a": [[b"x", None, b"y"], [b"\xff"]]},
       "t, row 2, column 'a': found bytes that are not UTF-8"),
  )
  def test_refused(self, columns, message):
    self._write("t", columns())
    with self.assertRaisesRegex(table_lib.DataError, message) as caught:
      self._read(["a"], "t")
    self.assertNotIn("\n", str(caught.exception))

  def test_numbers_in_one_file_and_text_in_another(self):
    self._write("t1", {"a": [1]})
    self._write("t2", {"a": ["x"]})
    with self.assertRaisesRegex(table_lib.DataError, "t1, .*t2: column 'a' "
                                "holds numbers in one file, text in another"):
      self._read(["a"], "t1", "t2")

  @parameterized.parameters(b"", b"a,b\n1,2\n", b"PAR1abcdPAR1")
  def test_what_is_no_parquet(self, content):
    with open(os.path.join(self._folder, "t"), "wb") as file:
      file.write(content)
    with self.assertRaisesRegex(table_lib.DataError,
                                "t: cannot be read: .*; allowed: a Parquet"):
      self._read(["a"], "t")

  def test_no_damaged_file_ends_in_a_traceback(self):
    path = self._write("t", {"a": [1.0, 2.0], "b": ["x", "y"]})
    with open(path, "rb") as file:
      whole = file.read()
    refused = 0
    for i in range(len(whole)):
      damaged = bytearray(whole)
      damaged[i] ^= 255
      with open(path, "wb") as file:
        file.write(damaged)
      try:
        self._read(["a", "b"], "t")
      except table_lib.DataError as error:
        self.assertNotIn("\n", str(error))
        refused += 1
    self.assertGreater(refused, len(whole) // 4)


if __name__ == "__main__":
  absltest.main()
