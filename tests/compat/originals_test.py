"""Tests that what stands in for TensorFlow 1 equals the originals."""

import contextlib
import importlib.util
import io
import os
import pickle
import subprocess
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.compat import contrib_layers
from mtl_graph.compat import layers
from mtl_graph.compat import rnn_cell
from mtl_graph.compat import slim
from tests.compat import cell_cases
from tests.compat import layer_cases
from tests.compat import measuring
from tests.compat import originals
from tests.compat import slim_cases
from tools import rename_checkpoint

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
# What `originals` found, read once.
_FOUND = {}
_FOLDER = tempfile.TemporaryDirectory()


def setUpModule():
  for name in ("tf_keras", "tf_slim"):
    if importlib.util.find_spec(name) is None:
      raise absltest.SkipTest(f"{name} is not installed")
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


def _renamed(layers_of):
  """Builds the network of `slim_cases` by tf.layers."""
  x = measuring.inputs(4, 8, 9, 3)

  def normalize(x, scope):
    with tf.variable_scope(scope):
      return tf.nn.relu(layers_of.batch_normalization(
          x, name="batch_normalization"))

  x = normalize(layers_of.conv2d(x, 4, 3, 2, "same", use_bias=False,
                                 name="conv1"), "conv1")
  x = normalize(layers_of.conv2d(x, 6, 3, 1, "same", use_bias=False,
                                 name="conv2"), "conv2")
  x = layers_of.flatten(layers_of.max_pooling2d(x, 2, 2))
  x = normalize(layers_of.dense(x, 8, use_bias=False, name="fc3"), "fc3")
  return layers_of.dense(x, 3, name="logits")


class SlimTest(parameterized.TestCase):

  @parameterized.parameters(_parameters(slim_cases))
  def test_equals_the_original(self, name, resources):
    found = measuring.measure(slim_cases.CASES[name], slim, resources)
    self.assertEqual(
        measuring.differences(found, _FOUND["slim"][name, resources]), [])

  @parameterized.parameters(("slim", slim), ("contrib", contrib_layers))
  def test_signatures(self, kind, module):
    for name, expected in _FOUND[f"{kind} signatures"].items():
      if hasattr(module, name):
        self.assertEqual(originals.signature(getattr(module, name)), expected,
                         name)

  def test_loads_a_checkpoint_of_the_original(self):
    with tf.Graph().as_default(), measuring.session() as session:
      outputs = slim_cases.network(slim)
      tf.train.Saver().restore(session,
                               os.path.join(_FOLDER.name, "found.slim.ckpt"))
      np.testing.assert_allclose(session.run(outputs),
                                 _FOUND["slim predictions"], atol=1e-6)

  def test_its_checkpoint_renamed_is_one_of_layers(self):
    old = os.path.join(_FOLDER.name, "found.slim.ckpt")
    new = os.path.join(_FOLDER.name, "renamed")
    with contextlib.redirect_stdout(io.StringIO()):
      code = rename_checkpoint.main([
          "rename_checkpoint.py", old, f"--output={new}",
          "--preset=slim_to_layers"])
    self.assertIn(code, (None, 0))
    with tf.Graph().as_default(), measuring.session() as session:
      outputs = _renamed(layers)
      tf.train.Saver().restore(session, new)
      np.testing.assert_allclose(session.run(outputs),
                                 _FOUND["slim predictions"], atol=1e-6)


if __name__ == "__main__":
  absltest.main()
