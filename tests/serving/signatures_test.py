"""Tests of what each signature takes and gives."""

import os
import tempfile
import unittest

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from tests.serving import rich_export

_CLASSIFY = {"late": ["0", "1"], "kind": ["Ä", "b", "c"], "labels": ["0", "1"],
             "stars": ["0", "1", "2", "3"]}
_REGRESS = {"delay": "delay/value", "events": "events/rate"}
_WITH_CLASSES = ("kind", "labels", "stars")
_TASKS = (*_CLASSIFY, *_REGRESS, "place", "range")


def _text(values):
  """Returns an array of bytes as one of `str`."""
  return np.vectorize(lambda value: value.decode(), otypes=[object])(values)


_RESULT = None


def setUpModule():
  global _RESULT
  folder = tempfile.TemporaryDirectory()
  unittest.addModuleCleanup(folder.cleanup)
  _RESULT = rich_export.train(folder.name)


class ExportTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._result = _RESULT
    cls._server = cls.enterClassContext(
        rich_export.Server(cls._result.export_path))
    cls._rows = rich_export.columns(1, 40)
    cls._inputs = rich_export.requests(cls._rows)
    cls._answers = cls._server.run("serving_default", cls._inputs)
    cls._examples = {"inputs": rich_export.examples(cls._rows)}

  def _assert_equal(self, found, expected):
    self.assertCountEqual(found, expected)
    for name, values in expected.items():
      if values.dtype == object:
        self.assertEqual(found[name].tolist(), values.tolist(), name)
      else:
        self.assertAllClose(found[name], values, rtol=1e-5, atol=1e-6, msg=name)


