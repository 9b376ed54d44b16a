"""The graph of a run: the model, its training rows, and the step over them."""

from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.data import batches
from mtl_graph.data import mixing
from mtl_graph.data import splits
from mtl_graph.data import statistics
from mtl_graph.model import graphs
from mtl_graph.model import objectives
from mtl_graph.model import train_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import execution as execution_lib
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import preparation
from mtl_graph.training import schedule as schedule_lib


class TrainingGraph(NamedTuple):
  """What a run works with, all in one graph.

  Attributes:
    model: What `graphs.build` returned.
    fill: The op that takes the training rows in.
    feed: Makes of a `Batch` of arrays what `fill` is fed.
    start_execution: Makes the execution, of a schedule and a session with
      variables.
    cosines: What `train_step.gradient_cosines` returned, or nothing.
    checkpoints: Saves and restores everything.
  """
  model: graphs.Graph
  fill: tf.Operation
  feed: Callable[[batches.Batch], Dict[tf.Tensor, Any]]
  start_execution: Callable[[schedule_lib.Schedule, tf.Session],
                            execution_lib.Execution]
  cosines: Dict[Tuple[str, str], tf.Tensor]
  checkpoints: checkpoints_lib.Checkpoints


def build(experiment: experiment_pb2.Experiment, rows: splits.Split,
          epoch: np.ndarray, plan: Optional[mixing.Plan], model_dir: str,
          hooks: hooks_lib.Hooks) -> TrainingGraph:
  """Builds the graph of a run.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    rows: The training rows.
    epoch: Which of them make up an epoch, shape `[N]`.
    plan: The source of each batch of joint training, where there are several.
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
    resident, feed_rows = batches.resident(
        len(epoch), graphs.widths(experiment, model.transformed))
    planned, feed_plan = None, None
    if plan is not None:
      planned, feed_plan = batches.resident_plan(len(plan.source))
    fill = tf.local_variables_initializer()
    weights = rows.labels.weights[epoch]
    parts = preparation.rows_of_tasks(experiment, rows, len(epoch))

    def feed(batch):
      found = feed_rows(batch)
      if plan is not None:
        found.update(feed_plan(plan))
      return found

    def batch_of(number, objective):
      size, seed = objective.batch_size, experiment.seed
      if planned is not None:
        chosen = batches.planned_rows(
            number, planned, [p.start for p in rows.sources.values()],
            [p.stop - p.start for p in rows.sources.values()], size, seed)
      else:
        chosen = batches.rows_of_parts(number, parts[objective.tasks[0]], size,
                                       seed)
      return batches.gather(resident, chosen)

    def may_lack_labels(objective):
      if planned is not None:
        return batches.may_lack_labels(weights, objective.batch_size,
                                       list(rows.sources.values()))
      count = experiment.training.accumulate_batches
      return batches.may_lack_labels(
          np.concatenate([weights[p] for p in parts[objective.tasks[0]]]),
          objective.batch_size * count)

    def trace():
      several, steps = objectives.build(experiment, model), []
      for objective in several:
        steps.append(train_step.build(
            experiment, model, objective,
            lambda number, one=objective: batch_of(number, one),
            _read(objective.counter), may_lack_labels(objective)))
        if hooks:
          hooks_lib.name_report(
              steps[-1], "step" if len(several) == 1
              else f"step/{objective.tasks[0]}")
      return steps

    start_execution = execution_lib.build(experiment.training.execution, trace,
                                          hooks)
    cosines = {}
    if experiment.training.summaries.gradient_cosine:
      with tf.name_scope("gradient_cosines"):
        number = (_read(model.global_step)
                  * experiment.training.accumulate_batches)
        cosines = train_step.gradient_cosines(
            experiment, model, batch_of(
                number, objectives.build(experiment, model)[0]), number)
    checkpoints = checkpoints_lib.Checkpoints(
        model_dir, experiment.training.checkpoint.keep)
    hooks.begin()
  return TrainingGraph(model, fill, feed, start_execution, cosines, checkpoints)


def _read(counter: tf.Variable) -> tf.Tensor:
  """Returns a counter as it is before the step."""
  return tf.identity(counter.read_value())
