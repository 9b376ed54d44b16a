"""Tests of the losses per row and of their mean over labelled rows."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import task_losses

_LABELS = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0])
_VALUES = np.array([0.3, -2.0, 1.0, 4.0, 2.5, -0.7, 0.5])


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


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
    "sigmoid_cross_entropy": (
        lambda y, v: -y * np.log(_sigmoid(v)) - (1 - y) * np.log(_sigmoid(-v)),
        lambda y, v: _sigmoid(v) - y),
}


def _run(op, labels, values, **kwargs):
  """Returns the losses and the gradient of their sum by the estimates."""
  with tf.Graph().as_default(), tf.Session() as session:
    estimates = tf.constant(values, tf.float32)
    losses = op(tf.constant(labels, tf.float32), estimates, **kwargs)
    return session.run([losses, tf.gradients(losses, estimates)[0]])


def _softmax_run(labels, logits):
  with tf.Graph().as_default(), tf.Session() as session:
    logits = tf.constant(logits, tf.float32)
    losses = task_losses.softmax_cross_entropy(
        tf.constant(labels, tf.int32), logits)
    return session.run([losses, tf.gradients(losses, logits)[0]])


class PairwiseTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_PAIRWISE)
  def test_matches_formula(self, name):
    formula, derivative = _PAIRWISE[name]
    losses, gradient = _run(getattr(task_losses, name), _LABELS, _VALUES)
    self.assertAllClose(losses, formula(_LABELS, _VALUES), rtol=1e-6)
    self.assertAllClose(gradient, derivative(_LABELS, _VALUES), rtol=1e-6,
                        atol=1e-7)

  @parameterized.parameters(*_PAIRWISE)
  def test_unknown_batch_size(self, name):
    formula, _ = _PAIRWISE[name]
    with tf.Graph().as_default(), tf.Session() as session:
      labels = tf.placeholder(tf.float32, [None])
      values = tf.placeholder(tf.float32, [None])
      losses = getattr(task_losses, name)(labels, values)
      self.assertEqual(losses.shape.as_list(), [None])
      for size in (0, 1, 7):
        self.assertAllClose(
            session.run(losses, {labels: _LABELS[:size],
                                 values: _VALUES[:size]}),
            formula(_LABELS[:size], _VALUES[:size]), rtol=1e-6)

  def test_unknown_rank(self):
    for name, (formula, _) in _PAIRWISE.items():
      with tf.Graph().as_default(), tf.Session() as session:
        labels = tf.placeholder(tf.float32, None)
        values = tf.placeholder(tf.float32, None)
        losses = getattr(task_losses, name)(labels, values)
        self.assertAllClose(
            session.run(losses, {labels: _LABELS, values: _VALUES}),
            formula(_LABELS, _VALUES), rtol=1e-6)

  @parameterized.product(
      name=tuple(_PAIRWISE),
      shapes=(([2, 1], [2], "labels", r"\[any\], found \(2, 1\)"),
              ([], [], "labels", r"\[any\], found \(\)"),
              ([2], [3], None, r"\[2\], found \(3,\)"),
              ([2], [2, 1], None, r"\[2\], found \(2, 1\)"),
              ([None], [2, 1], None, r"\[any\], found \(2, 1\)")))
  def test_bad_shape_names_the_argument(self, name, shapes):
    labels, values, argument, message = shapes
    argument = argument or (
        "logits" if name == "sigmoid_cross_entropy" else "values")
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^{name}: `{argument}` must have shape {message}"):
      getattr(task_losses, name)(tf.placeholder(tf.float32, labels),
                                 tf.placeholder(tf.float32, values))

  @parameterized.parameters(-1e30, -1e3, 1e3, 1e30)
  def test_far_estimates_stay_finite(self, value):
    for name in ("absolute_error", "huber", "sigmoid_cross_entropy"):
      losses, gradient = _run(getattr(task_losses, name), [0.0, 1.0],
                              [value, value])
      self.assertAllInRange(losses, 0, 2e30)
      self.assertAllInRange(gradient, -1, 1)


class HuberTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(0.1, 1.0, 2.5)
  def test_matches_formula_for_any_delta(self, delta):
    residual = np.array([-4.0, -delta, -0.05, 0.0, 0.05, delta, 4.0])
    losses, gradient = _run(task_losses.huber, np.zeros(7), residual,
                            delta=delta)
    self.assertAllClose(losses, np.where(
        np.abs(residual) <= delta, 0.5 * residual ** 2,
        delta * (np.abs(residual) - 0.5 * delta)), rtol=1e-6)
    self.assertAllClose(gradient, np.clip(residual, -delta, delta), rtol=1e-6)

  @parameterized.parameters(0.0, -1.0, float("nan"))
  def test_bad_delta_is_refused(self, delta):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^huber: `delta` must be above 0, found {delta}.$"):
      task_losses.huber(tf.zeros([2]), tf.zeros([2]), delta=delta)


class SoftmaxCrossEntropyTest(parameterized.TestCase, tf.test.TestCase):

  def test_matches_formula(self):
    logits = np.random.default_rng(0).normal(size=[5, 3]) * 3
    labels = np.array([0, 2, 1, 1, 0])
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    losses, gradient = _softmax_run(labels, logits)
    self.assertAllClose(losses, -np.log(softmax[np.arange(5), labels]),
                        rtol=1e-5)
    self.assertAllClose(gradient, softmax - np.eye(3)[labels], atol=1e-6)

  def test_two_classes_are_the_sigmoid(self):
    losses, _ = _softmax_run(_LABELS, np.stack([np.zeros(7), _VALUES], 1))
    binary, _ = _run(task_losses.sigmoid_cross_entropy, _LABELS, _VALUES)
    self.assertAllClose(losses, binary, rtol=1e-6)

  def test_far_logits_stay_finite(self):
    losses, gradient = _softmax_run([0, 1], [[1e4, -1e4], [1e4, -1e4]])
    self.assertAllClose(losses, [0, 2e4])
    self.assertAllClose(gradient, [[0, 0], [1, -1]])

  def test_unknown_batch_size_and_label_without_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      labels = tf.placeholder(tf.int32, [None])
      logits = tf.placeholder(tf.float32, [None, 2])
      losses = task_losses.softmax_cross_entropy(labels, logits)
      self.assertEqual(tf.gradients(losses, [labels]), [None])
      self.assertAllClose(
          session.run(losses, {labels: [1, 0], logits: np.zeros([2, 2])}),
          [np.log(2)] * 2)

  @parameterized.parameters(
      ([2, 1], [2, 3], "labels", r"\[any\], found \(2, 1\)"),
      ([2], [2], "logits", r"\[2, any\], found \(2,\)"),
      ([2], [3, 4], "logits", r"\[2, any\], found \(3, 4\)"),
  )
  def test_bad_shape_names_the_argument(self, labels, logits, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError,
        f"^softmax_cross_entropy: `{argument}` must have shape {message}"):
      task_losses.softmax_cross_entropy(tf.placeholder(tf.int32, labels),
                                        tf.placeholder(tf.float32, logits))


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


if __name__ == "__main__":
  absltest.main()
