"""Rewrites what is safe of scanned sources, into a copy."""

import ast
import collections
import difflib
import io
import os
import re
import shutil
import tokenize
from typing import Dict, List, NamedTuple, Sequence

from mtl_graph.porting import own_names
from mtl_graph.porting import python_files
from mtl_graph.porting import verdicts

_MODULE = "tensorflow.compat.v1"
# What names of this project begin with, once they are imported.
_OWN = ("compat.", "estimator.")


class Edit(NamedTuple):
  """A piece of a text and what replaces it.

  Attributes:
    line: Line, from 1.
    start: Where it starts in the line, in bytes of UTF-8.
    end: Where it ends in the same line.
    text: The new text.
  """
  line: int
  start: int
  end: int
  text: str


def edits_for(source: python_files.Source,
              findings: Sequence[verdicts.Finding]) -> List[Edit]:
  """Returns what is safe to change in a source.

  Imports of tensorflow become imports of tensorflow.compat.v1, which a script
  follows by switching eager execution off; names that moved and take the same
  arguments take their new ones, those of this project with an import. Of layers
  that go by arg_scope all are changed, or none.

  Args:
    source: The source, parsed.
    findings: What was found in it.

  Returns:
    The edits, none of which overlap.
  """
  edits = []
  plain = {(f.line, f.column) for f in findings if f.verdict == "import"}
  failing = {(f.line, f.column) for f in findings
             if f.verdict in verdicts.FAILING and f.verdict != "import"}
  tops = [alias for node in ast.walk(source.tree)
          if isinstance(node, ast.Import) for alias in node.names
          if not alias.asname and alias.name.startswith("tensorflow.")]
  safe = not tops  # `import tensorflow.x` would bind the name anew.
  imported = False
  for node in ast.walk(source.tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        if (alias.lineno, alias.col_offset + 1) in plain and safe:
          imported = True
          edits.append(Edit(alias.lineno, alias.col_offset,
                            alias.end_col_offset,
                            f"{_MODULE} as {alias.asname or 'tensorflow'}"))
          if _is_script(source.tree) and node in source.tree.body and len(
              node.names) == 1 and not _chooses_mode(source.text):
            edits.append(Edit(node.end_lineno, node.end_col_offset,
                              node.end_col_offset, _line_end(source.text)
                              + f"{alias.asname or 'tensorflow'}"
                              ".disable_eager_execution()"))
    elif isinstance(node, ast.ImportFrom) and node.module == "tensorflow" and (
        not node.level):
      places = {(a.lineno, a.col_offset + 1) for a in node.names}
      if places & plain and not places & failing:
        head = len("from ")
        edits.append(Edit(node.lineno, node.col_offset + head,
                          node.col_offset + head + len("tensorflow"), _MODULE))
  compat = _MODULE in source.text or imported
  missing = set()
  for finding in findings:
    use = finding.use
    inner = finding.name.removeprefix("tf.")
    if not finding.target or use.kind != "name" or use.line != use.end_line or (
        not finding.text.endswith("." + inner)):
      continue
    root, target = finding.text[:-len(inner) - 1], finding.target
    if not re.fullmatch(r"[\w.]+", root):
      continue
    if target.startswith("tf."):
      if not compat and not root.endswith("compat.v1"):
        continue
      text = root + target[len("tf"):]
    else:
      package, _, text = target.partition(".")
      if not _is_free(text.partition(".")[0], source.tree) or (
          target.startswith(own_names.SCOPED) and _is_mixed(findings)):
        continue
      missing.add(f"from {package} import {text.partition('.')[0]}")
    edits.append(Edit(use.line, use.column - 1, use.end_column - 1, text))
  first = _first_import(source.tree)
  if missing and first is None:
    return [edit for edit in edits if not edit.text.startswith(_OWN)]
  if missing:
    edits.append(Edit(first.lineno, 0, 0, "".join(
        line + _line_end(source.text) for line in sorted(missing))))
  return edits


def _is_free(name, tree) -> bool:
  """Returns whether a module gives no other meaning to a name."""
  return not any(
      isinstance(node, ast.Name) and node.id == name
      or isinstance(node, ast.arg) and node.arg == name
      or isinstance(node, ast.alias) and (node.asname or node.name) == name
      or isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name
      for node in ast.walk(tree))


def _is_mixed(findings) -> bool:
  """Returns whether some of slim would be left beside what is changed."""
  return any(
      re.match(r"tf\.contrib\.(slim|layers|framework)\b|tf_slim\b", f.name)
      and f.verdict in (*verdicts.FAILING, "unchecked")
      and (not f.target or f.use.kind != "name"
           or not f.text.endswith(f.name.removeprefix("tf")))
      for f in findings)


def _first_import(tree):
  """Returns the first import of a module that is not of __future__, or None."""
  return next((node for node in tree.body
               if isinstance(node, ast.Import) or isinstance(
                   node, ast.ImportFrom) and node.module != "__future__"), None)


def _is_script(tree):
  return any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
             for node in tree.body)


