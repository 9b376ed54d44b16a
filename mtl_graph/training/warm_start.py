"""Starts a run from the checkpoints of other ones."""

import os
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.checkpoints import checkpoint_reader
from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.checkpoints import compatibility
from mtl_graph.checkpoints import whole_values
from mtl_graph.model import averages
from mtl_graph.model import partitions
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import features_pb2
from mtl_graph.protos import training_pb2
from mtl_graph.training import warm_start_names

_WARM_START = training_pb2.WarmStart
_STATISTICS = warm_start_names.STATISTICS


class Source(NamedTuple):
  """What a run has taken over from one checkpoint.

  Attributes:
    path: Path of the checkpoint.
    is_foreign: Whether it is of another project, which has no vocabularies.
    restored: Where it comes from by names here, of what was taken as it is.
    sliced: Both shapes, as text, of what was taken in part.
    skipped: Both shapes, as text, of what has another shape there.
    missing: The nearest name there, as text, of what is not there.
    warnings: Lines on what is missing, where that is to be warned of.
    unused: Names there that nothing was taken from; no optimizers' state.
  """
  path: str
  is_foreign: bool
  restored: Dict[str, str]
  sliced: Dict[str, str]
  skipped: Dict[str, str]
  missing: Dict[str, str]
  warnings: List[str]
  unused: List[str]


class Restored(NamedTuple):
  """What a run has taken over.

  Attributes:
    sources: A `Source` for each checkpoint, in their order.
    fresh: Names of the variables that were wanted and start anew.
  """
  sources: List[Source]
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
    saved = _experiment_of(checkpoint_of(message, i))
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
      earlier = tasks.get(warm_start_names.saved_name(head, message))
      if earlier is not None and (i == 0 or any(
          warm_start_names.takes_of(message, scope)
          for scope in (head, f"wide/{task.name}"))):
        copy = found[-1].model.task.add()
        copy.CopyFrom(earlier)
        copy.name = task.name
  return found


def _experiment_of(path):
  """Returns the experiment of a checkpoint; an empty one if it is foreign."""
  return (experiment_pb2.Experiment() if _is_foreign(path)
          else compatibility.experiment_of(path))


def _is_foreign(path):
  return not checkpoints_lib.read_state(path)


def _saved_feature(feature, message, saved) -> Optional[features_pb2.Feature]:
  """Returns the feature whose categories have the rows that are taken."""
  table = outline.table_of(feature)
  renamed = warm_start_names.saved_name(table, message)
  return next((f for f in saved if (
      f.name == feature.name if renamed == table
      else outline.table_of(f) == renamed)), None)


