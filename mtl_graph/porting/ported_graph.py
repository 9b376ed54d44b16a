"""Rewrites what is needed of a graph of old for serving.

Inputs become placeholders, constants constants, of the branches of conditions
on them one is left, and reference variables become resource variables, which is
what today's readers of exports know.
"""

from typing import Dict, List, Mapping, NamedTuple

import tensorflow.compat.v1 as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.framework import variable_pb2

from mtl_graph.porting import constant_branches
from mtl_graph.porting import graph_checks
from mtl_graph.porting import graph_needs
from mtl_graph.porting import op_review
from mtl_graph.porting import python_files

# Ops that pass a reference on, by what does so with a value.
_OF_REFERENCES = {f"Ref{name}": name for name in (
    "Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch")}


class Variable(NamedTuple):
  """A variable of the new graph.

  Attributes:
    definition: What TensorFlow makes a variable of.
    value: Name of the placeholder that it is assigned from.
  """
  definition: variable_pb2.VariableDef
  value: str


class Ported(NamedTuple):
  """The new graph.

  Attributes:
    graph: The graph.
    tensors: Names in it, by those of tensors that are called otherwise.
    variables: Its variables by the name of their node.
  """
  graph: graph_pb2.GraphDef
  tensors: Dict[str, str]
  variables: Dict[str, Variable]


def original(needs: graph_needs.Needs, whole: graph_pb2.GraphDef
             ) -> graph_pb2.GraphDef:
  """Returns what is needed as it was."""
  graph = graph_pb2.GraphDef()
  graph.node.extend(needs.nodes.values())
  _add_functions(graph, whole)
  return graph


def rewrite(needs: graph_needs.Needs, whole: graph_pb2.GraphDef,
            built: tf.Graph, shapes: Mapping[str, List[int]]) -> Ported:
  """Rewrites what is needed.

  Args:
    needs: What is needed.
    whole: The graph that it is of.
    built: What `original` returned, built, for types and shapes.
    shapes: Shapes of the variables by name.

  Returns:
    The new graph.

  Raises:
    PortingError: If an output changes a variable.
  """
  names = set(needs.nodes)
  graph, tensors, variables, reads = graph_pb2.GraphDef(), {}, {}, {}
  nodes = {}
  for name, node in needs.nodes.items():
    nodes[name] = node_def_pb2.NodeDef()
    nodes[name].CopyFrom(node)
  for tensor in sorted(needs.inputs):
    name = graph_checks.node_of(tensor)
    if nodes[name].op not in ("Placeholder", "PlaceholderV2"):
      tensors[tensor] = f"{_free(name.rpartition('/')[2] + '_input', names)}:0"
      fed = built.get_tensor_by_name(tensor)
      graph.node.append(tf.NodeDef(
          name=tensors[tensor][:-2], op="Placeholder", attr={
              "dtype": tf.AttrValue(type=fed.dtype.base_dtype.as_datatype_enum),
              "shape": tf.AttrValue(shape=fed.shape.as_proto())}))
  for tensor, value in needs.constants.items():
    node = nodes[graph_checks.node_of(tensor)]
    dtype = node.attr["dtype"].type
    node.op = "Const"
    node.attr.clear()
    node.attr["dtype"].type = dtype
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype))
  for name, node in nodes.items():
    if node.op == "PlaceholderWithDefault" and f"{name}:0" not in needs.inputs:
      _to_identity(node)
  constant_branches.take(nodes)
  for name in needs.variables:
    reads[name] = _add_variable(nodes[name], graph, names, shapes[name],
                                variables)
  references = {name for name in needs.variables
                if needs.nodes[name].op != "VarHandleOp"}
  for name, node in nodes.items():
    if node.op in _OF_REFERENCES:
      node.op = _OF_REFERENCES[node.op]
    for i, text in enumerate(node.input):
      if text.startswith("^"):
        continue
      tensor = graph_needs.tensor_of(text)
      if graph_checks.node_of(text) in references:
        _check_reads(node, i, graph_checks.node_of(text))
        node.input[i] = reads[graph_checks.node_of(text)]
      elif tensor in tensors:
        node.input[i] = tensors[tensor]
  for name in references:
    tensors[f"{name}:0"] = f"{reads[name]}:0"
  needed = _reached(nodes, needs, tensors)
  graph.node.extend(node for name, node in nodes.items() if name in needed)
  _add_functions(graph, whole)
  return Ported(graph, tensors, variables)


