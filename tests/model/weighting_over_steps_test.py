"""Methods that remember, over steps, against their formulas in float64."""

import re

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import batches
from tests.model import resident_run

_TEXT = """
name: "weighting"
seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { size: 3 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" regression {} }
  task { name: "b" regression {} }
  task { name: "c" binary {} }
}
training {
  num_steps: 9
  joint { loss { sum {} } }
  default_optimizer { gradient_descent { learning_rate { constant: 0.05 } } }
}
"""
_STEPS = 9
_LOSS = "training.joint.loss"


def _data():
  random = np.random.default_rng(5)
  x = random.normal(size=[40, 3]).astype(np.float32)
  labels = np.stack([10 * x[:, 0], x[:, 1] ** 2, x[:, 2] > 0], 1)
  weights = (random.uniform(size=[40, 3]) < 0.8).astype(np.float32)
  # The first batches have every label, as formulas begin there.
  return batches.Batch(x, np.zeros([40, 0], np.int32),
                       labels.astype(np.float32), weights)


def _run(loss):
  return resident_run.ResidentRun(
      resident_run.parse(_TEXT, f"{_LOSS}={{{loss}}}"), _data(),
      [True, True, True])


def _softmax(values):
  return np.exp(values) / np.exp(values).sum()


class _Adam:
  """Kingma and Ba's algorithm 1, step by step."""

  def __init__(self, rate):
    self._rate, self._first, self._second, self._count = rate, 0.0, 0.0, 0

  def __call__(self, gradient):
    """Returns what is to be taken off."""
    self._count += 1
    self._first = 0.9 * self._first + 0.1 * gradient
    self._second = 0.999 * self._second + 0.001 * gradient ** 2
    return self._rate * (self._first / (1 - 0.9 ** self._count)) / (
        np.sqrt(self._second / (1 - 0.999 ** self._count)) + 1e-8)


