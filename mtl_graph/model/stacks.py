"""Builds a stack of layers."""

import collections

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.layers import dense
from mtl_graph.layers import dropout
from mtl_graph.protos import model_pb2

# What every part of the network is told.
#   training: whether dropout is active.
#   seed: seed of the experiment.
#   step: the global step, integer scalar; None where not training.
#   held: names of the tensors that are held constant.
Mode = collections.namedtuple("Mode", ["training", "seed", "step", "held"])

_ACTIVATIONS = {
    model_pb2.IDENTITY: None,
    model_pb2.RELU: tf.nn.relu,
    model_pb2.TANH: tf.nn.tanh,
    model_pb2.SIGMOID: tf.nn.sigmoid,
}


def build(stack: model_pb2.LayerStack, inputs: tf.Tensor, scope: str,
          mode: Mode) -> tf.Tensor:
  """Applies the layers of a stack one after the other.

  Args:
    stack: The layers.
    inputs: Input of the first, shape `[B, D]`.
    scope: Variable scope of the stack, such as "tower/late".
    mode: A `Mode`.

  Returns:
    Output of the last layer, or `inputs` where there is none.

  Raises:
    ConfigError: If a layer is of a kind that is not built.
  """
  tensor = inputs
  for layer, name in zip(stack.layer, outline.layer_names(stack)):
    name = f"{scope}/{name}"
    tensor = hold(_build_layer(layer, tensor, name, mode), name, mode)
  return tensor


def hold(tensor: tf.Tensor, name: str, mode: Mode) -> tf.Tensor:
  """Cuts a tensor off from the gradient if the experiment holds it constant."""
  return tf.stop_gradient(tensor) if name in mode.held else tensor


def _build_layer(layer, inputs, name, mode):
  kind = layer.WhichOneof("kind")
  if kind == "dense":
    return dense.dense(inputs, layer.dense.units,
                       _ACTIVATIONS[layer.dense.activation],
                       layer.dense.use_bias, mode.seed, name)
  if kind == "dropout":
    if not mode.training:
      return inputs
    return dropout.dropout(inputs, layer.dropout.rate, mode.seed, mode.step,
                           name)
  raise config.ConfigError(name, f"found layer kind '{kind}'; allowed: one "
                           "that this version builds")
