"""Tests that the BUILD files say what the sources say."""

import ast
import os
import pathlib
import re
import tempfile
from typing import Dict, List, Optional, Set

from absl.testing import absltest
from absl.testing import parameterized

_TOPS = ("mtl_graph", "tests", "tools")
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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
  for file in (f"{path}/{name}.py", f"{path}/{name}/__init__.py", f"{path}.py"):
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


class ProjectTest(absltest.TestCase):

  def test_every_source_has_one_target_with_the_deps_it_imports(self):
    self.assertEmpty(source_problems(Tree(_ROOT)))

  def test_every_target_has_a_source(self):
    self.assertEmpty(target_problems(Tree(_ROOT)))

  def test_every_target_is_visible_to_its_users(self):
    self.assertEmpty(visibility_problems(Tree(_ROOT)))

  def test_every_proto_is_generated(self):
    self.assertEmpty(proto_problems(Tree(_ROOT)))

  def test_the_root_lists_every_folder(self):
    self.assertEmpty(root_problems(Tree(_ROOT)))


_SMALL = {
    "BUILD": """filegroup(
        name = "source_files",
        srcs = [
            "BUILD",
            "//mtl_graph:source_files",
            "//mtl_graph/model:source_files",
            "//mtl_graph/protos:source_files",
            "//tests:source_files",
            "//tools:source_files",
        ],
    )""",
    "mtl_graph/BUILD": """
        package(default_visibility = [
            "//mtl_graph:__subpackages__",
            "//tests:__pkg__",
            "//tools:__pkg__",
        ])
        py_library(name = "init", srcs = ["__init__.py"])
        py_library(name = "mtl_graph", deps = [":init", "//mtl_graph/model"])
        py_library(
            name = "config",
            srcs = ["config.py"],
            deps = [":init", "//mtl_graph/protos:data_pb2"],
        )""",
    "mtl_graph/__init__.py": "_HOMES = {'f': 'mtl_graph.model.model'}",
    "mtl_graph/config.py": "from mtl_graph.protos import data_pb2",
    "mtl_graph/model/BUILD": """
        # Shown by the shortest label.
        load("@rules_python//python:defs.bzl", "py_library")
        package(default_visibility = ["//mtl_graph:__pkg__"])
        py_library(
            name = "init",
            srcs = ["__init__.py"],
            deps = ["//mtl_graph:init"],
        )
        py_library(
            name = "model",
            srcs = ["model.py"],
            deps = [":init", ":parts", "//mtl_graph:config"],
        )
        py_library(
            name = "parts",
            srcs = ["parts.py"],
            deps = [":init", "//mtl_graph:init"],
        )
        filegroup(
            name = "source_files",
            srcs = glob(["*.py"]) + ["BUILD"],
            visibility = ["//:__pkg__"],
        )""",
    "mtl_graph/model/__init__.py": "",
    "mtl_graph/model/model.py": (
        "import numpy as np\nfrom mtl_graph.model import parts\n"
        "def f():\n  from mtl_graph.config import load\n  return load"),
    "mtl_graph/model/parts.py": "from mtl_graph import __version__",
    "mtl_graph/protos/BUILD": """
        package(default_visibility = ["//visibility:public"])
        genrule(name = "generate", outs = ["data_pb2.py", "model_pb2.py"])
        py_library(
            name = "data_pb2",
            srcs = ["data_pb2.py"],
            deps = [":init"],
        )
        py_library(
            name = "init",
            srcs = ["__init__.py"],
            deps = ["//mtl_graph:init"],
        )
        py_library(
            name = "model_pb2",
            srcs = ["model_pb2.py"],
            deps = [":data_pb2", ":init"],
        )""",
    "mtl_graph/protos/__init__.py": "_NAME = 'mtl_graph.protos.data_pb2'",
    "mtl_graph/protos/data_pb2.py": "# A developer's copy, of another day.",
    "protos/BUILD": """
        filegroup(
            name = "examples",
            srcs = ["examples"],
            visibility = ["//tools:__pkg__"],
        )""",
    "protos/data.proto": "",
    "protos/model.proto": 'import "mtl_graph/protos/data.proto";',
    "tests/BUILD": """
        py_test(
            name = "all_test",
            srcs = ["all_test.py"],
            deps = ["//mtl_graph", "//mtl_graph/protos:model_pb2",
                    "//tools:convert"],
        )""",
    "tests/all_test.py": (
        "import mtl_graph\nimport mtl_graph.protos.model_pb2 as p\n"
        "from tools import convert"),
    "tools/BUILD": """
        py_library(
            name = "convert",
            srcs = ["convert.py"],
            data = ["//protos:examples"],
            visibility = ["//tests:__subpackages__"],
            deps = ["//mtl_graph"],
        )""",
    "tools/convert.py": "from mtl_graph import train",
}


