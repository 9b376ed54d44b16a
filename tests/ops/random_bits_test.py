"""Tests of the random bits: a function of key and step, and nothing else."""

import hashlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import random_bits

_DRAWS = 1_000_000


def _run(build):
  """Builds a tensor in a graph of its own and returns its value."""
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(build())


def _bits(count=_DRAWS, key=1, step=0):
  return _run(lambda: random_bits.random_bits(count, key, step))


def _mask(shape, rate, key=1, step=0):
  return _run(lambda: random_bits.keep_mask(tf.zeros(shape), rate, key, step))


def _numpy_mix(bits):
  bits = np.uint32(bits)
  bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7feb352d)
  bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846ca68b)
  return bits ^ (bits >> np.uint32(16))


def _correlation(a, b):
  """Returns the correlation in units of its standard deviation."""
  a, b = a.astype(np.float64), b.astype(np.float64)
  return np.corrcoef(a, b)[0, 1] * np.sqrt(a.size)


class KeyOfTest(absltest.TestCase):

  def test_is_the_first_word_of_sha256(self):
    digest = hashlib.sha256(b"7/trunk/dropout").digest()
    expected = np.frombuffer(digest[:4], "<u4")[0]
    self.assertEqual(random_bits.key_of(7, "trunk/dropout"), expected)

  def test_differs_by_seed_and_name(self):
    keys = {random_bits.key_of(seed, name)
            for seed in range(30) for name in ("a", "b", "a/b", "1", "")}
    self.assertLen(keys, 150)


class HashCounterTest(parameterized.TestCase):

  @parameterized.parameters(0, 7, 2 ** 32 + 5)
  def test_formula(self, key):
    counter = np.array([[0, 1], [2 ** 31, 2 ** 32 + 3]])
    found = _run(lambda: random_bits.hash_counter(tf.constant(counter), key))
    low, high = counter % 2 ** 32, counter // 2 ** 32
    np.testing.assert_array_equal(found, _numpy_mix(
        _numpy_mix(np.uint32(low) + np.uint32(key % 2 ** 32))
        + np.uint32(high)))

  def test_several_keys_are_each_by_itself(self):
    keys = [3, 2 ** 32 - 1, 2 ** 40 + 9]
    together = _run(lambda: random_bits.hash_counter(tf.range(
        tf.constant(50, tf.int64)), keys))
    self.assertEqual(together.shape, (50, 3))
    for i, key in enumerate(keys):
      np.testing.assert_array_equal(together[:, i], _run(
          lambda k=key: random_bits.hash_counter(tf.range(
              tf.constant(50, tf.int64)), k)))


