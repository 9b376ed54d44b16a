"""Reads batches from rows on disk, ahead of the steps that take them."""

import collections
from concurrent import futures
from typing import Callable, Deque, NamedTuple

import numpy as np

from mtl_graph.data import batches
from mtl_graph.data import slices

# Which rows some batches hold: (number of the first, how many) -> row numbers,
# one batch after the other.
RowsOf = Callable[[int, int], np.ndarray]

# Batches that are read ahead even of somebody who takes them one by one, unless
# they have more bytes than that: the thread is asked for several at once.
_AHEAD, _AHEAD_BYTES = 16, 1 << 22


class _Piece(NamedTuple):
  """Batches that were read, or are being read.

  Attributes:
    first: Number of the first.
    end: Number behind the last.
    rows: Their rows, a `Batch` of arrays, once they are there.
  """
  first: int
  end: int
  rows: futures.Future


class Reader:
  """Gives the rows of batches by number, and has the next ones ready."""

  def __init__(self, rows: batches.Batch, rows_of: RowsOf, size: int):
    """Starts the thread that reads ahead.

    Args:
      rows: A `Batch` of arrays or `np.memmap`s with all rows.
      rows_of: Says which rows batches hold.
      size: Rows of a batch.
    """
    self._rows = rows
    self._rows_of = rows_of
    self._size = size
    self._thread = futures.ThreadPoolExecutor(1)
    # One behind the other, the first being the one that is taken from.
    self._pieces: Deque[_Piece] = collections.deque()
    self._most_at_once = self._ahead = 1
    row = sum(array.shape[1] * array.itemsize for array in rows)
    self._least = max(min(_AHEAD, _AHEAD_BYTES // (row * size)), 1)

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  def read(self, number: int, count: int, into: batches.Batch) -> None:
    """Reads batches, and starts to read those that follow.

    What has been read ahead is kept until it is asked for or passed over, be
    it asked for in other portions or not.

    Args:
      number: Number of the first batch.
      count: How many.
      into: A `Batch` of arrays, with room for at least as many, that their rows
        are written to one batch after the other; what is behind them stays.

    Raises:
      Exception: What reading these batches raises.
    """
    end = number + count
    while number < end:
      piece = self._piece_of(number, end)
      upto = min(piece.end, end)
      there = slice(*[(i - piece.first) * self._size for i in (number, upto)])
      start = (count - (end - number)) * self._size
      for target, array in zip(into, piece.rows.result()):
        rows = array[there]
        target[start:start + len(rows)] = rows
      number = upto
    if self._pieces and self._pieces[0].end <= end:
      self._pieces.popleft()
    self._read_ahead(end, count, len(into[0]) // self._size)

  def _piece_of(self, number: int, end: int) -> _Piece:
    """Returns a piece that begins with a batch, or has it in its midst."""
    while self._pieces and self._pieces[0].end <= number:
      self._pieces.popleft()
    if self._pieces and (self._pieces[0].first > number
                         or self._pieces[0].rows.exception()):
      # What was read for somebody who no longer wants it is of no use; and if
      # a piece has failed, what is wanted of it may be without fault.
      self._pieces.clear()
    if not self._pieces:
      piece = self._submit(number, end)
      piece.rows.result()
      self._pieces.append(piece)
    return self._pieces[0]

  def _read_ahead(self, number: int, count: int, room: int) -> None:
    """Has the thread read on, where there is less than may be wanted next."""
    # Takers begin with few batches and go on to more.
    self._most_at_once = max(self._most_at_once, count)
    self._ahead = min(2 * max(self._ahead, count), max(room, self._least))
    begin = self._pieces[-1].end if self._pieces else number
    if begin - number < max(self._most_at_once, self._ahead // 2):
      if begin < number + self._ahead:
        self._pieces.append(self._submit(begin, number + self._ahead))

  def _submit(self, first: int, end: int) -> _Piece:
    return _Piece(first, end, self._thread.submit(self._read, first,
                                                  end - first))

  def close(self) -> None:
    """Ends the thread."""
    self._thread.shutdown(cancel_futures=True)

  def _read(self, number: int, count: int) -> batches.Batch:
    rows = self._rows_of(number, count)
    found = batches.Batch(*[np.take(np.asarray(array), rows, axis=0)
                            for array in self._rows])
    for array in self._rows:
      slices.forget(array)
    return found
