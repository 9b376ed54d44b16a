"""Tests of what one task hands to the next."""

import fractions
import itertools
import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import task_chains
from tests import numeric_gradient

_RANDOM = np.random.default_rng(0)
_EXTREMES = (-80.0, -30.0, -3.0, 0.0, 2.0, 17.0, 40.0, 80.0)


def _logit(*logits):
  """The logit of the product, and its gradients, in exact fractions.

  With `e_t = exp(-z_t)` and `1 / p = prod_t (1 + e_t)`, the logit is
  `-log(1 / p - 1)`, and its derivative by `z_t` is `(1 - p_t) / (1 - p)`.
  """
  powers = [fractions.Fraction(math.exp(-z)) for z in logits]
  product = math.prod(1 + e for e in powers)
  gradients = [e / (1 + e) / (1 - 1 / product) for e in powers]
  rest = product - 1
  return (math.log(rest.denominator) - math.log(rest.numerator),
          [float(g) for g in gradients])


def _product_logit(logits):
  """Returns the op's output on a list of arrays, and its gradients."""
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = [tf.constant(z, tf.float32) for z in logits]
    outputs = task_chains.product_logit(tensors)
    return session.run([outputs, tf.gradients(outputs, tensors)])


class ProductLogitTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_tasks=(2, 3, 5), shape=([6], [6, 1], [3, 2]))
  def test_matches_formula_and_its_gradients(self, num_tasks, shape):
    z = _RANDOM.normal(size=[num_tasks, *shape])
    def formula(z):
      p = np.prod(1 / (1 + np.exp(-z)), 0)
      return np.log(p) - np.log(1 - p)
    found, gradients = _product_logit(z)
    self.assertEqual(list(found.shape), shape)
    self.assertAllClose(found, formula(z), rtol=1e-5, atol=1e-5)
    self.assertAllClose(np.stack(gradients), numeric_gradient.of(
        lambda p: np.sum(formula(p)), z), rtol=1e-4, atol=1e-5)

  @parameterized.parameters(2, 3)
  def test_exact_up_to_logits_of_80(self, num_tasks):
    grid = list(itertools.product(_EXTREMES, repeat=num_tasks))
    expected, slopes = zip(*[_logit(*each) for each in grid])
    found, gradients = _product_logit(np.transpose(grid))
    self.assertAllClose(found, expected, rtol=1e-6, atol=1e-6)
    self.assertAllClose(np.transpose(gradients), slopes, rtol=1e-5, atol=1e-6)

  def test_a_sure_step_leaves_the_other_as_it_is(self):
    z = np.array([-80.0, -5.0, 0.0, 5.0, 20.0])
    for order in ([z, np.full(5, 80.0)], [np.full(5, 80.0), z]):
      found, _ = _product_logit(order)
      self.assertAllClose(found, z, rtol=1e-6, atol=1e-6)

  def test_order_does_not_matter(self):
    z = _RANDOM.normal(scale=10, size=[3, 40])
    one, by_one = _product_logit(z)
    other, by_other = _product_logit(z[[2, 0, 1]])
    self.assertAllClose(one, other, rtol=1e-6)
    self.assertAllClose(np.stack(by_one)[[2, 0, 1]], by_other, atol=1e-6)

  def test_never_above_any_of_them(self):
    z = _RANDOM.normal(scale=20, size=[3, 200])
    found, _ = _product_logit(z)
    self.assertAllLessEqual(found - np.min(z, 0), 1e-5)

  def test_finite_far_beyond(self):
    grid = list(itertools.product((-1e30, -1e4, 0.0, 1e4, 1e30), repeat=2))
    found, gradients = _product_logit(np.transpose(grid))
    self.assertAllInRange(found, -1e31, 1e31)
    self.assertAllInRange(np.stack(gradients), 0, 1)

  def test_equal_under_xla(self):
    z = _RANDOM.normal(scale=10, size=[3, 20])
    def op():
      inputs = [tf.constant(each, tf.float32) for each in z]
      outputs = task_chains.product_logit(inputs)
      return [outputs] + tf.gradients(outputs, inputs)
    with tf.Graph().as_default(), tf.Session() as session:
      for one, other in zip(*session.run(
          [op(), tf2.function(op, jit_compile=True)()])):
        self.assertAllClose(one, other, rtol=1e-5, atol=1e-5)

  @parameterized.parameters(0, 3)
  def test_unknown_batch_size(self, rows):
    with tf.Graph().as_default(), tf.Session() as session:
      z = tf.placeholder(tf.float32, [None, 1])
      outputs = task_chains.product_logit([z, z])
      self.assertEqual(outputs.shape.as_list(), [None, 1])
      self.assertAllClose(session.run(outputs, {z: np.zeros([rows, 1])}),
                          np.full([rows, 1], -np.log(3)))

  @parameterized.parameters(
      ([[5, 1]], "`logits` must hold 2 tensors or more, found 1"),
      ([[5, 1], [5]], r"`logits\[1\]` must have shape \[5, 1\], found \(5,\)"),
      ([[None, 1], [5, 1], [4, 1]],
       r"`logits\[2\]` must have shape \[5, 1\], found \(4, 1\)"))
  def test_bad_shape_is_refused(self, shapes, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      task_chains.product_logit([tf.placeholder(tf.float32, s)
                                 for s in shapes], "op")


def _attend(values, keys, queries):
  """One row at a time; each argument is `[U, B, D]`."""
  rows = []
  for b in range(values.shape[1]):
    scores = [keys[u, b] @ queries[u, b] / np.sqrt(values.shape[2])
              for u in range(len(values))]
    weights = np.exp(scores) / np.sum(np.exp(scores))
    rows.append(sum(w * v for w, v in zip(weights, values[:, b])))
  return np.stack(rows)


def _transfer(*arguments, upstream):
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = [tf.constant(each, tf.float32) for each in arguments]
    outputs = task_chains.transfer(*[tf.unstack(each) for each in tensors])
    return session.run([outputs, tf.gradients(
        outputs, tensors, tf.constant(upstream, tf.float32))])


class TransferTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1, 2, 3)
  def test_matches_formula_and_its_gradients(self, num_sources):
    arguments = _RANDOM.normal(size=[3, num_sources, 4, 5])
    upstream = _RANDOM.normal(size=[4, 5])
    found, gradients = _transfer(*arguments, upstream=upstream)
    self.assertAllClose(found, _attend(*arguments), rtol=1e-5, atol=1e-6)
    for i in range(3):
      def loss(p, i=i):
        return np.sum(upstream * _attend(*arguments[:i], p, *arguments[i + 1:]))
      self.assertAllClose(gradients[i], numeric_gradient.of(loss, arguments[i]),
                          rtol=1e-4, atol=1e-5)

  def test_one_source_is_handed_on(self):
    arguments = _RANDOM.normal(size=[3, 1, 4, 5])
    found, _ = _transfer(*arguments, upstream=np.ones([4, 5]))
    self.assertAllClose(found, arguments[0, 0], rtol=1e-6)

  def test_equal_scores_give_the_mean(self):
    values = _RANDOM.normal(size=[3, 4, 5])
    found, gradients = _transfer(values, np.zeros([3, 4, 5]),
                                 np.zeros([3, 4, 5]), upstream=np.ones([4, 5]))
    self.assertAllClose(found, np.mean(values, 0))
    self.assertAllClose(gradients[0], np.full([3, 4, 5], 1 / 3))
    self.assertAllEqual(gradients[1:], np.zeros([2, 3, 4, 5]))

  def test_large_scores_choose(self):
    values = _RANDOM.normal(size=[2, 4, 5])
    keys = np.stack([np.full([4, 5], 1e3), np.full([4, 5], -1e3)])
    found, gradients = _transfer(values, keys, np.full([2, 4, 5], 1e3),
                                 upstream=np.ones([4, 5]))
    self.assertAllClose(found, values[0])
    self.assertAllEqual(gradients[1:], np.zeros([2, 2, 4, 5]))

  @parameterized.parameters(0, 3)
  def test_unknown_batch_size(self, rows):
    with tf.Graph().as_default(), tf.Session() as session:
      x = tf.placeholder(tf.float32, [None, 5])
      outputs = task_chains.transfer([x, 3 * x], [x, x], [x, x])
      self.assertEqual(outputs.shape.as_list(), [None, 5])
      self.assertAllClose(session.run(outputs, {x: np.ones([rows, 5])}),
                          np.full([rows, 5], 2))

  @parameterized.parameters(
      ([], [], [], "`values` must hold 1 tensors or more, found 0"),
      ([[4, 5], [4, 6]], [[4, 5]] * 2, [[4, 5]] * 2,
       r"`values\[1\]` must have shape \[4, 5\], found \(4, 6\)"),
      ([[4]], [[4]], [[4]],
       r"`values` must have a known rank of 2 or more, found \(4,\)"),
      ([[4, 5, 6]], [[4, 5, 6]], [[4, 5, 6]],
       r"`values\[0\]` must have shape \[any, any\], found \(4, 5, 6\)"),
      ([[4, 5]] * 2, [[4, 5]], [[4, 5]] * 2,
       "`keys` must hold 2 tensors as `values` does, found 1"),
      ([[4, 5]], [[4, 5]], [[4, 5]] * 2,
       "`queries` must hold 1 tensors as `values` does, found 2"),
      ([[4, 5]] * 2, [[4, 5], [3, 5]], [[4, 5]] * 2,
       r"`keys\[1\]` must have shape \[4, 5\], found \(3, 5\)"),
      ([[None, 5]], [[4, 5]], [[4, 6]],
       r"`queries\[0\]` must have shape \[any, 5\], found \(4, 6\)"),
      ([[4, None]], [[4, 5]], [[4, 5]],
       r"`values` must have a known last dimension, found \(4, None\)"))
  def test_bad_shape_is_refused(self, values, keys, queries, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      task_chains.transfer(*[[tf.placeholder(tf.float32, s) for s in each]
                             for each in (values, keys, queries)], "op")


if __name__ == "__main__":
  absltest.main()
