"""Makes one loss of the task losses."""

import collections
from typing import Mapping, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import losses
from mtl_graph.ops import loss_weighting
from mtl_graph.ops import task_losses as task_losses_ops
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.protos import training_pb2

# loss: the total loss, shape [].
# task_losses: mean loss of each task, 0 without labels, shape [T].
# task_weights: the factor on each, shape [T].
Combined = collections.namedtuple(
    "Combined", ["loss", "task_losses", "task_weights"])


def build(integration: training_pb2.LossIntegration,
          tasks: Sequence[model_pb2.Task],
          task_losses: Mapping[str, task_losses_ops.TaskLoss]) -> Combined:
  """Combines the task losses of a batch.

  Args:
    integration: The `LossIntegration` message.
    tasks: The `Task` messages.
    task_losses: A `TaskLoss` by task.

  Returns:
    A `Combined`.

  Raises:
    ConfigError: If the method is not built.
  """
  with tf.name_scope("weighting"):
    means = tf.stack([task_losses_ops.mean(task_losses[task.name])
                      for task in tasks])
    output = _combine(integration, tasks, task_losses, means)
  return Combined(output.loss, means, output.extra.task_weights)


def add_penalties(loss: tf.Tensor,
                  penalties: Mapping[str, layers_pb2.Regularization],
                  variables: Mapping[str, Sequence[tf.Variable]]) -> tf.Tensor:
  """Adds the penalties on single variables to the total loss.

  ```
    loss + sum_v  l1_v sum |v| + l2_v sum v^2 / 2
  ```

  Args:
    loss: The total loss, shape `[]`.
    penalties: A `Regularization` by name of a variable.
    variables: Variables by group.

  Returns:
    The loss with its penalties, shape `[]`.
  """
  terms = []
  with tf.name_scope("penalties"):
    for variable in (v for some in variables.values() for v in some):
      penalty = penalties.get(variable.op.name)
      if penalty is not None and penalty.l1:
        terms.append(penalty.l1 * tf.reduce_sum(tf.abs(variable)))
      if penalty is not None and penalty.l2:
        terms.append(penalty.l2 * tf.nn.l2_loss(variable))
    return tf.add_n([loss] + terms) if terms else loss


def _combine(integration, tasks, task_losses, means):
  kind = integration.WhichOneof("kind")
  if kind == "sum":
    return loss_weighting.weighted_sum_loss(means, tf.ones([len(tasks)]))
  if kind == "weighted_sum":
    return loss_weighting.weighted_sum_loss(
        means, tf.constant([task.weight for task in tasks], tf.float32))
  if kind == "uncertainty":
    return _uncertainty(integration.uncertainty, tasks, task_losses, means)
  raise config.ConfigError("training.joint.loss", f"found '{kind}'; allowed: "
                           "one that this version builds")


def log_variance(task: str, initial: float) -> tf.Variable:
  """Makes (or reuses) a task's log variance, `log_variance/<task>`."""
  with tf.variable_scope("log_variance", reuse=tf.AUTO_REUSE):
    return tf.get_variable(task, [],
                           initializer=tf.constant_initializer(initial))


def _uncertainty(uncertainty, tasks, task_losses, means):
  likelihoods = [losses.likelihood(task) for task in tasks]
  present = tf.stack([tf.cast(task_losses[task.name].weight > 0, tf.float32)
                      for task in tasks])
  return loss_weighting.uncertainty_weighted_loss(
      means,
      tf.stack([log_variance(task.name, uncertainty.initial_log_variance)
                for task in tasks]),
      tf.constant([l.scale for l in likelihoods]),
      tf.constant([l.exponent for l in likelihoods]),
      present,
      uncertainty.min_log_variance,
      uncertainty.max_log_variance)
