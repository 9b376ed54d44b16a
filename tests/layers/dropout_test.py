"""Tests of dropout."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.layers import dropout
from mtl_graph.ops import random_bits

_INPUTS = np.random.default_rng(0).normal(size=[200, 30]).astype(np.float32)


def _run(rate=0.3, seed=1, step=0, name="dropout", inputs=_INPUTS, scope=None):
  with tf.Graph().as_default(), tf.Session() as session:
    step = tf.constant(step, tf.int64)
    if scope is None:
      return session.run(dropout.dropout(tf.constant(inputs), rate, seed, step,
                                         name))
    with tf.variable_scope(scope):
      return session.run(dropout.dropout(tf.constant(inputs), rate, seed, step,
                                         name))


class DropoutTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(0.0, 0.3, 0.9)
  def test_matches_formula(self, rate):
    with tf.Graph().as_default(), tf.Session() as session:
      mask = session.run(random_bits.keep_mask(
          tf.constant(_INPUTS), rate, random_bits.key_of(1, "dropout"), 0))
    self.assertAllClose(_run(rate), _INPUTS * mask / (1 - rate), rtol=1e-6)

  def test_rate_zero_is_the_identity_to_the_bit(self):
    self.assertAllEqual(_run(0.0), _INPUTS)

  @parameterized.parameters(0.1, 0.5, 0.9)
  def test_keeps_the_mean(self, rate):
    outputs = _run(rate, inputs=np.ones([1000, 1000], np.float32))
    sigma = (rate / (1 - rate)) ** 0.5 / 1000
    # The rate is met to 2^-17, which 1 / (1 - rate) scales up.
    self.assertAllClose(outputs.mean(dtype=np.float64), 1.0,
                        atol=4 * sigma + 2 ** -17 / (1 - rate))

  def test_mask_is_a_function_of_seed_name_and_step(self):
    kept = _run() != 0
    self.assertAllEqual(kept, _run() != 0)
    self.assertAllEqual(_run(name="trunk/dropout"),
                        _run(scope="trunk"))
    for other in (_run(step=1), _run(seed=2), _run(name="dropout_1"),
                  _run(scope="trunk")):
      # Two masks that keep 0.7 agree in 0.7^2 + 0.3^2 of the places.
      self.assertAllClose(np.mean((other != 0) == kept), 0.58, atol=0.03)

  def test_another_dropout_before_changes_nothing(self):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.constant(0, tf.int64)
      dropout.dropout(tf.constant(_INPUTS), 0.5, 1, step, "before")
      outputs = dropout.dropout(tf.constant(_INPUTS), 0.3, 1, step)
      self.assertEmpty(tf.global_variables())
      self.assertAllEqual(session.run(outputs), _run())

  def test_gradient_is_the_scaled_mask(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      outputs = dropout.dropout(inputs, 0.3, 1, tf.constant(0, tf.int64))
      value, gradient = session.run([outputs, tf.gradients(outputs, inputs)[0]])
    self.assertAllClose(gradient, np.where(value != 0, 1 / 0.7, 0))

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.placeholder(tf.float32, [None, 30])
      step = tf.placeholder(tf.int64, [])
      outputs = dropout.dropout(inputs, 0.3, 1, step)
      self.assertTrue(outputs.shape.is_compatible_with([200, 30]))
      for n in (0, 5):
        self.assertAllEqual(session.run(outputs, {inputs: _INPUTS, step: n}),
                            _run(step=n))

  def test_equal_under_xla(self):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      layer = lambda step: dropout.dropout(tf.constant(_INPUTS), 0.3, 1, step)
      compiled = tf2.function(layer, jit_compile=True)
      for n in (0, 7):
        self.assertAllEqual(session.run(compiled(step), {step: n}),
                            _run(step=n))

  @parameterized.parameters(-0.1, 1.0)
  def test_bad_rate_is_refused(self, rate):
    with self.assertRaisesRegex(
        ValueError, "`rate` must be at least 0 and below 1, found "
        f"{rate}"):
      _run(rate)


if __name__ == "__main__":
  absltest.main()
