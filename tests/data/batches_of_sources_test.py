"""Tests of the rows of batches that come from one of several sources each."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.data import mixing
from mtl_graph.protos import data_pb2

_SEED = 7


def _plan(rows, batch_size, num_batches, at_end=()):
  text = "".join(f"source {{ at_end: {end} }} "
                 for end in at_end or ["RECYCLE"] * len(rows))
  return mixing.plan(text_format.Parse(text, data_pb2.Data()), rows, batch_size,
                     num_batches, _SEED)


def _rows(plan, counts, batch_size, resident=False):
  """Returns the rows of every batch of a plan, shape [N, batch_size]."""
  starts = np.cumsum([0, *counts])[:-1].tolist()
  with tf.Graph().as_default(), tf.Session() as session:
    number = tf.placeholder(tf.int64, [])
    if resident:
      held, feed = batches.resident_plan(len(plan.source))
      session.run(tf.local_variables_initializer(), feed(plan))
    else:
      held = mixing.Plan(*map(tf.constant, plan))
    rows = batches.planned_rows(number, held, starts, counts, batch_size, _SEED)
    call = session.make_callable(rows, [number])
    return np.array([call(n) for n in range(len(plan.source))])


def _rows_of_batch(numbers, num_rows, batch_size):
  with tf.Graph().as_default(), tf.Session() as session:
    number = tf.placeholder(tf.int64, [])
    call = session.make_callable(
        batches.rows_of_batch(number, num_rows, batch_size, _SEED), [number])
    return np.array([call(n) for n in numbers])


class RowsOfBatchTest(parameterized.TestCase):

  def test_the_number_of_rows_may_be_a_tensor(self):
    with tf.Graph().as_default(), tf.Session() as session:
      number, count = [tf.placeholder(tf.int64, []) for _ in range(2)]
      rows = batches.rows_of_batch(number, count, 6, _SEED)
      self.assertEqual((rows.shape.as_list(), rows.dtype), ([6], tf.int64))
      call = session.make_callable(rows, [number, count])
      for num_rows in (1, 2, 5, 6, 97):
        self.assertEqual([call(n, num_rows).tolist() for n in range(20)],
                         _rows_of_batch(range(20), num_rows, 6).tolist())


class PlannedRowsTest(parameterized.TestCase):

  @parameterized.parameters(1, 5, 16)
  def test_one_source_is_as_if_there_were_none(self, num_rows):
    found = _rows(_plan([num_rows], 3, 40), [num_rows], 3)
    self.assertEqual(found.tolist(),
                     _rows_of_batch(range(40), num_rows, 3).tolist())

  @parameterized.parameters(False, True)
  def test_formula(self, resident):
    counts, starts = [6, 1, 13], [0, 6, 7]
    plan = _plan(counts, 4, 60)
    found = _rows(plan, counts, 4, resident)
    for s, (start, count) in enumerate(zip(starts, counts)):
      own = found[plan.source == s]
      self.assertEqual(own.tolist(), (start + _rows_of_batch(
          range(len(own)), count, 4)).tolist())

  @parameterized.product(counts=([10, 3], [4, 4, 4], [1, 40], [25]),
                         batch_size=(1, 4, 7))
  def test_every_row_comes_once_per_epoch_of_its_source(self, counts,
                                                        batch_size):
    plan = _plan(counts, batch_size, 200)
    found = _rows(plan, counts, batch_size)
    for s, count in enumerate(counts):
      start = sum(counts[:s])
      drawn = found[plan.source == s].ravel()
      epochs = drawn[:len(drawn) // count * count].reshape(-1, count)
      self.assertNotEmpty(epochs)
      for epoch in epochs:
        self.assertEqual(sorted(epoch), list(range(start, start + count)))

  def test_a_source_that_stops_has_shown_every_row(self):
    counts = [10, 7]
    plan = _plan(counts, 4, 100, ["STOP", "STOP"])
    found = _rows(plan, counts, 4)
    self.assertLen(found, 3 + 2)
    first = found[plan.source == 0].ravel()
    self.assertCountEqual(first[:10], range(10))
    self.assertContainsSubset(first[10:], range(10))  # Drawn a second time.
    self.assertCountEqual(found[plan.source == 1].ravel()[:7], range(10, 17))

  def test_shape_is_static(self):
    with tf.Graph().as_default():
      plan, _ = batches.resident_plan(5)
      rows = batches.planned_rows(tf.placeholder(tf.int64, []), plan, [0, 2],
                                  [2, 9], 8, 0)
      self.assertEqual((rows.shape.as_list(), rows.dtype), ([8], tf.int64))


class ResidentPlanTest(absltest.TestCase):

  def test_a_plan_is_held_and_in_no_checkpoint(self):
    plan = _plan([5, 9], 2, 11)
    with tf.Graph().as_default(), tf.Session() as session:
      variables, feed = batches.resident_plan(11)
      _, feed_rows = batches.resident(1, batches.Batch(1, 1, 1, 1))
      self.assertEmpty(tf.global_variables())
      self.assertEqual(
          [v.op.name for v in tf.local_variables()][:2],
          ["resident/source", "resident/number"])
      arrays = batches.Batch(*[np.zeros([1, 1])] * 4)
      # Both are filled by one run of the initializer.
      session.run(tf.local_variables_initializer(),
                  {**feed(plan), **feed_rows(arrays)})
      for held, array in zip(session.run(variables), plan):
        np.testing.assert_array_equal(held, array)
        self.assertEqual(held.dtype, np.int32)


class MayLackLabelsTest(parameterized.TestCase):

  def test_a_task_that_a_source_does_not_label(self):
    weights = np.ones([20, 3])
    weights[:8, 1] = 0
    weights[8:, 2] = 0
    sources = [slice(0, 8), slice(8, 20)]
    for batch_size in (1, 8, 19, 20, 100):
      self.assertEqual(
          batches.may_lack_labels(weights, batch_size, sources).tolist(),
          [False, True, True])

  def test_a_source_by_itself_may_lack_what_all_do_not(self):
    weights = np.ones([100, 1])
    weights[:5] = 0  # Half of the rows of the first source.
    self.assertFalse(batches.may_lack_labels(weights, 20)[0])
    sources = [slice(0, 10), slice(10, 100)]
    self.assertTrue(batches.may_lack_labels(weights, 20, sources)[0])

  @parameterized.parameters(1, 3, 11)
  def test_never_says_no_wrongly(self, batch_size):
    random = np.random.default_rng(batch_size)
    for _ in range(8):
      counts = random.integers(1, 9, 2).tolist()
      sources = [slice(0, counts[0]), slice(counts[0], sum(counts))]
      weights = (random.random([sum(counts), 4]) < 0.7).astype(float)
      plan = _plan(counts, batch_size, 30)
      drawn = weights[_rows(plan, counts, batch_size)]
      lacked = (~drawn.any(axis=1)).any(axis=0)
      may = batches.may_lack_labels(weights, batch_size, sources)
      self.assertFalse((lacked & ~may).any())


if __name__ == "__main__":
  absltest.main()
