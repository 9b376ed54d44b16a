"""Tests of the shapes and variables of a stack of layers."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import layer_outline
from mtl_graph.protos import layers_pb2


def _layers(text):
  return text_format.Parse(text, layers_pb2.LayerStack()).layer


def _build(text, shape):
  """Returns the shape of the output, the outline, and the problems."""
  found, problems = layer_outline.empty(), []
  output = layer_outline.build(
      _layers(text), "s", shape, found, "at",
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return output, found, problems


class LayerNamesTest(absltest.TestCase):

  def test_numbered_by_kind(self):
    self.assertEqual(layer_outline.layer_names(_layers("""
        layer { dense {} } layer { dropout {} } layer { dense {} } layer {}
        layer { dense {} } layer { dropout {} } layer {}""")), [
            "dense", "dropout", "dense_1", "layer", "dense_2", "dropout_1",
            "layer_1"])
    self.assertEqual(layer_outline.layer_names([]), [])

  def test_by_their_own_names_which_count_for_no_number(self):
    self.assertEqual(layer_outline.layer_names(_layers("""
        layer { dense {} } layer { name: "wide" dense {} } layer { dense {} }
        layer { name: "dropout" dense {} } layer { dropout {} }
        layer { name: "end" }""")), [
            "dense", "wide", "dense_1", "dropout", "dropout", "end"])


class PairTest(parameterized.TestCase):

  @parameterized.parameters(([3], (3, 3)), ([2, 5], (2, 5)), ([], (0, 0)))
  def test_one_number_stands_for_both(self, numbers, expected):
    self.assertEqual(layer_outline.pair(numbers), expected)

  def test_strides_that_are_not_stated(self):
    self.assertEqual(layer_outline.strides(layers_pb2.Conv2d(
        kernel_size=[3])), (1, 1))
    self.assertEqual(layer_outline.strides(layers_pb2.Pooling(
        size=[3, 2])), (3, 2))
    for message in (layers_pb2.Conv2d(kernel_size=[3], stride=[2]),
                    layers_pb2.Pooling(size=[3], stride=[2])):
      self.assertEqual(layer_outline.strides(message), (2, 2))


class BuildTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("nothing", "", (5,), (5,), {}, ()),
      ("dense", "layer { dense { units: 3 } }", (5,), (3,),
       {"dense/kernel": [5, 3], "dense/bias": [3]}, ()),
      ("dense_without_bias", "layer { dense { units: 3 use_bias: false "
       "regularization {} } }", (5,), (3,), {"dense/kernel": [5, 3]},
       ["dense/kernel"]),
      ("activation_and_dropout", "layer { activation { function: RELU } } "
       "layer { dropout { rate: 0.1 } }", (4, 4, 2), (4, 4, 2), {}, ()),
      ("layer_normalization", "layer { layer_normalization {} }", (4, 4, 2),
       (4, 4, 2), {"layer_normalization/gamma": [2],
                   "layer_normalization/beta": [2]}, ()),
      ("batch_normalization", "layer { batch_normalization {} }", (5,), (5,),
       {"batch_normalization/gamma": [5], "batch_normalization/beta": [5]}, ()),
      ("batch_normalization_without_scale", "layer { batch_normalization { "
       "scale: false } }", (4, 4, 2), (4, 4, 2),
       {"batch_normalization/beta": [2]}, ()),
      ("batch_normalization_without_both", "layer { batch_normalization { "
       "scale: false center: false } }", (5,), (5,), {}, ()),
      ("conv2d", "layer { conv2d { filters: 7 kernel_size: [3, 2] stride: 2 "
       "regularization {} } }", (5, 4, 2), (3, 2, 7),
       {"conv2d/kernel": [3, 2, 2, 7], "conv2d/bias": [7]}, ["conv2d/kernel"]),
      ("conv2d_valid", "layer { conv2d { filters: 7 kernel_size: 3 padding: "
       "VALID use_bias: false } }", (5, 4, 2), (3, 2, 7),
       {"conv2d/kernel": [3, 3, 2, 7]}, ()),
      ("pooling", "layer { max_pooling { size: 2 } } layer { average_pooling { "
       "size: 2 stride: 1 padding: SAME } }", (5, 4, 2), (2, 2, 2), {}, ()),
      ("flatten", "layer { flatten {} } layer { dense { units: 1 } }",
       (5, 4, 2), (1,), {"dense/kernel": [40, 1], "dense/bias": [1]}, ()),
      ("global_max", "layer { global_max_pooling {} }", (5, 4, 2), (2,), {},
       ()),
      ("global_average", "layer { global_average_pooling {} }", (5, 4, 2),
       (2,), {}, ()),
      ("python", "layer { python { units: 7 } }", (5, 4, 2), (7,), {}, ()),
      ("residual", "layer { residual { layer { dense { units: 5 } } } }", (5,),
       (5,), {"residual/dense/kernel": [5, 5], "residual/dense/bias": [5]}, ()),
      ("residual_projected", "layer { residual { layer { dense { units: 3 } } "
       "} }", (5,), (3,), {"residual/dense/kernel": [5, 3],
                           "residual/dense/bias": [3],
                           "residual/projection/kernel": [5, 3]}, ()),
      ("residual_of_images", "layer { residual { layer { max_pooling { size: "
       "[2, 3] padding: SAME } } } }", (5, 4, 2), (3, 2, 2),
       {"residual/projection/kernel": [1, 1, 2, 2]}, ()),
      ("residual_in_residual", "layer { residual { layer { residual { layer { "
       "dense { units: 5 regularization {} } } } } layer { dense { units: 5 "
       "use_bias: false } } } }", (5,), (5,),
       {"residual/residual/dense/kernel": [5, 5],
        "residual/residual/dense/bias": [5],
        "residual/dense/kernel": [5, 5]}, ["residual/residual/dense/kernel"]),
  )
  def test_layers(self, text, shape, expected, variables, penalties):
    output, found, problems = _build(text, shape)
    self.assertEmpty(problems)
    self.assertEqual(output, expected)
    self.assertEqual(list(found.variables.items()),
                     [(f"s/{n}", v) for n, v in variables.items()])
    self.assertEqual(list(found.penalties), [f"s/{n}" for n in penalties])

  def test_functions_by_scope_with_their_fields(self):
    _, found, _ = _build("""
        layer { dense { units: 3 } } layer { python { units: 3 } }
        layer { residual { layer { name: "old" python { units: 3 } } } }
        """, (4,))
    self.assertEqual(list(found.functions.items()), [
        ("s/python", "at.layer[1].python"),
        ("s/residual/old", "at.layer[2].residual.layer[0].python")])

  def test_named_layers_are_called_by_their_names(self):
    _, found, _ = _build("""
        layer { name: "low" dense { units: 3 } }
        layer { name: "skip" residual {
          layer { name: "inner" dense { units: 2 use_bias: false
                                        regularization { l2: 1 } } }
          layer { dense { units: 3 } } } }""", (4,))
    self.assertEqual(dict(found.variables), {
        "s/low/kernel": [4, 3], "s/low/bias": [3],
        "s/skip/inner/kernel": [3, 2], "s/skip/dense/kernel": [2, 3],
        "s/skip/dense/bias": [3]})
    self.assertEqual(dict(found.tensors), {
        "s/low": (3,), "s/skip/inner": (2,), "s/skip/dense": (3,),
        "s/skip": (3,)})
    self.assertEqual(list(found.penalties), ["s/skip/inner/kernel"])

  def test_every_layer_has_a_tensor(self):
    _, found, _ = _build("""
        layer { conv2d { filters: 3 kernel_size: 1 } }
        layer { residual { layer { batch_normalization {} } } }
        layer { flatten {} } layer { dropout { rate: 0 } }""", (4, 4, 2))
    self.assertEqual(list(found.tensors.items()), [
        ("s/conv2d", (4, 4, 3)),
        ("s/residual/batch_normalization", (4, 4, 3)),
        ("s/residual", (4, 4, 3)), ("s/flatten", (48,)), ("s/dropout", (48,))])

  @parameterized.parameters("SAME", "VALID")
  def test_windows_leave_what_tensorflow_leaves(self, padding):
    for size, window, stride in itertools.product(
        (1, 2, 5, 6, 9), (1, 2, 3, 6), (1, 2, 3)):
      if padding == "VALID" and window > size:
        continue
      with tf.Graph().as_default():
        pooled = tf.nn.max_pool2d(tf.placeholder(tf.float32, [1, size, 9, 1]),
                                  [window, 2], [stride, 3], padding)
      text = f"size: [{window}, 2] stride: [{stride}, 3] padding: {padding}"
      for layer in (f"max_pooling {{ {text} }}",
                    f"average_pooling {{ {text} }}",
                    f"conv2d {{ filters: 1 kernel_{text} }}"):
        output, _, problems = _build(f"layer {{ {layer} }}", (size, 9, 1))
        self.assertEqual(output, tuple(pooled.shape.as_list()[1:]))
        self.assertEmpty(problems)

  @parameterized.named_parameters(
      ("dense_on_image", "layer { dense { units: 3 } }", (4, 5, 2), (3,),
       "at.layer[0].dense: found an image of 4 x 5 x 2 as its input; allowed: "
       "a vector, as flatten or global pooling makes it"),
      ("conv2d_on_vector", "layer { conv2d { filters: 3 kernel_size: 1 } }",
       (7,), (0, 0, 3), "at.layer[0].conv2d: found a vector of 7 numbers as "
       "its input; allowed: an image"),
      ("pooling_twice", "layer { global_max_pooling {} } layer { "
       "global_average_pooling {} }", (4, 5, 2), (0,),
       "at.layer[1].global_average_pooling: found a vector of 2 numbers as its "
       "input; allowed: an image"),
      ("flattened_twice", "layer { flatten {} } layer { flatten {} }",
       (4, 5, 2), (0,), "at.layer[1].flatten: found a vector of 40 numbers as "
       "its input; allowed: an image"),
      ("max_pooling_on_vector", "layer { max_pooling { size: 1 } }", (7,),
       (0, 0, 0), "at.layer[0].max_pooling: found a vector of 7 numbers as its "
       "input; allowed: an image"),
      ("window_too_large", "layer { conv2d { filters: 3 kernel_size: [5, 2] "
       "padding: VALID } }", (4, 5, 2), (0, 4, 3), "at.layer[0].conv2d: found "
       "a window of 5 x 2 on an image of 4 x 5 x 2; allowed: one that fits in, "
       "or padding: SAME"),
      ("pool_too_large", "layer { average_pooling { size: 6 } }", (4, 5, 2),
       (0, 0, 2), "at.layer[0].average_pooling: found a window of 6 x 6 on an "
       "image of 4 x 5 x 2; allowed: one that fits in, or padding: SAME"),
      ("residual_by_no_stride", "layer { residual { layer { conv2d { "
       "filters: 2 kernel_size: 3 padding: VALID } } } }", (6, 6, 2), (4, 4, 2),
       "at.layer[0].residual: found layers that turn 6 x 6 x 2 into 4 x 4 x 2; "
       "allowed: an output whose size a stride gives"),
      ("residual_to_vector", "layer { residual { layer { flatten {} } } }",
       (6, 6, 2), (72,), "at.layer[0].residual: found layers that turn 6 x 6 x "
       "2 into 72 numbers; allowed: an output whose size a stride gives"),
      ("within_residual", "layer { residual { layer { flatten {} } } }", (7,),
       (0,), "at.layer[0].residual.layer[0].flatten: found a vector of 7 "
       "numbers as its input; allowed: an image"),
  )
  def test_what_does_not_fit_is_reported_once(self, text, shape, output,
                                              problem):
    self.assertEqual(_build(text, shape)[0], output)
    self.assertEqual(_build(text, shape)[2], [problem])

  def test_without_report_it_goes_on(self):
    self.assertEqual(layer_outline.build(
        _layers("layer { flatten {} } layer { dense { units: 2 } }"), "s", (7,),
        layer_outline.empty()), (2,))


class ProjectionStridesTest(parameterized.TestCase):

  def test_gives_the_size_wherever_a_stride_does(self):
    for before in range(1, 40):
      # What a 1 by 1 convolution over all pixels leaves, by the least stride.
      reachable = {len(np.arange(before)[::stride]): stride
                   for stride in range(before, 0, -1)}
      for after in range(1, 41):
        stride = reachable.get(after)
        self.assertEqual(
            layer_outline.projection_strides((before, 3, 1), (after, 3, 9)),
            stride and (stride, 1))

  def test_nothing_left(self):
    self.assertIsNone(layer_outline.projection_strides((4, 4, 1), (0, 4, 1)))


if __name__ == "__main__":
  absltest.main()
