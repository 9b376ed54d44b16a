"""Writes rows as the tf.Examples that an export parses."""

import functools
import os
from typing import Dict, List, Mapping, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import raw_values

# The kinds of values that an input of each type comes in, the best first.
_KINDS = {tf.string: "OSUifu", tf.int64: "iufOSU", tf.float32: "fiuOSU"}


class Column(NamedTuple):
  """What a feature of an example is made of.

  Attributes:
    key: Its name in the example.
    is_list: Whether what fills an array up to the longest is left out.
  """
  key: str
  is_list: bool


def columns_of(path: str) -> Dict[str, Column]:
  """Returns the `Column` by raw input, as the experiment of an export says.

  Args:
    path: Path of a version.

  Returns:
    The columns; none if the export does not say of which experiment it is.
  """
  try:
    experiment = config.load(os.path.join(path, "assets.extra",
                                          "experiment.pbtxt"))
  except config.ConfigErrors:
    return {}
  columns = {}
  for feature in experiment.data.feature:
    values = feature.categorical.values
    is_list = feature.categorical.HasField("values")
    if raw_values.column_of(feature):
      columns[feature.name] = Column(raw_values.column_of(feature), is_list)
    if values.weight_column:
      columns[raw_values.weights_input(feature)] = Column(
          values.weight_column, is_list)
  return columns


def serialize(raw: Mapping[str, np.ndarray], columns: Mapping[str, Column],
              tensor: tf.Tensor) -> List[bytes]:
  """Returns a serialized tf.Example per row.

  Args:
    raw: Raw values by input.
    columns: The `Column` by input; of an input that is not there, its name.
    tensor: The tensor that takes the examples; what its graph reads from them
      is written, or all there is where that cannot be seen.

  Returns:
    Serialized examples. What is missing is left out.
  """
  types = parsed_types(tensor)
  sources: Dict[str, List[str]] = {}
  for name in raw:
    key = columns[name].key if name in columns else name
    if types is not None and key not in types:
      key = name  # Others may call columns as they call inputs.
    sources.setdefault(key, []).append(name)
  count = len(next(iter(raw.values())))
  examples = [tf.train.Example() for _ in range(count)]
  for key, names in sorted(sources.items()):
    if types is not None and key not in types:
      continue
    dtype = None if types is None else types[key]
    name = min(names, key=functools.partial(_rank, raw, dtype))
    is_list = name in columns and columns[name].is_list
    rows = np.asarray(raw[name]).reshape([count, -1] if count else [0, 1])
    if rows.dtype.kind in "SU":
      rows = rows.astype(object)
    for example, values in zip(examples, rows):
      _add(example, key, values, dtype, is_list)
  return [e.SerializeToString(deterministic=True) for e in examples]


def parsed_types(tensor: tf.Tensor) -> Optional[Dict[str, tf.DType]]:
  """Returns what a graph reads from serialized examples: the type by name.

  Args:
    tensor: The tensor that takes the examples.

  Returns:
    The types; None if nothing that parses is behind the tensor.
  """
  seen, queue = set(), [tensor]
  while queue:
    for op in queue.pop().consumers():
      if op.type == "ParseExampleV2":
        sparse, dense, ragged = [_texts(op.inputs[i]) for i in (2, 3, 4)]
        return dict(zip(sparse + dense + ragged, [
            *op.get_attr("sparse_types"), *op.get_attr("Tdense"),
            *op.get_attr("ragged_value_types")]))
      if op.type == "ParseExample":
        sparse = op.get_attr("Nsparse")
        keys = [tf.get_static_value(key).decode() for key in op.inputs[
            2:2 + sparse + op.get_attr("Ndense")]]
        return dict(zip(keys, [*op.get_attr("sparse_types"),
                               *op.get_attr("Tdense")]))
      if op not in seen and op.outputs and op.outputs[0].dtype == tf.string:
        seen.add(op)
        queue.append(op.outputs[0])
  return None


def _texts(tensor):
  return [key.decode() for key in tf.get_static_value(tensor).reshape(-1)]


def _rank(raw, dtype, name):
  """Says how well values of an input serve as those of a type; 0 is best."""
  return 0 if dtype is None else _KINDS[dtype].index(
      np.asarray(raw[name]).dtype.kind)


def _add(example, key, values, dtype, is_list):
  """Adds the values of one row to an example, unless all are missing."""
  there = np.array([v in ("", b"") for v in values], bool) if (
      values.dtype.kind == "O") else raw_values.is_absent(values)
  there = np.flatnonzero(~there)
  if not len(there):
    return
  if is_list:
    values = values[:there[-1] + 1]
  if dtype is None:
    dtype = {"f": tf.float32, "O": tf.string}.get(values.dtype.kind, tf.int64)
  feature = example.features.feature[key]
  if dtype == tf.float32:
    feature.float_list.value.extend(float(v) for v in values)
  elif dtype == tf.int64:
    feature.int64_list.value.extend(int(v) for v in values)
  else:
    feature.bytes_list.value.extend(
        v if isinstance(v, bytes) else str(v).encode() for v in values)
