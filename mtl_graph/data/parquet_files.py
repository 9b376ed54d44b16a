"""Reads Parquet files."""

from typing import Collection, Dict, Iterator, Optional, Sequence, Tuple

import numpy as np

from mtl_graph.data import lists
from mtl_graph.data import paths as paths_lib
from mtl_graph.data import row_hashes
from mtl_graph.data import table as table_lib
from mtl_graph.data import texts

_ALLOWED = "a Parquet file"


def read(paths: Sequence[str], columns: Collection[str], field_path: str,
         hash_rows: bool = False) -> table_lib.Table:
  """Reads Parquet files, one after the other.

  Args:
    paths: The files.
    columns: Names of the columns to keep; no others are read, unless rows are
      hashed.
    field_path: Where the source sits in the experiment; used in errors.
    hash_rows: Whether to hash each row: its values in all columns.

  Returns:
    A `Table` of numbers (whole ones become float64 with NaN where some are
    null) and strings; of lists as `lists.column` puts them.

  Raises:
    DataError: If pyarrow is not installed, a file cannot be read or lacks a
      column, or a column is of a type that has no place here.
  """
  _check_installed(paths)
  parts, files, hashes = [], [], []
  for path in paths:
    part, rows = _read_file(path, columns, field_path, hash_rows)
    parts.append(part)
    files.append((path, rows))
    if hash_rows:
      hashes.append(row_hashes.of_columns(part))
  merged = {}
  for name in columns:
    try:
      merged[name] = lists.column(
          lists.concatenate([part[name] for part in parts]))
    except TypeError as error:
      raise _two_types(paths, name) from error
  return table_lib.Table(merged, files, None,
                         np.concatenate(hashes) if hash_rows else None)


def _check_installed(paths: Sequence[str]) -> None:
  try:
    import pyarrow  # pylint: disable=g-import-not-at-top,unused-import
  except ImportError as error:
    raise table_lib.DataError(
        f"{paths[0]}: to be read it needs pyarrow; allowed: pip install "
        "'mtl-graph[parquet]'") from error


def pieces(paths: Sequence[str], columns: Collection[str], field_path: str,
           hash_rows: bool, size: int) -> Iterator[table_lib.Table]:
  """Reads Parquet files piece by piece; arguments are those of `read`.

  Args:
    paths: The files.
    columns: Names of the columns to keep.
    field_path: Where the source sits in the experiment; used in errors.
    hash_rows: Whether to hash each row.
    size: Rows of a piece, the last of a file aside.

  Yields:
    A `Table` each, in order.

  Raises:
    DataError: As `read`.
  """
  _check_installed(paths)
  is_text = {}
  for path in paths:
    first = 0
    for part, rows in _read_pieces(path, columns, field_path, hash_rows, size):
      for name in columns:
        if len(part[name].flat):
          kind = part[name].flat.dtype.kind not in "biuf"
          if is_text.setdefault(name, kind) != kind:
            raise _two_types(paths, name)
      end = first + rows
      yield table_lib.Table(
          {name: lists.column(part[name]) for name in columns}, [(path, end)],
          np.arange(first, end),
          row_hashes.of_columns(part) if hash_rows else None)
      first = end


def _two_types(paths: Sequence[str], name: str) -> table_lib.DataError:
  return table_lib.DataError(
      f"{', '.join(paths)}: column '{name}' holds numbers in one file, text in "
      "another; allowed: one type")


def _read_file(path: str, columns: Collection[str], field_path: str,
               read_all: bool) -> Tuple[Dict[str, lists.Lists], int]:
  """Reads one file; returns its columns and its number of rows."""
  part, = _read_pieces(path, columns, field_path, read_all)
  return part


def _read_pieces(path: str, columns: Collection[str], field_path: str,
                 read_all: bool, size: Optional[int] = None
                 ) -> Iterator[Tuple[Dict[str, lists.Lists], int]]:
  """Yields the columns and numbers of rows of pieces, or of the whole file."""
  import pyarrow
  from pyarrow import parquet
  try:
    with paths_lib.open_binary(path) as file, parquet.ParquetFile(file) as rows:
      names = rows.schema_arrow.names
      table_lib.check_once(names, path)
      table_lib.check_present(columns, names, path, field_path)
      wanted = names if read_all else list(dict.fromkeys(columns))
      if size is None:
        some = [rows.read(columns=wanted)]
      else:
        some = (pyarrow.Table.from_batches([batch]) for batch
                in rows.iter_batches(size, columns=wanted))
      first = 0
      for content in some:
        yield ({name: _lists(content.column(name), path, name, first)
                for name in wanted}, content.num_rows)
        first += content.num_rows
  except (OSError, ValueError, KeyError, RuntimeError, MemoryError,
          pyarrow.ArrowException) as error:
    raise table_lib.unreadable(path, error, _ALLOWED) from error


def _lists(column, path: str, name: str, first: int) -> lists.Lists:
  """Turns a column of Arrow into values and lengths; a null row holds none.

  `first` is how many rows of the file stand before it.
  """
  import pyarrow
  from pyarrow import compute
  types, kind = pyarrow.types, column.type
  try:
    values = column.combine_chunks()
    if str(kind) == "string_view":  # Which arrow can hardly work on.
      values = values.cast(pyarrow.large_string())
    if (types.is_list(kind) or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)):
      lengths = compute.fill_null(compute.list_value_length(values), 0)
      values = compute.list_flatten(values)
    else:
      lengths = compute.cast(compute.is_valid(values), pyarrow.int64())
      values = values.drop_null()
    present = np.asarray(compute.is_valid(values), bool)
    flat = _numbers_or_bytes(values.drop_null())
  except pyarrow.ArrowException as error:
    raise table_lib.DataError(
        f"{path}: column '{name}' is of type {kind}: {error}; allowed: numbers,"
        " booleans, text, dates, and lists of them") from error
  lengths = np.asarray(lengths, np.int64)
  if isinstance(flat, list):
    decoded = texts.decode(flat)
    if len(decoded) < len(flat):
      row = lists.rows_of(lengths)[present][len(decoded)]
      raise table_lib.DataError(
          f"{path}, row {first + row + 1}, column '{name}': found bytes that "
          f"are not UTF-8: {flat[len(decoded)][:20]!r}; allowed: UTF-8 text")
    flat = np.array(decoded, object)
  return lists.Lists(lists.filled(flat, present), lengths)


def _numbers_or_bytes(values):
  """Turns an array of Arrow without nulls into an array, or a list of bytes."""
  import pyarrow
  types = pyarrow.types
  if types.is_dictionary(values.type):
    values = values.dictionary_decode()
  kind = values.type
  if (types.is_floating(kind) or types.is_integer(kind)
      or types.is_boolean(kind) or types.is_null(kind)):
    return np.asarray(values, np.float64 if types.is_null(kind) else None)
  if not (types.is_string(kind) or types.is_binary(kind)
          or types.is_fixed_size_binary(kind)):
    # Decimals, dates and times are written out; what is nested cannot be.
    values = values.cast(pyarrow.large_string())
  return values.cast(pyarrow.large_binary()).to_pylist()
