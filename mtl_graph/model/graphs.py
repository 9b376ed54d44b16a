"""Assembles the graph of an experiment: the only place where parts meet."""

import collections
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import batches
from mtl_graph.data import features as features_lib
from mtl_graph.model import gradients as gradients_lib
from mtl_graph.model import heads
from mtl_graph.model import losses
from mtl_graph.model import optimizers
from mtl_graph.model import stacks
from mtl_graph.model import variable_groups
from mtl_graph.model import weighting
from mtl_graph.model.sharing import architectures
from mtl_graph.ops import task_losses as task_losses_ops
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import training_pb2

# One step of training.
#   train_op: the op that runs it.
#   report: what it measured, float32 [R]; `unpack_report` takes it apart.
#   sizes: a `Report` of how many numbers of the report each field takes.
#   tasks_of_group: names of the tasks whose losses reach each group.
Step = collections.namedtuple(
    "Step", ["train_op", "report", "sizes", "tasks_of_group"])

# What steps measured, each of shape [..., T] or [..., G], `total` of [...].
Report = collections.namedtuple(
    "Report", ["task_losses", "label_weights", "task_weights", "gradient_norms",
               "learning_rates", "total"])


class Graph(NamedTuple):
  """The graph of a run: what it is fed, what it gives, and its groups.

  Attributes:
    graph: The `tf.Graph`.
    global_step: Counts steps.
    raw: Placeholders of raw values, by feature.
    transformed: What becomes of them, a `features.Transformed`.
    batch: A `Batch` of placeholders of transformed rows.
    predictions: What `batch` gives: a dict of tensors by task.
    row_losses: Each task's loss on each row of `batch`, shape `[B, T]`.
    groups: The `VariableGroup` messages in force.
    variables: Trainable variables by group.
    log_variances: The log variance of each task, where they are learned.
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
  log_variances: Dict[str, tf.Variable]


def build(experiment: experiment_pb2.Experiment,
          statistics: Optional[Mapping[str, features_lib.Statistics]] = None
          ) -> Graph:
  """Builds everything but the training step, and makes all model variables.

  Args:
    experiment: The experiment, valid.
    statistics: Statistics of the training rows; None where a checkpoint will
      bring them.

  Returns:
    A `Graph`.

  Raises:
    ConfigErrors: If the groups do not fit the variables.
  """
  graph = tf.Graph()
  with graph.as_default():
    global_step = tf.train.get_or_create_global_step()
    raw = features_lib.placeholders(experiment.data.feature)
    transformed = features_lib.transform(experiment.data.feature, raw,
                                         statistics)
    tasks = experiment.model.task
    with tf.name_scope("evaluation"):
      batch = batches.placeholders(widths(experiment, transformed))
      logits = forward(experiment, batch.numbers, batch.ids)
      predictions = _predictions(tasks, logits)
      row_losses = tf.stack([
          losses.per_row(task, logits[task.name], batch.labels[:, t])
          for t, task in enumerate(tasks)], 1)
    loss = experiment.training.joint.loss
    log_variances = {}
    if loss.WhichOneof("kind") == "uncertainty":
      log_variances = {task.name: weighting.log_variance(
          task.name, loss.uncertainty.initial_log_variance) for task in tasks}
    variables = tf.trainable_variables()
    groups = list(experiment.training.group) or variable_groups.default_groups(
        [task.name for task in tasks], [v.op.name for v in variables])
    return Graph(graph, global_step, raw, transformed, batch, predictions,
                 row_losses, groups, variable_groups.assign(groups, variables),
                 log_variances)


def build_serving(experiment: experiment_pb2.Experiment
                  ) -> Tuple[Dict[str, tf.Tensor],
                             Dict[str, Dict[str, tf.Tensor]]]:
  """Adds the graph from raw values to predictions to the current graph.

  Args:
    experiment: The experiment, valid.

  Returns:
    Placeholders by feature, and predictions by task. Everything trained, and
    the statistics, await a checkpoint.
  """
  raw = features_lib.placeholders(experiment.data.feature)
  transformed = features_lib.transform(experiment.data.feature, raw)
  logits = forward(experiment, transformed.numbers, transformed.ids)
  return raw, _predictions(experiment.model.task, logits)


def widths(experiment: experiment_pb2.Experiment,
           transformed: features_lib.Transformed) -> batches.Batch:
  """Returns the widths of the matrices of a batch."""
  tasks = len(experiment.model.task)
  return batches.Batch(transformed.numbers.shape.as_list()[1],
                       transformed.ids.shape.as_list()[1], tasks, tasks)


def forward(experiment: experiment_pb2.Experiment, numbers: tf.Tensor,
            ids: tf.Tensor, step: Optional[tf.Tensor] = None
            ) -> Dict[str, tf.Tensor]:
  """Builds the network, making or reusing its variables.

  Args:
    experiment: The experiment, valid.
    numbers: Normalized numbers, shape `[B, F]`.
    ids: Category ids, shape `[B, C]`.
    step: The global step if this is a training step, else None.

  Returns:
    A dict from task to its logits, shape `[B, C]`.
  """
  mode = stacks.Mode(step is not None, experiment.seed, step,
                     frozenset(experiment.model.stop_gradient))
  with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
    features = features_lib.build(
        experiment.data.feature, features_lib.Transformed(numbers, ids),
        experiment.seed)
    return architectures.build(experiment.model, features, mode)


def joint_step(experiment: experiment_pb2.Experiment, model: Graph,
               batch: batches.Batch, step: tf.Tensor,
               may_lack_labels: Sequence[bool]) -> Step:
  """Adds one step of joint training to the current graph.

  Features to logits to task losses to one loss; one backward pass over the
  concatenated variables of all groups; an optimizer per group, applied once all
  gradients are there; the step counted once all groups are updated.

  Args:
    experiment: The experiment, valid.
    model: What `build` returned.
    batch: The rows of this step.
    step: The global step as this step finds it, int64 scalar.
    may_lack_labels: Whether each task may be without labels in a batch. A group
      whose every task is without is left as it is.

  Returns:
    A `Step`.

  Raises:
    ConfigErrors: If no task's loss reaches a group that is trained.
  """
  tasks = experiment.model.task
  logits = forward(experiment, batch.numbers, batch.ids, step)
  task_losses = losses.build(tasks, logits, batch.labels, batch.weights)
  combined = weighting.build(experiment.training.joint.loss, tasks, task_losses)
  trained = {g.name: g for g in model.groups if not g.frozen}
  gradients = gradients_lib.densify(gradients_lib.build(
      combined.loss, collections.OrderedDict(
          (name, model.variables[name]) for name in trained)))
  _check_reached(model.groups, gradients)
  norms = {name: gradients_lib.norm(gradients[name], f"gradient_norm/{name}")
           for name in trained}
  clipped = {name: gradients_lib.clip(group.clipping, gradients[name],
                                      norms[name])
             for name, group in trained.items()}
  tasks_of_group = _tasks_of_groups(model, tasks, task_losses)
  conditions = _conditions(tasks_of_group, task_losses, may_lack_labels)
  rates, updates = {}, []
  # No group may read what another has already updated.
  barrier = [g for some in clipped.values() for g in some if g is not None]
  with tf.control_dependencies(barrier):
    for name, group in trained.items():
      message = (group.optimizer if group.HasField("optimizer")
                 else experiment.training.default_optimizer)
      rates[name] = optimizers.learning_rate(message, step)
      updates.append(optimizers.apply(
          optimizers.build(message, rates[name]), f"optimizer/{name}",
          clipped[name], model.variables[name], conditions.get(name)))
  train_op = optimizers.group(updates, model.global_step)
  with tf.name_scope("report"):
    fields = Report(
        combined.task_losses,
        tf.stack([task_losses[task.name].weight for task in tasks]),
        combined.task_weights, tf.stack(list(norms.values())),
        tf.stack(list(rates.values())), tf.reshape(combined.loss, [1]))
    # One tensor, hence one fetch per step.
    report = tf.concat(fields, 0)
  return Step(train_op, report, Report(*[f.shape.as_list()[0] for f in fields]),
              tasks_of_group)


def unpack_report(report: np.ndarray, sizes: Report) -> Report:
  """Takes the report of one or more steps apart.

  Args:
    report: What a `Step` reported, shape `[..., R]`.
    sizes: The `sizes` of that step.

  Returns:
    A `Report`; its groups are those that are trained, in order.
  """
  parts = Report(*np.split(report, np.cumsum(sizes)[:-1], axis=-1))
  return parts._replace(total=parts.total[..., 0])


def gradient_cosines(experiment: experiment_pb2.Experiment, model: Graph,
                     batch: batches.Batch, step: tf.Tensor
                     ) -> Dict[Tuple[str, str], tf.Tensor]:
  """Measures how far tasks agree on where shared variables should go.

  ```
    cos_ij = <g_i, g_j> / (|g_i| |g_j|)
  ```

  with `g_i` the gradient of task i's loss in the shared variables that are
  trained. Below zero, a step for one task is a step against the other.

  Args:
    experiment: The experiment, valid.
    model: What `build` returned.
    batch: Rows.
    step: The global step, which keys dropout.

  Returns:
    A dict from pairs of tasks to scalars; empty where nothing is shared.
  """
  tasks = experiment.model.task
  logits = forward(experiment, batch.numbers, batch.ids, step)
  task_losses = losses.build(tasks, logits, batch.labels, batch.weights)
  trained = {v.op.name: v for group in model.groups if not group.frozen
             for v in model.variables[group.name]}
  shared = [trained[name] for name in variable_groups.shared_names(
      [task.name for task in tasks], list(trained))]
  if not shared:
    return {}
  flat = {}
  for task in tasks:
    gradients = tf.gradients(task_losses_ops.mean(task_losses[task.name]),
                             shared, unconnected_gradients="zero")
    flat[task.name] = tf.concat(
        [tf.reshape(tf.convert_to_tensor(g), [-1]) for g in gradients], 0)
  names = list(flat)
  return {
      (a, b): tf.math.divide_no_nan(
          tf.reduce_sum(flat[a] * flat[b]),
          tf.norm(flat[a]) * tf.norm(flat[b]))
      for i, a in enumerate(names) for b in names[i + 1:]}


def _predictions(tasks, logits):
  return collections.OrderedDict(
      (task.name, heads.predictions(task, logits[task.name]))
      for task in tasks)


def _check_reached(groups, gradients):
  errors = [
      config.ConfigError(
          f"training.group[{i}]", f"no task's loss reaches group '{group.name}'"
          "; allowed: groups that get a gradient, or frozen: true")
      for i, group in enumerate(groups)
      if group.name in gradients
      and all(g is None for g in gradients[group.name])]
  if errors:
    raise config.ConfigErrors(errors)


def _tasks_of_groups(model, tasks, task_losses):
  """Returns the names of the tasks whose losses reach each group."""
  variables = [v for some in model.variables.values() for v in some]
  reached = {task.name: variable_groups.reached(task_losses[task.name].sum,
                                                variables) for task in tasks}
  for task, variable in model.log_variances.items():
    reached[task].add(variable.op.name)
  return {group: [task for task, found in reached.items()
                  if found & {v.op.name for v in members}]
          for group, members in model.variables.items()}


def _conditions(tasks_of_group, task_losses, may_lack_labels):
  """Returns whether each group is to be updated, where that can be in doubt."""
  lacking = {task for task, may in zip(task_losses, may_lack_labels) if may}
  conditions = {}
  for group, users in tasks_of_group.items():
    if users and lacking.issuperset(users):
      with tf.name_scope(f"has_labels/{group}"):
        conditions[group] = tf.reduce_any(tf.stack(
            [task_losses[task].weight for task in users]) > 0)
  return conditions
