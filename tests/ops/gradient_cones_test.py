"""Tests of the weights that come from projections onto cones and simplices."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import optimize
import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_cones
from tests import random_gradients

_TASKS = (2, 3, 4, 5, 6, 7, 8)


def _shortest(gramian):
  """Tries every face of the simplex; the shortest combination of them wins."""
  gramian = gramian.astype(np.float64)
  num_tasks = len(gramian)
  best, best_weights = np.inf, None
  for size in range(1, num_tasks + 1):
    for face in itertools.combinations(range(num_tasks), size):
      part = gramian[np.ix_(face, face)]
      scales = np.sqrt(np.diag(part))
      weights = np.linalg.solve(part / np.outer(scales, scales), 1 / scales)
      weights /= scales
      if weights.min() < 0:
        continue
      weights /= weights.sum()
      length = weights @ part @ weights
      if length < best:
        best, best_weights = length, np.zeros(num_tasks)
        best_weights[list(face)] = weights
  return best_weights


def _least_above(gramian, least):
  """Minimizes `v' K v` over `v >= least` by Lawson and Hanson's algorithm."""
  gradients = random_gradients.jacobian_of(gramian)
  scales = np.linalg.norm(gradients, axis=1)
  # Columns of length 1.
  added, _ = optimize.nnls((gradients / scales[:, np.newaxis]).T,
                           -gradients.T @ least)
  return least + added / scales


class MgdaTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_TASKS)
  def test_is_the_best_of_all_faces(self, num_tasks):
    cases = random_gradients.gramians(num_tasks)
    found = random_gradients.evaluate(
        gradient_cones.mgda_weights, [[each] for each in cases])
    for gramian, weights in zip(cases, found):
      self.assertAllClose(weights, _shortest(gramian), rtol=1e-5, atol=1e-6)
      self.assertAllClose(weights.sum(), 1, rtol=1e-6)

  def test_no_task_progresses_less_than_the_squared_length(self):
    cases = np.float64(random_gradients.gramians(6))
    found = random_gradients.evaluate(
        gradient_cones.mgda_weights, [[each] for each in cases])
    for gramian, weights in zip(cases, found):
      products = gramian @ weights
      self.assertAllGreaterEqual(products / (weights @ products), 1 - 1e-6)

  def test_gradients_around_zero_cancel(self):
    jacobian = np.array([[1, 0], [-1, 1], [-1, -2]], np.float32)
    weights, = random_gradients.evaluate(
        gradient_cones.mgda_weights, [[jacobian @ jacobian.T]])
    self.assertAllClose(weights @ jacobian, [0, 0], atol=1e-6)
    self.assertAllClose(weights, [1 / 2, 1 / 3, 1 / 6], atol=1e-6)

  @parameterized.parameters(2, 3)
  def test_normalizers_divide_gradients(self, num_tasks):
    cases = random_gradients.gramians(num_tasks)
    norms = [np.sqrt(np.diag(each)) for each in cases]
    found = random_gradients.evaluate(
        gradient_cones.mgda_weights, list(zip(cases, norms)))
    for gramian, norm, weights in zip(cases, norms, found):
      self.assertAllClose(weights, _shortest(gramian / np.outer(norm, norm)),
                          rtol=1e-4, atol=1e-5)

  def test_zero_gradient_takes_all(self):
    for num_tasks in (2, 3, 5):
      cases = random_gradients.degenerate(num_tasks)
      found = random_gradients.evaluate(
          gradient_cones.mgda_weights,
          [[cases["one_zero"]], [cases["all_zero"]]])
      self.assertAllClose(found[0], np.eye(num_tasks)[0])
      self.assertAllClose(found[1], np.full(num_tasks, 1 / num_tasks))


  @parameterized.parameters(2, 3, 5, 8)
  def test_some_tasks_alone_are_as_if_there_were_no_others(self, num_tasks):
    gramians = list(random_gradients.gramians(num_tasks))
    random = np.random.default_rng(num_tasks)
    masks = [random.permutation(np.arange(num_tasks) < 1 + i % num_tasks)
             for i in range(len(gramians))]
    for gramian, mask, weights in zip(
        gramians, masks, random_gradients.evaluate(
            lambda gramian, mask: gradient_cones.mgda_weights(
                gramian, present=mask),
            [[g, m.astype(np.float32)] for g, m in zip(gramians, masks)])):
      self.assertAllEqual(weights[~mask], np.zeros(np.sum(~mask)))
      expected = _shortest(gramian[np.ix_(mask, mask)].astype(np.float64))
      some = weights[mask].astype(np.float64)
      self.assertAllClose(some.sum(), 1)
      self.assertLessEqual(
          some @ gramian[np.ix_(mask, mask)] @ some,
          (expected @ gramian[np.ix_(mask, mask)] @ expected) * (1 + 1e-4)
          + 1e-6 * np.abs(gramian).max())

  def test_no_task_at_all(self):
    none = np.zeros(3, np.float32)
    found = random_gradients.evaluate(
        lambda gramian, mask: gradient_cones.mgda_weights(
            gramian, present=mask),
        [[np.eye(3, dtype=np.float32), none],
         [np.zeros([3, 3], np.float32), none + 1]])
    self.assertAllEqual(found[0], none)
    self.assertAllClose(found[1], none + 1 / 3)


class CagradTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_tasks=_TASKS, c=(0.4, 0.9))
  def test_primal_and_dual_meet(self, num_tasks, c):
    """A point of the ball as good as the bound by the dual is the optimum."""
    # What long gradients cancel, short ones feel: weights in float64.
    cases = np.float64(random_gradients.gramians(num_tasks))
    found = random_gradients.evaluate(
        lambda gramian: gradient_cones.cagrad_weights(gramian, c),
        [[each] for each in cases])
    for gramian, weights in zip(cases, found):
      gradients = random_gradients.jacobian_of(gramian)
      mean = gradients.mean(0)
      added = weights - 1 / num_tasks
      radius = c * np.linalg.norm(mean)
      self.assertAllClose(np.linalg.norm(added @ gradients), radius, rtol=1e-6)
      self.assertAllGreaterEqual(added, -1e-12 * weights.max())
      added = np.maximum(added, 0) / added.sum()
      dual = (added @ gradients @ mean
              + radius * np.linalg.norm(added @ gradients))
      progress = gradients @ (weights @ gradients)
      worst = np.argmin(progress)
      # Counted in lengths of its own gradient and the mean.
      scale = radius * np.linalg.norm(gradients[worst])
      self.assertAllClose(progress[worst] / scale, dual / scale, rtol=1e-6,
                          atol=1e-6)

  def test_weights_in_float32_are_those_in_float64(self):
    cases = random_gradients.gramians(6)
    found, exact = (random_gradients.evaluate(
        gradient_cones.cagrad_weights, [[dtype(each)] for each in cases])
                    for dtype in (np.float32, np.float64))
    self.assertAllClose(found, exact, rtol=1e-6)

  def test_two_tasks_by_search(self):
    cases = np.float64(random_gradients.gramians(2, 20))
    found = random_gradients.evaluate(
        gradient_cones.cagrad_weights, [[each] for each in cases])
    for gramian, weights in zip(cases, found):
      gradients = random_gradients.jacobian_of(gramian)
      mean = gradients.mean(0)
      radius = 0.5 * np.linalg.norm(mean)

      def dual(first):
        mixed = first * gradients[0] + (1 - first) * gradients[1]
        return mixed @ mean + radius * np.linalg.norm(mixed)

      first = optimize.minimize_scalar(
          dual, bounds=(0, 1), method="bounded",
          options={"xatol": 1e-12}).x
      mixed = first * gradients[0] + (1 - first) * gradients[1]
      direction = mean + radius * mixed / np.linalg.norm(mixed)
      self.assertAllClose(weights @ gradients, direction,
                          rtol=1e-5, atol=1e-5 * np.linalg.norm(direction))

  def test_radius_zero_is_the_mean(self):
    cases = random_gradients.gramians(4)
    for weights in random_gradients.evaluate(
        lambda gramian: gradient_cones.cagrad_weights(gramian, 0.0),
        [[each] for each in cases]):
      self.assertAllEqual(weights, np.full(4, 0.25, np.float32))

  def test_single_task_is_stretched(self):
    weights, = random_gradients.evaluate(
        gradient_cones.cagrad_weights, [[np.float32([[7]])]])
    self.assertAllClose(weights, [1.5])

  def test_bad_radius(self):
    with self.assertRaisesRegex(ValueError, "`c` must be at least 0 and below "
                                "1, found 1."):
      gradient_cones.cagrad_weights(tf.zeros([2, 2]), 1)


class ConeTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_TASKS)
  def test_upgrad_projects_each(self, num_tasks):
    cases = random_gradients.gramians(num_tasks)
    found = random_gradients.evaluate(
        gradient_cones.upgrad_weights, [[each] for each in cases])
    for gramian, weights in zip(cases, found):
      expected = sum(_least_above(gramian, row) for row in
                     np.eye(num_tasks) / num_tasks)
      self.assertAllClose(weights, expected, rtol=1e-5, atol=1e-6)

  @parameterized.parameters(*_TASKS)
  def test_dual_proj_projects_the_mean(self, num_tasks):
    cases = random_gradients.gramians(num_tasks)
    found = random_gradients.evaluate(
        gradient_cones.dual_proj_weights, [[each] for each in cases])
    for gramian, weights in zip(cases, found):
      expected = _least_above(gramian, np.full(num_tasks, 1 / num_tasks))
      self.assertAllClose(weights, expected, rtol=1e-5, atol=1e-6)

  @parameterized.parameters("upgrad_weights", "dual_proj_weights")
  def test_harms_no_task(self, op):
    cases = np.float64(random_gradients.gramians(6))
    for gramian, weights in zip(cases, random_gradients.evaluate(
        getattr(gradient_cones, op), [[each] for each in cases])):
      norms = np.sqrt(np.diag(gramian))
      cosines = (gramian @ weights) / norms / np.sqrt(
          weights @ gramian @ weights)
      self.assertAllGreaterEqual(cosines, -1e-8)

  @parameterized.parameters("upgrad_weights", "dual_proj_weights")
  def test_without_conflict_it_is_the_mean(self, op):
    jacobian = np.abs(np.random.default_rng(0).normal(size=[5, 9]))
    weights, = random_gradients.evaluate(
        getattr(gradient_cones, op),
        [[(jacobian @ jacobian.T).astype(np.float32)]])
    self.assertAllEqual(weights, np.full(5, 0.2, np.float32))


if __name__ == "__main__":
  absltest.main()
