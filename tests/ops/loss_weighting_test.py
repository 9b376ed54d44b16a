"""Tests of the ways to make one loss of several."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import loss_weighting

# Squared error, absolute error, cross entropy.
_SCALES = np.array([0.5, 1.0, 1.0])
_EXPONENTS = np.array([1.0, 0.5, 1.0])


def _uncertainty(losses, log_variances, scales=_SCALES, exponents=_EXPONENTS,
                 present=None, **limits):
  """Returns loss, weights, and gradients by task losses and log variances."""
  with tf.Graph().as_default(), tf.Session() as session:
    losses = tf.constant(losses, tf.float32)
    log_variances = tf.constant(log_variances, tf.float32)
    present = np.ones(len(scales)) if present is None else present
    output = loss_weighting.uncertainty_weighted_loss(
        losses, log_variances, tf.constant(scales, tf.float32),
        tf.constant(exponents, tf.float32), tf.constant(present, tf.float32),
        **limits)
    return session.run([output.loss, output.extra.task_weights,
                        *tf.gradients(output.loss, [losses, log_variances])])


class WeightedSumLossTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ([2.0, 3.0], [1.0, 1.0], 5.0),
      ([2.0, 3.0], [0.5, 2.0], 7.0),
      ([2.0, 3.0], [0.0, 1.0], 3.0),
      ([4.0], [0.25], 1.0))
  def test_matches_formula(self, losses, weights, expected):
    with tf.Graph().as_default(), tf.Session() as session:
      losses, task_weights = tf.constant(losses), tf.constant(weights)
      output = loss_weighting.weighted_sum_loss(losses, task_weights)
      self.assertEqual(output.loss.shape.as_list(), [])
      loss, extra, gradient = session.run(
          [output.loss, output.extra, tf.gradients(output.loss, losses)[0]])
    self.assertAllClose(loss, expected)
    self.assertAllEqual(extra.task_weights, weights)
    self.assertAllEqual(gradient, weights)

  def test_weights_get_no_gradient(self):
    with tf.Graph().as_default():
      weights = tf.constant([1.0, 2.0])
      output = loss_weighting.weighted_sum_loss(tf.ones([2]), weights)
      self.assertEqual(tf.gradients(output.loss, [weights]), [None])

  def test_permutation_changes_nothing(self):
    with tf.Graph().as_default(), tf.Session() as session:
      losses, weights = np.array([1.0, 2.0, 4.0]), np.array([3.0, 0.5, 1.0])
      both = [loss_weighting.weighted_sum_loss(
          tf.constant(losses[order]), tf.constant(weights[order])).loss
              for order in ([0, 1, 2], [2, 0, 1])]
      self.assertAllClose(*session.run(both))

  @parameterized.parameters(
      ([2, 1], [2], "task_losses", r"\[any\], found \(2, 1\)"),
      ([2], [3], "task_weights", r"\[2\], found \(3,\)"))
  def test_bad_shape_names_the_argument(self, losses, weights, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^weighted_sum_loss: `{argument}` must have shape "
        f"{message}"):
      loss_weighting.weighted_sum_loss(tf.placeholder(tf.float32, losses),
                                       tf.placeholder(tf.float32, weights))


class UncertaintyWeightedLossTest(parameterized.TestCase, tf.test.TestCase):

  def test_matches_formula(self):
    losses = np.array([0.3, 2.0, 0.7])
    s = np.array([-1.5, 0.4, 2.0])
    weights = np.array([0.5 * np.exp(1.5), np.exp(-0.2), np.exp(-2.0)])
    loss, found, by_loss, by_s = _uncertainty(losses, s)
    self.assertAllClose(loss, np.sum(weights * losses + 0.5 * s))
    self.assertAllClose(found, weights)
    self.assertAllClose(by_loss, weights)
    self.assertAllClose(by_s, -_EXPONENTS * weights * losses + 0.5, rtol=1e-5)

  def test_two_regressions_as_in_the_paper(self):
    # L1 / (2 sigma1^2) + L2 / (2 sigma2^2) + log(sigma1 sigma2)
    sigma, losses = np.array([0.5, 3.0]), np.array([1.2, 0.8])
    loss, _, _, _ = _uncertainty(losses, 2 * np.log(sigma), [0.5, 0.5], [1, 1])
    self.assertAllClose(loss, np.sum(losses / (2 * sigma ** 2))
                        + np.log(sigma.prod()))

  @parameterized.parameters(0.01, 0.5, 1.0, 30.0)
  def test_gradient_of_s_vanishes_at_the_optimum(self, loss):
    losses = np.full(3, loss)
    # Squared error: log L. Absolute error: exp(-s/2) L = 1. Others: log 2L.
    optimum = np.log([loss, loss ** 2, 2 * loss])
    _, weights, _, by_s = _uncertainty(losses, optimum)
    self.assertAllClose(by_s, np.zeros(3), atol=1e-6)
    self.assertAllClose(weights, [0.5 / loss, 1 / loss, 0.5 / loss], rtol=1e-5)
    _, _, _, below = _uncertainty(losses, optimum - 0.1)
    _, _, _, above = _uncertainty(losses, optimum + 0.1)
    self.assertAllLess(below, 0)
    self.assertAllGreater(above, 0)

  def test_descent_on_frozen_losses_reaches_the_optimum(self):
    losses = np.array([0.2, 1.5, 0.9], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
      s = tf.get_variable("s", [3], initializer=tf.zeros_initializer())
      output = loss_weighting.uncertainty_weighted_loss(
          tf.constant(losses), s, tf.constant(_SCALES, tf.float32),
          tf.constant(_EXPONENTS, tf.float32), tf.ones([3]))
      train_op = tf.train.GradientDescentOptimizer(0.5).minimize(output.loss)
      session.run(tf.global_variables_initializer())
      for _ in range(300):
        session.run(train_op)
      self.assertAllClose(
          session.run(s), np.log([0.2, 1.5 ** 2, 2 * 0.9]), atol=1e-4)

  def test_total_may_be_negative(self):
    loss, _, _, _ = _uncertainty([0.0, 0.0, 0.0], [-3.0, -1.0, -2.0])
    self.assertAllClose(loss, -3.0)

  def test_absent_tasks_drop_out_wholly(self):
    losses, s = np.array([0.3, 2.0, 0.7]), np.array([-1.5, 0.4, 2.0])
    loss, weights, by_loss, by_s = _uncertainty(losses, s, present=[1, 0, 1])
    two = [0, 2]
    expected, _, two_by_loss, two_by_s = _uncertainty(
        losses[two], s[two], _SCALES[two], _EXPONENTS[two])
    self.assertAllClose(loss, expected)
    self.assertAllEqual([by_loss[1], by_s[1]], [0, 0])
    self.assertAllClose(by_loss[two], two_by_loss)
    self.assertAllClose(by_s[two], two_by_s)
    self.assertAllClose(weights[1], np.exp(-0.2))

  def test_all_absent_is_zero(self):
    loss, _, by_loss, by_s = _uncertainty([0.0, 0.0, 0.0], [-3.0, -1.0, -2.0],
                                          present=[0, 0, 0])
    self.assertAllEqual(loss, 0)
    self.assertAllEqual(by_loss, np.zeros(3))
    self.assertAllEqual(by_s, np.zeros(3))

  @parameterized.parameters(-5.0, -1.001, 2.001, 50.0)
  def test_beyond_a_limit_the_limit_counts(self, s):
    losses, limit = np.array([0.3, 2.0, 0.7]), np.clip(s, -1, 2)
    limits = dict(min_log_variance=-1.0, max_log_variance=2.0)
    found = _uncertainty(losses, np.full(3, s), **limits)
    expected = _uncertainty(losses, np.full(3, limit), **limits)
    for a, b in zip(found, expected):
      self.assertAllClose(a, b)
    # Only a gradient against which s descends back inside is passed on.
    raw = 0.5 - _SCALES * _EXPONENTS * np.exp(-_EXPONENTS * limit) * losses
    inward = raw < 0 if s < limit else raw > 0
    self.assertAllClose(found[3], np.where(inward, raw, 0))
    self.assertTrue(inward.any())

  def test_default_limits_keep_the_weight_finite(self):
    loss, weights, by_loss, by_s = _uncertainty(
        np.zeros(3), np.array([-1e4, 1e4, -1e6]))
    self.assertAllClose(weights, [0.5 * np.exp(20), np.exp(-10), np.exp(20)],
                        rtol=1e-5)
    self.assertAllClose(loss, -10.0 + 10.0 - 10.0)
    self.assertAllInRange(by_loss, 0, 5e8)
    self.assertAllClose(by_s, [0, 0.5, 0])

  def test_permutation_permutes_weights_and_gradients(self):
    losses, s = np.array([0.3, 2.0, 0.7]), np.array([-1.5, 0.4, 2.0])
    order = [2, 0, 1]
    loss, weights, by_loss, by_s = _uncertainty(losses, s)
    permuted = _uncertainty(losses[order], s[order], _SCALES[order],
                            _EXPONENTS[order])
    self.assertAllClose(permuted, [loss, weights[order], by_loss[order],
                                   by_s[order]])

  @parameterized.parameters(
      (0, "task_losses", [3, 1], r"\[any\], found \(3, 1\)"),
      (1, "log_variances", [2], r"\[3\], found \(2,\)"),
      (2, "likelihood_scales", [2], r"\[3\], found \(2,\)"),
      (3, "likelihood_exponents", [3, 1], r"\[3\], found \(3, 1\)"),
      (4, "present", [], r"\[3\], found \(\)"))
  def test_bad_shape_names_the_argument(self, position, argument, shape,
                                        message):
    shapes = [[3]] * 5
    shapes[position] = shape
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^uncertainty_weighted_loss: `{argument}` must have shape "
        f"{message}"):
      loss_weighting.uncertainty_weighted_loss(
          *[tf.placeholder(tf.float32, s) for s in shapes])


def _learned(op, losses, logs, present=None, **limits):
  """Returns loss, weights, and gradients by task losses and what is learned."""
  with tf.Graph().as_default(), tf.Session() as session:
    losses, logs = tf.constant(losses, tf.float32), tf.constant(logs,
                                                                tf.float32)
    present = np.ones(losses.shape[0]) if present is None else present
    output = op(losses, logs, tf.constant(present, tf.float32), **limits)
    return session.run([output.loss, output.extra.task_weights,
                        *tf.gradients(output.loss, [losses, logs])])


class RevisedUncertaintyLossTest(tf.test.TestCase):

  def test_matches_formula(self):
    losses, s = np.array([0.3, 2.0, 0.7]), np.array([-1.5, 0.4, 2.0])
    present = np.array([1.0, 0.0, 1.0])
    loss, weights, by_loss, by_s = _learned(
        loss_weighting.revised_uncertainty_loss, losses, s, present)
    squared = np.exp(s)
    self.assertAllClose(loss, np.sum(present * (
        losses / (2 * squared) + np.log(1 + squared))), rtol=1e-6)
    self.assertAllClose(weights, 1 / (2 * squared), rtol=1e-6)
    self.assertAllClose(by_loss, present / (2 * squared), rtol=1e-6)
    self.assertAllClose(by_s, present * (
        squared / (1 + squared) - losses / (2 * squared)), rtol=1e-5)

  def test_optimum_in_closed_form(self):
    losses = np.array([0.01, 0.3, 5.0])
    optimum = (losses + np.sqrt(losses ** 2 + 8 * losses)) / 4
    by_s = _learned(loss_weighting.revised_uncertainty_loss, losses,
                    np.log(optimum))[3]
    self.assertAllClose(by_s, np.zeros(3), atol=1e-6)

  def test_never_below_zero(self):
    loss = _learned(loss_weighting.revised_uncertainty_loss, [0.0, 1e-9],
                    [-15.0, -9.0])[0]
    self.assertGreaterEqual(loss, 0.0)


class ImpartialLossTest(tf.test.TestCase):

  def test_is_twice_the_uncertainty_of_squared_errors(self):
    losses, s = np.array([0.3, 2.0, 0.7]), np.array([-1.5, 0.4, 2.0])
    present = np.array([1.0, 0.0, 1.0])
    loss, weights, by_loss, by_s = _learned(
        loss_weighting.impartial_loss, losses, -s, present)
    other = _uncertainty(losses, s, np.full(3, 0.5), np.ones(3), present)
    self.assertAllClose(loss, 2 * other[0])
    self.assertAllClose(weights, 2 * other[1])
    self.assertAllClose(by_loss, 2 * other[2])
    self.assertAllClose(by_s, -2 * other[3])

  def test_optimum_makes_every_weighted_loss_one(self):
    losses = np.array([0.01, 0.3, 500.0])
    _, weights, _, by_s = _learned(loss_weighting.impartial_loss, losses,
                                   -np.log(losses))
    self.assertAllClose(weights * losses, np.ones(3), rtol=1e-5)
    self.assertAllClose(by_s, np.zeros(3), atol=1e-5)

  def test_limits(self):
    weights = _learned(loss_weighting.impartial_loss, [1.0, 1.0], [9.0, -9.0],
                       min_log_weight=-2.0, max_log_weight=3.0)[1]
    self.assertAllClose(weights, np.exp([3.0, -2.0]), rtol=1e-5)


class RandomlyWeightedLossTest(tf.test.TestCase):

  def _weights(self, steps, tasks=3, key=7):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      output = loss_weighting.randomly_weighted_loss(tf.ones([tasks]), key,
                                                     step)
      return np.array([session.run(output.extra.task_weights, {step: n})
                       for n in range(steps)])

  def test_weights_are_drawn_anew_at_every_step(self):
    weights = self._weights(400)
    self.assertAllClose(weights.sum(1), np.ones(400), rtol=1e-5)
    self.assertLen({tuple(row) for row in weights.tolist()}, 400)
    # Tasks are treated alike.
    self.assertAllClose(weights.mean(0), np.full(3, 1 / 3), atol=0.03)

  def test_logs_of_ratios_are_normal(self):
    weights = self._weights(2000)
    ratios = np.log(weights[:, 0] / weights[:, 1])
    # A difference of two standard normals, of variance 2.
    self.assertAllClose(ratios.mean(), 0.0, atol=0.1)
    self.assertAllClose(ratios.var(), 2.0, atol=0.2)

  def test_depends_on_key_and_step_alone(self):
    self.assertAllEqual(self._weights(3), self._weights(3))
    self.assertNotAllClose(self._weights(3), self._weights(3, key=8))

  def test_xla_draws_the_same(self):
    with tf.Graph().as_default(), tf.Session() as session:
      compiled = tf.function(
          lambda step: loss_weighting.randomly_weighted_loss(
              tf.ones([3]), 7, step).extra.task_weights,
          jit_compile=True, autograph=False)(tf.constant(2, tf.int64))
      self.assertAllClose(session.run(compiled), self._weights(3)[2],
                          rtol=1e-5)


if __name__ == "__main__":
  absltest.main()
