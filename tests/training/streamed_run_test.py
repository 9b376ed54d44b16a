"""Tests of whole runs over rows on disk: they are those over rows in memory."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import export
from mtl_graph import validation
from mtl_graph.data import sources
from mtl_graph.data import splits
from mtl_graph.evaluation import evaluator
from mtl_graph.evaluation import saved_run
from mtl_graph.training import execution_choice
from mtl_graph.training import inputs
from mtl_graph.training import loop
from mtl_graph.training import preparation
from tests.training import small_run

_STREAMED = "data.input.kind=STREAMED"
_INDEPENDENT = [
    "training.num_rounds=2", "training.independent={ order: INTERLEAVED "
    "task { name: 'a' iterations: 6 } task { name: 'b' iterations: 3 "
    "batch_size: 5 } }"]


def _write(path, columns):
  """Writes a CSV file."""
  names = list(columns)
  with open(path, "w", encoding="utf-8") as file:
    file.write(",".join(names) + "\n")
    for row in zip(*columns.values()):
      file.write(",".join("" if np.isnan(value) else repr(float(value))
                          for value in row) + "\n")


class StreamedRunTest(small_run.SmallRunTest):

  def setUp(self):
    super().setUp()
    self._files = self.enter_context(tempfile.TemporaryDirectory())
    for split, seed, count in (("train", 0, 30), ("validation", 1, 20),
                               ("more", 2, 11)):
      _write(f"{self._files}/{split}.csv", small_run.rows(seed, count))

  def _train(self, name, *overrides):
    """Trains on files in a folder of that name; returns all variables."""
    result = loop.train(self._experiment(*overrides),
                        os.path.join(self.folder, name),
                        log=self.lines.append)
    reader = tf.train.load_checkpoint(os.path.join(
        self.folder, name, f"model.ckpt-{result.step}"))
    return {key: np.asarray(reader.get_tensor(key)).tobytes()
            for key in reader.get_variable_to_shape_map()
            if key != "run_state"}, result.metrics

  def _experiment(self, *overrides):
    """Returns an experiment on files."""
    experiment = config.parse(small_run.TEXT)
    if any("independent" in one for one in overrides):
      experiment.training.ClearField("joint")
      experiment.training.ClearField("num_steps")
    for assignment in [
        f"data.train={{csv {{path: '{self._files}/train.csv'}}}}",
        f"data.validation={{csv {{path: '{self._files}/validation.csv'}}}}",
        "evaluation.best={ metric: 'b/rmse' goal: MINIMIZE }",
        "evaluation.every_steps=5", *overrides]:
      config.override(experiment, assignment)
    if experiment.data.source:
      for split in ("train", "validation"):
        experiment.data.ClearField(split)
    validation.check(experiment)
    return experiment

  @parameterized.parameters(
      ("SESSION", _INDEPENDENT), ("LOOP", ["training.accumulate_batches=2"]),
      ("LOOP", _INDEPENDENT), ("XLA", []))
  def test_is_the_run_over_rows_in_memory(self, mode, more):
    stated = [f"training.execution.mode={mode}",
              "training.execution.steps_per_block=4", *more]
    resident, metrics = self._train("resident", *stated)
    streamed, same = self._train("streamed", *stated, _STREAMED)
    self.assertEqual(streamed, resident)
    self.assertEqual(same, metrics)

  def test_blocks_are_as_long_as_memory_should_take(self):
    stated = "training.execution.mode=LOOP"
    resident, _ = self._train("resident", stated)
    with absltest.mock.patch.object(
        inputs, "_BLOCK_BYTES", 1000), absltest.mock.patch.object(
            inputs.StreamedInput, "arrays", autospec=True,
            side_effect=inputs.StreamedInput.arrays) as arrays:
      streamed, _ = self._train("streamed", stated, _STREAMED)
    # A row has `x` and two labels of 4 bytes, and an id and two weights of 1.
    self.assertEqual({call.args[1] for call in arrays.call_args_list},
                     {1000 // (8 * (3 * 4 + 1 + 2))})
    self.assertEqual(streamed, resident)

  def test_goes_on_to_the_bit_from_the_cache(self):
    stated = ["training.execution.mode=LOOP", _STREAMED,
              "data.input.shuffle_buffer=9"]
    whole, _ = self._train("whole", *stated)
    self._train("parts", *stated, "training.num_steps=7")
    self.assertLen(self.log("^cache: parsing rows"), 2)
    found, _ = self._train("parts", *stated)
    self.assertLen(self.log("^cache: parsing rows"), 2)
    self.assertEqual(found, whole)
    other, _ = self._train("other", *stated, "data.input.shuffle_buffer=8")
    self.assertNotEqual(other, whole)

  def test_sources_are_mixed_as_in_memory(self):
    sources = ["data.source=[" + ", ".join(
        f"{{ name: '{name}' at_end: STOP train {{ csv {{ path: "
        f"'{self._files}/{name}.csv' }} }} validation {{ csv {{ path: "
        f"'{self._files}/validation.csv' }} }} }}"
        for name in ("train", "more")) + "]",
               "data.mixing={ uniform {} }",
               "training.execution.mode=LOOP", "training.num_steps=400"]
    resident, _ = self._train("resident", *sources)
    streamed, _ = self._train("streamed", *sources, _STREAMED)
    self.assertEqual(streamed, resident)

  @parameterized.parameters(("LOOP", 0.0), ("XLA", float("inf")))
  def test_auto_tries_xla_and_reads_nothing_away(self, mode, faster):
    stated, _ = self._train("stated", _STREAMED,
                            f"training.execution.mode={mode}")
    with absltest.mock.patch.multiple(
        execution_choice, _WORTH_COMPILING=0.0, _FASTER=faster):
      auto, _ = self._train("auto", _STREAMED, "training.execution.mode=AUTO")
    self.assertLen(self.log(f"execution: {mode} .AUTO: .* ms a step in LOOP, "
                            ".* in XLA, compiled in"), 1)
    self.assertEqual(auto, stated)

  def test_xla_compiles_blocks_once(self):
    experiment = config.parse(small_run.TEXT)
    for assignment in [
        f"data.train={{csv {{path: '{self._files}/train.csv'}}}}", _STREAMED,
        "training.execution.mode=XLA", "training.execution.steps_per_block=3"]:
      config.override(experiment, assignment)
    config.write(experiment, f"{self._files}/experiment.pbtxt")
    # XLA reads where to leave what it compiles when it is first used.
    dump = os.path.join(self.folder, "xla")
    subprocess.run(
        [sys.executable, "-m", "mtl_graph.train",
         f"--config={self._files}/experiment.pbtxt",
         f"--model_dir={self.folder}/run"], check=True,
        stdout=subprocess.DEVNULL, timeout=300,
        env={**os.environ, "XLA_FLAGS": f"--xla_dump_to={dump}",
             "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    self.assertLen([name for name in os.listdir(dump) if "loop" in name
                    and name.endswith("before_optimizations.txt")], 1)

  def test_evaluation_reads_the_cache(self):
    _, metrics = self._train("run", _STREAMED)
    experiment = self._experiment(_STREAMED)
    folder = os.path.join(self.folder, "run")
    def evaluate():
      with absltest.mock.patch.object(
          evaluator.Evaluator, "measure", autospec=True,
          side_effect=evaluator.Evaluator.measure) as measure:
        found = saved_run.evaluate(experiment, folder, log=self.lines.append)
      for array in measure.call_args.args[1]:
        self.assertIsInstance(array, np.memmap)
      return found
    self.assertEqual(evaluate(), metrics)
    self.assertLen(self.log("^cache: parsing rows"), 1)
    # Without it, only what is measured is parsed, and only once.
    shutil.rmtree(os.path.join(folder, "cache"))
    os.remove(f"{self._files}/train.csv")
    for _ in range(2):
      self.assertEqual(evaluate(), metrics)
      self.assertLen(self.log("^cache: parsing rows"), 2)

  def test_evaluation_of_other_rows_leaves_the_cache_as_it_is(self):
    self._train("run", _STREAMED)
    folder = os.path.join(self.folder, "run")
    other = self._experiment(
        _STREAMED, f"data.test={{csv {{path: '{self._files}/more.csv'}}}}")
    saved_run.evaluate(other, folder, log=self.lines.append)
    self.assertLen(self.log("^cache: parsing rows"), 2)
    saved_run.evaluate(self._experiment(_STREAMED), folder,
                       log=self.lines.append)
    self.assertLen(self.log("^cache: parsing rows"), 2)

  def test_a_dry_run_reads_the_first_rows(self):
    expected = preparation.describe(self._experiment())
    with open(f"{self._files}/validation.csv", "a", encoding="utf-8") as file:
      file.writelines(["1,2,1,3\n"] * splits.SAMPLE_ROWS + ["1,2,1,high\n"])
    self.assertEqual(preparation.describe(self._experiment(_STREAMED)),
                     expected)
    with self.assertRaisesRegex(sources.DataError, "found 'high'"):
      preparation.describe(self._experiment())

  def test_export_by_the_launcher(self):
    self._train("run", _STREAMED)
    experiment = self._experiment(_STREAMED)
    config.write(experiment, f"{self._files}/experiment.pbtxt")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      self.assertEqual(export.main([
          "export", f"--config={self._files}/experiment.pbtxt",
          f"--model_dir={self.folder}/run"]), 0)
    self.assertRegex(printed.getvalue(), f"^exported {self.folder}/run/export/")

  def test_a_cache_that_cannot_be_written_is_named(self):
    with open(f"{self._files}/cache", "w", encoding="utf-8"):
      pass
    with self.assertRaisesRegex(
        Exception, f"^data.input.cache_dir: '{self._files}/cache/here' cannot "
        "be written: Not a directory; allowed: a folder of your own"):
      self._train("bad", _STREAMED,
                  f"data.input.cache_dir='{self._files}/cache/here'")

  def test_a_bad_row_is_named_with_its_file(self):
    with open(f"{self._files}/train.csv", "a", encoding="utf-8") as file:
      file.write("1,2,1,high\n")
    with self.assertRaisesRegex(
        Exception, "train.csv, row 31, column 'b': found 'high'; allowed: "):
      self._train("bad", _STREAMED)


if __name__ == "__main__":
  absltest.main()
