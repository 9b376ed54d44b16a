"""Tests of the stack of layers."""

import math

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import layer_outline
from mtl_graph import python_functions
from mtl_graph.layers import dropout
from mtl_graph.model import stacks
from mtl_graph.protos import layers_pb2

_RANDOM = np.random.default_rng(0)
_INPUTS = _RANDOM.normal(size=[6, 3]).astype(np.float32)
_IMAGES = _RANDOM.normal(size=[6, 5, 4, 2]).astype(np.float32)

# A text proto per kind of layer, its inputs, and the shape of a row of its
# output.
_LAYERS = {
    "dense": ("dense { units: 4 activation: RELU }", _INPUTS, (4,)),
    "dropout": ("dropout { rate: 0.5 }", _INPUTS, (3,)),
    "batch_normalization": ("batch_normalization {}", _IMAGES, (5, 4, 2)),
    "layer_normalization": ("layer_normalization {}", _INPUTS, (3,)),
    "conv2d": ("conv2d { filters: 3 kernel_size: 3 stride: [2, 1] }", _IMAGES,
               (3, 4, 3)),
    "max_pooling": ("max_pooling { size: 2 }", _IMAGES, (2, 2, 2)),
    "average_pooling": (
        "average_pooling { size: [2, 3] stride: 1 padding: SAME }", _IMAGES,
        (5, 4, 2)),
    "flatten": ("flatten {}", _IMAGES, (40,)),
    "global_max_pooling": ("global_max_pooling {}", _IMAGES, (2,)),
    "global_average_pooling": ("global_average_pooling {}", _IMAGES, (2,)),
    "residual": ("residual { layer { dense { units: 4 } } }", _INPUTS, (4,)),
    "activation": ("activation { function: TANH }", _IMAGES, (5, 4, 2)),
    "python": ('python { function: "tests.legacy_network:flat" units: 40 }',
               _IMAGES, (40,)),
}


def _gelu(x):
  return x * np.vectorize(math.erfc)(-x / 2 ** 0.5) / 2


_ACTIVATIONS = {
    "IDENTITY": lambda x: x,
    "RELU": lambda x: np.maximum(x, 0),
    "TANH": np.tanh,
    "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
    "RELU6": lambda x: np.clip(x, 0, 6),
    "LEAKY_RELU": lambda x: np.where(x > 0, x, 0.2 * x),
    "ELU": lambda x: np.where(x > 0, x, np.expm1(x)),
    "SELU": lambda x: np.where(x > 0, 1.0507 * x, 1.7581 * np.expm1(x)),
    "GELU": _gelu,
    "SWISH": lambda x: x / (1 + np.exp(-x)),
    "MISH": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "SOFTPLUS": lambda x: np.log1p(np.exp(x)),
    "SOFTSIGN": lambda x: x / (1 + np.abs(x)),
}


def _layers(*texts):
  text = " ".join("layer {" + text + "}" for text in texts)
  return text_format.Parse(text, layers_pb2.LayerStack()).layer


def _mode(training=False, seed=1, held=()):
  return stacks.Mode(seed, tf.constant(0, tf.int64) if training else None,
                     frozenset(held), [])


