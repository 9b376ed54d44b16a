"""Tests of what a run looks at before it starts."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import labels
from mtl_graph.data import sources
from mtl_graph.training import preparation

_TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric {} }
  feature { name: "c" categorical {
    counted_vocabulary { capacity: 3 min_count: 2 } embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 } } } }
  task { name: "a" binary {} }
}
training {
  num_steps: 20
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
}
"""
_RAW = {"x": np.zeros(9), "c": np.array(
    ["u", "v", "u", "w", "", "v", "u", "z", "z"], object)}


def _experiment(*overrides):
  experiment = config.parse(_TEXT)
  for assignment in overrides:
    config.override(experiment, assignment)
  return experiment


def _length(assignment, batch_size=8, accumulate=1):
  experiment = _experiment(f"data.batch_size={batch_size}",
                           f"training.accumulate_batches={accumulate}")
  experiment.training.ClearField("num_steps")
  config.override(experiment, assignment)
  return experiment


class LengthTest(parameterized.TestCase):

  @parameterized.parameters(
      (1, 30, 8, 1, 4), (2, 30, 8, 1, 8), (2, 32, 8, 1, 8), (0.5, 30, 8, 1, 2),
      (1, 30, 8, 2, 2), (3, 7, 70, 1, 1), (0.001, 30, 8, 1, 1),
      # In binary these come to a trifle more than a whole number.
      (1.1, 10, 1, 1, 11), (2.2, 15, 3, 1, 11), (0.07, 100, 1, 1, 7),
      (1e-3, 10 ** 6, 1, 1, 1000))
  def test_epochs_as_steps(self, epochs, rows, batch_size, accumulate,
                           expected):
    experiment = _length(f"training.num_epochs={epochs}", batch_size,
                         accumulate)
    self.assertEqual(preparation.num_steps(experiment, rows), expected)
    self.assertEqual(preparation.length_field(experiment),
                     "training.num_epochs")

  def test_every_row_is_seen_as_often(self):
    for rows in range(1, 30):
      for epochs in (1, 2, 5):
        steps = preparation.num_steps(
            _length(f"training.num_epochs={epochs}", 7), rows)
        self.assertGreaterEqual(steps * 7, epochs * rows)
        self.assertLess((steps - 1) * 7, epochs * rows)

  def test_steps_are_steps(self):
    experiment = _length("training.num_steps=20", 8, 3)
    self.assertEqual(preparation.num_steps(experiment, 30), 20)
    self.assertEqual(preparation.length_field(experiment), "training.num_steps")


class ThreadsTest(parameterized.TestCase):

  @parameterized.parameters(
      (1, []), (1, ["training.execution.mode=LOOP"]),
      (1, ["training.num_steps=19999"]), (0, ["training.num_steps=20000"]),
      (1, ["training.num_steps=20000", "training.execution.mode=SESSION"]),
      (0, ["training.execution.mode=XLA"]),
      # The kernel has 3 inputs and 4 units.
      (1, ["data.batch_size=2083333"]), (0, ["data.batch_size=2083334"]),
      (0, ["model.hard_sharing.trunk.layer=[{dense {units: 2000}}, "
           "{dense {units: 2000}}]"]),
      (0, ["data.feature=[{name: 'x' image {height: 8 width: 8}}]",
           "model.hard_sharing.trunk.layer=[{conv2d {filters: 2 kernel_size: 3"
           "}}, {flatten {}}]"]))
  def test_small_products_are_left_to_one(self, expected, overrides):
    self.assertEqual(preparation.threads(_experiment(*overrides)), expected)

  def test_independent_training_counts_iterations(self):
    experiment = _length("training.num_rounds=1000")
    config.override(experiment, "training.independent={ task { name: 'a' "
                    "iterations: 20 } }")
    self.assertEqual(preparation.threads(experiment), 0)
    experiment.training.num_rounds = 999
    self.assertEqual(preparation.threads(experiment), 1)


class EpochTest(absltest.TestCase):

  _LABELS = labels.Labels(np.array([[0], [0], [0], [0], [1], [0]]),
                          np.array([[1], [2], [1], [1], [1], [0]]))

  def test_is_all_rows_in_order(self):
    self.assertEqual(preparation.rows_of_epoch(
        _experiment(), self._LABELS), range(6))

  def test_is_resampled_where_asked_for(self):
    over = preparation.rows_of_epoch(
        _experiment("data.resampling.task=a"), self._LABELS)
    # Four of either label, and the row without one.
    self.assertEqual(over.tolist(), [0, 1, 2, 3, 4, 4, 4, 4, 5])
    under = preparation.rows_of_epoch(
        _experiment("data.resampling={ task: 'a' method: UNDERSAMPLE }"),
        self._LABELS).tolist()
    self.assertLen(under, 3)
    self.assertEqual(under[1:], [4, 5])


