"""Tests of whole runs with hooks around their steps, and with a profile."""

import contextlib
import functools
import glob
import importlib
import io
import os
import re
import shutil
import tempfile

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import mtl_graph
from mtl_graph.checkpoints import sessions
from tests import small_experiment

_TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} }
  task { name: "b" regression {} }
}
training {
  num_steps: 20
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
  checkpoint { every_steps: 5 keep: 9 }
  log_every_steps: 10
  summaries { enabled: false }
}
"""


def _rows(seed, count):
  x = np.random.default_rng(seed).normal(size=count)
  return {"x": x, "a": (x > 0).astype(float), "b": 2 * x + 1}


_ARRAYS = {"train": _rows(0, 30), "validation": _rows(1, 20)}


class _Watch(tf.train.SessionRunHook):
  """Writes down the losses of every step by step, and when it was called."""

  def __init__(self):
    self.losses = {}
    self.events = []

  def begin(self):
    self.events.append("begin")
    self._mine = tf.get_variable("mine", initializer=0, trainable=False)
    self._count = self._mine.assign_add(1)

  def after_create_session(self, session, coord):
    self.events.append("session")
    self.first_step = session.run(self._step())
    self.mine = session.run(self._mine)

  def before_run(self, run_context):
    self._now = run_context.session.run(self._step())
    names = ["step/loss/a:0", "step/loss/b:0", "step/loss/total:0",
             "step/gradient_norm/shared:0", "step/learning_rate/b:0"]
    return tf.train.SessionRunArgs([self._count, names])

  def after_run(self, run_context, run_values):
    self.mine, self.losses[int(self._now) + 1] = run_values.results

  def end(self, session):
    self.events.append("end")
    self.last_step = session.run(self._step())

  def _step(self):
    return tf.train.get_global_step().read_value()


# A run without hooks, trained once per process; none writes to its folder.
_PLAIN = tempfile.TemporaryDirectory()


@functools.lru_cache(maxsize=None)
def _plain():
  return mtl_graph.train(_TEXT, _ARRAYS, _PLAIN.name, log=lambda line: None)


class HookedRunTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._lines = []

  def _train(self, *overrides, **kwargs):
    self._lines = []
    return mtl_graph.train(_TEXT, _ARRAYS, self._folder, overrides,
                           log=self._lines.append, **kwargs)

  def _steps(self):
    return sorted(int(re.search(r"-(\d+)\.index", path).group(1))
                  for path in glob.glob(f"{self._folder}/model.ckpt-*.index"))

  def _weights(self, result):
    reader = tf.train.load_checkpoint(result.checkpoint)
    return {name: reader.get_tensor(name).tobytes()
            for name in reader.get_variable_to_shape_map()
            if name != "run_state"}

  def test_hooks_see_every_step_and_change_none(self):
    watch = _Watch()
    result = self._train(hooks=[watch])
    self.assertEqual(watch.events, ["begin", "session", "end"])
    self.assertEqual(list(watch.losses), list(range(1, 21)))
    self.assertEqual((watch.first_step, watch.last_step, watch.mine),
                     (0, 20, 20))
    a, b, total, norm, rate = watch.losses[20]
    self.assertAlmostEqual(a + b, total, places=6)
    self.assertGreater(norm, 0)
    self.assertAlmostEqual(rate, 0.02)
    self.assertRegex("\n".join(self._lines),
                     r"execution: SESSION \(within _Watch")
    # Not even a variable of its own is in the checkpoint.
    self.assertEqual(self._weights(_plain()), self._weights(result))

  def test_a_hook_that_stops_the_run_has_it_saved_and_measured(self):
    watch = _Watch()
    first = self._train(hooks=[tf.train.StopAtStepHook(num_steps=7), watch])
    self.assertEqual((first.step, self._steps()), (7, [5, 7]))
    self.assertEqual(list(first.metrics), ["validation"])
    self.assertEqual((watch.events[-1], watch.last_step), ("end", 7))
    self.assertLen([line for line in self._lines if line.startswith(
        "stopped by StopAtStepHook at step 7 of 20")], 1)
    self.assertLen([line for line in self._lines if re.match(
        "step 7/20 .*validation", line)], 1)

  def test_goes_on_from_a_checkpoint(self):
    self._train(hooks=[tf.train.StopAtStepHook(last_step=7)])
    watch = _Watch()
    second = self._train(
        hooks=[tf.train.StopAtStepHook(num_steps=6), watch])
    self.assertEqual(second.step, 13)
    # The hook starts from what was restored.
    self.assertEqual((watch.first_step, watch.mine), (7, 6))
    self.assertIn("going on from step 7", self._lines)
    third = self._train()
    self.assertEqual(third.step, 20)
    self.assertEqual(self._weights(_plain()), self._weights(third))

  def test_a_finished_run_takes_no_step(self):
    _plain()
    shutil.copytree(_PLAIN.name, self._folder, dirs_exist_ok=True)
    watch = _Watch()
    self._train(hooks=[watch])
    self.assertEqual(watch.events, ["begin", "session", "end"])
    self.assertEmpty(watch.losses)

  def test_what_a_hook_raises_leaves_the_last_checkpoint(self):
    class Failing(tf.train.SessionRunHook):
      def after_run(self, run_context, run_values):
        if run_context.session.run(
            tf.train.get_global_step().read_value()) == 8:
          raise ZeroDivisionError("of the hook")
    watch = _Watch()
    with self.assertRaisesRegex(ZeroDivisionError, "of the hook"):
      self._train(hooks=[watch, Failing()])
    self.assertEqual(self._steps(), [5])
    self.assertNotIn("end", watch.events)
    self.assertEqual(self._train().step, 20)

  def test_the_end_comes_before_the_best_checkpoint_is_taken_up(self):
    watch = _Watch()
    result = self._train(
        "evaluation={ every_steps: 5 best { metric: 'b/rmse' goal: MAXIMIZE } "
        "}", hooks=[watch])
    self.assertEqual(watch.last_step, 20)
    self.assertNotEndsWith(result.checkpoint, "-20")

  def test_profile(self):
    result = self._train("training.num_steps=32", profile=True)
    line, = [line for line in self._lines if line.startswith("profile")]
    self.assertStartsWith(line, f"profile of 20 steps: {self._folder}/profile;")
    path, = glob.glob(f"{self._folder}/profile/plugins/profile/*/*.xplane.pb")
    with open(path, "rb") as file:
      space = xplane_pb2.XSpace.FromString(file.read())
    names = [plane.event_metadata[event.metadata_id].name
             for plane in space.planes for line in plane.lines
             for event in line.events]
    # oneDNN has a kind of its own on some processors.
    self.assertLen([n for n in names if re.fullmatch(
        "block/.*/trunk/dense/MatMul:(_Mkl)?MatMul", n)], 20)
    self.assertTrue([n for n in names if "optimizer/shared" in n])
    self.assertEqual(result.step, 32)
    weights = self._weights(result)
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self.assertEqual(self._weights(self._train("training.num_steps=32")),
                     weights)
    self.assertFalse(os.path.exists(f"{self._folder}/profile"))

  def test_profile_by_flag(self):
    self.addCleanup(os.chdir, os.getcwd())
    os.chdir(self._folder)
    small_experiment.write(".", small_experiment.TEXT)
    train = importlib.import_module("mtl_graph.train")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      code = train.main(["train", "--config=small.pbtxt", "--model_dir=run",
                         "--profile", "--set=training.num_steps=2"])
    self.assertEqual(code, 0)
    self.assertIn("\nprofile of 2 steps: run/profile; ", printed.getvalue())
    self.assertLen(glob.glob("run/profile/plugins/profile/*/*.xplane.pb"), 1)

  def test_threads_are_set_before_and_within_the_session(self):
    order = []
    def set_threads(execution, unused_otherwise):
      order.append(("set", execution.intra_op_threads))
      return "warning: too late"
    opened = sessions.open_session
    def open_session(graph, execution=None):
      order.append(("open", execution.inter_op_threads))
      return opened(graph, execution)
    with absltest.mock.patch.object(sessions, "set_threads", set_threads):
      with absltest.mock.patch.object(sessions, "open_session", open_session):
        self._train("training.execution={ intra_op_threads: 1 "
                    "inter_op_threads: 2 }")
    self.assertEqual(order, [("set", 1), ("open", 2)])
    self.assertEqual(self._lines[0], "warning: too late")


if __name__ == "__main__":
  absltest.main()
