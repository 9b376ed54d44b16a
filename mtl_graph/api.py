"""Training from Python, on arrays or files."""

import os
from typing import Callable, Dict, Mapping, Optional, Sequence, Union

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import python_functions
from mtl_graph import row_sets
from mtl_graph import validation
from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.serving import publishing
from mtl_graph.serving import saved_model
from mtl_graph.training import exporting
from mtl_graph.training import loop
from mtl_graph.training import outcome

Columns = Mapping[str, np.ndarray]
Arrays = Union[Columns, Mapping[str, Columns]]


def train(experiment: Union[experiment_pb2.Experiment, str],
          arrays: Optional[Arrays] = None, model_dir: Optional[str] = None,
          overrides: Sequence[str] = (), allow_changes: bool = False, log=print,
          hooks: Sequence[tf.train.SessionRunHook] = (), profile: bool = False,
          allow_python: Sequence[str] = ()) -> outcome.Result:
  """Trains an experiment and, if it has a `serving` message, exports it.

  Args:
    experiment: An `Experiment`, the path of an experiment file, or its text.
    arrays: Columns (arrays or lists of one entry per row) by name, or a data
      frame of pandas, for training alone; or such for "train", "validation" and
      "test", with sources per task for "train/<source>" and so on; None: the
      files that the experiment names.
    model_dir: Folder of the run; `runs/<name>` if unset.
    overrides: Strings `field.path=value`, as --set takes them.
    allow_changes: As the flag of `python -m mtl_graph.train`.
    log: Takes each line of the log.
    hooks: What runs around every training step, as in a MonitoredSession. By
      then the graph holds `step/loss/total`, `step/loss/<task>` and what else
      `training.hooks.name_report` names. A hook may feed, fetch, add ops and
      variables in `begin`, and end training by `request_stop`: then the run is
      saved, measured and exported where it stands.
    profile: As the flag of `python -m mtl_graph.train`.
    allow_python: Modules and packages whose functions the experiment may name.

  Returns:
    A `Result`: step, checkpoint, metrics and export_path.

  Raises:
    ConfigErrors, DataError, CheckpointError, ModelDirError, TrainingError,
    ExportError: With a line per problem. What a hook raises goes through.
  """
  experiment = experiment_of(experiment, overrides)
  arrays = by_split(arrays, experiment.data)
  model_dir = model_dir or os.path.join("runs", experiment.name)

  with python_functions.allowing(allow_python):
    validation.check(experiment, arrays)
    return loop.train(experiment, model_dir, arrays, allow_changes,
                      exporter(model_dir, log), log, hooks, profile)


def exporter(model_dir: str, log: Callable[[str], None]) -> exporting.Exporter:
  """Returns what exports a run's checkpoints to `model_dir/export`."""
  def export(trained, checkpoint, raw, expected, record, try_weights):
    try:
      return saved_model.export(
          trained, checkpoint, os.path.join(model_dir, "export"), raw, expected,
          record, try_weights, unless_in_place=True, log=log)
    except publishing.HeldBack as held_back:
      log(str(held_back))
      return None
  return export


def experiment_of(experiment: Union[experiment_pb2.Experiment, str],
                  overrides: Sequence[str] = ()) -> experiment_pb2.Experiment:
  """Returns an experiment of the caller's own, with overrides applied.

  Args:
    experiment: An `Experiment`, which stays as it is, the path of an experiment
      file, or its text.
    overrides: Strings `field.path=value`, as --set takes them.

  Returns:
    The experiment, not validated yet.

  Raises:
    ConfigErrors, ConfigError: If it cannot be read, or an override not applied.
  """
  if isinstance(experiment, str):
    experiment = (config.parse(experiment) if "{" in experiment
                  else config.load(experiment))
  else:
    experiment = experiment_pb2.Experiment.FromString(
        experiment.SerializeToString())
  for assignment in overrides:
    config.override(experiment, assignment)
  return experiment


def by_split(arrays: Optional[Arrays], data: data_pb2.Data
             ) -> Optional[Dict[str, Columns]]:
  """Returns columns by split, of columns that may be those of training alone.

  Args:
    arrays: Columns by name, or such columns by split, or None.
    data: The `Data` message, whose sources there are columns for, if it has
      any.

  Returns:
    Columns by split, or by split and source as "train/<source>", or None.

  Raises:
    ConfigErrors: If a split is unknown, or there is none for training.
  """
  if arrays is None:
    return None
  if _is_frame(arrays) or not any(
      isinstance(value, Mapping) or _is_frame(value)
      for value in arrays.values()):
    arrays = {"train": arrays}
  allowed = [rows.key for split in row_sets.SPLITS
             for rows in row_sets.every(data, split)]
  required = [rows.key for rows in row_sets.every(data, "train")]
  if not set(required) <= set(arrays) <= set(allowed):
    raise config.ConfigErrors([config.ConfigError(
        "arrays", f"found {', '.join(map(repr, arrays))}; allowed: "
        f"{', '.join(allowed)}, {' and '.join(required)} among them")])
  return dict(arrays)


def _is_frame(value) -> bool:
  """Returns whether a value is a data frame, as of pandas, itself columns."""
  return hasattr(value, "columns") and hasattr(value, "iloc")
