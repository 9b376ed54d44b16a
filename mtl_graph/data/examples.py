"""Requests of serialized tf.Example, parsed in the graph.

Training reads examples in Python (`tfrecord_files.py`).
"""

import collections
import math
from typing import Dict, List, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.data import raw_values
from mtl_graph.protos import features_pb2

# What stands for a missing value, by the type of a column.
_FILLERS = {tf.string: "", tf.int64: -1, tf.float32: math.nan}


class _Use(NamedTuple):
  """One input that reads a column.

  Attributes:
    name: The input.
    dtype: Its type.
    shape: Numbers per row, `[]` where it is one; None: any.
    is_required: Whether a missing value is an error.
  """
  name: str
  dtype: tf.DType
  shape: Optional[List[int]]
  is_required: bool


def parse(features: Sequence[features_pb2.Feature], inputs: Dict[str, tf.Tensor],
          serialized: tf.Tensor, name: str = "parse") -> Dict[str, tf.Tensor]:
  """Parses serialized examples into raw values by input.

  An example has the columns that features read, as the protos say of
  `Signatures.examples`. What it lacks is missing; where the feature does not
  allow that, it is an error.

  Args:
    features: The `Feature` messages.
    inputs: The tensors by input that `features.placeholders` made.
    serialized: Serialized examples, strings `[B]`.
    name: Name scope.

  Returns:
    Tensors by input, of the types and shapes of `inputs`.
  """
  uses = _uses(features, inputs)
  types = {column: _type_of(of_column) for column, of_column in uses.items()}
  with tf.name_scope(name):
    parsed = tf.io.parse_example(serialized, {
        column: _spec(of_column, types[column])
        for column, of_column in uses.items()})
    found = {}
    for column, of_column in uses.items():
      for use in of_column:
        values = _as_type(parsed[column], use.dtype)
        shape = inputs[use.name].shape
        if shape.rank == 1 and values.shape.rank == 2:  # Others read lists.
          filler = tf.constant(_FILLERS[use.dtype], use.dtype)
          values = tf.pad(values, [[0, 0], [0, 1]], constant_values=filler)[:, 0]
        elif use.shape and values.shape[1:] != shape[1:]:
          values = tf.reshape(values, [-1, *use.shape])
        elif use.shape is None and values.shape.rank != 2:
          values = tf.reshape(values, [tf.shape(values)[0], -1])
        found[use.name] = values
  return {input_: found[input_] for input_ in inputs}


def _uses(features, inputs) -> Dict[str, List[_Use]]:
  """Returns what reads each column, by column."""
  uses = collections.OrderedDict()
  for feature in features:
    kind, column = feature.WhichOneof("kind"), raw_values.column_of(feature)
    if kind == "cross":
      continue
    shape = inputs[feature.name].shape.as_list()[1:]
    is_list = feature.categorical.HasField("values")
    uses.setdefault(column, []).append(_Use(
        feature.name, inputs[feature.name].dtype, None if is_list else shape,
        kind == "image" or kind == "numeric"
        and not feature.numeric.HasField("missing_value")))
    if feature.categorical.values.weight_column:
      uses.setdefault(feature.categorical.values.weight_column, []).append(_Use(
          raw_values.weights_input(feature), tf.float32, None, False))
  return uses


def _type_of(uses) -> tf.DType:
  """Returns the type that tells apart whatever any use tells apart."""
  return next(dtype for dtype in (tf.string, tf.int64, tf.float32)
              if any(use.dtype == dtype for use in uses))


def _spec(uses, dtype):
  """Returns how a column is parsed."""
  filler = None if any(use.is_required for use in uses) else _FILLERS[dtype]
  fixed = [use.shape for use in uses if use.shape]
  if fixed:
    count = math.prod(fixed[0])
    return tf.io.FixedLenFeature(
        fixed[0], dtype, None if filler is None else [filler] * count)
  if any(use.shape is None for use in uses):
    return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True,
                                         default_value=_FILLERS[dtype])
  return tf.io.FixedLenFeature([], dtype, filler)


def _as_type(values, dtype):
  """Reads values of one type as those of another; what is missing stays so."""
  if values.dtype == tf.string and dtype != tf.string:
    # As training does: by way of 64 bits, so that numbers are rounded once.
    values = tf.strings.to_number(
        tf.where_v2(tf.equal(values, ""), "nan", values), tf.float64)
    return (tf.cast(values, dtype) if dtype.is_floating else
            tf.cast(tf.where_v2(tf.is_nan(values), tf.constant(-1, tf.float64),
                                values), dtype))
  if values.dtype == tf.int64 and dtype.is_floating:
    return tf.where_v2(values < 0, tf.constant(math.nan, dtype),
                       tf.cast(values, dtype))
  return values
