"""Signatures of an export as text: stated, read from one, or proposed.

  NAME: key=tensor, ... -> key=tensor, ...
  NAME (classify): inputs=serialized:0 -> scores=probabilities:0
"""

import re
from typing import (Collection, Dict, List, Mapping, NamedTuple, Optional,
                    Sequence, Set)

import tensorflow.compat.v1 as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from mtl_graph import config
from mtl_graph.porting import graph_checks
from mtl_graph.porting import python_files

METHODS = {
    "predict": "tensorflow/serving/predict",
    "classify": "tensorflow/serving/classify",
    "regress": "tensorflow/serving/regress",
}
_DEFAULT = "serving_default"
_FORM = "allowed: 'NAME [(METHOD)]: key=tensor, ... -> key=tensor, ...'"
_HEAD = re.compile(r"([^\s:()]+)\s*(?:\(\s*(\w+)\s*\))?\s*")
_PAIR = re.compile(r"([^\s=:]+)\s*=\s*([^\s=:]+)(?::(\d{1,6}))?")
_PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
# What answers look like, where a graph has no other word for them.
_ANSWERS = ("Softmax", "Sigmoid", "ArgMax", "TopKV2")
_MOST = 10


class Signature(NamedTuple):
  """What an export is asked and answers.

  Attributes:
    name: Its name.
    method: One of `METHODS`.
    inputs: Names of tensors by key.
    outputs: Names of tensors by key.
  """
  name: str
  method: str
  inputs: Mapping[str, str]
  outputs: Mapping[str, str]

  def __str__(self) -> str:
    method = "" if self.method == "predict" else f" ({self.method})"
    sides = [", ".join(f"{key}={tensor}" for key, tensor in side.items())
             for side in (self.inputs, self.outputs)]
    return f"{self.name}{method}: {sides[0]} -> {sides[1]}"


def parse(text: str, where: str) -> Signature:
  """Reads one signature.

  Args:
    text: The text.
    where: The flag, or file and line, for errors.

  Returns:
    The signature; a tensor without a number has 0.

  Raises:
    PortingError: If it is none.
  """
  head, _, sides = text.partition(":")
  match = _HEAD.fullmatch(head.strip())
  parts = sides.split("->")
  if match is None or len(parts) != 2:
    raise python_files.PortingError(f"{where}: found '{text}'; {_FORM}")
  method = match[2] or "predict"
  if method not in METHODS:
    raise python_files.PortingError(
        f"{where}: found method '{method}'; allowed: {', '.join(METHODS)}")
  if match[1].startswith("__"):
    raise python_files.PortingError(
        f"{where}: found name '{match[1]}', which is TensorFlow's own; allowed:"
        " one without '__' in front")
  return Signature(match[1], method, *(
      _tensors(side, text, where) for side in parts))


def _tensors(side, text, where) -> Dict[str, str]:
  found = {}
  for pair in side.split(","):
    match = _PAIR.fullmatch(pair.strip())
    if match is None or match[1] in found:
      raise python_files.PortingError(
          f"{where}: found '{pair.strip()}' in '{text}'; {_FORM}, each key once")
    found[match[1]] = f"{match[2]}:{int(match[3] or 0)}"
  return found


def stated(texts: Sequence[str], file: Optional[str] = None
           ) -> List[Signature]:
  """Reads signatures.

  Args:
    texts: Texts, one for each signature; not counted where there is a file.
    file: Path of a file with one a line, of which those that are empty or begin
      with # are passed over; None: none.

  Raises:
    PortingError: If one is none, two have one name, or the file cannot be read.
  """
  if file:
    try:
      with open(file, encoding="utf-8") as lines:
        texts = lines.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
      raise python_files.PortingError(
          f"--signature_file: '{file}' cannot be read: "
          f"{getattr(error, 'strerror', None) or error}; allowed: a file with a"
          " signature a line") from error
  found = []
  for number, text in enumerate(texts, 1):
    if file and (not text.strip() or text.lstrip().startswith("#")):
      continue
    where = f"{file}:{number}" if file else "--signature"
    found.append(parse(text.strip(), where))
    if found[-1].name in [one.name for one in found[:-1]]:
      raise python_files.PortingError(
          f"{where}: found '{found[-1].name}' a second time; allowed: each name "
          "once")
  return found


