"""Tests of going through rows slice by slice."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import slices


class SlicesTest(parameterized.TestCase):

  @parameterized.parameters((0, []), (2, [2]), (3, [3]), (7, [3, 3, 1]))
  def test_all_are_full_but_the_last(self, rows, lengths):
    found = list(slices.each(rows, 3))
    self.assertEqual([piece.stop - piece.start for piece in found], lengths)
    self.assertEqual([i for piece in found for i in range(rows)[piece]],
                     list(range(rows)))

  def test_an_array_of_memory_or_disk(self):
    values = np.arange(20.0).reshape(10, 2)
    path = os.path.join(self.enter_context(tempfile.TemporaryDirectory()), "x")
    values.tofile(path)
    on_disk = np.memmap(path, np.float64, "r", shape=(10, 2))
    for array in (values, on_disk, on_disk[:]):
      pieces = list(slices.of(array, 4))
      self.assertLen(pieces, 3)
      np.testing.assert_array_equal(np.concatenate(pieces), values)
      slices.forget(array)
      np.testing.assert_array_equal(array, values)


if __name__ == "__main__":
  absltest.main()
