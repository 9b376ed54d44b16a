"""Tests of what holds for every way to weigh gradients."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_balancing
from mtl_graph.ops import gradient_cones
from mtl_graph.ops import gradient_surgery
from mtl_graph.ops import gradient_tracking
from tests import random_gradients

# Weights where gradients cancel or lie in a plane are not unique; what XLA
# computes there may differ.
_UNIQUE = ("plain", "one_zero", "all_zero", "spread")


def _step(jacobian, gramian, order, targets, simplex, step):
  """Does a step of every method: weights and states, by name."""
  gradvac = gradient_surgery.gradvac_weights(gramian, order, targets)
  sdmgrad = gradient_tracking.sdmgrad_weights(gramian, simplex)
  risks = gradient_tracking.excess_risks(jacobian, tf.zeros_like(jacobian))
  scales = gradient_tracking.moco_scales(gramian, simplex)
  tracked = gradient_tracking.track(
      jacobian, tf.zeros_like(jacobian), step, scales)
  return {
      "mgda": gradient_cones.mgda_weights(gramian),
      "cagrad": gradient_cones.cagrad_weights(gramian),
      "upgrad": gradient_cones.upgrad_weights(gramian),
      "dual_proj": gradient_cones.dual_proj_weights(gramian),
      "imtl_g": gradient_balancing.imtl_g_weights(gramian),
      "config": gradient_balancing.config_weights(gramian),
      "aligned_min": gradient_balancing.aligned_mtl_weights(gramian),
      "aligned_median": gradient_balancing.aligned_mtl_weights(
          gramian, "median"),
      "aligned_rmse": gradient_balancing.aligned_mtl_weights(gramian, "rmse"),
      "nash_mtl": gradient_balancing.nash_mtl_weights(gramian),
      "fairgrad": gradient_balancing.fairgrad_weights(gramian, 2.0),
      "pcgrad": gradient_surgery.pcgrad_weights(gramian, order),
      "gradvac": gradvac.weights,
      "sdmgrad": sdmgrad.weights,
      "sdmgrad_simplex": sdmgrad.simplex,
      "moco": gradient_tracking.moco_weights(gramian, simplex, step),
      "moco_projected": gradient_tracking.moco_weights(
          gramian, simplex, step, project=True),
      "excess": gradient_tracking.excess_mtl_weights(
          risks.risks, 1 + simplex, simplex, 0.5).weights,
      "excess_risks": risks.risks,
  }, {
      "gradvac_targets": gradvac.targets,
      "tracked": tracked,
      "order": gradient_surgery.meeting_order(order.shape[0], 3, step),
      "graddrop": gradient_surgery.graddrop_direction(jacobian, 3, step, 0.1),
  }


def _case(gramian, seed=0):
  """Returns arguments of `_step` with a given Gramian."""
  num_tasks = len(gramian)
  random = np.random.default_rng(seed)
  order = np.argsort(random.uniform(size=gramian.shape) + 9 * np.eye(num_tasks))
  jacobian = random.normal(size=[num_tasks, 12]).astype(np.float32)
  return [jacobian, gramian, np.int32(np.argsort(order)),
          random.uniform(-0.5, 0.5, gramian.shape).astype(np.float32),
          random.dirichlet(np.ones(num_tasks)).astype(np.float32), np.int64(7)]


class EveryBalancerTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(2, 5)
  def test_permuting_tasks_permutes_weights(self, num_tasks):
    case = _case(random_gradients.gramians(num_tasks, 1)[0])
    jacobian, gramian, order, targets, simplex, step = case
    moved = np.roll(np.arange(num_tasks), 2)[::-1]
    (plain, _), (permuted, others) = random_gradients.evaluate(_step, [case, [
        jacobian[moved], gramian[np.ix_(moved, moved)],
        order[np.ix_(moved, moved)], targets[np.ix_(moved, moved)],
        simplex[moved], step]])
    for method, weights in plain.items():
      self.assertAllClose(weights[moved], permuted[method], rtol=1e-5,
                          atol=1e-6, msg=method)
    self.assertAllClose(others["gradvac_targets"], random_gradients.evaluate(
        _step, [case])[0][1]["gradvac_targets"][np.ix_(moved, moved)],
                        rtol=1e-5)

  @parameterized.parameters(1, 2, 3, 6)
  def test_degenerate_gradients_give_numbers(self, num_tasks):
    cases = random_gradients.degenerate(num_tasks)
    for name, (weights, others) in zip(cases, random_gradients.evaluate(
        _step, [_case(each) for each in cases.values()])):
      for method, each in {**weights, **others}.items():
        self.assertAllInRange(each, -1e8, 1e8, f"{method}, {name}")

  def test_directions_where_gradients_are_parallel_or_cancel(self):
    """No weight is so large that rounding becomes the direction."""
    cases = random_gradients.degenerate(4)
    for name in ("all_equal", "opposed", "cancelling", "plane"):
      (weights, _), = random_gradients.evaluate(_step, [_case(cases[name])])
      norms = np.sqrt(np.diag(cases[name]))
      for method in ("mgda", "upgrad", "dual_proj", "cagrad", "pcgrad"):
        self.assertAllInRange(weights[method] * norms / norms.max(), 0, 1e4,
                              f"{method}, {name}")

  def test_compiled_by_xla_it_is_the_same(self):
    drawn = random_gradients.gramians(5)
    degenerate = random_gradients.degenerate(5)
    cases = [_case(each, i) for i, each in enumerate(
        drawn + [degenerate[name] for name in _UNIQUE])]
    for plain, compiled in zip(random_gradients.evaluate(_step, cases),
                               random_gradients.evaluate(_step, cases, True)):
      self.assertAllEqual(plain[1]["order"], compiled[1]["order"])
      for part, other in zip(plain, compiled):
        for method, each in part.items():
          self.assertAllClose(each, other[method], rtol=2e-5, atol=1e-6,
                              msg=method)

  def test_compiled_degenerate_gradients_give_numbers(self):
    cases = random_gradients.degenerate(3)
    for name, (weights, others) in zip(cases, random_gradients.evaluate(
        _step, [_case(each) for each in cases.values()], True)):
      for method, each in {**weights, **others}.items():
        self.assertAllInRange(each, -1e8, 1e8, f"{method}, {name}")

  def test_no_gradient_flows_through_weights(self):
    with tf.Graph().as_default():
      losses = tf.Variable(np.ones([3, 3], np.float32))
      arguments = [tf.constant(each) for each in _case(np.eye(
          3, dtype=np.float32))]
      arguments[1] = losses * arguments[1]
      for method, weights in _step(*arguments)[0].items():
        self.assertEqual(tf.gradients(weights, losses), [None], method)


if __name__ == "__main__":
  absltest.main()
