"""Checks an export against what TensorFlow Serving and its clients rely on."""

import os
import re
from typing import Collection, Dict, Iterator, List

from google.protobuf import message
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.serving import lean_graph
from mtl_graph.serving import signatures

_SERVE = tf.saved_model.tag_constants.SERVING
_CONSTANTS = tf.saved_model.signature_constants
_CLASSIFY = _CONSTANTS.CLASSIFY_METHOD_NAME
_REGRESS = _CONSTANTS.REGRESS_METHOD_NAME
_INIT_OP = "__saved_model_init_op"
_METHODS = (_CONSTANTS.PREDICT_METHOD_NAME, _CLASSIFY, _REGRESS)
_INT64_MAX = 2 ** 63 - 1
_WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")
_WARMUP_MOST = 1000
_BATCHING = "batching_params.pbtxt"

# Ops that reach beyond the graph: files other than assets and variables, the
# screen, Python, other processes.
_RISKY = re.compile(
    r"ReadFile|WriteFile|Print|PrintV2|PyFunc|PyFuncStateless|EagerPyFunc|"
    r"MatchingFiles|DebugIdentity.*|_?Send|_?Recv|_Host(Send|Recv)")
# Ops that only training needs.
_TRAINING = re.compile(
    r"(Resource)?(Sparse)?Apply.*|Random.*|Stateless(Random|Truncated).*|"
    r"TruncatedNormal|.*Grad|Iterator.*|AssignAddVariableOp|AssignSubVariableOp|"
    r"MultiDeviceIterator.*")
# Variables that only training needs, by parts of their names.
_OF_TRAINING = re.compile(
    r"^optimizer/|(^|/)(Adam|Momentum|Adagrad|RMSProp)(_\d+)?$|beta\d_power|"
    r"^(global_step|run_state)$|/ExponentialMovingAverage$")


def problems(path: str, is_published: bool = True, is_ours: bool = True,
             allowed_ops: Collection[str] = ()) -> List[str]:
  """Returns what is wrong with an export, one line for each problem.

  Args:
    path: Folder of the version.
    is_published: Whether the folder bears its number already.
    is_ours: Whether it is of an experiment; if not, what `advice` says of it is
      no problem.
    allowed_ops: Ops that are no problem either.
  """
  found = list(_of_name(path)) if is_published else []
  try:
    saved_model = lean_graph.read(path)
  except (OSError, message.DecodeError) as error:
    return found + [f"saved_model.pb: cannot be read: {error}; allowed: a "
                    "SavedModel"]
  tags = [list(m.meta_info_def.tags) for m in saved_model.meta_graphs]
  if tags != [[_SERVE]]:
    return found + [f"tags: found {tags}; allowed: one graph tagged "
                    f"'{_SERVE}'"]
  meta_graph = saved_model.meta_graphs[0]
  found += _of_nodes(meta_graph, allowed_ops)
  for check in (_of_defaults_of_attributes, _of_tables):
    found += check(path, meta_graph)
  try:
    graph = _built(meta_graph)
  except (ValueError, tf.errors.OpError) as error:
    return found + [f"graph: cannot be built: {error}; allowed: one of the ops "
                    "of this TensorFlow"]
  for name, signature in meta_graph.signature_def.items():
    found += _of_signature(graph, name, signature)
  if is_ours:
    found += _advice(graph, meta_graph)
    found += _of_experiment(path)
  found += _of_variables(path, meta_graph)
  found += _of_files(path)
  return found


def ops_beyond_the_graph(path: str) -> List[str]:
  """Returns what is wrong with the ops of an export that has yet to be run.

  Args:
    path: Folder of the version.

  Returns:
    A line for each op that reaches beyond the graph, as Python functions do,
    which no other process could call.
  """
  nodes = _nodes(lean_graph.read(path).meta_graphs[0].graph_def)
  return [_beyond(node) for node in nodes if _RISKY.fullmatch(node.op)]


