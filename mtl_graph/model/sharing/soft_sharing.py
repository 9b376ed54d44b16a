"""Soft parameter sharing: a column per task, and units between columns."""

from typing import Dict, List, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import layer_outline
from mtl_graph import sharing_outline
from mtl_graph.model import stacks
from mtl_graph.ops import column_mixing
from mtl_graph.protos import sharing_pb2


def build(config: sharing_pb2.SoftSharing, inputs: tf.Tensor,
          tasks: Sequence[str], wanted: Sequence[str], mode: stacks.Mode
          ) -> Dict[str, tf.Tensor]:
  """Builds columns, layer by layer, and the units behind their layers.

  Without units every task reads a column of its own; the penalties that tie
  columns are `sharing.column_penalties`.

  See "Cross-Stitch Networks for Multi-task Learning" by Misra et al., 2016,
  section 3 (https://arxiv.org/abs/1604.03539) and "Latent Multi-task
  Architecture Learning" by Ruder et al., 2017, sections 2 and 3
  (https://arxiv.org/abs/1705.08142).

  Args:
    config: The `SoftSharing` message.
    inputs: The features, shape `[B, D]`, or `[B, H, W, C]` of images.
    tasks: Names of all tasks.
    wanted: Names of the tasks wanted, in their order.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task wanted to what it reads.
  """
  layers = config.column.layer
  kind = config.WhichOneof("units")
  unit = getattr(config, kind) if kind else None
  after = (sharing_outline.units_after(layers, unit.after) if unit else [])
  names = layer_outline.layer_names(layers)
  last = max([names.index(name) for name in after], default=-1)
  # Up to the last unit every column is part of every other one.
  columns = {task: inputs for task in (tasks if unit else wanted)}
  mixed = {task: [] for task in wanted}
  for i, (layer, name) in enumerate(zip(layers, names)):
    columns = {task: stacks.build_layer(layer, tensor, f"column/{task}/{name}",
                                        mode)
               for task, tensor in columns.items()}
    if name not in after:
      continue
    going_on = tasks if i < last else wanted
    mix = _cross_stitch if kind == "cross_stitch" else _sluice
    columns = dict(zip(going_on, mix(
        unit, name, list(columns.values()),
        [tasks.index(task) for task in going_on])))
    for task in wanted:
      mixed[task].append(columns[task])
    if i == last and kind == "sluice":
      columns = {task: _mix_layers(unit, task, mixed[task]) for task in wanted}
  return columns


def _cross_stitch(unit, name, columns: List[tf.Tensor], rows: List[int]
                  ) -> List[tf.Tensor]:
  """Mixes columns behind a layer; returns those of some rows of alpha."""
  count = len(columns)
  initial = _shares(count, unit.own_share)
  if unit.granularity == sharing_pb2.CrossStitch.PER_CHANNEL:
    width = columns[0].shape.as_list()[-1]
    initial = [[[share] * width for share in row] for row in initial]
  with tf.variable_scope(f"cross_stitch/{name}"):
    alpha = _variable("alpha", initial)
    return column_mixing.cross_stitch(columns, _rows(alpha, rows, count))


def _sluice(unit, name, columns: List[tf.Tensor], rows: List[int]
            ) -> List[tf.Tensor]:
  """Mixes the subspaces of columns; returns those of some columns."""
  size = unit.subspaces
  with tf.variable_scope(f"sluice/{name}"):
    alpha = _variable("alpha", _shares(len(columns) * size, unit.own_share))
    wanted = [row * size + k for row in rows for k in range(size)]
    return column_mixing.sluice(
        columns, _rows(alpha, wanted, len(columns) * size), size)


def _mix_layers(unit, task, outputs: List[tf.Tensor]) -> tf.Tensor:
  """Makes what a task reads of the outputs of all layers with a unit."""
  last = unit.last_layer_share if len(outputs) > 1 else 1.0
  others = (1.0 - last) / max(len(outputs) - 1, 1)
  with tf.variable_scope(f"sluice/{task}"):
    beta = _variable("beta", [others] * (len(outputs) - 1) + [last])
    return column_mixing.mix_layers(outputs, beta)


def _shares(count: int, own: float) -> List[List[float]]:
  """Returns rows that add up to 1, with `own` on the diagonal."""
  other = (1.0 - own) / (count - 1) if count > 1 else 0.0
  return [[own if i == j else other for j in range(count)]
          for i in range(count)]


def _variable(name, initial):
  return tf.get_variable(name, initializer=tf.constant(initial, tf.float32))


def _rows(alpha, rows, count):
  return alpha if rows == list(range(count)) else tf.gather(alpha, rows)
