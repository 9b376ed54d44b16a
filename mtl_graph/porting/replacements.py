"""What to take in place of a name that is gone."""

import re
from typing import Dict, Iterator, List, NamedTuple, Optional

from mtl_graph.porting import contrib_names
from mtl_graph.porting import replaced_names

_LINE = re.compile(r"^(\S+) (=>|->|x) (.+)$")
# Words a target may be, and the package that they stand for.
EXPERIMENT = "experiment"


class Replacement(NamedTuple):
  """What stands in the table.

  Attributes:
    pattern: The name, or its module with `.*`.
    same: Whether a target takes the same arguments.
    targets: What to take, the best first; empty if nothing does the same.
    note: What else to know; "" for nothing.
  """
  pattern: str
  same: bool
  targets: List[str]
  note: str


def parse(text: str) -> Dict[str, Replacement]:
  """Reads a table.

  Args:
    text: Lines as `replaced_names` describes them.

  Returns:
    The replacements by pattern.

  Raises:
    ValueError: If a line is none, or a name has two.
  """
  found = {}
  for line in text.splitlines():
    if not line.strip() or line.startswith("#"):
      continue
    match = _LINE.match(line)
    if not match or match[1] in found:
      raise ValueError(f"{line}: no line of its own")
    pattern, arrow, rest = match.groups()
    targets, _, note = rest.partition(" -- ")
    if arrow == "x":
      targets, note = "", rest
    found[pattern] = Replacement(pattern, arrow == "=>",
                                 [t.strip() for t in targets.split(",")
                                  if t.strip()], note)
  return found


class Table:
  """All replacements."""

  def __init__(self):
    self._lines = parse(replaced_names.TABLE + contrib_names.TABLE)

  def lines(self) -> List[Replacement]:
    """Returns everything in it."""
    return list(self._lines.values())

  def find(self, name: str) -> Optional[Replacement]:
    """Returns the line for a name, or that of the closest module around it.

    Args:
      name: A name without its leading `tf.`, or a whole one as
        "tensorflow.examples.tutorials.mnist".

    Returns:
      The line, or None.
    """
    for spelled in spellings(name):
      if spelled in self._lines:
        return self._lines[spelled]
      if f"{spelled}.*" in self._lines:  # The module itself.
        return self._lines[f"{spelled}.*"]
    for spelled in spellings(name):
      around = self._around(spelled)
      if around is not None:
        return around
    return None

  def _around(self, name):
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
      head = ".".join(parts[:length])
      if head + ".*" in self._lines:
        return self._lines[head + ".*"]
      if head in self._lines and self._lines[head].targets:
        return self._lines[head]  # An attribute of what has a line.
    return None


def spellings(name: str) -> Iterator[str]:
  """Returns a name and others of the same: files in contrib, slim's layers."""
  yield name
  parts = name.split(".")
  if parts[0] != "contrib":
    return
  if "python" in parts:
    kept = parts[:parts.index("python")]
    yield ".".join(kept + parts[-1:])
    parts = kept + parts[-1:]
  if parts[1:2] == ["slim"] and len(parts) == 3:
    yield ".".join(["contrib", "layers", parts[2]])
    yield ".".join(["contrib", "framework", parts[2]])
