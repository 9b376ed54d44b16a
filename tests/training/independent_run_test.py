"""Tests of whole runs of independent training."""

import functools
import json
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import checkpoints
from mtl_graph.training import loop

_TEXT = """
name: "independent" seed: 7
data { batch_size: 20 feature { name: "x" numeric { size: 3 } } }
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" regression {} }
  task { name: "b" binary {} }
}
training {
  num_rounds: 3
  independent {
    order: SEQUENTIAL
    task { name: "a" iterations: 100
           optimizer { adam { learning_rate { constant: 0.001 } } } }
    task { name: "b" iterations: 10
           optimizer { adam { learning_rate { constant: 0.01 } } } }
  }
  checkpoint { every_steps: 55 }
  # On a busy machine AUTO may find XLA faster in one run and not in another.
  execution { mode: LOOP }
  summaries { enabled: false }
}
evaluation { every_steps: 55 }
"""
_OPTIMIZER = ("training.default_optimizer={ adam { learning_rate { constant: "
              "0.01 } } }")
_SHARE = "training.independent.task[{}].{}"


def _rows(seed, count=50, labels="ab"):
  random = np.random.default_rng(seed)
  x = random.normal(size=[count, 3])
  every = {"a": x.sum(axis=1), "b": (x[:, 0] > 0).astype(float)}
  return {"x": x, **{task: every[task] for task in labels}}


_ARRAYS = {"train": _rows(0), "validation": _rows(1)}


class _Crash(Exception):
  """What the tests stop a run by."""


def _values(folder):
  reader = tf.train.load_checkpoint(checkpoints.newest(folder))
  return {name: np.asarray(reader.get_tensor(name))
          for name in reader.get_variable_to_shape_map()}


def _train(overrides, folder, log, arrays=None, **kwargs):
  experiment = config.parse(_TEXT)
  for assignment in overrides:
    config.override(experiment, assignment)
  if experiment.training.HasField("joint"):
    experiment.training.ClearField("num_rounds")
  arrays = arrays or _ARRAYS
  validation.check(experiment, arrays)
  return loop.train(experiment, folder, arrays, log=log, **kwargs)


_FOLDERS = []


@functools.lru_cache(maxsize=None)
def _finished(*overrides):
  """Trains once per process; returns folder, result and log.

  For tests that write nothing to the folder.
  """
  _FOLDERS.append(tempfile.TemporaryDirectory())
  folder, lines = _FOLDERS[-1].name, []
  return folder, _train(overrides, folder, lines.append), lines


def _in_order(order):
  return _finished(f"training.independent.order={order}")


class IndependentRunTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _train(self, *overrides, folder=None, log=None, **kwargs):
    self._lines = []
    return _train(overrides, folder or self._folder, log or self._lines.append,
                  **kwargs)

  def _take_up_one_round(self):
    """Has the test's folder be what a run of one round has left."""
    shutil.copytree(_finished("training.num_rounds=1")[0], self._folder,
                    dirs_exist_ok=True)

  def _counters(self, folder=None):
    values = _values(folder or self._folder)
    return [int(values[f"iterations/{task}"]) for task in "ab"]

  @parameterized.parameters("SEQUENTIAL", "INTERLEAVED")
  def test_three_rounds_of_100_and_10(self, order):
    self._folder, result, self._lines = _in_order(order)
    self.assertEqual(self._counters(), [300, 30])
    self.assertEqual(result.step, 330)
    self.assertEqual(int(_values(self._folder)["global_step"]), 330)
    self.assertLess(result.metrics["validation"]["a"]["loss"], 3)
    line, = [l for l in self._lines if l.startswith("step 100/330")]
    shown = "loss a" if order == "SEQUENTIAL" else "loss a .* b "
    self.assertRegex(line, shown)
    self.assertNotIn("total", line)

  def test_interleaved_another_way_through_the_same_iterations(self):
    one, other = [_values(_in_order(order)[0])
                  for order in ("SEQUENTIAL", "INTERLEAVED")]
    self.assertNotEqual(one["trunk/dense/kernel"].tobytes(),
                        other["trunk/dense/kernel"].tobytes())
    self.assertEqual(one["iterations/a"], other["iterations/a"])

  @parameterized.parameters(("SEQUENTIAL", 100), ("INTERLEAVED", 200))
  def test_a_run_that_crashes_goes_on_to_the_bit(self, order, step):
    overrides = [f"training.independent.order={order}"]
    expected = _values(_in_order(order)[0])

    def crash(line):
      if line.startswith(f"step {step}/"):
        raise _Crash
    with self.assertRaises(_Crash):
      self._train(*overrides, log=crash)
    self._train(*overrides)
    self.assertIn(f"going on from step {step // 55 * 55}", self._lines)
    found = _values(self._folder)
    self.assertEqual([name for name in expected.keys() | found.keys()
                      if expected[name].tobytes() != found[name].tobytes()], [])

  def test_more_rounds_go_on(self):
    self._take_up_one_round()
    self.assertEqual(self._counters(), [100, 10])
    self._train("training.num_rounds=2")
    self.assertEqual(self._counters(), [200, 20])
    self._train("training.num_rounds=2")
    self.assertIn("nothing left to do: step 220 of 220 reached; raise "
                  "training.num_rounds to go on", self._lines)

  def test_other_iterations_are_a_change(self):
    self._take_up_one_round()
    with self.assertRaisesRegex(config.ConfigErrors,
                                r"independent.task\[0\].iterations: 100 -> 50"):
      self._train(_SHARE.format(0, "iterations=50"))
    self._train(_SHARE.format(0, "iterations=50"), allow_changes=True)
    self.assertEqual(self._counters(), [200, 30])

  def test_a_run_of_joint_training_goes_on_without_a_joint_loss(self):
    shares = ("training.independent={ task { name: 'a' iterations: 2 } "
              "task { name: 'b' } }")
    self._train("training.num_steps=40", "training.joint={ loss { sum {} } }",
                _OPTIMIZER)
    result = self._train(shares, _OPTIMIZER, allow_changes=True)
    self.assertEqual(self._counters(), [6, 3])
    self.assertEqual(result.step, 49)
    result = self._train("training.num_steps=60", "training.joint={ loss { "
                         "sum {} } }", _OPTIMIZER, allow_changes=True)
    self.assertEqual(result.step, 60)

  def test_a_task_stops_early_and_the_other_goes_on(self):
    rule = '{ metric: "b/auc" goal: MINIMIZE patience: 1 }'
    self._train("training.independent.order=INTERLEAVED",
                _SHARE.format(1, f"early_stopping={rule}"),
                "evaluation.every_steps=22")
    line, = [l for l in self._lines if "stopped early" in l]
    self.assertStartsWith(line, "task 'b' stopped early at step 44: b/auc has "
                          "not been better than ")
    self.assertEqual(self._counters(), [300, 4])
    self._train("training.independent.order=INTERLEAVED",
                _SHARE.format(1, f"early_stopping={rule}"),
                "evaluation.every_steps=22", "training.num_rounds=4")
    self.assertEqual(self._counters(), [400, 4])
    # More patience lets it go on.
    rule = rule.replace("patience: 1", "patience: 99")
    self._train("training.independent.order=INTERLEAVED",
                _SHARE.format(1, f"early_stopping={rule}"),
                "evaluation.every_steps=22", "training.num_rounds=5")
    self.assertEqual(self._counters(), [500, 14])

  def test_sources_of_their_own_and_a_source_that_stops(self):
    sources = ('data.source=[{ name: "of_a" task: "a" }, '
               '{ name: "of_b" task: "b" at_end: STOP }]')
    arrays = {"train/of_a": _rows(0, 50, "a"), "train/of_b": _rows(3, 41, "b"),
              "validation/of_a": _rows(1, 20, "a"),
              "validation/of_b": _rows(2, 20, "b")}
    result = self._train(sources, _SHARE.format(0, 'source="of_a"'),
                         _SHARE.format(1, "batch_size=5"), arrays=arrays)
    # Nine batches of five hold the 41 rows of b.
    self.assertEqual(self._counters(), [300, 9])
    self.assertEqual(result.step, 309)
    # What a has drawn is what it draws from a source of its own alone.
    with tempfile.TemporaryDirectory() as folder:
      self._train("training.independent.task=[{ name: 'a' iterations: 100 "
                  "optimizer { adam { learning_rate { constant: 0.001 } } } },"
                  "{ name: 'b' iterations: 0 }]",
                  "training.default_optimizer={ adam { learning_rate { "
                  "constant: 0.001 } } }", "training.num_rounds=1",
                  folder=folder,
                  arrays={"train": {**arrays["train/of_a"],
                                    "b": np.eye(50)[0]},
                          "validation": _rows(1)})
      alone = _values(folder)
    with tempfile.TemporaryDirectory() as folder:
      self._train(sources, "training.num_rounds=1",
                  _SHARE.format(1, "iterations=0"), arrays=arrays,
                  folder=folder)
      found = _values(folder)
    for name in ("trunk/dense/kernel", "head/a/kernel"):
      self.assertEqual(found[name].tobytes(), alone[name].tobytes())

  def test_hooks_find_what_each_step_measures(self):
    found = []

    class Watch(tf.train.SessionRunHook):

      def before_run(self, run_context):
        return tf.train.SessionRunArgs(
            ["step/a/loss/a:0", "step/b/loss/total:0",
             "step/b/learning_rate/b:0"])

      def after_run(self, run_context, run_values):
        found.append(run_values.results)
    self._train("training.num_rounds=1", "training.execution.mode=AUTO",
                hooks=[Watch()])
    self.assertLen(found, 110)
    self.assertTrue(np.isfinite(found).all())
    np.testing.assert_allclose(np.array(found)[:, 2], 0.01, rtol=1e-6)

  def test_every_task_has_summaries_of_its_own(self):
    self._train("training.summaries.enabled=true", "training.num_rounds=1")
    tags = set()
    for path in tf.gfile.Glob(f"{self._folder}/summaries/*"):
      for event in tf.train.summary_iterator(path):
        tags.update(value.tag for value in event.summary.value)
    expected = {f"{kind}/{task}" for task in "ab" for kind in (
        "loss", "task_weight", "learning_rate", "gradient_norm", "iterations")}
    self.assertContainsSubset(expected, tags)
    self.assertNotIn("loss/total", tags)

  def test_the_state_of_the_schedule_is_json(self):
    folder, _, _ = _finished("training.num_rounds=1")
    state = checkpoints.read_state(checkpoints.newest(folder))
    self.assertEqual(json.loads(json.dumps(state["schedule"])), {
        "round": 1, "place": 0, "done": {"a": 100, "b": 10}})


if __name__ == "__main__":
  absltest.main()