def _nodes(graph) -> list:
  return [*graph.node, *(n for function in graph.library.function
                         for n in function.node_def)]


def _beyond(node) -> str:
  return (f"node '{node.name}': found op {node.op}; allowed: ops that stay "
          "within the graph")


def advice(path: str) -> List[str]:
  """Returns what keeps a sound export from being batched, or read by some.

  Args:
    path: Folder of the version, of which `problems` finds none.
  """
  meta_graph, = lean_graph.read(path).meta_graphs
  return _advice(_built(meta_graph), meta_graph)


def _built(meta_graph) -> tf.Graph:
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(meta_graph.graph_def, name="")
  return graph


def _advice(graph, meta_graph) -> List[str]:
  found = []
  for name, signature in meta_graph.signature_def.items():
    if name != _INIT_OP:
      for kind in ("inputs", "outputs"):
        for key, info in getattr(signature, kind).items():
          found += _of_rows(graph, f"signature '{name}'.{kind}['{key}']", info)
  return found + list(_of_all_signatures(graph, meta_graph))


def _of_name(path) -> Iterator[str]:
  """A server takes integers for versions, and 0123 for the same as 123."""
  name = os.path.basename(os.path.abspath(path))
  if not re.fullmatch(r"0|[1-9][0-9]*", name) or int(name) > _INT64_MAX:
    yield (f"version: found '{name}'; allowed: a whole number that fits 64 "
           "bits, without leading zeros")


def _of_nodes(meta_graph, allowed_ops) -> Iterator[str]:
  for node in _nodes(meta_graph.graph_def):
    if node.device:
      yield (f"node '{node.name}': found device '{node.device}'; allowed: none, "
             "as a server has devices of its own")
    if node.op in allowed_ops:
      continue
    if _RISKY.fullmatch(node.op):
      yield _beyond(node)
    elif _TRAINING.fullmatch(node.op):
      yield (f"node '{node.name}': found op {node.op}; allowed: no op of "
             "training")


def _of_defaults_of_attributes(path, meta_graph) -> Iterator[str]:
  """An older server does not know attributes that it could do without."""
  del path
  info = meta_graph.meta_info_def
  defaults = {op.name: {a.name: a.default_value for a in op.attr
                        if a.HasField("default_value")}
              for op in info.stripped_op_list.op}
  for node in meta_graph.graph_def.node:
    for name, value in defaults.get(node.op, {}).items():
      if name in node.attr and node.attr[name] == value:
        yield (f"node '{node.name}': found attribute '{name}' at its default; "
               "allowed: default attributes stripped")
        break
  if not info.stripped_default_attrs:
    yield ("meta_info_def.stripped_default_attrs: found false; allowed: true")


def _of_tables(path, meta_graph) -> Iterator[str]:
  """Tables are filled by the main op, from assets that are there."""
  nodes = {node.name: node for node in meta_graph.graph_def.node}
  main_op = lean_graph.main_op(meta_graph)
  run = lean_graph.reached(meta_graph.graph_def, {main_op})
  filled = {lean_graph.node_of(nodes[name].input[0]) for name in run
            if name in nodes and nodes[name].op.startswith(
                ("InitializeTable", "LookupTableImport"))}
  for node in nodes.values():
    if re.fullmatch(r"(Mutable)?HashTable.*", node.op) and (
        node.name not in filled):
      yield (f"table '{node.name}': found nothing that fills it in the main op "
             f"{main_op or '(none)'}; allowed: an initializer there")
  for asset in lean_graph.assets(meta_graph):
    if not os.path.isfile(os.path.join(path, "assets", asset.filename)):
      yield f"assets/{asset.filename}: found no file; allowed: the asset"


