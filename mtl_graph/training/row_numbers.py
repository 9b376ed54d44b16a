"""Computes which rows batches hold, for a reader outside the training graph."""

from typing import Callable, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import mixing
from mtl_graph.protos import training_pb2


def build(parts: Sequence[slice], batch_size: int, seed: int,
          shuffle_buffer: int = 0, plan: Optional[mixing.Plan] = None
          ) -> Callable[[int, int], np.ndarray]:
  """Makes the function that says which rows batches hold.

  It runs the ops that the training graph would, in a graph of its own.

  Args:
    parts: Runs of rows that batches are drawn from; with a plan, the rows of
      each source.
    batch_size: Rows per batch.
    seed: Seed of the experiment.
    shuffle_buffer: Rows among which a row's place is drawn; 0: all.
    plan: The source of each batch, where batches are each of one source.

  Returns:
    A function from the number of the first batch and how many there are to
    their row numbers, int64, shape `[count * batch_size]`.
  """
  with tf.Graph().as_default() as graph:
    number = tf.placeholder(tf.int64, [], name="number")
    count = tf.placeholder(tf.int64, [], name="count")
    if plan is None:
      rows = batches.rows_of_parts(number, parts, batch_size, seed, count,
                                   shuffle_buffer)
    else:
      rows = batches.planned_rows(
          number, mixing.Plan(*map(tf.constant, plan)),
          [part.start for part in parts],
          [part.stop - part.start for part in parts], batch_size, seed, count,
          shuffle_buffer)
  # A thread of its own: it runs beside steps.
  session = sessions.open_session(graph, training_pb2.Execution(
      inter_op_threads=1))
  return session.make_callable(rows, [number, count])