def _run(layers, inputs, mode=None):
  """Returns the output of layers, and every variable by name."""
  with tf.Graph().as_default(), tf.Session() as session:
    outputs = stacks.build(layers, tf.constant(inputs), "trunk",
                           mode or _mode())
    session.run(tf.global_variables_initializer())
    return session.run([outputs,
                        {v.op.name: v for v in tf.global_variables()}])


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(python_functions.allowing(["tests"]))

  def test_every_kind_of_layer_is_tested(self):
    kinds = layers_pb2.Layer.DESCRIPTOR.oneofs_by_name["kind"].fields
    self.assertCountEqual([kind.name for kind in kinds], _LAYERS)

  @parameterized.product(kind=tuple(_LAYERS), training=(False, True))
  def test_builds_every_kind_as_the_outline_has_it(self, kind, training):
    text, inputs, shape = _LAYERS[kind]
    layers, outline = _layers(text), layer_outline.empty()
    self.assertEqual(layer_outline.build(layers, "trunk", inputs.shape[1:],
                                         outline), shape)
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = stacks.build(
          layers, tf.placeholder_with_default(inputs, (None,) + inputs.shape[1:]
                                             ), "trunk", _mode(training))
      session.run(tf.global_variables_initializer())
      self.assertEqual(outputs.shape.as_list(), [None, *shape])
      self.assertEqual(session.run(outputs).shape, (6, *shape))
      self.assertEqual({v.op.name: v.shape.as_list()
                        for v in tf.trainable_variables()}, outline.variables)

  @parameterized.parameters(*layers_pb2.Activation.keys())
  def test_builds_every_activation(self, activation):
    found, values = _run(_layers(
        f"dense {{ units: 4 activation: {activation} }}"), _INPUTS)
    expected = _ACTIVATIONS[activation](
        _INPUTS.astype(np.float64) @ values["trunk/dense/kernel"])
    self.assertAllClose(found, expected, rtol=2e-5, atol=1e-6)
    alone, _ = _run(_layers(f"activation {{ function: {activation} }}"),
                    _INPUTS)
    self.assertAllClose(alone, _ACTIVATIONS[activation](
        _INPUTS.astype(np.float64)), rtol=2e-5, atol=1e-6)

  def test_empty_stack_is_its_input(self):
    with tf.Graph().as_default():
      inputs = tf.constant(_INPUTS)
      self.assertIs(stacks.build(_layers(), inputs, "trunk", _mode()), inputs)

  def test_empty_layer_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError, "^trunk/layer: found layer kind 'None'; allowed"):
      stacks.build(_layers(""), tf.constant(_INPUTS), "trunk", _mode())

  def test_names_are_numbered_by_kind(self):
    with tf.Graph().as_default():
      stacks.build(_layers(
          "dense { units: 4 }", "dropout { rate: 0.5 }",
          "dense { units: 5 use_bias: false }", "dropout { rate: 0.5 }",
          "dense { units: 2 }"), tf.constant(_INPUTS), "tower/late",
                   _mode(training=True))
      self.assertEqual(
          {v.op.name: v.shape.as_list() for v in tf.trainable_variables()},
          {"tower/late/dense/kernel": [3, 4], "tower/late/dense/bias": [4],
           "tower/late/dense_1/kernel": [4, 5],
           "tower/late/dense_2/kernel": [5, 2],
           "tower/late/dense_2/bias": [2]})

  def test_layers_are_applied_in_order(self):
    found, values = _run(_layers("dense { units: 4 activation: TANH }",
                                 "dense { units: 2 }"), _INPUTS)
    self.assertAllClose(
        found, np.tanh(_INPUTS @ values["trunk/dense/kernel"])
        @ values["trunk/dense_1/kernel"], rtol=1e-5)

  def test_seed_reaches_the_kernels(self):
    def kernel(seed):
      return _run(_layers("dense { units: 4 }"), _INPUTS, _mode(seed=seed))[1][
          "trunk/dense/kernel"]
    self.assertAllEqual(kernel(1), kernel(1))
    self.assertNotAllEqual(kernel(1), kernel(2))

  @parameterized.parameters(("dense { units: 4 initializer { constant: 3 } }",
                             _INPUTS, "dense"),
                            ("conv2d { filters: 2 kernel_size: 3 initializer { "
                             "constant: 3 } }", _IMAGES, "conv2d"))
  def test_initializer_reaches_the_kernel_alone(self, text, inputs, name):
    values = _run(_layers(text), inputs)[1]
    self.assertAllEqual(np.unique(values[f"trunk/{name}/kernel"]), [3])
    self.assertAllEqual(np.unique(values[f"trunk/{name}/bias"]), [0])


class DropoutTest(parameterized.TestCase, tf.test.TestCase):

  def test_is_for_training_only(self):
    layers = _layers("dropout { rate: 0.5 }")
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      self.assertIs(stacks.build(layers, inputs, "trunk", _mode()), inputs)
      found, expected = session.run([
          stacks.build(layers, inputs, "trunk", _mode(training=True)),
          dropout.dropout(inputs, 0.5, 1, tf.constant(0, tf.int64),
                          "trunk/dropout")])
    self.assertAllEqual(found, expected)

  def test_those_of_a_stack_draw_apart(self):
    layers = _layers("dropout { rate: 0.5 }", "dropout { rate: 0.5 }")
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = stacks.build(layers, tf.ones([1000, 10]), "trunk",
                             _mode(training=True))
      self.assertAllClose(np.mean(session.run(outputs) > 0), 0.25, atol=0.02)


class ImageTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ("kernel_size: 3", (3, 3), (1, 1), "SAME"),
      ("kernel_size: [2, 3] stride: 2", (2, 3), (2, 2), "SAME"),
      ("kernel_size: 2 stride: [1, 2] padding: VALID", (2, 2), (1, 2), "VALID"))
  def test_convolution_equals_tensorflows(self, fields, size, strides, padding):
    found, values = _run(_layers(
        f"conv2d {{ filters: 3 activation: RELU use_bias: false {fields} }}"),
                         _IMAGES)
    self.assertEqual(list(values), ["trunk/conv2d/kernel"])
    kernel = values["trunk/conv2d/kernel"]
    self.assertEqual(kernel.shape, (*size, 2, 3))
    with tf.Graph().as_default(), tf.Session() as session:
      expected = session.run(tf.nn.relu(tf.nn.conv2d(
          _IMAGES, kernel, strides, padding)))
    self.assertAllClose(found, expected, rtol=1e-5, atol=1e-6)

  @parameterized.product(
      kind=("max", "average"),
      case=(("size: 2", (2, 2), (2, 2), "VALID"),
            ("size: [2, 3] stride: 1", (2, 3), (1, 1), "VALID"),
            ("size: 3 stride: [2, 1] padding: SAME", (3, 3), (2, 1), "SAME")))
  def test_pooling_equals_tensorflows(self, kind, case):
    fields, size, strides, padding = case
    found, _ = _run(_layers(f"{kind}_pooling {{ {fields} }}"), _IMAGES)
    pool = tf.nn.max_pool2d if kind == "max" else tf.nn.avg_pool2d
    with tf.Graph().as_default(), tf.Session() as session:
      expected = session.run(pool(_IMAGES, size, strides, padding))
    self.assertAllClose(found, expected, rtol=1e-5, atol=1e-6)

  def test_what_turns_images_into_vectors(self):
    self.assertAllEqual(_run(_layers("flatten {}"), _IMAGES)[0],
                        _IMAGES.reshape([6, 40]))
    self.assertAllEqual(_run(_layers("global_max_pooling {}"), _IMAGES)[0],
                        _IMAGES.max((1, 2)))
    self.assertAllClose(_run(_layers("global_average_pooling {}"), _IMAGES)[0],
                        _IMAGES.mean((1, 2)), atol=1e-6)


class NormalizationTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters((_INPUTS, (0,)), (_IMAGES, (0, 1, 2)))
  def test_batch_normalization_in_training(self, inputs, axes):
    with tf.Graph().as_default(), tf.Session() as session:
      mode = _mode(training=True)
      outputs = stacks.build(_layers(
          "batch_normalization { momentum: 0.9 epsilon: 0.1 }"),
                             tf.constant(inputs), "trunk", mode)
      session.run(tf.global_variables_initializer())
      moving = [v for v in tf.global_variables() if "moving" in v.op.name]
      found = session.run(outputs)
      self.assertAllEqual(session.run(moving[0]), np.zeros(inputs.shape[-1]))
      for _ in range(3):
        session.run(mode.updates)
      mean, variance = session.run(moving)
    # In float64, by the formula of the schema.
    exact = inputs.astype(np.float64)
    self.assertAllClose(found, (exact - exact.mean(axes)) / np.sqrt(
        exact.var(axes) + 0.1), rtol=1e-4, atol=1e-5)
    self.assertAllClose(mean, (1 - 0.9 ** 3) * exact.mean(axes), atol=1e-6)
    self.assertAllClose(variance, 0.9 ** 3 + (1 - 0.9 ** 3) * exact.var(axes))

  @parameterized.parameters((False, ""), (True, "use_moving_statistics: true"))
  def test_moving_statistics_elsewhere_and_where_asked_for(self, training,
                                                           field):
    with tf.Graph().as_default(), tf.Session() as session:
      mode = _mode(training)
      outputs = stacks.build(_layers(
          f"batch_normalization {{ epsilon: 0.5 {field} }}"),
                             tf.constant(_INPUTS), "trunk", mode)
      session.run(tf.global_variables_initializer())
      for variable in tf.global_variables():
        value = {"moving_mean": [1, 2, 3], "moving_variance": [4, 5, 6],
                 "gamma": [2, 2, 2], "beta": [7, 8, 9]}[
                     variable.op.name.rpartition("/")[2]]
        variable.load(value, session)
      self.assertAllClose(session.run(outputs), (_INPUTS - [1, 2, 3]) / np.sqrt(
          [4.5, 5.5, 6.5]) * 2 + [7, 8, 9], rtol=1e-5)
      self.assertEmpty(mode.updates)
      self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))

  @parameterized.parameters(
      ("", ["gamma", "beta"]), ("scale: false", ["beta"]),
      ("center: false", ["gamma"]), ("scale: false center: false", []))
  def test_variables_of_batch_normalization(self, fields, trainable):
    values = _run(_layers(f"batch_normalization {{ {fields} }}"), _INPUTS)[1]
    self.assertCountEqual(values, [f"trunk/batch_normalization/{name}" for name
                                   in trainable + ["moving_mean",
                                                   "moving_variance"]])

  def test_layer_normalization(self):
    found, _ = _run(_layers("layer_normalization { epsilon: 0.3 }"), _INPUTS)
    exact = _INPUTS.astype(np.float64)
    self.assertAllClose(found, (exact - exact.mean(1, keepdims=True)) / np.sqrt(
        exact.var(1, keepdims=True) + 0.3), rtol=1e-5, atol=1e-6)


