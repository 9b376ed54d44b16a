"""Compares ways to share on two pairs of tasks of the Census-Income data.

The pairs are those of Ma et al. 2018, "Modeling Task Relationships in
Multi-task Learning with Multi-gate Mixture-of-Experts", section 6.3: income
over 50K with never married, and college degree with never married. A college
degree is a bachelor's, master's, professional or doctor's degree, 14.7 % of the
rows. Rows are split 60/20/20 by a hash, equal rows together.

Each method has the same budget, as has a baseline of gradient-boosted trees:
four settings are tried with seed 1, two learning rates by two values of a
parameter of the method's own. The one with the highest validation AUC of the
pair's first task is trained with all seeds, and only its test AUCs are looked
at. Every run's metrics are kept in --output_dir, and runs that are there
already are not done again.
"""

import gzip
import hashlib
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from absl import flags
import numpy as np
from sklearn import ensemble
from sklearn import metrics
from sklearn import preprocessing

from mtl_graph import importing
from mtl_graph import launching

importing.start_tensorflow()
# pylint: disable=wrong-import-position
from mtl_graph import api
from mtl_graph import config
from mtl_graph.data import splits
from mtl_graph.evaluation import tables
from mtl_graph.protos import experiment_pb2

_FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "input", "../shared/data/census_income/census-income.test.gz",
    "Path of census-income.test.gz.", flag_values=_FLAGS)
flags.DEFINE_string(
    "config", "protos/examples/large/census_shared_bottom.pbtxt",
    "Path of the shared bottom's experiment file.", flag_values=_FLAGS)
