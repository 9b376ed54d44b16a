"""Assembles the graph of an experiment, but for the training step."""

import collections
import contextlib
from typing import (Callable, ContextManager, Dict, List, Mapping, NamedTuple,
                    Optional, Sequence, Set, Tuple, Union)

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import layer_outline
from mtl_graph import outline
from mtl_graph import task_graph
from mtl_graph.data import batches
from mtl_graph.data import features as features_lib
from mtl_graph.data import raw_values
from mtl_graph.data import statistics as statistics_lib
from mtl_graph.model import answers
from mtl_graph.model import averages
from mtl_graph.model import balancing
from mtl_graph.model import compressed_weights
from mtl_graph.model import heads
from mtl_graph.model import losses
from mtl_graph.model import reach
from mtl_graph.model import stacks
from mtl_graph.model import variable_groups
from mtl_graph.model import weighting
from mtl_graph.model.sharing import architectures
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import training_pb2


class Graph(NamedTuple):
  """The graph of a run: what it is fed, what it gives, and its groups.

  Attributes:
    graph: The `tf.Graph`.
    global_step: Counts steps.
    raw: Placeholders of raw values, by input.
    transformed: What becomes of them, a `features.Transformed`.
    batch: A `Batch` of placeholders of transformed rows.
    predictions: What `batch` gives: a dict of tensors by task.
    row_losses: Each task's loss on each row of `batch`, shape `[B, T]`.
    groups: The `VariableGroup` messages in force; in independent training one
      per task, which may overlap, and those that are frozen.
    variables: Trainable variables by group.
    trainable: All trainable variables, by name.
    reached: Names of those that each task's loss reaches, by task with a loss.
    counters: In independent training the variable that counts each task's
      iterations, by task.
    log_variances: The log variance of each task, where they are learned.
    remembered: What `weighting.memory` returned.
    balancing: What `balancing.memory` returned, if gradients are balanced.
    averaged: Pairs of an average and its variable, where averages are kept.
    outline: The `layer_outline.Outline` of the experiment.
    measures: How many numbers a step measures beside its losses, at most: the
      use of gates, the weights of gradients.
    optimizers: The first optimizer that was applied under each scope, for steps
      to share its state.
    partitioner: Says how tables are cut.
  """
  graph: tf.Graph
  global_step: tf.Variable
  raw: Dict[str, tf.Tensor]
  transformed: features_lib.Transformed
  batch: batches.Batch
  predictions: Dict[str, Dict[str, tf.Tensor]]
  row_losses: tf.Tensor
  groups: List[training_pb2.VariableGroup]
  variables: Dict[str, List[tf.Variable]]
  trainable: Dict[str, tf.Variable]
  reached: Dict[str, Set[str]]
  counters: Dict[str, tf.Variable]
  log_variances: Dict[str, tf.Variable]
  remembered: Dict[str, tf.Variable]
  balancing: Dict[str, tf.Variable]
  averaged: List[Tuple[tf.Variable, tf.Variable]]
  outline: layer_outline.Outline
  measures: int
  optimizers: Dict[str, tf.train.Optimizer]
  partitioner: Optional[Callable] = None


class Network(NamedTuple):
  """The network over some rows.

  Attributes:
    logits: Logits of each task that was wanted, shape `[B, C]`, by task.
    gates: A `stacks.Gate` by scope.
    penalties: What `stacks.Penalty`s there are, in a training step.
    reads: What each task's tower reads of the shared part, by task.
  """
  logits: Dict[str, tf.Tensor]
  gates: Dict[str, stacks.Gate]
  penalties: List[stacks.Penalty]
  reads: Dict[str, tf.Tensor]


class Serving(NamedTuple):
  """The graph of an export.

  Attributes:
    raw: Placeholders of raw values, by input.
    defaults: What stands for an input that a request leaves out, one row, by
      input.
    rows: What becomes of them once all have as many rows, by input.
    lookups: What the network reads once strings are looked up, by input.
    predictions: What they give: a dict of tensors by task.
    extras: What else was asked for, by name of the output.
    variables: The variables that are as in a checkpoint, by their name there.
    compressed: The `compressed_weights.Compressed`, by their name there.
  """
  raw: Dict[str, tf.Tensor]
  defaults: Dict[str, np.ndarray]
  rows: Dict[str, tf.Tensor]
  lookups: Dict[str, tf.Tensor]
  predictions: Dict[str, Dict[str, tf.Tensor]]
  extras: Dict[str, tf.Tensor]
  variables: Dict[str, tf.Variable]
  compressed: Dict[str, compressed_weights.Compressed]


