"""Takes the branch that a constant has chosen, for conditions of TensorFlow 1.

Code of old asks `is_training` in the graph. Once that is a constant, the other
branch, dropout and all, is no part of what is served.
"""

import re
from typing import Dict, List, Optional, Set

import tensorflow.compat.v1 as tf
from tensorflow.core.framework import node_def_pb2

from mtl_graph.porting import graph_checks

Nodes = Dict[str, node_def_pb2.NodeDef]

_SWITCHES = ("Switch", "RefSwitch")
_MERGES = ("Merge", "RefMerge")


def take(nodes: Nodes) -> None:
  """Takes branches, in place.

  A `Switch` on a constant hands its input on to one side, and what needs its
  other side is dead, as it is when the graph runs; a `Merge` of which one input
  is alive is that input. What is dead stays, and nothing alive needs it. A
  condition whose `Merge` is asked which side it was stays as it is.

  Args:
    nodes: The nodes by name.
  """
  chosen = _chosen(nodes)
  if not chosen:
    return
  asked = {graph_checks.node_of(text) for node in nodes.values()
           for text in node.input if text.endswith(":1")}
  dead = _dead(nodes, {f"{name}:{int(not value)}"
                       for name, value in chosen.items()})
  for name, node in nodes.items():
    alive = [text for text in _data(node) if not _is_dead(text, dead)]
    if node.op in _MERGES and len(alive) == 1 and name not in asked:
      control = [text for text in node.input if text.startswith("^")]
      node.op = "Identity"
      del node.input[:]
      node.input.extend(alive + control)
      node.attr.pop("N", None)
  for name, node in nodes.items():
    for i, text in enumerate(node.input):
      # From one condition into the next, as far as it goes.
      while not text.startswith("^") and graph_checks.node_of(
          text) in chosen and not _is_dead(text, dead):
        text = nodes[graph_checks.node_of(text)].input[0]
      node.input[i] = text


def _chosen(nodes: Nodes) -> Dict[str, bool]:
  """Returns the sides of the switches on constants, by name."""
  chosen: Dict[str, bool] = {}
  while True:
    fresh = {}
    for name, node in nodes.items():
      if node.op in _SWITCHES and name not in chosen:
        value = _constant(node.input[1], nodes, chosen)
        if value is not None:
          fresh[name] = value
    if not fresh:
      return chosen
    # What a switch hands on may be what the next one asks.
    chosen.update(fresh)


def _constant(text, nodes, chosen) -> Optional[bool]:
  """Returns the constant that a tensor is, or None."""
  node = nodes.get(graph_checks.node_of(text))
  while node is not None and (node.op == "Identity" or node.name in chosen):
    node = nodes.get(graph_checks.node_of(node.input[0]))
  if node is None or node.op != "Const":
    return None
  return bool(tf.make_ndarray(node.attr["value"].tensor))


def _dead(nodes: Nodes, dead: Set[str]) -> Set[str]:
  """Adds to dead tensors of switches the names of the nodes that are dead."""
  readers: Dict[str, List[str]] = {}
  for name, node in nodes.items():
    for text in node.input:
      readers.setdefault(graph_checks.node_of(text), []).append(name)
  queue = [reader for tensor in dead
           for reader in readers.get(graph_checks.node_of(tensor), ())]
  while queue:
    name = queue.pop()
    node = nodes[name]
    if name in dead:
      continue
    some = all if node.op in _MERGES else any
    if some(_is_dead(text, dead) for text in _data(node)) or any(
        text[1:] in dead for text in node.input if text.startswith("^")):
      dead.add(name)
      queue.extend(readers.get(name, ()))
  return dead


def _data(node) -> List[str]:
  return [text for text in node.input if not text.startswith("^")]


def _is_dead(text: str, dead: Set[str]) -> bool:
  tensor = text if re.search(r":\d+$", text) else f"{text}:0"
  return tensor in dead or graph_checks.node_of(text) in dead
