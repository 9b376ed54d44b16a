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
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import python_functions
from mtl_graph import row_sets
from mtl_graph.data import splits
from mtl_graph.model import graphs
from mtl_graph.serving import contract
from mtl_graph.serving import lean_graph
from mtl_graph.serving import predictor
from tests.serving import c_program

ROOT = pathlib.Path(__file__).absolute().parent.parent
EXAMPLES = sorted((ROOT / "protos" / "examples").glob("*.pbtxt"))
# Where functions are that an example names.
ALLOWED = "protos.examples"
# Experiments the project was given; they are not part of it.
GIVEN = ROOT.parent / "shared" / "experiments"


def launch(name, *flags):
  """Runs a launcher in this process and returns its exit code."""
  module = importlib.import_module(f"mtl_graph.{name}")
  if name != "predict":
    flags += (f"--allow_python={ALLOWED}",)
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
          # Each execution has a test of its own, of all examples as well.
          "--set=training.execution.mode=SESSION",
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
    self.check_served(experiment)
    source = row_sets.of(experiment.data, "train")[0].source
    if source.HasField("csv"):
      self.check_predictions_from_csv(experiment)
    elif source.HasField("python"):
      self.check_moved_within_reach(2 * steps)
    else:
      arrays = dict(np.load("train.npz"))
      with predictor.load("served") as export:
        self.assertLen(export.predict(arrays)["a/value"], len(arrays["x"]))

  def check_served(self, experiment):
    """Holds the export against the contract of serving, and its budgets.

    A program in C, where there is a compiler, answers as Python does.
    """
    path, = pathlib.Path("served").iterdir()
    self.assertEmpty(contract.problems(str(path)))
    meta_graph, = lean_graph.read(str(path)).meta_graphs
    signatures = meta_graph.signature_def
    self.assertLess((path / "saved_model.pb").stat().st_size,
                    150_000 + 30_000 * len(signatures))
    variables = path / "variables"
    reader = tf.train.load_checkpoint(str(variables / "variables"))
    weights = sum(reader.get_tensor(name).nbytes
                  for name in reader.get_variable_to_shape_map())
    data = (variables / "variables.data-00000-of-00001").stat().st_size
    self.assertLessEqual(data, 1.02 * weights)
    if c_program.is_there():
      self.check_answers_in_c(experiment, str(path), signatures)

  def check_answers_in_c(self, experiment, path, signatures):
    """Compares answers to the same rows by raw values and by examples."""
    rows = splits.read(experiment, "train").raw
    with predictor.load("served") as export:
      raw = {name: values[:40] for name, values in rows.items()}
      expected = export.run(raw)
      asked = export.calls.feed("predict_examples", raw)
    of_tasks = [task.name for task in experiment.model.task
                if task.name in signatures]
    found = c_program.run(path, [
        ("serving_default", raw), ("predict_examples", asked),
        *((name, asked) for name in of_tasks)])
    for answers in found[:2]:
      self.assertCountEqual(answers, expected)
      for name, values in expected.items():
        if values.dtype.kind == "f":
          np.testing.assert_allclose(answers[name], values, rtol=1e-6,
                                     atol=1e-6)
    # A vector has no signature of its own.
    self.assertEqual(bool(of_tasks), any(
        task.regression.size == 1 for task in experiment.model.task))
    for name, answers in zip(of_tasks, found[2:]):
      self.check_answers_of_a_task(name, answers, expected)

  def check_answers_of_a_task(self, name, answers, expected):
    """Compares what a task's own signature says with `serving_default`."""
    if "outputs" in answers:
      wanted = expected[f"{name}/value" if f"{name}/value" in expected
                        else f"{name}/rate"]
      found = answers["outputs"]
    elif f"{name}/probability" in expected:
      wanted, found = expected[f"{name}/probability"], answers["scores"][:, 1]
    else:
      wanted, found = expected[f"{name}/probabilities"], answers["scores"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)

  def check_moved_within_reach(self, steps):
    """Checks that both tasks estimate the place, moved by Adam's steps."""
    with predictor.load("served") as export:
      found = export.predict({"nothing": np.zeros([3], np.float32)})
    for task in ("left", "right"):
      moved = found[f"{task}/value"] - [[-8.5, 7.5]]
      self.assertEqual(moved.shape, (3, 2))
      self.assertGreater(np.abs(moved).min(), 1e-4)
      self.assertLess(np.abs(moved).max(), 0.00101 * steps)

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
    with python_functions.allowing([ALLOWED]):
      model = graphs.build(experiment)
    # What a function makes is known once it is called.
    found = {v.op.name: v.shape.as_list()
             for some in model.variables.values() for v in some
             if "/python/" not in v.op.name}
    self.assertEqual(found, dict(outline.build(experiment).variables))


if __name__ == "__main__":
  absltest.main()
