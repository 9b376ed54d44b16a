"""Compares every way to weigh losses and gradients on real data.

On the census data all methods are compared, on Tox21 and MultiMNIST some, each
beside the tasks trained by themselves on the same network. Every method has the
same budget: three trials with seed 1, one for each of three learning rates, or,
where task weights are to be chosen, for three draws of them at the rate that the
plain sum has chosen. The one with the lowest delta-m on validation rows is
trained with further seeds, and only its test metrics are looked at:

  delta-m = 100 / T sum_t (-1)^(higher is better) (M_t - B_t) / B_t

M_t is the method's metric of a task and B_t that of the task by itself, which
had the same budget, meaned over seeds; below 0 is better.

Whatever has been run is a line of JSON in --output_dir, and not run again: the
same command goes on. --do=time takes the time of steps, for which the machine
should have nothing else to do, and --do=page writes the page.
"""

import datetime
import hashlib
import importlib.metadata
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List

from absl import flags

# Run as a script, only the folder of this file is on the path.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
import mtl_graph
from mtl_graph import importing
from mtl_graph import launching

importing.start_tensorflow()
from mtl_graph import api
from mtl_graph import config
from tools.benchmarking import report
from tools.comparing import data
from tools.comparing import ledger
from tools.comparing import methods
from tools.comparing import page

_FLAGS = flags.FlagValues()
flags.DEFINE_multi_enum("data", list(data.DATASETS), list(data.DATASETS),
                        "Data sets.", flag_values=_FLAGS)
flags.DEFINE_string(
    "census", "../shared/data/census_income/census-income.test.gz",
    "Path of census-income.test.gz.", flag_values=_FLAGS)
flags.DEFINE_string(
    "tox21", "../shared/data/tox21/derived_ecfp4_1024.npz",
    "Path of derived_ecfp4_1024.npz.", flag_values=_FLAGS)
flags.DEFINE_string(
    "multimnist", "../shared/data/mnist",
    "Folder of t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz.",
    flag_values=_FLAGS)
flags.DEFINE_string("output_dir", "runs/compare_methods",
                    "Folder of what runs came to.", flag_values=_FLAGS)
flags.DEFINE_enum("do", "run", ["run", "time", "page"], "What to do.",
                  flag_values=_FLAGS)
flags.DEFINE_string("page", "docs/methods-table.md", "The page to write.",
                    flag_values=_FLAGS)
flags.DEFINE_integer("seeds", 3, "How many seeds, from 1 on.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_multi_string("method", [], "Methods; unset: all of a data set.",
                          flag_values=_FLAGS)

# A timing: steps per line of the log, and lines, the first one not counted.
_TIMED_STEPS, _TIMED_LINES = 25, 9


class Missing(Exception):
  """A run that has not been done, where none is to be done."""


