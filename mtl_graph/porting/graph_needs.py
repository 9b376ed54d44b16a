"""Says what of a graph of old the signatures of an export need."""

import os
import re
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.framework import node_def_pb2

from mtl_graph.porting import graph_checks
from mtl_graph.porting import graph_source
from mtl_graph.porting import python_files
from mtl_graph.porting import signature_text

_TABLE = re.compile(r"(Mutable|Anonymous)*(Dense)?HashTable.*")
_FILLS = re.compile(r"InitializeTable.*|LookupTableImport.*")
_FROM_FILE = re.compile(r"InitializeTableFromTextFile(V2)?")
_FED = ("Placeholder", "PlaceholderV2")
VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
_MAIN_OP = "saved_model_main_op"


class Needs(NamedTuple):
  """What is needed of a graph.

  Attributes:
    nodes: The nodes by name, as they were, but for devices and for where
      assets are.
    inputs: Names of tensors that are fed, in signatures.
    constants: Values by tensor of placeholders that become constants.
    variables: Names of the nodes of variables.
    initializers: Names of the nodes that fill tables.
    assets: Names of the nodes that hold the paths of assets.
  """
  nodes: Dict[str, node_def_pb2.NodeDef]
  inputs: Set[str]
  constants: Dict[str, np.ndarray]
  variables: List[str]
  initializers: List[str]
  assets: List[str]


def tensor_of(text: str) -> str:
  """Returns the name of a tensor with its number, of an input of a node."""
  return text if ":" in text else f"{text}:0"


def find(source: graph_source.Source,
         signatures: Sequence[signature_text.Signature],
         constants: Mapping[str, str],
         asset_dir: Optional[str] = None) -> Needs:
  """Goes back from the outputs to the inputs, variables, tables and files.

  Args:
    source: The graph, checked.
    signatures: The signatures, whose tensors are there.
    constants: Text of values by name of the placeholder.
    asset_dir: Folder in which files are looked for first; None: none.

  Returns:
    The `Needs`.

  Raises:
    PortingError: If an output needs a placeholder that is no input, a table is
      filled by nothing, or a file is not there.
  """
  nodes = {node.name: node for node in source.meta_graph.graph_def.node}
  fixed = {f"{name}:0": _constant(name, text, nodes)
           for name, text in constants.items()}
  inputs = {tensor for one in signatures for tensor in one.inputs.values()}
  for tensor in sorted(inputs & fixed.keys()):
    raise python_files.PortingError(
        f"--constant: found '{tensor[:-2]}', which is an input too; allowed: "
        "one of both")
  roots = {graph_checks.node_of(t) for one in signatures
           for t in one.outputs.values() if t not in inputs}
  found = _reached(roots, nodes, inputs | fixed.keys())
  _check_fed(found, nodes, inputs, fixed)
  initializers = []
  while True:
    fresh = _filling(found, nodes, source.meta_graph, set(initializers))
    if not fresh:
      break
    initializers += fresh
    found |= _reached(set(fresh), nodes, inputs | fixed.keys())
  found |= {graph_checks.node_of(t) for t in [*inputs, *fixed]}
  kept = {}
  for name, node in nodes.items():
    if name in found:
      kept[name] = node_def_pb2.NodeDef()
      kept[name].CopyFrom(node)
      kept[name].device = ""
      for attribute in ("_class", "_output_shapes"):
        kept[name].attr.pop(attribute, None)
      if f"{name}:0" in inputs | fixed.keys() and (
          graph_checks.num_outputs(node) == 1):
        # What feeds it is no matter any more.
        del kept[name].input[:]
        if node.op not in _FED:
          _to_placeholder(kept[name])
  return Needs(kept, inputs, fixed,
               [name for name, node in kept.items() if node.op in VARIABLES],
               initializers, _assets(kept, source, asset_dir))


def _reached(roots, nodes, cut) -> Set[str]:
  """Returns the nodes that roots need, without what lies behind `cut`."""
  found, queue = set(), list(roots)
  while queue:
    name = queue.pop()
    if name in found:
      continue
    found.add(name)
    queue.extend(graph_checks.node_of(text) for text in nodes[name].input
                 if text.startswith("^") or tensor_of(text) not in cut)
  return found


