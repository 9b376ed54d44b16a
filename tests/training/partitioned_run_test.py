"""Tests of clusters whose tables lie in parts on several parameter servers."""

import os
import tempfile

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.model import train_step
from mtl_graph.training import loop
from tests import small_experiment
from tests.training import loopback

_TEXT = small_experiment.TEXT.replace("layer { dropout { rate: 0.1 } }", "")
# Tables of 25 and 9 rows of 8 bytes, each in two parts, and one of 4.
_CUT = "min_bytes_per_part: 36"
_LAZY = ("training.default_optimizer={ lazy_adam { learning_rate { constant: "
         "0.01 } } }")


def _experiment(batch_size, steps, *more):
  experiment = config.parse(_TEXT)
  experiment.evaluation.ClearField("early_stopping")
  for assignment in (f"data.batch_size={batch_size}",
                     f"training.num_steps={steps}",
                     "training.checkpoint.every_steps=1000",
                     "evaluation.every_steps=1000",
                     "training.execution.mode=SESSION", _LAZY,
                     "training.moving_average.decay=0.9", *more):
    config.override(experiment, assignment)
  return experiment


def _values(folder):
  reader = tf.train.load_checkpoint(checkpoints.newest(folder))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != "run_state"}


class PartitionedRunTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._before, cls._folder = os.getcwd(), tempfile.TemporaryDirectory()
    os.chdir(cls._folder.name)
    small_experiment.write(".", _TEXT)
    cls._cluster = loopback.Loopback(2)

  @classmethod
  def tearDownClass(cls):
    os.chdir(cls._before)
    cls._folder.cleanup()
    super().tearDownClass()

  def setUp(self):
    super().setUp()
    # So that gradients of these tables travel as those of large ones do.
    self.enter_context(absltest.mock.patch.object(train_step, "_LARGE_TABLE", 0))

  def _assert_equal(self, folder, other):
    one, other = _values(folder), _values(other)
    self.assertCountEqual(one, other)
    for name, value in one.items():
      np.testing.assert_allclose(other[name], value, rtol=0, atol=1e-5,
                                 err_msg=name)

  def test_a_run_in_parts_is_one_in_one_piece(self):
    lines = []
    cut = f"training.cluster={{ synchronous {{}} {_CUT} }}"
    self._cluster.train(_experiment(8, 20, cut), "cut", lines.append)
    self.assertRegex("\n".join(lines), "embedding/hour/embeddings/part_1 ")
    loop.train(_experiment(16, 20), "whole", log=lines.append)
    self._assert_equal("whole", "cut")
    # Each goes on from what the other has left.
    more = {"allow_changes": True, "log": lines.append}  # Of batch_size.
    self._cluster.train(_experiment(8, 25, cut), "whole", **more)
    loop.train(_experiment(16, 25), "cut", **more)
    self.assertLen([line for line in lines if line.endswith(
        "under a changed experiment; 0 variables start anew")], 2)
    self._assert_equal("whole", "cut")


if __name__ == "__main__":
  absltest.main()
