"""Reads the columns of sources of any kind."""

from typing import Collection

from mtl_graph import config
from mtl_graph.data import arrays as arrays_lib
from mtl_graph.data import csv_files
from mtl_graph.data import npz_files
from mtl_graph.data import parquet_files
from mtl_graph.data import paths as paths_lib
from mtl_graph.data import table as table_lib
from mtl_graph.data import tfrecord_files
from mtl_graph.protos import data_pb2

# The face of these modules, for whoever reads rows.
DataError = table_lib.DataError
Table = table_lib.Table
count = table_lib.count
from_arrays = arrays_lib.read
locate = table_lib.locate


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
  kind = source.WhichOneof("kind")
  files = getattr(source, kind)
  paths = paths_lib.expand(files.path, field_path)
  if kind == "csv":
    table = csv_files.read(files, paths, columns, field_path, hash_rows)
  elif kind == "npz":
    table = npz_files.read(paths, columns, field_path, hash_rows)
  elif kind == "tfrecord":
    table = tfrecord_files.read(paths, columns, field_path, hash_rows)
  elif kind == "parquet":
    table = parquet_files.read(paths, columns, field_path, hash_rows)
  else:
    raise config.ConfigError(field_path, f"found {kind}; allowed: csv, npz, "
                             "tfrecord, parquet")
  if not count(table):
    raise DataError(f"{', '.join(paths)}: found no rows; allowed: at least one "
                    f"({field_path})")
  return table
