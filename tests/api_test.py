"""Tests of the Python interface."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

import mtl_graph
import mtl_graph.train
from mtl_graph import config
from mtl_graph.protos import experiment_pb2
from mtl_graph.serving import predictor

try:
  import pandas
except ImportError:
  pandas = None

_TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE missing_value: 0 } }
  feature { name: "city"
            categorical { hash_buckets: 5 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "late" binary {} }
  task { name: "delay" regression {} }
}
training {
  num_steps: 10
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
  summaries { enabled: false }
}
"""


def _rows(seed, count):
  random = np.random.default_rng(seed)
  x = random.normal(size=count)
  return {"x": x, "city": random.choice(["oslo", ""], count),
          "late": [None if value < -1 else int(value > 0) for value in x],
          "delay": list(2 * x)}


_ARRAYS = {"train": _rows(0, 40), "validation": _rows(1, 20)}


class ApiTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._exported_folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._exported_lines = []
    cls._exported = mtl_graph.train(
        _TEXT, _ARRAYS, cls._exported_folder, ["serving={}"],
        log=cls._exported_lines.append)

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._lines = []

  def _train(self, experiment=_TEXT, arrays=None, **kwargs):
    return mtl_graph.train(experiment, arrays or _ARRAYS, self._folder,
                           log=self._lines.append, **kwargs)

  def test_trains_exports_and_predicts(self):
    result = self._exported
    self.assertEqual(result.step, 10)
    self.assertEqual(list(result.metrics), ["validation"])
    self.assertEqual(os.path.dirname(result.export_path),
                     os.path.join(self._exported_folder, "export"))
    for path in (result.export_path, os.path.dirname(result.export_path)):
      with mtl_graph.load(path) as export:
        answers = export.predict(_ARRAYS["validation"])
      rmse = np.mean((answers["delay/value"]
                      - np.array(_ARRAYS["validation"]["delay"])) ** 2) ** 0.5
      measured = result.metrics["validation"]["delay"]["rmse"]
      self.assertAlmostEqual(rmse, measured, places=5)
    self.assertIn(f"exported {result.export_path}", self._exported_lines)

  def test_columns_alone_are_training_rows(self):
    result = self._train(arrays=_ARRAYS["train"], overrides=["serving={}"])
    self.assertEqual((result.step, result.metrics), (10, {}))
    self.assertIsNotNone(result.export_path)

  @absltest.skipIf(pandas is None, "pandas is not installed")
  def test_data_frames_are_columns(self):
    expected = self._exported
    frames = {split: pandas.DataFrame(columns)
              for split, columns in _ARRAYS.items()}
    for arrays in (frames, {**_ARRAYS, "train": frames["train"]}):
      with tempfile.TemporaryDirectory() as folder:
        result = mtl_graph.train(_TEXT, arrays, folder,
                                 log=self._lines.append)
        self.assertEqual(result.metrics, expected.metrics)
    with tempfile.TemporaryDirectory() as folder:
      alone = mtl_graph.train(_TEXT, frames["train"], folder,
                              log=self._lines.append)
      self.assertEqual((alone.step, alone.metrics), (10, {}))
    with mtl_graph.load(expected.export_path) as export:
      self.assertEqual(
          export.predict(frames["validation"])["delay/value"].tolist(),
          export.predict(_ARRAYS["validation"])["delay/value"].tolist())

  def test_columns_may_hold_vectors_sets_and_images(self):
    random = np.random.default_rng(0)
    columns = {
        "v": random.normal(size=[20, 3]),
        "tags": [["a", "b"], [], ["b"], None] * 5,
        "image": random.integers(0, 255, [20, 4, 4]).astype(np.uint8),
        "delay": random.normal(size=[20, 2])}
    result = mtl_graph.train(_TEXT, {"train": columns, "validation": columns},
                             self._folder, log=self._lines.append, overrides=[
        "serving={}",
        "data.feature=[{ name: 'v' numeric { size: 3 } }, { name: 'tags' "
        "categorical { vocabulary: ['a', 'b'] multi_hot {} values { max_values:"
        " 2 } } }, { name: 'image' image { height: 4 width: 4 } encoder { layer"
        " { flatten {} } } }]",
        "model.task=[{ name: 'delay' regression { size: 2 } }]"])
    with mtl_graph.load(result.export_path) as export:
      values = export.predict(columns)["delay/value"]
    self.assertEqual(values.shape, (20, 2))
    self.assertAlmostEqual(
        np.mean((values - columns["delay"]) ** 2) ** 0.5,
        result.metrics["validation"]["delay"]["rmse"], places=5)

  def test_overrides_change_a_copy(self):
    experiment = config.parse(_TEXT)
    result = self._train(experiment, overrides=["training.num_steps=3"])
    self.assertEqual(result.step, 3)
    self.assertEqual(experiment, config.parse(_TEXT))

  def test_an_experiment_may_be_a_file_and_the_folder_runs_and_its_name(self):
    self.enter_context(contextlib.chdir(self._folder))
    with open("written.pbtxt", "w", encoding="utf-8") as file:
      file.write(_TEXT)
    result = mtl_graph.train("written.pbtxt", _ARRAYS, log=self._lines.append)
    self.assertEqual((result.step, result.export_path), (10, None))
    self.assertStartsWith(result.checkpoint, "runs/small/")
    self.assertTrue(os.path.isfile("runs/small/experiment.pbtxt"))

  def test_files_the_experiment_names(self):
    np.savez(os.path.join(self._folder, "train.npz"), **{
        name: np.array(values, float) if name == "late" else values
        for name, values in _ARRAYS["train"].items()})
    result = mtl_graph.train(
        _TEXT, model_dir=self._folder, log=self._lines.append, overrides=[
            f"data.train={{ npz {{ path: '{self._folder}/train.npz' }} }}"])
    self.assertEqual(result.step, 10)

  def test_goes_on_and_is_done(self):
    first = self._train(overrides=["training.num_steps=4"])
    second = self._train()
    third = self._train()
    self.assertEqual((first.step, second.step, third.step), (4, 10, 10))
    self.assertIn("going on from step 4", self._lines)
    self.assertEqual(third.metrics, second.metrics)
    self.assertEqual(third.checkpoint, second.checkpoint)

  @parameterized.named_parameters(
      ("no_train", {"validation": _rows(0, 3)}, "^arrays: found 'validation'; "
       "allowed: train, validation, test, train among them"),
      ("another", {"train": _rows(0, 3), "valid": _rows(0, 3)},
       "^arrays: found 'train', 'valid'; allowed: "),
      ("sources_that_there_are_not", {"train/a": _rows(0, 3)}, "^arrays: found "
       "'train/a'; allowed: train, validation, test, train among them$"),
      ("best_without_rows", {"train": _rows(0, 3)}, "evaluation.best"))
  def test_refused(self, arrays, message):
    overrides = ["evaluation={ every_steps: 2 best { metric: 'late/auc' goal: "
                 "MAXIMIZE } }"] if "best" in message else []
    with self.assertRaisesRegex(config.ConfigErrors, message):
      self._train(arrays=arrays, overrides=overrides)

  def test_rows_of_sources(self):
    binary = {k: v for k, v in _rows(0, 40).items() if k != "delay"}
    number = {k: v for k, v in _rows(1, 30).items() if k != "late"}
    overrides = ["data.source=[{ name: 'a' task: 'late' }, { name: 'b' task: "
                 "'delay' }]", "data.mixing={ temperature: 2 }"]
    result = self._train(arrays={
        "train/a": binary, "train/b": number, "validation/b": number},
                         overrides=overrides)
    self.assertEqual(result.step, 10)
    measured = result.metrics["validation"]
    self.assertTrue(np.isfinite(measured["delay"]["rmse"]))
    self.assertTrue(np.isnan(measured["late"]["auc"]))
    for arrays, found in (
        ({"train/a": binary}, "'train/a'"), (binary, "'train'"),
        ({"train/a": binary, "train/b": number, "test": number},
         "'train/a', 'train/b', 'test'")):
      with self.assertRaisesRegex(
          config.ConfigErrors, f"^arrays: found {found}; allowed: train/a, "
          "train/b, validation/a, validation/b, test/a, test/b, train/a and "
          "train/b among them$"):
        self._train(arrays=arrays, overrides=overrides)

  def test_problems_come_all_at_once(self):
    with self.assertRaises(config.ConfigErrors) as caught:
      self._train(experiment_pb2.Experiment(), _ARRAYS)
    self.assertGreater(str(caught.exception).count("\n"), 3)