class WeightingOverStepsTest(tf.test.TestCase):

  def test_famo_goes_by_the_losses_before_and_after_each_step(self):
    run = _run("famo { learning_rate: 0.1 decay: 0.02 }")
    logits, adam = np.zeros(3), _Adam(0.1)
    for number in range(_STEPS):
      rows = run.rows(number)
      present = run.data.weights[rows].sum(0) > 0
      before = run.evaluate(rows)
      report = run.run()
      after = run.evaluate(rows)
      z = _softmax(logits)
      shares = np.where(present, z / np.where(present, before, 1), 0)
      self.assertAllClose(report.task_losses, before, rtol=1e-5)
      self.assertAllClose(report.task_weights, shares / shares.sum(), rtol=1e-4)
      gains = np.where(present, np.log(before / after), 0)
      seen = np.where(present, z, 0) / z[present].sum()
      logits = logits - adam(seen * (gains - seen @ gains) + 0.02 * logits)
    found = run.values()
    self.assertAllClose([found[f"task_weighting/{task}"][0] for task in "abc"],
                        logits, rtol=1e-4)

  def test_grad_norm_goes_back_once_per_task(self):
    names = [op.name for op in
             _run("grad_norm {}").model.graph.get_operations()]
    passes = [name for name in names if re.match(
        "weighting/gradients.*/head/./MatMul_grad/MatMul$", name)]
    self.assertLen(passes, 3)

  def test_grad_norm_needs_a_kernel_that_all_tasks_reach(self):
    with self.assertRaisesRegex(
        config.ConfigError, "^training.joint.loss.grad_norm.kernel: found "
        "'trunk/dense/kernel', which the loss of task 'd' does not reach; "
        "allowed: a variable that every task's loss reaches$"):
      resident_run.ResidentRun(resident_run.parse(
          _TEXT, f"{_LOSS}={{ grad_norm {{}} }}",
          "model.task=[{ name: 'a' regression {} }, { name: 'd' regression {} "
          "reads: 'features' }]"),
                               _data())

  def test_grad_norm_measures_the_last_shared_kernel(self):
    run = _run("grad_norm { alpha: 0.5 learning_rate: 0.1 }")
    with run.model.graph.as_default():
      # Of the graph of the evaluation, which has no part in the step.
      means = tf.unstack(tf.reduce_sum(
          run.model.row_losses * run.model.batch.weights, 0) / tf.maximum(
              tf.reduce_sum(run.model.batch.weights, 0), 1.0))
      kernel = run.model.trainable["trunk/dense/kernel"]
      gradients = [tf.gradients(mean, kernel)[0] for mean in means]
    weights, adam, first = np.ones(3), _Adam(0.1), None
    for number in range(_STEPS):
      rows = run.rows(number)
      self.assertAllGreater(run.data.weights[rows].sum(0), 0)
      losses = run.evaluate(rows).astype(np.float64)
      norms = np.array([np.linalg.norm(g) for g in run.session.run(
          gradients, run.feed(rows))], np.float64)
      report = run.run()
      self.assertAllClose(report.task_weights, weights, rtol=1e-4)
      first = losses if first is None else first
      pace = losses / first / np.mean(losses / first)
      target = np.mean(weights * norms) * pace ** 0.5
      weights = np.maximum(weights - adam(
          np.sign(weights * norms - target) * norms), 0)
      weights *= 3 / weights.sum()
    # The task of large gradients has lost weight.
    self.assertLess(weights[0], weights[1])

  def test_dynamic_weights_go_by_the_losses_of_whole_windows(self):
    run = _run("dynamic_weight_average { window_steps: 2 temperature: 0.5 }")
    means, sums, counts = [], np.zeros(3), np.zeros(3)
    for number in range(_STEPS):
      if number and number % 2 == 0:
        means.append(sums / counts)
        sums, counts = np.zeros(3), np.zeros(3)
      rows = run.rows(number)
      weights = run.data.weights[rows].sum(0)
      sums += run.evaluate(rows) * weights
      counts += weights
      expected = np.ones(3)
      if len(means) > 1:
        expected = 3 * _softmax(means[-1] / means[-2] / 0.5)
      self.assertAllClose(run.run().task_weights, expected, rtol=1e-4)
    self.assertGreater(np.ptp(expected), 0.01)

  def test_chebyshev_measures_by_the_warm_up(self):
    run = _run("smooth_chebyshev { warm_up_steps: 3 smoothness: 0.7 }")
    sums, counts = np.zeros(3), np.zeros(3)
    for number in range(_STEPS):
      rows = run.rows(number)
      weights, losses = run.data.weights[rows].sum(0), run.evaluate(rows)
      report = run.run()
      if number < 3:
        sums += losses * weights
        counts += weights
        self.assertAllEqual(report.task_weights, np.ones(3))
        self.assertAllClose(report.total, losses.sum(), rtol=1e-5)
        continue
      relative = np.log(losses / (sums / counts)) / 0.7
      self.assertAllClose(report.total, 3 * 0.7 * np.log(
          np.exp(relative).sum()), rtol=1e-4, atol=1e-5)
      self.assertAllClose(report.task_weights, 3 * _softmax(relative) / losses,
                          rtol=1e-4)

  def test_random_weights_are_drawn_at_every_step(self):
    run = _run("random_weights {}")
    drawn = np.array([run.run().task_weights for _ in range(_STEPS)])
    self.assertAllClose(drawn.sum(1), np.ones(_STEPS), rtol=1e-5)
    self.assertLen(np.unique(drawn.round(6), axis=0), _STEPS)

  def test_scheduled_weights_follow_the_step(self):
    run = _run('weighted_sum { schedule { task: "b" factor { exponential_decay {'
               " initial: 2 decay_steps: 1 decay_rate: 0.5 } } } }")
    for number in range(4):
      self.assertAllClose(run.run().task_weights, [1, 2 * 0.5 ** number, 1])

  def test_what_is_remembered_is_not_trained(self):
    run = _run("famo {}")
    trained = set(run.model.trainable)
    self.assertNoCommonElements(
        trained, {f"task_weighting/{task}" for task in "abc"})
    self.assertContainsSubset({f"task_weighting/{task}" for task in "abc"},
                              set(run.values()))


if __name__ == "__main__":
  absltest.main()
