"""The last layer of a task, and what its logits mean."""

import collections
import math
from typing import Dict

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.layers import dense
from mtl_graph.ops import classification_losses
from mtl_graph.protos import model_pb2


def score(task: model_pb2.Task, inputs: tf.Tensor, seed: int) -> tf.Tensor:
  """Builds a task's head, the dense layer `head/<task>`.

  Args:
    task: The `Task` message.
    inputs: Output of the tower, shape `[B, D]`.
    seed: Seed of the kernel's initial value.

  Returns:
    The scores that `logits` makes logits of, shape `[B, C]`: the logits
    themselves, but for an ordinal task, which has one score per row.
  """
  if task.WhichOneof("head") == "ordinal":
    return dense.dense(inputs, 1, use_bias=False, seed=seed,
                       name=f"head/{task.name}")
  return dense.dense(inputs, outline.logit_count(task), seed=seed,
                     name=f"head/{task.name}")


def logits(task: model_pb2.Task, scores: tf.Tensor) -> tf.Tensor:
  """Makes a task's logits of its scores.

  Those of an ordinal task are, for each but the last class, the logit of being
  in it or below,

  ```
    logit_k = threshold_k - score
    threshold_0 = t_0,   threshold_k = threshold_{k-1} + softplus(t_k)
  ```

  with `t` the variable `head/<task>/thresholds`, which starts where a score of
  zero makes all classes equally probable. See "Regression Models for Ordinal
  Data" by McCullagh, 1980, section 2.

  Args:
    task: The `Task` message.
    scores: What `score` returned, shape `[B, C]`.

  Returns:
    The logits, shape `[B, C]`. For a regression they are the scaled label's
    estimate, for a count the logarithm of its rate.
  """
  if task.WhichOneof("head") != "ordinal":
    return scores
  count = outline.logit_count(task)
  with tf.variable_scope(f"head/{task.name}"):
    raw = tf.get_variable(
        "thresholds", [count],
        initializer=tf.constant_initializer(_equal_thresholds(count)))
    steps = tf.concat([raw[:1], tf.nn.softplus(raw[1:])], 0)
    return tf.cumsum(steps) - scores


def _equal_thresholds(count):
  """Returns raw thresholds between classes of equal probability."""
  places = [(k + 1) / (count + 1) for k in range(count)]
  cuts = [math.log(p / (1 - p)) for p in places]
  return cuts[:1] + [math.log(math.expm1(b - a))
                     for a, b in zip(cuts, cuts[1:])]


def value(task: model_pb2.Task, task_logits: tf.Tensor) -> tf.Tensor:
  """Turns the logits of a regression or quantiles into the label's own units.

  Inverts `logit = scale * f(label)`, where f is ln(1 + x) under log1p.

  Args:
    task: The `Task` message.
    task_logits: Its logits, shape `[B, C]`.

  Returns:
    The estimates, shape `[B, C]`.
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
  if form not in outline.ESTIMATE_FORMS.get(head, ()):
    raise config.ConfigError(
        "model.task.estimate.form", f"found {form} of the {head} task "
        f"'{task.name}'; allowed: a form that it has")
  if form == model_pb2.Estimate.LOGIT:
    return task_logits
  if form == model_pb2.Estimate.VALUE:
    return tf.exp(task_logits) if head == "count" else value(task, task_logits)
  if head == "multiclass":
    return tf.nn.softmax(task_logits)
  if head == "ordinal":
    return classification_losses.ordinal_probabilities(task_logits)
  return tf.nn.sigmoid(task_logits)


def predictions(task: model_pb2.Task, task_logits: tf.Tensor
                ) -> Dict[str, tf.Tensor]:
  """Returns what a task answers.

  Args:
    task: The `Task` message.
    task_logits: Its logits, shape `[B, C]`.

  Returns:
    A dict: `probability` and `logit` [B]; or `probabilities`, `logits` [B, C]
    and `class` (int64) [B]; or `value` [B] or [B, D], or `quantiles` [B, Q], in
    the label's own units; or `rate` [B].

  Raises:
    ConfigError: If the head is not built.
  """
  head = task.WhichOneof("head")
  if head == "binary":
    logit = tf.squeeze(task_logits, 1)
    return collections.OrderedDict(probability=tf.nn.sigmoid(logit),
                                   logit=logit)
  if head in ("multiclass", "multilabel"):
    activation = tf.nn.softmax if head == "multiclass" else tf.nn.sigmoid
    return collections.OrderedDict([
        ("probabilities", activation(task_logits)),
        ("logits", task_logits),
        ("class", tf.argmax(task_logits, 1))])
  if head == "ordinal":
    probabilities = classification_losses.ordinal_probabilities(task_logits)
    return collections.OrderedDict([
        ("probabilities", probabilities),
        ("logits", task_logits),
        ("class", tf.argmax(probabilities, 1))])
  if head == "regression":
    values = value(task, task_logits)
    return {"value": tf.squeeze(values, 1) if task.regression.size == 1
            else values}
  if head == "count":
    return {"rate": tf.exp(tf.squeeze(task_logits, 1))}
  if head == "quantiles":
    return {"quantiles": value(task, task_logits)}
  raise config.ConfigError(f"model.task[name={task.name}]", f"found head "
                           f"'{head}'; allowed: one that this version builds")
