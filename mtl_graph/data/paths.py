"""Finds the files a path of the experiment stands for, and opens them."""

import collections
import glob
import io
import os
from typing import BinaryIO, List, Sequence, Tuple

from mtl_graph import shards
from mtl_graph.data import table as table_lib


def expand(paths: Sequence[str], field_path: str) -> List[str]:
  """Lists the files that paths, globs and shards stand for.

  Args:
    paths: The paths of the experiment.
    field_path: Where they sit in the experiment; used in errors.

  Returns:
    The files, those of a glob in alphabetical order.

  Raises:
    DataError: If a path stands for no file, a shard is missing, or a file comes
      more than once.
  """
  found = [name for path in paths for name in _names(path, field_path)]
  again = [p for p, times in collections.Counter(found).items() if times > 1]
  if again:
    raise table_lib.DataError(f"{again[0]}: is meant by more than one path "
                              f"of {field_path}; allowed: each file once")
  return found


def _names(path: str, field_path: str) -> List[str]:
  try:
    if _exists(path):
      return [path]
    names = shards.names(path)
    absent = [name for name in names if not _exists(name)]
    if not names:
      names = sorted(_remote().glob(path) if is_remote(path)
                     else glob.glob(path))
  except OSError as error:
    raise table_lib.DataError(
        f"{path}: cannot be looked for: {error} ({field_path}); "
        "allowed: a path of a file system that is within reach") from error
  if absent:
    raise table_lib.DataError(f"{field_path}: no file '{absent[0]}', of which "
                              f"'{path}' has {len(names)}; allowed: all of "
                              "them there")
  if not names:
    raise table_lib.DataError(f"{field_path}: no file matches '{path}'; "
                              "allowed: an existing file or a glob")
  return names


def is_remote(path: str) -> bool:
  """Returns whether a path names a file system, as in "gs://bucket/rows"."""
  return "://" in path


def open_binary(path: str) -> BinaryIO:
  """Opens a file of any file system for reading bytes.

  Local files go past TensorFlow, which reads lines slowly and says less about
  what is wrong.
  """
  if is_remote(path):
    return io.BufferedReader(_remote().File(path), 1 << 20)
  return open(path, "rb")


def stamp(path: str) -> Tuple[str, int, int]:
  """Returns what changes with a file: its path, its size, and when it changed.

  Raises:
    DataError: If the file cannot be reached.
  """
  try:
    if is_remote(path):
      return (path, *_remote().size_and_time(path))
    found = os.stat(path)
  except OSError as error:
    raise table_lib.unreadable(path, error, "an existing file") from error
  return os.path.abspath(path), found.st_size, found.st_mtime_ns


def _exists(path: str) -> bool:
  return _remote().exists(path) if is_remote(path) else os.path.exists(path)


def _remote():
  """Returns the module that reaches other file systems.

  Loaded when asked for: TensorFlow takes seconds, and a process that parses
  local rows has no other need of it.
  """
  from mtl_graph.data import remote_files
  return remote_files
