"""Reads the arrays of an .npz archive row by row."""

import math
from typing import BinaryIO, Optional, Tuple

import numpy as np


class Member:
  """One array of an archive, read from its first row to its last.

  Attributes:
    shape: Its shape.
  """

  def __init__(self, file: Optional[BinaryIO], shape: Tuple[int, ...],
               dtype: np.dtype, whole: Optional[np.ndarray] = None):
    self.shape = shape
    self._file, self._dtype, self._whole, self._start = file, dtype, whole, 0

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    if self._file is not None:
      self._file.close()

  def read(self, rows: int) -> np.ndarray:
    """Reads the next rows.

    Raises:
      EOFError: If there are not as many.
    """
    if self._whole is not None:
      self._start += rows
      return self._whole[self._start - rows:self._start]
    shape = (rows, *self.shape[1:])
    size = math.prod(shape) * self._dtype.itemsize
    content = self._file.read(size)
    if len(content) < size:
      raise EOFError("an array is cut off")
    return np.frombuffer(content, self._dtype).reshape(shape)


def open_member(archive: np.lib.npyio.NpzFile, name: str) -> Member:
  """Opens an array; what does not lie row by row is read whole.

  Args:
    archive: What `numpy.load` returned.
    name: Name of the array.

  Returns:
    A `Member`.

  Raises:
    ValueError, and what else `numpy.load` does: If it cannot be read.
  """
  file = archive.zip.open(f"{name}.npy" if f"{name}.npy"
                          in archive.zip.namelist() else name)
  version = np.lib.format.read_magic(file)
  if version == (1, 0):
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
    if shape and not dtype.hasobject and not (by_column and len(shape) > 1):
      return Member(file, shape, dtype)
  file.close()
  whole = archive[name]
  return Member(None, whole.shape, whole.dtype, whole)
