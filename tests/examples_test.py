"""Runs every example end to end: train, resume, evaluate, export, predict."""

import csv
import gzip
import importlib
import json
import os
import pathlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import row_sets
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
    os.symlink("protos/examples/data/document.npz", "train.npz")

  def tearDown(self):
    os.chdir(self._before)
    self._dir.cleanup()
    super().tearDown()

  @parameterized.named_parameters((path.stem, str(path)) for path in EXAMPLES)
  def test_trains_resumes_evaluates_exports_and_predicts(self, path):
    self.run_end_to_end(path)

  @parameterized.parameters("flights", "document", "independent")
  def test_given_experiment_runs_unchanged(self, name):
    if not GIVEN.exists():
      self.skipTest("the given experiments are not here")
    arrays = dict(np.load(ROOT / "protos/examples/data/document.npz"))
    if name == "independent":
      arrays["x"] = np.concatenate([arrays["x"], arrays["x"]], 1)
    os.remove("train.npz")
    np.savez("train.npz", **arrays)
    self.run_end_to_end(str(GIVEN / f"{name}.pbtxt"))

  def run_end_to_end(self, path):
    experiment = config.load(path)
    for message in experiment.training.warm_start:
      earlier = f"{os.path.basename(message.checkpoint)}.pbtxt"
      self.assertEqual(self.launch("train", ROOT / "protos/examples" / earlier,
                                   "--set=training.num_steps=2"), 0)
    length, count, steps = "num_steps", 2, 2
    if experiment.training.WhichOneof("mode") == "independent":
      length, count = "num_rounds", 1
      steps = sum(task.iterations for task in
                  experiment.training.independent.task)
    for times in (1, 2):
      self.assertEqual(self.launch(
          "train", path, f"--set=evaluation.every_steps={steps}",
          f"--set=training.{length}={times * count}"), 0)
    run = pathlib.Path("runs") / experiment.name
    self.assertTrue((run / f"model.ckpt-{2 * steps}.index").exists())
    if row_sets.of(experiment.data, "validation"):
      self.assertEqual(launch("evaluate", f"--config={path}"), 0)
      metrics = json.loads((run / "metrics.json").read_text())
      for task in experiment.model.task:
        self.assertCountEqual(metrics["validation"][task.name],
                              outline.METRICS[task.WhichOneof("head")])
    self.assertEqual(launch("export", f"--config={path}",
                            "--export_dir=served"), 0)
    if row_sets.of(experiment.data, "train")[0].source.HasField("csv"):
      self.check_predictions_from_csv(experiment)
    else:
      arrays = dict(np.load("train.npz"))
      with predictor.load("served") as export:
        self.assertLen(export.predict(arrays)["a/value"], len(arrays["x"]))

  def launch(self, name, path, *flags):
    """Runs a launcher on an experiment, without summaries."""
    return launch(name, f"--config={path}",
                  "--set=training.summaries.enabled=0", *flags)

  def check_predictions_from_csv(self, experiment):
    source = "protos/examples/data/flights-test.csv.gz"
    self.assertEqual(launch("predict", "--export_dir=served",
                            f"--input={source}", "--output=out.csv",
                            "--keys=flight_id"), 0)
    with open("out.csv", encoding="utf-8") as file:
      rows = list(csv.DictReader(file))
    with gzip.open(source, "rt", encoding="utf-8") as file:
      given = [row["flight_id"] for row in csv.DictReader(file)]
    self.assertEqual([row["flight_id"] for row in rows], given)
    for task in experiment.model.task:
      if task.WhichOneof("head") == "binary":
        found = np.array([float(row[f"{task.name}/probability"])
                          for row in rows])
        self.assertTrue(np.all((found > 0) & (found < 1)))
    if experiment.name == "flights":
      self.check_json_lines(source, rows)

  def check_json_lines(self, source, rows):
    """Checks that a file of lines says what the table says."""
    self.assertEqual(launch("predict", "--export_dir=served",
                            f"--input={source}", "--output=out.jsonl",
                            "--keys=flight_id"), 0)
    with open("out.jsonl", encoding="utf-8") as file:
      lines = [json.loads(line) for line in file]
    self.assertEqual([line["flight_id"] for line in lines],
                     [row["flight_id"] for row in rows])
    keys = [key for key in rows[0] if key.endswith("/probability")]
    self.assertNotEmpty(keys)
    for key in keys:
      np.testing.assert_allclose([float(row[key]) for row in rows],
                                 [line[key] for line in lines])

  @parameterized.named_parameters((path.stem, str(path)) for path in EXAMPLES)
  def test_outline_names_what_the_graph_makes(self, path):
    experiment = config.load(path)
    model = graphs.build(experiment)
    found = {v.op.name: v.shape.as_list()
             for some in model.variables.values() for v in some}
    self.assertEqual(found, dict(outline.build(experiment).variables))


if __name__ == "__main__":
  absltest.main()
