"""Tests of steps whose gradient is the mean of several batches' gradients."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import features
from mtl_graph.model import graphs
from mtl_graph.model import losses
from mtl_graph.model import weighting
from tests.model import resident_run

_ROWS, _BATCH, _COUNT = 50, 4, 3
_EXPERIMENT = """
name: "small" seed: 5
data {
  batch_size: 4
  feature { name: "x" numeric { size: 3 } }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} label {}
         tower { layer { dense { units: 3 activation: TANH } } } }
  task { name: "b" regression {} label {} }
}
training {
  num_steps: 10
  accumulate_batches: 3
  joint { loss { sum {} } }
  default_optimizer { gradient_descent { learning_rate { constant: 0.5 } } }
}
"""
_ADAM = ("training.default_optimizer={ adam { learning_rate { constant: 0.02 } "
         "} }")
_DROPOUT = ("model.hard_sharing.trunk.layer=[{ dense { units: 4 } }, "
            "{ dropout { rate: 0.5 } }]")
_NORMALIZATION = ("model.hard_sharing.trunk.layer=[{ batch_normalization { "
                  "momentum: 0.8 } }, { dense { units: 4 } }]")
_UNCERTAINTY = "training.joint.loss.uncertainty={}"
_PENALTY = ("model.hard_sharing.trunk.layer[0].dense.regularization={ l1: 0.1 "
            "l2: 0.2 }")


def _data(weights=1):
  random = np.random.default_rng(0)
  weights = np.ones([_ROWS, 2]) * weights
  labels = np.stack([random.integers(0, 2, _ROWS), random.normal(size=_ROWS)],
                    1)
  return batches.Batch(
      random.normal(size=[_ROWS, 3]).astype(np.float32),
      random.integers(0, 6, [_ROWS, 1]).astype(np.int32),
      np.where(weights > 0, labels, 0).astype(np.float32),
      weights.astype(np.float32))


def _run(*overrides, weights=1, lacking=None):
  return resident_run.ResidentRun(
      resident_run.parse(_EXPERIMENT, *overrides), _data(weights), lacking)


class _ByHand:
  """The gradient of one batch at a time, in a graph of its own."""

  def __init__(self, *overrides):
    experiment = resident_run.parse(_EXPERIMENT, *overrides)
    self._model = graphs.build(experiment)
    batch = self._model.batch
    with self._model.graph.as_default():
      self._number = tf.placeholder(tf.int64, [])
      task_losses = losses.build(
          experiment.model.task, graphs.forward(
              experiment, features.Transformed(batch.numbers, batch.ids),
              self._number).logits, batch.labels, batch.weights)
      combined = weighting.build(experiment.training.joint.loss,
                                 experiment.model.task, task_losses,
                                 self._number)
      self._variables = tf.trainable_variables()
      total = tf.add_n([combined.loss, *weighting.penalties(
          self._model.outline.penalties, self._model.variables)])
      self._gradients = [tf.convert_to_tensor(g) for g in tf.gradients(
          total, self._variables)]
      self._losses = combined.task_losses
      self._total = total
      self._inputs = {v.op.name: tf.placeholder(v.dtype.base_dtype, v.shape)
                      for v in self._variables}
      self._load = [v.assign(self._inputs[v.op.name]) for v in self._variables]
    self._session = sessions.open_session(self._model.graph)

  def run(self, values, data, rows, number):
    """Returns losses, total and gradients by name, at values of variables."""
    self._session.run(self._load, {self._inputs[name]: value for name, value in
                                   values.items() if name in self._inputs})
    feed = {placeholder: array[rows]
            for placeholder, array in zip(self._model.batch, data)}
    found = self._session.run([self._losses, self._total, self._gradients],
                              {**feed, self._number: number})
    return found[0], found[1], {
        v.op.name: g.astype(np.float64)
        for v, g in zip(self._variables, found[2])}


class GradientTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("plain", []), ("dropout", [_DROPOUT]), ("uncertainty", [_UNCERTAINTY]),
      ("penalty", [_PENALTY]), ("dropout_and_weights", [_DROPOUT], True))
  def test_is_the_mean_of_the_batches_gradients(self, overrides, some=False):
    weights = (np.random.default_rng(3).integers(0, 3, [_ROWS, 2]) if some
               else 1)
    run, by_hand = _run(*overrides, weights=weights), _ByHand(*overrides)
    for step in range(3):
      before = run.values()
      parts = [by_hand.run(before, run.data, run.rows(_COUNT * step + k),
                           _COUNT * step + k) for k in range(_COUNT)]
      report, after = run.run(), run.values()
      for name, _ in parts[0][2].items():
        mean = np.mean([gradients[name] for _, _, gradients in parts], 0)
        self.assertAllClose(after[name], before[name] - 0.5 * mean, rtol=1e-5,
                            atol=1e-6)
        self.assertTrue(np.any(mean != 0), name)
      rows = [run.rows(_COUNT * step + k) for k in range(_COUNT)]
      summed = np.array([run.data.weights[r].sum(0) for r in rows])
      self.assertAllEqual(report.label_weights, summed.sum(0))
      self.assertAllClose(report.task_losses, np.average(
          [found[0] for found in parts], 0, summed), rtol=1e-5)
      self.assertAllClose(report.total, np.mean([f[1] for f in parts]),
                          rtol=1e-5)

  def test_dropout_of_each_batch_is_its_own(self):
    by_hand, values = _ByHand(_DROPOUT), _run(_DROPOUT).values()
    losses_found = [by_hand.run(values, _data(), np.arange(4), number)[0]
                    for number in (0, 1, 2, 0)]
    self.assertAllEqual(losses_found[0], losses_found[3])
    self.assertLen({tuple(found) for found in losses_found}, 3)

  def test_where_all_rows_are_labelled_it_is_one_large_batch(self):
    run = _run()
    large = _run("training.accumulate_batches=1", "data.batch_size=12")
    for step in range(6):
      self.assertAllEqual(large.rows(step), np.concatenate(
          [run.rows(_COUNT * step + k) for k in range(_COUNT)]))
      first, second = run.run(), large.run()
      self.assertAllClose(first.total, second.total, rtol=1e-5)
      self.assertAllClose(first.gradient_norms, second.gradient_norms,
                          rtol=1e-4)
      self.assertAllEqual(first.label_weights, second.label_weights)
    expected = large.values()
    for name, value in run.values().items():
      self.assertAllClose(value, expected[name], rtol=1e-4, atol=1e-6)

  def test_norms_and_clipping_are_of_the_mean(self):
    run = _run("training.group=[{ name: 'all' scope: 'trunk' scope: 'embedding'"
               " scope: 'tower' scope: 'head' clipping { global_norm: 0.01 } }]"
              )
    before, by_hand = run.values(), _ByHand()
    parts = [by_hand.run(before, run.data, run.rows(k), k)[2]
             for k in range(_COUNT)]
    mean = np.concatenate([np.mean([part[name] for part in parts], 0).ravel()
                           for name in parts[0]])
    report, after = run.run(), run.values()
    self.assertAllClose(report.gradient_norms, [np.linalg.norm(mean)],
                        rtol=1e-5)
    moved = np.concatenate([(after[name] - before[name]).ravel()
                            for name in parts[0]])
    self.assertAllClose(moved, -0.5 * 0.01 * mean / np.linalg.norm(mean),
                        rtol=1e-3, atol=1e-7)

  def test_frozen_and_unreached_variables(self):
    run = _run("training.group=[{ name: 'rest' scope: 'trunk' scope: 'head' "
               "scope: 'embedding' }, { name: 'still' scope: 'tower' frozen: "
               "true }]", "model.stop_gradient='head/a'")
    before = run.values()
    changed = resident_run.changed(before, run.train(2))
    self.assertEmpty(resident_run.starting(changed, "tower", "head/a"))
    self.assertContainsSubset({"head/b/kernel", "trunk/dense/kernel"}, changed)


class LabelsTest(parameterized.TestCase, tf.test.TestCase):

  def _weights(self, numbers):
    """Labels task a nowhere but in the rows of these batches."""
    weights = np.ones([_ROWS, 2]) * [0, 1]
    with tf.Graph().as_default(), tf.Session() as session:
      for number in numbers:
        rows = session.run(batches.rows_of_batch(
            tf.constant(number, tf.int64), _ROWS, _BATCH, 5))
        weights[rows, 0] = 1
    return weights

  def test_labels_in_one_batch_are_labels_of_the_step(self):
    # Of the second step only the last batch has labels of task a.
    run = _run(_ADAM, weights=self._weights([5]), lacking=[True, False])
    own = ("tower/a", "head/a", "optimizer/a")
    before = run.values()
    first = run.run()
    between = run.values()
    second = run.run()
    after = run.values()
    self.assertEqual(first.label_weights.tolist(), [0, _COUNT * _BATCH])
    self.assertEqual(second.label_weights.tolist(), [_BATCH, _COUNT * _BATCH])
    self.assertEmpty(resident_run.starting(
        resident_run.changed(before, between), *own))
    self.assertContainsSubset(resident_run.starting(before, *own),
                              resident_run.changed(between, after))

  def test_batches_without_labels_count_in_the_mean(self):
    run, by_hand = _run(weights=self._weights([1])), _ByHand()
    before = run.values()
    gradients = by_hand.run(before, run.data, run.rows(1), 1)[2]
    after = run.train(1)
    for part in ("kernel", "bias"):
      self.assertAllClose(after[f"head/a/{part}"], before[f"head/a/{part}"]
                          - 0.5 * gradients[f"head/a/{part}"] / _COUNT,
                          rtol=1e-5)

  def test_condition_changes_no_bit_where_labels_are(self):
    first = _run(_ADAM, _DROPOUT).train(4)
    second = _run(_ADAM, _DROPOUT, lacking=[True, True]).train(4)
    self.assertEmpty(resident_run.changed(first, second))


class StateTest(parameterized.TestCase, tf.test.TestCase):

  def test_moving_statistics_follow_batch_by_batch(self):
    run = _run(_NORMALIZATION)
    moving = collections.OrderedDict(moving_mean=np.zeros(5),
                                     moving_variance=np.ones(5))
    scope = "trunk/batch_normalization"
    # The table would be trained, and change what is normalized.
    table = run.values()["embedding/c/embeddings"]
    for step in range(4):
      run.load({"embedding/c/embeddings": table})
      run.run()
      for k in range(_COUNT):
        rows = run.rows(_COUNT * step + k)
        inputs = np.concatenate([run.data.numbers[rows],
                                 table[run.data.ids[rows, 0]]], 1).astype(
                                     np.float64)
        for name, batch in (("moving_mean", inputs.mean(0)),
                            ("moving_variance", inputs.var(0))):
          moving[name] = 0.8 * moving[name] + 0.2 * batch
      values = run.values()
      for name, expected in moving.items():
        self.assertAllClose(values[f"{scope}/{name}"], expected, rtol=1e-5,
                            atol=1e-6)

  def test_same_seed_is_the_same_run_to_the_bit(self):
    overrides = (_ADAM, _DROPOUT, _UNCERTAINTY,
                 "training.moving_average.decay=0.5")
    self.assertEmpty(resident_run.changed(_run(*overrides).train(5),
                                          _run(*overrides).train(5)))

  def test_no_other_variables_than_without(self):
    self.assertEqual(list(_run(_ADAM).values()), list(
        _run(_ADAM, "training.accumulate_batches=1").values()))


if __name__ == "__main__":
  absltest.main()
