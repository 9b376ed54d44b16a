"""Tests of the means of losses over what is labelled."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import task_losses

class ReduceTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, losses, weights):
    """Returns sum, weight, mean, and the gradient of the mean by the losses."""
    with tf.Graph().as_default(), tf.Session() as session:
      losses = tf.constant(losses, tf.float32)
      reduced = task_losses.reduce(losses, tf.constant(weights, tf.float32))
      mean = task_losses.mean(reduced)
      return session.run([reduced.sum, reduced.weight, mean,
                          tf.gradients(mean, losses)[0]])

  def test_matches_formula(self):
    losses, weights = np.array([1.0, 5.0, 2.0]), np.array([2.0, 0.0, 0.5])
    total, weight, mean, gradient = self._run(losses, weights)
    self.assertAllClose(total, np.sum(weights * losses))
    self.assertAllClose(weight, np.sum(weights))
    self.assertAllClose(mean, np.average(losses, weights=weights))
    self.assertAllClose(gradient, weights / weights.sum())

  def test_rows_of_weight_zero_count_for_nothing(self):
    a = self._run([1.0, 5.0, 2.0], [1.0, 0.0, 1.0])
    b = self._run([1.0, -9e9, 2.0], [1.0, 0.0, 1.0])
    for found, expected in zip(a, b):
      self.assertAllEqual(found, expected)

  @parameterized.parameters(([],), ([0.0, 0.0],))
  def test_no_labelled_row_gives_zero_and_no_gradient(self, weights):
    total, weight, mean, gradient = self._run(np.ones(len(weights)), weights)
    self.assertAllEqual([total, weight, mean], [0, 0, 0])
    self.assertAllEqual(gradient, np.zeros(len(weights)))

  def test_parts_add_up_to_the_whole(self):
    random = np.random.default_rng(1)
    losses, weights = random.random(10), random.random(10)
    whole = self._run(losses, weights)
    parts = [self._run(losses[s], weights[s])
             for s in (slice(0, 3), slice(3, 10))]
    self.assertAllClose(whole[0] / whole[1], (parts[0][0] + parts[1][0])
                        / (parts[0][1] + parts[1][1]))

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      losses = tf.placeholder(tf.float32, [None])
      weights = tf.placeholder(tf.float32, [None])
      mean = task_losses.mean(task_losses.reduce(losses, weights))
      self.assertEqual(mean.shape.as_list(), [])
      self.assertAllClose(
          session.run(mean, {losses: [1, 4], weights: [1, 2]}), 3.0)

  @parameterized.parameters(
      ([2, 1], [2], "losses", r"\[any\], found \(2, 1\)"),
      ([2], [3], "weights", r"\[2\], found \(3,\)"),
      ([2], [2, 1], "weights", r"\[2\], found \(2, 1\)"),
  )
  def test_bad_shape_names_the_argument(self, losses, weights, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^reduce_task_loss: `{argument}` must have shape "
        f"{message}"):
      task_losses.reduce(tf.placeholder(tf.float32, losses),
                         tf.placeholder(tf.float32, weights))


class MeanOfPresentTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, losses, present, dtype=tf.bool):
    """Returns the means and the gradient of `sum_b (b + 1) mean_b`."""
    with tf.Graph().as_default(), tf.Session() as session:
      losses = tf.constant(losses, tf.float32)
      means = task_losses.mean_of_present(
          losses, tf.cast(tf.constant(present), dtype))
      rows = np.arange(1, 1 + losses.shape[0])
      return session.run([means, tf.gradients(means * rows, losses)[0]])

  @parameterized.parameters(tf.bool, tf.float32, tf.int64)
  def test_matches_formula(self, dtype):
    random = np.random.default_rng(2)
    losses = random.normal(size=[6, 3])
    present = np.array([[1, 1, 1], [1, 0, 1], [0, 0, 1],
                        [0, 1, 1], [0, 1, 0], [1, 0, 0]])
    means, gradient = self._run(losses, present, dtype)
    self.assertAllClose(means, np.average(losses, axis=1, weights=present),
                        rtol=1e-6)
    self.assertAllClose(
        gradient, np.arange(1, 7)[:, None] * present
        / present.sum(1, keepdims=True), rtol=1e-6)

  def test_row_without_entries_gives_zero_and_no_gradient(self):
    means, gradient = self._run([[3.0, 5.0], [np.nan, np.inf]],
                                [[True, False], [False, False]])
    self.assertAllEqual(means, [3, 0])
    self.assertAllEqual(gradient, [[1, 0], [0, 0]])

  @parameterized.parameters(np.nan, np.inf, -np.inf, 3e38)
  def test_what_is_not_present_counts_for_nothing(self, poison):
    present = [[True, False, True], [False, True, False]]
    clean = self._run([[1.0, 0.0, 2.0], [0.0, 7.0, 0.0]], present)
    found = self._run([[1.0, poison, 2.0], [poison, 7.0, poison]], present)
    self.assertAllEqual(found[0], clean[0])
    self.assertAllEqual(found[1], clean[1])

  def test_what_is_present_is_not_hidden(self):
    means, _ = self._run([[1.0, np.nan], [1.0, 3.0]], [[True, True]] * 2)
    self.assertAllEqual(np.isnan(means), [True, False])

  def test_missing_labels_leave_the_estimates_gradient_finite(self):
    labels = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    with tf.Graph().as_default(), tf.Session() as session:
      found = tf.constant(labels, tf.float32)
      values = tf.zeros([2, 3])
      present = tf.logical_not(tf.is_nan(found))
      cleaned = tf.where(present, found, tf.zeros_like(found))
      means = task_losses.mean_of_present(tf.square(values - cleaned), present)
      means, gradient = session.run([means, tf.gradients(means, values)[0]])
    self.assertAllClose(means, [np.nanmean(labels[0] ** 2), 0])
    self.assertAllClose(gradient, [[-1, 0, -3], [0, 0, 0]])

  def test_presence_gets_no_gradient(self):
    with tf.Graph().as_default():
      present = tf.ones([2, 3])
      means = task_losses.mean_of_present(tf.ones([2, 3]), present)
      self.assertEqual(tf.gradients(means, [present]), [None])

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      losses = tf.placeholder(tf.float32, [None, 2])
      present = tf.placeholder(tf.bool, [None, 2])
      means = task_losses.mean_of_present(losses, present)
      self.assertEqual(means.shape.as_list(), [None])
      for size in (0, 1, 3):
        self.assertAllClose(
            session.run(means, {losses: np.ones([size, 2]) * [2, 4],
                                present: np.ones([size, 2])}),
            np.full([size], 3.0))

  @parameterized.parameters(
      ([2], [2], "losses", r"\[any, any\], found \(2,\)"),
      ([2, 3], [2], "present", r"\[2, 3\], found \(2,\)"),
      ([2, 3], [2, 1], "present", r"\[2, 3\], found \(2, 1\)"),
      ([None, 3], [2, 2], "present", r"\[any, 3\], found \(2, 2\)"),
  )
  def test_bad_shape_names_the_argument(self, losses, present, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^mean_of_present: `{argument}` must have shape "
        f"{message}"):
      task_losses.mean_of_present(tf.placeholder(tf.float32, losses),
                                  tf.placeholder(tf.bool, present))


if __name__ == "__main__":
  absltest.main()
