"""Tests of the stack of layers."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.layers import dropout
from mtl_graph.model import stacks
from mtl_graph.protos import model_pb2

_INPUTS = np.random.default_rng(0).normal(size=[6, 3]).astype(np.float32)

# A text proto per kind of layer, and the width of its output for inputs of 3.
_LAYERS = {
    "dense": ("dense { units: 4 activation: RELU }", 4),
    "dropout": ("dropout { rate: 0.5 }", 3),
}
_ACTIVATIONS = {
    "IDENTITY": lambda x: x,
    "RELU": lambda x: np.maximum(x, 0),
    "TANH": np.tanh,
    "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
}


def _stack(text):
  return text_format.Parse(text, model_pb2.LayerStack())


def _mode(training=False, seed=1, held=()):
  return stacks.Mode(training, seed,
                     tf.constant(0, tf.int64) if training else None,
                     frozenset(held))


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_kind_of_layer_is_tested(self):
    kinds = model_pb2.Layer.DESCRIPTOR.oneofs_by_name["kind"].fields
    self.assertCountEqual([kind.name for kind in kinds], _LAYERS)

  @parameterized.product(kind=tuple(_LAYERS), training=(False, True))
  def test_builds_every_kind(self, kind, training):
    text, width = _LAYERS[kind]
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = stacks.build(_stack("layer {" + text + "}"),
                             tf.constant(_INPUTS), "trunk", _mode(training))
      session.run(tf.global_variables_initializer())
      self.assertEqual(outputs.shape.as_list(), [6, width])
      self.assertEqual(session.run(outputs).shape, (6, width))

  @parameterized.parameters(*model_pb2.Activation.keys())
  def test_builds_every_activation(self, activation):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = stacks.build(
          _stack(f"layer {{ dense {{ units: 4 activation: {activation} }} }}"),
          tf.constant(_INPUTS), "trunk", _mode())
      session.run(tf.global_variables_initializer())
      kernel = tf.trainable_variables("trunk/dense/kernel")[0]
      found, kernel = session.run([outputs, kernel])
    self.assertAllClose(found, _ACTIVATIONS[activation](
        _INPUTS.astype(np.float64) @ kernel), rtol=1e-5, atol=1e-6)

  def test_empty_stack_is_its_input(self):
    with tf.Graph().as_default():
      inputs = tf.constant(_INPUTS)
      self.assertIs(
          stacks.build(model_pb2.LayerStack(), inputs, "trunk", _mode()),
          inputs)

  def test_empty_layer_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError, "^trunk/layer: found layer kind 'None'; allowed"):
      stacks.build(_stack("layer {}"), tf.constant(_INPUTS), "trunk", _mode())

  def test_names_are_numbered_by_kind(self):
    with tf.Graph().as_default():
      stacks.build(_stack("""
          layer { dense { units: 4 } } layer { dropout { rate: 0.5 } }
          layer { dense { units: 5 use_bias: false } }
          layer { dropout { rate: 0.5 } } layer { dense { units: 2 } }"""),
                   tf.constant(_INPUTS), "tower/late", _mode(training=True))
      self.assertEqual(
          {v.op.name: v.shape.as_list() for v in tf.trainable_variables()},
          {"tower/late/dense/kernel": [3, 4], "tower/late/dense/bias": [4],
           "tower/late/dense_1/kernel": [4, 5],
           "tower/late/dense_2/kernel": [5, 2],
           "tower/late/dense_2/bias": [2]})

  def test_layers_are_applied_in_order(self):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = stacks.build(_stack("""
          layer { dense { units: 4 activation: TANH } }
          layer { dense { units: 2 } }"""), tf.constant(_INPUTS), "trunk",
                             _mode())
      session.run(tf.global_variables_initializer())
      found, first, second = session.run(
          [outputs, *tf.trainable_variables()[::2]])
    self.assertAllClose(found, np.tanh(_INPUTS @ first) @ second, rtol=1e-5)

  def test_dropout_is_for_training_only(self):
    stack = _stack("layer { dropout { rate: 0.5 } }")
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      self.assertIs(stacks.build(stack, inputs, "trunk", _mode()), inputs)
      found, expected = session.run([
          stacks.build(stack, inputs, "trunk", _mode(training=True)),
          dropout.dropout(inputs, 0.5, 1, tf.constant(0, tf.int64),
                          "trunk/dropout")])
    self.assertAllEqual(found, expected)

  def test_dropouts_of_a_stack_draw_apart(self):
    stack = _stack("layer { dropout { rate: 0.5 } }"
                   "layer { dropout { rate: 0.5 } }")
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = stacks.build(stack, tf.ones([1000, 10]), "trunk",
                             _mode(training=True))
      self.assertAllClose(np.mean(session.run(outputs) > 0), 0.25, atol=0.02)

  def test_seed_reaches_the_kernels(self):
    def kernel(seed):
      with tf.Graph().as_default(), tf.Session() as session:
        stacks.build(_stack("layer { dense { units: 4 } }"),
                     tf.constant(_INPUTS), "trunk", _mode(seed=seed))
        session.run(tf.global_variables_initializer())
        return session.run(tf.trainable_variables()[0])
    self.assertAllEqual(kernel(1), kernel(1))
    self.assertNotAllEqual(kernel(1), kernel(2))


class StopGradientTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("none", [], ["dense", "dense_1"]),
      ("first", ["trunk/dense"], ["dense_1"]),
      ("between", ["trunk/dropout"], ["dense_1"]),
      ("last", ["trunk/dense_1"], []),
      ("elsewhere", ["tower/dense"], ["dense", "dense_1"]))
  def test_holds_the_named_tensor(self, held, reached):
    with tf.Graph().as_default():
      outputs = stacks.build(_stack("""
          layer { dense { units: 4 } } layer { dropout { rate: 0.5 } }
          layer { dense { units: 2 } }"""), tf.constant(_INPUTS), "trunk",
                             _mode(training=True, held=held))
      variables = tf.trainable_variables()
      gradients = tf.gradients(outputs, variables)
      self.assertEqual(
          {v.op.name for v, g in zip(variables, gradients) if g is not None},
          {f"trunk/{name}/{part}" for name in reached
           for part in ("kernel", "bias")})

  def test_held_dropout_cuts_outside_training_too(self):
    with tf.Graph().as_default():
      inputs = tf.constant(_INPUTS)
      outputs = stacks.build(_stack("layer { dropout { rate: 0.5 } }"), inputs,
                             "trunk", _mode(held=["trunk/dropout"]))
      self.assertEqual(tf.gradients(outputs, [inputs]), [None])

  def test_holding_changes_no_value(self):
    def run(held):
      with tf.Graph().as_default(), tf.Session() as session:
        outputs = stacks.build(_stack("layer { dense { units: 4 } }"),
                               tf.constant(_INPUTS), "trunk", _mode(held=held))
        session.run(tf.global_variables_initializer())
        return session.run(outputs)
    self.assertAllEqual(run([]), run(["trunk/dense"]))


if __name__ == "__main__":
  absltest.main()