class SignaturesTest(ExportTest):

  def test_signatures_and_their_methods(self):
    methods = {name: signature.method_name.rpartition("/")[2]
               for name, signature in self._server.signatures.items()}
    expected = {"serving_default": "predict", "predict_examples": "predict",
                "after_lookups": "predict",
                **{f"{task}/predict": "predict" for task in _TASKS[:6]}}
    for task in _CLASSIFY:
      expected.update({task: "classify", f"{task}/classification": "classify"})
    for task in _REGRESS:
      expected.update({task: "regress", f"{task}/regression": "regress"})
    expected.update({"place/predict": "predict", "range/predict": "predict"})
    self.assertEqual(methods, expected)

  def test_answers_are_those_of_evaluation(self):
    folder = os.path.dirname(os.path.dirname(self._result.export_path))
    run = saved_run.open_run(config.load(os.path.join(
        folder, "experiment.pbtxt")), folder)
    with run.session:
      _, expected = run.evaluator.sample(splits.read(
          run.experiment, "train", self._rows))
    for task, keyed in expected.items():
      for key, values in keyed.items():
        self.assertAllClose(self._answers[f"{task}/{key}"], values, rtol=1e-5,
                            atol=1e-6)

  def test_examples_answer_as_raw_values(self):
    self._assert_equal(self._server.run("predict_examples", self._examples),
                       self._answers)

  def test_ids_answer_as_strings(self):
    def ids(words, vocabulary):
      place = {word: i for i, word in enumerate(vocabulary)}
      return np.vectorize(lambda word: place.get(word, len(vocabulary)))(words)
    city = ids(self._rows["city"], ["oslo", "bern"])
    tags = ids(self._rows["tags"], ["a", "b", "c"])
    with tf.Graph().as_default(), tf.Session() as session:
      dest, both = session.run([
          tf.strings.to_hash_bucket_fast(self._rows["dest"].tolist(), 9),
          tf.strings.to_hash_bucket_fast(
              [f"{c}\x1f{h}" for c, h in zip(city, self._rows["hour"])], 7)])
    inputs = {name: self._inputs[name] for name in ("x", "amount", "pair",
                                                    "hour")}
    found = self._server.run("after_lookups", {
        **inputs, "city": city, "both": both,
        "dest": np.where(self._rows["dest"] == "", 9, dest),
        "tags": np.where(self._rows["tags"] == "", -1, tags),
        "tags/weights": np.nan_to_num(self._rows["w"])})
    self._assert_equal(found, {name: values for name, values in
                               self._answers.items() if values.dtype != object})

  @parameterized.parameters(1, 7, 1024)
  def test_several_heads_answer_in_one_run(self, count):
    rows = rich_export.columns(2, count)
    expected = self._server.run("serving_default", rich_export.requests(rows))
    found = self._server.run_all([*_CLASSIFY, *_REGRESS], {
        "inputs": rich_export.examples(rows)})
    for task, names in _CLASSIFY.items():
      self.assertEqual(_text(found[task]["classes"]).tolist(), [names] * count)
      scores = (expected[f"{task}/probabilities"] if task != "late" else
                np.stack([1 - expected["late/probability"],
                          expected["late/probability"]], 1))
      self.assertAllClose(found[task]["scores"], scores, rtol=1e-5, atol=1e-6)
    for task, output in _REGRESS.items():
      self.assertEqual(found[task]["outputs"].shape, (count,))
      self.assertAllClose(found[task]["outputs"], expected[output], rtol=1e-5,
                          atol=1e-6)

  def test_aliases_are_the_signatures_themselves(self):
    for task in _CLASSIFY:
      self.assertEqual(self._server.signatures[f"{task}/classification"],
                       self._server.signatures[task])
    for task in _REGRESS:
      self.assertEqual(self._server.signatures[f"{task}/regression"],
                       self._server.signatures[task])

  def test_clients_of_multi_head_find_their_keys(self):
    inputs = {"examples": self._examples["inputs"]}
    found = {task: self._server.run(f"{task}/predict", inputs)
             for task in _TASKS}
    binary = found["late"]
    self.assertCountEqual(binary, ["logits", "logistic", "probabilities",
                                   "class_ids", "classes"])
    for key in ("logits", "logistic", "class_ids", "classes"):
      self.assertEqual(binary[key].shape, (40, 1))
    self.assertAllClose(binary["logits"][:, 0], self._answers["late/logit"])
    self.assertAllClose(binary["logistic"], 1 / (1 + np.exp(-binary["logits"])))
    self.assertAllClose(binary["probabilities"][:, 1:], binary["logistic"])
    self.assertAllClose(binary["probabilities"].sum(1), np.ones(40))
    self.assertAllEqual(binary["class_ids"],
                        binary["probabilities"].argmax(1)[:, np.newaxis])
    self.assertAllEqual(_text(binary["classes"]),
                        binary["class_ids"].astype(str))
    for task in _WITH_CLASSES:
      self.assertCountEqual(found[task], ["logits", "probabilities",
                                          "class_ids", "classes"])
      self.assertAllClose(found[task]["probabilities"],
                          self._answers[f"{task}/probabilities"])
      self.assertAllEqual(found[task]["class_ids"][:, 0],
                          self._answers[f"{task}/class"])
      self.assertAllEqual(_text(found[task]["classes"]), np.array(
          _CLASSIFY[task], object)[found[task]["class_ids"]])
    for output in ("delay/value", "events/rate", "place/value",
                   "range/quantiles"):
      self.assertCountEqual(found[output.partition("/")[0]], ["predictions"])
      self.assertAllClose(found[output.partition("/")[0]]["predictions"],
                          self._answers[output].reshape(40, -1))

  def test_names_and_the_first_of_classes(self):
    for task in _WITH_CLASSES:
      probabilities = self._answers[f"{task}/probabilities"]
      order = np.argsort(-probabilities, 1, kind="stable")[:, :2]
      names = np.array(_CLASSIFY[task], object)
      self.assertAllEqual(self._answers[f"{task}/top_classes"], order)
      self.assertAllEqual(self._answers[f"{task}/top_probabilities"],
                          np.take_along_axis(probabilities, order, 1))
      self.assertAllEqual(_text(self._answers[f"{task}/top_class_names"]),
                          names[order])
      self.assertAllEqual(_text(self._answers[f"{task}/class_name"]),
                          names[probabilities.argmax(1)])

  def test_gates_and_what_towers_read(self):
    for task in _TASKS:
      gate = self._answers[f"gate/{task}/weights"]
      self.assertEqual(gate.shape, (40, 2))
      self.assertAllClose(gate.sum(1), np.ones(40))
      self.assertEqual(self._answers[f"{task}/representation"].shape, (40, 6))
    variables = tf.train.load_checkpoint(self._result.checkpoint)
    logits = (self._answers["kind/representation"]
              @ variables.get_tensor("head/kind/kernel")
              + variables.get_tensor("head/kind/bias"))
    self.assertAllClose(self._answers["kind/logits"], logits, atol=1e-5)

  def test_sigma_is_the_learned_noise_in_the_labels_units(self):
    variables = tf.train.load_checkpoint(self._result.checkpoint)
    def learned(task):
      s = float(variables.get_tensor(f"log_variance/{task}"))
      return np.exp(0.5 * min(s, 0.3))
    self.assertGreater(variables.get_tensor("log_variance/place"), 0.3)
    self.assertAllClose(self._answers["place/sigma"],
                        np.full([40, 2], learned("place") / 2), rtol=1e-5)
    # An estimate one sigma above, in the units of the loss, differs by as much.
    delay = self._answers["delay/value"].astype(np.float64)
    step = 1e-6 * learned("delay")
    above = np.expm1((0.5 * np.log1p(delay) + step) / 0.5)
    self.assertAllClose(self._answers["delay/sigma"], (above - delay) / 1e-6,
                        rtol=1e-4)
    self.assertNotIn("range/sigma", self._answers)

  def test_every_signature_takes_no_rows(self):
    none = rich_export.columns(3, 0)
    raw = rich_export.requests(none)
    for name, signature in self._server.signatures.items():
      if name == "after_lookups":
        inputs = {key: np.zeros([0, *[d.size for d in info.tensor_shape.dim[1:]]],
                                tf.as_dtype(info.dtype).as_numpy_dtype)
                  for key, info in signature.inputs.items()}
      elif name == "serving_default":
        inputs = {key: values.reshape(0, *[
            max(d.size, 0) for d in signature.inputs[key].tensor_shape.dim[1:]])
                  for key, values in raw.items()}
      else:
        inputs = {key: np.array([], object) for key in signature.inputs}
      for key, values in self._server.run(name, inputs).items():
        self.assertEqual(list(values.shape), [0, *[
            d.size for d in signature.outputs[key].tensor_shape.dim[1:]]])


