"""Tests of opening sessions."""

from absl.testing import absltest
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import sessions


class SessionsTest(tf.test.TestCase):

  def test_initialize_fills_variables_and_tables_but_not_local_ones(self):
    with tf.Graph().as_default() as graph:
      variable = tf.get_variable("x", initializer=3.0)
      local = tf.get_variable("y", initializer=4.0, collections=[
          tf.GraphKeys.LOCAL_VARIABLES])
      table = tf.lookup.StaticHashTable(
          tf.lookup.KeyValueTensorInitializer(["a"], [7]), -1)
      found = table.lookup(tf.constant(["a", "b"]))
      uninitialized = tf.report_uninitialized_variables([variable, local])
    # Outside of the graph's context, as the loop calls it.
    with sessions.open_session(graph) as session:
      sessions.initialize(session)
      self.assertEqual(session.run(variable), 3)
      self.assertAllEqual(session.run(found), [7, -1])
      self.assertAllEqual(session.run(uninitialized), [b"y"])

  def test_initialize_needs_no_variables(self):
    graph = tf.Graph()
    with sessions.open_session(graph) as session:
      sessions.initialize(session)
      self.assertIs(session.graph, graph)

  def test_what_is_fetched_beside_a_number_does_not_change_its_bits(self):
    with tf.Graph().as_default() as graph:
      x = tf.random.stateless_normal([64, 300], [1, 2])
      w = tf.random.stateless_normal([300, 200], [3, 4])
      b = tf.random.stateless_normal([200], [5, 6])
      inner = tf.nn.bias_add(tf.matmul(x, w), b)
      outer = tf.nn.relu(inner)
      loss = tf.reduce_mean(tf.square(outer))
      gradient, = tf.gradients(loss, w)
    with sessions.open_session(graph) as session:
      alone = session.run(gradient)
      beside = session.run([gradient, inner, outer, loss])[0]
    self.assertEqual(alone.tobytes(), beside.tobytes())


if __name__ == "__main__":
  absltest.main()
