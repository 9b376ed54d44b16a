"""Losses per row of numbers: values, counts and quantiles."""

from typing import Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes


def squared_error(labels: tf.Tensor, values: tf.Tensor,
                  name: str = "squared_error") -> tf.Tensor:
  """Computes `(value - label)^2` per entry.

  Args:
    labels: Labels, shape `[B]` or `[B, D]`.
    values: Estimates, shape of the labels.
    name: Name scope of the op.

  Returns:
    The losses, shape of the labels.

  Raises:
    ValueError: If the arguments are not vectors or matrices of one shape.
  """
  shapes.check_pair(labels, values, "values", name)
  with tf.name_scope(name):
    return tf.square(values - labels)


def absolute_error(labels: tf.Tensor, values: tf.Tensor,
                   name: str = "absolute_error") -> tf.Tensor:
  """Computes `|value - label|` per entry.

  Args:
    labels: Labels, shape `[B]` or `[B, D]`.
    values: Estimates, shape of the labels.
    name: Name scope of the op.

  Returns:
    The losses, shape of the labels.

  Raises:
    ValueError: If the arguments are not vectors or matrices of one shape.
  """
  shapes.check_pair(labels, values, "values", name)
  with tf.name_scope(name):
    return tf.abs(values - labels)


def huber(labels: tf.Tensor, values: tf.Tensor, delta: float = 1.0,
          name: str = "huber") -> tf.Tensor:
  """Computes Huber's loss per entry.

  With `r = value - label`,

  ```
    0.5 r^2                     where |r| <= delta
    delta (|r| - 0.5 delta)     elsewhere
  ```

  See "Robust Estimation of a Location Parameter" by Huber, 1964.

  Args:
    labels: Labels, shape `[B]` or `[B, D]`.
    values: Estimates, shape of the labels.
    delta: Where the loss turns linear, above 0.
    name: Name scope of the op.

  Returns:
    The losses, shape of the labels.

  Raises:
    ValueError: If the arguments are not vectors or matrices of one shape, or
      `delta` is not above 0.
  """
  if not delta > 0:
    raise ValueError(f"{name}: `delta` must be above 0, found {delta}.")
  shapes.check_pair(labels, values, "values", name)
  with tf.name_scope(name):
    residual = tf.abs(values - labels)
    # The quadratic part saturates at delta and the linear part starts there,
    # so neither branch can overflow in the other's region.
    inside = tf.minimum(residual, delta)
    return 0.5 * tf.square(inside) + delta * (residual - inside)


def pinball(labels: tf.Tensor, values: tf.Tensor, levels: Sequence[float],
            name: str = "pinball") -> tf.Tensor:
  """Computes the pinball loss of several quantiles per row.

  With `r = label - value` and `q` the quantile's level,

  ```
    max(q r, (q - 1) r)
  ```

  Its gradient by the value is `-q` where `r >= 0` and `1 - q` where `r < 0`.

  See "Regression Quantiles" by Koenker and Bassett, 1978.

  Args:
    labels: Labels, shape `[B]`.
    values: Estimates of the quantiles, shape `[B, Q]`.
    levels: The level of each quantile, above 0 and below 1.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B, Q]`.

  Raises:
    ValueError: If `labels` is not a vector, `values` not a matrix of as many
      rows and a column per level, or a level not between 0 and 1.
  """
  levels = [float(level) for level in levels]
  if not levels or not all(0 < level < 1 for level in levels):
    raise ValueError(f"{name}: `levels` must be above 0 and below 1, at least "
                     f"one, found {levels}.")
  rows = shapes.check(labels, [None], "labels", name)
  shapes.check(values, rows + [len(levels)], "values", name)
  with tf.name_scope(name):
    residual = tf.expand_dims(labels, 1) - values
    return tf.maximum(
        tf.constant(levels, values.dtype) * residual,
        tf.constant([level - 1 for level in levels], values.dtype) * residual)


def poisson(labels: tf.Tensor, log_rates: tf.Tensor,
            name: str = "poisson") -> tf.Tensor:
  """Computes the negative log likelihood of a count per row.

  With `z` the log of the Poisson distribution's rate and `y` the count,

  ```
    exp(z) - y z + log(y!)
  ```

  The last term is constant in `z`, and the loss never below 0 with it. Nothing
  is clipped: in float32, `exp(z)` is infinite from `z` = 88.8 on.

  Args:
    labels: Counts, 0, 1, 2 and so on, of the estimates' type, shape `[B]`.
    log_rates: Logs of the rates, shape `[B]`.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  shapes.check(log_rates, shapes.check(labels, [None], "labels", name),
               "log_rates", name)
  with tf.name_scope(name):
    return tf.exp(log_rates) - labels * log_rates + tf.math.lgamma(labels + 1)
