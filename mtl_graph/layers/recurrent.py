"""Recurrent layers that read the vectors of each row in order."""

from typing import Callable, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers
from mtl_graph.ops import shapes


def lstm(
    inputs: tf.Tensor,
    lengths: tf.Tensor,
    units: int,
    seed: int = 0,
    name: str = "lstm") -> tf.Tensor:
  """Reads vectors with a long short-term memory.

  From `h` and `c` of zero, for each vector `x` of a row,

  ```
    i, j, f, o = [x, h] kernel + bias
    c = c sigmoid(f + 1) + sigmoid(i) tanh(j)
    h = sigmoid(o) tanh(c)
  ```

  the equations of TensorFlow 1's BasicLSTMCell with its forget_bias of 1.

  Makes (or reuses) the variables `<scope>/kernel`, shape
  `[D + units, 4 * units]`, Glorot-uniform from the seed and its own name, and
  `<scope>/bias`, zero, as that cell named them.

  See "Recurrent Neural Network Regularization" by Zaremba, Sutskever and
  Vinyals, 2014, section 3.1 (https://arxiv.org/abs/1409.2329).

  Args:
    inputs: The vectors, shape `[B, L, D]`. Those past a row's end count for
      nothing, but must be finite all the same.
    lengths: How many vectors each row has, from its first, int32, shape `[B]`.
    units: Width of the hidden state.
    seed: Seed of the kernel's initial value.
    name: Variable scope of the layer.

  Returns:
    The hidden state `h` after each row's last vector, zero for a row without
    any, shape `[B, units]`.

  Raises:
    ValueError: If `inputs` is not of rank 3 with L and D known, or `lengths`
      not a vector of as many rows.
  """
  _check(inputs, lengths, name)
  with tf.variable_scope(name) as scope:
    from_input, from_state = _weights(inputs, units, 4, seed, scope.name, 0.0)

    def step(x, state):
      h, c = state
      i, j, f, o = tf.split(x + tf.matmul(h, from_state), 4, 1)
      c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
      return tf.sigmoid(o) * tf.tanh(c), c

    zeros = _zeros(inputs, units)
    return _read([from_input], lengths, step, (zeros, zeros))[0]


def gru(
    inputs: tf.Tensor,
    lengths: tf.Tensor,
    units: int,
    seed: int = 0,
    name: str = "gru") -> tf.Tensor:
  """Reads vectors with gated recurrent units.

  From `h` of zero, for each vector `x` of a row,

  ```
    r, u = sigmoid([x, h] gates_kernel + gates_bias)
    h = u h + (1 - u) tanh([x, r h] candidate_kernel + candidate_bias)
  ```

  the equations of TensorFlow 1's GRUCell.

  Makes (or reuses) the variables `<scope>/gates/kernel`, shape
  `[D + units, 2 * units]`, and `<scope>/candidate/kernel`, shape
  `[D + units, units]`, both Glorot-uniform from the seed and their own names,
  `<scope>/gates/bias`, one, and `<scope>/candidate/bias`, zero, as that cell
  named them.

  See "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
  Machine Translation" by Cho et al., 2014, section 2.3
  (https://arxiv.org/abs/1406.1078).

  Args:
    inputs: The vectors, shape `[B, L, D]`. Those past a row's end count for
      nothing, but must be finite all the same.
    lengths: How many vectors each row has, from its first, int32, shape `[B]`.
    units: Width of the hidden state.
    seed: Seed of the kernels' initial values.
    name: Variable scope of the layer.

  Returns:
    The hidden state `h` after each row's last vector, zero for a row without
    any, shape `[B, units]`.

  Raises:
    ValueError: If `inputs` is not of rank 3 with L and D known, or `lengths`
      not a vector of as many rows.
  """
  _check(inputs, lengths, name)
  with tf.variable_scope(name):
    with tf.variable_scope("gates") as scope:
      gates_input, gates_state = _weights(inputs, units, 2, seed, scope.name,
                                          1.0)
    with tf.variable_scope("candidate") as scope:
      candidate_input, candidate_state = _weights(inputs, units, 1, seed,
                                                  scope.name, 0.0)

    def step(x, state):
      h, = state
      gates, candidate = tf.split(x, [2 * units, units], 1)
      r, u = tf.split(tf.sigmoid(gates + tf.matmul(h, gates_state)), 2, 1)
      candidate = tf.tanh(candidate + tf.matmul(r * h, candidate_state))
      return (u * h + (1.0 - u) * candidate,)

    return _read([gates_input, candidate_input], lengths, step,
                 (_zeros(inputs, units),))[0]


def _check(inputs, lengths, name):
  if inputs.shape.rank != 3 or None in inputs.shape.as_list()[1:]:
    raise ValueError(f"{name}: `inputs` must have shape [any, L, D] with L and "
                     f"D known, found {inputs.shape}.")
  shapes.check(lengths, inputs.shape.as_list()[:1], "lengths", name)


def _zeros(inputs, units):
  batch = inputs.shape.as_list()[0]
  return tf.zeros([tf.shape(inputs)[0] if batch is None else batch, units],
                  inputs.dtype)


def _weights(inputs, units, gates, seed, scope, bias_start
             ) -> Tuple[tf.Tensor, tf.Tensor]:
  """Makes a kernel and a bias, and applies what of them concerns the inputs.

  `[x, h] kernel` is `x` times the upper rows plus `h` times the lower ones. The
  former needs no state: one product does all steps at once.

  Returns:
    `inputs` times the upper rows, plus the bias, shape `[B, L, gates * units]`,
    and the lower rows.
  """
  length, depth = inputs.shape.as_list()[1:]
  width = gates * units
  kernel = tf.get_variable(
      "kernel", [depth + units, width],
      initializer=initializers.glorot_uniform(seed, scope + "/kernel"))
  bias = tf.get_variable("bias", [width],
                         initializer=tf.constant_initializer(bias_start))
  upper, lower = tf.split(kernel, [depth, units], 0)
  outputs = tf.nn.bias_add(
      tf.matmul(tf.reshape(inputs, [-1, depth]), upper), bias)
  return tf.reshape(outputs, [-1, length, width]), lower


def _read(parts, lengths, step: Callable, state: Tuple[tf.Tensor, ...]
          ) -> Tuple[tf.Tensor, ...]:
  """Goes through the vectors; each row stops at its end.

  Args:
    parts: What the inputs contribute to each step, each of shape `[B, L, ?]`.
    lengths: Vectors per row, shape `[B]`.
    step: Function from one step's part of the inputs, `[B, ?]`, and a state to
      the next state.
    state: The state at the start, tensors of shape `[B, units]`.

  Returns:
    The state after each row's last vector.
  """
  inputs = tf.transpose(parts[0] if len(parts) == 1 else tf.concat(parts, 2),
                        [1, 0, 2])
  length = inputs.shape.as_list()[0]
  # An array passes the gradient of each step to that step's entry alone; slices
  # of a tensor would each pass on one as large as the tensor.
  array = tf.TensorArray(inputs.dtype, length,
                         element_shape=inputs.shape[1:]).unstack(inputs)

  def body(t, old):
    new = step(array.read(t), old)
    # A vector of conditions chooses between rows.
    return t + 1, tuple(tf.where(t < lengths, n, o) for n, o in zip(new, old))

  # A bound known beforehand lets XLA compile the loop and its gradient; steps
  # hang on each other, so none may run ahead.
  return tf.while_loop(lambda t, _: t < length, body, (tf.constant(0), state),
                       parallel_iterations=1, maximum_iterations=length)[1]
