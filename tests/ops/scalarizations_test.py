"""Tests of losses that are no sums of weighted task losses."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import scalarizations


def _run(op, losses, present, **arguments):
  """Returns the loss, its weights, and its gradient by the task losses."""
  with tf.Graph().as_default(), tf.Session() as session:
    losses = tf.constant(losses, tf.float32)
    output = op(losses, tf.constant(present, tf.float32),
                **_as_tensors(arguments))
    return session.run([output.loss, output.extra.task_weights,
                        tf.gradients(output.loss, losses)[0]])


def _as_tensors(arguments):
  return {name: value if isinstance(value, float) else tf.constant(
      value, tf.float32) for name, value in arguments.items()}


def _geometric(losses):
  return np.prod(losses) ** (1 / len(losses))


def _log_sum(losses):
  return np.sum(np.log(losses))


def _chebyshev(smoothness, nadir=None):
  def formula(losses):
    x = losses if nadir is None else np.log(losses / nadir)
    return len(x) * smoothness * np.log(np.sum(np.exp(x / smoothness)))
  return formula


def _slopes(formula, losses):
  """Returns numeric derivatives."""
  found = []
  for t in range(len(losses)):
    high, low = losses.copy(), losses.copy()
    high[t] *= 1 + 1e-6
    low[t] *= 1 - 1e-6
    found.append((formula(high) - formula(low)) / (2e-6 * losses[t]))
  return np.array(found)


_NADIR = np.array([2.0, 0.1, 5.0])
_CASES = (
    ("geometric", scalarizations.geometric_mean_loss, _geometric, {}),
    ("log_sum", scalarizations.log_sum_loss, _log_sum, {}),
    ("chebyshev", scalarizations.smooth_chebyshev_loss, _chebyshev(1.0), {}),
    ("sharp", scalarizations.smooth_chebyshev_loss, _chebyshev(0.1),
     {"smoothness": 0.1}),
    ("nadir", scalarizations.smooth_chebyshev_loss, _chebyshev(0.5, _NADIR),
     {"smoothness": 0.5, "nadir": _NADIR}))


class ScalarizationsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*_CASES)
  def test_matches_formula(self, op, formula, arguments):
    for losses in np.array([[0.5, 1.5, 0.1], [2.0, 0.01, 0.7]]):
      loss, weights, gradient = _run(op, losses, np.ones(3), **arguments)
      self.assertAllClose(loss, formula(losses), rtol=1e-5)
      slopes = _slopes(formula, losses)
      self.assertAllClose(weights, slopes, rtol=1e-4)
      self.assertAllClose(gradient, slopes, rtol=1e-4)

  @parameterized.named_parameters(*_CASES)
  def test_task_without_labels_has_no_say(self, op, formula, arguments):
    # All of the cases treat a task by its place alone where there is a nadir.
    losses = np.array([0.5, 0.0, 2.0])
    chosen = [0, 2]
    if "nadir" in arguments:
      formula = _chebyshev(0.5, _NADIR[chosen])
    loss, weights, gradient = _run(op, losses, [1.0, 0.0, 1.0], **arguments)
    self.assertAllClose(loss, formula(losses[chosen]), rtol=1e-5)
    expected = np.zeros(3)
    expected[chosen] = _slopes(formula, losses[chosen])
    self.assertAllClose(weights, expected, rtol=1e-4)
    self.assertAllClose(gradient, expected, rtol=1e-4)

  @parameterized.named_parameters(*_CASES)
  def test_no_labels_at_all(self, op, unused_formula, arguments):
    loss, weights, gradient = _run(op, np.zeros(3), np.zeros(3), **arguments)
    self.assertAllEqual(loss, 0.0)
    self.assertAllEqual(weights, np.zeros(3))
    self.assertAllEqual(gradient, np.zeros(3))

  @parameterized.named_parameters(*_CASES)
  def test_loss_of_zero_stays_finite(self, op, unused_formula, arguments):
    for found in _run(op, [0.0, 1.0, 2.0], np.ones(3), **arguments):
      self.assertAllInRange(found, -1e9, 1e9)

  @parameterized.named_parameters(*_CASES)
  def test_xla(self, op, formula, arguments):
    losses = np.array([0.5, 1.5, 0.1])
    with tf.Graph().as_default(), tf.Session() as session:
      compiled = tf.function(
          lambda x: op(x, tf.ones([3]), **_as_tensors(arguments)).loss,
          jit_compile=True, autograph=False)
      self.assertAllClose(session.run(compiled(tf.constant(
          losses, tf.float32))), formula(losses), rtol=1e-5)

  def test_geometric_mean_scales_with_each_loss(self):
    losses = np.array([0.5, 1.5, 0.1])
    plain = _run(scalarizations.geometric_mean_loss, losses, np.ones(3))[2]
    scaled = _run(scalarizations.geometric_mean_loss,
                  losses * [1000.0, 1.0, 1.0], np.ones(3))[2]
    # The gradient by what the losses are of: each is scaled by its own factor.
    self.assertAllClose(scaled * [1000.0, 1.0, 1.0], 10.0 * plain, rtol=1e-4)

  def test_log_sum_does_not_see_scales(self):
    losses = np.array([0.5, 1.5, 0.1])
    plain = _run(scalarizations.log_sum_loss, losses, np.ones(3))[2]
    scaled = _run(scalarizations.log_sum_loss, losses * [1000.0, 1.0, 0.1],
                  np.ones(3))[2]
    self.assertAllClose(scaled * [1000.0, 1.0, 0.1], plain, rtol=1e-4)

  def test_sharp_chebyshev_is_the_largest_loss(self):
    loss, weights, _ = _run(scalarizations.smooth_chebyshev_loss,
                            [0.5, 1.5, 0.1], np.ones(3), smoothness=1e-3)
    self.assertAllClose(loss, 3 * 1.5)
    self.assertAllClose(weights, [0.0, 3.0, 0.0])

  def test_flat_chebyshev_weighs_all_the_same(self):
    weights = _run(scalarizations.smooth_chebyshev_loss, [0.5, 1.5, 0.1],
                   np.ones(3), smoothness=1e5)[1]
    self.assertAllClose(weights, np.ones(3), rtol=1e-4)

  def test_smoothness_of_zero(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, "`smoothness` must be above 0, found 0"):
      scalarizations.smooth_chebyshev_loss(tf.ones([2]), tf.ones([2]), 0)

  @parameterized.named_parameters(*_CASES[:3])
  def test_bad_shape_names_the_argument(self, op, unused_formula,
                                        unused_arguments):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"`present` must have shape \[2\], found \(3,\)"):
      op(tf.ones([2]), tf.ones([3]))


if __name__ == "__main__":
  absltest.main()
