"""Takes rows out of arrays, lists and data frames handed over in Python."""

import itertools
from typing import Any, Collection, Mapping

import numpy as np

from mtl_graph.data import lists
from mtl_graph.data import row_hashes
from mtl_graph.data import table as table_lib
from mtl_graph.data import texts


def read(arrays: Mapping[str, Any], columns: Collection[str], name: str,
         hash_rows: bool = False) -> table_lib.Table:
  """Takes the named columns.

  Args:
    arrays: Arrays, or lists, of one entry per row, by column; an entry may be a
      list itself. Or a data frame of pandas.
    columns: Names of the columns to keep.
    name: What the arrays are called in errors.
    hash_rows: Whether to hash each row: its entries of all columns, which then
      must all have as many.

  Returns:
    A `Table`.

  Raises:
    DataError: If a column is missing, or the lengths differ; if there are no
      rows.
  """
  if hasattr(arrays, "columns"):
    frame, labels = arrays, list(arrays.columns)
    names = [str(label) for label in labels]
    table_lib.check_once([n for n in names if hash_rows or n in columns], name)
    arrays = {n: frame[label] for n, label in zip(names, labels)}
  table_lib.check_present(columns, list(arrays), name, "arrays")
  taken = {column: _array(arrays[column], column, name)
           for column in (arrays if hash_rows else columns)}
  rows = table_lib.common_length(taken, name)
  if not rows:
    raise table_lib.DataError(f"{name}: found no rows; allowed: at least one")
  return table_lib.Table(
      {column: taken[column] for column in columns}, [(name, rows)], None,
      row_hashes.of_columns(taken) if hash_rows else None)


def _array(values, column: str, name: str) -> np.ndarray:
  """Returns a column as an array."""
  if isinstance(values, np.ma.MaskedArray):
    # NaN stands for what the mask hides; np.asarray would show it.
    values = values.astype(object).filled(np.nan)
  dtype = getattr(values, "dtype", None)
  kind = getattr(dtype, "kind", "O")
  if not isinstance(dtype, np.dtype) and kind in "biuf":
    # Numbers of pandas that may be missing; np.asarray would make objects.
    present = ~np.asarray(values.isna(), bool)
    flat = np.asarray(values.dropna(), {"b": bool, "i": np.int64,
                                        "u": np.uint64, "f": np.float64}[kind])
    return lists.filled(flat, present)
  try:
    array = np.asarray(values)
  except ValueError:  # Lists of several lengths.
    return _of_lists(values, column, name)
  if array.dtype == object and array.ndim == 1 and any(
      isinstance(row, (list, tuple, np.ndarray)) for row in array):
    return _of_lists(array, column, name)
  return array


def _of_lists(values, column: str, name: str) -> np.ndarray:
  """Returns a column of lists; where one is missing, a row has no value."""
  rows = []
  for i, value in enumerate(values):
    try:
      row = np.asarray([] if texts.is_missing(value) else value)
    except ValueError:
      row = None
    if row is None or not row.ndim:
      raise table_lib.DataError(
          f"{name}, row {i + 1}, column '{column}': found {value!r}; allowed: "
          "a list of values, as other rows have")
    rows.append(row)
  if len({row.shape for row in rows}) == 1:
    return np.stack(rows)
  for i, row in enumerate(rows):
    if row.ndim != 1:
      raise table_lib.DataError(
          f"{name}, row {i + 1}, column '{column}': found shape "
          f"{list(row.shape)}, but not in every row; allowed: one shape, or "
          "one dimension")
  filled = [row for row in rows if len(row)]
  if all(row.dtype.kind in "biuf" for row in filled):
    flat = np.concatenate(filled)
  else:
    flat = np.empty(sum(map(len, filled)), object)
    flat[:] = list(itertools.chain.from_iterable(r.tolist() for r in filled))
  return lists.column(lists.Lists(
      flat, np.array([len(row) for row in rows], np.int64)))
