"""Reads batches from rows on disk, ahead of the steps that take them."""

from concurrent import futures
from typing import Callable, Optional, Tuple

import numpy as np

from mtl_graph.data import batches
from mtl_graph.data import slices

# Which rows some batches hold: (number of the first, how many) -> row numbers,
# one batch after the other.
RowsOf = Callable[[int, int], np.ndarray]


class Reader:
  """Gives the rows of batches by number, and has the next ones ready."""

  def __init__(self, rows: batches.Batch, rows_of: RowsOf):
    """Starts the thread that reads ahead.

    Args:
      rows: A `Batch` of arrays or `np.memmap`s with all rows.
      rows_of: Says which rows batches hold.
    """
    self._rows = rows
    self._rows_of = rows_of
    self._thread = futures.ThreadPoolExecutor(1)
    self._ahead: Optional[Tuple[Tuple[int, int], futures.Future]] = None

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  def read(self, number: int, count: int, ahead: Optional[int] = None
           ) -> batches.Batch:
    """Reads batches, and starts to read those that follow.

    Args:
      number: Number of the first batch.
      count: How many.
      ahead: How many of those that follow are read ahead; None: as many; 0:
        none.

    Returns:
      A `Batch` of arrays of the types that the graph takes, the rows of the
      batches one after the other.

    Raises:
      Exception: What reading has raised, be it ahead or now.
    """
    wanted, found = (number, count), None
    if self._ahead is not None:
      # What was read for somebody who no longer wants it is of no use, and no
      # longer of interest if it failed.
      begun, reading = self._ahead
      self._ahead = None
      if begun == wanted:
        found = reading.result()
      else:
        futures.wait([reading])
    if found is None:
      found = self._thread.submit(self._read, *wanted).result()
    following = (number + count, count if ahead is None else ahead)
    if following[1]:
      self._ahead = following, self._thread.submit(self._read, *following)
    return found

  def close(self) -> None:
    """Ends the thread."""
    self._thread.shutdown(cancel_futures=True)

  def _read(self, number: int, count: int) -> batches.Batch:
    rows = self._rows_of(number, count)
    found = batches.cast(batches.Batch(*[array[rows] for array in self._rows]))
    for array in self._rows:
      slices.forget(array)
    return found
