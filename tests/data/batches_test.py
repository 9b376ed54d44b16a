"""Tests of resident rows and of which rows a batch holds."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches


def _batches(num_rows, batch_size, count, seed=7, start=0):
  """Returns the rows of some batches, shape [count, batch_size]."""
  with tf.Graph().as_default(), tf.Session() as session:
    number = tf.placeholder(tf.int64, [])
    rows = batches.rows_of_batch(number, num_rows, batch_size, seed)
    call = session.make_callable(rows, [number])
    return np.array([call(start + n) for n in range(count)])


class RowsOfBatchTest(parameterized.TestCase):

  @parameterized.parameters(
      (10, 5), (10, 3), (10, 10), (7, 20), (1, 1), (1, 4), (2, 3), (97, 16))
  def test_every_row_comes_once_per_epoch(self, num_rows, batch_size):
    epochs = 6
    steps = -(-epochs * num_rows // batch_size)
    rows = _batches(num_rows, batch_size, steps).ravel()[:epochs * num_rows]
    for epoch in rows.reshape(epochs, num_rows):
      self.assertEqual(sorted(epoch), list(range(num_rows)))

  @parameterized.parameters(1, 3, 16, 40)
  def test_batch_size_only_cuts_the_same_sequence(self, batch_size):
    whole = _batches(13, 1, 120).ravel()
    cut = _batches(13, batch_size, 3).ravel()
    self.assertEqual(cut.tolist(), whole[:3 * batch_size].tolist())

  @parameterized.parameters(0, 1, 2, 7, 2 ** 16, 2 ** 31 - 1)
  def test_orders_are_random(self, seed):
    num_rows, epochs = 60, 60
    orders = _batches(num_rows, num_rows, epochs, seed)
    self.assertLen({tuple(order) for order in orders}, epochs)
    # Of random orders, one row on average stands where it stood in the epoch
    # before, and one in the place of its own number.
    moved = (orders[1:] == orders[:-1]).sum(axis=1)
    self.assertBetween(moved.mean(), 0.5, 1.6)
    own = (orders == np.arange(num_rows)).sum(axis=1)
    self.assertBetween(own.mean(), 0.4, 2)
    correlations = [np.corrcoef(order, np.arange(num_rows))[0, 1]
                    for order in orders]
    self.assertBetween(np.std(correlations) * num_rows ** 0.5, 0.7, 1.4)

  @parameterized.parameters(0, 1, 7)
  def test_few_rows_come_in_all_orders(self, seed):
    orders = _batches(3, 3, 240, seed)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    self.assertLen(counts, 6)
    self.assertGreater(counts.min(), 10)

  def test_every_seed_has_an_order_of_its_own(self):
    seeds = [0, 1, 2, 3, 2 ** 16, 2 ** 16 + 1, 2 ** 20, 2 ** 30, 2 ** 31 - 1]
    orders = {seed: tuple(_batches(50, 50, 1, seed)[0]) for seed in seeds}
    self.assertLen(set(orders.values()), len(seeds))

  @parameterized.parameters(2 ** 16, 2 ** 17, 2 ** 31, 2 ** 32)
  def test_late_epochs_do_not_repeat_early_ones(self, epoch):
    early = _batches(50, 50, 2)
    late = _batches(50, 50, 2, start=epoch)
    self.assertEqual(sorted(late[0]), list(range(50)))
    self.assertNotEqual(early.tolist(), late.tolist())

  def test_shape_is_static_and_no_state_is_kept(self):
    with tf.Graph().as_default():
      rows = batches.rows_of_batch(tf.placeholder(tf.int64, []), 5, 8, 0)
      self.assertEqual(rows.shape.as_list(), [8])
      self.assertEqual(rows.dtype, tf.int64)
      self.assertEmpty(tf.global_variables() + tf.local_variables())
    self.assertEqual(_batches(9, 4, 3, start=100).tolist(),
                     _batches(9, 4, 103)[100:].tolist())


def _batch(rows=5):
  random = np.random.default_rng(0)
  return batches.Batch(
      random.normal(size=[rows, 3]).astype(np.float32),
      random.integers(0, 9, [rows, 2]).astype(np.int32),
      random.normal(size=[rows, 4]).astype(np.float32),
      random.random(size=[rows, 2]).astype(np.float32))


class ResidentTest(tf.test.TestCase):

  def test_rows_are_held_and_gathered(self):
    arrays = _batch()
    with tf.Graph().as_default(), tf.Session() as session:
      variables, feed = batches.resident(5, batches.Batch(3, 2, 4, 2))
      self.assertEmpty(tf.global_variables())  # Hence in no checkpoint.
      self.assertEqual([v.op.name for v in tf.local_variables()], [
          "resident/numbers", "resident/ids", "resident/labels",
          "resident/weights"])
      session.run(tf.local_variables_initializer(), feed(arrays))
      found = session.run(batches.gather(variables, tf.constant([4, 0, 4])))
    for array, rows in zip(arrays, found):
      self.assertAllEqual(rows, array[[4, 0, 4]])
      self.assertEqual(rows.dtype, array.dtype)

  def test_a_matrix_may_have_no_columns(self):
    with tf.Graph().as_default(), tf.Session() as session:
      variables, feed = batches.resident(5, batches.Batch(0, 2, 4, 2))
      session.run(tf.local_variables_initializer(), feed(
          _batch()._replace(numbers=np.zeros([5, 0], np.float32))))
      gathered = batches.gather(variables, tf.constant([1, 2]))
      self.assertEqual(session.run(gathered.numbers).shape, (2, 0))

  def test_placeholders_take_any_number_of_rows(self):
    with tf.Graph().as_default():
      made = batches.placeholders(batches.Batch(3, 2, 1, 1))
    self.assertEqual([t.shape.as_list() for t in made],
                     [[None, 3], [None, 2], [None, 1], [None, 1]])
    self.assertEqual([t.dtype for t in made],
                     [tf.float32, tf.int32, tf.float32, tf.float32])


class TakeTest(absltest.TestCase):

  def test_rows_in_their_order(self):
    arrays, rows = _batch(), np.array([0, 2, 2, 4])
    for array, taken in zip(arrays, batches.take(arrays, rows)):
      np.testing.assert_array_equal(taken, array[[0, 2, 2, 4]])
      self.assertEqual(taken.dtype, array.dtype)

  def test_all_rows_are_the_arrays_themselves(self):
    arrays = _batch()
    self.assertIs(batches.take(arrays, np.arange(5)), arrays)

  def test_the_first_rows_are_not_all(self):
    self.assertLen(batches.take(_batch(), np.arange(4)).labels, 4)
    self.assertLen(batches.take(_batch(), np.arange(5)[::-1]).labels, 5)


class DigestTest(absltest.TestCase):

  def test_a_part_of_a_label_may_be_missing(self):
    with_gap = _batch()
    with_gap.labels[1, 2] = np.nan
    self.assertEqual(batches.digest(with_gap), batches.digest(
        with_gap._replace(labels=with_gap.labels.copy())))
    self.assertNotEqual(batches.digest(with_gap), batches.digest(_batch()))

  def test_equal_rows_have_one_digest(self):
    self.assertEqual(batches.digest(_batch()), batches.digest(_batch()))
    turned = batches.Batch(*[np.asfortranarray(a) for a in _batch()])
    self.assertEqual(batches.digest(turned), batches.digest(_batch()))

  def test_any_value_changes_it(self):
    seen = {batches.digest(_batch())}
    count = 1
    for field, array in _batch()._asdict().items():
      for i in range(array.size):
        changed = array.copy()
        changed.ravel()[i] = np.nextafter(
            changed.ravel()[i], np.float32(9)) if (
                array.dtype == np.float32) else changed.ravel()[i] + 1
        seen.add(batches.digest(_batch()._replace(**{field: changed})))
        count += 1
    self.assertLen(seen, count)

  def test_order_and_shape_change_it(self):
    batch = _batch()
    others = [batches.Batch(*[a[::-1] for a in batch]),
              batches.Batch(*[a[:-1] for a in batch]),
              batch._replace(numbers=batch.numbers.reshape(3, 5)),
              batch._replace(labels=batch.weights, weights=batch.labels)]
    self.assertLen({batches.digest(b) for b in others + [batch]}, 5)


class MayLackLabelsTest(parameterized.TestCase):

  @parameterized.parameters(1, 2, 3)
  def test_never_says_no_wrongly(self, num_rows):
    """Tries all ways of labelling, all orders and all places of a batch."""
    orders = list(itertools.permutations(range(num_rows)))
    for batch_size in range(1, 2 * num_rows + 2):
      epochs = 2 + batch_size // num_rows
      # Only what is at an end of an epoch matters, not what is in between.
      for first, last in itertools.product(orders, orders):
        rows = list(first) + list(range(num_rows)) * (epochs - 2) + list(last)
        for labelled in itertools.product((0.0, 1.0), repeat=num_rows):
          weights = np.array(labelled)[:, np.newaxis]
          lacks = any(
              not weights[rows[start:start + batch_size]].any()
              for start in range(len(rows) - batch_size + 1))
          if lacks:
            self.assertTrue(batches.may_lack_labels(weights, batch_size)[0],
                            (labelled, batch_size, rows))

  def test_says_no_where_labels_are_everywhere(self):
    weights = np.ones([100, 2])
    weights[:3, 1] = 0
    self.assertEqual(batches.may_lack_labels(weights, 7).tolist(),
                     [False, False])
    self.assertEqual(batches.may_lack_labels(weights, 6).tolist(),
                     [False, True])

  def test_a_weight_of_zero_is_no_label(self):
    self.assertTrue(batches.may_lack_labels(np.zeros([4, 1]), 2)[0])


class ResidentTest(parameterized.TestCase):

  @parameterized.parameters(
      ([0, 1, 255], [0, 1], np.uint8, np.uint8),
      ([0, 1, 256], [0, 0.5], np.float32, np.float32),
      ([0, -1], [1, 1], np.float32, np.uint8),
      ([0, np.nan], [1, 3], np.float32, np.uint8))
  def test_rows_are_held_in_the_narrowest_types(self, labels, weights,
                                                *expected):
    labels = np.array(labels, np.float32)[:, np.newaxis]
    weights = np.array(weights, np.float32)[:, np.newaxis]
    self.assertEqual(batches.narrow_dtypes(np.int8, labels, weights),
                     (np.float32, np.int8, *expected))

  def test_steps_read_what_was_fed_whatever_holds_it(self):
    data = batches.Batch(
        np.float32([[0.1], [0.2], [0.3]]), np.int32([[5], [-1], [127]]),
        np.float32([[0], [255], [3]]), np.float32([[1], [0], [1]]))
    with tf.Graph().as_default(), tf.Session() as session:
      held, feed = batches.resident(3, batches.Batch(1, 1, 1, 1),
                                    batches.narrow_dtypes(np.int8, *data[2:]))
      session.run(tf.local_variables_initializer(), feed(data))
      found = session.run(batches.gather(held, tf.constant([2, 0])))
    for one, other in zip(found, data):
      self.assertEqual(one.dtype, other.dtype)
      np.testing.assert_array_equal(one, other[[2, 0]])


if __name__ == "__main__":
  absltest.main()
