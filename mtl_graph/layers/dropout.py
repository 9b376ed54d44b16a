"""Dropout whose mask is a function of (seed, name, step)."""

import tensorflow.compat.v1 as tf

from mtl_graph.ops import random_bits


def dropout(
    inputs: tf.Tensor,
    rate: float,
    seed: int,
    step: tf.Tensor,
    name: str = "dropout") -> tf.Tensor:
  """Sets numbers to zero at random and scales up the others.

  ```
    y = x * mask / (1 - rate),   mask = 0 with probability rate, else 1
  ```

  See "Dropout: A Simple Way to Prevent Neural Networks from Overfitting" by
  Srivastava et al., 2014. For training only: leave the layer out elsewhere.

  Args:
    inputs: The inputs, shape `[B, ...]`.
    rate: Probability of zero, at least 0 and below 1.
    seed: Seed of the experiment.
    step: The global step, integer scalar.
    name: Variable scope of the layer; part of the mask's key.

  Returns:
    The outputs, of the shape of `inputs`.

  Raises:
    ValueError: If `rate` is below 0, or 1 and above.
  """
  with tf.variable_scope(name) as scope:
    key = random_bits.key_of(seed, scope.name)
    mask = random_bits.keep_mask(inputs, rate, key, step)
    return inputs * (mask * (1.0 / (1.0 - rate)))