def build(experiment: experiment_pb2.Experiment,
          statistics: Optional[
              Mapping[str, statistics_lib.Statistics]] = None,
          placed: Optional[Callable[[], ContextManager]] = None,
          partitioner: Optional[Callable] = None) -> Graph:
  """Builds everything but the training step, and makes all model variables.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    statistics: Statistics of the training rows; None where a checkpoint will
      bring them.
    placed: Returns the scope that places it; None: all on one machine.
    partitioner: Says how tables are cut, as `embedding.table` takes it.

  Returns:
    A `Graph`.

  Raises:
    ConfigErrors: If the groups do not fit the variables.
  """
  graph = tf.Graph()
  with graph.as_default(), (placed or contextlib.nullcontext)():
    global_step = tf.train.get_or_create_global_step()
    raw = features_lib.placeholders(experiment.data.feature)
    transformed = features_lib.transform(experiment.data.feature, raw,
                                         statistics)
    tasks = experiment.model.task
    averaged = experiment.training.HasField("moving_average")
    with tf.name_scope("evaluation"):
      batch = batches.placeholders(widths(experiment, transformed))
      network = forward(experiment, features_lib.Transformed(
          batch.numbers, batch.ids), averaged=averaged, partitioner=partitioner)
      logits = network.logits
      predictions = _predictions(tasks, logits)
      slices = outline.label_slices(tasks)
      row_losses = collections.OrderedDict(
          (task.name, losses.per_row(task, logits[task.name],
                                     batch.labels[:, slices[task.name]]))
          for task in tasks)
    loss = experiment.training.joint.loss
    trained = task_graph.with_loss(tasks)
    log_variances = {}
    if loss.WhichOneof("kind") == "uncertainty":
      log_variances = {task: weighting.log_variance(
          task, loss.uncertainty.initial_log_variance) for task in trained}
    variables = tf.trainable_variables()
    pairs = averages.pairs() if averaged else []
    reached = {task: _reached(row_losses[task], variables, pairs)
               for task in trained}
    for task, variable in log_variances.items():
      reached[task].add(variable.op.name)
    groups, owned, counters = _groups(experiment, variables, reached)
    balanced, weighed = _balancing(experiment.training, reached, [
        v for g in groups if not g.frozen for v in owned[g.name]])
    return Graph(graph, global_step, raw, transformed, batch, predictions,
                 tf.stack(list(row_losses.values()), 1), groups, owned,
                 {v.op.name: v for v in variables}, reached, counters,
                 log_variances, weighting.memory(loss, trained), balanced,
                 pairs, outline.build(experiment), weighed + sum(
                     len(g.experts) + 1 for g in network.gates.values()), {},
                 partitioner)


def _balancing(training, reached, trained):
  """Returns what balancing remembers, and how many weights it has at most."""
  if not training.joint.HasField("gradient_balancing"):
    return {}, 0
  message = training.joint.gradient_balancing
  parts = balancing.shared(message, reached, trained)
  return (balancing.memory(message, parts, len(reached)),
          len(parts.sets) * len(reached))


def _groups(experiment, variables, reached):
  """Returns groups, their variables, and the counters of iterations."""
  training = experiment.training
  if training.WhichOneof("mode") == "independent":
    groups, owned = variable_groups.independent_groups(
        training, variables, reached)
    with tf.variable_scope("iterations"):
      counters = {task.name: tf.get_variable(
          task.name, [], tf.int64, initializer=tf.zeros_initializer(),
          trainable=False) for task in training.independent.task}
    return groups, owned, counters
  groups = list(training.group) or variable_groups.default_groups(
      [task.name for task in experiment.model.task],
      [v.op.name for v in variables])
  return groups, variable_groups.assign(groups, variables), {}


