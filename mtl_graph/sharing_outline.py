"""The shapes and variables of what tasks share, known before any graph."""

import collections
from typing import Dict, List, Mapping, NamedTuple, Sequence

from mtl_graph import field_checks
from mtl_graph import layer_outline
from mtl_graph import task_graph
from mtl_graph.protos import model_pb2
from mtl_graph.protos import sharing_pb2

Shape = layer_outline.Shape

# The most experts that are built by one field: each is a part of the graph.
MOST_EXPERTS = 1000


class Stack(NamedTuple):
  """A trunk or a branch.

  Attributes:
    scope: Its variable scope.
    layers: Its `Layer` messages.
    reads: Names of the tensors that it reads.
  """
  scope: str
  layers: Sequence
  reads: List[str]


def build(model: model_pb2.Model, shape: Shape, outline: layer_outline.Outline,
          report: layer_outline.Report) -> Dict[str, Shape]:
  """Adds what the shared part of a model gives rise to.

  Args:
    model: The `Model` message, valid or not.
    shape: Shape of a row of all features together.
    outline: What is added to.
    report: Called with a field path and a problem where shapes do not fit.

  Returns:
    Shape of a row of what each task reads of the shared part, by task.
  """
  kind = model.WhichOneof("sharing")
  tasks = task_graph.with_layers(model.task)
  if kind == "hard_sharing":
    return _hard_sharing(model, shape, outline, report)
  if kind == "soft_sharing":
    return _soft_sharing(model.soft_sharing, tasks, shape, outline, report)
  if kind == "mixture_of_experts":
    return _mixture_of_experts(model.mixture_of_experts, tasks, shape, outline,
                               report)
  if kind == "customized_gate_control":
    return _customized_gate_control(model.customized_gate_control, tasks, shape,
                                    outline, report)
  if kind == "progressive_layered_extraction":
    return _progressive_layered_extraction(
        model.progressive_layered_extraction, tasks, shape, outline, report)
  if kind == "task_attention":
    return _task_attention(model.task_attention, tasks, shape, outline, report)
  return {task: shape for task in tasks}


def stacks_of(model: model_pb2.Model) -> Dict[str, Sequence]:
  """Returns the shared layers of a model, of all its tasks, by field path."""
  kind = model.WhichOneof("sharing")
  path, message = f"model.{kind}", getattr(model, kind) if kind else None
  if kind == "hard_sharing":
    found = {f"{path}.trunk": message.trunk.layer}
    found.update((f"{path}.branch[{i}]", branch.layer)
                 for i, branch in enumerate(message.branch))
  elif kind == "soft_sharing":
    found = {f"{path}.column": message.column.layer}
  elif kind in ("mixture_of_experts", "customized_gate_control"):
    found = {f"{path}.expert": message.expert.layer,
             f"{path}.gate": message.gate.layer}
  elif kind == "progressive_layered_extraction":
    found = {f"{path}.level[{i}].expert": level.expert.layer
             for i, level in enumerate(message.level)}
    found[f"{path}.gate"] = message.gate.layer
  elif kind == "task_attention":
    found = {f"{path}.block[{i}].{part}": getattr(block, part).layer
             for i, block in enumerate(message.block)
             for part in ("first", "second", "transition", "forward")}
  else:
    found = {}
  return found


def _hard_sharing(model, shape, outline, report) -> Dict[str, Shape]:
  """Adds the trunk and its branches."""
  config_, path = model.hard_sharing, "model.hard_sharing"
  known = collections.OrderedDict(features=shape)

  def grow(layers, scope, read, where):
    known[scope] = layer_outline.build(layers, scope, read, outline, where,
                                       report)
    # Layers within a residual are left out: what is behind them would be idle.
    known.update((f"{scope}/{name}", outline.tensors[f"{scope}/{name}"])
                 for name in layer_outline.layer_names(layers))

  grow(config_.trunk.layer, "trunk", shape, f"{path}.trunk")
  for i, branch in enumerate(config_.branch):
    where = f"{path}.branch[{i}]"
    read = _read(branch.reads, known, f"{where}.reads", report)
    grow(branch.layer, f"branch/{branch.name}", read, where)
  reads = {task.name: _read(task.reads, known, f"model.task[{i}].reads", report)
           for i, task in enumerate(model.task) if not task.HasField("product")}
  _report_unread(model, report)
  return reads


