"""Reads the raw values of features, as the serving inputs take them."""

from typing import Dict, List, Sequence

import numpy as np

from mtl_graph import outline
from mtl_graph.data import columns
from mtl_graph.data import lists
from mtl_graph.data import table as table_lib
from mtl_graph.protos import features_pb2


def column_of(feature: features_pb2.Feature) -> str:
  """Returns the column a feature reads; "" if it is a cross, which reads none.
  """
  if feature.WhichOneof("kind") == "cross":
    return ""
  return feature.column or feature.name


def columns_of(features: Sequence[features_pb2.Feature]) -> List[str]:
  """Returns every column that features read, each once."""
  names = []
  for feature in features:
    names += [column_of(feature), feature.categorical.values.weight_column]
  return list(dict.fromkeys(name for name in names if name))


def weights_input(feature: features_pb2.Feature) -> str:
  """Returns the name of the input that takes the weights of categories."""
  return f"{feature.name}/weights"


def takes_numbers(categorical: features_pb2.Categorical) -> bool:
  """Returns whether a category is an interval of numbers."""
  return bool(categorical.boundary or categorical.quantile_buckets)


def defaults(features: Sequence[features_pb2.Feature]
             ) -> Dict[str, np.ndarray]:
  """Returns what stands for an input that a request to an export leaves out.

  Args:
    features: The `Feature` messages.

  Returns:
    A row by input: the `missing_value` of numbers, and of categories what says
    that there is none. Inputs that are not among them are required.
  """
  found = {}
  for feature in features:
    kind, categorical = feature.WhichOneof("kind"), feature.categorical
    if kind == "numeric" and feature.numeric.HasField("missing_value"):
      size = feature.numeric.size
      found[feature.name] = np.full([1] if size == 1 else [1, size],
                                    feature.numeric.missing_value, np.float32)
    elif kind == "categorical" and not categorical.values.weight_column:
      shape = [1, 1] if categorical.HasField("values") else [1]
      found[feature.name] = (
          np.full(shape, -1, np.int64) if categorical.num_buckets else
          np.full(shape, np.nan, np.float32) if takes_numbers(categorical) else
          np.full(shape, "", object))
  return found


def read(features: Sequence[features_pb2.Feature], table: table_lib.Table
         ) -> Dict[str, np.ndarray]:
  """Reads the raw values of every feature, as the serving inputs take them.

  Args:
    features: The `Feature` messages.
    table: The rows.

  Returns:
    A dict from input name to float32 `[N]`, `[N, size]` or `[N, H, W, C]` (NaN
    where a number is missing), int64 `[N]` (-1 where missing) or strings `[N]`
    ("" where missing); categories with `values` are `[N, max_values]`.

  Raises:
    DataError: If a value is not of its kind, or a number is missing that has no
      `missing_value`.
  """
  raw = {}
  for feature in features:
    kind, column = feature.WhichOneof("kind"), column_of(feature)
    if kind == "numeric":
      raw[feature.name] = _read_numbers(feature, table, column)
    elif kind == "image":
      raw[feature.name] = _read_image(feature, table, column)
    elif kind == "categorical" and feature.categorical.HasField("values"):
      raw.update(_read_values(feature, table, column))
    elif kind == "categorical":
      raw[feature.name] = _read_category(feature.categorical, table, column)
  return raw


def _read_numbers(feature, table, column):
  size = feature.numeric.size
  if size == 1 and not feature.numeric.separator:
    values = columns.numbers(table, column)
    if values.shape == (len(values), 1):
      values = values[:, 0]
    if values.ndim != 1:
      raise _bad_shape(feature, table, column, values.shape, [len(values)],
                       "has size 1")
  else:
    values = columns.vectors(table, column, feature.numeric.separator, size)
    if size == 1:
      values = values[:, 0]
  rows = values.reshape(len(values), size)
  if not feature.numeric.HasField("missing_value"):
    _check(table, column, np.isnan(rows), "a number; feature "
           f"'{feature.name}' has no missing_value to stand for a missing one")
  if feature.numeric.normalization == features_pb2.LOG1P:
    _check(table, column, rows < 0, f"at least 0, as feature '{feature.name}' "
           "takes ln(1 + x)")
  return _narrow(values, table, column)


def _read_image(feature, table, column):
  image = feature.image
  size = image.height * image.width * image.channels
  if lists.is_ragged(table.columns[column]):
    values = columns.vectors(table, column, None, size)
  else:
    values = columns.numbers(table, column)
  shape = (len(values), image.height, image.width, image.channels)
  allowed = [shape, (shape[0], size)]
  if image.channels == 1:
    allowed.append(shape[:3])
  if values.shape not in allowed:
    raise _bad_shape(feature, table, column, values.shape, list(shape),
                     f"is an image of {image.height} x {image.width} x "
                     f"{image.channels}")
  _check(table, column, np.isnan(values.reshape(len(values), -1)), "numbers; an"
         " image has no missing ones")
  return _narrow(values, table, column).reshape(shape)


def _read_category(categorical, table, column):
  if categorical.num_buckets:
    return columns.integers(table, column)
  if takes_numbers(categorical):
    values = columns.numbers(table, column)
    columns.check_vector(table, column, values)
    return _narrow(values, table, column)
  return columns.strings(table, column)


def _read_values(feature, table, column):
  """Returns the categories of a feature with several, and their weights."""
  categorical, values = feature.categorical, feature.categorical.values
  read_padded = columns.padded_strings
  if categorical.num_buckets:
    read_padded = columns.padded_integers
  elif takes_numbers(categorical):
    read_padded = columns.padded_numbers
  raw = {feature.name: read_padded(
      table, column, values.separator, values.max_values,
      outline.recurrent_of(feature) is not None)}
  if values.weight_column:
    weights = columns.padded_numbers(table, values.weight_column,
                                     values.separator, values.max_values, False)
    _check(table, values.weight_column,
           np.isnan(weights) != is_absent(raw[feature.name]),
           f"a weight for each category of column '{column}'")
    raw[weights_input(feature)] = weights
  return raw


def is_absent(values: np.ndarray) -> np.ndarray:
  """Returns where categories are missing, by the type of their raw values."""
  if values.dtype.kind == "f":
    return np.isnan(values)
  return values == ("" if values.dtype.kind == "O" else -1)


def _check(table, column, wrong, allowed):
  """Raises where any number of a row is wrong; `wrong` has shape [N, W]."""
  bad = wrong.any(axis=1)
  if bad.any():
    row = int(np.argmax(bad))
    found = table.columns[column][row]
    if isinstance(found, np.ndarray) and found.size == wrong.shape[1] > 4:
      # An error shows the beginning of a value, which may be right.
      found = found.reshape(-1)[np.argmax(wrong[row])]
    raise columns.bad_value(table, row, column, found, allowed)


def _narrow(values, table, column):
  with np.errstate(over="ignore"):
    narrow = values.astype(np.float32)
  _check(table, column, np.isinf(narrow).reshape(len(values), -1),
         "a number that fits 32-bit floating point")
  return narrow


def _bad_shape(feature, table, column, found, allowed, why):
  return table_lib.DataError(
      f"{table.files[0][0]}: column '{column}' has shape {list(found)}; "
      f"allowed: {allowed}, as feature '{feature.name}' {why}")
