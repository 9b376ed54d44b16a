"""What training steps read: rows that are held in the graph."""

from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph.data import batches
from mtl_graph.data import mixing
from mtl_graph.data import splits
from mtl_graph.model import objectives
from mtl_graph.model import train_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import preparation


class ResidentInput:
  """The training rows, held in local variables of the graph.

  Attributes:
    fill: The op that takes the rows in, under what `feed` returns.
  """

  def __init__(self, experiment: experiment_pb2.Experiment, rows: splits.Split,
               epoch: np.ndarray, plan: Optional[mixing.Plan],
               widths: batches.Batch):
    """Makes the variables in the current graph.

    Args:
      experiment: The experiment, valid.
      rows: The training rows.
      epoch: Which of them make up an epoch, shape `[N]`.
      plan: The source of each batch of joint training, where there are several.
      widths: A `Batch` of the widths of the four matrices.
    """
    categorical = [feature for feature in experiment.data.feature
                   if feature.WhichOneof("kind") in ("categorical", "cross")]
    self._experiment = experiment
    self._sources = list(rows.sources.values())
    self._weights = rows.labels.weights[epoch]
    self._parts = preparation.rows_of_tasks(experiment, rows, len(epoch))
    self._resident, self._feed_rows = batches.resident(
        len(epoch), widths, batches.narrow_dtypes(
            max(map(outline.table_rows, categorical), default=1),
            rows.labels.values, rows.labels.weights))
    self._plan = plan
    if plan is not None:
      self._planned, self._feed_plan = batches.resident_plan(len(plan.source))
    self.fill = tf.local_variables_initializer()

  def feed(self, batch: batches.Batch) -> Dict[tf.Tensor, Any]:
    """Makes of a `Batch` of arrays, the rows of an epoch, what to feed."""
    found = self._feed_rows(batch)
    if self._plan is not None:
      found.update(self._feed_plan(self._plan))
    return found

  def batches_of(self, objective: objectives.Objective, first: tf.Tensor,
                 count: int) -> train_step.BatchOf:
    """Gives the batches of an objective, as `step_block.BatchesOf` has it.

    Args:
      objective: The objective.
      first: Number of the first batch, int64 scalar.
      count: How many.

    Returns:
      A function from the number of one of them to its rows.
    """
    numbers = first
    if count > 1:
      numbers += tf.range(count, dtype=tf.int64)
    rows = self._rows(objective, numbers)

    def batch_of(number):
      chosen = rows if count == 1 else tf.gather(rows, number - first)
      return batches.gather(self._resident, chosen)
    return batch_of

  def _rows(self, objective, numbers):
    size, seed = objective.batch_size, self._experiment.seed
    if self._plan is None:
      return batches.rows_of_parts(numbers, self._parts[objective.tasks[0]],
                                   size, seed)
    # A block may have room for more batches than the plan has left.
    numbers = tf.minimum(numbers, len(self._plan.source) - 1)
    return batches.planned_rows(
        numbers, self._planned, [part.start for part in self._sources],
        [part.stop - part.start for part in self._sources], size, seed)

  def may_lack_labels(self, objective: objectives.Objective) -> List[bool]:
    """Tells which tasks could be without any label in some step."""
    if self._plan is not None:
      return batches.may_lack_labels(self._weights, objective.batch_size,
                                     self._sources).tolist()
    return batches.may_lack_labels(
        np.concatenate([self._weights[part]
                        for part in self._parts[objective.tasks[0]]]),
        objective.batch_size * self._experiment.training.accumulate_batches
    ).tolist()