def _read(names, known: Mapping[str, Shape], path, report) -> Shape:
  """Returns the shape of the tensors of these names side by side."""
  names = list(names) or ["trunk"]
  field_checks.known_once(names, known, path, "tensor '{}'", report)
  shapes = [known[name] for name in names if name in known]
  if len(shapes) < len(names):
    return (0,)
  joined = layer_outline.side_by_side(shapes)
  if joined is None:
    if all(map(layer_outline.is_known, shapes)):
      report(path, "found " + " beside ".join(
          layer_outline.describe(s) for s in shapes) + "; allowed: vectors, or "
             "images of one size")
    return (0,)
  return joined


def stacks_of_trunk(config_: sharing_pb2.HardSharing) -> List[Stack]:
  """Returns the trunk and its branches, each after what it reads."""
  return [Stack("trunk", config_.trunk.layer, ["features"])] + [
      Stack(f"branch/{branch.name}", branch.layer,
            list(branch.reads) or ["trunk"]) for branch in config_.branch]


def needed_of_trunk(config_: sharing_pb2.HardSharing,
                    reads: Sequence[Sequence[str]]) -> Dict[str, int]:
  """Says which layers are needed for what tasks read.

  Args:
    config_: The `HardSharing` message.
    reads: What each task reads, by the names of tensors; of a task that states
      nothing, nothing.

  Returns:
    How many layers of the trunk, under "trunk", and of the branches, under
    "branch/<name>", it takes, from the first on; a stack of which nothing is
    needed, not even what it reads, is left out.
  """
  wanted = {name for names in reads for name in (list(names) or ["trunk"])}
  needed = {}
  for scope, layers, read in reversed(stacks_of_trunk(config_)):
    names = [f"{scope}/{name}" for name in layer_outline.layer_names(layers)]
    counts = [i + 1 for i, name in enumerate(names) if name in wanted]
    if scope in wanted:
      counts.append(len(names))
    if counts:
      needed[scope] = max(counts)
      wanted.update(read)
  return needed


def _report_unread(model, report) -> None:
  """Reports layers whose output no task reads."""
  needed = needed_of_trunk(model.hard_sharing, [
      task.reads for task in model.task if not task.HasField("product")])
  for path, stack in zip(stacks_of(model), stacks_of_trunk(model.hard_sharing)):
    count = needed.get(stack.scope, 0)
    if model.task and count < len(stack.layers):
      report(f"{path}.layer[{count}]", "found a layer that no task reads; "
             "allowed: layers that `reads` of a task leads to")


def units_after(layers, after: Sequence[str]) -> List[str]:
  """Returns the names of the layers of a column that a unit stands behind."""
  if after:
    return list(after)
  return [name for layer, name in zip(layers, layer_outline.layer_names(layers))
          if layer.WhichOneof("kind") in ("dense", "conv2d", "python")]


