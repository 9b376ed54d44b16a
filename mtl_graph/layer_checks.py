"""Finds what is wrong with layers, one by one."""

from typing import Sequence

from mtl_graph import field_checks
from mtl_graph import layer_outline
from mtl_graph import python_functions
from mtl_graph.protos import layers_pb2


# What a function that builds layers is called with, if it has such parameters.
OFFERED = ("training", "is_training", "units")

# What a residual calls the layer that fits its input to its output.
_OF_RESIDUALS = ("projection",)


def check(layers, path: str, report: field_checks.Report,
          reserved: Sequence[str] = ()) -> None:
  """Reports what is wrong with each of the layers of a stack.

  Whether one fits to the next `layer_outline.build` says.

  Args:
    layers: The `Layer` messages.
    path: Where the stack sits in the experiment.
    report: Takes a field's path and its problem.
    reserved: Names that no layer may have, as they stand for something else in
      its scope.
  """
  names = layer_outline.layer_names(layers)
  for i, layer in enumerate(layers):
    where = f"{path}.layer[{i}]"
    if layer.HasField("name"):
      field_checks.name(layer.name, f"{where}.name", report, reserved)
    if names[i] in names[:i]:
      report(where, f"found the name '{names[i]}' a second time; allowed: each "
             "name once in its scope")
    kind = field_checks.kind_of(layer, "kind", where, report)
    where = f"{where}.{kind}"
    if kind == "dense":
      field_checks.at_least(layer.dense, "units", 1, where, report)
      check_weights(layer.dense, where, report)
    elif kind == "dropout":
      _check_dropout(layer.dropout, where, report)
    elif kind == "batch_normalization":
      norm = layer.batch_normalization
      field_checks.share(norm, "momentum", where, report)
      field_checks.above_zero(norm, "epsilon", where, report)
    elif kind == "layer_normalization":
      field_checks.above_zero(layer.layer_normalization, "epsilon", where,
                              report)
    elif kind == "conv2d":
      field_checks.at_least(layer.conv2d, "filters", 1, where, report)
      _check_pair(layer.conv2d, "kernel_size", True, where, report)
      _check_pair(layer.conv2d, "stride", False, where, report)
      check_weights(layer.conv2d, where, report)
    elif kind in ("max_pooling", "average_pooling"):
      _check_pair(getattr(layer, kind), "size", True, where, report)
      _check_pair(getattr(layer, kind), "stride", False, where, report)
    elif kind == "residual":
      if not layer.residual.layer:
        report(f"{where}.layer", "found none; allowed: at least one")
      check(layer.residual.layer, where, report, _OF_RESIDUALS)
    elif kind == "activation" and not layer.activation.HasField("function"):
      report(f"{where}.function", "found nothing; required")
    elif kind == "python":
      field_checks.at_least(layer.python, "units", 1, where, report)
      python_functions.check(layer.python, where, report, ["inputs"], OFFERED)


def check_weights(message, path: str, report: field_checks.Report) -> None:
  """Reports what is wrong with how a layer's weights start and are penalized.

  Args:
    message: A message with the fields `initializer` and `regularization`.
    path: Where it sits in the experiment.
    report: Takes a field's path and its problem.
  """
  if message.HasField("initializer"):
    check_initializer(message.initializer, f"{path}.initializer", report)
  for field in ("l1", "l2"):
    field_checks.at_least(message.regularization, field, 0,
                          f"{path}.regularization", report)


def check_initializer(initializer: layers_pb2.Initializer, path: str,
                      report: field_checks.Report) -> None:
  """Reports what is wrong with how a variable starts.

  Args:
    initializer: The `Initializer` message.
    path: Where it sits in the experiment.
    report: Takes a field's path and its problem.
  """
  kind = field_checks.kind_of(initializer, "kind", path, report)
  if kind in ("uniform", "normal", "truncated_normal", "orthogonal"):
    field_checks.above_zero(initializer, kind, path, report)


def _check_dropout(dropout: layers_pb2.Dropout, path, report) -> None:
  if not (dropout.HasField("rate") and 0 <= dropout.rate < 1):
    found = dropout.rate if dropout.HasField("rate") else "nothing"
    report(f"{path}.rate", f"found {found}; allowed: at least 0 and below 1")


def _check_pair(message, field, required, path, report) -> None:
  """Reports a height and width that are not one or two numbers above 0."""
  values = getattr(message, field)
  if len(values) > 2 or (required and not values):
    report(f"{path}.{field}", f"found {len(values)} numbers; allowed: one, or "
           "height and width" + ("" if required else ", or none"))
  for i, value in enumerate(values):
    if value < 1:
      report(f"{path}.{field}[{i}]", f"found {value}; allowed: at least 1")
