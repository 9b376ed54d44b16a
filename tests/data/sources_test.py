"""Tests of reading CSV files, .npz files and arrays."""

import gzip
import os
import tempfile
import tracemalloc

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import sources
from mtl_graph.protos import data_pb2


class SourcesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _write(self, name, content):
    """Writes text, bytes or a dict of arrays, and returns the path."""
    path = os.path.join(self._folder, name)
    if isinstance(content, dict):
      np.savez(path, **content)
      return path
    with open(path, "wb") as file:
      file.write(content if isinstance(content, bytes) else content.encode())
    return path

  def _read_csv(self, columns, *names, header_file=None, strip_spaces=False):
    return sources.read(
        data_pb2.Source(csv=data_pb2.CsvFiles(
            path=[os.path.join(self._folder, name) for name in names],
            header_file=header_file, strip_spaces=strip_spaces)),
        columns, "data.train")

  def _read_npz(self, columns, *names):
    return sources.read(
        data_pb2.Source(npz=data_pb2.NpzFiles(
            path=[os.path.join(self._folder, name) for name in names])),
        columns, "data.train")

  def _check(self, table, **columns):
    self.assertEqual({name: array.tolist()
                      for name, array in table.columns.items()}, columns)


class CsvTest(SourcesTest):

  @parameterized.named_parameters(
      ("plain", "a,b\n1,x\n2,y\n"),
      ("no_last_line_end", "a,b\n1,x\n2,y"),
      ("windows_line_ends", "a,b\r\n1,x\r\n2,y\r\n"),
      ("old_mac_line_ends", "a,b\r1,x\r2,y\r"),
      ("byte_order_mark", b"\xef\xbb\xbfa,b\n1,x\n2,y\n"),
      ("quoted", '"a","b"\n"1","x"\n"2","y"\n'),
      ("spaces_in_the_header", " a , b\n1,x\n2,y\n"),
      ("blank_lines", "a,b\n\n1,x\n\n2,y\n\n"),
      ("another_column", "c,a,b\n9,1,x\n8,2,y\n"),
  )
  def test_reads(self, content):
    self._write("t.csv", content)
    table = self._read_csv(["a", "b"], "t.csv")
    self._check(table, a=["1", "2"], b=["x", "y"])
    self.assertEqual([length for _, length in table.files], [2])

  @parameterized.parameters("a,b\n1,x\n", b"\xef\xbb\xbfa,b\r\n1,x\r\n")
  def test_gzip_goes_by_the_ending(self, content):
    if isinstance(content, str):
      content = content.encode()
    self._write("t.csv.gz", gzip.compress(content))
    self._check(self._read_csv(["a", "b"], "t.csv.gz"), a=["1"], b=["x"])

  def test_quotes_keep_commas_quotes_and_line_ends(self):
    self._write("t.csv", 'a,b\n"1,5","say ""no"""\n"two\nlines",""\n')
    self._check(self._read_csv(["a", "b"], "t.csv"),
                a=["1,5", "two\nlines"], b=['say "no"', ""])

  def test_text_is_utf_8(self):
    self._write("t.csv", "größe\nZürich\n東京\n")
    self._check(self._read_csv(["größe"], "t.csv"),
                **{"größe": ["Zürich", "東京"]})

  def test_globs_are_sorted_and_paths_keep_their_order(self):
    for name, value in (("p2.csv", 2), ("p10.csv", 10), ("p1.csv", 1),
                        ("z.csv", 0)):
      self._write(name, f"a\n{value}\n")
    self._write("q.csv", "a\n")  # No rows, among others: nothing wrong.
    table = self._read_csv(["a"], "z.csv", "q.csv", "p*.csv")
    self._check(table, a=["0", "1", "10", "2"])
    self.assertEqual(
        [(os.path.basename(path), length) for path, length in table.files],
        [("z.csv", 1), ("q.csv", 0), ("p1.csv", 1), ("p10.csv", 1),
         ("p2.csv", 1)])

  def test_files_may_order_columns_differently(self):
    self._write("p1.csv", "a,b\n1,x\n")
    self._write("p2.csv", "b,c,a\ny,9,2\n")
    self._check(self._read_csv(["a", "b"], "p*.csv"),
                a=["1", "2"], b=["x", "y"])

  @parameterized.parameters("a,b\n", "a\nb\n", " a , b", b"\xef\xbb\xbfa,b\r\n",
                            '"a","b"\n')
  def test_header_file_names_the_columns(self, header):
    path = self._write("header.txt", header)
    self._write("t.csv", "1,x\n2,y\n")
    self._check(self._read_csv(["a", "b"], "t.csv", header_file=path),
                a=["1", "2"], b=["x", "y"])

  def test_spaces_are_dropped_only_if_asked_for(self):
    self._write("t.csv", 'a,b\n 1 , x y \n2, "z, w" \n')
    self._check(self._read_csv(["a", "b"], "t.csv", strip_spaces=True),
                a=["1", "2"], b=["x y", "z, w"])
    self._write("t.csv", "a,b\n 1 , x y \n")
    self._check(self._read_csv(["a", "b"], "t.csv"), a=[" 1 "], b=[" x y "])

  def test_one_long_field_does_not_widen_the_others(self):
    self._write("t.csv", "a,b\n" + "x" * 20000 + ",1\n" + "y,2\n" * 500)
    tracemalloc.start()
    self.addCleanup(tracemalloc.stop)
    table = self._read_csv(["a", "b"], "t.csv")
    _, peak = tracemalloc.get_traced_memory()
    self.assertLen(table.columns["a"], 501)
    # 501 strings as wide as the longest would take 40 MB.
    self.assertLess(peak, 4e6)

  @parameterized.named_parameters(
      ("empty", "t.csv", "", "t.csv: found an empty file"),
      ("blank", "t.csv", "\n\n", "t.csv: found an empty file"),
      ("header_only", "t.csv", "a,b\n", "t.csv: found no rows; allowed: at "
       r"least one \(data.train\)"),
      ("no_column", "t.csv", "b,aa\n1,2\n", r"t.csv: no column 'a' "
       r"\(data.train\); allowed: b, aa; nearest: 'aa'"),
      ("twice", "t.csv", "a,b,a\n1,2,3\n", "t.csv: column 'a' is named more "
       "than once"),
      ("short", "t.csv", "a,b\n1,2\n3\n", "t.csv, row 2: found 1 fields; "
       "allowed: 2"),
      ("long", "t.csv", "a,b\n1,2,3\n", "t.csv, row 1: found 3 fields"),
      ("not_utf_8", "t.csv", b"a,b\n1,\xff\n", "t.csv, line 2: cannot be read: "
       "it is not UTF-8"),
      ("not_utf_8_in_gzip", "t.csv.gz", gzip.compress(b"a,b\n1,2\n\xfc,1\n"),
       "t.csv.gz, line 3: cannot be read: it is not UTF-8"),
      ("quote_left_open", "t.csv", 'a,b\n1,2\n"3,4\n5,6\n',
       "t.csv, line 3: cannot be read: .*RFC 4180"),
      ("field_too_long", "t.csv", "a,b\n1," + "x" * 200000, "t.csv, line 2: "
       "cannot be read: field larger"),
      ("not_gzip", "t.csv.gz", "a,b\n1,2\n", "t.csv.gz: cannot be read: Not a "
       "gzipped file"),
      ("gzip_as_plain", "t.csv", gzip.compress(b"a,b\n1,2\n"), "t.csv, "
       "line 1: cannot be read: it is not UTF-8; .* gzip only if it ends in "),
      ("cut_off", "t.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-9],
       "t.csv.gz: cannot be read: .*ended before"),
  )
  def test_refused(self, name, content, message):
    self._write(name, content)
    with self.assertRaisesRegex(sources.DataError, message) as caught:
      self._read_csv(["a", "b"], name)
    self.assertNotIn("\n", str(caught.exception))

  def test_a_folder_is_refused(self):
    os.mkdir(os.path.join(self._folder, "t.csv"))
    with self.assertRaisesRegex(sources.DataError, "t.csv: cannot be read: Is"):
      self._read_csv(["a"], "t.csv")

  def test_no_file_is_refused_by_its_pattern(self):
    with self.assertRaisesRegex(sources.DataError, r"gone\*\.csv"):
      self._read_csv(["a"], "gone*.csv")

  def test_an_unreadable_header_file_is_refused(self):
    self._write("t.csv", "1\n")
    path = self._write("header.txt", b"\xff\xfe")
    with self.assertRaisesRegex(sources.DataError,
                                "header.txt, line 1: cannot be read:"
                                " it is not UTF-8; allowed: column names"):
      self._read_csv(["a"], "t.csv", header_file=path)

  def test_no_damaged_archive_ends_in_a_traceback(self):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 30)
    read = 0
    for i in range(len(whole)):
      damaged = bytearray(whole)
      damaged[i] ^= 255
      self._write("t.csv.gz", bytes(damaged))
      try:
        self._read_csv(["a", "b"], "t.csv.gz")
        read += 1
      except sources.DataError as error:
        self.assertNotIn("\n", str(error))
    # The header's time stamp and the like may be anything.
    self.assertLess(read, 10)


