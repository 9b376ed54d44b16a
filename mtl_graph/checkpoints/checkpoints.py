"""Saves and restores everything a run needs to go on."""

import collections
import glob
import json
import os
import re
from typing import (Any, Collection, Dict, List, Mapping, Optional, Sequence,
                    Union)

import tensorflow.compat.v1 as tf

from mtl_graph.model import partitions

# Lines of TensorFlow's errors before the one that says what is wrong, and what
# that begins with where it is one of several.
_NO_REASON = re.compile(r"Graph execution error:|={5,}|"
                        r"(?:[A-Z_]+: )?From /job:\S+|"
                        r"\d+ root error\(s\) found\.?")
_ONE_OF_SEVERAL = re.compile(r"^\(\d+\) (?:[A-Z_]+: )?")


class CheckpointError(Exception):
  """A checkpoint that is missing or cannot be used."""


class Checkpoints:
  """The checkpoints of one run: the newest few, and the best one apart.

  A checkpoint holds every global variable of the graph, and the state that the
  run keeps outside of it, as a JSON string in the variable `run_state`: both
  are saved by one atomic write.
  """

  def __init__(self, model_dir: str, keep: int = 5):
    """Adds the ops that save and restore to the current graph.

    Args:
      model_dir: The run's folder.
      keep: How many of the newest checkpoints to keep.
    """
    self._model_dir = model_dir
    self._best_dir = os.path.join(model_dir, "best")
    self._state_input = tf.placeholder(tf.string, [], name="run_state_input")
    self._state = tf.get_variable("run_state", [], tf.string, trainable=False,
                                  initializer=tf.constant_initializer(b"{}"))
    self._set_state = self._state.assign(self._state_input, read_value=False)
    self._saver = tf.train.Saver(max_to_keep=keep, save_relative_paths=True)
    # One Saver's ops serve both folders; the second only counts for itself.
    best = type(self._saver.saver_def)()
    best.CopyFrom(self._saver.saver_def)
    best.max_to_keep = 1
    self._best_saver = tf.train.Saver(saver_def=best, save_relative_paths=True)
    self._finite = _finite(tf.global_variables())

  def recover(self) -> None:
    """Takes up where an earlier process left, and clears what it half wrote."""
    for saver, folder in ((self._saver, self._model_dir),
                          (self._best_saver, self._best_dir)):
      for path in glob.glob(os.path.join(
          glob.escape(folder), "model.ckpt-*.tempstate*")):
        os.remove(path)
      try:
        state = tf.train.get_checkpoint_state(folder)
      except (ValueError, tf.errors.OpError):
        continue  # Damaged: its checkpoints stay, as nothing lists them.
      if state:
        saver.recover_last_checkpoints([
            p for p in state.all_model_checkpoint_paths
            if os.path.exists(p + ".index")])

  def restore(self, session: tf.Session, path: str) -> None:
    """Restores one checkpoint; the session's variables are overwritten.

    Args:
      session: The session.
      path: Path of the checkpoint, without `.index`.

    Raises:
      CheckpointError: If the checkpoint cannot be restored.
    """
    restore_into(session, self._saver, path)

  def restore_matching(self, session: tf.Session, path: str,
                       names: Union[None, Collection[str], Mapping[str, str]
                                    ] = None) -> List[str]:
    """Restores the variables whose names and shapes a checkpoint has.

    Args:
      session: The session; the other variables keep their values.
      path: Path of the checkpoint, without `.index`.
      names: Names of the variables wanted, or a mapping from each to its name
        in the checkpoint; None: all but the state of the run.

    Returns:
      Names of those that were wanted and not restored.

    Raises:
      CheckpointError: If the checkpoint cannot be read.
    """
    shapes = shapes_in(path)
    other, times, savers = [], collections.Counter(), []
    with session.graph.as_default():
      for name, parts in partitions.together(tf.global_variables()).items():
        if name == "run_state" or names is not None and name not in names:
          continue
        saved = names[name] if isinstance(names, Mapping) else name
        if shapes.get(saved) != partitions.shape_of(parts[0]):
          other.append(name)
          continue
        # One Saver restores what is saved into one variable only.
        if times[saved] == len(savers):
          savers.append({})
        savers[times[saved]][saved] = (
            parts if partitions.is_part(parts[0]) else parts[0])
        times[saved] += 1
      for variables in savers:
        restore_into(session, tf.train.Saver(variables), path)
    return other

  def save(self, session: tf.Session, state: Dict[str, Any], step: int) -> str:
    """Saves the newest checkpoint and drops those beyond the number kept.

    Args:
      session: The session.
      state: What the run keeps outside of the graph; must fit JSON.
      step: The global step.

    Returns:
      Path of the checkpoint.

    Raises:
      CheckpointError: If it cannot be written, for want of space say.
    """
    return self._save(session, self._saver, self._model_dir, state, step)

  def save_best(self, session: tf.Session, state: Dict[str, Any], step: int
                ) -> str:
    """Saves the best checkpoint in place of the one before; as `save`."""
    return self._save(session, self._best_saver, self._best_dir, state, step)

  def set_best_aside(self) -> None:
    """Renames the folder of the best checkpoint, which no longer is that."""
    path = latest(self._best_dir)
    if path is not None:
      aside = f"{self._best_dir}-until-{step_of(path)}"
      while os.path.exists(aside):
        aside += "-again"
      os.rename(self._best_dir, aside)
    self._best_saver.set_last_checkpoints_with_time([])

  def _save(self, session, saver, folder, state, step):
    finite = session.run(self._finite)
    broken = [name for name, is_finite in finite.items() if not is_finite]
    if broken:
      raise CheckpointError(
          f"step {step}: not saved, as {', '.join(broken)} holds numbers that "
          f"are not finite; last good checkpoint: "
          f"{newest(self._model_dir) or 'none'}")
    try:
      os.makedirs(folder, exist_ok=True)
      session.run(self._set_state, {self._state_input: json.dumps(state)})
      return saver.save(session, os.path.join(folder, "model.ckpt"),
                        global_step=step, write_meta_graph=False)
    except (tf.errors.OpError, OSError, ValueError) as error:
      raise CheckpointError(
          f"{folder}: no checkpoint can be written: {reason_of(error)}"
          ) from error


