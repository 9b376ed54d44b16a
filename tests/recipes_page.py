"""Reads what docs/recipes.md shows: fragments, tables, commands and scripts."""

import collections
import pathlib
import re

from google.protobuf import text_format

from mtl_graph import config

ROOT = pathlib.Path(__file__).absolute().parent.parent
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
METHODS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")

# title: the last words in bold, or heading, before the block.
# replaced: field paths that go before the fragment comes.
# saved: the name under which the page saves it, or None.
Block = collections.namedtuple("Block", ["title", "text", "replaced", "saved"])


def blocks(language):
  """Returns the blocks of the page in a language."""
  found = []
  for match in re.finditer(rf"^```{language}\n(.*?)^```", PAGE,
                           re.MULTILINE | re.DOTALL):
    titles = re.findall(r"^\*\*(.+?)\*\*|^##+ (.+)$", PAGE[:match.start()],
                        re.MULTILINE)
    text = match[1]
    replaced = re.search("^# In place of (.+):$", text, re.MULTILINE)
    saved = re.search("^# Saved as (.+):$", text, re.MULTILINE)
    found.append(Block("".join(titles[-1]) if titles else "Base", text,
                       replaced[1].split(", ") if replaced else [],
                       saved[1] if saved else None))
  return found


def saved_python():
  """Returns the code that the page saves as modules, by the file's name."""
  return {block.saved: block.text for block in blocks("python") if block.saved}


def table(name):
  """Returns the first cells of the table that the page calls so."""
  rows = re.search(rf"^\| `?{name}`? \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE,
                   re.MULTILINE)[1]
  return re.findall(r"^\| `(.+?)` \|", rows, re.MULTILINE)


BASE, *FRAGMENTS = blocks("pbtxt")


def merged(*fragments):
  """Returns the base experiment with fragments merged into it."""
  experiment = config.parse(BASE.text)
  for fragment in fragments:
    for path in fragment.replaced:
      *parents, field = path.split(".")
      message = experiment
      for parent in parents:
        message = getattr(message, parent)
      message.ClearField(field)
    text_format.Merge(fragment.text, experiment)
  return experiment
