"""Tests of the task weights that remember."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import optimize
from scipy import special
import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_tracking
from tests import random_gradients

_TASKS = (2, 3, 4, 5, 6, 7, 8)


def _project(vector):
  """Lowers all by what leaves a sum of 1 above zero, found by bisection."""
  lowered = optimize.brentq(lambda by: np.maximum(vector - by, 0).sum() - 1,
                            vector.min() - 2, vector.max(), xtol=1e-14)
  return np.maximum(vector - lowered, 0)


class SimplexTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1, *_TASKS)
  def test_matches_bisection(self, num_tasks):
    random = np.random.default_rng(num_tasks)
    cases = [[random.normal(scale=scale, size=num_tasks)]
             for scale in (0.01, 0.3, 1, 1, 1, 10, 100)]
    cases += [[np.zeros(num_tasks)], [np.eye(num_tasks)[0]]]
    for (vector,), found in zip(cases, random_gradients.evaluate(
        gradient_tracking.project_to_simplex, cases)):
      self.assertAllClose(found, _project(vector), rtol=0, atol=1e-12)


class MocoTest(parameterized.TestCase, tf.test.TestCase):

  def test_gradients_are_tracked(self):
    random = np.random.default_rng(0)
    jacobian, tracked = random.normal(size=[2, 3, 4, 2]).astype(np.float32)
    scales = np.float32([2, 1, 0.5])
    for step in (1, 4):
      found, = random_gradients.evaluate(
          lambda *case: gradient_tracking.track(*case, beta=0.6),
          [[jacobian, tracked, np.int64(step), scales]])
      rate = 0.6 / np.sqrt(step)
      self.assertAllClose(
          found, (1 - rate) * tracked
          + rate * scales[:, np.newaxis, np.newaxis] * jacobian, rtol=1e-5)

  def test_gradients_are_averaged(self):
    random = np.random.default_rng(0)
    jacobian, tracked = random.normal(size=[2, 3, 4, 2]).astype(np.float32)
    for step, decay, kept in ((1, 0.0, 0.7), (4, 0.0, 0.7), (4, 0.5, 0.35)):
      found, = random_gradients.evaluate(
          lambda *case: gradient_tracking.moving_gradients(
              *case, beta=0.7, beta_decay=decay),  # pylint: disable=cell-var-from-loop
          [[jacobian, tracked, np.int64(step)]])
      self.assertAllClose(found, kept * tracked + (1 - kept) * jacobian,
                          rtol=1e-5)

  @parameterized.parameters(*_TASKS)
  def test_all_become_as_long_as_the_longest(self, num_tasks):
    gramians = list(random_gradients.gramians(num_tasks))
    for gramian, weights in zip(gramians, random_gradients.evaluate(
        gradient_tracking.db_mtl_weights, [[g] for g in gramians])):
      lengths = np.sqrt(np.diag(gramian).astype(np.float64))
      self.assertAllClose(weights * lengths,
                          np.full(num_tasks, lengths.max()), rtol=1e-5)

  def test_scales_give_a_gradient_the_length_of_its_loss(self):
    jacobian = np.float32([[3, 4], [0, 0], [0, 2]])
    losses = np.float32([10, 1, 5])
    scales, = random_gradients.evaluate(
        gradient_tracking.moco_scales, [[jacobian @ jacobian.T, losses]])
    self.assertAllClose(scales, [2, 0, 2.5])

  @parameterized.product(num_tasks=_TASKS, project=(False, True))
  def test_weights_match_formula(self, num_tasks, project):
    random = np.random.default_rng(num_tasks)
    cases = [[gramian, random.dirichlet(np.ones(num_tasks)), np.int64(step)]
             for step, gramian in enumerate(
                 np.float64(random_gradients.gramians(num_tasks)), 1)]
    for (gramian, before, step), found in zip(
        cases, random_gradients.evaluate(
            lambda *case: gradient_tracking.moco_weights(
                *case, gamma=0.2, rho=0.1, project=project), cases)):
      moved = before - 0.2 / np.sqrt(step) * (
          gramian + 0.1 * np.eye(num_tasks)) @ before
      self.assertAllClose(
          found, _project(moved) if project else special.softmax(moved),
          rtol=1e-8, atol=1e-9)


class SdmgradTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1, *_TASKS)
  def test_matches_formula(self, num_tasks):
    random = np.random.default_rng(num_tasks)
    cases = []
    for gramian in random_gradients.gramians(num_tasks):
      first = random_gradients.jacobian_of(gramian)
      second = first + 0.1 * np.abs(first) * random.normal(size=first.shape)
      cases.append([first @ second.T, random.dirichlet(np.ones(num_tasks))])
    for (products, before), found in zip(cases, random_gradients.evaluate(
        gradient_tracking.sdmgrad_weights, cases)):
      matrix = products / np.mean(np.sqrt(
          np.maximum(np.diag(products), 0))) ** 2
      simplex, velocity = before, 0
      for _ in range(20):
        velocity = 0.5 * velocity + matrix @ (simplex + 0.3 / num_tasks)
        simplex = _project(simplex - 5 * velocity)
      self.assertAllClose(found.simplex, simplex, rtol=0, atol=1e-7)
      self.assertAllClose(found.weights, (simplex + 0.3 / num_tasks) / 1.3,
                          rtol=0, atol=1e-7)

  def test_enough_iterations_end_at_the_optimum(self):
    gramian = random_gradients.gramians(4, 1)[0].astype(np.float64)
    found, = random_gradients.evaluate(
        lambda *case: gradient_tracking.sdmgrad_weights(
            *case, lamda=0.5, learning_rate=0.2, num_iterations=2000),
        [[gramian, np.full(4, 0.25)]])
    slope = gramian @ (found.simplex + 0.5 / 4)
    # Where a weight is not zero, none has a lower slope.
    self.assertAllClose(slope[found.simplex > 0], np.full(
        np.count_nonzero(found.simplex > 0), slope.min()), rtol=1e-6)

  @parameterized.parameters(*_TASKS)
  def test_some_tasks_alone_are_as_if_there_were_no_others(self, num_tasks):
    random = np.random.default_rng(num_tasks)
    for i, gramian in enumerate(random_gradients.gramians(num_tasks)[:8]):
      mask = random.permutation(np.arange(num_tasks) < 1 + i % num_tasks)
      before = random.dirichlet(np.ones(num_tasks))
      gramian = gramian * np.outer(mask, mask)
      some, = random_gradients.evaluate(
          lambda gramian, simplex, mask: gradient_tracking.sdmgrad_weights(
              gramian, simplex, present=mask),
          [[gramian, before, mask.astype(np.float32)]])
      alone, = random_gradients.evaluate(gradient_tracking.sdmgrad_weights, [
          [gramian[np.ix_(mask, mask)], before[mask] / before[mask].sum()]])
      self.assertAllEqual(some.weights[~mask], np.zeros(np.sum(~mask)))
      self.assertAllClose(some.weights[mask], alone.weights, atol=1e-6)
      self.assertAllEqual(some.simplex[~mask], before[~mask])
      self.assertAllClose(some.simplex[mask],
                          before[mask].sum() * alone.simplex, atol=1e-6)

  def test_no_task_at_all(self):
    found, = random_gradients.evaluate(
        lambda *case: gradient_tracking.sdmgrad_weights(
            *case, present=tf.zeros([2])),
        [[np.zeros([2, 2], np.float32), np.float32([0.2, 0.8])]])
    self.assertAllEqual(found.weights, [0, 0])
    self.assertAllClose(found.simplex, [0.2, 0.8])

  def test_no_gradients_leave_it_where_it_is(self):
    found, = random_gradients.evaluate(
        gradient_tracking.sdmgrad_weights,
        [[np.zeros([2, 2], np.float32), np.float32([0.2, 0.8])]])
    self.assertAllClose(found.simplex, [0.2, 0.8])


class ShapeTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("tracked", lambda: gradient_tracking.track(
          tf.ones([2, 3]), tf.ones([2, 4]), 1, tf.ones([2])),
       r"`tracked` must have shape \[2, 3\], found \(2, 4\)"),
      ("simplex", lambda: gradient_tracking.sdmgrad_weights(
          tf.eye(2), tf.ones([3])),
       r"`simplex` must have shape \[2\], found \(3,\)"),
      ("weights", lambda: gradient_tracking.moco_weights(
          tf.eye(2), tf.ones([3]), 1),
       r"`weights` must have shape \[2\], found \(3,\)"))
  def test_names_the_argument(self, op, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(ValueError, message):
      op()


if __name__ == "__main__":
  absltest.main()
