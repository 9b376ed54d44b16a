"""Makes one loss of the task losses."""

from typing import (Callable, Dict, List, Mapping, NamedTuple, Optional,
                    Sequence)

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import losses
from mtl_graph.model import partitions
from mtl_graph.model import schedules
from mtl_graph.ops import adaptive_weights
from mtl_graph.ops import loss_weighting
from mtl_graph.ops import random_bits
from mtl_graph.ops import scalarizations
from mtl_graph.ops import task_losses as task_losses_ops
from mtl_graph.protos import joint_pb2
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2

# What is remembered of each task from step to step, in the beginning.
_STARTS = {
    "dynamic_weight_average": adaptive_weights.DYNAMIC_START,
    "grad_norm": adaptive_weights.GRAD_NORM_START,
    "famo": adaptive_weights.FAMO_START,
    "smooth_chebyshev": (0.0, 0.0),
}


class Combined(NamedTuple):
  """One loss.

  Attributes:
    loss: The total loss, shape `[]`.
    task_losses: Mean loss of each task, 0 without labels, shape `[T]`.
    task_weights: The factor on each; where the total is no weighted sum, its
      derivative by each; shape `[T]`.
    updates: Ops that remember what the next step is to know; they depend on all
      that reads what they assign.
    after: Given the mean losses that the same batch has after the step, shape
      `[T]`, returns further such ops. None: they are not asked for.
  """
  loss: tf.Tensor
  task_losses: tf.Tensor
  task_weights: tf.Tensor
  updates: List[tf.Operation]
  after: Optional[Callable[[tf.Tensor], List[tf.Operation]]]


class _Batch(NamedTuple):
  """What the methods see of a batch.

  Attributes:
    tasks: The `Task` messages.
    sums: Summed, weighted losses of its rows, shape `[T]`.
    weights: Summed weights of its rows, shape `[T]`.
    losses: Each task's mean loss, 0 without labels, scalars.
    means: The same in one tensor, shape `[T]`.
    present: 1 for tasks with a label, 0 for others, shape `[T]`.
    step: Number of the step, int64 scalar.
    seed: Seed of the experiment.
    kernel: The kernel by which GradNorm measures gradients.
    memory: What is remembered, shape `[T, S]`; None: nothing.
  """
  tasks: Sequence[model_pb2.Task]
  sums: tf.Tensor
  weights: tf.Tensor
  losses: Sequence[tf.Tensor]
  means: tf.Tensor
  present: tf.Tensor
  step: tf.Tensor
  seed: int
  kernel: Optional[tf.Variable]
  memory: Optional[tf.Tensor]


def log_variance(task: str, initial: float) -> tf.Variable:
  """Makes (or reuses) a task's log variance, `log_variance/<task>`."""
  with tf.variable_scope("log_variance", reuse=tf.AUTO_REUSE):
    return tf.get_variable(task, [],
                           initializer=tf.constant_initializer(initial))


def memory(integration: joint_pb2.LossIntegration, tasks: Sequence[str]
           ) -> Dict[str, tf.Variable]:
  """Makes the variables of what a method remembers from step to step.

  Args:
    integration: The `LossIntegration` message.
    tasks: Names of the tasks that have a loss.

  Returns:
    A variable `task_weighting/<task>` by task, not trainable; none where the
    method remembers nothing.
  """
  kind = integration.WhichOneof("kind")
  if kind not in _STARTS or (kind == "smooth_chebyshev" and
                             not integration.smooth_chebyshev.warm_up_steps):
    return {}
  with tf.variable_scope("task_weighting"):
    return {task: tf.get_variable(
        task, initializer=tf.constant(_STARTS[kind]), trainable=False)
            for task in tasks}


