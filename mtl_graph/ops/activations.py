"""Activation functions that tf.compat.v1.nn lacks."""

import tensorflow.compat.v1 as tf


def gelu(x: tf.Tensor, name: str = "gelu") -> tf.Tensor:
  """Weighs each number by the probability of a smaller standard normal one.

  ```
    f(x) = x Phi(x) = 0.5 x erfc(-x / sqrt(2))
  ```

  The complementary error function keeps the digits that `1 + erf` would lose
  where x is far below zero.

  See "Gaussian Error Linear Units (GELUs)" by Hendrycks and Gimpel, section 2
  (https://arxiv.org/abs/1606.08415); not the approximation by tanh.

  Args:
    x: Numbers, shape `[...]`.
    name: Name scope of the op.

  Returns:
    A Tensor of the shape of `x`.
  """
  with tf.name_scope(name):
    return 0.5 * x * tf.math.erfc(-(0.5 ** 0.5) * x)


def mish(x: tf.Tensor, name: str = "mish") -> tf.Tensor:
  """Weighs each number by the tanh of its softplus.

  ```
    f(x) = x tanh(ln(1 + exp(x)))
  ```

  See "Mish: A Self Regularized Non-Monotonic Activation Function" by Misra,
  section 3 (https://arxiv.org/abs/1908.08681).

  Args:
    x: Numbers, shape `[...]`.
    name: Name scope of the op.

  Returns:
    A Tensor of the shape of `x`.
  """
  with tf.name_scope(name):
    return x * tf.tanh(tf.nn.softplus(x))