def _finite(variables: Sequence[tf.Variable]) -> Dict[str, tf.Tensor]:
  """Returns whether all numbers of each variable are finite, by its name.

  Every variable of a run has such ops, so they are as few as can be: of the
  read that a variable comes with, and of axes that are shared.
  """
  axes, found = {}, {}
  graph = tf.get_default_graph()
  for variable in variables:
    if variable.dtype.base_dtype.is_floating:
      rank = variable.shape.rank
      if rank not in axes:
        axes[rank] = tf.range(rank)
      value = graph.as_graph_element(variable)
      with graph.colocate_with(value.op):  # Tables may be far away.
        found[variable.op.name] = tf.reduce_all(tf.is_finite(value), axes[rank])
  return found


def shapes_in(path: str) -> Dict[str, List[int]]:
  """Reads which variables a checkpoint has.

  Args:
    path: Path of the checkpoint, without `.index`.

  Returns:
    The shapes by name.

  Raises:
    CheckpointError: If the checkpoint cannot be read.
  """
  try:
    return tf.train.load_checkpoint(path).get_variable_to_shape_map()
  except (tf.errors.OpError, ValueError, RuntimeError) as error:
    raise CheckpointError(_cannot(path, error)) from error


def restore_into(session: tf.Session, saver: tf.train.Saver, path: str) -> None:
  """Restores a checkpoint through a saver.

  Args:
    session: The session.
    saver: A saver of the variables wanted.
    path: Path of the checkpoint, without `.index`.

  Raises:
    CheckpointError: If the checkpoint lacks a variable, has another shape for
      it, or is damaged.
  """
  try:
    saver.restore(session, path)
  except (tf.errors.OpError, ValueError) as error:
    raise CheckpointError(_cannot(path, error)) from error


