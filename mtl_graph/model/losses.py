"""The loss of each task, kept apart until it is reduced."""

import collections
from typing import Dict, Mapping, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.ops import task_losses
from mtl_graph.protos import model_pb2

# A loss as uncertainty weighting sees it: c * exp(-k * s) * loss.
Likelihood = collections.namedtuple("Likelihood", ["scale", "exponent"])


def per_row(task: model_pb2.Task, logits: tf.Tensor, labels: tf.Tensor
            ) -> tf.Tensor:
  """Computes a task's loss on each row.

  Args:
    task: The `Task` message.
    logits: Its logits, shape `[B, C]`.
    labels: Its labels in their own units, any finite number where there is
      none, shape `[B]`.

  Returns:
    The losses, shape `[B]`; a regression's in scaled units.

  Raises:
    ConfigError: If the loss is not built.
  """
  head = task.WhichOneof("head")
  if head == "binary":
    return task_losses.sigmoid_cross_entropy(labels, tf.squeeze(logits, 1))
  if head == "multiclass":
    return task_losses.softmax_cross_entropy(tf.cast(labels, tf.int32), logits)
  if head == "regression":
    targets = tf.log1p(labels) if task.label.log1p else labels
    if task.label.scale != 1:
      targets *= tf.constant(task.label.scale, targets.dtype)
    values = tf.squeeze(logits, 1)
    loss = task.regression.loss
    if loss == model_pb2.Regression.SQUARED:
      return task_losses.squared_error(targets, values)
    if loss == model_pb2.Regression.ABSOLUTE:
      return task_losses.absolute_error(targets, values)
    if loss == model_pb2.Regression.HUBER:
      return task_losses.huber(targets, values, task.regression.huber_delta)
  raise config.ConfigError(f"model.task[name={task.name}]", f"found head "
                           f"'{head}'; allowed: one that this version builds")


def likelihood(task: model_pb2.Task) -> Likelihood:
  """Returns the constants of a task's loss under uncertainty weighting."""
  if task.WhichOneof("head") == "regression":
    if task.regression.loss == model_pb2.Regression.SQUARED:
      return Likelihood(0.5, 1.0)
    if task.regression.loss == model_pb2.Regression.ABSOLUTE:
      return Likelihood(1.0, 0.5)
  return Likelihood(1.0, 1.0)


def build(tasks: Sequence[model_pb2.Task], logits: Mapping[str, tf.Tensor],
          labels: tf.Tensor, weights: tf.Tensor
          ) -> Dict[str, task_losses.TaskLoss]:
  """Computes every task's loss on a batch, masked and weighted.

  Args:
    tasks: The `Task` messages.
    logits: Logits `[B, C]` by task.
    labels: Labels, a column per task, shape `[B, T]`.
    weights: Weights, 0 where there is no label, shape `[B, T]`.

  Returns:
    A dict from task to its `TaskLoss`, in the order of `tasks`.
  """
  losses = collections.OrderedDict()
  for t, task in enumerate(tasks):
    with tf.name_scope(f"loss/{task.name}"):
      losses[task.name] = task_losses.reduce(
          per_row(task, logits[task.name], labels[:, t]), weights[:, t])
  return losses
