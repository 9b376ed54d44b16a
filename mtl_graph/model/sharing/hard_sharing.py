"""Hard parameter sharing: one trunk read by every task."""

from typing import Dict, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.model import stacks
from mtl_graph.protos import model_pb2


def build(config: model_pb2.HardSharing, inputs: tf.Tensor,
          tasks: Sequence[str], mode: stacks.Mode) -> Dict[str, tf.Tensor]:
  """Builds the trunk and hands its output to every task.

  See "Multitask Learning" by Caruana, 1997
  (https://doi.org/10.1023/A:1007379606734).

  Args:
    config: The `HardSharing` message.
    inputs: The features, shape `[B, D]`, or `[B, H, W, C]` of images.
    tasks: Names of the tasks.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task to what it reads, of a shape that the trunk gives; here the
    same for all.
  """
  trunk = stacks.build(config.trunk.layer, inputs, "trunk", mode)
  return {task: trunk for task in tasks}