class SmallTreeTest(parameterized.TestCase):

  def _problems(self, *change):
    """Makes `_SMALL`, with changes, and returns all that is wrong with it.

    Args:
      *change: Triples of a path, a piece of its text and what replaces it; the
        piece None for a new file.

    Returns:
      A list of lines.
    """
    files = dict(_SMALL)
    for path, old, new in change:
      if old is None:
        files[path] = new
      else:
        self.assertIn(old, files[path])
        files[path] = files[path].replace(old, new)
    # Not absl's create_tempdir: it wants flags parsed, which pytest does not.
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    root = pathlib.Path(folder.name)
    for path, text in files.items():
      if path.endswith("BUILD"):  # Here indented, as a piece of this file.
        text = re.sub(r"^ {8}", "", text, flags=re.MULTILINE)
      (root / path).parent.mkdir(parents=True, exist_ok=True)
      (root / path).write_text(text, encoding="utf-8")
    tree = Tree(str(root))
    return (source_problems(tree) + target_problems(tree)
            + visibility_problems(tree) + proto_problems(tree)
            + root_problems(tree))

  def test_sound(self):
    self.assertEmpty(self._problems())

  @parameterized.named_parameters(
      ("dep_missing", "mtl_graph/model/BUILD", ' ":parts",', "",
       [r"^mtl_graph/model/model.py: found .*; imports make it .*':parts'"]),
      ("dep_too_many", "mtl_graph/model/BUILD", ' ":parts",',
       ' ":parts", "//mtl_graph/protos:data_pb2",',
       ["^mtl_graph/model/model.py: found .*data_pb2.*; imports make it "]),
      ("dep_twice", "mtl_graph/model/BUILD", ' ":parts",',
       ' ":parts", ":parts",', ["^mtl_graph/model/model.py: found "]),
      ("import_missing", "mtl_graph/model/model.py", "import parts",
       "import absent", ["^mtl_graph/model/model.py: found "]),
      ("init_not_in_deps", "mtl_graph/BUILD", '":init", "//mtl_graph/protos',
       '"//mtl_graph/protos', ["^mtl_graph/config.py: found "]),
      ("face_not_in_deps", "tests/BUILD", '"//mtl_graph", ', "",
       ["^tests/all_test.py: found "]),
      ("face_differs", "mtl_graph/__init__.py", "model.model", "config",
       ["^//mtl_graph: found .*//mtl_graph/model.*; .* make it .*:config"]),
      ("no_target", "mtl_graph/model/parts2.py", None, "",
       ["^mtl_graph/model/parts2.py: is in 0 targets"]),
      ("two_targets", "tools/BUILD", "py_library(",
       'py_library(name = "other", srcs = ["convert.py"])\n        py_library(',
       ["^tools/convert.py: is in 2 targets"]),
      ("two_sources", "tests/BUILD", '["all_test.py"]',
       '["all_test.py", "gone.py"]',
       ["^tests/all_test.py: found .*gone", "^//tests:all_test: there is no"]),
      ("other_name", "tools/BUILD", '"convert"', '"converter"',
       ["^tools/convert.py: found .*'converter'.* not .*'convert'"]),
      ("test_as_library", "tests/BUILD", "py_test", "py_library",
       ["^tests/all_test.py: found .*py_library.*not .*py_test"]),
      ("no_build_file", "mtl_graph/layers/dense.py", None, "",
       ["^mtl_graph/layers: has no BUILD file",
        "^//:source_files: .*make it .*//mtl_graph/layers:source_files"]),
      ("no_source", "tools/BUILD", "py_library(",
       'py_library(name = "other")\n        py_library(',
       ["^//tools:other: has no source"]),
      ("not_visible", "mtl_graph/BUILD", '"//tests:__pkg__",', "",
       ["^//tests: does not see //mtl_graph; its visibility is "]),
      ("not_visible_by_default", "mtl_graph/model/BUILD", "package(", "glob(",
       ["^//mtl_graph: does not see //mtl_graph/model; .*private"]),
      ("visible_to_others", "tools/BUILD", "//tests:__sub", "//test:__sub",
       ["^//tests: does not see //tools:convert; .*//test:"]),
      ("data_not_visible", "protos/BUILD", "//tools:", "//tool:",
       ["^//tools: does not see //protos:examples; .*//tool:"]),
      ("proto_not_generated", "protos/serving.proto", None, "",
       ["^//mtl_graph/protos: outs: found ", "^serving.proto: found "]),
      ("proto_import", "protos/model.proto", "data", "experiment",
       ["^model.proto: found .*:data_pb2.*make it .*:experiment_pb2"]),
      ("root", "BUILD", '"//tools:source_files",', "",
       ["^//:source_files: found .*make it .*//tools:source_files"]),
  )
  def test_refused(self, path, old, new, expected):
    problems = self._problems((path, old, new))
    self.assertLen(problems, len(expected), problems)
    for problem, pattern in zip(problems, expected):
      self.assertRegex(problem, pattern)


if __name__ == "__main__":
  absltest.main()