class VocabularyTest(absltest.TestCase):

  def test_counts_the_categories_of_the_training_rows(self):
    experiment = _experiment()
    counted = preparation.count_vocabularies(experiment, _RAW)
    self.assertEqual(list(counted.data.feature[1].categorical.vocabulary),
                     ["u", "v", "z"])
    self.assertEqual(experiment, _experiment())

  def test_those_known_keep_their_rows(self):
    counted = preparation.count_vocabularies(_experiment(
        "data.feature[name=c].categorical.vocabulary=['old', 'z']"), _RAW)
    self.assertEqual(list(counted.data.feature[1].categorical.vocabulary),
                     ["old", "z", "u"])

  def test_sets_are_counted_value_by_value(self):
    experiment = _experiment(
        "data.feature[name=c].categorical.values.max_values=2")
    counted = preparation.count_vocabularies(experiment, {"c": np.array(
        [["u", "v"], ["v", ""], ["w", "v"], ["w", ""]], object)})
    self.assertEqual(list(counted.data.feature[1].categorical.vocabulary),
                     ["v", "w"])


class SettleTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _save(self, folder, vocabulary, feature="c"):
    """Saves a checkpoint of a run that has counted a vocabulary."""
    experiment = _experiment(
        f"data.feature[name=c].categorical.vocabulary={vocabulary}",
        f"data.feature[name=c].name={feature}")
    with tf.Graph().as_default(), tf.Session() as session:
      saved = checkpoints.Checkpoints(os.path.join(self._folder, folder))
      session.run(tf.global_variables_initializer())
      saved.save(session, {"experiment": config.to_text(experiment)}, 3)

  def _settled(self, *overrides):
    settled = preparation.settle(_experiment(*overrides),
                                 os.path.join(self._folder, "run"))
    return list(settled.data.feature[1].categorical.vocabulary)

  def _warm(self, *folders, more=""):
    return "training.warm_start=[" + ", ".join(
        f"{{ checkpoint: '{self._folder}/{folder}' {more} }}"
        for folder in folders) + "]"

  def test_a_new_run_has_counted_nothing(self):
    self.assertEmpty(self._settled())

  def test_a_run_keeps_its_own(self):
    self._save("run", "['p', 'q']")
    self._save("other", "['r']")
    self.assertEqual(self._settled(), ["p", "q"])
    warm = self._warm("other")
    self.assertEqual(self._settled(warm), ["p", "q"])

  def test_a_new_run_keeps_those_of_the_one_it_starts_from(self):
    self._save("other", "['p', 'q']")
    warm = self._warm("other")
    self.assertEqual(self._settled(warm), ["p", "q"])

  def test_a_vocabulary_that_does_not_go_on_is_refused(self):
    self._save("other", "['p', 'q']")
    stated = ("data.feature[name=c].categorical={ vocabulary: ['p', 'x', 'q'] "
              "embedding_dimension: 2 }")
    self.assertEqual(self._settled(stated), ["p", "x", "q"])
    with self.assertRaisesRegex(
        config.ConfigErrors, r"^data.feature\[1\].categorical.vocabulary\[1\]: "
        "found 'x' where the checkpoint that the run starts from has 'q'; "
        "allowed: its entries in their order, new ones behind them$"):
      self._settled(stated, self._warm("other"))

  def test_of_several_those_of_the_first_that_has_them(self):
    self._save("one", "['p', 'q']")
    self._save("other", "['p']")
    self._save("third", "[]", "d")
    for folders, expected in ((("one", "other"), ["p", "q"]),
                              (("third", "other"), ["p"])):
      self.assertEqual(self._settled(self._warm(*folders)), expected)

  def test_another_order_in_a_later_one_is_refused_where_it_counts(self):
    self._save("one", "['p']")
    self._save("other", "['q', 'p']")
    with self.assertRaisesRegex(
        config.ConfigErrors, r"^data.feature\[1\].categorical.vocabulary\[0\]: "
        r"found 'p' where the checkpoint of training.warm_start\[1\] has 'q'; "
        "allowed: its entries in their order, new ones behind them$"):
      self._settled(self._warm("one", "other"))
    self.assertEqual(self._settled(
        self._warm("one", "other", more="scope: 'head'")), ["p"])

  def test_a_renamed_table_comes_with_its_categories(self):
    self._save("other", "['p', 'q']", "d")
    self.assertEmpty(self._settled(self._warm("other")))
    self.assertEqual(self._settled(self._warm(
        "other", more="rename { saved: 'embedding/d' here: 'embedding/c' }")),
                     ["p", "q"])

  def test_files_are_taken_in(self):
    path = os.path.join(self._folder, "cities.txt")
    with open(path, "w", encoding="utf-8") as file:
      file.write("oslo\nbern\n")
    self.assertEqual(self._settled(
        "data.feature[name=c].categorical={ vocabulary_file: '" + path
        + "' embedding_dimension: 2 }"), ["oslo", "bern"])


class DescribeTest(absltest.TestCase):

  _ARRAYS = {"train": {**_RAW, "a": np.arange(9) % 2}}

  def test_reads_the_rows_and_builds_the_graph(self):
    table = preparation.describe(_experiment(), self._ARRAYS)
    self.assertRegex(table, r"embedding/c/embeddings +4x2 +8 +shared")
    self.assertRegex(table, r"head/a/bias +1 +1 +a\n")

  def test_refuses_what_the_step_refuses(self):
    with self.assertRaisesRegex(config.ConfigErrors,
                                "no task's loss reaches group 'shared'"):
      preparation.describe(_experiment("model.stop_gradient=trunk/dense"),
                           self._ARRAYS)

  def test_refuses_rows_that_do_not_fit(self):
    with self.assertRaisesRegex(sources.DataError, "no column 'a'"):
      preparation.describe(_experiment(), {"train": _RAW})


if __name__ == "__main__":
  absltest.main()