def check_tensors(signatures: Sequence[Signature], graph: graph_pb2.GraphDef,
                  path: str) -> None:
  """Raises a PortingError if a signature names a tensor that is not there."""
  nodes = {node.name: node for node in graph.node}
  for signature in signatures:
    for side in ("inputs", "outputs"):
      for key, tensor in getattr(signature, side).items():
        name, _, number = tensor.rpartition(":")
        count = name in nodes and graph_checks.num_outputs(nodes[name])
        if name not in nodes or count is not None and int(number) >= count:
          has = f"node '{name}' has {count} outputs" if (
              name in nodes) else f"{path} has no node '{name}'"
          raise python_files.PortingError(
              f"signature '{signature.name}'.{side}['{key}']: found '{tensor}',"
              f" where {has}; allowed: a tensor of the graph"
              + config.nearest(name, sorted(nodes)))


def stored(meta_graph: meta_graph_pb2.MetaGraphDef) -> List[Signature]:
  """Returns the signatures that a graph has already."""
  methods = {full: short for short, full in METHODS.items()}
  return [Signature(name, methods.get(one.method_name, "predict"), *(
      {key: side[key].name for key in sorted(side)}
      for side in (one.inputs, one.outputs)))
          for name, one in sorted(meta_graph.signature_def.items())
          if not name.startswith("__") and one.inputs and one.outputs]


def collected(meta_graph: meta_graph_pb2.MetaGraphDef) -> List[str]:
  """Returns the nodes that a graph's own collections name.

  Code of old found its tensors again in collections, under names of its own.

  Args:
    meta_graph: The graph.
  """
  known = [key for name, key in vars(tf.GraphKeys).items() if name.isupper()]
  own = [key for key in meta_graph.collection_def if key not in known]
  return [graph_checks.node_of(tensor) for key in sorted(own)
          for tensor in meta_graph.collection_def[key].node_list.value]


def propose(graph: graph_pb2.GraphDef, named: Collection[str] = ()
            ) -> List[Signature]:
  """Proposes signatures from what a graph is fed, and what it ends in.

  An output is what is named, what nothing else needs, training, saving and
  summaries left out, or what looks like an answer, and needs a placeholder.

  Args:
    graph: The graph, checked.
    named: Names of nodes that its collections have.

  Returns:
    A signature per output, what is named first, then what looks like an answer,
    at most ten.
  """
  nodes = {node.name: node for node in graph.node}
  forward = {name: node for name, node in nodes.items()
             if not _is_of_training(node)}
  read = {graph_checks.node_of(text) for node in forward.values()
          for text in node.input}
  found = []
  for name, node in forward.items():
    looks = node.op in _ANSWERS
    if node.op in _PLACEHOLDERS or not (
        looks or name in named or name not in read) or not (
            graph_checks.num_outputs(node)):
      continue
    fed = [other for other in nodes if other in _reached(name, nodes)
           and nodes[other].op in _PLACEHOLDERS]
    if fed:
      found.append((name not in named, not looks, len(fed), Signature(
          _DEFAULT, "predict", {_key(f, fed): f"{f}:0" for f in fed},
          {_key(name, [name]): f"{name}:0"})))
  found.sort(key=lambda entry: entry[:3])
  return [signature._replace(name=_DEFAULT if i == 0 else f"{_DEFAULT}_{i}")
          for i, (*_, signature) in enumerate(found[:_MOST])]


def _is_of_training(node) -> bool:
  return re.search(r"(^|/)(gradients|save|report_uninitialized_\w+)(_\d+)?/",
                   node.name + "/") is not None or re.fullmatch(
                       r"(Resource)?(Sparse)?Apply.*|Assign.*|.*Summary(V2)?|"
                       r"NoOp|Save.*|Restore.*|IsVariableInitialized|"
                       r"VarIsInitializedOp|ReadVariableOp",
                       node.op) is not None


def _key(name, names) -> str:
  last = name.rpartition("/")[2]
  alone = [n.rpartition("/")[2] for n in names].count(last) == 1
  return (last if alone else name).replace("/", "_")


def _reached(root, nodes) -> Set[str]:
  found, queue = set(), [root]
  while queue:
    name = queue.pop()
    if name in nodes and name not in found:
      found.add(name)
      queue.extend(map(graph_checks.node_of, nodes[name].input))
  return found
