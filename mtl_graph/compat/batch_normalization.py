"""tf.layers' batch normalization, fused and not."""

import tensorflow.compat.v1 as tf

from mtl_graph.compat import conditions
from mtl_graph.compat import input_spec
from mtl_graph.compat import layer
from mtl_graph.compat import named_choices


class BatchNormalization(layer.Layer):
  """Brings what is along some axes to one mean and one variance.

  ```
    y = gamma (x - mean) / sqrt(variance + epsilon) + beta
  ```

  Mean and variance are those of the batch in training; else their moving
  averages, `m = momentum m + (1 - momentum) of the batch`, which the ops in
  UPDATE_OPS move. The fused op, which takes images of single or half precision
  alone, averages the unbiased variance, as TensorFlow 1 did.

  Makes `gamma`, `beta`, `moving_mean` and `moving_variance`.
  """

  def __init__(self, axis=-1, momentum=0.99, epsilon=1e-3, center=True,
               scale=True, beta_initializer=tf.zeros_initializer(),
               gamma_initializer=tf.ones_initializer(),
               moving_mean_initializer=tf.zeros_initializer(),
               moving_variance_initializer=tf.ones_initializer(),
               beta_regularizer=None, gamma_regularizer=None,
               beta_constraint=None, gamma_constraint=None, renorm=False,
               renorm_clipping=None, renorm_momentum=0.99, fused=None,
               trainable=True, virtual_batch_size=None, adjustment=None,
               name=None, **kwargs):
    super().__init__(trainable, name, **kwargs)
    del renorm_clipping, renorm_momentum  # Of use to renorm alone.
    for what, found, allowed in [
        ("renorm", renorm, "False"),
        ("virtual_batch_size", virtual_batch_size, "None"),
        ("adjustment", adjustment, "None")]:
      if found:
        raise ValueError(f"{self.name}: `{what}` must be {allowed}, found "
                         f"{found!r}; this layer does not have it.")
    self.axis = [axis] if isinstance(axis, int) else list(axis)
    self.momentum = momentum
    self.epsilon = epsilon
    self.center = center
    self.scale = scale
    self.beta_initializer = beta_initializer
    self.gamma_initializer = gamma_initializer
    self.moving_mean_initializer = moving_mean_initializer
    self.moving_variance_initializer = moving_variance_initializer
    self.beta_regularizer = named_choices.regularizer(beta_regularizer)
    self.gamma_regularizer = named_choices.regularizer(gamma_regularizer)
    self.beta_constraint = beta_constraint
    self.gamma_constraint = gamma_constraint
    self.fused = fused
    self.gamma = self.beta = self.moving_mean = self.moving_variance = None

  def build(self, input_shape):
    """Makes the variables."""
    rank = input_shape.rank
    if rank is None:
      raise ValueError(f"{self.name}: `inputs` must have a known rank.")
    axes = [a + rank if a < 0 else a for a in self.axis]
    if (any(not 0 <= a < rank for a in axes) or len(set(axes)) != len(axes)
        or not axes):
      raise ValueError(f"{self.name}: `axis` must be within the {rank} axes of "
                       f"the inputs, each once, found {self.axis}.")
    self.axis = axes
    sizes = {a: input_shape.as_list()[a] for a in axes}
    if None in sizes.values():
      raise ValueError(f"{self.name}: `inputs` must have a known size along "
                       f"axis {axes}, found {input_shape}.")
    self.input_spec = input_spec.InputSpec(ndim=rank, axes=sizes)
    # TensorFlow 1 quietly did without the fused op where it is of no use.
    self.fused = (self.fused is not False and rank == 4
                  and axes in ([1], [3])
                  and self.dtype in ("float16", "bfloat16", "float32"))
    half = self.dtype in ("float16", "bfloat16")
    self._variable_type = "float32" if half else self.dtype
    self._variable_shape = [sizes[axes[0]]] if len(axes) == 1 else [
        sizes.get(a, 1) for a in range(rank)]
    if self.scale:
      self.gamma = self._add("gamma", self.gamma_initializer,
                             self.gamma_regularizer, self.gamma_constraint)
    if self.center:
      self.beta = self._add("beta", self.beta_initializer,
                            self.beta_regularizer, self.beta_constraint)
    partitioner = self._scope.partitioner
    self._scope.set_partitioner(None)  # They are assigned as wholes.
    self.moving_mean = self._add_moving("moving_mean",
                                        self.moving_mean_initializer)
    self.moving_variance = self._add_moving("moving_variance",
                                            self.moving_variance_initializer)
    self._scope.set_partitioner(partitioner)

  def _add(self, name, initializer, regularizer, constraint):
    return self.add_weight(name, self._variable_shape, self._variable_type,
                           initializer, regularizer, True, constraint)

  def _add_moving(self, name, initializer):
    return self.add_weight(
        name, self._variable_shape, self._variable_type, initializer,
        synchronization=tf.VariableSynchronization.ON_READ, trainable=False,
        aggregation=tf.VariableAggregation.MEAN)

  def call(self, inputs, training=False):
    """Computes the outputs, of the shape of `inputs`."""
    if self.fused:
      return self._fused(inputs, training)
    kept = [1] * inputs.shape.rank
    for a in self.axis:
      kept[a] = inputs.shape.as_list()[a]
    wide = len(self.axis) == 1 and self.axis != [inputs.shape.rank - 1]

    def along(vector):
      if vector is None:
        return None
      return tf.cast(tf.reshape(vector, kept) if wide else vector, inputs.dtype)

    mean, variance = self.moving_mean, self.moving_variance
    if conditions.constant_value(training) is not False:
      axes = [a for a in range(inputs.shape.rank) if a not in self.axis]
      batch = tf.nn.moments(tf.cast(inputs, self._variable_type), axes,
                            keep_dims=len(self.axis) > 1)
      mean, variance = [
          conditions.choose(training, lambda now=now: now,
                            lambda past=past: tf.convert_to_tensor(past))
          for now, past in zip(batch, (mean, variance))]
      # Where this is no training, an average moves towards itself.
      self.add_update([
          move_average(self.moving_mean, mean, self.momentum),
          move_average(self.moving_variance, variance, self.momentum)])
    return tf.nn.batch_normalization(
        inputs, along(mean), along(variance), along(self.beta),
        along(self.gamma), self.epsilon)

  def _fused(self, inputs, training):
    outputs, mean, variance = fused(
        inputs, self.gamma, self.beta, self.moving_mean, self.moving_variance,
        training, self.epsilon, self.axis == [1])
    if conditions.constant_value(training) is not False:
      momentum = conditions.choose(
          training, lambda: tf.convert_to_tensor(self.momentum),
          lambda: tf.constant(1.0))
      self.add_update([move_average(self.moving_mean, mean, momentum),
                       move_average(self.moving_variance, variance, momentum)])
    return outputs