def _of_signature(graph, name, signature) -> Iterator[str]:
  where = f"signature '{name}'"
  if name == _INIT_OP:
    return
  if signature.method_name not in _METHODS:
    yield (f"{where}: found method_name '{signature.method_name}'; allowed: "
           + ", ".join(_METHODS))
  for kind in ("inputs", "outputs"):
    infos = getattr(signature, kind)
    if not infos:
      yield f"{where}: found no {kind}; allowed: at least one"
    for key, info in infos.items():
      yield from _of_tensor(graph, f"{where}.{kind}['{key}']", info)
  yield from _of_default_rows(where, signature)
  if signature.method_name == _CLASSIFY:
    yield from _of_examples(where, signature)
    if not signature.outputs or set(signature.outputs) - {"classes", "scores"}:
      yield (f"{where}: found outputs {sorted(signature.outputs)}; allowed: "
             "classes and scores, or one of them")
    for key, dtype in (("classes", tf.string), ("scores", tf.float32)):
      if key in signature.outputs:
        yield from _of_kind(f"{where}.outputs['{key}']",
                            signature.outputs[key], dtype, (2,), "[B, C]")
  elif signature.method_name == _REGRESS:
    yield from _of_examples(where, signature)
    if set(signature.outputs) != {"outputs"}:
      yield (f"{where}: found outputs {sorted(signature.outputs)}; allowed: one "
             "called 'outputs'")
    for key, info in signature.outputs.items():
      yield from _of_kind(f"{where}.outputs['{key}']", info, tf.float32, (1, 2),
                          "[B] or [B, 1]")
      if [d.size for d in info.tensor_shape.dim[1:]] not in ([], [1]):
        yield (f"{where}.outputs['{key}']: found shape {_shape(info)}; allowed: "
               "[B] or [B, 1]")


def _of_tensor(graph, where, info) -> Iterator[str]:
  try:
    tensor = graph.get_tensor_by_name(info.name)
  except (KeyError, ValueError):
    yield f"{where}: found no tensor '{info.name}' in the graph; allowed: one"
    return
  if tensor.dtype.base_dtype != tf.as_dtype(info.dtype):
    yield (f"{where}: found {tf.as_dtype(info.dtype).name}, where the graph has "
           f"{tensor.dtype.name}; allowed: the same")
  shape = tf.TensorShape(info.tensor_shape)
  if not tensor.shape.is_compatible_with(shape):
    yield (f"{where}: found shape {_shape(info)}, where the graph has "
           f"{tensor.shape}; allowed: the same")


def _of_rows(graph, where, info) -> Iterator[str]:
  """A server puts the rows of several requests together."""
  try:
    tensor = graph.get_tensor_by_name(info.name)
  except (KeyError, ValueError):
    return  # Said already.
  shape = tf.TensorShape(info.tensor_shape)
  if shape.rank == 0 or tensor.shape.rank == 0:
    yield f"{where}: found a scalar; allowed: a dimension of rows, to be batched"
  elif shape.rank and (shape.as_list()[0] is not None
                       or tensor.shape.rank and tensor.shape[0] is not None):
    yield (f"{where}: found shape {_shape(info)}, in the graph {tensor.shape}; "
           "allowed: dimension 0 unknown")


def _of_kind(where, info, dtype, ranks, allowed) -> Iterator[str]:
  rank = tf.TensorShape(info.tensor_shape).rank
  if tf.as_dtype(info.dtype) != dtype or rank not in ranks:
    yield (f"{where}: found {tf.as_dtype(info.dtype).name} {_shape(info)}; "
           f"allowed: {dtype.name} {allowed}")


def _of_examples(where, signature) -> Iterator[str]:
  """Classify and Regress feed serialized examples to one input."""
  if set(signature.inputs) != {"inputs"}:
    yield (f"{where}: found inputs {sorted(signature.inputs)}; allowed: one "
           "called 'inputs'")
  for key, info in signature.inputs.items():
    yield from _of_kind(f"{where}.inputs['{key}']", info, tf.string, (1,), "[B]")


