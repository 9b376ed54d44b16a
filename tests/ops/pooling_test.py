"""Tests of the ways to make one vector of several."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import pooling
from tests import numeric_gradient

_RANDOM = np.random.default_rng(0)
_VECTORS = _RANDOM.normal(size=[5, 3, 4]).astype(np.float32)
_WEIGHTS = np.float32([[1, 1, 1], [2, 0.5, 0], [0, 0, 0], [0, 3, 0],
                       [0.1, 0.2, 7]])
_COMBINERS = (("mean", "mean"), ("sum", "sum"), ("sqrtn", "sqrtn"))


def _formula(combiner, vectors, weights):
  results = []
  for e, w in zip(vectors, weights):
    total = sum(w[i] * e[i] for i in range(len(e)))
    divisor = {"mean": np.sum(w), "sum": 1.0,
               "sqrtn": np.sqrt(np.sum(w ** 2))}[combiner]
    results.append(total / divisor if np.any(w) else 0 * e[0])
  return np.stack(results)


def _max_formula(vectors, present):
  return np.stack([e[p].max(0) if p.any() else 0 * e[0]
                   for e, p in zip(vectors, present)])


class CombineTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*_COMBINERS)
  def test_matches_formula_and_its_gradients(self, combiner):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [tf.constant(_VECTORS), tf.constant(_WEIGHTS)]
      outputs = pooling.combine(*inputs, combiner)
      upstream = _RANDOM.normal(size=[5, 4])
      found, *gradients = session.run([outputs, *tf.gradients(
          outputs, inputs, tf.constant(upstream, tf.float32))])
    e, w = _VECTORS.astype(np.float64), _WEIGHTS.astype(np.float64)
    self.assertAllClose(found, _formula(combiner, e, w), rtol=1e-5)
    self.assertAllClose(
        gradients[0], numeric_gradient.of(
            lambda p: np.sum(upstream * _formula(combiner, p, w)), e),
        rtol=1e-5, atol=1e-6)
    # The row without any weight aside: a weight is no small change there.
    rows = [0, 1, 3, 4]
    self.assertAllClose(
        gradients[1][rows], numeric_gradient.of(
            lambda p: np.sum(upstream[rows] * _formula(combiner, e[rows], p)),
            w[rows]), rtol=1e-4, atol=1e-5)

  @parameterized.product(combiner=("mean", "sqrtn"), weight=(0.0, -0.0))
  def test_row_without_any_gives_zeros_and_gets_no_gradient(
      self, combiner, weight):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [tf.constant(_VECTORS), tf.fill([5, 3], weight)]
      outputs = pooling.combine(*inputs, combiner)
      for found in session.run([outputs, *tf.gradients(outputs, inputs)]):
        self.assertAllEqual(found, np.zeros(found.shape))

  def test_sum_of_none_is_zero_and_its_vectors_get_no_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = tf.constant(_VECTORS)
      outputs = pooling.combine(vectors, tf.zeros([5, 3]), "sum")
      self.assertAllEqual(session.run(outputs), np.zeros([5, 4]))
      self.assertAllEqual(session.run(tf.gradients(outputs, vectors)[0]),
                          np.zeros([5, 3, 4]))

  def test_mean_of_weights_that_cancel_out_is_zero(self):
    with tf.Graph().as_default(), tf.Session() as session:
      weights = tf.constant([[1.0, -1.0, 0.0]] * 5)
      outputs = pooling.combine(tf.constant(_VECTORS), weights, "mean")
      self.assertAllEqual(session.run(outputs), np.zeros([5, 4]))
      self.assertAllEqual(session.run(tf.gradients(outputs, weights)[0]),
                          np.zeros([5, 3]))

  @parameterized.named_parameters(*_COMBINERS)
  def test_one_vector_of_weight_one_stays_as_it_is_to_the_bit(self, combiner):
    with tf.Graph().as_default(), tf.Session() as session:
      weights = tf.one_hot([0, 1, 2, 1, 0], 3)
      outputs = pooling.combine(tf.constant(_VECTORS), weights, combiner)
      self.assertAllEqual(session.run(outputs),
                          _VECTORS[np.arange(5), [0, 1, 2, 1, 0]])

  @parameterized.named_parameters(*_COMBINERS)
  def test_order_does_not_matter(self, combiner):
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run([
          pooling.combine(tf.constant(_VECTORS[:, order]),
                          tf.constant(_WEIGHTS[:, order]), combiner)
          for order in ([0, 1, 2], [2, 0, 1])])
    self.assertAllClose(*found, rtol=1e-6)

  @parameterized.named_parameters(*_COMBINERS)
  def test_equal_under_xla(self, combiner):
    def op():
      inputs = [tf.constant(_VECTORS), tf.constant(_WEIGHTS)]
      outputs = pooling.combine(*inputs, combiner)
      return [outputs] + tf.gradients(tf.square(outputs), inputs)
    with tf.Graph().as_default(), tf.Session() as session:
      for a, b in zip(*session.run(
          [op(), tf2.function(op, jit_compile=True)()])):
        self.assertAllClose(a, b, rtol=1e-5, atol=1e-6)

  @parameterized.named_parameters(*_COMBINERS)
  def test_unknown_sizes(self, combiner):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = tf.placeholder(tf.float32, [None, None, 4])
      weights = tf.placeholder(tf.float32, [None, None])
      outputs = pooling.combine(vectors, weights, combiner)
      self.assertEqual(outputs.shape.as_list(), [None, 4])
      for b, l in ((0, 3), (5, 0), (5, 3)):
        self.assertAllClose(
            session.run(outputs, {vectors: _VECTORS[:b, :l],
                                  weights: _WEIGHTS[:b, :l]}),
            _formula(combiner, _VECTORS, _WEIGHTS) if (b, l) == (5, 3)
            else np.zeros([b, 4]), rtol=1e-5)

  @parameterized.parameters(
      ([5, 3], [5, 3], "mean", r"`vectors` must have shape \[any, any, any\], "
       r"found \(5, 3\)"),
      ([5, 3, 4], [5, 2], "sum", r"`weights` must have shape \[5, 3\], found "
       r"\(5, 2\)"),
      ([None, 3, 4], [5, 3, 1], "sum", r"`weights` must have shape \[any, 3\], "
       r"found \(5, 3, 1\)"),
      ([5, 3, 4], [5, 3], "max", "`combiner` must be one of mean, sum, sqrtn, "
       "found max"))
  def test_bad_argument_is_refused(self, vectors, weights, combiner, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      pooling.combine(tf.placeholder(tf.float32, vectors),
                      tf.placeholder(tf.float32, weights), combiner, "op")


class CombineMaxTest(parameterized.TestCase, tf.test.TestCase):

  def test_matches_formula_and_its_gradient(self):
    present = _WEIGHTS > 0
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = tf.constant(_VECTORS)
      outputs = pooling.combine_max(vectors, tf.constant(present))
      upstream = _RANDOM.normal(size=[5, 4])
      found, gradient = session.run([outputs, tf.gradients(
          outputs, vectors, tf.constant(upstream, tf.float32))[0]])
    self.assertAllEqual(found, _max_formula(_VECTORS, present))
    self.assertAllClose(
        gradient, numeric_gradient.of(
            lambda p: np.sum(upstream * _max_formula(p, present)), _VECTORS),
        rtol=1e-5, atol=1e-6)

  def test_absent_ones_count_for_nothing_whatever_they_hold(self):
    absent = np.array([[1e30, np.inf, np.nan, -np.inf]] * 5, np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = tf.stack([tf.constant(-np.abs(_VECTORS[:, 0])),
                          tf.constant(absent)], 1)
      outputs = pooling.combine_max(vectors, tf.constant([[True, False]] * 5))
      self.assertAllEqual(session.run(outputs), -np.abs(_VECTORS[:, 0]))
      self.assertAllEqual(session.run(tf.gradients(outputs, vectors)[0]),
                          [[[1] * 4, [0] * 4]] * 5)

  def test_row_without_any_gives_zeros_and_gets_no_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = tf.constant(_VECTORS)
      outputs = pooling.combine_max(vectors, tf.fill([5, 3], False))
      self.assertAllEqual(session.run(outputs), np.zeros([5, 4]))
      self.assertAllEqual(session.run(tf.gradients(outputs, vectors)[0]),
                          np.zeros([5, 3, 4]))

  def test_equal_ones_share_the_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = tf.constant([[[2.0], [1.0], [2.0], [2.0]]])
      outputs = pooling.combine_max(vectors,
                                    tf.constant([[True, True, True, False]]))
      self.assertAllEqual(session.run(tf.gradients(outputs, vectors)[0]),
                          [[[0.5], [0], [0.5], [0]]])

  def test_equal_under_xla(self):
    def op():
      vectors = tf.constant(_VECTORS)
      outputs = pooling.combine_max(vectors, tf.constant(_WEIGHTS > 0))
      return [outputs] + tf.gradients(tf.square(outputs), vectors)
    with tf.Graph().as_default(), tf.Session() as session:
      for a, b in zip(*session.run(
          [op(), tf2.function(op, jit_compile=True)()])):
        self.assertAllEqual(a, b)

  def test_unknown_sizes(self):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = tf.placeholder(tf.float32, [None, None, 4])
      present = tf.placeholder(tf.bool, [None, None])
      outputs = pooling.combine_max(vectors, present)
      self.assertEqual(outputs.shape.as_list(), [None, 4])
      for b, l in ((0, 3), (5, 0), (5, 3)):
        self.assertAllEqual(
            session.run(outputs, {vectors: _VECTORS[:b, :l],
                                  present: _WEIGHTS[:b, :l] > 0}),
            _max_formula(_VECTORS, _WEIGHTS > 0) if (b, l) == (5, 3)
            else np.zeros([b, 4]))

  @parameterized.parameters(
      ([5, 3], [5, 3], r"`vectors` must have shape \[any, any, any\], found "
       r"\(5, 3\)"),
      ([5, 3, 4], [5, 2], r"`present` must have shape \[5, 3\], found "
       r"\(5, 2\)"))
  def test_bad_shape_is_refused(self, vectors, present, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      pooling.combine_max(tf.placeholder(tf.float32, vectors),
                          tf.placeholder(tf.bool, present), "op")


if __name__ == "__main__":
  absltest.main()
