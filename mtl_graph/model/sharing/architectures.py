"""Chooses the architecture, and puts towers and heads on it."""

import collections
from typing import Dict, Mapping

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.model import heads
from mtl_graph.model import stacks
from mtl_graph.model.sharing import hard_sharing
from mtl_graph.protos import model_pb2


def build(model: model_pb2.Model, features: Mapping[str, tf.Tensor],
          mode: stacks.Mode) -> Dict[str, tf.Tensor]:
  """Builds the network from features to logits.

  Args:
    model: The `Model` message.
    features: Tensors of shape `[B, D]` by feature.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task to its logits `[B, C]`, in the order of the experiment.

  Raises:
    ConfigError: If the architecture is not built.
  """
  held = [stacks.hold(tensor, f"embedding/{name}", mode)
          for name, tensor in features.items()]
  inputs = tf.concat(held, 1) if len(held) > 1 else held[0]
  shared = _build_shared(model, inputs, mode)
  tasks = {task.name: task for task in model.task}
  logits = {}
  for name in outline.estimate_order(model.task):
    task, read = tasks[name], [shared[name]]
    for estimate in task.estimate:
      # An estimate is part of the training forward pass as of any other: it is
      # the number that this very batch leads to.
      tensor = heads.estimate(tasks[estimate.task], logits[estimate.task],
                              estimate.form)
      read.append(tf.stop_gradient(tensor) if estimate.stop_gradient
                  else tensor)
    tensor = tf.concat(read, 1) if len(read) > 1 else read[0]
    tensor = stacks.build(task.tower, tensor, f"tower/{name}", mode)
    head = heads.logits(task, tensor, mode.seed)
    logits[name] = stacks.hold(head, f"head/{name}", mode)
  return collections.OrderedDict((name, logits[name]) for name in tasks)


def _build_shared(model, inputs, mode):
  kind = model.WhichOneof("sharing")
  tasks = [task.name for task in model.task]
  if kind == "hard_sharing":
    return hard_sharing.build(model.hard_sharing, inputs, tasks, mode)
  raise config.ConfigError(f"model.{kind}", "parses, but this version does not "
                           "build it; allowed: hard_sharing")
