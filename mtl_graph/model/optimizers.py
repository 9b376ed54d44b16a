"""One optimizer per group, and the op that runs them all."""

from typing import Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.protos import training_pb2


def learning_rate(optimizer: training_pb2.Optimizer, step: tf.Tensor
                  ) -> tf.Tensor:
  """Computes the learning rate of an optimizer at a step.

  Args:
    optimizer: The `Optimizer` message.
    step: The global step, integer scalar.

  Returns:
    The rate, float32, shape `[]`.

  Raises:
    ConfigError: If the schedule is not built.
  """
  kind = optimizer.WhichOneof("kind")
  if kind is None:
    raise config.ConfigError("optimizer", "found 'None'; allowed: one that "
                             "this version builds")
  rate = getattr(optimizer, kind).learning_rate
  kind = rate.WhichOneof("kind")
  if kind == "constant":
    return tf.constant(rate.constant, tf.float32)
  if kind == "exponential_decay":
    decay = rate.exponential_decay
    return tf.train.exponential_decay(
        tf.constant(decay.initial, tf.float32), step, decay.decay_steps,
        decay.decay_rate, decay.staircase)
  raise config.ConfigError("learning_rate", f"found '{kind}'; allowed: one "
                           "that this version builds")


def build(optimizer: training_pb2.Optimizer, rate: tf.Tensor
          ) -> tf.train.Optimizer:
  """Makes an optimizer.

  Args:
    optimizer: The `Optimizer` message.
    rate: Its learning rate, shape `[]`. Inside a loop of steps it must be made
      in the loop's body, else every step has the rate of the first.

  Returns:
    A `tf.train.Optimizer`.

  Raises:
    ConfigError: If the optimizer is not built.
  """
  kind = optimizer.WhichOneof("kind")
  if kind == "adam":
    adam = optimizer.adam
    return tf.train.AdamOptimizer(rate, adam.beta1, adam.beta2, adam.epsilon)
  raise config.ConfigError("optimizer", f"found '{kind}'; allowed: one that "
                           "this version builds")


def apply(optimizer: tf.train.Optimizer, scope: str,
          gradients: Sequence[Optional[tf.Tensor]],
          variables: Sequence[tf.Variable],
          condition: Optional[tf.Tensor] = None) -> tf.Operation:
  """Applies an optimizer to the variables of one group.

  Args:
    optimizer: The optimizer.
    scope: Variable scope of its slots, such as "optimizer/shared".
    gradients: A gradient per variable, None where there is none.
    variables: The variables.
    condition: If given, a boolean scalar; where it is false, variables and
      slots stay as they are to the bit.

  Returns:
    The op that updates the group.
  """
  pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
  # Absolute, wherever the caller stands: names in checkpoints depend on it.
  absolute = tf.VariableScope(reuse=False, name=scope)
  with tf.variable_scope(absolute, auxiliary_name_scope=False), tf.name_scope(
      scope + "/"):
    if condition is None:
      return optimizer.apply_gradients(pairs)

    def update():
      # Slots are lifted out of the branch, but named by its name scope.
      with tf.name_scope(scope + "/"):
        with tf.control_dependencies([optimizer.apply_gradients(pairs)]):
          return tf.constant(True)
    return tf.cond(condition, update, lambda: tf.constant(False)).op


def group(updates: Sequence[tf.Operation],
          global_step: Optional[tf.Variable] = None) -> tf.Operation:
  """Groups the updates of one step, and counts the step after all of them.

  Args:
    updates: The update op of each group.
    global_step: The variable that counts steps, or None.

  Returns:
    The train_op.
  """
  updates = list(updates)
  if global_step is not None:
    with tf.control_dependencies(updates):
      updates.append(global_step.assign_add(1, read_value=False))
  return tf.group(*updates, name="train_op")
