"""Finds what is wrong with a graph before TensorFlow gets to see it.

TensorFlow trusts the graphs that it is given: some that are damaged end the
process. Here they are only messages.
"""

import collections
import re
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from tensorflow.core.framework import graph_pb2
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow.python.framework import dtypes
# The only place that has the definitions of all ops, hidden ones included.
from tensorflow.python.framework import op_def_registry

from mtl_graph.porting import python_files

_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9_.\\/>-]*")
_INPUT = re.compile(r"(\^?)([A-Za-z0-9._][A-Za-z0-9_.\\/>-]*)(?::(\d{1,9}))?")
# Where v1 loops go round: the only edges that may close a cycle.
BACK_EDGES = ("NextIteration", "RefNextIteration")
LARGEST = 2 ** 31  # Bytes of one tensor; no message has more.
_KINDS = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type",
          "shape": "shape", "tensor": "tensor", "func": "func"}


def check(graph: graph_pb2.GraphDef, path: str) -> None:
  """Raises unless a graph hangs together.

  Args:
    graph: The graph; ops that are not registered are passed over.
    path: Where it was read, for errors.

  Raises:
    PortingError: If names are none or there twice, inputs are missing, nodes
      need each other, attributes do not fit their op, or a constant is not as
      large as it says, or too large.
  """
  problem = next(_problems(graph), None)
  if problem:
    raise python_files.PortingError(f"{path}: {problem}")


def _problems(graph) -> Iterator[str]:
  functions = [f.signature.name for f in graph.library.function]
  for name in _repeated(functions):
    yield (f"function '{name}': found it a second time; allowed: each name "
           "once")
  yield from _of_nodes(graph.node, "")
  calls = {}
  for function in graph.library.function:
    where = f"function '{function.signature.name}': "
    yield from _of_nodes(
        function.node_def, where,
        [argument.name for argument in function.signature.input_arg])
    calls[function.signature.name] = set(_called(function.node_def))
  cycle = _cycle({name: sorted(called & calls.keys())
                  for name, called in calls.items()})
  if cycle:
    yield (f"function '{cycle[0]}': found that it calls itself, by way of "
           f"{', '.join(cycle)}; allowed: functions that end")


def _of_nodes(nodes: Sequence[node_def_pb2.NodeDef], where: str,
              arguments: Sequence[str] = ()) -> Iterator[str]:
  for node in nodes:
    if not _NAME.fullmatch(node.name):
      yield (f"{where}node {node.name[:80]!r}: found a name that is none; "
             "allowed: letters, digits, '_', '.', '-', '/'")
  for name in _repeated([node.name for node in nodes] + list(arguments)):
    yield (f"{where}node '{name}': found it a second time; allowed: each name "
           "once")
  by_name = {node.name: node for node in nodes}
  for node in nodes:
    known = definition(node.op)
    if known is None:
      continue
    yield from _of_attributes(node, known, where)
    wanted = _count(known.input_arg, node)
    given = sum(not name.startswith("^") for name in node.input)
    if wanted is not None and wanted != given:
      yield (f"{where}node '{node.name}': found {given} inputs; allowed: "
             f"{wanted}, as {node.op} takes")
  for node in nodes:
    yield from _of_inputs(node, by_name, arguments, where)
  cycle = _cycle({node.name: [
      name for name in map(node_of, node.input) if name in by_name
      and by_name[name].op not in BACK_EDGES] for node in nodes})
  if cycle:
    yield (f"{where}node '{cycle[0]}': found that it needs itself, by way of "
           f"{', '.join(cycle[:5])}; allowed: a graph without cycles but those "
           "of loops")


def _of_inputs(node, by_name, arguments, where) -> Iterator[str]:
  for text in node.input:
    # Within functions an input is node:output:number.
    name = text.split(":")[0].removeprefix("^")
    if name in arguments:
      continue
    if not _NAME.fullmatch(name) or not where and not _INPUT.fullmatch(text):
      yield (f"{where}node '{node.name}': found input {text[:80]!r}; allowed: "
             "node, node:number or ^node")
    elif name not in by_name:
      yield (f"{where}node '{node.name}': found input '{text}', a node that is "
             "not there; allowed: nodes of the graph")
    elif not where and not text.startswith("^"):
      number = int(text.partition(":")[2] or 0)
      count = num_outputs(by_name[name])
      if count is not None and number >= count:
        yield (f"node '{node.name}': found input '{text}', of which node "
               f"'{name}' has {count}; allowed: one of its outputs")