def _goes_by(feature, message, tasks) -> bool:
  """Returns whether what is taken goes by the categories of a feature."""
  if outline.is_deep(feature) and not outline.has_tensor(feature):
    return True  # One-hot: layers have a row per category.
  scopes = [outline.table_of(feature)]
  scopes += [f"wide/{task.name}/{feature.name}" for task in tasks]
  return any(warm_start_names.takes_of(message, scope) for scope in scopes)


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
    CheckpointError: If there is no such checkpoint, it cannot be read, rules do
      not fit it, it has none of the variables wanted, nothing in a scope that
      is renamed, or not what a run insists on.
  """
  with session.graph.as_default():
    variables = partitions.together(tf.global_variables())
    averaged = {partitions.name_of(a): partitions.name_of(v)
                for a, v in averages.pairs()}
  owners = dict(averaged)
  for name in variables:
    state = warm_start_names.behind_group(name)
    if state is not None and "/" in state:
      owners[name] = state.rpartition("/")[0]
  sources, wanted = [], set()
  origins = {}  # Name to the number of the message it was restored by.
  for i, message in enumerate(messages):
    field_path, path = f"training.warm_start[{i}]", checkpoint_of(message, i)
    saved = warm_start_names.renamed(message, field_path, path,
                                     checkpoints_lib.shapes_in(path))
    names = warm_start_names.wanted(message, variables, saved.rows)
    names = {here: there for here, there in names.items()
             if not (here.startswith(_STATISTICS) and here in origins)}
    source = _compare(message, path, names, variables, saved)
    _check_strict(message, field_path, source, averaged)
    asked = [n for n in names if not n.startswith(
        (_STATISTICS, warm_start_names.OPTIMIZER))]
    taken = {**source.restored, **source.sliced}
    if not set(asked) & set(taken):
      raise checkpoints_lib.CheckpointError(
          f"{field_path}: {path} has none of the variables wanted, "
          f"such as {', '.join(names[n] for n in asked[:3])}; allowed: a "
          "checkpoint with at least one of them in the same shape")
    _load(checkpoints, session, variables, saved, source, names)
    sources.append(source)
    wanted.update(names)
    origins.update((n, i) for n in taken)
  stale = [n for n, owner in owners.items()
           if n in origins and origins[n] != origins.get(owner)]
  session.run([part.initializer for n in stale for part in variables[n]])
  return Restored(sources, [n for n in variables if n in wanted
                            and (n not in origins or n in stale)])


def _compare(message, path, names, variables, saved) -> Source:
  """Says what of the wanted variables a checkpoint has."""
  source = Source(path, _is_foreign(path), {}, {}, {}, {}, [], [])
  unused = warm_start_names.unused(names.values(), saved.rows)
  source.unused.extend(part for name in unused
                       for part in saved.rows[name].sources)
  for name, there in names.items():
    here = partitions.shape_of(variables[name][0])
    if there not in saved.shapes:
      source.missing[name] = config.nearest(there, unused)
    elif saved.shapes[there] == here:
      parts = saved.rows[there].sources
      source.restored[name] = (parts[0] if len(parts) == 1
                               else f"{len(parts)} parts of {there}")
    else:
      both = f"{saved.shapes[there]} there, {here} here"
      in_part = (message.shape_mismatch == training_pb2.SLICE
                 and len(here) == len(saved.shapes[there])
                 and not name.startswith(_STATISTICS))
      (source.sliced if in_part else source.skipped)[name] = both
  return source


def _check_strict(message, field_path, source, averaged) -> None:
  """Raises where a run insists on what the checkpoint has not."""
  skipped = {name: both for name, both in source.skipped.items()
             if not name.startswith(_STATISTICS)}
  if skipped and message.shape_mismatch != training_pb2.SKIP:
    kind = training_pb2.ShapeMismatch.Name(message.shape_mismatch)
    raise checkpoints_lib.CheckpointError(
        f"{field_path}.shape_mismatch: found {kind}, where {source.path} has "
        "other shapes: " + ", ".join(
            f"{name} ({both})" for name, both in skipped.items())
        + "; allowed: " + ("as many dimensions, or SKIP"
                           if kind == "SLICE" else "the same, SKIP or SLICE"))
  missing = {name: nearest for name, nearest in source.missing.items()
             if name not in averaged and not name.startswith(_STATISTICS)}
  if missing and message.missing == _WARM_START.ERROR:
    raise checkpoints_lib.CheckpointError(
        f"{field_path}.missing: found ERROR, where {source.path} lacks "
        + ", ".join(name + nearest.replace("; ", " (", 1) + ")" * bool(nearest)
                    for name, nearest in missing.items())
        + "; allowed: a checkpoint with all of them, rules that make their "
        "names, `scope`, WARN or INITIALIZE")
  if message.missing == _WARM_START.WARN:
    source.warnings.extend(
        f"warning: {field_path}: {source.path} lacks {name}{nearest}; it "
        "starts from its initial value" for name, nearest in missing.items())


def _load(checkpoints, session, variables, saved, source, names) -> None:
  """Gives variables the values that a checkpoint has for them."""
  whole = {name: there for name, there in source.restored.items()
           if len(saved.rows[names[name]].sources) == 1}
  checkpoints.restore_matching(session, source.path, whole)
  reader = checkpoint_reader.Reader(source.path)
  for name in [*source.restored, *source.sliced]:
    if name in whole:
      continue
    one, row = {name: variables[name]}, saved.rows[names[name]]
    parts = [reader.value(part) for part in row.sources]
    value = parts[0] if len(parts) == 1 else np.concatenate(parts, row.axis)
    if name in source.sliced:
      whole_value = np.array(whole_values.read(session, one)[name])
      common = tuple(slice(min(a, b)) for a, b in zip(
          value.shape, whole_value.shape))
      whole_value[common] = value[common]
      value = whole_value
    whole_values.load(session, one, {name: value.astype(
        one[name][0].dtype.as_numpy_dtype)})


def describe(restored: Restored) -> List[str]:
  """Returns what the log says of what a run has taken over, a line each."""
  lines = []
  for source in restored.sources:
    absent = [*source.missing, *source.skipped]
    lines.append(f"starting from {source.path}" + (
        f"; not in it: {', '.join(absent)}" if absent else ""))
    if source.is_foreign:
      lines.append(
          "  it is of another project: rows of embeddings and classes count as "
          "those of this experiment's vocabularies; inputs are normalized by "
          "these rows")
    others = [f"{here} from {there}" for here, there in source.restored.items()
              if here != there]
    lines.append(f"  restored: {len(source.restored)} variables" + (
        f"; under another name: {', '.join(others)}" if others else ""))
    for what, found in (("sliced", source.sliced), ("skipped", source.skipped)):
      if found:
        lines.append(f"  {what}: " + ", ".join(
            f"{name} ({both})" for name, both in found.items()))
    for what, names in (("missing", source.missing), ("unused", source.unused)):
      if names:
        lines.append(f"  {what}: {', '.join(names)}")
    lines += source.warnings
  if len(restored.sources) > 1:
    lines.append("starting from none of them: "
                 + (", ".join(restored.fresh) or "nothing"))
  else:
    lines.append(f"  initialized: {', '.join(restored.fresh) or 'nothing'}")
  return lines
