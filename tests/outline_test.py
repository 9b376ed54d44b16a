"""Tests of the names an experiment gives rise to."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.protos import data_pb2
from mtl_graph.protos import model_pb2

# graphs_test checks that the graph built has exactly these names and shapes.
_EXPERIMENT = """
data {
  feature { name: "x" numeric { size: 2 } }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 3 } }
  feature { name: "v" categorical { vocabulary: ["p", "q"]
                                    embedding_dimension: 1 } }
}
model {
  hard_sharing { trunk {
    layer { dense { units: 4 } } layer { dropout { rate: 0.5 } }
    layer { dense { units: 8 use_bias: false } }
  } }
  task { name: "b" regression {} tower { layer { dense { units: 3 } } }
         estimate { task: "a" form: PROBABILITY }
         estimate { task: "m" form: LOGIT } }
  task { name: "a" binary {} }
  task { name: "m" multiclass { num_classes: 6 } }
}
"""


def _tasks(text):
  """Makes tasks of "a<b,c d" : a reads b and c, d reads nothing."""
  tasks = []
  for part in text.split():
    name, _, reads = part.partition("<")
    task = model_pb2.Task(name=name)
    for other in reads.split(",") if reads else []:
      task.estimate.add(task=other)
    tasks.append(task)
  return tasks


class BuildTest(absltest.TestCase):

  def test_variables_in_order_of_creation(self):
    found = outline.build(config.parse(_EXPERIMENT)).variables
    self.assertEqual(list(found.items()), [
        ("embedding/c/embeddings", [6, 3]), ("embedding/v/embeddings", [3, 1]),
        ("trunk/dense/kernel", [6, 4]), ("trunk/dense/bias", [4]),
        ("trunk/dense_1/kernel", [4, 8]), ("head/a/kernel", [8, 1]),
        ("head/a/bias", [1]), ("head/m/kernel", [8, 6]), ("head/m/bias", [6]),
        ("tower/b/dense/kernel", [15, 3]), ("tower/b/dense/bias", [3]),
        ("head/b/kernel", [3, 1]), ("head/b/bias", [1])])

  def test_tensors_that_can_be_held(self):
    found = outline.build(config.parse(_EXPERIMENT)).tensors
    self.assertEqual(dict(found), {
        "embedding/c": 3, "embedding/v": 1, "trunk/dense": 4,
        "trunk/dropout": 4, "trunk/dense_1": 8, "head/a": 1, "head/m": 6,
        "tower/b/dense": 3, "head/b": 1})

  def test_uncertainty_adds_log_variances_in_the_tasks_order(self):
    experiment = config.parse(_EXPERIMENT)
    config.override(experiment, "training.joint.loss.uncertainty={}")
    plain = outline.build(config.parse(_EXPERIMENT)).variables
    found = outline.build(experiment).variables
    self.assertEqual(list(found), list(plain) + [
        "log_variance/b", "log_variance/a", "log_variance/m"])
    self.assertEqual(found["log_variance/a"], [])

  def test_goes_through_nonsense_as_far_as_it_makes_sense(self):
    found = outline.build(config.parse("""
        data { feature {} feature { name: "c" categorical {
          vocabulary_file: "/does/not/exist" embedding_dimension: 2 } } }
        model {
          hard_sharing { trunk { layer {} layer {} } }
          task { name: "a" estimate { task: "nobody" form: LOGIT } }
          task { name: "b" binary {} estimate { task: "c" form: VALUE } }
          task { name: "c" regression {} estimate { task: "b" } }
        }"""))
    self.assertEqual(found.variables["embedding/c/embeddings"], [1, 2])
    self.assertEqual(found.variables["head/a/kernel"], [3, 1])
    self.assertIn("head/c/kernel", found.variables)
    self.assertContainsSubset(["trunk/layer", "trunk/layer_1"], found.tensors)

  def test_empty_experiment(self):
    found = outline.build(config.parse(""))
    self.assertEqual((dict(found.variables), dict(found.tensors)), ({}, {}))


class LayerNamesTest(absltest.TestCase):

  def test_numbered_by_kind(self):
    stack = text_format.Parse("""
        layer { dense {} } layer { dropout {} } layer { dense {} } layer {}
        layer { dense {} } layer { dropout {} }""", model_pb2.LayerStack())
    self.assertEqual(outline.layer_names(stack), [
        "dense", "dropout", "dense_1", "layer", "dense_2", "dropout_1"])
    self.assertEqual(outline.layer_names(model_pb2.LayerStack()), [])


class EstimateOrderTest(parameterized.TestCase):

  @parameterized.parameters(
      ("a b c", "a b c"),
      ("a<b b c", "b a c"),
      ("c<b b<a a", "a b c"),
      ("a<c b c d<a,b", "b c a d"),
      ("a<d b c<b d", "b c d a"),
      ("a<nobody b", "a b"),
      ("", ""))
  def test_each_after_those_it_reads(self, text, expected):
    self.assertEqual(outline.estimate_order(_tasks(text)), expected.split())
    self.assertEqual(outline.estimate_cycle(_tasks(text)), [])

  @parameterized.parameters(
      ("a<a", "a a", "a"), ("a<b b<a", "a b a", "a b"),
      ("b<a c<b d a<c", "b a c b", "d b c a"),
      ("x<a a<b b<c,d c d<b", "b d b", "c x a b d"))
  def test_cycle_is_found_and_comes_last(self, text, cycle, order):
    self.assertEqual(outline.estimate_cycle(_tasks(text)), cycle.split())
    self.assertEqual(outline.estimate_order(_tasks(text)), order.split())

  def test_many_paths_take_no_time(self):
    # Two estimates per task: 2^40 paths, 40 tasks.
    text = " ".join(["t0", "t1"] + [f"t{i}<t{i - 1},t{i - 2}"
                                    for i in range(2, 40)])
    self.assertEqual(outline.estimate_cycle(_tasks(text)), [])


class VocabularyTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self._path = os.path.join(folder, "v.txt")

  def _write(self, content):
    with open(self._path, "wb") as file:
      file.write(content)

  @parameterized.parameters(
      (b"a\nb\n", ["a", "b"]), (b"a\nb", ["a", "b"]),
      (b"a\r\nb\r\n", ["a", "b"]), (b"\n a \n\n", [" a "]), (b"", []),
      ("é\nü\n".encode(), ["é", "ü"]))
  def test_file_has_one_entry_per_line(self, content, expected):
    self._write(content)
    for message in (data_pb2.Categorical(vocabulary_file=self._path),
                    model_pb2.Multiclass(vocabulary_file=self._path)):
      self.assertEqual(outline.vocabulary(message), expected)

  def test_in_line(self):
    self.assertEqual(
        outline.vocabulary(data_pb2.Categorical(vocabulary=["b", "a"])),
        ["b", "a"])
    self.assertEqual(outline.vocabulary(data_pb2.Categorical()), [])

  def test_unreadable_file(self):
    message = data_pb2.Categorical(vocabulary_file=self._path)
    with self.assertRaises(OSError):
      outline.vocabulary(message)
    self._write(b"\xff\xfe")
    with self.assertRaises(UnicodeDecodeError):
      outline.vocabulary(message)
    self.assertEqual(outline.category_count(message), 0)

  def test_counts(self):
    self._write(b"a\nb\nc\n")
    for kwargs, expected in (
        (dict(num_buckets=7), 7), (dict(hash_buckets=9), 9), ({}, 0),
        (dict(vocabulary=["x"]), 1), (dict(vocabulary_file=self._path), 3)):
      self.assertEqual(
          outline.category_count(data_pb2.Categorical(**kwargs)), expected)

  @parameterized.parameters(
      ("regression {}", 1), ("binary {}", 1), ("", 1),
      ("multiclass { num_classes: 4 }", 4), ("multiclass {}", 0),
      ("multiclass { vocabulary: ['a', 'b'] }", 2))
  def test_logit_count(self, text, expected):
    task = text_format.Parse(text, model_pb2.Task())
    self.assertEqual(outline.logit_count(task), expected)


class MetricNamesTest(absltest.TestCase):

  def test_every_head_has_metrics_and_forms(self):
    heads = [field.name for field in
             model_pb2.Task.DESCRIPTOR.oneofs_by_name["head"].fields]
    self.assertCountEqual(outline.METRICS, heads)
    self.assertCountEqual(outline.ESTIMATE_FORMS, heads)
    for metrics in outline.METRICS.values():
      self.assertEqual(metrics[0], "loss")

  def test_names_are_scoped_by_task(self):
    tasks = config.parse('model { task { name: "a" regression {} } '
                         'task { name: "b" binary {} } task { name: "c" } }')
    self.assertEqual(outline.metric_names(tasks.model.task), [
        "a/loss", "a/rmse", "a/mae", "a/r2", "a/normalized_mse", "b/loss",
        "b/auc", "b/log_loss", "b/accuracy", "b/f1", "b/calibration"])


if __name__ == "__main__":
  absltest.main()