flags.DEFINE_string("output_dir", "runs/compare_census",
                    "Folder of the metrics of each run.", flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides, as the launchers take them.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("seeds", 3, "How many seeds, from 1 on.", lower_bound=1,
                     flag_values=_FLAGS)

PAIRS = (("income", "never_married"), ("college", "never_married"))

_SPLITS = ("train", "validation", "test")
# Schooling from here on is a college degree.
_COLLEGE = "Bachelors degree(BA AB BS)"

# Tables 1 and 2 of the paper, after a translation of it: mean AUC over 400 runs
# of each pair's tasks, with settings chosen by thousands of runs.
PAPER = {
    "single task": ((0.9337, 0.9933), (0.8792, 0.9933)),
    "shared bottom": ((0.9295, 0.9915), (0.8813, 0.9927)),
    "parameter distance": ((0.9359, 0.9922), (0.8823, 0.9923)),
    "cross-stitch": ((0.9361, 0.9917), (0.8819, 0.9919)),
    "tensor factorization": ((0.6765, 0.8175), (0.7256, 0.7453)),
    "OMoE": ((0.9319, 0.9928), (0.8813, 0.9915)),
    "MMoE": ((0.9359, 0.9926), (0.8826, 0.9932)),
}


def _layers(width: int) -> str:
  """Returns two layers of a width and its half, as text."""
  dropout = "layer { dropout { rate: 0.2 } }"
  return "{ " + " ".join(
      f"layer {{ dense {{ units: {units} activation: RELU }} }} {dropout}"
      for units in (width, width // 2)) + " }"


def _hard_sharing(width: int) -> str:
  return f"hard_sharing={{ trunk {_layers(width)} }}"


def _extraction(experts: int) -> str:
  levels = " ".join(
      f"level {{ shared_experts: {experts} task_experts: {experts} expert "
      f"{{ layer {{ dense {{ units: {units} activation: RELU }} }} }} }}"
      for units in (64, 32))
  return f"progressive_layered_extraction={{ {levels} }}"


def _tried(name: str, values: Sequence[float], sharing: Callable[[float], str]
           ) -> Dict[str, List[str]]:
  """Returns settings to try: overrides by what the setting is called."""
  rate_field = "training.default_optimizer.adam.learning_rate.constant"
  return {f"rate {rate:g}, {name} {value:g}": [f"{rate_field}={rate}",
                                               f"model.{sharing(value)}"]
          for rate, value in itertools.product((0.001, 0.003), values)}


METHODS = {
    "single task": _tried("width", (64, 128), _hard_sharing),
    "shared bottom": _tried("width", (128, 256), _hard_sharing),
    "independent": _tried("width", (128, 256), _hard_sharing),
    "parameter distance": _tried("weight", (1e-4, 1e-2), lambda weight: (
        f"soft_sharing={{ column {_layers(128)} "
        f"parameter_distance {{ weight: {weight} }} }}")),
    "cross-stitch": _tried("own share", (0.6, 0.9), lambda share: (
        f"soft_sharing={{ column {_layers(128)} "
        f"cross_stitch {{ own_share: {share} }} }}")),
    "MMoE": _tried("experts", (4, 8), lambda experts: (
        f"mixture_of_experts={{ num_experts: {experts} expert {_layers(64)} }}"
    )),
    "PLE": _tried("experts", (1, 2), _extraction),
}
TREES = "boosted trees"
TREES_SETTINGS = {
    f"rate {rate:g}, leaves {leaves}": {"learning_rate": rate,
                                        "max_leaf_nodes": leaves}
    for rate, leaves in itertools.product((0.05, 0.1), (15, 31))}


def read(folder: str) -> Dict[str, Dict[str, np.ndarray]]:
  """Reads what make_census.py has written, with a column `college`.

  Args:
    folder: The folder.

  Returns:
    Arrays of strings by column, by split.
  """
  def lines(name):
    path = os.path.join(folder, name)
    with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
      return file.read().decode().splitlines()

  columns, education = lines("census-columns.txt"), lines("education.txt")
  college = set(education[education.index(_COLLEGE):])
  rows = {}
  for split in _SPLITS:
    fields = [[field.strip() for field in line.split(",")]
              for line in lines(f"census-{split}.csv.gz")]
    rows[split] = {name: np.array(values, object)
                   for name, values in zip(columns, zip(*fields))}
    rows[split]["college"] = np.array(
        ["1" if value in college else "0"
         for value in rows[split]["education"]], object)
  return rows


def experiment_of(base: experiment_pb2.Experiment, method: str, setting: str,
                  tasks: Sequence[str], seed: int) -> experiment_pb2.Experiment:
  """Returns the experiment of a method.

  Args:
    base: The experiment of the shared bottom, with all tasks.
    method: The method, one of `METHODS`.
    setting: One of its settings.
    tasks: The tasks to keep, the one that checkpoints are chosen by first.
    seed: The seed.

  Returns:
    The experiment.
  """
  experiment = api.experiment_of(base, [
      f"seed={seed}", *METHODS[method][setting],
      f"evaluation.best.metric={tasks[0]}/auc",
      f"evaluation.early_stopping.metric={tasks[0]}/auc"])
  kept = [task for task in experiment.model.task if task.name in tasks]
  del experiment.model.task[:]
  experiment.model.task.extend(kept)
  if method == "independent":
    # A round is a step of each task.
    training = experiment.training
    training.num_rounds = training.num_steps
    training.ClearField("num_steps")
    for name in tasks:
      training.independent.task.add().name = name
    experiment.evaluation.every_steps *= len(tasks)
  return experiment


def train(experiment: experiment_pb2.Experiment, rows) -> Dict[str, Any]:
  """Trains an experiment.

  Args:
    experiment: The experiment.
    rows: What `read` returned.

  Returns:
    The AUC by split and task.
  """
  with tempfile.TemporaryDirectory() as model_dir:
    result = api.train(experiment, rows, model_dir, log=lambda line: None)
  return {split: {task: values["auc"] for task, values in tasks.items()}
          for split, tasks in result.metrics.items()}


def design_matrices(experiment: experiment_pb2.Experiment, rows):
  """Makes the inputs and labels of trees from the features of an experiment.

  Args:
    experiment: The experiment.
    rows: What `read` returned.

  Returns:
    Float arrays of shape `[N, D]` by split, categories numbered and first; how
    many columns are categories; and labels by task by split.
  """
  read_rows = {split: splits.read(experiment, split, rows[split])
               for split in _SPLITS}
  kinds = {"categorical": [], "numeric": []}
  for feature in experiment.data.feature:
    if not feature.categorical.quantile_buckets:  # To trees, no news.
      kinds[feature.WhichOneof("kind")].append(feature.name)
  columns = {kind: {split: np.stack([some.raw[name] for name in names], 1)
                    for split, some in read_rows.items()}
             for kind, names in kinds.items()}
  encoder = preprocessing.OrdinalEncoder(
      handle_unknown="use_encoded_value", unknown_value=np.nan)
  encoder.fit(columns["categorical"]["train"])
  inputs = {split: np.concatenate([
      encoder.transform(columns["categorical"][split]),
      columns["numeric"][split]], 1) for split in _SPLITS}
  labels = {split: {task.name: some.labels.values[:, t]
                    for t, task in enumerate(experiment.model.task)}
            for split, some in read_rows.items()}
  return inputs, len(kinds["categorical"]), labels


def grow(matrices, setting: str, task: str, seed: int) -> Dict[str, Any]:
  """Grows gradient-boosted trees.

  Args:
    matrices: What `design_matrices` returned.
    setting: One of the trees' settings.
    task: The task.
    seed: The seed, which chooses the part of the training rows that says when
      to stop.

  Returns:
    The AUC by split and task.
  """
  inputs, num_categories, labels = matrices
  trees = ensemble.HistGradientBoostingClassifier(
      max_iter=500, early_stopping=True, n_iter_no_change=20, random_state=seed,
      scoring="roc_auc", categorical_features=range(num_categories),
      **TREES_SETTINGS[setting])
  trees.fit(inputs["train"], labels["train"][task])
  return {split: {task: metrics.roc_auc_score(
      labels[split][task], trees.predict_proba(inputs[split])[:, 1])}
          for split in ("validation", "test")}


def choose(tried: Mapping[str, Mapping[str, Any]], task: str) -> str:
  """Returns the setting with the highest validation AUC of a task.

  Args:
    tried: AUC by split and task, by setting.
    task: The task.

  Returns:
    The setting; the first one of equals.
  """
  return max(tried, key=lambda setting: tried[setting]["validation"][task])


class Runs:
  """Runs methods; keeps what each run came to, and does none twice."""

  def __init__(self, base: experiment_pb2.Experiment, rows, folder: str):
    """Prepares runs.

    Args:
      base: The experiment of the shared bottom, with all tasks.
      rows: What `read` returned.
      folder: Where results are kept.
    """
    self._base = base
    self._rows = rows
    self._folder = folder
    self._matrices = design_matrices(base, rows)
    self._digest = hashlib.sha256(repr([
        (split, name, *values) for split, some in rows.items()
        for name, values in some.items()]).encode()).hexdigest()

  def run(self, method: str, setting: str, tasks: Sequence[str], seed: int
          ) -> Dict[str, Any]:
    """Returns the AUC by split and task of one run, done now or before."""
    if method == TREES:
      experiment = self._base
      run = lambda: grow(self._matrices, setting, tasks[0], seed)
    else:
      experiment = experiment_of(self._base, method, setting, tasks, seed)
      run = lambda: train(experiment, self._rows)
    name = f"{method}, {setting}, {', '.join(tasks)}, seed {seed}"
    path = os.path.join(self._folder,
                        re.sub("[^a-z0-9.-]+", "_", name.lower()) + ".json")
    basis = [self._digest, config.to_text(experiment)]
    if os.path.exists(path):
      kept = tables.read_json(path)
      if kept["basis"] == basis:
        return kept["auc"]
    begin = time.monotonic()
    auc = run()
    tables.write_json({"basis": basis, "auc": auc}, path)
    print(f"{name}: validation AUC "
          + " ".join(f"{value:.4f}" for value in auc["validation"].values())
          + f", {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return auc

  def compare(self, method: str, tasks: Sequence[str], seeds: int
              ) -> Tuple[str, Dict[str, List[float]]]:
    """Chooses a method's setting with seed 1, and measures it with all seeds.

    Args:
      method: The method, one of `METHODS` or `TREES`.
      tasks: The tasks that it learns together; the first one decides.
      seeds: How many seeds.

    Returns:
      The setting, and the test AUC with each seed by task.
    """
    settings = METHODS.get(method, TREES_SETTINGS)
    chosen = choose({setting: self.run(method, setting, tasks, 1)
                     for setting in settings}, tasks[0])
    found = [self.run(method, chosen, tasks, seed)["test"]
             for seed in range(1, seeds + 1)]
    return chosen, {task: [auc[task] for auc in found] for task in tasks}


def layout(pair: Sequence[str],
           found: Mapping[str, Mapping[str, Sequence[float]]],
           paper: Mapping[str, Sequence[float]]) -> str:
  """Lays test AUCs out: methods by tasks, beside the paper's.

  Args:
    pair: The tasks.
    found: The AUC with each seed, by method and task.
    paper: The paper's AUC of each task, by method.

  Returns:
    The lines.
  """
  lines = [["test AUC"] + [f"{task}{of}" for task in pair
                           for of in ("", " deviation", " paper")]]
  for method in [*found, *(name for name in paper if name not in found)]:
    line = [method]
    for t, task in enumerate(pair):
      values = found.get(method, {}).get(task, [])
      line += [f"{statistics.mean(values):.4f}" if values else "-",
               f"{statistics.stdev(values):.4f}" if len(values) > 1 else "-",
               f"{paper[method][t]:.4f}" if method in paper else "-"]
    lines.append(line)
  return tables.align(lines)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _compare, __doc__)


def _compare():
  base = config.load(_FLAGS.config, _FLAGS.set)
  with tempfile.TemporaryDirectory() as folder:
    maker = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                         "make_census.py")
    made = subprocess.run(
        [sys.executable, maker, f"--input={_FLAGS.input}",
         f"--output_dir={folder}", "--bounds=0.6,0.8"], capture_output=True,
        text=True, check=False)
    if made.returncode:
      raise flags.Error(f"--input: {made.stderr.strip()}")
    rows = read(folder)
  os.makedirs(_FLAGS.output_dir, exist_ok=True)
  runs = Runs(base, rows, _FLAGS.output_dir)
  for p, pair in enumerate(PAIRS):
    found, chosen = {}, [["chosen on validation rows", "by", "setting"]]
    for method in [*METHODS, TREES]:
      found[method] = {}
      alone = method in ("single task", TREES)
      for tasks in [(task,) for task in pair] if alone else [pair]:
        setting, auc = runs.compare(method, tasks, _FLAGS.seeds)
        found[method].update(auc)
        chosen.append([method, tasks[0], setting])
    print(layout(pair, found, {name: aucs[p] for name, aucs in PAPER.items()}))
    print(tables.align(chosen))
  print("paper: means of 400 runs, trained on 199,523 other rows and tested on "
        "half of this file; not the rows above.")


if __name__ == "__main__":
  sys.exit(main(sys.argv))
