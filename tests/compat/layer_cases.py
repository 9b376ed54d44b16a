"""Pieces of graphs made of tf.layers, as TensorFlow 1 code wrote them."""

import tensorflow.compat.v1 as tf

from tests.compat import measuring


def _penalty(scale):
  return lambda x: scale * tf.reduce_sum(tf.square(x))


def network(layers):
  """A network of an image and its labels, as such code was laid out."""
  x = measuring.inputs(4, 9, 8, 3)
  with tf.variable_scope("net"):
    for depth in (4, 6):
      x = layers.conv2d(x, depth, 3, padding="same", use_bias=False)
      x = tf.nn.relu(layers.batch_normalization(x))
      x = layers.max_pooling2d(x, 2, 2)
    x = layers.dense(layers.flatten(x), 8, activation=tf.nn.relu)
  return layers.dense(x, 3, name="logits")


def dense_default_names(layers):
  x = layers.dense(measuring.inputs(3, 4), 5, tf.nn.relu)
  x = layers.dense(x, 6, activation="tanh", name="named")
  x = layers.dense(x, 2)
  with tf.variable_scope("inside"):
    return x, layers.dense(x, 3, use_bias=False), layers.dense(x, 1)


def dense_reuse(layers):
  x = measuring.inputs(3, 4, unknown_batch=True)
  first = layers.dense(x, 4, name="shared")
  second = layers.dense(first, 4, name="shared", reuse=True)
  with tf.variable_scope("scope"):
    third = layers.dense(x, 2)
  with tf.variable_scope("scope", reuse=True):
    fourth = layers.dense(second, 2)
  with tf.variable_scope("auto", reuse=tf.AUTO_REUSE):
    fifth = layers.dense(x, 2, name="a")
    sixth = layers.dense(second, 2, name="a")
  return first, second, third, fourth, fifth, sixth


def dense_penalties(layers):
  with tf.variable_scope("net", regularizer=_penalty(0.5),
                         initializer=tf.ones_initializer()):
    x = layers.dense(measuring.inputs(3, 4), 5, name="a",
                     kernel_regularizer=_penalty(2.0),
                     bias_regularizer=_penalty(3.0),
                     activity_regularizer=_penalty(0.1))
    x = layers.dense(x, 5, name="b", kernel_regularizer=_penalty(1.0),
                     bias_initializer=tf.constant_initializer(3.0))
  return layers.dense(x, 5, name="c", kernel_regularizer=_penalty(0.25),
                      kernel_constraint=tf.abs, bias_constraint=tf.abs)


def dense_of_higher_rank(layers):
  return layers.dense(measuring.inputs(2, 3, 4), 5, tf.sigmoid)


def dense_frozen(layers):
  x = layers.dense(measuring.inputs(3, 4), 5, trainable=False)
  return layers.batch_normalization(x, training=True, trainable=False)


def dense_custom_getter(layers):
  def half(getter, name, *args, **kwargs):
    return 0.5 * getter(name, *args, **kwargs)
  def frozen(getter, name, *args, **kwargs):
    kwargs["trainable"] = False
    return getter(name, *args, **kwargs)
  x = measuring.inputs(3, 4)
  with tf.variable_scope("half", custom_getter=half):
    x = layers.dense(x, 5)
  with tf.variable_scope("frozen", custom_getter=frozen):
    made = layers.Dense(5)
    x = made(x)
    assert not made.trainable_variables
  return x


def dense_partitioned(layers):
  with tf.variable_scope("parts",
                         partitioner=tf.fixed_size_partitioner(2)):
    x = layers.dense(measuring.inputs(3, 4), 6,
                     kernel_regularizer=_penalty(1.0))
    return layers.batch_normalization(x, training=True)


def classes(layers):
  made = layers.Dense(5, activation=tf.nn.relu, name="shared")
  x = measuring.inputs(3, 4)
  first = made(x)
  second = made.apply(first[:, :4])
  other = layers.Dense(5, name="shared")
  third = other(x)
  with tf.variable_scope("elsewhere"):
    fourth = made(x)
  names = [v.name for v in made.trainable_variables + other.weights] + [
      made.kernel.name, made.bias.name, made.scope_name, other.scope_name]
  return (first, second, third, fourth,
          tf.constant(float(len(" ".join(names)))))


def own_class(layers):
  class Scale(layers.Layer):
    """Multiplies by a variable, as code of its own did."""

    def build(self, shape):
      self.scale = self.add_variable("scale", [int(shape[-1])],
                                     regularizer=_penalty(1.0))
      self.count = self.add_weight("count", [], trainable=False,
                                   initializer=tf.zeros_initializer())
      super().build(shape)

    def call(self, x):
      self.add_update(tf.assign_add(self.count, 1.0))
      self.add_loss(tf.reduce_mean(x))
      return x * self.scale
  made = Scale(name="mine")
  return made(made(measuring.inputs(3, 4))), Scale()(measuring.inputs(2, 2))