class RequestsTest(ExportTest):
  """What is left out of a request, or wrong in it."""

  @parameterized.parameters(1, 7)
  def test_what_is_left_out_counts_as_missing(self, count):
    inputs = rich_export.requests(rich_export.columns(4, count))
    missing = {"x": np.full(count, np.nan, np.float32),
               "pair": np.full([count, 2], np.nan, np.float32),
               "hour": np.full(count, -1), "city": np.full(count, "", object),
               "dest": np.full(count, "", object)}
    left_out = {k: v for k, v in inputs.items() if k not in missing}
    self._assert_equal(self._server.run("serving_default", left_out),
                       self._server.run("serving_default",
                                        {**inputs, **missing}))
    self.assertCountEqual(
        self._server.signatures["serving_default"].defaults, missing)

  def test_an_empty_example_needs_what_has_no_default(self):
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError,
                                "amount.* is required but could not be found"):
      self._server.run("late", {"inputs": [b""]})

  def test_an_example_of_another_type(self):
    example = tf.train.Example()
    example.features.feature["amount"].bytes_list.value.append(b"3")
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError,
                                "Key: amount.*Data types don't match"):
      self._server.run("late", {"inputs": [example.SerializeToString()]})

  def test_what_is_no_example(self):
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError,
                                "Could not parse example input"):
      self._server.run("predict_examples", {"inputs": [b"not an example"]})

  def test_a_required_input_that_is_left_out(self):
    inputs = {k: v for k, v in self._inputs.items() if k != "amount"}
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError,
                                "must feed a value for placeholder.*'amount'"):
      self._server.run("serving_default", inputs)

  def test_inputs_of_other_lengths(self):
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError,
                                "[Ii]ncompatible shapes"):
      self._server.run("serving_default", {**self._inputs,
                                           "hour": np.array([1, 2])})

  def test_an_input_of_another_type(self):
    with self.assertRaisesRegex(ValueError, "could not convert string to float"):
      self._server.run("serving_default", {
          **self._inputs, "x": np.array(["warm"] * 40)})

  def test_a_category_that_is_not_known_counts_as_missing(self):
    self._assert_equal(
        self._server.run("serving_default", {
            **self._inputs, "city": np.full(40, "atlantis", object),
            "hour": np.full(40, 99)}),
        self._server.run("serving_default", {
            **self._inputs, "city": np.full(40, "", object),
            "hour": np.full(40, -1)}))


if __name__ == "__main__":
  absltest.main()
