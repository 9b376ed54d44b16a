"""Chooses the architecture, and puts towers and heads on it."""

import collections
from typing import Dict, Mapping, Optional, Sequence, Set

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import task_graph
from mtl_graph.data import features as features_lib
from mtl_graph.model import heads
from mtl_graph.model import inputs as inputs_lib
from mtl_graph.model import stacks
from mtl_graph.model.sharing import experts
from mtl_graph.model.sharing import hard_sharing
from mtl_graph.model.sharing import soft_sharing
from mtl_graph.model.sharing import task_attention
from mtl_graph.model.sharing import task_chains
from mtl_graph.protos import data_pb2
from mtl_graph.protos import model_pb2


def build(model: model_pb2.Model, data: data_pb2.Data,
          parts: Mapping[str, features_lib.Part], mode: stacks.Mode,
          wanted: Optional[Sequence[str]] = None) -> Dict[str, tf.Tensor]:
  """Builds the network from transformed features to logits.

  Args:
    model: The `Model` message.
    data: The `Data` message.
    parts: The transformed rows, a `Part` by feature.
    mode: A `stacks.Mode`.
    wanted: Names of the tasks whose logits are wanted; only what they need is
      built. None: all.

  Returns:
    A dict from task to its logits `[B, C]`, in the order of the experiment.

  Raises:
    ConfigError: If the architecture is not built.
  """
  inputs = inputs_lib.build(data.feature, parts, mode)
  tasks = {task.name: task for task in model.task}
  wanted = list(tasks) if wanted is None else wanted
  order = task_graph.needed(model.task, wanted)
  shared = _build_shared(model, inputs.deep, [
      name for name in task_graph.with_layers(model.task) if name in order],
                         mode)
  mode.reads.update(shared)
  scored = _scored(tasks, order, wanted, mode.training)
  logits, read_by_head = {}, {}
  for name in order:
    task = tasks[name]
    if task.HasField("product"):
      head = task_chains.product([logits[f] for f in task.product.task])
    else:
      read_by_head[name] = _tower(task, shared[name], tasks, logits,
                                  read_by_head, mode)
      if name not in scored:
        continue
      score = _score(task, read_by_head[name], mode)
      wide = inputs_lib.wide_logits(data.feature, inputs.wide, name,
                                    score.shape.as_list()[1],
                                    mode.partitioner)
      head = heads.logits(task, score if wide is None else score + wide)
    logits[name] = stacks.hold(head, f"head/{name}", mode)
    if mode.training and task.transfer.calibration_weight:
      task_chains.add_calibration(task.transfer, logits[name],
                                  logits[task.transfer.task], name, mode)
  return collections.OrderedDict(
      (name, logits[name]) for name in tasks if name in wanted)


def _score(task, inputs, mode) -> tf.Tensor:
  """Builds a task's head, by a function of its own if it has one."""
  if not task.HasField("head_function"):
    return heads.score(task, inputs, mode.seed)
  return stacks.build_by_function(task.head_function, inputs,
                                  outline.score_count(task),
                                  f"head/{task.name}", mode)


def _scored(tasks, order, wanted, training) -> Set[str]:
  """Returns the tasks whose logits are read; of others only the tower is."""
  scored = set(wanted)
  for name in reversed(order):
    task = tasks[name]
    scored.update([e.task for e in task.estimate] + list(task.product.task))
    if training and name in scored and task.transfer.calibration_weight:
      scored.add(task.transfer.task)
  return scored


def _tower(task, shared, tasks, logits, read_by_head, mode) -> tf.Tensor:
  """Builds what a task's head reads."""
  read = [shared]
  for estimate in task.estimate:
    # An estimate is part of the training forward pass as of any other: it is
    # the number that this very batch leads to.
    tensor = heads.estimate(tasks[estimate.task], logits[estimate.task],
                            estimate.form)
    read.append(tf.stop_gradient(tensor) if estimate.stop_gradient else tensor)
  tower = stacks.build(task.tower.layer, stacks.side_by_side(read),
                       f"tower/{task.name}", mode)
  if not task.HasField("transfer"):
    return tower
  return task_chains.take_over(task.transfer, tower,
                               read_by_head[task.transfer.task], task.name,
                               mode)


def _build_shared(model, inputs, wanted, mode) -> Dict[str, tf.Tensor]:
  """Builds what tasks read of the shared part, by task."""
  kind = model.WhichOneof("sharing")
  tasks = task_graph.with_layers(model.task)
  if kind == "hard_sharing":
    return hard_sharing.build(
        model.hard_sharing, inputs, {task.name: task.reads for task in
                                     model.task if task.name in wanted}, mode)
  if kind == "soft_sharing":
    return soft_sharing.build(model.soft_sharing, inputs, tasks, wanted, mode)
  if kind == "mixture_of_experts":
    return experts.mixture_of_experts(model.mixture_of_experts, inputs, wanted,
                                      mode)
  if kind == "customized_gate_control":
    return experts.customized_gate_control(model.customized_gate_control,
                                           inputs, wanted, mode)
  if kind == "progressive_layered_extraction":
    return experts.progressive_layered_extraction(
        model.progressive_layered_extraction, inputs, tasks, wanted, mode)
  if kind == "task_attention":
    return task_attention.build(model.task_attention, inputs, wanted, mode)
  raise config.ConfigError("model.sharing", f"found '{kind}'; allowed: one that"
                           " this version builds")
