"""Tests of the requests that a server runs before it serves a model."""

import collections
import importlib
import os
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.framework import tensor_pb2

from mtl_graph.protos import warmup_pb2
from mtl_graph.serving import replay
from mtl_graph.serving import signature_calls
from mtl_graph.serving import warmup
from tests.serving import three_methods

_NAMES = ["serving_default", "after_lookups", "delay", "late", "late/predict",
          "predict_examples", "warm"]


def _serving_protos():
  """Returns TensorFlow Serving's own module, where it is installed."""
  try:
    return importlib.import_module(
        "tensorflow_serving.apis.prediction_log_pb2")
  except ImportError:
    return None


class WarmupTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._path = three_methods.write(os.path.join(cls._folder, "1"))
    cls._calls = cls.enterClassContext(signature_calls.Calls(cls._path))

  def _requests(self, count=5):
    return warmup.requests(self._calls, "flights", three_methods.ROWS, count)


class RequestsTest(WarmupTest):

  def test_every_signature_has_its_own(self):
    logs = self._requests(3)
    self.assertEqual(list(logs), _NAMES + ["MultiInference"])
    kinds = {name: {log.WhichOneof("log_type") for log in some}
             for name, some in logs.items()}
    self.assertEqual({len(some) for some in logs.values()}, {3})
    self.assertEqual(
        {name: kinds[name] for name in ("late", "delay", "MultiInference")},
        {"late": {"classify_log"}, "delay": {"regress_log"},
         "MultiInference": {"multi_inference_log"}})
    self.assertEqual({name for name, kind in kinds.items()
                      if kind == {"predict_log"}},
                     {"serving_default", "after_lookups", "late/predict",
                      "predict_examples"})

  def test_of_real_rows(self):
    logs = self._requests()
    for row, log in enumerate(logs["serving_default"]):
      request = log.predict_log.request
      self.assertEqual(request.model_spec.name, "flights")
      self.assertEqual(request.model_spec.signature_name, "serving_default")
      self.assertCountEqual(request.inputs, three_methods.ROWS)
      for key, values in three_methods.ROWS.items():
        found = tf.make_ndarray(tensor_pb2.TensorProto.FromString(
            request.inputs[key]))
        if values.dtype.kind == "O":
          found = np.array([v.decode() for v in found], object)
        else:
          self.assertEqual(found.dtype, values.dtype)
        np.testing.assert_array_equal(found, values[row:row + 1])
    ids = tf.make_ndarray(tensor_pb2.TensorProto.FromString(
        logs["after_lookups"][3].predict_log.request.inputs["city"]))
    np.testing.assert_array_equal(ids, [2])

  def test_examples_hold_what_the_graph_parses(self):
    log = self._requests()["late"][1].classify_log
    example = tf.train.Example.FromString(
        log.request.input.example_list.examples[0])
    features = example.features.feature
    self.assertEqual(list(features["x"].float_list.value), [-1.25])
    self.assertEqual(list(features["hour"].int64_list.value), [5])
    self.assertEqual(list(features["city"].bytes_list.value), [b"bern"])
    np.testing.assert_array_equal(features["sizes"].float_list.value,
                                  [3, np.nan])
    fourth = tf.train.Example.FromString(self._requests()["late"][3]
                                         .classify_log.request.input
                                         .example_list.examples[0])
    self.assertNotIn("hour", fourth.features.feature)  # It is missing.

  def test_several_at_once_share_their_tensor(self):
    request = self._requests()["MultiInference"][0].multi_inference_log.request
    self.assertEqual(
        {task.model_spec.signature_name: task.method_name
         for task in request.tasks},
        {"late": "tensorflow/serving/classify",
         "warm": "tensorflow/serving/classify",
         "delay": "tensorflow/serving/regress"})

  def test_no_more_than_a_server_takes(self):
    rows = {key: np.concatenate([values] * 60)
            for key, values in three_methods.ROWS.items()}
    logs = warmup.requests(self._calls, "m", rows, 1000)
    self.assertEqual({len(some) for some in logs.values()}, {125})
    self.assertEqual(sum(map(len, logs.values())), 1000)

  def test_no_rows(self):
    logs = warmup.requests(self._calls, "m", {
        key: values[:0] for key, values in three_methods.ROWS.items()}, 9)
    self.assertEqual({len(some) for some in logs.values()}, {0})

  def test_encodes_to_the_bytes_of_the_originals(self):
    originals = _serving_protos()
    if originals is None:
      self.skipTest("tensorflow-serving-api is not installed")
    for name, some in self._requests().items():
      for log in some:
        content = log.SerializeToString(deterministic=True)
        original = originals.PredictionLog.FromString(content)
        self.assertEqual(original.WhichOneof("log_type"),
                         log.WhichOneof("log_type"))
        self.assertEqual(original.SerializeToString(deterministic=True),
                         content, name)
        original.DiscardUnknownFields()
        self.assertEqual(original.SerializeToString(deterministic=True),
                         content, name)
    original = originals.PredictionLog.FromString(
        self._requests()["late"][0].SerializeToString())
    self.assertEqual(original.classify_log.request.model_spec.signature_name,
                     "late")
    self.assertAlmostEqual(
        original.classify_log.request.input.example_list.examples[0].features
        .feature["x"].float_list.value[0], 0.5)

  def test_encodes_to_known_bytes(self):
    # What tensorflow-serving-api 2.21.0 writes for this request.
    log = warmup_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "m"
    log.classify_log.request.model_spec.signature_name = "s"
    log.classify_log.request.input.example_list.examples.append(b"")
    self.assertEqual(log.SerializeToString().hex(),
                     "12100a0e0a060a016d1a01731204" "0a020a00")


