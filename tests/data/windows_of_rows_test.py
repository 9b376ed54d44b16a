"""Tests of batches of several numbers, and of epochs shuffled in windows."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.data import mixing

_LARGE = 4000  # Rows of which windows take some blocks.


def _all_epochs(num_rows, shuffle_buffers, seed=3, epochs=2):
  """Returns the rows of some epochs, one epoch per line, of each buffer."""
  with tf.Graph().as_default(), tf.Session() as session:
    rows = [batches.rows_of_batch(
        tf.constant(0, tf.int64), num_rows, num_rows, seed, epochs,
        shuffle_buffer) for shuffle_buffer in shuffle_buffers]
    return [found.reshape(epochs, num_rows) for found in session.run(rows)]


def _epochs(num_rows, shuffle_buffer, seed=3, epochs=2):
  """Returns the rows of some epochs, one epoch per line."""
  return _all_epochs(num_rows, [shuffle_buffer], seed, epochs)[0]


def _at(session, rows, number, values):
  """Returns what rows are at each value of a number."""
  call = session.make_callable(rows, [number])
  return [call(value) for value in values]


class WindowOrderTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 7, 255, 256, 257, 300, 1024, 1279, _LARGE)
  def test_every_row_comes_once_per_epoch(self, num_rows):
    buffers = [0, 100, 256, 300, 512, 1100, 10 ** 6]
    if num_rows < _LARGE:  # Takes seconds, and is no other case.
      buffers += [1, 2, 5]
    for buffer, found in zip(buffers, _all_epochs(num_rows, buffers)):
      np.testing.assert_array_equal(
          np.sort(found, axis=1), np.tile(np.arange(num_rows), (2, 1)),
          f"shuffle_buffer {buffer}")

  def test_epochs_and_seeds_differ(self):
    first, second = _epochs(_LARGE, 512)
    other, = _epochs(_LARGE, 512, seed=4, epochs=1)
    for some in (second, other):
      self.assertLess((first == some).mean(), 0.01)
    again, = _epochs(_LARGE, 512, epochs=1)
    np.testing.assert_array_equal(first, again)

  def test_a_buffer_that_holds_all_rows_shuffles_them_as_none_does(self):
    np.testing.assert_array_equal(_epochs(500, 500), _epochs(500, 0))
    self.assertFalse((_epochs(501, 500) == _epochs(501, 0)).all())

  @parameterized.parameters(512, 1024)
  def test_a_window_holds_few_blocks_of_neighbours(self, shuffle_buffer):
    for epoch in _epochs(_LARGE, shuffle_buffer):
      windows = [epoch[start:start + shuffle_buffer] for start
                 in range(0, _LARGE - 2 * shuffle_buffer, shuffle_buffer)]
      self.assertNotEmpty(windows)
      for window in windows:
        ordered = np.sort(window)
        runs = 1 + (np.diff(ordered) > 1).sum()
        # One block more where the epoch's last row is beside its first.
        self.assertLessEqual(runs, shuffle_buffer // 256 + 1)
        self.assertGreater((np.diff(window) != 1).mean(), 0.9)

  def test_rows_before_and_behind_each_other_are_about_as_many(self):
    order = np.argsort(_epochs(_LARGE, 1024, epochs=1)[0])
    self.assertLess(abs((np.diff(order) > 0).mean() - 0.5), 0.05)


class SeveralBatchesTest(parameterized.TestCase):

  @parameterized.parameters(0, 300)
  def test_are_those_of_each_number_one_after_the_other(self, shuffle_buffer):
    def one(number, size, count):
      return batches.rows_of_parts(
          number, [slice(10, 600), slice(700, 1000)],
          size, 5, count, shuffle_buffer)
    with tf.Graph().as_default(), tf.Session() as session:
      number = tf.placeholder(tf.int64, [])
      self.assertEqual(one(number, 4, 1).shape.as_list(), [4])
      together = session.run(one(number, 64, tf.constant(20, tf.int64)),
                             {number: 3})
      apart = _at(session, one(number, 64, 1), number, range(3, 23))
    np.testing.assert_array_equal(together, np.concatenate(apart))
    self.assertTrue(((together >= 10) & (together < 600)
                     | (together >= 700) & (together < 1000)).all())

  @parameterized.parameters(0, 300)
  def test_of_sources(self, shuffle_buffer):
    plan = mixing.Plan(np.array([0, 1, 1, 0, 1, 1] * 4, np.int32),
                       np.array([0, 0, 1, 1, 2, 3] * 4, np.int32))
    def one(number, count):
      return batches.planned_rows(
          number, mixing.Plan(*map(tf.constant, plan)),
          [0, 280], [280, 700], 64, 5, count, shuffle_buffer)
    with tf.Graph().as_default(), tf.Session() as session:
      number = tf.placeholder(tf.int64, [])
      together = session.run(one(number, 20), {number: 1})
      apart = _at(session, one(number, 1), number, range(1, 21))
      own = session.run(batches.rows_of_batch(
          tf.constant(3, tf.int64), 700, 64, 5, 1, shuffle_buffer))
    np.testing.assert_array_equal(together, np.concatenate(apart))
    np.testing.assert_array_equal(apart[4], own + 280)


class DigestTest(absltest.TestCase):

  def test_narrow_types_count_as_those_of_the_graph(self):
    rows = batches.Batch(*[np.arange(6).reshape(3, 2) % 2] * 4)
    wide = batches.cast(rows)
    self.assertEqual([array.dtype for array in wide],
                     [np.float32, np.int32, np.float32, np.float32])
    narrow = batches.Batch(*[array.astype(np.uint8) for array in rows])
    self.assertEqual(batches.digest(narrow), batches.digest(wide))

  def test_cast_keeps_what_fits(self):
    rows = batches.cast(batches.Batch(*[np.zeros([2, 1])] * 4))
    for array, again in zip(rows, batches.cast(rows)):
      self.assertIs(array, again)


if __name__ == "__main__":
  absltest.main()
