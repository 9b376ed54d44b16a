"""Tests that what SERVING.md shows is what the model answers."""

import base64
import importlib
import json
import os
import re
import tempfile
from unittest import mock

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.evaluation import measurement
from mtl_graph.serving import call_guide
from mtl_graph.serving import manifest
from mtl_graph.serving import signature_calls
from tests.serving import three_methods

_EXPERIMENT = config.parse("""
    name: "weather"
    data { feature { name: "x" } }
    model { task { name: "late" binary {} }
            task { name: "delay" regression {} }
            task { name: "warm" multiclass { num_classes: 3 } } }
""")
_SECTION = re.compile(
    r"^## `(?P<name>[^`]+)`\n\n(?P<about>.+)\n\n```sh\ncurl -X POST "
    r"http://localhost:8501/v1/models/weather:(?P<verb>\w+) -d "
    r"(?:@- <<'JSON'\n(?P<body>.+)\nJSON|@(?P<file>\S+))\n```\n\nanswers\n\n"
    r"```json\n(?P<answer>.+)\n```\n\nand in Python\n\n```python\n"
    r"(?P<code>(?:.*\n)+?)```", re.MULTILINE)


def _example(columns):
  """Returns a tf.Example as a server makes one of JSON."""
  example = tf.train.Example()
  for name, values in columns.items():
    values = values if isinstance(values, list) else [values]
    feature = example.features.feature[name]
    if isinstance(values[0], str):
      feature.bytes_list.value.extend(v.encode() for v in values)
    elif isinstance(values[0], int):
      feature.int64_list.value.extend(values)
    else:
      feature.float_list.value.extend(values)
  return example.SerializeToString()


class CallGuideTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._path = three_methods.write(os.path.join(folder, "1"))
    cls._content = manifest.write(cls._path, _EXPERIMENT, measurement.Record(
        1200, {}, {}))
    call_guide.write(cls._path, cls._content, three_methods.ROWS)
    call_guide.fill_in(cls._path, 1700, os.path.join(folder, "0001600"))
    cls._page = cls._read(cls._path)
    cls._calls = cls.enterClassContext(signature_calls.Calls(cls._path))
    cls._sections = {m["name"]: m for m in _SECTION.finditer(cls._page)}

  @classmethod
  def _read(cls, path):
    with open(os.path.join(path, "assets.extra", "SERVING.md"),
              encoding="utf-8") as file:
      return file.read()

  def _post(self, verb, body):
    """Answers as a server's REST interface does."""
    signature = self._calls.signatures[body["signature_name"]]
    if verb != "predict":
      key, = signature.inputs
      answer = self._calls.ask(signature.name, {key: np.array(
          [_example(one) for one in body["examples"]], object)})
      if verb == "regress":
        return {"results": answer["outputs"].tolist()}
      return {"results": [
          [[label.decode(), score] for label, score in zip(*row)]
          for row in zip(answer["classes"], answer["scores"].tolist())]}
    def value(one):
      return (base64.b64decode(one["b64"]) if isinstance(one, dict) else one)
    answer = self._calls.ask(signature.name, {
        key: np.array([value(row[key]) for row in body["instances"]],
                      tensor.dtype.as_numpy_dtype)
        for key, tensor in signature.inputs.items()})
    rows = [{key: values[i].tolist() for key, values in answer.items()}
            for i in range(len(body["instances"]))]
    return {"predictions": [next(iter(row.values())) if len(row) == 1 else row
                            for row in rows]}

  def _check(self, found, expected):
    """Compares values that JSON has, numbers but for the last digits."""
    self.assertEqual(type(found), type(expected))
    if isinstance(found, dict):
      self.assertCountEqual(found, expected)
      for key, value in found.items():
        self._check(value, expected[key])
    elif isinstance(found, list):
      self.assertEqual(len(found), len(expected))
      for one, other in zip(found, expected):
        self._check(one, other)
    elif isinstance(found, float):
      self.assertAlmostEqual(found, expected, delta=1e-6 * (1 + abs(expected)))
    else:
      self.assertEqual(found, expected)

  def test_every_signature_has_a_request(self):
    self.assertEqual(list(self._sections), list(self._calls.signatures))
    self.assertEqual({name: m["verb"] for name, m in self._sections.items()}, {
        **dict.fromkeys(["serving_default", "after_lookups", "late/predict",
                         "predict_examples"], "predict"),
        "late": "classify", "warm": "classify", "delay": "regress"})

  def test_requests_have_the_answers_that_are_stated(self):
    for name, section in self._sections.items():
      with self.subTest(name):
        self._check(self._post(section["verb"], json.loads(section["body"])),
                    json.loads(section["answer"]))

  def test_answers_are_those_of_the_row(self):
    row = {key: values[:1] for key, values in three_methods.ROWS.items()}
    body = json.loads(self._sections["serving_default"]["body"])
    self.assertEqual(body["instances"], [
        {"city": "oslo", "hour": 0, "sizes": [1.0, 2.0], "x": 0.5}])
    late, delay = (values.tolist()[0] for values in (
        three_methods.late(row), three_methods.delay(row)))
    answer = json.loads(self._sections["late"]["answer"])["results"][0]
    self._check(answer, [["0", 1 - late], ["1", late]])
    self._check(json.loads(self._sections["delay"]["answer"]),
                {"results": [delay]})
    self._check(json.loads(self._sections["serving_default"]["answer"])
                ["predictions"][0]["delay/value"], delay)

  def test_python(self):
    try:
      grpc_module = importlib.import_module(
          "tensorflow_serving.apis.prediction_service_pb2_grpc")
    except ImportError:
      self.skipTest("tensorflow-serving-api is not installed")
    answers = []

    def predict(request, unused_timeout):
      signature = request.model_spec.signature_name
      answers.append(self._calls.ask(signature, {
          key: tf.make_ndarray(value)
          for key, value in request.inputs.items()}))

    def examples(request, unused_timeout):
      name = request.model_spec.signature_name
      key, = self._calls.signatures[name].inputs
      answers.append(self._calls.ask(name, {key: np.array([
          one.SerializeToString() for one in
          request.input.example_list.examples], object)}))

    stub = mock.Mock(Predict=predict, Classify=examples, Regress=examples)
    before = re.search(r"this first:\n\n```python\n((?:.*\n)+?)```",
                       self._page)[1]
    with mock.patch.object(grpc_module, "PredictionServiceStub",
                           return_value=stub):
      names = {}
      exec(before, names)  # pylint: disable=exec-used
      for name, section in self._sections.items():
        exec(section["code"], names)  # pylint: disable=exec-used
        self.assertEqual(names["request"].model_spec.name, "weather")
        expected = self._calls.ask(name, self._calls.feed(name, {
            key: values[:1] for key, values in three_methods.ROWS.items()}))
        for key, values in answers.pop().items():
          np.testing.assert_array_equal(values, expected[key])

  def test_says_how_to_serve_this_very_model(self):
    self.assertStartsWith(self._page, "# Calling `weather`\n\nVersion 1700 "
                          "(step 1,200), written ")
    for text in ("target=/models/weather", "-e MODEL_NAME=weather tensorflow/",
                 "versions: 1600 versions: 1700",
                 'version_labels { key: "stable" value: 1600 }',
                 'version_labels { key: "canary" value: 1700 }',
                 "| late | binary | 0, 1 | late/probability |",
                 "| delay | regression |  | delay/value |",
                 "`delay`, `late`, `warm` read the same tensor"):
      self.assertIn(text, self._page)
    self.assertNotIn("enable_batching", self._page)
    self.assertNotIn("\ue000", self._page)

  def test_batching_and_the_first_version(self):
    params = os.path.join(self._path, "batching_params.pbtxt")
    with open(params, "wb"):
      pass
    self.addCleanup(os.remove, params)
    call_guide.write(self._path, self._content, three_methods.ROWS)
    call_guide.fill_in(self._path, 3, None)
    page = self._read(self._path)
    self.assertIn("--enable_batching=true --enable_per_model_batching_para",
                  page)
    self.assertIn('version_labels { key: "stable" value: 3 }', page)

  def test_without_rows_signatures_are_described(self):
    call_guide.write(self._path, self._content, {})
    page = self._read(self._path)
    self.assertIn("## `delay`\n\nRegresses; takes `inputs` (string [B]); gives "
                  "`outputs` (float32 [B]).\n", page)
    self.assertNotIn("curl", page)

  def test_zeros_at_the_end_of_an_example_are_kept(self):
    rows = {**three_methods.ROWS, "x": np.zeros(5, np.float32)}
    call_guide.write(self._path, self._content, rows)
    sections = {m["name"]: m for m in _SECTION.finditer(self._read(self._path))}
    body = json.loads(sections["predict_examples"]["body"])
    self.assertEndsWith(base64.b64decode(
        body["instances"][0]["examples"]["b64"]), b"\0\0\0\0")
    self._check(self._post("predict", body),
                json.loads(sections["predict_examples"]["answer"]))

  def test_a_long_request_lies_beside_the_page(self):
    with mock.patch.object(call_guide, "_LONGEST", 10):
      call_guide.write(self._path, self._content, three_methods.ROWS)
    sections = {m["name"]: m for m in _SECTION.finditer(self._read(self._path))}
    self.assertEqual(sections["late/predict"]["file"],
                     "requests/late-predict.json")
    for name, section in sections.items():
      with open(os.path.join(self._path, "assets.extra", section["file"]),
                encoding="utf-8") as file:
        self._check(self._post(section["verb"], json.load(file)),
                    json.loads(self._sections[name]["answer"]))
      self.assertIn(f'open("{section["file"]}")', section["code"])


if __name__ == "__main__":
  absltest.main()
