"""The convolution over images."""

from typing import Callable, Optional, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers
from mtl_graph.layers import windows


def conv2d(
    inputs: tf.Tensor,
    filters: int,
    kernel_size: Tuple[int, int],
    strides: Tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: Optional[Callable[[tf.Tensor], tf.Tensor]] = None,
    use_bias: bool = True,
    seed: int = 0,
    name: str = "conv2d",
    initializer: Optional[Callable[[int, str], Callable]] = None
    ) -> tf.Tensor:
  """Connects every window of an image to one pixel of the output.

  With the image continued by zeros where `padding` is "SAME",

  ```
    y[i, j, f] = activation(b[f] + sum_{u, v, c}
                            x[i s_h + u, j s_w + v, c] kernel[u, v, c, f])
  ```

  Makes (or reuses) the variables `<scope>/kernel`, shape `[h, w, C, filters]`,
  drawn from the seed and its own name, and `<scope>/bias`, zero, as
  tf.layers.conv2d named them.

  Args:
    inputs: The images, shape `[B, H, W, C]`.
    filters: Channels of the output.
    kernel_size: Height and width of the window.
    strides: Pixels from one window to the next, down and across.
    padding: "SAME", for an output of `ceil(H / s_h)` by `ceil(W / s_w)` pixels,
      or "VALID", for `ceil((H - h + 1) / s_h)` by `ceil((W - w + 1) / s_w)`.
    activation: Function applied to the sum, or None.
    use_bias: Whether a bias is added.
    seed: Seed of the kernel's initial value.
    name: Variable scope of the layer.
    initializer: Function from the seed and the kernel's full name to its
      initializer. None: `initializers.glorot_uniform`.

  Returns:
    The images, shape `[B, H', W', filters]`.

  Raises:
    ValueError: If `inputs` are no images of known depth, `padding` is neither
      of the two, or the window does not fit in.
  """
  windows.check(inputs, kernel_size, padding, name)
  initializer = initializer or initializers.glorot_uniform
  with tf.variable_scope(name) as scope:
    kernel = tf.get_variable(
        "kernel", [*kernel_size, inputs.shape.as_list()[3], filters],
        initializer=initializer(seed, scope.name + "/kernel"))
    outputs = tf.nn.conv2d(inputs, kernel, [1, *strides, 1], padding)
    if use_bias:
      bias = tf.get_variable("bias", [filters],
                             initializer=tf.zeros_initializer())
      outputs = tf.nn.bias_add(outputs, bias)
    return activation(outputs) if activation else outputs
