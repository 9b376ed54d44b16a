"""Tests of the ways for columns to share what they compute."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import column_mixing
from tests import numeric_gradient

_RANDOM = np.random.default_rng(0)


def _cross_stitch(x, alpha):
  """One task and one channel at a time; `x` is `[T, ..., C]`."""
  y = np.zeros_like(x)
  for a in range(len(x)):
    for b in range(len(x)):
      for c in range(x.shape[-1]):
        factor = alpha[a, b] if alpha.ndim == 2 else alpha[a, b, c]
        y[a, ..., c] += factor * x[b, ..., c]
  return y


def _sluice(x, alpha, subspaces):
  """One part at a time; `x` is `[T, ..., C]`."""
  width, y = x.shape[-1] // subspaces, np.zeros_like(x)
  for p, q in np.ndindex(alpha.shape):
    (a, i), (b, j) = divmod(p, subspaces), divmod(q, subspaces)
    y[a, ..., i * width:(i + 1) * width] += (
        alpha[p, q] * x[b, ..., j * width:(j + 1) * width])
  return y


def _run(op, x, factors, upstream):
  """Returns outputs of an op on a list, and its gradients."""
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = [tf.constant(each, tf.float32) for each in x]
    factors = tf.constant(factors, tf.float32)
    outputs = op(tensors, factors)
    gradients = tf.gradients(outputs, [*tensors, factors], tf.unstack(
        tf.constant(upstream, tf.float32)))
    found, gradients = session.run([outputs, gradients])
    return np.stack(found), np.stack(gradients[:-1]), gradients[-1]


class CrossStitchTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_tasks=(1, 2, 3), shape=([5, 4], [5, 2, 4]),
                         per_channel=(False, True))
  def test_matches_formula_and_its_gradients(self, num_tasks, shape,
                                             per_channel):
    x, upstream = _RANDOM.normal(size=[2, num_tasks, *shape])
    alpha = _RANDOM.normal(
        size=[num_tasks, num_tasks] + [4] * per_channel)
    found, by_x, by_alpha = _run(column_mixing.cross_stitch, x, alpha, upstream)
    self.assertAllClose(found, _cross_stitch(x, alpha), rtol=1e-5, atol=1e-6)
    self.assertAllClose(by_x, numeric_gradient.of(
        lambda p: np.sum(upstream * _cross_stitch(p, alpha)), x), rtol=1e-4,
                        atol=1e-5)
    self.assertAllClose(by_alpha, numeric_gradient.of(
        lambda p: np.sum(upstream * _cross_stitch(x, p)), alpha), rtol=1e-4,
                        atol=1e-5)

  def test_two_tasks_by_hand(self):
    found, _, _ = _run(column_mixing.cross_stitch, [[[1, 2]], [[3, -1]]],
                       [[0.9, 0.1], [0.1, 0.9]], np.ones([2, 1, 2]))
    self.assertAllClose(found, [[[1.2, 1.7]], [[2.8, -0.7]]])

  @parameterized.product(per_channel=(False, True), num_tasks=(2, 3))
  def test_identity_changes_nothing_to_the_bit(self, per_channel, num_tasks):
    x, upstream = (_RANDOM.normal(size=[2, num_tasks, 50, 4])
                   * 10.0 ** _RANDOM.integers(-20, 20, [50, 1])
                  ).astype(np.float32)
    alpha = np.eye(num_tasks)
    if per_channel:
      alpha = np.repeat(alpha[:, :, np.newaxis], 4, 2)
    found, by_x, _ = _run(column_mixing.cross_stitch, x, alpha, upstream)
    self.assertAllEqual(found, x)
    self.assertAllEqual(by_x, upstream)

  def test_equal_factors_give_every_task_the_mean(self):
    x = _RANDOM.normal(size=[3, 5, 4])
    found, _, _ = _run(column_mixing.cross_stitch, x, np.full([3, 3], 1 / 3), x)
    self.assertAllClose(found, np.stack([np.mean(x, 0)] * 3), rtol=1e-5,
                        atol=1e-6)

  def test_permutation_permutes_the_outputs(self):
    x, alpha = _RANDOM.normal(size=[3, 5, 4]), _RANDOM.normal(size=[3, 3])
    order = [2, 0, 1]
    one, _, _ = _run(column_mixing.cross_stitch, x, alpha, x)
    other, _, _ = _run(column_mixing.cross_stitch, x[order],
                       alpha[order][:, order], x)
    self.assertAllClose(one[order], other, rtol=1e-5, atol=1e-6)

  @parameterized.parameters([[1]], [[2, 0]])
  def test_rows_that_are_wanted_give_their_outputs(self, rows):
    x, alpha = _RANDOM.normal(size=[3, 5, 4]), _RANDOM.normal(size=[6, 6])
    for op, factors, chosen in (
        (column_mixing.cross_stitch, alpha[:3, :3], rows),
        (lambda columns, some: column_mixing.sluice(columns, some, 2), alpha,
         [2 * row + k for row in rows for k in range(2)])):
      every, _, _ = _run(op, x, factors, x)
      some, _, _ = _run(op, x, factors[chosen], x[rows])
      self.assertAllClose(some, every[rows], rtol=1e-6, atol=1e-6)

  def test_equal_under_xla(self):
    x, alpha = _RANDOM.normal(size=[2, 5, 4]), _RANDOM.normal(size=[4, 4])
    def op():
      inputs = [tf.constant(x, tf.float32), tf.constant(alpha, tf.float32)]
      outputs = column_mixing.cross_stitch(tf.unstack(inputs[0]),
                                           inputs[1][:2, :2])
      outputs = column_mixing.sluice(outputs, inputs[1], 2)
      return outputs + tf.gradients([tf.square(y) for y in outputs], inputs)
    with tf.Graph().as_default(), tf.Session() as session:
      for one, other in zip(*session.run(
          [op(), tf2.function(op, jit_compile=True)()])):
        self.assertAllClose(one, other, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(0, 3)
  def test_unknown_batch_size(self, rows):
    with tf.Graph().as_default(), tf.Session() as session:
      x = tf.placeholder(tf.float32, [None, 2, 4])
      for outputs in (
          column_mixing.cross_stitch([x, 2 * x], tf.ones([2, 2])),
          column_mixing.cross_stitch([x, 2 * x], tf.ones([2, 2, 4])),
          column_mixing.sluice([x, 2 * x], 0.5 * tf.ones([4, 4]), 2),
          [column_mixing.mix_layers([x, 2 * x], tf.ones([2]))]):
        for output in outputs:
          self.assertEqual(output.shape.as_list(), [None, 2, 4])
          self.assertAllEqual(session.run(output, {x: np.ones([rows, 2, 4])}),
                              np.full([rows, 2, 4], 3))

  @parameterized.parameters(
      ([], [2, 2], r"`columns` must hold 1 tensors or more, found 0"),
      ([[5, 4], [5, 3]], [2, 2],
       r"`columns\[1\]` must have shape \[5, 4\], found \(5, 3\)"),
      ([[], []], [2, 2],
       r"`columns` must have a known rank of 1 or more, found \(\)"),
      ([[5, 4]] * 2, [2, 3],
       r"`alpha` must have shape \[any, 2\], found \(2, 3\)"),
      ([[5, 4]] * 2, [4], r"`alpha` must have shape \[any, 2\], found \(4,\)"),
      ([[5, 4]] * 2, [2, 2, 1],
       r"`alpha` must have shape \[any, 2, 4\], found \(2, 2, 1\)"))
  def test_bad_shape_is_refused(self, columns, alpha, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      column_mixing.cross_stitch(
          [tf.placeholder(tf.float32, s) for s in columns],
          tf.placeholder(tf.float32, alpha), "op")


class SluiceTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_tasks=(1, 2, 3), subspaces=(1, 2, 3),
                         shape=([5, 6], [4, 2, 6]))
  def test_matches_formula_and_its_gradients(self, num_tasks, subspaces, shape):
    x, upstream = _RANDOM.normal(size=[2, num_tasks, *shape])
    alpha = _RANDOM.normal(size=[num_tasks * subspaces] * 2)
    found, by_x, by_alpha = _run(
        lambda x, a: column_mixing.sluice(x, a, subspaces), x, alpha, upstream)
    self.assertAllClose(found, _sluice(x, alpha, subspaces), rtol=1e-5,
                        atol=1e-5)
    self.assertAllClose(by_x, numeric_gradient.of(
        lambda p: np.sum(upstream * _sluice(p, alpha, subspaces)), x),
                        rtol=1e-4, atol=1e-5)
    self.assertAllClose(by_alpha, numeric_gradient.of(
        lambda p: np.sum(upstream * _sluice(x, p, subspaces)), alpha),
                        rtol=1e-4, atol=1e-5)

  @parameterized.parameters(1, 2, 3)
  def test_identity_changes_nothing_to_the_bit(self, subspaces):
    x, upstream = (_RANDOM.normal(size=[2, 2, 50, 6])
                   * 10.0 ** _RANDOM.integers(-20, 20, [50, 1])
                  ).astype(np.float32)
    found, by_x, _ = _run(
        lambda x, a: column_mixing.sluice(x, a, subspaces), x,
        np.eye(2 * subspaces), upstream)
    self.assertAllEqual(found, x)
    self.assertAllEqual(by_x, upstream)

  def test_one_subspace_is_cross_stitch(self):
    x, alpha = _RANDOM.normal(size=[3, 5, 4]), _RANDOM.normal(size=[3, 3])
    for one, other in zip(
        _run(lambda x, a: column_mixing.sluice(x, a, 1), x, alpha, x),
        _run(column_mixing.cross_stitch, x, alpha, x)):
      self.assertAllEqual(one, other)

  @parameterized.parameters(
      ([], [2, 2], 1, r"`columns` must hold 1 tensors or more, found 0"),
      ([[5, 4], [5]], [4, 4], 2,
       r"`columns\[1\]` must have shape \[5, 4\], found \(5,\)"),
      ([[5, 4]] * 2, [2, 2], 2,
       r"`alpha` must have shape \[any, 4\], found \(2, 2\)"),
      ([[5, 4]] * 2, [3, 4], 2, "the first dimension of `alpha` must be a "
       "known multiple of `subspaces`, found 3 and 2"),
      ([[5, 4]] * 2, [6, 6], 3, "the last dimension of `columns` must be a "
       "known multiple of the number of parts, found 4 and 3 parts"),
      ([[5, 4]] * 2, [0, 0], 0, "the last dimension of `columns` must be a "
       "known multiple of the number of parts, found 4 and 0 parts"),
      ([[5, None]] * 2, [4, 4], 2, "the last dimension of `columns` must be a "
       "known multiple of the number of parts, found None and 2 parts"))
  def test_bad_shape_is_refused(self, columns, alpha, subspaces, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      column_mixing.sluice([tf.placeholder(tf.float32, s) for s in columns],
                           tf.placeholder(tf.float32, alpha), subspaces, "op")


class MixLayersTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(num_layers=(1, 3), shape=([], [5], [5, 2, 4]))
  def test_matches_formula_and_its_gradients(self, num_layers, shape):
    x, beta = _RANDOM.normal(size=[num_layers, *shape]), _RANDOM.normal(
        size=[num_layers])
    upstream = _RANDOM.normal(size=shape)
    found, by_x, by_beta = _run(
        lambda x, b: [column_mixing.mix_layers(x, b)], x, beta,
        upstream[np.newaxis])
    self.assertAllClose(found[0], np.einsum("l...,l->...", x, beta), rtol=1e-5,
                        atol=1e-6)
    self.assertAllClose(by_x, np.stack([b * upstream for b in beta]))
    self.assertAllClose(by_beta, [np.sum(upstream * each) for each in x],
                        rtol=1e-5, atol=1e-6)

  def test_one_layer_of_weight_one_stays_as_it_is_to_the_bit(self):
    x = _RANDOM.normal(size=[3, 5, 4]).astype(np.float32)
    found, _, _ = _run(lambda x, b: [column_mixing.mix_layers(x, b)], x,
                       [0, 1, 0], np.ones([1, 5, 4]))
    self.assertAllEqual(found[0], x[1])

  @parameterized.parameters(
      ([], [1], "`outputs` must hold 1 tensors or more, found 0"),
      ([[5, 4], [5, 3]], [2],
       r"`outputs\[1\]` must have shape \[5, 4\], found \(5, 3\)"),
      ([[5, 4]], [2], r"`beta` must have shape \[1\], found \(2,\)"))
  def test_bad_shape_is_refused(self, outputs, beta, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      column_mixing.mix_layers([tf.placeholder(tf.float32, s) for s in outputs],
                               tf.placeholder(tf.float32, beta), "op")


if __name__ == "__main__":
  absltest.main()
