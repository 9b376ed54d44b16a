"""Tests of task weights that follow the course of training."""

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import adaptive_weights

_STEPS, _TASKS = 12, 3


def _course(seed):
  """Returns losses, norms and presence of some steps, shape `[S, T]`."""
  random = np.random.default_rng(seed)
  losses = random.uniform(0.1, 3.0, [_STEPS, _TASKS])
  norms = random.uniform(0.1, 10.0, [_STEPS, _TASKS])
  present = (random.uniform(size=[_STEPS, _TASKS]) < 0.8).astype(np.float64)
  present[0] = 1.0
  present[:, 2] = np.maximum(present[:, 2], 1 - present[:, :2].max(1))
  return losses * present, norms * present, present


def _follow(op, start, *series, compiled=False):
  """Runs an op along series; returns what it gives at each step."""
  state, found = np.tile(np.float32(start), [_TASKS, 1]), []
  with tf.Graph().as_default(), tf.Session() as session:
    state_in = tf.placeholder(tf.float32, state.shape)
    step = tf.placeholder(tf.int64, [])
    values = [tf.placeholder(tf.float32, [_TASKS]) for _ in series]
    if compiled:
      op = tf.function(op, jit_compile=True, autograph=False)
    call = session.make_callable(op(*values, state_in, step),
                                 [*values, state_in, step])
    for number, row in enumerate(zip(*series)):
      weights, state = call(*row, state, number)
      found.append(weights)
  return np.array(found), state


class Adam:
  """Kingma and Ba's algorithm 1 on a vector."""

  def __init__(self, size):
    self.first, self.second = np.zeros(size), np.zeros(size)

  def step(self, values, gradient, number, rate, moved):
    """Returns the values after a step; moments change where `moved`."""
    first = 0.9 * self.first + 0.1 * gradient
    second = 0.999 * self.second + 0.001 * gradient ** 2
    change = rate * (first / (1 - 0.9 ** (number + 1))) / (
        np.sqrt(second / (1 - 0.999 ** (number + 1))) + 1e-8)
    self.first = np.where(moved, first, self.first)
    self.second = np.where(moved, second, self.second)
    return np.where(moved, values - change, values)


class DynamicWeightAverageTest(tf.test.TestCase):

  def _weights(self, sums, counts, window=3, temperature=2.0, **options):
    return _follow(
        lambda a, b, state, step: adaptive_weights.dynamic_weight_average(
            a, b, state, step, window, temperature),
        adaptive_weights.DYNAMIC_START, sums, counts, **options)[0]

  def _expected(self, sums, counts, window, temperature):
    expected, means = [], []
    for step in range(_STEPS):
      if step and step % window == 0:
        past = slice(step - window, step)
        means.append(sums[past].sum(0) / counts[past].sum(0))
      if len(means) < 2:
        expected.append(np.ones(_TASKS))
      else:
        powers = np.exp(means[-1] / means[-2] / temperature)
        expected.append(_TASKS * powers / powers.sum())
    return np.array(expected)

  def test_matches_formula(self):
    losses, _, _ = _course(1)
    counts = np.random.default_rng(2).integers(1, 9, [_STEPS, _TASKS])
    for compiled in (False, True):
      self.assertAllClose(
          self._weights(losses * counts, counts, 3, 0.5, compiled=compiled),
          self._expected(losses * counts, counts, 3, 0.5), rtol=1e-5)

  def test_weights_add_up_to_their_number(self):
    losses, _, present = _course(3)
    self.assertAllClose(self._weights(losses, present).sum(1),
                        np.full(_STEPS, _TASKS))

  def test_scale_of_a_loss_changes_nothing(self):
    losses, _, present = _course(4)
    self.assertAllClose(self._weights(losses * [1.0, 1e4, 1e-3], present),
                        self._weights(losses, present), rtol=1e-4)

  def test_window_without_labels_keeps_the_last_mean(self):
    losses, counts = np.ones([_STEPS, _TASKS]), np.ones([_STEPS, _TASKS])
    losses[3:6] = 0.5
    losses[6:9, 1] = counts[6:9, 1] = 0.0
    # The third window says nothing of task 1: as if it had gone on as before.
    powers = np.exp(np.array([2.0, 1.0, 2.0]) / 2.0)
    losses[6:9, [0, 2]] = 1.0
    self.assertAllClose(self._weights(losses, counts)[9],
                        _TASKS * powers / powers.sum())


