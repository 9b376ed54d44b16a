"""Tests of penalties on single variables within a step."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from tests.model import resident_run

_ROWS, _RATE = 22, 0.5
_EXPERIMENT = """
name: "small" seed: 5
data {
  batch_size: 8
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
  joint { loss { sum {} } }
  default_optimizer { gradient_descent { learning_rate { constant: 0.5 } } }
}
"""
_PENALTIES = {
    "embedding/c/embeddings": (0.0, 0.3),
    "trunk/dense/kernel": (0.02, 0.1),
    "tower/a/dense/kernel": (0.05, 0.0),
}
_OVERRIDES = (
    "data.feature[name=c].categorical.regularization.l2=0.3",
    "model.hard_sharing.trunk.layer[0].dense.regularization={ l1: 0.02 l2: 0.1 "
    "}", "model.task[name=a].tower.layer[0].dense.regularization.l1=0.05")


def _run(*overrides):
  random = np.random.default_rng(0)
  return resident_run.ResidentRun(
      resident_run.parse(_EXPERIMENT, *overrides), batches.Batch(
          random.normal(size=[_ROWS, 3]).astype(np.float32),
          random.integers(0, 5, [_ROWS, 1]).astype(np.int32),
          random.integers(0, 2, [_ROWS, 2]).astype(np.float32),
          np.ones([_ROWS, 2], np.float32)))


def _penalty(values):
  """Returns what the penalties come to, in float64."""
  return sum(l1 * np.abs(values[name], dtype=np.float64).sum()
             + l2 * np.square(values[name], dtype=np.float64).sum() / 2
             for name, (l1, l2) in _PENALTIES.items())


class PenaltiesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters("sum", "weighted_sum", "uncertainty")
  def test_are_in_the_total_and_in_no_tasks_loss(self, kind):
    loss = f"training.joint.loss={{ {kind} {{}} }}"
    run, plain = _run(loss, *_OVERRIDES), _run(loss)
    for _ in range(3):
      values = run.values()
      plain.load(values)
      found, expected = run.run(), plain.run()
      self.assertAllEqual(found.task_losses, expected.task_losses)
      self.assertAllEqual(found.task_weights, expected.task_weights)
      self.assertGreater(_penalty(values), 0.1)
      self.assertAllClose(found.total, expected.total + _penalty(values),
                          rtol=1e-5)

  @parameterized.parameters("sum", "uncertainty")
  def test_gradient_is_that_of_the_formula_whatever_the_weights(self, kind):
    loss = f"training.joint.loss={{ {kind} {{}} }}"
    run, plain = _run(loss, *_OVERRIDES), _run(loss)
    for _ in range(3):
      before = run.values()
      plain.load(before)
      found, expected = run.train(1), plain.train(1)
      for name, value in expected.items():
        l1, l2 = _PENALTIES.get(name, (0, 0))
        self.assertAllClose(
            found[name], value - _RATE * (l1 * np.sign(before[name])
                                          + l2 * before[name]), rtol=1e-5,
            atol=1e-6)

  def test_rows_of_a_table_that_no_row_holds_shrink_too(self):
    run = _run(*_OVERRIDES)
    before = run.values()["embedding/c/embeddings"]
    after = run.train(1)["embedding/c/embeddings"]
    # No row is of the category for what is not known, the last one.
    self.assertAllClose(after[5], (1 - _RATE * 0.3) * before[5], rtol=1e-5)

  def test_evaluation_knows_nothing_of_them(self):
    self.assertAllEqual(_run(*_OVERRIDES).evaluate(np.arange(_ROWS)),
                        _run().evaluate(np.arange(_ROWS)))

  @parameterized.parameters("{}", "{ l1: 0 l2: 0 }")
  def test_one_of_nothing_adds_no_op(self, message):
    graphs = [run.model.graph for run in (_run(), _run(
        "model.hard_sharing.trunk.layer[0].dense.regularization=" + message))]
    self.assertEqual(*[[op.name for op in graph.get_operations()]
                       for graph in graphs])

  def test_a_frozen_variable_is_not_moved_by_its_own(self):
    run = _run(*_OVERRIDES, "training.group=[{ name: 'rest' scope: 'tower' "
               "scope: 'head' scope: 'embedding' }, { name: 'still' scope: "
               "'trunk' frozen: true }]")
    kernel = run.values()["trunk/dense/kernel"]
    self.assertAllEqual(run.train(2)["trunk/dense/kernel"], kernel)


if __name__ == "__main__":
  absltest.main()
