"""Tests of the layers that make an image smaller, or a vector of it."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.layers import pooling
from tests import numeric_gradient

# All different, so that no maximum is attained twice.
_INPUTS = (np.random.default_rng(0).permutation(120).reshape([2, 5, 4, 3])
           / 50 - 1).astype(np.float32)
_CASES = (
    ("size_is_stride", (2, 2), (2, 2)), ("overlap", (3, 2), (1, 1)),
    ("gaps", (1, 2), (3, 4)), ("all", (5, 4), (5, 4)), ("even", (2, 4), (2, 1)))


def _pool(x, size, strides, padding, reduce):
  """Computes the formula, window by window; beyond the image there is NaN."""
  if padding == "SAME":
    outer = [-(-n // s) for n, s in zip(x.shape[1:3], strides)]
    missing = [max((m - 1) * s + k - n, 0)
               for m, s, k, n in zip(outer, strides, size, x.shape[1:3])]
    x = np.pad(x, [(0, 0)] + [(m // 2, m - m // 2) for m in missing] + [(0, 0)],
               constant_values=np.nan)
  outer = [-(-(n - k + 1) // s)
           for n, s, k in zip(x.shape[1:3], strides, size)]
  return np.stack([np.stack([
      reduce(x[:, i * strides[0]:i * strides[0] + size[0],
               j * strides[1]:j * strides[1] + size[1]], axis=(1, 2))
      for j in range(outer[1])], 1) for i in range(outer[0])], 1)


def _value_and_gradient(layer, upstream=None):
  with tf.Graph().as_default(), tf.Session() as session:
    inputs = tf.constant(_INPUTS)
    outputs = layer(inputs)
    if upstream is None:
      upstream = np.random.default_rng(1).normal(size=outputs.shape)
    gradient, = tf.gradients(outputs, inputs, tf.constant(upstream, tf.float32))
    return *session.run([outputs, gradient]), upstream


class WindowsTest(parameterized.TestCase, tf.test.TestCase):

  def _check(self, layer, formula):
    found, gradient, upstream = _value_and_gradient(layer)
    x = _INPUTS.astype(np.float64)
    self.assertAllClose(found, formula(x), rtol=1e-6)
    self.assertAllClose(
        gradient, numeric_gradient.of(
            lambda point: np.sum(upstream * formula(point)), x),
        rtol=1e-5, atol=1e-5)

  @parameterized.product(case=_CASES, padding=("SAME", "VALID"))
  def test_max_pooling(self, case, padding):
    _, size, strides = case
    self._check(lambda x: pooling.max_pooling(x, size, strides, padding),
                lambda x: _pool(x, size, strides, padding, np.nanmax))

  @parameterized.product(case=_CASES, padding=("SAME", "VALID"))
  def test_average_pooling(self, case, padding):
    _, size, strides = case
    self._check(lambda x: pooling.average_pooling(x, size, strides, padding),
                lambda x: _pool(x, size, strides, padding, np.nanmean))

  def test_global_max_pooling(self):
    self._check(pooling.global_max_pooling, lambda x: x.max((1, 2)))

  def test_global_average_pooling(self):
    self._check(pooling.global_average_pooling, lambda x: x.mean((1, 2)))

  def test_flatten(self):
    self._check(pooling.flatten, lambda x: x.reshape([2, 60]))

  def test_max_pooling_of_negative_numbers_knows_no_zero_beyond(self):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = pooling.max_pooling(tf.fill([1, 3, 3, 1], -5.0), (2, 2), (2, 2),
                                    "SAME")
      self.assertAllEqual(session.run(outputs), np.full([1, 2, 2, 1], -5.0))

  def test_smaller_pixels_get_no_gradient(self):
    _, gradient, _ = _value_and_gradient(pooling.global_max_pooling,
                                         np.ones([2, 3]))
    self.assertAllEqual(gradient, _INPUTS == _INPUTS.max((1, 2), keepdims=True))

  def test_equal_pixels_share_the_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(np.float32([3, 1, 3, 2]).reshape([1, 2, 2, 1]))
      gradient, = tf.gradients(pooling.global_max_pooling(inputs), inputs)
      self.assertAllEqual(session.run(gradient)[0, :, :, 0],
                          [[0.5, 0], [0.5, 0]])


_LAYERS = (
    ("max", "max_pooling", [(2, 3), (2, 1), "SAME"], [3, 4, 3]),
    ("average", "average_pooling", [(2, 3), (2, 1), "SAME"], [3, 4, 3]),
    ("global_max", "global_max_pooling", [], [3]),
    ("global_average", "global_average_pooling", [], [3]),
    ("flatten", "flatten", [], [60]))


class EveryKindTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*_LAYERS)
  def test_unknown_batch_size(self, kind, arguments, shape):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.placeholder(tf.float32, [None, 5, 4, 3])
      outputs = getattr(pooling, kind)(inputs, *arguments)
      self.assertEqual(outputs.shape.as_list(), [None] + shape)
      self.assertEmpty(tf.global_variables())
      for size in (0, 2):
        self.assertEqual(session.run(outputs, {inputs: _INPUTS[:size]}).shape,
                         (size, *shape))

  @parameterized.named_parameters(*_LAYERS)
  def test_equal_under_xla(self, kind, arguments, shape):
    def layer():
      inputs = tf.constant(_INPUTS)
      outputs = getattr(pooling, kind)(inputs, *arguments)
      self.assertEqual(outputs.shape.as_list(), [2] + shape)
      return [outputs] + tf.gradients(tf.square(outputs), inputs)
    with tf.Graph().as_default(), tf.Session() as session:
      both = session.run([layer(), tf2.function(layer, jit_compile=True)()])
    for a, b in zip(*both):
      self.assertAllClose(a, b, rtol=1e-6)

  @parameterized.named_parameters(*_LAYERS)
  def test_vector_is_refused(self, kind, arguments, unused_shape):
    with tf.Graph().as_default():
      for shape, found in (([None, 3], r"\(None, 3\)"), (None, "<unknown>"),
                           ([2, 5, 4, None], r"\(2, 5, 4, None\)")):
        with self.assertRaisesRegex(
            ValueError, r"^layer: `inputs` must have shape \[any, .* C\] with "
            f".*C known, found {found}.$"):
          getattr(pooling, kind)(tf.placeholder(tf.float32, shape), *arguments,
                                 name="layer")

  @parameterized.parameters("max_pooling", "average_pooling")
  def test_bad_window_is_refused(self, kind):
    with tf.Graph().as_default():
      images = tf.placeholder(tf.float32, [None, 5, 4, 3])
      with self.assertRaisesRegex(
          ValueError, "^layer: `padding` must be SAME or VALID, found FULL"):
        getattr(pooling, kind)(images, (2, 2), (2, 2), "FULL", "layer")
      with self.assertRaisesRegex(
          ValueError, "^layer: `inputs` must have at least 6 x 2 pixels"):
        getattr(pooling, kind)(images, (6, 2), (2, 2), name="layer")

  def test_flatten_refuses_images_of_unknown_size(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"`inputs` must have shape \[any, H, W, C\] with H, W and C"
        r" known, found \(None, None, 4, 3\)"):
      pooling.flatten(tf.placeholder(tf.float32, [None, None, 4, 3]))


if __name__ == "__main__":
  absltest.main()