class RandomBitsTest(parameterized.TestCase):

  @parameterized.parameters(
      (0, 0), (1, 0), (0, 1), (2 ** 32 - 1, 7), (2 ** 35 + 3, 123_456_789),
      (5, 2 ** 31 + 1), (-4, 2))
  def test_matches_formula(self, key, step):
    with np.errstate(over="ignore"):
      start = _numpy_mix(
          _numpy_mix(step % 2 ** 32) + np.uint32(key % 2 ** 32))
      expected = _numpy_mix(np.arange(1000, dtype=np.uint32) + start)
    found = _run(lambda: random_bits.random_bits(
        1000, key, tf.constant(step, tf.int64)))
    self.assertEqual(found.dtype, np.uint32)
    np.testing.assert_array_equal(found, expected)

  @parameterized.parameters(0, 1, 7)
  def test_count_may_be_a_tensor(self, count):
    np.testing.assert_array_equal(
        _run(lambda: random_bits.random_bits(tf.constant(count), 1, 0)),
        _bits(count))

  @parameterized.parameters(tf.int32, tf.int64, tf.uint32)
  def test_step_may_be_of_any_integer_type(self, dtype):
    np.testing.assert_array_equal(
        _run(lambda: random_bits.random_bits(9, 1, tf.constant(5, dtype))),
        _bits(9, step=5))

  @parameterized.named_parameters(
      ("key", dict(key=2)), ("step", dict(step=1)), ("far_step",
                                                     dict(step=10 ** 9)))
  def test_others_draw_others(self, changed):
    # Two independent draws agree in about one of 2^32 numbers.
    self.assertLess((_bits() == _bits(**changed)).sum(), 10)

  @parameterized.parameters(0, 8, 16, 24)
  def test_bytes_are_uniform(self, shift):
    for key in (0, 1, random_bits.key_of(7, "trunk/dropout")):
      values = (_bits(key=key) >> np.uint32(shift)) & np.uint32(255)
      expected = _DRAWS / 256
      chi_square = np.sum((np.bincount(values, minlength=256) - expected) ** 2
                          / expected)
      # Chi square with 255 degrees of freedom, within 4.5 deviations.
      self.assertBetween(chi_square, 255 - 4.5 * 510 ** 0.5,
                         255 + 4.5 * 510 ** 0.5)

  def test_numbers_do_not_repeat(self):
    # The mix is a bijection of the counter.
    self.assertLen(np.unique(_bits()), _DRAWS)

  @parameterized.parameters(0, 1, 2, 1000, 10 ** 6)
  def test_consecutive_steps_are_uncorrelated(self, step):
    a, b = _bits(step=step), _bits(step=step + 1)
    self.assertLess(abs(_correlation(a, b)), 4)
    self.assertLess(abs(_correlation(a & np.uint32(1), b & np.uint32(1))), 4)

  def test_neighbours_are_uncorrelated(self):
    bits = _bits()
    for lag in (1, 2, 64, 1024):
      self.assertLess(abs(_correlation(bits[lag:], bits[:-lag])), 4)

  def test_steps_at_one_position_are_uncorrelated(self):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      bits = random_bits.random_bits(3, 1, step)
      by_step = np.stack([session.run(bits, {step: n}) for n in range(2000)])
    for position in range(3):
      column = by_step[:, position]
      self.assertLess(abs(_correlation(column[1:], column[:-1])), 4)

  def test_equal_under_xla(self):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      draw = lambda step: random_bits.random_bits(1001, 3, step)
      compiled = tf2.function(draw, jit_compile=True)
      for n in (0, 1, 2 ** 31 - 1, 2 ** 33 + 5):
        plain, xla = session.run([draw(step), compiled(step)], {step: n})
        np.testing.assert_array_equal(plain, xla)

  def test_bad_step_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"^random_bits: `step` must have shape \[\], found \(2,\)"):
      random_bits.random_bits(3, 1, tf.zeros([2], tf.int64))


