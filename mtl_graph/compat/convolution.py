"""tf.layers' convolutions, along one, two or three axes, and transposed."""

from typing import Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.compat import dense
from mtl_graph.compat import input_spec
from mtl_graph.compat import layer
from mtl_graph.compat import layer_function
from mtl_graph.compat import named_choices

# Names of the axes by how many there are: channels last, channels first.
FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def sizes(value, rank: int, what: str) -> Tuple[int, ...]:
  """Returns a number for each axis of an image, of one that stands for all."""
  try:
    found = (int(value),) * rank if isinstance(value, int) else tuple(
        int(v) for v in value)
  except TypeError:
    found = ()
  if len(found) != rank or min(found) < 1:
    raise ValueError(f"`{what}` must be a positive integer or {rank} of them, "
                     f"found {value!r}.")
  return found


def check_padding(padding: str, causal: bool = False) -> str:
  """Returns a padding in small letters; raises if it is none."""
  allowed = ("valid", "same") + (("causal",) if causal else ())
  if str(padding).lower() not in allowed:
    raise ValueError(f"`padding` must be {' or '.join(allowed)}, found "
                     f"{padding!r}.")
  return str(padding).lower()


class Convolution(layer.Layer):
  """What convolutions share; subclasses give `_rank`, and what differs.

  Makes `kernel`, and `bias`, shape `[filters]`.
  """

  _rank = None

  def __init__(self, filters, kernel_size, strides=1, padding="valid",
               data_format="channels_last", dilation_rate=1, activation=None,
               use_bias=True, kernel_initializer=None,
               bias_initializer=tf.zeros_initializer(), kernel_regularizer=None,
               bias_regularizer=None, activity_regularizer=None,
               kernel_constraint=None, bias_constraint=None, trainable=True,
               name=None, **kwargs):
    super().__init__(trainable, name, activity_regularizer=activity_regularizer,
                     **kwargs)
    self.filters = int(filters)
    self.kernel_size = sizes(kernel_size, self._rank, "kernel_size")
    self.strides = sizes(strides, self._rank, "strides")
    self.padding = check_padding(padding, causal=self._rank == 1)
    self.data_format = dense.check_data_format(data_format)
    self.dilation_rate = sizes(dilation_rate, self._rank, "dilation_rate")
    self.activation = named_choices.activation(activation)
    self.use_bias = use_bias
    self.kernel_initializer = kernel_initializer
    self.bias_initializer = bias_initializer
    self.kernel_regularizer = named_choices.regularizer(kernel_regularizer)
    self.bias_regularizer = named_choices.regularizer(bias_regularizer)
    self.kernel_constraint = kernel_constraint
    self.bias_constraint = bias_constraint
    self.input_spec = input_spec.InputSpec(ndim=self._rank + 2)
    self.kernel = self.bias = None

  @property
  def _channels_first(self):
    return self.data_format == "channels_first"

  @property
  def _form(self):
    return FORMATS[self._rank][self._channels_first]

  def _around(self, numbers):
    """Returns numbers for each axis of an image as for each of the tensor."""
    return (1, 1, *numbers) if self._channels_first else (1, *numbers, 1)

  def build(self, input_shape):
    """Makes the variables."""
    axis = 1 if self._channels_first else self._rank + 1
    channels = input_shape.as_list()[axis]
    if channels is None:
      raise ValueError(f"{self.name}: `inputs` must have a known number of "
                       f"channels, found {input_shape}.")
    self.input_spec = input_spec.InputSpec(ndim=self._rank + 2,
                                      axes={axis: channels})
    self._add_kernels(channels)
    if self.use_bias:
      self.bias = self.add_weight(
          "bias", [self.filters], initializer=self.bias_initializer,
          regularizer=self.bias_regularizer, constraint=self.bias_constraint)

  def _add_kernels(self, channels):
    self.kernel = self.add_weight(
        "kernel", self._kernel_shape(channels),
        initializer=self.kernel_initializer,
        regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)

  def _kernel_shape(self, channels):
    return [*self.kernel_size, channels, self.filters]

  def _padded(self, inputs):
    """Returns inputs, and the padding that is left to do."""
    if self.padding != "causal":
      return inputs, self.padding.upper()
    before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
    pads = [[0, 0], [0, 0], [0, 0]]
    pads[2 if self._channels_first else 1][0] = before
    return tf.pad(inputs, pads), "VALID"

  def _convolve(self, inputs):
    inputs, padding = self._padded(inputs)
    return tf.nn.convolution(
        inputs, self.kernel, padding, self.strides, self.dilation_rate,
        data_format=self._form, name=type(self).__name__)

  def _squeeze(self, outputs):
    return outputs  # Of the rank of the inputs already.

  def call(self, inputs):
    """Computes the outputs, of the rank of `inputs`."""
    outputs = self._convolve(inputs)
    if self.use_bias:
      outputs = tf.nn.bias_add(
          outputs, self.bias,
          data_format="NCHW" if self._channels_first else "NHWC")
    outputs = self._squeeze(outputs)
    return outputs if self.activation is None else self.activation(outputs)


