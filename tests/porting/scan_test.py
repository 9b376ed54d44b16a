"""Tests of verdicts, reports and rewriting, on the installed TensorFlow."""

import csv
import io
import json
import os
import tempfile
import textwrap

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import estimator
from mtl_graph.porting import installed as installed_lib
from mtl_graph.porting import own_names
from mtl_graph.porting import python_files
from mtl_graph.porting import replacements
from mtl_graph.porting import rewriting
from mtl_graph.porting import scan_report
from mtl_graph.porting import tf_keras_names
from mtl_graph.porting import trial_calls
from mtl_graph.porting import uses
from mtl_graph.porting import verdicts

INSTALLED = installed_lib.Installed()


def scan(text):
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "a.py")
    with open(path, "w", encoding="utf-8") as file:
      file.write(textwrap.dedent(text))
    sources = python_files.read_all([path])[path]
  return scan_report.Scan("a.py", sources, verdicts.judge_all(
      sources, uses.gather(sources), INSTALLED), INSTALLED.version)


class VerdictTest(parameterized.TestCase):

  @parameterized.parameters(
      ("tf.placeholder(tf.float32, [2])", "works", ""),
      ("tf.train.AdamOptimizer(0.1).minimize(x)", "works", ""),
      ("tf.GraphKeys.UPDATE_OPS", "works", ""),
      ("tf.flags.FLAGS.anything_at_all", "works", ""),
      ("tf.float32.as_numpy_dtype", "works", ""),
      ("tf.reduce_sum(x, keep_dims=True)", "deprecated", "keep_dims"),
      ("tf.nn.dropout(x, 0.5)", "deprecated", "keep_prob"),
      ("tf.argmax(x, dimension=1)", "deprecated", "dimension"),
      ("tf.squeeze(x, squeeze_dims=[1])", "deprecated", "squeeze_dims"),
      ("tf.concat(1, [x, x])", "argument", "takes values first"),
      ("tf.concat(concat_dim=1, values=[x])", "argument", "concat_dim"),
      ("tf.split(1, 2, x)", "argument", "value first"),
      ("tf.nn.softmax_cross_entropy_with_logits(x, y)", "argument",
       "takes labels first"),
      ("tf.zeros([2], tf.float32, 'a', None, 5)", "argument",
       "takes 4 arguments"),
      ("tf.keras.optimizers.Adam(lr=0.1)", "argument", "lr"),
      ("tf.layers.dense(x, 2)", "ours", "mtl_graph.compat.layers.dense"),
      ("tf.nn.rnn_cell.LSTMCell(3)", "ours",
       "mtl_graph.compat.rnn_cell.LSTMCell"),
      ("tf.contrib.rnn.LSTMCell(3)", "ours",
       "mtl_graph.compat.rnn_cell.LSTMCell"),
      ("tf.contrib.rnn.LayerNormBasicLSTMCell(3)", "ours",
       "mtl_graph.compat.rnn_cell.LayerNormBasicLSTMCell"),
      ("tf.contrib.rnn.static_rnn(c, x)", "replaced", "tf.nn.static_rnn"),
      ("tf.contrib.framework.arg_scope([f])", "ours",
       "mtl_graph.compat.slim.arg_scope"),
      ("tf.keras.backend.get_session()", "tf-keras", "tf-keras"),
      ("tf.contrib.layers.fully_connected(x, 3)", "ours",
       "mtl_graph.compat.contrib_layers.fully_connected"),
      ("tf.contrib.slim.batch_norm(x)", "ours",
       "mtl_graph.compat.slim.batch_norm"),
      ("tf.contrib.opt.LazyAdamOptimizer(0.1)", "ours", "lazy_adam"),
      ("tf.contrib.summary.scalar('a', x)", "replaced", "needs tensorboard"),
      ("tf.estimator.DNNClassifier([3])", "ours", "an experiment"),
      ("tf.contrib.layers.xavier_initializer()", "ours",
       "mtl_graph.compat.contrib_layers.xavier_initializer"),
      ("tf.contrib.layers.python.layers.layers.dropout(x)", "ours",
       "mtl_graph.compat.contrib_layers.dropout"),
      ("tf.estimator.ModeKeys.TRAIN", "ours",
       "mtl_graph.estimator.ModeKeys.TRAIN"),
      ("tf.pack([x, x])", "replaced", "tf.stack"),
      ("tf.contrib.training.HParams(a=1)", "gone", "hparam.py"),
      ("tf.summary.historgram('a', x)", "gone", "nearest: 'histogram'"),
      ("tf.AdamOptimizer(0.1)", "gone", "; tf.train.AdamOptimizer is"),
      ("tf.contrib.tpu.python.tpu.tpu_config.X", "gone", "tf.estimator"),
      ("tf.estimator.Estimator(f)", "ours", "mtl_graph.estimator.Estimator"),
      ("tf.estimator.BestExporter('b')", "gone", "MonitoredTrainingSession"),
      ("getattr(tf.nn, f)", "unchecked", "when it runs"),
  )
  def test_of_a_name(self, code, verdict, message):
    found = [f for f in scan(f"import tensorflow as tf\n{code}\n").findings
             if f.line == 2 and f.column == 1]
    self.assertEqual([f.verdict for f in found], [verdict])
    self.assertIn(message, found[0].message)

  @parameterized.parameters(
      ("from tensorflow.python.ops import math_ops\nmath_ops.add(x, y)",
       "private", "its public name is tf.add"),
      ("from tensorflow.python.util import compat\ncompat.as_bytes(x)",
       "private", "its public name is tf.compat.as_bytes"),
      ("from tensorflow.contrib.layers.python.layers import utils\n"
       "utils.collect_named_outputs(x, y, z)", "ours",
       "mtl_graph.compat.slim.utils.collect_named_outputs"),
      ("from tensorflow.python.framework import ops\nops.Tensor(x)",
       "replaced", "tf.Tensor"),
      ("from tensorflow.python.training.tracking import base\nbase.Trackable",
       "replaced", "tensorflow.python.trackable.base.Trackable"),
      ("from tensorflow_estimator.python.estimator import run_config\n"
       "run_config.RunConfig()", "ours", "mtl_graph.estimator.RunConfig"),
      ("import tf_slim\ntf_slim.batch_norm(x)", "ours", "with tf-keras too"),
      ("import tf_slim\ntf_slim.optimize_loss(x)", "gone", "AttributeError"),
      ("from tensorflow.python.framework import tensor_util\n"
       "tensor_util.constant_value(x)", "private", "tf.get_static_value"),
      ("import tensorflow.compat.v2 as tf\ntf.placeholder(x)", "gone",
       "is not there"),
  )
  def test_of_a_private_or_other_name(self, code, verdict, message):
    found = [f for f in scan(code).findings if f.line == 2]
    self.assertEqual([f.verdict for f in found], [verdict])
    self.assertIn(message, found[0].message)

  def test_import_is_wrong_only_where_names_differ(self):
    for code, verdict in (("tf.placeholder(1)", "import"),
                          ("tf.GradientTape()", "works")):
      first = scan(f"import tensorflow as tf\n{code}\n").findings[0]
      self.assertEqual(first.verdict, verdict)
    found = scan("import tensorflow.compat.v1 as tf\ntf.log(1)\n").findings
    self.assertEqual(found[0].verdict, "works")

  def test_the_best_branch_counts(self):
    found = scan("import tensorflow as tf\n"
                 "r = tf.contrib.rnn if x else tf.nn\nr.static_rnn(1, 2)\n")
    self.assertEqual(found.findings[-1].verdict, "works")


