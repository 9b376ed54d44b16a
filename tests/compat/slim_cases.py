"""Pieces of graphs made of slim, which has tf.contrib.layers' functions."""

import tensorflow.compat.v1 as tf

from tests.compat import measuring


def network(slim):
  """A network with scopes of arguments, as slim code was laid out."""
  x = measuring.inputs(4, 8, 9, 3)
  with slim.arg_scope([slim.conv2d, slim.fully_connected],
                      normalizer_fn=slim.batch_norm,
                      normalizer_params={"is_training": False, "scale": True},
                      weights_regularizer=slim.l2_regularizer(0.01)):
    with slim.arg_scope([slim.conv2d], stride=2, padding="SAME") as kept:
      x = slim.conv2d(x, 4, [3, 3], scope="conv1")
    with slim.arg_scope(kept):
      x = slim.conv2d(x, 6, [3, 3], scope="conv2", stride=1)
    x = slim.max_pool2d(x, [2, 2], scope="pool2")
    x = slim.fully_connected(slim.flatten(x), 8, scope="fc3")
  return slim.fully_connected(x, 3, activation_fn=None, scope="logits")


def fully_connected(slim):
  x = measuring.inputs(3, 4, unknown_batch=True)
  x = slim.fully_connected(x, 5)
  x = slim.fully_connected(x, 4, tf.tanh, biases_initializer=None)
  with tf.variable_scope("in"):
    x = slim.fully_connected(x, 4, scope="fc", variables_collections=["mine"],
                             weights_regularizer=slim.l1_regularizer(0.5),
                             biases_regularizer=slim.l2_regularizer(0.5))
    x = slim.fully_connected(x, 4, scope="fc", reuse=True)
  x = slim.fully_connected(x, 3, trainable=False, activation_fn=None)
  return x, slim.fully_connected(measuring.inputs(2, 3, 4), 2)


def convolutions(slim):
  x = measuring.inputs(2, 7, 8, 3)
  y = measuring.inputs(2, 9, 3)
  return (slim.conv2d(x, 4, 3), slim.conv2d(x, 4, [3, 2], 2, "VALID"),
          slim.conv2d(x, 2, 3, rate=2, activation_fn=None),
          slim.convolution(y, 4, 3, stride=2), slim.convolution1d(y, 2, 2),
          slim.conv3d(measuring.inputs(2, 3, 4, 5, 2), 3, 2))


def transposed_and_separable(slim):
  x = measuring.inputs(2, 5, 4, 3)
  return (slim.conv2d_transpose(x, 4, 3, stride=2),
          slim.conv2d_transpose(x, 4, 3, padding="VALID",
                                normalizer_fn=slim.layer_norm),
          slim.separable_conv2d(x, 4, 3, 2,
                                weights_regularizer=slim.l2_regularizer(0.1)),
          slim.separable_conv2d(x, None, [3, 2], 2, stride=2,
                                weights_regularizer=slim.l2_regularizer(0.1)))


def pooling_and_plain(slim):
  x = measuring.inputs(3, 6, 5, 4)
  labels = tf.constant([1, 0, 3])
  y = measuring.inputs(3, 4, name="more")
  return (slim.max_pool2d(x, 2), slim.avg_pool2d(x, [3, 2], 1, "SAME"),
          slim.flatten(x), slim.bias_add(x, tf.nn.relu), slim.softmax(x),
          slim.unit_norm(x, 2), slim.one_hot_encoding(labels, 5),
          slim.dropout(x, is_training=False),
          slim.repeat(x, 2, slim.conv2d, 4, [3, 3], scope="conv"),
          slim.stack(y, slim.fully_connected, [5, 3]),
          slim.repeat(y, 2, slim.fully_connected, 4))


