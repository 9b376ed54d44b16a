"""tf.contrib.layers of pixels: convolutions and pooling."""

import tensorflow.compat.v1 as tf

from mtl_graph.compat import arg_scope
from mtl_graph.compat import contrib_dense
from mtl_graph.compat import contrib_initializers
from mtl_graph.compat import convolution as convolution_lib
from mtl_graph.compat import end_points
from mtl_graph.compat import model_variables
from mtl_graph.compat import pooling
from mtl_graph.compat import separable_convolution

_CONVOLUTIONS = {1: convolution_lib.Conv1D, 2: convolution_lib.Conv2D,
                 3: convolution_lib.Conv3D}
_TRANSPOSED = {2: convolution_lib.Conv2DTranspose,
               3: convolution_lib.Conv3DTranspose}


def _where(data_format, rank):
  """Returns where channels are, as tf.layers says it."""
  allowed = convolution_lib.FORMATS[rank]
  if data_format not in (None, *allowed):
    raise ValueError(f"`data_format` must be {' or '.join(allowed)}, found "
                     f"{data_format!r}.")
  first = data_format is not None and data_format.startswith("NC")
  return "channels_first" if first else "channels_last"


def _layer(kinds, rank, default, inputs, num_outputs, kernel_size, stride,
           padding, data_format, rate, activation_fn, normalizer_fn,
           normalizer_params, weights_initializer, weights_regularizer,
           biases_initializer, biases_regularizer, reuse, variables_collections,
           outputs_collections, trainable, scope):
  """Builds a convolution; `rank` None for any."""
  getter = model_variables.renaming_getter(kernel="weights", bias="biases")
  with tf.variable_scope(scope, default, [inputs], reuse=reuse,
                         custom_getter=getter) as sc:
    inputs = tf.convert_to_tensor(inputs)
    found = None if inputs.shape.rank is None else inputs.shape.rank - 2
    if found not in kinds or rank not in (None, found):
      allowed = [rank] if rank else list(kinds)
      raise ValueError(
          f"{sc.name}: `inputs` must have rank "
          f"{' or '.join(str(r + 2) for r in allowed)}, found {inputs.shape}.")
    dilation = {} if kinds is _TRANSPOSED else {"dilation_rate": rate}
    made = kinds[found](
        num_outputs, kernel_size, stride, padding, _where(data_format, found),
        use_bias=normalizer_fn is None and bool(biases_initializer),
        kernel_initializer=weights_initializer,
        bias_initializer=biases_initializer,
        kernel_regularizer=weights_regularizer,
        bias_regularizer=biases_regularizer, trainable=trainable, name=sc.name,
        dtype=inputs.dtype.base_dtype, _scope=sc, _reuse=reuse, **dilation)
    outputs = made(inputs)
    model_variables.collect(made.kernel, variables_collections, "weights")
    model_variables.collect(made.bias, variables_collections, "biases")
    return contrib_dense.finish(outputs, sc, normalizer_fn, normalizer_params,
                                activation_fn, outputs_collections)


@arg_scope.add_arg_scope
def convolution(inputs, num_outputs, kernel_size, stride=1, padding="SAME",
                data_format=None, rate=1, activation_fn=tf.nn.relu,
                normalizer_fn=None, normalizer_params=None,
                weights_initializer=contrib_initializers.xavier_initializer(),
                weights_regularizer=None,
                biases_initializer=tf.zeros_initializer(),
                biases_regularizer=None, reuse=None, variables_collections=None,
                outputs_collections=None, trainable=True, scope=None,
                conv_dims=None):
  """Convolves along one, two or three axes.

  Beside what `contrib_dense.fully_connected` takes too:

  Args:
    inputs: Shape `[B, ..., C]`; `[B, C, ...]` for "NCW", "NCHW", "NCDHW".
    num_outputs: Channels of the outputs.
    kernel_size: Pixels of a window, one number or one for each axis.
    stride: Pixels from one window to the next, likewise.
    padding: "SAME" or "VALID".
    data_format: Where the channels are; None for last.
    rate: Pixels from one point of a window to the next.
    conv_dims: Along how many axes; None for as many as the inputs have.

  Returns:
    The outputs, of the rank of `inputs`.
  """
  return _layer(_CONVOLUTIONS, conv_dims, "Conv", inputs, num_outputs,
                kernel_size, stride, padding, data_format, rate, activation_fn,
                normalizer_fn, normalizer_params, weights_initializer,
                weights_regularizer, biases_initializer, biases_regularizer,
                reuse, variables_collections, outputs_collections, trainable,
                scope)


