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
