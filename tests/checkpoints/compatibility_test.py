"""Tests of telling whether a run may go on under a changed experiment."""

import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.protos import data_pb2

_TEXT = """
name: "small"
data {
  train { csv { path: "train.csv" } }
  feature { name: "x" numeric { normalization: Z_SCORE } }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 } } } }
  task { name: "a" binary {} }
  task { name: "b" regression {} }
}
training {
  num_steps: 100
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
}
evaluation { every_steps: 10 }
"""


def _changes(*overrides):
  old, new = config.parse(_TEXT), config.parse(_TEXT)
  for assignment in overrides:
    config.override(new, assignment)
  return compatibility.differences(old, new)


class DifferencesTest(parameterized.TestCase):

  def test_equal_experiments(self):
    self.assertEmpty(_changes())

  @parameterized.named_parameters(
      ("scalar", "seed=3", ["seed: 0 -> 3"]),
      ("nested", "training.default_optimizer.adam.learning_rate.constant=0.1",
       ["training.default_optimizer.adam.learning_rate.constant: 0.01 -> 0.1"]),
      ("element", "model.task[name=b].weight=2",
       ["model.task[1].weight: 1.0 -> 2.0"]),
      ("repeated_scalar", 'data.train.csv.path=["a", "b"]',
       ["data.train.csv.path: 1 -> 2 elements",
        "data.train.csv.path[0]: train.csv -> a"]),
      ("one_element_more", "model.stop_gradient=trunk/dense",
       ["model.stop_gradient: 0 -> 1 elements"]),
      ("message_appears", "data.test={ csv { path: 't' } }",
       ["data.test.csv.path: 0 -> 1 elements"]),
  )
  def test_paths_and_values(self, assignment, expected):
    self.assertEqual(_changes(assignment), expected)

  def test_a_default_that_is_spelt_out_is_no_change(self):
    self.assertEmpty(_changes(
        "seed=0", "data.batch_size=128", "training.log_every_steps=100",
        "training.default_optimizer.adam.beta1=0.9",
        "evaluation.batch_size=4096", "model.task[name=a].weight=1"))

  @parameterized.parameters("sum", "weighted_sum")
  def test_another_choice_of_a_oneof_is_a_change(self, choice):
    changes = _changes(f"training.joint.loss={{ {choice} {{}} }}")
    self.assertContainsSubset([f"training.joint.loss.{choice}: unset -> set"],
                              changes)
    self.assertContainsSubset(["training.joint.loss.uncertainty"],
                              [c.split(":")[0] for c in changes])

  @parameterized.parameters(
      "data.feature[name=x].numeric.missing_value=0",
      "model.task[name=a].label.greater_than=0",
      "model.task[name=a].label.ignore_value=0")
  def test_zero_is_not_the_same_as_nothing(self, assignment):
    self.assertLen(_changes(assignment), 1)

  def test_an_empty_message_outside_of_a_oneof_is_no_change(self):
    self.assertEmpty(_changes("training.summaries={}", "serving={}"))

  def test_a_regression_that_becomes_binary_is_a_change(self):
    self.assertCountEqual(
        _changes("model.task[name=b].binary={}"),
        ["model.task[1].regression: set -> unset",
         "model.task[1].binary: unset -> set"])

  def test_an_enum_is_shown_by_its_name(self):
    self.assertEqual(
        _changes("data.feature[name=x].numeric.normalization=LOG1P"),
        ["data.feature[0].numeric.normalization: Z_SCORE -> LOG1P"])