def _of_rank(rank):
  """Makes the convolution along so many axes."""
  def convolve(inputs, num_outputs, kernel_size, stride=1, padding="SAME",
               data_format=None, rate=1, activation_fn=tf.nn.relu,
               normalizer_fn=None, normalizer_params=None,
               weights_initializer=contrib_initializers.xavier_initializer(),
               weights_regularizer=None,
               biases_initializer=tf.zeros_initializer(),
               biases_regularizer=None, reuse=None, variables_collections=None,
               outputs_collections=None, trainable=True, scope=None):
    return _layer(_CONVOLUTIONS, rank, "Conv", inputs, num_outputs,
                  kernel_size, stride, padding, data_format, rate,
                  activation_fn, normalizer_fn, normalizer_params,
                  weights_initializer, weights_regularizer, biases_initializer,
                  biases_regularizer, reuse, variables_collections,
                  outputs_collections, trainable, scope)

  convolve.__name__ = convolve.__qualname__ = f"convolution{rank}d"
  convolve.__doc__ = f"Convolves along {rank} axes: see `convolution`."
  return arg_scope.add_arg_scope(convolve)


conv1d = convolution1d = _of_rank(1)
conv2d = convolution2d = _of_rank(2)
conv3d = convolution3d = _of_rank(3)


@arg_scope.add_arg_scope
def convolution2d_transpose(
    inputs, num_outputs, kernel_size, stride=1, padding="SAME",
    data_format="NHWC", activation_fn=tf.nn.relu, normalizer_fn=None,
    normalizer_params=None,
    weights_initializer=contrib_initializers.xavier_initializer(),
    weights_regularizer=None, biases_initializer=tf.zeros_initializer(),
    biases_regularizer=None, reuse=None, variables_collections=None,
    outputs_collections=None, trainable=True, scope=None):
  """Convolves two axes backwards: see `convolution`."""
  return _layer(_TRANSPOSED, 2, "Conv2d_transpose", inputs, num_outputs,
                kernel_size, stride, padding, data_format, 1, activation_fn,
                normalizer_fn, normalizer_params, weights_initializer,
                weights_regularizer, biases_initializer, biases_regularizer,
                reuse, variables_collections, outputs_collections, trainable,
                scope)


@arg_scope.add_arg_scope
def convolution3d_transpose(
    inputs, num_outputs, kernel_size, stride=1, padding="SAME",
    data_format="NDHWC", activation_fn=tf.nn.relu, normalizer_fn=None,
    normalizer_params=None,
    weights_initializer=contrib_initializers.xavier_initializer(),
    weights_regularizer=None, biases_initializer=tf.zeros_initializer(),
    biases_regularizer=None, reuse=None, variables_collections=None,
    outputs_collections=None, trainable=True, scope=None):
  """Convolves three axes backwards: see `convolution`."""
  return _layer(_TRANSPOSED, 3, "Conv3d_transpose", inputs, num_outputs,
                kernel_size, stride, padding, data_format, 1, activation_fn,
                normalizer_fn, normalizer_params, weights_initializer,
                weights_regularizer, biases_initializer, biases_regularizer,
                reuse, variables_collections, outputs_collections, trainable,
                scope)


conv2d_transpose = convolution2d_transpose
conv3d_transpose = convolution3d_transpose


@arg_scope.add_arg_scope
def separable_convolution2d(
    inputs, num_outputs, kernel_size, depth_multiplier=1, stride=1,
    padding="SAME", data_format="NHWC", rate=1, activation_fn=tf.nn.relu,
    normalizer_fn=None, normalizer_params=None,
    weights_initializer=contrib_initializers.xavier_initializer(),
    pointwise_initializer=None, weights_regularizer=None,
    biases_initializer=tf.zeros_initializer(), biases_regularizer=None,
    reuse=None, variables_collections=None, outputs_collections=None,
    trainable=True, scope=None):
  """Convolves each channel by itself, then mixes them at each point.

  Makes `depthwise_weights`, `pointwise_weights` and `biases`; with a
  `num_outputs` of None it stops before the mixing. Else see `convolution`.
  """
  getter = model_variables.renaming_getter(
      bias="biases", depthwise_kernel="depthwise_weights",
      pointwise_kernel="pointwise_weights")
  with tf.variable_scope(scope, "SeparableConv2d", [inputs], reuse=reuse,
                         custom_getter=getter) as sc:
    inputs = tf.convert_to_tensor(inputs)
    if num_outputs is None:
      outputs = _depthwise(
          inputs, kernel_size, depth_multiplier, stride, padding, data_format,
          rate, weights_initializer, weights_regularizer,
          None if normalizer_fn else biases_initializer, biases_regularizer,
          variables_collections, trainable)
    else:
      made = separable_convolution.SeparableConv2D(
          num_outputs, kernel_size, stride, padding, _where(data_format, 2),
          rate, depth_multiplier,
          use_bias=normalizer_fn is None and bool(biases_initializer),
          depthwise_initializer=weights_initializer,
          pointwise_initializer=pointwise_initializer or weights_initializer,
          bias_initializer=biases_initializer,
          depthwise_regularizer=weights_regularizer,
          pointwise_regularizer=weights_regularizer,
          bias_regularizer=biases_regularizer, trainable=trainable,
          name=sc.name, dtype=inputs.dtype.base_dtype, _scope=sc, _reuse=reuse)
      outputs = made(inputs)
      for variable in (made.depthwise_kernel, made.pointwise_kernel):
        model_variables.collect(variable, variables_collections, "weights")
      model_variables.collect(made.bias, variables_collections, "biases")
    return contrib_dense.finish(outputs, sc, normalizer_fn, normalizer_params,
                                activation_fn, outputs_collections)


