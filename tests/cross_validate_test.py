"""Tests of the launcher that cross-validates."""

import contextlib
import io
import json
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

import mtl_graph
import mtl_graph.cross_validate
from mtl_graph import config
from tests import small_experiment


class CrossValidateTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.addCleanup(os.chdir, os.getcwd())
    os.chdir(folder)
    small_experiment.write(".", small_experiment.TEXT)

  def _launch(self, *flags):
    """Returns the exit code, and what was printed and complained about."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
      code = mtl_graph.cross_validate.main(
          ["cross_validate", "--config=small.pbtxt", "--model_dir=run", *flags])
    return code, stdout.getvalue(), stderr.getvalue()

  def test_runs(self):
    code, printed, errors = self._launch(
        "--folds=2", "--key_column=hour", "--set=training.num_steps=2")
    self.assertEqual((code, errors), (0, ""))
    self.assertIn("metrics over 2 folds:\n", printed)
    with open("run/cross_validation.json", encoding="utf-8") as file:
      written = json.load(file)
    self.assertEqual((written["folds"], written["key_column"]), (2, "hour"))
    self.assertEqual([run["step"] for run in written["runs"]], [2, 2])

  @parameterized.named_parameters(
      ("one", ["--folds=1"], "--folds: found '1'; allowed: a whole number of "
       "at least 2"),
      ("text", ["--folds=many"], "--folds: found 'many'; allowed: a whole "),
      ("part", ["--set=data.train.part={row_hash{}}"],
       "data.train.part: found one; allowed: none, as cross-validation"),
      ("experiment", ["--set=training.num_steps=0"],
       "training.num_steps: found 0; allowed: "),
      ("flag", ["--fold=3"], "Unknown command line flag 'fold'"))
  def test_refused(self, flags, message):
    code, _, errors = self._launch(*flags)
    self.assertEqual(code, 2)
    self.assertIn(message, errors)
    self.assertNotIn("Traceback", errors)
    self.assertFalse(os.path.exists("run"))

  def test_a_column_that_is_not_there(self):
    code, _, errors = self._launch("--key_column=patient")
    self.assertEqual(code, 1)
    self.assertIn("train.csv: no column 'patient'", errors)
    self.assertLen(errors.strip().split("\n"), 1)

  def test_stays_callable(self):
    self.assertEqual(mtl_graph.cross_validate.__name__,
                     "mtl_graph.cross_validate")
    with self.assertRaisesRegex(config.ConfigErrors, "--folds: found 0"):
      mtl_graph.cross_validate(small_experiment.TEXT, 0)


if __name__ == "__main__":
  absltest.main()
