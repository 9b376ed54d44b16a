"""Layers that make an image smaller, or a vector of it. They have no variables.

An image and a set of vectors are two things: for the latter, see ops/pooling.
"""

from typing import Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.layers import windows


def max_pooling(
    inputs: tf.Tensor,
    size: Tuple[int, int],
    strides: Tuple[int, int],
    padding: str = "VALID",
    name: str = "max_pooling") -> tf.Tensor:
  """Takes the largest number of each window, channel by channel.

  Args:
    inputs: The images, shape `[B, H, W, C]`.
    size: Height and width of the window.
    strides: Pixels from one window to the next, down and across.
    padding: "SAME", for an output of `ceil(H / s_h)` by `ceil(W / s_w)` pixels,
      or "VALID", for `ceil((H - h + 1) / s_h)` by `ceil((W - w + 1) / s_w)`.
      Pixels beyond the image count for nothing.
    name: Name scope of the layer.

  Returns:
    The images, shape `[B, H', W', C]`.

  Raises:
    ValueError: If `inputs` are no images of known depth, `padding` is neither
      of the two, or the window does not fit in.
  """
  windows.check(inputs, size, padding, name)
  with tf.name_scope(name):
    return tf.nn.max_pool(inputs, [1, *size, 1], [1, *strides, 1], padding)


def average_pooling(
    inputs: tf.Tensor,
    size: Tuple[int, int],
    strides: Tuple[int, int],
    padding: str = "VALID",
    name: str = "average_pooling") -> tf.Tensor:
  """Takes the mean of each window, channel by channel.

  Args:
    inputs: The images, shape `[B, H, W, C]`.
    size: Height and width of the window.
    strides: Pixels from one window to the next, down and across.
    padding: "SAME", for an output of `ceil(H / s_h)` by `ceil(W / s_w)` pixels,
      or "VALID", for `ceil((H - h + 1) / s_h)` by `ceil((W - w + 1) / s_w)`.
      Pixels beyond the image count for nothing, not even in the divisor.
    name: Name scope of the layer.

  Returns:
    The images, shape `[B, H', W', C]`.

  Raises:
    ValueError: If `inputs` are no images of known depth, `padding` is neither
      of the two, or the window does not fit in.
  """
  windows.check(inputs, size, padding, name)
  with tf.name_scope(name):
    return tf.nn.avg_pool(inputs, [1, *size, 1], [1, *strides, 1], padding)


def global_max_pooling(
    inputs: tf.Tensor, name: str = "global_max_pooling") -> tf.Tensor:
  """Takes the largest number of each channel.

  Pixels that are equally large share the gradient equally.

  Args:
    inputs: The images, shape `[B, H, W, C]`.
    name: Name scope of the layer.

  Returns:
    The largest numbers, shape `[B, C]`.

  Raises:
    ValueError: If `inputs` are no images of known depth.
  """
  windows.check_images(inputs, name)
  with tf.name_scope(name):
    return tf.reduce_max(inputs, [1, 2])


def global_average_pooling(
    inputs: tf.Tensor, name: str = "global_average_pooling") -> tf.Tensor:
  """Takes the mean of each channel.

  Args:
    inputs: The images, shape `[B, H, W, C]`.
    name: Name scope of the layer.

  Returns:
    The means, shape `[B, C]`.

  Raises:
    ValueError: If `inputs` are no images of known depth.
  """
  windows.check_images(inputs, name)
  with tf.name_scope(name):
    return tf.reduce_mean(inputs, [1, 2])


def flatten(inputs: tf.Tensor, name: str = "flatten") -> tf.Tensor:
  """Turns images into vectors: row by row, pixel by pixel, channel by channel.

  Args:
    inputs: The images, shape `[B, H, W, C]`.
    name: Name scope of the layer.

  Returns:
    The vectors, shape `[B, H * W * C]`.

  Raises:
    ValueError: If `inputs` are no images of known size.
  """
  width = inputs.shape[1:].num_elements()
  if inputs.shape.rank != 4 or width is None:
    raise ValueError(f"{name}: `inputs` must have shape [any, H, W, C] with H, "
                     f"W and C known, found {inputs.shape}.")
  with tf.name_scope(name):
    batch = inputs.shape.as_list()[0]
    return tf.reshape(inputs, [-1 if batch is None else batch, width])
