"""Tests of the losses per row of numbers."""

import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import regression_losses

_LABELS = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 3.0])
_VALUES = np.array([0.3, -2.0, 1.0, 4.0, 2.5, -0.7, 0.5, 3.2])

# Op: its formula and its derivative by the estimate, both in float64.
_PAIRWISE = {
    "squared_error": (
        lambda y, v: (v - y) ** 2,
        lambda y, v: 2 * (v - y)),
    "absolute_error": (
        lambda y, v: np.abs(v - y),
        lambda y, v: np.sign(v - y)),
    "huber": (
        lambda y, v: np.where(np.abs(v - y) <= 1, 0.5 * (v - y) ** 2,
                              np.abs(v - y) - 0.5),
        lambda y, v: np.clip(v - y, -1, 1)),
}


def _run(op, labels, values, dtype=tf.float32, **kwargs):
  """Returns the losses and the gradient of their sum by the estimates."""
  with tf.Graph().as_default(), tf.Session() as session:
    estimates = tf.constant(values, dtype)
    losses = op(tf.constant(labels, dtype), estimates, **kwargs)
    return session.run([losses, tf.gradients(losses, estimates)[0]])


def _slopes(op, labels, values, step=1e-6, **kwargs):
  """Returns the central differences of the losses' sum, in float64."""
  slopes = np.zeros(np.shape(values))
  with tf.Graph().as_default(), tf.Session() as session:
    estimates = tf.placeholder(tf.float64, np.shape(values))
    total = tf.reduce_sum(op(tf.constant(labels, tf.float64), estimates,
                             **kwargs))
    for index in np.ndindex(*np.shape(values)):
      up, down = np.array(values), np.array(values)
      up[index] += step
      down[index] -= step
      slopes[index] = (session.run(total, {estimates: up})
                       - session.run(total, {estimates: down})) / (2 * step)
  return slopes


class PairwiseTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(name=tuple(_PAIRWISE), shape=([8], [4, 2], [8, 1]))
  def test_matches_formula(self, name, shape):
    formula, derivative = _PAIRWISE[name]
    labels, values = _LABELS.reshape(shape), _VALUES.reshape(shape)
    losses, gradient = _run(getattr(regression_losses, name), labels, values)
    self.assertAllClose(losses, formula(labels, values), rtol=1e-6)
    self.assertAllClose(gradient, derivative(labels, values), rtol=1e-6,
                        atol=1e-7)

  @parameterized.parameters(*_PAIRWISE)
  def test_gradient_matches_differences(self, name):
    op = getattr(regression_losses, name)
    # Without the row where |r| has a kink.
    labels = np.delete(_LABELS, 2) * 1.1
    values = np.delete(_VALUES, 2)
    _, gradient = _run(op, labels, values, tf.float64)
    self.assertAllClose(gradient, _slopes(op, labels, values), rtol=1e-7,
                        atol=1e-7)

  @parameterized.parameters(
      ("squared_error", ["Sub", "Square"]),
      ("absolute_error", ["Sub", "Abs"]),
      ("huber", ["Sub", "Abs", "Const", "Minimum", "Const", "Square", "Mul",
                 "Sub", "Const", "Mul", "AddV2"]))
  def test_emits_these_ops(self, name, expected):
    with tf.Graph().as_default() as graph:
      labels, values = tf.zeros([2]), tf.zeros([2])
      before = len(graph.get_operations())
      getattr(regression_losses, name)(labels, values)
      added = graph.get_operations()[before:]
    self.assertCountEqual([op.type for op in added], expected)

  @parameterized.parameters(*_PAIRWISE)
  def test_unknown_batch_size(self, name):
    formula, _ = _PAIRWISE[name]
    with tf.Graph().as_default(), tf.Session() as session:
      for columns in ([], [2]):
        labels = tf.placeholder(tf.float32, [None] + columns)
        values = tf.placeholder(tf.float32, [None] + columns)
        losses = getattr(regression_losses, name)(labels, values)
        self.assertEqual(losses.shape.as_list(), [None] + columns)
        for size in (0, 1, 4):
          y = _LABELS.reshape([-1] + columns)[:size]
          v = _VALUES.reshape([-1] + columns)[:size]
          self.assertAllClose(session.run(losses, {labels: y, values: v}),
                              formula(y, v), rtol=1e-6)

  def test_unknown_rank(self):
    for name, (formula, _) in _PAIRWISE.items():
      with tf.Graph().as_default(), tf.Session() as session:
        labels = tf.placeholder(tf.float32, None)
        values = tf.placeholder(tf.float32, None)
        losses = getattr(regression_losses, name)(labels, values)
        self.assertAllClose(
            session.run(losses, {labels: _LABELS, values: _VALUES}),
            formula(_LABELS, _VALUES), rtol=1e-6)

  @parameterized.product(
      name=tuple(_PAIRWISE),
      shapes=(
          ([], [], "labels", r"\[any\] or \[any, any\], found \(\)"),
          ([2, 1, 1], [2], "labels",
           r"\[any\] or \[any, any\], found \(2, 1, 1\)"),
          (None, [], "values", r"\[any\] or \[any, any\], found \(\)"),
          ([2], [3], "values", r"\[2\], found \(3,\)"),
          ([2], [2, 1], "values", r"\[2\], found \(2, 1\)"),
          ([2, 1], [2], "values", r"\[2, 1\], found \(2,\)"),
          ([2, 3], [2, 1], "values", r"\[2, 3\], found \(2, 1\)"),
          ([None], [2, 1], "values", r"\[any\], found \(2, 1\)")))
  def test_bad_shape_names_the_argument(self, name, shapes):
    labels, values, argument, message = shapes
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^{name}: `{argument}` must have shape {message}"):
      getattr(regression_losses, name)(tf.placeholder(tf.float32, labels),
                                       tf.placeholder(tf.float32, values))

  @parameterized.parameters(-1e30, -1e3, 1e3, 1e30)
  def test_far_estimates_stay_finite(self, value):
    for name in ("absolute_error", "huber"):
      losses, gradient = _run(getattr(regression_losses, name), [0.0, 1.0],
                              [value, value])
      self.assertAllInRange(losses, 0, 2e30)
      self.assertAllInRange(gradient, -1, 1)


class HuberTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(0.1, 1.0, 2.5)
  def test_matches_formula_for_any_delta(self, delta):
    residual = np.array([-4.0, -delta, -0.05, 0.0, 0.05, delta, 4.0])
    losses, gradient = _run(regression_losses.huber, np.zeros(7), residual,
                            delta=delta)
    self.assertAllClose(losses, np.where(
        np.abs(residual) <= delta, 0.5 * residual ** 2,
        delta * (np.abs(residual) - 0.5 * delta)), rtol=1e-6)
    self.assertAllClose(gradient, np.clip(residual, -delta, delta), rtol=1e-6)

  @parameterized.parameters(0.0, -1.0, float("nan"))
  def test_bad_delta_is_refused(self, delta):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^huber: `delta` must be above 0, found {delta}.$"):
      regression_losses.huber(tf.zeros([2]), tf.zeros([2]), delta=delta)


class PinballTest(parameterized.TestCase, tf.test.TestCase):

  _LEVELS = (0.1, 0.5, 0.95)

  def test_matches_formula(self):
    random = np.random.default_rng(0)
    labels, values = random.normal(size=5), random.normal(size=[5, 3]) * 2
    losses, gradient = _run(regression_losses.pinball, labels, values,
                            levels=self._LEVELS)
    r, q = labels[:, None] - values, np.array(self._LEVELS)
    self.assertAllClose(losses, np.where(r >= 0, q * r, (q - 1) * r),
                        rtol=1e-5)
    self.assertAllClose(gradient, np.where(r >= 0, -q, 1 - q), rtol=1e-6)

  def test_gradient_matches_differences(self):
    random = np.random.default_rng(1)
    labels, values = random.normal(size=4), random.normal(size=[4, 3])
    _, gradient = _run(regression_losses.pinball, labels, values, tf.float64,
                       levels=self._LEVELS)
    self.assertAllClose(
        gradient, _slopes(regression_losses.pinball, labels, values,
                          levels=self._LEVELS), atol=1e-8)

  def test_at_the_label(self):
    losses, gradient = _run(regression_losses.pinball, [2.0],
                            [[2.0, 2.0, 2.0]], levels=self._LEVELS)
    self.assertAllEqual(losses, [[0, 0, 0]])
    self.assertAllClose(gradient, [[-0.1, -0.5, -0.95]])

  def test_the_median_is_half_the_absolute_error(self):
    halves, _ = _run(regression_losses.pinball, _LABELS, _VALUES[:, None],
                     levels=[0.5])
    errors, _ = _run(regression_losses.absolute_error, _LABELS, _VALUES)
    self.assertAllEqual(halves[:, 0], 0.5 * errors)

  def test_least_at_the_empirical_quantile(self):
    labels = np.random.default_rng(2).gumbel(size=101)
    candidates = np.sort(labels)
    for level in (0.1, 0.5, 0.9):
      losses, _ = _run(regression_losses.pinball, labels,
                       np.tile(candidates, [101, 1]), tf.float64,
                       levels=[level] * 101)
      self.assertEqual(candidates[np.argmin(losses.sum(0))],
                       np.quantile(labels, level))

  def test_far_estimates_stay_finite(self):
    losses, gradient = _run(regression_losses.pinball, [0.0, 0.0],
                            [[1e30] * 3, [-1e30] * 3], levels=self._LEVELS)
    self.assertAllClose(losses / 1e30, [[0.9, 0.5, 0.05], [0.1, 0.5, 0.95]])
    self.assertAllClose(gradient, [[0.9, 0.5, 0.05], [-0.1, -0.5, -0.95]])

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      labels = tf.placeholder(tf.float32, [None])
      values = tf.placeholder(tf.float32, [None, None])
      losses = regression_losses.pinball(labels, values, [0.25, 0.5])
      self.assertEqual(losses.shape.as_list(), [None, 2])
      for size in (0, 1, 3):
        self.assertAllClose(
            session.run(losses, {labels: np.ones([size]),
                                 values: np.zeros([size, 2])}),
            np.ones([size, 2]) * [0.25, 0.5])

  @parameterized.parameters(
      ([2, 1], [2, 2], "labels", r"\[any\], found \(2, 1\)"),
      ([2], [2], "values", r"\[2, 2\], found \(2,\)"),
      ([2], [3, 2], "values", r"\[2, 2\], found \(3, 2\)"),
      ([2], [2, 3], "values", r"\[2, 2\], found \(2, 3\)"))
  def test_bad_shape_names_the_argument(self, labels, values, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^pinball: `{argument}` must have shape {message}"):
      regression_losses.pinball(tf.placeholder(tf.float32, labels),
                                tf.placeholder(tf.float32, values),
                                [0.1, 0.9])

  @parameterized.parameters(([],), ([0.0],), ([0.5, 1.0],), ([-0.5],),
                            ([float("nan")],))
  def test_bad_levels_are_refused(self, levels):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"^pinball: `levels` must be above 0 and below 1, at least "
        r"one, found \["):
      regression_losses.pinball(tf.zeros([2]), tf.zeros([2, len(levels)]),
                                levels)


