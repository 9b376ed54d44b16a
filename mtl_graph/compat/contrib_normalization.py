"""tf.contrib.layers' batch and layer normalization."""

import tensorflow.compat.v1 as tf

from mtl_graph.compat import arg_scope
from mtl_graph.compat import batch_normalization
from mtl_graph.compat import conditions
from mtl_graph.compat import contrib_dense
from mtl_graph.compat import model_variables


@arg_scope.add_arg_scope
def batch_norm(inputs, decay=0.999, center=True, scale=False, epsilon=0.001,
               activation_fn=None, param_initializers=None,
               param_regularizers=None,
               updates_collections=tf.GraphKeys.UPDATE_OPS, is_training=True,
               reuse=None, variables_collections=None, outputs_collections=None,
               trainable=True, batch_weights=None, fused=None,
               data_format="NHWC", zero_debias_moving_mean=False, scope=None,
               renorm=False, renorm_clipping=None, renorm_decay=0.99,
               adjustment=None):
  """Brings each channel to one mean and one variance.

  See `batch_normalization.BatchNormalization` for the formula. In training the
  moving averages move by ops in `updates_collections`, or as the outputs are
  computed where that is None.

  Args:
    inputs: Shape `[B, ..., C]`; `[B, C, ...]` for "NCHW".
    decay: Of the moving averages.
    center: Whether there is a `beta`.
    scale: Whether there is a `gamma`.
    epsilon: Added to the variance.
    activation_fn: Function of the outputs; None for none.
    param_initializers: Initial values by name: beta, gamma, moving_mean,
      moving_variance.
    param_regularizers: Penalties by name: beta, gamma.
    updates_collections: Where the averages' ops go; None for no collection.
    is_training: Whether to take mean and variance of the batch, a bool or a
      bool tensor.
    reuse: Whether to reuse the variables.
    variables_collections: Where variables go: a list, or a dict by name.
    outputs_collections: Where the outputs go.
    trainable: Whether beta and gamma train.
    batch_weights: Must be None.
    fused: False for no fused op. It takes matrices and images, and averages the
      unbiased variance.
    data_format: "NHWC" or "NCHW".
    zero_debias_moving_mean: Must be False.
    scope: Variable scope; None for `BatchNorm`, numbered.
    renorm: Must be False.
    renorm_clipping: Not read.
    renorm_decay: Not read.
    adjustment: Must be None.

  Returns:
    The outputs, of the shape of `inputs`.
  """
  del renorm_clipping, renorm_decay  # Of use to renorm alone.
  for what, found, allowed in [
      ("renorm", renorm, "False"), ("adjustment", adjustment, "None"),
      ("batch_weights", batch_weights, "None"),
      ("zero_debias_moving_mean", zero_debias_moving_mean, "False")]:
    if found is not None and found is not False:
      raise ValueError(f"batch_norm: `{what}` must be {allowed}, found "
                       f"{found!r}; this layer does not have it.")
  if data_format not in ("NHWC", "NCHW"):
    raise ValueError("batch_norm: `data_format` must be NHWC or NCHW, found "
                     f"{data_format!r}.")
  initial = param_initializers or {}
  penalties = param_regularizers or {}
  inputs = tf.convert_to_tensor(inputs)
  rank = inputs.shape.rank
  axis = 1 if data_format == "NCHW" else -1
  if rank is None or inputs.shape.as_list()[axis] is None:
    raise ValueError("batch_norm: `inputs` must have a known rank and number "
                     f"of channels, found {inputs.shape}.")
  fused = (fused is not False and rank in (2, 4)
           and inputs.dtype in (tf.float16, tf.bfloat16, tf.float32))
  by_layer = updates_collections == tf.GraphKeys.UPDATE_OPS and not (
      fused and rank == 2)
  with tf.variable_scope(scope, "BatchNorm", [inputs], reuse=reuse,
                         custom_getter=model_variables.renaming_getter()) as sc:
    if by_layer:
      made = batch_normalization.BatchNormalization(
          axis, decay, epsilon, center, scale,
          initial.get("beta", tf.zeros_initializer()),
          initial.get("gamma", tf.ones_initializer()),
          initial.get("moving_mean", tf.zeros_initializer()),
          initial.get("moving_variance", tf.ones_initializer()),
          penalties.get("beta"), penalties.get("gamma"), trainable=trainable,
          name=sc.name, fused=fused, _scope=sc, _reuse=reuse)
      outputs = made(inputs, training=is_training)
      for name in ("moving_mean", "moving_variance", "gamma", "beta"):
        model_variables.collect(getattr(made, name), variables_collections,
                                name)
    else:
      variables = _variables(inputs, axis, center, scale, initial, penalties,
                             variables_collections, trainable)
      outputs = _normalize(inputs, axis, variables, is_training, decay, epsilon,
                           fused, updates_collections)
    return contrib_dense.finish(outputs, sc, activation_fn=activation_fn,
                                outputs_collections=outputs_collections)


def _variables(inputs, axis, center, scale, initial, penalties, collections,
               trainable):
  """Makes the variables, in the order of TensorFlow 1: by name, or None."""
  half = inputs.dtype.base_dtype in (tf.float16, tf.bfloat16)
  kind = tf.float32 if half else inputs.dtype.base_dtype
  starts = {"beta": tf.zeros_initializer(), "gamma": tf.ones_initializer(),
            "moving_mean": tf.zeros_initializer(),
            "moving_variance": tf.ones_initializer()}

  def make(name, trains):
    return model_variables.model_variable(
        name, [inputs.shape.as_list()[axis]], kind,
        initial.get(name, starts[name]), penalties.get(name), trains,
        model_variables.collections_of(collections, name))

  found = {"beta": make("beta", trainable) if center else None,
           "gamma": make("gamma", trainable) if scale else None}
  scope = tf.get_variable_scope()
  partitioner = scope.partitioner
  scope.set_partitioner(None)  # They are assigned as wholes.
  found["moving_mean"] = make("moving_mean", False)
  found["moving_variance"] = make("moving_variance", False)
  scope.set_partitioner(partitioner)
  return found


