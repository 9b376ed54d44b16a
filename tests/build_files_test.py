"""Tests that the BUILD files say what the sources say."""

import os
import pathlib
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from tests import build_files

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ProjectTest(absltest.TestCase):

  def test_every_source_has_one_target_with_the_deps_it_imports(self):
    self.assertEmpty(build_files.source_problems(build_files.Tree(_ROOT)))

  def test_every_target_has_a_source(self):
    self.assertEmpty(build_files.target_problems(build_files.Tree(_ROOT)))

  def test_every_target_is_visible_to_its_users(self):
    self.assertEmpty(build_files.visibility_problems(build_files.Tree(_ROOT)))

  def test_every_proto_is_generated(self):
    self.assertEmpty(build_files.proto_problems(build_files.Tree(_ROOT)))

  def test_the_root_lists_every_folder(self):
    self.assertEmpty(build_files.root_problems(build_files.Tree(_ROOT)))


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
    tree = build_files.Tree(str(root))
    return [problem for problems in (
        build_files.source_problems, build_files.target_problems,
        build_files.visibility_problems, build_files.proto_problems,
        build_files.root_problems) for problem in problems(tree)]

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
