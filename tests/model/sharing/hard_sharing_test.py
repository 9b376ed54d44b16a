"""Tests of hard parameter sharing."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import stacks
from mtl_graph.model.sharing import hard_sharing
from tests.model import resident_run
from tests.model.sharing import every_sharing
from tests.model.sharing import shared_part

_DENSE = "layer { dense { units: %d activation: TANH } }"
_BRANCHES = f"""hard_sharing {{
  trunk {{ {_DENSE % 4} layer {{ name: "top" dense {{ units: 5 }} }} }}
  branch {{ name: "middle" reads: "trunk/dense" {_DENSE % 3} {_DENSE % 6} }}
  branch {{ name: "nested" reads: "branch/middle" reads: "features"
           {_DENSE % 2} }}
  branch {{ name: "usual" {_DENSE % 7} }} }}"""
_READS = {"a": [], "b": ["branch/nested", "trunk/dense"],
          "c": ["branch/usual", "branch/middle/dense", "features"],
          "d": ["features"]}
# The scopes of what each task reads.
_OF_TASK = {
    "a": {"trunk/dense", "trunk/top"},
    "b": {"trunk/dense", "branch/middle/dense", "branch/middle/dense_1",
          "branch/nested/dense"},
    "c": {"trunk/dense", "trunk/top", "branch/usual/dense",
          "branch/middle/dense"},
    "d": set()}


def _part(text, reads, shape=(3,), held=()):
  message = shared_part.parse(text).hard_sharing
  return shared_part.SharedPart(
      lambda inputs, mode: hard_sharing.build(message, inputs, reads, mode),
      shape, held=held)


def _build(text, inputs, reads):
  return hard_sharing.build(shared_part.parse(text).hard_sharing, inputs, reads,
                            stacks.Mode(1, None, frozenset(), []))


class TrunkTest(tf.test.TestCase):

  def test_every_task_reads_one_trunk(self):
    with tf.Graph().as_default():
      outputs = _build(f"hard_sharing {{ trunk {{ {_DENSE % 4} }} }}",
                       tf.zeros([2, 3]), {"a": [], "b": ["trunk"]})
      self.assertEqual(list(outputs), ["a", "b"])
      self.assertIs(outputs["a"], outputs["b"])
      self.assertEqual(outputs["a"].shape.as_list(), [2, 4])
      self.assertEqual([v.op.name for v in tf.trainable_variables()],
                       ["trunk/dense/kernel", "trunk/dense/bias"])

  def test_empty_trunk_shares_the_features(self):
    with tf.Graph().as_default():
      inputs = tf.zeros([2, 3])
      self.assertIs(_build("", inputs, {"a": []})["a"], inputs)
      self.assertEmpty(tf.trainable_variables())


class BranchesTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._part = _part(_BRANCHES, _READS)

  def test_matches_formula(self):
    v, x = self._part.values(), self._part.rows
    dense = shared_part.dense
    low = dense(v, "trunk/dense", x)
    top = dense(v, "trunk/top", low, None)
    middle = dense(v, "branch/middle/dense", low)
    nested = dense(v, "branch/nested/dense", np.concatenate(
        [dense(v, "branch/middle/dense_1", middle), x], 1))
    usual = dense(v, "branch/usual/dense", top)
    found = self._part.run()
    self.assertAllClose(found["a"], top)
    self.assertAllClose(found["b"], np.concatenate([nested, low], 1))
    self.assertAllClose(found["c"], np.concatenate([usual, middle, x], 1))
    self.assertAllClose(found["d"], x)
    for task, width in (("a", 5), ("b", 6), ("c", 13), ("d", 3)):
      self.assertEqual(self._part.outputs[task].shape.as_list(), [None, width])

  @parameterized.parameters(*_READS)
  def test_a_task_sends_a_gradient_into_what_it_reads_alone(self, task):
    reached = self._part.reached(self._part.outputs[task])
    self.assertEqual(shared_part.scopes(reached), _OF_TASK[task])

  @parameterized.parameters(*_READS)
  def test_of_one_task_only_what_it_reads_is_built(self, task):
    part = _part(_BRANCHES, {task: _READS[task]})
    self.assertEqual(shared_part.scopes(part.trainable), _OF_TASK[task])
    part.load({name: value for name, value in self._part.values().items()
               if name in part.trainable})
    self.assertAllClose(part.run()[task], self._part.run()[task])

  def test_no_gradient_through_a_held_layer(self):
    part = _part(_BRANCHES, _READS, held=["branch/middle/dense"])
    reached = {task: shared_part.scopes(part.reached(part.outputs[task]))
               for task in _READS}
    self.assertEqual(reached, {
        **_OF_TASK, "b": {"trunk/dense", "branch/middle/dense_1",
                          "branch/nested/dense"},
        "c": {"trunk/dense", "trunk/top", "branch/usual/dense"}})

  def test_a_branch_of_images_reads_a_middle_layer(self):
    part = _part("""hard_sharing {
        trunk { layer { conv2d { filters: 3 kernel_size: 3 activation: RELU } }
                layer { conv2d { filters: 2 kernel_size: 1 } }
                layer { flatten {} } }
        branch { name: "early" reads: "trunk/conv2d" reads: "features"
                 layer { conv2d { filters: 2 kernel_size: 3 } } } }""", {
                     "a": [], "b": ["branch/early", "trunk/conv2d_1"]},
                 [4, 6, 2])
    v, x = part.values(), part.rows
    first = shared_part.conv2d(v, "trunk/conv2d", x)
    second = shared_part.conv2d(v, "trunk/conv2d_1", first, None)
    early = shared_part.conv2d(v, "branch/early/conv2d",
                               np.concatenate([first, x], -1), None)
    found = part.run()
    self.assertAllClose(found["a"], second.reshape([5, -1]), rtol=1e-5)
    # Sums of up to 20 in float32, some near zero: off by a few of its steps.
    self.assertAllClose(found["b"], np.concatenate([early, second], -1),
                        rtol=1e-5, atol=5e-6)

  def test_a_layer_within_a_residual_can_be_read(self):
    part = _part(f"""hard_sharing {{
        trunk {{ layer {{ residual {{ {_DENSE % 4} {_DENSE % 3} }} }} }} }}""",
                 {"a": ["trunk/residual/dense"], "b": []})
    v, x = part.values(), part.rows
    self.assertAllClose(part.run()["a"],
                        shared_part.dense(v, "trunk/residual/dense", x))


class TrainingTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(("b", "branch/b", "branch/c"),
                            ("c", "branch/c", "branch/b"))
  def test_only_those_who_read_a_branch_train_it(self, task, own, other):
    tasks = " ".join(f"""task {{ name: "{name}"
        iterations: {int(name == task)} }}""" for name in "abc")
    run = every_sharing.run(every_sharing.TABLE["branches"], training=f"""
        num_rounds: 20 independent {{ {tasks} }}""")
    before = run.values()
    changed = resident_run.changed(before, run.train(20))
    self.assertNotEmpty(resident_run.starting(changed, own))
    self.assertEmpty(resident_run.starting(changed, other, "head/a"))
    self.assertEqual(changed & run.model.trainable.keys(),
                     run.model.reached[task])


if __name__ == "__main__":
  absltest.main()
