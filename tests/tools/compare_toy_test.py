"""Tests for tools/compare_toy.py."""

import contextlib
import io
import os
import tempfile

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from tools import compare_toy


def losses(one, two):
  """Computes both losses in NumPy, term by term."""
  upper, lower = max(np.tanh(two / 2), 0), max(np.tanh(-two / 2), 0)
  first = np.log(max(abs(0.5 * (-one - 7) - np.tanh(-two)), 5e-6)) + 6
  second = np.log(max(abs(0.5 * (-one + 3) - np.tanh(-two) + 2), 5e-6)) + 6
  right = ((-one + 7) ** 2 + 0.1 * (-two - 8) ** 2) / 10 - 20
  left = ((-one - 7) ** 2 + 0.1 * (-two - 8) ** 2) / 10 - 20
  return (upper * first + lower * right, upper * second + lower * left)


class CompareToyTest(absltest.TestCase):

  def test_losses(self):
    places = np.random.RandomState(0).uniform(-10, 10, [50, 2])
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run(compare_toy.losses(tf.constant(places, tf.float32)))
    np.testing.assert_allclose(found, [losses(*place) for place in places],
                               rtol=1e-4, atol=1e-4)

  def test_cagrad_reaches_the_optimum_where_adam_is_stuck(self):
    # Larger rates leave the valleys by leaps.
    least = compare_toy.mean_loss(compare_toy.grid()).min()
    above = {method: compare_toy.mean_loss(compare_toy.paths(
        method, 100_000, 0.001)[:, -1]) - least for method in ("sum", "cagrad")}
    self.assertLess(above["cagrad"].max(), 0.05)
    np.testing.assert_array_equal(above["sum"] > 10, [True, False, True])
    self.assertLess(above["sum"][1], 0.05)

  def test_methods_of_each_kind_move(self):
    # Below, where both losses are bowls, each gets nearer to both.
    starts = [(-2.0, -4.0)]
    # With something to remember, with numbers per gradient, without weights.
    for method in ("gradvac", "moco", "graddrop"):
      places = compare_toy.paths(method, 40, 0.05, starts)
      self.assertEqual(places.shape, (1, 41, 2))
      self.assertTrue(np.isfinite(places).all(), method)
      before, after = compare_toy.mean_loss(places[0, [0, -1]])
      self.assertLess(after, before - 0.05, method)

  def test_prints_and_draws(self):
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "toy.png")
      with contextlib.redirect_stdout(printed):
        code = compare_toy.main(["compare_toy", "--method=sum", "--steps=100",
                                 f"--picture={path}"])
      self.assertEqual(code, 0)
      self.assertGreater(os.path.getsize(path), 1000)
    self.assertRegex(printed.getvalue(), r"\n  sum +\(-8\.\d\d, 7\.\d\d\) \+")

  def test_bad_input_gives_one_line(self):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
      code = compare_toy.main(["compare_toy", "--method=some"])
    self.assertEqual(code, 2)
    self.assertRegex(errors.getvalue(), "^--method: 'some' is none of sum, .*\n$")


if __name__ == "__main__":
  absltest.main()