class KeepMaskTest(parameterized.TestCase):

  @parameterized.parameters(0.0, 0.001, 0.1, 0.3, 0.5, 0.9, 0.999)
  def test_mean_is_the_rate(self, rate):
    for key, step in ((1, 0), (2, 0), (1, 1)):
      mask = _mask([_DRAWS], rate, key, step)
      self.assertContainsSubset(np.unique(mask), [0, 1])
      sigma = (rate * (1 - rate) / _DRAWS) ** 0.5
      # The rate itself is met to half of 1 / 65,536.
      self.assertAlmostEqual(1 - mask.mean(dtype=np.float64), rate,
                             delta=4 * sigma + 2 ** -17)

  @parameterized.parameters(0.99999, 0.999999, 1 - 1e-12)
  def test_rate_close_to_one_keeps_next_to_nothing(self, rate):
    self.assertLess(_mask([_DRAWS], rate).mean(dtype=np.float64), 1e-4)

  def test_both_halves_of_a_word_meet_the_rate(self):
    mask = _mask([_DRAWS], 0.3)
    sigma = (0.3 * 0.7 / (_DRAWS / 2)) ** 0.5
    for half in (mask[::2], mask[1::2]):
      self.assertAlmostEqual(half.mean(dtype=np.float64), 0.7, delta=4 * sigma)
    self.assertLess(abs(_correlation(mask[::2], mask[1::2])), 4)

  def test_is_a_function_of_key_and_step(self):
    mask = _mask([1000], 0.5, key=1, step=3)
    np.testing.assert_array_equal(mask, _mask([1000], 0.5, key=1, step=3))
    for key, step in ((2, 3), (1, 4), (3, 1)):
      agreement = (mask == _mask([1000], 0.5, key, step)).mean()
      self.assertBetween(agreement, 0.4, 0.6)

  @parameterized.parameters(0, 1, 5, 10 ** 5)
  def test_consecutive_steps_are_uncorrelated(self, step):
    for rate in (0.1, 0.5):
      self.assertLess(abs(_correlation(
          _mask([_DRAWS], rate, step=step),
          _mask([_DRAWS], rate, step=step + 1))), 4)

  @parameterized.parameters(
      ([],), ([0],), ([1],), ([2],), ([7],), ([3, 5],), ([2, 0, 4],),
      ([1, 3, 3],))
  def test_odd_sizes(self, shape):
    mask = _mask(shape, 0.5)
    self.assertEqual(mask.shape, tuple(shape))
    size = int(np.prod(shape))
    np.testing.assert_array_equal(mask.reshape(-1), _mask([100], 0.5)[:size])

  @parameterized.named_parameters(
      ("batch_size", [None, 3]), ("all_sizes", [None, None]), ("rank", None))
  def test_unknown_shape_draws_the_same(self, static_shape):
    with tf.Graph().as_default(), tf.Session() as session:
      like = tf.placeholder(tf.float32, static_shape)
      mask = random_bits.keep_mask(like, 0.5, 1, 0)
      self.assertTrue(mask.shape.is_compatible_with([5, 3]))
      found = session.run(mask, {like: np.zeros([5, 3])})
    np.testing.assert_array_equal(found, _mask([5, 3], 0.5))

  @parameterized.parameters(tf.float32, tf.float64, tf.bfloat16, tf.int32)
  def test_has_the_type_of_like(self, dtype):
    with tf.Graph().as_default(), tf.Session() as session:
      mask = random_bits.keep_mask(tf.zeros([9], dtype), 0.5, 1, 0)
      self.assertEqual(mask.dtype, dtype)
      np.testing.assert_array_equal(
          session.run(mask).astype(np.float32), _mask([9], 0.5))

  def test_does_not_depend_on_values_nor_sends_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      like = tf.random.uniform([50])
      mask = random_bits.keep_mask(like, 0.5, 1, 0)
      self.assertEqual(tf.gradients(mask, [like]), [None])
      np.testing.assert_array_equal(session.run(mask), _mask([50], 0.5))

  @parameterized.parameters(([7],), ([4, 33],))
  def test_equal_under_xla(self, shape):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      draw = lambda step: random_bits.keep_mask(tf.zeros(shape), 0.3, 3, step)
      compiled = tf2.function(draw, jit_compile=True)
      for n in (0, 1, 10 ** 6):
        plain, xla = session.run([draw(step), compiled(step)], {step: n})
        np.testing.assert_array_equal(plain, xla)

  @parameterized.parameters(-0.1, 1.0, 1.5, float("nan"))
  def test_bad_rate_is_refused(self, rate):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, "^keep_mask: `rate` must be at least 0 and below 1, "
        f"found {rate}.$"):
      random_bits.keep_mask(tf.zeros([3]), rate, 1, 0)


class StandardNormalTest(tf.test.TestCase):

  def test_moments_and_tails(self):
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run(random_bits.standard_normal(
          100000, 3, tf.constant(5))).astype(np.float64)
    # Each within five standard errors of what a standard normal has.
    self.assertAllClose(found.mean(), 0.0, atol=5 / 316)
    self.assertAllClose(found.var(), 1.0, atol=5 * 2 ** 0.5 / 316)
    self.assertAllClose((found ** 3).mean(), 0.0, atol=5 * 15 ** 0.5 / 316)
    self.assertAllClose((found ** 4).mean(), 3.0, atol=5 * 96 ** 0.5 / 316)
    self.assertAllClose((np.abs(found) > 1.96).mean(), 0.05, atol=0.0035)

  def test_neighbours_do_not_hang_together(self):
    with tf.Graph().as_default(), tf.Session() as session:
      draws = session.run([random_bits.standard_normal(10000, key, step)
                           for key, step in ((3, 5), (3, 6), (4, 5))])
    self.assertAllClose(np.corrcoef(draws), np.eye(3), atol=0.05)


if __name__ == "__main__":
  absltest.main()
