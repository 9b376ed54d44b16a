"""The graph of a run: the model, its training rows, and the step over them."""

from typing import (Callable, Dict, List, Mapping, NamedTuple, Optional,
                    Sequence, Tuple)

import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.data import mixing
from mtl_graph.data import splits
from mtl_graph.data import statistics
from mtl_graph.model import gradient_cosines
from mtl_graph.model import graphs
from mtl_graph.model import objectives as objectives_lib
from mtl_graph.model import step_block
from mtl_graph.model import train_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import execution_choice
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import inputs as inputs_lib
from mtl_graph.training import preparation


class TrainingGraph(NamedTuple):
  """What a run works with, all in one graph.

  Attributes:
    model: What `graphs.build` returned.
    rows: What the steps read.
    objectives: What they minimize.
    trace: Adds the steps to the graph once more, for the mode of that name.
    choice: The execution of the steps, to be started.
    cosines: What `gradient_cosines.build` returned, or nothing.
    checkpoints: Saves and restores everything.
  """
  model: graphs.Graph
  rows: inputs_lib.Input
  objectives: List[objectives_lib.Objective]
  trace: Callable[[str], execution_choice.Traced]
  choice: execution_choice.Choice
  cosines: Dict[Tuple[str, str], tf.Tensor]
  checkpoints: checkpoints_lib.Checkpoints


def build(experiment: experiment_pb2.Experiment, rows: splits.Split,
          measured: Mapping[str, statistics.Statistics], epoch: Sequence[int],
          plan: Optional[mixing.Plan], model_dir: str, hooks: hooks_lib.Hooks,
          execution: Optional[str] = None) -> TrainingGraph:
  """Builds the graph of a run.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    rows: The training rows.
    measured: Their statistics, by feature.
    epoch: Which of them make up an epoch, shape `[N]`.
    plan: The source of each batch of joint training, where there are several.
    model_dir: The run's folder.
    hooks: What runs around every step.
    execution: The mode that AUTO chose when the run began, if it goes on.

  Returns:
    A `TrainingGraph`.

  Raises:
    ConfigErrors: If the groups do not fit the variables.
  """
  model = graphs.build(experiment, measured)
  with model.graph.as_default():
    objectives = objectives_lib.build(experiment, model)
    rows_in = inputs_lib.build(
        experiment, objectives, rows, epoch,
        preparation.rows_of_tasks(experiment, rows, len(epoch)), plan,
        graphs.widths(experiment, model.transformed))
    lacking = [rows_in.may_lack_labels(one) for one in objectives]
    count = experiment.training.accumulate_batches

    def trace(mode):
      if mode != "SESSION":
        block = step_block.build(
            experiment, model, objectives, rows_in.batches_of, lacking,
            rows_in.steps_of_block(
                experiment.training.execution.steps_per_block), mode == "XLA")
        if hooks and len(objectives) == 1:
          # Hooks see blocks of one step.
          hooks_lib.name_report(block.steps[0]._replace(
              report=block.reports[0, :sum(block.steps[0].sizes)]))
        return block
      steps = []
      for objective, may_lack_labels in zip(objectives, lacking):
        step = _read(objective.counter)
        steps.append(train_step.build(
            experiment, model, objective,
            rows_in.batches_of(objective, step * count, count), step,
            may_lack_labels))
        if hooks:
          hooks_lib.name_report(
              steps[-1], "step" if len(objectives) == 1
              else f"step/{objective.tasks[0]}")
      return steps

    choice = execution_choice.Choice(experiment.training.execution, trace,
                                     rows_in, hooks, execution)
    cosines = {}
    if experiment.training.summaries.gradient_cosine:
      with tf.name_scope("gradient_cosines"):
        number = _read(model.global_step) * count
        cosines = gradient_cosines.build(
            experiment, model,
            rows_in.batches_of(objectives[0], number, 1)(number), number)
    checkpoints = checkpoints_lib.Checkpoints(
        model_dir, experiment.training.checkpoint.keep)
    hooks.begin()
  return TrainingGraph(model, rows_in, objectives, trace, choice, cosines,
                       checkpoints)


def _read(counter: tf.Variable) -> tf.Tensor:
  """Returns a counter as it is before the step."""
  return tf.identity(counter.read_value())
