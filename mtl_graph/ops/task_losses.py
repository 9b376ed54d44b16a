"""Losses per row, and their mean over the rows that bear a label."""

import collections

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# A task's loss in a batch, its numerator and denominator kept apart so that
# replicas and blocks can add them up before dividing.
#   sum: sum over rows of weight times loss, shape `[]`.
#   weight: sum over rows of weight, shape `[]`.
TaskLoss = collections.namedtuple("TaskLoss", ["sum", "weight"])


def squared_error(labels: tf.Tensor, values: tf.Tensor,
                  name: str = "squared_error") -> tf.Tensor:
  """Computes `(value - label)^2` per row.

  Args:
    labels: Labels, shape `[B]`.
    values: Estimates, shape `[B]`.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  _check_pair(labels, values, "values", name)
  with tf.name_scope(name):
    return tf.square(values - labels)


def absolute_error(labels: tf.Tensor, values: tf.Tensor,
                   name: str = "absolute_error") -> tf.Tensor:
  """Computes `|value - label|` per row.

  Args:
    labels: Labels, shape `[B]`.
    values: Estimates, shape `[B]`.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  _check_pair(labels, values, "values", name)
  with tf.name_scope(name):
    return tf.abs(values - labels)


def huber(labels: tf.Tensor, values: tf.Tensor, delta: float = 1.0,
          name: str = "huber") -> tf.Tensor:
  """Computes Huber's loss per row.

  With `r = value - label`,

  ```
    0.5 r^2                     where |r| <= delta
    delta (|r| - 0.5 delta)     elsewhere
  ```

  See "Robust Estimation of a Location Parameter" by Huber, 1964.

  Args:
    labels: Labels, shape `[B]`.
    values: Estimates, shape `[B]`.
    delta: Where the loss turns linear, above 0.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If the arguments are not vectors of one length, or `delta` is
      not above 0.
  """
  if not delta > 0:
    raise ValueError(f"{name}: `delta` must be above 0, found {delta}.")
  _check_pair(labels, values, "values", name)
  with tf.name_scope(name):
    residual = tf.abs(values - labels)
    # The quadratic part saturates at delta and the linear part starts there,
    # so neither branch can overflow in the other's region.
    inside = tf.minimum(residual, delta)
    return 0.5 * tf.square(inside) + delta * (residual - inside)


def sigmoid_cross_entropy(labels: tf.Tensor, logits: tf.Tensor,
                          name: str = "sigmoid_cross_entropy") -> tf.Tensor:
  """Computes the cross entropy of a binary label per row.

  With `p = sigmoid(logit)`, `-label log(p) - (1 - label) log(1 - p)`.

  Args:
    labels: Labels, 0 or 1, shape `[B]`.
    logits: Logits, shape `[B]`.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  _check_pair(labels, logits, "logits", name)
  with tf.name_scope(name):
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels,
                                                   logits=logits)


def softmax_cross_entropy(labels: tf.Tensor, logits: tf.Tensor,
                          name: str = "softmax_cross_entropy") -> tf.Tensor:
  """Computes the cross entropy of a class label per row.

  `-log softmax(logits)[label]`.

  Args:
    labels: Class indices, int32, shape `[B]`.
    logits: Logits, shape `[B, C]`.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If `labels` is not a vector, or `logits` not a matrix of as
      many rows.
  """
  rows = shapes.check(labels, [None], "labels", name)
  shapes.check(logits, rows + [None], "logits", name)
  with tf.name_scope(name):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels,
                                                          logits=logits)


def reduce(losses: tf.Tensor, weights: tf.Tensor,
           name: str = "reduce_task_loss") -> TaskLoss:
  """Adds up the weighted losses of a batch and their weights.

  ```
    sum = sum_i w_i l_i      weight = sum_i w_i
  ```

  Rows of weight 0 bear no label. Their loss must be finite all the same: clean
  the label before, for 0 times NaN is NaN.

  Args:
    losses: Losses per row, shape `[B]`.
    weights: Weights per row, 0 where there is no label, shape `[B]`.
    name: Name scope of the op.

  Returns:
    A `TaskLoss`.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  shapes.check(weights, shapes.check(losses, [None], "losses", name), "weights",
               name)
  with tf.name_scope(name):
    return TaskLoss(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))


def mean(task_loss: TaskLoss, name: str = "mean_task_loss") -> tf.Tensor:
  """Divides a task's loss by its weight; 0 where no row bears a label.

  Args:
    task_loss: A `TaskLoss`.
    name: Name scope of the op.

  Returns:
    The mean loss, shape `[]`.
  """
  with tf.name_scope(name):
    return tf.math.divide_no_nan(task_loss.sum, task_loss.weight)


def _check_pair(labels, estimates, argument, op):
  shapes.check(estimates, shapes.check(labels, [None], "labels", op), argument,
               op)