class Runs:
  """Runs experiments on one data set, none twice."""

  def __init__(self, name: str, path: str, folder: str, seeds: int,
               look_only: bool = False):
    """Reads the data set.

    Args:
      name: Its name.
      path: The data as published.
      folder: Where the ledger is.
      seeds: How many seeds, from 1 on.
      look_only: Whether a run that has not been done raises `Missing`.
    """
    self._look_only = look_only
    self.dataset = data.DATASETS[name]
    self._name, self._seeds = name, seeds
    self._columns = self.dataset.read(path)
    self._digest = hashlib.sha256(repr([
        (split, column, values.tobytes() if values.dtype != object
         else tuple(values)) for split, some in sorted(self._columns.items())
        for column, values in sorted(some.items())]).encode()).hexdigest()[:16]
    self.base = data.experiment_of(self.dataset)
    self.tasks = [task.name for task in self.base.model.task]
    self._ledger = ledger.Ledger(os.path.join(folder, f"{name}.jsonl"))

  def run(self, method: str, experiment, seed: int) -> Dict[str, Any]:
    """Returns each task's metric by split, of a run done now or before."""
    experiment = api.experiment_of(experiment, [f"seed={seed}"])
    key = {"method": method, "seed": seed, "basis": self._basis(experiment)}
    kept = self._ledger.find(key)
    if kept is not None:
      return kept
    if self._look_only:
      raise Missing(method)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as model_dir:
      result = api.train(experiment, self._columns, model_dir,
                         log=lambda line: None)
    found = {split: {task: values[data.measured(self.dataset, task)[0]]
                     for task, values in tasks.items()}
             for split, tasks in result.metrics.items()}
    self._ledger.add(key, found)
    print(f"{self._name}: {method}, {methods.described(experiment)}, seed "
          f"{seed}: " + " ".join(f"{v:.4f}" for v in found["validation"].values())
          + f", {time.monotonic() - begin:.1f} s", flush=True)
    return found

  def _basis(self, experiment) -> str:
    text = config.to_text(experiment) + self._digest
    return hashlib.sha256(text.encode()).hexdigest()[:16]

  def alone(self) -> Dict[str, List[Dict[str, float]]]:
    """Trains each task by itself; returns its metrics with each seed by split.
    """
    found = {"validation": {}, "test": {}}
    for task in self.tasks:
      def of(trial, task=task):
        return methods.alone(self.base, task, trial, self.dataset.rate)
      sign = -1 if data.measured(self.dataset, task)[1] else 1
      _, runs = self._tune(
          f"{task} alone", of,
          lambda each, task=task, sign=sign: sign * each["validation"][task])
      for split, of_split in found.items():
        of_split[task] = [run[split][task] for run in runs]
    return found

  def compare(self, method: str, baseline) -> page.Row:
    """Trains a method; returns its row of the table."""
    def delta(found, split):
      return page.delta_m(
          found[split], {task: statistics.mean(values)
                         for task, values in baseline[split].items()},
          {task: data.measured(self.dataset, task)[1] for task in self.tasks})

    def tune(method, rate):
      def of(trial):
        return methods.of_trial(self.base, method, trial, rate,
                                self.dataset.kernel)
      trial, runs = self._tune(method, of,
                               lambda found: delta(found, "validation"))
      return trial, of(trial), runs

    rate = self.dataset.rate
    if methods.METHODS[method].draws_weights:
      rate = methods.rates(rate)[tune(methods.SUM, rate)[0]]
    _, experiment, runs = tune(method, rate)
    return page.Row(method, methods.described(experiment),
                    [run["test"] for run in runs],
                    [delta(run, "test") for run in runs],
                    self.seconds(method))

  def _tune(self, name, experiment_of, score):
    """Chooses the trial of the lowest score; runs it with all seeds."""
    tried = [self.run(name, experiment_of(trial), 1)
             for trial in range(len(methods.FACTORS))]
    scores = [score(found) for found in tried]
    trial = scores.index(min(scores))
    return trial, [self.run(name, experiment_of(trial), seed)
                   for seed in range(1, self._seeds + 1)]

  def seconds(self, method: str):
    """Returns the seconds of a step, timed before here, or None."""
    kept = self._ledger.find(self._timing(method, self._timed(method)))
    return kept and kept["seconds"]

  def _timed(self, method: str):
    """Returns the experiment whose steps are timed."""
    return api.experiment_of(
        methods.of_trial(self.base, method, 1, self.dataset.rate,
                         self.dataset.kernel),
        [f"training.num_steps={_TIMED_STEPS * _TIMED_LINES}",
         f"training.log_every_steps={_TIMED_STEPS}"])

  def _timing(self, method: str, experiment) -> Dict[str, Any]:
    # Times of another machine or version are not comparable.
    return {"method": method, "timed": self._basis(experiment),
            "processor": report.machine()["processor"],
            "version": mtl_graph.__version__}

  def take_time(self, method: str) -> None:
    """Takes the time of a method's step, unless that has been done."""
    if self.seconds(method) is not None:
      return
    experiment = self._timed(method)
    times = []

    def log(line):
      if line.startswith("step "):
        times.append(time.monotonic())

    rows = {"train": self._columns["train"]}
    with tempfile.TemporaryDirectory() as model_dir:
      api.train(experiment, rows, model_dir, log=log)
    intervals = [b - a for a, b in zip(times, times[1:])]
    seconds = statistics.median(intervals) / _TIMED_STEPS
    self._ledger.add(self._timing(method, experiment), {"seconds": seconds})
    print(f"{self._name}: {method}: {1e3 * seconds:.2f} ms", flush=True)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _compare, __doc__)