class ResidualTest(parameterized.TestCase, tf.test.TestCase):

  def test_adds_what_its_layers_make_to_its_input(self):
    found, values = _run(_layers(
        "residual { layer { dense { units: 4 } } layer { dense { units: 3 } } "
        "activation: RELU }"), _INPUTS)
    self.assertCountEqual(values, [
        f"trunk/residual/{layer}/{part}" for layer in ("dense", "dense_1")
        for part in ("kernel", "bias")])
    self.assertAllClose(found, np.maximum(
        0, _INPUTS + _INPUTS @ values["trunk/residual/dense/kernel"]
        @ values["trunk/residual/dense_1/kernel"]), rtol=1e-5, atol=1e-6)

  def test_projects_a_vector_whose_width_changes(self):
    found, values = _run(_layers("residual { layer { dense { units: 5 } } }"),
                         _INPUTS)
    self.assertEqual(values["trunk/residual/projection/kernel"].shape, (3, 5))
    self.assertNotIn("trunk/residual/projection/bias", values)
    self.assertAllClose(found, _INPUTS @ (
        values["trunk/residual/projection/kernel"]
        + values["trunk/residual/dense/kernel"]), rtol=1e-5, atol=1e-6)

  @parameterized.parameters(
      ("conv2d { filters: 3 kernel_size: 3 }", (1, 1)),
      ("conv2d { filters: 3 kernel_size: 3 stride: 2 }", (2, 2)),
      ("conv2d { filters: 2 kernel_size: 1 stride: [3, 2] }", (3, 2)))
  def test_projects_an_image_whose_shape_changes(self, layer, strides):
    found, values = _run(_layers(f"residual {{ layer {{ {layer} }} }}"),
                         _IMAGES)
    kernels = [values[f"trunk/residual/{name}/kernel"]
               for name in ("conv2d", "projection")]
    with tf.Graph().as_default(), tf.Session() as session:
      expected = session.run(tf.add(*[
          tf.nn.conv2d(_IMAGES, kernel, strides, "SAME")
          for kernel in kernels]))
    self.assertAllClose(found, expected, rtol=1e-5, atol=1e-6)

  def test_within_another(self):
    values = _run(_layers("residual { layer { residual { layer { dense { units:"
                          " 5 } } } } layer { dense { units: 3 } } }"), _INPUTS
                 )[1]
    self.assertContainsSubset([
        "trunk/residual/residual/projection/kernel",
        "trunk/residual/residual/dense/kernel", "trunk/residual/dense/kernel"],
                              values)
    self.assertNotIn("trunk/residual/projection/kernel", values)


class StopGradientTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("none", [], ["dense", "dense_1"]),
      ("first", ["trunk/dense"], ["dense_1"]),
      ("between", ["trunk/dropout"], ["dense_1"]),
      ("last", ["trunk/dense_1"], []),
      ("elsewhere", ["tower/dense"], ["dense", "dense_1"]))
  def test_holds_the_named_tensor(self, held, reached):
    with tf.Graph().as_default():
      outputs = stacks.build(_layers(
          "dense { units: 4 }", "dropout { rate: 0.5 }", "dense { units: 2 }"),
                             tf.constant(_INPUTS), "trunk",
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
      outputs = stacks.build(_layers("dropout { rate: 0.5 }"), inputs, "trunk",
                             _mode(held=["trunk/dropout"]))
      self.assertEqual(tf.gradients(outputs, [inputs]), [None])

  def test_holding_changes_no_value(self):
    layers = _layers("dense { units: 4 }")
    self.assertAllEqual(_run(layers, _INPUTS)[0],
                        _run(layers, _INPUTS, _mode(held=["trunk/dense"]))[0])

  @parameterized.parameters(
      ("trunk/residual", set()),
      ("trunk/residual/dense", {"projection"}),
      ("trunk/residual/projection", {"dense", "projection"}))
  def test_within_a_residual(self, held, reached):
    # What the projection makes is no tensor that can be named.
    with tf.Graph().as_default():
      outputs = stacks.build(
          _layers("residual { layer { dense { units: 5 use_bias: false } } }"),
          tf.constant(_INPUTS), "trunk", _mode(held=[held]))
      variables = tf.trainable_variables()
      self.assertEqual(
          {v.op.name.split("/")[-2] for v, g in zip(
              variables, tf.gradients(outputs, variables)) if g is not None},
          reached)


if __name__ == "__main__":
  absltest.main()
