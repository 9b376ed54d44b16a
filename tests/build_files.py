"""What BUILD files say, and where it is not what the sources say."""

import ast
import os
import re
from typing import Dict, List, Optional, Set

_TOPS = ("mtl_graph", "tests", "tools")


class Tree:
  """What is in a checkout: its Python files, BUILD files and protos.

  Attributes:
    sources: Text of each Python file but generated ones, by path.
    builds: Rules of each BUILD file, by folder; see `read_build`.
    generated: Paths of the modules that protos become.
    protos: Text of each .proto file, by name.
  """

  def __init__(self, root: str):
    self.sources = {}
    self.builds = {"": read_build(_read(root, "BUILD")),
                   "protos": read_build(_read(root, "protos", "BUILD"))}
    self.protos = {}
    for top in _TOPS:
      for folder, _, files in os.walk(os.path.join(root, top)):
        folder = os.path.relpath(folder, root).replace(os.sep, "/")
        for file in files:
          if file == "BUILD":
            self.builds[folder] = read_build(_read(root, folder, file))
          elif file.endswith(".py") and not file.endswith("_pb2.py"):
            self.sources[f"{folder}/{file}"] = _read(root, folder, file)
    for file in os.listdir(os.path.join(root, "protos")):
      if file.endswith(".proto"):
        self.protos[file[:-len(".proto")]] = _read(root, "protos", file)
    self.generated = {f"mtl_graph/protos/{name}_pb2.py" for name in self.protos}

  def folders(self) -> List[str]:
    """Returns the folders that hold sources."""
    return sorted({os.path.dirname(path) for path in self.sources})


def _read(*path):
  with open(os.path.join(*path), encoding="utf-8") as file:
    return file.read()


def read_build(text: str) -> List[Dict[str, object]]:
  """Reads the rules of a BUILD file, which is Python in its syntax.

  Args:
    text: The file.

  Returns:
    A dict per rule: "kind", and each attribute that is a literal.
  """
  rules = []
  for statement in ast.parse(text).body:
    call = statement.value
    rule = {"kind": call.func.id}
    for keyword in call.keywords:
      try:
        rule[keyword.arg] = ast.literal_eval(keyword.value)
      except ValueError:
        pass  # A glob or a sum of strings, of which nothing is asked here.
    rules.append(rule)
  return rules


def label(path: str, folder: str) -> str:
  """Returns the label of a file's target, as written in a folder's BUILD."""
  package, file = os.path.split(path)
  name = "init" if file == "__init__.py" else file[:-len(".py")]
  return target_label(package, name, folder)


def target_label(package: str, name: str, folder: str) -> str:
  """Returns a target's label, in its shortest form, as seen from a folder."""
  if package == folder:
    return f":{name}"
  if os.path.basename(package) == name:
    return f"//{package}"
  return f"//{package}:{name}"


def face(tree: Tree, package: str) -> Set[str]:
  """Returns the files whose contents a package offers as its own.

  Its __init__ does not import them, but names them in strings and loads them
  when asked for. Their target bears the name of the package and has no source.
  """
  text = tree.sources.get(f"{package}/__init__.py", "")
  paths = {node.value.replace(".", "/") + ".py"
           for node in ast.walk(ast.parse(text))
           if isinstance(node, ast.Constant) and isinstance(node.value, str)}
  return paths & tree.sources.keys()


def import_label(tree: Tree, module: str, name: Optional[str], folder: str
                 ) -> str:
  """Returns the label of what `from module import name` brings."""
  known = tree.sources.keys() | tree.generated
  path = module.replace(".", "/")
  package = f"{path}/{name}"
  if face(tree, package):
    return target_label(package, name, folder)
  for file in (f"{package}.py", f"{package}/__init__.py", f"{path}.py"):
    if file in known:
      return label(file, folder)
  if name != "__version__" and face(tree, path):
    return target_label(path, os.path.basename(path), folder)
  return label(f"{path}/__init__.py", folder)


