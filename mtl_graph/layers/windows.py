"""Checks the windows that convolutions and pooling slide over an image."""

from typing import Tuple

import tensorflow.compat.v1 as tf


def check(inputs: tf.Tensor, size: Tuple[int, int], padding: str,
          name: str) -> None:
  """Raises unless windows fit into images.

  Args:
    inputs: The images, shape `[B, H, W, C]`, C known.
    size: Height and width of the window.
    padding: "SAME", whose windows may reach beyond the image, or "VALID".
    name: Name of the layer, for the error.

  Raises:
    ValueError: If `inputs` are no images of known depth, if `padding` is
      neither, or if an image is smaller than a window that may not leave it.
  """
  check_images(inputs, name)
  if padding not in ("SAME", "VALID"):
    raise ValueError(
        f"{name}: `padding` must be SAME or VALID, found {padding}.")
  height, width = inputs.shape.as_list()[1:3]
  if padding == "VALID" and ((height is not None and height < size[0])
                             or (width is not None and width < size[1])):
    raise ValueError(f"{name}: `inputs` must have at least {size[0]} x "
                     f"{size[1]} pixels, the window, found {inputs.shape}.")


def check_images(inputs: tf.Tensor, name: str) -> None:
  """Raises unless a tensor holds images.

  Args:
    inputs: The images, shape `[B, H, W, C]`, C known.
    name: Name of the layer, for the error.

  Raises:
    ValueError: If the rank is another, or C not known.
  """
  if inputs.shape.rank != 4 or inputs.shape.as_list()[3] is None:
    raise ValueError(f"{name}: `inputs` must have shape [any, any, any, C] "
                     f"with C known, found {inputs.shape}.")
