"""Goes through rows slice by slice, so that not all need be in memory."""

import mmap
from typing import Iterator

import numpy as np

# Rows of a slice where nothing else is asked for. What is summed over slices
# depends on it to the last bit.
ROWS = 16384


def each(rows: int, size: int = ROWS) -> Iterator[slice]:
  """Yields the slices that rows are cut into, each of `size` but the last."""
  for start in range(0, rows, size):
    yield slice(start, min(start + size, rows))


def of(array: np.ndarray, size: int = ROWS) -> Iterator[np.ndarray]:
  """Yields an array slice by slice; of a file on disk no more is in memory."""
  for piece in each(len(array), size):
    yield array[piece]
    forget(array)


def forget(array: np.ndarray) -> None:
  """Gives back the memory that reading an `np.memmap` takes; others stay.

  The pages of the file that were read count as memory of the process until
  they are given back, though the system keeps them as long as it has room.
  """
  if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
    array.base.madvise(mmap.MADV_DONTNEED)
