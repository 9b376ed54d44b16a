"""Tests of tools/rename_checkpoint.py: what it writes loads, and goes on."""

import contextlib
import glob
import io
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph
from mtl_graph.layers import dense
from mtl_graph.checkpoints import checkpoint_reader
from tools import rename_checkpoint

X = np.random.RandomState(0).randn(64, 5).astype(np.float32)
Y = np.random.RandomState(1).randn(64, 2).astype(np.float32)
EXPERIMENT = "protos/examples/document.pbtxt"


def save(session, folder, **saver):
  os.makedirs(folder, exist_ok=True)
  return tf.train.Saver(**saver).save(session, os.path.join(folder, "model"))


class RenameTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.new = os.path.join(self.folder, "new", "model")

  def run_tool(self, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, (
        contextlib.redirect_stderr(io.StringIO())) as err:
      code = rename_checkpoint.main(["rename_checkpoint.py", *arguments])
    return code, out.getvalue(), err.getvalue()

  def saved(self, values, folder="old", **saver):
    with tf.Graph().as_default(), tf.Session() as session:
      for name, value in values.items():
        tf.get_variable(name, initializer=value)
      session.run(tf.global_variables_initializer())
      return save(session, os.path.join(self.folder, folder), **saver)

  @parameterized.parameters(1, 2)
  def test_slims_names_load_into_our_layers(self, version):
    """Two layers named as slim names them, under its graph's own formula."""
    with tf.Graph().as_default(), tf.Session() as session:
      h = tf.constant(X)
      for scope, width in (("net/fully_connected", 4),
                           ("net/fully_connected_1", 2)):
        with tf.variable_scope(scope):
          weights = tf.get_variable("weights", [h.shape[1], width])
          biases = tf.get_variable("biases", [width],
                                   initializer=tf.random_normal_initializer())
        h = tf.nn.relu(tf.nn.xw_plus_b(h, weights, biases))
      session.run(tf.global_variables_initializer())
      expected = session.run(h)
      old = save(session, os.path.join(self.folder, "old"),
                 write_version=version)
    code, out, err = self.run_tool(old, f"--output={self.new}",
                                   "--preset=slim_to_layers")
    self.assertEqual((code, err), (0, ""))
    self.assertIn("-> net/dense_1/kernel", out)
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("net"):
        h = dense.dense(tf.constant(X), 4, tf.nn.relu)
        h = dense.dense(h, 2, tf.nn.relu, name="dense_1")
      tf.train.Saver().restore(session, self.new)
      np.testing.assert_allclose(session.run(h), expected, atol=1e-6)

  def original(self, session):
    """The script of old: an unscoped Adam per list of variables."""
    loss, trunk, head = self.network()
    train_op = tf.group(*(
        tf.train.AdamOptimizer(rate).minimize(loss, var_list=variables)
        for rate, variables in ((0.01, trunk), (0.03, head))))
    session.run(tf.global_variables_initializer())
    return loss, train_op

  def network(self):
    with tf.variable_scope("trunk"):
      w = tf.get_variable("w", [5, 8], initializer=tf.glorot_uniform_initializer(
          seed=1))
    with tf.variable_scope("head"):
      v = tf.get_variable("w", [8, 2], initializer=tf.glorot_uniform_initializer(
          seed=2))
    loss = tf.reduce_mean(tf.square(tf.tanh(X @ w) @ v - Y))
    return loss, [w], [v]

  def steps(self, session, loss, train_op, number):
    return [session.run([loss, train_op])[0] for _ in range(number)]

  def test_training_goes_on_with_slots_that_were_renamed(self):
    with tf.Graph().as_default(), tf.Session() as session:
      loss, train_op = self.original(session)
      self.steps(session, loss, train_op, 10)
      old = save(session, os.path.join(self.folder, "old"))
      expected = self.steps(session, loss, train_op, 20)
    code, _, err = self.run_tool(old, f"--output={self.new}",
                                 "--group=shared:trunk", "--group=task:head")
    self.assertEqual((code, err), (0, ""))
    losses = {}
    for with_slots in (True, False):
      with tf.Graph().as_default(), tf.Session() as session:
        loss, trunk, head = self.network()
        train_op = mtl_graph.grouped_train_op(loss, [
            mtl_graph.VariableGroup("shared", trunk,
                                    tf.train.AdamOptimizer(0.01)),
            mtl_graph.VariableGroup("task", head,
                                    tf.train.AdamOptimizer(0.03)),
        ], tf.train.get_or_create_global_step())
        session.run(tf.global_variables_initializer())
        tf.train.Saver([v for v in tf.global_variables() if (
            v.op.name != "global_step" if with_slots else v in trunk + head)]
                      ).restore(session, self.new)
        losses[with_slots] = self.steps(session, loss, train_op, 20)
    np.testing.assert_allclose(losses[True], expected, atol=1e-5, rtol=0)
    # Without the slots the same check fails: it can.
    self.assertGreater(np.abs(np.subtract(losses[False], expected)).max(), 1e-4)

  def test_groups_of_an_experiment(self):
    names = ["trunk/dense/kernel", "head/a/kernel", "tower/b/dense/bias"]
    old = self.saved({**{n: np.zeros([2], np.float32) for n in names},
                      **{n + "/Adam": np.ones([2], np.float32) for n in names},
                      "beta1_power": 0.5})
    code, _, err = self.run_tool(old, f"--output={self.new}",
                                 f"--config={EXPERIMENT}")
    self.assertEqual((code, err), (0, ""))
    self.assertCountEqual(checkpoint_reader.Reader(self.new).variables, names + [
        "optimizer/shared/trunk/dense/kernel/Adam",
        "optimizer/a/head/a/kernel/Adam", "optimizer/b/tower/b/dense/bias/Adam",
        "optimizer/shared/beta1_power", "optimizer/a/beta1_power",
        "optimizer/b/beta1_power"])

  def test_values_types_and_parts(self):
    values = {"w/part_0": np.float32([[1, 2]]), "w/part_1": np.float32([[3, 4]]),
              "text": np.array([b"a\0", b""], object), "n": np.int64(2**60),
              "half": np.float16([1.5]), "flag": np.array([True, False])}
    old = self.saved(values)
    before = {}
    for path in glob.glob(os.path.join(self.folder, "old", "*")):
      with open(path, "rb") as file:
        before[path] = file.read()
    code, _, err = self.run_tool(old, f"--output={self.new}",
                                 "--preset=merge_partitions", "--rule=^n$=>m")
    self.assertEqual((code, err), (0, ""))
    reader = checkpoint_reader.Reader(os.path.dirname(self.new))
    expected = {"w": np.float32([[1, 2], [3, 4]]), "text": values["text"],
                "m": values["n"], "half": values["half"],
                "flag": values["flag"]}
    self.assertCountEqual(reader.variables, expected)
    for name, value in expected.items():
      np.testing.assert_array_equal(reader.value(name), value)
      self.assertEqual(reader.value(name).dtype, np.asarray(value).dtype)
    for path, content in before.items():
      with open(path, "rb") as file:
        self.assertEqual(file.read(), content)

  def test_dry_run_writes_nothing_and_nothing_is_overwritten(self):
    old = self.saved({"a": 1.0})
    code, out, _ = self.run_tool(old, "--rule=a=>b", "--dry_run",
                                 f"--output={self.new}")
    self.assertEqual((code, out),
                     (0, "a  -> b\n1 renamed, 0 as they were, 0 left out\n"))
    self.assertFalse(os.path.exists(os.path.dirname(self.new)))
    self.assertEqual(self.run_tool(old, f"--output={self.new}")[0], 0)
    for output in (self.new, old):
      code, out, err = self.run_tool(old, f"--output={output}")
      self.assertEqual((code, out), (1, ""))
      self.assertRegex(err, r"\A--output: '.*' exists; allowed: [^\n]*\n\Z")

  @parameterized.parameters(
      (["--output=x"], "allowed: one checkpoint"),
      (["absent", "--output=x"], "absent: found no checkpoint"),
      (["absent"], "--output: found nothing"),
      (["absent", "--output=x", "--rule=("], "--rule: found '('"),
      (["absent", "--output=x", "--drop=("], "--drop: found '('"),
      (["absent", "--output=x", "--preset=odd"], "preset"),
      (["absent", "--output=x", "--map=gone"], "--map: 'gone' cannot be read"),
      (["absent", "--output=x", "--group=a"], "--group: found 'a'"),
      (["absent", "--output=x", "--config=gone.pbtxt"], "gone.pbtxt"))
  def test_wrong_use_is_one_line(self, arguments, message):
    code, out, err = self.run_tool(*arguments)
    self.assertIn(code, (1, 2))
    self.assertEmpty(out)
    self.assertIn(message, err)
    self.assertEqual(err.count("\n"), 1)


if __name__ == "__main__":
  absltest.main()
