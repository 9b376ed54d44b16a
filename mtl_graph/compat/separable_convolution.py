"""tf.layers' separable convolutions: by channel, then at each point."""

import tensorflow.compat.v1 as tf

from mtl_graph.compat import convolution
from mtl_graph.compat import named_choices


class _Separable(convolution.Convolution):
  """What they share."""

  def __init__(self, filters, kernel_size, strides=1, padding="valid",
               data_format="channels_last", dilation_rate=1, depth_multiplier=1,
               activation=None, use_bias=True, depthwise_initializer=None,
               pointwise_initializer=None,
               bias_initializer=tf.zeros_initializer(),
               depthwise_regularizer=None, pointwise_regularizer=None,
               bias_regularizer=None, activity_regularizer=None,
               depthwise_constraint=None, pointwise_constraint=None,
               bias_constraint=None, trainable=True, name=None, **kwargs):
    super().__init__(
        filters, kernel_size, strides, padding, data_format, dilation_rate,
        activation, use_bias, bias_initializer=bias_initializer,
        bias_regularizer=bias_regularizer,
        activity_regularizer=activity_regularizer,
        bias_constraint=bias_constraint, trainable=trainable, name=name,
        **kwargs)
    self.depth_multiplier = depth_multiplier
    self.depthwise_initializer = depthwise_initializer
    self.pointwise_initializer = pointwise_initializer
    self.depthwise_regularizer = named_choices.regularizer(
        depthwise_regularizer)
    self.pointwise_regularizer = named_choices.regularizer(
        pointwise_regularizer)
    self.depthwise_constraint = depthwise_constraint
    self.pointwise_constraint = pointwise_constraint
    self.depthwise_kernel = self.pointwise_kernel = None

  def _add_kernels(self, channels):
    self.depthwise_kernel = self.add_weight(
        "depthwise_kernel",
        [*self.kernel_size, channels, self.depth_multiplier],
        initializer=self.depthwise_initializer,
        regularizer=self.depthwise_regularizer,
        constraint=self.depthwise_constraint)
    self.pointwise_kernel = self.add_weight(
        "pointwise_kernel", [1] * self._rank + [
            channels * self.depth_multiplier, self.filters],
        initializer=self.pointwise_initializer,
        regularizer=self.pointwise_regularizer,
        constraint=self.pointwise_constraint)

  def _convolve(self, inputs):
    inputs, padding = self._padded(inputs)
    kernels = self.depthwise_kernel, self.pointwise_kernel
    strides, rate = self.strides, self.dilation_rate
    if self._rank == 1:  # A row of pixels is an image of one row.
      inputs = tf.expand_dims(inputs, 2 if self._channels_first else 1)
      kernels = [tf.expand_dims(kernel, 0) for kernel in kernels]
      strides, rate = strides * 2, (1,) + rate
    form = convolution.FORMATS[2][self._channels_first]
    return tf.nn.separable_conv2d(
        inputs, *kernels, self._around(strides), padding, rate=rate,
        data_format=form)

  def _squeeze(self, outputs):
    if self._rank == 2:
      return outputs
    return tf.squeeze(outputs, [2 if self._channels_first else 1])


class SeparableConv1D(_Separable):
  """Convolves along one axis, channel by channel, then at each point.

  Makes `depthwise_kernel`, shape `[k, C, depth_multiplier]`, and
  `pointwise_kernel`, shape `[1, C * depth_multiplier, filters]`.
  """
  _rank = 1


class SeparableConv2D(_Separable):
  """Convolves along two axes, channel by channel, then at each point.

  Makes `depthwise_kernel`, shape `[h, w, C, depth_multiplier]`, and
  `pointwise_kernel`, shape `[1, 1, C * depth_multiplier, filters]`.
  """
  _rank = 2


separable_conv1d = convolution.function_of(SeparableConv1D)
separable_conv2d = convolution.function_of(SeparableConv2D)
