"""Tests of the weights that give tasks equal or fair progress."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import optimize
import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_balancing
from tests import random_gradients

_TASKS = (2, 3, 4, 5, 6, 7, 8)


def _weights(op, num_tasks, number=8, dtype=np.float64, **options):
  """Returns pairs of a Gramian and the weights an op finds for it."""
  cases = [dtype(each) for each in
           random_gradients.gramians(num_tasks, number)]
  return zip(cases, random_gradients.evaluate(
      lambda gramian: op(gramian, **options), [[each] for each in cases]))


class EqualSharesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_TASKS)
  def test_imtl_g_solves_its_linear_system(self, num_tasks):
    for gramian, weights in _weights(
        gradient_balancing.imtl_g_weights, num_tasks):
      gradients = random_gradients.jacobian_of(gramian)
      units = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
      by_gradient = gradients[0] - gradients[1:]
      by_unit = units[0] - units[1:]
      others = np.linalg.solve(by_unit @ by_gradient.T,
                               by_unit @ gradients[0])
      self.assertAllClose(weights, [1 - others.sum(), *others], rtol=1e-6,
                          atol=1e-9)
      shares = units @ (weights @ gradients)
      self.assertAllClose(shares, np.full(num_tasks, shares.mean()), rtol=1e-7)

  @parameterized.parameters(*_TASKS)
  def test_config_takes_the_pseudoinverse(self, num_tasks):
    for gramian, weights in _weights(
        gradient_balancing.config_weights, num_tasks):
      gradients = random_gradients.jacobian_of(gramian)
      units = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
      direction = np.linalg.pinv(units) @ np.ones(num_tasks)
      direction /= np.linalg.norm(direction)
      direction *= (gradients @ direction).sum()
      self.assertAllClose(weights @ gradients, direction, rtol=1e-7,
                          atol=1e-8 * np.linalg.norm(direction))

  def test_opposed_gradients_cancel(self):
    opposed = np.float32([[4, -6], [-6, 9]])
    shares, = random_gradients.evaluate(
        gradient_balancing.imtl_g_weights, [[opposed]])
    self.assertAllClose(shares, [0.6, 0.4])
    shares, = random_gradients.evaluate(
        gradient_balancing.config_weights, [[opposed]])
    self.assertAllEqual(shares, [0, 0])


class AlignedTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_tasks=_TASKS, scale=("min", "median", "rmse"))
  def test_rotates_as_the_singular_vectors_say(self, num_tasks, scale):
    # The first cases of each pair have gradients of about one length.
    pairs = list(_weights(gradient_balancing.aligned_mtl_weights, num_tasks,
                          scale=scale))[::2]
    for gramian, weights in pairs:
      gradients = random_gradients.jacobian_of(gramian)
      left, singular, right = np.linalg.svd(gradients)
      length = {"min": singular[-1],
                "median": np.sort(singular)[(num_tasks - 1) // 2],
                "rmse": np.sqrt((singular ** 2).mean())}[scale]
      aligned = length * (left @ right)
      self.assertAllClose(aligned @ aligned.T, length ** 2 * np.eye(num_tasks),
                          atol=1e-9 * length ** 2)
      self.assertAllClose(weights @ gradients, aligned.sum(0), rtol=1e-7,
                          atol=1e-7 * length)

  @parameterized.parameters(("min", 1), ("median", 1), ("rmse", 2.5))
  def test_leaves_out_what_is_too_short(self, scale, size):
    """Lengths 2, 1 and next to nothing; kept eigenvalues 4 and 1."""
    weights, = random_gradients.evaluate(
        lambda gramian: gradient_balancing.aligned_mtl_weights(gramian, scale),
        [[np.float32(np.diag([4, 1e-7, 1]))]])
    self.assertAllClose(weights, np.sqrt(size) * np.array([0.5, 0, 1]))

  def test_a_lower_tolerance_keeps_it(self):
    weights, = random_gradients.evaluate(
        lambda gramian: gradient_balancing.aligned_mtl_weights(
            gramian, rank_tolerance=1e-9),
        [[np.float32(np.diag([4, 1e-6, 1]))]])
    self.assertAllClose(weights, [5e-4, 1, 1e-3])

  @parameterized.parameters(False, True)
  def test_scaling_all_gradients_changes_nothing(self, compiled):
    op = gradient_balancing.aligned_mtl_weights
    gramian = random_gradients.gramians(8, 1)[0]
    scaled = random_gradients.evaluate(
        random_gradients.compiled(op) if compiled else op,
        [[gramian * np.float32(2.0 ** power)] for power in (0, -40, 40)])
    for weights in scaled[1:]:
      self.assertAllClose(weights, scaled[0], rtol=1e-6)

  def test_unknown_scale(self):
    with self.assertRaisesRegex(ValueError, "`scale` must be 'min', 'median' or"
                                " 'rmse', found 'max'."):
      gradient_balancing.aligned_mtl_weights(tf.eye(2), "max")


class FairTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_TASKS)
  def test_nash_is_where_sweeps_of_single_tasks_end(self, num_tasks):
    for gramian, weights in _weights(
        gradient_balancing.nash_mtl_weights, num_tasks):
      norms = np.sqrt(np.diag(gramian))
      cosines = gramian / np.outer(norms, norms)
      swept = np.ones(num_tasks)
      for _ in range(3000):
        for i in range(num_tasks):
          rest = cosines[i] @ swept - swept[i]
          swept[i] = (np.sqrt(rest ** 2 + 4) - rest) / 2
      self.assertAllClose(weights * norms, swept, rtol=1e-7)
      self.assertAllClose(weights * (gramian @ weights), np.ones(num_tasks),
                          rtol=1e-7)
      self.assertAllClose(weights @ gramian @ weights, num_tasks, rtol=1e-7)

  @parameterized.product(num_tasks=_TASKS, alpha=(0.5, 2.0))
  def test_fairgrad_satisfies_its_equation(self, num_tasks, alpha):
    """It has one solution above 0, being the slope of a convex function."""
    for gramian, weights in _weights(
        gradient_balancing.fairgrad_weights, num_tasks, alpha=alpha):
      self.assertAllGreater(weights, 0)
      self.assertAllClose((gramian @ weights) * weights ** (1 / alpha),
                          np.ones(num_tasks), rtol=1e-5)

  def test_fairgrad_minimizes_its_function(self):
    gramian, weights = next(iter(_weights(
        gradient_balancing.fairgrad_weights, 3, 1, alpha=2.0)))
    found = optimize.minimize(
        lambda logs: (np.exp(logs) @ gramian @ np.exp(logs) / 2
                      - 2 * np.exp(logs / 2).sum()),
        np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    self.assertAllClose(weights, np.exp(found.x), rtol=1e-5)

  @parameterized.parameters(2, 5)
  def test_scaling_a_loss_leaves_nashs_direction(self, num_tasks):
    gramian = random_gradients.gramians(num_tasks, 1)[0].astype(np.float64)
    scales = np.geomspace(1e-3, 1e3, num_tasks)
    weights, scaled = random_gradients.evaluate(
        gradient_balancing.nash_mtl_weights,
        [[gramian], [gramian * np.outer(scales, scales)]])
    self.assertAllClose(weights, scaled * scales, rtol=1e-6)

  def test_nash_stays_finite_where_gradients_cancel(self):
    for num_tasks in (2, 3, 6):
      gramian = random_gradients.degenerate(num_tasks)["cancelling"]
      weights, = random_gradients.evaluate(
          gradient_balancing.nash_mtl_weights, [[gramian]])
      norms = np.sqrt(np.diag(gramian))
      self.assertAllInRange(weights * norms, 1, 1001)

  def test_bad_alpha(self):
    with self.assertRaisesRegex(ValueError, "`alpha` must be above 0, found 0"):
      gradient_balancing.fairgrad_weights(tf.eye(2), 0)


if __name__ == "__main__":
  absltest.main()