class NpzTest(SourcesTest):

  def test_arrays_keep_their_types(self):
    self._write("t.npz", {
        "a": np.array([1, 2], np.int32), "b": np.array([[1.5, 2], [3, 4]]),
        "c": np.array(["x", ""]), "unused": np.zeros(7)})
    table = self._read_npz(["a", "b", "c"], "t.npz")
    self._check(table, a=[1, 2], b=[[1.5, 2], [3, 4]], c=["x", ""])
    self.assertEqual(table.columns["a"].dtype, np.int32)
    self.assertEqual([length for _, length in table.files], [2])

  def test_several_files_follow_one_another(self):
    self._write("p2.npz", {"a": [3.0]})
    self._write("p1.npz", {"a": [1.0, 2.0]})
    table = self._read_npz(["a"], "p*.npz")
    self._check(table, a=[1, 2, 3])
    self.assertEqual([length for _, length in table.files], [2, 1])

  @parameterized.named_parameters(
      ("no_column", {"b": [1], "aa": [1]}, r"t.npz: no column 'a' "
       r"\(data.train\); allowed: b, aa; nearest: 'aa'"),
      ("no_rows", {"a": []}, "t.npz: found no rows"),
      ("scalar", {"a": 1}, "t.npz: found columns of 'a': no rows"),
      ("objects", {"a": np.array([None])}, "t.npz: cannot be read: Object "),
      ("no_archive", b"1,2,3", "t.npz: cannot be read: .*numpy.savez"),
      ("empty", b"", "t.npz: cannot be read: .*cut off"),
  )
  def test_refused(self, content, message):
    self._write("t.npz", content)
    with self.assertRaisesRegex(sources.DataError, message) as caught:
      self._read_npz(["a"], "t.npz")
    self.assertNotIn("\n", str(caught.exception))

  def test_lengths_must_agree(self):
    self._write("t.npz", {"a": [1, 2], "b": [1, 2, 3]})
    with self.assertRaisesRegex(
        sources.DataError, "t.npz: found columns of 'a': 2 rows, 'b': 3 rows"):
      self._read_npz(["a", "b"], "t.npz")

  def test_widths_must_agree_from_file_to_file(self):
    self._write("p1.npz", {"a": np.ones([2, 3])})
    self._write("p2.npz", {"a": np.ones([2, 4])})
    with self.assertRaisesRegex(
        sources.DataError, "p1.npz, .*p2.npz: column 'a' has other shapes"):
      self._read_npz(["a"], "p*.npz")

  def test_a_single_array_is_refused(self):
    path = os.path.join(self._folder, "t.npz")
    with open(path, "wb") as file:
      np.save(file, np.ones(3))
    with self.assertRaisesRegex(sources.DataError, "t.npz: cannot be read"):
      self._read_npz(["a"], "t.npz")

  def test_no_damaged_archive_ends_in_a_traceback(self):
    path = self._write("t.npz", {"a": np.arange(3.0)})
    with open(path, "rb") as file:
      whole = file.read()
    refused = 0
    for i in range(len(whole)):
      damaged = bytearray(whole)
      damaged[i] ^= 255
      self._write("t.npz", bytes(damaged))
      try:
        self._read_npz(["a"], "t.npz")
      except sources.DataError as error:
        self.assertNotIn("\n", str(error))
        refused += 1
    self.assertGreater(refused, len(whole) // 2)


class ArraysTest(parameterized.TestCase):

  def test_takes_arrays_and_lists_and_leaves_the_rest_alone(self):
    table = sources.from_arrays(
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
      ("ragged", {"a": [[1], [1, 2]]}, "^arrays: .*'a'"),
  )
  def test_refused(self, arrays, message):
    with self.assertRaisesRegex(sources.DataError, message) as caught:
      sources.from_arrays(arrays, ["a"], "arrays")
    self.assertNotIn("\n", str(caught.exception))

  def test_lengths_must_agree(self):
    with self.assertRaisesRegex(sources.DataError,
                                "'a': 2 rows, 'b': 1 rows; allowed: one entry"):
      sources.from_arrays({"a": [1, 2], "b": [1]}, ["a", "b"], "arrays")


class LocateTest(parameterized.TestCase):

  @parameterized.parameters((0, "p1, row 1"), (1, "p1, row 2"),
                            (2, "p3, row 1"), (4, "p3, row 3"))
  def test_rows_count_from_one_within_their_file(self, row, expected):
    table = sources.Table({}, [("p1", 2), ("p2", 0), ("p3", 3)])
    self.assertEqual(sources.locate(table, row), expected)

  def test_beyond_the_table(self):
    table = sources.Table({}, [("p1", 2)])
    with self.assertRaisesRegex(IndexError, "beyond the table"):
      sources.locate(table, 2)


if __name__ == "__main__":
  absltest.main()