def build(integration: joint_pb2.LossIntegration,
          tasks: Sequence[model_pb2.Task],
          task_losses: Mapping[str, task_losses_ops.TaskLoss], step: tf.Tensor,
          seed: int = 0,
          remembered: Optional[Mapping[str, tf.Variable]] = None,
          kernel: Optional[tf.Variable] = None) -> Combined:
  """Combines the task losses of a batch.

  Args:
    integration: The `LossIntegration` message.
    tasks: The `Task` messages.
    task_losses: A `TaskLoss` by task.
    step: Number of the step, int64 scalar.
    seed: Seed of the experiment.
    remembered: What `memory` returned.
    kernel: The kernel by which GradNorm measures gradients.

  Returns:
    A `Combined`.

  Raises:
    ConfigError: If the method is not built, or GradNorm cannot measure a task.
  """
  kind = integration.WhichOneof("kind")
  if kind not in _METHODS:
    raise config.ConfigError("training.joint.loss", f"found '{kind}'; allowed: "
                             "one that this version builds")
  mine = [task_losses[task.name] for task in tasks]
  with tf.name_scope("weighting"):
    weights = tf.stack([loss.weight for loss in mine])
    means = [task_losses_ops.mean(loss) for loss in mine]
    batch = _Batch(
        tasks, tf.stack([loss.sum for loss in mine]), weights, means,
        tf.stack(means), tf.cast(weights > 0, tf.float32), step, seed, kernel,
        tf.stack([remembered[task.name].read_value() for task in tasks])
        if remembered else None)

    def remember(values):
      rows = tf.unstack(values)
      return [remembered[task.name].assign(row, read_value=False)
              for task, row in zip(tasks, rows)]

    return _METHODS[kind](getattr(integration, kind), batch, remember)


def _plain(output, batch, updates=(), after=None) -> Combined:
  return Combined(output.loss, batch.means, output.extra.task_weights,
                  list(updates), after)


def _sum(unused_message, batch, unused_remember):
  return _plain(loss_weighting.weighted_sum_loss(
      batch.means, tf.ones([len(batch.tasks)])), batch)


def _weighted_sum(message, batch, unused_remember):
  weights = tf.constant([task.weight for task in batch.tasks], tf.float32)
  factors = {schedule.task: schedules.learning_rate(schedule.factor, batch.step)
             for schedule in message.schedule}
  if factors:
    weights *= tf.stack([factors.get(task.name, tf.constant(1.0))
                         for task in batch.tasks])
  return _plain(loss_weighting.weighted_sum_loss(batch.means, weights), batch)


def _uncertainty(message, batch, unused_remember):
  form, likelihoods = message.form, [losses.likelihood(t) for t in batch.tasks]
  logs = tf.stack([log_variance(task.name, message.initial_log_variance)
                   for task in batch.tasks])
  low, high = message.min_log_variance, message.max_log_variance
  if form == joint_pb2.Uncertainty.NON_NEGATIVE:
    return _plain(loss_weighting.revised_uncertainty_loss(
        batch.means, logs, batch.present, low, high), batch)
  if form == joint_pb2.Uncertainty.IMPARTIAL:
    return _plain(loss_weighting.impartial_loss(
        batch.means, -logs, batch.present, -high, -low), batch)
  return _plain(loss_weighting.uncertainty_weighted_loss(
      batch.means, logs, tf.constant([l.scale for l in likelihoods]),
      tf.constant([l.exponent for l in likelihoods]), batch.present, low, high),
                batch)


def _geometric_mean(unused_message, batch, unused_remember):
  return _plain(scalarizations.geometric_mean_loss(batch.means, batch.present),
                batch)


def _log_sum(unused_message, batch, unused_remember):
  return _plain(scalarizations.log_sum_loss(batch.means, batch.present), batch)