def _soft_sharing(config_, tasks, shape, outline, report) -> Dict[str, Shape]:
  """Adds a column per task, and the units between them."""
  layers, result = config_.column.layer, {}
  for i, task in enumerate(tasks):
    result[task] = layer_outline.build(
        layers, f"column/{task}", shape, outline,
        "model.soft_sharing.column", report if not i else None)
  kind = config_.WhichOneof("units")
  if kind is None or not tasks:
    return result
  unit, path = getattr(config_, kind), f"model.soft_sharing.{kind}"
  widths = {name: outline.tensors[f"column/{tasks[0]}/{name}"][-1]
            for name in layer_outline.layer_names(layers)}
  names = units_after(layers, unit.after)
  field_checks.known_once(names, widths, f"{path}.after",
                          "layer '{}' in the columns", report)
  names = [name for name in dict.fromkeys(names) if name in widths]
  if not names:
    report(path, "found no layer for a unit to stand behind; allowed: a column "
           "with a dense or a convolution layer, or `after`")
  if kind == "cross_stitch":
    per_channel = unit.granularity == sharing_pb2.CrossStitch.PER_CHANNEL
    for name in names:
      outline.variables[f"cross_stitch/{name}/alpha"] = [
          len(tasks)] * 2 + ([widths[name]] if per_channel else [])
    return result
  for name in names:
    if unit.subspaces > 0 and widths[name] % unit.subspaces:
      report(f"{path}.subspaces", f"found {unit.subspaces} of a layer '{name}' "
             f"of width {widths[name]}; allowed: a number that divides it")
    outline.variables[f"sluice/{name}/alpha"] = [
        len(tasks) * unit.subspaces] * 2
  shapes = [outline.tensors[f"column/{tasks[0]}/{name}"] for name in names]
  if any(s != shapes[0] for s in shapes) and all(
      map(layer_outline.is_known, shapes)):
    report(path, "found units behind layers of "
           + ", ".join(map(layer_outline.describe, shapes)) + "; allowed: "
           "layers of one size, as a task reads their weighted sum")
  for task in tasks:
    outline.variables[f"sluice/{task}/beta"] = [len(names)]
  return result


def _gate(gate, scope, experts, shape, outline, path, report) -> None:
  """Adds a gate over a number of experts."""
  read = layer_outline.build(gate.layer, scope, shape, outline, f"{path}.gate",
                             report)
  is_static = gate.HasField("dselect_k") and not gate.dselect_k.per_example
  if len(read) != 1:
    if layer_outline.is_known(read) and not is_static:
      report(f"{path}.gate", f"found an image of {layer_outline.describe(read)}"
             " before its last layer; allowed: a vector, as flatten or global "
             "pooling among its layers makes it")
    read = (0,)
  if gate.WhichOneof("kind") != "dselect_k":
    outline.variables[f"{scope}/kernel"] = [read[0], experts]
    if gate.softmax.use_bias:
      outline.variables[f"{scope}/bias"] = [experts]
    return
  count, digits = gate.dselect_k.num_selected, digits_of(experts)
  sizes = {"selector": count}
  if digits:
    sizes["digit"] = count * digits
  for name, size in sizes.items():
    if is_static:
      outline.variables[f"{scope}/{name}"] = [size]
    else:
      outline.variables[f"{scope}/{name}/kernel"] = [read[0], size]
      outline.variables[f"{scope}/{name}/bias"] = [size]


def digits_of(experts: int) -> int:
  """Returns how many binary digits it takes to number experts."""
  return max(experts - 1, 0).bit_length()


def _experts(expert, scopes, shape, outline, path, report) -> Shape:
  """Adds experts that read one shape; returns that of their outputs."""
  result = (0,)
  for i, scope in enumerate(scopes):
    result = layer_outline.build(expert.layer, scope, shape, outline,
                                 f"{path}.expert", report if not i else None)
  return result


def _numbered(scope, count) -> List[str]:
  """Returns the scopes of experts, of too many only as many as are allowed."""
  return [f"{scope}/{i}" for i in range(min(count, MOST_EXPERTS))]


def _mixture_of_experts(config_, tasks, shape, outline, report):
  path = "model.mixture_of_experts"
  result = _experts(config_.expert, _numbered("expert", config_.num_experts),
                    shape, outline, path, report)
  for i, owner in enumerate(["shared"] if config_.one_gate else tasks):
    _gate(config_.gate, f"gate/{owner}", config_.num_experts, shape, outline,
          path, report if not i else _silent)
  return {task: result for task in tasks}


