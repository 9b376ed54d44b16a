"""Tests of initial values: a function of seed and name, and nothing else."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers


def _draw(initializer, shape, dtype=tf.float32):
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(initializer(shape, dtype))


def _glorot(shape, seed=1, name="trunk/dense/kernel", dtype=tf.float32):
  return _draw(initializers.glorot_uniform(seed, name), shape, dtype)


class GlorotUniformTest(parameterized.TestCase):

  @parameterized.parameters(([300, 200],), ([2, 500],), ([5, 5, 40, 60],))
  def test_is_uniform_within_the_limit(self, shape):
    limit = np.sqrt(6 / (shape[-2] + shape[-1]))
    values = _glorot(shape)
    size = values.size
    self.assertEqual(values.shape, tuple(shape))
    self.assertLessEqual(np.abs(values).max(), limit)
    self.assertGreater(np.abs(values).max(), limit * (1 - 20 / size))
    self.assertAlmostEqual(values.mean(), 0, delta=4 * limit / (3 * size) ** .5)
    # A uniform distribution has the variance limit^2 / 3, whose estimate has a
    # standard deviation of limit^2 * sqrt(4 / 45 / n).
    self.assertAlmostEqual(values.var(), limit ** 2 / 3,
                           delta=4 * limit ** 2 * (4 / 45 / size) ** .5)

  def test_depends_on_seed_and_name(self):
    value = _glorot([4, 3])
    np.testing.assert_array_equal(value, _glorot([4, 3]))
    for other in (_glorot([4, 3], seed=2), _glorot([4, 3], name="trunk/other"),
                  _glorot([4, 3], seed=2 ** 31 - 1)):
      self.assertLess((value == other).mean(), 0.1)

  def test_has_the_type_asked_for(self):
    self.assertEqual(_glorot([4, 3], dtype=tf.float64).dtype, np.float64)
    self.assertEqual(_glorot([4, 3]).dtype, np.float32)


class UniformTest(parameterized.TestCase):

  @parameterized.parameters(0.1, 2.0)
  def test_is_uniform_within_the_limit(self, limit):
    values = _draw(initializers.uniform(3, "embeddings", limit), [200, 100])
    self.assertBetween(np.abs(values).max(), 0.999 * limit, limit)
    self.assertAlmostEqual(values.mean(), 0, delta=4 * limit / 60_000 ** 0.5)

  def test_is_a_glorot_draw_up_to_scale(self):
    a = _draw(initializers.uniform(1, "w", 1.0), [3, 3])
    np.testing.assert_allclose(a, _glorot([3, 3], name="w"), rtol=1e-6)


class VariableTest(parameterized.TestCase):

  def _value(self, others, scope="", use_resource=True, graph_seed=None):
    """Returns the initial value of `scope/w` beside other variables."""
    with tf.Graph().as_default(), tf.Session() as session:
      tf.set_random_seed(graph_seed)
      for name in others:
        tf.get_variable(name, [7, 2], initializer=initializers.glorot_uniform(
            1, name))
      w = tf.get_variable(f"{scope}w", [5, 4], use_resource=use_resource,
                          initializer=initializers.glorot_uniform(1, "w"))
      session.run(tf.global_variables_initializer())
      return session.run(w)

  @parameterized.named_parameters(
      ("another_before", dict(others=["a"])),
      ("two_before", dict(others=["a", "b/c"])),
      ("reference_variable", dict(others=[], use_resource=False)),
      ("graph_seed", dict(others=[], graph_seed=99)))
  def test_nothing_else_matters_to_the_bit(self, kwargs):
    np.testing.assert_array_equal(self._value([]), self._value(**kwargs))


if __name__ == "__main__":
  absltest.main()
