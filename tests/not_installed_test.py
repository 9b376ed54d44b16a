"""A checkout that was never installed says how to install it."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from absl.testing import absltest

ROOT = pathlib.Path(__file__).absolute().parent.parent


class NotInstalledTest(absltest.TestCase):

  def run_in_bare_checkout(self, *arguments):
    with tempfile.TemporaryDirectory() as folder:
      shutil.copytree(ROOT / "mtl_graph", os.path.join(folder, "mtl_graph"),
                      ignore=shutil.ignore_patterns("*_pb2.py*", "__pycache__"))
      return subprocess.run(
          [sys.executable, *arguments], cwd=folder, capture_output=True,
          text=True, check=False, env={**os.environ, "PYTHONPATH": folder})

  def test_launcher_says_so_in_one_line(self):
    for launcher in ("train", "evaluate", "export"):
      result = self.run_in_bare_checkout("-m", f"mtl_graph.{launcher}",
                                         "--config=x.pbtxt")
      self.assertEqual(result.returncode, 1)
      self.assertRegex(result.stderr, r"\Amtl_graph is not installed: run `pip "
                       r"install -e .` in its folder[^\n]*\n\Z")

  def test_import_raises(self):
    result = self.run_in_bare_checkout("-c", "import mtl_graph.config")
    self.assertIn("ImportError: mtl_graph is not installed: run `pip install",
                  result.stderr)


if __name__ == "__main__":
  absltest.main()
