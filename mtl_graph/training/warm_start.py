"""Starts a run from the checkpoints of other ones."""

import os
from typing import (Dict, Iterable, List, Mapping, NamedTuple, Optional,
                    Sequence, Tuple)

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import ownership
from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.checkpoints import compatibility
from mtl_graph.model import averages
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import features_pb2
from mtl_graph.protos import training_pb2

# What a new run begins by itself, whatever the other one's checkpoint has.
_OWN = ("global_step", "run_state", "iterations/", "task_weighting/")
_STATISTICS = "statistics/"
_OPTIMIZER = "optimizer/"


class Restored(NamedTuple):
  """What a run has taken over.

  Attributes:
    sources: Of each checkpoint, in their order, its path and the names of the
      variables that were wanted of it and are not in it.
    fresh: Names of the variables that were wanted and start anew.
  """
  sources: List[Tuple[str, List[str]]]
  fresh: List[str]


def experiments(experiment: experiment_pb2.Experiment
                ) -> List[experiment_pb2.Experiment]:
  """Reads the vocabularies under which a run's first values were learned.

  Args:
    experiment: The experiment, valid.

  Returns:
    Of each checkpoint that the run starts from, an experiment with the features
    and tasks of `experiment` that it had too, under their names here. Of the
    second checkpoint on, only those whose vocabularies count for what is taken.

  Raises:
    CheckpointError: If there is no such checkpoint, or it cannot be read.
  """
  found = []
  for i, message in enumerate(experiment.training.warm_start):
    saved = compatibility.experiment_of(checkpoint_of(message, i))
    tasks = {f"head/{task.name}": task for task in saved.model.task}
    found.append(experiment_pb2.Experiment())
    for feature in experiment.data.feature:
      if i == 0 or _goes_by(feature, message, experiment.model.task):
        earlier = _saved_feature(feature, message, saved.data.feature)
        if earlier is not None:
          copy = found[-1].data.feature.add()
          copy.CopyFrom(earlier)
          copy.name = feature.name
    for task in experiment.model.task:
      head = f"head/{task.name}"
      earlier = tasks.get(_saved_name(head, message))
      if earlier is not None and (i == 0 or any(
          _takes_of(message, s) for s in (head, f"wide/{task.name}"))):
        copy = found[-1].model.task.add()
        copy.CopyFrom(earlier)
        copy.name = task.name
  return found


def _saved_feature(feature, message, saved) -> Optional[features_pb2.Feature]:
  """Returns the feature whose categories have the rows that are taken."""
  table = outline.table_of(feature)
  renamed = _saved_name(table, message)
  return next((f for f in saved if (
      f.name == feature.name if renamed == table
      else outline.table_of(f) == renamed)), None)


def _goes_by(feature, message, tasks) -> bool:
  """Returns whether what is taken goes by the categories of a feature."""
  if outline.is_deep(feature) and not outline.has_tensor(feature):
    return True  # One-hot: layers have a row per category.
  scopes = [outline.table_of(feature)]
  scopes += [f"wide/{task.name}/{feature.name}" for task in tasks]
  return any(_takes_of(message, scope) for scope in scopes)


def checkpoint_of(message: training_pb2.WarmStart, number: int) -> str:
  """Returns the path of a checkpoint that a run starts from.

  Args:
    message: The `WarmStart` message.
    number: Which one of the experiment's it is, from 0.

  Returns:
    The path, without `.index`.

  Raises:
    CheckpointError: If there is none.
  """
  folder = message.checkpoint if os.path.isdir(message.checkpoint) else ""
  try:
    return checkpoints_lib.choose(folder, "" if folder else message.checkpoint)
  except checkpoints_lib.CheckpointError as error:
    raise checkpoints_lib.CheckpointError(
        f"training.warm_start[{number}].checkpoint: found no checkpoint "
        f"'{message.checkpoint}'; allowed: the path of a checkpoint, without "
        "its ending, or the folder of a run that has trained") from error


