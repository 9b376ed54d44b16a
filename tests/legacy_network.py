"""Parts of a network as TensorFlow 1 code has them, sound and broken."""

import functools
import os

import numpy as np
import tensorflow.compat.v1 as tf

from tests.training import small_run

WIDTH = 4


def start(shape, dtype=tf.float32, **unused_kwargs):
  """Gives a kernel's initial value, which depends on its shape alone."""
  return tf.constant(np.resize([-0.5, 0.25, 0.7, -0.1, 0.4], shape), dtype)


mkdir = os.mkdir


def trunk(inputs, is_training, hidden=4, l2=0.0, activation="tanh"):
  """A dense layer and batch normalization, all variables by hand."""
  kernel = tf.get_variable(
      "dense/kernel", [inputs.shape.as_list()[1], hidden],
      initializer=start,
      regularizer=(lambda v: l2 * tf.nn.l2_loss(v)) if l2 else None)
  bias = tf.get_variable("dense/bias", [hidden],
                         initializer=tf.zeros_initializer())
  return _normalized(getattr(tf, activation)(tf.nn.bias_add(
      tf.matmul(inputs, kernel), bias)), is_training)


def _normalized(inputs, is_training):
  depth = inputs.shape.as_list()[1:]
  with tf.variable_scope("batch_normalization"):
    ones, zeros = tf.ones_initializer(), tf.zeros_initializer()
    gamma = tf.get_variable("gamma", depth, initializer=ones)
    beta = tf.get_variable("beta", depth, initializer=zeros)
    moving = [tf.get_variable("moving_mean", depth, initializer=zeros,
                              trainable=False),
              tf.get_variable("moving_variance", depth, initializer=ones,
                              trainable=False)]
    moments = moving
    if is_training:
      moments = tf.nn.moments(inputs, [0])
      for variable, value in zip(moving, moments):
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_sub(
            variable, (variable - value) * (1.0 - 0.9)))
    return tf.nn.batch_normalization(inputs, *moments, beta, gamma, 1e-3)


def drawn(inputs, units):
  """A dense layer whose kernel nobody has seeded."""
  kernel = tf.get_variable(
      "w", [inputs.shape.as_list()[1], units],
      initializer=tf.truncated_normal_initializer(stddev=0.5))
  tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES,
                       tf.reduce_sum(tf.abs(kernel)))
  return tf.matmul(inputs, kernel)


def head(inputs, units, bias=False):
  kernel = tf.get_variable("kernel", [inputs.shape.as_list()[1], units],
                           initializer=start)
  logits = tf.matmul(inputs, kernel)
  if bias:
    logits = tf.nn.bias_add(logits, tf.get_variable(
        "bias", [units], initializer=tf.zeros_initializer()))
  return logits


def flat(inputs):
  return tf.reshape(inputs, [-1, int(np.prod(inputs.shape.as_list()[1:]))])


def squared(labels, logits):
  return tf.square(logits - labels)


def hinge(labels, logits, margin=1.0):
  return tf.nn.relu(margin - (2 * labels - 1) * logits)


def cross_entropy(labels, logits):
  return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels,
                                                        logits=logits)


def input_fn(form="arrays", split="train"):
  """Returns rows in one of the forms that an Estimator took."""
  found = small_run.ARRAYS[split]
  features = {name: np.asarray(found[name], np.float64) for name in "xc"}
  labels = {name: found[name] for name in "ab"}
  if form == "arrays":
    return dict(found)
  if form == "pair":
    return {name: values[:, None] for name, values in features.items()}, labels
  dataset = tf.data.Dataset.from_tensor_slices((features, labels))
  if form == "rows":
    return dataset
  if form == "endless":
    return dataset.repeat().batch(8)
  if form == "tensors":
    return tf.data.make_one_shot_iterator(dataset.batch(8)).get_next()
  return dataset.batch(8)


def words():
  return {"word": np.array([b"a", b"\xc3\xa9"])}, np.array([[1.0], [2.0]])


# What must be refused.


def pair(inputs):
  return inputs, {"end_points": inputs}


def whole(inputs):
  return tf.cast(inputs, tf.int32)


def summed(inputs):
  return tf.reduce_sum(inputs)


def fails(inputs):
  raise ValueError(f"no layer for {inputs.shape.rank} dimensions\nat all")


def new_variable(inputs):
  return inputs * tf.Variable(tf.ones([inputs.shape.as_list()[1]]))


def in_training(inputs, training):
  if training:
    return inputs * tf.get_variable("late", [], initializer=tf.ones_initializer)
  return inputs


def number():
  return 3


def both():
  return {"a": np.zeros(2)}, {"a": np.zeros(2)}


def by_numpy(inputs):
  outputs = tf.py_func(np.sin, [inputs], tf.float32)
  outputs.set_shape(inputs.shape)
  return outputs


def mean_loss(labels, logits):
  return tf.reduce_mean(tf.square(logits - labels))


def learned_loss(labels, logits):
  return tf.get_variable("scale", []) * tf.square(logits - labels)


partial = functools.partial(trunk, hidden=3)
borrowed = functools.partial(os.mkdir)
