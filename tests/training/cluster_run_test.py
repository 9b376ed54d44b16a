"""Tests of training in a cluster against training on one machine."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import api
from mtl_graph import cluster
from mtl_graph import config
from mtl_graph.training import loop
from mtl_graph.training import membership
from mtl_graph.training import waiting
from tests.training import loopback
from tests.training import loopback_run

_STEPS = 100


def _experiment(batch_size, *more):
  experiment = api.experiment_of(loopback_run.TEXT, [
      f"data.batch_size={batch_size}", f"training.num_steps={_STEPS}",
      "training.checkpoint.every_steps=1000", "evaluation.every_steps=50",
      "training.execution.mode=SESSION", *more])
  experiment.evaluation.ClearField("early_stopping")
  return experiment


class ClusterRunTest(loopback_run.LoopbackRunTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._servers, cls._ring = loopback.Loopback(2), loopback.Loopback(0)

  # A batch of 8 lacks labels of a task now and then.
  @parameterized.named_parameters(
      ("synchronous", "synchronous", ()),
      ("ring", "all_reduce", ()),
      ("remembering", "synchronous", (
          "training.joint.loss={ dynamic_weight_average { window_steps: 9 } }",
          "training.default_optimizer={ lazy_adam { learning_rate { constant: "
          "0.01 } } }")))
  def test_two_workers_are_one_with_twice_the_batch(self, strategy, more):
    alone = loop.train(_experiment(16, *more), f"alone-{self.id()}",
                       log=lambda line: None)
    cluster = self._ring if strategy == "all_reduce" else self._servers
    lines = []
    found = cluster.train(
        _experiment(8, f"training.cluster={{ {strategy} {{}} }}", *more),
        f"cluster-{self.id()}", lines.append)
    self.assertEqual(found.step, _STEPS)
    self.assert_equal_runs(f"alone-{self.id()}", f"cluster-{self.id()}")
    self.assertIn(f"worker 1 leaves after {_STEPS} steps", lines)
    self.assertAlmostEqual(found.metrics["validation"]["click"]["loss"],
                           alone.metrics["validation"]["click"]["loss"], 5)
    if more:  # One process would go on at other rows.
      with self.assertRaisesRegex(
          config.ConfigErrors, "training.cluster: 2 -> 1 batches in a step since"
          " training in .*; allowed: as many workers and devices, .* or "
          "--allow_changes, which skips rows"):
        loop.train(_experiment(8, f"training.num_steps={_STEPS + 5}", *more),
                   f"cluster-{self.id()}", log=lines.append)

  def test_asynchronous_workers_share_the_steps_and_one_machine_goes_on(self):
    lines = []
    found = self._servers.train(
        _experiment(8, "training.cluster={ asynchronous {} }"), "async",
        lines.append)
    self.assertBetween(found.step, _STEPS, _STEPS + 1)
    self.assertRegex("\n".join(lines), r"worker 1 leaves after \d+ steps")
    # A chief that dies on its way out finds no parameter server any more.
    gone = cluster.Cluster({"ps": dict(enumerate(loopback.free_addresses(1))),
                            "worker": self._servers.jobs["worker"]},
                           "worker", 0)
    with self.assertRaises(waiting.Ended):
      loop.train(_experiment(8, "training.cluster={ asynchronous {} }"),
                 "async", cluster=gone, server=self._servers.chief())
    again = loop.train(_experiment(8, f"training.num_steps={_STEPS + 5}"),
                       "async", log=lines.append)
    self.assertEqual(again.step, _STEPS + 5)
    self.assertIn(f"going on from step {found.step}", lines)

  def test_a_stale_gradient_counts_as_no_step(self):
    lines = []
    found = self._servers.train(_experiment(
        8, "training.cluster={ asynchronous { max_staleness: 0 } }",
        "training.num_steps=40"), "fresh", lines.append)
    self.assertGreaterEqual(found.step, 40)
    self.assertEqual(loopback_run.values("fresh")["global_step"],
                     found.step)
    # Batches that were dropped are not gone back to.
    begin, claimed = membership.Member.begin, []

    def note(member, step, basis, at):
      begin(member, step, basis, at + 100)
      claimed.extend([at, member.claimed()])

    with absltest.mock.patch.object(membership.Member, "begin", note):
      self._servers.train(_experiment(
          8, "training.cluster={ asynchronous { max_staleness: 0 } }",
          f"training.num_steps={found.step + 2}"), "fresh", lines.append)
    self.assertGreaterEqual(claimed[0], found.step)
    self.assertGreaterEqual(claimed[1], claimed[0] + 100)


if __name__ == "__main__":
  absltest.main()