def _to_placeholder(node) -> None:
  """Makes a placeholder of a node with one output, of a known type only."""
  definition = graph_checks.definition(node.op)
  argument = definition.output_arg[0]
  number = argument.type or (argument.type_attr and
                             node.attr[argument.type_attr].type)
  if not number and argument.type_list_attr:
    number = node.attr[argument.type_list_attr].list.type[0]
  shape = tf.TensorShape(None).as_proto()
  if node.op == "PlaceholderWithDefault":
    shape.CopyFrom(node.attr["shape"].shape)
  node.op = "Placeholder"
  node.attr.clear()
  node.attr["dtype"].type = number
  node.attr["shape"].shape.CopyFrom(shape)


def _check_fed(found, nodes, inputs, fixed) -> None:
  for name in sorted(found):
    if nodes[name].op in _FED and f"{name}:0" not in inputs | fixed.keys():
      dtype = tf.as_dtype(nodes[name].attr["dtype"].type).name
      raise python_files.PortingError(
          f"node '{name}': an output needs this placeholder of {dtype}, which "
          "is no input; allowed: an input of the signature, or "
          f"--constant={name}=VALUE")


def _constant(name, text, nodes) -> np.ndarray:
  """Returns the value of a placeholder that becomes a constant."""
  if name not in nodes or nodes[name].op not in (*_FED,
                                                 "PlaceholderWithDefault"):
    raise python_files.PortingError(
        f"--constant: found '{name}', which is no placeholder; allowed: one of "
        "the graph")
  dtype = tf.as_dtype(nodes[name].attr["dtype"].type)
  try:
    if dtype == tf.bool:
      return np.array({"true": True, "false": False}[text.lower()])
    return np.array(text.encode() if dtype == tf.string
                    else dtype.as_numpy_dtype(text))
  except (KeyError, ValueError, TypeError) as error:
    raise python_files.PortingError(
        f"--constant: found '{name}={text}'; allowed: a value of {dtype.name}"
    ) from error


def _filling(found, nodes, meta_graph, known) -> List[str]:
  """Returns nodes that fill tables, in reach, that nothing fills yet."""
  tables = [name for name in found if _TABLE.fullmatch(nodes[name].op)]
  if not tables:
    return []
  def shared(name):
    return nodes[name].attr["shared_name"].s or name.encode()
  by_table = {}
  for name, node in nodes.items():
    if _FILLS.fullmatch(node.op) and node.input:
      table = graph_checks.node_of(node.input[0])
      by_table.setdefault(shared(table), []).append(name)
  fresh = []
  for table in sorted(tables):
    fills = by_table.get(shared(table), [])
    if not fills:
      main_op = _main_op(meta_graph)
      fills = [main_op] if main_op in nodes else []
    if not fills:
      raise python_files.PortingError(
          f"table '{table}': found nothing that fills it; allowed: a graph with"
          " its initializer, which must be among the outputs when it is frozen")
    fresh += [fill for fill in fills[:1] if fill not in known | set(fresh)]
  return fresh


def _main_op(meta_graph) -> str:
  if "__saved_model_init_op" in meta_graph.signature_def:
    outputs = meta_graph.signature_def["__saved_model_init_op"].outputs
    return next((graph_checks.node_of(info.name)
                 for info in outputs.values()), "")
  if _MAIN_OP in meta_graph.collection_def:
    return next(iter(meta_graph.collection_def[_MAIN_OP].node_list.value), "")
  return ""


def _assets(kept, source, asset_dir) -> List[str]:
  """Points to the files that are needed, and returns who holds their paths."""
  holders = [graph_checks.node_of(node.input[1]) for node in kept.values()
             if _FROM_FILE.fullmatch(node.op)]
  holders += [graph_checks.node_of(t) for t in source.assets]
  found = []
  for name in dict.fromkeys(holders):
    if name not in kept or kept[name].op != "Const":
      continue  # Not needed, or computed, which the review of ops says.
    value = tf.make_ndarray(kept[name].attr["value"].tensor)
    if value.dtype != object or value.size != 1:
      raise python_files.PortingError(
          f"node '{name}': found {value.size} values for the path of a file; "
          "allowed: one text")
    stated = value.ravel()[0].decode("utf-8", "replace")
    path = source.assets.get(f"{name}:0", stated)
    if asset_dir and os.path.isfile(
        os.path.join(asset_dir, os.path.basename(path))):
      path = os.path.join(asset_dir, os.path.basename(path))
    if "\0" in path or not os.path.isfile(path):
      raise python_files.PortingError(
          f"node '{name}': found no file '{path}', which a table is filled from;"
          " allowed: the file there, or in --asset_dir")
    kept[name].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(
        os.path.abspath(path).encode(), tf.string, value.shape))
    found.append(name)
  return found
