"""The fully connected layer."""

from typing import Callable, Optional

import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers


def dense(
    inputs: tf.Tensor,
    units: int,
    activation: Optional[Callable[[tf.Tensor], tf.Tensor]] = None,
    use_bias: bool = True,
    seed: int = 0,
    name: str = "dense",
    initializer: Optional[Callable[[int, str], Callable]] = None
    ) -> tf.Tensor:
  """Connects every input to every output.

  ```
    y = activation(x kernel + bias)
  ```

  Makes (or reuses) the variables `<scope>/kernel`, drawn from the seed and its
  own name, and `<scope>/bias`, zero, as tf.layers.dense named them.

  Args:
    inputs: The inputs, shape `[B, D]`.
    units: Width of the output.
    activation: Function applied to the sum, or None.
    use_bias: Whether a bias is added.
    seed: Seed of the kernel's initial value.
    name: Variable scope of the layer.
    initializer: Function from the seed and the kernel's full name to its
      initializer. None: `initializers.glorot_uniform`.

  Returns:
    The outputs, shape `[B, units]`.

  Raises:
    ValueError: If `inputs` is not a matrix of known width.
  """
  if inputs.shape.rank != 2 or inputs.shape.as_list()[1] is None:
    raise ValueError(f"{name}: `inputs` must have shape [any, D] with D known, "
                     f"found {inputs.shape}.")
  initializer = initializer or initializers.glorot_uniform
  with tf.variable_scope(name) as scope:
    kernel = tf.get_variable(
        "kernel", [inputs.shape.as_list()[1], units],
        initializer=initializer(seed, scope.name + "/kernel"))
    outputs = tf.matmul(inputs, kernel)
    if use_bias:
      bias = tf.get_variable("bias", [units],
                             initializer=tf.zeros_initializer())
      outputs = tf.nn.bias_add(outputs, bias)
    return activation(outputs) if activation else outputs
