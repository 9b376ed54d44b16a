"""Leaves in an export only what its signatures need."""

import os
import shutil
from typing import Callable, List, Set

import tensorflow.compat.v1 as tf
from tensorflow.core.framework import variable_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

_VARIABLES = tf.GraphKeys.GLOBAL_VARIABLES
MAIN_OP = "saved_model_main_op"
ASSETS = "saved_model_assets"
# What the runtime reads of collections; the rest is for training.
_KEPT = (_VARIABLES, MAIN_OP, ASSETS)
_ASSIGN = "AssignVariableOp"

# Takes a graph and names of nodes, and returns it with constants in place of
# variables.
Freeze = Callable[[tf.GraphDef, List[str]], tf.GraphDef]


def read(path: str) -> saved_model_pb2.SavedModel:
  """Reads the `saved_model.pb` of a version; raises as protobuf and files do.
  """
  with open(os.path.join(path, "saved_model.pb"), "rb") as file:
    return saved_model_pb2.SavedModel.FromString(file.read())


def write(saved_model: saved_model_pb2.SavedModel, path: str) -> None:
  """Writes the `saved_model.pb` of a version."""
  with open(os.path.join(path, "saved_model.pb"), "wb") as file:
    file.write(saved_model.SerializeToString(deterministic=True))


def prune(path: str, freeze: Freeze = None) -> None:
  """Takes what no signature needs out of an export.

  Initial values, what else only training needs, and ops beside the way from
  inputs to outputs. What initializes tables, and saves and restores variables,
  stays.

  Args:
    path: Folder of the version, as `tf.saved_model.Builder` wrote it.
    freeze: Makes constants of variables; None: they stay variables.
  """
  saved_model = read(path)
  meta_graph, = saved_model.meta_graphs
  for key in set(meta_graph.collection_def) - set(_KEPT):
    del meta_graph.collection_def[key]
  if freeze is not None:
    meta_graph.ClearField("saver_def")
    meta_graph.collection_def.pop(_VARIABLES, None)
    shutil.rmtree(os.path.join(path, "variables"))
    frozen = freeze(meta_graph.graph_def, sorted(_roots(meta_graph)))
    meta_graph.graph_def.CopyFrom(frozen)
  else:
    _point_to_restoring(meta_graph)
  graph = meta_graph.graph_def
  kept = reached(graph, _roots(meta_graph))
  nodes = [node for node in graph.node if node.name in kept]
  for node in nodes:
    node.attr.pop("_class", None)  # It may name a node that has gone.
  del graph.node[:]
  graph.node.extend(nodes)
  used = {node.op for node in graph.node} | {
      node.op for function in graph.library.function
      for node in function.node_def}
  ops = meta_graph.meta_info_def.stripped_op_list
  listed = [op for op in ops.op if op.name in used]
  del ops.op[:]
  ops.op.extend(listed)
  write(saved_model, path)


def node_of(tensor: str) -> str:
  """Returns the name of the node of a tensor, or of a control input."""
  return tensor.removeprefix("^").partition(":")[0]


def reached(graph: tf.GraphDef, roots: Set[str]) -> Set[str]:
  """Returns the names of nodes, and of all that they need."""
  inputs = {node.name: node.input for node in graph.node}
  found, queue = set(), [name for name in roots if name]
  while queue:
    name = queue.pop()
    if name not in found:
      found.add(name)
      queue.extend(map(node_of, inputs.get(name, ())))
  return found


def main_op(meta_graph: meta_graph_pb2.MetaGraphDef) -> str:
  """Returns the name of the op that initializes tables; "" if there is none."""
  if "__saved_model_init_op" in meta_graph.signature_def:
    info = meta_graph.signature_def["__saved_model_init_op"]
    return node_of(next(iter(info.outputs.values())).name)
  nodes = meta_graph.collection_def[MAIN_OP].node_list.value if (
      MAIN_OP in meta_graph.collection_def) else []
  return nodes[0] if nodes else ""


def assets(meta_graph: meta_graph_pb2.MetaGraphDef
           ) -> List[meta_graph_pb2.AssetFileDef]:
  """Returns the assets of a graph, from either place where they may be named.
  """
  found = list(meta_graph.asset_file_def)
  if not found and ASSETS in meta_graph.collection_def:
    for value in meta_graph.collection_def[ASSETS].any_list.value:
      found.append(meta_graph_pb2.AssetFileDef())
      value.Unpack(found[-1])
  return found


def _roots(meta_graph) -> Set[str]:
  """Returns the names of the nodes that whoever loads an export asks for."""
  roots = {node_of(info.name) for signature in meta_graph.signature_def.values()
           for infos in (signature.inputs, signature.outputs)
           for info in infos.values()}
  saver = meta_graph.saver_def
  roots |= {node_of(name) for name in (
      saver.filename_tensor_name, saver.save_tensor_name,
      saver.restore_op_name)}
  roots |= {node_of(asset.tensor_info.name) for asset in assets(meta_graph)}
  roots |= {node_of(variable.snapshot_name)
            for variable in _variables(meta_graph)}
  return (roots | {main_op(meta_graph)}) - {""}


def _variables(meta_graph):
  if _VARIABLES not in meta_graph.collection_def:
    return []
  return [variable_pb2.VariableDef.FromString(value) for value in
          meta_graph.collection_def[_VARIABLES].bytes_list.value]


def _point_to_restoring(meta_graph) -> None:
  """Lets variables be initialized by what restores them.

  A reader that makes variables of the collection looks for their initializers.
  """
  kept = reached(meta_graph.graph_def,
                 {meta_graph.saver_def.restore_op_name})
  assigned = {node.input[0]: node for node in meta_graph.graph_def.node
              if node.op == _ASSIGN and node.name in kept}
  variables = _variables(meta_graph)
  for variable in variables:
    node = assigned[node_of(variable.variable_name)]
    variable.initializer_name = node.name
    variable.initial_value_name = f"{node_of(node.input[1])}:0"
    variable.trainable = False
  if variables:
    meta_graph.collection_def[_VARIABLES].bytes_list.value[:] = [
        variable.SerializeToString() for variable in variables]