def _normalize(inputs, axis, variables, is_training, decay, epsilon, fused,
               updates_collections):
  """Normalizes, and moves the averages."""
  past = variables["moving_mean"], variables["moving_variance"]

  def settle(values, now):
    """Moves the averages; what no collection does, `values` wait for."""
    if conditions.constant_value(is_training) is False:
      return values
    momentum = conditions.choose(is_training, lambda: tf.constant(decay),
                                 lambda: tf.constant(1.0))
    updates = [batch_normalization.move_average(average, value, momentum)
               for average, value in zip(past, now)]
    if updates_collections is not None:
      for update in updates:
        tf.add_to_collections(updates_collections, update)
      return values
    with tf.control_dependencies(updates):
      return [tf.identity(value) for value in values]

  build = _fused if fused else _plain
  outputs = build(inputs, axis, variables, is_training, epsilon, settle)
  outputs.set_shape(inputs.shape)
  return outputs


def _fused(inputs, axis, variables, is_training, epsilon, settle):
  shape = tf.shape(inputs)
  width = inputs.shape.as_list()[axis]
  images = inputs
  if inputs.shape.rank == 2:  # A row is an image of one pixel.
    images = tf.reshape(inputs, [-1, width, 1, 1] if axis == 1
                        else [-1, 1, 1, width])
  outputs, mean, variance = batch_normalization.fused(
      images, variables["gamma"], variables["beta"], variables["moving_mean"],
      variables["moving_variance"], is_training, epsilon, axis == 1)
  outputs, = settle([outputs], (mean, variance))
  return outputs if images is inputs else tf.reshape(outputs, shape)


def _plain(inputs, axis, variables, is_training, epsilon, settle):
  rank = inputs.shape.rank
  axis %= rank
  kept = [1] * rank
  kept[axis] = inputs.shape.as_list()[axis]
  mean, variance = variables["moving_mean"], variables["moving_variance"]
  if conditions.constant_value(is_training) is not False:
    batch = tf.nn.moments(tf.cast(inputs, mean.dtype.base_dtype),
                          [a for a in range(rank) if a != axis])
    mean, variance = [
        conditions.choose(is_training, lambda now=now: now,
                          lambda past=past: tf.convert_to_tensor(past))
        for now, past in zip(batch, (mean, variance))]
    mean, variance = settle([mean, variance], (mean, variance))

  def along(vector):
    return None if vector is None else tf.cast(
        tf.reshape(vector, kept), inputs.dtype)

  return tf.nn.batch_normalization(
      inputs, along(mean), along(variance), along(variables["beta"]),
      along(variables["gamma"]), epsilon)


@arg_scope.add_arg_scope
def layer_norm(inputs, center=True, scale=True, activation_fn=None, reuse=None,
               variables_collections=None, outputs_collections=None,
               trainable=True, begin_norm_axis=1, begin_params_axis=-1,
               scope=None):
  """Brings each row to one mean and one variance.

  ```
    y = gamma (x - mean) / sqrt(variance + 1e-12) + beta
  ```

  Args:
    inputs: Shape `[B, ..., C]`.
    center: Whether there is a `beta`.
    scale: Whether there is a `gamma`.
    activation_fn: Function of the outputs; None for none.
    reuse: Whether to reuse the variables.
    variables_collections: Where variables go: a list, or a dict by name.
    outputs_collections: Where the outputs go.
    trainable: Whether the variables train.
    begin_norm_axis: The first of the axes that share mean and variance.
    begin_params_axis: The first of the axes of beta and gamma.
    scope: Variable scope; None for `LayerNorm`, numbered.

  Returns:
    The outputs, of the shape of `inputs`.
  """
  with tf.variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as sc:
    inputs = tf.convert_to_tensor(inputs)
    rank = inputs.shape.rank
    if rank is None:
      raise ValueError(f"{sc.name}: `inputs` must have a known rank.")
    first = begin_norm_axis + (rank if begin_norm_axis < 0 else 0)
    if first >= rank or begin_params_axis >= rank:
      raise ValueError(
          f"{sc.name}: `begin_norm_axis` and `begin_params_axis` must be below "
          f"{rank}, found {begin_norm_axis} and {begin_params_axis}.")
    shape = inputs.shape[begin_params_axis:]
    if not shape.is_fully_defined():
      raise ValueError(f"{sc.name}: `inputs` must have known sizes from axis "
                       f"{begin_params_axis} on, found {inputs.shape}.")

    def make(name, start):
      return model_variables.model_variable(
          name, shape, inputs.dtype.base_dtype, start, trainable=trainable,
          collections=model_variables.collections_of(variables_collections,
                                                     name))

    beta = make("beta", tf.zeros_initializer()) if center else None
    gamma = make("gamma", tf.ones_initializer()) if scale else None
    mean, variance = tf.nn.moments(inputs, list(range(first, rank)),
                                   keep_dims=True)
    # Half precision has no 1e-12.
    epsilon = 1e-3 if inputs.dtype == tf.float16 else 1e-12
    outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma,
                                        epsilon)
    outputs.set_shape(inputs.shape)
    return contrib_dense.finish(outputs, sc, activation_fn=activation_fn,
                                outputs_collections=outputs_collections)
