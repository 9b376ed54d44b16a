"""Tests of telling what changed from one export to another."""

import contextlib
import io
import os
import re
import tempfile

from absl.testing import absltest
import numpy as np

from mtl_graph import config
from mtl_graph import export
from mtl_graph.evaluation import measurement
from mtl_graph.serving import comparison
from mtl_graph.serving import manifest
from mtl_graph.serving import predictor
from tests.serving import three_methods

_TEXT = """
    name: "weather"
    data {
      feature { name: "x" numeric {} }
      feature { name: "hour" categorical { num_buckets: 24 } }
      feature { name: "city" categorical { hash_buckets: 9 } }
      feature { name: "sizes" numeric { size: 2 separator: " "
                                        missing_value: 0 } }
    }
    model { task { name: "late" binary {} }
            task { name: "%s" regression {} }
            task { name: "warm" multiclass { vocabulary: ["a", "b"%s] } } }
    training { num_steps: %d }
"""
_ROWS = {key: values[[0, 1, 4]] for key, values in three_methods.ROWS.items()}


class ComparisonTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._first = cls._export(1, 0.0, "delay", "", 10, auc=0.75)
    cls._same = cls._export(2, 0.0, "delay", "", 10, auc=0.75)
    cls._second = cls._export(3, 0.5, "wait", ', "c"', 20, auc=0.875)
    with open(cls._input(), "w", encoding="utf-8") as file:
      file.write("x,hour,city,sizes\n")
      for x, hour, city, sizes in zip(*_ROWS.values()):
        file.write(f"{x},{hour},{city},{' '.join(map(str, sizes))}\n".replace(
            "nan", "0"))

  @classmethod
  def _input(cls):
    return os.path.join(cls._folder, "rows.csv")

  @classmethod
  def _export(cls, number, shift, name, more, steps, **metrics):
    experiment = config.parse(_TEXT % (name, more, steps))
    path = three_methods.versions_folder(cls._folder, number, shift=shift,
                                         rename=name)
    manifest.write(path, experiment, measurement.Record(
        steps, {"validation": {"late": metrics}}, {}))
    config.write(experiment, os.path.join(path, "assets.extra",
                                          "experiment.pbtxt"))
    return path

  def _diff(self, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as output, (
        contextlib.redirect_stderr(io.StringIO())) as errors:
      code = export.main(["export", *arguments])
    return code, output.getvalue(), errors.getvalue()

  def test_nothing_changed(self):
    code, text, _ = self._diff("--diff", self._first, self._same,
                               f"--input={self._input()}")
    self.assertEqual(code, 0)
    for title in ("signatures", "tasks", "experiment"):
      self.assertIn(f"\n{title}: as before\n", text)
    self.assertRegex(text, r"on 3 rows apart by:\n.*largest +mean\n  "
                     r"delay/value +delay +0 +0\n  late/probability +late +0 +0"
                     r"\n  warm/probabilities +warm +0 +0\n$")

  def test_what_changed(self):
    code, text, _ = self._diff("--diff", self._first, self._second)
    self.assertEqual(code, 0)
    self.assertRegex(text, f"^from {self._first}, step 10, written .*\n"
                     f"to   {self._second}, step 20, written ")
    changes = [line.strip() for line in text.split("\n")]
    self.assertContainsSubset([
        "wait added", "delay gone", "warm: classes a, b, now a, b, c",
        "predict_examples: outputs wait/value added",
        "serving_default: outputs delay/value gone",
        "training.num_steps: 10 -> 20"], changes)
    self.assertRegex(text, r"late +from +0.7500\n +late +to +0.8750")
    self.assertNotIn("apart", text)

  def test_how_far_predictions_are_apart(self):
    with predictor.load(self._first) as first, (
        predictor.load(self._second)) as second:
      rows, found = comparison.predictions_apart(first, second, self._input())
    self.assertEqual(rows, 3)
    by_output = {one.output: one for one in found}
    self.assertCountEqual(by_output, ["late/probability", "warm/probabilities"])
    before = three_methods.late(_ROWS)
    after = 1 / (1 + np.exp(-np.log(before / (1 - before)) - 0.5))
    late = by_output["late/probability"]
    self.assertEqual(late.task, "late")
    self.assertAlmostEqual(late.largest, np.abs(after - before).max(), places=6)
    self.assertAlmostEqual(late.mean, np.abs(after - before).mean(), places=6)

  def test_other_shapes_types_and_methods(self):
    with predictor.load(self._first) as one:
      signatures = dict(one.calls.signatures)
    late = signatures["late"]
    changed = {**signatures, "late": late._replace(
        method="tensorflow/serving/predict", optional=["inputs"],
        outputs={**late.outputs, "scores": late.outputs["scores"]._replace(
            shape=[None, 3])})}
    self.assertEqual(comparison.signature_changes(signatures, changed), [
        "late: method tensorflow/serving/classify, now "
        "tensorflow/serving/predict",
        "late: outputs scores is float32 [None, 2], now float32 [None, 3]",
        "late: may be left out: none, now inputs"])

  def test_values_that_are_no_numbers(self):
    one = comparison._Sum()
    one.add(np.float32([np.nan, np.inf, 1, 2]),
            np.float32([np.nan, np.inf, 1, 2.5]))
    self.assertEqual(one.of("t/v"), ("t", "t/v", 0.5, 0.125))
    one.add(np.float32([np.nan]), np.float32([1]))
    self.assertEqual(one.of("t/v").largest, np.inf)
    one = comparison._Sum()
    one.add(np.int64([1, 2, 3, 4]), np.int64([1, 2, 3, 9]))
    self.assertEqual(one.of("t/class"), ("t", "t/class", 1, 0.25))

  def test_refused(self):
    for arguments, message in (
        (["--diff", self._first], "^--diff: found .*; allowed: two exports"),
        (["--diff"], "^--diff: found .*; allowed: two exports"),
        (["--diff", "gone", self._first], "^gone: found no export"),
        (["--diff", self._first, self._same, "--input=x.csv"],
         "^--input: no file matches|x.csv")):
      code, _, errors = self._diff(*arguments)
      self.assertNotEqual(code, 0)
      self.assertRegex(errors, re.compile(message, re.MULTILINE))


if __name__ == "__main__":
  absltest.main()
