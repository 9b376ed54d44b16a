"""Reaches files of any file system, with the errors that Python's own have."""

import io
from typing import List, Tuple

import tensorflow.compat.v1 as tf


def exists(path: str) -> bool:
  """Returns whether there is a file; raises `OSError` if that is not known."""
  try:
    return tf.io.gfile.exists(path)
  except tf.errors.OpError as error:
    raise OSError(error.message) from error


def glob(pattern: str) -> List[str]:
  """Returns the files of a pattern; raises `OSError` if they are not known."""
  try:
    return tf.io.gfile.glob(pattern)
  except tf.errors.OpError as error:
    raise OSError(error.message) from error


def size_and_time(path: str) -> Tuple[int, int]:
  """Returns a file's bytes, and when it changed; raises `OSError` if it cannot.
  """
  try:
    found = tf.io.gfile.stat(path)
  except tf.errors.OpError as error:
    raise OSError(error.message) from error
  return found.length, found.mtime_nsec


class File(io.RawIOBase):
  """A file of `tf.io.gfile` as Python's readers want it: with its errors."""

  def __init__(self, path: str):
    super().__init__()
    self._file = tf.io.gfile.GFile(path, "rb")

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    try:
      read = self._file.read(len(buffer))
    except tf.errors.OpError as error:
      raise OSError(error.message or type(error).__name__) from error
    buffer[:len(read)] = read
    return len(read)

  def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
    try:
      self._file.seek(offset, whence)
      return self._file.tell()
    except tf.errors.OpError as error:
      raise OSError(error.message or type(error).__name__) from error

  def tell(self) -> int:
    return self._file.tell()

  def close(self) -> None:
    self._file.close()
    super().close()