def _depthwise(inputs, kernel_size, multiplier, stride, padding, data_format,
               rate, weights_initializer, weights_regularizer,
               biases_initializer, biases_regularizer, variables_collections,
               trainable):
  """Convolves each channel by itself."""
  first = _where(data_format, 2) == "channels_first"
  channels = inputs.shape.as_list()[1 if first else 3]
  strides = convolution_lib.sizes(stride, 2, "stride")

  def variable(name, shape, initializer, regularizer):
    return model_variables.model_variable(
        name, shape, inputs.dtype.base_dtype, initializer, regularizer,
        trainable, model_variables.collections_of(
            variables_collections, "biases" if name == "biases" else "weights"))

  weights = variable(
      "depthwise_weights",
      [*convolution_lib.sizes(kernel_size, 2, "kernel_size"), channels,
       multiplier], weights_initializer, weights_regularizer)
  outputs = tf.nn.depthwise_conv2d(
      inputs, weights, [1, 1, *strides] if first else [1, *strides, 1],
      padding.upper(), rate=convolution_lib.sizes(rate, 2, "rate"),
      data_format=data_format)
  if biases_initializer is None:
    return outputs
  biases = variable("biases", [channels * multiplier], biases_initializer,
                    biases_regularizer)
  return tf.nn.bias_add(outputs, biases, data_format=data_format)


separable_conv2d = separable_convolution2d


def _pool(kind, rank, default, inputs, kernel_size, stride, padding,
          data_format, outputs_collections, scope):
  with tf.name_scope(scope, default, [inputs]) as sc:
    made = kind(kernel_size, stride, padding, _where(data_format, rank),
                _scope=sc)
    return end_points.collect_named_outputs(
        outputs_collections, sc, made(tf.convert_to_tensor(inputs)))


@arg_scope.add_arg_scope
def max_pool2d(inputs, kernel_size, stride=2, padding="VALID",
               data_format="NHWC", outputs_collections=None, scope=None):
  """Takes the largest number of each window of images: see `convolution`."""
  return _pool(pooling.MaxPooling2D, 2, "MaxPool2D", inputs, kernel_size,
               stride, padding, data_format, outputs_collections, scope)


@arg_scope.add_arg_scope
def avg_pool2d(inputs, kernel_size, stride=2, padding="VALID",
               data_format="NHWC", outputs_collections=None, scope=None):
  """Takes the mean of each window of images: see `convolution`."""
  return _pool(pooling.AveragePooling2D, 2, "AvgPool2D", inputs, kernel_size,
               stride, padding, data_format, outputs_collections, scope)


@arg_scope.add_arg_scope
def max_pool3d(inputs, kernel_size, stride=2, padding="VALID",
               data_format="NDHWC", outputs_collections=None, scope=None):
  """Takes the largest number of each window of volumes: see `convolution`."""
  return _pool(pooling.MaxPooling3D, 3, "MaxPool3D", inputs, kernel_size,
               stride, padding, data_format, outputs_collections, scope)


@arg_scope.add_arg_scope
def avg_pool3d(inputs, kernel_size, stride=2, padding="VALID",
               data_format="NDHWC", outputs_collections=None, scope=None):
  """Takes the mean of each window of volumes: see `convolution`."""
  return _pool(pooling.AveragePooling3D, 3, "AvgPool3D", inputs, kernel_size,
               stride, padding, data_format, outputs_collections, scope)
