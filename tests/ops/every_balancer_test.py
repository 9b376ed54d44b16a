"""Tests of what holds for every way to weigh gradients."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import excess_risks
from mtl_graph.ops import gradient_balancing
from mtl_graph.ops import gradient_cones
from mtl_graph.ops import gradient_surgery
from mtl_graph.ops import gradient_tracking
from tests import random_gradients

# Weights where gradients cancel or lie in a plane are not unique; what XLA
# computes there may differ.
_UNIQUE = ("plain", "one_zero", "all_zero", "spread")


def _tracked(jacobian, gramian, order, targets, simplex, step):
  del order, targets  # Of other methods.
  return gradient_tracking.track(
      jacobian, 0.5 * jacobian[::-1], step,
      gradient_tracking.moco_scales(gramian, simplex))


def _excess(jacobian, simplex):
  risks = excess_risks.excess_risks(jacobian, jacobian ** 2).risks
  return excess_risks.excess_mtl_weights(
      risks, 1 + simplex, simplex, 0.5).weights


# Weights by method, from the arguments that `_case` returns: Jacobian, Gramian,
# order, targets, a point of the simplex and a step.
_WEIGHTS = {
    "mgda": lambda j, k, o, t, w, s: gradient_cones.mgda_weights(k),
    "mgda_of_some": lambda j, k, o, t, w, s: gradient_cones.mgda_weights(
        k, present=tf.cast(w > 0.1, tf.float32)),
    "cagrad": lambda j, k, o, t, w, s: gradient_cones.cagrad_weights(k),
    "upgrad": lambda j, k, o, t, w, s: gradient_cones.upgrad_weights(k),
    "dual_proj": lambda j, k, o, t, w, s: gradient_cones.dual_proj_weights(k),
    "imtl_g": lambda j, k, o, t, w, s: gradient_balancing.imtl_g_weights(k),
    "config": lambda j, k, o, t, w, s: gradient_balancing.config_weights(k),
    "aligned_mtl": lambda j, k, o, t, w, s: tf.stack([
        gradient_balancing.aligned_mtl_weights(k, scale)
        for scale in ("min", "median", "rmse")], 1),
    "nash_mtl": lambda j, k, o, t, w, s: gradient_balancing.nash_mtl_weights(k),
    "fairgrad": lambda j, k, o, t, w, s: gradient_balancing.fairgrad_weights(
        k, 2.0),
    "pcgrad": lambda j, k, o, t, w, s: gradient_surgery.pcgrad_weights(k, o),
    "gradvac": lambda j, k, o, t, w, s: gradient_surgery.gradvac_weights(
        k, o, t).weights,
    "sdmgrad": lambda j, k, o, t, w, s: gradient_tracking.sdmgrad_weights(
        k, w).weights,
    "moco": lambda j, k, o, t, w, s: gradient_tracking.moco_weights(k, w, s),
    "moco_projected": lambda j, k, o, t, w, s: gradient_tracking.moco_weights(
        k, w, s, project=True),
    "excess_mtl": lambda j, k, o, t, w, s: _excess(j, w),
    "db_mtl": lambda j, k, o, t, w, s: gradient_tracking.db_mtl_weights(k),
}
# What else is random or remembered.
_OTHERS = {
    "targets": lambda j, k, o, t, w, s: gradient_surgery.gradvac_weights(
        k, o, t).targets,
    "tracked": _tracked,
    "order": lambda j, k, o, t, w, s: gradient_surgery.meeting_order(
        o.shape[0], 3, s),
    "graddrop": lambda j, k, o, t, w, s: gradient_surgery.graddrop_direction(
        j, 3, s, 0.1),
}


def _all(ops, wrapped=lambda op: op):
  """Returns an op that computes all of several, by name."""
  return lambda *case: {name: wrapped(op)(*case) for name, op in ops.items()}


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
    pairs = np.ix_(moved, moved)
    plain, permuted = random_gradients.evaluate(_all(_WEIGHTS), [case, [
        jacobian[moved], gramian[pairs], order[pairs], targets[pairs],
        simplex[moved], step]])
    for method, weights in plain.items():
      self.assertAllClose(weights[moved], permuted[method], rtol=1e-5,
                          atol=1e-6, msg=method)

  @parameterized.parameters(1, 2, 3, 6)
  def test_degenerate_gradients_give_numbers(self, num_tasks):
    cases = random_gradients.degenerate(num_tasks)
    for name, found in zip(cases, random_gradients.evaluate(
        _all({**_WEIGHTS, **_OTHERS}),
        [_case(each) for each in cases.values()])):
      norms = np.sqrt(np.diag(cases[name]))
      for method, each in found.items():
        self.assertAllInRange(each, -1e8, 1e8)
        if method in ("mgda", "upgrad", "dual_proj", "cagrad", "pcgrad"):
          # No weight is so large that rounding becomes the direction.
          self.assertAllInRange(
              each * norms, 0, 1e4 * max(norms.max(), 1e-9))

  @parameterized.parameters(1, 4)
  def test_compiled_by_xla_it_is_the_same(self, num_tasks):
    # One by one, as XLA takes very long over all of them in one program.
    ops = {**_WEIGHTS, **_OTHERS}
    degenerate = random_gradients.degenerate(num_tasks)
    gramians = dict(enumerate(random_gradients.gramians(num_tasks)))
    gramians.update(degenerate)
    cases = [_case(each, i) for i, each in enumerate(gramians.values())]
    for name, plain, compiled in zip(
        gramians, random_gradients.evaluate(_all(ops), cases),
        random_gradients.evaluate(_all(ops, random_gradients.compiled),
                                  cases)):
      self.assertAllEqual(plain["order"], compiled["order"])
      for method, each in plain.items():
        if num_tasks > 1 and name in degenerate and name not in _UNIQUE:
          self.assertAllInRange(compiled[method], -1e8, 1e8)
        else:
          self.assertAllClose(each, compiled[method], rtol=2e-5, atol=1e-6,
                              msg=f"{method}, {name}")

  def test_nothing_is_sliced_at_a_computed_place(self):
    # XLA would compile anew for each place, as for a constant.
    with tf.Graph().as_default() as graph:
      arguments = [tf.placeholder(each.dtype, each.shape) for each in _case(
          np.eye(3, dtype=np.float32))]
      _all({**_WEIGHTS, **_OTHERS})(*arguments)
    definition, sliced = graph.as_graph_def(), 0
    for nodes in [definition.node, *[
        each.node_def for each in definition.library.function]]:
      kinds = {node.name: node.op for node in nodes}
      for node in nodes:
        if node.op == "StridedSlice":
          sliced += 1
          self.assertEqual(
              [kinds.get(place.split(":")[0]) for place in node.input[1:4]],
              ["Const"] * 3, node.name)
    self.assertGreater(sliced, 10)

  def test_no_gradient_flows_through_weights(self):
    with tf.Graph().as_default():
      losses = tf.Variable(np.ones([3, 3], np.float32))
      arguments = [tf.constant(each) for each in _case(np.eye(
          3, dtype=np.float32))]
      arguments[:2] = [tf.matmul(losses, arguments[0]), losses * arguments[1]]
      for method, weights in _all(_WEIGHTS)(*arguments).items():
        self.assertEqual(tf.gradients(weights, losses), [None], method)


if __name__ == "__main__":
  absltest.main()
