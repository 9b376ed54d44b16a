"""Tests of the penalties on what several tasks learn."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import parameter_penalties
from tests import numeric_gradient

_RANDOM = np.random.default_rng(0)
_NORMS = (
    ("last_axis", parameter_penalties.last_axis_trace_norm),
    ("tucker", parameter_penalties.tucker_trace_norm),
    ("tensor_train", parameter_penalties.tensor_train_trace_norm),
)


def _pairwise(x):
  return sum(np.sum((a - b) ** 2) for a, b in itertools.combinations(x, 2))


def _to_mean(x):
  return np.sum((x - np.mean(x, 0)) ** 2)


def _flattenings(name, kernels):
  """The matrices of which a norm is the sum; `kernels` is `[T, ...]`."""
  stacked = np.stack(list(kernels), -1)
  axes = range(stacked.ndim)
  if name == "last_axis":
    return [np.stack([each.reshape(-1) for each in kernels])]
  if name == "tucker":
    return [np.moveaxis(stacked, k, 0).reshape(stacked.shape[k], -1)
            for k in axes]
  return [stacked.reshape(np.prod(stacked.shape[:k]), -1) for k in axes[1:]]


def _norm(name, kernels, epsilon):
  return sum(np.sum(np.sqrt(np.linalg.svd(m, compute_uv=False) ** 2 + epsilon))
             for m in _flattenings(name, kernels))


def _run(op, stacked, *arguments, dtype=tf.float32):
  """Returns what an op makes of a list, and the gradient by its members."""
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = [tf.constant(each, dtype) for each in stacked]
    output = op(tensors, *arguments)
    assert output.shape.as_list() == [], output.shape
    found, gradients = session.run([output, tf.gradients(output, tensors)])
    return found, np.stack(gradients)


class DistanceTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(
      both=((parameter_penalties.pairwise_distance, _pairwise),
            (parameter_penalties.distance_to_mean, _to_mean)),
      num_tasks=(1, 2, 3, 5), shape=([], [4], [2, 3]))
  def test_matches_formula_and_its_gradient(self, both, num_tasks, shape):
    op, formula = both
    x = 3 + _RANDOM.normal(size=[num_tasks, *shape])
    found, gradient = _run(op, x)
    self.assertAllClose(found, formula(x), rtol=1e-5, atol=1e-6)
    self.assertAllClose(gradient, numeric_gradient.of(formula, x), rtol=1e-4,
                        atol=1e-5)

  @parameterized.product(
      op=(parameter_penalties.pairwise_distance,
          parameter_penalties.distance_to_mean), num_tasks=(2, 3, 5, 7))
  def test_equal_parameters_are_exactly_at_no_distance(self, op, num_tasks):
    each = (_RANDOM.normal(size=[1000])
            * 10.0 ** _RANDOM.integers(-9, 9, [1000])).astype(np.float32)
    found, gradient = _run(op, [each] * num_tasks)
    self.assertAllEqual(found, 0)
    self.assertAllEqual(gradient, np.zeros([num_tasks, 1000]))

  def test_two_tasks_are_drawn_together(self):
    # Duong et al.: |theta_1 - theta_2|^2, whose slope is twice the difference.
    found, gradient = _run(parameter_penalties.pairwise_distance,
                           [[1.0, 2.0], [4.0, -2.0]])
    self.assertAllEqual(found, 25)
    self.assertAllEqual(gradient, [[-6, 8], [6, -8]])

  def test_a_small_distance_far_from_zero_keeps_its_digits(self):
    x = 1000 + np.array([[0.0], [2.0 ** -10], [2.0 ** -9]])
    found, gradient = _run(parameter_penalties.pairwise_distance, x)
    self.assertAllClose(found, 6 * 2.0 ** -20, rtol=1e-6, atol=0)
    self.assertAllClose(gradient, 6 * 2.0 ** -10 * np.array([[-1], [0], [1]]),
                        rtol=1e-6, atol=0)

  def test_order_does_not_matter(self):
    x = _RANDOM.normal(size=[3, 4])
    order = [2, 0, 1]
    one = _run(parameter_penalties.pairwise_distance, x)
    other = _run(parameter_penalties.pairwise_distance, x[order])
    self.assertAllClose(one[0], other[0])
    self.assertAllClose(one[1][order], other[1], atol=1e-6)

  @parameterized.parameters(
      ([], "`parameters` must hold 1 tensors or more, found 0"),
      ([[2, 3], [3, 2]],
       r"`parameters\[1\]` must have shape \[2, 3\], found \(3, 2\)"))
  def test_bad_shape_is_refused(self, shapes, message):
    for op in (parameter_penalties.pairwise_distance,
               parameter_penalties.distance_to_mean):
      with tf.Graph().as_default(), self.assertRaisesRegex(
          ValueError, f"^op: {message}.$"):
        op([tf.placeholder(tf.float32, s) for s in shapes], "op")


class TraceNormTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(
      norm=_NORMS, num_tasks=(1, 2, 3), shape=([1], [5], [4, 3], [2, 3, 2, 4]),
      epsilon=(1e-3, 1e-6))
  def test_matches_singular_values_and_their_gradient(
      self, norm, num_tasks, shape, epsilon):
    name, op = norm
    x = _RANDOM.normal(size=[num_tasks, *shape])
    found, gradient = _run(op, x, epsilon, dtype=tf.float64)
    self.assertAllClose(found, _norm(name, x, epsilon))
    self.assertAllClose(gradient, numeric_gradient.of(
        lambda p: _norm(name, p, epsilon), x), rtol=1e-4, atol=1e-5)
    found, single = _run(op, x, epsilon)
    self.assertAllClose(found, _norm(name, x, epsilon), rtol=1e-5)
    self.assertAllClose(single, gradient, rtol=1e-3, atol=1e-3)

  @parameterized.named_parameters(*_NORMS)
  def test_diagonal_adds_up_its_entries(self, op):
    # As a matrix, [D, T], this is diag(3, 4). Its two flattenings are equal.
    found, gradient = _run(op, [[3.0, 0.0], [0.0, -4.0]], 1e-12)
    times = 2 if op is parameter_penalties.tucker_trace_norm else 1
    self.assertAllClose(found, 7 * times)
    self.assertAllClose(gradient, times * np.array([[1, 0], [0, -1]]),
                        atol=1e-6)

  @parameterized.product(norm=_NORMS, num_tasks=(2, 3, 7), epsilon=(1e-6, 1e-12)
                         )
  def test_equal_kernels_are_of_rank_one(self, norm, num_tasks, epsilon):
    _, op = norm
    each = _RANDOM.normal(size=[6])
    found, gradient = _run(op, [each] * num_tasks, epsilon)
    times = 2 if op is parameter_penalties.tucker_trace_norm else 1
    length = np.linalg.norm(each)
    # One singular value, and as many zeros, each a root of epsilon.
    roots = (min(num_tasks, 6) - 1) * np.sqrt(epsilon)
    self.assertAllClose(found, times * (np.sqrt(num_tasks) * length + roots),
                        rtol=1e-5)
    # Where epsilon is below the rounding of the kernels, that has a say in the
    # gradient, which stays bounded all the same: by one per singular value.
    self.assertAllInRange(gradient, -times, times)
    if epsilon > 1e-9:
      self.assertAllClose(gradient, np.stack(
          [times * each / length / np.sqrt(num_tasks)] * num_tasks), atol=2e-3)

  @parameterized.named_parameters(*_NORMS)
  def test_zeros_have_no_gradient(self, op):
    found, gradient = _run(op, np.zeros([3, 4, 2]), 1e-8)
    self.assertAllInRange(found, 1e-4, 1e-2)
    self.assertAllEqual(gradient, np.zeros([3, 4, 2]))

  @parameterized.product(norm=_NORMS, bad=(np.nan, np.inf))
  def test_what_is_not_finite_shows_in_the_norm(self, norm, bad):
    x = np.ones([3, 4, 2])
    x[1, 2, 0] = bad
    found, _ = _run(norm[1], x, 1e-6)
    self.assertFalse(np.isfinite(found))

  @parameterized.named_parameters(*_NORMS)
  def test_equal_singular_values_have_a_finite_gradient(self, op):
    found, gradient = _run(op, np.eye(4)[:3], 1e-12)
    times = 2 if op is parameter_penalties.tucker_trace_norm else 1
    self.assertAllClose(found, 3 * times, rtol=1e-5)
    self.assertAllClose(gradient, times * np.eye(4)[:3], atol=1e-5)

  @parameterized.named_parameters(*_NORMS)
  def test_growing_alike_shrinks_it(self, op):
    x = _RANDOM.normal(size=[3, 4, 2])
    def at(share):
      mixed = share * np.mean(x, 0) + (1 - share) * x
      return _run(op, mixed * np.linalg.norm(x) / np.linalg.norm(mixed), 1e-9
                  )[0]
    values = [at(share) for share in (0, 0.5, 0.9, 1)]
    self.assertAllEqual(values, sorted(values, reverse=True))

  @parameterized.named_parameters(*_NORMS)
  def test_equal_under_xla(self, op):
    x = _RANDOM.normal(size=[3, 4, 2])
    def run():
      kernels = tf.constant(x, tf.float32)
      output = op(tf.unstack(kernels), 1e-6)
      return [output] + tf.gradients(output, kernels)
    with tf.Graph().as_default(), tf.Session() as session:
      for one, other in zip(*session.run(
          [run(), tf2.function(run, jit_compile=True)()])):
        self.assertAllClose(one, other, rtol=1e-4, atol=1e-4)

  @parameterized.parameters(
      ([], 1e-6, "`kernels` must hold 1 tensors or more, found 0"),
      ([[]], 1e-6, r"`kernels` must have a known rank of 1 or more, "
       r"found \(\)"),
      ([[2, 3], [2]], 1e-6,
       r"`kernels\[1\]` must have shape \[2, 3\], found \(2,\)"),
      ([[2, None]], 1e-6, "`kernels` must have a wholly known shape, found "
       r"\(2, None\)"),
      ([[2]], 0.0, "`epsilon` must be above 0, found 0.0"),
      ([[2]], -1.0, "`epsilon` must be above 0, found -1.0"))
  def test_bad_argument_is_refused(self, shapes, epsilon, message):
    for _, op in _NORMS:
      with tf.Graph().as_default(), self.assertRaisesRegex(
          ValueError, f"^op: {message}.$"):
        op([tf.placeholder(tf.float32, s) for s in shapes], epsilon, "op")


class OrthogonalityTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(shape=([6], [5, 6], [2, 3, 6]), subspaces=(1, 2, 3, 6))
  def test_matches_formula_and_its_gradient(self, shape, subspaces):
    x = _RANDOM.normal(size=shape)
    def formula(x):
      parts = np.split(x.reshape(-1, 6), subspaces, 1)
      return sum(np.sum((a.T @ b) ** 2)
                 for a, b in itertools.combinations(parts, 2))
    with tf.Graph().as_default(), tf.Session() as session:
      kernel = tf.constant(x, tf.float32)
      output = parameter_penalties.orthogonality(kernel, subspaces)
      self.assertEqual(output.shape.as_list(), [])
      gradient = tf.gradients(output, kernel)[0]
      if subspaces == 1:
        self.assertIsNone(gradient)
        self.assertEqual(session.run(output), 0)
        return
      found, gradient = session.run([output, gradient])
    self.assertAllClose(found, formula(x), rtol=1e-5)
    self.assertAllClose(gradient, numeric_gradient.of(formula, x), rtol=1e-4,
                        atol=1e-4)

  def test_orthogonal_subspaces_cost_nothing(self):
    # Within a subspace the columns may be alike.
    kernel = [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 3.0]]
    found, gradient = _run(lambda x: parameter_penalties.orthogonality(
        x[0], 2), [kernel])
    self.assertAllEqual(found, 0)
    self.assertAllEqual(gradient, np.zeros([1, 2, 4]))

  @parameterized.parameters(
      ([], 1, r"`kernel` must have a known rank of 1 or more, found \(\)"),
      ([3, 6], 4, "the last dimension of `kernel` must be a known multiple of "
       "the number of parts, found 6 and 4 parts"),
      ([3, None], 2, "the last dimension of `kernel` must be a known multiple "
       "of the number of parts, found None and 2 parts"))
  def test_bad_shape_is_refused(self, shape, subspaces, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      parameter_penalties.orthogonality(tf.placeholder(tf.float32, shape),
                                        subspaces, "op")


class CalibrationTest(parameterized.TestCase, tf.test.TestCase):

  def test_matches_formula_and_its_gradient(self):
    x = _RANDOM.uniform(size=[2, 20])
    def formula(x):
      return np.mean(np.maximum(x[0] - x[1], 0))
    found, gradient = _run(lambda x: parameter_penalties.calibration(*x), x)
    self.assertAllClose(found, formula(x))
    self.assertAllClose(gradient, numeric_gradient.of(formula, x), atol=1e-6)

  def test_an_earlier_step_as_likely_costs_nothing(self):
    found, gradient = _run(lambda x: parameter_penalties.calibration(*x),
                           [[0.1, 0.5, 0.0], [0.4, 0.5, 1.0]])
    self.assertAllEqual(found, 0)
    self.assertAllEqual(gradient, np.zeros([2, 3]))

  @parameterized.parameters(0, 4)
  def test_unknown_batch_size(self, rows):
    with tf.Graph().as_default(), tf.Session() as session:
      later, earlier = [tf.placeholder(tf.float32, [None]) for _ in range(2)]
      found = session.run(parameter_penalties.calibration(later, earlier), {
          later: np.full([rows], 0.75), earlier: np.full([rows], 0.5)})
    self.assertAllEqual(found, 0.25 if rows else 0)

  @parameterized.parameters(
      ([5, 1], [5, 1], r"`later` must have shape \[any\], found \(5, 1\)"),
      ([5], [4], r"`earlier` must have shape \[5\], found \(4,\)"))
  def test_bad_shape_is_refused(self, later, earlier, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^op: {message}.$"):
      parameter_penalties.calibration(tf.placeholder(tf.float32, later),
                                      tf.placeholder(tf.float32, earlier), "op")


if __name__ == "__main__":
  absltest.main()
