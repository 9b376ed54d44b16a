"""Initial values and penalties of tf.contrib.layers."""

import numbers
from typing import Callable, Optional, Sequence

import tensorflow.compat.v1 as tf


def variance_scaling_initializer(factor=2.0, mode="FAN_IN", uniform=False,
                                 seed=None, dtype=tf.float32) -> Callable:
  """Returns an initializer whose variance falls with the fan.

  Truncated normal with a variance of `1.3 factor / n` before it is truncated,
  or uniform within `sqrt(3 factor / n)`, where n is the fan in, the fan out or
  their mean.

  Args:
    factor: 2 for relu, 1 for a sigmoid.
    mode: "FAN_IN", "FAN_OUT" or "FAN_AVG".
    uniform: Whether it is uniform.
    seed: Seed of the draw.
    dtype: A floating type.

  Returns:
    The initializer.
  """
  if not tf.as_dtype(dtype).is_floating:
    raise TypeError(f"`dtype` must be a floating type, found {dtype}.")
  if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
    raise TypeError(f"`mode` must be FAN_IN, FAN_OUT or FAN_AVG, found {mode}.")

  def initialize(shape, dtype=dtype, partition_info=None):
    del partition_info
    if not tf.as_dtype(dtype).is_floating:
      raise TypeError(f"`dtype` must be a floating type, found {dtype}.")
    fan_in = float(shape[-2]) if len(shape) > 1 else float(shape[-1])
    fan_out = float(shape[-1])
    for size in shape[:-2]:
      fan_in, fan_out = fan_in * float(size), fan_out * float(size)
    n = {"FAN_IN": fan_in, "FAN_OUT": fan_out,
         "FAN_AVG": (fan_in + fan_out) / 2.0}[mode]
    if uniform:
      limit = (3.0 * factor / n) ** 0.5
      return tf.random_uniform(shape, -limit, limit, dtype, seed=seed)
    # 1.3 makes up for what truncating takes away.
    return tf.truncated_normal(shape, 0.0, (1.3 * factor / n) ** 0.5, dtype,
                               seed=seed)

  return initialize


def xavier_initializer(uniform=True, seed=None, dtype=tf.float32) -> Callable:
  """Returns Glorot's initializer: see `variance_scaling_initializer`."""
  return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


xavier_initializer_conv2d = xavier_initializer


def _check_scale(scale, what):
  if isinstance(scale, numbers.Integral) and not isinstance(scale, bool):
    raise ValueError(f"{what}: the scale must not be an integer, found "
                     f"{scale}; allowed: {float(scale)}.")
  if isinstance(scale, numbers.Real) and scale < 0:
    raise ValueError(f"{what}: the scale must not be below 0, found {scale}.")


def _penalty(scale, scope, name, of) -> Callable:
  _check_scale(scale, name)
  if isinstance(scale, numbers.Real) and scale == 0.0:
    return lambda _: None

  def regularize(weights, name=None):
    del name
    with tf.name_scope(scope, default, [weights]) as opened:
      factor = tf.convert_to_tensor(scale, weights.dtype.base_dtype)
      return tf.multiply(factor, of(weights), name=opened)

  default = name
  return regularize


def l1_regularizer(scale, scope=None) -> Callable:
  """Returns a penalty of `scale` times the sum of absolute values."""
  return _penalty(scale, scope, "l1_regularizer",
                  lambda w: tf.reduce_sum(tf.abs(w)))


def l2_regularizer(scale, scope=None) -> Callable:
  """Returns a penalty of `scale` times half the sum of squares."""
  return _penalty(scale, scope, "l2_regularizer", tf.nn.l2_loss)


def l1_l2_regularizer(scale_l1=1.0, scale_l2=1.0, scope=None) -> Callable:
  """Returns the sum of an L1 and an L2 penalty."""
  scope = scope or "l1_l2_regularizer"
  return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)],
                         scope)


def sum_regularizer(regularizer_list: Sequence[Optional[Callable]], scope=None
                    ) -> Optional[Callable]:
  """Returns the sum of penalties, those of the list that are not None."""
  wanted = [r for r in regularizer_list if r is not None]
  if not wanted:
    return None

  def regularize(weights):
    with tf.name_scope(scope, "sum_regularizer", [weights]) as name:
      found = [p for p in (r(weights) for r in wanted) if p is not None]
      return tf.add_n(found, name=name) if found else None

  return regularize


def apply_regularization(regularizer, weights_list=None) -> tf.Tensor:
  """Returns the penalty of all weights together, into REGULARIZATION_LOSSES.

  Args:
    regularizer: The penalty of one.
    weights_list: The weights; None for the collection WEIGHTS.
  """
  if weights_list is None:
    weights_list = tf.get_collection(tf.GraphKeys.WEIGHTS)
  if not weights_list:
    raise ValueError("apply_regularization: there are no weights.")
  with tf.name_scope("get_regularization_penalty") as scope:
    found = [regularizer(w) for w in weights_list]
    penalty = tf.add_n([tf.constant(0.0) if p is None else p for p in found],
                       name=scope)
  if penalty.shape.rank != 0:
    raise ValueError("apply_regularization: a penalty must be a scalar, found "
                     f"shape {penalty.shape}.")
  tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, penalty)
  return penalty
