"""Which device of a cluster holds which variable."""

from typing import Callable, Sequence

import numpy as np
import tensorflow.compat.v1 as tf


class ByBytes:
  """Gives each variable to the server that holds the fewest bytes so far.

  Processes that make the same variables in the same order agree on it.
  Optimizers' slots follow their variable and are not asked about.
  """

  def __init__(self, servers: int):
    self._bytes = [0] * servers

  def __call__(self, op: tf.Operation) -> int:
    """Returns the number of the server of an op that makes a variable."""
    server = int(np.argmin(self._bytes))
    shape = tf.TensorShape(op.get_attr("shape"))
    dtype = tf.as_dtype(op.get_attr("dtype"))
    size = 1 if dtype == tf.string else dtype.size
    self._bytes[server] += (shape.num_elements() or 1) * size
    return server


def on_servers(servers: Sequence[str], worker: str) -> Callable:
  """Returns what puts variables on parameter servers, and all else on a worker.

  Args:
    servers: Devices of the parameter servers.
    worker: Device of the worker.

  Returns:
    A function that `tf.device` takes.
  """
  return tf.train.replica_device_setter(
      ps_tasks=len(servers), ps_device="/job:ps", worker_device=worker,
      ps_strategy=ByBytes(len(servers)))
