"""The loss of each task, kept apart until it is reduced."""

import collections
from typing import Dict, Mapping, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.model import python_calls
from mtl_graph.ops import classification_losses
from mtl_graph.ops import regression_losses
from mtl_graph.ops import task_losses
from mtl_graph.protos import model_pb2

# A loss as uncertainty weighting sees it: c * exp(-k * s) * loss.
Likelihood = collections.namedtuple("Likelihood", ["scale", "exponent"])


def per_row(task: model_pb2.Task, logits: tf.Tensor, labels: tf.Tensor
            ) -> tf.Tensor:
  """Computes a task's loss on each row, its additional losses included.

  Args:
    task: The `Task` message.
    logits: Its logits, shape `[B, C]`.
    labels: Its labels in their own units, any finite number where a row has
      none, shape `[B, W]`; of a vector NaN where only some numbers are missing.

  Returns:
    The losses, shape `[B]`; a regression's in scaled units.

  Raises:
    ConfigError: If the loss is not built.
  """
  kind = task.WhichOneof("head")
  if task.HasField("loss_function"):
    loss = _by_function(task, kind, logits, labels)
  else:
    loss = _per_row(task, kind, getattr(task, kind) if kind else None, logits,
                    labels)
  for additional in task.additional_loss:
    kind = additional.WhichOneof("kind")
    # Each by its own weight: the others' have no say in it.
    loss += additional.weight * _per_row(
        task, kind, getattr(additional, kind), logits, labels)
  return loss


def _by_function(task, kind, logits, labels):
  """Returns the loss of a Python function on each row."""
  path = f"model.task[name={task.name}].loss_function"
  vector = kind == "multilabel" or (kind == "regression"
                                    and task.regression.size > 1)
  if not vector:
    labels = tf.squeeze(labels, 1)
  present = tf.logical_not(tf.is_nan(labels))
  labels = _targets(task, tf.where(present, labels, tf.zeros_like(labels)))
  if kind in ("multiclass", "ordinal"):
    labels = tf.cast(labels, tf.int32)
  if kind in ("binary", "count", "regression") and not vector:
    logits = tf.squeeze(logits, 1)
  losses = python_calls.row_losses(task.loss_function, path, labels, logits,
                                   labels.shape.as_list())
  return task_losses.mean_of_present(losses, present) if vector else losses


def _per_row(task, kind, config_of_loss, logits, labels):
  """Returns one loss on each row, as its message has it."""
  if kind == "binary":
    loss = config_of_loss
    return classification_losses.sigmoid_cross_entropy(
        tf.squeeze(labels, 1), tf.squeeze(logits, 1),
        loss.pos_weight if loss.pos_weight != 1 else None, loss.label_smoothing,
        _gamma(loss))
  if kind == "multiclass":
    loss = config_of_loss
    return classification_losses.softmax_cross_entropy(
        tf.cast(tf.squeeze(labels, 1), tf.int32), logits,
        list(loss.class_weight) or None, loss.label_smoothing, _gamma(loss))
  if kind == "multilabel":
    loss, present = config_of_loss, tf.logical_not(tf.is_nan(labels))
    cleaned = tf.where(present, labels, tf.zeros_like(labels))
    return task_losses.mean_of_present(
        classification_losses.sigmoid_cross_entropy(
            cleaned, logits, list(loss.pos_weight) or None,
            loss.label_smoothing, _gamma(loss)), present)
  if kind == "ordinal":
    return classification_losses.ordinal_cross_entropy(
        tf.cast(tf.squeeze(labels, 1), tf.int32), logits)
  if kind == "count":
    return regression_losses.poisson(tf.squeeze(labels, 1),
                                     tf.squeeze(logits, 1))
  if kind == "quantiles":
    return tf.reduce_mean(regression_losses.pinball(
        tf.squeeze(_targets(task, labels), 1), logits,
        list(config_of_loss.level)), 1)
  if kind == "regression":
    if task.regression.size == 1:
      return _regression(config_of_loss, tf.squeeze(_targets(task, labels), 1),
                         tf.squeeze(logits, 1))
    present = tf.logical_not(tf.is_nan(labels))
    cleaned = tf.where(present, labels, tf.zeros_like(labels))
    return task_losses.mean_of_present(
        _regression(config_of_loss, _targets(task, cleaned), logits), present)
  raise config.ConfigError(f"model.task[name={task.name}]", f"found head "
                           f"'{kind}'; allowed: one that this version builds")


def _targets(task, labels):
  """Returns what the logits aim at: labels in scaled units."""
  targets = tf.log1p(labels) if task.label.log1p else labels
  if task.label.scale != 1:
    targets *= tf.constant(task.label.scale, targets.dtype)
  return targets


def _regression(regression, targets, values):
  loss = regression.loss
  if loss == model_pb2.Regression.SQUARED:
    return regression_losses.squared_error(targets, values)
  if loss == model_pb2.Regression.ABSOLUTE:
    return regression_losses.absolute_error(targets, values)
  if loss == model_pb2.Regression.HUBER:
    return regression_losses.huber(targets, values, regression.huber_delta)
  raise config.ConfigError("regression.loss", f"found {loss}; allowed: one "
                           "that this version builds")


def _gamma(loss):
  return loss.focal.gamma if loss.HasField("focal") else 0.0


def likelihood(task: model_pb2.Task) -> Likelihood:
  """Returns the constants of a task's loss under uncertainty weighting."""
  if task.WhichOneof("head") == "regression":
    if task.regression.loss == model_pb2.Regression.SQUARED:
      return Likelihood(0.5, 1.0)
    if task.regression.loss == model_pb2.Regression.ABSOLUTE:
      return Likelihood(1.0, 0.5)
  if task.WhichOneof("head") == "quantiles":
    # The pinball loss is that of an asymmetric Laplace distribution.
    return Likelihood(1.0, 0.5)
  return Likelihood(1.0, 1.0)


def build(tasks: Sequence[model_pb2.Task], logits: Mapping[str, tf.Tensor],
          labels: tf.Tensor, weights: tf.Tensor
          ) -> Dict[str, task_losses.TaskLoss]:
  """Computes tasks' losses on a batch, masked and weighted.

  Args:
    tasks: The `Task` messages of all tasks.
    logits: Logits `[B, C]` by task; tasks that are not there are left out, as
      are those that have no loss.
    labels: Labels, the columns of one task after the other, shape `[B, W]`.
    weights: Weights, 0 where there is no label, shape `[B, T]`.

  Returns:
    A dict from task to its `TaskLoss`, in the order of `tasks`.
  """
  losses = collections.OrderedDict()
  slices = outline.label_slices(tasks)
  for t, task in enumerate(tasks):
    if task.no_loss or task.name not in logits:
      continue
    with tf.name_scope(f"loss/{task.name}"):
      losses[task.name] = task_losses.reduce(
          per_row(task, logits[task.name], labels[:, slices[task.name]]),
          weights[:, t])
  return losses