def _of_attributes(node, known, where) -> Iterator[str]:
  start = f"{where}node '{node.name}': "
  for attribute in known.attr:
    if attribute.name not in node.attr:
      if not attribute.HasField("default_value"):
        yield (f"{start}found no attribute '{attribute.name}'; required by "
               f"{node.op}")
      continue
    value = node.attr[attribute.name]
    kind = value.WhichOneof("value")
    if kind == "placeholder":
      continue  # An attribute of the function that it is in.
    expected = ("list" if attribute.type.startswith("list(")
                else _KINDS.get(attribute.type))
    if kind != expected and not (kind is None and expected == "list"):
      yield (f"{start}found attribute '{attribute.name}' of kind {kind}; "
             f"allowed: {attribute.type}")
    elif kind == "tensor":
      problem = _of_tensor(value.tensor)
      if problem:
        yield f"{start}found attribute '{attribute.name}' {problem}"
    elif kind == "shape":
      yield from (f"{start}found a dimension of {dim.size}; allowed: -1 for "
                  "unknown, or at least 0" for dim in value.shape.dim
                  if dim.size < -1)
      if len(value.shape.dim) > 254:
        yield f"{start}found {len(value.shape.dim)} dimensions; allowed: 254"
    elif kind == "type" and not _is_type(value.type):
      yield (f"{start}found attribute '{attribute.name}' of type {value.type}, "
             "which is none; allowed: a type of TensorFlow")
    elif kind == "i" and attribute.has_minimum and value.i < attribute.minimum:
      yield (f"{start}found attribute '{attribute.name}' {value.i}; allowed: at"
             f" least {attribute.minimum}")
    elif kind == "list" and any(not _is_type(t) for t in value.list.type):
      yield (f"{start}found attribute '{attribute.name}' with a type that is "
             "none; allowed: types of TensorFlow")


def _is_type(number) -> bool:
  try:
    dtypes.as_dtype(number)
    return True
  except (TypeError, KeyError):
    return False


def _of_tensor(tensor: tensor_pb2.TensorProto) -> str:
  """Returns what is wrong with a constant, or ""."""
  if tensor.tensor_shape.unknown_rank:
    return "of unknown shape; allowed: a known one"
  sizes = [dim.size for dim in tensor.tensor_shape.dim]
  if any(size < 0 for size in sizes):
    return f"of shape {sizes}; allowed: dimensions of at least 0"
  if not _is_type(tensor.dtype):
    return f"of type {tensor.dtype}, which is none; allowed: a type"
  dtype = dtypes.as_dtype(tensor.dtype)
  count = 1
  for size in sizes:
    count *= size
  try:
    width = dtype.size
  except TypeError:
    width = 1
  if count * width > LARGEST:
    return (f"of shape {sizes}, {count * width / 2 ** 30:,.1f} GiB; allowed: at "
            f"most {LARGEST >> 30} GiB")
  content = len(tensor.tensor_content)
  if content and dtype != dtypes.string and content != count * width:
    return (f"of {content} bytes for shape {sizes} of {dtype.name}; allowed: "
            f"{count * width}")
  if not content:
    stated = max((len(value) for field, value in tensor.ListFields()
                  if field.name.endswith("_val")), default=0)
    if tensor.half_val and len(tensor.half_val) != stated or stated > (
        count * (2 if dtype.is_complex else 1)):
      return f"of {stated} values for shape {sizes}; allowed: at most {count}"
    if dtype.is_complex and stated % 2:
      return f"of {stated} halves of complex numbers; allowed: pairs"
  return ""


def definition(op: str) -> Optional[op_def_pb2.OpDef]:
  """Returns what this TensorFlow knows of an op; None if nothing."""
  return op_def_registry.get(op)


def num_outputs(node: node_def_pb2.NodeDef) -> Optional[int]:
  """Returns how many outputs a node has; None of an op that is unknown."""
  known = definition(node.op)
  return None if known is None else _count(known.output_arg, node)


def _count(arguments: Sequence[op_def_pb2.OpDef.ArgDef], node):
  """Returns how many tensors arguments stand for; None if that is not stated.
  """
  total = 0
  for argument in arguments:
    if argument.number_attr:
      if argument.number_attr not in node.attr:
        return None
      total += node.attr[argument.number_attr].i
    elif argument.type_list_attr:
      if argument.type_list_attr not in node.attr:
        return None
      total += len(node.attr[argument.type_list_attr].list.type)
    else:
      total += 1
  return total


def functions_of(node: node_def_pb2.NodeDef) -> List[str]:
  """Returns the names of the functions that a node calls, if any."""
  found = [node.op]  # A function may be called as an op.
  for value in node.attr.values():
    found += [value.func.name] if value.HasField("func") else []
    found += [function.name for function in value.list.func]
  return found


def _called(nodes) -> Iterator[str]:
  for node in nodes:
    yield from functions_of(node)


def node_of(tensor: str) -> str:
  """Returns the name of the node of a tensor, or of a control input."""
  return tensor.removeprefix("^").split(":")[0]


def _repeated(names) -> List[str]:
  return [name for name, count in collections.Counter(names).items()
          if count > 1]


def _cycle(inputs: Dict[str, List[str]]) -> List[str]:
  """Returns names that need each other in turn; empty if there are none."""
  state = {}  # True while a name's needs are looked at, then False.
  for start in inputs:
    stack: List[Tuple[str, Iterator[str]]] = []
    if start not in state:
      state[start] = True
      stack.append((start, iter(inputs[start])))
    while stack:
      name, rest = stack[-1]
      following = next(rest, None)
      if following is None:
        state[name] = False
        stack.pop()
      elif following not in state:
        state[following] = True
        stack.append((following, iter(inputs.get(following, ()))))
      elif state[following]:
        path = [entry for entry, _ in stack]
        return path[path.index(following):]
  return []
