"""Tests of reading the arrays of an archive row by row."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import npz_members


class MemberTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._path = os.path.join(
        self.enter_context(tempfile.TemporaryDirectory()), "a.npz")

  @parameterized.named_parameters(
      ("vector", np.arange(7)), ("matrix", np.arange(14.0).reshape(7, 2)),
      ("by_column", np.asfortranarray(np.arange(14).reshape(7, 2))),
      ("images", np.arange(84, dtype=np.uint8).reshape(7, 2, 2, 3)),
      ("text", np.array(["a", "long", "é", "", "b", "c", "d"])),
      ("other_byte_order", np.arange(7, dtype=">i4")),
      ("nothing_in_rows", np.zeros([7, 0])), ("no_rows", np.zeros([0, 3])))
  def test_reads_rows_in_order(self, array):
    for save in (np.savez, np.savez_compressed):
      save(self._path, a=array)
      with np.load(self._path) as archive:
        with npz_members.open_member(archive, "a") as member:
          self.assertEqual(member.shape, array.shape)
          found = [member.read(rows) for rows in (3, 3, 1) if len(array)]
      if found:
        np.testing.assert_array_equal(np.concatenate(found), array)
        self.assertEqual(found[0].dtype, array.dtype)

  def test_a_scalar_has_no_rows(self):
    np.savez(self._path, a=5)
    with np.load(self._path) as archive:
      self.assertEqual(npz_members.open_member(archive, "a").shape, ())

  def test_objects_are_refused(self):
    np.savez(self._path, a=np.array([{}], object))
    with np.load(self._path) as archive:
      with self.assertRaisesRegex(ValueError, "Object arrays cannot be loaded"):
        npz_members.open_member(archive, "a")

  def test_more_rows_than_there_are(self):
    np.savez(self._path, a=np.arange(3))
    with np.load(self._path) as archive:
      with npz_members.open_member(archive, "a") as member:
        with self.assertRaisesRegex(EOFError, "cut off"):
          member.read(4)


if __name__ == "__main__":
  absltest.main()
