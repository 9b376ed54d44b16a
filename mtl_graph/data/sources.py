"""Reads the columns of CSV and NumPy files."""

import collections
import csv
import glob
import gzip
import io
import zipfile
import zlib
from typing import Collection, Dict, List, Mapping, Optional, Sequence

import numpy as np

from mtl_graph import config
from mtl_graph.protos import data_pb2


class DataError(Exception):
  """Data that cannot be used; the text names the file, the row, the column."""

  def __init__(self, text: str):
    super().__init__(config.one_line(text))


# columns: dict from column name to an array of one entry per row.
# files: pairs of a file's name and its number of rows, in reading order.
Table = collections.namedtuple("Table", ["columns", "files"])


def read(source: data_pb2.Source, columns: Collection[str],
         field_path: str) -> Table:
  """Reads the named columns of a source, all of its files one after the other.

  Args:
    source: The source, valid.
    columns: Names of the columns to keep.
    field_path: Where `source` sits in the experiment; used in errors.

  Returns:
    A `Table`. The columns of CSV files are arrays of strings.

  Raises:
    DataError: If a file cannot be read, lacks a column, or has a row of the
      wrong length; if there are no rows.
  """
  kind = source.WhichOneof("kind")
  files = getattr(source, kind)
  paths = [p for pattern in files.path for p in _matches(pattern, field_path)]
  again = [p for p, count in collections.Counter(paths).items() if count > 1]
  if again:
    raise DataError(f"{again[0]}: matches more than one of {field_path}.{kind}"
                    ".path; allowed: each file once")
  header = _read_header(files.header_file) if (
      kind == "csv" and files.header_file) else None
  parts, lengths = [], []
  for path in paths:
    if kind == "csv":
      part = _read_csv(path, columns, header, files.strip_spaces, field_path)
    else:
      part = _read_npz(path, columns, field_path)
    parts.append(part)
    lengths.append((path, len(next(iter(part.values()))) if part else 0))
  if not sum(length for _, length in lengths):
    raise DataError(f"{', '.join(paths)}: found no rows; allowed: at least one "
                    f"({field_path})")
  merged = {}
  for name in columns:
    try:
      merged[name] = np.concatenate([part[name] for part in parts])
    except ValueError as error:
      raise DataError(f"{', '.join(paths)}: column '{name}' has other shapes "
                      "from file to file; allowed: one width") from error
  return Table(merged, lengths)


def from_arrays(arrays: Mapping[str, np.ndarray], columns: Collection[str],
                name: str) -> Table:
  """Takes the named columns out of arrays handed over in Python.

  Args:
    arrays: Arrays, or lists, of one entry per row, by column.
    columns: Names of the columns to keep.
    name: What the arrays are called in errors.

  Returns:
    A `Table`.

  Raises:
    DataError: If a column is missing, or the lengths differ; if there are no
      rows.
  """
  table = _select({key: _as_array(value, key, name) if key in columns else None
                   for key, value in arrays.items()}, columns, name, "arrays")
  rows = len(next(iter(table.values())))
  if not rows:
    raise DataError(f"{name}: found no rows; allowed: at least one")
  return Table(table, [(name, rows)])


def _as_array(values, column: str, name: str) -> np.ndarray:
  try:
    if isinstance(values, np.ma.MaskedArray):
      # NaN stands for what the mask hides; np.asarray would show it.
      values = values.astype(object).filled(np.nan)
    return np.asarray(values)
  except ValueError as error:
    raise DataError(f"{name}: column '{column}' has rows of several lengths; "
                    "allowed: one length") from error


def locate(table: Table, row: int) -> str:
  """Returns "file, row n" for a row of a table; rows count from 1."""
  for path, length in table.files:
    if row < length:
      return f"{path}, row {row + 1}"
    row -= length
  raise IndexError(f"locate: `row` is beyond the table by {row}.")


def _matches(pattern: str, field_path: str) -> List[str]:
  paths = sorted(glob.glob(pattern))
  if not paths:
    raise DataError(f"{field_path}: no file matches '{pattern}'; allowed: an "
                    "existing file or a glob")
  return paths


def _open_text(path: str) -> io.TextIOBase:
  if path.endswith(".gz"):
    return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
  return open(path, encoding="utf-8-sig", newline="")


def _read_header(path: str) -> List[str]:
  try:
    with _open_text(path) as file:
      return [name.strip() for row in csv.reader(file) for name in row
              if name.strip()]
  except (OSError, EOFError, UnicodeDecodeError, zlib.error,
          csv.Error) as error:
    raise _unreadable(path, error, "column names") from error


