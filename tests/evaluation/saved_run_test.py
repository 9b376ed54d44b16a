"""Tests of opening a trained run again."""

import json
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import sources
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from mtl_graph.training import loop

_TEXT = """
name: "small" seed: 3
data {{
  train {{ npz {{ path: "{0}/train.npz" }} }}
  validation {{ npz {{ path: "{0}/validation.npz" }} }}
  test {{ npz {{ path: "{0}/test.npz" }} }}
  batch_size: 8
  feature {{ name: "x" numeric {{ normalization: Z_SCORE }} }}
  feature {{ name: "c" categorical {{ vocabulary: ["u", "v"]
                                      embedding_dimension: 2 }} }}
}}
model {{
  hard_sharing {{ trunk {{ layer {{ dense {{ units: 4 activation: TANH }} }}
                           layer {{ dropout {{ rate: 0.5 }} }} }} }}
  task {{ name: "a" binary {{}} }}
  task {{ name: "b" label {{ scale: 0.5 }} regression {{}} }}
}}
training {{
  num_steps: 12
  joint {{ loss {{ uncertainty {{}} }} }}
  default_optimizer {{ adam {{ learning_rate {{ constant: 0.05 }} }} }}
  checkpoint {{ every_steps: 4 keep: 9 }}
  summaries {{ enabled: false }}
}}
evaluation {{ every_steps: 2 best {{ metric: "b/rmse" goal: MAXIMIZE }} }}
"""


def _rows(seed, count):
  random = np.random.default_rng(seed)
  x = random.normal(5, 3, count)
  return {"x": x, "c": random.choice(["u", "v", ""], count),
          "a": np.where(random.random(count) < 0.3, np.nan, x > 5), "b": 2 * x}


class SavedRunTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    for seed, (split, count) in enumerate(
        (("train", 30), ("validation", 20), ("test", 10))):
      np.savez(os.path.join(cls._folder, split + ".npz"), **_rows(seed, count))
    cls._model_dir = os.path.join(cls._folder, "run")
    cls._calls = []
    cls._result = loop.train(
        cls._experiment("serving={}"), cls._model_dir,
        exporter=lambda *call: cls._calls.append(call) or "v",
        log=lambda line: None)

  @classmethod
  def _experiment(cls, *overrides):
    experiment = config.parse(_TEXT.format(cls._folder))
    for assignment in overrides:
      config.override(experiment, assignment)
    return experiment

  def _evaluate(self, *overrides, which="", arrays=None):
    self._lines = []
    return saved_run.evaluate(self._experiment(*overrides), self._model_dir,
                              which, arrays, log=self._lines.append)

  def test_the_best_comes_to_what_training_measured(self):
    self.assertIn("/best/", self._result.checkpoint)
    found = self._evaluate()
    self.assertEqual(found, self._result.metrics)
    self.assertLen(self._lines, 1)
    self.assertStartsWith(self._lines[0],
                          f"metrics of {self._result.checkpoint}")
    with open(os.path.join(self._model_dir, "metrics.json"),
              encoding="utf-8") as file:
      self.assertEqual(json.load(file), {
          "checkpoint": self._result.checkpoint, **found})

  @parameterized.parameters("latest", "path")
  def test_another_checkpoint(self, which):
    latest = checkpoints.latest(self._model_dir)
    found = self._evaluate(which=latest if which == "path" else which)
    self.assertIn(latest, self._lines[0])
    self.assertNotEqual(found, self._result.metrics)

  def test_batch_size_changes_nothing(self):
    found = self._evaluate("evaluation.batch_size=3")
    for split, tasks in self._result.metrics.items():
      for task, values in tasks.items():
        np.testing.assert_allclose(list(found[split][task].values()),
                                   list(values.values()), rtol=1e-5)

  def test_arrays_take_the_place_of_files(self):
    found = self._evaluate(arrays={"test": _rows(1, 20)})
    self.assertEqual(found, {"test": self._result.metrics["validation"]})

  def test_a_split_that_is_not_there_is_left_out(self):
    experiment = self._experiment()
    experiment.data.ClearField("validation")
    found = saved_run.evaluate(experiment, self._model_dir,
                               log=lambda line: None)
    self.assertEqual(found, {"test": self._result.metrics["test"]})
    experiment.data.ClearField("test")
    with self.assertRaisesRegex(config.ConfigErrors,
                                "^data: found neither validation nor test"):
      saved_run.evaluate(experiment, self._model_dir)

  def test_statistics_are_those_of_the_training_rows(self):
    # They come from the checkpoint: other training rows change nothing.
    np.savez(os.path.join(self._folder, "other.npz"), **_rows(7, 30))
    found = self._evaluate(
        f"data.train.npz.path={self._folder}/other.npz")
    self.assertEqual(found, self._result.metrics)

  @parameterized.named_parameters(
      ("layer", "model.hard_sharing.trunk.layer[0].dense.units=5",
       r"^model.hard_sharing.trunk.layer\[0\].dense.units: 4 -> 5 since "
       "training in .*; allowed: the network that was trained$"),
      ("feature", "data.feature[name=c].categorical.embedding_dimension=3",
       r"^data.feature\[1\].categorical.embedding_dimension: 2 -> 3"),
      ("label", "model.task[name=b].label.scale=2",
       r"^model.task\[1\].label.scale: 0.5 -> 2.0"),
      ("missing_value", "data.feature[name=x].numeric.missing_value=0",
       r"^data.feature\[0\].numeric.missing_value: "))
  def test_another_network_is_refused(self, assignment, message):
    with self.assertRaisesRegex(config.ConfigErrors, message):
      saved_run.open_run(self._experiment(assignment), self._model_dir)

  def test_other_training_is_not(self):
    run = saved_run.open_run(
        self._experiment("training.num_steps=99", "data.batch_size=3",
                         "training.default_optimizer.adam.beta1=0.5"),
        self._model_dir)
    with run.session:
      self.assertEqual(run.checkpoint, self._result.checkpoint)

  def test_nothing_trained(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                f"^{folder}: found no checkpoint"):
      saved_run.open_run(self._experiment(), folder)

  def test_a_checkpoint_of_another_network(self):
    # Its own experiment tells, whatever stands beside it.
    folder = self.enter_context(tempfile.TemporaryDirectory())
    os.rename(os.path.join(self._model_dir, "experiment.pbtxt"),
              os.path.join(folder, "experiment.pbtxt"))
    self.addCleanup(os.rename, os.path.join(folder, "experiment.pbtxt"),
                    os.path.join(self._model_dir, "experiment.pbtxt"))
    with self.assertRaisesRegex(config.ConfigErrors, r"^model.task\[0\].name: "
                                "a -> z since training in "):
      saved_run.open_run(self._experiment("model.task[name=a].name=z"),
                         self._model_dir)

  def test_data_errors_pass_through(self):
    with self.assertRaisesRegex(sources.DataError,
                                r"^arrays\['test'\]: no column 'b'"):
      self._evaluate(arrays={"test": {"x": [1.0], "c": ["u"], "a": [1]}})

  def test_sample_is_what_training_hands_to_the_exporter(self):
    run = saved_run.open_run(self._experiment(), self._model_dir)
    with run.session:
      rows = splits.read(self._experiment(), "validation")
      raw, expected = run.evaluator.sample(rows)
      few, some = run.evaluator.sample(rows, rows=3)
    (unused_experiment, checkpoint, trained_raw, trained_expected,
     unused_record, unused_try), = self._calls
    self.assertEqual(checkpoint, run.checkpoint)
    self.assertEqual({name: values.tolist() for name, values in raw.items()},
                     {name: values.tolist()
                      for name, values in trained_raw.items()})
    for task, keyed in trained_expected.items():
      for key, values in keyed.items():
        np.testing.assert_array_equal(expected[task][key], values)
        np.testing.assert_allclose(some[task][key], values[:3], rtol=1e-5)
    self.assertLen(few["x"], 3)


if __name__ == "__main__":
  absltest.main()
