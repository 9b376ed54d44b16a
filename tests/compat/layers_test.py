"""Tests of compat.layers against formulas, and of what it refuses."""

import copy

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context

from mtl_graph import compat
from mtl_graph.compat import layers

_RANDOM = np.random.default_rng(0)
_MATRIX = _RANDOM.normal(size=[6, 4])
_IMAGES = _RANDOM.normal(size=[2, 6, 5, 3])


def _windows(images, size, strides):
  """Yields each place of the output and its window, unpadded."""
  for i in range((images.shape[1] - size[0]) // strides[0] + 1):
    for j in range((images.shape[2] - size[1]) // strides[1] + 1):
      top, left = i * strides[0], j * strides[1]
      yield i, j, images[:, top:top + size[0], left:left + size[1]]


class FormulaTest(parameterized.TestCase, tf.test.TestCase):
  """In double precision, against numpy."""

  def _run(self, build, inputs):
    """Returns the outputs and the variables by name, all of them random."""
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = build(tf.constant(inputs))
      session.run(tf.global_variables_initializer())
      random = np.random.default_rng(1)
      for v in tf.global_variables():
        v.load(np.abs(random.normal(size=v.shape)), session)
      return session.run([outputs, {v.op.name: v
                                    for v in tf.global_variables()}])

  def test_dense(self):
    found, v = self._run(lambda x: layers.dense(x, 3, tf.nn.softplus), _MATRIX)
    self.assertAllClose(found, np.log1p(np.exp(
        _MATRIX @ v["dense/kernel"] + v["dense/bias"])), atol=1e-12, rtol=1e-12)

  def test_conv2d(self):
    found, v = self._run(lambda x: layers.conv2d(x, 4, (3, 2), (1, 2)), _IMAGES)
    expected = np.zeros([2, 4, 2, 4])
    for i, j, window in _windows(_IMAGES, (3, 2), (1, 2)):
      expected[:, i, j] = np.einsum(
          "bhwc,hwcd->bd", window, v["conv2d/kernel"]) + v["conv2d/bias"]
    self.assertAllClose(found, expected, atol=1e-12, rtol=1e-12)

  def test_conv2d_transpose_is_the_gradient_of_a_convolution(self):
    found, v = self._run(
        lambda x: layers.conv2d_transpose(x, 2, (3, 2), 2, use_bias=False),
        _IMAGES)
    expected = np.zeros([2, 13, 10, 2])
    for i in range(6):
      for j in range(5):
        expected[:, 2 * i:2 * i + 3, 2 * j:2 * j + 2] += np.einsum(
            "bc,hwdc->bhwd", _IMAGES[:, i, j], v["conv2d_transpose/kernel"])
    self.assertAllClose(found, expected, atol=1e-12, rtol=1e-12)

  def test_separable_conv2d(self):
    found, v = self._run(
        lambda x: layers.separable_conv2d(x, 4, 2, depth_multiplier=2,
                                          name="s"), _IMAGES)
    expected = np.zeros([2, 5, 4, 4])
    for i, j, window in _windows(_IMAGES, (2, 2), (1, 1)):
      deep = np.einsum("bhwc,hwcm->bcm", window, v["s/depthwise_kernel"])
      expected[:, i, j] = (deep.reshape([2, 6]) @ v["s/pointwise_kernel"][0, 0]
                           + v["s/bias"])
    self.assertAllClose(found, expected, atol=1e-12, rtol=1e-12)

  @parameterized.parameters("max", "mean")
  def test_pooling(self, kind):
    pool = {"max": layers.max_pooling2d, "mean": layers.average_pooling2d}[kind]
    found, _ = self._run(lambda x: pool(x, (3, 2), 2), _IMAGES)
    expected = np.zeros([2, 2, 2, 3])
    for i, j, window in _windows(_IMAGES, (3, 2), (2, 2)):
      expected[:, i, j] = getattr(np, kind)(window, axis=(1, 2))
    self.assertAllClose(found, expected, atol=1e-12, rtol=1e-12)

  def test_batch_normalization(self):
    found, v = self._run(lambda x: layers.batch_normalization(
        x, training=True, epsilon=0.01, name="n"), _MATRIX)
    self.assertAllClose(
        found, v["n/gamma"] * (_MATRIX - _MATRIX.mean(0)) / np.sqrt(
            _MATRIX.var(0) + 0.01) + v["n/beta"], atol=1e-12, rtol=1e-12)

  @parameterized.parameters((None, np.float64, 0), (False, np.float32, 0),
                            (None, np.float32, 1))
  def test_batch_normalization_moves_averages(self, fused, kind, ddof):
    with tf.Graph().as_default(), tf.Session() as session:
      layers.batch_normalization(tf.constant(_IMAGES.astype(kind)), name="n",
                                 training=True, momentum=0.9, fused=fused)
      session.run(tf.global_variables_initializer())
      session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
      mean, variance = session.run([
          v for v in tf.global_variables() if "moving" in v.name])
    self.assertAllClose(mean, 0.1 * _IMAGES.mean((0, 1, 2)))
    # The fused op's variance is the unbiased one.
    self.assertAllClose(variance, 0.9 + 0.1 * _IMAGES.var((0, 1, 2), ddof=ddof))

  def test_dropout(self):
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run(layers.dropout(tf.ones([100, 100]), 0.25,
                                         training=True, seed=3))
    self.assertAllClose(np.unique(found), [0, 4 / 3])
    self.assertAllClose(np.mean(found), 1, atol=0.02)

  def test_starts_are_glorot_uniform(self):
    with tf.Graph().as_default(), tf.Session() as session:
      made = layers.Dense(300)
      made(tf.zeros([1, 200]))
      session.run(tf.global_variables_initializer())
      kernel, bias = session.run([made.kernel, made.bias])
    limit = np.sqrt(6 / 500)
    self.assertBetween(np.max(np.abs(kernel)), 0.99 * limit, limit)
    self.assertAllClose(np.var(kernel), limit ** 2 / 3, rtol=0.02)
    self.assertAllEqual(bias, np.zeros(300))


class LayerTest(parameterized.TestCase):

  def test_references_outside_of_tensorflow_1s_conditions(self):
    tf.disable_resource_variables()
    try:
      with tf.Graph().as_default(), tf.Session() as session:
        training = tf.placeholder(tf.bool, [])
        for fused in (None, False):
          layers.batch_normalization(
              tf.constant(_IMAGES.astype(np.float32)), training=training,
              fused=fused)
        session.run(tf.global_variables_initializer())
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        means = [v for v in tf.global_variables() if "moving_mean" in v.name]
        session.run(updates, {training: False})
        for mean in session.run(means):
          np.testing.assert_array_equal(mean, np.zeros(3))
        session.run(updates, {training: True})
        for mean in session.run(means):
          np.testing.assert_allclose(mean, 0.01 * _IMAGES.mean((0, 1, 2)),
                                     atol=1e-7)
    finally:
      tf.enable_resource_variables()

  def test_a_copy_has_variables_of_its_own_if_made_before(self):
    with tf.Graph().as_default():
      made = layers.Dense(2)
      copied = copy.deepcopy(made)
      x = tf.zeros([1, 3])
      made(x), copied(x)
      self.assertEqual(
          [made.kernel.name, copied.kernel.name, copy.deepcopy(made).kernel],
          ["dense/kernel:0", "dense_1/kernel:0", made.kernel])

  @parameterized.parameters(
      (lambda: layers.Dense(3, tf.nn.relu), [None, 4], [None, 3]),
      (lambda: layers.Dense(3), [2, None, 4], [2, None, 3]),
      (lambda: layers.Conv2D(5, 3, strides=2), [None, 9, 8, 3],
       [None, 4, 3, 5]),
      (lambda: layers.Conv2DTranspose(5, 3, 2, "same"), [2, 9, 8, 3],
       [2, 18, 16, 5]),
      (lambda: layers.MaxPooling1D(2, 2), [None, 9, 3], [None, 4, 3]),
      (lambda: layers.BatchNormalization(), [None, 4], [None, 4]),
      (lambda: layers.Flatten(), [None, 4, 3], [None, 12]))
  def test_shape_of_outputs_without_a_call(self, make, shape, expected):
    with tf.Graph().as_default() as graph:
      layer = make()
      before = layer.compute_output_shape(tf.TensorShape(shape))
      self.assertEqual(before.as_list(), expected)
      self.assertEmpty(graph.get_operations())
      outputs = layer(tf.placeholder(tf.float32, shape))
      self.assertEqual(outputs.shape.as_list(), expected)
      kept = layer.weights
      self.assertEqual(layer.compute_output_shape(shape).as_list(), expected)
      self.assertEqual([v.name for v in layer.weights],
                       [v.name for v in kept])

  def test_activations_and_initializers_by_name(self):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = layers.dense(tf.ones([1, 3]), 2, "relu",
                             kernel_initializer="ones", bias_initializer="ones",
                             kernel_regularizer="l2")
      session.run(tf.global_variables_initializer())
      self.assertEqual(session.run(outputs).tolist(), [[4, 4]])
      self.assertAlmostEqual(
          session.run(tf.losses.get_regularization_loss()), 0.06, places=6)

  def test_modules_are_loaded_when_asked_for(self):
    self.assertIs(compat.layers, layers)
    self.assertIn("layers", dir(compat))
    with self.assertRaisesRegex(AttributeError, "no attribute 'layer_z'; all"):
      compat.layer_z  # pylint: disable=pointless-statement

  @parameterized.named_parameters(
      ("renorm", lambda x: layers.batch_normalization(x, renorm=True),
       "`renorm` must be False, found True"),
      ("virtual", lambda x: layers.batch_normalization(x, virtual_batch_size=2),
       "`virtual_batch_size` must be None, found 2"),
      ("adjustment", lambda x: layers.batch_normalization(
          x, adjustment=lambda s: s), "`adjustment` must be None"),
      ("axis", lambda x: layers.batch_normalization(x, axis=4),
       r"`axis` must be within the 4 axes of the inputs, .* found \[4\]"),
      ("rank", lambda x: layers.conv1d(x, 2, 2),
       r"conv1d_1: `inputs` must have rank 3, found \(2, 6, 5, 3\)"),
      ("padding", lambda x: layers.conv2d(x, 2, 2, padding="full"),
       "`padding` must be valid or same, found 'full'"),
      ("kernel_size", lambda x: layers.conv2d(x, 2, (2, 2, 2)),
       r"`kernel_size` must be a positive integer or 2 of them, found \(2, 2"),
      ("data_format", lambda x: layers.conv2d(x, 2, 2, data_format="NHWC"),
       "`data_format` must be channels_first or channels_last, found 'NHWC'"),
      ("activation", lambda x: layers.dense(x, 2, "gelu2"),
       "`activation`: found 'gelu2'; allowed: a callable, or one of elu"),
      ("no_units", layers.dense, "dense: missing a required argument: 'units'"),
      ("unknown", lambda x: layers.dense(x, 2, width=3),
       "dense: got an unexpected keyword argument 'width'"),
      ("integers", lambda x: layers.dense(tf.cast(x, tf.int32), 2),
       "`inputs` must be of a floating type, found int32"),
      ("unknown_depth", lambda x: layers.dense(tf.placeholder(
          tf.float32, [1, None]), 2), "must have a known last axis"),
      ("training", lambda x: layers.dropout(x, training="yes"),
       "`training` must be a bool, 0, 1 or a bool tensor, found 'yes'"),
      ("again", lambda x: [layers.dense(x, 2, name="d"),
                           layers.dense(x, 2, name="d")], "already exists"),
      ("absent", lambda x: layers.dense(x, 2, name="d", reuse=True),
       "does not exist"),
      ("other_depth", lambda x: _twice(layers.Dense(2), x),
       "must have 3 along axis -1, found"),
  )
  def test_refused(self, build, message):
    with tf.Graph().as_default():
      x = tf.constant(_IMAGES.astype(np.float32))
      with self.assertRaisesRegex((TypeError, ValueError), message):
        build(x)

  def test_eager_execution_is_refused(self):
    with context.eager_mode():
      with self.assertRaisesRegex(RuntimeError, "Dense: TensorFlow executes"):
        layers.Dense(2)


def _twice(made, x):
  made(x)
  return made(x[..., :2])


if __name__ == "__main__":
  absltest.main()