def _of_default_rows(where, signature) -> Iterator[str]:
  for key, proto in signature.defaults.items():
    found = f"{where}.defaults['{key}']"
    if key not in signature.inputs:
      yield f"{found}: found it without an input; allowed: inputs only"
      continue
    info = signature.inputs[key]
    shape = tf.TensorShape(proto.tensor_shape)
    if proto.dtype != info.dtype or not shape.is_compatible_with(
        info.tensor_shape) or shape.rank == 0 or shape.as_list()[0] != 1:
      yield (f"{found}: found {tf.as_dtype(proto.dtype).name} {shape}; allowed: "
             f"one row of {tf.as_dtype(info.dtype).name} {_shape(info)}")


def _of_all_signatures(graph, meta_graph) -> Iterator[str]:
  named: Dict[str, object] = meta_graph.signature_def
  if signatures.DEFAULT not in named:
    yield f"signatures: found no '{signatures.DEFAULT}'; allowed: with one"
  else:
    for key, info in named[signatures.DEFAULT].inputs.items():
      node = lean_graph.node_of(info.name)
      kinds = {n.op for n in meta_graph.graph_def.node if n.name == node}
      if kinds - {"Placeholder"}:
        yield (f"signature '{signatures.DEFAULT}'.inputs['{key}']: found op "
               f"{min(kinds)}; allowed: a Placeholder")
      readers = [op for op in graph.get_operations() if op.type.startswith(
          "ParseExample") and node in {i.op.name for i in op.inputs}]
      if readers:
        yield (f"signature '{signatures.DEFAULT}'.inputs['{key}']: found "
               "serialized examples; allowed: raw tensors")
  shared = {}
  for name, signature in named.items():
    of_examples = (signature.method_name in (_CLASSIFY, _REGRESS)
                   or name == signatures.PREDICT_EXAMPLES)
    if of_examples and "inputs" in signature.inputs:
      shared.setdefault(signature.inputs["inputs"].name, []).append(name)
  if len(shared) > 1:
    yield ("signatures: found 'inputs' to be "
           + " and ".join(f"'{tensor}' of {', '.join(sorted(names))}"
                          for tensor, names in sorted(shared.items()))
           + "; allowed: one tensor, so that MultiInference can ask for several")


def _of_variables(path, meta_graph) -> Iterator[str]:
  """What is on disk is what the graph reads, and none of it of training."""
  read = {node.attr["shared_name"].s.decode() or node.name
          for node in meta_graph.graph_def.node if node.op == "VarHandleOp"}
  prefix = os.path.join(path, "variables", "variables")
  saved = set()
  if os.path.exists(prefix + ".index"):
    try:
      saved = {name for name, _ in tf.train.list_variables(prefix)}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
      yield f"variables: cannot be read: {error}; allowed: a checkpoint"
      return
  for name in sorted(saved):
    if _OF_TRAINING.search(name):
      yield f"variable '{name}': found it on disk; allowed: none of training"
  for name in sorted(read ^ saved):
    yield (f"variable '{name}': found it in the "
           f"{'graph' if name in read else 'file'} alone; allowed: in both")


def _of_experiment(path) -> Iterator[str]:
  experiment = os.path.join(path, "assets.extra", "experiment.pbtxt")
  try:
    config.load(experiment)
  except (OSError, config.ConfigErrors, config.ConfigError) as error:
    yield (f"assets.extra/experiment.pbtxt: cannot be read: {error}; allowed: "
           "the experiment")


def _of_files(path) -> Iterator[str]:
  if os.path.exists(os.path.join(path, "assets.extra", _BATCHING)):
    yield (f"assets.extra/{_BATCHING}: found it there; allowed: in the folder "
           "of the version")
  warmup = os.path.join(path, _WARMUP)
  if os.path.exists(warmup):
    try:
      count = sum(1 for _ in tf.io.tf_record_iterator(warmup))
    except tf.errors.OpError as error:
      yield f"{_WARMUP}: cannot be read: {error.message}; allowed: a TFRecord"
    else:
      if count > _WARMUP_MOST:
        yield (f"{_WARMUP}: found {count} records; allowed: at most "
               f"{_WARMUP_MOST}")


def _shape(info) -> str:
  return str(tf.TensorShape(info.tensor_shape))
