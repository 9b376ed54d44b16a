"""Tests of the Estimator: what it takes, and what it refuses."""

import json
import os
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import estimator

_X = np.arange(12, dtype=np.float32).reshape(6, 2)
_Y = (_X @ [[1.0], [-2.0]] + 3).astype(np.float32)


def _input_fn(epochs=1):
  return estimator.inputs.numpy_input_fn({"x": _X}, _Y, batch_size=2,
                                         num_epochs=epochs, shuffle=False)


def _model_fn(features, labels, mode, params):
  """A linear regression; each number of `params` is another fault."""
  start = tf.constant_initializer(params.get("start", 0.0))
  weights = tf.get_variable("weights", [2, 1], initializer=start)
  outputs = tf.matmul(features["x"], weights)
  if params.get("by_numpy") and mode == estimator.ModeKeys.PREDICT:
    outputs = tf.py_func(np.sin, [outputs], tf.float32)
    outputs.set_shape([None, 1])
  head = estimator.regression_head()
  spec = head.create_estimator_spec(
      features, mode, outputs, labels,
      optimizer=tf.train.GradientDescentOptimizer(0.001))
  if params.get("metric") and mode == estimator.ModeKeys.EVAL:
    spec.eval_metric_ops[params["metric"]] = tf.metrics.mean(outputs)
  return params["returned"] if "returned" in params else spec


def _receive():
  x = tf.placeholder(tf.float32, [None, 2], "x")
  return estimator.export.ServingInputReceiver({"x": x}, x)


class EstimatorTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enterContext(tempfile.TemporaryDirectory())

  def make(self, name="model", warm_start_from=None, config=None, **params):
    return estimator.Estimator(
        _model_fn, os.path.join(self.folder, name), config, params,
        warm_start_from)

  def test_steps_and_where_training_ends(self):
    model = self.make()
    self.assertIs(model.train(_input_fn()), model)
    self.assertEqual(model.get_variable_value("global_step"), 3)
    model.train(_input_fn(None), steps=4)
    self.assertEqual(model.get_variable_value("global_step"), 7)
    model.train(_input_fn(None), max_steps=7)
    model.train(_input_fn(None), max_steps=9)
    self.assertEqual(model.get_variable_value("global_step"), 9)
    # Gradient descent by hand; each call begins with the first rows again.
    weights = np.zeros([2, 1])
    for batch in (0, 1, 2, 0, 1, 2, 0, 0, 1):
      x, y = _X[2 * batch:][:2].astype(np.float64), _Y[2 * batch:][:2]
      weights -= 0.001 * x.T @ (2 * (x @ weights - y)) / 2
    np.testing.assert_allclose(model.get_variable_value("weights"), weights,
                               rtol=1e-4)
    rows = list(model.predict(_input_fn(), "predictions"))
    np.testing.assert_allclose([row["predictions"] for row in rows],
                               _X @ weights, rtol=1e-4)
    batch = next(model.predict(_input_fn(), yield_single_examples=False))
    self.assertEqual(batch["predictions"].shape, (2, 1))

  def test_training_with_evaluation_and_exports(self):
    model = self.make(config=estimator.RunConfig(save_checkpoints_steps=2))
    exporters = [
        estimator.FinalExporter("final", _receive),
        estimator.LatestExporter("latest", _receive, exports_to_keep=2)]
    metrics, exported = estimator.train_and_evaluate(
        model, estimator.TrainSpec(_input_fn(None), max_steps=6),
        estimator.EvalSpec(_input_fn(), name="held_out", throttle_secs=0,
                           exporters=exporters))
    self.assertEqual(metrics["global_step"], 6)
    self.assertAlmostEqual(
        metrics["loss"], model.evaluate(_input_fn())["loss"], 5)
    self.assertEqual([os.path.dirname(path) for path in exported], [
        os.path.join(model.model_dir, "export", name)
        for name in ("final", "latest")])
    self.assertLen(os.listdir(os.path.dirname(exported[0])), 1)
    self.assertLen(os.listdir(os.path.dirname(exported[1])), 2)
    self.assertNotEmpty(os.listdir(os.path.join(model.model_dir,
                                                "eval_held_out")))

  def test_warm_start(self):
    first = self.make("first", start=2.0)
    first.train(_input_fn(), steps=1)
    trained = first.get_variable_value("weights")
    for start in (first.model_dir, estimator.WarmStartSettings(
        first.model_dir, "weights")):
      second = self.make(f"second{type(start).__name__}", start)
      second.train(_input_fn(), steps=1)
      gradient = second.get_variable_value("weights") - trained
      self.assertLess(np.abs(gradient).max(), 0.2)
      self.assertGreater(np.abs(trained).min(), 1.5)

  def test_what_cannot_be_served(self):
    model = self.make(by_numpy=1)
    model.train(_input_fn(), steps=1)
    folder = os.path.join(self.folder, "export")
    with self.assertRaisesRegex(ValueError, "found op PyFunc; allowed: ops "
                                "that stay within the graph"):
      model.export_saved_model(folder, _receive)
    self.assertEmpty(os.listdir(folder))

  def test_signatures_of_raw_tensors_and_extra_assets(self):
    model = self.make()
    model.train(_input_fn(), steps=1)
    note = os.path.join(self.folder, "note.txt")
    with open(note, "w", encoding="utf-8") as file:
      file.write("as trained")
    path = model.export_savedmodel(os.path.join(self.folder, "export"),
                                   _receive, {"notes/note.txt": note})
    with open(os.path.join(path, "assets.extra", "notes", "note.txt"),
              encoding="utf-8") as file:
      self.assertEqual(file.read(), "as trained")
    with tf.Graph().as_default(), tf.Session() as session:
      loaded = tf.saved_model.load(session, ["serve"], path)
      # To regress takes serialized examples.
      self.assertEqual(list(loaded.signature_def), ["predict"])
      signature = loaded.signature_def["predict"]
      answers = session.run(signature.outputs["predictions"].name,
                            {signature.inputs["input"].name: _X})
    np.testing.assert_allclose(
        answers, _X @ model.get_variable_value("weights"), rtol=1e-5)

  @parameterized.parameters(
      (dict(steps=0), "steps: found 0; allowed: at least 1"),
      (dict(steps=1, max_steps=2), "steps: found it beside max_steps; allowed"))
  def test_training_that_is_refused(self, arguments, problem):
    with self.assertRaisesRegex(ValueError, problem):
      self.make().train(_input_fn(), **arguments)

  @parameterized.parameters(
      ("evaluate", {}), ("export_saved_model", {"export_dir_base": "x"}),
      ("predict", {}))
  def test_without_a_checkpoint(self, method, arguments):
    function = _receive if arguments else _input_fn()
    with self.assertRaisesRegex(ValueError, "model_dir: no checkpoint in "):
      list(getattr(self.make(), method)(*arguments.values(), function))

  def test_a_model_fn_that_is_none(self):
    with self.assertRaisesRegex(ValueError, "model_fn: returned int; allowed"):
      self.make(returned=3).train(_input_fn())
    with self.assertRaisesRegex(ValueError, "model_fn: found parameters x;"):
      estimator.Estimator(lambda x: x, self.folder)
    with self.assertRaisesRegex(ValueError, "found no parameter 'params'; req"):
      estimator.Estimator(lambda features: 0, self.folder, params={})
    with self.assertRaisesRegex(ValueError, "found no parameter 'labels'; req"):
      estimator.Estimator(lambda features: 0, self.folder).train(_input_fn())
    with self.assertRaisesRegex(ValueError, "config.model_dir 'a'; allowed"):
      estimator.Estimator(_model_fn, "b", estimator.RunConfig("a"))

  def test_metrics_and_keys_that_are_taken_or_unknown(self):
    model = self.make(metric="loss")
    model.train(_input_fn(), steps=1)
    with self.assertRaisesRegex(ValueError, "eval_metric_ops: found 'loss'; "):
      model.evaluate(_input_fn())
    with self.assertRaisesRegex(ValueError, "predict_keys: found x; allowed: "
                                "predictions"):
      next(model.predict(_input_fn(), "x"))

  def test_a_cluster_is_refused(self):
    with mock.patch.dict(os.environ, TF_CONFIG=json.dumps(
        {"cluster": {"worker": ["a:1"]}})):
      with self.assertRaisesRegex(ValueError, "TF_CONFIG: found a cluster of "
                                  "worker; allowed: one machine"):
        estimator.train_and_evaluate(self.make(), None, None)


if __name__ == "__main__":
  absltest.main()
