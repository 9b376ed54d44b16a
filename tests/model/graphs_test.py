"""Tests of the assembled graph, without its training step."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import validation
from mtl_graph.data import batches
from mtl_graph.model import gradient_cosines
from mtl_graph.model import graphs

_EXPERIMENT = """
name: "small" seed: 5
data {
  feature { name: "x" numeric { size: 2 normalization: Z_SCORE } }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 3 } }
  feature { name: "y" numeric { normalization: LOG1P missing_value: 0 } }
}
model {
  hard_sharing { trunk {
    layer { dense { units: 4 activation: TANH } }
    layer { dropout { rate: 0.5 } }
  } }
  task { name: "b" regression {} label { scale: 0.5 }
         tower { layer { dense { units: 3 activation: RELU } } }
         estimate { task: "a" form: PROBABILITY } }
  task { name: "a" binary {} label {} }
  task { name: "m" multiclass { num_classes: 3 } label {}
         tower { layer { dense { units: 2 use_bias: false } } } }
}
training {
  num_steps: 10
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
}
"""
_STATISTICS = {"x": {"mean": np.array([1.0, 2.0]),
                     "stddev": np.array([0.5, 4.0])}}
_NUMBERS = np.random.default_rng(0).normal(size=[6, 3]).astype(np.float32)
_IDS = np.array([[0], [1], [5], [3], [3], [4]], np.int32)
_LABELS = np.array([[0.5, 1, 2], [2, 0, 0], [-1, 1, 1], [0, 0, 2], [3, 1, 1],
                    [1, 1, 0]], np.float32)


def _experiment(*overrides):
  experiment = config.parse(_EXPERIMENT)
  for assignment in overrides:
    config.override(experiment, assignment)
  validation.check(experiment, arrays=["train"])
  return experiment


def _session(model):
  """Returns an initialized session."""
  session = tf.Session(graph=model.graph)
  with model.graph.as_default():
    session.run([tf.global_variables_initializer(), tf.tables_initializer()])
  return session


def _values(model):
  """Returns the initial value of every variable, by name."""
  with _session(model) as session, model.graph.as_default():
    return {v.op.name: session.run(v) for v in tf.global_variables()}


def _feed(batch):
  return {batch.numbers: _NUMBERS, batch.ids: _IDS, batch.labels: _LABELS}


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ([],),
      (["training.joint.loss.uncertainty={}"],),
      (["training.joint.loss.weighted_sum={}"],),
      (["model.hard_sharing.trunk={}"],),
      (["model.task[name=b].tower={}"],),
      (["model.task[name=m].multiclass={vocabulary: ['p', 'q']}"],),
      (["data.feature[name=c].categorical="
        "{vocabulary: ['p', 'q'] embedding_dimension: 2}"],),
      (["data.feature[name=c].categorical="
        "{hash_buckets: 7 embedding_dimension: 1}"],),
      (["model.task[name=m].estimate={task: 'b' form: VALUE}"],),
      (["model.task[name=b].estimate=[{task: 'a' form: LOGIT}, "
        "{task: 'm' form: PROBABILITY}, {task: 'm' form: LOGIT}]"],),
      *[([f"model.task[name=m].{head}", "model.task[name=b].estimate={task: "
          f"'m' form: {form}}}"],) for head, form in (
              ("ordinal={num_classes: 4}", "LOGIT"),
              ("ordinal={num_classes: 4}", "PROBABILITY"),
              ("multilabel={num_labels: 4}", "LOGIT"),
              ("quantiles={level: [0.1, 0.9]}", "VALUE"),
              ("regression={size: 3}", "VALUE"), ("count={}", "VALUE"))],
      (["data.feature=[{name: 'c' categorical { num_buckets: 5 "
        "embedding_dimension: 3 } }]"],),
      (["data.feature=[{name: 'y' numeric {} }]"],),
  )
  def test_variables_are_those_of_the_outline(self, overrides):
    experiment = _experiment(*overrides)
    model = graphs.build(experiment)
    with model.graph.as_default():
      found = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
    expected = outline.build(experiment).variables
    self.assertEqual(found, dict(expected))
    self.assertEqual(list(found), list(expected))

  def test_each_tensor_of_the_outline_can_be_held(self):
    # Held constant, its layer is reached no more: the outline names no tensor
    # that is not there.
    for name in outline.build(_experiment()).tensors:
      experiment = _experiment(f"model.stop_gradient={name}")
      model = graphs.build(experiment)
      with model.graph.as_default():
        scope = "trunk/dense" if name == "trunk/dropout" else name
        gradients = tf.gradients(model.row_losses,
                                 tf.trainable_variables(scope + "/"))
      self.assertNotEmpty(gradients)
      self.assertEqual(gradients, [None] * len(gradients))

  def test_opens_no_session_and_leaves_the_default_graph_alone(self):
    with tf.Graph().as_default() as graph:
      model = graphs.build(_experiment())
      self.assertEmpty(graph.get_operations())
      self.assertIsNot(model.graph, graph)

  def test_other_variables_are_global_step_and_statistics(self):
    model = graphs.build(_experiment(), _STATISTICS)
    values = _values(model)
    for name in outline.build(_experiment()).variables:
      del values[name]
    self.assertCountEqual(values, ["global_step", "statistics/x/mean",
                                   "statistics/x/stddev"])
    self.assertEqual(values["global_step"], 0)
    self.assertAllClose(values["statistics/x/mean"], [1, 2])
    self.assertAllClose(values["statistics/x/stddev"], [0.5, 4])

  def test_predictions_and_losses_fit_the_network(self):
    model = graphs.build(_experiment())
    self.assertEqual(list(model.predictions), ["b", "a", "m"])
    with _session(model) as session:
      found, losses = session.run([dict(model.predictions), model.row_losses],
                                  _feed(model.batch))
      values = {v.op.name: session.run(v) for some in model.variables.values()
                for v in some}
    inputs = np.concatenate([
        _NUMBERS[:, :2], values["embedding/c/embeddings"][_IDS[:, 0]],
        _NUMBERS[:, 2:]], 1)
    trunk = np.tanh(inputs @ values["trunk/dense/kernel"])
    a = (trunk @ values["head/a/kernel"])[:, 0]
    probability = 1 / (1 + np.exp(-a))
    tower = np.maximum(0, np.concatenate([trunk, probability[:, None]], 1)
                       @ values["tower/b/dense/kernel"])
    b = (tower @ values["head/b/kernel"])[:, 0]
    m = trunk @ values["tower/m/dense/kernel"] @ values["head/m/kernel"]
    self.assertAllClose(found["a"]["probability"], probability, rtol=1e-5)
    self.assertAllClose(found["b"]["value"], b / 0.5, rtol=1e-5)
    self.assertAllClose(found["m"]["logits"], m, rtol=1e-5, atol=1e-6)
    self.assertAllClose(losses, np.stack([
        (b - 0.5 * _LABELS[:, 0]) ** 2,
        np.log1p(np.exp(a)) - _LABELS[:, 1] * a,
        np.log(np.exp(m).sum(1)) - m[range(6), _LABELS[:, 2].astype(int)]], 1),
                        rtol=1e-4, atol=1e-6)

  def test_transforms_raw_values(self):
    model = graphs.build(_experiment(), _STATISTICS)
    self.assertCountEqual(model.raw, ["x", "c", "y"])
    with _session(model) as session:
      numbers, ids = session.run(model.transformed, {
          model.raw["x"]: [[1.5, 10], [0, -2]], model.raw["c"]: [4, -1],
          model.raw["y"]: [np.nan, np.e - 1]})
    self.assertAllClose(numbers, [[1, 2, 0], [-2, -1, 1]])
    self.assertAllEqual(ids, [[4], [5]])

  def test_initial_values_do_not_depend_on_other_tasks(self):
    values = _values(graphs.build(_experiment()))
    fewer = _experiment("model.task=[{name: 'm' label {} multiclass { "
                        "num_classes: 3 } tower { layer { dense { units: 2 "
                        "use_bias: false } } } }]")
    for name, value in _values(graphs.build(fewer)).items():
      self.assertAllEqual(value, values[name])
    other_seed = _values(graphs.build(_experiment("seed=6")))
    self.assertNotAllEqual(other_seed["trunk/dense/kernel"],
                           values["trunk/dense/kernel"])

  def test_kernels_of_one_shape_differ(self):
    values = _values(graphs.build(_experiment(
        "model.task[name=m].binary={}", "model.task[name=m].tower={}")))
    self.assertNotAllEqual(values["head/a/kernel"], values["head/m/kernel"])

  @parameterized.parameters("x", "trunk", "evaluation", "transform",
                            "global_step", "report", "train_op", "optimizer")
  def test_name_of_a_feature_changes_no_name_of_a_variable(self, name):
    names = [v for v in _values(graphs.build(_experiment()))
             if not v.startswith("statistics/")]
    renamed = _values(graphs.build(_experiment(
        f"data.feature[name=x].name={name}")))
    self.assertCountEqual([v for v in renamed
                           if not v.startswith("statistics/")], names)
    self.assertIn(f"statistics/{name}/mean", renamed)


class GroupsTest(parameterized.TestCase):

  def _groups(self, *overrides):
    model = graphs.build(_experiment(*overrides))
    return {name: {v.op.name.rsplit("/", 1)[0] for v in variables}
            for name, variables in model.variables.items()}

  def test_default_is_one_shared_and_one_per_task(self):
    self.assertEqual(self._groups(), {
        "shared": {"embedding/c", "trunk/dense"},
        "b": {"tower/b/dense", "head/b"}, "a": {"head/a"},
        "m": {"tower/m/dense", "head/m"}})

  def test_log_variances_join_their_tasks_by_default(self):
    model = graphs.build(_experiment("training.joint.loss.uncertainty={}"))
    for task in "abm":
      self.assertIn(f"log_variance/{task}",
                    [v.op.name for v in model.variables[task]])

  def test_groups_of_the_experiment(self):
    self.assertEqual(
        self._groups("training.group=[{name: 'rest' scope: ['head', 'tower']},"
                     "{name: 'base' scope: ['trunk', 'embedding']}]"),
        {"rest": {"head/a", "head/b", "head/m", "tower/b/dense",
                  "tower/m/dense"}, "base": {"embedding/c", "trunk/dense"}})

  def test_groups_that_do_not_fit_are_refused(self):
    experiment = _experiment()
    config.override(experiment, "training.group={name: 'g' scope: 'trunk'}")
    with self.assertRaisesRegex(config.ConfigErrors,
                                "training.group: no group claims embedding/c"):
      graphs.build(experiment)


class BuildServingTest(tf.test.TestCase):

  def test_predicts_from_raw_values_with_the_variables_there_are(self):
    experiment = _experiment()
    model = graphs.build(experiment, _STATISTICS)
    with model.graph.as_default():
      names = [v.op.name for v in tf.global_variables()]
      serving = graphs.build_serving(experiment)
      self.assertEqual([v.op.name for v in tf.global_variables()], names)
    with _session(model) as session:
      values = {"x": [[1.5, 10], [0, -2]], "c": [4, -1], "y": [3, 0]}
      found = session.run(dict(serving.predictions), {
          serving.raw[name]: v for name, v in values.items()})
      numbers, ids = session.run(
          model.transformed,
          {model.raw[name]: v for name, v in values.items()})
      expected = session.run(dict(model.predictions), {
          model.batch.numbers: numbers, model.batch.ids: ids})
    self.assertAllClose(found, expected)

  def test_graph_of_its_own_has_the_names_of_a_checkpoint(self):
    with tf.Graph().as_default():
      serving = graphs.build_serving(_experiment())
      self.assertCountEqual(
          [v.op.name for v in tf.global_variables()],
          list(outline.build(_experiment()).variables)
          + ["statistics/x/mean", "statistics/x/stddev"])
      self.assertEqual({v.op.name: v for v in tf.global_variables()},
                       serving.variables)


class GradientCosinesTest(parameterized.TestCase, tf.test.TestCase):

  def _cosines(self, *overrides, weights=np.ones([6, 3], np.float32)):
    experiment = _experiment(*overrides)
    model = graphs.build(experiment)
    with model.graph.as_default():
      batch = model.batch
      cosines = gradient_cosines.build(experiment, model, batch,
                                       tf.constant(3, tf.int64))
    with _session(model) as session:
      return session.run(cosines, {**_feed(batch), batch.weights: weights})

  def test_matches_formula_without_dropout(self):
    overrides = ["model.hard_sharing.trunk.layer[1].dropout.rate=0"]
    experiment = _experiment(*overrides)
    model = graphs.build(experiment)
    with model.graph.as_default():
      shared = model.variables["shared"]
      gradients = [tf.concat([tf.reshape(tf.convert_to_tensor(g), [-1])
                              for g in tf.gradients(
                                  tf.reduce_mean(model.row_losses[:, t]),
                                  shared)], 0) for t in range(3)]
    with _session(model) as session:
      g = np.array(session.run(gradients, _feed(model.batch)), np.float64)
    unit = g / np.linalg.norm(g, axis=1, keepdims=True)
    found = self._cosines(*overrides)
    self.assertCountEqual(found, [("b", "a"), ("b", "m"), ("a", "m")])
    for (first, second), cosine in found.items():
      self.assertAllClose(
          cosine, unit["bam".index(first)] @ unit["bam".index(second)],
          rtol=1e-4, atol=1e-5)

  def test_lies_between_minus_one_and_one(self):
    self.assertAllInRange(list(self._cosines().values()), -1.000001, 1.000001)

  def test_task_without_labels_has_cosine_zero(self):
    found = self._cosines(weights=np.ones([6, 3], np.float32) * [1, 0, 1])
    self.assertEqual([found["b", "a"], found["a", "m"]], [0, 0])
    self.assertNotEqual(found["b", "m"], 0)

  def test_nothing_shared_gives_nothing(self):
    experiment = _experiment("model.hard_sharing.trunk={}",
                             "data.feature=[{ name: 'x' numeric {} }]")
    model = graphs.build(experiment)
    with model.graph.as_default():
      self.assertEqual(
          gradient_cosines.build(experiment, model, model.batch,
                                 tf.constant(0, tf.int64)), {})


class RowsOfBatchTest(parameterized.TestCase, tf.test.TestCase):
  """The order of rows that a run is made of."""

  def _epochs(self, rows, seed, first=0, count=1000):
    with tf.Graph().as_default(), tf.Session() as session:
      number = tf.constant(first, tf.int64)
      return session.run(batches.rows_of_batch(
          number, rows, count * rows, seed)).reshape([count, rows])

  @parameterized.parameters(1, 2, 7, 300)
  def test_every_row_once_per_epoch(self, rows):
    self.assertAllEqual(np.sort(self._epochs(rows, 5, count=20)),
                        np.tile(np.arange(rows), [20, 1]))

  def test_epochs_and_seeds_have_orders_of_their_own(self):
    # The op takes 24 bits of key for so few rows: a chance repetition or two.
    orders = {tuple(epoch) for seed in (0, 7, 256, 263, 4096, 2 ** 31 - 1)
              for first in (0, 1, 2 ** 22)
              for epoch in self._epochs(22, seed, first, 400)}
    self.assertGreater(len(orders), 0.999 * 6 * 3 * 400)

  @parameterized.product(rows=(5, 22, 300), seed=(0, 1))
  def test_order_is_as_good_as_random(self, rows, seed):
    epochs = self._epochs(rows, seed)
    place = np.arange(rows)
    # One row per epoch stays in its place and one follows its neighbour; the
    # number of each has a variance of about 1.
    staying = np.sum(epochs == place, 1).mean()
    following = np.sum(np.diff(epochs) == 1, 1).mean()
    self.assertAllClose(staying, 1, atol=4.5 / 1000 ** 0.5)
    self.assertAllClose(following, 1 - 1 / rows, atol=4.5 / 1000 ** 0.5)
    correlation = np.mean([np.corrcoef(epoch, place)[0, 1] for epoch in epochs])
    self.assertAllClose(correlation, 0, atol=4.5 / (1000 * (rows - 1)) ** 0.5)


if __name__ == "__main__":
  absltest.main()
