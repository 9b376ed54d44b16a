"""Tests of initial values: a function of seed and name, and nothing else."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import stats
import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers
from mtl_graph.ops import random_bits

_SHAPES = ([300, 200], [2, 5000], [3, 5, 40, 60])
_SCALED = {  # Kind to the variance times a fan, and which fan that is.
    "glorot_uniform": (1, "mean"), "glorot_normal": (1, "mean"),
    "he_uniform": (2, "in"), "he_normal": (2, "in"),
    "lecun_uniform": (1, "in"), "lecun_normal": (1, "in"),
}


def _draw(initializer, shape, dtype=tf.float32):
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(initializer(shape, dtype))


def _glorot(shape, seed=1, name="trunk/dense/kernel", dtype=tf.float32):
  return _draw(initializers.glorot_uniform(seed, name), shape, dtype)


def _variance(kind, shape):
  window = np.prod(shape[:-2], dtype=np.float64)
  fans = {"in": window * shape[-2],
          "mean": window * (shape[-2] + shape[-1]) / 2}
  scale, fan = _SCALED[kind]
  return scale / fans[fan]


def _make(kind, seed=1, name="w"):
  """Makes an initializer of any kind."""
  arguments = {"uniform": [0.5], "normal": [0.5], "truncated_normal": [0.5],
               "constant": [0.5], "orthogonal": [0.5], "identity": [0.5]}
  return getattr(initializers, kind)(seed, name, *arguments.get(kind, []))


class ScaledTest(parameterized.TestCase):

  @parameterized.product(kind=sorted(_SCALED), shape=_SHAPES)
  def test_has_the_distribution_and_the_variance(self, kind, shape):
    values = _draw(_make(kind), shape)
    self.assertEqual(values.shape, tuple(shape))
    deviation = np.sqrt(_variance(kind, shape))
    if kind.endswith("uniform"):
      expected = stats.uniform(-np.sqrt(3) * deviation,
                               2 * np.sqrt(3) * deviation)
    else:
      # Its own deviation is that after the cut.
      expected = stats.truncnorm(-2, 2, scale=deviation / stats.truncnorm.std(
          -2, 2))
    self.assertGreater(stats.kstest(values.ravel(), expected.cdf).pvalue, 1e-3)
    low, high = expected.support()
    self.assertBetween(values.min(), low * 1.000001, 0.99 * low)
    self.assertBetween(values.max(), 0.99 * high, high * 1.000001)
    # The standard error of a variance is at most that of a normal sample's.
    self.assertAlmostEqual(values.var(dtype=np.float64) / deviation ** 2, 1,
                           delta=4 * (2 / values.size) ** 0.5)

  @parameterized.product(kind=sorted(_SCALED) + ["orthogonal", "identity"],
                         shape=([], [3]))
  def test_bad_shape_is_refused(self, kind, shape):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"^a/w: `shape` must have at least two dimensions, found "
        rf"\[{'3' if shape else ''}\].$"):
      _make(kind, name="a/w")(shape)


class GlorotUniformTest(parameterized.TestCase):

  def test_has_the_bits_it_always_had(self):
    # Runs are repeated under later versions; these are of the first.
    np.testing.assert_array_equal(
        _glorot([4, 5], seed=3)[0].view(np.uint32),
        np.uint32([3207535968, 3208470122, 1057003084, 3193683916, 1061962648]))

  @parameterized.parameters(([4, 3],), ([3, 3, 4, 2],))
  def test_is_tensorflow_s_stateless_draw(self, shape):
    limit = (6 / (np.prod(shape[:-2]) * sum(shape[-2:]))) ** 0.5
    with tf.Graph().as_default(), tf.Session() as session:
      key = random_bits.key_of(1, "trunk/dense/kernel") & 0x7fffffff
      expected = session.run(tf.random.stateless_uniform(
          shape, [1, key], -limit, limit))
    np.testing.assert_array_equal(_glorot(shape), expected)


class GivenTest(parameterized.TestCase):

  @parameterized.parameters(0.1, 2.0)
  def test_uniform_is_within_the_limit(self, limit):
    values = _draw(initializers.uniform(3, "embeddings", limit), [200, 100])
    self.assertBetween(np.abs(values).max(), 0.999 * limit, limit)
    self.assertAlmostEqual(values.mean(), 0, delta=4 * limit / 60_000 ** 0.5)

  def test_uniform_is_a_glorot_draw_up_to_scale(self):
    a = _draw(initializers.uniform(1, "w", 1.0), [3, 3])
    np.testing.assert_allclose(a, _glorot([3, 3], name="w"), rtol=1e-6)

  @parameterized.parameters(0.1, 2.0)
  def test_normal_has_the_deviation(self, deviation):
    values = _draw(initializers.normal(3, "w", deviation), [200, 100])
    self.assertGreater(stats.kstest(
        values.ravel(), stats.norm(scale=deviation).cdf).pvalue, 1e-3)
    self.assertGreater(np.abs(values).max(), 3 * deviation)

  @parameterized.parameters(0.1, 2.0)
  def test_truncated_normal_has_the_deviation_before_the_cut(self, deviation):
    values = _draw(initializers.truncated_normal(3, "w", deviation), [200, 100])
    self.assertGreater(stats.kstest(
        values.ravel(),
        stats.truncnorm(-2, 2, scale=deviation).cdf).pvalue, 1e-3)
    self.assertBetween(np.abs(values).max(), 1.99 * deviation, 2 * deviation)

  @parameterized.parameters(([],), ([3],), ([2, 3],), ([0, 2],))
  def test_constant_is_one_number(self, shape):
    np.testing.assert_array_equal(
        _draw(initializers.constant(1, "w", -0.7), shape),
        np.full(shape, np.float32(-0.7)))


class OrthogonalTest(parameterized.TestCase):

  @parameterized.parameters(([7, 4],), ([4, 7],), ([5, 5],), ([1, 3],),
                            ([2, 3, 4, 5],), ([1, 1, 2, 5],))
  def test_rows_or_columns_are_orthonormal_times_gain(self, shape):
    values = _draw(initializers.orthogonal(1, "w", 1.5), shape)
    self.assertEqual(values.shape, tuple(shape))
    matrix = values.reshape([-1, shape[-1]]).astype(np.float64)
    if len(matrix) < shape[-1]:
      matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix,
                               2.25 * np.eye(matrix.shape[1]), atol=1e-5)

  def test_is_the_one_factor_whose_signs_are_fixed(self):
    with tf.Graph().as_default(), tf.Session() as session:
      key = random_bits.key_of(1, "w") & 0x7fffffff
      normal = session.run(tf.random.stateless_normal([6, 6], [1, key]))
    upper = _draw(initializers.orthogonal(1, "w", 1.0), [6, 6]).T @ normal
    np.testing.assert_allclose(np.tril(upper, -1), np.zeros([6, 6]), atol=1e-5)
    self.assertGreater(np.diag(upper).min(), 0)

  def test_all_directions_are_equally_probable(self):
    # Without the signs, the first entry would be of one sign throughout.
    with tf.Graph().as_default(), tf.Session() as session:
      values = session.run([
          initializers.orthogonal(1, f"w{i}", 1.0)([2, 2]) for i in range(100)])
    angles = [np.arctan2(v[1, 0], v[0, 0]) for v in values]
    self.assertGreater(stats.kstest(
        angles, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue, 1e-3)


class IdentityTest(parameterized.TestCase):

  @parameterized.parameters(([3, 3],), ([4, 2],), ([2, 4],))
  def test_is_the_matrix_times_gain(self, shape):
    np.testing.assert_array_equal(
        _draw(initializers.identity(1, "w", -2.0), shape), -2 * np.eye(*shape))

  @parameterized.parameters(([1, 1],), ([3, 3],), ([2, 4],), ([5, 2],))
  def test_convolution_passes_pixels_on(self, window):
    images = np.random.default_rng(0).normal(size=[2, 4, 5, 3])
    with tf.Graph().as_default(), tf.Session() as session:
      kernel = initializers.identity(1, "w", 3.0)(window + [3, 3], tf.float64)
      found = session.run(tf.nn.conv2d(tf.constant(images), kernel, 1, "SAME"))
    np.testing.assert_array_equal(found, 3 * images)


class EveryKindTest(parameterized.TestCase):

  @parameterized.parameters(*_SCALED, "uniform", "normal", "truncated_normal",
                            "orthogonal")
  def test_depends_on_seed_and_name(self, kind):
    value = _draw(_make(kind), [4, 3])
    np.testing.assert_array_equal(value, _draw(_make(kind), [4, 3]))
    for other in (dict(seed=2), dict(name="v"), dict(seed=2 ** 31 - 1)):
      self.assertLess(
          (value == _draw(_make(kind, **other), [4, 3])).mean(), 0.1)

  @parameterized.parameters("constant", "identity")
  def test_depends_on_neither(self, kind):
    np.testing.assert_array_equal(
        _draw(_make(kind), [4, 3]), _draw(_make(kind, 2, "v"), [4, 3]))

  @parameterized.parameters(*_SCALED, "uniform", "normal", "truncated_normal",
                            "constant", "orthogonal", "identity")
  def test_has_the_type_asked_for(self, kind):
    self.assertEqual(_draw(_make(kind), [4, 3], tf.float64).dtype, np.float64)
    with tf.Graph().as_default():
      self.assertEqual(_make(kind)([4, 3]).dtype, tf.float32)

  @parameterized.parameters(*_SCALED, "uniform", "normal", "truncated_normal",
                            "constant", "orthogonal", "identity")
  def test_is_what_a_variable_starts_with(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      w = tf.get_variable("w", [4, 3], initializer=_make(kind))
      session.run(tf.global_variables_initializer())
      np.testing.assert_array_equal(session.run(w), _draw(_make(kind), [4, 3]))


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


class PartTest(parameterized.TestCase):

  @parameterized.parameters(
      *sorted(_SCALED), "uniform", "normal", "truncated_normal", "constant",
      "orthogonal", "identity")
  def test_a_part_starts_as_its_rows_of_the_whole(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      whole, parts = [tf.get_variable(
          name, [23, 7], initializer=_make(kind), partitioner=partitioner)
                      for name, partitioner in (
                          ("whole", None), ("parts", lambda **unused: [3, 1]))]
      session.run(tf.global_variables_initializer())
      np.testing.assert_array_equal(
          np.concatenate(session.run(list(parts))), session.run(whole))


if __name__ == "__main__":
  absltest.main()