class ImportTest(absltest.TestCase):

  def _run(self, script):
    path = os.pathsep.join(os.path.abspath(p or ".") for p in sys.path)
    return subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path}).stdout.strip()

  def test_importing_the_package_does_not_import_tensorflow(self):
    self.assertEqual(self._run(
        "import sys, mtl_graph, mtl_graph.train\n"
        "print([m for m in sys.modules if m.startswith('tensorflow')])"), "[]")

  def test_train_is_callable_in_whatever_order_it_is_imported(self):
    for script in ("import mtl_graph.train",
                   "mtl_graph.train; import mtl_graph.train"):
      self.assertEqual(self._run(
          f"import mtl_graph\n{script}\n"
          "try:\n  mtl_graph.train('name: 1 {')\n"
          "except mtl_graph.config.ConfigErrors as error:\n"
          "  print('refused')\n").split("\n")[-1], "refused", script)

  def test_train_stays_a_launcher(self):
    self.assertEqual(mtl_graph.train.__name__, "mtl_graph.train")
    with contextlib.redirect_stderr(io.StringIO()) as printed:
      self.assertEqual(mtl_graph.train.main(["train", "--nothing"]), 2)
    self.assertIn("nothing", printed.getvalue())

  def test_public_names(self):
    for name in mtl_graph.__all__:
      self.assertIsNotNone(getattr(mtl_graph, name))
    self.assertContainsSubset(["train", "load", "grouped_train_op"],
                              dir(mtl_graph))
    self.assertIs(mtl_graph.load, predictor.load)
    with self.assertRaisesRegex(
        AttributeError, "module 'mtl_graph' has no attribute 'nothing'"):
      mtl_graph.nothing  # pylint: disable=pointless-statement


if __name__ == "__main__":
  absltest.main()
