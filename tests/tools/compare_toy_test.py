"""Tests for tools/compare_toy.py."""

import contextlib
import io
import os
import tempfile
from unittest import mock

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import python_functions
from mtl_graph import validation
from protos.examples import two_valleys
from tools import compare_toy
from tools.comparing import methods


def losses(one, two):
  """Computes both losses in NumPy, term by term."""
  upper, lower = max(np.tanh(two / 2), 0), max(np.tanh(-two / 2), 0)
  first = np.log(max(abs(0.5 * (-one - 7) - np.tanh(-two)), 5e-6)) + 6
  second = np.log(max(abs(0.5 * (-one + 3) - np.tanh(-two) + 2), 5e-6)) + 6
  right = ((-one + 7) ** 2 + 0.1 * (-two - 8) ** 2) / 10 - 20
  left = ((-one - 7) ** 2 + 0.1 * (-two - 8) ** 2) / 10 - 20
  return np.array([upper * first + lower * right,
                   upper * second + lower * left])


def adam(start, steps, rate):
  """Moves along the sum's slope by Adam, in NumPy."""
  place, mean, square = np.array(start), np.zeros(2), np.zeros(2)
  for step in range(1, steps + 1):
    slope = np.array([sum(losses(*(place + nudge)) - losses(*(place - nudge)))
                      for nudge in 1e-6 * np.eye(2)]) / 2e-6
    mean = 0.9 * mean + 0.1 * slope
    square = 0.999 * square + 0.001 * slope ** 2
    place -= rate * mean / (1 - 0.9 ** step) / (
        np.sqrt(square / (1 - 0.999 ** step)) + 1e-8)
  return place


class CompareToyTest(absltest.TestCase):

  def test_losses(self):
    places = np.random.RandomState(0).uniform(-10, 10, [50, 2])
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run([two_valleys.height(
          tf.constant(optimum), tf.constant(places, tf.float32))
                           for optimum in two_valleys.OPTIMA.values()])
    expected = np.array([losses(*place) for place in places])
    for number in range(2):
      np.testing.assert_allclose(np.array(found)[..., number].T, expected,
                                 rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(compare_toy.mean_loss(places), expected.mean(1),
                               rtol=1e-4, atol=1e-4)

  def test_a_run_of_the_sum_is_adam(self):
    start = compare_toy.STARTS[1]
    places = compare_toy.walk(methods.SUM, start, 60, 0.02)
    self.assertEqual(places.shape, (21, 2))  # Every third, and where it began.
    np.testing.assert_allclose(
        places[[0, 10, 20]],
        [start, adam(start, 30, 0.02), adam(start, 60, 0.02)], atol=1e-4)

  def test_cagrad_reaches_the_optimum_where_adam_is_stuck(self):
    # Larger rates leave the valleys by leaps.
    least = compare_toy.mean_loss(compare_toy.grid()).min()
    stuck, there = (compare_toy.mean_loss(compare_toy.walk(
        method, compare_toy.STARTS[0], 80_000, 0.001)[-1]) - least
                    for method in (methods.SUM, "CAGrad"))
    self.assertGreater(stuck, 10)
    self.assertLess(there, 0.05)

  def test_every_method_there_is_has_a_valid_run(self):
    kinds = set()
    for name in compare_toy.METHODS:
      experiment = compare_toy.experiment_of(name, (1.5, -2.5), 100, 0.01)
      with python_functions.allowing([two_valleys.__name__]):
        validation.check(experiment)
      joint = experiment.training.joint
      kinds |= {joint.loss.WhichOneof("kind"),
                joint.gradient_balancing.WhichOneof("kind")}
      place = experiment.model.hard_sharing.trunk.layer[0].python
      self.assertEqual([each.number for each in place.argument], [1.5, -2.5])
    for message in (joint.loss, joint.gradient_balancing):
      for field in message.DESCRIPTOR.oneofs_by_name["kind"].fields:
        # The mirror image of a task has no weight to tune.
        if field.name != "weighted_sum":
          self.assertIn(field.name, kinds)

  def test_prints_draws_and_remembers(self):
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
      picture, kept = (os.path.join(folder, name)
                       for name in ("toy.png", "toy.jsonl"))
      with mock.patch.object(compare_toy, "walk") as walk:
        walk.side_effect = lambda method, start, steps, rate: np.array(
            [start, [start[0], 1.0]])
        for _ in range(2):
          with contextlib.redirect_stdout(printed):
            code = compare_toy.main([
                "compare_toy", f"--method={methods.SUM}", "--steps=100",
                f"--picture={picture}", f"--ledger={kept}"])
          self.assertEqual(code, 0)
      self.assertEqual(walk.call_count, len(compare_toy.STARTS))
      self.assertGreater(os.path.getsize(picture), 1000)
    self.assertRegex(printed.getvalue(), r"\n  sum +\(-8\.50, 1\.00\) \+")

  def test_bad_input_gives_one_line(self):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
      code = compare_toy.main(["compare_toy", "--method=some"])
    self.assertEqual(code, 2)
    self.assertRegex(errors.getvalue(),
                     "^--method: 'some' is none of sum, .*\n$")


if __name__ == "__main__":
  absltest.main()
