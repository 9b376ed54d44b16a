"""tf.contrib.layers that know no pixels: dense ones, embeddings, plain ones."""

import functools

import tensorflow.compat.v1 as tf

from mtl_graph.compat import arg_scope
from mtl_graph.compat import contrib_initializers
from mtl_graph.compat import dense
from mtl_graph.compat import end_points
from mtl_graph.compat import model_variables


def finish(outputs, scope, normalizer_fn=None, normalizer_params=None,
           activation_fn=None, outputs_collections=None):
  """Normalizes, activates and collects the outputs of a layer."""
  if normalizer_fn is not None:
    outputs = normalizer_fn(outputs, **(normalizer_params or {}))
  if activation_fn is not None:
    outputs = activation_fn(outputs)
  return end_points.collect_named_outputs(outputs_collections, scope.name,
                                          outputs)


@arg_scope.add_arg_scope
def fully_connected(inputs, num_outputs, activation_fn=tf.nn.relu,
                    normalizer_fn=None, normalizer_params=None,
                    weights_initializer=contrib_initializers.xavier_initializer(
                    ), weights_regularizer=None,
                    biases_initializer=tf.zeros_initializer(),
                    biases_regularizer=None, reuse=None,
                    variables_collections=None, outputs_collections=None,
                    trainable=True, scope=None):
  """Computes `activation_fn(normalizer_fn(inputs weights + biases))`.

  Args:
    inputs: Shape `[B, ..., D]`.
    num_outputs: Width of the outputs.
    activation_fn: relu unless said otherwise; None for none.
    normalizer_fn: Such as `batch_norm`; takes the place of the biases.
    normalizer_params: Its arguments.
    weights_initializer: Initial value of `weights`, shape `[D, num_outputs]`.
    weights_regularizer: Penalty, into REGULARIZATION_LOSSES.
    biases_initializer: Initial value of `biases`; None for no biases.
    biases_regularizer: Penalty.
    reuse: Whether to reuse the variables.
    variables_collections: Where variables go: a list, or a dict by name.
    outputs_collections: Where the outputs go.
    trainable: Whether the variables train.
    scope: Variable scope; None for `fully_connected`, numbered.

  Returns:
    The outputs, shape `[B, ..., num_outputs]`.
  """
  if not isinstance(num_outputs, int):
    raise ValueError("fully_connected: `num_outputs` must be an integer, found "
                     f"{num_outputs!r}.")
  getter = model_variables.renaming_getter(kernel="weights", bias="biases")
  with tf.variable_scope(scope, "fully_connected", [inputs], reuse=reuse,
                         custom_getter=getter) as sc:
    inputs = tf.convert_to_tensor(inputs)
    made = dense.Dense(
        num_outputs, use_bias=normalizer_fn is None and bool(
            biases_initializer),
        kernel_initializer=weights_initializer,
        bias_initializer=biases_initializer,
        kernel_regularizer=weights_regularizer,
        bias_regularizer=biases_regularizer, trainable=trainable, name=sc.name,
        dtype=inputs.dtype.base_dtype, _scope=sc, _reuse=reuse)
    outputs = made(inputs)
    model_variables.collect(made.kernel, variables_collections, "weights")
    model_variables.collect(made.bias, variables_collections, "biases")
    return finish(outputs, sc, normalizer_fn, normalizer_params, activation_fn,
                  outputs_collections)


relu = functools.partial(fully_connected, activation_fn=tf.nn.relu)
relu6 = functools.partial(fully_connected, activation_fn=tf.nn.relu6)
linear = functools.partial(fully_connected, activation_fn=None)


@arg_scope.add_arg_scope
def bias_add(inputs, activation_fn=None, initializer=tf.zeros_initializer(),
             regularizer=None, reuse=None, variables_collections=None,
             outputs_collections=None, trainable=True, data_format="NHWC",
             scope=None):
  """Adds `biases`, one per channel: see `fully_connected`."""
  with tf.variable_scope(scope, "BiasAdd", [inputs], reuse=reuse) as sc:
    inputs = tf.convert_to_tensor(inputs)
    axis = 1 if data_format.startswith("NC") else -1
    width = inputs.shape.as_list()[axis]
    if width is None:
      raise ValueError(f"{sc.name}: `inputs` must have a known axis {axis}, "
                       f"found {inputs.shape}.")
    biases = model_variables.model_variable(
        "biases", [width], inputs.dtype.base_dtype, initializer, regularizer,
        trainable, model_variables.collections_of(variables_collections,
                                                  "biases"))
    return finish(tf.nn.bias_add(inputs, biases, data_format=data_format), sc,
                  activation_fn=activation_fn,
                  outputs_collections=outputs_collections)


@arg_scope.add_arg_scope
def dropout(inputs, keep_prob=0.5, noise_shape=None, is_training=True,
            outputs_collections=None, scope=None, seed=None):
  """Keeps a share of the numbers where `is_training`, and scales them up."""
  with tf.variable_scope(scope, "Dropout", [inputs]) as sc:
    made = dense.Dropout(1 - keep_prob, noise_shape, seed, name=sc.name,
                         _scope=sc)
    return finish(made(tf.convert_to_tensor(inputs), training=is_training), sc,
                  outputs_collections=outputs_collections)


@arg_scope.add_arg_scope
def flatten(inputs, outputs_collections=None, scope=None):
  """Makes a vector of what each row holds."""
  with tf.name_scope(scope, "Flatten", [inputs]) as sc:
    return end_points.collect_named_outputs(
        outputs_collections, sc, dense.flatten(tf.convert_to_tensor(inputs)))


