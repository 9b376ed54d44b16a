"""Tests of reading batches ahead of the steps that take them."""

import os
import tempfile
import threading

from absl.testing import absltest
import numpy as np

from mtl_graph.data import batches
from mtl_graph.data import streams

_SIZE = 4


def _rows():
  """Returns a `Batch` of narrow arrays, each row full of its number."""
  return batches.Batch(*[np.tile(np.arange(50)[:, np.newaxis], [1, width])
                         .astype(dtype) for width, dtype in
                         ((3, "f4"), (2, "u1"), (1, "f4"), (2, "u1"))])


def _rows_of(number, count):
  return (number * _SIZE + np.arange(count * _SIZE)) % 50


class ReaderTest(absltest.TestCase):

  def _reader(self, rows_of=_rows_of, rows=None):
    return self.enter_context(streams.Reader(rows or _rows(), rows_of))

  def check(self, batch, number, count):
    self.assertEqual([array.dtype for array in batch],
                     [np.float32, np.int32, np.float32, np.float32])
    for array, whole in zip(batch, _rows()):
      self.assertIs(type(array), np.ndarray)
      np.testing.assert_array_equal(array, whole[_rows_of(number, count)])

  def test_rows_of_batches_in_whatever_order_they_are_asked_for(self):
    reader = self._reader()
    for number, count in ((0, 3), (3, 3), (6, 2), (8, 2), (1, 1), (2, 5)):
      self.check(reader.read(number, count), number, count)

  def test_files_on_disk(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    files = []
    for name, array in zip(batches.Batch._fields, _rows()):
      path = os.path.join(folder, name)
      array.tofile(path)
      files.append(np.memmap(path, array.dtype, "r", shape=array.shape))
    reader = self._reader(rows=batches.Batch(*files))
    for number in range(0, 30, 3):
      self.check(reader.read(number, 3), number, 3)

  def test_what_follows_is_read_ahead_in_another_thread(self):
    asked, started = [], threading.Event()
    def rows_of(number, count):
      asked.append((number, count, threading.current_thread()))
      if number:
        started.set()
      return _rows_of(number, count)
    reader = self._reader(rows_of)
    reader.read(0, 2)
    self.assertTrue(started.wait(10))
    reader.read(2, 2, ahead=1)
    reader.read(4, 1, ahead=0)
    reader.close()
    self.assertEqual([one[:2] for one in asked],
                     [(0, 2), (2, 2), (4, 1)])
    self.assertNotIn(threading.current_thread(), [one[2] for one in asked])

  def test_an_error_is_raised_where_its_rows_are_asked_for(self):
    def rows_of(number, count):
      if number == 2:
        raise OSError("the disk is gone")
      return _rows_of(number, count)
    reader = self._reader(rows_of)
    self.check(reader.read(0, 2), 0, 2)
    with self.assertRaisesRegex(OSError, "the disk is gone"):
      reader.read(2, 2)
    self.check(reader.read(1, 1), 1, 1)
    self.check(reader.read(3, 1), 3, 1)


if __name__ == "__main__":
  absltest.main()
