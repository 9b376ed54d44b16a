"""Tests of the activation functions."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import special
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import activations
from tests import numeric_gradient

_INPUTS = np.concatenate([np.linspace(-12, 12, 97),
                          [-3e-5, 1e-7, 19.5, 33.0, 87.0]]).astype(np.float32)
_LARGE = np.float32([20, 90, 100, 1e4, 1e20, 3e38])


def _gelu(x):
  return x * special.ndtr(x)


def _mish(x):
  return x * np.tanh(np.logaddexp(0, x))


@parameterized.named_parameters(("gelu", activations.gelu, _gelu),
                                ("mish", activations.mish, _mish))
class ActivationTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, function, inputs):
    with tf.Graph().as_default(), tf.Session() as session:
      x = tf.placeholder(tf.float32, [None])
      y = function(x)
      return session.run([y, tf.gradients(y, x)[0]], {x: inputs})

  def test_matches_formula_and_its_gradient(self, function, formula):
    found, gradient = self._run(function, _INPUTS)
    x = _INPUTS.astype(np.float64)
    # The digits are kept even where the function is next to zero.
    self.assertAllClose(found, formula(x), rtol=2e-5, atol=1e-30)
    self.assertAllClose(
        gradient, numeric_gradient.of(lambda p: np.sum(formula(p)), x),
        rtol=1e-5, atol=1e-6)

  def test_is_the_identity_far_above_zero_and_zero_far_below(
      self, function, formula):
    del formula
    found, gradient = self._run(function, _LARGE)
    self.assertAllClose(found, _LARGE, rtol=1e-6)
    self.assertAllClose(gradient, np.ones(6), rtol=1e-6)
    found, gradient = self._run(function, -_LARGE)
    self.assertAllClose(found, np.zeros(6), atol=1e-7)
    self.assertAllClose(gradient, np.zeros(6), atol=1e-7)

  def test_equal_under_xla(self, function, formula):
    del formula
    inputs = np.concatenate([_INPUTS, _LARGE, -_LARGE])
    def op():
      x = tf.constant(inputs)
      y = function(x)
      return [y] + tf.gradients(y, x)
    with tf.Graph().as_default(), tf.Session() as session:
      for a, b in zip(*session.run(
          [op(), tf2.function(op, jit_compile=True)()])):
        self.assertAllClose(a, b, rtol=2e-5, atol=1e-6)

  def test_keeps_the_shape(self, function, formula):
    with tf.Graph().as_default(), tf.Session() as session:
      x = tf.placeholder(tf.float32, [None, 2, 3])
      y = function(x)
      self.assertEqual(y.shape.as_list(), [None, 2, 3])
      for size in (0, 4):
        value = np.full([size, 2, 3], 0.5)
        self.assertAllClose(session.run(y, {x: value}), formula(value))


class GeluTest(tf.test.TestCase):

  def test_equals_tensorflow_s(self):
    with tf.Graph().as_default(), tf.Session() as session:
      x = tf.constant(_INPUTS)
      self.assertAllClose(*session.run(
          [activations.gelu(x), tf2.nn.gelu(x, approximate=False)]),
                          rtol=1e-6, atol=1e-6)


if __name__ == "__main__":
  absltest.main()
