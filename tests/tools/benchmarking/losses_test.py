"""Tests that all contestants compute the same losses.

An epoch is one batch here, so that a loss does not depend on the order of rows.
"""

import importlib.util
import tempfile
import unittest

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context

from mtl_graph import api
from tools.benchmarking import by_hand
from tools.benchmarking import cases
from tools.benchmarking import engine
from tools.benchmarking import keras_fit

_CASES = {
    "trunk": cases.Case(
        "trunk", (3,), trunk=8, tower=5, tasks=3, batch_size=16, batches=1),
    "experts": cases.Case(
        "experts", (1, 1), ((4, 2), (3, 3)), trunk=6, experts=4, tower=5,
        binary=True, batch_size=16, batches=1),
}
_STEPS = 4


class _Losses(tf.train.SessionRunHook):
  """Sets initial values, and takes down the loss of each step."""

  def __init__(self, values):
    self._values = dict(values)
    self.losses = []

  def begin(self):
    self._variables = {v.op.name: v for v in tf.trainable_variables()}

  def after_create_session(self, session, coord):
    del coord
    for name, value in self._values.items():
      self._variables[name].load(value, session)

  def before_run(self, run_context):
    return tf.train.SessionRunArgs("step/loss/total:0")

  def after_run(self, run_context, run_values):
    self.losses.append(float(run_values.results))
    if len(self.losses) == _STEPS:
      run_context.request_stop()


class LossesTest(parameterized.TestCase):

  def _engine(self, case):
    arrays = cases.make_arrays(case)
    hook = _Losses(cases.initial_values(case))
    with tempfile.TemporaryDirectory() as model_dir:
      api.train(engine.experiment(case, "SESSION", 0),
                cases.columns(case, arrays), model_dir,
                log=lambda line: None, hooks=[hook])
    return hook.losses

  def _check_rival(self, case, module, tolerance, **options):
    arrays = cases.make_arrays(case)
    values = cases.initial_values(case)
    rival = module.build(case, arrays, values, **options)
    self.assertEqual(rival.parameters, cases.parameters(case))
    losses = rival.losses(_STEPS)
    self.assertAlmostEqual(
        losses[0], cases.reference_loss(case, values, arrays),
        delta=1e-5)
    np.testing.assert_allclose(losses, self._engine(case), rtol=tolerance)
    self.assertGreaterEqual(rival.run(3), 1)

  @parameterized.parameters(*_CASES)
  def test_the_engine(self, name):
    case = _CASES[name]
    self.assertAlmostEqual(self._engine(case)[0], cases.reference_loss(
        case, cases.initial_values(case),
        cases.make_arrays(case)), delta=1e-5)

  @parameterized.product(name=list(_CASES), call=["feed_dict", "callable"])
  def test_by_hand(self, name, call):
    self._check_rival(_CASES[name], by_hand, 1e-5, threads=0,
                      call=call)

  @parameterized.parameters(*_CASES)
  def test_keras(self, name):
    # Keras needs what other tests of this process may have switched off.
    with context.eager_mode():
      # XLA rounds otherwise, which Adam's first steps make more of.
      self._check_rival(_CASES[name], keras_fit, 1e-4, threads=0,
                        steps_per_execution=1)

  @parameterized.product(name=list(_CASES), options=[
      {}, {"fused": True}, {"fused": True, "loader": True}])
  @unittest.skipUnless(importlib.util.find_spec("torch"), "needs PyTorch")
  def test_torch(self, name, options):
    from tools.benchmarking import pytorch
    # PyTorch adds epsilon to another denominator.
    self._check_rival(_CASES[name], pytorch, 1e-4, threads=1, **options)


if __name__ == "__main__":
  absltest.main()
