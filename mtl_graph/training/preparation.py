"""What a run looks at before it starts: its rows, its past, its groups."""

import fractions
import math
from typing import Dict, List, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import vocabularies
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import resampling
from mtl_graph.data import sources
from mtl_graph.data import splits
from mtl_graph.data import statistics
from mtl_graph.model import graphs
from mtl_graph.model import joint_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import reporting
from mtl_graph.training import warm_start

# Columns by name, by split.
Arrays = Mapping[str, Mapping[str, np.ndarray]]


def describe(experiment: experiment_pb2.Experiment,
             arrays: Optional[Arrays] = None) -> str:
  """Reads the data and builds the graph, and says which group owns what.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split handed over in Python, in place of files.

  Returns:
    The table of variables, shapes, parameter counts and groups.

  Raises:
    ConfigErrors, DataError: If experiment and data do not fit.
  """
  experiment = vocabularies.in_line(experiment)
  rows = read_splits(experiment, arrays)
  experiment = count_vocabularies(experiment, rows["train"].raw)
  model = graphs.build(experiment, statistics.measure(
      experiment.data.feature, rows["train"].raw))
  with model.graph.as_default():
    # Only so that what the step refuses is refused here too.
    joint_step.build(experiment, model, lambda number: model.batch,
                     tf.identity(model.global_step),
                     [False] * len(experiment.model.task))
  return reporting.ownership_table(model)


def read_splits(experiment: experiment_pb2.Experiment,
                arrays: Optional[Arrays]) -> Dict[str, splits.Split]:
  """Reads every split that there is.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split handed over in Python, in place of files.

  Returns:
    A `splits.Split` by name.

  Raises:
    DataError: If the rows cannot be used, or no validation row has a label for
      a task that the best checkpoint or early stopping is chosen by.
  """
  rows = splits.read_all(experiment, arrays)
  tasks = [task.name for task in experiment.model.task]
  for field in ("best", "early_stopping"):
    if experiment.evaluation.HasField(field) and "validation" in rows:
      task = getattr(experiment.evaluation, field).metric.partition("/")[0]
      weights = rows["validation"].labels.weights
      if not weights[:, tasks.index(task)].any():
        raise sources.DataError(
            f"data.validation: no row has a label for task '{task}', by which "
            f"evaluation.{field} measures; allowed: at least one")
  return rows


def check_changes(experiment: experiment_pb2.Experiment, model_dir: str,
                  allow_changes: bool) -> List[str]:
  """Returns the changes since the last checkpoint; raises if they are refused.

  What counts is the experiment inside the checkpoint: the file beside it may
  already be that of a run that was killed before its first checkpoint.
  """
  path = checkpoints.newest(model_dir)
  if path is None:
    return []
  changes = compatibility.refused(compatibility.differences(
      compatibility.experiment_of(path), experiment))
  if not allow_changes:
    compatibility.refuse(changes, model_dir, "the same experiment, another "
                         "--model_dir, or --allow_changes")
  return changes


def settle(experiment: experiment_pb2.Experiment, model_dir: str
           ) -> experiment_pb2.Experiment:
  """Returns an experiment that depends on no file, and on the run's past.

  Args:
    experiment: The experiment, valid.
    model_dir: The run's folder.

  Returns:
    A copy with its vocabularies in line, and with the categories that were
    counted by the run's own last checkpoint, else by the one it starts from.

  Raises:
    CheckpointError: If that checkpoint cannot be read.
    ConfigErrors: If a vocabulary does not go on from the one that was.
  """
  experiment = vocabularies.in_line(experiment)
  path = checkpoints.newest(model_dir)
  if path is not None:
    return vocabularies.adopt(experiment, compatibility.experiment_of(path))
  if experiment.training.HasField("warm_start"):
    saved = compatibility.experiment_of(
        warm_start.checkpoint_of(experiment.training.warm_start))
    experiment = vocabularies.adopt(experiment, saved)
    vocabularies.check_kept(experiment, saved)
  return experiment


def count_vocabularies(experiment: experiment_pb2.Experiment,
                       raw: Mapping[str, np.ndarray]
                       ) -> experiment_pb2.Experiment:
  """Counts the categories of the features that ask for it.

  Args:
    experiment: The experiment, its vocabularies in line.
    raw: Raw values of the training rows, by input.

  Returns:
    A copy that lists the categories; those it knew keep their rows.
  """
  copy = experiment_pb2.Experiment()
  copy.CopyFrom(experiment)
  for feature in copy.data.feature:
    if feature.categorical.HasField("counted_vocabulary"):
      vocabularies.count(feature.categorical, raw[feature.name].ravel())
  return copy


def rows_of_epoch(experiment: experiment_pb2.Experiment,
                  labels: labels_lib.Labels) -> np.ndarray:
  """Returns the numbers of the training rows that make up an epoch."""
  if experiment.data.HasField("resampling"):
    return resampling.rows(experiment.data.resampling, experiment.model.task,
                           labels, experiment.seed)
  return np.arange(len(labels.values))


def rows_of_step(experiment: experiment_pb2.Experiment) -> int:
  """Returns how many rows a step sees."""
  return experiment.data.batch_size * experiment.training.accumulate_batches


def num_steps(experiment: experiment_pb2.Experiment, rows: int) -> int:
  """Returns how many steps the run has in all, given the rows of an epoch."""
  training = experiment.training
  if training.HasField("num_epochs"):
    # 1.1 epochs of 10 rows are 11 rows, not a trifle more.
    epochs = fractions.Fraction(str(training.num_epochs))
    return max(math.ceil(epochs * rows / rows_of_step(experiment)), 1)
  return training.num_steps


def length_field(experiment: experiment_pb2.Experiment) -> str:
  """Returns the field that says how long the run is."""
  if experiment.training.HasField("num_epochs"):
    return "training.num_epochs"
  return "training.num_steps"