def _reached(loss, variables, pairs) -> Set[str]:
  """Returns the names of the variables that a loss reaches.

  Args:
    loss: The loss.
    variables: The trainable variables.
    pairs: Averages with their variables, where the loss reads averages.
  """
  names = {average.op.name: variable.op.name for average, variable in pairs}
  read = [average for average, _ in pairs] or variables
  return {names.get(name, name)
          for name in reach.reached(loss, read)}


def build_serving(experiment: experiment_pb2.Experiment,
                  assets: Optional[Mapping[str, str]] = None) -> Serving:
  """Adds the graph from raw values to predictions to the current graph.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    assets: Paths of files that hold the vocabularies of features; see
      `features.transform_apart`.

  Returns:
    A `Serving` of the tasks that `serving.task` names, or of all; what only
    others need is not in it. Everything trained, and the statistics, await a
    checkpoint, averages in place of the variables they are averages of.
  """
  features = experiment.data.feature
  tasks, wanted = experiment.model.task, list(experiment.serving.task) or None
  raw, defaults = (features_lib.placeholders(features),
                   raw_values.defaults(features))
  rows = features_lib.with_rows(raw, defaults)
  parts = features_lib.transform_apart(features, rows, assets=assets)
  compressed = {}
  network = forward(experiment, parts, wanted=wanted,
                    getter=compressed_weights.custom_getter(
                        experiment.serving.weights.precision, compressed))
  trained = {v.op.name for v in tf.trainable_variables()}
  predictions = _predictions(tasks, network.logits)
  extras = answers.extras(experiment, network, predictions)
  inside = {v.op.name for weights in compressed.values()
            for v in weights.variables}
  averaged = experiment.training.HasField("moving_average")

  def saved(name):
    return averages.name_of(name) if averaged and name in trained else name

  return Serving(
      raw, defaults, rows, features_lib.lookups(features, rows, parts),
      predictions, extras,
      {saved(v.op.name): v for v in tf.global_variables()
       if v.op.name not in inside},
      {averages.name_of(name) if averaged else name: weights
       for name, weights in compressed.items()})


def widths(experiment: experiment_pb2.Experiment,
           transformed: features_lib.Transformed) -> batches.Batch:
  """Returns the widths of the matrices of a batch."""
  tasks = experiment.model.task
  return batches.Batch(transformed.numbers.shape.as_list()[1],
                       transformed.ids.shape.as_list()[1],
                       sum(map(outline.label_width, tasks)), len(tasks))


def forward(experiment: experiment_pb2.Experiment,
            transformed: Union[features_lib.Transformed,
                               Mapping[str, features_lib.Part]],
            number: Optional[tf.Tensor] = None,
            updates: Optional[List[tf.Operation]] = None,
            averaged: bool = False,
            wanted: Optional[Sequence[str]] = None,
            getter: Optional[Callable] = None,
            partitioner: Optional[Callable] = None) -> Network:
  """Builds the network, making or reusing its variables.

  Args:
    experiment: The experiment, valid.
    transformed: The transformed rows, together or a `Part` by feature.
    number: Number of the batch, which keys dropout, if this is a training
      step, else None.
    updates: Takes the ops that update moving statistics in a training step.
    averaged: Whether averages are read in place of trainable variables.
    wanted: Names of the tasks whose logits are wanted; only what they need is
      built. None: all.
    getter: A `custom_getter` of `tf.variable_scope`; not where averages are
      read.
    partitioner: `Graph.partitioner`.

  Returns:
    A `Network`.
  """
  if isinstance(transformed, features_lib.Transformed):
    transformed = features_lib.take_apart(experiment.data.feature, transformed)
  mode = stacks.Mode(experiment.seed, number,
                     frozenset(experiment.model.stop_gradient),
                     [] if updates is None else updates,
                     fields=outline.build(experiment).functions,
                     partitioner=partitioner)
  with tf.variable_scope(
      tf.get_variable_scope(), reuse=tf.AUTO_REUSE,
      custom_getter=averages.get_average if averaged else getter):
    logits = architectures.build(experiment.model, experiment.data, transformed,
                                 mode, wanted)
  return Network(logits, mode.gates, mode.penalties, mode.reads)


def _predictions(tasks, logits):
  return collections.OrderedDict(
      (task.name, heads.predictions(task, logits[task.name]))
      for task in tasks if task.name in logits)
