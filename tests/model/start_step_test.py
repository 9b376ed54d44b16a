"""Tests of groups that are trained from a step on only."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from tests.model import resident_run

_ROWS, _BATCH, _START = 22, 8, 3
_EXPERIMENT = """
name: "small" seed: 5
data { batch_size: 8 feature { name: "x" numeric { size: 3 } } }
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} label {} }
  task { name: "b" regression {} label {} }
}
training {
  num_steps: 10
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
  group { name: "shared" scope: "trunk" }
  group { name: "a" scope: "head/a" }
  group { name: "b" scope: "head/b" }
}
"""
_WAITS = "training.group[name={}].start_step=3"
_OWN = ("head/a", "optimizer/a")
_changed, _starting = resident_run.changed, resident_run.starting


def _run(*overrides, weights=1, lacking=None):
  random = np.random.default_rng(0)
  weights = np.ones([_ROWS, 2]) * weights
  return resident_run.ResidentRun(
      resident_run.parse(_EXPERIMENT, *overrides), batches.Batch(
          random.normal(size=[_ROWS, 3]).astype(np.float32),
          np.zeros([_ROWS, 0], np.int32),
          random.integers(0, 2, [_ROWS, 2]).astype(np.float32),
          weights.astype(np.float32)), lacking)


class StartStepTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      "adam { learning_rate { constant: 0.02 } }",
      "adamw { learning_rate { constant: 0.02 } weight_decay: 0.1 }",
      "momentum { learning_rate { constant: 0.02 } }",
      "ftrl { learning_rate { constant: 0.02 } }")
  def test_variables_and_slots_stay_to_the_bit_until_then(self, optimizer):
    run = _run(_WAITS.format("a"), "training.group[name=a].optimizer={ "
               f"{optimizer} }}", "training.group[name=a].weight_decay=0.1"
               if optimizer.startswith("momentum") else "seed=5")
    before = run.values()
    others = _starting(before, "trunk", "head/b", "optimizer/shared",
                       "optimizer/b", "global_step")
    for _ in range(_START):
      after = run.train(1)
      self.assertEmpty(_starting(_changed(before, after), *_OWN))
    self.assertEqual(_changed(before, after), others)
    moved = _changed(after, run.train(1))
    self.assertEqual(moved, others | _starting(before, *_OWN))

  def test_until_then_it_is_as_if_frozen(self):
    waiting = _run(_WAITS.format("a")).train(_START)
    frozen = _run("training.group[name=a].frozen=true").train(_START)
    self.assertEmpty(_changed(frozen, waiting))

  def test_its_optimizer_begins_there(self):
    run = _run(_WAITS.format("a"))
    before = run.train(_START)
    after = run.train(1)
    # The first step of Adam goes as far as its rate.
    self.assertAllClose(np.abs(after["head/a/kernel"] - before["head/a/kernel"]
                              ), np.full([4, 1], 0.02), rtol=1e-2)
    self.assertAllClose(after["optimizer/a/beta1_power"], 0.9 ** 2)
    self.assertAllClose(after["optimizer/b/beta1_power"], 0.9 ** (_START + 2))

  def test_a_start_at_step_0_is_none(self):
    plain, run = _run(), _run("training.group[name=a].start_step=0")
    self.assertEqual(*[
        [op.name for op in r.model.graph.get_operations()]
        for r in (plain, run)])

  def test_the_report_has_its_norm_and_rate_all_the_same(self):
    report, plain = _run(_WAITS.format("a")).run(), _run().run()
    self.assertAllEqual(report.gradient_norms, plain.gradient_norms)
    self.assertAllEqual(report.learning_rates, plain.learning_rates)

  def test_labels_are_asked_for_beside_it(self):
    with tf.Graph().as_default(), tf.Session() as session:
      rows = session.run(batches.rows_of_batch(
          tf.constant(_START, tf.int64), _ROWS, _BATCH, 5))
    weights = np.ones([_ROWS, 2])
    weights[rows, 0] = 0
    run = _run(_WAITS.format("a"), weights=weights, lacking=[True, False])
    before = run.values()
    # The step at which it might start has no label of its task.
    after = run.train(_START + 1)
    self.assertEmpty(_starting(_changed(before, after), *_OWN))
    self.assertContainsSubset(_starting(before, *_OWN),
                              _changed(after, run.train(1)))

  def test_all_groups_may_wait(self):
    run = _run(*[_WAITS.format(group) for group in ("shared", "a", "b")])
    before = run.values()
    after = run.train(_START)
    self.assertEqual(_changed(before, after), {"global_step"})
    self.assertEqual(_changed(after, run.train(1)), set(before))


if __name__ == "__main__":
  absltest.main()
