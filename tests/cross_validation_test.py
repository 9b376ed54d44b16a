"""Tests of training fold by fold."""

import contextlib
import json
import math
import os
import re
import shutil
import statistics
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

import mtl_graph
from mtl_graph import config
from mtl_graph import cross_validation
from mtl_graph import folds
from mtl_graph.data import splits

_TEXT = """
name: "small" seed: 3
data {
  train { npz { path: "rows.npz" } }
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} }
  task { name: "b" regression {} }
}
training {
  num_steps: 6
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
  summaries { enabled: false }
}
"""


def _rows(seed, count):
  random = np.random.default_rng(seed)
  x = random.normal(size=count)
  return {"x": x, "a": (x > 0).astype(float), "b": 2 * x + 1,
          "user": np.array([f"u{i % 9}" for i in range(count)])}


def _cross_validate(lines, *overrides, count=3, **kwargs):
  """Trains in the working directory; the log goes to `lines`."""
  return cross_validation.cross_validate(
      _TEXT, count, "run", overrides=overrides, log=lines.append, **kwargs)


class CrossValidateTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.enter_context(contextlib.chdir(folder))
    np.savez("rows.npz", **_rows(0, 60))
    self._lines = []

  def _run(self, *overrides, **kwargs):
    self._lines = []
    return _cross_validate(self._lines, *overrides, **kwargs)

  def _log(self, pattern):
    return [line for line in self._lines if re.search(pattern, line)]