def conv1d(layers):
  x = measuring.inputs(2, 9, 3)
  return (layers.conv1d(x, 4, 3, padding="same", activation=tf.nn.relu),
          layers.conv1d(x, 4, 3, strides=2), layers.conv1d(x, 2, 2,
                                                           dilation_rate=2))


def conv2d(layers):
  x = measuring.inputs(2, 7, 8, 3)
  return (layers.conv2d(x, 4, 3, padding="SAME", activation=tf.nn.elu),
          layers.conv2d(x, 4, (2, 3), strides=(2, 1), use_bias=False),
          layers.conv2d(x, 2, [3, 3], dilation_rate=(2, 1),
                        kernel_regularizer=_penalty(1.0)))


def conv3d(layers):
  x = measuring.inputs(2, 5, 4, 6, 2)
  return (layers.conv3d(x, 3, 2, padding="same"),
          layers.conv3d(x, 3, (2, 3, 1), strides=2))


def transposed(layers):
  x = measuring.inputs(2, 4, 3, 3, unknown_batch=True)
  y = measuring.inputs(2, 3, 2, 3, 2)
  return (layers.conv2d_transpose(x, 4, 3, strides=2, padding="same"),
          layers.conv2d_transpose(x, 4, (2, 3), strides=(3, 1),
                                  activation=tf.nn.relu),
          layers.conv3d_transpose(y, 3, 2, strides=2),
          layers.conv3d_transpose(y, 3, 3, padding="same", use_bias=False))


def separable(layers):
  x = measuring.inputs(2, 9, 3)
  y = measuring.inputs(2, 7, 8, 3)
  return (layers.separable_conv1d(x, 4, 3, depth_multiplier=2),
          layers.separable_conv1d(x, 4, 3, strides=2, padding="same"),
          layers.separable_conv2d(y, 4, 3, padding="same",
                                  pointwise_regularizer=_penalty(1.0)),
          layers.separable_conv2d(y, 4, (2, 3), strides=2, depth_multiplier=2,
                                  activation=tf.nn.relu, use_bias=False),
          layers.separable_conv2d(y, 2, 3, dilation_rate=2))


def pooling(layers):
  x = measuring.inputs(2, 9, 3)
  y = measuring.inputs(2, 7, 8, 3)
  z = measuring.inputs(2, 5, 4, 6, 2)
  result = []
  for kind in ("max", "average"):
    for tensor, d in ((x, 1), (y, 2), (z, 3)):
      pool = getattr(layers, f"{kind}_pooling{d}d")
      result += [pool(tensor, 2, 2), pool(tensor, (3,) * d, 1, "same")]
  return result


def batch_normalization(layers):
  x = measuring.inputs(6, 4)
  image = measuring.inputs(3, 5, 4, 3, unknown_batch=True)
  result = [layers.batch_normalization(x), layers.batch_normalization(
      x, training=True, momentum=0.9, epsilon=0.01)]
  for fused in (None, False):
    for training in (False, True):
      result.append(layers.batch_normalization(image, training=training,
                                               fused=fused))
  return result


def batch_normalization_by_tensor(layers):
  x = measuring.inputs(6, 4)
  image = measuring.inputs(3, 5, 4, 3)
  result = []
  for value in (True, False):
    training = tf.placeholder_with_default(value, [])
    result += [layers.batch_normalization(x, training=training),
               layers.batch_normalization(image, training=training),
               layers.batch_normalization(image, training=training,
                                          fused=False)]
  return result


def batch_normalization_of_axes(layers):
  image = measuring.inputs(3, 5, 4, 3)
  return (layers.batch_normalization(image, axis=1, fused=False, training=True),
          layers.batch_normalization(image, axis=[1, 3], training=True),
          layers.batch_normalization(image, center=False, training=True),
          layers.batch_normalization(image, scale=False, training=False),
          layers.batch_normalization(image, scale=False, center=False,
                                     fused=False, training=True,
                                     name="neither"),
          layers.batch_normalization(
              image, gamma_regularizer=_penalty(1.0),
              beta_regularizer=_penalty(1.0), beta_constraint=tf.abs,
              beta_initializer=tf.ones_initializer()))


def batch_normalization_reused(layers):
  x = measuring.inputs(6, 4)
  training = tf.placeholder_with_default(True, [])
  return (layers.batch_normalization(x, training=training, name="bn"),
          layers.batch_normalization(2.0 * x, training=False, name="bn",
                                     reuse=True))


def dropout_and_flatten(layers):
  x = measuring.inputs(3, 2, 4, 5, unknown_batch=True)
  dropped = layers.dropout(x, 0.4, training=True, seed=5)
  by_tensor = layers.dropout(x, training=tf.placeholder_with_default(False, []))
  return (layers.flatten(x), layers.flatten(x, data_format="channels_first"),
          layers.dropout(x), by_tensor, tf.minimum(tf.abs(dropped), 0.0))


# Those that are measured with reference variables too.
WITH_REFERENCES = ("dense_reuse", "dense_partitioned", "separable",
                   "batch_normalization_by_tensor")
CASES = {name: value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and not name.startswith("_")}
