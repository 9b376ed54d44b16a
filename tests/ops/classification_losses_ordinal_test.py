"""Tests of the losses per row of classes in order."""

import decimal

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import classification_losses


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _run(labels, logits, dtype=tf.float32):
  """Returns the losses and the gradient of their sum by the logits."""
  with tf.Graph().as_default(), tf.Session() as session:
    logits = tf.constant(logits, dtype)
    losses = classification_losses.ordinal_cross_entropy(
        tf.constant(labels, tf.int32), logits)
    return session.run([losses, tf.gradients(losses, logits)[0]])


def _slopes(formula, logits, step=1e-6):
  """Returns the central differences of a loss summed over rows."""
  slopes = np.zeros(np.shape(logits))
  for index in np.ndindex(*np.shape(logits)):
    up, down = np.array(logits), np.array(logits)
    up[index] += step
    down[index] -= step
    slopes[index] = (np.sum(formula(up)) - np.sum(formula(down))) / (2 * step)
  return slopes


def _exact_probabilities(cumulative_logits):
  """Returns the classes' probabilities of one row, in 120 decimal digits."""
  with decimal.localcontext() as context:
    context.prec = 120
    cumulative = [decimal.Decimal(0)] + [
        1 / (1 + (-decimal.Decimal(float(c))).exp()) for c in cumulative_logits
    ] + [decimal.Decimal(1)]
    return [high - low for low, high in zip(cumulative, cumulative[1:])]


def _exact_losses(labels, cumulative_logits):
  with decimal.localcontext() as context:
    context.prec = 120
    return np.array([float(-_exact_probabilities(row)[label].ln())
                     for label, row in zip(labels, cumulative_logits)])


class OrdinalCrossEntropyTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1, 2, 5)
  def test_matches_formula(self, thresholds):
    random = np.random.default_rng(thresholds)
    logits = np.sort(random.normal(size=[12, thresholds]) * 2, 1)
    labels = np.arange(12) % (thresholds + 1)
    cumulative = np.concatenate(
        [np.zeros([12, 1]), _sigmoid(logits), np.ones([12, 1])], 1)
    losses, _ = _run(labels, logits)
    self.assertAllClose(
        losses, -np.log(np.diff(cumulative, axis=1)[np.arange(12), labels]),
        rtol=1e-4)
    losses, gradient = _run(labels, logits, tf.float64)
    self.assertAllClose(losses, _exact_losses(labels, logits), rtol=1e-12)
    self.assertAllClose(
        gradient, _slopes(lambda z: _exact_losses(labels, z), logits),
        rtol=1e-5, atol=1e-8)

  def test_one_threshold_is_the_sigmoid(self):
    labels = np.array([0, 1, 1, 0])
    logits = np.array([0.3, -2.0, 1.0, 4.0])
    losses, gradient = _run(labels, logits[:, None])
    self.assertAllClose(losses, np.where(
        labels == 0, -np.log(_sigmoid(logits)), -np.log(_sigmoid(-logits))),
                        rtol=1e-6)
    self.assertAllClose(gradient[:, 0], _sigmoid(logits) - (labels == 0),
                        rtol=1e-6)

  def test_one_and_the_same_seen_from_the_other_end(self):
    logits = np.sort(np.random.default_rng(4).normal(size=[8, 3]), 1)
    labels = np.arange(8) % 4
    losses, gradient = _run(labels, logits)
    mirrored, reverse = _run(3 - labels, -logits[:, ::-1])
    self.assertAllClose(losses, mirrored, rtol=1e-6)
    self.assertAllClose(gradient, -reverse[:, ::-1], rtol=1e-5, atol=1e-6)

  @parameterized.parameters(
      (0.0, 1.0), (-50.0, 50.0), (50.0, 51.0), (-51.0, -50.0), (49.0, 50.0),
      (-1.0, 50.0), (-50.0, 1.0), (-1000.0, 1000.0), (1000.0, 1001.0))
  def test_far_logits(self, low, high):
    logits = np.array([[low, high]] * 3)
    labels = np.array([0, 1, 2])
    losses, gradient = _run(labels, logits)
    if max(abs(low), abs(high)) < 100:
      self.assertAllClose(losses, _exact_losses(labels, logits), rtol=1e-5)
      self.assertAllClose(
          gradient, _slopes(lambda z: _exact_losses(labels, z), logits),
          rtol=1e-4, atol=1e-5)
    self.assertAllInRange(losses, 0, 2500)
    self.assertAllInRange(gradient, -2, 2)

  @parameterized.parameters(1e-1, 1e-3, 1e-5, 1e-7, 1e-10)
  def test_near_logits(self, gap):
    # Around 0 float32 tells them apart, and the gradient is 1 / gap.
    losses, gradient = _run([1], [[0.0, gap]])
    self.assertAllClose(losses, _exact_losses([1], [[0.0, gap]]), rtol=1e-5)
    slope = 1 / np.expm1(gap)
    self.assertAllClose(
        gradient, [[slope + 0.5, -slope - _sigmoid(-gap)]], rtol=1e-5)

  @parameterized.parameters(0.0, 1e-13, -1.0)
  def test_equal_logits_or_out_of_order(self, gap):
    losses, gradient = _run([1], [[0.0, gap]])
    self.assertAllClose(
        losses, [np.log(2) + np.log1p(np.exp(-gap)) - np.log(1e-12)],
        rtol=1e-5)
    self.assertAllClose(gradient, [[0.5, -_sigmoid(-gap)]])

  @parameterized.parameters((1e6, 1.0), (-1e6, -1.0))
  def test_logits_that_round_to_one_still_move_together(self, logit, slope):
    # As of thresholds 1e-3 apart, far from the row's score.
    with tf.Graph().as_default(), tf.Session() as session:
      score = tf.constant([[np.float32(logit)]])
      logits = score + tf.constant([[0.0, 1e-3]])
      losses = classification_losses.ordinal_cross_entropy(
          tf.constant([1]), logits)
      found, losses, gradient = session.run(
          [logits, losses, tf.gradients(losses, score)[0]])
    self.assertEqual(found[0, 0], found[0, 1])
    self.assertAllClose(losses, [1e6 + 27.6], rtol=1e-6)
    self.assertAllClose(gradient, [[slope]])

  @parameterized.parameters(0, 2, 3)
  def test_what_lies_between_other_classes_does_not_matter(self, label):
    # Class 1 has no room at all.
    with_hole, gradient = _run([label], [[-1.0, -1.0, 2.0]])
    self.assertAllClose(with_hole, _exact_losses([label], [[-1.0, -1.0, 2.0]]),
                        rtol=1e-6)
    self.assertAllEqual(
        gradient[0] != 0, [label == 0, label == 2, label in (2, 3)])

  def test_missing_labels_cleaned_before(self):
    with tf.Graph().as_default(), tf.Session() as session:
      found = tf.constant([1.0, np.nan, 2.0])
      logits = tf.constant([[-1.0, 1.0], [0.3, 0.3], [-1.0, 1.0]])
      present = tf.logical_not(tf.is_nan(found))
      labels = tf.cast(tf.where(present, found, tf.zeros_like(found)), tf.int32)
      losses = tf.cast(present, tf.float32) * (
          classification_losses.ordinal_cross_entropy(labels, logits))
      losses, gradient = session.run([losses, tf.gradients(losses, logits)[0]])
    self.assertAllClose(losses[[0, 2]],
                        _exact_losses([1, 2], [[-1.0, 1.0]] * 2))
    self.assertEqual(losses[1], 0)
    self.assertAllEqual(gradient[1], [0, 0])
    self.assertTrue(np.all(np.isfinite(gradient)))

  def test_unknown_batch_size_and_label_without_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      labels = tf.placeholder(tf.int32, [None])
      logits = tf.placeholder(tf.float32, [None, 2])
      losses = classification_losses.ordinal_cross_entropy(labels, logits)
      self.assertEqual(losses.shape.as_list(), [None])
      self.assertEqual(tf.gradients(losses, [labels]), [None])
      for size in (0, 1, 3):
        y, z = np.arange(size), np.tile([-0.5, 1.5], [size, 1])
        self.assertAllClose(session.run(losses, {labels: y, logits: z}),
                            _exact_losses(y, z))

  @parameterized.parameters(
      ([2, 1], [2, 3], "labels", r"shape \[any\], found \(2, 1\)"),
      ([2], [2], "cumulative_logits", r"shape \[2, any\], found \(2,\)"),
      ([2], [3, 4], "cumulative_logits", r"shape \[2, any\], found \(3, 4\)"),
      ([2], [2, None], "cumulative_logits",
       r"a number of columns known at graph time, found \(2, None\)"))
  def test_bad_shape_names_the_argument(self, labels, logits, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^ordinal_cross_entropy: `{argument}` must have "
        f"{message}"):
      classification_losses.ordinal_cross_entropy(
          tf.placeholder(tf.int32, labels), tf.placeholder(tf.float32, logits))


class OrdinalProbabilitiesTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, logits, dtype=tf.float32):
    with tf.Graph().as_default(), tf.Session() as session:
      return session.run(classification_losses.ordinal_probabilities(
          tf.constant(logits, dtype)))

  @parameterized.parameters(1, 2, 5)
  def test_matches_formula(self, thresholds):
    random = np.random.default_rng(thresholds)
    logits = np.sort(random.normal(size=[6, thresholds]) * 3, 1)
    cumulative = np.concatenate(
        [np.zeros([6, 1]), _sigmoid(logits), np.ones([6, 1])], 1)
    found = self._run(logits)
    self.assertAllClose(found, np.diff(cumulative, axis=1), rtol=1e-5,
                        atol=1e-7)
    self.assertAllClose(found.sum(1), np.ones(6), rtol=1e-6)

  def test_far_logits_keep_their_digits(self):
    logits = np.array([[-50.0, -49.0, 49.5, 50.0], [20.0, 20.5, 21.0, 80.0]])
    expected = np.array([[float(p) for p in _exact_probabilities(row)]
                         for row in logits])
    self.assertAllGreater(expected, 0)
    self.assertAllClose(self._run(logits) / expected, np.ones([2, 5]),
                        rtol=1e-5)

  def test_no_room_no_probability(self):
    found = self._run([[0.5, 0.5, 1e30], [-1e30, -1e30, 1e30]])
    self.assertAllEqual(found[:, 1], [0, 0])
    self.assertAllClose(found.sum(1), [1, 1])

  def test_agrees_with_the_loss(self):
    logits = np.sort(np.random.default_rng(6).normal(size=[4, 3]), 1)
    losses, _ = _run(np.arange(4), logits, tf.float64)
    found = self._run(logits, tf.float64)
    self.assertAllClose(found[np.arange(4), np.arange(4)], np.exp(-losses),
                        rtol=1e-12)

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      logits = tf.placeholder(tf.float32, [None, 2])
      found = classification_losses.ordinal_probabilities(logits)
      self.assertEqual(found.shape.as_list(), [None, 3])
      for size in (0, 1, 3):
        self.assertAllClose(
            session.run(found, {logits: np.tile([-1.0, 1.0], [size, 1])}),
            np.tile([_sigmoid(-1), 1 - 2 * _sigmoid(-1), _sigmoid(-1)],
                    [size, 1]))

  def test_bad_shape_names_the_argument(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"^ordinal_probabilities: `cumulative_logits` must have "
        r"shape \[any, any\], found \(2,\)"):
      classification_losses.ordinal_probabilities(tf.zeros([2]))


if __name__ == "__main__":
  absltest.main()