class ReplayTest(WarmupTest):

  def setUp(self):
    super().setUp()
    self._copy = os.path.join(
        self.enter_context(tempfile.TemporaryDirectory()), "1")
    shutil.copytree(self._path, self._copy)

  def _replay(self, *logs):
    os.makedirs(os.path.join(self._copy, "assets.extra"), exist_ok=True)
    with tf.io.TFRecordWriter(os.path.join(self._copy, replay.FILE)) as writer:
      for log in logs:
        writer.write(log.SerializeToString())
    return replay.replay(self._copy)

  def test_what_is_written_is_answered(self):
    counts = warmup.write(self._copy, "flights", three_methods.ROWS, 3)
    self.assertEqual(counts, dict.fromkeys(_NAMES + ["MultiInference"], 3))
    names = collections.Counter()
    for record in tf.io.tf_record_iterator(
        os.path.join(self._copy, replay.FILE)):
      names[warmup_pb2.PredictionLog.FromString(record).WhichOneof(
          "log_type")] += 1
    self.assertEqual(names, {"predict_log": 12, "classify_log": 6,
                             "regress_log": 3, "multi_inference_log": 3})
    self.assertEqual(replay.replay(self._copy), 24)

  def test_a_process_of_its_own_says_what_is_wrong(self):
    warmup.write(self._copy, "flights", three_methods.ROWS, 1)
    with open(os.path.join(self._copy, replay.FILE), "ab") as file:
      file.write(b"more")
    with self.assertRaisesRegex(
        warmup.WarmupError, f"^{self._copy}: a warm-up request is not answered:"
        " the file is damaged behind request 8; not published$"):
      with warmup.Replay() as process:
        process.run(self._copy)

  def test_a_process_that_is_not_asked_ends_with_its_block(self):
    with warmup.Replay() as process:
      child = process._process  # pylint: disable=protected-access
      self.assertIsNone(child.poll())
    self.assertIsNotNone(child.returncode)

  def _broken(self, name, change):
    log = self._requests(1)[name][0]
    change(log)
    return log

  @parameterized.named_parameters(
      ("not_an_example", "late", lambda log: log.classify_log.request.input
       .example_list.examples.append(b"no example"), "Could not parse"),
      ("no_signature", "late", lambda log: setattr(
          log.classify_log.request.model_spec, "signature_name", "gone"),
       "found no signature 'gone' with the method .*/classify"),
      ("another_method", "late", lambda log: setattr(
          log.classify_log.request.model_spec, "signature_name", "delay"),
       "found no signature 'delay' with the method .*/classify"),
      ("an_input_left_out", "serving_default",
       lambda log: log.predict_log.request.inputs.pop("x"),
       "'serving_default' has the inputs city, hour, sizes, x, and the request "
       "has city, hour, sizes"),
      ("another_type", "serving_default",
       lambda log: log.predict_log.request.inputs.update({
           "x": log.predict_log.request.inputs["city"]}),
       "could not convert string to float"),
      ("of_no_kind", "delay", lambda log: log.Clear(),
       "it is of no kind that a server runs"))
  def test_one_bad_request_is_found(self, name, change, message):
    with self.assertRaisesRegex(replay.ReplayError,
                                f"^request 2: .*{message}"):
      self._replay(self._requests(1)["delay"][0], self._broken(name, change))

  def test_more_than_a_server_takes(self):
    with self.assertRaisesRegex(replay.ReplayError, "more than 1000"):
      self._replay(*self._requests(1)["delay"] * 1001)


if __name__ == "__main__":
  absltest.main()
