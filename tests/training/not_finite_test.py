"""Tests of runs whose numbers stop being finite."""

import re

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints
from mtl_graph.training import failures
from tests.training import small_run


class NotFiniteTest(small_run.SmallRunTest):

  def test_names_the_task_and_saves_nothing(self):
    with self.assertRaisesRegex(
        failures.TrainingError, "^step 1: the loss of task 'b' is inf; nothing was "
        "saved since; last good checkpoint: none; ") as caught:
      self.train("model.task[name=b].label.scale=1e30")
    self.assertNotIn("\n", str(caught.exception))
    self.assertEmpty(self.steps())

  def test_the_last_good_checkpoint_is_intact(self):
    growing = ("training.default_optimizer.adam.learning_rate.exponential_decay"
               "={ initial: 0.01 decay_steps: 1 decay_rate: 10 }",
               "training.num_steps=100", "training.checkpoint.every_steps=3")
    with self.assertRaisesRegex(failures.TrainingError,
                                "the loss of task 'b' is ") as caught:
      self.train(*growing)
    step = int(re.match(r"step (\d+)", str(caught.exception)).group(1))
    last = checkpoints.latest(self.folder)
    self.assertIn(f"last good checkpoint: {last};", str(caught.exception))
    self.assertEndsWith(last, f"-{(step - 1) // 3 * 3}")
    reader = tf.train.load_checkpoint(last)
    for name in reader.get_variable_to_shape_map():
      if name != "run_state":
        self.assertTrue(np.isfinite(reader.get_tensor(name)).all(), name)
    # The run goes on from it, to the same end.
    with self.assertRaisesRegex(failures.TrainingError, f"^step {step}: "):
      self.train(*growing)

  def test_names_the_group_where_only_a_gradient_is_not_finite(self):
    # The square of the label fits 32-bit floating point, but not four times it.
    arrays = {"train": {**small_run.ARRAYS["train"], "b": np.full(30, 1.5e19)}}
    with self.assertRaisesRegex(
        failures.TrainingError, "^step 1: the gradient of group 'b' is not finite, "
        "reached by task 'b'; nothing was saved since"):
      self.train("data.batch_size=1", arrays=arrays)


if __name__ == "__main__":
  absltest.main()
