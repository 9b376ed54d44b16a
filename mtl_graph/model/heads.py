"""The last layer of a task, and what its logits mean."""

import collections
from typing import Dict

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.layers import dense
from mtl_graph.protos import model_pb2


def logits(task: model_pb2.Task, inputs: tf.Tensor, seed: int) -> tf.Tensor:
  """Builds a task's head, the dense layer `head/<task>`.

  Args:
    task: The `Task` message.
    inputs: Output of the tower, shape `[B, D]`.
    seed: Seed of the kernel's initial value.

  Returns:
    The logits, shape `[B, C]`, with C = 1 but for multiclass tasks. For a
    regression they are the scaled label's estimate.
  """
  return dense.dense(inputs, outline.logit_count(task), seed=seed,
                     name=f"head/{task.name}")


def value(task: model_pb2.Task, task_logits: tf.Tensor) -> tf.Tensor:
  """Turns a regression's logits into the label's own units.

  Inverts `logit = scale * f(label)`, where f is ln(1 + x) under log1p.

  Args:
    task: The `Task` message of a regression.
    task_logits: Its logits, shape `[B, 1]`.

  Returns:
    The estimates, shape `[B, 1]`.
  """
  unscaled = task_logits
  if task.label.scale != 1:
    unscaled = task_logits / tf.constant(task.label.scale, task_logits.dtype)
  return tf.math.expm1(unscaled) if task.label.log1p else unscaled


def estimate(task: model_pb2.Task, task_logits: tf.Tensor,
             form: int) -> tf.Tensor:
  """Returns a task's estimate as an input of another task.

  Args:
    task: The `Task` message of the task estimated.
    task_logits: Its logits, shape `[B, C]`.
    form: A value of `Estimate.Form`.

  Returns:
    The estimate, shape `[B, C]`.

  Raises:
    ConfigError: If the task has no estimate of that form.
  """
  head = task.WhichOneof("head")
  if form == model_pb2.Estimate.LOGIT and head in ("binary", "multiclass"):
    return task_logits
  if form == model_pb2.Estimate.PROBABILITY and head == "binary":
    return tf.nn.sigmoid(task_logits)
  if form == model_pb2.Estimate.PROBABILITY and head == "multiclass":
    return tf.nn.softmax(task_logits)
  if form == model_pb2.Estimate.VALUE and head == "regression":
    return value(task, task_logits)
  raise config.ConfigError(
      "model.task.estimate.form", f"found {form} of the {head} task "
      f"'{task.name}'; allowed: a form that it has")


def predictions(task: model_pb2.Task, task_logits: tf.Tensor
                ) -> Dict[str, tf.Tensor]:
  """Returns what a task answers.

  Args:
    task: The `Task` message.
    task_logits: Its logits, shape `[B, C]`.

  Returns:
    A dict: `probability` and `logit` [B]; or `probabilities`, `logits` [B, C]
    and `class` (int64) [B]; or `value` [B], in the label's own units.

  Raises:
    ConfigError: If the head is not built.
  """
  head = task.WhichOneof("head")
  if head == "binary":
    logit = tf.squeeze(task_logits, 1)
    return collections.OrderedDict(probability=tf.nn.sigmoid(logit),
                                   logit=logit)
  if head == "multiclass":
    return collections.OrderedDict([
        ("probabilities", tf.nn.softmax(task_logits)),
        ("logits", task_logits),
        ("class", tf.argmax(task_logits, 1))])
  if head == "regression":
    return {"value": tf.squeeze(value(task, task_logits), 1)}
  raise config.ConfigError(f"model.task[name={task.name}]", f"found head "
                           f"'{head}'; allowed: one that this version builds")
