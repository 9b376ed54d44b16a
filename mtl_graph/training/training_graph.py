"""The graph of a run: the model, its training rows, and the step over them."""

import contextlib
from typing import (Callable, Dict, List, Mapping, NamedTuple, Optional,
                    Sequence, Tuple, Union)

import tensorflow.compat.v1 as tf

from mtl_graph import outline
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
from mtl_graph.training import cluster_execution
from mtl_graph.training import execution_choice
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import inputs as inputs_lib
from mtl_graph.training import membership
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
  choice: Union[execution_choice.Choice, cluster_execution.Choice]
  cosines: Dict[Tuple[str, str], tf.Tensor]
  checkpoints: checkpoints_lib.Checkpoints


def build(experiment: experiment_pb2.Experiment, rows: splits.Split,
          measured: Mapping[str, statistics.Statistics], epoch: Sequence[int],
          plan: Optional[mixing.Plan], model_dir: str, hooks: hooks_lib.Hooks,
          execution: Optional[str] = None,
          member: Optional[membership.Member] = None) -> TrainingGraph:
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
    member: The part in a cluster; None: there is none.

  Returns:
    A `TrainingGraph`.

  Raises:
    ConfigErrors: If the groups do not fit the variables.
  """
  placed = member.placed if member else contextlib.nullcontext
  at_hand = member.at_hand if member else contextlib.nullcontext
  model = graphs.build(experiment, measured, placed,
                       member.partitioner if member else None)
  with model.graph.as_default(), placed():
    objectives = objectives_lib.build(experiment, model)
    with at_hand():
      rows_in = inputs_lib.build(
          experiment, objectives, rows, epoch,
          preparation.rows_of_tasks(experiment, rows, len(epoch)), plan,
          graphs.widths(experiment, model.transformed))
    lacking = [rows_in.may_lack_labels(one) for one in objectives]
    count = outline.batches_of_step(experiment.training)

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

    if member:
      choice = _choice_of(member, experiment, model, objectives[0], rows_in,
                          lacking[0], hooks)
    else:
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


def _choice_of(member, experiment, model, objective, rows, may_lack_labels,
               hooks) -> cluster_execution.Choice:
  """Traces the one step of a member of a cluster."""
  count = outline.batches_of_step(experiment.training)
  replica = member.join(model.global_step)
  step = _read(objective.counter)
  number = replica.number(step)
  traced = train_step.build(
      experiment, model, objective,
      rows.batches_of(objective, number * count, count), step, may_lack_labels,
      replica, number)
  if hooks:
    hooks_lib.name_report(traced)
  member.prepare()
  return cluster_execution.Choice(experiment.training.execution, traced, number,
                                  model.global_step, count, rows, member, hooks)


def _read(counter: tf.Variable) -> tf.Tensor:
  """Returns a counter as it is before the step."""
  return tf.identity(counter.read_value())
