"""Finds what is wrong with what the tasks of a model share.

Whether names and shapes fit together `sharing_outline` says.
"""

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import layer_checks
from mtl_graph import layer_outline
from mtl_graph import sharing_outline
from mtl_graph import task_graph
from mtl_graph.protos import model_pb2

# The stacks that may be empty: tasks share features then, or p is u.
_MAY_BE_EMPTY = ("trunk", "gate", "second", "transition", "forward")

# What lies in the scope of a gate beside its layers.
_OF_GATES = ("kernel", "bias", "selector", "digit")


def check(model: model_pb2.Model, report: field_checks.Report) -> None:
  """Reports what is wrong with the shared part of a model.

  Args:
    model: The `Model` message.
    report: Takes a field's path and its problem.
  """
  kind = field_checks.kind_of(model, "sharing", "model", report)
  if kind is None:
    return
  for path, layers in sharing_outline.stacks_of(model).items():
    layer_checks.check(layers, path, report,
                       _OF_GATES if path.endswith("gate") else ())
    if not layers and not path.endswith(_MAY_BE_EMPTY):
      report(f"{path}.layer", "found none; allowed: at least one")
  message, path = getattr(model, kind), f"model.{kind}"
  if kind == "hard_sharing":
    field_checks.names(message.branch, f"{path}.branch", report, reserved=())
  elif kind == "soft_sharing":
    _check_soft_sharing(message, len(task_graph.with_layers(model.task)), path,
                        report)
  elif kind == "mixture_of_experts":
    _check_count(message, "num_experts", 1, path, report)
    _check_gate(message.gate, f"{path}.gate", report)
  elif kind == "customized_gate_control":
    _check_counts(message, 0, path, report)
    _check_gate(message.gate, f"{path}.gate", report)
  elif kind == "progressive_layered_extraction":
    if not message.level:
      report(f"{path}.level", "found none; allowed: at least one")
    for i, level in enumerate(message.level):
      _check_counts(level, 1, f"{path}.level[{i}]", report)
    _check_gate(message.gate, f"{path}.gate", report)
  elif kind == "task_attention":
    _check_blocks(message.block, path, report)


def _check_soft_sharing(message, tasks, path, report) -> None:
  names = layer_outline.layer_names(message.column.layer)
  kind = message.WhichOneof("units")
  for field in ("parameter_distance", kind):
    if tasks == 1 and field and message.HasField(field):
      report(f"{path}.{field}", "found it with one column; allowed: with two "
             "tasks or more that have one")
  for field in ("parameter_distance", "trace_norm"):
    if message.HasField(field):
      _check_penalty(getattr(message, field), names, f"{path}.{field}", report)
  if kind is None:
    return
  unit, path = getattr(message, kind), f"{path}.{kind}"
  _check_part(unit, "own_share", path, report)
  if kind == "sluice":
    field_checks.at_least(unit, "subspaces", 1, path, report)
    _check_part(unit, "last_layer_share", path, report)
    field_checks.at_least(unit, "orthogonality", 0, path, report)


def _check_penalty(penalty, names, path, report) -> None:
  """Reports what is wrong with a penalty on columns."""
  if not penalty.HasField("weight"):
    report(f"{path}.weight", "found nothing; required")
  field_checks.at_least(penalty, "weight", 0, path, report)
  if "epsilon" in penalty.DESCRIPTOR.fields_by_name:
    field_checks.above_zero(penalty, "epsilon", path, report)
  seen = set()
  for i, layer in enumerate(penalty.layer):
    where = f"{path}.layer[{i}]"
    if layer.name not in names:
      report(f"{where}.name", f"no layer '{layer.name}' in the columns; "
             f"allowed: {', '.join(names)}{config.nearest(layer.name, names)}")
    elif layer.name in seen:
      report(f"{where}.name", f"found '{layer.name}' a second time; allowed: "
             "each once")
    seen.add(layer.name)
    field_checks.at_least(layer, "weight", 0, where, report)


def _check_part(message, field, path, report) -> None:
  """Reports a share that is not above 0 and at most 1."""
  value = getattr(message, field)
  if not 0 < value <= 1:
    report(f"{path}.{field}", f"found {value:g}; allowed: above 0, at most 1")


def _check_gate(gate, path, report) -> None:
  if gate.softmax.HasField("initializer"):
    layer_checks.check_initializer(gate.softmax.initializer,
                                   f"{path}.softmax.initializer", report)
  if gate.HasField("dselect_k"):
    where = f"{path}.dselect_k"
    field_checks.at_least(gate.dselect_k, "num_selected", 1, where, report)
    field_checks.above_zero(gate.dselect_k, "gamma", where, report)
    field_checks.at_least(gate.dselect_k, "entropy", 0, where, report)
    if gate.layer and not gate.dselect_k.per_example:
      report(f"{path}.layer", "found layers of a gate that does not look at "
             "the row; allowed: none, or per_example: true")


def _check_counts(message, least_shared, path, report) -> None:
  _check_count(message, "shared_experts", least_shared, path, report)
  _check_count(message, "task_experts", 0, path, report)
  if message.shared_experts == 0 and message.task_experts == 0:
    report(path, "found no expert at all; allowed: at least one")


def _check_count(message, field, low, path, report) -> None:
  """Reports too few experts, or too many."""
  most = sharing_outline.MOST_EXPERTS
  if getattr(message, field) > most:
    report(f"{path}.{field}", f"found {getattr(message, field)}; allowed: at "
           f"most {most}")
  else:
    field_checks.at_least(message, field, low, path, report)


def _check_blocks(blocks, path, report) -> None:
  if not blocks:
    report(f"{path}.block", "found none; allowed: at least one")
  for j, block in enumerate(blocks):
    where = f"{path}.block[{j}]"
    field_checks.at_least(block, "attention_units", 1, where, report)
    if j == 0 and block.forward.layer:
      report(f"{where}.forward", "found layers in the first block, which has "
             "none before it; allowed: none")
    if j + 1 == len(blocks) and block.transition.layer:
      report(f"{where}.transition", "found layers in the last block, which "
             "nothing reads; allowed: none, as towers may have them")
