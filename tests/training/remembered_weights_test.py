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

  @parameterized.parameters("warm_start", "allow_changes")
  def test_what_is_kept_of_gradients_begins_anew(self, how):
    excess = "training.joint.gradient_balancing={ excess_mtl { step_size: 1 } }"
    self.train(excess, "training.num_steps=10",
               "training.execution.mode=SESSION")
    weights = "gradient_balancing/weights"
    before = tf.train.load_checkpoint(self.folder).get_tensor(weights)
    self.assertGreater(np.ptp(before), 0.01)
    if how == "warm_start":
      start = f"training.warm_start={{ checkpoint: '{self.folder}' }}"
      self.setUp()
      self.train(excess, start, "training.num_steps=1",
                 "training.execution.mode=SESSION")
    else:
      self.train(excess, "training.num_steps=11", "data.batch_size=9",
                 "training.execution.mode=SESSION", allow_changes=True)
    # At a first step every risk is as large as the first one.
    np.testing.assert_allclose(
        tf.train.load_checkpoint(self.folder).get_tensor(weights), [1, 1])

  def test_a_method_that_the_other_run_did_not_have(self):
    self.train("training.num_steps=2", "training.execution.mode=SESSION")
    start = (f"training.warm_start={{ checkpoint: '{self.folder}' "
             "missing: ERROR }")
    self.setUp()
    self.train("training.joint.gradient_balancing={ gradvac {} }", start,
               "training.num_steps=2", "training.execution.mode=SESSION")
    self.assertTrue(tf.train.load_checkpoint(self.folder).has_tensor(
        "gradient_balancing/cosines"))


if __name__ == "__main__":
  absltest.main()
