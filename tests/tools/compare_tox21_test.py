"""Tests for tools/compare_tox21.py."""

import contextlib
import io
import os
import pathlib
import tempfile

from absl.testing import absltest
import numpy as np

from mtl_graph import config
from tools import compare_tox21

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
EXPERIMENT = ROOT / "protos" / "examples" / "large" / "tox21.pbtxt"
PUBLISHED = (ROOT.parent / "shared" / "data" / "tox21"
             / "derived_ecfp4_1024.npz")


def run(*arguments):
  """Returns the exit code, and what is written to stdout and stderr."""
  printed, errors = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
    code = compare_tox21.main(
        ["compare_tox21", f"--config={EXPERIMENT}", *arguments])
  return code, printed.getvalue(), errors.getvalue()


def means(text):
  """Returns the numbers of each line that begins with "mean"."""
  return [[float(cell) for cell in line.split()[1:]]
          for line in text.splitlines() if line.split()[0] == "mean"]


class CompareTox21Test(absltest.TestCase):

  def test_layout(self):
    found = [{"test": {"a": 0.5, "b": 0.7}}, {"test": {"a": 0.7, "b": 0.9}}]
    lines = [line.split()
             for line in compare_tox21.layout(found, "test").splitlines()]
    self.assertEqual(" ".join(lines[0]),
                     "test AUC seed 1 seed 2 mean deviation")
    # Deviations with one degree of freedom: 0.2 / sqrt(2).
    self.assertEqual(lines[1:], [
        ["a", "0.5000", "0.7000", "0.6000", "0.1414"],
        ["b", "0.7000", "0.9000", "0.8000", "0.1414"],
        ["mean", "0.6000", "0.8000", "0.7000", "0.1414"]])

  def test_one_seed_has_no_deviation(self):
    lines = compare_tox21.layout([{"test": {"a": 0.5}}], "test").splitlines()
    self.assertEqual(lines[1].split(), ["a", "0.5000", "0.5000", "0.0000"])

  def test_one_command_makes_the_data_and_trains(self):
    # Every label is a bit of the fingerprint, and of 84 more like it.
    random = np.random.RandomState(0)
    labels = random.randint(0, 2, (240, 12)).astype(np.float32)
    bits = np.pad(np.repeat(labels, 85, axis=1), [(0, 0), (0, 4)])
    labels[random.rand(240, 12) < 0.2] = np.nan
    names = [task.name.replace("_", "-").upper()
             for task in config.load(str(EXPERIMENT)).model.task]
    arrays = {"X_packed": np.packbits(bits.astype(np.uint8), axis=1),
              "Y": labels, "tasks": np.array(names),
              "scaffold_split_0train_1valid_2test": np.arange(240) % 3}
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "input.npz")
      np.savez(path, **arrays)
      code, printed, errors = run(
          f"--input={path}", "--seeds=2", "--set=training.num_steps=60",
          "--set=data.batch_size=16")
    self.assertEqual(code, 0)
    self.assertRegex(errors, "^seed 1 done in .*\nseed 2 done in .*\n$")
    found = means(printed)
    self.assertLen(found, 2)  # Validation and test.
    self.assertGreater(min(found[0][:3] + found[1][:3]), 0.9)

  def test_bad_input_gives_one_line(self):
    code, _, errors = run("--input=absent.npz")
    self.assertEqual(code, 2)
    self.assertRegex(errors, "^--input: absent.npz: .*No such file.*\n$")

  def test_reaches_what_plain_multi_task_networks_reach(self):
    if not PUBLISHED.exists():
      self.skipTest("the published data are not here")
    code, printed, _ = run(f"--input={PUBLISHED}", "--seeds=1",
                           "--set=evaluation.every_steps=0")
    self.assertEqual(code, 0)
    self.assertGreater(means(printed)[0][0], 0.72)


if __name__ == "__main__":
  absltest.main()
