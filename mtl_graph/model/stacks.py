"""Builds layers one after the other."""

import dataclasses
from typing import (Callable, Dict, FrozenSet, List, Mapping, NamedTuple, Optional,
                    Sequence)

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import layer_outline
from mtl_graph import python_functions
from mtl_graph.layers import convolution
from mtl_graph.layers import dense
from mtl_graph.layers import dropout
from mtl_graph.layers import normalization
from mtl_graph.layers import pooling
from mtl_graph.model import initial_values
from mtl_graph.model import python_calls
from mtl_graph.ops import activations
from mtl_graph.protos import layers_pb2


class Gate(NamedTuple):
  """How experts were weighed.

  Attributes:
    weights: Weight of each expert, shape `[B, N]`, or `[N]` where it is the
      same for all rows.
    experts: Scopes of the experts.
  """
  weights: tf.Tensor
  experts: List[str]


class Penalty(NamedTuple):
  """A penalty on what the network made of a batch.

  Attributes:
    owner: The task it belongs to, "shared", or the scope of a layer.
    value: What is added to the loss after weighting, shape `[]`.
  """
  owner: str
  value: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Mode:
  """What every part of the network is told, and where it takes notes.

  Attributes:
    seed: Seed of the experiment.
    batch: Number of the batch, which keys dropout, integer scalar; None where
      not training.
    held: Names of the tensors that are held constant.
    updates: Takes the ops that update moving statistics, in training.
    tensors: Takes the output of every layer by its name.
    gates: Takes what weighs experts, by the gate's scope.
    penalties: Takes penalties, in training.
    reads: Takes what each task's tower reads of the shared part, by task.
    fields: Where the experiment states what a Python function builds, by scope.
    partitioner: Says how tables are cut, as `embedding.table` takes it.
  """
  seed: int
  batch: Optional[tf.Tensor]
  held: FrozenSet[str]
  updates: List[tf.Operation]
  tensors: Dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
  gates: Dict[str, Gate] = dataclasses.field(default_factory=dict)
  penalties: List[Penalty] = dataclasses.field(default_factory=list)
  reads: Dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
  fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
  partitioner: Optional[Callable] = None

  @property
  def training(self) -> bool:
    """Whether dropout is active and batches give their own statistics."""
    return self.batch is not None


_ACTIVATIONS = {
    layers_pb2.IDENTITY: None,
    layers_pb2.RELU: tf.nn.relu,
    layers_pb2.TANH: tf.nn.tanh,
    layers_pb2.SIGMOID: tf.nn.sigmoid,
    layers_pb2.RELU6: tf.nn.relu6,
    layers_pb2.LEAKY_RELU: tf.nn.leaky_relu,
    layers_pb2.ELU: tf.nn.elu,
    layers_pb2.SELU: tf.nn.selu,
    layers_pb2.GELU: activations.gelu,
    layers_pb2.SWISH: tf.nn.swish,
    layers_pb2.MISH: activations.mish,
    layers_pb2.SOFTPLUS: tf.nn.softplus,
    layers_pb2.SOFTSIGN: tf.nn.softsign,
}
_PADDINGS = {layers_pb2.SAME: "SAME", layers_pb2.VALID: "VALID"}


def build(layers, inputs: tf.Tensor, scope: str, mode: Mode) -> tf.Tensor:
  """Applies layers one after the other.

  Args:
    layers: The `Layer` messages.
    inputs: Input of the first, shape `[B, D]` or `[B, H, W, C]`.
    scope: Variable scope of the layers, such as "tower/late".
    mode: A `Mode`.

  Returns:
    Output of the last layer, or `inputs` where there is none.

  Raises:
    ConfigError: If a layer is of a kind that is not built.
  """
  tensor = inputs
  for layer, name in zip(layers, layer_outline.layer_names(layers)):
    tensor = build_layer(layer, tensor, f"{scope}/{name}", mode)
  return tensor


def build_layer(layer: layers_pb2.Layer, inputs: tf.Tensor, name: str,
                mode: Mode) -> tf.Tensor:
  """Applies one layer.

  Args:
    layer: The `Layer` message.
    inputs: Its input, shape `[B, D]` or `[B, H, W, C]`.
    name: Its variable scope, such as "tower/late/dense".
    mode: A `Mode`.

  Returns:
    Its output.

  Raises:
    ConfigError: If the layer is of a kind that is not built.
  """
  return hold(_build_layer(layer, inputs, name, mode), name, mode)


