"""What an input function returns, as features and labels of a graph."""

import inspect
from typing import Any, Callable, List, Mapping, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.estimator import specs


def read(input_fn: Callable[..., Any], mode: str, offered: Mapping[str, Any],
         hooks: List[tf.train.SessionRunHook]) -> Tuple[Any, Any]:
  """Calls an input function.

  Args:
    input_fn: Returns a dataset of features, or of features and labels; or
      tensors of them.
    mode: One of `ModeKeys`.
    offered: What it gets if it has such parameters.
    hooks: Takes a hook that starts a dataset.

  Returns:
    Features, and labels or None.

  Raises:
    ValueError: If it returns something else.
  """
  parameters = inspect.signature(input_fn).parameters
  with tf.device("/cpu:0"):
    found = input_fn(**{name: value for name, value in offered.items()
                        if name in parameters})
    if isinstance(found, tf.data.Dataset):
      iterator = tf.data.make_initializable_iterator(found)
      hooks.append(_Start(iterator.initializer))
      found = iterator.get_next()
  if isinstance(found, (list, tuple)):
    if len(found) != 2:
      raise ValueError(f"input_fn: returned {len(found)} values; allowed: "
                       "features, or features and labels")
    features, labels = found
  else:
    features, labels = found, None
  return features, None if mode == specs.ModeKeys.PREDICT else labels


class _Start(tf.train.SessionRunHook):
  """Starts a dataset once there is a session."""

  def __init__(self, initializer: tf.Operation):
    self._initializer = initializer

  def after_create_session(self, session, coord):
    """Starts it."""
    del coord
    session.run(self._initializer)
