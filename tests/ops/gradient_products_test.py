"""Tests of Gramians, cosines and weighted sums of task gradients."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_products

# Shapes of four variables, and which of three tasks reach each.
_SHAPES = ([3, 4], [5], [], [2, 2, 2])
_REACHED = ([0, 1, 2], [0, 2], [], [1])


def _gradients(seed=0):
  """Returns gradients by task and variable, None where there is none."""
  random = np.random.default_rng(seed)
  return [[np.float32(random.normal(size=shape)) if task in reached else None
           for shape, reached in zip(_SHAPES, _REACHED)] for task in range(3)]


def _jacobian(gradients):
  """Returns the gradients in one matrix, zeros where there is none."""
  return np.stack([np.concatenate([
      np.zeros(np.prod(shape, dtype=int)) if each is None else each.ravel()
      for each, shape in zip(row, _SHAPES)]) for row in gradients])


def _constants(gradients):
  return [[None if each is None else tf.constant(each) for each in row]
          for row in gradients]


class GramianTest(parameterized.TestCase, tf.test.TestCase):

  def test_of_a_jacobian(self):
    jacobian = np.float32([[1, 2, 0], [0, -1, 3]])
    with tf.Graph().as_default(), tf.Session() as session:
      self.assertAllEqual(session.run(gradient_products.gramian(
          tf.constant(jacobian))), [[5, -2], [-2, 10]])

  @parameterized.parameters(0, 7, 1000)
  def test_of_lists_is_that_of_the_jacobian(self, max_stacked):
    gradients = _gradients()
    jacobian = _jacobian(gradients)
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run(gradient_products.gramian_of(
          _constants(gradients), max_stacked))
    self.assertAllClose(found, jacobian @ jacobian.T, rtol=1e-5)

  @parameterized.parameters((12, True), (11, False))
  def test_only_small_gradients_are_stacked(self, max_stacked, stacked):
    with tf.Graph().as_default() as graph:
      gradients = [[tf.placeholder(tf.float32, [3, 4])] for _ in range(2)]
      gradient_products.gramian_of(gradients, max_stacked)
      large = [op.name for op in graph.get_operations() if op.type == "Pack"
               and op.outputs[0].shape.num_elements() == 24]
    self.assertEqual(len(large), int(stacked))

  def test_unknown_size_and_rows_of_a_table(self):
    rows = tf.IndexedSlices
    with tf.Graph().as_default(), tf.Session() as session:
      vector = tf.placeholder(tf.float32, [None])
      table = rows(tf.constant([[1.0, 2.0]]), tf.constant([1]),
                   tf.constant([3, 2]))
      gramian = gradient_products.gramian_of([[vector, table],
                                              [2 * vector, None]])
      combined = gradient_products.combine(
          tf.constant([2.0, -1.0]), [[vector, table], [2 * vector, None]])
      gramian, combined = session.run([gramian, combined],
                                      {vector: [3.0, 4.0]})
    self.assertAllClose(gramian, [[30, 50], [50, 100]])
    self.assertAllClose(combined[0], [0, 0])
    self.assertAllClose(combined[1], [[0, 0], [2, 4], [0, 0]])

  def test_no_variable_reached(self):
    with tf.Graph().as_default(), tf.Session() as session:
      self.assertAllEqual(
          session.run(gradient_products.gramian_of([[None], [None]])),
          np.zeros([2, 2]))

  def test_combine_is_the_weighted_sum(self):
    gradients, weights = _gradients(), np.float32([0.5, -2, 3])
    with tf.Graph().as_default(), tf.Session() as session:
      factors = tf.constant(weights)
      combined = gradient_products.combine(factors, _constants(gradients))
      self.assertIsNone(combined[2])
      self.assertEqual(tf.gradients(combined[0], factors), [None])
      found = session.run([each for each in combined if each is not None])
    for v, each in zip((0, 1, 3), found):
      self.assertAllClose(each, sum(
          weight * row[v] for weight, row in zip(weights, gradients)
          if row[v] is not None), rtol=1e-6)

  @parameterized.parameters(
      ([], "must hold a list per task, found none"),
      ([[[1.0]], []], r"must hold lists of one length, found \[1, 0\]"),
      ([[[1.0]], [[1.0, 2.0]]], r"`gradients\[:\]\[0\]\[1\]` must have shape "
       r"\[1\], found \(2,\)"))
  def test_lists_that_do_not_fit(self, gradients, message):
    with tf.Graph().as_default():
      gradients = [[tf.constant(each) for each in row] for row in gradients]
      for op in (gradient_products.gramian_of,
                 lambda lists: gradient_products.combine(tf.ones([2]), lists)):
        with self.assertRaisesRegex(ValueError, message):
          op(gradients)


class CosinesTest(parameterized.TestCase, tf.test.TestCase):

  def test_lengths_and_cosines(self):
    # Rounding has made the second pair longer than its product allows.
    gramian = np.float32([[4, 0, -2.0001], [0, 0, 0], [-2.0001, 0, 1]])
    with tf.Graph().as_default(), tf.Session() as session:
      of = session.run(gradient_products.cosines(tf.constant(gramian)))
    self.assertAllEqual(of.norms, [2, 0, 1])
    self.assertAllEqual(of.inverse_norms, [0.5, 0, 1])
    self.assertAllEqual(of.cosines, [[1, 0, -1], [0, 1, 0], [-1, 0, 1]])
    self.assertAllEqual(of.present, [1, 0, 1])
    self.assertEqual(of.cosines.dtype, np.float64)

  def test_lengths_a_million_times_apart(self):
    gramian = np.float32([[1e12, 0.5], [0.5, 1e-12]])
    with tf.Graph().as_default(), tf.Session() as session:
      of = session.run(gradient_products.cosines(tf.constant(gramian)))
    self.assertAllClose(of.cosines, [[1, 0.5], [0.5, 1]], rtol=1e-6)

  @parameterized.parameters(([2, 3],), ([None, None],), ([0, 0],), ([4],))
  def test_bad_shape(self, shape):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, "cosines: `gramian` must have shape"):
      gradient_products.cosines(tf.placeholder(tf.float32, shape))


if __name__ == "__main__":
  absltest.main()