class Conv1D(Convolution):
  """Convolves along one axis; kernel `[k, C, filters]`."""
  _rank = 1


class Conv2D(Convolution):
  """Convolves along two axes; kernel `[h, w, C, filters]`."""
  _rank = 2


class Conv3D(Convolution):
  """Convolves along three axes; kernel `[d, h, w, C, filters]`."""
  _rank = 3


class _Transposed(Convolution):
  """The gradient of a convolution, with variables of its own."""

  def __init__(self, filters, kernel_size, strides=1, padding="valid",
               data_format="channels_last", activation=None, use_bias=True,
               kernel_initializer=None, bias_initializer=tf.zeros_initializer(),
               kernel_regularizer=None, bias_regularizer=None,
               activity_regularizer=None, kernel_constraint=None,
               bias_constraint=None, trainable=True, name=None, **kwargs):
    super().__init__(
        filters, kernel_size, strides, padding, data_format, 1, activation,
        use_bias, kernel_initializer, bias_initializer, kernel_regularizer,
        bias_regularizer, activity_regularizer, kernel_constraint,
        bias_constraint, trainable, name, **kwargs)

  def _kernel_shape(self, channels):
    return [*self.kernel_size, self.filters, channels]

  def _convolve(self, inputs):
    first = 2 if self._channels_first else 1
    known, found = inputs.shape.as_list(), tf.shape(inputs)
    static = [self._length(known[first + i], i) for i in range(self._rank)]
    lengths = [self._length(found[first + i], i) if size is None else size
               for i, size in enumerate(static)]
    shape = tf.stack(self._with_ends(
        found[0] if known[0] is None else known[0], lengths))
    op = {2: tf.nn.conv2d_transpose, 3: tf.nn.conv3d_transpose}[self._rank]
    outputs = op(inputs, self.kernel, shape, self._around(self.strides),
                 self.padding.upper(), data_format=self._form)
    outputs.set_shape(self._with_ends(known[0], static))
    return outputs

  def _with_ends(self, batch, lengths):
    return ([batch, self.filters, *lengths] if self._channels_first
            else [batch, *lengths, self.filters])

  def _length(self, length, i):
    """Returns the size along an axis of images that are `length` long."""
    if length is None:
      return None
    more = (0 if self.padding == "same"
            else max(self.kernel_size[i] - self.strides[i], 0))
    return length * self.strides[i] + more


class Conv2DTranspose(_Transposed):
  """Convolves two axes backwards; kernel `[h, w, filters, C]`."""
  _rank = 2


class Conv3DTranspose(_Transposed):
  """Convolves three axes backwards; kernel `[d, h, w, filters, C]`."""
  _rank = 3


def function_of(kind):
  """Makes the function of a convolution."""
  return layer_function.as_function(kind, f"""{kind.__doc__}

Makes the kernels and `<scope>/bias`. Beside what `dense` takes too:

Args:
  inputs: Shape `[B, ..., C]`; `[B, C, ...]` for "channels_first".
  filters: Channels of the outputs.
  kernel_size: Pixels of a window, one number or one for each axis.
  strides: Pixels from one window to the next, likewise.
  padding: "valid" or "same"; "causal" too along one axis.
  data_format: "channels_last" or "channels_first".
  dilation_rate: Pixels from one point of a window to the next.

Returns:
  The outputs, of the rank of `inputs`.
""")


conv1d = function_of(Conv1D)
conv2d = function_of(Conv2D)
conv3d = function_of(Conv3D)
conv2d_transpose = function_of(Conv2DTranspose)
conv3d_transpose = function_of(Conv3DTranspose)
