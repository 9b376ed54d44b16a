"""Checks the static shapes of an op's arguments."""

from typing import List, Optional, Sequence

import tensorflow.compat.v1 as tf


def check(tensor: tf.Tensor, expected: Sequence[Optional[int]], argument: str,
          op: str) -> List[Optional[int]]:
  """Raises unless a tensor's static shape fits the one expected.

  A dimension unknown at graph time fits anything.

  Args:
    tensor: The tensor to look at.
    expected: Its shape, None where any size will do.
    argument: Name of the argument, for the error.
    op: Name of the op, for the error.

  Returns:
    The tensor's static shape; `expected` where not even its rank is known.

  Raises:
    ValueError: If the rank or a known dimension differs.
  """
  if not tensor.shape.is_compatible_with(tf.TensorShape(expected)):
    allowed = ", ".join("any" if size is None else str(size)
                        for size in expected)
    raise ValueError(f"{op}: `{argument}` must have shape [{allowed}], "
                     f"found {tensor.shape}.")
  return (list(expected) if tensor.shape.rank is None
          else tensor.shape.as_list())


def check_pair(labels: tf.Tensor, estimates: tf.Tensor, argument: str,
               op: str) -> None:
  """Raises unless two tensors have one shape, that of a vector or a matrix.

  Args:
    labels: The argument `labels`.
    estimates: The tensor that goes with it.
    argument: Name of that argument, for the error.
    op: Name of the op, for the error.

  Raises:
    ValueError: If a rank is neither 1 nor 2, or a known dimension differs.
  """
  for tensor, name in ((labels, "labels"), (estimates, argument)):
    if tensor.shape.rank not in (None, 1, 2):
      raise ValueError(f"{op}: `{name}` must have shape [any] or [any, any], "
                       f"found {tensor.shape}.")
  if labels.shape.rank is not None:
    check(estimates, labels.shape.as_list(), argument, op)
