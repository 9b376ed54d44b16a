"""What a layer takes, and the error where it is given something else."""

import tensorflow.compat.v1 as tf


class InputSpec:
  """What a layer takes: its rank, and sizes along some axes.

  Attributes:
    dtype: Kept for those who read it.
    shape: The shape, None for any.
    ndim: The rank, None for any.
    min_ndim: The least rank, None for any.
    max_ndim: The highest rank, None for any.
    axes: A dict from axis to size.
  """

  def __init__(self, dtype=None, shape=None, ndim=None, max_ndim=None,
               min_ndim=None, axes=None):
    self.dtype = dtype
    self.shape = shape
    self.ndim = ndim if shape is None else len(shape)
    self.max_ndim = max_ndim
    self.min_ndim = min_ndim
    self.axes = {int(axis): size for axis, size in (axes or {}).items()}

  def check(self, shape: tf.TensorShape, layer: str) -> None:
    """Raises ValueError if a shape is another."""
    rank = shape.rank
    allowed = []
    if self.ndim is not None and rank != self.ndim:
      allowed.append(f"rank {self.ndim}")
    if self.min_ndim is not None and (rank is None or rank < self.min_ndim):
      allowed.append(f"rank {self.min_ndim} or more")
    if self.max_ndim is not None and (rank is None or rank > self.max_ndim):
      allowed.append(f"rank {self.max_ndim} or less")
    if not allowed:
      sizes = shape.as_list() if rank is not None else []
      allowed += [
          f"{size} along axis {axis}" for axis, size in self.axes.items()
          if size is not None and sizes[axis] not in (size, None)]
      if self.shape is not None and not shape.is_compatible_with(self.shape):
        allowed.append(f"shape {tf.TensorShape(self.shape)}")
    if allowed:
      raise ValueError(f"{layer}: `inputs` must have {' and '.join(allowed)}, "
                       f"found {shape}.")
