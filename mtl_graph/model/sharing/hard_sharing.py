"""Hard parameter sharing: tasks read one trunk, or branches of it."""

from typing import Dict, Mapping, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import sharing_outline
from mtl_graph.model import stacks
from mtl_graph.protos import sharing_pb2


def build(config: sharing_pb2.HardSharing, inputs: tf.Tensor,
          reads: Mapping[str, Sequence[str]], mode: stacks.Mode
          ) -> Dict[str, tf.Tensor]:
  """Builds as much of the trunk and its branches as tasks read.

  See "Multitask Learning" by Caruana, 1997
  (https://doi.org/10.1023/A:1007379606734).

  Args:
    config: The `HardSharing` message.
    inputs: The features, shape `[B, D]`, or `[B, H, W, C]` of images.
    reads: Names of the tensors that each of the tasks wanted reads, by task;
      of none: the trunk.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task to what it reads, of a shape that the layers give.
  """
  needed = sharing_outline.needed_of_trunk(config, list(reads.values()))
  known = {"features": inputs}

  def read(names):
    return stacks.side_by_side([
        known[name] if name in known else mode.tensors[name]
        for name in list(names) or ["trunk"]])

  for scope, layers, names in sharing_outline.stacks_of_trunk(config):
    if scope in needed:
      known[scope] = stacks.build(layers[:needed[scope]], read(names), scope,
                                  mode)
  return {task: read(names) for task, names in reads.items()}
