"""Tests of clusters whose tables lie in parts on several parameter servers."""

from absl.testing import absltest

from mtl_graph import config
from mtl_graph.model import train_step
from mtl_graph.training import loop
from tests.training import loopback
from tests.training import loopback_run

# Tables of 25 and 9 rows of 8 bytes, each in two parts, and one of 4.
_CUT = "min_bytes_per_part: 36"
_LAZY = ("training.default_optimizer={ lazy_adam { learning_rate { constant: "
         "0.01 } } }")


def _experiment(batch_size, steps, *more):
  experiment = config.parse(loopback_run.TEXT)
  experiment.evaluation.ClearField("early_stopping")
  for assignment in (f"data.batch_size={batch_size}",
                     f"training.num_steps={steps}",
                     "training.checkpoint.every_steps=1000",
                     "evaluation.every_steps=1000",
                     "training.execution.mode=SESSION", _LAZY,
                     "training.moving_average.decay=0.9", *more):
    config.override(experiment, assignment)
  return experiment


class PartitionedRunTest(loopback_run.LoopbackRunTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._cluster = loopback.Loopback(2)

  def setUp(self):
    super().setUp()
    # So that gradients of these tables travel as those of large ones do.
    self.enter_context(absltest.mock.patch.object(train_step, "_LARGE_TABLE", 0))

  def test_a_run_in_parts_is_one_in_one_piece(self):
    lines = []
    cut = f"training.cluster={{ synchronous {{}} {_CUT} }}"
    self._cluster.train(_experiment(8, 20, cut), "cut", lines.append)
    self.assertRegex("\n".join(lines), "embedding/hour/embeddings/part_1 ")
    loop.train(_experiment(16, 20), "whole", log=lines.append)
    self.assert_equal_runs("whole", "cut")
    # Each goes on from what the other has left.
    more = {"allow_changes": True, "log": lines.append}  # Of batch_size.
    self._cluster.train(_experiment(8, 25, cut), "whole", **more)
    loop.train(_experiment(16, 25), "cut", **more)
    self.assertLen([line for line in lines if line.endswith(
        "under a changed experiment; 0 variables start anew")], 2)
    self.assert_equal_runs("whole", "cut")


if __name__ == "__main__":
  absltest.main()
