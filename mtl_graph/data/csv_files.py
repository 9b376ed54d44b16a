"""Reads CSV files."""

import contextlib
import csv
import gc
import gzip
import io
import operator
from typing import (BinaryIO, Collection, FrozenSet, Iterator, List, NamedTuple,
                    Optional, Sequence, Tuple)
import zlib

import numpy as np

from mtl_graph.data import csv_rows
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
  with _no_search_for_garbage():
    return table_lib.concatenate(
        [_read_file(path, columns, header, files, field_path, hash_rows)
         for path in paths], columns)


@contextlib.contextmanager
def _no_search_for_garbage() -> Iterator[None]:
  """Saves Python from looking again and again at rows that are all in use."""
  enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if enabled:
      gc.enable()


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
  try:
    with _open_text(path) as file:
      rows = _parse(file, path, 1, files.strip_spaces)
  except _ERRORS as error:
    raise _unreadable(path, error, _ALLOWED) from error
  names = _names(header, rows, path)
  table_lib.check_once(names, path)
  layout = _layout(path, names, columns, files, hash_rows)
  _check_lengths(rows, 0, layout)
  table_lib.check_present(columns, names, path, field_path)
  return _table(rows, 0, layout)._replace(rows=None)


class Layout(NamedTuple):
  """What a row of a file is made of.

  Attributes:
    path: The file.
    names: Names of all columns.
    columns: Those that are kept.
    strip_spaces: As `CsvFiles.strip_spaces`.
    missing: As `CsvFiles.missing_value`.
    hash_rows: Whether to hash each row.
  """
  path: str
  names: Tuple[str, ...]
  columns: FrozenSet[str]
  strip_spaces: bool
  missing: FrozenSet[str]
  hash_rows: bool


class Piece(NamedTuple):
  """Some whole rows of a file, not parsed yet.

  Attributes:
    content: Their bytes.
    first: Rows of the file that stand before them, its header left out.
    line: Number of the first line.
    layout: The `Layout`.
  """
  content: bytes
  first: int
  line: int
  layout: Layout


def pieces(files: data_pb2.CsvFiles, paths: Sequence[str],
           columns: Collection[str], field_path: str, hash_rows: bool,
           size: int) -> Iterator[Piece]:
  """Cuts CSV files into pieces of whole rows; arguments are those of `read`.

  Args:
    files: How the files are written.
    paths: The files.
    columns: Names of the columns to keep.
    field_path: Where the source sits in the experiment; used in errors.
    hash_rows: Whether to hash each row.
    size: Rows of a piece, the last of a file aside.

  Yields:
    A `Piece` each, in order.

  Raises:
    DataError: If a file cannot be read or lacks a column.
  """
  header = _read_header(files.header_file) if files.header_file else None
  for path in paths:
    names, first = header, 0
    try:
      with _open_bytes(path) as file:
        cutter = csv_rows.Cutter(file, files.strip_spaces)
        if header is None:
          rows, line, _ = cutter.take(1)
          names = _names(None, _parse(
              _text(rows), path, line, files.strip_spaces), path)
        table_lib.check_once(names, path)
        table_lib.check_present(columns, names, path, field_path)
        layout = _layout(path, names, columns, files, hash_rows)
        while True:
          content, line, count = cutter.take(size)
          if not count:
            break
          yield Piece(content, first, line, layout)
          first += count
    except csv.Error as error:
      raise _malformed(path, cutter.line, error) from error
    except _ERRORS as error:
      raise _unreadable(path, error, _ALLOWED) from error


def parse(piece: Piece) -> table_lib.Table:
  """Parses a piece; returns the `Table` that `read` would for its rows.

  Raises:
    DataError: If a row cannot be read, or is of the wrong length.
  """
  path = piece.layout.path
  try:
    rows = _parse(_text(piece.content), path, piece.line,
                  piece.layout.strip_spaces)
  except UnicodeDecodeError as error:
    raise _unreadable(path, error, _ALLOWED) from error
  _check_lengths(rows, piece.first, piece.layout)
  return _table(rows, piece.first, piece.layout)


def _text(content: bytes) -> io.TextIOBase:
  return io.StringIO(content.decode("utf-8"), newline="")


def _parse(text: io.TextIOBase, path: str, line: int, strip_spaces: bool
           ) -> List[List[str]]:
  """Parses text whose first line has a number; blank lines are no rows."""
  # Strict, else a quote left open would swallow the rest of the file; but
  # strict about spaces behind a quote, too.
  reader = csv.reader(text, skipinitialspace=strip_spaces,
                      strict=not strip_spaces)
  rows, before = [], line - 1
  try:
    for row in reader:
      if row:
        rows.append(row)
      line = before + reader.line_num + 1
  except csv.Error as error:
    raise _malformed(path, line, error) from error
  return rows


def _malformed(path: str, line: int, error: csv.Error) -> table_lib.DataError:
  return table_lib.DataError(
      f"{path}, line {line}: cannot be read: {error}; allowed: fields quoted "
      "as RFC 4180 has it")


def _names(header: Optional[Sequence[str]], rows: List[List[str]], path: str
           ) -> Sequence[str]:
  """Returns the names of the columns; takes them from the rows if need be."""
  if header is not None:
    return header
  if not rows:
    raise table_lib.DataError(f"{path}: found an empty file; allowed: "
                              f"{_ALLOWED}")
  return [name.strip() for name in rows.pop(0)]


def _layout(path, names, columns, files, hash_rows) -> Layout:
  return Layout(path, tuple(names), frozenset(columns), files.strip_spaces,
                frozenset(files.missing_value), hash_rows)


def _check_lengths(rows: List[List[str]], first: int, layout: Layout) -> None:
  """Raises unless each row has a field per column."""
  width = len(layout.names)
  if set(map(len, rows)) - {width}:
    wrong = next(i for i, row in enumerate(rows) if len(row) != width)
    raise table_lib.DataError(
        f"{layout.path}, row {first + wrong + 1}: found {len(rows[wrong])} "
        f"fields; allowed: {width}, one per column")


def _table(rows: List[List[str]], first: int, layout: Layout
           ) -> table_lib.Table:
  """Turns rows into columns; `first` is how many stand before them."""
  if layout.strip_spaces:
    rows = [[field.strip() for field in row] for row in rows]
  hashes = _hash(rows, layout.names) if layout.hash_rows else None
  arrays = {}
  for i, name in enumerate(layout.names):
    if name in layout.columns:
      values = [row[i] for row in rows]
      if layout.missing:
        values = ["" if value in layout.missing else value for value in values]
      # Objects: an array of strings would make all as wide as the widest.
      arrays[name] = np.array(values, object)
  end = first + len(rows)
  return table_lib.Table(arrays, [(layout.path, end)],
                         np.arange(first, end), hashes)


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
