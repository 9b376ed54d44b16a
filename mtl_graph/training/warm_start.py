"""Starts a run from the checkpoint of another one."""

import os
from typing import List, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.protos import training_pb2

# What a new run begins by itself, whatever the other one's checkpoint has.
_OWN = ("global_step", "run_state")


def checkpoint_of(message: training_pb2.WarmStart) -> str:
  """Returns the path of the checkpoint that a run starts from.

  Args:
    message: The `WarmStart` message.

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
        f"training.warm_start.checkpoint: found no checkpoint "
        f"'{message.checkpoint}'; allowed: the path of a checkpoint, without "
        "its ending, or the folder of a run that has trained") from error


def restore(message: training_pb2.WarmStart,
            checkpoints: checkpoints_lib.Checkpoints, session: tf.Session
            ) -> Tuple[str, List[str]]:
  """Takes over from the checkpoint what fits.

  Args:
    message: The `WarmStart` message.
    checkpoints: The checkpoints of the run.
    session: Its session, initialized.

  Returns:
    Path of the checkpoint, and the names of the variables that were wanted and
    are not in it.

  Raises:
    CheckpointError: If there is no such checkpoint, it cannot be read, or has
      none of the variables wanted.
  """
  path = checkpoint_of(message)
  scopes = tuple(f"{scope}/" for scope in message.scope)

  def wanted(name):
    if name in _OWN:
      return False
    if name.startswith("optimizer/"):
      return message.optimizer_state
    # What is normalized otherwise means something else to the network.
    return (not scopes or name.startswith("statistics/")
            or (name + "/").startswith(scopes))

  with session.graph.as_default():
    names = [v.op.name for v in tf.global_variables() if wanted(v.op.name)]
  fresh = checkpoints.restore_matching(session, path, names)
  asked = [name for name in names if not name.startswith("statistics/")]
  if set(asked) <= set(fresh):
    raise checkpoints_lib.CheckpointError(
        f"{path}: has none of the variables wanted, such as "
        f"{', '.join(asked[:3])}; allowed: a checkpoint with at least one of "
        "them in the same shape")
  return path, fresh
