"""Tests of reading CSV files."""

import gzip
import os
import tempfile
import tracemalloc

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph.data import csv_files
from mtl_graph.data import table as table_lib
from mtl_graph.protos import data_pb2


class CsvFilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _write(self, name, content):
    """Writes text or bytes, and returns the path."""
    path = os.path.join(self._folder, name)
    with open(path, "wb") as file:
      file.write(content if isinstance(content, bytes) else content.encode())
    return path

  def _read(self, columns, *names, hash_rows=False, **fields):
    return csv_files.read(
        data_pb2.CsvFiles(**fields),
        [os.path.join(self._folder, name) for name in names], columns,
        "data.train", hash_rows)

  def _check(self, table, **columns):
    self.assertEqual({name: array.tolist()
                      for name, array in table.columns.items()}, columns)

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
    table = self._read(["a", "b"], "t.csv")
    self._check(table, a=["1", "2"], b=["x", "y"])
    self.assertEqual([length for _, length in table.files], [2])

  @parameterized.parameters("a,b\n1,x\n", b"\xef\xbb\xbfa,b\r\n1,x\r\n")
  def test_gzip_goes_by_the_ending(self, content):
    if isinstance(content, str):
      content = content.encode()
    self._write("t.csv.gz", gzip.compress(content))
    self._check(self._read(["a", "b"], "t.csv.gz"), a=["1"], b=["x"])

  def test_quotes_keep_commas_quotes_and_line_ends(self):
    self._write("t.csv", 'a,b\n"1,5","say ""no"""\n"two\nlines",""\n')
    self._check(self._read(["a", "b"], "t.csv"),
                a=["1,5", "two\nlines"], b=['say "no"', ""])

  def test_text_is_utf_8(self):
    self._write("t.csv", "größe\nZürich\n東京\n")
    self._check(self._read(["größe"], "t.csv"),
                **{"größe": ["Zürich", "東京"]})

  def test_files_follow_one_another(self):
    for name, content in (("p1.csv", "a\n1\n2\n"), ("p2.csv", "a\n"),
                          ("p3.csv", "a\n3\n")):
      self._write(name, content)
    table = self._read(["a"], "p1.csv", "p2.csv", "p3.csv")
    self._check(table, a=["1", "2", "3"])
    self.assertEqual(
        [(os.path.basename(path), length) for path, length in table.files],
        [("p1.csv", 2), ("p2.csv", 0), ("p3.csv", 1)])

  def test_files_may_order_columns_differently(self):
    self._write("p1.csv", "a,b\n1,x\n")
    self._write("p2.csv", "b,c,a\ny,9,2\n")
    self._check(self._read(["a", "b"], "p1.csv", "p2.csv"),
                a=["1", "2"], b=["x", "y"])

  @parameterized.parameters("a,b\n", "a\nb\n", " a , b", b"\xef\xbb\xbfa,b\r\n",
                            '"a","b"\n')
  def test_header_file_names_the_columns(self, header):
    path = self._write("header.txt", header)
    self._write("t.csv", "1,x\n2,y\n")
    self._check(self._read(["a", "b"], "t.csv", header_file=path),
                a=["1", "2"], b=["x", "y"])

  def test_spaces_are_dropped_only_if_asked_for(self):
    self._write("t.csv", 'a,b\n 1 , x y \n2, "z, w" \n')
    self._check(self._read(["a", "b"], "t.csv", strip_spaces=True),
                a=["1", "2"], b=["x y", "z, w"])
    self._write("t.csv", "a,b\n 1 , x y \n")
    self._check(self._read(["a", "b"], "t.csv"), a=[" 1 "], b=[" x y "])

  def test_strings_that_stand_for_missing_values(self):
    self._write("t.csv", 'a,b\nNA,x\n 2,?\n NA ,"NA"\nNAN,\n')
    self._check(self._read(["a", "b"], "t.csv", missing_value=["NA", "?"]),
                a=["", " 2", " NA ", "NAN"], b=["x", "", "", ""])
    self._check(self._read(["a", "b"], "t.csv", missing_value=["NA", "?"],
                           strip_spaces=True),
                a=["", "2", "", "NAN"], b=["x", "", "", ""])

  def test_gzipped_header_file(self):
    path = self._write("header.csv.gz", gzip.compress(b"a,b\n"))
    self._write("t.csv", "1,x\n")
    self._check(self._read(["b"], "t.csv", header_file=path), b=["x"])

  def test_hashes_are_of_whole_rows(self):
    self._write("t.csv", "a,b\n1,x\n1,y\n1,x\n")
    one, two, three = self._read(["a"], "t.csv", hash_rows=True).hashes
    self.assertEqual(one, three)
    self.assertNotEqual(one, two)
    self.assertIsNone(self._read(["a"], "t.csv").hashes)

  def test_hashes_outlive_other_orders_of_files_rows_and_columns(self):
    self._write("p1.csv", "a,b\n1,x\n2,y\n")
    self._write("p2.csv", "b,a\ny,2\nz,3\n")
    hashes = self._read(["a"], "p1.csv", "p2.csv", hash_rows=True).hashes
    self.assertEqual(hashes[1], hashes[2])
    again = self._read(["b"], "p2.csv", "p1.csv", hash_rows=True,
                       missing_value=["x"]).hashes
    self.assertEqual(again.tolist(), hashes[[2, 3, 0, 1]].tolist())

  def test_hashes_take_fields_as_they_are_read(self):
    self._write("t.csv", 'a,b\n 1,"x"\n1,x\n')
    one, two = self._read(["a"], "t.csv", hash_rows=True).hashes
    self.assertNotEqual(one, two)
    one, two = self._read(["a"], "t.csv", hash_rows=True,
                          strip_spaces=True).hashes
    self.assertEqual(one, two)

  def test_one_long_field_does_not_widen_the_others(self):
    self._write("t.csv", "a,b\n" + "x" * 20000 + ",1\n" + "y,2\n" * 500)
    tracemalloc.start()
    self.addCleanup(tracemalloc.stop)
    table = self._read(["a", "b"], "t.csv")
    _, peak = tracemalloc.get_traced_memory()
    self.assertLen(table.columns["a"], 501)
    # 501 strings as wide as the longest would take 40 MB.
    self.assertLess(peak, 4e6)

  @parameterized.named_parameters(
      ("empty", "t.csv", "", "t.csv: found an empty file"),
      ("blank", "t.csv", "\n\n", "t.csv: found an empty file"),
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
    with self.assertRaisesRegex(table_lib.DataError, message) as caught:
      self._read(["a", "b"], name)
    self.assertNotIn("\n", str(caught.exception))

  def test_a_folder_is_refused(self):
    os.mkdir(os.path.join(self._folder, "t.csv"))
    with self.assertRaisesRegex(table_lib.DataError,
                                "t.csv: cannot be read: Is"):
      self._read(["a"], "t.csv")

  def test_an_unreadable_header_file_is_refused(self):
    self._write("t.csv", "1\n")
    path = self._write("header.txt", b"\xff\xfe")
    with self.assertRaisesRegex(table_lib.DataError,
                                "header.txt, line 1: cannot be read:"
                                " it is not UTF-8; allowed: column names"):
      self._read(["a"], "t.csv", header_file=path)

  def test_no_damaged_archive_ends_in_a_traceback(self):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 30)
    read = 0
    for i in range(len(whole)):
      damaged = bytearray(whole)
      damaged[i] ^= 255
      self._write("t.csv.gz", bytes(damaged))
      try:
        self._read(["a", "b"], "t.csv.gz")
        read += 1
      except table_lib.DataError as error:
        self.assertNotIn("\n", str(error))
    # The header's time stamp and the like may be anything.
    self.assertLess(read, 10)


if __name__ == "__main__":
  absltest.main()