def _read_csv(path: str, columns: Collection[str],
              header: Optional[Sequence[str]], strip_spaces: bool,
              field_path: str) -> Dict[str, np.ndarray]:
  """Reads one CSV file into arrays of strings."""
  allowed = "comma-separated UTF-8 text, gzip only if it ends in .gz"
  rows, line = [], 1
  try:
    with _open_text(path) as file:
      # Strict, else a quote left open would swallow the rest of the file; but
      # strict about spaces behind a quote, too.
      reader = csv.reader(file, skipinitialspace=strip_spaces,
                          strict=not strip_spaces)
      for row in reader:
        if row:
          rows.append(row)
        line = reader.line_num + 1
  except csv.Error as error:
    raise DataError(f"{path}, line {line}: cannot be read: {error}; allowed: "
                    "fields quoted as RFC 4180 has it") from error
  except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
    raise _unreadable(path, error, allowed) from error
  if not rows and header is None:
    raise DataError(f"{path}: found an empty file; allowed: {allowed}")
  names = header
  if header is None:
    names = [name.strip() for name in rows.pop(0)]
  repeated = [n for n, count in collections.Counter(names).items() if count > 1]
  if repeated:
    raise DataError(f"{path}: column '{repeated[0]}' is named more than once; "
                    "allowed: each name once")
  for i, row in enumerate(rows):
    if len(row) != len(names):
      raise DataError(f"{path}, row {i + 1}: found {len(row)} fields; allowed: "
                      f"{len(names)}, one per column")
  arrays = {}
  for name, values in zip(names, zip(*rows) if rows else [()] * len(names)):
    if strip_spaces:
      values = [value.strip() for value in values]
    # Objects: an array of strings would make all as wide as the widest.
    arrays[name] = np.array(values, object) if name in columns else None
  return _select(arrays, columns, path, field_path)


def _read_npz(path: str, columns: Collection[str],
              field_path: str) -> Dict[str, np.ndarray]:
  """Reads one .npz archive."""
  allowed = ("an archive of arrays without Python objects, as numpy.savez "
             "writes it")
  try:
    with open(path, "rb") as file:
      # What does not begin like this, numpy.load takes for a pickle.
      if file.read(4) != b"PK\3\4" or not zipfile.is_zipfile(file):
        raise DataError(f"{path}: cannot be read: it is no zip archive, or is "
                        f"cut off; allowed: {allowed}")
    with np.load(path, allow_pickle=False) as archive:
      missing_checked = _select({name: None for name in archive.files}, columns,
                                path, field_path)
      arrays = {name: archive[name] for name in missing_checked}
  except DataError:
    raise
  except (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError,
          RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
    raise _unreadable(path, error, allowed) from error
  return _select(arrays, columns, path, field_path)


def _select(arrays, columns, path, field_path):
  """Returns the named columns; all of them must exist, with equal lengths."""
  for name in columns:
    if name not in arrays:
      names = list(arrays)
      raise DataError(f"{path}: no column '{name}' ({field_path}); allowed: "
                      f"{', '.join(names) or 'none'}"
                      f"{config.nearest(name, names)}")
  chosen = {name: arrays[name] for name in columns}
  lengths = {name: len(array) if np.ndim(array) else None
             for name, array in chosen.items() if array is not None}
  if len(set(lengths.values())) > 1 or None in lengths.values():
    raise DataError(f"{path}: found columns of "
                    + ", ".join(f"'{n}': {'no' if l is None else l} rows"
                                for n, l in lengths.items())
                    + "; allowed: one entry per row in each")
  return chosen


def _unreadable(path: str, error: Exception, allowed: str) -> DataError:
  """Returns the error that says why a file cannot be read."""
  if isinstance(error, UnicodeDecodeError):
    return DataError(f"{path}, line {_line_not_utf8(path)}: cannot be read: it "
                     f"is not UTF-8; allowed: {allowed}")
  reason = getattr(error, "strerror", None) or str(error) or "it is cut off"
  return DataError(f"{path}: cannot be read: {reason}; allowed: {allowed}")


def _line_not_utf8(path: str) -> int:
  """Returns the first line that is not UTF-8; the error counts by chunks."""
  with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
    for number, line in enumerate(file, 1):
      try:
        line.decode("utf-8")
      except UnicodeDecodeError:
        break
    return number
