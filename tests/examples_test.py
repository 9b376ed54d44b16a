"""Runs every example end to end: train, resume, evaluate, export, predict."""

import csv
import gzip
import importlib
import json
import os
import pathlib
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.model import graphs
from mtl_graph.serving import predictor

ROOT = pathlib.Path(__file__).absolute().parent.parent
EXAMPLES = sorted((ROOT / "protos" / "examples").glob("*.pbtxt"))
# Experiments the project was given; they are not part of it.
GIVEN = ROOT.parent / "shared" / "experiments"


def launch(name, *flags):
  """Runs a launcher in this process and returns its exit code."""
  module = importlib.import_module(f"mtl_graph.{name}")
  return module.main([name, *flags])


class ExamplesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._before = os.getcwd()
    self._dir = tempfile.TemporaryDirectory()
    # Paths of examples are relative to the project's root.
    os.symlink(ROOT / "protos", os.path.join(self._dir.name, "protos"))
    os.chdir(self._dir.name)

  def tearDown(self):
    os.chdir(self._before)
    self._dir.cleanup()
    super().tearDown()

  @parameterized.named_parameters((path.stem, str(path)) for path in EXAMPLES)
  def test_trains_resumes_evaluates_exports_and_predicts(self, path):
    self.run_end_to_end(path)

  @parameterized.parameters("flights", "document")
  def test_given_experiment_runs_unchanged(self, name):
    if not GIVEN.exists():
      self.skipTest("the given experiments are not here")
    shutil.copyfile(ROOT / "protos/examples/data/document.npz", "train.npz")
    self.run_end_to_end(str(GIVEN / f"{name}.pbtxt"))

  def run_end_to_end(self, path):
    experiment = config.load(path)
    config_flag, quick = (
        f"--config={path}", "--set=training.summaries.enabled=0")
    every = "--set=evaluation.every_steps=2"
    self.assertEqual(launch("train", config_flag, quick, every,
                            "--set=training.num_steps=2"), 0)
    self.assertEqual(launch("train", config_flag, quick, every,
                            "--set=training.num_steps=4"), 0)
    run = pathlib.Path("runs") / experiment.name
    self.assertTrue((run / "model.ckpt-4.index").exists())
    if experiment.data.HasField("validation"):
      self.assertEqual(launch("evaluate", config_flag), 0)
      metrics = json.loads((run / "metrics.json").read_text())
      for task in experiment.model.task:
        self.assertCountEqual(metrics["validation"][task.name],
                              outline.METRICS[task.WhichOneof("head")])
    self.assertEqual(launch("export", config_flag, "--export_dir=served"), 0)
    with predictor.load("served") as export:
      if experiment.data.train.HasField("csv"):
        self.check_predictions_from_csv(experiment)
      else:
        arrays = dict(np.load("protos/examples/data/document.npz"))
        answers = export.predict(arrays)
        self.assertLen(answers["a/value"], len(arrays["x"]))

  def check_predictions_from_csv(self, experiment):
    source = "protos/examples/data/flights-test.csv.gz"
    self.assertEqual(launch("predict", "--export_dir=served",
                            f"--input={source}", "--output=out.csv",
                            "--keys=flight_id"), 0)
    self.assertEqual(launch("predict", "--export_dir=served",
                            f"--input={source}", "--output=out.jsonl",
                            "--keys=flight_id"), 0)
    with open("out.csv", encoding="utf-8") as file:
      rows = list(csv.DictReader(file))
    with open("out.jsonl", encoding="utf-8") as file:
      lines = [json.loads(line) for line in file]
    with gzip.open(source, "rt", encoding="utf-8") as file:
      given = [row["flight_id"] for row in csv.DictReader(file)]
    self.assertEqual([row["flight_id"] for row in rows], given)
    self.assertEqual([line["flight_id"] for line in lines], given)
    for task in experiment.model.task:
      if task.WhichOneof("head") == "binary":
        key = f"{task.name}/probability"
        found = np.array([float(row[key]) for row in rows])
        np.testing.assert_allclose(found, [line[key] for line in lines])
        self.assertTrue(np.all((found > 0) & (found < 1)))

  @parameterized.named_parameters((path.stem, str(path)) for path in EXAMPLES)
  def test_outline_names_what_the_graph_makes(self, path):
    experiment = config.load(path)
    model = graphs.build(experiment)
    found = {v.op.name: v.shape.as_list()
             for some in model.variables.values() for v in some}
    self.assertEqual(found, dict(outline.build(experiment).variables))


if __name__ == "__main__":
  absltest.main()
