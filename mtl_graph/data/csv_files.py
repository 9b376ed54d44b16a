"""Reads CSV files."""

import contextlib
import csv
import gzip
import io
import operator
from typing import BinaryIO, Collection, Iterator, List, Optional, Sequence
import zlib

import numpy as np

from mtl_graph.data import paths as paths_lib
from mtl_graph.data import row_hashes
from mtl_graph.data import table as table_lib
from mtl_graph.protos import data_pb2

_ALLOWED = "comma-separated UTF-8 text, gzip only if it ends in .gz"
_ERRORS = (OSError, EOFError, UnicodeDecodeError, zlib.error)


def read(files: data_pb2.CsvFiles, paths: Sequence[str],
         columns: Collection[str], field_path: str,
         hash_rows: bool = False) -> table_lib.Table:
  """Reads CSV files, one after the other.

  Args:
    files: How the files are written.
    paths: The files.
    columns: Names of the columns to keep.
    field_path: Where the source sits in the experiment; used in errors.
    hash_rows: Whether to hash each row: its fields in the order of their
      columns' names, before `missing_value` counts.

  Returns:
    A `Table` of arrays of strings, "" where a value is missing.

  Raises:
    DataError: If a file cannot be read, lacks a column, or has a row of the
      wrong length.
  """
  header = _read_header(files.header_file) if files.header_file else None
  return table_lib.concatenate(
      [_read_file(path, columns, header, files, field_path, hash_rows)
       for path in paths], columns)


@contextlib.contextmanager
def _open_bytes(path: str) -> Iterator[BinaryIO]:
  with paths_lib.open_binary(path) as file:
    if path.endswith(".gz"):
      with gzip.open(file) as unzipped:
        yield unzipped
    else:
      yield file


@contextlib.contextmanager
def _open_text(path: str) -> Iterator[io.TextIOBase]:
  with _open_bytes(path) as file:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
      yield text


def _read_header(path: str) -> List[str]:
  try:
    with _open_text(path) as file:
      return [name.strip() for row in csv.reader(file) for name in row
              if name.strip()]
  except (*_ERRORS, csv.Error) as error:
    raise _unreadable(path, error, "column names") from error


def _read_file(path: str, columns: Collection[str],
               header: Optional[Sequence[str]], files: data_pb2.CsvFiles,
               field_path: str, hash_rows: bool) -> table_lib.Table:
  """Reads one file into arrays of strings."""
  rows, line = [], 1
  try:
    with _open_text(path) as file:
      # Strict, else a quote left open would swallow the rest of the file; but
      # strict about spaces behind a quote, too.
      reader = csv.reader(file, skipinitialspace=files.strip_spaces,
                          strict=not files.strip_spaces)
      for row in reader:
        if row:
          rows.append(row)
        line = reader.line_num + 1
  except csv.Error as error:
    raise table_lib.DataError(
        f"{path}, line {line}: cannot be read: {error}; allowed: fields quoted "
        "as RFC 4180 has it") from error
  except _ERRORS as error:
    raise _unreadable(path, error, _ALLOWED) from error
  if not rows and header is None:
    raise table_lib.DataError(f"{path}: found an empty file; allowed: "
                              f"{_ALLOWED}")
  names = header
  if header is None:
    names = [name.strip() for name in rows.pop(0)]
  table_lib.check_once(names, path)
  for i, row in enumerate(rows):
    if len(row) != len(names):
      raise table_lib.DataError(
          f"{path}, row {i + 1}: found {len(row)} fields; allowed: "
          f"{len(names)}, one per column")
  table_lib.check_present(columns, names, path, field_path)
  if files.strip_spaces:
    rows = [[field.strip() for field in row] for row in rows]
  hashes = _hash(rows, names) if hash_rows else None
  missing = frozenset(files.missing_value)
  arrays = {}
  for name, values in zip(names, zip(*rows) if rows else [()] * len(names)):
    if name in columns:
      if missing:
        values = ["" if value in missing else value for value in values]
      # Objects: an array of strings would make all as wide as the widest.
      arrays[name] = np.array(values, object)
  return table_lib.Table(arrays, [(path, len(rows))], None, hashes)


def _hash(rows: Sequence[Sequence[str]], names: Sequence[str]) -> np.ndarray:
  order = sorted(range(len(names)), key=names.__getitem__)
  if len(order) > 1:
    rows = map(operator.itemgetter(*order), rows)
  return row_hashes.of_texts(rows)


def _unreadable(path: str, error: Exception, allowed: str
                ) -> table_lib.DataError:
  """Returns the error that says why a file cannot be read."""
  if isinstance(error, UnicodeDecodeError):
    return table_lib.DataError(
        f"{path}, line {_line_not_utf8(path)}: cannot be read: it is not UTF-8;"
        f" allowed: {allowed}")
  return table_lib.unreadable(path, error, allowed)


def _line_not_utf8(path: str) -> int:
  """Returns the first line that is not UTF-8; the error counts by chunks."""
  with _open_bytes(path) as file:
    for number, line in enumerate(file, 1):
      try:
        line.decode("utf-8")
      except UnicodeDecodeError:
        break
    return number
