"""Tests for tools/compare_correlation.py."""

import contextlib
import io
import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph import outline
from tools import compare_correlation

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
FOLDER = ROOT / "protos" / "examples" / "large"
EXPERIMENTS = {name: FOLDER / f"correlation_{name}.pbtxt"
               for name in ("shared_bottom", "mmoe")}


def run_of(validation, test, curve=(2.0, 1.0)):
  return compare_correlation.Run({"validation": validation, "test": test},
                                 np.array(curve))


class DataTest(parameterized.TestCase):

  @parameterized.parameters(-1.0, 0.0, 0.5, 0.9, 1.0)
  def test_weights_have_the_cosine(self, correlation):
    w1, w2 = compare_correlation.weights(correlation,
                                         np.random.default_rng(0))
    self.assertLen(w1, 100)
    for w in (w1, w2):
      self.assertAlmostEqual(np.linalg.norm(w), compare_correlation.SCALE)
    self.assertAlmostEqual(w1 @ w2 / compare_correlation.SCALE ** 2,
                           correlation)

  def test_labels_correlate_the_more_the_weights_do(self):
    found = []
    for correlation in (0.0, 0.5, 0.9, 1.0):
      columns = compare_correlation.make(correlation, 20000, 3)
      found.append(np.corrcoef(columns["first"], columns["second"])[0, 1])
    self.assertAlmostEqual(found[0], 0, delta=0.05)
    self.assertEqual(found, sorted(found))
    # One function, and the noise of each task.
    self.assertGreater(found[-1], 0.98)
    self.assertLess(found[-1], 1)

  def test_labels_are_what_is_said(self):
    columns = compare_correlation.make(0.5, 20000, 3)
    w = compare_correlation.weights(0.5, np.random.default_rng(3))
    for task, task_weights in zip(("first", "second"), w):
      z = columns["x"] @ task_weights
      noise = columns[task] - z - sum(
          np.sin(alpha * z + beta)
          for alpha, beta in compare_correlation.SINES)
      self.assertAlmostEqual(noise.mean(), 0, delta=0.005)
      self.assertAlmostEqual(noise.std(), 0.1, delta=0.003)

  def test_a_seed_s_rows_differ_in_the_correlation_alone(self):
    low, high = (compare_correlation.make(correlation, 100, 3)
                 for correlation in (0.5, 1.0))
    np.testing.assert_array_equal(low["x"], high["x"])
    np.testing.assert_array_equal(low["first"], high["first"])
    self.assertGreater(np.abs(low["second"] - high["second"]).min(), 0)

  def test_split(self):
    rows = compare_correlation.split({"x": np.arange(24), "y": np.arange(24)})
    for column in ("x", "y"):
      self.assertEqual({name: len(some[column]) for name, some in rows.items()},
                       {"train": 20, "validation": 2, "test": 2})
      np.testing.assert_array_equal(
          np.sort(np.concatenate([some[column] for some in rows.values()])),
          np.arange(24))


class CompareCorrelationTest(absltest.TestCase):

  def test_models_are_as_large_as_each_other_but_for_gates_and_biases(self):
    sizes = []
    for path in EXPERIMENTS.values():
      variables = outline.build(config.load(str(path))).variables
      sizes.append(sum(
          np.prod(shape) for name, shape in dict(variables).items()
          if name.endswith("kernel") and not name.startswith("gate/")))
    # 113 is rounded: 13,124 to 13,072 numbers, the heads' included.
    self.assertAlmostEqual(sizes[0] / sizes[1], 1, delta=0.01)

  def test_validation_chooses_the_rate(self):
    tried = {0.1: [run_of(0.5, 0.1), run_of(0.9, 0.1)],
             0.2: [run_of(0.8, 0.9), run_of(0.5, 0.9)]}
    self.assertEqual(compare_correlation.choose(tried), 0.2)

  def test_layout(self):
    models = {"shared bottom": 0.01, "MMoE": 0.001}
    tests = {0.5: (0.4, 0.6), 0.9: (0.3, 0.3), 1.0: (0.2, 0.1)}
    lines = compare_correlation.layout(models, {
        (model, correlation): [run_of(0, value) for value in values]
        for model in models for correlation, values in tests.items()
    }).splitlines()
    self.assertEqual(
        lines[1].split(), "shared bottom 0.5 0.01 0.50000 0.14142 0.10000 "
        "0.40000 0.60000".split())
    self.assertEqual(lines[6].split()[:3], ["MMoE", "1", "0.001"])
    self.assertStartsWith(lines[7].strip(), "loss at 0.5 less that at 1")
    # 0.4 - 0.2 and 0.6 - 0.1.
    self.assertEqual(lines[9].split(), [
        "MMoE", "0.35000", "0.21213", "0.15000", "0.20000", "0.50000"])

  @mock.patch.object(compare_correlation, "CORRELATIONS", (0.5, 1.0))
  @mock.patch.object(compare_correlation, "RATES", (0.01,))
  def test_one_command_trains_prints_and_draws(self):
    printed, errors = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
      picture = os.path.join(folder, "plot.png")
      with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(
          errors):
        code = compare_correlation.main([
            "compare_correlation", "--seeds=2", "--rows=3000",
            f"--output={picture}", "--set=training.num_steps=100",
            *(f"--{name}={path}" for name, path in EXPERIMENTS.items())])
      self.assertEqual(code, 0, errors.getvalue())
      self.assertEqual(pathlib.Path(picture).read_bytes()[:4], b"\x89PNG")
    self.assertLen(errors.getvalue().splitlines(), 2 * 2 * 2)
    lines = printed.getvalue().splitlines()
    self.assertStartsWith(lines[0], "correlation 0.5: that of the labels is ")
    self.assertLen(lines, 2 + 5 + 3 + 1)
    # The labels' variance is above 1.
    self.assertLess(float(lines[6].split()[3]), 0.5)


if __name__ == "__main__":
  absltest.main()
