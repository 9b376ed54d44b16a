"""Large tables that are cut by rows into parts, each a variable of its own.

The parts of a table `<name>` are the variables `<name>/part_<i>`, the first rows
first. A checkpoint holds them as slices of one tensor `<name>`: it is that of the
table in one piece, and restores into it.
"""

import collections
from typing import Callable, Dict, Iterable, List

import tensorflow.compat.v1 as tf

# How `tf.get_variable` is told how to cut: parts by dimension.
Partitioner = Callable[..., List[int]]


def by_bytes(servers: int, min_bytes: int) -> Partitioner:
  """Returns what cuts tables into a part per server, or fewer.

  ```
    parts = min(servers, bytes of the table / min_bytes), at least 1
  ```

  Args:
    servers: How many parameter servers there are.
    min_bytes: Bytes that a part has at least.

  Returns:
    A function of a shape and a type.
  """
  def partitioner(shape: tf.TensorShape, dtype: tf.DType, **unused) -> List[int]:
    shape = tf.TensorShape(shape)
    size = shape.num_elements() * dtype.size
    return [max(min(servers, size // min_bytes, shape.as_list()[0]), 1)] + (
        [1] * (shape.rank - 1))
  return partitioner


def _slice_of(variable: tf.Variable):
  # How TensorFlow's own Saver knows of parts; there is no public way to ask.
  return getattr(variable, "_save_slice_info", None)


def is_part(variable: tf.Variable) -> bool:
  """Returns whether a variable is a part of a larger one."""
  return _slice_of(variable) is not None


def name_of(variable: tf.Variable) -> str:
  """Returns the name that a variable, or what it is a part of, is saved by."""
  part = _slice_of(variable)
  return part.full_name if part else variable.op.name


def shape_of(variable: tf.Variable) -> List[int]:
  """Returns the shape of a variable, or of what it is a part of."""
  part = _slice_of(variable)
  return list(part.full_shape) if part else variable.shape.as_list()


def first_row(variable: tf.Variable) -> int:
  """Returns the number of the row that a variable begins with."""
  part = _slice_of(variable)
  return part.var_offset[0] if part else 0


def follow(variable: tf.Variable, table: tf.Variable, name: str) -> None:
  """Makes a variable the same part of `name` that another is of its table.

  Args:
    variable: The variable, of the other's shape, which further dimensions may
      precede; or a scalar, which is left as it is.
    table: The other.
    name: Name of the whole.
  """
  part = _slice_of(table)
  shape = variable.shape.as_list()
  if part is None or not shape:
    return
  before = shape[:len(shape) - len(part.var_shape)]
  # pylint: disable=protected-access
  variable._set_save_slice_info(tf.Variable.SaveSliceInfo(
      name, before + list(part.full_shape), [0] * len(before) + list(
          part.var_offset), before + list(part.var_shape)))


def together(variables: Iterable[tf.Variable]) -> Dict[str, List[tf.Variable]]:
  """Returns variables by `name_of`, the parts of one in order."""
  found = collections.OrderedDict()
  for variable in variables:
    found.setdefault(name_of(variable), []).append(variable)
  return collections.OrderedDict(
      (name, sorted(parts, key=first_row)) for name, parts in found.items())
