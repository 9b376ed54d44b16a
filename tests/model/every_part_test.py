"""A graph with a part of every kind is the one its outline tells of."""

from unittest import mock

from absl.testing import absltest
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline as outline_lib
from mtl_graph import validation
from mtl_graph.model import averages
from mtl_graph.model import graphs
from mtl_graph.model import stacks
from mtl_graph.protos import features_pb2
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2
from tests import every_part

_FINAL = "/ExponentialMovingAverage"


def _kinds(message, oneof):
  return {f.name for f in message.DESCRIPTOR.oneofs_by_name[oneof].fields}


def _layers(stack):
  """Returns every layer of a stack, those within a residual included."""
  for layer in stack:
    yield layer
    yield from _layers(layer.residual.layer)


class EveryPartTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._experiment = config.parse(every_part.TEXT)
    validation.check(cls._experiment, arrays=["train", "validation"])
    cls._outline = outline_lib.build(cls._experiment)
    cls._tensors = {}
    hold = stacks.hold

    def note(tensor, name, mode):
      cls._tensors[name] = tuple(tensor.shape.as_list())
      return hold(tensor, name, mode)

    with mock.patch.object(stacks, "hold", note):
      cls._model = graphs.build(cls._experiment)
    with cls._model.graph.as_default():
      cls._variables = {v.op.name: v.shape.as_list()
                        for v in tf.trainable_variables()}
      cls._names = [v.op.name for v in tf.global_variables()]

  def test_the_experiment_has_every_kind(self):
    features = self._experiment.data.feature
    tasks = self._experiment.model.task
    stacked = [f.encoder.layer for f in features] + [
        task.tower.layer for task in tasks] + [
            self._experiment.model.hard_sharing.trunk.layer]
    kinds = {layer.WhichOneof("kind") for stack in stacked
             for layer in _layers(stack)}
    # They are alike to their neighbours, which are there; but for Python, whose
    # variables no outline knows.
    self.assertEqual(_kinds(layers_pb2.Layer(), "kind") - kinds, {
        "global_max_pooling", "global_average_pooling", "python"})
    self.assertEqual({f.WhichOneof("kind") for f in features},
                     _kinds(features_pb2.Feature(), "kind"))
    self.assertEqual({f.use for f in features},
                     set(features_pb2.Feature.Use.values()))
    self.assertEqual(
        {f.categorical.WhichOneof("representation") for f in features}
        - {None}, _kinds(features_pb2.Categorical(), "representation"))
    self.assertEqual({task.WhichOneof("head") for task in tasks},
                     _kinds(model_pb2.Task(), "head"))

  def test_variables_are_those_of_the_outline_in_its_order(self):
    self.assertEqual(list(self._variables.items()),
                     list(self._outline.variables.items()))

  def test_tensors_have_the_shapes_of_the_outline(self):
    found = {name: shape[1:] for name, shape in self._tensors.items()}
    # A feature without embeddings is held by nobody.
    for name in ("x", "v", "amount", "part", "topics", "steps", "image"):
      del found[f"embedding/{name}"]
    self.assertEqual(found, dict(self._outline.tensors))

  def test_penalties_are_on_variables_there_are(self):
    self.assertEqual(list(self._outline.penalties), [
        "embedding/kind/embeddings", "embedding/home_away/embeddings",
        "encoder/image/conv2d/kernel", "trunk/dense/kernel"])
    self.assertContainsSubset(self._outline.penalties, self._variables)

  def test_each_tasks_own_variables_are_its_group(self):
    groups = {name: {v.op.name for v in variables}
              for name, variables in self._model.variables.items()}
    tasks = [task.name for task in self._experiment.model.task]
    self.assertEqual(list(groups), ["shared", *tasks])
    for task in tasks:
      own = [f"{kind}/{task}" for kind in ("tower", "head", "wide",
                                           "log_variance")]
      self.assertEqual(groups[task], {
          name for name in self._variables
          if (name + "/").startswith(tuple(scope + "/" for scope in own))})
      self.assertLen([n for n in groups[task] if n.startswith("wide/")], 5)
    self.assertFalse([n for n in groups["shared"] if not n.startswith(
        ("embedding/", "encoder/", "trunk/"))])

  def test_every_variable_of_the_network_has_an_average(self):
    averaged = {v.op.name: a.op.name for a, v in self._model.averaged}
    self.assertEqual(averaged, {
        name: averages.name_of(name) for name in self._variables
        if not name.startswith("log_variance/")})
    for name in averaged.values():
      self.assertEndsWith(name, _FINAL)
      self.assertNotIn(name, self._variables)

  def test_what_else_a_checkpoint_holds(self):
    rest = [name for name in self._names
            if name not in self._variables and not name.endswith(_FINAL)]
    self.assertCountEqual(rest, [
        "global_step", "statistics/x/min", "statistics/x/max",
        "statistics/v/mean", "statistics/v/stddev",
        "statistics/part/boundaries",
        *[f"{scope}/batch_normalization/moving_{name}"
          for scope in ("encoder/image", "trunk")
          for name in ("mean", "variance")]])

  def test_predictions_by_task_and_key(self):
    self.assertEqual(
        {f"{task}/{key}": tensor.shape.as_list()[1:]
         for task, keyed in self._model.predictions.items()
         for key, tensor in keyed.items()},
        {"yes/probability": [], "yes/logit": [], "level/probabilities": [4],
         "level/logits": [3], "level/class": [], "class/probabilities": [3],
         "class/logits": [3], "class/class": [], "labels/probabilities": [3],
         "labels/logits": [3], "labels/class": [], "value/value": [],
         "vector/value": [3], "events/rate": [], "range/quantiles": [3]})
    self.assertEqual(self._model.row_losses.shape.as_list(), [None, 8])

  def test_serving_takes_averages_under_the_variables_names(self):
    with tf.Graph().as_default():
      serving = graphs.build_serving(self._experiment)
      self.assertEqual(
          {v.op.name for v in serving.variables.values()},
          {name for name in self._names if not name.endswith(_FINAL)
           and not name.startswith(("log_variance/", "global_step"))})
    for name, variable in serving.variables.items():
      expected = variable.op.name
      if expected in self._variables:
        expected += _FINAL
      self.assertEqual(name, expected)
    self.assertContainsSubset(serving.variables, self._names)
    self.assertEqual({name: tensor.shape.as_list() for name, tensor in
                      serving.raw.items()}, {
                          name: tensor.shape.as_list() for name, tensor in
                          self._model.raw.items()})


if __name__ == "__main__":
  absltest.main()
