"""Tells whether a run may go on under a changed experiment."""

import os
import re
from typing import List, Sequence

from google.protobuf import message as message_lib

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.checkpoints import checkpoints
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import training_pb2

# Fields that change neither what is computed in a step nor the rows it sees.
# The rows themselves are compared by their digest.
_FILES = ("csv.path", "csv.header_file", "csv.strip_spaces",
          "csv.missing_value", "npz.path", "tfrecord.path", "parquet.path",
          "part")
FREE = ("name", *(f"data.train.{field}" for field in _FILES),
        *(f"data.source.train.{field}" for field in _FILES), "data.drop_rows",
        "data.validation", "data.test", "data.source.validation",
        "data.source.test", "training.num_steps", "training.num_epochs",
        "training.num_rounds", "training.independent.task.early_stopping",
        "training.warm_start", "training.checkpoint", "training.cluster",
        "training.execution", "training.log_every_steps", "training.summaries",
        "evaluation", "serving")

# What evaluation and export take from the experiment of the run as it is.
NETWORK = ("seed", "data.feature", "model", "training.moving_average")


def path_of(model_dir: str) -> str:
  """Returns the path of the experiment a run was started with."""
  return os.path.join(model_dir, "experiment.pbtxt")


def experiment_of(checkpoint: str) -> experiment_pb2.Experiment:
  """Reads the experiment that a checkpoint was trained under.

  Args:
    checkpoint: Path of the checkpoint, without `.index`.

  Returns:
    The experiment, its vocabularies in line.

  Raises:
    CheckpointError: If the checkpoint cannot be read, or says nothing of it.
  """
  text = checkpoints.read_state(checkpoint).get("experiment")
  if text is None:
    raise checkpoints.CheckpointError(
        f"{checkpoint}: the checkpoint does not say which experiment it is of; "
        "allowed: a checkpoint of python -m mtl_graph.train")
  return config.parse(text, checkpoint)


def differences(old: message_lib.Message, new: message_lib.Message,
                path: str = "") -> List[str]:
  """Lists the fields in which two messages differ.

  Args:
    old: A message.
    new: A message of the same type.
    path: Field path of the two; leads the paths returned.

  Returns:
    Field paths with both values, such as "data.batch_size: 128 -> 256".
    Defaults count as set.
  """
  found = []
  for field in old.DESCRIPTOR.fields:
    where = f"{path}.{field.name}" if path else field.name
    a, b = getattr(old, field.name), getattr(new, field.name)
    if field.is_repeated:
      if len(a) != len(b):
        found.append(f"{where}: {len(a)} -> {len(b)} elements")
      for i, (x, y) in enumerate(zip(a, b)):
        if field.message_type is not None:
          found += differences(x, y, f"{where}[{i}]")
        elif x != y:
          found.append(f"{where}[{i}]: {x} -> {y}")
    elif field.message_type is not None:
      if old.HasField(field.name) and new.HasField(field.name):
        found += differences(a, b, where)
      elif old.HasField(field.name) != new.HasField(field.name):
        # An empty message matters only as the choice within a oneof.
        nested = differences(a, b, where)
        if nested or field.containing_oneof is not None:
          found += nested or [f"{where}: " + (
              "set -> unset" if old.HasField(field.name) else "unset -> set")]
    elif _stated(old, field) != _stated(new, field):
      found.append(f"{where}: {_stated(old, field)} -> {_stated(new, field)}")
  return found


def _stated(message, field):
  """Returns a field's value; "unset" where that means something of its own."""
  if not message.HasField(field.name) and not field.has_default_value:
    return "unset"
  value = getattr(message, field.name)
  if field.enum_type is not None:
    return field.enum_type.values_by_number[value].name
  return value


def refused(changes: Sequence[str], allowed: Sequence[str] = FREE
            ) -> List[str]:
  """Returns those of the changes that lie outside the allowed fields.

  Args:
    changes: What `differences` returned.
    allowed: Field paths; without an index they stand for every element.

  Returns:
    The others, in order.
  """
  return [c for c in changes
          if not any(p.startswith(f) and p[len(f)] in ".:[" for f in allowed
                     for p in (c, _without_indices(c)))]


def _without_indices(change):
  path, separator, values = change.partition(":")
  return re.sub(r"\[\d+\]", "", path) + separator + values


def within(changes: Sequence[str], fields: Sequence[str]) -> List[str]:
  """Returns those of the changes that lie inside the given fields."""
  return [c for c in changes if c not in refused(changes, fields)]


def refuse(changes: Sequence[str], model_dir: str, allowed: str) -> None:
  """Raises `ConfigErrors` naming each change, if there is any.

  Args:
    changes: What `differences` returned, or part of it.
    model_dir: The run's folder.
    allowed: What is allowed instead.
  """
  errors = []
  for change in changes:
    path, found = change.split(": ", 1)
    errors.append(config.ConfigError(
        path, f"{found} since training in {model_dir}; allowed: {allowed}"))
  if errors:
    raise config.ConfigErrors(errors)


def refuse_batches(checkpoint: str, training: training_pb2.Training,
                   batches: int, model_dir: str) -> None:
  """Raises `ConfigErrors` if steps go on that are of more batches, or of fewer.

  A step's number says which batches of the epoch it is of: where workers or
  devices are added, or left out, rows are skipped or come again.

  Args:
    checkpoint: Path of the checkpoint that the run goes on from. Where it does
      not say, its steps were those of a process without workers.
    training: The `Training` message of the run as it is.
    batches: How many batches a step is made of, those of all workers.
    model_dir: The run's folder.
  """
  old = experiment_of(checkpoint).training
  before = checkpoints.read_state(checkpoint).get(
      "batches", outline.batches_of_step(old))
  if before != batches:
    path = ("training.cluster"
            if len(old.execution.device) == len(training.execution.device)
            else "training.execution.device")
    refuse([f"{path}: {before} -> {batches} batches in a step"], model_dir,
           "as many workers and devices, another --model_dir, or "
           "--allow_changes, which skips rows of the epoch or repeats them")