@arg_scope.add_arg_scope
def one_hot_encoding(labels, num_classes, on_value=1.0, off_value=0.0,
                     outputs_collections=None, scope=None):
  """Makes a vector of each label, 1 at its place."""
  with tf.name_scope(scope, "OneHotEncoding", [labels, num_classes]) as sc:
    outputs = tf.one_hot(tf.cast(labels, tf.int64), num_classes,
                         on_value=on_value, off_value=off_value)
    return end_points.collect_named_outputs(outputs_collections, sc, outputs)


@arg_scope.add_arg_scope
def unit_norm(inputs, dim, epsilon=1e-7, scope=None):
  """Brings vectors along an axis to length one."""
  with tf.variable_scope(scope, "UnitNorm", [inputs]):
    if inputs.shape.rank is None:
      raise ValueError("unit_norm: `inputs` must have a known rank.")
    if not 0 <= dim < inputs.shape.rank:
      raise ValueError(f"unit_norm: `dim` must be at least 0 and below "
                       f"{inputs.shape.rank}, found {dim}.")
    lengths = tf.sqrt(epsilon + tf.reduce_sum(tf.square(inputs), dim,
                                              keepdims=True))
    return tf.realdiv(inputs, lengths, name="div")


def softmax(logits, scope=None):
  """Makes shares of logits, along the last axis."""
  with tf.variable_scope(scope, "softmax", [logits]):
    logits = tf.convert_to_tensor(logits)
    flat = tf.reshape(logits, [-1, end_points.last_dimension(logits.shape)])
    outputs = tf.reshape(tf.nn.softmax(flat), tf.shape(logits))
    outputs.set_shape(logits.shape)
    return outputs


def repeat(inputs, repetitions, layer, *args, **kwargs):
  """Applies a layer several times, in scopes `<scope>/<scope>_<i>`.

  Args:
    inputs: Inputs of the first.
    repetitions: How many times.
    layer: The layer: a function of inputs that takes `scope`.
    *args: Its arguments.
    **kwargs: Its arguments; `scope` is the scope of all.

  Returns:
    The outputs of the last.
  """
  scope = kwargs.pop("scope", None)
  with tf.variable_scope(scope, "Repeat", [inputs]):
    for i in range(repetitions):
      inputs = layer(inputs, *args, **{
          **kwargs, "scope": f"{scope or _name(layer, 'repeat')}_{i + 1}"})
    return tf.convert_to_tensor(inputs)


def stack(inputs, layer, stack_args, **kwargs):
  """Applies a layer several times with an argument, or several, for each.

  Args:
    inputs: Inputs of the first.
    layer: The layer: a function of inputs that takes `scope`.
    stack_args: What each takes: an argument or a list of them.
    **kwargs: What all take; `scope` is the scope of all.

  Returns:
    The outputs of the last.
  """
  scope = kwargs.pop("scope", None)
  with tf.variable_scope(scope, "Stack", [inputs]):
    for i, given in enumerate(stack_args):
      given = given if isinstance(given, (list, tuple)) else [given]
      inputs = layer(inputs, *given, **{
          **kwargs, "scope": f"{scope or _name(layer, 'stack')}_{i + 1}"})
    return tf.convert_to_tensor(inputs)


def _name(layer, default):
  """Returns the name of a function, which may be partly applied."""
  return getattr(layer, "__name__", None) or getattr(
      getattr(layer, "func", None), "__name__", default)


@arg_scope.add_arg_scope
def embed_sequence(ids, vocab_size=None, embed_dim=None, unique=False,
                   initializer=None, regularizer=None, trainable=True,
                   scope=None, reuse=None):
  """Looks ids up in a table, `embeddings`, shape `[vocab_size, embed_dim]`.

  Args:
    ids: Integers below vocab_size, shape `[B, L]`.
    vocab_size: Rows of the table; None with `reuse`.
    embed_dim: Width of the table; None with `reuse`.
    unique: Whether each id is looked up once, however often it is there.
    initializer: None for that of the scope.
    regularizer: None for that of the scope.
    trainable: Whether the table trains.
    scope: Variable scope; None for `EmbedSequence`, numbered.
    reuse: Whether to reuse the table.

  Returns:
    The rows, shape `[B, L, embed_dim]`.
  """
  if not (reuse or vocab_size and embed_dim):
    raise ValueError("embed_sequence: `vocab_size` and `embed_dim` must be "
                     f"given without `reuse`, found {vocab_size} and "
                     f"{embed_dim}.")
  with tf.variable_scope(scope, "EmbedSequence", [ids], reuse=reuse):
    shape = [vocab_size, embed_dim] if vocab_size and embed_dim else None
    table = model_variables.model_variable(
        "embeddings", shape, initializer=initializer, regularizer=regularizer,
        trainable=trainable)
    if not unique:
      return tf.nn.embedding_lookup(table, ids)
    return embedding_lookup_unique(table, ids)


def embedding_lookup_unique(params, ids, partition_strategy="mod", name=None):
  """Looks each id up once, however often it is there."""
  with tf.name_scope(name, "EmbeddingLookupUnique", [params, ids]):
    ids = tf.convert_to_tensor(ids)
    once, places = tf.unique(tf.reshape(ids, [-1]))
    rows = tf.gather(tf.nn.embedding_lookup(params, once, partition_strategy),
                     places)
    outputs = tf.reshape(rows, tf.concat([tf.shape(ids), tf.shape(rows)[1:]],
                                         0))
    outputs.set_shape(ids.shape.concatenate(rows.shape[1:]))
    return outputs
