"""Tests of tools/scan_source.py: flags, exit codes, what it prints."""

import contextlib
import io
import json
import os
import tempfile

from absl.testing import absltest

from tools import scan_source


class ScanSourceTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.root = folder.name
    self.write("works.py", "import tensorflow.compat.v1 as tf\ntf.log(1.0)\n")

  def write(self, name, text):
    with open(os.path.join(self.root, name), "w", encoding="utf-8") as file:
      file.write(text)

  def run_tool(self, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, (
        contextlib.redirect_stderr(io.StringIO())) as err:
      code = scan_source.main(["scan_source.py", *arguments])
    return code, out.getvalue(), err.getvalue()

  def test_exit_code_says_whether_something_fails(self):
    code, out, _ = self.run_tool(self.root)
    self.assertEqual(code, 0)
    self.assertIn("1 files, 2 lines; TensorFlow 2.", out)
    self.write("fails.py", "import tensorflow as tf\ntf.contrib.crf.x\n")
    self.write("old.py", "print 'x'\n")
    code, out, _ = self.run_tool(self.root)
    self.assertEqual(code, 1)
    self.assertIn("fails.py:2:1: tf.contrib.crf.x: gone -- copy it", out)
    self.assertIn("old.py:1:1: is Python 2 (", out)
    code, out, _ = self.run_tool(self.root, "--json")
    self.assertEqual(code, 1)
    self.assertEqual(json.loads(out)[0]["totals"]["places"]["gone"], 1)
    self.assertEqual(json.loads(self.run_tool(self.root, "--sarif")[1])[
        "version"], "2.1.0")

  def test_fix(self):
    self.write("old.py", "import tensorflow as tf\nx = tf.pack([1, 2])\n")
    code, out, _ = self.run_tool(os.path.join(self.root, "old.py"), "--fix",
                                 f"--out={self.root}/copy")
    self.assertEqual(code, 1)
    self.assertIn("+x = tf.stack([1, 2])", out)
    with open(os.path.join(self.root, "copy", "old.py"), encoding="utf-8") as f:
      self.assertIn("import tensorflow.compat.v1 as tf", f.read())

  def test_names_said_to_work_are_called(self):
    self.write("more.py", "import tensorflow.compat.v1 as tf\ntf.nn.relu(1)\n"
               "tf.layers.dense(1)\ntf.float32\ntf.SparseTensor(1)\n")
    code, out, _ = self.run_tool(self.root, "--try_names")
    self.assertEqual(code, 0)
    self.assertRegex(out, r"\Atf.SparseTensor: unknown: [^\n]*\n4 names are "
                     r"there; 3 called: 2 works, 0 broken, 1 unknown\n\Z")

  def test_wrong_use_is_one_line(self):
    for arguments, message in (
        ([], "found no path; allowed: folders"),
        (["--json"], "found no path; allowed: folders"),
        ([os.path.join(self.root, "absent")], "absent: found nothing; allowed"),
        ([self.root, "--fix"], "--fix: found without --out"),
        ([self.root, "--sample=0"], "sample"),
    ):
      code, out, err = self.run_tool(*arguments)
      self.assertIn(code, (1, 2))
      self.assertEmpty(out)
      self.assertIn(message, err)
      self.assertEqual(err.count("\n"), 1)


if __name__ == "__main__":
  absltest.main()
