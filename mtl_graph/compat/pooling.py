"""tf.layers' pooling along one, two or three axes."""

import tensorflow.compat.v1 as tf

from mtl_graph.compat import convolution
from mtl_graph.compat import dense
from mtl_graph.compat import input_spec
from mtl_graph.compat import layer
from mtl_graph.compat import layer_function


class _Pooling(layer.Layer):
  """Takes one number of each window, channel by channel."""

  _rank = None
  _op = None

  def __init__(self, pool_size, strides, padding="valid",
               data_format="channels_last", name=None, **kwargs):
    super().__init__(name=name, **kwargs)
    self.pool_size = convolution.sizes(pool_size, self._rank, "pool_size")
    self.strides = convolution.sizes(strides, self._rank, "strides")
    self.padding = convolution.check_padding(padding)
    self.data_format = dense.check_data_format(data_format)
    self.input_spec = input_spec.InputSpec(ndim=self._rank + 2)

  def call(self, inputs):
    """Computes the outputs, of the rank of `inputs`."""
    size, strides = self.pool_size, self.strides
    last = self.data_format == "channels_last"
    if self._rank == 1:  # A row of pixels is an image of one column.
      size, strides = size + (1,), strides + (1,)
      axis = 2 if last else 3
      inputs = tf.expand_dims(inputs, axis)
    around = lambda s: (1, *s, 1) if last else (1, 1, *s)
    form = {2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}[len(size)]
    outputs = type(self)._op(inputs, around(size), around(strides),
                             self.padding.upper(),
                             data_format=form[0 if last else 1])
    return tf.squeeze(outputs, [axis]) if self._rank == 1 else outputs


class AveragePooling1D(_Pooling):
  """Takes the mean of each window of `[B, L, C]`."""
  _rank = 1
  _op = tf.nn.avg_pool


class AveragePooling2D(_Pooling):
  """Takes the mean of each window of `[B, H, W, C]`."""
  _rank = 2
  _op = tf.nn.avg_pool


class AveragePooling3D(_Pooling):
  """Takes the mean of each window of `[B, D, H, W, C]`."""
  _rank = 3
  _op = tf.nn.avg_pool3d


class MaxPooling1D(_Pooling):
  """Takes the largest number of each window of `[B, L, C]`."""
  _rank = 1
  _op = tf.nn.max_pool


class MaxPooling2D(_Pooling):
  """Takes the largest number of each window of `[B, H, W, C]`."""
  _rank = 2
  _op = tf.nn.max_pool


class MaxPooling3D(_Pooling):
  """Takes the largest number of each window of `[B, D, H, W, C]`."""
  _rank = 3
  _op = tf.nn.max_pool3d


def _function(kind):
  return layer_function.as_function(kind, f"""{kind.__doc__}

Args:
  inputs: A tensor of that shape; channels second for "channels_first".
  pool_size: Pixels of a window, one number or one for each axis.
  strides: Pixels from one window to the next, likewise.
  padding: "valid", or "same", whose windows may reach beyond the edge.
  data_format: "channels_last" or "channels_first".
  name: Name scope.

Returns:
  The outputs, of the rank of `inputs`.
""", reuses=False)


average_pooling1d = _function(AveragePooling1D)
average_pooling2d = _function(AveragePooling2D)
average_pooling3d = _function(AveragePooling3D)
max_pooling1d = _function(MaxPooling1D)
max_pooling2d = _function(MaxPooling2D)
max_pooling3d = _function(MaxPooling3D)
