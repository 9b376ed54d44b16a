"""Every architecture: its outline, what its training and its exports hold."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow.compat.v1 as tf

from mtl_graph.data import features
from mtl_graph.model import graphs
from mtl_graph.model import stacks
from mtl_graph.model.sharing import architectures
from mtl_graph.protos import model_pb2
from tests.model.sharing import every_sharing

# What costs time, or makes something of variables.
_WORK = frozenset(["MatMul", "Conv2D", "BiasAdd", "AddN", "Mul", "Softmax",
                   "Sigmoid", "Tanh", "Relu", "MaxPool", "Max", "Mean",
                   "ConcatV2", "GatherV2"])


def _behind(tensors):
  """Returns the ops that tensors are made by, found by going backwards."""
  found, pending = set(), [tensor.op for tensor in tensors]
  while pending:
    op = pending.pop()
    if op not in found:
      found.add(op)
      pending.extend(tensor.op for tensor in op.inputs)
  return found


class EverySharingTest(parameterized.TestCase, tf.test.TestCase):

  _graphs = {}

  def _graph(self, name):
    """Returns the graph of an experiment, built once."""
    if name not in self._graphs:
      self._graphs[name] = graphs.build(
          every_sharing.experiment(every_sharing.TABLE[name]))
    return self._graphs[name]

  def test_every_kind_is_in_the_table(self):
    found = collections.Counter(
        every_sharing.experiment(entry).model.WhichOneof("sharing")
        for entry in every_sharing.TABLE.values())
    self.assertCountEqual(found, [
        field.name for field in
        model_pb2.Model.DESCRIPTOR.oneofs_by_name["sharing"].fields])

  @parameterized.parameters(*every_sharing.TABLE)
  def test_variables_are_those_of_the_outline(self, name):
    graph = self._graph(name)
    self.assertEqual({variable: tensor.shape.as_list()
                      for variable, tensor in graph.trainable.items()},
                     dict(graph.outline.variables))

  @parameterized.parameters(*every_sharing.TABLE)
  def test_every_variable_is_reached(self, name):
    graph = self._graph(name)
    self.assertEqual(set.union(*graph.reached.values()), set(graph.trainable))

  @parameterized.parameters(*every_sharing.TABLE)
  def test_tensors_are_those_of_the_outline(self, name):
    experiment = every_sharing.experiment(every_sharing.TABLE[name])
    mode = stacks.Mode(1, None, frozenset(), [])
    with tf.Graph().as_default(), tf.variable_scope("", reuse=tf.AUTO_REUSE):
      batch = every_sharing.data(experiment)
      architectures.build(
          experiment.model, experiment.data, features.take_apart(
              experiment.data.feature, features.Transformed(
                  tf.constant(batch.numbers), tf.constant(batch.ids))), mode)
    self.assertEqual({tensor: tuple(output.shape.as_list()[1:])
                      for tensor, output in mode.tensors.items()
                      if not tensor.startswith("embedding/")},
                     dict(self._graph(name).outline.tensors))
    self.assertEmpty(mode.penalties)  # There are some in training alone.
    self.assertEmpty(mode.updates)

  @parameterized.parameters(*every_sharing.TABLE)
  def test_an_export_holds_nothing_that_its_predictions_do_not_need(self, name):
    experiment = every_sharing.experiment(every_sharing.TABLE[name])
    for served in ([experiment.model.task[0].name], []):
      experiment.serving.ClearField("task")
      experiment.serving.task.extend(served)
      with tf.Graph().as_default() as graph:
        serving = graphs.build_serving(experiment)
        variables = tf.global_variables()
      behind = _behind(tensor for found in serving.predictions.values()
                       for tensor in found.values())
      self.assertEqual([v.op.name for v in variables
                        if v.handle.op not in behind], [], served)
      self.assertEqual([
          op.name for op in graph.get_operations()
          if op.type in _WORK and op not in behind
          and "/Initializer/" not in op.name], [], served)
      self.assertCountEqual(serving.variables,
                            [v.op.name for v in variables])
      self.assertEqual(list(serving.predictions),
                       served or [task.name for task in experiment.model.task])


if __name__ == "__main__":
  absltest.main()
