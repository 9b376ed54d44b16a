"""Tests of weights by how far tasks are from their optimum."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import excess_risks
from tests import random_gradients


class ExcessTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(2, 3, 4, 5, 6, 7, 8)
  def test_matches_formula_over_several_steps(self, num_tasks):
    random = np.random.default_rng(num_tasks)
    jacobians = random.normal(size=[8, num_tasks, 3, 2]) * np.geomspace(
        0.01, 10, num_tasks)[:, np.newaxis, np.newaxis]
    # The first task has no label in the first batch.
    jacobians[0, 0] = 0

    def op(jacobian, sums, first, weights):
      risks = excess_risks.excess_risks(jacobian, sums)
      return risks, excess_risks.excess_mtl_weights(
          risks.risks, first, weights, 0.1)

    sums = np.zeros([num_tasks, 3, 2])
    first, weights = np.zeros(num_tasks), np.ones(num_tasks)
    expected_weights = np.ones(num_tasks)
    for step, jacobian in enumerate(jacobians):
      (risks, output), = random_gradients.evaluate(
          op, [[jacobian, sums, first, weights]])
      sums, first, weights = (
          risks.squared_sums, output.initial_risks, output.weights)
      expected_sums = (jacobians[:step + 1] ** 2).sum(0)
      expected = (jacobian ** 2 / np.sqrt(expected_sums + 1e-7)).sum((1, 2))
      self.assertAllClose(sums, expected_sums, rtol=1e-12)
      self.assertAllClose(risks.risks, expected, rtol=1e-12)
      if step == 0:
        initial = expected
      initial = np.where(initial > 0, initial, expected)
      expected_weights *= np.exp(0.1 * expected / np.where(
          initial > 0, initial, 1))
      expected_weights *= num_tasks / expected_weights.sum()
      self.assertAllClose(weights, expected_weights, rtol=1e-10)
    self.assertGreater(np.ptp(weights), 0.01)

  def test_who_has_few_labels_loses_no_weight_by_that(self):
    op = lambda risks, first, weights, present: excess_risks.excess_mtl_weights(
        risks, first, weights, 0.01, present)
    first, weights = np.float32([2, 5]), np.ones(2, np.float32)
    # The second task's risk stays as it is and can be seen once in ten steps.
    cases = [[np.float32([2, 5 * (step % 10 == 0)]), first, weights,
              np.float32([1, step % 10 == 0])] for step in range(20)]
    for output in random_gradients.evaluate(op, cases):
      self.assertAllClose(output.weights, [1, 1], rtol=1e-6)
    # Of those that can be seen the one with the larger risk gains.
    grown, none = random_gradients.evaluate(op, [
        [np.float32([4, 15, 0]), np.float32([2, 5, 1]), np.float32([1, 1, 1]),
         np.float32([1, 1, 0])],
        [np.zeros(3, np.float32), np.float32([2, 5, 1]),
         np.float32([0.5, 1, 1.5]), np.zeros(3, np.float32)]])
    raised = np.exp(0.01 * np.array([2, 3, 2.5]))
    self.assertAllClose(grown.weights, 3 * raised / raised.sum())
    self.assertAllClose(none.weights, [0.5, 1, 1.5])


class ShapeTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("risks", lambda: excess_risks.excess_mtl_weights(
          tf.ones([2]), tf.ones([3]), tf.ones([2])),
       r"`initial_risks` must have shape \[2\], found \(3,\)"),
      ("squared_sums", lambda: excess_risks.excess_risks(
          tf.placeholder(tf.float32, [None, 3]), tf.ones([2, 3])),
       r"`jacobian` must have shape \[T, \.\.\.\] with a known number"))
  def test_names_the_argument(self, op, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(ValueError, message):
      op()


if __name__ == "__main__":
  absltest.main()
