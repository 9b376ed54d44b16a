"""What runs came to: a file with a line of JSON for each."""

import json
import os
from typing import Any, Dict, Mapping, Optional


class Ledger:
  """A file that is added to, and survives being cut off within a line."""

  def __init__(self, path: str):
    """Reads the file, if there is one.

    Args:
      path: Its path.
    """
    self._path = path
    self._found: Dict[str, Any] = {}
    if not os.path.exists(path):
      return
    with open(path, encoding="utf-8") as file:
      for line in file:
        try:
          entry = json.loads(line)
        except ValueError:  # The machine went down while this was written.
          continue
        self._found[_text(entry["key"])] = entry["found"]

  def find(self, key: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Returns what was found under a key, or None."""
    return self._found.get(_text(key))

  def add(self, key: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Adds a line.

    Args:
      key: What was run.
      found: What it came to.
    """
    with open(self._path, "a+b") as file:
      if file.tell():
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
          file.write(b"\n")
      line = json.dumps({"key": dict(key), "found": dict(found)})
      file.write(line.encode() + b"\n")
    self._found[_text(key)] = dict(found)


def _text(key) -> str:
  return json.dumps(key, sort_keys=True)