def latest(folder: str) -> Optional[str]:
  """Returns the path of the newest checkpoint of a folder, or None.

  Falls back on the files themselves, and takes the newest that is whole, where
  the `checkpoint` file that names them is missing, damaged or out of date, as
  after a crash of the machine.
  """
  try:
    state = tf.train.get_checkpoint_state(folder)
  except (ValueError, tf.errors.OpError):
    state = None
  if state and os.path.isfile(state.model_checkpoint_path + ".index"):
    return state.model_checkpoint_path
  found = [p[:-len(".index")] for p in glob.glob(
      os.path.join(glob.escape(folder), "model.ckpt-*.index"))]
  numbered = [p for p in found if p.rpartition("-")[2].isdigit()]
  return next((p for p in sorted(numbered, key=step_of, reverse=True)
               if _is_whole(p)), None)


def _is_whole(path: str) -> bool:
  try:
    shapes_in(path)
  except CheckpointError:
    return False
  return bool(glob.glob(glob.escape(path) + ".data-*"))


def newest(model_dir: str) -> Optional[str]:
  """Returns the path of a run's newest checkpoint, the best included, or None.

  A run killed after its best checkpoint and before the next regular one goes on
  from the best: it holds everything too.
  """
  found = [p for p in (latest(model_dir),
                       latest(os.path.join(model_dir, "best"))) if p]
  # One alone may be of another project, and bear no step.
  return max(found, key=step_of) if len(found) > 1 else next(iter(found), None)


def remains(model_dir: str) -> List[str]:
  """Returns the data files of checkpoints, whole or not."""
  return glob.glob(os.path.join(glob.escape(model_dir), "model.ckpt-*.data-*"))


def step_of(path: str) -> int:
  """Returns the step in the name of a checkpoint."""
  return int(path.rpartition("-")[2])


def global_step(path: str) -> int:
  """Reads the global step of a checkpoint, whatever its name.

  Raises:
    CheckpointError: If the checkpoint cannot be read, or has none.
  """
  try:
    return int(tf.train.load_checkpoint(path).get_tensor("global_step"))
  except (tf.errors.OpError, ValueError, RuntimeError) as error:
    raise CheckpointError(_cannot(path, error)) from error


def read_state(path: str) -> Dict[str, Any]:
  """Reads the state that a run saved beside its variables.

  Args:
    path: Path of the checkpoint, without `.index`.

  Returns:
    The state; empty if the checkpoint has none.

  Raises:
    CheckpointError: If the checkpoint cannot be read.
  """
  try:
    reader = tf.train.load_checkpoint(path)
    if "run_state" not in reader.get_variable_to_shape_map():
      return {}
    return json.loads(reader.get_tensor("run_state"))
  except (tf.errors.OpError, ValueError, RuntimeError,
          IndexError) as error:
    raise CheckpointError(_cannot(path, error)) from error


def choose(model_dir: str, which: str) -> str:
  """Returns the path of the checkpoint a user asks for.

  Args:
    model_dir: The run's folder.
    which: "best", "latest", "" (the best if there is one, else the latest), or
      a path.

  Returns:
    Path of the checkpoint, without `.index`.

  Raises:
    CheckpointError: If there is none.
  """
  path = None
  if which in ("", "best"):
    path = latest(os.path.join(model_dir, "best"))
  if path is None and which in ("", "latest"):
    path = newest(model_dir)
  if path is None and os.path.isfile(which + ".index"):
    path = which
  if path is None:
    raise CheckpointError(
        f"{model_dir}: found no checkpoint{which and f' {which!r}'}; allowed: "
        "best, latest or a path, of a run that has trained")
  return path


def _cannot(path, error):
  return f"{path}: the checkpoint cannot be restored: {reason_of(error)}"


def reason_of(error: Exception) -> str:
  """Returns the line of an error that says what is wrong."""
  text = (getattr(error, "message", None) or str(error)).strip()
  # TensorFlow puts it behind the traces of the ops that failed.
  behind = re.split(r"^Node: '[^']*'$", text, flags=re.MULTILINE)[-1]
  lines = [line.strip() for line in behind.splitlines() if line.strip()]
  found = next((line for line in lines if not _NO_REASON.fullmatch(line)),
               text.partition("\n")[0])
  return _ONE_OF_SEVERAL.sub("", found).rstrip(".")
