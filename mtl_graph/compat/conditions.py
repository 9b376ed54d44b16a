"""A choice of what to build by a condition that may be known beforehand."""

from typing import Any, Callable, Optional

import tensorflow.compat.v1 as tf


def choose(condition: Any, yes: Callable, no: Callable) -> Any:
  """Builds one of two, or both and a condition where it is not known.

  Args:
    condition: A bool, 0 or 1, or a bool tensor.
    yes: Makes the result where it holds.
    no: Makes it where it does not.

  Returns:
    What they make.
  """
  known = constant_value(condition)
  if known is None:
    return tf.cond(condition, yes, no)
  return yes() if known else no()


def constant_value(condition: Any) -> Optional[bool]:
  """Returns what a condition is, or None if only a run can tell."""
  if isinstance(condition, tf.compat.v2.Variable):
    return None
  if isinstance(condition, tf.Tensor):
    known = tf.get_static_value(condition)
    return None if known is None else bool(known)
  if condition in (0, 1):  # True and False are.
    return bool(condition)
  raise TypeError(f"`training` must be a bool, 0, 1 or a bool tensor, found "
                  f"{condition!r}.")
