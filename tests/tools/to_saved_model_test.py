"""Tests of tools/to_saved_model.py: old graphs answer as they did."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2
from tensorflow.python.eager import context

from mtl_graph.serving import lean_graph
from tests.porting import old_graphs
from tools import to_saved_model


def setUpModule():
  global _folder, _olds
  _folder = tempfile.TemporaryDirectory()
  _olds = {kind: old_graphs.save(kind, os.path.join(_folder.name, kind))
           for kind in old_graphs.KINDS}


def tearDownModule():
  _folder.cleanup()


def run_tool(*arguments):
  with contextlib.redirect_stdout(io.StringIO()) as out, (
      contextlib.redirect_stderr(io.StringIO())) as err:
    code = to_saved_model.main(["to_saved_model.py", *arguments])
  return code, out.getvalue(), err.getvalue()


class PortTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.export_dir = os.path.join(self.folder, "export")

  def port(self, old, form, *more):
    arguments = [old.paths[form], f"--signature={old.signature}",
                 f"--export_dir={self.export_dir}", *old.constants, *more]
    if form == "saved_model":
      arguments.append("--tags=old,serve")
    if form == "graph_pbtxt":
      arguments.append(f"--checkpoint={old.paths['checkpoint']}")
    return run_tool(*arguments)

  def exported(self):
    version, = [name for name in os.listdir(self.export_dir) if name.isdigit()]
    return os.path.join(self.export_dir, version)

  @parameterized.product(kind=old_graphs.KINDS, form=old_graphs.FORMATS)
  def test_answers_as_the_original(self, kind, form):
    old = _olds[kind]
    rows = os.path.join(self.folder, "rows.npz")
    np.savez(rows, **{key: value.astype("S") if value.dtype == object else value
                      for key, value in old.rows.items()})
    code, out, err = self.port(old, form, f"--rows={rows}")
    self.assertEqual((code, err), (0, ""))
    self.assertRegex(out, r"serving_default: score differs by at most \d")
    with tf.Graph().as_default(), tf.Session() as session:
      meta_graph = tf.saved_model.load(session, ["serve"], self.exported())
      self.assertEmpty([n.name for n in meta_graph.graph_def.node if n.device])
      signature = meta_graph.signature_def["serving_default"]
      found = session.run(
          signature.outputs["score"].name,
          {signature.inputs[key].name: value
           for key, value in old.rows.items()})
    np.testing.assert_allclose(found, old.answer, rtol=0, atol=1e-6)

  def test_another_reader_agrees(self):
    """TensorFlow 2's loader, which knows no reference variables."""
    old = _olds["rnn"]
    self.assertEqual(self.port(old, "meta")[0], 0)
    with context.eager_mode():
      loaded = tf2.saved_model.load(self.exported())
      found = loaded.signatures["serving_default"](
          **{key: tf2.constant(value) for key, value in old.rows.items()})
      np.testing.assert_allclose(found["score"].numpy(), old.answer, rtol=0,
                                 atol=1e-6)

  def test_only_what_is_needed_is_left(self):
    old = _olds["batch_norm"]
    self.assertEqual(self.port(old, "meta")[0], 0)
    names = {name for name, _ in tf.train.list_variables(
        os.path.join(self.exported(), "variables", "variables"))}
    self.assertEqual(names, {"fc/weights", *(
        f"BatchNorm/{name}" for name in ("gamma", "beta", "moving_mean",
                                         "moving_variance"))})
    meta_graph, = lean_graph.read(self.exported()).meta_graphs
    ops = {node.op for node in meta_graph.graph_def.node}
    self.assertIn("VarHandleOp", ops)
    self.assertEmpty([op for op in ops if "Apply" in op or op == "VariableV2"])
    # Nor what it took in training alone.
    self.assertNoCommonElements(ops, {"RandomUniform", "Switch", "Merge"})
    self.assertEqual(list(meta_graph.meta_info_def.tags), ["serve"])
    self.assertTrue(meta_graph.meta_info_def.stripped_default_attrs)

  def test_the_asset_goes_along_and_its_old_place_may_be_gone(self):
    old, moved = _olds["lookup"], os.path.join(self.folder, "moved")
    shutil.copytree(os.path.dirname(old.paths["meta"]), moved)
    source = os.path.join(os.path.dirname(old.paths["meta"]), "words.txt")
    os.rename(source, source + ".away")
    self.addCleanup(os.rename, source + ".away", source)
    code, _, err = self.port(old, "meta")
    self.assertEqual(code, 1)
    self.assertRegex(err, r"\Anode '\S+': found no file '\S+words.txt', which a "
                     "table is filled from; allowed: the file there, or in "
                     "--asset_dir\n\Z")
    self.assertEqual(self.port(old, "meta", f"--asset_dir={moved}")[0], 0)
    with open(os.path.join(self.exported(), "assets", "words.txt"),
              encoding="utf-8") as file:
      self.assertEqual(tuple(file.read().split()), old_graphs.WORDS)

  def test_an_input_pipeline_is_cut_off(self):
    """An iterator's element becomes the input; its files are not read."""
    with tf.Graph().as_default() as graph:
      element = tf.data.make_one_shot_iterator(
          tf.data.TextLineDataset("/etc/hostname")).get_next()
      tf.strings.length(element, name="y")
    path = os.path.join(self.folder, "g.pb")
    with open(path, "wb") as file:
      file.write(graph.as_graph_def().SerializeToString())
    code, out, err = run_tool(
        path, f"--signature=serving_default: x={element.name} -> y=y",
        f"--export_dir={self.export_dir}")
    self.assertEqual((code, err), (0, ""))
    self.assertRegex(out, "TextLineDataset: reads files; no output needs it, it"
                     " is left out")

  def test_examples_are_classified(self):
    """An estimator's graph, of a saver with names of its own and partitions."""
    checkpoint = os.path.join(self.folder, "model")
    with tf.Graph().as_default(), tf.Session() as session:
      examples = tf.placeholder(tf.string, [None], "examples")
      x = tf.io.parse_example(examples, {
          "x": tf.io.FixedLenFeature([2], tf.float32, [1.0, 2.0])})["x"]
      w = tf.get_variable("w", [2, 3], use_resource=False,
                          initializer=tf.random_normal_initializer(seed=1),
                          partitioner=tf.fixed_size_partitioner(2))
      probabilities = tf.nn.softmax(tf.matmul(x, w), name="probabilities")
      session.run(tf.global_variables_initializer())
      wanted = session.run(probabilities, {examples: [b"", b""]})
      tf.train.Saver({"renamed/w": w}).save(session, checkpoint)
    code, out, err = run_tool(
        checkpoint + ".meta", f"--export_dir={self.export_dir}", "--signature="
        "serving_default (classify): inputs=examples -> scores=probabilities")
    self.assertEqual((code, err), (0, ""), out)
    with tf.Graph().as_default(), tf.Session() as session:
      tf.saved_model.load(session, ["serve"], self.exported())
      found = session.run("probabilities:0", {"examples:0": [b"", b""]})
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)

  def test_versions_are_added_and_never_replaced(self):
    for count in (1, 2):
      self.assertEqual(self.port(_olds["rnn"], "pb")[0], 0)
      self.assertLen(os.listdir(self.export_dir), count)

  def test_without_a_signature_some_are_proposed(self):
    code, out, err = run_tool(_olds["batch_norm"].paths["meta"])
    self.assertEqual((code, err), (0, ""))
    # What the graph's own collection names, then what looks like an answer.
    for line, output in zip(out.splitlines()[1:], ("Merge=cond_1/Merge:0",
                                                   "score=score:0")):
      self.assertRegex(line, r"^  --signature='serving_default\w*: x=x:0, "
                       f"is_training=is_training:0 -> {output}'$")
    code, out, _ = run_tool(_olds["rnn"].paths["saved_model"],
                            "--tags=serve,old")
    self.assertEqual(code, 0)
    self.assertIn("--signature='serving_default: x=x:0 -> score=score:0'", out)

  def test_a_file_of_signatures_and_rows_of_csv(self):
    file = os.path.join(self.folder, "signatures.txt")
    rows = os.path.join(self.folder, "rows.csv")
    with open(file, "w", encoding="utf-8") as text:
      text.write(f"# of old\n\n{_olds['lookup'].signature}\n"
                 "again: w=words:0 -> score=score\n")
    with open(rows, "w", encoding="utf-8") as text:
      text.write("words,w\nrome,bern\nparis,oslo\n")
    code, out, err = run_tool(
        _olds["lookup"].paths["pb"], f"--signature_file={file}",
        f"--export_dir={self.export_dir}", f"--rows={rows}")
    self.assertEqual((code, err), (0, ""))
    self.assertRegex(out, "again: score differs by at most 0")

  def test_ops_that_reach_beyond_the_graph(self):
    with tf.Graph().as_default() as graph:
      x = tf.placeholder(tf.float32, [None], "x")
      tf.identity(tf.Print(x, [x]), "y")
      tf.io.write_file("/tmp/never", "x", name="unused")
    path = os.path.join(self.folder, "g.pb")
    with open(path, "wb") as file:
      file.write(graph.as_graph_def().SerializeToString())
    arguments = [path, "--signature=serving_default: x=x -> y=y",
                 f"--export_dir={self.export_dir}"]
    code, out, err = run_tool(*arguments)
    self.assertEqual(code, 1)
    self.assertRegex(out, "node 'Print': Print: writes to the log\n"
                     "node 'unused': WriteFile: writes files; no output needs")
    self.assertRegex(err, r"allowed: .* --allow_op=Print\n\Z")
    code, _, err = run_tool(*arguments, "--allow_op=Print")
    self.assertEqual((code, err.count("Traceback")), (0, 0))

  def test_what_answers_otherwise_is_not_published(self):
    with tf.Graph().as_default() as graph:
      x = tf.placeholder(tf.float32, [3], "x")
      tf.add(x, tf.random.uniform([3]), "y")
    path = os.path.join(self.folder, "g.pb")
    with open(path, "wb") as file:
      file.write(graph.as_graph_def().SerializeToString())
    code, out, err = run_tool(
        path, "--signature=serving_default: x=x -> y=y",
        "--allow_op=RandomUniform", f"--export_dir={self.export_dir}")
    self.assertEqual(code, 1)
    self.assertRegex(err, r"\Asignature 'serving_default'.outputs\['y'\]: differs"
                     " from the original graph by .*; not published\n\Z")
    self.assertIn("warning: signature 'serving_default'.inputs['x']: found shape"
                  " (3,)", out)
    self.assertEmpty(os.listdir(self.export_dir))