def expected_deps(tree: Tree, path: str) -> Set[str]:
  """Returns the labels of what a source imports from this project."""
  folder, file = os.path.split(path)
  home = os.path.dirname(folder) if file == "__init__.py" else folder
  deps = set()
  if f"{home}/__init__.py" in tree.sources:
    deps.add(label(f"{home}/__init__.py", folder))
  for node in ast.walk(ast.parse(tree.sources[path])):
    if isinstance(node, ast.Import):
      names = [(alias.name, None) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names = [(node.module or "", alias.name) for alias in node.names]
    else:
      continue
    deps.update(import_label(tree, module, name, folder)
                for module, name in names if module.split(".")[0] in _TOPS)
  return deps


def _compare(where, found, expected):
  found, expected = sorted(found), sorted(expected)
  return [] if found == expected else [
      f"{where}: found {found}; imports make it {expected}"]


def source_problems(tree: Tree) -> List[str]:
  """Returns the sources without their one target, and its wrong deps."""
  problems = []
  for path in sorted(tree.sources):
    folder, file = os.path.split(path)
    if folder not in tree.builds:
      problems.append(f"{folder}: has no BUILD file")
      continue
    targets = [rule for rule in tree.builds[folder]
               if rule["kind"].startswith("py_")
               and file in rule.get("srcs", [])]
    if len(targets) != 1:
      problems.append(f"{path}: is in {len(targets)} targets, not in one")
      continue
    target, = targets
    kind = "py_test" if file.endswith("_test.py") else "py_library"
    found = (target["kind"], target["name"], target["srcs"])
    expected = (kind, label(path, folder)[1:], [file])
    if found != expected:
      problems.append(f"{path}: found {found}, not {expected}")
    problems += _compare(path, target.get("deps", []),
                         expected_deps(tree, path))
  return problems


def target_problems(tree: Tree) -> List[str]:
  """Returns the targets that stand for no source."""
  problems = []
  for folder, rules in sorted(tree.builds.items()):
    for rule in rules:
      if not rule["kind"].startswith("py_"):
        continue
      where = target_label(folder, rule["name"], "")
      if "srcs" in rule:
        for file in rule["srcs"]:
          if f"{folder}/{file}" not in tree.sources.keys() | tree.generated:
            problems.append(f"{where}: there is no {file}")
      elif rule["name"] == os.path.basename(folder) and face(tree, folder):
        problems += _compare(where, rule.get("deps", []), {":init"} | {
            label(path, folder) for path in face(tree, folder)})
      else:
        problems.append(f"{where}: has no source")
  return problems


def _sees(visibility: List[str], package: str) -> bool:
  """Returns whether a visibility lets a package use a target."""
  for grant in visibility:
    of, _, kind = grant[len("//"):].partition(":")
    if grant == "//visibility:public" or of == package and kind == "__pkg__":
      return True
    if kind == "__subpackages__" and f"{package}/".startswith(f"{of}/"):
      return True
  return False


def visibility_problems(tree: Tree) -> List[str]:
  """Returns the targets of other folders that Bazel would not show to one."""
  visibility = {}
  for folder, rules in tree.builds.items():
    default = ["//visibility:private"]
    for rule in rules:
      if rule["kind"] == "package":
        default = rule["default_visibility"]
    for rule in rules:
      if "name" in rule:
        visibility[target_label(folder, rule["name"], "")] = rule.get(
            "visibility", default)
  problems = []
  for folder, rules in sorted(tree.builds.items()):
    used = {other for rule in rules for attribute in ("data", "deps", "srcs")
            for other in rule.get(attribute, []) if other in visibility}
    problems += [
        f"//{folder}: does not see {other}; its visibility is "
        f"{visibility[other]}"
        for other in sorted(used) if not _sees(visibility[other], folder)]
  return problems


def proto_problems(tree: Tree) -> List[str]:
  """Returns the protos that are not generated, or with wrong deps."""
  folder = "mtl_graph/protos"
  rules = tree.builds[folder]
  problems = _compare(f"//{folder}: outs", [
      out for rule in rules for out in rule.get("outs", [])], [
          os.path.basename(path) for path in tree.generated])
  for name, text in sorted(tree.protos.items()):
    imports = re.findall(r'^import "mtl_graph/protos/(\w+)\.proto";', text,
                         re.MULTILINE)
    found = [rule.get("deps", []) for rule in rules
             if rule.get("srcs") == [f"{name}_pb2.py"]]
    expected = sorted([":init"] + [f":{other}_pb2" for other in imports])
    problems += _compare(f"{name}.proto", [sorted(deps) for deps in found],
                         [expected])
  return problems


def root_problems(tree: Tree) -> List[str]:
  """Returns the folders whose sources the root does not list for the tests."""
  listed = [rule.get("srcs", []) for rule in tree.builds[""]
            if rule.get("name") == "source_files"]
  return _compare("//:source_files", sum(listed, []), ["BUILD"] + [
      f"//{folder}:source_files" for folder in tree.folders()])
