"""Cuts the bytes of CSV files where rows end, without parsing them."""

import codecs
import csv
from typing import BinaryIO, Iterator, List, Tuple


class Cutter:
  """Takes rows off a file, in order.

  A row without a quote ends with its line. One that has a quote is handed to
  the parser itself, which alone knows where it ends.

  Attributes:
    line: Number of the line that the last row to be looked at begins with.
  """

  def __init__(self, file: BinaryIO, strip_spaces: bool):
    """Begins.

    Args:
      file: The file, at its beginning.
      strip_spaces: Whether spaces around fields do not count.
    """
    self.line = 1
    self._next = 1
    self._lines = _lines(file)
    self._waiting: List[bytes] = []
    self._taken: List[bytes] = []
    self._quoted = csv.reader(self._fed(), skipinitialspace=strip_spaces,
                              strict=not strip_spaces)

  def take(self, size: int) -> Tuple[bytes, int, int]:
    """Takes rows, blank lines among them, which do not count.

    Args:
      size: How many at most.

    Returns:
      Their bytes, the number of the first line, and how many there are; fewer
      than `size` at the end of the file.

    Raises:
      csv.Error: If a row with a quote in it cannot be parsed.
    """
    self._taken, first, count = [], self._next, 0
    while count < size:
      line = next(self._lines, None)
      if line is None:
        break
      self.line = self._next
      if b'"' in line:
        self._waiting.append(line)
        next(self._quoted)
        count += 1
      else:
        self._take(line)
        count += line not in (b"\n", b"\r\n", b"\r")
    return b"".join(self._taken), first, count

  def _take(self, line):
    self._taken.append(line)
    self._next += 1

  def _fed(self) -> Iterator[str]:
    """Yields the lines that the parser asks for, the waiting one first."""
    while True:
      line = self._waiting.pop() if self._waiting else next(self._lines, None)
      if line is None:
        return
      self._take(line)
      # What is no UTF-8 is for whoever parses the piece to say.
      yield line.decode("utf-8", "surrogateescape")


def _lines(file: BinaryIO) -> Iterator[bytes]:
  """Yields lines with their ends: \\n, \\r\\n or \\r."""
  start = codecs.BOM_UTF8
  for line in file:
    if start and line.startswith(start):
      line = line[len(start):]
    start = b""
    if line.count(b"\r") > line.endswith(b"\r\n"):
      yield from line.splitlines(keepends=True)
    else:
      yield line
