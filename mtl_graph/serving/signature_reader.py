"""Reads from a SavedModel what can be asked of it."""

import os
from typing import Dict, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2

CLASSIFY = tf.saved_model.signature_constants.CLASSIFY_METHOD_NAME
REGRESS = tf.saved_model.signature_constants.REGRESS_METHOD_NAME
PREDICT = tf.saved_model.signature_constants.PREDICT_METHOD_NAME
DEFAULT = "serving_default"
# Signatures that TensorFlow keeps for itself, such as the one of the main op.
_INTERNAL = "__saved_model"


class Tensor(NamedTuple):
  """One input or output.

  Attributes:
    name: Name of the tensor in the graph.
    dtype: Its type.
    shape: Its shape, None for what is not known; None: nothing is.
  """
  name: str
  dtype: tf.DType
  shape: Optional[List[Optional[int]]]


class Signature(NamedTuple):
  """One question and its answer.

  Attributes:
    name: Its name.
    method: One of `CLASSIFY`, `REGRESS` and `PREDICT`.
    inputs: A `Tensor` by key, sorted.
    outputs: A `Tensor` by key, sorted.
    optional: Keys of the inputs that a server fills in.
  """
  name: str
  method: str
  inputs: Dict[str, Tensor]
  outputs: Dict[str, Tensor]
  optional: List[str]

  def takes_examples(self) -> bool:
    """Returns whether it takes rows as serialized tf.Example."""
    if self.method in (CLASSIFY, REGRESS):
      return True
    keys = list(self.inputs)
    return keys in (["inputs"], ["examples"]) and (
        self.inputs[keys[0]].dtype == tf.string)

  def only_input(self) -> Tensor:
    """Returns the input of a signature that has one."""
    tensor, = self.inputs.values()
    return tensor


def read(path: str) -> Dict[str, Signature]:
  """Reads the signatures of an export.

  Args:
    path: Path of a version.

  Returns:
    A `Signature` by name, `serving_default` first, the rest sorted.

  Raises:
    OSError: If there is no model.
    ValueError, DecodeError: If it holds no meta graph for serving.
  """
  with open(os.path.join(path, "saved_model.pb"), "rb") as file:
    model = saved_model_pb2.SavedModel.FromString(file.read())
  for meta_graph in model.meta_graphs:
    if tf.saved_model.tag_constants.SERVING in meta_graph.meta_info_def.tags:
      return of(meta_graph.signature_def)
  raise ValueError("it has no meta graph with the tag 'serve'")


def of(signature_def) -> Dict[str, Signature]:
  """Returns a `Signature` by name of what a MetaGraphDef has; as `read`."""
  names = sorted(n for n in signature_def if not n.startswith(_INTERNAL))
  names.sort(key=lambda name: name != DEFAULT)
  return {name: Signature(
      name, signature_def[name].method_name,
      _tensors(signature_def[name].inputs),
      _tensors(signature_def[name].outputs),
      sorted(signature_def[name].defaults)) for name in names}


def _tensors(infos):
  return {key: Tensor(infos[key].name, tf.DType(infos[key].dtype),
                      _shape(infos[key].tensor_shape))
          for key in sorted(infos)}


def _shape(shape):
  if shape.unknown_rank:
    return None
  return [None if dim.size < 0 else dim.size for dim in shape.dim]
