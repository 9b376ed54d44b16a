"""Hashes of rows, the same on every machine and in every order of rows."""

import hashlib
import json
from typing import Iterable, List, Mapping, Sequence, Union

import numpy as np

from mtl_graph.data import lists
from mtl_graph.data import texts

_BLOCK = 4096  # Rows whose bytes are held at a time.


def digest(record: bytes) -> bytes:
  """Returns the hash of one row, 8 bytes."""
  return hashlib.blake2b(record, digest_size=8).digest()


def join(digests: Iterable[bytes]) -> np.ndarray:
  """Returns digests as numbers, uint64 [N]."""
  return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def fractions(hashes: np.ndarray) -> np.ndarray:
  """Returns hashes as numbers from 0 to below 1, as exact as float64 can be."""
  # All 64 bits would round the largest up to 1, which no part contains.
  return (hashes >> np.uint64(11)) / 2 ** 53


def of_texts(rows: Iterable[Sequence[str]]) -> np.ndarray:
  """Hashes rows of strings; uint64 [N]."""
  return join(digest(json.dumps(row).encode()) for row in rows)


def of_columns(columns: Mapping[str, Union[np.ndarray, lists.Lists]]
               ) -> np.ndarray:
  """Hashes the rows of columns.

  A number counts as the 64-bit floating point number nearest to it, whatever
  its type; columns count in the order of their names.

  Args:
    columns: Arrays of one entry per row, or `Lists`, by column.

  Returns:
    A hash per row, uint64 [N].
  """
  taken = []
  for _, values in sorted(columns.items()):
    if not isinstance(values, lists.Lists):
      values = lists.of(values)
    ends = np.cumsum(values.lengths)
    taken.append((values, ends - values.lengths, ends))
  rows = len(taken[0][1])

  def records():
    for start in range(0, rows, _BLOCK):
      stop = min(start + _BLOCK, rows)
      yield from map(b"".join, zip(*[
          _encoded(values.flat[starts[start]:ends[stop - 1]],
                   values.lengths[start:stop])
          for values, starts, ends in taken]))

  return join(digest(record) for record in records())


def _encoded(flat: np.ndarray, lengths: np.ndarray) -> List[bytes]:
  """Returns the bytes of each row: how long they are, then the values."""
  ends = np.cumsum(lengths).tolist()
  starts = [0, *ends]
  if flat.dtype.kind in "biuf":
    numbers = flat.astype(np.float64) + 0.0  # There is one zero.
    numbers[np.isnan(numbers)] = np.nan  # And one NaN.
    buffer = numbers.astype("<f8").tobytes()
    parts = [buffer[8 * start:8 * end] for start, end in zip(starts, ends)]
  else:
    values = texts.of(flat)
    parts = [json.dumps(values[start:end]).encode()
             for start, end in zip(starts, ends)]
  return [len(part).to_bytes(8, "little") + part for part in parts]
