"""Chooses the architecture, and puts towers and heads on it."""

import collections
from typing import Dict

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.data import features as features_lib
from mtl_graph.model import heads
from mtl_graph.model import inputs as inputs_lib
from mtl_graph.model import stacks
from mtl_graph.model.sharing import hard_sharing
from mtl_graph.protos import data_pb2
from mtl_graph.protos import model_pb2


def build(model: model_pb2.Model, data: data_pb2.Data,
          transformed: features_lib.Transformed, mode: stacks.Mode
          ) -> Dict[str, tf.Tensor]:
  """Builds the network from transformed features to logits.

  Args:
    model: The `Model` message.
    data: The `Data` message.
    transformed: The transformed rows.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task to its logits `[B, C]`, in the order of the experiment.

  Raises:
    ConfigError: If the architecture is not built.
  """
  inputs = inputs_lib.build(data.feature, transformed, mode)
  shared = _build_shared(model, inputs.deep, mode)
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
    tensor = stacks.build(task.tower.layer, tensor, f"tower/{name}", mode)
    score = heads.score(task, tensor, mode.seed)
    wide = inputs_lib.wide_logits(data.feature, inputs.wide, name,
                                  score.shape.as_list()[1])
    head = heads.logits(task, score if wide is None else score + wide)
    logits[name] = stacks.hold(head, f"head/{name}", mode)
  return collections.OrderedDict((name, logits[name]) for name in tasks)


def _build_shared(model, inputs, mode):
  kind = model.WhichOneof("sharing")
  tasks = [task.name for task in model.task]
  if kind == "hard_sharing":
    return hard_sharing.build(model.hard_sharing, inputs, tasks, mode)
  raise config.ConfigError(f"model.{kind}", "parses, but this version does not "
                           "build it; allowed: hard_sharing")
