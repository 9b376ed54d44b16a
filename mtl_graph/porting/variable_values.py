"""Finds the values of a graph's variables in a checkpoint."""

import glob
import os
from typing import Dict, List, Mapping, NamedTuple, Optional

from google.protobuf import message as message_lib
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import trackable_object_graph_pb2

from mtl_graph import config
from mtl_graph.checkpoints import checkpoint_reader
from mtl_graph.porting import graph_checks
from mtl_graph.porting import graph_needs
from mtl_graph.porting import python_files

_ASSIGNS = ("Assign", "AssignVariableOp")
_PASSES = ("Identity", "Reshape", "Cast")
_RESTORES = ("RestoreV2", "RestoreSlice", "Restore")
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"


class Key(NamedTuple):
  """Where a variable is in a checkpoint.

  Attributes:
    name: Its name there.
    part: Which part of it, as a saver writes it; "" for all.
  """
  name: str
  part: str


def read(needs: graph_needs.Needs, meta_graph: meta_graph_pb2.MetaGraphDef,
         checkpoint: Optional[str]) -> Dict[str, np.ndarray]:
  """Reads the values of the variables that are needed.

  They are looked for where the saver of the graph restores them from, else
  under their own names, else under those of Keras objects.

  Args:
    needs: What is needed.
    meta_graph: The graph.
    checkpoint: Path of the checkpoint, or None.

  Returns:
    Values by name of the variable's node.

  Raises:
    PortingError: If there is no checkpoint and variables are, or one is missing
      there, or has another type or shape.
    CheckpointError: If the checkpoint is damaged.
  """
  if not needs.variables:
    return {}
  if checkpoint is None:
    raise python_files.PortingError(
        f"--checkpoint: found nothing, where '{needs.variables[0]}' and "
        f"{len(needs.variables) - 1} more are variables; required")
  reader = checkpoint_reader.Reader(checkpoint)
  room = sum(os.path.getsize(path) for path in [
      *glob.glob(glob.escape(reader.path) + ".data-*"),
      *(path for path in glob.glob(reader.path) if reader.version == 1)])
  keys = {**_objects(reader), **_restored(meta_graph)}
  return {name: _value(name, needs.nodes[name], keys, reader, room)
          for name in needs.variables}


def _value(name, node, keys, reader, room):
  own = node.attr["shared_name"].s.decode("utf-8", "replace") or name
  key = keys.get(name) or keys.get(own) or Key(
      own if own in reader.variables else name, "")
  saved = reader.variables.get(key.name)
  start = f"variable '{name}': "
  if saved is None:
    raise python_files.PortingError(
        f"{start}{reader.path} has no '{key.name}'; allowed: a checkpoint of "
        "this graph" + config.nearest(key.name, list(reader.variables)))
  dtype = tf.as_dtype(node.attr["dtype"].type).base_dtype
  if saved.dtype != dtype:
    raise python_files.PortingError(
        f"{start}{reader.path} has it as {saved.dtype.name}; allowed: "
        f"{dtype.name}, as in the graph")
  if reader.version == 2 and saved.bytes > room:
    raise python_files.PortingError(
        f"{start}{reader.path} says that it has {saved.bytes:,} bytes, in files"
        f" of {room:,}; allowed: a whole checkpoint")
  value = reader.value(key.name)
  value = value[_slices(key.part, name)] if key.part else value
  shape = tf.TensorShape(node.attr["shape"].shape)
  if not shape.is_compatible_with(value.shape):
    raise python_files.PortingError(
        f"{start}{reader.path} has it of shape {list(value.shape)}; allowed: "
        f"{shape}, as in the graph")
  return value


def _slices(part, name):
  """Returns the slices of "10 4 0,5:-": rows 0 to 4 of 10, and all columns."""
  try:
    return tuple(
        slice(None) if text == "-" else
        slice(int(text.split(",")[0]), sum(map(int, text.split(","))))
        for text in part.split()[-1].split(":"))
  except ValueError as error:
    raise python_files.PortingError(
        f"variable '{name}': found slice '{part}'; allowed: what a saver writes"
    ) from error


def _restored(meta_graph) -> Dict[str, Key]:
  """Returns where the saver of a graph restores each variable from."""
  nodes = {node.name: node for node in meta_graph.graph_def.node}
  found, queue = set(), [graph_checks.node_of(
      meta_graph.saver_def.restore_op_name)]
  keys = {}
  while queue:
    name = queue.pop()
    if name in found or name not in nodes:
      continue
    found.add(name)
    node = nodes[name]
    queue += map(graph_checks.node_of, node.input)
    if node.op in _ASSIGNS and len(node.input) > 1:
      text = node.input[1]
      while graph_checks.node_of(text) in nodes and (
          nodes[graph_checks.node_of(text)].op in _PASSES):
        text = nodes[graph_checks.node_of(text)].input[0]
      key = _key(text, nodes)
      if key is not None:
        keys[graph_checks.node_of(node.input[0])] = key
  return keys


def _key(text, nodes) -> Optional[Key]:
  """Returns what an output of a node that restores is, if that is stated."""
  node = nodes.get(graph_checks.node_of(text))
  if node is None or node.op not in _RESTORES:
    return None
  number = int(text.partition(":")[2] or 0)
  texts: List[str] = []
  for name in node.input[1:3]:
    constant = nodes[graph_checks.node_of(name)]
    if constant.op != "Const":
      return None
    values = tf.make_ndarray(constant.attr["value"].tensor).ravel()
    if values.dtype != object or number >= len(values):
      return None
    texts.append(values[number].decode("utf-8", "replace"))
  return Key(*(texts + [""])[:2])


def _objects(reader) -> Mapping[str, Key]:
  """Returns the keys of a checkpoint of objects, by names of variables."""
  if _OBJECTS not in reader.variables:
    return {}
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  try:
    graph.ParseFromString(reader.value(_OBJECTS).item())
  except message_lib.DecodeError:
    return {}
  return {attribute.full_name: Key(attribute.checkpoint_key, "")
          for node in graph.nodes for attribute in node.attributes
          if attribute.full_name}
