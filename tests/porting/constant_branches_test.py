"""Tests that of conditions on constants one branch is left."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.porting import constant_branches


def _network(x, training, other):
  """Conditions one after the other and in one another, one in a loop."""
  y = tf.cond(training, lambda: tf.nn.dropout(x, rate=0.5), lambda: x + 1.0)
  z = tf.cond(training, lambda: tf.cond(other, lambda: y * 2.0, lambda: y - x),
              lambda: tf.cond(other, lambda: x, lambda: tf.sin(y)))
  _, w = tf.while_loop(
      lambda i, *unused: i < 3, lambda i, v: (i + 1, tf.cond(
          tf.equal(i, 1), lambda: v * 3.0, lambda: v - 1.0)), [0, z])
  return tf.add(w, z, name="answer")


class ConstantBranchesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    was_v2 = tf.control_flow_v2_enabled()
    self.addCleanup(tf.enable_control_flow_v2 if was_v2
                    else tf.disable_control_flow_v2)
    tf.disable_control_flow_v2()
    self.x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)

  def _nodes(self, training, other):
    """Returns the nodes of the network, its first placeholder a constant."""
    with tf.Graph().as_default() as graph:
      _network(tf.placeholder(tf.float32, [None, 4], "x"), training(), other())
    return {node.name: node for node in graph.as_graph_def().node}, graph

  def _run(self, nodes, versions, feed):
    graph_def = tf.GraphDef(versions=versions)
    graph_def.node.extend(nodes.values())
    graph_def = tf.graph_util.extract_sub_graph(graph_def, ["answer"])
    with tf.Graph().as_default(), tf.Session() as session:
      answer, = tf.import_graph_def(graph_def, return_elements=["answer:0"],
                                    name="")
      return graph_def, session.run(answer, feed)

  @parameterized.parameters(False, True)
  def test_answers_and_ops(self, other):
    nodes, graph = self._nodes(
        lambda: tf.constant(False), lambda: tf.placeholder(
            tf.bool, [], "other"))
    feed = {"x:0": self.x, "other:0": other}
    _, expected = self._run(nodes, graph.as_graph_def().versions, feed)
    constant_branches.take(nodes)
    left, found = self._run(nodes, graph.as_graph_def().versions, feed)
    np.testing.assert_array_equal(found, expected)
    ops = [node.op for node in left.node]
    self.assertNotIn("RandomUniform", ops)
    self.assertNotIn("Mul", [node.op for node in left.node
                             if "while" not in node.name])
    # The loop, its condition, and the one on `other` inside.
    self.assertEqual(ops.count("Merge"), 4)

  def test_the_other_branch(self):
    nodes, graph = self._nodes(lambda: tf.constant(True),
                               lambda: tf.constant(False))
    constant_branches.take(nodes)
    left, found = self._run(nodes, graph.as_graph_def().versions,
                            {"x:0": self.x})
    self.assertIn("RandomUniform", [node.op for node in left.node])
    kept = [node.name for node in left.node if node.op == "Switch"]
    self.assertEmpty([name for name in kept if not name.startswith("while")])
    # y is 0 or 2 x, z is y - x, and the loop makes 3 (z - 1) - 1 of it.
    z = np.abs((found + 4) / 4)
    np.testing.assert_allclose(z, np.abs(self.x), rtol=1e-5)

  def test_nothing_else_is_touched(self):
    nodes, _ = self._nodes(lambda: tf.placeholder(tf.bool, [], "training"),
                           lambda: tf.placeholder(tf.bool, [], "other"))
    before = {name: node.SerializeToString() for name, node in nodes.items()}
    constant_branches.take(nodes)
    self.assertEqual(before, {name: node.SerializeToString()
                              for name, node in nodes.items()})

  def test_a_condition_that_is_asked_which_side_it_was_stays(self):
    with tf.Graph().as_default() as graph:
      x = tf.placeholder(tf.float32, [None, 4], "x")
      sides = tf.raw_ops.Switch(data=x, pred=tf.constant(False))
      merged = tf.raw_ops.Merge(inputs=[sides[0] + 1.0, sides[1] + 2.0])
      tf.add(merged[0], tf.cast(merged[1], tf.float32), name="answer")
    nodes = {node.name: node for node in graph.as_graph_def().node}
    constant_branches.take(nodes)
    _, found = self._run(nodes, graph.as_graph_def().versions, {"x:0": self.x})
    np.testing.assert_array_equal(found, self.x + 1)
    self.assertIn("Merge", [node.op for node in nodes.values()])


if __name__ == "__main__":
  absltest.main()
