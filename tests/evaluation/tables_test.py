"""Tests of printing metrics and writing them as JSON."""

import json
import math
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.evaluation import tables

_NAN = float("nan")


class NumberTest(parameterized.TestCase):

  @parameterized.parameters(
      (0, "0.0000"), (0.5, "0.5000"), (-1.23456, "-1.2346"), (99.9, "99.9000"),
      (123.456, "123.46"), (-99999, "-99999.00"), (1e5, "1.000e+05"),
      (0.00099, "9.900e-04"), (0.001, "0.0010"), (_NAN, "-"), (None, "-"),
      (float("inf"), "inf"), (float("-inf"), "-inf"),
      (np.float64(0.25), "0.2500"))
  def test_shows_the_digits_that_matter(self, value, expected):
    self.assertEqual(tables.number(value), expected)


class TableTest(absltest.TestCase):

  def test_align(self):
    self.assertEqual(
        tables.align([["name", "n"], ["a", "100"], ["longer", ""]]),
        "  name      n\n"
        "  a       100\n"
        "  longer")
    self.assertEqual(tables.align([["a", "b"]], indent=""), "a  b")

  def test_metrics_are_a_line_per_task_and_split(self):
    lines = tables.metrics_table({
        "validation": {"late": {"loss": 0.5, "auc": 0.75},
                       "delay": {"loss": 2.0, "rmse": 150.0}},
        "test": {"late": {"loss": 0.25, "auc": _NAN},
                 "delay": {"loss": 3.0, "rmse": 1e6}},
    }).split("\n")
    self.assertEqual([line.split() for line in lines], [
        ["task", "split", "loss", "auc"],
        ["late", "validation", "0.5000", "0.7500"],
        ["late", "test", "0.2500", "-"],
        ["task", "split", "loss", "rmse"],
        ["delay", "validation", "2.0000", "150.00"],
        ["delay", "test", "3.0000", "1.000e+06"]])
    end = lines[0].find("loss") + 4
    for line in lines[1:3]:
      self.assertEqual(line[end], " ")  # Columns stand under their heading.

  def test_tasks_of_the_same_metrics_stand_in_one_table(self):
    one, other = {"loss": 1.0, "auc": 0.5}, {"loss": 2.0, "rmse": 3.0}
    lines = tables.metrics_table({"test": {"a": one, "b": other, "c": one}}
                                ).split("\n")
    self.assertEqual([line.split()[0] for line in lines],
                     ["task", "a", "c", "task", "b"])

  def test_nothing_measured_is_no_table(self):
    self.assertEqual(tables.metrics_table({}), "")
    self.assertEqual(tables.metrics_table({"test": {}}), "")


class JsonTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._path = os.path.join(self._folder, "metrics.json")

  def _read(self):
    def refuse(constant):
      raise ValueError(f"JSON has no {constant}.")
    with open(self._path, encoding="utf-8") as file:
      return json.load(file, parse_constant=refuse)

  def test_what_json_has_not_becomes_null(self):
    tables.write_json({
        "a": {"auc": _NAN, "loss": float("inf"), "mae": np.float64(_NAN)},
        "list": [1.5, -math.inf, "nan"], "pair": (1, _NAN), "none": None,
        "step": 3}, self._path)
    self.assertEqual(self._read(), {
        "a": {"auc": None, "loss": None, "mae": None},
        "list": [1.5, None, "nan"], "pair": [1, None], "none": None, "step": 3})

  def test_numbers_come_back_to_the_bit(self):
    values = [0.1 + 0.2, 1e-300, np.nextafter(1.0, 2.0), -0.0]
    tables.write_json({"values": values}, self._path)
    self.assertEqual(self._read()["values"], values)

  def test_read_json_brings_null_back_as_nan(self):
    tables.write_json({"checkpoint": "c", "late": {"auc": _NAN, "loss": 2}},
                      self._path)
    found = tables.read_json(self._path)
    self.assertTrue(math.isnan(found["late"].pop("auc")))
    self.assertEqual(found, {"checkpoint": "c", "late": {"loss": 2}})

  def test_replaces_the_file_whole(self):
    tables.write_json({"a": list(range(1000))}, self._path)
    tables.write_json({"a": 1}, self._path)
    self.assertEqual(self._read(), {"a": 1})
    self.assertEqual(os.listdir(self._folder), ["metrics.json"])

  def test_a_value_json_cannot_hold_leaves_the_old_file(self):
    tables.write_json({"a": 1}, self._path)
    with self.assertRaises(TypeError):
      tables.write_json({"a": object()}, self._path)
    self.assertEqual(self._read(), {"a": 1})


if __name__ == "__main__":
  absltest.main()