class GradNormTest(tf.test.TestCase):

  def _run(self, *series, **options):
    return _follow(
        lambda a, b, c, state, step: adaptive_weights.grad_norm(
            a, b, c, state, step, 1.5, 0.1),
        adaptive_weights.GRAD_NORM_START, *series, **options)

  def _expected(self, losses, norms, present):
    weights, initial, adam, found = np.ones(_TASKS), losses[0], Adam(
        _TASKS), []
    for step in range(_STEPS):
      found.append(weights)
      on = present[step] > 0
      pace = losses[step] / initial / (losses[step] / initial)[on].mean()
      scaled = weights * norms[step]
      target = scaled[on].mean() * pace ** 1.5
      gradient = np.sign(scaled - target) * norms[step]
      moved = np.maximum(adam.step(weights, gradient, step, 0.1, on), 0)
      weights = _TASKS * moved / moved.sum()
    return np.array(found)

  def test_matches_formula(self):
    course = _course(5)
    for compiled in (False, True):
      self.assertAllClose(self._run(*course, compiled=compiled)[0],
                          self._expected(*course), rtol=1e-4)

  def test_gradient_is_that_of_the_paper(self):
    # By automatic differentiation, the target held constant.
    norms, weights = np.array([3.0, 0.5, 1.0]), np.array([0.5, 1.5, 1.0])
    with tf.Graph().as_default(), tf.Session() as session:
      w = tf.constant(weights)
      target = tf.stop_gradient(tf.reduce_mean(w * norms))
      loss = tf.reduce_sum(tf.abs(w * norms - target))
      expected = session.run(tf.gradients(loss, w)[0])
      state = np.zeros([3, 4])
      state[:, 0], state[:, 3] = weights, 1.0
      found = session.run(adaptive_weights.grad_norm(
          tf.ones([3]), tf.constant(norms, tf.float32), tf.ones([3]),
          tf.constant(state, tf.float32), tf.constant(0)).state)
    self.assertAllClose(found[:, 1] / 0.1, expected)

  def test_weights_stay_above_zero_and_add_up_to_their_number(self):
    losses, norms, present = _course(6)
    weights = self._run(losses, norms * [100.0, 1.0, 1.0], present)[0]
    self.assertAllGreaterEqual(weights, 0.0)
    self.assertAllClose(weights.sum(1), np.full(_STEPS, _TASKS), rtol=1e-5)

  def test_large_gradients_lose_weight(self):
    ones = np.ones([_STEPS, _TASKS])
    weights = self._run(ones, ones * [100.0, 1.0, 10.0], ones)[0][-1]
    self.assertLess(weights[0], weights[2])
    self.assertLess(weights[2], weights[1])

  def test_first_loss_of_a_task_that_comes_later(self):
    losses, norms, present = np.ones([3, _STEPS, _TASKS])
    losses[:2, 1] = present[:2, 1] = 0.0
    losses[2, 1] = 7.0
    self.assertAllClose(self._run(losses, norms, present)[1][:, 3],
                        [1.0, 7.0, 1.0])

  def test_no_labels_and_no_gradients(self):
    zeros = np.zeros([_STEPS, _TASKS])
    self.assertAllEqual(self._run(zeros, zeros, zeros)[0],
                        np.ones([_STEPS, _TASKS]))
    self.assertAllEqual(self._run(zeros, zeros, zeros + 1)[0],
                        np.ones([_STEPS, _TASKS]))


class FamoTest(tf.test.TestCase):

  def _run(self, *series, decay=0.01, **options):
    def op(before, after, present, state, step):
      return (adaptive_weights.famo_weights(before, present, state),
              adaptive_weights.famo_update(before, after, present, state, step,
                                           0.1, decay))
    return _follow(op, adaptive_weights.FAMO_START, *series, **options)

  def test_matches_formula(self):
    before, _, present = _course(7)
    after = before * np.random.default_rng(8).uniform(0.5, 1.1, before.shape)
    logits, adam, expected = np.zeros(_TASKS), Adam(_TASKS), []
    for step in range(_STEPS):
      on = present[step] > 0
      z = np.exp(logits) / np.exp(logits).sum()
      shares = np.zeros(_TASKS)
      shares[on] = z[on] / before[step][on]
      expected.append(shares / shares.sum())
      gains = np.zeros(_TASKS)
      gains[on] = np.log(before[step][on]) - np.log(after[step][on])
      seen = np.where(on, z, 0) / max(z[on].sum(), 1e-9)
      jacobian = np.diag(seen) - np.outer(seen, seen)
      logits = adam.step(logits, jacobian @ gains + 0.01 * logits, step, 0.1,
                         True)
    for compiled in (False, True):
      weights, state = self._run(before, after, present, compiled=compiled)
      self.assertAllClose(weights, expected, rtol=1e-4, atol=1e-6)
      self.assertAllClose(state[:, 0], logits, rtol=1e-4, atol=1e-6)

  def test_weights_are_the_slopes_of_its_loss(self):
    losses = np.array([0.5, 2.0, 0.1])
    state = np.array([[0.3, 0, 0], [-1.0, 0, 0], [0.0, 0, 0]], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
      weights = session.run(adaptive_weights.famo_weights(
          tf.constant(losses, tf.float32), tf.ones([3]), tf.constant(state)))
    z = np.exp(state[:, 0]) / np.exp(state[:, 0]).sum()
    c = 1 / np.sum(z / losses)
    self.assertAllClose(weights, c * z / losses)
    self.assertAllClose(weights.sum(), 1.0)

  def test_task_that_gains_least_gains_weight(self):
    before = np.ones([_STEPS, _TASKS])
    logits = self._run(before, before * [0.5, 0.9, 0.99], before,
                       decay=0.0)[1][:, 0]
    self.assertLess(logits[0], logits[1])
    self.assertLess(logits[1], logits[2])

  def test_losses_of_zero_and_no_labels(self):
    zeros = np.zeros([_STEPS, _TASKS])
    self.assertAllEqual(self._run(zeros, zeros, zeros)[0], zeros)
    self.assertAllClose(self._run(zeros, zeros, zeros + 1)[0], zeros + 1 / 3)


if __name__ == "__main__":
  absltest.main()