def restore(messages: Sequence[training_pb2.WarmStart],
            checkpoints: checkpoints_lib.Checkpoints, session: tf.Session
            ) -> Restored:
  """Takes over from the checkpoints what fits, from one after the other.

  What several have is the last one's, but for the statistics, which are those
  of the first that has them. A variable's average and its optimizer's state are
  not taken from another checkpoint than the variable.

  Args:
    messages: The `WarmStart` messages.
    checkpoints: The checkpoints of the run.
    session: Its session, initialized.

  Returns:
    A `Restored`.

  Raises:
    CheckpointError: If there is no such checkpoint, it cannot be read, has
      none of the variables wanted, or nothing in a scope that is renamed.
  """
  with session.graph.as_default():
    variables = {v.op.name: v for v in tf.global_variables()}
    owners = {a.op.name: v.op.name for a, v in averages.pairs()}
  for name in variables:
    state = _behind_group(name)
    if state is not None and "/" in state:
      owners[name] = state.rpartition("/")[0]
  sources, wanted = [], set()
  origins = {}  # Name to the number of the message it was restored by.
  for i, message in enumerate(messages):
    path = checkpoint_of(message, i)
    saved = checkpoints_lib.shapes_in(path)
    _check_renames(message, f"training.warm_start[{i}]", path, saved)
    names = _wanted(message, variables, saved)
    names = {here: there for here, there in names.items()
             if not (here.startswith(_STATISTICS) and here in origins)}
    missing = checkpoints.restore_matching(session, path, names)
    asked = [n for n in names if not n.startswith((_STATISTICS, _OPTIMIZER))]
    if set(asked) <= set(missing):
      raise checkpoints_lib.CheckpointError(
          f"training.warm_start[{i}]: {path} has none of the variables wanted, "
          f"such as {', '.join(names[n] for n in asked[:3])}; allowed: a "
          "checkpoint with at least one of them in the same shape")
    sources.append((path, missing))
    wanted.update(names)
    origins.update((n, i) for n in names if n not in missing)
  stale = [n for n, owner in owners.items()
           if n in origins and origins[n] != origins.get(owner)]
  session.run([variables[n].initializer for n in stale])
  return Restored(sources, [n for n in variables if n in wanted
                            and (n not in origins or n in stale)])


def describe(restored: Restored) -> List[str]:
  """Returns what the log says of what a run has taken over, a line each."""
  lines = [f"starting from {path}"
           + (f"; not in it: {', '.join(missing)}" if missing else "")
           for path, missing in restored.sources]
  if len(lines) > 1:
    lines.append("starting from none of them: "
                 + (", ".join(restored.fresh) or "nothing"))
  return lines


def _wanted(message, names: Iterable[str], saved: Iterable[str]
            ) -> Dict[str, str]:
  """Returns the variables that are wanted, with their names in a checkpoint."""
  by_state = {}  # Optimizers' state without its group to full names.
  for name in saved:
    by_state.setdefault(_behind_group(name), []).append(name)
  result = {}
  for name in names:
    state = _behind_group(name)
    if name.startswith(_OWN):
      continue
    if name.startswith(_STATISTICS):
      # What is normalized otherwise means something else to the network.
      result[name] = name
    elif state is None:
      if _takes(message, name):
        result[name] = _saved_name(name, message)
    elif message.optimizer_state and (
        "/" not in state or _takes(message, state)):
      there = _saved_name(state, message)
      group = name[:len(name) - len(state)]
      # Another run may have had the variable in a group of another name.
      others = by_state.get(there, []) if "/" in state else []
      result[name] = (others[0] if len(others) == 1 else group + there)
  return result


def _behind_group(name: str) -> Optional[str]:
  """Returns what of an optimizer's state a name is of, without its group.

  It is "beta1_power" of "optimizer/a/beta1_power", "head/a/kernel/Adam" of
  "optimizer/a/head/a/kernel/Adam", and None of what is no such state.
  """
  if not name.startswith(_OPTIMIZER):
    return None
  return name[len(_OPTIMIZER):].partition("/")[2]


def _takes(message, name: str) -> bool:
  """Returns whether a variable lies in a scope that is taken."""
  return not message.scope or any(
      ownership.within(name, scope) for scope in message.scope)


def _takes_of(message, scope: str) -> bool:
  """Returns whether something in a scope is taken, as far as scopes say."""
  return _takes(message, scope) or any(
      ownership.within(taken, scope) for taken in message.scope)


def _saved_name(name: str, message: training_pb2.WarmStart) -> str:
  """Returns what a variable of this run is called in the checkpoint."""
  renames = [r for r in message.rename if ownership.within(name, r.here)]
  if not renames:
    return name
  closest = max(renames, key=lambda rename: len(rename.here))
  return closest.saved + name[len(closest.here):]


def _check_renames(message, field_path: str, path: str,
                   saved: Mapping[str, Sequence[int]]) -> None:
  """Raises where a scope that is renamed is not in the checkpoint at all."""
  there = [n for n in saved if _behind_group(n) is None
           and not n.startswith(_OWN)]
  for j, rename in enumerate(message.rename):
    if not any(ownership.within(name, rename.saved) for name in there):
      raise checkpoints_lib.CheckpointError(
          f"{field_path}.rename[{j}].saved: found '{rename.saved}', a scope "
          f"without variables in {path}; allowed: one that has some"
          + config.nearest(rename.saved, ownership.scopes_of(there)))
