"""Compares the flights experiment with scikit-learn on the same rows.

For each seed the experiment is trained, its best checkpoint is chosen on the
validation rows and read once on the test rows. Beside it stand scikit-learn's
logistic regression and ridge regression on the same rows and features, the
categories one-hot: once as they come, once with their regularization chosen on
the validation rows too.
"""

import statistics
import sys
import tempfile

from absl import flags
import numpy as np
from sklearn import linear_model
from sklearn import metrics
from sklearn import preprocessing

from mtl_graph import importing
from mtl_graph import launching

importing.start_tensorflow()
# pylint: disable=wrong-import-position
from mtl_graph import api
from mtl_graph import config
from mtl_graph.data import splits
from mtl_graph.data import statistics as statistics_lib
from mtl_graph.evaluation import tables

_FLAGS = flags.FlagValues()
flags.DEFINE_string("config", "protos/examples/flights.pbtxt",
                    "Path of the experiment file.", flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides, as the launchers take them.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("seeds", 3, "How many seeds, from 1 on.", lower_bound=1,
                     flag_values=_FLAGS)

# The metric compared for each task, by the kind of its head.
_METRIC = {"binary": "auc", "regression": "r2"}
# Regularization of the linear models: scikit-learn's default, and a choice.
_DEFAULT = (1.0,)
_CHOICE = (0.001, 0.01, 0.1, 1.0, 10.0)


def design_matrices(experiment, rows):
  """Makes the inputs of linear models from the raw features of each split.

  Numbers are normalized as the experiment says, with statistics of the
  training rows; categories become one-hot columns, unknown ones all zeros.

  Args:
    experiment: The experiment.
    rows: A `splits.Split` by name.

  Returns:
    A float64 array of shape `[N, D]` by split.
  """
  measured = statistics_lib.measure(experiment.data.feature,
                                    rows["train"].raw)
  parts = {split: [] for split in rows}
  for feature in experiment.data.feature:
    name = feature.name
    columns = {s: np.asarray(r.raw[name]) for s, r in rows.items()}
    if feature.WhichOneof("kind") == "numeric":
      for split, column in columns.items():
        column = column.astype(np.float64).reshape(len(column), -1)
        if feature.numeric.HasField("missing_value"):
          column = np.where(np.isnan(column), feature.numeric.missing_value,
                            column)
        if name in measured:
          column = (column - measured[name]["mean"]) / measured[name]["stddev"]
        elif feature.numeric.normalization:
          column = np.log1p(column)
        parts[split].append(column)
    else:
      encoder = preprocessing.OneHotEncoder(handle_unknown="ignore",
                                            sparse_output=False)
      encoder.fit(columns["train"].reshape(-1, 1))
      for split, column in columns.items():
        parts[split].append(encoder.transform(column.reshape(-1, 1)))
  return {split: np.concatenate(some, 1) for split, some in parts.items()}


def linear_baseline(task, t, inputs, rows, strengths):
  """Fits a linear model for one task and reads it once on the test rows.

  Args:
    task: The `Task` message.
    t: Its place among the tasks.
    inputs: Input matrix by split.
    rows: A `splits.Split` by name.
    strengths: Regularizations to choose from on the validation rows.

  Returns:
    AUC of a binary task, R2 of a regression, on the labelled test rows.
  """
  def labelled(split):
    mask = rows[split].labels.weights[:, t] > 0
    return inputs[split][mask], rows[split].labels.values[mask, t].astype(float)

  def score(model, split):
    x, y = labelled(split)
    if task.WhichOneof("head") == "binary":
      return metrics.roc_auc_score(y, model.predict_proba(x)[:, 1])
    return metrics.r2_score(y, model.predict(x))

  models = []
  for strength in strengths:
    model = (linear_model.LogisticRegression(C=1 / strength, max_iter=2000)
             if task.WhichOneof("head") == "binary"
             else linear_model.Ridge(alpha=strength))
    models.append(model.fit(*labelled("train")))
  best = max(models, key=lambda model: score(model, "validation"))
  return score(best, "test")


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _compare, __doc__)


def _compare():
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  rows = {split: splits.read(experiment, split)
          for split in ("train", "validation", "test")}
  inputs = design_matrices(experiment, rows)
  tasks = [task for task in experiment.model.task
           if task.WhichOneof("head") in _METRIC]
  linear = {task.name: [linear_baseline(task, t, inputs, rows, strengths)
                        for strengths in (_DEFAULT, _CHOICE)]
            for t, task in enumerate(tasks)}
  found = {task.name: [] for task in tasks}
  for seed in range(1, _FLAGS.seeds + 1):
    with tempfile.TemporaryDirectory() as model_dir:
      result = api.train(experiment, model_dir=model_dir,
                         overrides=[f"seed={seed}"], log=lambda line: None)
    for task in tasks:
      found[task.name].append(result.metrics["test"][task.name][
          _METRIC[task.WhichOneof("head")]])
    print(f"seed {seed} done, best checkpoint at step "
          f"{result.checkpoint.rpartition('-')[2]}", file=sys.stderr)
  table = [["test rows", "metric", "mean", "deviation", "least", "linear",
            "linear, tuned"]]
  for task in tasks:
    values = found[task.name]
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    table.append([task.name, _METRIC[task.WhichOneof("head")]] + [
        f"{value:.4f}" for value in (statistics.mean(values), spread,
                                     min(values), *linear[task.name])])
  print(tables.align(table))


if __name__ == "__main__":
  sys.exit(main(sys.argv))
