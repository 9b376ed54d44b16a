"""Finds and parses Python sources; what cannot be parsed becomes one line."""

import ast
import io
import os
import tokenize
from typing import Dict, List, NamedTuple, Optional, Sequence
import warnings

# What only Python 2 reads, as its parser's successor puts it.
_PYTHON_2 = ("Missing parentheses in call to", "multiple exception types must",
             "leading zeros in decimal", "invalid hexadecimal literal",
             "backtick", "inconsistent use of tabs")


class PortingError(Exception):
  """What a tool was given and cannot use."""


class Source(NamedTuple):
  """One file.

  Attributes:
    path: Where it is, from the root of what is scanned.
    module: Dotted name under which the others import it.
    is_package: Whether it is an `__init__.py`.
    text: Its text; "" if it cannot be read.
    tree: Its syntax tree; None if it cannot be parsed.
    problem: Why it cannot, else "".
    line: The line of the problem, else 1.
  """
  path: str
  module: str
  is_package: bool
  text: str
  tree: Optional[ast.Module]
  problem: str
  line: int


def find(path: str) -> List[str]:
  """Returns the Python files under a folder, sorted; of a file, itself.

  Leaves out hidden folders and virtual environments.

  Args:
    path: Path of a folder or file.

  Returns:
    Their paths.

  Raises:
    PortingError: If there is nothing to read.
  """
  if os.path.isfile(path):
    return [path]
  if not os.path.isdir(path):
    raise PortingError(f"{path}: found nothing; allowed: a Python file, or a "
                       "folder with some")
  found = []
  for folder, folders, files in os.walk(path):
    folders[:] = sorted(
        name for name in folders
        if not name.startswith(".") and name != "__pycache__"
        and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg")))
    found += [os.path.join(folder, name) for name in sorted(files)
              if name.endswith(".py")]
  if not found:
    raise PortingError(f"{path}: found no file *.py; allowed: a folder with "
                       "some")
  return found


def read(path: str, root: str) -> Source:
  """Reads and parses one file; never raises for what it holds.

  Args:
    path: Path of the file.
    root: The folder that `Source.path` starts from.

  Returns:
    A `Source`.
  """
  shown = os.path.relpath(path, root)
  module, is_package = _module_of(path)
  text, tree, problem, line = "", None, "", 1
  try:
    with open(path, "rb") as file:
      content = file.read()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    text = content.decode(encoding)
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # Of invalid escapes, for instance.
      tree = ast.parse(text)
  except OSError as error:
    problem = f"cannot be read: {error.strerror or error}"
  except UnicodeDecodeError as error:
    line = content[:error.start].count(b"\n") + 1
    problem = f"is not {error.encoding} text; state its encoding in line 1"
  except (SyntaxError, ValueError) as error:
    line = getattr(error, "lineno", None) or 1
    problem = _explain(str(getattr(error, "msg", error)), text)
  except (RecursionError, MemoryError):
    problem = "is nested too deeply to be parsed"
  return Source(shown, module, is_package, text, tree, problem, line)


def _explain(message, text):
  """Says whether it is Python 2 that the parser stumbled on."""
  message = " ".join(message.split())
  if any(piece in message for piece in _PYTHON_2) or (
      "invalid syntax" in message and ("print " in text or "exec " in text
                                       or "raise " in text)):
    return f"is Python 2 ({message}); convert it with 2to3 first"
  if "unknown encoding" in message or "encoding problem" in message:
    return f"states an encoding that does not exist ({message})"
  return f"is not Python 3: {message}"


def _module_of(path):
  """Returns the dotted name of a file, by the packages that it lies in."""
  folder, file = os.path.split(os.path.abspath(path))
  stem = file.removesuffix(".py")
  is_package = stem == "__init__"
  parts = [] if is_package else [stem]
  while os.path.exists(os.path.join(folder, "__init__.py")):
    folder, name = os.path.split(folder)
    parts.insert(0, name)
  if is_package and not parts:
    parts = [os.path.basename(folder)]
  return ".".join(parts), is_package


def read_all(paths: Sequence[str]) -> Dict[str, List[Source]]:
  """Reads everything under some folders and files.

  Args:
    paths: Their paths.

  Returns:
    The sources, by the path that they were found under.

  Raises:
    PortingError: If there is nothing to read under one of them.
  """
  return {path: [read(file, path if os.path.isdir(path)
                      else os.path.dirname(path) or ".")
                 for file in find(path)] for path in paths}
