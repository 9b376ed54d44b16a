"""Loads libraries with ops that TensorFlow does not have by itself."""

import os
from typing import Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints
from mtl_graph.porting import python_files


def load(paths: Sequence[str]) -> None:
  """Loads libraries of custom ops, which runs them.

  Args:
    paths: Their paths.

  Raises:
    PortingError: If one cannot be loaded.
  """
  for path in paths:
    try:
      tf.load_op_library(os.path.abspath(path))
    except (tf.errors.OpError, RuntimeError, OSError) as error:
      raise python_files.PortingError(
          f"--op_library: '{path}' cannot be loaded: "
          f"{checkpoints.reason_of(error)}; allowed: a library of ops that was "
          "built for this TensorFlow") from error
