"""Rows by column, and where each row was read."""

import collections
from typing import Collection, Dict, Mapping, Sequence

import numpy as np

from mtl_graph import config


class DataError(Exception):
  """Data that cannot be used; the text names the file, the row, the column."""

  def __init__(self, text: str):
    super().__init__(config.one_line(text))


# columns: dict from column name to an array of one entry per row. A row may
#   hold several values: the array then has more dimensions or, where rows hold
#   different numbers of them, is an object array of vectors.
# files: pairs of a file's name and its number of rows, in reading order.
# rows: where rows were left out, the number that each row had among all rows
#   of the files, int64 [N]; else None.
# hashes: a hash of each whole row, uint64 [N], where it was asked for.
Table = collections.namedtuple("Table", ["columns", "files", "rows", "hashes"],
                               defaults=(None, None))


def count(table: Table) -> int:
  """Returns the number of rows."""
  if table.rows is not None:
    return len(table.rows)
  return sum(length for _, length in table.files)


def locate(table: Table, row: int) -> str:
  """Returns "file, row n" for a row of a table; rows count from 1."""
  if table.rows is not None:
    row = int(table.rows[row])
  for path, length in table.files:
    if row < length:
      return f"{path}, row {row + 1}"
    row -= length
  raise IndexError(f"locate: `row` is beyond the table by {row}.")


def check_present(columns: Collection[str], names: Collection[str], path: str,
                  field_path: str) -> None:
  """Raises `DataError` for the first column that is not among the names."""
  for column in columns:
    if column not in names:
      raise DataError(f"{path}: no column '{column}' ({field_path}); allowed: "
                      f"{', '.join(names) or 'none'}"
                      f"{config.nearest(column, names)}")


def check_once(names: Sequence[str], path: str) -> None:
  """Raises `DataError` for a name that comes more than once."""
  repeated = [n for n, times in collections.Counter(names).items() if times > 1]
  if repeated:
    raise DataError(f"{path}: column '{repeated[0]}' is named more than once; "
                    "allowed: each name once")


def common_length(arrays: Mapping[str, np.ndarray], path: str) -> int:
  """Returns how many rows arrays have; raises `DataError` if they disagree."""
  lengths = {name: len(array) if np.ndim(array) else None
             for name, array in arrays.items()}
  if len(set(lengths.values())) > 1 or None in lengths.values():
    raise DataError(f"{path}: found columns of "
                    + ", ".join(f"'{n}': {'no' if l is None else l} rows"
                                for n, l in lengths.items())
                    + "; allowed: one entry per row in each")
  return next(iter(lengths.values()), 0)


def concatenate(tables: Sequence[Table], columns: Collection[str]) -> Table:
  """Puts tables of the same columns one below the other."""
  files = [file for table in tables for file in table.files]
  merged: Dict[str, np.ndarray] = {}
  for name in columns:
    try:
      merged[name] = np.concatenate([table.columns[name] for table in tables])
    except ValueError as error:
      raise other_shapes([path for path, _ in files], name) from error
  hashes = None
  if all(table.hashes is not None for table in tables):
    hashes = np.concatenate([table.hashes for table in tables])
  return Table(merged, files, None, hashes)


def other_shapes(paths: Sequence[str], name: str) -> DataError:
  """Returns the error that says that files disagree in a column's shape."""
  return DataError(f"{', '.join(paths)}: column '{name}' has other shapes from "
                   "file to file; allowed: one width")


def unreadable(path: str, error: Exception, allowed: str) -> DataError:
  """Returns the error that says why a file cannot be read."""
  reason = getattr(error, "strerror", None) or str(error) or "it is cut off"
  return DataError(f"{path}: cannot be read: {reason.rstrip('.')}; allowed: "
                   f"{allowed}")
