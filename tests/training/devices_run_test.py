"""Tests of steps whose batches lie on several devices of a process."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import checkpoints
from mtl_graph.training import loop
from tests import small_experiment

# Masks of dropout are drawn by batch.
_TEXT = small_experiment.TEXT.replace("layer { dropout { rate: 0.1 } }", "")
_DEVICES = "training.execution.device=['cpu:0', 'cpu:1']"
_BALANCING = "training.joint.gradient_balancing"
# Adam makes a gradient that is nothing but rounding as long as any other.
_SGD = ("training.group=[]", "training.default_optimizer={ gradient_descent { "
        "learning_rate { constant: 0.1 } } }")
_INDEPENDENT = (
    "training={ num_rounds: 4 independent { task { name: 'click' iterations: 3 }"
    " task { name: 'spent' iterations: 2 } task { name: 'tier' } } "
    "default_optimizer { adam { learning_rate { constant: 0.01 } } } "
    "execution { mode: SESSION } summaries { enabled: false } }",)


class _Seen(tf.train.SessionRunHook):
  """Notes where ops are."""

  def after_create_session(self, session, coord):
    self.devices = [d.name for d in session.list_devices()]
    self.ops = {}
    for op in session.graph.get_operations():
      self.ops.setdefault(op.device, []).append(op.name)


def _train(folder, batch_size, *more, **options):
  experiment = config.parse(_TEXT)
  experiment.evaluation.ClearField("early_stopping")
  for assignment in (f"data.batch_size={batch_size}", "training.num_steps=60",
                     "training.checkpoint.every_steps=1000",
                     "training.execution.mode=SESSION",
                     "evaluation.every_steps=1000", *more):
    if assignment.startswith("training={"):
      experiment.ClearField("training")
    config.override(experiment, assignment)
  validation.check(experiment)
  loop.train(experiment, folder, log=lambda line: None, **options)
  reader = tf.train.load_checkpoint(checkpoints.newest(folder))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != "run_state"}


class DevicesRunTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    before, folder = os.getcwd(), self.enter_context(
        tempfile.TemporaryDirectory())
    self.addCleanup(os.chdir, before)
    os.chdir(folder)
    small_experiment.write(".", _TEXT)

  # A batch of 4 lacks labels of a task now and then.
  @parameterized.parameters(
      (()), ("data.input.kind=STREAMED", "training.accumulate_batches=2"),
      (f"{_BALANCING}={{ mgda {{}} every_steps: 2 }}", *_SGD),
      (f"{_BALANCING}={{ moco {{}} }}", *_SGD), _INDEPENDENT)
  def test_two_devices_are_one_with_twice_the_batch(self, *more):
    alone = _train("alone", 8, *more)
    seen = _Seen()
    found = _train("devices", 4, *more, _DEVICES, hooks=[seen])
    self.assertCountEqual(found, alone)
    for name, value in alone.items():
      np.testing.assert_allclose(found[name], value, 0, 1e-5, err_msg=name)
    self.assertLen(seen.devices, 2)
    for device in ("/device:CPU:0", "/device:CPU:1"):
      names = " ".join(seen.ops[device])
      self.assertIn("gradients/", names)
      self.assertRegex(names, "trunk/dense[^ ]*/MatMul")

  def test_another_number_of_devices_does_not_go_on(self):
    more = (*_SGD, "training.num_steps=2")
    _train("run", 4, *more, _DEVICES)
    with self.assertRaisesRegex(
        config.ConfigErrors, "training.execution.device: 2 -> 1 batches in a "
        "step since training in run; allowed: as many workers and devices, .*"
        "--allow_changes"):
      _train("run", 4, *_SGD, "training.num_steps=3")
    self.assertEqual(_train("run", 4, *more)["global_step"], 2)  # It is done.


if __name__ == "__main__":
  absltest.main()
