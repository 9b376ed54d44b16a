"""Runs whose parts are built by functions of Python."""

import contextlib
import importlib
import io
import os
import tempfile
from unittest import mock

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph
from mtl_graph import api
from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.layers import initializers
from tests import legacy_network
from tests.training import small_run

# The same network twice: by the engine's layers, and by functions.
_OWN = ("model.hard_sharing.trunk={ layer { dense { units: 4 activation: TANH "
        "regularization { l2: 0.25 } } } layer { batch_normalization { "
        "momentum: 0.9 } } }",)
_PYTHON = (
    "model.hard_sharing.trunk={ layer { python { units: 4 function: "
    "'tests.legacy_network:trunk' argument { name: 'l2' number: 0.25 } } } }",
    "model.task[name=b].head_function={ function: 'tests.legacy_network:head' "
    "argument { name: 'bias' flag: true } }",
    "model.task[name=b].loss_function={ function: "
    "'tests.legacy_network:squared' }")
_BY_NUMPY = ("model.task[name=b].tower={ layer { python { units: 4 function: "
             "'tests.legacy_network:by_numpy' } } }",)
_GROUPS = (
    "training.group=[{ name: 'kernel' scope: 'trunk/python/dense/kernel' }, { "
    "name: 'rest' scope: ['trunk/python/dense/bias', 'embedding', 'tower', "
    "'head', 'trunk/python/batch_normalization'] }]",)


def _values(path):
  """Returns every variable of a checkpoint, by the engine's name for it."""
  reader = tf.train.load_checkpoint(path)
  return {name.replace("trunk/python/", "trunk/"): np.asarray(
      reader.get_tensor(name)) for name in reader.get_variable_to_shape_map()
          if name != "run_state"}


def _start(unused_seed, unused_name):
  return legacy_network.start


class PythonPartsTest(small_run.SmallRunTest):

  def trained(self, overrides, mode, **more):
    """Returns the result and the variables of a run, and its folder."""
    folder = self.enter_context(tempfile.TemporaryDirectory())
    with mock.patch.object(initializers, "glorot_uniform", _start):
      result = mtl_graph.train(
          small_run.TEXT, small_run.ARRAYS, folder,
          [*overrides, f"training.execution.mode={mode}"],
          log=self.lines.append, allow_python=["tests"], **more)
    return result, _values(checkpoints.newest(folder)), folder

  def test_as_the_layers_of_the_engine(self):
    own, expected, _ = self.trained(_OWN, "SESSION")
    self.assertGreater(np.abs(
        expected["trunk/batch_normalization/moving_mean"]).max(), 0.01)
    for mode in ("SESSION", "LOOP", "XLA"):
      python, found, _ = self.trained(_PYTHON, mode)
      self.assertCountEqual(found, expected)
      for name, value in expected.items():
        if mode == "XLA":
          np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5,
                                     err_msg=name)
        else:
          np.testing.assert_array_equal(found[name], value, name)
      self.assertAlmostEqual(own.metrics["validation"]["b"]["loss"],
                             python.metrics["validation"]["b"]["loss"], 4)
    self.assertEmpty(self.log("XLA cannot"))

  def test_groups_within_a_function_exports_and_resuming(self):
    text = ["serving={}", *_PYTHON, *_GROUPS]
    result, whole, _ = self.trained(text, "LOOP")
    self.assertLen(self.log(r"trunk/python/dense/kernel +3x4 +12 +kernel"), 1)
    # What serves it needs no function.
    rows = {"x": [0.5, -1.0], "c": [1, 3]}
    with mtl_graph.load(result.export_path) as served:
      answers = served.predict(rows)
    self.assertEqual(answers["b/value"].shape, (2,))
    _, halved, folder = self.trained(
        [*text, "training.num_steps=10"], "LOOP")
    with mock.patch.object(initializers, "glorot_uniform", _start):
      mtl_graph.train(small_run.TEXT, small_run.ARRAYS, folder,
                      [*text, "training.execution.mode=LOOP"],
                      log=self.lines.append, allow_python=["tests"])
    self.assertGreater(np.abs(halved["trunk/dense/kernel"]
                              - whole["trunk/dense/kernel"]).max(), 1e-3)
    for name, value in _values(checkpoints.newest(folder)).items():
      np.testing.assert_array_equal(value, whole[name], name)

  def test_rows_of_an_input_fn_are_as_those_of_arrays(self):
    text = [f"data.{split}={{ python {{ function: 'tests.legacy_network:"
            f"input_fn' argument {{ name: 'split' text: '{split}' }} argument "
            "{ name: 'form' text: 'batches' } } }" for split in small_run.ARRAYS]
    folder = self.enter_context(tempfile.TemporaryDirectory())
    result = mtl_graph.train(small_run.TEXT, None, folder, text,
                             log=self.lines.append, allow_python=["tests"])
    arrays = small_run.finished()
    self.assertEqual(result.metrics, arrays.result.metrics)
    expected = _values(checkpoints.newest(arrays.folder))
    for name, value in _values(checkpoints.newest(folder)).items():
      np.testing.assert_array_equal(value, expected[name], name)

  def test_what_xla_cannot_compile_runs_in_a_loop(self):
    result, _, _ = self.trained(_BY_NUMPY, "XLA")
    self.assertEqual(result.step, 20)
    self.assertLen(self.log("LOOP .*XLA cannot: "), 1)

  def test_python_within_an_export_is_refused(self):
    with self.assertRaisesRegex(
        Exception, "found op PyFunc; allowed: ops that stay within the graph"):
      self.trained([*_BY_NUMPY, "serving={}"], "LOOP")

  def test_a_scope_that_no_variable_lies_in(self):
    with self.assertRaisesRegex(
        config.ConfigErrors, r"training\.group\[0\]\.scope\[0\]: no trainable "
        "variable lies in scope 'trunk/python/dense/weights'; nearest: "):
      self.trained([*_PYTHON, _GROUPS[0].replace("kernel'", "weights'", 1)
                    .replace("dense/kernel", "dense/weights")], "LOOP")

  def test_launchers_take_what_is_allowed(self):
    self.enter_context(contextlib.chdir(self.folder))
    for split, columns in small_run.ARRAYS.items():
      np.savez(f"{split}.npz", **columns)
    config.write(api.experiment_of(small_run.TEXT, [
        *_PYTHON, *(f"data.{split}={{ npz {{ path: '{split}.npz' }} }}"
                    for split in small_run.ARRAYS), "training.num_steps=2"]),
                 "small.pbtxt")
    refused = "trunk.layer[0].python.function: found 'tests.legacy_network:"
    for launcher in ("train", "evaluate", "export"):
      main = importlib.import_module(f"mtl_graph.{launcher}").main
      command = [launcher, "--config=small.pbtxt", "--model_dir=run"]
      self.assertEqual(_run(main, [*command, "--allow_python=numpy,tests"])[0],
                       0)
      for more in ([], ["--allow_python=numpy"]):
        code, errors = _run(main, [*command, *more])
        self.assertEqual(code, 2)
        self.assertIn(refused, errors)
      code, errors = _run(main, [*command, "--allow_python=tests,*"])
      self.assertEqual((code, errors), (
          2, "--allow_python: found '*'; allowed: names of modules or "
          "packages, as in my_project,my_models.trunks\n"))


def _run(main, command):
  """Returns the exit code of a launcher, and what it said of it."""
  errors = io.StringIO()
  with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(
      errors):
    return main(command), errors.getvalue()


if __name__ == "__main__":
  absltest.main()
