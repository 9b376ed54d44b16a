"""A trunk in blocks that each task masks by attention (MTAN)."""

from typing import Dict, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.layers import convolution
from mtl_graph.layers import dense
from mtl_graph.layers import normalization
from mtl_graph.model import stacks
from mtl_graph.protos import sharing_pb2


def build(config: sharing_pb2.TaskAttention, inputs: tf.Tensor,
          wanted: Sequence[str], mode: stacks.Mode) -> Dict[str, tf.Tensor]:
  """Builds the blocks, and for each task and block a mask of what it makes.

  ```
    a_i^j = sigmoid(norm(W_2 relu(norm(W_1 [u^j; f^j(b_i^{j-1})]))))
    b_i^j = a_i^j * p^j
  ```

  with u^j and p^j the outputs of block j's first and second layers.

  See "End-to-End Multi-Task Learning with Attention" by Liu, Johns and Davison,
  2019, section 3.2 (https://arxiv.org/abs/1803.10704). On vectors, dense layers
  take the place of convolutions of 1 by 1.

  Args:
    config: The `TaskAttention` message.
    inputs: The features, shape `[B, D]`, or `[B, H, W, C]` of images.
    wanted: Names of the tasks wanted.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task wanted to what it reads: the last block, masked.
  """
  trunk, masked = inputs, {}
  for j, block in enumerate(config.block):
    scope = f"block_{j}"
    first = stacks.build(block.first.layer, trunk, f"{scope}/first", mode)
    second = stacks.build(block.second.layer, first, f"{scope}/second", mode)
    trunk = stacks.build(block.transition.layer, second, f"{scope}/transition",
                         mode)
    before, masked = masked, {}
    shared_from = len(mode.updates)
    for task in wanted:
      read = first
      if j:
        # One task after the other: all move the same moving statistics.
        with tf.control_dependencies(mode.updates[shared_from:]):
          forward = stacks.build(block.forward.layer, before[task],
                                 f"{scope}/forward", mode)
        read = tf.concat([first, forward], -1)
      masked[task] = second * _mask(block, read, second.shape.as_list()[-1],
                                    f"attention/{task}/{scope}", mode)
  return masked


def _mask(block, inputs, channels, scope, mode) -> tf.Tensor:
  hidden = _layer(block, inputs, block.attention_units, f"{scope}/hidden", mode)
  return tf.nn.sigmoid(_layer(block, tf.nn.relu(hidden), channels,
                              f"{scope}/mask", mode))


def _layer(block, inputs, units, name, mode) -> tf.Tensor:
  """Applies a layer to each vector or pixel by itself, and normalizes it."""
  # A bias before the normalization would have no effect.
  use_bias = not block.batch_normalization
  if inputs.shape.rank == 2:
    outputs = dense.dense(inputs, units, use_bias=use_bias, seed=mode.seed,
                          name=name)
  else:
    outputs = convolution.conv2d(inputs, units, (1, 1), use_bias=use_bias,
                                 seed=mode.seed, name=name)
  if not block.batch_normalization:
    return outputs
  return normalization.batch_normalization(
      outputs, mode.training, name=name, updates=mode.updates)