class PoissonTest(parameterized.TestCase, tf.test.TestCase):

  _COUNTS = np.array([0.0, 0.0, 1.0, 2.0, 7.0, 30.0, 1000.0])
  _LOG_RATES = np.array([-3.0, 1.5, 0.0, -0.7, 2.0, 3.5, 6.9])

  def test_matches_formula(self):
    losses, gradient = _run(regression_losses.poisson, self._COUNTS,
                            self._LOG_RATES)
    factorials = [math.log(math.factorial(int(y))) for y in self._COUNTS]
    self.assertAllClose(
        losses, np.exp(self._LOG_RATES) - self._COUNTS * self._LOG_RATES
        + factorials, rtol=1e-4, atol=1e-6)
    self.assertAllClose(gradient, np.exp(self._LOG_RATES) - self._COUNTS,
                        rtol=1e-4)

  def test_is_the_log_likelihood(self):
    counts, rate = np.arange(60.0), 4.2
    losses, _ = _run(regression_losses.poisson, counts,
                     np.full(60, np.log(rate)), tf.float64)
    likelihoods = [math.exp(-rate) * rate ** y / math.factorial(y)
                   for y in range(60)]
    self.assertAllClose(np.exp(-losses), likelihoods, rtol=1e-12, atol=1e-15)
    self.assertAllClose(np.exp(-losses).sum(), 1.0, rtol=1e-12)

  def test_gradient_matches_differences(self):
    _, gradient = _run(regression_losses.poisson, self._COUNTS,
                       self._LOG_RATES, tf.float64)
    self.assertAllClose(gradient, _slopes(regression_losses.poisson,
                                          self._COUNTS, self._LOG_RATES),
                        rtol=1e-6, atol=1e-5)

  def test_flat_where_the_rate_is_the_count(self):
    _, gradient = _run(regression_losses.poisson, [1.0, 5.0, 90.0],
                       np.log([1.0, 5.0, 90.0]), tf.float64)
    self.assertAllClose(gradient, np.zeros(3), atol=1e-12)

  def test_far_estimates(self):
    losses, gradient = _run(regression_losses.poisson, [0.0, 2.0, 0.0, 0.0],
                            [-1e30, -1e30, 88.0, 89.0])
    self.assertAllClose(losses[:3], [0, 2e30, np.exp(88.0)], rtol=1e-5)
    self.assertAllClose(gradient[:3], [0, -2, np.exp(88.0)], rtol=1e-5)
    # Nothing is clipped.
    self.assertAllEqual([losses[3], gradient[3]], [np.inf, np.inf])

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      labels = tf.placeholder(tf.float32, [None])
      log_rates = tf.placeholder(tf.float32, [None])
      losses = regression_losses.poisson(labels, log_rates)
      self.assertEqual(losses.shape.as_list(), [None])
      for size in (0, 1, 3):
        self.assertAllClose(
            session.run(losses, {labels: np.full([size], 2.0),
                                 log_rates: np.zeros([size])}),
            np.full([size], 1 + np.log(2)))

  @parameterized.parameters(
      ([2, 1], [2], "labels", r"\[any\], found \(2, 1\)"),
      ([2], [3], "log_rates", r"\[2\], found \(3,\)"),
      ([2], [2, 1], "log_rates", r"\[2\], found \(2, 1\)"))
  def test_bad_shape_names_the_argument(self, labels, log_rates, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^poisson: `{argument}` must have shape {message}"):
      regression_losses.poisson(tf.placeholder(tf.float32, labels),
                                tf.placeholder(tf.float32, log_rates))


if __name__ == "__main__":
  absltest.main()
