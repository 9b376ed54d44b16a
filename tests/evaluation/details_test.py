"""Tests of writing what was measured."""

import math
import os
import tempfile

from absl.testing import absltest
import numpy as np

from mtl_graph.evaluation import details
from mtl_graph.evaluation import measurement
from mtl_graph.evaluation import tables

_NAN = math.nan
_METRICS = {"late": {"loss": 0.5, "auc": 0.75}, "kind": {"loss": 2.0,
                                                         "accuracy": 0.25}}
_SLICES = {"city": {
    "oslo": measurement.Slice(1200, {"late": {"loss": 0.25, "auc": _NAN},
                                     "kind": {"loss": 3.0, "accuracy": 0.5}}),
    "": measurement.Slice(3, _METRICS)}}
_CONFUSION = {"kind": measurement.Confusion(
    ["red", "blue"], np.array([[10.0, 2.5], [0.0, 1e6]]))}


def _cells(text):
  """Returns the cells of each line, which two spaces or more keep apart."""
  return [[cell.strip() for cell in line.split("  ") if cell.strip()]
          for line in text.split("\n")]


class ReportTest(absltest.TestCase):

  def test_metrics_alone(self):
    text = details.report("run/model.ckpt-3", {
        "validation": measurement.Measured(_METRICS, {}, {}),
        "test": measurement.Measured(_METRICS, {}, {})})
    self.assertEqual(text, "metrics of run/model.ckpt-3:\n"
                     + tables.metrics_table({"validation": _METRICS,
                                             "test": _METRICS}))
    self.assertEqual(_cells(text)[1:4], [
        ["task", "split", "loss", "auc"],
        ["late", "validation", "0.5000", "0.7500"],
        ["late", "test", "0.5000", "0.7500"]])

  def test_slices_and_confusions_stand_behind(self):
    text = details.report("c", {
        "validation": measurement.Measured(_METRICS, _SLICES, {}),
        "test": measurement.Measured(_METRICS, {}, _CONFUSION)})
    self.assertEqual(_cells(text)[7:], [
        ["validation by city:"],
        ["task", "split", "loss", "auc"],
        ["late", "oslo (1,200)", "0.2500", "-"],
        ["late", "(none) (3)", "0.5000", "0.7500"],
        ["task", "split", "loss", "accuracy"],
        ["kind", "oslo (1,200)", "3.0000", "0.5000"],
        ["kind", "(none) (3)", "2.0000", "0.2500"],
        ["test, kind:"],
        ["label \\ predicted", "red", "blue"],
        ["red", "10", "2.5"],
        ["blue", "0", "1e+06"]])


class JsonTest(absltest.TestCase):

  def test_metrics_alone_are_all_there_is(self):
    self.assertEqual(
        details.to_json("c", {"validation": measurement.Measured(
            _METRICS, {}, {})}),
        {"checkpoint": "c", "validation": _METRICS})

  def test_slices_and_confusions_by_split(self):
    found = details.to_json("c", {
        "validation": measurement.Measured(_METRICS, _SLICES, {}),
        "test": measurement.Measured(_METRICS, {}, _CONFUSION)})
    self.assertEqual(found["confusion"], {"test": {"kind": {
        "classes": ["red", "blue"], "matrix": [[10.0, 2.5], [0.0, 1e6]]}}})
    self.assertEqual(list(found["slices"]), ["validation"])
    self.assertEqual(found["slices"]["validation"]["city"][""],
                     {"rows": 3, "metrics": _METRICS})
    self.assertEqual(found["slices"]["validation"]["city"]["oslo"]["rows"],
                     1200)
    self.assertCountEqual(found, ["checkpoint", "validation", "test", "slices",
                                  "confusion"])

  def test_is_what_json_has(self):
    path = os.path.join(self.enter_context(tempfile.TemporaryDirectory()), "m")
    found = details.to_json("c", {"test": measurement.Measured(
        _METRICS, _SLICES, _CONFUSION)})
    tables.write_json(found, path)
    read = tables.read_json(path)
    self.assertTrue(math.isnan(
        read["slices"]["test"]["city"]["oslo"]["metrics"]["late"].pop("auc")))
    self.assertEqual(read["confusion"], found["confusion"])
    self.assertEqual(read["test"], _METRICS)


if __name__ == "__main__":
  absltest.main()