def _smooth_chebyshev(message, batch, remember):
  smoothness, steps = message.smoothness, message.warm_up_steps
  if not steps:
    return _plain(scalarizations.smooth_chebyshev_loss(
        batch.means, batch.present, smoothness), batch)
  sums, weights = tf.unstack(batch.memory, axis=1)
  warm = batch.step >= steps
  # A task without any label in the warm-up is measured as it is.
  nadir = tf.where(sums > 0, tf.math.divide_no_nan(sums, weights),
                   tf.ones_like(sums))
  output = scalarizations.smooth_chebyshev_loss(batch.means, batch.present,
                                                smoothness, nadir)
  before = loss_weighting.weighted_sum_loss(batch.means,
                                            tf.ones([len(batch.tasks)]))
  kept = 1.0 - tf.cast(warm, tf.float32)
  return Combined(
      tf.where(warm, output.loss, before.loss), batch.means,
      tf.where(warm, output.extra.task_weights, before.extra.task_weights),
      remember(tf.stop_gradient(tf.stack(
          [sums + kept * batch.sums, weights + kept * batch.weights], 1))),
      None)


def _dynamic_weight_average(message, batch, remember):
  found = adaptive_weights.dynamic_weight_average(
      batch.sums, batch.weights, batch.memory, batch.step, message.window_steps,
      message.temperature)
  return _plain(loss_weighting.weighted_sum_loss(
      batch.means, found.task_weights), batch, remember(found.state))


def _random_weights(unused_message, batch, unused_remember):
  return _plain(loss_weighting.randomly_weighted_loss(
      batch.means, random_bits.key_of(batch.seed, "random_weights"),
      batch.step), batch)


def _grad_norm(message, batch, remember):
  # Not out of the vector of all losses, behind which all tasks lie.
  gradients = [tf.gradients(loss, batch.kernel)[0] for loss in batch.losses]
  for task, gradient in zip(batch.tasks, gradients):
    if gradient is None:
      raise config.ConfigError(
          "training.joint.loss.grad_norm.kernel", f"found "
          f"'{batch.kernel.op.name}', which the loss of task '{task.name}' "
          "does not reach; allowed: a variable that every task's loss reaches")
  norms = tf.stack([tf.norm(gradient) for gradient in gradients])
  found = adaptive_weights.grad_norm(
      batch.means, norms, batch.present, batch.memory, batch.step,
      message.alpha, message.learning_rate)
  return _plain(loss_weighting.weighted_sum_loss(
      batch.means, found.task_weights), batch, remember(found.state))


def _famo(message, batch, remember):
  weights = adaptive_weights.famo_weights(batch.means, batch.present,
                                          batch.memory)

  def after(means):
    return remember(adaptive_weights.famo_update(
        batch.means, means, batch.present, batch.memory, batch.step,
        message.learning_rate, message.decay))
  return _plain(loss_weighting.weighted_sum_loss(batch.means, weights), batch,
                after=after)


_METHODS = {
    "sum": _sum,
    "weighted_sum": _weighted_sum,
    "uncertainty": _uncertainty,
    "dynamic_weight_average": _dynamic_weight_average,
    "geometric_mean": _geometric_mean,
    "log_sum": _log_sum,
    "random_weights": _random_weights,
    "grad_norm": _grad_norm,
    "famo": _famo,
    "smooth_chebyshev": _smooth_chebyshev,
}


def penalties(messages: Mapping[str, layers_pb2.Regularization],
              variables: Mapping[str, Sequence[tf.Variable]]
              ) -> List[tf.Tensor]:
  """Returns the penalties on single variables.

  ```
    l1 sum |v|,    l2 sum v^2 / 2
  ```

  Args:
    messages: A `Regularization` by name of a variable.
    variables: Variables by group.

  Returns:
    Scalars to add to the total loss.
  """
  terms = []
  with tf.name_scope("penalties"):
    for variable in (v for some in variables.values() for v in some):
      penalty = messages.get(partitions.name_of(variable))
      if penalty is not None and penalty.l1:
        terms.append(penalty.l1 * tf.reduce_sum(tf.abs(variable)))
      if penalty is not None and penalty.l2:
        terms.append(penalty.l2 * tf.nn.l2_loss(variable))
  return terms
