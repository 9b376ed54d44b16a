"""Tests of tools/inspect_checkpoint.py on checkpoints of both formats."""

import contextlib
import glob
import io
import json
import os
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.porting import checkpoint_comparison
from mtl_graph.checkpoints import checkpoint_reader
from tools import inspect_checkpoint

EXPERIMENT = "protos/examples/document.pbtxt"
W = np.arange(14, dtype=np.float32).reshape(7, 2)


def _piece(shape, dtype=None, partition_info=None):
  del dtype
  return tf.constant(W[partition_info.var_offset[0]:][:shape[0]])


def save(prefix, values, **saver):
  """Saves values by name; "w" in three pieces."""
  with tf.Graph().as_default(), tf.Session() as session:
    for name, value in values.items():
      if name == "w":
        tf.get_variable("w", [7, 2], initializer=_piece,
                        partitioner=tf.fixed_size_partitioner(3))
      else:
        tf.get_variable(name, initializer=value)
    session.run(tf.global_variables_initializer())
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    return tf.train.Saver(**saver).save(session, prefix)


class InspectTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(cls.folder.cleanup)
    cls.values = {
        "w": W, "w/Adam": np.zeros(3, np.float32), "beta1_power": 0.5,
        "bn/moving_mean": np.float32([1, np.nan, np.inf]),
        "b/ExponentialMovingAverage": np.float32([1.0]),
        "text": np.array([b"a\0", b"b"], object), "global_step": np.int64(7)}
    for name, more in (("v1", dict(write_version=1)), ("v2", {}),
                       ("sharded", dict(sharded=True))):
      save(os.path.join(cls.folder.name, name, "model"), cls.values, **more)

  def path(self, *parts):
    return os.path.join(self.folder.name, *parts)

  def run_tool(self, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, (
        contextlib.redirect_stderr(io.StringIO())) as err:
      code = inspect_checkpoint.main(["inspect_checkpoint.py", *arguments])
    return code, out.getvalue(), err.getvalue()

  @parameterized.parameters(("v1", 1), ("v2", 2), ("sharded", 2))
  def test_values_are_what_was_saved(self, folder, version):
    reader = checkpoint_reader.Reader(self.path(folder, "model"))
    self.assertEqual(reader.version, version)
    self.assertCountEqual(reader.variables, self.values)
    for name, value in self.values.items():
      np.testing.assert_array_equal(reader.value(name), value)
      self.assertEqual(reader.variables[name].shape, list(np.shape(value)))

  def test_groups_sizes_and_numbers_that_are_not_finite(self):
    code, out, _ = self.run_tool(self.path("v2"))
    self.assertEqual(code, 1)
    for pattern in (r"format V2, 7 variables, ", r"model: 2 variables",
                    r"w +float32 7x2  0 to 13\n", "slots of Adam: 1 var",
                    r"bn/moving_mean +float32 3  1 to 1  1 NaN  1 INF",
                    "moving average: 1 var", "counter: 1 var",
                    "1 variables hold numbers that are not finite"):
      self.assertRegex(out, pattern)
    code, out, _ = self.run_tool(self.path("v1", "model"), "--json")
    found = json.loads(out)
    self.assertEqual(found["version"], 1)
    sizes = {v["name"]: v["bytes"] for v in found["variables"]}
    self.assertEqual(sizes["w"], 56)
    self.assertEqual(sizes["global_step"], 8)

  def test_diff(self):
    code, out, _ = self.run_tool("diff", self.path("v1", "model"),
                                 self.path("v2", "model"))
    self.assertEqual((code, out),
                     (0, "7 variables are equal to the bit, 0 are not\n"))
    other = save(self.path("other", "model"), {
        "beta1_power": 0.75, "bn/moving_mean": np.float32([1, np.nan, np.inf]),
        "text": np.array([b"a\0", b"c"], object), "new": 1.0,
        "global_step": np.int32(7)})
    code, out, _ = self.run_tool("diff", self.path("v2"), other)
    self.assertEqual(code, 1)
    for line in ("only in the first: w\n", "only in the second: new\n",
                 "other shape or type: global_step: int64 [] -> int32 []\n",
                 "other values: beta1_power: by up to 0.25\n",
                 "other values: text: ", "1 variables are equal to the bit, 7"):
      self.assertIn(line, out)

  def test_against_an_experiment(self):
    wanted = checkpoint_comparison.wanted_by(config.load(EXPERIMENT))
    values = {name: np.zeros(shape, np.float32)
              for name, shape in wanted.items()}
    path = save(self.path("fits", "model"), values)
    code, out, _ = self.run_tool("against", path, f"--config={EXPERIMENT}")
    self.assertEqual(code, 0)
    self.assertIn(f"{len(wanted)} restored, 0 missing, 0 of another", out)
    values["trunk/dense/weights"] = values.pop("trunk/dense/kernel")
    values["head/a/bias"] = np.zeros([5], np.float32)
    values["head/a/bias/Adam"] = np.zeros([5], np.float32)
    path = save(self.path("not", "model"), values)
    code, out, _ = self.run_tool("against", path, f"--config={EXPERIMENT}")
    self.assertEqual(code, 1)
    for line in ("missing: trunk/dense/kernel; nearest: 'trunk/dense/weights'",
                 "wrong shape: head/a/bias: [5] in the checkpoint, [1] wanted",
                 "unused: trunk/dense/weights", "1 more hold optimizers'"):
      self.assertIn(line, out)

  def test_against_functions_of_python(self):
    text = (EXPERIMENT, "--set=model.hard_sharing.trunk={ layer { python { "
            "function: 'tests.legacy_network:trunk' units: 4 } } }")
    allowed = "--allow_python=tests.legacy_network"
    values = {"trunk/python/batch_normalization/moving_mean": np.ones(4, "f"),
              "trunk/python/dense/bias": np.ones(3, "f"), "fc": np.ones(4, "f")}
    path = save(self.path("python", "model"), values)
    code, out, _ = self.run_tool("against", path, f"--config={text[0]}",
                                 text[1], allowed)
    self.assertEqual(code, 1)
    for line in ("restored: trunk/python/batch_normalization/moving_mean",
                 "wrong shape: trunk/python/dense/bias: [3] in the checkpoint, "
                 "[4] wanted", "missing: trunk/python/dense/kernel",
                 "unused: fc"):
      self.assertIn(line, out)
    groups = checkpoint_comparison.groups_of(config.load(EXPERIMENT, [
        text[1].partition("=")[2]]))
    self.assertEqual(groups["shared"], [
        f"trunk/python/{name}" for name in (
            "dense/kernel", "dense/bias", "batch_normalization/gamma",
            "batch_normalization/beta")])

  def damaged(self, kind):
    """Makes a checkpoint that cannot be read, and returns its path."""
    folder = self.path("damaged_" + kind)
    source = "sharded" if kind == "shard" else "v2"
    shutil.copytree(self.path("v1" if kind.startswith("v1") else source),
                    folder)
    model = os.path.join(folder, "model")
    data, = glob.glob(model + ".data-*") or [model]
    name = data if kind.endswith("data") else model + ".index"
    if kind == "index_missing":
      os.remove(name)
    elif kind == "shard":
      os.rename(data, data.replace("00000-of-00001", "00001-of-00002"))
    elif kind == "no_data":
      os.remove(data)
    else:
      with open(name, "rb") as file:
        content = file.read()
      content = {"truncated": content[:len(content) // 2], "empty": b"",
                 "junk": os.urandom(len(content)),
                 "text": b"not a checkpoint at all\n"}[kind.split("_")[-2]]
      with open(name, "wb") as file:
        file.write(content)
    return model

  @parameterized.parameters(
      "truncated_index", "truncated_data", "junk_index", "junk_data",
      "empty_index", "empty_data", "text_index", "shard", "no_data",
      "index_missing", "v1_truncated_data", "v1_junk_data", "v1_empty_data")
  def test_damaged_is_one_line(self, kind):
    code, out, err = self.run_tool(self.damaged(kind))
    self.assertEqual((code, out), (1, ""))
    self.assertRegex(err, r"\A[^\n]*: (cannot be read|found )[^\n]*; allowed: "
                     r"[^\n]*\n\Z")

  @parameterized.parameters(
      ([], "found ''; allowed: CHECKPOINT"), (["diff", "a"], "allowed: CHECK"),
      (["against"], "allowed: CHECKPOINT"), (["a", "b"], "found 'a b'"),
      (["against", "a"], "--config: found nothing"),
      (["against", "a", "--config=absent.pbtxt"], "absent.pbtxt"),
      (["absent"], "absent: found no checkpoint"), (["tests"], "tests: found a"))
  def test_wrong_use_is_one_line(self, arguments, message):
    code, out, err = self.run_tool(*arguments)
    self.assertIn(code, (1, 2))
    self.assertEmpty(out)
    self.assertIn(message, err)
    self.assertEqual(err.count("\n"), 1)


if __name__ == "__main__":
  absltest.main()
