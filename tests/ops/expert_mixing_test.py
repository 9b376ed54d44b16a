"""Tests of the ways to weigh and to mix experts."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import expert_mixing
from tests import numeric_gradient

_RANDOM = np.random.default_rng(0)


def _step(x, gamma):
  middle = -2 * x ** 3 / gamma ** 3 + 3 * x / (2 * gamma) + 0.5
  return np.where(x <= -gamma / 2, 0, np.where(x >= gamma / 2, 1, middle))


def _selectors(digit_logits, num_experts, gamma):
  """The outputs of selectors without rows, one factor at a time."""
  k, m = digit_logits.shape
  step = _step(digit_logits, gamma)
  found = np.ones([k, num_experts])
  for j, i in itertools.product(range(k), range(num_experts)):
    for d, bit in enumerate(np.binary_repr(i, m) if m else ""):
      found[j, i] *= step[j, d] if bit == "1" else 1 - step[j, d]
  return found


def _weights(digit_logits, selector_logits, num_experts, gamma):
  shares = np.exp(selector_logits) / np.sum(np.exp(selector_logits))
  return shares @ _selectors(digit_logits, num_experts, gamma)


def _run(op, *arguments):
  """Returns what an op makes of constants, and gradients of its sum."""
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = [tf.constant(a, tf.float32) for a in arguments]
    outputs = op(*tensors)
    return session.run([outputs, tf.gradients(outputs, tensors)])


class SmoothStepTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1.0, 0.3, 4.0)
  def test_matches_formula_and_its_gradient(self, gamma):
    x = np.linspace(-1.2, 1.2, 37).reshape(1, 37) * gamma
    found, (gradient,) = _run(lambda x: expert_mixing.smooth_step(x, gamma), x)
    self.assertAllClose(found, _step(x, gamma))
    self.assertAllClose(gradient, numeric_gradient.of(
        lambda p: np.sum(_step(p, gamma)), x), rtol=1e-4, atol=1e-5)

  @parameterized.parameters(1.0, 0.3, 3.7)
  def test_exactly_0_and_1_with_no_gradient_beyond_its_width(self, gamma):
    ends = gamma * np.array([0.5, 0.6, 1e6, np.inf])
    x = np.concatenate([-ends, ends])
    found, (gradient,) = _run(lambda x: expert_mixing.smooth_step(x, gamma), x)
    self.assertAllEqual(found, [0] * 4 + [1] * 4)
    self.assertAllEqual(gradient, np.zeros(8))

  def test_one_half_at_zero(self):
    self.assertAllEqual(_run(expert_mixing.smooth_step, 0.0), [0.5, [1.5]])

  def test_opposite_ends_add_up_to_one(self):
    x = _RANDOM.uniform(-0.6, 0.6, [1000])
    found, _ = _run(expert_mixing.smooth_step, np.stack([x, -x]))
    self.assertAllClose(np.sum(found, 0), np.ones(1000), rtol=1e-6)
    self.assertAllGreaterEqual(found, 0)

  @parameterized.parameters(0.0, -1.0, float("nan"))
  def test_bad_gamma_is_refused(self, gamma):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: `gamma` must be above 0, found {gamma}.$"):
      expert_mixing.smooth_step(tf.zeros([2]), gamma, "op")


class NumDigitsTest(parameterized.TestCase):

  def test_is_the_logarithm_rounded_up(self):
    for n in range(1, 70):
      self.assertEqual(expert_mixing.num_digits(n), np.ceil(np.log2(n)))

  @parameterized.parameters(0, -3)
  def test_no_expert_is_refused(self, n):
    with self.assertRaisesRegex(ValueError, "^num_digits: `num_experts` must be"
                                f" 1 or more, found {n}.$"):
      expert_mixing.num_digits(n)


class DSelectKTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_experts=(1, 2, 3, 4, 5, 8), k=(1, 3),
                         rows=(False, True))
  def test_matches_formula_and_its_gradients(self, num_experts, k, rows):
    gamma = 1.5
    z = _RANDOM.uniform(-1, 1, [4, k, expert_mixing.num_digits(num_experts)])
    a, upstream = _RANDOM.normal(size=[4, k]), _RANDOM.normal(
        size=[4, num_experts])
    if not rows:
      z, a, upstream = z[0], a[0], upstream[0]

    def formula(z, a):
      if not rows:
        return _weights(z, a, num_experts, gamma)
      return np.stack([_weights(*row, num_experts, gamma)
                       for row in zip(z, a)])
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [tf.constant(z, tf.float32), tf.constant(a, tf.float32)]
      outputs = expert_mixing.dselect_k(*inputs, num_experts, gamma)
      gradients = tf.gradients(outputs.weights, inputs,
                               tf.constant(upstream, tf.float32))
      if num_experts == 1:
        self.assertIsNone(gradients.pop(0))
      found, gradients = session.run([outputs, gradients])
    self.assertAllClose(found.weights, formula(z, a))
    self.assertAllClose(
        found.selectors, np.stack([_selectors(row, num_experts, gamma)
                                   for row in z]) if rows
        else _selectors(z, num_experts, gamma))
    expected = [numeric_gradient.of(
        lambda p: np.sum(upstream * formula(p, a)), z), numeric_gradient.of(
            lambda p: np.sum(upstream * formula(z, p)), a)]
    for one, other in zip(gradients, expected[-len(gradients):]):
      self.assertAllClose(one, other, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(2, 3, 6, 8)
  def test_settled_digits_write_the_expert_most_significant_first(self, n):
    m = expert_mixing.num_digits(n)
    z = np.array([[[9.0 if bit == "1" else -9.0
                    for bit in np.binary_repr(i, m)]] for i in range(n)])
    found, _ = _run(lambda z, a: expert_mixing.dselect_k(z, a, n).weights,
                    z, np.zeros([n, 1]))
    # No weight at all elsewhere; a softmax of one number may fall short of 1.
    self.assertAllEqual(found > 0, np.eye(n))
    self.assertAllClose(found, np.eye(n), rtol=1e-6, atol=0)

  def test_at_most_k_experts_have_a_weight(self):
    z = 9 * np.sign(_RANDOM.normal(size=[50, 2, 3]))
    found, _ = _run(lambda z, a: expert_mixing.dselect_k(z, a, 8).weights,
                    z, _RANDOM.normal(size=[50, 2]))
    self.assertAllLessEqual(np.sum(found > 0, 1), 2)
    self.assertAllClose(np.sum(found, 1), np.ones(50))

  @parameterized.parameters((4, 1.0), (8, 1.0), (3, 0.75), (5, 0.625))
  def test_weights_add_up_to_what_falls_on_experts(self, n, total):
    m = expert_mixing.num_digits(n)
    found, _ = _run(lambda z, a: expert_mixing.dselect_k(z, a, n).weights,
                    np.zeros([2, m]), np.zeros([2]))
    self.assertAllClose(np.sum(found), total)

  @parameterized.parameters(1, 2, 7)
  def test_one_expert_has_all_the_weight(self, k):
    found, _ = _run(lambda a: expert_mixing.dselect_k(
        tf.zeros([5, k, 0]), a, 1).weights, _RANDOM.normal(size=[5, k]))
    self.assertAllClose(found, np.ones([5, 1]), rtol=1e-6)

  def test_equal_under_xla(self):
    z, a = _RANDOM.normal(size=[5, 2, 3]), _RANDOM.normal(size=[5, 2])
    def op():
      inputs = [tf.constant(z, tf.float32), tf.constant(a, tf.float32)]
      outputs = expert_mixing.dselect_k(*inputs, 6)
      loss = (expert_mixing.selector_entropy(outputs.selectors)
              + expert_mixing.reachability(outputs.selectors)
              + tf.reduce_sum(tf.square(outputs.weights)))
      return [*outputs, loss] + tf.gradients(loss, inputs)
    with tf.Graph().as_default(), tf.Session() as session:
      for one, other in zip(*session.run(
          [op(), tf2.function(op, jit_compile=True)()])):
        self.assertAllClose(one, other, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(0, 3)
  def test_unknown_batch_size(self, rows):
    with tf.Graph().as_default(), tf.Session() as session:
      z = tf.placeholder(tf.float32, [None, 2, 3])
      a = tf.placeholder(tf.float32, [None, 2])
      outputs = expert_mixing.dselect_k(z, a, 5)
      self.assertEqual([t.shape.as_list() for t in outputs],
                       [[None, 5], [None, 2, 5]])
      penalties = [op(outputs.selectors) for op in (
          expert_mixing.selector_entropy, expert_mixing.reachability)]
      found, penalties = session.run([outputs, penalties], {
          z: np.zeros([rows, 2, 3]), a: np.zeros([rows, 2])})
    self.assertAllClose(found.weights, np.full([rows, 5], 0.125))
    self.assertAllClose(
        penalties, [-5 / 8 * np.log(0.125 + 1e-6), 8 / 5] if rows else [0, 0])

  def test_unknown_rank(self):
    with tf.Graph().as_default(), tf.Session() as session:
      z, a = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
      outputs = expert_mixing.dselect_k(z, a, 3)
      for rows in ([], [4]):
        self.assertAllClose(
            session.run(outputs.weights, {z: np.zeros([*rows, 2, 2]),
                                          a: np.zeros([*rows, 2])}),
            np.full([*rows, 3], 0.25))

  @parameterized.parameters(
      ([2, 3], [2], r"`digit_logits` must have shape \[any, 2\], found "
       r"\(2, 3\)"),
      ([5, 2, 3], [5, 2], r"`digit_logits` must have shape \[any, any, 2\], "
       r"found \(5, 2, 3\)"),
      ([2], [2], r"`digit_logits` must have shape \[any, 2\] or "
       r"\[any, any, 2\], found \(2,\)"),
      ([5, 2, 2], [2], r"`selector_logits` must have shape \[5, 2\], found "
       r"\(2,\)"),
      ([2, 2], [3], r"`selector_logits` must have shape \[2\], found \(3,\)"),
      (None, [], r"`selector_logits` must have shape \[any\] or \[any, any\], "
       r"found \(\)"))
  def test_bad_shape_is_refused(self, digits, selectors, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      expert_mixing.dselect_k(tf.placeholder(tf.float32, digits),
                              tf.placeholder(tf.float32, selectors), 3,
                              name="op")


class SelectorPenaltiesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(([3, 5],), ([4, 3, 5],))
  def test_entropy_matches_formula_and_its_gradient(self, shape):
    r = _RANDOM.uniform(0.01, 1, shape)
    def formula(r):
      return np.mean(-np.sum(r * np.log(r + 1e-6), -1))
    found, (gradient,) = _run(expert_mixing.selector_entropy, r)
    self.assertAllClose(found, formula(r))
    self.assertAllClose(gradient, numeric_gradient.of(formula, r), rtol=1e-4,
                        atol=1e-6)

  @parameterized.parameters(([3, 5],), ([4, 3, 5],))
  def test_reachability_matches_formula_and_its_gradient(self, shape):
    r = _RANDOM.uniform(0.01, 0.2, shape)
    def formula(r):
      return np.mean(1 / np.sum(r, -1))
    found, (gradient,) = _run(expert_mixing.reachability, r)
    self.assertAllClose(found, formula(r))
    self.assertAllClose(gradient, numeric_gradient.of(formula, r), rtol=1e-4,
                        atol=1e-6)

  def test_settled_selectors_have_no_entropy_and_are_on_experts(self):
    r = np.eye(5)[[1, 4, 4]]
    found, (gradient,) = _run(expert_mixing.selector_entropy, r)
    self.assertAllClose(found, 0, atol=2e-6)
    self.assertAllInRange(gradient, -1, 14)
    self.assertAllEqual(_run(expert_mixing.reachability, r)[0], 1)

  def test_selector_off_the_experts_is_finite_and_drawn_back(self):
    found, (gradient,) = _run(expert_mixing.reachability, np.zeros([1, 3]))
    self.assertAllClose(found, 2e3)
    self.assertAllClose(gradient, np.full([1, 3], -1e6), rtol=1e-5)

  def test_reachability_is_smooth_where_the_tangent_begins(self):
    below, above = [_run(expert_mixing.reachability, [[s]])
                    for s in (0.9999e-3, 1.0001e-3)]
    self.assertAllClose(below[0], above[0], rtol=1e-3)
    self.assertAllClose(below[1][0], above[1][0], rtol=1e-3)
    self.assertGreater(below[0], above[0])

  @parameterized.parameters(([3],), ([2, 2, 2, 2],))
  def test_bad_shape_is_refused(self, shape):
    for op in expert_mixing.selector_entropy, expert_mixing.reachability:
      with tf.Graph().as_default(), self.assertRaisesRegex(
          ValueError, rf"^op: `selectors` must have shape \[any, any\] or "
          r"\[any, any, any\], found \("):
        op(tf.placeholder(tf.float32, shape), name="op")


class MixTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(shape=([5], [5, 4], [5, 2, 3]), rows=(False, True))
  def test_matches_formula_and_its_gradients(self, shape, rows):
    f = _RANDOM.normal(size=[3, *shape])
    w = _RANDOM.normal(size=[5, 3] if rows else [3])
    upstream = _RANDOM.normal(size=shape)
    def formula(f, w):
      return np.einsum("nb...,bn->b...", f, np.broadcast_to(w, [5, 3]))
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [tf.constant(f, tf.float32), tf.constant(w, tf.float32)]
      outputs = expert_mixing.mix(tf.unstack(inputs[0]), inputs[1])
      self.assertEqual(outputs.shape.as_list(), shape)
      found, gradients = session.run([outputs, tf.gradients(
          outputs, inputs, tf.constant(upstream, tf.float32))])
    self.assertAllClose(found, formula(f, w), rtol=1e-5, atol=1e-6)
    self.assertAllClose(gradients[0], numeric_gradient.of(
        lambda p: np.sum(upstream * formula(p, w)), f), rtol=1e-4, atol=1e-5)
    self.assertAllClose(gradients[1], numeric_gradient.of(
        lambda p: np.sum(upstream * formula(f, p)), w), rtol=1e-4, atol=1e-5)

  def test_one_expert_of_weight_one_stays_as_it_is_to_the_bit(self):
    f = _RANDOM.normal(size=[5, 4]).astype(np.float32)
    found, (_, gradient) = _run(lambda w, f: expert_mixing.mix([f], w),
                                np.ones([5, 1]), f)
    self.assertAllEqual(found, f)
    self.assertAllEqual(gradient, np.ones([5, 4]))

  def test_equal_weights_give_the_mean(self):
    f = _RANDOM.normal(size=[3, 5, 4])
    found, _ = _run(lambda f: expert_mixing.mix(
        tf.unstack(f), tf.fill([5, 3], 1 / 3)), f)
    self.assertAllClose(found, np.mean(f, 0))

  def test_order_does_not_matter(self):
    f, w = _RANDOM.normal(size=[3, 5, 4]), _RANDOM.normal(size=[5, 3])
    order = [2, 0, 1]
    one, other = [_run(lambda f, w: expert_mixing.mix(tf.unstack(f), w), *both
                       )[0] for both in ((f, w), (f[order], w[:, order]))]
    self.assertAllClose(one, other, rtol=1e-5, atol=1e-6)

  @parameterized.parameters(0, 3)
  def test_unknown_batch_size(self, rows):
    with tf.Graph().as_default(), tf.Session() as session:
      f = tf.placeholder(tf.float32, [None, 2, 4])
      w = tf.placeholder(tf.float32, [None, 2])
      outputs = expert_mixing.mix([f, 2 * f], w)
      self.assertEqual(outputs.shape.as_list(), [None, 2, 4])
      self.assertAllEqual(session.run(outputs, {
          f: np.ones([rows, 2, 4]), w: np.ones([rows, 2])}),
                          np.full([rows, 2, 4], 3))

  @parameterized.parameters(
      ([], [2], r"`experts` must hold 1 tensors or more, found 0"),
      ([[5, 4], [5, 3]], [5, 2],
       r"`experts\[1\]` must have shape \[5, 4\], found \(5, 3\)"),
      ([[]], [1], r"`experts` must have a known rank of 1 or more, found \(\)"),
      ([[5, 4]] * 2, [5, 3],
       r"`weights` must have shape \[5, 2\], found \(5, 3\)"),
      ([[5, 4]] * 2, [4, 2],
       r"`weights` must have shape \[5, 2\], found \(4, 2\)"),
      ([[5, 4]] * 2, [3], r"`weights` must have shape \[2\], found \(3,\)"),
      ([[5, 4]] * 2, [5, 1, 2],
       r"`weights` must have shape \[2\] or \[5, 2\], found \(5, 1, 2\)"))
  def test_bad_shape_is_refused(self, experts, weights, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      expert_mixing.mix([tf.placeholder(tf.float32, s) for s in experts],
                        tf.placeholder(tf.float32, weights), "op")


class GateUseTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(([5, 3],), ([3],))
  def test_matches_formula_and_its_gradient(self, shape):
    w = _RANDOM.uniform(0.05, 1, shape)
    w /= np.sum(w, -1, keepdims=True)
    def formula(w):
      return np.mean(-np.sum(w * np.log(w), -1))
    found, _ = _run(expert_mixing.gate_use, w)
    self.assertAllClose(found.mean, np.mean(np.reshape(w, [-1, 3]), 0))
    self.assertAllClose(found.entropy, formula(w))
    _, (gradient,) = _run(lambda w: expert_mixing.gate_use(w).entropy, w)
    self.assertAllClose(gradient, numeric_gradient.of(formula, w), rtol=1e-4,
                        atol=1e-5)

  def test_settled_gate_has_no_entropy_and_a_finite_gradient(self):
    found, (gradient,) = _run(expert_mixing.gate_use, np.eye(3)[[0, 0, 2, 1]])
    self.assertAllEqual(found.entropy, 0)
    self.assertAllEqual(found.mean, [0.5, 0.25, 0.25])
    self.assertAllInRange(gradient, -1, 1)

  def test_even_gate_has_the_largest_entropy(self):
    found, _ = _run(expert_mixing.gate_use, np.full([2, 8], 0.125))
    self.assertAllClose(found.entropy, np.log(8))

  @parameterized.parameters(0, 3)
  def test_unknown_batch_size(self, rows):
    with tf.Graph().as_default(), tf.Session() as session:
      w = tf.placeholder(tf.float32, [None, 2])
      outputs = expert_mixing.gate_use(w)
      self.assertEqual([t.shape.as_list() for t in outputs], [[2], []])
      found = session.run(outputs, {w: np.full([rows, 2], 0.5)})
    self.assertAllEqual(found.mean, [0.5, 0.5] if rows else [0, 0])
    self.assertAllClose(found.entropy, np.log(2) if rows else 0)

  @parameterized.parameters(
      ([], r"shape \[any\] or \[any, any\], found \(\)"),
      ([2, 2, 2], r"shape \[any\] or \[any, any\], found \(2, 2, 2\)"),
      ([5, None], r"a known last dimension, found \(5, None\)"),
      (None, "a known last dimension, found <unknown>"))
  def test_bad_shape_is_refused(self, shape, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: `weights` must have {message}.$"):
      expert_mixing.gate_use(tf.placeholder(tf.float32, shape), "op")


if __name__ == "__main__":
  absltest.main()
