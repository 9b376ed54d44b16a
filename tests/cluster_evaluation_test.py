"""Tests of the evaluator of a cluster, on a stream of one run's checkpoints.

What it must find the chief has found itself: it evaluated each checkpoint.
"""

import functools
import glob
import json
import os
import shutil
import signal
import tempfile

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph import cluster_evaluation
from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.evaluation import saved_run
from mtl_graph.training import interruption
from mtl_graph.training import loop
from mtl_graph.training import waiting
from tests.training import loopback
from tests.training import small_run

_STEPS = 4


class _Over(Exception):
  """Ends a test that would go on for ever."""


class ClusterEvaluationTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._root = cls.enterClassContext(tempfile.TemporaryDirectory())
    for split, seed in (("train", 0), ("validation", 1)):
      np.savez(os.path.join(cls._root, f"{split}.npz"),
               **small_run.rows(seed, 30))
    experiment = config.parse(small_run.TEXT)
    for assignment in (
        *(f"data.{split}={{ npz {{ path: '{cls._root}/{split}.npz' }} }}"
          for split in ("train", "validation")),
        f"training.num_steps={_STEPS}", "training.log_every_steps=1",
        "training.checkpoint={ every_steps: 1 keep: 9 }",
        "training.execution.mode=SESSION",
        "evaluation={ every_steps: 1 best { metric: 'b/rmse' goal: MINIMIZE } }"
        ):
      config.override(experiment, assignment)
    cls._experiment, cls._run = experiment, os.path.join(cls._root, "run")
    lines = []
    loop.train(experiment, cls._run, log=lines.append)
    # The metric of the validation rows by step, as the log says it.
    cls._rmse = {
        step: next(line.partition(" rmse ")[2].split()[0] for line in lines
                   if line.startswith(f"step {step}/"))
        for step in range(1, _STEPS + 1)}
    # The best comes second.
    worst, *between, best = sorted(
        cls._rmse, key=lambda step: -float(cls._rmse[step]))
    cls._order = [between[0], best, worst, *between[1:]]

  def setUp(self):
    super().setUp()
    self._folder = self.enterContext(tempfile.TemporaryDirectory())
    self._lines = []

  def _put(self, step):
    """Has the chief save a checkpoint, and drop those that it had saved."""
    for path in glob.glob(os.path.join(self._folder, "model.ckpt-*")):
      os.remove(path)
    for path in glob.glob(f"{self._run}/model.ckpt-{step}.*"):
      shutil.copy(path, self._folder)
    tf.train.update_checkpoint_state(self._folder, f"model.ckpt-{step}")

  def _end(self):
    for name in ("experiment.pbtxt", "finished.json"):
      shutil.copy(os.path.join(self._run, name), self._folder)

  def _stop(self):
    os.kill(os.getpid(), signal.SIGTERM)

  def _watch(self, *events, cluster=None, **fields):
    """Evaluates, while one event comes after the other between two looks."""
    experiment = config.parse(config.to_text(self._experiment))
    for field, value in fields.items():
      config.override(experiment, f"{field}={value}")
    events = list(events)

    def sleep(unused_seconds):
      if not events:
        raise _Over()
      events.pop(0)()

    with absltest.mock.patch.object(cluster_evaluation, "time") as time:
      time.sleep = sleep
      cluster_evaluation.watch(experiment, self._folder, self._lines.append,
                               cluster)
    self.assertEmpty(events)

  def _measured(self):
    """Returns the steps that were measured, and checks what was found."""
    found = []
    for line in self._lines:
      if line.startswith("step "):
        step = int(line.split()[1].rstrip(":"))
        self.assertIn(f" rmse {self._rmse[step]}", line)
        found.append((step, line.endswith(" (best)")))
    return found

  def _check_best(self, step):
    folder = os.path.join(self._folder, "evaluator")
    best = checkpoints.latest(os.path.join(folder, "best"))
    self.assertEqual(checkpoints.step_of(best), step)
    self.assertLen(os.listdir(os.path.dirname(best)), 3)
    reader = tf.train.load_checkpoint(best)
    expected = tf.train.load_checkpoint(f"{self._run}/model.ckpt-{step}")
    self.assertEqual(reader.get_variable_to_shape_map(),
                     expected.get_variable_to_shape_map())
    for name in expected.get_variable_to_shape_map():
      np.testing.assert_array_equal(reader.get_tensor(name),
                                    expected.get_tensor(name))
    with open(os.path.join(folder, "best.json"), encoding="utf-8") as file:
      found = json.load(file)
    self.assertEqual(found["checkpoint"], f"model.ckpt-{step}")
    self.assertEqual(f"{found['value']:.4f}", self._rmse[step])

  def test_follows_keeps_the_best_and_goes_on_where_it_was_stopped(self):
    first, best, *others = self._order
    real = saved_run.record

    def record(*args):
      for path in glob.glob(os.path.join(self._folder, "model.ckpt-*")):
        os.remove(path)  # The chief is faster.
      return real(*args)

    self.enterContext(absltest.mock.patch.object(saved_run, "record", record))
    with self.assertRaises(interruption.Interrupted) as stopped:
      self._watch(lambda: None, lambda: self._put(first), lambda: None,
                  lambda: self._put(best), self._stop)
    self.assertEqual((stopped.exception.signal, str(stopped.exception)),
                     (signal.SIGTERM, "evaluator stopped by SIGTERM"))
    self.assertEqual(self._measured(), [(first, True), (best, True)])
    self._check_best(best)
    for step in others[:-1]:
      with self.assertRaises(_Over):
        self._watch(functools.partial(self._put, step))
    self._watch(lambda: self._put(others[-1]), lambda: None, self._end)
    self.assertEqual(self._measured(), [
        (first, True), (best, True), *((step, False) for step in others)])
    self._check_best(best)

  def test_does_not_measure_again_what_is_there_still(self):
    self._put(self._order[1])
    with self.assertRaises(_Over):
      self._watch()
    self._put(self._order[1])  # Another one of the same name.
    with self.assertRaises(_Over):
      self._watch(lambda: None)
    self.assertEqual(self._measured(), [(self._order[1], True),
                                        (self._order[1], False)])
    self._end()
    before = len(self._lines)
    self._watch()
    self.assertLen(self._lines, before + 1)

  def test_who_is_ended_while_it_exports_exports_when_it_is_back(self):
    _, best, worse, *_ = self._order

    def ended(*unused):
      raise _Over()

    serving = {"serving": "{}"}
    self._put(best)
    with absltest.mock.patch.object(cluster_evaluation.api, "exporter",
                                    lambda *unused: ended):
      with self.assertRaises(_Over):
        self._watch(**serving)
    self._put(worse)
    self._end()
    self._watch(lambda: None, lambda: None, **serving)
    self.assertEqual(self._measured(), [(best, True), (best, True),
                                        (worse, False)])
    versions = os.path.join(self._folder, "evaluator", "export")
    exported, = os.listdir(versions)
    self.assertIn(f"exported {versions}/{exported}", self._lines)
    self._check_best(best)

  def test_a_damaged_checkpoint_is_passed_over(self):
    first, best, *_ = self._order
    self._put(best)
    data, = glob.glob(f"{self._folder}/model.ckpt-{best}.data-*")
    os.truncate(data, 40)
    self._watch(lambda: None, lambda: self._put(first), self._end)
    self.assertRegex(self._lines[1], "^passed over: .*cannot be restored: ")
    self.assertEqual(self._measured(), [(first, True)])

  def test_says_who_is_missing_where_no_checkpoint_ever_comes(self):
    nobody, = loopback.free_addresses(1)
    part = cluster_lib.Cluster({"worker": {0: nobody}, "ps": {0: "b:1"}},
                               "evaluator", 0)
    with self.assertRaises(waiting.ClusterError) as caught:
      self._watch(lambda: None, cluster=part,
                  **{"training.cluster": "{ wait_seconds: -1 }"})
    self.assertEqual(
        str(caught.exception), f"worker 0 at {nobody}: found no answer for 0 "
        "s; allowed: a process that runs there, or a longer training.cluster."
        f"wait_seconds; {self._folder} has no checkpoint")
    self.assertEqual(self._lines, [
        f"evaluator: follows the checkpoints of {self._folder}"])

  def test_waits_for_a_chief_that_trains_alone_and_listens_nowhere(self):
    nobody, = loopback.free_addresses(1)
    self._watch(*3 * [lambda: None], lambda: self._put(_STEPS), self._end,
                cluster=cluster_lib.Cluster({"chief": {0: nobody}},
                                            "evaluator", 0),
                **{"training.cluster": "{ wait_seconds: -1 }"})
    self.assertEqual(self._measured(), [(_STEPS, True)])

  def test_what_was_best_by_another_goal_is_no_longer(self):
    first, best, *_ = self._order
    self._put(first)
    with self.assertRaises(_Over):
      self._watch()
    self._put(best)
    with self.assertRaises(_Over):
      self._watch(lambda: None, **{"evaluation.best.goal": "MAXIMIZE"})
    # Lower than the first one's, which was the best to be lowest.
    self.assertEqual(self._measured(), [(first, True), (best, True)])
    self.assertIn("the best checkpoint so far was chosen by another measure: "
                  "the next one takes its place", self._lines)
    # Who changes the rule again finds the checkpoint that is there.
    with self.assertRaises(_Over):
      self._watch(lambda: None)
    self.assertEqual(self._measured()[2:], [(best, True)])


if __name__ == "__main__":
  absltest.main()
