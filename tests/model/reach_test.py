"""Tests of what a gradient flows through."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import reach


class ReachedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._graph = tf.Graph()
    self.enter_context(self._graph.as_default())

  def _ask(self, build, use_resource=True):
    """Returns which of a and b are reached, and which get a gradient."""
    a, b = [tf.get_variable(name, [2, 2], use_resource=use_resource)
            for name in "ab"]
    loss = build(a, b)
    before = len(self._graph.get_operations())
    reached = reach.reached(loss, [a, b])
    self.assertLen(self._graph.get_operations(), before)
    gradients = tf.gradients(loss, [a, b])
    return reached, {name for name, g in zip("ab", gradients)
                     if g is not None}

  @parameterized.product(
      use_resource=(True, False),
      case=(
          (lambda a, b: tf.reduce_sum(a * 2), {"a"}),
          (lambda a, b: tf.reduce_sum(a @ b), {"a", "b"}),
          (lambda a, b: tf.reduce_sum(a * tf.stop_gradient(b)), {"a"}),
          (lambda a, b: tf.reduce_sum(tf.stop_gradient(a) * b + a),
           {"a", "b"}),
          (lambda a, b: tf.reduce_sum(tf.gather(a, [1, 1])), {"a"}),
          (lambda a, b: tf.reduce_sum(tf.nn.embedding_lookup(b, [0])), {"b"}),
          (lambda a, b: tf.reduce_sum(tf.stop_gradient(a @ b)), set()),
          (lambda a, b: tf.constant(1.0), set()),
          (lambda a, b: tf.reduce_sum(tf.cond(
              tf.constant(True), lambda: a * 2, lambda: b * 3)), {"a", "b"}),
          (lambda a, b: tf.reduce_sum(tf.while_loop(
              lambda i, x: i < 3, lambda i, x: (i + 1, x @ b),
              [0, tf.ones([2, 2])])[1]), {"b"}),
          (lambda a, b: tf.reduce_sum(tf.map_fn(
              lambda row: tf.linalg.matvec(b, row), tf.ones([3, 2]))), {"b"}),
          (lambda a, b: tf.reduce_sum(tf.scan(
              lambda state, row: tf.linalg.matvec(a, state) + row,
              tf.ones([3, 2]))), {"a"}),
      ))
  def test_is_what_a_gradient_flows_into(self, use_resource, case):
    build, expected = case
    reached, with_gradient = self._ask(build, use_resource)
    self.assertEqual(reached, expected)
    self.assertEqual(with_gradient, expected)

  @parameterized.named_parameters(
      ("comparison", lambda a, b: a * tf.cast(b > 0, tf.float32)),
      ("arg_max", lambda a, b: tf.gather(a, tf.argmax(b, 1))),
      ("shape", lambda a, b: a + tf.zeros(tf.shape(b))),
      ("rounding", lambda a, b: a * tf.cast(tf.cast(b, tf.int32), tf.float32)))
  def test_stops_where_no_gradient_flows(self, build):
    reached, with_gradient = self._ask(lambda a, b: tf.reduce_sum(build(a, b)))
    self.assertEqual(with_gradient, {"a"})
    self.assertEqual(reached, {"a"})


class BorderTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(tf.Graph().as_default())
    self._inputs = tf.constant(
        np.random.default_rng(0).normal(size=[5, 3]), tf.float32)

  def _variable(self, name, shape):
    return tf.get_variable(name, shape, initializer=tf.ones_initializer())

  def _network(self):
    """Returns losses of two tasks, the trunk, and its variables."""
    table = self._variable("table", [4, 3])
    kernel = self._variable("kernel", [3, 3])
    rows = self._inputs + tf.gather(table, [0, 1, 3, 1, 0])
    trunk = tf.nn.relu(tf.matmul(rows, kernel))
    losses = [tf.reduce_sum((trunk @ self._variable(task, [3, 1])) ** 2)
              for task in "ab"]
    return losses, trunk, rows, [table, kernel]

  def test_of_hard_sharing_it_is_the_trunk(self):
    losses, trunk, _, variables = self._network()
    self.assertEqual([t.name for t in reach.border(losses, variables)],
                     [trunk.name])

  def test_nothing_lies_behind_it_of_other_variables(self):
    losses, _, _, _ = self._network()
    other = self._variable("other", [3])
    self.assertEmpty(reach.border(losses, [other]))

  def test_every_way_leads_through_it(self):
    losses, trunk, rows, variables = self._network()
    # Past the trunk, and from one task's part into the other's.
    estimate = tf.reduce_sum(trunk * self._variable("own", [3]), 1)
    losses[0] += tf.reduce_sum(rows ** 3) + tf.reduce_sum(estimate)
    losses[1] += tf.reduce_sum(estimate ** 2)
    border = reach.border(losses, variables)
    self.assertEqual({t.name for t in border},
                     {trunk.name, rows.name, estimate.name})
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      for loss in losses:
        through = tf.gradients(
            border, variables, grad_ys=tf.gradients(
                loss, border, stop_gradients=border,
                unconnected_gradients="zero"))
        for found, expected in zip(*session.run(
            [[tf.convert_to_tensor(g) for g in gradients] for gradients in
             (through, tf.gradients(loss, variables))])):
          np.testing.assert_allclose(found, expected, rtol=1e-5)
        # With it held, nothing is reached.
        self.assertEqual(tf.gradients(loss, variables, stop_gradients=border),
                         [None, None])

  def test_a_held_tensor_is_no_way(self):
    losses, trunk, rows, variables = self._network()
    losses[0] += tf.reduce_sum(tf.stop_gradient(rows))
    self.assertEqual([t.name for t in reach.border(losses, variables)],
                     [trunk.name])

  def test_within_a_loop(self):
    found = []

    def body(i):
      losses, trunk, _, variables = self._network()
      found.append(([t.name for t in reach.border(losses, variables)],
                    [trunk.name]))
      return i + 1

    with tf.variable_scope("", reuse=tf.AUTO_REUSE):
      self._network()
      tf.while_loop(lambda i: i < 2, body, [0])
    self.assertEqual(*found[0])

  def test_a_variable_that_each_task_reads_is_its_handle(self):
    shared = self._variable("shared", [3])
    losses = [tf.reduce_sum(self._inputs * shared.read_value() * factor)
              for factor in (1.0, 2.0)]
    self.assertEqual([t.dtype for t in reach.border(losses, [shared])],
                     [tf.resource])


if __name__ == "__main__":
  absltest.main()
