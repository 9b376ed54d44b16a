"""Runs of a small experiment by clusters on loopback, and by one process."""

import os
import tempfile

from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints
from tests import small_experiment

# Masks of dropout are drawn by batch, of which a step has one or two.
TEXT = small_experiment.TEXT.replace("layer { dropout { rate: 0.1 } }", "")


def values(folder):
  """Returns every variable of a run's newest checkpoint, by name."""
  reader = tf.train.load_checkpoint(checkpoints.newest(folder))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != "run_state"}


class LoopbackRunTest(parameterized.TestCase):
  """Trains in a folder that holds the experiment's rows."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._before, cls._folder = os.getcwd(), tempfile.TemporaryDirectory()
    os.chdir(cls._folder.name)
    small_experiment.write(".", TEXT)

  @classmethod
  def tearDownClass(cls):
    os.chdir(cls._before)
    cls._folder.cleanup()
    super().tearDownClass()

  def assert_equal_runs(self, folder, other):
    """Holds every variable of two runs against each other, to 1e-5."""
    one, other = values(folder), values(other)
    self.assertCountEqual(one, other)
    for name, value in one.items():
      np.testing.assert_allclose(other[name], value, rtol=0, atol=1e-5,
                                 err_msg=name)
