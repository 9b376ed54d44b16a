"""Tests of what is published and what is held back."""

import json
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph.evaluation import measurement
from mtl_graph.protos import serving_pb2
from mtl_graph.serving import publishing
from mtl_graph.serving import versions

_GATE = 'gate { metric: "late/auc" goal: MAXIMIZE margin: 0.01 }'
_LOSS = 'gate { metric: "late/loss" goal: MINIMIZE margin: 0.01 }'


def _settings(text):
  return text_format.Parse(text, serving_pb2.Publishing())


def _record(**metrics):
  return measurement.Record(7, {"validation": {"late": metrics}}, {})


class GateTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = self.enter_context(tempfile.TemporaryDirectory())

  def _place(self, name="5", **metrics):
    extra = os.path.join(self._dir, name, "assets.extra")
    os.makedirs(extra)
    with open(os.path.join(self._dir, name, "saved_model.pb"), "wb"):
      pass
    if metrics:
      with open(os.path.join(extra, "export.json"), "w",
                encoding="utf-8") as file:
        json.dump({"metrics": {"validation": {"late": metrics}}}, file)

  def _check(self, text, record):
    publishing.check_gate(_settings(text), self._dir, record)

  @parameterized.parameters(0.9, 0.8, 0.7951)
  def test_as_good_within_the_margin_passes(self, auc):
    self._place(auc=0.8)
    self._check(_GATE, _record(auc=auc))

  @parameterized.parameters(
      (_GATE, "auc", 0.78, "late/auc is 0.7800, and 0.8000 for "),
      (_LOSS, "loss", 0.82, "late/loss is 0.8200, and 0.8000 for "),
      (_GATE, "auc", float("nan"), "late/auc was not measured"),
      (_GATE, "rmse", 1.0, "late/auc was not measured"))
  def test_worse_is_held_back(self, text, name, value, message):
    self._place(auc=0.8, loss=0.8)
    with self.assertRaisesRegex(
        publishing.HeldBack,
        f"^serving.publishing.gate: {message}.*not published$") as caught:
      self._check(text, _record(**{name: value}))
    self.assertIn(os.path.join(self._dir, "5"), str(caught.exception))

  def test_lower_is_better_where_that_is_the_goal(self):
    self._place(loss=0.8)
    self._check(_LOSS, _record(loss=0.3))

  def test_the_newest_counts(self):
    self._place("5", auc=0.9)
    self._place("12", auc=0.5)
    self._check(_GATE, _record(auc=0.6))

  def test_what_says_nothing_is_replaced(self):
    self._check(_GATE, None)
    self._place()
    self._check(_GATE, _record(auc=0.1))
    self._place("6", auc=float("nan"))
    self._check(_GATE, _record(auc=0.1))

  def test_no_gate(self):
    self._place(auc=0.9)
    self._check("", _record(auc=0.1))


class InPlaceTest(absltest.TestCase):

  def _export(self, name, graph, **files):
    path = os.path.join(self._dir, name)
    for folder in ("assets.extra", "variables"):
      os.makedirs(os.path.join(path, folder))
    for file, content in (("saved_model.pb", graph), *(
        (os.path.join("variables", f"variables.data-{part}"), text)
        for part, text in files.items()),
                          ("assets.extra/experiment.pbtxt", "seed: 1")):
      with open(os.path.join(path, file), "w", encoding="utf-8") as written:
        written.write(content)
    return path

  def setUp(self):
    super().setUp()
    self._dir = self.enter_context(tempfile.TemporaryDirectory())

  def test_variables_tell_models_apart(self):
    place = self._export("5", "graph", part="weights")
    same = self._export("writing-a", "another graph", part="weights")
    other = self._export("writing-b", "graph", part="other weights")
    self.assertEqual(publishing.in_place(same, self._dir), place)
    self.assertIsNone(publishing.in_place(other, self._dir))

  def test_where_weights_are_constants_the_graph_does(self):
    place = self._export("5", "graph and weights")
    same = self._export("writing-a", "graph and weights")
    other = self._export("writing-b", "graph and other weights")
    self.assertEqual(publishing.in_place(same, self._dir), place)
    self.assertIsNone(publishing.in_place(other, self._dir))


class NumbersTest(absltest.TestCase):

  def test_steps(self):
    settings = _settings("version: STEP")
    self.assertEqual(publishing.step_for(settings, _record()), 7)
    self.assertIsNone(publishing.step_for(_settings(""), _record()))
    with self.assertRaisesRegex(versions.VersionError,
                                "found STEP .* not known; allowed: TIME"):
      publishing.step_for(settings, None)

  def test_batching(self):
    self.assertEqual(publishing.batching_text(text_format.Parse(
        "max_batch_size: 8 batch_timeout_micros: 0 num_batch_threads: 2 "
        "allowed_batch_sizes: [1, 8]", serving_pb2.Batching())),
                     "max_batch_size { value: 8 }\n"
                     "batch_timeout_micros { value: 0 }\n"
                     "num_batch_threads { value: 2 }\n"
                     "allowed_batch_sizes: 1\nallowed_batch_sizes: 8\n")


if __name__ == "__main__":
  absltest.main()
