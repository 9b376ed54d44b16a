"""Reads NumPy archives."""

import contextlib
from typing import Collection, Iterator, List, Sequence, Tuple
import zipfile
import zlib

import numpy as np

from mtl_graph.data import npz_members
from mtl_graph.data import paths as paths_lib
from mtl_graph.data import row_hashes
from mtl_graph.data import slices
from mtl_graph.data import table as table_lib

_ALLOWED = ("an archive of arrays without Python objects, as numpy.savez "
            "writes it")


def read(paths: Sequence[str], columns: Collection[str], field_path: str,
         hash_rows: bool = False) -> table_lib.Table:
  """Reads .npz files, one after the other.

  Args:
    paths: The files.
    columns: Names of the columns to keep.
    field_path: Where the source sits in the experiment; used in errors.
    hash_rows: Whether to hash each row: its entries of all arrays, which then
      must all have as many.

  Returns:
    A `Table`.

  Raises:
    DataError: If a file cannot be read, lacks a column, or has columns of
      several lengths.
  """
  return table_lib.concatenate(
      [_read_file(path, columns, field_path, hash_rows) for path in paths],
      columns)


def pieces(paths: Sequence[str], columns: Collection[str], field_path: str,
           hash_rows: bool, size: int) -> Iterator[table_lib.Table]:
  """Reads .npz files piece by piece; arguments are those of `read`.

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
  shapes = {}
  for path in paths:
    with _opened(path, columns, field_path, hash_rows) as (archive, wanted):
      with contextlib.ExitStack() as stack:
        streams = {name: stack.enter_context(npz_members.open_member(
            archive, name)) for name in wanted}
        rows = table_lib.common_length(
            {name: np.broadcast_to(0, stream.shape)
             for name, stream in streams.items()}, path)
        for name in columns:
          shape = streams[name].shape[1:]
          if shapes.setdefault(name, shape) != shape:
            raise table_lib.other_shapes(paths, name)
        for part in slices.each(rows, size):
          arrays = {name: stream.read(part.stop - part.start)
                    for name, stream in streams.items()}
          yield table_lib.Table(
              {name: arrays[name] for name in columns}, [(path, part.stop)],
              np.arange(part.start, part.stop),
              row_hashes.of_columns(arrays) if hash_rows else None)


def _read_file(path: str, columns: Collection[str], field_path: str,
               hash_rows: bool) -> table_lib.Table:
  """Reads one archive."""
  with _opened(path, columns, field_path, hash_rows) as (archive, wanted):
    arrays = {name: archive[name] for name in wanted}
  rows = table_lib.common_length(arrays, path)
  return table_lib.Table(
      {name: arrays[name] for name in columns}, [(path, rows)], None,
      row_hashes.of_columns(arrays) if hash_rows else None)


@contextlib.contextmanager
def _opened(path: str, columns: Collection[str], field_path: str,
            read_all: bool) -> Iterator[Tuple[np.lib.npyio.NpzFile, List[str]]]:
  """Opens an archive; gives it, and the names of the arrays to read."""
  try:
    with paths_lib.open_binary(path) as file:
      # What does not begin like this, numpy.load takes for a pickle.
      if file.read(4) != b"PK\3\4" or not zipfile.is_zipfile(file):
        raise table_lib.DataError(
            f"{path}: cannot be read: it is no zip archive, or is cut off; "
            f"allowed: {_ALLOWED}")
      file.seek(0)
      with np.load(file, allow_pickle=False) as archive:
        table_lib.check_present(columns, archive.files, path, field_path)
        yield archive, list(archive.files if read_all else columns)
  except (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError,
          RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
    raise table_lib.unreadable(path, error, _ALLOWED) from error
