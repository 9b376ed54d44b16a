"""Initial values that are a function of a seed and the variable's name."""

from typing import Callable, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.ops import random_bits


def glorot_uniform(seed: int, variable_name: str) -> Callable:
  """Returns an initializer that draws Glorot's uniform distribution.

  Uniform in `[-limit, limit]` with `limit = sqrt(6 / (fan_in + fan_out))`, the
  last two dimensions being fan_in and fan_out. The draw is stateless: another
  variable more or less in the graph changes nothing here.

  See "Understanding the Difficulty of Training Deep Feedforward Neural
  Networks" by Glorot and Bengio, 2010, section 4.2.1.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  def initialize(shape: Sequence[int], dtype=tf.float32, **unused_kwargs):
    limit = (6.0 / (shape[-2] + shape[-1])) ** 0.5
    return _uniform(seed, variable_name, shape, limit, dtype)
  return initialize


def uniform(seed: int, variable_name: str, limit: float) -> Callable:
  """Returns an initializer that draws uniformly from `[-limit, limit]`.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.
    limit: Half the width of the interval.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  def initialize(shape: Sequence[int], dtype=tf.float32, **unused_kwargs):
    return _uniform(seed, variable_name, shape, limit, dtype)
  return initialize


def _uniform(seed, variable_name, shape, limit, dtype):
  key = random_bits.key_of(seed, variable_name)
  return tf.random.stateless_uniform(
      shape, seed=[seed & 0x7fffffff, key & 0x7fffffff], minval=-limit,
      maxval=limit, dtype=dtype)
