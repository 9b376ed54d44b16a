"""Tests of runs whose task weights go by what earlier steps left behind."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from tests.training import small_run

_METHODS = ("famo {}", "grad_norm {}", "random_weights {}",
            "dynamic_weight_average { window_steps: 3 }",
            "smooth_chebyshev { warm_up_steps: 4 }")


class RememberedWeightsTest(small_run.SmallRunTest):

  def _values(self, loss, mode, *more):
    """Trains; returns the bits of every variable of the checkpoint by name."""
    result = self.train(
        f"training.joint.loss={{{loss}}}", f"training.execution.mode={mode}",
        "training.checkpoint.every_steps=100", "training.num_steps=11", *more)
    reader = tf.train.load_checkpoint(result.checkpoint)
    return {name: np.asarray(reader.get_tensor(name)).tobytes()
            for name in reader.get_variable_to_shape_map()
            if name != "run_state"}

  @parameterized.parameters(*_METHODS)
  def test_loop_that_stops_and_goes_on_equals_a_session_to_the_bit(self, loss):
    whole = self._values(loss, "SESSION")
    self.setUp()
    self._values(loss, "LOOP", "training.num_steps=5")
    self.assertEqual(self._values(loss, "LOOP"), whole)

  def test_warm_start_begins_anew(self):
    self._values("famo {}", "SESSION")
    start = f"training.warm_start={{ checkpoint: '{self.folder}' }}"
    self.setUp()
    self.train("training.joint.loss={famo {}}", start, "training.num_steps=1",
               "training.execution.mode=SESSION")
    reader = tf.train.load_checkpoint(self.folder)
    # Adam's moments are tied to one another by a first step, m^2 = 10 v.
    for task in "ab":
      _, first, second = reader.get_tensor(f"task_weighting/{task}")
      self.assertGreater(second, 0)
      self.assertAlmostEqual(first ** 2 / second, 10.0, places=3)


if __name__ == "__main__":
  absltest.main()
