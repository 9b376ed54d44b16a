"""Reads checkpoints of either format, whole; what is damaged is one line."""

import glob
import os
import re
from typing import Dict, List, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import sessions

_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")
_V1_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, IndexError, TypeError,
           OSError)


class Saved(NamedTuple):
  """One variable of a checkpoint, without its value.

  Attributes:
    name: Its name.
    shape: Its shape.
    dtype: Its type.
  """
  name: str
  shape: List[int]
  dtype: tf.DType

  @property
  def size(self) -> int:
    """How many numbers it holds."""
    return int(np.prod(self.shape, dtype=np.int64))

  @property
  def bytes(self) -> int:
    """How large they are; of strings, 0."""
    return self.size * (0 if self.dtype == tf.string else self.dtype.size)


class Reader:
  """A checkpoint on disk.

  Attributes:
    path: Its path, as TensorFlow takes it.
    version: 1 or 2.
    variables: What it holds, by name, sorted.
  """

  def __init__(self, path: str):
    """Opens a checkpoint.

    Args:
      path: Path without ending, of one of its files, or of a folder with some,
        of which the newest is taken.

    Raises:
      CheckpointError: If there is none, a shard is missing, or it is damaged.
    """
    self.path, self.version = _find(path)
    try:
      self._reader = tf.train.load_checkpoint(self.path)
      shapes = self._reader.get_variable_to_shape_map()
      types = self._reader.get_variable_to_dtype_map()
      self.variables: Dict[str, Saved] = {
          name: Saved(name, [int(d) for d in shapes[name]],
                      tf.as_dtype(types[name])) for name in sorted(shapes)}
    except _ERRORS as error:
      raise self._damaged(error) from error

  def _damaged(self, error, name=""):
    what = f": {name}" if name else ""
    return checkpoints.CheckpointError(
        f"{self.path}{what}: cannot be read: {checkpoints.reason_of(error)}; "
        "allowed: a whole checkpoint of TensorFlow")

  def value(self, name: str) -> np.ndarray:
    """Reads a value; pieces that were saved apart are put together.

    Args:
      name: Name of the variable.

    Returns:
      Its value; of strings, an array of objects.

    Raises:
      CheckpointError: If it cannot be read.
    """
    saved = self.variables[name]
    kind = object if saved.dtype == tf.string else None
    try:
      return np.asarray(self._reader.get_tensor(name), kind)
    except tf.errors.UnimplementedError:
      pass  # Pieces, in the first format: an op can read them.
    except _ERRORS as error:
      raise self._damaged(error, name) from error
    try:
      with (tf.Graph().as_default() as graph,
            sessions.open_session(graph) as session):
        shape = " ".join(map(str, saved.shape))
        return np.asarray(session.run(tf.raw_ops.RestoreSlice(
            file_pattern=self.path, tensor_name=name,
            shape_and_slice=shape + " " + ":".join("-" for _ in saved.shape),
            dt=saved.dtype)), kind)
    except _ERRORS as error:
      raise self._damaged(error, name) from error


def _find(path):
  """Returns the path of a checkpoint as TensorFlow takes it, and its format."""
  if os.path.isdir(path):
    newest = checkpoints.latest(path)
    if newest is None:
      try:
        newest = tf.train.latest_checkpoint(path)
      except _ERRORS:
        newest = None
    if newest is None:
      raise checkpoints.CheckpointError(
          f"{path}: found a folder without a checkpoint; allowed: one with, or "
          "the path of a checkpoint")
    path = newest
  path = re.sub(r"\.index$|\.meta$", "", _SHARD.sub("", path))
  if os.path.isfile(path + ".index"):
    _check_shards(path)
    return path, 2
  if _V1_SHARD.search(path):
    path = _V1_SHARD.sub(r"-?????-of-\2", path)
  if os.path.isfile(path):
    return path, 1
  if "-?????-of-" in path:
    found = glob.glob(path)
    wanted = int(path[-5:])
    if found and len(found) < wanted:
      raise checkpoints.CheckpointError(
          f"{path}: found {len(found)} of {wanted} shards; allowed: all of "
          "them")
    if found:
      return path, 1
  parts = glob.glob(glob.escape(path) + "-?????-of-?????")
  if parts:
    return _find(parts[0])
  raise checkpoints.CheckpointError(
      f"{path}: found no checkpoint; allowed: its path without ending, or a "
      "folder with some")


def _check_shards(path):
  """Raises if a file of the second format is missing."""
  found = [match for match in map(
      _SHARD.search, glob.glob(glob.escape(path) + ".data-*")) if match]
  wanted = max((int(match[2]) for match in found), default=1)
  if len(found) < wanted:
    missing = sorted(set(range(wanted)) - {int(m[1]) for m in found})
    raise checkpoints.CheckpointError(
        f"{path}: found {len(found)} of {wanted} data files, without "
        f"{os.path.basename(path)}.data-{missing[0]:05d}-of-{wanted:05d}; "
        "allowed: all of them")
