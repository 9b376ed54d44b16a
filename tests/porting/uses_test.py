"""Tests of resolving names through aliases; no TensorFlow is imported."""

import os
import tempfile
import textwrap

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph.porting import python_files
from mtl_graph.porting import uses


def names_in(**files):
  """Returns the uses of sources: (name, kind) in order, imports left out."""
  with tempfile.TemporaryDirectory() as folder:
    for path, text in files.items():
      full = os.path.join(folder, path.replace("__", "/") + ".py")
      os.makedirs(os.path.dirname(full), exist_ok=True)
      if os.path.dirname(full) != folder:
        with open(os.path.join(os.path.dirname(full), "__init__.py"), "a",
                  encoding="utf-8"):
          pass
      with open(full, "w", encoding="utf-8") as file:
        file.write(textwrap.dedent(text))
    found = uses.gather(python_files.read_all([folder])[folder])
  return [name.removeprefix("tensorflow.") for use in found
          if use.kind not in ("import", "from")
          for name in sorted(use.names) if name != "tensorflow"]


class ResolveTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("alias", "import tensorflow as tf\ntf.nn.relu(1)", ["nn.relu"]),
      ("no_alias", "import tensorflow\ntensorflow.log(1)", ["log"]),
      ("submodule", "import tensorflow.contrib.slim as slim\nslim.conv2d(1)",
       ["contrib.slim.conv2d"]),
      ("submodule_binds_the_root",
       "import tensorflow.contrib.slim\ntensorflow.contrib.slim.conv2d(1)",
       ["contrib.slim.conv2d"]),
      ("from_import", "from tensorflow.contrib import layers as l\nl.relu",
       ["contrib.layers.relu"]),
      ("from_python", "from tensorflow.python.ops import math_ops\n"
       "math_ops.add(1, 2)", ["python.ops.math_ops.add"]),
      ("symbol", "from tensorflow.nn import relu as r\nr(1)", ["nn.relu"]),
      ("assigned", "import tensorflow as tf\nfc = tf.contrib.layers\nfc.relu",
       ["contrib.layers", "contrib.layers.relu"]),
      ("assigned_twice", "import tensorflow as t\ntf = t\nn = tf.nn\nn.relu",
       ["nn", "nn.relu"]),
      ("getattr", "import tensorflow as tf\n"
       "getattr(getattr(tf, 'nn'), 'relu')(1)", ["nn.relu"]),
      ("getattr_then_dot", "import tensorflow as tf\ngetattr(tf, 'nn').relu",
       ["nn.relu"]),
      ("importlib", "import importlib\n"
       "tf = importlib.import_module('tensorflow.compat.v1')\ntf.log",
       ["compat.v1.log"]),
      ("import_function", "tf = __import__('tensorflow.contrib')\ntf.log",
       ["log"]),
      ("lazy", "x = LazyLoader('x', globals(), 'tensorflow.contrib')\nx.crf",
       ["contrib.crf"]),
      ("wildcard", "from tensorflow.contrib.layers import *\nrelu(len([]))",
       ["contrib.layers.relu"]),
      ("either_branch", "import tensorflow as tf\n"
       "rnn = tf.nn.rnn_cell if x else tf.contrib.rnn\nrnn.LSTMCell",
       ["nn.rnn_cell", "contrib.rnn", "contrib.rnn.LSTMCell",
        "nn.rnn_cell.LSTMCell"]),
      ("try_import", "try:\n  import tensorflow as tf\n"
       "except ImportError:\n  tf = None\ntf.log", ["log"]),
      ("in_a_function", "def f():\n  import tensorflow as tf\n  tf.log\n"
       "tf.exp", ["log"]),
      ("decorator_default_annotation", "import tensorflow as tf\n"
       "@tf.a\ndef f(x: tf.b = tf.c) -> tf.d: pass", ["a", "b", "c", "d"]),
      ("base_class", "import tensorflow as tf\nclass A(tf.a):\n  x = tf.b",
       ["a", "b"]),
      ("in_arguments", "import tensorflow as tf\ntf.a(tf.b(1), k=tf.c).d(tf.e)",
       ["a", "b", "c", "e"]),
      ("method_of_a_result", "import tensorflow as tf\ntf.Session().run(1)",
       ["Session"]),
      ("comprehension", "import tensorflow as tf\n[tf.a(x) for x in tf.b]",
       ["a", "b"]),
  )
  def test_found(self, text, expected):
    self.assertCountEqual(names_in(a=text), expected)

  @parameterized.named_parameters(
      ("argument", "import tensorflow as tf\ndef f(tf):\n  return tf.log"),
      ("lambda", "import tensorflow as tf\ng = lambda tf: tf.log"),
      ("loop", "from tensorflow.contrib import layers\n"
       "def f():\n  for layers in x: layers.relu"),
      ("comprehension", "import tensorflow as tf\n[tf.log for tf in x]"),
      ("caught", "import tensorflow as tf\ndef f():\n  try: pass\n"
       "  except E as tf: tf.log"),
      ("class_body_is_not_seen_in_methods",
       "class A:\n  import tensorflow as tf\n  def f(self): return tf.log"),
      ("sonnet", "import sonnet as snt\nsnt.Linear(3)"),
      ("look_alike", "import tensorflow_probability as tfp\ntfp.log"),
      ("variable", "import tensorflow as tf\ndef f(x):\n  y = x\n  y.log"),
  )
  def test_hidden(self, text):
    self.assertEmpty([n for n in names_in(a=text) if "log" in n or "relu" in n
                      or "Linear" in n])

  def test_a_variable_that_once_held_a_function(self):
    self.assertEqual(names_in(a="""
        import tensorflow as tf
        x = tf.nn.relu
        x = x(1)
        x.shape
    """), ["nn.relu"])

  def test_through_other_files(self):
    self.assertCountEqual(names_in(
        p__compat="import tensorflow.compat.v1 as tf\nv1 = tf.layers\n",
        p__contrib="""
            def slim():
              from tensorflow.contrib import slim as s
              return s
        """,
        p__more="from p.compat import *\n",
        p__q__user="""
            from p.compat import tf
            from .. import compat
            from ..contrib import slim
            import p.more
            from p import contrib as c
            tf.a
            compat.v1.dense
            slim().conv2d(1)
            c.slim().relu
            p.more.tf.b
        """), ["compat.v1.layers", "compat.v1.a", "compat.v1.layers.dense",
               "contrib.slim", "contrib.slim.conv2d", "contrib.slim.relu",
               "compat.v1.b"])

  def test_imports_that_go_in_circles_end(self):
    self.assertEmpty(names_in(p__a="from p.b import tf\ntf.log",
                              p__b="from p.a import tf\ntf.log"))

  def test_where_and_whether_guarded(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "a.py")
      with open(path, "w", encoding="utf-8") as file:
        file.write("try:\n  from tensorflow.contrib import a\n"
                   "except ImportError:\n  pass\nx = a.b(\n1)\ny = getattr(a, z)\n")
      found = uses.gather(python_files.read_all([path])[path])
    self.assertEqual(
        [(u.path, u.line, u.column, u.kind, u.guarded) for u in found],
        [("a.py", 2, 34, "from", True), ("a.py", 5, 5, "name", False),
         ("a.py", 7, 5, "dynamic", False)])


class UnreadableTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("print", b"import tensorflow\nprint 'x'\n", 2, "is Python 2 "),
      ("raise", b"raise E, 'x'\n", 1, "is Python 2 "),
      ("except", b"try: pass\nexcept A, b: pass\n", 2, "is Python 2 "),
      ("backtick", b"print(`x`)\n", 1, "is not Python 3|is Python 2"),
      ("octal", b"x = 0777\n", 1, "is Python 2 "),
      ("latin", b"x = 1\n# \xe9t\xe9\n", 2, "is not utf-8 text"),
      ("encoding", b"# coding: klingon\n", 1, "encoding that does not exist"),
      ("null", b"x = '\0'\n", 1, "is not Python 3"),
      ("deep", b"x = " + b"(" * 5000 + b")" * 5000, 1, "is n"),
      ("template", b"def {{name}}(): pass\n", 1, "is not Python 3"),
  )
  def test_is_one_line(self, content, line, pattern):
    with tempfile.TemporaryDirectory() as folder:
      for name, text in (("bad.py", content), ("good.py", b"import tensorflow")):
        with open(os.path.join(folder, name), "wb") as file:
          file.write(text)
      bad, good = python_files.read_all([folder])[folder]
    self.assertIsNone(bad.tree)
    self.assertEqual(bad.line, line)
    self.assertRegex(bad.problem, pattern)
    self.assertNotIn("\n", bad.problem)
    self.assertLen(uses.gather([bad, good]), 1)

  def test_declared_latin_is_read(self):
    with tempfile.NamedTemporaryFile(suffix=".py") as file:
      file.write(b"# coding: latin-1\nx = '\xe9'\n")
      file.flush()
      source, = python_files.read_all([file.name])[file.name]
    self.assertEqual(source.text.count("\u00e9"), 1)

  def test_nothing_to_read(self):
    with tempfile.TemporaryDirectory() as folder:
      for path in (folder, os.path.join(folder, "absent")):
        with self.assertRaisesRegex(python_files.PortingError,
                                    f"{path}: found no.*; allowed: "):
          python_files.read_all([path])


if __name__ == "__main__":
  absltest.main()