class ThreeFoldsTest(CrossValidateTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._said = []
    with contextlib.chdir(cls._folder):
      np.savez("rows.npz", **_rows(0, 60))
      cls._whole = _cross_validate(cls._said)

  def setUp(self):
    """Starts every test where the run has ended."""
    super().setUp()
    shutil.copytree(self._folder, ".", dirs_exist_ok=True)
    self._lines = list(self._said)

  def test_every_row_is_measured_once(self):
    rows = [tuple(map(int, re.search(r"train (\d+), validation (\d+)",
                                     line).groups()))
            for line in self._log("^rows: ")]
    self.assertLen(rows, 3)
    self.assertEqual([sum(pair) for pair in rows], [60] * 3)
    self.assertEqual(sum(validation for _, validation in rows), 60)

  def test_figures_are_those_of_the_runs(self):
    result = self._whole
    self.assertEqual([r.step for r in result.results], [6] * 3)
    self.assertEqual([os.path.dirname(r.checkpoint) for r in result.results],
                     [f"run/fold-{i}" for i in range(3)])
    self.assertEqual(list(result.metrics), ["validation"])
    for task, name in (("a", "auc"), ("b", "rmse")):
      values = []
      for i in range(3):
        with open(f"run/fold-{i}/metrics.json", encoding="utf-8") as file:
          values.append(json.load(file)["validation"][task][name])
      spread = result.metrics["validation"][task][name]
      self.assertEqual(spread.values, values)
      self.assertAlmostEqual(spread.mean, statistics.fmean(values))
      self.assertAlmostEqual(spread.standard_deviation,
                             statistics.stdev(values))
      self.assertEqual((spread.min, spread.max), (min(values), max(values)))
    # Each fold is a run of its own experiment, without the others' rows.
    self.assertLen({r.metrics["validation"]["b"]["rmse"]
                    for r in result.results}, 3)

  def test_goes_on_where_it_was_killed(self):
    shutil.rmtree("run/fold-2")
    os.remove("run/cross_validation.json")
    # As if killed in fold 1: its first steps are there, its result is not.
    shutil.rmtree("run/fold-1")
    fold = folds.split(config.parse(_TEXT), 3)[1]
    mtl_graph.train(fold, model_dir="run/fold-1", log=self._lines.append,
                    overrides=["training.num_steps=2"])
    before = os.stat("run/fold-0/finished.json").st_mtime_ns
    resumed = self._run()
    self.assertEqual(resumed, self._whole)
    self.assertEqual(os.stat("run/fold-0/finished.json").st_mtime_ns, before)
    self.assertLen(self._log("^nothing left to do: step 6 of 6"), 1)
    self.assertLen(self._log("^going on from step 2$"), 1)
    self.assertTrue(os.path.exists("run/cross_validation.json"))

  def test_another_number_of_folds_needs_another_folder(self):
    with self.assertRaisesRegex(config.ConfigErrors, "data.train"):
      self._run(count=2)


class TwoFoldsTest(CrossValidateTest):

  def test_what_is_written_and_printed(self):
    np.savez("test.npz", **_rows(1, 10))
    result = self._run("data.test={ npz { path: 'test.npz' } }", count=2,
                       key_column="user")
    with open("run/cross_validation.json", encoding="utf-8") as file:
      written = json.load(file)
    self.assertEqual(written["folds"], 2)
    self.assertEqual(written["key_column"], "user")
    self.assertEqual([run["step"] for run in written["runs"]], [6, 6])
    spread = result.metrics["validation"]["b"]["mae"]
    self.assertEqual(written["metrics"]["validation"]["b"]["mae"],
                     spread._asdict())
    self.assertStartsWith(self._lines[-1], "metrics over 2 folds:\n")
    self.assertRegex(
        self._lines[-1], rf"\n  b +validation +mae +{spread.mean:.4f} +"
        rf"{spread.standard_deviation:.4f} +{spread.min:.4f} +{spread.max:.4f}"
        " +2(\n|$)")
    # Every fold measures the test rows, which are none of its own.
    self.assertEqual(list(result.metrics), ["validation", "test"])
    spread = result.metrics["test"]["b"]["rmse"]
    self.assertEqual(spread.values, [r.metrics["test"]["b"]["rmse"]
                                     for r in result.results])
    self.assertLen(self._log("validation [0-9]+, test 10;"), 2)

  def test_keys_stay_together(self):
    keys = []
    for fold in folds.split(config.parse(_TEXT), 2, "user"):
      # The split's keys come along where evaluation groups rows by them.
      fold.evaluation.slice.add(column="user")
      part = splits.read(fold, "validation")
      keys.append(set(part.groups["user"]))
    self.assertEqual(set.union(*keys), {f"u{i}" for i in range(9)})
    self.assertEmpty(set.intersection(*keys))

  def test_nothing_is_exported_and_the_log_says_what_is_not_used(self):
    result = self._run(
        "serving={}", "data.validation={ npz { path: 'nowhere.npz' } }",
        "evaluation={ every_steps: 3 best { metric: 'b/rmse' goal: MINIMIZE } }"
        , count=2)
    self.assertEqual([r.export_path for r in result.results], [None, None])
    self.assertFalse(os.path.exists("run/fold-0/export"))
    self.assertLen(self._log("^data.validation: not read"), 1)
    self.assertLen(self._log("^serving: nothing is exported"), 1)
    self.assertLen(self._log("^warning: evaluation.best chooses by the rows"),
                   1)

  def test_the_folder_is_runs_and_the_name(self):
    experiment = config.parse(_TEXT)
    result = cross_validation.cross_validate(experiment, 2,
                                             log=self._lines.append)
    self.assertStartsWith(result.results[1].checkpoint, "runs/small/fold-1/")
    # The caller's experiment stays as it is.
    self.assertEqual(experiment, config.parse(_TEXT))

  @parameterized.named_parameters(("columns", lambda rows: rows),
                                  ("train", lambda rows: {"train": rows}))
  def test_arrays(self, arrays_of):
    os.remove("rows.npz")
    result = self._run(count=2, arrays=arrays_of(_rows(0, 60)))
    self.assertEqual(list(result.metrics), ["validation"])
    counts = re.findall(r"validation (\d+)", "".join(self._log("^rows: ")))
    self.assertEqual(sum(map(int, counts)), 60)

  @parameterized.named_parameters(
      ("folds", {"count": 1}, (), "^--folds: found 1; allowed: at least 2$"),
      ("part", {}, ("data.train.part={ row_hash {} }",), "^data.train.part: "),
      ("experiment", {}, ("training.num_steps=0",), "^training.num_steps: "))
  def test_refused(self, kwargs, overrides, message):
    with self.assertRaisesRegex(config.ConfigErrors, message):
      self._run(*overrides, **kwargs)
    self.assertFalse(os.path.exists("run"))


class SpreadsTest(absltest.TestCase):

  def _spread(self, *values):
    folds_metrics = [{"validation": {"a": {"auc": value}}} for value in values]
    spreads = cross_validation.spreads(folds_metrics)
    return spreads["validation"]["a"]["auc"], cross_validation.table(spreads)

  def test_folds_without_a_number_are_left_out(self):
    spread, table = self._spread(0.5, math.nan, 0.75, 1.0)
    self.assertAlmostEqual(spread.mean, 0.75)
    self.assertAlmostEqual(spread.standard_deviation, 0.25)
    self.assertEqual((spread.min, spread.max), (0.5, 1.0))
    self.assertRegex(table.split("\n")[1], " 3$")

  def test_a_single_number_does_not_deviate(self):
    spread, table = self._spread(0.5, math.nan)
    self.assertEqual((spread.mean, spread.min, spread.max), (0.5, 0.5, 0.5))
    self.assertTrue(math.isnan(spread.standard_deviation))
    self.assertRegex(table, r"0.5000 +- +0.5000 +0.5000 +1$")

  def test_no_number_at_all(self):
    spread, table = self._spread(math.nan, math.nan)
    self.assertTrue(all(map(math.isnan, spread[:4])))
    self.assertRegex(table, r"auc +- +- +- +- +0$")


if __name__ == "__main__":
  absltest.main()
