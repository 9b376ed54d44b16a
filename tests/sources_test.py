"""Tests of an experiment with a source per task, from files to predictions."""

import contextlib
import io
import json
import os
import tempfile

from absl.testing import absltest

import mtl_graph.evaluate
import mtl_graph.export
import mtl_graph.predict
import mtl_graph.train
from tests import sources_experiment


class SourcesTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(contextlib.chdir(self.enter_context(
        tempfile.TemporaryDirectory())))
    sources_experiment.write(".", sources_experiment.TEXT)

  def _launch(self, launcher, *flags, config=True):
    """Returns what a launcher prints, which must be done."""
    module = getattr(mtl_graph, launcher)
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
      code = module.main([
          launcher, *(["--config=sources.pbtxt"] if config else []), *flags])
    self.assertEqual(code, 0, stderr.getvalue())
    return stdout.getvalue()

  def _metrics(self, folder):
    with open(os.path.join(folder, "metrics.json"), encoding="utf-8") as file:
      return json.load(file)

  def test_a_run_that_goes_on_comes_to_the_same(self):
    whole, halves = "--model_dir=whole", "--model_dir=halves"
    self._launch("train", whole, "--set=training.num_steps=12")
    self._launch("train", halves, "--set=training.num_steps=5")
    printed = self._launch("train", halves, "--set=training.num_steps=12")
    self.assertIn("going on from step 5", printed)
    for checkpoint in ("best", "latest"):
      measured = []
      for folder, flag in (("whole", whole), ("halves", halves)):
        self._launch("evaluate", flag, f"--checkpoint={checkpoint}",
                     "--set=training.num_steps=12")
        measured.append(self._metrics(folder)["validation"])
      self.assertEqual(*measured)
      self.assertEqual(list(measured[0]), ["click", "spent", "tier"])

  def test_paths_may_change_as_long_as_the_rows_do_not(self):
    self._launch("train", "--model_dir=run")
    os.rename("shop.csv", "store.csv")
    self._launch("train", "--model_dir=run", "--set=training.num_steps=6",
                 "--set=data.source[name=shop].train.csv.path=['store.csv']")

  def test_exports_and_predicts(self):
    sources_experiment.write(".", sources_experiment.TEXT + "serving {}\n")
    self._launch("train", "--model_dir=run")
    self._launch("export", "--model_dir=run", "--export_dir=again")
    answers = []
    for folder in ("run/export", "again"):
      self._launch("predict", f"--export_dir={folder}", "--input=shop.csv",
                   "--output=out.csv", config=False)
      with open("out.csv", encoding="utf-8") as file:
        answers.append(file.read())
    self.assertEqual(*answers)
    self.assertLen(answers[0].splitlines(), 61)


if __name__ == "__main__":
  absltest.main()
