"""Learning rates as functions of the step."""

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.protos import optimizers_pb2


def learning_rate(rate: optimizers_pb2.LearningRate, step: tf.Tensor
                  ) -> tf.Tensor:
  """Computes a learning rate at a step.

  ```
    schedule(n) * min(1, (n + 1) / warm_up_steps)
  ```

  Args:
    rate: The `LearningRate` message.
    step: The global step n, integer, shape `[]`. Inside a loop of steps, that
      of the loop's body.

  Returns:
    The rate, float32, shape `[]`.

  Raises:
    ConfigError: If the schedule is not built.
  """
  scheduled = _schedule(rate, step)
  if not rate.HasField("warm_up"):
    return scheduled
  with tf.name_scope("warm_up"):
    share = (tf.cast(step + 1, tf.float32)
             / tf.constant(rate.warm_up.steps, tf.float32))
    return scheduled * tf.minimum(share, 1.0)


def _schedule(rate, step):
  kind = rate.WhichOneof("kind")
  if kind == "constant":
    return tf.constant(rate.constant, tf.float32)
  if kind == "exponential_decay":
    decay = rate.exponential_decay
    return tf.train.exponential_decay(
        tf.constant(decay.initial, tf.float32), step, decay.decay_steps,
        decay.decay_rate, decay.staircase)
  if kind == "piecewise":
    return _piecewise(rate.piecewise, step)
  if kind == "cosine_decay":
    decay = rate.cosine_decay
    return tf.train.cosine_decay(
        tf.constant(decay.initial, tf.float32), step, decay.decay_steps,
        decay.alpha)
  if kind == "cosine_restarts":
    decay = rate.cosine_restarts
    return tf.train.cosine_decay_restarts(
        tf.constant(decay.initial, tf.float32), step, decay.first_decay_steps,
        decay.t_mul, decay.m_mul, decay.alpha)
  if kind == "polynomial_decay":
    return _polynomial_decay(rate.polynomial_decay, step)
  if kind == "inverse_square_root":
    return _inverse_square_root(rate.inverse_square_root, step)
  raise config.ConfigError("learning_rate", f"found '{kind}'; allowed: one "
                           "that this version builds")


def _piecewise(piecewise, step):
  # The same values as tf.train.piecewise_constant, whose branches and assertion
  # a GPU would have to ask the host for.
  with tf.name_scope("piecewise"):
    passed = step > tf.constant(list(piecewise.boundary), step.dtype)
    return tf.gather(tf.constant(list(piecewise.value), tf.float32),
                     tf.reduce_sum(tf.cast(passed, tf.int32)))


def _polynomial_decay(decay, step):
  # tf.train.polynomial_decay to the bit, but for the maximum: XLA rounds n / n
  # to above 1, and a root of what is below 0 is not a number.
  with tf.name_scope("polynomial_decay"):
    initial = tf.constant(decay.initial, tf.float32)
    end = tf.constant(decay.end, tf.float32)
    steps = tf.constant(decay.decay_steps, tf.float32)
    n = tf.cast(step, tf.float32)
    if decay.cycle:
      steps *= tf.maximum(tf.ceil(n / steps), 1.0)
    else:
      n = tf.minimum(n, steps)
    left = tf.maximum(1 - n / steps, 0.0)
    return (initial - end) * tf.pow(left, decay.power) + end


def _inverse_square_root(decay, step):
  with tf.name_scope("inverse_square_root"):
    steps = tf.constant(decay.decay_steps, tf.float32)
    return (tf.constant(decay.initial, tf.float32)
            * tf.sqrt(steps / tf.maximum(tf.cast(step, tf.float32), steps)))
