"""An experiment with a part of every kind, from its rows to its export."""

import json
import os
import signal
import tempfile

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph
from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from mtl_graph.training import interruption
from mtl_graph.training import loop
from tests import every_part

_SUFFIX = "/ExponentialMovingAverage"
_ARRAYS = {"train": every_part.rows(0), "validation": every_part.rows(1, 40),
           "test": every_part.rows(2, 30)}


def _values(path):
  """Returns every variable of a checkpoint by name."""
  reader = tf.train.load_checkpoint(path)
  return {name: np.asarray(reader.get_tensor(name))
          for name in reader.get_variable_to_shape_map()}


class EveryPartTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._model_dir = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._lines = []
    cls._result = mtl_graph.train(every_part.TEXT, _ARRAYS, cls._model_dir,
                                  log=cls._lines.append)
    with open(os.path.join(cls._model_dir, "metrics.json"),
              encoding="utf-8") as file:
      cls._json = json.load(file)

  def test_two_epochs_of_the_rows_as_resampled(self):
    # 59 rows are left; the labels are balanced, rows without one come once.
    yes = _ARRAYS["train"]["yes"][:-1]
    rows = 2 * max(np.sum(yes == 0), np.sum(yes == 1)) + np.isnan(yes).sum()
    self.assertEqual(self._result.step, -(-2 * rows // 40))
    line, = [l for l in self._lines if l.startswith("rows: ")]
    self.assertStartsWith(
        line, f"rows: train 59 (1 dropped, {rows} an epoch as resampled), "
        "validation 39 (1 dropped), test 29 (1 dropped); ")

  def test_every_variable_of_the_network_has_moved(self):
    found = _values(checkpoints.newest(self._model_dir))
    averaged = [name for name in found if name.endswith(_SUFFIX)]
    self.assertLen(averaged, 89)
    for name in averaged:
      self.assertTrue(np.any(found[name] != found[name[:-len(_SUFFIX)]]), name)

  def test_vocabulary_is_counted_and_kept(self):
    experiment = compatibility.experiment_of(self._result.checkpoint)
    cities, counts = np.unique(_ARRAYS["train"]["city"][:-1],
                               return_counts=True)
    expected = [city for _, city in sorted(zip(-counts, cities)) if city]
    self.assertEqual(list(experiment.data.feature[3].categorical.vocabulary),
                     expected)

  def test_the_best_is_by_the_grouped_area(self):
    best = checkpoints.read_state(checkpoints.newest(self._model_dir))["best"]
    found = self._result.metrics["validation"]["yes"]["grouped_auc"]
    self.assertEqual(best["measured"][:2], ["yes/grouped_auc", "MAXIMIZE"])
    self.assertAlmostEqual(best["value"], found)
    self.assertEqual(checkpoints.step_of(self._result.checkpoint), best["step"])
    # None of those that were not kept was better.
    run = saved_run.open_run(config.parse(every_part.TEXT), self._model_dir,
                             "latest")
    with run.session:
      rows = splits.read(run.experiment, "validation", _ARRAYS["validation"])
      last = run.evaluator.evaluate(run.evaluator.transform(rows), rows.groups)
    self.assertLessEqual(last["yes"]["grouped_auc"], found)

  def test_evaluation_comes_to_the_same(self):
    lines = []
    metrics = saved_run.evaluate(config.parse(every_part.TEXT), self._model_dir,
                                 arrays=_ARRAYS, log=lines.append)
    self.assertEqual(metrics, self._result.metrics)
    self.assertIn(lines[0], self._lines)
    with open(os.path.join(self._model_dir, "metrics.json"),
              encoding="utf-8") as file:
      self.assertEqual(json.load(file), self._json)

  def test_metrics_are_printed_and_written(self):
    self.assertEqual(list(self._json), ["checkpoint", "validation", "test",
                                        "slices", "confusion"])
    report, = [l for l in self._lines if l.startswith("metrics of ")]
    for split in ("validation", "test"):
      self.assertContainsSubset(
          ["precision_at_0.25", "recall_at_top_10", "grouped_auc"],
          self._json[split]["yes"])
      cities = self._json["slices"][split]["city"]
      self.assertLen(cities, 2)
      for city, one in cities.items():
        self.assertEqual(one["rows"], np.sum(
            _ARRAYS[split]["city"][:-1] == city))
        self.assertEqual(list(one["metrics"]), list(self._json[split]))
        self.assertIn(f"{city or '(none)'} ({one['rows']})", report)
      labels = _ARRAYS[split]["class"][:-1]
      matrix = self._json["confusion"][split]["class"]["matrix"]
      self.assertEqual(np.sum(matrix, 1).tolist(),
                       [np.sum(labels == c) for c in range(3)])
      self.assertIn(f"{split} by city:", report)
      self.assertIn(f"{split}, class:", report)

  def test_export_answers_as_the_averages_do(self):
    exported = _values(os.path.join(self._result.export_path, "variables",
                                    "variables"))
    trained = _values(self._result.checkpoint)
    for name, value in exported.items():
      self.assertEqual(
          value.tobytes(), trained.get(name + _SUFFIX, trained[name]).tobytes(),
          name)
    run = saved_run.open_run(config.parse(every_part.TEXT), self._model_dir)
    with run.session:
      rows = splits.read(run.experiment, "test", _ARRAYS["test"])
      expected = run.evaluator.predict(run.evaluator.transform(rows))
    with mtl_graph.load(self._result.export_path) as export:
      found = export.predict({name: values[:-1] for name, values in
                              _ARRAYS["test"].items()})
    self.assertLen(found, 15)
    for task, keyed in expected.items():
      for key, values in keyed.items():
        np.testing.assert_allclose(found[f"{task}/{key}"], values, rtol=1e-5,
                                   atol=1e-5)

  def test_going_on_is_to_the_bit_as_if_never_stopped(self):
    experiment = config.parse(every_part.TEXT)
    experiment.ClearField("serving")
    experiment.training.log_every_steps = 1
    folder = self.enter_context(tempfile.TemporaryDirectory())

    def terminate(line):
      if line.startswith("step 1/"):
        os.kill(os.getpid(), signal.SIGTERM)

    with self.assertRaisesRegex(interruption.Interrupted, "at step 1; saved"):
      loop.train(experiment, folder, _ARRAYS, log=terminate)
    result = loop.train(experiment, folder, _ARRAYS, log=lambda line: None)
    self.assertEqual(result.metrics, self._result.metrics)
    expected = _values(checkpoints.newest(self._model_dir))
    found = _values(checkpoints.newest(folder))
    self.assertCountEqual(found, expected)
    # The text of the experiment says how often the log is written.
    self.assertEqual([name for name in found if name != "run_state" and
                      found[name].tobytes() != expected[name].tobytes()], [])


if __name__ == "__main__":
  absltest.main()
