"""Tests that what stands in for TensorFlow 1 equals the originals."""

import os
import pickle
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.compat import layers
from mtl_graph.compat import rnn_cell
from tests.compat import cell_cases
from tests.compat import layer_cases
from tests.compat import measuring
from tests.compat import originals

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
# What `originals` found, read once.
_FOUND = {}
_FOLDER = tempfile.TemporaryDirectory()


def setUpModule():
  try:
    import tf_keras  # pylint: disable=unused-import
  except ImportError:
    raise absltest.SkipTest("tf-keras is not installed")
  path = os.path.join(_FOLDER.name, "found")
  process = subprocess.run(
      [sys.executable, "-m", "tests.compat.originals", path], cwd=_ROOT,
      env={**os.environ, "TF_USE_LEGACY_KERAS": "1"}, capture_output=True,
      text=True, check=False)
  if process.returncode:
    raise RuntimeError(process.stderr)
  with open(path, "rb") as file:
    _FOUND.update(pickle.load(file))


def tearDownModule():
  _FOLDER.cleanup()


def _parameters(cases):
  return [(name, True) for name in cases.CASES] + [
      (name, False) for name in cases.WITH_REFERENCES]


class LayersTest(parameterized.TestCase):

  @parameterized.parameters(_parameters(layer_cases))
  def test_equals_the_original(self, name, resources):
    found = measuring.measure(layer_cases.CASES[name], layers, resources)
    self.assertEqual(
        measuring.differences(found, _FOUND["layers"][name, resources]), [])

  def test_loads_a_checkpoint_of_the_original(self):
    with tf.Graph().as_default(), measuring.session() as session:
      outputs = layer_cases.network(layers)
      tf.train.Saver().restore(session,
                               os.path.join(_FOLDER.name, "found.ckpt"))
      np.testing.assert_allclose(session.run(outputs),
                                 _FOUND["layer predictions"], atol=1e-6)

  def test_signatures(self):
    for name, expected in _FOUND["layer signatures"].items():
      if name in ("InputSpec", "Layer"):
        continue  # Of another making.
      self.assertEqual(originals.signature(getattr(layers, name)), expected,
                       name)


class CellsTest(parameterized.TestCase):

  @parameterized.parameters(_parameters(cell_cases))
  def test_equals_the_original(self, name, resources):
    found = measuring.measure(cell_cases.CASES[name], rnn_cell, resources)
    self.assertEqual(
        measuring.differences(found, _FOUND["cells"][name, resources]), [])

  def test_signatures(self):
    for name, expected in _FOUND["cell signatures"].items():
      if name != "RNNCell":
        self.assertEqual(originals.signature(getattr(rnn_cell, name)), expected,
                         name)


if __name__ == "__main__":
  absltest.main()
