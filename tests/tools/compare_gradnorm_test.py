"""Tests for tools/compare_gradnorm.py."""

import contextlib
import io
import os
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tools import compare_gradnorm


class CompareGradnormTest(parameterized.TestCase):

  def test_rows_are_the_papers(self):
    found = compare_gradnorm.rows((1.0, 100.0), 40, 30, 800)
    self.assertLen(found["validation"]["x"], 200)
    small, large = (found["train"][f"task_{t}"] for t in range(2))
    # tanh of what has deviation sqrt(10^2 + 3.5^2): mostly near -1 and 1.
    self.assertBetween(np.std(small), 0.85, 1.0)
    self.assertBetween(np.std(large), 85, 100)
    # Tasks are alike as far as they share B: 10^2 of 10^2 + 3.5^2.
    self.assertBetween(np.corrcoef(small.ravel(), large.ravel())[0, 1],
                       0.7, 0.9)

  @parameterized.parameters("two tasks", "ten tasks")
  def test_weights_are_ordered_by_scale_and_help(self, name):
    scales = compare_gradnorm.SCALES[name]
    equal, balanced = (compare_gradnorm.train(
        method, scales, 16, 4, 1000, 250, 0.004)
                       for method in compare_gradnorm.METHODS)
    self.assertLen(balanced.weights, 250)
    np.testing.assert_allclose(balanced.weights.sum(1), len(scales), rtol=1e-5)
    self.assertTrue((np.diff(balanced.weights[-1]) < 0).all())
    self.assertLess(np.mean(balanced.losses), 0.95 * np.mean(equal.losses))

  def test_prints_and_draws(self):
    run = compare_gradnorm.Run([0.5, 0.25], np.array([[1, 1], [1.5, 0.5]]))
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "weights.png")
      with mock.patch.multiple(
          compare_gradnorm, train=lambda *unused: run,
          SCALES={"two tasks": (1.0, 100.0), "more": (1.0, 10.0)}):
        with contextlib.redirect_stdout(printed):
          code = compare_gradnorm.main(["gradnorm", f"--picture={path}"])
      self.assertEqual(code, 0)
      self.assertGreater(os.path.getsize(path), 1000)
    self.assertIn("w, scale 100\n", printed.getvalue())
    for rate in (0.002, 0.004, 0.008):
      self.assertRegex(
          printed.getvalue(), rf"GradNorm +{rate:g} +0\.3750 +2 +0\.0e\+00 "
          r"+1\.5000 +0\.5000")

  def test_order_is_that_which_stays(self):
    falling, rising = [3.0, 2.0, 1.0], [3.0, 1.0, 2.0]
    for rows, expected in (([falling, falling], "1"), ([rising, falling], "2"),
                           ([falling, rising], "-"),
                           ([falling, rising, falling], "3")):
      self.assertEqual(compare_gradnorm.ordered_from(np.array(rows)), expected)


if __name__ == "__main__":
  absltest.main()
