"""Exponential moving averages of the trainable variables."""

from typing import Collection, List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.model import partitions

_SUFFIX = "/ExponentialMovingAverage"


def name_of(variable: str) -> str:
  """Returns the name of a variable's average, which is that of TensorFlow 1."""
  return variable + _SUFFIX


def get_average(getter, name: str, *args, **kwargs) -> tf.Variable:
  """Makes (or reuses) a variable and its average, and returns the average.

  A `custom_getter` of `tf.variable_scope`. The average starts as the variable
  does, since initial values are a function of the variable's name. What is not
  trainable has none and is returned itself.
  """
  variable = getter(name, *args, **kwargs)
  if not kwargs.get("trainable", True):
    return variable
  kwargs["trainable"] = False
  return getter(name_of(name), *args, **kwargs)


def pairs() -> List[Tuple[tf.Variable, tf.Variable]]:
  """Returns every average of the graph with the variable it is one of."""
  def key(variable, name):
    return name, partitions.first_row(variable)

  found = {key(v, partitions.name_of(v)): v for v in tf.global_variables()}
  return [(found[average], v) for average, v in (
      (key(v, name_of(partitions.name_of(v))), v)
      for v in tf.trainable_variables()) if average in found]


def update(averaged: Sequence[Tuple[tf.Variable, tf.Variable]], decay: float,
           step: tf.Tensor, counts: Optional[tf.Tensor] = None
           ) -> List[tf.Operation]:
  """Lets averages follow their variables.

  ```
    average = average - (1 - d) (average - variable)
    d = min(decay, (1 + step) / (10 + step))
  ```

  as `tf.train.ExponentialMovingAverage` does with `num_updates=step`.

  Args:
    averaged: Pairs of an average and its variable.
    decay: How much of an average a step keeps.
    step: The global step before this step, integer scalar.
    counts: Whether the step counts, boolean scalar, else averages stay as they
      are; None: it does.

  Returns:
    The ops; they read the variables when they run.
  """
  with tf.name_scope("moving_average"):
    count = tf.cast(step, tf.float32)
    kept = tf.minimum(tf.constant(decay, tf.float32),
                      (1.0 + count) / (10.0 + count))
    if counts is not None:
      kept = tf.where_v2(counts, kept, 1.0)

    def follow(average, variable):
      # Tables may be far away.
      with tf.get_default_graph().colocate_with(variable.handle):
        return average.assign_sub(
            (average.read_value() - variable.read_value()) * (1.0 - kept),
            read_value=False)
    return [follow(average, variable) for average, variable in averaged]


def start_anew(averaged: Sequence[Tuple[tf.Variable, tf.Variable]],
               names: Optional[Collection[str]] = None) -> tf.Operation:
  """Returns the op that sets averages to their variables, if named only those.
  """
  return tf.group(*[average.assign(variable, read_value=False)
                    for average, variable in averaged
                    if names is None
                    or partitions.name_of(average) in names])
