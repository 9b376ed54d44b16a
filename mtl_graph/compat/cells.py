"""Recurrent cells of tf.nn.rnn_cell: what all are, the plain one and the GRU.

`tf.nn.dynamic_rnn`, `static_rnn` and the bidirectional ones take them.
"""

import tensorflow.compat.v1 as tf

from mtl_graph.compat import input_spec
from mtl_graph.compat import layer
from mtl_graph.compat import named_choices


class RNNCell(layer.Layer):
  """A step of a recurrent network: `(inputs, state)` to `(outputs, state)`.

  Cells of one's own give `state_size`, `output_size` and `call`, which may make
  variables by `tf.get_variable`.
  """

  def __call__(self, inputs, state, scope=None):
    """Does one step.

    Args:
      inputs: Shape `[B, D]`.
      state: A structure of tensors, as `state_size` says.
      scope: Variable scope of the cell; None for one by its name.

    Returns:
      The outputs, shape `[B, output_size]`, and the next state.
    """
    if scope is not None:
      with tf.variable_scope(scope, custom_getter=self._remember) as opened:
        return super().__call__(inputs, state, scope=opened)
    # The same scope each time, so that a step in a loop finds its variables.
    if not hasattr(self, "_outer"):
      self._outer = tf.variable_scope(tf.get_variable_scope(),
                                      custom_getter=self._remember)
    with self._outer:
      return super().__call__(inputs, state)

  def _remember(self, getter, *args, **kwargs):
    """Gets a variable and counts it among the cell's."""
    variable = getter(*args, **kwargs)
    training = {id(v) for v in tf.trainable_variables()}
    for part in layer.parts(variable):
      home = (self._trainable_weights if id(part) in training
              else self._non_trainable_weights)
      if all(part is not other for other in home):
        home.append(part)
    return variable

  @property
  def state_size(self):
    """Sizes of the state: a number, a shape or a structure of them."""
    raise NotImplementedError(f"{type(self).__name__}.state_size")

  @property
  def output_size(self):
    """Size of the outputs: a number, a shape or a structure of them."""
    raise NotImplementedError(f"{type(self).__name__}.output_size")

  def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
    """Returns a state of zeros for as many rows as there are inputs."""
    if inputs is not None:
      inputs = tf.convert_to_tensor(inputs)
      static = inputs.shape.as_list()[0]
      batch_size = tf.shape(inputs)[0] if static is None else static
      dtype = inputs.dtype
    if batch_size is None or dtype is None:
      raise ValueError(
          f"{self.name}: `batch_size` and `dtype` must be given where `inputs` "
          f"is not, found {batch_size} and {dtype}.")
    return self.zero_state(batch_size, dtype)

  def zero_state(self, batch_size, dtype):
    """Returns a state of zeros.

    Args:
      batch_size: How many rows, a number or a tensor.
      dtype: Type of the state.

    Returns:
      A structure of tensors, as `state_size` says.
    """
    def zeros(size):
      sizes = tf.TensorShape(size).as_list()
      return tf.zeros(tf.stack([batch_size, *sizes]), dtype)

    with tf.name_scope(type(self).__name__ + "ZeroState"):
      return tf.nest.map_structure(zeros, self.state_size)


class LayerCell(RNNCell):
  """A cell that makes its variables in `build`."""

  def __init__(self, num_units, activation=None, reuse=None, name=None,
               dtype=None, **kwargs):
    super().__init__(name=name, dtype=dtype, _reuse=reuse, **kwargs)
    self._check_type(self.dtype)
    self.input_spec = input_spec.InputSpec(ndim=2)
    self._num_units = num_units
    self._activation = (named_choices.activation(activation) if activation
                        else tf.tanh)

  @property
  def state_size(self):
    """The units."""
    return self._num_units

  @property
  def output_size(self):
    """The units."""
    return self._num_units

  def __call__(self, inputs, state, scope=None):
    """Does one step, in a scope by the cell's name."""
    return layer.Layer.__call__(self, inputs, state, scope=scope)

  def build(self, input_shape):
    """Makes the variables."""
    depth = input_shape.as_list()[-1]
    if depth is None:
      raise ValueError(f"{self.name}: `inputs` must have a known last axis, "
                       f"found {input_shape}.")
    self._check_type(self.dtype)
    self._add(depth)

  def _add(self, depth):
    raise NotImplementedError

  def _check_type(self, dtype):
    if dtype is not None and not (tf.as_dtype(dtype).is_floating
                                  or tf.as_dtype(dtype).is_complex):
      raise ValueError(f"{self.name}: `inputs` must be of a floating type, "
                       f"found {dtype}.")

  def _affine(self, inputs, state, kernel, bias):
    """Returns `[inputs, state] kernel + bias`."""
    return tf.nn.bias_add(tf.matmul(tf.concat([inputs, state], 1), kernel),
                          bias)


class BasicRNNCell(LayerCell):
  """Computes `h = activation([x, h] kernel + bias)`, which it outputs too."""

  def _add(self, depth):
    units = self._num_units
    self._kernel = self.add_weight("kernel", [depth + units, units])
    self._bias = self.add_weight("bias", [units],
                                 initializer=tf.zeros_initializer())

  def call(self, inputs, state):
    """Does one step."""
    h = self._activation(self._affine(inputs, state, self._kernel, self._bias))
    return h, h


class GRUCell(LayerCell):
  """Gated recurrent units.

  ```
    r, u = sigmoid([x, h] gates/kernel + gates/bias)
    h = u h + (1 - u) activation([x, r h] candidate/kernel + candidate/bias)
  ```

  See "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
  Machine Translation" by Cho et al., 2014 (https://arxiv.org/abs/1406.1078).
  """

  def __init__(self, num_units, activation=None, reuse=None,
               kernel_initializer=None, bias_initializer=None, name=None,
               dtype=None, **kwargs):
    super().__init__(num_units, activation, reuse, name, dtype, **kwargs)
    self._kernel_initializer = kernel_initializer
    self._bias_initializer = bias_initializer

  def _add(self, depth):
    units = self._num_units

    def add(part, width, start):
      return (self.add_weight(f"{part}/kernel", [depth + units, width],
                              initializer=self._kernel_initializer),
              self.add_weight(f"{part}/bias", [width],
                              initializer=self._bias_initializer or start))

    # Gates start open: the state is kept until it is learned what to forget.
    self._gates = add("gates", 2 * units, tf.constant_initializer(1.0))
    self._candidate = add("candidate", units, tf.zeros_initializer())

  def call(self, inputs, state):
    """Does one step."""
    r, u = tf.split(tf.sigmoid(self._affine(inputs, state, *self._gates)), 2, 1)
    candidate = self._activation(
        self._affine(inputs, r * state, *self._candidate))
    h = u * state + (1 - u) * candidate
    return h, h