def fused(images, gamma, beta, moving_mean, moving_variance, training, epsilon,
          channels_first):
  """Normalizes by TensorFlow's fused op, in half or single precision.

  Args:
    images: The images, of rank 4.
    gamma: The scale, or None.
    beta: The shift, or None.
    moving_mean: The mean where this is no training.
    moving_variance: The variance likewise.
    training: A bool or a bool tensor.
    epsilon: Added to the variance.
    channels_first: Whether channels are second.

  Returns:
    The outputs, and the mean and unbiased variance of the batch.
  """
  shape, kind = moving_mean.shape, moving_mean.dtype.base_dtype
  gamma = tf.ones(shape, kind) if gamma is None else gamma
  beta = tf.zeros(shape, kind) if beta is None else beta

  def normalize(trains):
    # Wants no averages in training, as it is to use those of the batch.
    past = {} if trains else {"mean": moving_mean, "variance": moving_variance}
    return tf.nn.fused_batch_norm(
        images, gamma, beta, epsilon=epsilon, is_training=trains,
        data_format="NCHW" if channels_first else "NHWC", **past)

  return conditions.choose(training, lambda: normalize(True),
                           lambda: normalize(False))


def move_average(past, now, momentum):
  """Moves an average towards what the batch has, and returns the op."""
  with tf.name_scope("AssignMovingAvg"):
    rate = tf.cast(1.0 - momentum, past.dtype.base_dtype)
    return tf.assign_sub(
        past, (past - tf.cast(now, past.dtype.base_dtype)) * rate)


def batch_normalization(
    inputs, axis=-1, momentum=0.99, epsilon=1e-3, center=True, scale=True,
    beta_initializer=tf.zeros_initializer(),
    gamma_initializer=tf.ones_initializer(),
    moving_mean_initializer=tf.zeros_initializer(),
    moving_variance_initializer=tf.ones_initializer(), beta_regularizer=None,
    gamma_regularizer=None, beta_constraint=None, gamma_constraint=None,
    training=False, trainable=True, name=None, reuse=None, renorm=False,
    renorm_clipping=None, renorm_momentum=0.99, fused=None,
    virtual_batch_size=None, adjustment=None):
  """Brings each channel to one mean and one variance; see the class.

  Args:
    inputs: Shape `[B, ...]`.
    axis: The axis of the channels, or several.
    momentum: Of the moving averages.
    epsilon: Added to the variance.
    center: Whether there is a `beta`.
    scale: Whether there is a `gamma`.
    beta_initializer: Initial value.
    gamma_initializer: Initial value.
    moving_mean_initializer: Initial value.
    moving_variance_initializer: Initial value.
    beta_regularizer: Penalty, into REGULARIZATION_LOSSES.
    gamma_regularizer: Penalty.
    beta_constraint: Applied by optimizers after each step.
    gamma_constraint: Likewise.
    training: Whether to take mean and variance of the batch, a bool or a bool
      tensor, and move the averages, by ops in UPDATE_OPS.
    trainable: Whether gamma and beta train and the averages move.
    name: Variable scope; None for `batch_normalization`, numbered.
    reuse: Whether to reuse the variables.
    renorm: Must be False.
    renorm_clipping: Not read.
    renorm_momentum: Not read.
    fused: False for no fused op.
    virtual_batch_size: Must be None.
    adjustment: Must be None.

  Returns:
    The outputs, of the shape of `inputs`.
  """
  made = BatchNormalization(
      axis, momentum, epsilon, center, scale, beta_initializer,
      gamma_initializer, moving_mean_initializer, moving_variance_initializer,
      beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint,
      renorm, renorm_clipping, renorm_momentum, fused, trainable,
      virtual_batch_size, adjustment, name, _scope=name, _reuse=reuse)
  return made(inputs, training=training)
