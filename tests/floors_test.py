"""Tests that every file keeps to its floor: what it imports, what it opens."""

import ast
import os
import pathlib
import re
import tempfile
from typing import Dict, List, Optional, Set

from absl.testing import absltest
from absl.testing import parameterized

# A file imports from its own folder and from the floors below it, and from
# nothing else of the project. What lies in a folder stands where that stands;
# the files of mtl_graph/ itself are named one by one.
_FLOORS = {
    "mtl_graph.protos": 0,
    "mtl_graph.ops": 0,
    "mtl_graph.layers": 0,
    "mtl_graph.compat": 0,
    "mtl_graph.importing": 0,
    "mtl_graph.balancing_checks": 1,
    "mtl_graph.chain_checks": 1,
    "mtl_graph.cluster": 1,
    "mtl_graph.cluster_checks": 1,
    "mtl_graph.config": 1,
    "mtl_graph.data_checks": 1,
    "mtl_graph.evaluation_checks": 1,
    "mtl_graph.feature_checks": 1,
    "mtl_graph.field_checks": 1,
    "mtl_graph.folds": 1,
    "mtl_graph.independent_checks": 1,
    "mtl_graph.input_checks": 1,
    "mtl_graph.joint_checks": 1,
    "mtl_graph.layer_checks": 1,
    "mtl_graph.layer_outline": 1,
    "mtl_graph.model_checks": 1,
    "mtl_graph.optimizer_checks": 1,
    "mtl_graph.outline": 1,
    "mtl_graph.ownership": 1,
    "mtl_graph.publishing_checks": 1,
    "mtl_graph.python_functions": 1,
    "mtl_graph.row_sets": 1,
    "mtl_graph.serving_checks": 1,
    "mtl_graph.shards": 1,
    "mtl_graph.sharing_checks": 1,
    "mtl_graph.sharing_outline": 1,
    "mtl_graph.source_checks": 1,
    "mtl_graph.task_graph": 1,
    "mtl_graph.task_source_checks": 1,
    "mtl_graph.training_checks": 1,
    "mtl_graph.validation": 1,
    "mtl_graph.vocabularies": 1,
    "mtl_graph.warm_start_checks": 1,
    "mtl_graph.data": 2,
    "mtl_graph.model": 2,
    "mtl_graph.checkpoints": 3,
    "mtl_graph.evaluation": 3,
    "mtl_graph.training": 4,
    "mtl_graph.porting": 4,
    "mtl_graph.serving": 4,
    "mtl_graph": 5,
    "mtl_graph.api": 5,
    "mtl_graph.cluster_evaluation": 5,
    "mtl_graph.cluster_training": 5,
    "mtl_graph.cross_validate": 5,
    "mtl_graph.cross_validation": 5,
    "mtl_graph.estimator": 5,
    "mtl_graph.launching": 5,
    "mtl_graph.train": 5,
    "mtl_graph.evaluate": 5,
    "mtl_graph.export": 5,
    "mtl_graph.predict": 5,
    "tools.benchmarking": 6,
    "tools.clusters": 6,
    "tools.comparing": 6,
    "tools": 7,
}
# The floors whose files lie in one folder, mtl_graph/.
_FLOORS_OF_FILES = (1, 5)
# The neighbours on one floor of which the first may import the second.
_NEIGHBOURS = {
    ("mtl_graph.layers", "mtl_graph.ops"),
    ("mtl_graph.model", "mtl_graph.data"),
    ("mtl_graph.evaluation", "mtl_graph.checkpoints"),
}
# What a file tells its readers to import and does not load itself.
_NAMED = {("mtl_graph.porting.own_names", "mtl_graph.estimator")}
# What stands here builds the graph and never runs it.
_BUILDERS = ("mtl_graph.ops", "mtl_graph.layers", "mtl_graph.compat",
             "mtl_graph.data", "mtl_graph.model")
