"""Tests of columns that are written to disk and read slice by slice."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import spills


def _texts(*values):
  return np.array(values, object)


class CodedTest(parameterized.TestCase):

  @parameterized.parameters(
      ([],), (["a"],), (["b", "", "b", "é\ud83d\ude00".encode(
          "utf-16", "surrogatepass").decode("utf-16")],),
      ([str(i) for i in range(300)] * 2,), ([["a", "b"], ["b", ""]],))
  def test_decodes_what_was_encoded(self, values):
    values = np.array(values, object)
    found = spills.encode(values)
    self.assertEqual(found.codes.shape, values.shape)
    self.assertLen(set(found.entries), len(found.entries))
    np.testing.assert_array_equal(spills.decode(found), values)

  def test_codes_are_narrow(self):
    self.assertEqual(spills.encode(_texts("a", "b")).codes.dtype, np.uint8)
    self.assertEqual(spills.encode(_texts(*map(str, range(257)))).codes.dtype,
                     np.uint16)


class ColumnTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _column(self, name, *pieces):
    path = os.path.join(self._folder, name)
    writer = spills.Writer(path)
    for piece in pieces:
      writer.append(piece)
    return spills.Column(path, writer.close())

  @parameterized.parameters(
      (slice(None),), (slice(0, 1),), (slice(2, 5),), (slice(3, 4),),
      (slice(5, 100),), (slice(4, None),))
  def test_slices(self, rows):
    numbers = np.random.default_rng(1).normal(size=[7, 2]).astype(np.float32)
    texts = _texts("a", "b", "a", "", "c", "a", "d")
    for values, code in ((numbers, lambda v: v), (texts, spills.encode)):
      pieces = [code(piece) for piece in np.split(values, [3, 4])]
      column = self._column("x", *pieces)
      self.assertLen(column, 7)
      self.assertEqual(column.shape, values.shape)
      np.testing.assert_array_equal(column[rows], values[rows])
      self.assertEqual(column[rows].dtype, values.dtype)
      joined = spills.Joined([self._column("y", *pieces[:2]),
                              self._column("z", *pieces[2:])])
      self.assertLen(joined, 7)
      np.testing.assert_array_equal(joined[rows], values[rows])


if __name__ == "__main__":
  absltest.main()