def _customized_gate_control(config_, tasks, shape, outline, report):
  return _level(config_, config_.gate, "", tasks, {
      owner: shape for owner in (*tasks, "shared")}, False, outline,
                "model.customized_gate_control",
                "model.customized_gate_control", report)


def _progressive_layered_extraction(config_, tasks, shape, outline, report):
  path = "model.progressive_layered_extraction"
  shapes = {owner: shape for owner in (*tasks, "shared")}
  for i, level in enumerate(config_.level):
    shapes = _level(level, config_.gate, f"level_{i}/", tasks, shapes,
                    i + 1 < len(config_.level), outline, f"{path}.level[{i}]",
                    path, report)
  return {task: shapes[task] for task in tasks}


def _level(level, gate, prefix, tasks, shapes, has_shared_gate, outline, path,
           gate_path, report):
  """Adds a level of experts; returns what each task, and "shared", reads."""
  result, of_experts = (0,), report
  own = {"shared": _numbered(f"{prefix}expert", level.shared_experts)}
  own.update((task, _numbered(f"{prefix}expert/{task}", level.task_experts))
             for task in tasks)
  for owner, scopes in own.items():
    if scopes:
      result = _experts(level.expert, scopes, shapes[owner], outline, path,
                        of_experts)
      of_experts = _silent  # What is wrong with one is wrong with all.
  counts = {task: len(own[task]) + len(own["shared"]) for task in tasks}
  if has_shared_gate:
    counts["shared"] = sum(map(len, own.values()))
  for i, (owner, count) in enumerate(counts.items()):
    _gate(gate, f"{prefix}gate/{owner}", count, shapes[owner], outline,
          gate_path, report if not i else _silent)
  return {owner: result for owner in counts}


def _silent(*unused) -> None:
  """Takes a problem that has been reported of another task already."""


def _task_attention(config_, tasks, shape, outline, report):
  """Adds the blocks of the trunk, and an attention per task and block."""
  path, masked = "model.task_attention", None
  for j, block in enumerate(config_.block):
    where, scope = f"{path}.block[{j}]", f"block_{j}"
    first = layer_outline.build(block.first.layer, f"{scope}/first", shape,
                                outline, f"{where}.first", report)
    second = layer_outline.build(block.second.layer, f"{scope}/second", first,
                                 outline, f"{where}.second", report)
    shape = layer_outline.build(block.transition.layer, f"{scope}/transition",
                                second, outline, f"{where}.transition", report)
    read = first
    if masked is not None:
      forward = layer_outline.build(block.forward.layer, f"{scope}/forward",
                                    masked, outline, f"{where}.forward", report)
      read = layer_outline.side_by_side([first, forward])
      if read is None:
        if layer_outline.is_known(first) and layer_outline.is_known(forward):
          report(f"{where}.forward", f"found {layer_outline.describe(forward)} "
                 f"beside {layer_outline.describe(first)} of `first`; allowed: "
                 "vectors, or images of one size")
        read = first
    if first[:-1] != second[:-1]:
      if layer_outline.is_known(first) and layer_outline.is_known(second):
        report(f"{where}.second", f"found layers that turn "
               f"{layer_outline.describe(first)} into "
               f"{layer_outline.describe(second)}; allowed: layers that keep "
               "the size of images, which a mask of it goes on")
    for task in tasks:
      _attention(block, f"attention/{task}/{scope}", read, second, outline)
    masked = second
  return {task: masked or (0,) for task in tasks}


def _attention(block, scope, read, masked, outline) -> None:
  """Adds the two layers that make a mask."""
  ones = [1, 1] * (len(read) == 3)
  widths = (read[-1], block.attention_units, masked[-1])
  for name, before, after in zip(("hidden", "mask"), widths, widths[1:]):
    outline.variables[f"{scope}/{name}/kernel"] = [*ones, before, after]
    if block.batch_normalization:
      outline.variables[f"{scope}/{name}/gamma"] = [after]
      outline.variables[f"{scope}/{name}/beta"] = [after]
    else:
      outline.variables[f"{scope}/{name}/bias"] = [after]
