"""Tests of the convolution over images."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.layers import convolution
from mtl_graph.layers import initializers
from tests import numeric_gradient

_INPUTS = np.random.default_rng(0).normal(size=[2, 5, 4, 3]).astype(np.float32)


def _convolve(x, kernel, bias, strides, padding):
  """Computes the formula, window by window."""
  size = kernel.shape[:2]
  if padding == "SAME":
    outer = [-(-n // s) for n, s in zip(x.shape[1:3], strides)]
    missing = [max((m - 1) * s + k - n, 0)
               for m, s, k, n in zip(outer, strides, size, x.shape[1:3])]
    x = np.pad(x, [(0, 0)] + [(m // 2, m - m // 2) for m in missing] + [(0, 0)])
  outer = [-(-(n - k + 1) // s)
           for n, s, k in zip(x.shape[1:3], strides, size)]
  y = np.zeros([len(x), *outer, kernel.shape[3]])
  for i in range(outer[0]):
    for j in range(outer[1]):
      top, left = i * strides[0], j * strides[1]
      window = x[:, top:top + size[0], left:left + size[1]]
      y[:, i, j] = np.einsum("buvc,uvcf->bf", window, kernel) + bias
  return y


_CASES = (
    ("same", (3, 3), (1, 1), "SAME"),
    ("even_window", (2, 4), (1, 1), "SAME"),
    ("wider_than_the_image", (7, 3), (2, 1), "SAME"),
    ("strides", (3, 2), (2, 3), "SAME"),
    ("valid", (3, 2), (1, 1), "VALID"),
    ("valid_strides", (2, 3), (2, 1), "VALID"),
    ("one_window", (5, 4), (1, 1), "VALID"),
    ("pixels", (1, 1), (1, 1), "SAME"),
    ("pixels_left_out", (1, 1), (2, 2), "SAME"))


class Conv2dTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*_CASES)
  def test_matches_formula_and_its_gradients(self, size, strides, padding):
    random = np.random.default_rng(1)
    bias = random.normal(size=6)
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      outputs = convolution.conv2d(inputs, 6, size, strides, padding)
      kernel, bias_variable = tf.trainable_variables()
      session.run(tf.global_variables_initializer())
      bias_variable.load(bias, session)
      upstream = random.normal(size=outputs.shape)
      found, value, *gradients = session.run([
          outputs, kernel, *tf.gradients(
              outputs, [inputs, kernel, bias_variable],
              tf.constant(upstream, tf.float32))])
    x = _INPUTS.astype(np.float64)
    parts = [x, value.astype(np.float64), bias.astype(np.float32)]
    expected = _convolve(*parts, strides, padding)
    self.assertEqual(outputs.shape.as_list(), list(expected.shape))
    self.assertAllClose(found, expected, rtol=1e-5, atol=1e-5)
    for i, gradient in enumerate(gradients):
      def joint(point, i=i):
        return np.sum(upstream * _convolve(
            *parts[:i], point, *parts[i + 1:], strides, padding))
      self.assertAllClose(gradient, numeric_gradient.of(joint, parts[i]),
                          rtol=1e-4, atol=1e-4)

  @parameterized.named_parameters(
      ("relu", tf.nn.relu, lambda y: np.maximum(y, 0)),
      ("tanh", tf.nn.tanh, np.tanh))
  def test_activation_without_bias(self, activation, formula):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = convolution.conv2d(tf.constant(_INPUTS), 2, (2, 2),
                                   activation=activation, use_bias=False)
      kernel, = tf.trainable_variables()
      session.run(tf.global_variables_initializer())
      found, value = session.run([outputs, kernel])
    self.assertAllClose(found, formula(_convolve(
        _INPUTS, value, 0, (1, 1), "SAME")), rtol=1e-5, atol=1e-5)

  def test_variables_have_the_names_of_tf_layers(self):
    with tf.Graph().as_default():
      with tf.variable_scope("outer"):
        convolution.conv2d(tf.constant(_INPUTS), 6, (2, 4), name="trunk/conv2d")
      self.assertEqual(
          {v.op.name: v.shape.as_list() for v in tf.trainable_variables()},
          {"outer/trunk/conv2d/kernel": [2, 4, 3, 6],
           "outer/trunk/conv2d/bias": [6]})

  def test_reuse_makes_nothing_new(self):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        both = [convolution.conv2d(tf.constant(_INPUTS), 2, (3, 3))
                for _ in range(2)]
      self.assertLen(tf.global_variables(), 2)
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(*session.run(both))

  def test_second_of_a_name_is_refused_without_reuse(self):
    with tf.Graph().as_default():
      convolution.conv2d(tf.constant(_INPUTS), 2, (3, 3))
      with self.assertRaisesRegex(ValueError, "conv2d/kernel already exists"):
        convolution.conv2d(tf.constant(_INPUTS), 2, (3, 3))

  def test_unknown_batch_and_image_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.placeholder(tf.float32, [None, None, None, 3])
      outputs = convolution.conv2d(inputs, 2, (2, 2), (2, 1), "VALID")
      self.assertEqual(outputs.shape.as_list(), [None, None, None, 2])
      session.run(tf.global_variables_initializer())
      # Of no image at all, oneDNN's kernel gives back the input's own shape on
      # some processors.
      for size in (1, 2):
        self.assertEqual(session.run(outputs, {inputs: _INPUTS[:size]}).shape,
                         (size, 2, 3, 2))

  def test_initial_value_depends_on_seed_and_name_alone(self):
    def kernel(seed=1, name="a/conv2d", before=False, initializer=None):
      with tf.Graph().as_default(), tf.Session() as session:
        if before:
          convolution.conv2d(tf.constant(_INPUTS), 2, (3, 3))
        convolution.conv2d(tf.constant(_INPUTS), 6, (2, 4), seed=seed,
                           name=name, initializer=initializer)
        session.run(tf.global_variables_initializer())
        return session.run(tf.trainable_variables()[-2:])
    value, bias = kernel()
    self.assertAllEqual(bias, np.zeros(6))
    self.assertAllEqual(value, kernel(before=True)[0])
    self.assertNotAllEqual(value, kernel(seed=2)[0])
    self.assertNotAllEqual(value, kernel(name="b/conv2d")[0])
    with tf.Graph().as_default(), tf.Session() as session:
      glorot, he = session.run([
          make(1, "a/conv2d/kernel")([2, 4, 3, 6])
          for make in (initializers.glorot_uniform, initializers.he_normal)])
    self.assertAllEqual(value, glorot)
    self.assertAllEqual(kernel(initializer=initializers.he_normal)[0], he)

  def test_equal_under_xla(self):
    with tf.Graph().as_default(), tf.Session() as session:
      def layer():
        inputs = tf.constant(_INPUTS)
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
          outputs = convolution.conv2d(inputs, 4, (3, 2), (2, 1), "SAME",
                                       tf.nn.tanh, seed=1)
        return [outputs] + tf.gradients(
            tf.square(outputs), [inputs] + tf.trainable_variables())
      plain = layer()
      compiled = tf2.function(layer, jit_compile=True)()
      self.assertLen(tf.global_variables(), 2)
      session.run(tf.global_variables_initializer())
      for a, b in zip(*session.run([plain, compiled])):
        self.assertAllClose(a, b, rtol=1e-5, atol=1e-5)

  @parameterized.parameters(
      ([None, 3], "SAME", r"`inputs` must have shape \[any, any, any, C\]"),
      ([None, 5, 4, None], "SAME", r"`inputs` must have shape .* C known"),
      ([None, 5, 4, 3], "FULL", "`padding` must be SAME or VALID"),
      ([None, 2, 4, 3], "VALID", "`inputs` must have at least 3 x 3 pixels"))
  def test_bad_argument_is_refused(self, shape, padding, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^layer: {message}"):
      convolution.conv2d(tf.placeholder(tf.float32, shape), 4, (3, 3),
                         padding=padding, name="layer")


if __name__ == "__main__":
  absltest.main()
