"""Writes columns to disk row after row, and reads slices of them back."""

import bisect
import json
import math
from typing import Any, Dict, List, NamedTuple, Sequence, Union

import numpy as np


class Coded(NamedTuple):
  """Strings, each of which is kept once.

  Attributes:
    codes: Place among `entries` of each string, of the strings' shape.
    entries: The strings.
  """
  codes: np.ndarray
  entries: List[str]


def encode(values: np.ndarray) -> Coded:
  """Takes strings apart; `values` is an object array of `str`."""
  texts = values.reshape(-1).tolist()
  index = {text: code for code, text in enumerate(dict.fromkeys(texts))}
  codes = np.fromiter(map(index.__getitem__, texts),
                      np.min_scalar_type(max(len(index) - 1, 0)), len(texts))
  return Coded(codes.reshape(values.shape), list(index))


def decode(coded: Coded) -> np.ndarray:
  """Puts strings together again."""
  return np.array(coded.entries, object)[coded.codes]


class Writer:
  """Writes a column: numbers of any shape per row, or strings."""

  def __init__(self, path: str):
    self._path, self._file = path, open(path, "wb")
    self._dtype, self._shape, self._rows = None, (), 0
    self._records = []  # Of strings: where each piece begins, row and byte.

  def append(self, values: Union[np.ndarray, Coded]) -> None:
    """Adds rows, all of one type and shape."""
    is_text = isinstance(values, Coded)
    array = values.codes if is_text else values
    self._dtype = "str" if is_text else array.dtype.str
    self._shape = array.shape[1:]
    if is_text:
      self._records.append([self._rows, self._file.tell()])
      np.save(self._file, array)
      text = json.dumps(values.entries).encode()
      np.save(self._file, np.frombuffer(text, np.uint8))
    else:
      self._file.write(np.ascontiguousarray(array).data)
    self._rows += len(array)

  def close(self) -> Dict[str, Any]:
    """Ends the file; returns what `Column` needs to read it, as JSON has it."""
    self._file.close()
    return {"dtype": self._dtype, "shape": [self._rows, *self._shape],
            "records": self._records}


class Column:
  """A column on disk; slices of it are arrays.

  Attributes:
    shape: Its shape.
  """

  def __init__(self, path: str, written: Dict[str, Any]):
    """Opens a column.

    Args:
      path: Its file.
      written: What `Writer.close` returned.
    """
    self._path, self._dtype = path, written["dtype"]
    self._records = written["records"]
    self.shape = tuple(written["shape"])

  def __len__(self):
    return self.shape[0]

  def __getitem__(self, rows: slice) -> np.ndarray:
    start, stop, _ = rows.indices(len(self))
    if self._dtype == "str":
      return self._strings(start, stop)
    dtype, size = np.dtype(self._dtype), math.prod(self.shape[1:])
    values = np.fromfile(self._path, dtype, max(stop - start, 0) * size,
                         offset=start * size * dtype.itemsize)
    return values.reshape(-1, *self.shape[1:])

  def _strings(self, start, stop):
    starts = [first for first, _ in self._records]
    found = []
    with open(self._path, "rb") as file:
      place = bisect.bisect_right(starts, start) - 1
      for first, offset in self._records[place:]:
        if first >= stop:
          break
        file.seek(offset)
        codes = np.load(file)
        entries = json.loads(np.load(file).tobytes())
        found.append(decode(Coded(
            codes[max(start - first, 0):stop - first], entries)))
    return np.concatenate(found)


class Joined:
  """Columns one after the other, as one."""

  def __init__(self, columns: Sequence[Column]):
    self._columns = columns
    self.shape = (sum(map(len, columns)), *columns[0].shape[1:])

  def __len__(self):
    return self.shape[0]

  def __getitem__(self, rows: slice) -> np.ndarray:
    start, stop, _ = rows.indices(len(self))
    found = []
    for column in self._columns:
      if start < len(column) and stop > 0:
        found.append(column[max(start, 0):stop])
      start, stop = start - len(column), stop - len(column)
    return np.concatenate(found)
