"""Batch and layer normalization."""

from typing import List, Optional

import tensorflow.compat.v1 as tf


def batch_normalization(
    inputs: tf.Tensor,
    training: bool,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    name: str = "batch_normalization",
    updates: Optional[List[tf.Operation]] = None) -> tf.Tensor:
  """Brings each channel of a batch to one mean and one variance.

  ```
    y = gamma (x - mean) / sqrt(variance + epsilon) + beta
  ```

  In training, mean and variance are those of the batch (of all pixels of all
  images), the variance being the mean squared deviation, and two ops let moving
  ones follow:

  ```
    moving -= (1 - momentum) (moving - batch)
  ```

  Elsewhere mean and variance are the moving ones, and there are no such ops.

  Makes (or reuses) the variables `<scope>/gamma`, one, `beta`, zero,
  `moving_mean`, zero, and `moving_variance`, one, as tf.layers named them; the
  moving ones are not trainable.

  See "Batch Normalization: Accelerating Deep Network Training by Reducing
  Internal Covariate Shift" by Ioffe and Szegedy, 2015, section 3
  (https://arxiv.org/abs/1502.03167). The moving variance follows the same
  biased variance that the batch is divided by, as tf.layers had it for
  matrices; for images, its fused kernel let it follow `n / (n - 1)` times that,
  as the paper does.

  Args:
    inputs: The inputs, shape `[B, D]` or `[B, H, W, C]`.
    training: Whether the batch's own statistics are used, and followed.
    momentum: Share of the moving statistics that a step keeps.
    epsilon: Added to the variance, above 0.
    center: Whether there is a beta.
    scale: Whether there is a gamma.
    name: Variable scope of the layer.
    updates: List that the two ops are appended to. None: they are added to the
      collection `tf.GraphKeys.UPDATE_OPS`. Nothing runs them unasked.

  Returns:
    The outputs, of the shape of `inputs`.

  Raises:
    ValueError: If `inputs` is neither a matrix nor images, of known depth.
  """
  channels = _channels(inputs, name)
  with tf.variable_scope(name):
    ones, zeros = tf.ones_initializer(), tf.zeros_initializer()
    gamma = (tf.get_variable("gamma", channels, initializer=ones)
             if scale else None)
    beta = (tf.get_variable("beta", channels, initializer=zeros)
            if center else None)
    moving = [
        tf.get_variable("moving_mean", channels, initializer=zeros,
                        trainable=False),
        tf.get_variable("moving_variance", channels, initializer=ones,
                        trainable=False)]
    if not training:
      return tf.nn.batch_normalization(inputs, *moving, beta, gamma, epsilon)
    batch = tf.nn.moments(inputs, list(range(inputs.shape.rank - 1)))
    assigns = [
        variable.assign_sub((variable - value) * (1.0 - momentum),
                            read_value=False)
        for variable, value in zip(moving, batch)]
    if updates is None:
      for assign in assigns:
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, assign)
    else:
      updates.extend(assigns)
    return tf.nn.batch_normalization(inputs, *batch, beta, gamma, epsilon)


def layer_normalization(
    inputs: tf.Tensor,
    epsilon: float = 1e-12,
    name: str = "layer_normalization") -> tf.Tensor:
  """Brings each row to one mean and one variance.

  ```
    y = gamma (x - mean) / sqrt(variance + epsilon) + beta
  ```

  Mean and variance are those of the row itself; of an image, those of all its
  numbers. Where they are all equal, the output is beta, and the gradient that
  reaches them is up to `1 / sqrt(epsilon)` times the one that arrives.

  Makes (or reuses) the variables `<scope>/gamma`, one, and `<scope>/beta`,
  zero, an entry per column or channel.

  See "Layer Normalization" by Ba, Kiros and Hinton, 2016, section 3
  (https://arxiv.org/abs/1607.06450).

  Args:
    inputs: The inputs, shape `[B, D]` or `[B, H, W, C]`.
    epsilon: Added to the variance, above 0.
    name: Variable scope of the layer.

  Returns:
    The outputs, of the shape of `inputs`.

  Raises:
    ValueError: If `inputs` is neither a matrix nor images, of known depth.
  """
  channels = _channels(inputs, name)
  with tf.variable_scope(name):
    gamma = tf.get_variable("gamma", channels,
                            initializer=tf.ones_initializer())
    beta = tf.get_variable("beta", channels, initializer=tf.zeros_initializer())
    mean, variance = tf.nn.moments(inputs, list(range(1, inputs.shape.rank)),
                                   keep_dims=True)
    # The mean goes before the factor comes: 1 / sqrt(epsilon) is a million, and
    # would leave nothing of beta.
    return (inputs - mean) * (tf.math.rsqrt(variance + epsilon) * gamma) + beta


def _channels(inputs, name):
  """Returns the shape of a vector with an entry per channel."""
  if (inputs.shape.rank not in (2, 4)
      or inputs.shape.as_list()[-1] is None):
    raise ValueError(f"{name}: `inputs` must have shape [any, D] or [any, any, "
                     f"any, D] with D known, found {inputs.shape}.")
  return inputs.shape.as_list()[-1:]