class TableTest(absltest.TestCase):

  def test_every_target_of_tensorflow_or_ours_is_there(self):
    def has(inner):
      return INSTALLED.has(inner) or tf_keras_names.has(inner)
    for line in replacements.Table().lines():
      if line.targets:
        self.assertTrue(any(own_names.is_installed(target, has)
                            for target in line.targets), line)
        for target in line.targets:
          if target.startswith("tf."):
            self.assertTrue(has(target.partition("(")[0][3:]), line)

  def test_what_is_ours_is_there_and_in_no_table(self):
    for name in own_names.ESTIMATORS:
      value = estimator
      for part in name.split("."):
        value = getattr(value, part)
    for name in estimator.__all__:
      self.assertIn(name, own_names.ESTIMATORS)
    for line in replacements.Table().lines():
      if not line.pattern.endswith(".*"):
        self.assertIsNone(own_names.find(line.pattern), line)

  def test_nothing_in_the_table_is_there_still(self):
    for line in replacements.Table().lines():
      name = line.pattern.removesuffix(".*")
      self.assertFalse(not name.startswith("tensorflow.")
                       and INSTALLED.has(name), name)

  def test_tf_keras_names_are_not_there_without_it(self):
    for module, names in tf_keras_names.NAMES.items():
      for name in names.split():
        self.assertFalse(INSTALLED.has(f"{module}.{name}"), (module, name))
        self.assertTrue(tf_keras_names.has(f"{module}.{name}.attribute"))

  def test_what_changed_its_arguments_is_never_rewritten(self):
    """Metrics of contrib take predictions first, those of core labels."""
    for line in replacements.Table().lines():
      if line.pattern.startswith("contrib.metrics.streaming_") and line.same:
        self.assertIn(line.pattern.rpartition("_")[2],
                      ("mean", "tensor", "less"))
    for name in ("contrib.metrics.streaming_accuracy", "batch_matmul",
                 "contrib.data.assert_element_shape",
                 "contrib.layers.xavier_initializer"):
      self.assertFalse(replacements.Table().find(name).same, name)