def _compare():
  for method in _FLAGS.method:
    if method not in methods.METHODS:
      raise flags.Error(f"--method: '{method}' is none of "
                        + ", ".join(methods.METHODS))
  os.makedirs(_FLAGS.output_dir, exist_ok=True)
  tables, left_out = [], []
  for name in _FLAGS.data:
    runs = Runs(name, getattr(_FLAGS, name), _FLAGS.output_dir, _FLAGS.seeds,
                _FLAGS.do == "page")
    chosen = [method for method in data.methods_of(name)
              if not _FLAGS.method or method in _FLAGS.method]
    if _FLAGS.do == "time":
      for method in chosen:
        runs.take_time(method)
      continue
    rows, missing = [], []
    try:
      baseline = runs.alone()
    except Missing:
      left_out.append(name)
      continue
    for method in chosen:
      try:
        rows.append(runs.compare(method, baseline))
      except Missing:
        missing.append(method)
    if not rows:
      left_out.append(name)
      continue
    tables.append(page.Table(
        name, runs.dataset.note, f"{runs.dataset.steps} steps a run, Adam, "
        "rates that fall to 0 by a cosine from "
        + ", ".join(f"{rate:g}" for rate in methods.rates(runs.dataset.rate))
        + "." + (f" Not run: {', '.join(missing)}." if missing else ""),
        baseline["test"], rows, methods.rates(runs.dataset.rate)))
  if _FLAGS.do == "page":
    heading = _heading()
    if left_out:
      heading.append(f"Not run yet: {', '.join(left_out)}.")
    text = page.text(tables, heading)
    with open(_FLAGS.page, "w", encoding="utf-8") as file:
      file.write(text)
    print(f"wrote {_FLAGS.page}")


def _heading() -> List[str]:
  """Returns what the page says of when, where and how."""
  machine = report.machine()
  commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"],
                          capture_output=True, text=True, check=False,
                          cwd=os.path.dirname(os.path.abspath(__file__)))
  packages = ", ".join(f"{name} {importlib.metadata.version(name)}"
                       for name in ("mtl-graph", "tensorflow", "numpy"))
  return [
      f"{datetime.date.today().isoformat()}, {machine['processor']}, "
      f"{machine['cores']} cores, {machine['system']}, Python "
      f"{machine['python']}, {packages}, commit "
      f"{commit.stdout.strip() or 'unknown'}. `python tools/compare_methods.py "
      "--output_dir=docs/methods-runs` runs what has not been run, "
      "`--do=time` takes times and `--do=page` writes this page. Runs are "
      "of this version or, where neither data nor experiment have changed "
      "since, of an earlier one. The methods are those of "
      "[methods.md](methods.md), with the fields that the last section of "
      "this page gives and else their defaults.",
      "Every method has the same budget: three trials with seed 1, one for "
      "each learning rate; of tuned weights, three draws at the sum's rate, "
      "even over all weights that add up to the number of tasks. What has the "
      "lowest delta-m on validation rows is trained with seeds "
      f"1 to {_FLAGS.seeds}, and the test metrics are those of these runs. Each "
      "task alone has the same network, trials and seeds. Three draws are few, "
      "and runs are short: this tells large differences from small ones, not "
      "the third digit.",
      "delta-m = 100 / T sum_t (-1)^(higher is better) (M_t - B_t) / B_t, M_t "
      "a method's test metric of a task and B_t that of the task alone, its "
      "mean over seeds: **below 0 is better**. Deviation is that of delta-m "
      "over seeds. Times are medians of blocks of steps in a loop with one "
      "thread within an op, on a machine with nothing else to do, one method "
      "after the other: differences below a fifth are scatter."]


if __name__ == "__main__":
  sys.exit(main(sys.argv))
