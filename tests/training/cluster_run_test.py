"""Tests of training in a cluster against training on one machine."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import cluster
from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.training import loop
from mtl_graph.training import waiting
from tests import small_experiment
from tests.training import loopback

# Masks of dropout are drawn by batch, of which a step has one or two.
_TEXT = small_experiment.TEXT.replace("layer { dropout { rate: 0.1 } }", "")
_STEPS = 100


def _experiment(batch_size, *more):
  experiment = config.parse(_TEXT)
  experiment.evaluation.ClearField("early_stopping")
  for assignment in (f"data.batch_size={batch_size}",
                     f"training.num_steps={_STEPS}",
                     "training.checkpoint.every_steps=1000",
                     "evaluation.every_steps=50",
                     "training.execution.mode=SESSION", *more):
    config.override(experiment, assignment)
  return experiment


def _values(path):
  reader = tf.train.load_checkpoint(path)
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != "run_state"}


class ClusterRunTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._before, cls._folder = os.getcwd(), tempfile.TemporaryDirectory()
    os.chdir(cls._folder.name)
    small_experiment.write(".", _TEXT)
    cls._servers, cls._ring = loopback.Loopback(2), loopback.Loopback(0)

  @classmethod
  def tearDownClass(cls):
    os.chdir(cls._before)
    cls._folder.cleanup()
    super().tearDownClass()

  def _assert_equal(self, one, other):
    one, other = _values(one), _values(other)
    self.assertCountEqual(one, other)
    for name, value in one.items():
      np.testing.assert_allclose(other[name], value, rtol=0, atol=1e-5,
                                 err_msg=name)

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
    self._assert_equal(checkpoints.newest(f"alone-{self.id()}"),
                       checkpoints.newest(f"cluster-{self.id()}"))
    self.assertIn(f"worker 1 leaves after {_STEPS} steps", lines)
    self.assertAlmostEqual(found.metrics["validation"]["click"]["loss"],
                           alone.metrics["validation"]["click"]["loss"], 5)

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
    self.assertEqual(_values(checkpoints.newest("fresh"))["global_step"],
                     found.step)


if __name__ == "__main__":
  absltest.main()