def batch_norm(slim):
  image = measuring.inputs(3, 5, 4, 3, unknown_batch=True)
  matrix = measuring.inputs(6, 4)
  result = []
  for x in (image, matrix):
    for options in ({}, {"scale": True, "decay": 0.9}, {"fused": False},
                    {"updates_collections": None},
                    {"updates_collections": None, "fused": False,
                     "scale": True, "center": False},
                    {"is_training": False, "activation_fn": tf.nn.relu}):
      result.append(slim.batch_norm(x, **options))
  return result


def batch_norm_by_tensor(slim):
  image = measuring.inputs(3, 5, 4, 3)
  matrix = measuring.inputs(6, 4)
  result = []
  for value in (True, False):
    training = tf.placeholder_with_default(value, [])
    for x in (image, matrix):
      result += [slim.batch_norm(
          x, is_training=training, scope=f"shared_{x.shape.rank}",
          reuse=tf.AUTO_REUSE)]
      result.append(slim.batch_norm(
          x, is_training=training, trainable=False, updates_collections=None,
          param_initializers={"moving_mean": tf.ones_initializer()},
          param_regularizers={"beta": slim.l2_regularizer(0.5)}))
  # The originals' last ops are those of conditions.
  return [tf.identity(y, name="y") for y in result]


def layer_norm(slim):
  x = measuring.inputs(3, 5, 4)
  return (slim.layer_norm(x), slim.layer_norm(x, begin_norm_axis=-1),
          slim.layer_norm(x, center=False, begin_params_axis=1),
          slim.layer_norm(x, scale=False, activation_fn=tf.nn.relu,
                          trainable=False, scope="n"))


def ends_and_variables(slim):
  x = measuring.inputs(2, 6, 6, 3)
  with tf.variable_scope("net"):
    with slim.arg_scope([slim.conv2d, slim.max_pool2d, slim.fully_connected],
                        outputs_collections="ends"):
      x = slim.conv2d(x, 4, 3, variables_collections={"weights": ["w"]})
      x = slim.max_pool2d(x, 2, scope="pool")
      x = slim.fully_connected(slim.flatten(x), 2,
                               variables_collections=["w", "all"])
    with tf.variable_scope("more"):
      slim.model_variable("m", [2], regularizer=slim.l2_regularizer(0.1))
      slim.variable("v", [2], trainable=False, collections=["all"])
  found = [f"{k} {v.name}"
           for k, v in slim.utils.convert_collection_to_dict("ends").items()]
  for variables in (
      tf.get_collection("w"), tf.get_collection("all"),
      slim.get_model_variables(), slim.get_model_variables("net/Conv"),
      slim.get_variables("net/more"), slim.get_variables(suffix="weights"),
      slim.get_variables_by_name("m"), slim.get_trainable_variables("net/more"),
      slim.get_variables_by_suffix("biases", "net/Conv"),
      slim.get_variables_to_restore(exclude=["net/more", "net/Conv"]),
      slim.get_variables_to_restore(include=["net/Conv"]),
      slim.filter_variables(slim.get_variables(), ["Conv", "more"], ["/m"]),
      [slim.get_unique_variable("net/more/m")]):
    found.append(" ".join(v.name for v in variables))
  tf.add_to_collection("measured_texts", "\n".join(found))
  return x


def arg_scopes(slim):
  @slim.add_arg_scope
  def double(x, factor=2.0, more=0.0):
    return x * factor + more
  x = measuring.inputs(3)
  result = [double(x)]
  with slim.arg_scope([double], factor=3.0) as outer:
    result.append(double(x))
    with slim.arg_scope([double], more=1.0):
      result += [double(x), double(x, factor=1.0), double(x, more=2.0)]
      with slim.arg_scope(outer):
        result.append(double(x))
  assert slim.has_arg_scope(double) and not slim.has_arg_scope(arg_scopes)
  assert "factor" in slim.arg_scoped_arguments(double)
  return result


# Those that are measured with reference variables too.
WITH_REFERENCES = ("batch_norm",)
CASES = {name: value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and not name.startswith("_")}