def _to_identity(node) -> None:
  """Has a placeholder that nobody can feed any more be its default."""
  dtype = node.attr["dtype"].type
  node.op = "Identity"
  node.attr.clear()
  node.attr["T"].type = dtype


def _reached(nodes, needs, tensors):
  """Leaves out what stood behind an input that was cut off."""
  cut = {graph_checks.node_of(t) for t in needs.inputs if t in tensors}
  read = {graph_checks.node_of(text) for node in nodes.values()
          for text in node.input}
  return {name for name in nodes if name not in cut or name in read}


def _check_reads(node, number, variable) -> None:
  known = graph_checks.definition(node.op)
  flags = []
  for argument in known.input_arg:
    count = (node.attr[argument.number_attr].i if argument.number_attr else
             len(node.attr[argument.type_list_attr].list.type)
             if argument.type_list_attr else 1)
    flags += [argument.is_ref] * count
  if flags[number]:
    raise python_files.PortingError(
        f"node '{node.name}': found {node.op}, which changes variable "
        f"'{variable}' or needs to be able to; allowed: outputs that read "
        "variables only")


def _add_variable(node, graph, names, shape, variables) -> str:
  """Makes a resource of a variable, and returns the node that reads it."""
  name, dtype = node.name, node.attr["dtype"].type
  # As a variable of its own it bears the name that it is saved under.
  shared = node.attr["shared_name"].s or name.encode()
  container = node.attr["container"].s
  node.op = "VarHandleOp"
  node.attr.clear()
  node.attr["dtype"].type = dtype
  node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
  node.attr["shared_name"].s = shared
  node.attr["container"].s = container
  value, assign, read = (
      _free(f"{name}/{last}", names)
      for last in ("ported_value", "ported_assign", "Read/ReadVariableOp"))
  kind = {"dtype": tf.AttrValue(type=dtype)}
  graph.node.extend([
      tf.NodeDef(name=value, op="Placeholder", attr={
          **kind, "shape": tf.AttrValue(shape=tf.TensorShape(shape).as_proto())
      }),
      tf.NodeDef(name=assign, op="AssignVariableOp", input=[name, value],
                 attr=kind),
      tf.NodeDef(name=read, op="ReadVariableOp", input=[name], attr=kind)])
  variables[name] = Variable(variable_pb2.VariableDef(
      variable_name=f"{name}:0", initial_value_name=f"{value}:0",
      initializer_name=assign, snapshot_name=f"{read}:0", is_resource=True,
      trainable=False), f"{value}:0")
  return read


def _free(name, names) -> str:
  """Returns a name that no node has, and takes it."""
  number = 0
  while name + (f"_{number}" if number else "") in names:
    number += 1
  names.add(name + (f"_{number}" if number else ""))
  return name + (f"_{number}" if number else "")


def _add_functions(graph, whole) -> None:
  """Adds the functions that a graph calls, and its versions."""
  functions = {f.signature.name: f for f in whole.library.function}
  called = op_review.reached_functions(graph.node, functions)
  graph.library.function.extend(functions[name] for name in sorted(called))
  for function in graph.library.function:
    for node in function.node_def:
      node.device = ""
  graph.library.gradient.extend(
      g for g in whole.library.gradient
      if g.function_name in called and g.gradient_func in called)
  graph.versions.CopyFrom(whole.versions)