class RefusedTest(parameterized.TestCase):

  @parameterized.parameters(
      "name=other", "training.num_steps=200", "training.checkpoint.keep=9",
      "training.checkpoint={ every_steps: 3 }",
      "training.execution.mode=SESSION", "training.log_every_steps=7",
      "training.summaries.enabled=false",
      "evaluation.every_steps=20", "serving.warmup_requests=4",
      "evaluation.best={ metric: 'a/auc' goal: MAXIMIZE }",
      "data.train.csv.path=other.csv", "data.train.csv.strip_spaces=true",
      "data.train.csv.missing_value=NA", "training.num_epochs=3",
      "data.train.part={ row_hash {} to: 0.9 }",
      "data.drop_rows={ column: 'x' missing: true }",
      "training.warm_start={ checkpoint: 'other' }",
      "evaluation.slice={ column: 'x' }",
      "evaluation.task_metrics={ task: 'a' k: 3 }",
      "data.validation={ csv { path: 'v' } }",
      "data.test={ npz { path: 't' } }")
  def test_free(self, assignment):
    changes = _changes(assignment)
    self.assertNotEmpty(changes)
    self.assertEmpty(compatibility.refused(changes))

  @parameterized.parameters(
      "seed=1", "data.batch_size=1", "data.train.weight_column=w",
      "data.source={ name: 's' }", "data.mixing={ uniform {} }",
      "data.feature[0].numeric.missing_value=9",
      "model.stop_gradient=trunk/dense", "model.task[0].name=z",
      "model.task[name=a].label.greater_than=1",
      "model.hard_sharing.trunk.layer[0].dense.units=5",
      "training.joint.loss={ sum {} }", "data.resampling.task=a",
      "training.accumulate_batches=2", "training.moving_average.decay=0.9",
      "model.hard_sharing.trunk.layer[0].dense.regularization.l2=1",
      "model.task[name=b].additional_loss={ regression { loss: ABSOLUTE } }",
      "data.feature[name=x].use=WIDE",
      "model.task[name=a].label.only_when={ column { column: 'x' missing: true "
      "} }",
      "training.default_optimizer.adam.beta2=0.9",
      "training.group=[{ name: 'all' scope: 'trunk' }]")
  def test_refused(self, assignment):
    changes = _changes(assignment)
    self.assertNotEmpty(changes)
    self.assertEqual(compatibility.refused(changes), changes)

  @parameterized.parameters(
      ("train { csv { path: 'a' } }", True),
      ("train { csv { path: ['b', 'c'] missing_value: 'NA' } }", True),
      ("train { npz { path: 'b' } }", True),
      ("train { csv { path: 'a' } part { row_hash {} to: 0.5 } }", True),
      ("train { csv { path: 'a' } weight_column: 'w' }", False),
      ("validation { npz { path: 'v' } } test { csv { path: 't' } }", True),
      ("task: 'a'", False), ("rate: 2", False), ("at_end: STOP", False))
  def test_sources(self, source, free):
    old, new = data_pb2.Data(), data_pb2.Data()
    for data in (old, new):
      data.source.add(name="first").train.csv.path.append("x")
      data.source.add(name="second").train.csv.path.append("b")
    new.source[1].MergeFrom(text_format.Parse(source, data_pb2.TaskSource()))
    changes = compatibility.differences(old, new, "data")
    self.assertNotEmpty(changes)
    self.assertEqual(not compatibility.refused(changes), free)

  def test_names_are_compared_whole(self):
    self.assertEqual(compatibility.refused(
        ["seeds: 1 -> 2", "seed: 1 -> 2", "seed[0]: 1 -> 2", "seed.x: 1 -> 2"],
        ["seed"]), ["seeds: 1 -> 2"])

  def test_within(self):
    changes = _changes("seed=3", "data.batch_size=3", "training.num_steps=3",
                       "model.task[name=a].label.column=z",
                       "training.moving_average.decay=0.5",
                       "training.accumulate_batches=2")
    within = compatibility.within(changes, compatibility.NETWORK)
    self.assertEqual([change.split(":")[0] for change in within],
                     ["seed", "model.task[0].label.column",
                      "training.moving_average.decay"])


class ExperimentOfTest(absltest.TestCase):

  def save(self, folder, state):
    with tf.Graph().as_default(), tf.Session() as session:
      saved = checkpoints.Checkpoints(folder)
      session.run(tf.global_variables_initializer())
      return saved.save(session, state, 3)

  def test_reads_what_a_checkpoint_was_trained_under(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    experiment = config.parse(_TEXT)
    path = self.save(folder, {"experiment": config.to_text(experiment)})
    self.assertEqual(compatibility.experiment_of(path), experiment)

  def test_checkpoint_that_does_not_say_is_refused(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = self.save(folder, {})
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "does not say which experiment it is of"):
      compatibility.experiment_of(path)


if __name__ == "__main__":
  absltest.main()
