"""Writes a renamed checkpoint, in the second format."""

import glob
import json
import os
from typing import Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import checkpoint_reader
from mtl_graph.checkpoints import renaming


def check_new(output: str) -> None:
  """Raises if something is where a checkpoint is to be written.

  Args:
    output: Its path, without ending.

  Raises:
    CheckpointError: If there is.
  """
  there = [path for path in [output, output + ".index"] + glob.glob(
      glob.escape(output) + ".data-*") if os.path.exists(path)]
  if there or not os.path.basename(output):
    raise checkpoints.CheckpointError(
        f"--output: '{output}' exists; allowed: the path of a checkpoint, "
        "without ending, that is not there yet")


def write(reader: checkpoint_reader.Reader, rows: Sequence[renaming.Row],
          output: str) -> None:
  """Writes what a plan keeps of a checkpoint, under its new names.

  All values are in memory at once. A `checkpoint` file that names the newest
  is written if the folder has none.

  Args:
    reader: The old checkpoint.
    rows: What `renaming.plan` returned.
    output: Path of the new one, without ending.

  Raises:
    CheckpointError: If a value cannot be read, nothing is left to write, or
      the new checkpoint exists or cannot be written.
  """
  check_new(output)
  kept = [row for row in rows if row.target is not None]
  if not kept:
    raise checkpoints.CheckpointError(
        f"{reader.path}: nothing is left to write; allowed: rules that keep "
        "something")
  names, values, types = [], [], []
  for row in kept:
    parts = [reader.value(name) for name in row.sources]
    names.append(row.target)
    values.append(parts[0] if len(parts) == 1
                  else np.concatenate(parts, axis=row.axis))
    types.append(reader.variables[row.sources[0]].dtype)
  try:
    os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [tf.placeholder(dtype, value.shape)
                for dtype, value in zip(types, values)]
      save = tf.raw_ops.SaveV2(
          prefix=output, tensor_names=names, shape_and_slices=[""] * len(names),
          tensors=inputs)
      session.run(save, dict(zip(inputs, values)))
    state = os.path.join(os.path.dirname(output), "checkpoint")
    if not os.path.exists(state):
      with open(state, "w", encoding="utf-8") as file:
        # As a Saver writes it, relative, so that the folder may be moved.
        name = json.dumps(os.path.basename(output))
        file.write(f"model_checkpoint_path: {name}\n"
                   f"all_model_checkpoint_paths: {name}\n")
  except (tf.errors.OpError, OSError, ValueError, TypeError) as error:
    raise checkpoints.CheckpointError(
        f"--output: '{output}' cannot be written: "
        f"{checkpoints.reason_of(error)}") from error
