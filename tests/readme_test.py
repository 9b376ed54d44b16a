"""Runs what the README shows: its Python, its commands, its experiment."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from absl.testing import absltest

from mtl_graph import config
from mtl_graph import validation

ROOT = pathlib.Path(__file__).absolute().parent.parent


def blocks(language):
  """Returns the fenced blocks of the README in a language."""
  text = (ROOT / "README.md").read_text(encoding="utf-8")
  return re.findall(rf"^```{language}\n(.*?)^```", text,
                    re.MULTILINE | re.DOTALL)


class ReadmeTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = tempfile.TemporaryDirectory()
    self.addCleanup(self._dir.cleanup)
    os.symlink(ROOT / "protos", os.path.join(self._dir.name, "protos"))

  def run_here(self, arguments):
    return subprocess.run(
        arguments, cwd=self._dir.name, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})

  def test_python_runs(self):
    found = blocks("python")
    self.assertLen(found, 2)
    for code in found:
      result = self.run_here([sys.executable, "-c", code])
      self.assertEqual(result.returncode, 0, result.stderr)

  def test_commands_run(self):
    commands = [line for block in blocks("sh") for line in block.splitlines()
                if line.startswith("python -m mtl_graph.")]
    self.assertLen(commands, 5)
    for command in commands:
      arguments = shlex.split(command)
      if arguments[2].endswith(("train", "cross_validate")):
        arguments.append("--set=training.num_steps=10")
      result = self.run_here([sys.executable, *arguments[1:]])
      self.assertEqual(result.returncode, 0, result.stderr)
    self.assertTrue(os.path.getsize(
        os.path.join(self._dir.name, "predictions.jsonl")))

  def test_experiment_is_valid(self):
    experiment = config.parse(blocks("textproto")[0])
    before = os.getcwd()
    os.chdir(ROOT)
    try:
      validation.check(experiment)
    finally:
      os.chdir(before)
    self.assertEqual([task.name for task in experiment.model.task], ["a", "b"])


if __name__ == "__main__":
  absltest.main()
