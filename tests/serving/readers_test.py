"""Tests that programs other than this one read an export alike.

Those that need a package beside TensorFlow skip where it is not installed.
"""

import contextlib
import importlib
import io
import os
import subprocess
import sys
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.serving import single_signature
from tests.serving import rich_export


def _need(test, *modules):
  """Imports packages, or skips the test and says which one is missing."""
  found = []
  for module in modules:
    try:
      found.append(importlib.import_module(module))
    except ImportError as error:
      test.skipTest(f"not installed: {error.name or module}")
  return found[0] if len(found) == 1 else found


class ReadersTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._export = rich_export.train(cls._folder).export_path
    cls._server = cls.enterClassContext(rich_export.Server(cls._export))
    rows = rich_export.columns(1, 7)
    random = np.random.default_rng(2)
    raw = rich_export.requests(rows)
    ids = {"city": random.integers(0, 3, 7), "dest": random.integers(0, 10, 7),
           "both": random.integers(0, 7, 7), "tags": random.integers(-1, 4, [7, 3])}
    cls._inputs = {
        "serving_default": raw,
        "after_lookups": {
            **{k: raw[k] for k in ("amount", "pair", "hour")},
            "x": np.nan_to_num(raw["x"]),
            "tags/weights": random.random([7, 3]).astype(np.float32),
            **{k: v.astype(np.int32) for k, v in ids.items()}}}
    cls._serialized = np.array(rich_export.examples(rows), object)

  def _inputs_of(self, name):
    return self._inputs.get(name) or {
        key: self._serialized for key in self._server.signatures[name].inputs}

  def _assert_equal(self, found, expected, tolerance=1e-4):
    self.assertCountEqual(found, expected)
    for name, values in expected.items():
      if values.dtype.kind == "f":
        np.testing.assert_allclose(found[name], values, rtol=tolerance,
                                   atol=tolerance, err_msg=name)

  def test_command_line_of_tensorflow(self):
    cli = importlib.import_module("tensorflow.python.tools.saved_model_cli")

    def run(*arguments):
      printed = io.StringIO()
      with mock.patch.object(sys, "argv", ["saved_model_cli", *arguments]), (
          contextlib.redirect_stdout(printed)), (
              self.assertRaises(SystemExit)) as ended:
        cli.main()
      self.assertIsNone(ended.exception.code, printed.getvalue())
      return printed.getvalue()

    self.assertIn("does not contain the default denylisted ops",
                  run("scan", "--dir", self._export))
    for name in self._server.signatures:
      folder = self.enter_context(tempfile.TemporaryDirectory())
      inputs = self._inputs_of(name)
      for key in self._server.signatures[name].outputs:
        # The program makes the folder, but not those that a slash stands for.
        os.makedirs(os.path.dirname(os.path.join(folder, key)), exist_ok=True)
      for i, values in enumerate(inputs.values()):
        np.save(os.path.join(folder, f"{i}.npy"), values, allow_pickle=True)
      run("run", "--dir", self._export, "--tag_set", "serve", "--signature_def",
          name, "--inputs", ";".join(
              f"{key}={folder}/{i}.npy" for i, key in enumerate(inputs)),
          "--outdir", folder)
      for key, values in self._server.run(name, inputs).items():
        found = np.load(os.path.join(folder, key + ".npy"), allow_pickle=True)
        if values.dtype == object:
          self.assertEqual(found.tolist(), values.tolist())
        else:
          np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6)

  def test_protos_of_tensorflow_serving(self):
    """Requests become feeds, and outputs responses, as its server has it."""
    apis = "tensorflow_serving.apis."
    classify, regress, predict, infer = _need(
        self, *(apis + name for name in (
            "classification_pb2", "regression_pb2", "predict_pb2",
            "inference_pb2")))
    request = infer.MultiInferenceRequest()
    for name, method in (("late", "classify"), ("kind", "classify"),
                         ("delay", "regress")):
      task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
      task.model_spec.signature_name = name
    for example in self._serialized:
      request.input.example_list.examples.add().ParseFromString(example)
    request = type(request).FromString(request.SerializeToString())
    names = [task.model_spec.signature_name for task in request.tasks]
    for task in request.tasks:
      self.assertEqual(task.method_name, self._server.signatures[
          task.model_spec.signature_name].method_name)
    found = self._server.run_all(names, {"inputs": np.array([
        example.SerializeToString()
        for example in request.input.example_list.examples], object)})
    expected = self._server.run("serving_default",
                                self._inputs["serving_default"])
    response = classify.ClassificationResponse()
    for names_, scores in zip(found["kind"]["classes"], found["kind"]["scores"]):
      row = response.result.classifications.add()
      for label, score in zip(names_, scores):
        row.classes.add(label=label.decode(), score=score)
    response = type(response).FromString(response.SerializeToString())
    for row, best in zip(response.result.classifications,
                         expected["kind/class_name"]):
      self.assertEqual(max(row.classes, key=lambda c: c.score).label,
                       best.decode())
    answer = regress.RegressionResponse()
    for value in found["delay"]["outputs"]:
      answer.result.regressions.add(value=value)
    np.testing.assert_allclose([r.value for r in answer.result.regressions],
                               expected["delay/value"], rtol=1e-5)
    asked = predict.PredictRequest()
    for name, values in self._inputs["serving_default"].items():
      asked.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    asked = type(asked).FromString(asked.SerializeToString())
    self._assert_equal(self._server.run("serving_default", {
        name: tf.make_ndarray(proto) for name, proto in asked.inputs.items()}),
                       expected, 1e-6)

  def _alone(self):
    """Writes `after_lookups` as an export of its own; returns its path."""
    path = os.path.join(self.enter_context(tempfile.TemporaryDirectory()), "1")
    single_signature.extract(self._export, "after_lookups", path)
    return path

  def _expected(self):
    return self._server.run("after_lookups", self._inputs["after_lookups"])

  def test_a_signature_alone(self):
    with rich_export.Server(self._alone()) as server:
      self.assertEqual(list(server.signatures), ["serving_default"])
      self._assert_equal(server.run("serving_default",
                                    self._inputs["after_lookups"]),
                         self._expected(), 1e-6)
      kinds = {op.type for op in server.graph.get_operations()}
    self.assertNoCommonElements(kinds, [
        "ParseExampleV2", "HashTableV2", "StringToHashBucketFast",
        "AsString"])

  def test_no_such_signature(self):
    with self.assertRaisesRegex(ValueError, "`signature` must be one of .*after_"
                                "lookups.*, found raw"):
      single_signature.extract(self._export, "raw", "nowhere")

  def test_onnx(self):
    _, runtime = _need(self, "tf2onnx", "onnxruntime")
    model = os.path.join(self.enter_context(tempfile.TemporaryDirectory()),
                         "model.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "tf2onnx.convert", "--saved-model", self._alone(),
         "--opset", "17", "--output", model],
        capture_output=True, text=True, check=False)
    self.assertEqual(done.returncode, 0, done.stderr)
    session = runtime.InferenceSession(model)
    outputs = [output.name for output in session.get_outputs()]
    # It knows no slashes in the names of inputs.
    found = session.run(None, {name.replace("/", "_"): values for name, values
                               in self._inputs["after_lookups"].items()})
    self._assert_equal(dict(zip(outputs, found)), self._expected())

  def test_lite(self):
    interpreter = _need(self, "ai_edge_litert.interpreter")
    converter = tf.compat.v2.lite.TFLiteConverter.from_saved_model(
        self._alone(), signature_keys=["serving_default"])
    runner = interpreter.Interpreter(
        model_content=converter.convert()).get_signature_runner()
    self._assert_equal(runner(**self._inputs["after_lookups"]),
                       self._expected())

  def test_openvino(self):
    openvino = _need(self, "openvino")
    # On its own it would round to 16 bits where the processor can.
    model = openvino.compile_model(openvino.convert_model(self._alone()), "CPU",
                                   {"INFERENCE_PRECISION_HINT": "f32"})
    found = model(self._inputs["after_lookups"])
    self._assert_equal({name: found[name] for name in self._expected()},
                       self._expected())


if __name__ == "__main__":
  absltest.main()
