"""tf.layers' dense layer, dropout and flattening."""

import tensorflow.compat.v1 as tf

from mtl_graph.compat import conditions
from mtl_graph.compat import input_spec
from mtl_graph.compat import layer
from mtl_graph.compat import layer_function
from mtl_graph.compat import named_choices


class Dense(layer.Layer):
  """Computes `activation(inputs kernel + bias)` along the last axis.

  Makes `kernel`, shape `[D, units]`, and `bias`, shape `[units]`.
  """

  def __init__(self, units, activation=None, use_bias=True,
               kernel_initializer=None, bias_initializer=tf.zeros_initializer(),
               kernel_regularizer=None, bias_regularizer=None,
               activity_regularizer=None, kernel_constraint=None,
               bias_constraint=None, trainable=True, name=None, **kwargs):
    super().__init__(trainable, name, activity_regularizer=activity_regularizer,
                     **kwargs)
    self.units = int(units)
    self.activation = named_choices.activation(activation)
    self.use_bias = use_bias
    self.kernel_initializer = kernel_initializer
    self.bias_initializer = bias_initializer
    self.kernel_regularizer = named_choices.regularizer(kernel_regularizer)
    self.bias_regularizer = named_choices.regularizer(bias_regularizer)
    self.kernel_constraint = kernel_constraint
    self.bias_constraint = bias_constraint
    self.input_spec = input_spec.InputSpec(min_ndim=2)
    self.kernel = self.bias = None

  def build(self, input_shape):
    """Makes the kernel and the bias."""
    if not tf.as_dtype(self.dtype).is_floating and (
        not tf.as_dtype(self.dtype).is_complex):
      raise TypeError(f"{self.name}: `inputs` must be of a floating type, "
                      f"found {self.dtype}.")
    depth = input_shape.as_list()[-1]
    if depth is None:
      raise ValueError(f"{self.name}: `inputs` must have a known last axis, "
                       f"found {input_shape}.")
    self.input_spec = input_spec.InputSpec(min_ndim=2, axes={-1: depth})
    self.kernel = self.add_weight(
        "kernel", [depth, self.units], initializer=self.kernel_initializer,
        regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
    if self.use_bias:
      self.bias = self.add_weight(
          "bias", [self.units], initializer=self.bias_initializer,
          regularizer=self.bias_regularizer, constraint=self.bias_constraint)

  def call(self, inputs):
    """Computes the outputs, shape `[..., units]`."""
    if isinstance(inputs, tf.SparseTensor):
      outputs = tf.sparse.sparse_dense_matmul(inputs, self.kernel)
    elif inputs.shape.rank > 2:
      outputs = tf.tensordot(inputs, self.kernel, [[inputs.shape.rank - 1],
                                                   [0]])
      outputs.set_shape(inputs.shape[:-1].concatenate(self.units))
    else:
      outputs = tf.matmul(inputs, self.kernel)
    if self.use_bias:
      outputs = tf.nn.bias_add(outputs, self.bias)
    return outputs if self.activation is None else self.activation(outputs)


class Dropout(layer.Layer):
  """Sets numbers to zero at random in training, and scales the others up."""

  def __init__(self, rate=0.5, noise_shape=None, seed=None, name=None,
               **kwargs):
    super().__init__(name=name, **kwargs)
    self.rate = rate
    self.noise_shape = noise_shape
    self.seed = seed

  def call(self, inputs, training=False):
    """Computes the outputs, of the shape of `inputs`."""
    return conditions.choose(
        training,
        lambda: tf.nn.dropout(inputs, rate=self.rate, seed=self.seed,
                              noise_shape=self.noise_shape),
        lambda: tf.identity(inputs))


class Flatten(layer.Layer):
  """Makes a vector of what each row holds, its channels last in any case."""

  def __init__(self, data_format=None, **kwargs):
    super().__init__(**kwargs)
    self.data_format = check_data_format(data_format or "channels_last")
    self.input_spec = input_spec.InputSpec(min_ndim=1)

  def call(self, inputs):
    """Computes the outputs, shape `[B, width]`."""
    rank = inputs.shape.rank
    if self.data_format == "channels_first" and rank is not None and rank > 1:
      inputs = tf.transpose(inputs, [0, *range(2, rank), 1])
    batch = inputs.shape.as_list()[0]
    width = inputs.shape[1:].num_elements()
    if width is not None:
      return tf.reshape(inputs, [-1 if batch is None else batch, width])
    return tf.reshape(inputs, [tf.shape(inputs)[0] if batch is None else batch,
                               -1])


def check_data_format(data_format: str) -> str:
  """Returns where channels are, in small letters; raises if it is neither."""
  lower = str(data_format).lower()
  if lower not in ("channels_first", "channels_last"):
    raise ValueError(f"`data_format` must be channels_first or channels_last, "
                     f"found {data_format!r}.")
  return lower


dense = layer_function.as_function(Dense, """Multiplies, adds and activates.

See `Dense`. Makes `<scope>/kernel` and `<scope>/bias`.

Args:
  inputs: Shape `[B, ..., D]`.
  units: Width of the outputs.
  activation: Function of the outputs; None for none.
  use_bias: Whether there is a bias.
  kernel_initializer: None for the scope's, Glorot-uniform if it has none.
  bias_initializer: Likewise.
  kernel_regularizer: Penalty of the kernel, into REGULARIZATION_LOSSES.
  bias_regularizer: Penalty of the bias.
  activity_regularizer: Penalty of the outputs, per row.
  kernel_constraint: Applied by optimizers after each step.
  bias_constraint: Likewise.
  trainable: Whether the variables train.
  name: Variable scope, as it stands; None for `dense`, `dense_1`, ...
  reuse: Whether to reuse the variables: True, None or tf.AUTO_REUSE.

Returns:
  The outputs, shape `[B, ..., units]`.
""")


def dropout(inputs, rate=0.5, noise_shape=None, seed=None, training=False,
            name=None):
  """Sets numbers to zero at random where `training`, scales the others up.

  Args:
    inputs: A tensor.
    rate: Share of the numbers that become zero.
    noise_shape: Shape of what is drawn; 1 where numbers share their fate.
    seed: Seed of the draw.
    training: A bool or a bool tensor.
    name: Name scope.

  Returns:
    The outputs, of the shape of `inputs`.
  """
  return Dropout(rate, noise_shape, seed, name)(inputs, training=training)


def flatten(inputs, name=None, data_format="channels_last"):
  """Makes a vector of what each row holds.

  Args:
    inputs: Shape `[B, ...]`.
    name: Name scope.
    data_format: "channels_last", or "channels_first", whose channels move.

  Returns:
    The outputs, shape `[B, width]`.
  """
  return Flatten(data_format=data_format, name=name)(inputs)
