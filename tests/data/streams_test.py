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


def _room(count):
  """Returns arrays for so many batches, full of a number that is no row's."""
  return batches.Batch(*[np.full([count * _SIZE, array.shape[1]], 99,
                                 array.dtype) for array in _rows()])


class ReaderTest(absltest.TestCase):

  def _reader(self, rows_of=_rows_of, rows=None):
    return self.enter_context(streams.Reader(rows or _rows(), rows_of, _SIZE))

  def check_reads(self, reader, number, count, room=5):
    into = _room(room)
    reader.read(number, count, into)
    for array, whole in zip(into, _rows()):
      np.testing.assert_array_equal(array[:count * _SIZE],
                                    whole[_rows_of(number, count)])
      np.testing.assert_array_equal(array[count * _SIZE:], 99)

  def test_rows_of_batches_in_whatever_order_they_are_asked_for(self):
    reader = self._reader()
    for number, count in ((0, 3), (3, 3), (6, 2), (8, 2), (1, 1), (2, 5),
                          (40, 5), (41, 1), (44, 2)):
      self.check_reads(reader, number, count)

  def test_files_on_disk(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    files = []
    for name, array in zip(batches.Batch._fields, _rows()):
      path = os.path.join(folder, name)
      array.tofile(path)
      files.append(np.memmap(path, array.dtype, "r", shape=array.shape))
    reader = self._reader(rows=batches.Batch(*files))
    for number in range(0, 30, 3):
      self.check_reads(reader, number, 3)

  def test_each_batch_is_read_once_and_ahead_whatever_the_portions(self):
    asked = []
    def rows_of(number, count):
      asked.append((number, count, threading.current_thread()))
      return _rows_of(number, count)
    reader, number = self._reader(rows_of), 0
    # Blocks that double, one that a border cuts short, and those after it.
    for count in (1, 2, 4, 8, 16, 32, 37, 100, 100, 50, 100, 100):
      self.check_reads(reader, number, count, room=100)
      number += count
    reader.close()
    self.assertNotIn(threading.current_thread(), [one[2] for one in asked])
    place = 0
    for first, count, _ in asked:
      self.assertEqual(first, place)
      place += count
    self.assertBetween(place, number, number + 200)

  def test_batches_one_by_one_are_read_several_at_a_time(self):
    asked = []
    def rows_of(number, count):
      asked.append(count)
      return _rows_of(number, count)
    reader = self._reader(rows_of)
    for number in range(60):
      self.check_reads(reader, number, 1, room=1)
    self.assertLess(len(asked), 15)

  def test_the_next_are_there_before_they_are_asked_for(self):
    started = threading.Event()
    def rows_of(number, count):
      if number:
        started.set()
      return _rows_of(number, count)
    self.check_reads(self._reader(rows_of), 0, 2)
    self.assertTrue(started.wait(10))

  def test_an_error_is_raised_where_its_rows_are_asked_for(self):
    def rows_of(number, count):
      if number <= 4 < number + count:
        raise OSError("the disk is gone")
      return _rows_of(number, count)
    reader = self._reader(rows_of)
    self.check_reads(reader, 0, 2)
    self.check_reads(reader, 2, 2)
    with self.assertRaisesRegex(OSError, "the disk is gone"):
      reader.read(4, 2, _room(2))
    self.check_reads(reader, 1, 1)
    self.check_reads(reader, 5, 1)


if __name__ == "__main__":
  absltest.main()
