"""Tests of reading .npz files."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import npz_files
from mtl_graph.data import table as table_lib


class NpzFilesTest(parameterized.TestCase):

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

  def _read(self, columns, *names, hash_rows=False):
    return npz_files.read([os.path.join(self._folder, name) for name in names],
                          columns, "data.train", hash_rows)

  def _check(self, table, **columns):
    self.assertEqual({name: array.tolist()
                      for name, array in table.columns.items()}, columns)

  def test_arrays_keep_their_types(self):
    self._write("t.npz", {
        "a": np.array([1, 2], np.int32), "b": np.array([[1.5, 2], [3, 4]]),
        "c": np.array(["x", ""]), "unused": np.zeros(7)})
    table = self._read(["a", "b", "c"], "t.npz")
    self._check(table, a=[1, 2], b=[[1.5, 2], [3, 4]], c=["x", ""])
    self.assertEqual(table.columns["a"].dtype, np.int32)
    self.assertEqual([length for _, length in table.files], [2])

  def test_several_files_follow_one_another(self):
    self._write("p2.npz", {"a": [3.0]})
    self._write("p1.npz", {"a": [1.0, 2.0]})
    table = self._read(["a"], "p1.npz", "p2.npz")
    self._check(table, a=[1, 2, 3])
    self.assertEqual([length for _, length in table.files], [2, 1])

  def test_hashes_are_of_whole_rows(self):
    self._write("p1.npz", {"a": [1, 1, 1], "b": [[2, 3], [2, 4], [2, 3]]})
    self._write("p2.npz", {"b": np.array([[2, 4]], np.uint8), "a": [1.0]})
    hashes = self._read(["a"], "p1.npz", "p2.npz", hash_rows=True).hashes
    self.assertEqual(hashes[0], hashes[2])
    self.assertNotEqual(hashes[0], hashes[1])
    self.assertEqual(hashes[1], hashes[3])
    again = self._read(["b"], "p2.npz", "p1.npz", hash_rows=True)
    self.assertEqual(again.hashes.tolist(), hashes[[3, 0, 1, 2]].tolist())
    self.assertEqual(list(again.columns), ["b"])

  def test_rows_are_hashed_only_if_all_arrays_have_as_many(self):
    self._write("t.npz", {"a": [1, 2], "names": ["x", "y", "z"]})
    self._check(self._read(["a"], "t.npz"), a=[1, 2])
    with self.assertRaisesRegex(table_lib.DataError, "'a': 2 rows, 'names': 3"):
      self._read(["a"], "t.npz", hash_rows=True)

  @parameterized.named_parameters(
      ("no_column", {"b": [1], "aa": [1]}, r"t.npz: no column 'a' "
       r"\(data.train\); allowed: b, aa; nearest: 'aa'"),
      ("scalar", {"a": 1}, "t.npz: found columns of 'a': no rows"),
      ("objects", {"a": np.array([None])}, "t.npz: cannot be read: Object "),
      ("no_archive", b"1,2,3", "t.npz: cannot be read: .*numpy.savez"),
      ("empty", b"", "t.npz: cannot be read: .*cut off"),
  )
  def test_refused(self, content, message):
    self._write("t.npz", content)
    with self.assertRaisesRegex(table_lib.DataError, message) as caught:
      self._read(["a"], "t.npz")
    self.assertNotIn("\n", str(caught.exception))

  def test_lengths_must_agree(self):
    self._write("t.npz", {"a": [1, 2], "b": [1, 2, 3]})
    with self.assertRaisesRegex(
        table_lib.DataError,
        "t.npz: found columns of 'a': 2 rows, 'b': 3 rows"):
      self._read(["a", "b"], "t.npz")

  def test_widths_must_agree_from_file_to_file(self):
    self._write("p1.npz", {"a": np.ones([2, 3])})
    self._write("p2.npz", {"a": np.ones([2, 4])})
    with self.assertRaisesRegex(
        table_lib.DataError, "p1.npz, .*p2.npz: column 'a' has other shapes"):
      self._read(["a"], "p1.npz", "p2.npz")

  def test_a_single_array_is_refused(self):
    path = os.path.join(self._folder, "t.npz")
    with open(path, "wb") as file:
      np.save(file, np.ones(3))
    with self.assertRaisesRegex(table_lib.DataError, "t.npz: cannot be read"):
      self._read(["a"], "t.npz")

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
        self._read(["a"], "t.npz")
      except table_lib.DataError as error:
        self.assertNotIn("\n", str(error))
        refused += 1
    self.assertGreater(refused, len(whole) // 2)


if __name__ == "__main__":
  absltest.main()
