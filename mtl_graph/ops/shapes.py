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


def check_alike(tensors: Sequence[tf.Tensor], argument: str, op: str,
                least: int = 1, least_rank: int = 0) -> List[Optional[int]]:
  """Raises unless several tensors have one static shape, of a known rank.

  A dimension unknown at graph time fits anything.

  Args:
    tensors: The tensors to look at.
    argument: Name of the argument that lists them, for the error.
    op: Name of the op, for the error.
    least: How many tensors there must be at least.
    least_rank: What their rank must be at least.

  Returns:
    What the tensors together tell of their shape.

  Raises:
    ValueError: If there are too few, or a rank or a known dimension differs.
  """
  if len(tensors) < least:
    raise ValueError(f"{op}: `{argument}` must hold {least} tensors or more, "
                     f"found {len(tensors)}.")
  shape = tf.TensorShape(None)
  for i, tensor in enumerate(tensors):
    if shape.rank is not None:
      check(tensor, shape.as_list(), f"{argument}[{i}]", op)
    shape = shape.merge_with(tensor.shape)
  if shape.rank is None or shape.rank < least_rank:
    raise ValueError(f"{op}: `{argument}` must have a known rank of "
                     f"{least_rank} or more, found {shape}.")
  return shape.as_list()


def check_split(size: Optional[int], parts: int, argument: str, op: str) -> int:
  """Raises unless a last dimension can be split into equal parts.

  Args:
    size: The dimension, None where it is unknown.
    parts: How many parts.
    argument: Name of the tensor that has the dimension, for the error.
    op: Name of the op, for the error.

  Returns:
    The size of a part.

  Raises:
    ValueError: If the size is unknown, or no multiple of the number of parts.
  """
  if parts < 1 or size is None or size % parts:
    raise ValueError(
        f"{op}: the last dimension of `{argument}` must be a known multiple of "
        f"the number of parts, found {size} and {parts} parts.")
  return size // parts


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


def num_tasks(tensor: tf.Tensor, argument: str, op: str) -> int:
  """Returns the size of the first dimension, T, which must be known.

  Args:
    tensor: The tensor to look at, of shape `[T, ...]`.
    argument: Name of the argument, for the error.
    op: Name of the op, for the error.

  Returns:
    T.

  Raises:
    ValueError: If it is not known.
  """
  size = tensor.shape.as_list()[0] if tensor.shape.rank else None
  if not size:
    raise ValueError(f"{op}: `{argument}` must have shape [T, ...] with a "
                     f"known number of tasks, found {tensor.shape}.")
  return size
