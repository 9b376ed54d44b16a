"""Reads the columns of sources of any kind."""

from typing import Collection, Iterator, List, Optional, Sequence, Union

from mtl_graph import config
from mtl_graph.data import arrays as arrays_lib
from mtl_graph.data import csv_files
from mtl_graph.data import npz_files
from mtl_graph.data import parquet_files
from mtl_graph.data import paths as paths_lib
from mtl_graph.data import python_rows
from mtl_graph.data import table as table_lib
from mtl_graph.data import tfrecord_files
from mtl_graph.protos import data_pb2

# The face of these modules, for whoever reads rows.
DataError = table_lib.DataError
Table = table_lib.Table
count = table_lib.count
from_arrays = arrays_lib.read
locate = table_lib.locate

# Rows of one file: to be parsed still, or parsed.
Piece = Union[csv_files.Piece, table_lib.Table]


def read(source: data_pb2.Source, columns: Collection[str], field_path: str,
         hash_rows: bool = False) -> Table:
  """Reads the named columns of a source, all of its files one after the other.

  Args:
    source: The source, valid.
    columns: Names of the columns to keep.
    field_path: Where `source` sits in the experiment; used in errors.
    hash_rows: Whether to hash each whole row, columns that are not kept
      included.

  Returns:
    A `Table`. The columns of CSV files are arrays of strings.

  Raises:
    DataError: If a file cannot be read or lacks a column; if there are no rows.
  """
  kind, paths = source.WhichOneof("kind"), paths_of(source, field_path)
  if kind == "csv":
    table = csv_files.read(source.csv, paths, columns, field_path, hash_rows)
  elif kind == "npz":
    table = npz_files.read(paths, columns, field_path, hash_rows)
  elif kind == "tfrecord":
    table = tfrecord_files.read(paths, columns, field_path, hash_rows)
  elif kind == "parquet":
    table = parquet_files.read(paths, columns, field_path, hash_rows)
  elif kind == "python":
    table = python_rows.read(source.python, columns, field_path, hash_rows)
  else:
    raise _unknown(kind, field_path)
  check_some(count(table), paths, field_path)
  return table


def pieces(source: data_pb2.Source, columns: Collection[str], field_path: str,
           hash_rows: bool, size: int,
           parse_examples: Optional[tfrecord_files.ParseExamples] = None
           ) -> Iterator[Piece]:
  """Reads a source piece by piece; arguments are those of `read`.

  Args:
    source: The source, valid.
    columns: Names of the columns to keep.
    field_path: Where `source` sits in the experiment; used in errors.
    hash_rows: Whether to hash each whole row.
    size: Rows of a piece, the last of a file aside.
    parse_examples: See `tfrecord_files.pieces`.

  Yields:
    What `csv_files.parse` takes, or a `Table`, in order. Each table knows which
    rows of their file its rows are.

  Raises:
    DataError: If a file cannot be read or lacks a column.
  """
  kind, paths = source.WhichOneof("kind"), paths_of(source, field_path)
  rest = (columns, field_path, hash_rows, size)
  if kind == "csv":
    yield from csv_files.pieces(source.csv, paths, *rest)
  elif kind == "npz":
    yield from npz_files.pieces(paths, *rest)
  elif kind == "tfrecord":
    yield from tfrecord_files.pieces(paths, *rest, parse_examples)
  elif kind == "parquet":
    yield from parquet_files.pieces(paths, *rest)
  elif kind == "python":
    yield python_rows.read(source.python, columns, field_path, hash_rows)
  else:
    raise _unknown(kind, field_path)


def parsed(piece: Piece) -> Table:
  """Returns the rows of a piece, parsed if they were not."""
  return csv_files.parse(piece) if isinstance(piece, csv_files.Piece) else piece


def paths_of(source: data_pb2.Source, field_path: str) -> List[str]:
  """Lists the files of a source; raises `DataError` if one is missing.

  What stands for them where rows are no file's is the name of their function.
  """
  if source.HasField("python"):
    return [source.python.function]
  files = getattr(source, source.WhichOneof("kind"))
  return paths_lib.expand(files.path, field_path)


def check_some(rows: int, paths: Sequence[str], field_path: str) -> None:
  """Raises `DataError` if files hold no rows."""
  if not rows:
    raise DataError(f"{', '.join(paths)}: found no rows; allowed: at least one "
                    f"({field_path})")


def _unknown(kind, field_path):
  return config.ConfigError(field_path, f"found {kind}; allowed: csv, npz, "
                            "tfrecord, parquet, python")
