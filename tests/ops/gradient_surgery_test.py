"""Tests of gradients changed pair by pair or element by element."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_surgery
from mtl_graph.ops import random_bits
from tests import random_gradients

_TASKS = (1, 2, 3, 4, 5, 6, 7, 8)


def _orders(num_tasks, number=8):
  """Draws when each task meets each other, as `meeting_order` has it."""
  random = np.random.default_rng(num_tasks)
  orders = np.full([number, num_tasks, num_tasks], num_tasks - 1, np.int32)
  for order in orders:
    for i, row in enumerate(order):
      row[np.arange(num_tasks) != i] = random.permutation(num_tasks - 1)
  return orders


def _met(order, i):
  """Returns whom task `i` meets, one after the other."""
  return np.argsort(order[i])[:-1]


def _pcgrad(gradients, order):
  total = np.zeros(gradients.shape[1])
  for i, changed in enumerate(gradients):
    for j in _met(order, i):
      product = changed @ gradients[j]
      if product < 0:
        changed = changed - product / (gradients[j] @ gradients[j]) * gradients[
            j]
    total += changed
  return total


def _gradvac(gradients, order, targets, beta):
  total, targets = np.zeros(gradients.shape[1]), targets.copy()
  for i, changed in enumerate(gradients):
    for j in _met(order, i):
      other = gradients[j] / np.linalg.norm(gradients[j])
      cosine = changed @ other / np.linalg.norm(changed)
      if cosine < targets[i, j]:
        # In the plane of both, from the part that is at right angles.
        across = changed - (changed @ other) * other
        wanted = np.arccos(targets[i, j])
        changed = across + np.linalg.norm(across) / np.tan(wanted) * other
      targets[i, j] = (1 - beta) * targets[i, j] + beta * cosine
    total += changed
  return total, targets


class OrderTest(tf.test.TestCase):

  def test_each_row_is_a_permutation(self):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      order = gradient_surgery.meeting_order(4, 7, step)
      drawn = [session.run(order, {step: i}) for i in range(300)]
      self.assertAllEqual(session.run(order, {step: 3}), drawn[3])
    self.assertAllEqual(np.sort(drawn, 2), np.broadcast_to(
        np.arange(4), [300, 4, 4]))
    self.assertAllEqual(np.stack(drawn)[:, range(4), range(4)],
                        np.full([300, 4], 3))
    for task in range(4):
      counts = collections.Counter(tuple(each[task]) for each in drawn)
      # 6 orders, 50 times each; four deviations are 26.
      self.assertLen(counts, 6)
      self.assertAllInRange(list(counts.values()), 24, 76)

  def test_single_task(self):
    with tf.Graph().as_default(), tf.Session() as session:
      self.assertAllEqual(session.run(
          gradient_surgery.meeting_order(1, 7, tf.constant(0))), [[0]])


class PcgradTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_TASKS)
  def test_matches_vectors(self, num_tasks):
    cases = list(zip(np.float64(random_gradients.gramians(num_tasks)),
                     _orders(num_tasks)))
    for (gramian, order), weights in zip(cases, random_gradients.evaluate(
        gradient_surgery.pcgrad_weights, cases)):
      gradients = random_gradients.jacobian_of(gramian)
      expected = _pcgrad(gradients, order)
      self.assertAllClose(weights @ gradients, expected, rtol=1e-7,
                          atol=1e-9 * np.linalg.norm(expected))
      self.assertAllGreaterEqual(weights, 1)

  def test_two_tasks_in_closed_form(self):
    cases = random_gradients.gramians(2, 20)
    order = np.int32([[1, 0], [0, 1]])
    for gramian, weights in zip(cases, random_gradients.evaluate(
        gradient_surgery.pcgrad_weights, [[each, order] for each in cases])):
      conflict = min(0, gramian[0, 1])
      self.assertAllClose(
          weights, 1 - conflict / np.diag(gramian), rtol=1e-6)

  def test_without_conflict_it_is_the_sum(self):
    jacobian = np.abs(np.random.default_rng(0).normal(size=[5, 9]))
    weights, = random_gradients.evaluate(
        gradient_surgery.pcgrad_weights,
        [[np.float32(jacobian @ jacobian.T), _orders(5)[0]]])
    self.assertAllEqual(weights, np.ones(5))

  def test_bad_order(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"`order` must have shape \[2, 2\], found \(3, 3\)"):
      gradient_surgery.pcgrad_weights(tf.eye(2), tf.zeros([3, 3], tf.int32))


class GradvacTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_TASKS)
  def test_matches_vectors(self, num_tasks):
    random = np.random.default_rng(num_tasks)
    cases = [(gramian, order, random.uniform(-0.8, 0.8, gramian.shape))
             for gramian, order in zip(
                 np.float64(random_gradients.gramians(num_tasks)),
                 _orders(num_tasks))]
    for (gramian, order, targets), found in zip(
        cases, random_gradients.evaluate(
            lambda *case: gradient_surgery.gradvac_weights(*case, beta=0.3),
            cases)):
      gradients = random_gradients.jacobian_of(gramian)
      expected, moved = _gradvac(gradients, order, targets, 0.3)
      self.assertAllClose(found.weights @ gradients, expected, rtol=1e-6,
                          atol=1e-8 * np.linalg.norm(expected))
      self.assertAllClose(found.targets, moved, rtol=1e-7, atol=1e-7)

  def test_targets_of_zero_are_pcgrad(self):
    order = _orders(5)[0]
    cases = random_gradients.gramians(5)
    plain = random_gradients.evaluate(
        gradient_surgery.pcgrad_weights, [[each, order] for each in cases])
    aimed = random_gradients.evaluate(
        gradient_surgery.gradvac_weights,
        [[each, order, np.zeros([5, 5], np.float32)] for each in cases])
    self.assertAllClose(plain, [each.weights for each in aimed], rtol=1e-5)

  def test_targets_at_the_limits_stay_finite(self):
    cases = random_gradients.degenerate(4)
    for limit in (-1, 1):
      for found in random_gradients.evaluate(
          gradient_surgery.gradvac_weights,
          [[each, _orders(4)[0], np.full([4, 4], limit, np.float32)]
           for each in cases.values()]):
        self.assertAllInRange(found.weights, -1e8, 1e8)
        self.assertAllInRange(found.targets, -1, 1)

  def test_bad_beta(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, "`beta` must be from 0 to 1, found 2"):
      gradient_surgery.gradvac_weights(
          tf.eye(2), tf.zeros([2, 2], tf.int32), tf.zeros([2, 2]), 2)


class GraddropTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_tasks=(1, 2, 5, 8), leaks=(0.0, "each"))
  def test_matches_elements(self, num_tasks, leaks):
    random = np.random.default_rng(num_tasks)
    leaks = (list(random.uniform(size=num_tasks)) if leaks == "each" else leaks)
    cases = [[random.normal(size=[num_tasks, 6, 2]).astype(np.float32),
              np.int64(step)] for step in range(8)]
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      bits = random_bits.random_bits(12, 5, step)
      drawn = [session.run(bits, {step: each}) for _, each in cases]
    for (jacobian, _), bits, found in zip(
        cases, drawn, random_gradients.evaluate(
            lambda jacobian, step: gradient_surgery.graddrop_direction(
                jacobian, 5, step, leaks), cases)):
      expected = np.zeros([6, 2])
      for uniform, index in zip(bits / 2 ** 32, np.ndindex(6, 2)):
        column = jacobian[(slice(None), *index)].astype(np.float64)
        positive = 0.5 * (1 + column.sum() / np.abs(column).sum())
        for task, gradient in enumerate(column):
          kept = gradient > 0 if positive > uniform else gradient < 0
          leak = leaks[task] if leaks else 0
          expected[index] += (leak + (1 - leak) * kept) * gradient
      self.assertAllClose(found, expected, rtol=1e-5, atol=1e-6)

  def test_of_activations_a_column_has_one_sign(self):
    random = np.random.default_rng(0)
    jacobian = random.normal(size=[3, 5, 400]).astype(np.float32)
    activations = random.normal(size=[5, 400]).astype(np.float32)
    found, = random_gradients.evaluate(
        lambda *case: gradient_surgery.graddrop_direction(
            case[0], 1, tf.constant(0), activations=case[1]),
        [[jacobian, activations]])
    # Chen et al., algorithm 1, with either sign drawn.
    seen = (jacobian * np.sign(activations)).sum(1)
    by_sign = [np.sum(jacobian * (seen * sign > 0)[:, np.newaxis], 0)
               for sign in (1, -1)]
    chosen = np.array([np.abs(found - each).max(0) < 1e-5 for each in by_sign])
    self.assertAllEqual(chosen.any(0), np.ones(400, bool))
    positive = 0.5 * (1 + seen.sum(0) / np.abs(seen).sum(0))
    # Five deviations of the sum of 400 draws.
    self.assertLess(abs((chosen[0] - positive).sum()),
                    5 * np.sqrt((positive * (1 - positive)).sum()))

  def test_signs_are_drawn_as_often_as_they_weigh(self):
    jacobian = np.tile(np.float32([[3], [-1]]), [1, 20_000])
    found, = random_gradients.evaluate(
        lambda jacobian: gradient_surgery.graddrop_direction(
            jacobian, 1, tf.constant(0)), [[jacobian]])
    self.assertContainsSubset(np.unique(found), [3, -1])
    # Five deviations of a mean of 20,000.
    self.assertAllClose((found > 0).mean(), 0.75, atol=0.0155)

  def test_zeros_and_one_sign_stay(self):
    jacobian = np.float32([[0, 1, -2], [0, 3, 0]])
    found, = random_gradients.evaluate(
        lambda jacobian: gradient_surgery.graddrop_direction(
            jacobian, 1, tf.constant(0)), [[jacobian]])
    self.assertAllEqual(found, [0, 4, -2])

  @parameterized.parameters((1.5, "found .1.5, 1.5."), ([0.5], "found .0.5."))
  def test_bad_leaks(self, leaks, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, "`leaks` must be 2 numbers from 0 to 1, " + message):
      gradient_surgery.graddrop_direction(
          tf.zeros([2, 3]), 1, tf.constant(0), leaks)


if __name__ == "__main__":
  absltest.main()