_SESSION = re.compile(r"\w*Session\w*|\bSupervisor\b|\w+_session\b")

_DOTTED = re.compile(r"^\w+(?:\.\w+)+$")
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def sources(root: str) -> Dict[str, str]:
  """Reads the project's Python files but for its tests: text by module."""
  found = {}
  for top in ("mtl_graph", "tools"):
    for folder, _, files in os.walk(os.path.join(root, top)):
      for file in files:
        if file.endswith(".py") and not file.endswith("_pb2.py"):
          path = os.path.join(folder, file)
          module = os.path.relpath(path, root)[:-len(".py")]
          module = module.replace(os.sep, ".").removesuffix(".__init__")
          with open(path, encoding="utf-8") as source:
            found[module] = source.read()
  return found


def loaded(module: str, text: str) -> Set[str]:
  """Returns the dotted names of a module's import statements."""
  names = set()
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.Import):
      names.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      if node.level:
        raise ValueError(f"{module}: line {node.lineno}: import by full name.")
      names.update(f"{node.module}.{alias.name}" for alias in node.names)
  return names


def imports(module: str, text: str) -> Set[str]:
  """Returns the names a module imports from this project, dotted.

  A string that holds nothing but such a name counts: it is there to be loaded.
  """
  names = loaded(module, text)
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      names.update(_DOTTED.findall(node.value))
  return {name for name in names
          if name.split(".")[0] in ("mtl_graph", "tools", "tests")
          and name != "mtl_graph.__version__"}


def place(name: str) -> Optional[str]:
  """Returns the entry of `_FLOORS` that a dotted name falls under, if any."""
  entries = [entry for entry in _FLOORS if name == entry or (
      entry != "mtl_graph" and name.startswith(entry + "."))]
  return max(entries, key=len, default=None)


def may_import(here: str, there: str) -> bool:
  """Returns whether one entry of `_FLOORS` may import another."""
  if there == "tools":
    return False
  if _FLOORS[here] != _FLOORS[there]:
    return _FLOORS[here] > _FLOORS[there]
  return (here == there or _FLOORS[here] in _FLOORS_OF_FILES
          or (here, there) in _NEIGHBOURS)


def breaches(files: Dict[str, str]) -> List[str]:
  """Returns the imports that go up, sideways or to tools, one per line."""
  found = []
  for module, text in sorted(files.items()):
    here = place(module)
    if here is None:
      found.append(f"{module} stands on no floor")
      continue
    for name in sorted(imports(module, text)):
      there = place(name)
      if (module, name) in _NAMED:
        continue
      if there is None or not may_import(here, there):
        found.append(f"{module} imports {name}")
  return found


def cycles(files: Dict[str, str]) -> List[str]:
  """Returns the modules that import themselves by way of others."""
  edges = {}
  for module, text in files.items():
    names = imports(module, text)
    edges[module] = {name if name in files else name.rpartition(".")[0]
                     for name in names} & files.keys() - {"mtl_graph", module}
  found = []
  for module in sorted(edges):
    reached, queue = set(), [module]
    while queue:
      fresh = edges[queue.pop()] - reached
      reached |= fresh
      queue.extend(fresh)
    if module in reached:
      found.append(module)
  return found


def sessions(files: Dict[str, str]) -> List[str]:
  """Returns the mentions of a session where the graph is built."""
  return [f"{module} mentions {mention}"
          for module, text in sorted(files.items())
          if module.startswith(_BUILDERS)
          for mention in _SESSION.findall(text)]


def with_tensorflow(files: Dict[str, str]) -> List[str]:
  """Returns the modules that check an experiment and import TensorFlow.

  A launcher refuses a bad experiment without waiting for it.
  """
  found = []
  for module, text in sorted(files.items()):
    if _FLOORS.get(place(module)) != 1:
      continue
    names = loaded(module, text)
    if any(name.split(".")[0] == "tensorflow" for name in names):
      found.append(module)
  return found