class OwnProcessTest(absltest.TestCase):

  def test_what_ends_a_process_is_one_line(self):
    found = subprocess.run(
        [sys.executable, "-c", "import os, sys\n"
         "from mtl_graph.porting import own_process\n"
         "def main():\n"
         "  os.write(2, b'F000 Check failed: a == b\\n @ 0xff trace\\n')\n"
         "  os.abort()\n"
         "print(own_process.run(lambda: 2))\n"
         "sys.exit(own_process.run(main))"], capture_output=True, text=True,
        check=False)
    self.assertEqual(found.returncode, 1)
    self.assertEqual(found.stdout, "2\n")
    self.assertEqual(found.stderr, "TensorFlow was ended by SIGABRT: a == b; "
                     "allowed: a graph that it can build and run\n")

  def test_what_has_no_end_is_ended(self):
    found = subprocess.run(
        [sys.executable, "-c", "import sys\n"
         "from mtl_graph.porting import own_process\n"
         "def main():\n"
         "  with own_process.limit(0.05):\n"
         "    while True: pass\n"
         "sys.exit(own_process.run(main))"], capture_output=True, text=True,
        check=False)
    self.assertEqual((found.returncode, found.stdout), (1, ""))
    self.assertEqual(found.stderr, "the graph gave no answer within "
                     "--run_seconds; allowed: loops that end, or more time\n")


if __name__ == "__main__":
  absltest.main()
