"""Weights that are stored in fewer bits than they are computed with."""

from typing import Callable, Dict, List, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.protos import serving_pb2

# The last parts of the names of those that are worth it.
_LARGE = ("kernel", "embeddings", "weights")
_TYPES = {serving_pb2.Weights.FLOAT16: tf.float16,
          serving_pb2.Weights.INT8: tf.int8}
# The largest integer that a weight is stored as.
_MOST = 127
_FLOAT16_MAX = float(np.finfo(np.float16).max)


class Stored(NamedTuple):
  """A weight as it is stored.

  Attributes:
    values: float16 or int8, of the shape of the weight.
    scale: Factor for each column, float32 `[D]`; None: 1.
  """
  values: np.ndarray
  scale: Optional[np.ndarray]


class Compressed:
  """Variables that stand for a weight, and read as a tensor of float32.

  Rows that `tf.gather` takes out of it are widened alone.
  """

  def __init__(self, values: tf.Variable, scale: Optional[tf.Variable]):
    self._values = values
    self._scale = scale
    self.shape = values.shape
    self.dtype = tf.float32

  @property
  def variables(self) -> List[tf.Variable]:
    """The variables: the values and, if there is one, their scale."""
    return [v for v in (self._values, self._scale) if v is not None]

  def read(self) -> tf.Tensor:
    """Returns the whole weight."""
    return self._widen(self._values.read_value())

  def sparse_read(self, indices: tf.Tensor, name: Optional[str] = None
                  ) -> tf.Tensor:
    """Returns some rows; what `tf.gather` calls."""
    return self._widen(self._values.sparse_read(indices, name))

  def _widen(self, values):
    wide = tf.cast(values, tf.float32)
    return wide if self._scale is None else wide * self._scale


def _to_tensor(weights, dtype=None, name=None, as_ref=False):
  del as_ref, name
  if dtype is not None and not dtype.is_compatible_with(tf.float32):
    return NotImplemented
  return weights.read()


tf.register_tensor_conversion_function(Compressed, _to_tensor)


def custom_getter(precision: int, found: Dict[str, Compressed]) -> Callable:
  """Returns a `custom_getter` that makes the variables of an export.

  Their initial values are never used, and none is computed.

  Args:
    precision: A value of `Weights.Precision`.
    found: Takes each `Compressed` by the name of what it stands for.
  """
  def get(getter, name, shape=None, **kwargs):  # TensorFlow calls it `getter`.
    if shape is None:  # The initial value is a tensor, which knows it.
      return getter(name, shape, **kwargs)
    kwargs["initializer"] = tf.zeros_initializer()
    shape = tf.TensorShape(shape).as_list()
    if (precision == serving_pb2.Weights.FLOAT32 or len(shape) < 2
        or name.rpartition("/")[2] not in _LARGE):
      return getter(name, shape, **kwargs)
    if name not in found:
      kwargs.update(trainable=False, dtype=_TYPES[precision])
      values, scale = getter(name, shape, **kwargs), None
      if precision == serving_pb2.Weights.INT8:
        kwargs["dtype"] = tf.float32
        scale = getter(f"{name}/scale", shape[-1:], **kwargs)
      found[name] = Compressed(values, scale)
    return found[name]

  return get


def compress(weights: np.ndarray, precision: int) -> Stored:
  """Rounds a weight to what it is stored as.

  ```
    INT8:  scale_d = max_r |w_rd| / 127,   values_rd = round(w_rd / scale_d)
  ```

  with d the last dimension and r all others.

  Args:
    weights: The weight, float32.
    precision: A value of `Weights.Precision`, not FLOAT32.

  Returns:
    A `Stored`.

  Raises:
    ValueError: If a number is beyond float16.
  """
  if precision == serving_pb2.Weights.FLOAT16:
    largest = float(np.abs(weights).max(initial=0))
    if largest > _FLOAT16_MAX:
      raise ValueError(f"compress: `weights` must be within {_FLOAT16_MAX:g} of "
                       f"zero for FLOAT16, found {largest:g}.")
    return Stored(weights.astype(np.float16), None)
  largest = np.abs(weights).max(axis=tuple(range(weights.ndim - 1)), initial=0)
  scale = np.where(largest > 0, largest / _MOST, 1).astype(np.float32)
  return Stored(np.clip(np.rint(weights / scale), -_MOST, _MOST).astype(np.int8),
                scale)


def widen(stored: Stored) -> np.ndarray:
  """Returns the weight that is computed with, float32."""
  wide = stored.values.astype(np.float32)
  return wide if stored.scale is None else wide * stored.scale