class ProjectTest(absltest.TestCase):

  def test_imports_go_down(self):
    self.assertEmpty(breaches(sources(_ROOT)))

  def test_what_is_named_is_not_loaded(self):
    files = sources(_ROOT)
    for module, name in _NAMED:
      self.assertIn(name, imports(module, files[module]))
      self.assertNotIn(name, loaded(module, files[module]))

  def test_no_cycles(self):
    self.assertEmpty(cycles(sources(_ROOT)))

  def test_builders_know_no_session(self):
    self.assertEmpty(sessions(sources(_ROOT)))

  def test_checks_know_no_tensorflow(self):
    self.assertEmpty(with_tensorflow(sources(_ROOT)))

  def test_every_floor_is_inhabited(self):
    modules = sources(_ROOT)
    for name in _FLOORS:
      self.assertTrue(any(module == name or module.startswith(name + ".")
                          for module in modules), name)


class BreachesTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("down", "mtl_graph.training.loop", "mtl_graph.model", "graphs"),
      ("all_the_way_down", "mtl_graph.train", "mtl_graph.protos", "data_pb2"),
      ("own_folder", "mtl_graph.data.columns", "mtl_graph.data", "sources"),
      ("sub_folder", "mtl_graph.model.graphs", "mtl_graph.model.sharing", "a"),
      ("to_parent", "mtl_graph.model.sharing.a", "mtl_graph.model", "b"),
      ("neighbour", "mtl_graph.model.graphs", "mtl_graph.data", "batches"),
      ("own_floor", "mtl_graph.validation", "mtl_graph", "config"),
      ("launcher", "mtl_graph.train", "mtl_graph", "export"),
      ("version", "mtl_graph.serving.a", "mtl_graph", "__version__"),
      ("tool", "tools.convert", "mtl_graph.training", "loop"),
      ("parts_of_a_tool", "tools.benchmark", "tools.benchmarking", "cases"),
      ("library", "mtl_graph.data.columns", "numpy", "random"),
      ("look_alike", "mtl_graph.ops.shapes", "mtl_graphics.model", "graphs"),
  )
  def test_allowed(self, module, package, name):
    files = {module: f"from {package} import {name}\n"}
    self.assertEmpty(breaches(files))

  @parameterized.named_parameters(
      ("up", "mtl_graph.model.graphs", "mtl_graph.training.loop"),
      ("protos_in_an_op", "mtl_graph.ops.shapes", "mtl_graph.protos.data_pb2"),
      ("config_in_a_layer", "mtl_graph.layers.dense", "mtl_graph.config"),
      ("model_in_config", "mtl_graph.config", "mtl_graph.model.graphs"),
      ("backwards", "mtl_graph.data.columns", "mtl_graph.model.graphs"),
      ("layers_in_an_op", "mtl_graph.ops.shapes", "mtl_graph.layers.dense"),
      ("sideways", "mtl_graph.checkpoints.a", "mtl_graph.evaluation.b"),
      ("training_in_serving", "mtl_graph.serving.a", "mtl_graph.training.b"),
      ("serving_in_training", "mtl_graph.training.a", "mtl_graph.serving.b"),
      ("launcher", "mtl_graph.training.loop", "mtl_graph.train"),
      ("launcher_in_config", "mtl_graph.config", "mtl_graph.train"),
      ("face", "mtl_graph.training.loop", "mtl_graph"),
      ("tools", "mtl_graph.train", "tools.make_flights"),
      ("tools_in_tools", "tools.convert", "tools.make_flights"),
      ("tool_in_its_parts", "tools.benchmarking.cases", "tools.benchmark"),
      ("tests", "mtl_graph.train", "tests.floors_test"),
  )
  def test_refused(self, module, name):
    package, _, last = name.rpartition(".")
    lines = [f"import {name}", f"def f():\n  import {name} as x"]
    if package:
      lines += [f"from {package} import {last} as y",
                f"importlib.import_module('{name}')"]
    for line in lines:
      self.assertEqual(breaches({module: line}), [f"{module} imports {name}"])

  def test_no_floor(self):
    self.assertEqual(breaches({"mtl_graph.attic.a": "", "mtl_graph.b": ""}),
                     ["mtl_graph.attic.a stands on no floor",
                      "mtl_graph.b stands on no floor"])
    self.assertEqual(
        breaches({"mtl_graph.train": "from mtl_graph.attic import a"}),
        ["mtl_graph.train imports mtl_graph.attic.a"])

  def test_relative_import(self):
    with self.assertRaisesRegex(ValueError, "mtl_graph.data.a: line 1: import"):
      breaches({"mtl_graph.data.a": "from . import b"})


