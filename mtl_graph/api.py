"""Training from Python, on arrays or files."""

import os
from typing import Mapping, Optional, Sequence, Union

import numpy as np

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.protos import experiment_pb2
from mtl_graph.serving import saved_model
from mtl_graph.training import loop
from mtl_graph.training import outcome

Columns = Mapping[str, np.ndarray]


def train(experiment: Union[experiment_pb2.Experiment, str],
          arrays: Optional[Union[Columns, Mapping[str, Columns]]] = None,
          model_dir: Optional[str] = None, overrides: Sequence[str] = (),
          allow_changes: bool = False, log=print) -> outcome.Result:
  """Trains an experiment and, if it has a `serving` message, exports it.

  Args:
    experiment: An `Experiment`, the path of an experiment file, or its text.
    arrays: Columns (arrays or lists of one entry per row) by name, for training
      alone; or such columns for "train", "validation" and "test"; None: the
      files that the experiment names.
    model_dir: Folder of the run; `runs/<name>` if unset.
    overrides: Strings `field.path=value`, as --set takes them.
    allow_changes: As the flag of `python -m mtl_graph.train`.
    log: Takes each line of the log.

  Returns:
    A `Result`: step, checkpoint, metrics and export_path.

  Raises:
    ConfigErrors, DataError, CheckpointError, ModelDirError, TrainingError,
    ExportError: With a line per problem.
  """
  if isinstance(experiment, str):
    experiment = (config.parse(experiment) if "{" in experiment
                  else config.load(experiment))
  else:
    experiment = experiment_pb2.Experiment.FromString(
        experiment.SerializeToString())
  for assignment in overrides:
    config.override(experiment, assignment)
  if arrays is not None and not any(
      isinstance(value, Mapping) for value in arrays.values()):
    arrays = {"train": arrays}
  if arrays is not None:
    _check_splits(arrays)
  validation.check(experiment, arrays)
  model_dir = model_dir or os.path.join("runs", experiment.name)
  return loop.train(
      experiment, model_dir, arrays, allow_changes,
      lambda trained, checkpoint, raw, expected: saved_model.export(
          trained, checkpoint, os.path.join(model_dir, "export"), raw,
          expected), log)


def _check_splits(arrays):
  allowed = ("train", "validation", "test")
  wrong = [split for split in arrays if split not in allowed]
  if wrong or "train" not in arrays:
    raise config.ConfigErrors([config.ConfigError(
        "arrays", f"found {', '.join(map(repr, arrays))}; allowed: "
        f"{', '.join(allowed)}, train among them")])
