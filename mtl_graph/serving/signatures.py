"""The signatures of an export: which tensors go in, which come out."""

import collections
from typing import Dict, Mapping

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import meta_graph_pb2

from mtl_graph.data import examples
from mtl_graph.model import answers
from mtl_graph.model import graphs
from mtl_graph.protos import experiment_pb2

DEFAULT = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
PREDICT_EXAMPLES = "predict_examples"
AFTER_LOOKUPS = "after_lookups"
# What a signature of one task gives, by the call of a server that it answers.
_METHODS = {
    "classification": tf.saved_model.signature_constants.CLASSIFY_METHOD_NAME,
    "regression": tf.saved_model.signature_constants.REGRESS_METHOD_NAME,
    "predict": tf.saved_model.signature_constants.PREDICT_METHOD_NAME,
}
_TABLES = ("HashTableV2", "VarHandleOp")

Tensors = Mapping[str, tf.Tensor]


def build(experiment: experiment_pb2.Experiment, serving: graphs.Serving
          ) -> Dict[str, meta_graph_pb2.SignatureDef]:
  """Adds what `serving.signature` asks for to the current graph.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    serving: The graph from raw values to predictions.

  Returns:
    The signatures by name.
  """
  asked = experiment.serving.signature
  outputs = _outputs(experiment, serving)
  signatures = collections.OrderedDict()
  signatures[DEFAULT] = _signature(serving.raw, outputs, "predict")
  for name, row in serving.defaults.items():
    signatures[DEFAULT].defaults[name].CopyFrom(tf.make_tensor_proto(
        row, serving.raw[name].dtype))
  if asked.after_lookups:
    signatures[AFTER_LOOKUPS] = _signature(serving.lookups, {
        name: tensor for name, tensor in outputs.items()
        if tensor.dtype != tf.string}, "predict")
  if asked.examples:
    signatures.update(_of_examples(experiment, serving, outputs))
  return signatures


def _outputs(experiment, serving) -> Dict[str, tf.Tensor]:
  """Returns what the signatures of all tasks give, by name."""
  chosen = experiment.serving.output
  return {**{f"{task}/{key}": tensor
             for task, keyed in serving.predictions.items()
             for key, tensor in keyed.items() if answers.chosen(key, chosen)},
          **serving.extras}


def _of_examples(experiment, serving, outputs):
  """Returns the signatures that take serialized examples."""
  serialized = tf.placeholder(tf.string, [None], "serialized_examples")
  parsed = examples.parse(experiment.data.feature, serving.raw, serialized)
  tensors = _copied({
      **outputs, **{f"{task}/{key}": tensor
                    for task, keyed in serving.predictions.items()
                    for key, tensor in keyed.items()}},
                    {serving.rows[name].name: tensor
                     for name, tensor in parsed.items()})
  inputs = {"inputs": serialized}
  signatures = {PREDICT_EXAMPLES: _signature(
      inputs, {name: tensors[name] for name in outputs}, "predict")}
  for task in experiment.model.task:
    if task.name not in serving.predictions:
      continue
    predictions = {key: tensors[f"{task.name}/{key}"]
                   for key in serving.predictions[task.name]}
    with tf.name_scope(f"signatures/{task.name}"):
      alone = _of_task(task, predictions)
      for method, given in alone.items():
        signatures[task.name] = _signature(inputs, given, method)
      if experiment.serving.signature.multi_head_aliases:
        for method, given in alone.items():
          signatures[f"{task.name}/{method}"] = signatures[task.name]
        signatures[f"{task.name}/predict"] = _signature(
            {"examples": serialized}, answers.of_multi_head(task, predictions),
            "predict")
  return signatures


def _of_task(task, predictions) -> Dict[str, Tensors]:
  """Returns what a task's own signature gives, by its method, if it has one."""
  classified = answers.classification(task, predictions)
  if classified is not None:
    return {"classification": classified._asdict()}
  regressed = answers.regression(task, predictions)
  return {} if regressed is None else {"regression": {"outputs": regressed}}


def _copied(tensors: Tensors, inputs: Tensors) -> Dict[str, tf.Tensor]:
  """Repeats part of the current graph on other inputs.

  `serving_default` must take placeholders, as some readers know no other
  inputs, so what comes of examples has to go another way. Both share variables
  and tables.

  Args:
    tensors: What is wanted, by any key.
    inputs: What takes the place of tensors of the graph, by their names.

  Returns:
    The tensors of the copy by key.
  """
  graph = tf.get_default_graph()
  graph_def = tf.graph_util.extract_sub_graph(
      graph.as_graph_def(), sorted({t.op.name for t in tensors.values()}))
  read = {name if ":" in name else f"{name}:0"
          for node in graph_def.node for name in node.input}
  shared = {op.outputs[0].name: op.outputs[0]
            for op in graph.get_operations() if op.type in _TABLES}
  copies = tf.import_graph_def(
      graph_def, {name: tensor for name, tensor in {**shared, **inputs}.items()
                  if name in read},
      [tensor.name for tensor in tensors.values()], name="of_examples")
  return dict(zip(tensors, copies))


def _signature(inputs: Tensors, outputs: Tensors, method: str):
  return tf.saved_model.build_signature_def(
      {name: tf.saved_model.build_tensor_info(t) for name, t in inputs.items()},
      {name: tf.saved_model.build_tensor_info(t) for name, t in outputs.items()},
      _METHODS[method])