class CyclesTest(absltest.TestCase):

  def test_found(self):
    files = {
        "mtl_graph.data.a": "from mtl_graph.data import b",
        "mtl_graph.data.b": "from mtl_graph.data.c import name",
        "mtl_graph.data.c": "import mtl_graph.data.a",
        "mtl_graph.data.d": "from mtl_graph.data import a",
    }
    self.assertEqual(cycles(files), ["mtl_graph.data.a", "mtl_graph.data.b",
                                     "mtl_graph.data.c"])
    files["mtl_graph.data.c"] = ""
    self.assertEmpty(cycles(files))


class SessionsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("opened", "with tf.Session() as s: pass", "Session"),
      ("imported", "from tensorflow.compat.v1 import Session", "Session"),
      ("by_name", "getattr(tf, 'InteractiveSession')()", "InteractiveSession"),
      ("hint", "def f(session: tf.Session): pass", "Session"),
      ("monitored", "tf.train.MonitoredTrainingSession()",
       "MonitoredTrainingSession"),
      ("the_one_at_hand", "tf.get_default_session()", "get_default_session"),
      ("supervisor", "tf.train.Supervisor", "Supervisor"),
  )
  def test_refused(self, text, mention):
    for module in ("mtl_graph.ops.a", "mtl_graph.layers.b", "mtl_graph.data.c",
                   "mtl_graph.model.d", "mtl_graph.model.sharing.e"):
      self.assertEqual(sessions({module: text}),
                       [f"{module} mentions {mention}"])
    self.assertEmpty(sessions({"mtl_graph.checkpoints.a": text}))

  def test_prose_is_allowed(self):
    self.assertEmpty(sessions(
        {"mtl_graph.model": '"""Builds the graph; opens no session."""'}))


class WithTensorflowTest(parameterized.TestCase):

  @parameterized.parameters(
      "import tensorflow", "import tensorflow.compat.v1 as tf",
      "from tensorflow import io", "def f():\n  from tensorflow.io import a")
  def test_refused_where_experiments_are_checked(self, text):
    files = {"mtl_graph.outline": text, "mtl_graph.config": "import re",
             "mtl_graph.data.columns": text, "mtl_graph.train": text}
    self.assertEqual(with_tensorflow(files), ["mtl_graph.outline"])


class SourcesTest(absltest.TestCase):

  def test_reads_all_but_tests_and_generated_files(self):
    # Not absl's create_tempdir: it wants flags parsed, which pytest does not.
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    root = pathlib.Path(folder.name)
    for path in ("mtl_graph/__init__.py", "mtl_graph/data/a.py", "tools/b.py",
                 "mtl_graph/protos/data_pb2.py", "tests/c.py", "setup.py",
                 "mtl_graph/data/d.txt"):
      (root / path).parent.mkdir(parents=True, exist_ok=True)
      (root / path).write_text(f"# {path}", encoding="utf-8")
    self.assertEqual(sources(str(root)), {
        "mtl_graph": "# mtl_graph/__init__.py",
        "mtl_graph.data.a": "# mtl_graph/data/a.py",
        "tools.b": "# tools/b.py",
    })


if __name__ == "__main__":
  absltest.main()
