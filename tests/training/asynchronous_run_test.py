"""Tests of what a chief keeps, exports and ends while another worker goes on."""

import threading

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph import cluster
from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import batches
from mtl_graph.evaluation import saved_run
from mtl_graph.training import agreement
from mtl_graph.training import control as control_lib
from mtl_graph.training import following
from mtl_graph.training import membership
from mtl_graph.training import rows
from tests.training import loopback
from tests.training import loopback_run


def _experiment(*more):
  return api.experiment_of(loopback_run.TEXT, [
      "training.cluster={ asynchronous {} }",
      "training.checkpoint.every_steps=1000", "training.execution.mode=SESSION",
      *more])


class AsynchronousRunTest(loopback_run.LoopbackRunTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._servers = loopback.Loopback(1)

  def _drift(self, checkpoint_of, session, *args):
    """Saves, and has somebody move what was saved."""
    path = checkpoint_of(session, *args)
    with session.graph.as_default():
      moved = [v for v in tf.trainable_variables() if "bias" in v.op.name]
    session.run([v.initializer for v in moved], {
        v.initializer.inputs[1]: value + 1
        for v, value in zip(moved, session.run(moved))})
    return path

  def test_exports_what_was_saved_and_ends_early_before_it_measures(self):
    experiment = _experiment(
        "training.num_steps=1000000", "serving={ publishing { every_best {} } }",
        "evaluation={ every_steps: 10 best { metric: 'click/loss' goal: "
        "MINIMIZE } early_stopping { metric: 'click/loss' goal: MINIMIZE "
        "patience: 1 min_delta: 1000 } }")
    left, records = threading.Event(), []

    def export(run, checkpoint, raw, expected, record, unused_try):
      if "best" in checkpoint:  # It is over: nobody else makes a step.
        self.assertTrue(left.wait(60))
        return "last"
      records.append(record)
      saved = saved_run.open_run(run, "stopped", checkpoint)
      with saved.session:
        batch = saved.evaluator.transform_raw(raw)
        answers = saved.evaluator.predict(batches.Batch(
            *batch, *[np.zeros([len(batch.ids), 3], np.float32)] * 2))
      for task, keyed in expected.items():
        for key, values in keyed.items():
          if key != "class":
            np.testing.assert_allclose(values, answers[task][key], atol=1e-6)
      return "some"

    def log(line):
      if line.startswith("worker 1 leaves"):
        left.set()

    save = checkpoints.Checkpoints.save
    with absltest.mock.patch.object(
        checkpoints.Checkpoints, "save", lambda found, session, *args:
        self._drift(lambda *more: save(found, *more), session, *args)):
      found = self._servers.train(experiment, "stopped", log, exporter=export)
    self.assertNotEmpty(records)
    self.assertLess(found.step, 1000000)
    self.assertEqual(found.export_path, "last")
    # Another graph finds the same of the best checkpoint.
    again = saved_run.evaluate(experiment, "stopped", "best",
                               log=lambda line: None)
    for task, metrics in found.metrics["validation"].items():
      for name, value in metrics.items():
        self.assertAlmostEqual(again["validation"][task][name], value, 5)

  def test_who_comes_when_all_is_done_makes_no_step(self):
    settled, lines = threading.Event(), []
    take, settle = batches.take, membership.Member.settle
    follow = following.membership.Member.follow
    late = []

    def settling(*args):
      try:
        return settle(*args)
      finally:
        settled.set()

    def following_(member, basis):
      follow(member, basis)
      late.append(threading.current_thread())
      member._log("worker 1: SESSION, soon")

    def taking(*args):  # What a worker does behind what it has read first.
      if threading.current_thread() in late:
        settled.wait(60)
      return take(*args)

    patch = absltest.mock.patch.object
    with patch(batches, "take", taking), patch(
        membership.Member, "settle", settling), patch(
            membership.Member, "follow", following_):
      found = self._servers.train(_experiment("training.num_steps=5"), "late",
                                  lines.append)
    self.assertEqual(found.step, 5)
    self.assertIn("worker 1 leaves after 0 steps", lines)

  def test_a_worker_of_another_experiment_or_other_rows_is_refused(self):
    part = cluster.Cluster(self._servers.jobs, "worker", 1)
    control = control_lib.Control(self._servers.server(1).target, part.device,
                                  "/job:ps/task:0", [])
    experiment = _experiment("training.num_steps=7")
    parsed = rows.parse(experiment, "refused")
    for values, path, found in (
        (parsed.splits["train"].labels.values, "training.num_steps",
         "found 7 -> 8 between the chief and this process"),
        (parsed.splits["train"].labels.values[::-1], "data.train",
         "found other rows than the chief: ")):
      control.announce_basis(agreement.basis(
          parsed.experiment,
          parsed.splits["train"].labels._replace(values=values)))
      control.announce(2)
      if path == "data.train":
        # What is of each process alone may differ.
        other = _experiment("training.num_steps=7", "training.execution."
                            "inter_op_threads=2", "serving={}",
                            "training.cluster.wait_seconds=9")
      else:
        other = _experiment("training.num_steps=8")
      with self.assertRaises(config.ConfigErrors) as caught:
        following.train(other, "refused", part, None, lambda line: None,
                        self._servers.server(1))
      self.assertStartsWith(str(caught.exception), f"{path}: {found}")
      self.assertNotIn("\n", str(caught.exception))
    control.close()


if __name__ == "__main__":
  absltest.main()