def _chooses_mode(text):
  return re.search(r"(en|dis)able_(eager_execution|v2_behavior)", text)


def _line_end(text):
  return "\r\n" if "\r\n" in text else "\n"


def apply(text: str, edits: Sequence[Edit]) -> str:
  """Returns a text with edits applied."""
  lines = list(io.StringIO(text, newline=""))
  by_line = collections.defaultdict(list)
  for edit in edits:
    by_line[edit.line].append(edit)
  for number, changes in by_line.items():
    line = lines[number - 1].encode("utf-8")
    for edit in sorted(changes, key=lambda e: (e.start, e.end), reverse=True):
      line = line[:edit.start] + edit.text.encode("utf-8") + line[edit.end:]
    lines[number - 1] = line.decode("utf-8")
  return "".join(lines)


def rewrite(root: str, output: str, sources: Sequence[python_files.Source],
            findings: Sequence[verdicts.Finding]) -> str:
  """Copies a tree and rewrites the copy.

  Args:
    root: The folder or file that was scanned; stays as it is.
    output: Where the copy goes; must not exist.
    sources: Its sources.
    findings: What was found in them.

  Returns:
    The changes, as a diff.

  Raises:
    PortingError: If the copy cannot be written.
  """
  inside = os.path.commonpath([os.path.realpath(root),
                               os.path.realpath(output)])
  if os.path.exists(output):
    raise python_files.PortingError(
        f"--out: '{output}' exists; allowed: a folder that is not there yet")
  if inside == os.path.realpath(root) and os.path.isdir(root):
    raise python_files.PortingError(
        f"--out: '{output}' lies in '{root}'; allowed: a folder outside it")
  by_path: Dict[str, List[verdicts.Finding]] = collections.defaultdict(list)
  for finding in findings:
    by_path[finding.path].append(finding)
  try:
    if os.path.isdir(root):
      shutil.copytree(root, output, symlinks=True)
    else:
      os.makedirs(output)
      shutil.copy(root, output)
    return "".join(_rewrite_file(output, source, by_path[source.path])
                   for source in sources if source.tree is not None)
  except (OSError, shutil.Error) as error:
    raise python_files.PortingError(
        f"--out: '{output}' cannot be written: "
        f"{getattr(error, 'strerror', None) or error}") from error


def _rewrite_file(output, source, findings):
  """Rewrites one file of the copy and returns its diff."""
  changed = apply(source.text, edits_for(source, findings))
  if changed == source.text:
    return ""
  try:
    ast.parse(changed)
  except SyntaxError:
    return f"{source.path}: left as it is, as it would no longer parse\n"
  path = os.path.join(output, source.path)
  if os.path.islink(path):
    return f"{source.path}: left as it is: a link\n"
  with open(path, "rb") as file:
    encoding, _ = tokenize.detect_encoding(file.readline)
  with open(path, "wb") as file:
    file.write(changed.encode(encoding))
  return "".join(
      line if line.endswith("\n") else line + "\n"
      for line in difflib.unified_diff(
          source.text.splitlines(True), changed.splitlines(True),
          "a/" + source.path, "b/" + source.path))
