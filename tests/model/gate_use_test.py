"""Tests of what steps measure of gates."""

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import batches
from tests.model import resident_run

_TEXT = """
name: "small" seed: 5
data { batch_size: 8 feature { name: "x" numeric { size: 3 } } }
model {
  %s
  task { name: "a" label {} regression {} }
  task { name: "b" label {} regression {} }
}
training {
  %s
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
}
"""
_EXPERT = "expert { layer { dense { units: 4 } } }"
_MMOE = f"mixture_of_experts {{ num_experts: 3 {_EXPERT} }}"
_PLE = f"""progressive_layered_extraction {{
  level {{ shared_experts: 2 {_EXPERT} }} level {{ {_EXPERT} }} }}"""
_JOINT = "num_steps: 5 joint { loss { sum {} } }"


def _run(sharing, training=_JOINT):
  random = np.random.default_rng(0)
  data = batches.Batch(
      random.normal(size=[20, 3]).astype(np.float32),
      np.zeros([20, 0], np.int32),
      random.normal(size=[20, 2]).astype(np.float32),
      np.ones([20, 2], np.float32))
  return resident_run.ResidentRun(config.parse(_TEXT % (sharing, training)),
                                  data)


class GateUseTest(tf.test.TestCase):

  def test_is_the_mean_weight_of_each_expert_and_the_entropy(self):
    run = _run(_MMOE)
    self.assertEqual(list(run.step.measures), [
        f"gate/{task}/{what}" for task in "ab"
        for what in ("expert/0", "expert/1", "expert/2", "entropy")])
    run.train(3)
    values, x = run.values(), run.data.numbers[run.rows(3)].astype(np.float64)
    found, expected = run.run().measures, []
    for task in "ab":
      odds = np.exp(x @ values[f"gate/{task}/kernel"])
      weights = odds / odds.sum(1, keepdims=True)
      expected += [*weights.mean(0),
                   -(weights * np.log(weights)).sum(1).mean()]
    self.assertAllClose(found, expected, rtol=1e-5)

  def test_zeros_weigh_all_alike(self):
    run = _run(_MMOE.replace("num_experts", "gate { softmax { initializer { "
                             "constant: 0 } } } num_experts"))
    self.assertAllClose(run.run().measures, [1 / 3, 1 / 3, 1 / 3, np.log(3)] * 2)

  def test_names_within_levels(self):
    self.assertEqual(list(_run(_PLE).step.measures)[:9], [
        "level_0/gate/a/expert/a/0", "level_0/gate/a/expert/0",
        "level_0/gate/a/expert/1", "level_0/gate/a/entropy",
        "level_0/gate/b/expert/b/0", "level_0/gate/b/expert/0",
        "level_0/gate/b/expert/1", "level_0/gate/b/entropy",
        "level_0/gate/shared/expert/0"])

  def test_is_averaged_over_the_batches_of_a_step(self):
    run = _run(_MMOE, "accumulate_batches: 2 " + _JOINT)
    values = run.values()
    x = run.data.numbers[np.concatenate([run.rows(0), run.rows(1)])]
    odds = np.exp(x @ values["gate/a/kernel"])
    self.assertAllClose(run.run().measures[:3],
                        (odds / odds.sum(1, keepdims=True)).mean(0), rtol=1e-5)

  def test_a_task_trained_by_itself_has_its_own_gate_only(self):
    run = _run(_MMOE, "num_rounds: 1 independent { task { name: 'a' } "
               "task { name: 'b' } }")
    self.assertEqual([{name.split("/")[1] for name in step.measures}
                      for step in run.steps], [{"a"}, {"b"}])

  def test_no_gates_no_numbers(self):
    run = _run("hard_sharing {}")
    self.assertEmpty(run.step.measures)
    self.assertEqual(run.run().measures.shape, (0,))


if __name__ == "__main__":
  absltest.main()