def hold(tensor: tf.Tensor, name: str, mode: Mode) -> tf.Tensor:
  """Takes note of a tensor, cut off from the gradient if it is held constant.
  """
  mode.tensors[name] = (tf.stop_gradient(tensor) if name in mode.held
                        else tensor)
  return mode.tensors[name]


def build_by_function(message: python_functions.Message, inputs: tf.Tensor,
                      units: int, scope: str, mode: Mode) -> tf.Tensor:
  """Has a Python function build a layer or a head.

  Args:
    message: The message that names it.
    inputs: Its input, shape `[B, ...]`.
    units: Width of its output.
    scope: Its variable scope, such as "tower/late/python".
    mode: A `Mode`.

  Returns:
    Its output, shape `[B, units]`.

  Raises:
    ConfigError: If it may not be called, or is not what it has to be.
  """
  called = python_calls.build(message, mode.fields.get(scope, scope), inputs,
                              units, scope, mode.seed, mode.training)
  if mode.training:
    mode.updates.extend(called.updates)
    mode.penalties.extend(Penalty(scope, p) for p in called.penalties)
  return called.output


def side_by_side(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
  """Joins tensors along their last axis; one alone stays as it is."""
  return tf.concat(tensors, -1) if len(tensors) > 1 else tensors[0]


def _build_layer(layer, inputs, name, mode):
  kind = layer.WhichOneof("kind")
  if kind == "dense":
    return dense.dense(inputs, layer.dense.units,
                       _ACTIVATIONS[layer.dense.activation],
                       layer.dense.use_bias, mode.seed, name,
                       initial_values.build(layer.dense))
  if kind == "dropout":
    if not mode.training:
      return inputs
    return dropout.dropout(inputs, layer.dropout.rate, mode.seed, mode.batch,
                           name)
  if kind == "batch_normalization":
    norm = layer.batch_normalization
    return normalization.batch_normalization(
        inputs, mode.training and not norm.use_moving_statistics, norm.momentum,
        norm.epsilon, norm.center, norm.scale, name, mode.updates)
  if kind == "layer_normalization":
    return normalization.layer_normalization(
        inputs, layer.layer_normalization.epsilon, name)
  if kind == "conv2d":
    conv = layer.conv2d
    return convolution.conv2d(
        inputs, conv.filters, layer_outline.pair(conv.kernel_size),
        layer_outline.strides(conv), _PADDINGS[conv.padding],
        _ACTIVATIONS[conv.activation], conv.use_bias, mode.seed, name,
        initial_values.build(conv))
  if kind == "max_pooling":
    return _pool(pooling.max_pooling, layer.max_pooling, inputs, name)
  if kind == "average_pooling":
    return _pool(pooling.average_pooling, layer.average_pooling, inputs, name)
  if kind == "flatten":
    return pooling.flatten(inputs, name)
  if kind == "global_max_pooling":
    return pooling.global_max_pooling(inputs, name)
  if kind == "global_average_pooling":
    return pooling.global_average_pooling(inputs, name)
  if kind == "residual":
    return _residual(layer.residual, inputs, name, mode)
  if kind == "activation":
    return _activate(inputs, layer.activation.function, name)
  if kind == "python":
    return build_by_function(layer.python, inputs, layer.python.units, name,
                             mode)
  raise config.ConfigError(name, f"found layer kind '{kind}'; allowed: one "
                           "that this version builds")


def _activate(tensor, activation, name):
  function = _ACTIVATIONS[activation]
  with tf.name_scope(name):
    return function(tensor) if function else tensor


def _pool(function, message, inputs, name):
  return function(inputs, layer_outline.pair(message.size),
                  layer_outline.strides(message), _PADDINGS[message.padding],
                  name)


def _residual(residual, inputs, name, mode):
  """Adds the output of layers to their input, projected if need be."""
  outputs = build(residual.layer, inputs, name, mode)
  before, after = inputs.shape.as_list()[1:], outputs.shape.as_list()[1:]
  if before != after and len(after) == 1:
    inputs = dense.dense(inputs, after[0], use_bias=False, seed=mode.seed,
                         name=f"{name}/projection")
  elif before != after:
    inputs = convolution.conv2d(
        inputs, after[-1], (1, 1),
        layer_outline.projection_strides(before, after), "SAME",
        use_bias=False, seed=mode.seed, name=f"{name}/projection")
  return _activate(inputs + outputs, residual.activation, name)
