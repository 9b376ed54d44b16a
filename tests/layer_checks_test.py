"""Tests of the search for what is wrong with layers, one by one."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import layer_checks
from mtl_graph import python_functions
from mtl_graph.protos import layers_pb2

_KINDS = [f.name for f in
          layers_pb2.Layer.DESCRIPTOR.oneofs_by_name["kind"].fields]
_INITIALIZERS = [f.name for f in
                 layers_pb2.Initializer.DESCRIPTOR.oneofs_by_name["kind"].fields
                ]
# A layer of each kind that is as it should be, at the limits of what is.
_GOOD = {
    "dense": "units: 1 initializer { glorot_normal {} } regularization {}",
    "dropout": "rate: 0",
    "batch_normalization": "momentum: 0 epsilon: 1e-9",
    "layer_normalization": "epsilon: 1e-30",
    "conv2d": "filters: 1 kernel_size: 1 stride: [1, 2]",
    "max_pooling": "size: [1, 2] stride: 1",
    "average_pooling": "size: 1",
    "flatten": "",
    "global_max_pooling": "",
    "global_average_pooling": "",
    "residual": "layer { flatten {} }",
    "activation": "function: IDENTITY",
    "python": 'units: 1 function: "tests.legacy_network:drawn"',
}


def _problems(text, *reserved):
  problems = []
  layer_checks.check(
      text_format.Parse(text, layers_pb2.LayerStack()).layer, "at",
      lambda path, problem: problems.append(f"{path}: {problem}"), *reserved)
  return problems


class CheckTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(python_functions.allowing(["tests"]))

  @parameterized.parameters(*_KINDS)
  def test_good_one_has_no_problem(self, kind):
    self.assertEmpty(_problems(f"layer {{ {kind} {{ {_GOOD[kind]} }} }}"))

  def test_no_kind(self):
    self.assertEqual(_problems("layer { flatten {} } layer {}"), [
        f"at.layer[1]: found no kind; allowed: one of {', '.join(_KINDS)}"])

  def test_no_layers(self):
    self.assertEmpty(_problems(""))

  @parameterized.named_parameters(
      ("dense", "dense {}", ".units: found nothing; allowed: at least 1"),
      ("dense_of_nothing", "dense { units: 0 }",
       ".units: found 0; allowed: at least 1"),
      ("dense_weights", "dense { units: 1 initializer {} regularization { "
       "l1: -1 } }", ".initializer: found no kind; allowed: one of "
       f"{', '.join(_INITIALIZERS)}",
       ".regularization.l1: found -1.0; allowed: at least 0"),
      ("python", 'python { function: "tests.legacy_network:pair" }',
       ".units: found nothing; allowed: at least 1"),
      ("python_of_a_loss", 'python { units: 1 function: '
       '"tests.legacy_network:squared" }', ".function: 'tests.legacy_network:"
       "squared' takes (labels, logits): missing a required argument: 'logits';"
       " allowed: parameters that take inputs"),
      ("dropout", "dropout {}",
       ".rate: found nothing; allowed: at least 0 and below 1"),
      ("dropout_of_all", "dropout { rate: 1 }",
       ".rate: found 1.0; allowed: at least 0 and below 1"),
      ("dropout_below_zero", "dropout { rate: -0.1 }",
       ".rate: found -0.1; allowed: at least 0 and below 1"),
      ("batch_normalization", "batch_normalization { momentum: 1 epsilon: 0 }",
       ".momentum: found 1; allowed: at least 0 and below 1",
       ".epsilon: found 0.0; allowed: above 0"),
      ("batch_normalization_below_zero", "batch_normalization { momentum: -0.1 "
       "}", ".momentum: found -0.1; allowed: at least 0 and below 1"),
      ("layer_normalization", "layer_normalization { epsilon: 0 }",
       ".epsilon: found 0.0; allowed: above 0"),
      ("conv2d", "conv2d {}", ".filters: found nothing; allowed: at least 1",
       ".kernel_size: found 0 numbers; allowed: one, or height and width"),
      ("conv2d_of_nothing", "conv2d { filters: 0 kernel_size: [2, 0] stride: "
       "-1 }", ".filters: found 0; allowed: at least 1",
       ".kernel_size[1]: found 0; allowed: at least 1",
       ".stride[0]: found -1; allowed: at least 1"),
      ("conv2d_in_three_dimensions", "conv2d { filters: 1 kernel_size: [1, 1, "
       "1] stride: [1, 1, 1] initializer { constant: 0 } regularization { "
       "l2: -1 } }",
       ".kernel_size: found 3 numbers; allowed: one, or height and width",
       ".stride: found 3 numbers; allowed: one, or height and width, or none",
       ".regularization.l2: found -1.0; allowed: at least 0"),
      ("max_pooling", "max_pooling {}",
       ".size: found 0 numbers; allowed: one, or height and width"),
      ("average_pooling", "average_pooling { size: 0 stride: [1, 0] }",
       ".size[0]: found 0; allowed: at least 1",
       ".stride[1]: found 0; allowed: at least 1"),
      ("residual", "residual {}", ".layer: found none; allowed: at least one"),
      ("within_residual", "residual { layer { residual { layer { dropout {} } "
       "} } }", ".layer[0].residual.layer[0].dropout.rate: found nothing; "
       "allowed: at least 0 and below 1"),
      ("activation", "activation {}", ".function: found nothing; required"))
  def test_problems(self, layer, *expected):
    kind = layer.split(" ")[0]
    self.assertEqual(_problems(f"layer {{ {layer} }}"), [
        f"at.layer[0].{kind}{problem}" for problem in expected])


class NamesTest(parameterized.TestCase):
  _FORM = ("allowed: a lower-case letter, then lower-case letters, digits and "
           "'_'")
  _TWICE = "a second time; allowed: each name once in its scope"

  @parameterized.named_parameters(
      ("good", "layer { name: 'a' flatten {} } layer { name: 'b_2' flatten {} }"
       " layer { flatten {} } layer { flatten {} }"),
      # The name of one counts for none of the others.
      ("number_of_none", "layer { name: 'a' flatten {} } layer { flatten {} } "
       "layer { name: 'flatten_1' flatten {} }"),
      ("form", "layer { name: '' flatten {} } layer { name: 'A/b' flatten {} }",
       f"at.layer[0].name: found ''; {_FORM}",
       f"at.layer[1].name: found 'A/b'; {_FORM}"),
      ("twice", "layer { name: 'a' flatten {} } layer { name: 'a' residual { "
       "layer { name: 'a' flatten {} } } }",
       f"at.layer[1]: found the name 'a' {_TWICE}"),
      ("as_one_is_called_anyway", "layer { name: 'flatten_1' flatten {} } "
       "layer { flatten {} } layer { flatten {} }",
       f"at.layer[2]: found the name 'flatten_1' {_TWICE}"),
      ("of_a_projection", "layer { name: 'projection' residual { layer { name: "
       "'projection' flatten {} } } }",
       "at.layer[0].residual.layer[0].name: found 'projection', which is "
       "reserved; allowed: any name but projection"))
  def test_names(self, layers, *expected):
    self.assertEqual(_problems(layers), list(expected))

  def test_reserved_names(self):
    text = ("layer { name: 'kernel' residual { layer { name: 'kernel' flatten "
            "{} } } }")
    self.assertEqual(_problems(text, ("kernel", "bias")), [
        "at.layer[0].name: found 'kernel', which is reserved; allowed: any name"
        " but kernel, bias"])


class CheckWeightsTest(parameterized.TestCase):

  @parameterized.parameters(*_INITIALIZERS)
  def test_every_initializer(self, kind):
    is_number = layers_pb2.Initializer.DESCRIPTOR.fields_by_name[
        kind].message_type is None
    value = ": 0.5" if is_number else "{}"
    for layer in ("dense { units: 2", "conv2d { filters: 2 kernel_size: 1"):
      found = _problems(
          f"layer {{ {layer} initializer {{ {kind} {value} }} }} }}")
      self.assertEmpty(found)

  @parameterized.parameters("uniform", "normal", "truncated_normal",
                            "orthogonal")
  def test_above_zero(self, kind):
    for value, found in ((0, "0.0"), (-1, "-1.0")):
      self.assertEqual(
          _problems(f"layer {{ dense {{ units: 1 initializer {{ {kind}: {value}"
                    " } } }"),
          [f"at.layer[0].dense.initializer.{kind}: found {found}; allowed: "
           "above 0"])

  @parameterized.parameters("constant", "identity")
  def test_any_number(self, kind):
    for value in (0, -1):
      self.assertEmpty(_problems(
          f"layer {{ dense {{ units: 1 initializer {{ {kind}: {value} }} }} }}"
      ))


if __name__ == "__main__":
  absltest.main()
