"""Trains an experiment fold by fold, and sums up how good it is."""

import math
import os
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional
from typing import Sequence, Union

import numpy as np

from mtl_graph import api
from mtl_graph import folds as folds_lib
from mtl_graph import python_functions
from mtl_graph import validation
from mtl_graph.evaluation import tables
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import model_dir as model_dir_lib
from mtl_graph.training import outcome


class Spread(NamedTuple):
  """How a metric comes out over folds; folds without a number are left out.

  Attributes:
    mean: The mean.
    standard_deviation: The square root of the sum of squared distances from the
      mean over the number of folds less one; NaN of a single fold.
    min: The lowest.
    max: The highest.
    values: The metric of each fold, NaN where it has none.
  """
  mean: float
  standard_deviation: float
  min: float
  max: float
  values: List[float]


# By split, task and metric.
Spreads = Dict[str, Dict[str, Dict[str, Spread]]]


class CrossValidation(NamedTuple):
  """What a cross-validation came to.

  Attributes:
    results: What the run of each fold came to.
    metrics: A `Spread` by split, task and metric.
  """
  results: List[outcome.Result]
  metrics: Spreads


def cross_validate(experiment: Union[experiment_pb2.Experiment, str],
                   folds: int = 5, model_dir: Optional[str] = None,
                   key_column: str = "", overrides: Sequence[str] = (),
                   arrays: Optional[api.Arrays] = None,
                   log: Callable[[str], None] = print,
                   allow_python: Sequence[str] = ()) -> CrossValidation:
  """Trains and measures an experiment once per fold of its training rows.

  What was killed goes on when it is called again: folds that are done are read,
  the one that was training goes on from its checkpoint. `data.test`, if there
  is one, is measured by every fold.

  Args:
    experiment: An `Experiment`, the path of an experiment file, or its text.
    folds: How many parts `data.train` is cut into, at least 2.
    model_dir: Folder of the runs `fold-0`, `fold-1` and so on, and of the
      summary, `cross_validation.json`; `runs/<name>` if unset.
    key_column: Column whose hash decides on a row's fold, so that rows with the
      same key stay together; empty: the hash of the whole row.
    overrides: Strings `field.path=value`, as --set takes them.
    arrays: As `mtl_graph.train` takes them, in place of the files that
      `data.train` and `data.test` name.
    log: Takes each line of the log.
    allow_python: As `mtl_graph.train` takes it.

  Returns:
    A `CrossValidation`.

  Raises:
    ConfigErrors, DataError, CheckpointError, ModelDirError, TrainingError:
      With a line per problem.
  """
  experiment = api.experiment_of(experiment, overrides)
  parts = folds_lib.split(experiment, folds, key_column)
  arrays = api.by_split(arrays, experiment.data)
  for line in _warnings(experiment, arrays):
    log(line)
  if arrays is not None:
    arrays["validation"] = arrays["train"]
  with python_functions.allowing(allow_python):
    validation.check(parts[0], arrays)
  model_dir = model_dir or os.path.join("runs", experiment.name)
  results = []
  for i, part in enumerate(parts):
    folder = os.path.join(model_dir, f"fold-{i}")
    log(f"fold {i} of 0 to {folds - 1}: {folder}")
    results.append(api.train(part, arrays, folder, log=log,
                             allow_python=allow_python))
  metrics = spreads([result.metrics for result in results])
  log(f"metrics over {folds} folds:\n" + table(metrics))
  with model_dir_lib.writing(model_dir):
    tables.write_json(
        {"folds": folds, "key_column": key_column,
         "runs": [{"step": result.step, "checkpoint": result.checkpoint}
                  for result in results],
         "metrics": {split: {task: {name: spread._asdict()
                                    for name, spread in named.items()}
                             for task, named in tasks.items()}
                     for split, tasks in metrics.items()}},
        os.path.join(model_dir, "cross_validation.json"))
  return CrossValidation(results, metrics)


def spreads(metrics: Sequence[Mapping[str, Mapping[str, Mapping[str, float]]]]
            ) -> Spreads:
  """Sums up the metrics of folds.

  Args:
    metrics: Metrics by split, task and name, one per fold.

  Returns:
    A `Spread` by split, task and name.
  """
  summed = {}
  for split, tasks in metrics[0].items():
    for task, named in tasks.items():
      for name in named:
        summed.setdefault(split, {}).setdefault(task, {})[name] = _spread(
            [fold[split][task][name] for fold in metrics])
  return summed


def table(metrics: Spreads) -> str:
  """Lays out how metrics come out over folds, a line per task and metric."""
  rows = [["task", "split", "metric", "mean", "deviation", "min", "max",
           "folds"]]
  for task in next(iter(metrics.values())):
    for split, tasks in metrics.items():
      for name, spread in tasks[task].items():
        present = np.count_nonzero(~np.isnan(spread.values))
        rows.append([task, split, name, *map(tables.number, spread[:4]),
                     str(present)])
  return tables.align(rows)


def _spread(values: Sequence[float]) -> Spread:
  numbers = np.array([value for value in values if not math.isnan(value)])
  if not numbers.size:
    return Spread(math.nan, math.nan, math.nan, math.nan, list(values))
  deviation = numbers.std(ddof=1) if numbers.size > 1 else math.nan
  return Spread(float(numbers.mean()), float(deviation), float(numbers.min()),
                float(numbers.max()), list(values))


def _warnings(experiment, arrays):
  if "validation" in arrays if arrays is not None else (
      experiment.data.HasField("validation")):
    yield "data.validation: not read; each fold is validated on its own rows"
  if experiment.HasField("serving"):
    yield "serving: nothing is exported"
  for field in ("best", "early_stopping"):
    if experiment.evaluation.HasField(field):
      yield (f"warning: evaluation.{field} chooses by the rows that a fold is "
             "then measured on, which flatters its validation metrics")
