"""The graph of a run: the model, its training rows, and the step over them."""

from typing import Any, Callable, Dict, NamedTuple, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.data import batches
from mtl_graph.data import splits
from mtl_graph.data import statistics
from mtl_graph.model import graphs
from mtl_graph.model import joint_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import execution as execution_lib
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import preparation


class TrainingGraph(NamedTuple):
  """What a run works with, all in one graph.

  Attributes:
    model: What `graphs.build` returned.
    fill: The op that takes the training rows in.
    feed: Makes of a `Batch` of arrays what `fill` is fed.
    start_execution: Makes the execution, of a session with variables.
    cosines: What `joint_step.gradient_cosines` returned, or nothing.
    checkpoints: Saves and restores everything.
  """
  model: graphs.Graph
  fill: tf.Operation
  feed: Callable[[batches.Batch], Dict[tf.Tensor, Any]]
  start_execution: Callable[[tf.Session], execution_lib.Execution]
  cosines: Dict[Tuple[str, str], tf.Tensor]
  checkpoints: checkpoints_lib.Checkpoints


def build(experiment: experiment_pb2.Experiment, rows: splits.Split,
          epoch: np.ndarray, model_dir: str, hooks: hooks_lib.Hooks
          ) -> TrainingGraph:
  """Builds the graph of a run.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    rows: The training rows.
    epoch: Which of them make up an epoch, shape `[N]`.
    model_dir: The run's folder.
    hooks: What runs around every step.

  Returns:
    A `TrainingGraph`.

  Raises:
    ConfigErrors: If the groups do not fit the variables.
  """
  model = graphs.build(experiment, statistics.measure(experiment.data.feature,
                                                      rows.raw))
  with model.graph.as_default():
    resident, feed = batches.resident(
        len(epoch), graphs.widths(experiment, model.transformed))
    fill = tf.local_variables_initializer()
    may_lack_labels = batches.may_lack_labels(
        rows.labels.weights[epoch], preparation.rows_of_step(experiment))

    def batch_of(number):
      return batches.gather(resident, batches.rows_of_batch(
          number, len(epoch), experiment.data.batch_size, experiment.seed))

    def trace():
      step = joint_step.build(experiment, model, batch_of, _read_step(model),
                              may_lack_labels)
      if hooks:
        hooks_lib.name_report(
            step, [task.name for task in experiment.model.task],
            [group.name for group in model.groups if not group.frozen])
      return step

    start_execution = execution_lib.build(experiment.training.execution, trace,
                                          hooks)
    cosines = {}
    if experiment.training.summaries.gradient_cosine:
      with tf.name_scope("gradient_cosines"):
        number = _read_step(model) * experiment.training.accumulate_batches
        cosines = joint_step.gradient_cosines(experiment, model,
                                              batch_of(number), number)
    checkpoints = checkpoints_lib.Checkpoints(
        model_dir, experiment.training.checkpoint.keep)
    hooks.begin()
  return TrainingGraph(model, fill, feed, start_execution, cosines, checkpoints)


def _read_step(model: graphs.Graph) -> tf.Tensor:
  """Returns the global step as it is before the step."""
  return tf.identity(model.global_step.read_value())