class TrialTest(absltest.TestCase):

  def test_calls_tell_what_works_from_what_raises_of_itself(self):
    def broken(inputs, units):
      del inputs, units
      raise ImportError("`dense` is not available with Keras 3.")
    self.assertEqual(trial_calls.call(tf.nn.relu).outcome, "works")
    self.assertEqual(trial_calls.call(tf.one_hot).outcome, "works")
    self.assertEqual(trial_calls.call(broken).outcome, "broken")
    self.assertEqual(trial_calls.call(lambda x: x.absent).outcome, "unknown")


class RewritingTest(absltest.TestCase):

  def rewritten(self, text):
    found = scan(text)
    return rewriting.apply(found.sources[0].text, rewriting.edits_for(
        found.sources[0], found.findings))

  def test_what_is_safe(self):
    self.assertEqual(self.rewritten("""\
        import os, tensorflow as tf  # \u00e9
        from tensorflow import placeholder
        x = "\u00e9"; c = tf.contrib.rnn.BasicLSTMCell(3)
        s = tf.contrib.training.HParams(a=tf.pack([x, c]))
        if __name__ == "__main__":
          tf.app.run()
        """), textwrap.dedent("""\
        from mtl_graph import compat
        import os, tensorflow.compat.v1 as tf  # \u00e9
        from tensorflow.compat.v1 import placeholder
        x = "\u00e9"; c = compat.rnn_cell.BasicLSTMCell(3)
        s = tf.contrib.training.HParams(a=tf.stack([x, c]))
        if __name__ == "__main__":
          tf.app.run()
        """))

  def test_a_script_switches_eager_execution_off(self):
    self.assertEqual(self.rewritten("""\
        import tensorflow
        x = tensorflow.placeholder(tensorflow.float32)
        if __name__ == "__main__": f()
        """).splitlines()[:2],
                     ["import tensorflow.compat.v1 as tensorflow",
                      "tensorflow.disable_eager_execution()"])

  def test_other_arguments_are_left_alone(self):
    text = ("import tensorflow.compat.v1 as tf\n"
            "tf.contrib.signal.frame(1, 2, 3, absent=4)\n"
            "tf.contrib.metrics.streaming_accuracy(1, 2)\n"
            "tf.contrib.layers.sparse_column_with_keys()\n")
    self.assertEqual(self.rewritten(text), text)

  def test_layers_and_estimators_become_ours(self):
    self.assertEqual(self.rewritten("""\
        \"\"\"A model.\"\"\"
        from __future__ import division
        import numpy as np
        import tensorflow.compat.v1 as tf
        def model_fn(features, mode):
          with tf.contrib.framework.arg_scope([tf.contrib.layers.conv2d]):
            x = tf.layers.dense(features["x"], 3)
          if mode == tf.estimator.ModeKeys.TRAIN:
            x = tf.layers.dropout(x)
        """), textwrap.dedent("""\
        \"\"\"A model.\"\"\"
        from __future__ import division
        from mtl_graph import compat
        from mtl_graph import estimator
        import numpy as np
        import tensorflow.compat.v1 as tf
        def model_fn(features, mode):
          with tf.contrib.framework.arg_scope([tf.contrib.layers.conv2d]):
            x = compat.layers.dense(features["x"], 3)
          if mode == estimator.ModeKeys.TRAIN:
            x = compat.layers.dropout(x)
        """))

  def test_layers_that_go_by_arg_scope_go_together(self):
    text = ("import tensorflow.compat.v1 as tf\n"
            "x = tf.contrib.layers.fully_connected(x, 3)\n")
    self.assertIn("\nx = compat.contrib_layers.fully_connected(x, 3)\n",
                  self.rewritten(text))
    text += "x = tf.contrib.layers.spatial_softmax(x)\n"
    self.assertEqual(self.rewritten(text), text)

  def test_a_name_that_is_taken_is_not_taken_again(self):
    text = ("import tensorflow.compat.v1 as tf\n"
            "def f(x, compat):\n  return tf.layers.dense(x, 3)\n")
    self.assertEqual(self.rewritten(text), text)
    text = "def f(x):\n  import tensorflow.compat.v1 as tf\n"
    text += "  return tf.layers.dense(x, 3)\n"
    self.assertEqual(self.rewritten(text), text)

  def test_the_copy_is_whole_and_the_source_stays(self):
    with tempfile.TemporaryDirectory() as folder:
      root, out = os.path.join(folder, "in"), os.path.join(folder, "out")
      os.makedirs(os.path.join(root, "data"))
      text = b"# coding: latin-1\r\n# \xe9\r\nimport tensorflow as tf\r\ntf.log(1)"
      for name, content in (("a.py", text), ("data/x.bin", b"\0\1"),
                            ("old.py", b"print 'x'")):
        with open(os.path.join(root, name), "wb") as file:
          file.write(content)
      sources = python_files.read_all([root])[root]
      findings = verdicts.judge_all(sources, uses.gather(sources), INSTALLED)
      diff = rewriting.rewrite(root, out, sources, findings)
      read = {}
      for base in (root, out):
        for name in ("a.py", "data/x.bin", "old.py"):
          with open(os.path.join(base, name), "rb") as file:
            read[base, name] = file.read()
      with self.assertRaisesRegex(python_files.PortingError,
                                  "--out: '.*' exists; allowed: "):
        rewriting.rewrite(root, out, sources, findings)
      with self.assertRaisesRegex(python_files.PortingError, "lies in"):
        rewriting.rewrite(root, os.path.join(root, "b"), sources, findings)
    self.assertEqual(read[root, "a.py"], text)
    self.assertEqual(read[out, "a.py"],
                     text.replace(b"tensorflow", b"tensorflow.compat.v1"))
    self.assertEqual(read[out, "data/x.bin"], b"\0\1")
    self.assertEqual(read[out, "old.py"], b"print 'x'")
    self.assertIn("+import tensorflow.compat.v1 as tf", diff)


class ReportTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.scan = scan("import tensorflow as tf\n" + "tf.layers.dense(1, 2)\n" * 3
                     + "tf.contrib.learn.x\ntf.log(1)\n")

  def test_text(self):
    text = scan_report.as_text(self.scan)
    self.assertIn("a.py:2:1: tf.layers.dense: ours -- mtl_graph.compat.", text)
    self.assertRegex(text, r"(?m)^  ours +3 places +1 names ")
    self.assertNotIn("tf.log", text.replace("compat.v1: tf.log", ""))

  def test_totals_and_effort(self):
    totals = scan_report.totals(self.scan)
    self.assertEqual(totals["places"], {"works": 1, "import": 1, "ours": 3,
                                        "gone": 1})
    minutes = 0.5 + (2 + 3 * 0.5) + (120 + 5)
    np.testing.assert_allclose(totals["hours"], minutes / 60, atol=0.05)

  def test_json(self):
    scanned, = json.loads(scan_report.as_json([self.scan]))
    self.assertLen(scanned["findings"], 5)
    self.assertEqual(scanned["working_names"], ["tf.log"])

  def test_sarif(self):
    run, = json.loads(scan_report.as_sarif([self.scan]))["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    self.assertLen(run["results"], 5)
    for result in run["results"]:
      self.assertIn(result["ruleId"], rules)
      region = result["locations"][0]["physicalLocation"]["region"]
      self.assertBetween(region["startLine"], 1, 5)

  def test_sample_is_drawn_by_its_seed(self):
    def rows(size, seed):
      return list(csv.DictReader(io.StringIO(
          scan_report.sample([self.scan], size, seed))))
    self.assertLen(rows(100, 1), 5)
    self.assertEqual(rows(2, 1), rows(2, 1))
    self.assertLen({str(rows(2, seed)) for seed in range(60)}, 10)
    self.assertEqual(rows(100, 1)[1]["source"], "tf.layers.dense(1, 2)")


if __name__ == "__main__":
  absltest.main()
