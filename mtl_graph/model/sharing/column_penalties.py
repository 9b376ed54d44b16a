"""Penalties that tie the columns of soft sharing to each other."""

from typing import Dict, List, Mapping, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config as config_lib
from mtl_graph import layer_outline
from mtl_graph import sharing_outline
from mtl_graph.ops import parameter_penalties
from mtl_graph.protos import sharing_pb2


def build(config: sharing_pb2.SoftSharing, tasks: Sequence[str],
          variables: Mapping[str, tf.Variable]) -> List[tf.Tensor]:
  """Returns the penalties on the parameters of columns.

  See `ParameterDistance`, `TraceNorm` and `Sluice` in protos/sharing.proto for
  the formulas and their papers.

  Args:
    config: The `SoftSharing` message.
    tasks: Names of the tasks that have a column.
    variables: All trainable variables by name.

  Returns:
    Scalars that are added to the loss after weighting; none where nothing is
    asked for, or a factor is 0.
  """
  found = []
  with tf.name_scope("column_penalties"):
    if config.parameter_distance.weight:
      found += _distance(config.parameter_distance,
                         _paired(config, tasks, variables))
    if config.trace_norm.weight:
      found += _trace_norm(config.trace_norm, _paired(config, tasks, variables))
    if config.sluice.orthogonality and config.sluice.subspaces > 1 and (
        config.HasField("sluice")):
      found += _orthogonality(config, tasks, variables)
  return found


def _paired(config, tasks, variables) -> Dict[str, List[List[tf.Variable]]]:
  """Returns the variables of each layer, each in all columns, by layer."""
  paired = {}
  for layer in layer_outline.layer_names(config.column.layer):
    scope = f"column/{tasks[0]}/"
    own = [name[len(scope):] for name in variables
           if name.startswith(f"{scope}{layer}/")]
    paired[layer] = [[variables[f"column/{task}/{name}"] for task in tasks]
                     for name in own]
  return paired


def _factors(penalty) -> Dict[str, float]:
  return {layer.name: layer.weight for layer in penalty.layer}


def _distance(penalty, paired) -> List[tf.Tensor]:
  measure = (parameter_penalties.distance_to_mean
             if penalty.to == sharing_pb2.ParameterDistance.MEAN
             else parameter_penalties.pairwise_distance)
  factors = _factors(penalty)
  return [penalty.weight * factors.get(layer, 1.0) * measure(columns)
          for layer, several in paired.items() for columns in several
          if factors.get(layer, 1.0)]


def _trace_norm(penalty, paired) -> List[tf.Tensor]:
  kinds = sharing_pb2.TraceNorm
  norm = {kinds.LAST_AXIS: parameter_penalties.last_axis_trace_norm,
          kinds.TUCKER: parameter_penalties.tucker_trace_norm,
          kinds.TENSOR_TRAIN: parameter_penalties.tensor_train_trace_norm,
          }.get(penalty.flattening)
  if norm is None:
    raise config_lib.ConfigError(
        "model.soft_sharing.trace_norm.flattening",
        f"found {penalty.flattening}; allowed: one that this version builds")
  factors = _factors(penalty)
  return [penalty.weight * factors.get(layer, 1.0)
          * norm(columns, penalty.epsilon)
          for layer, several in paired.items() for columns in several
          if factors.get(layer, 1.0)
          and columns[0].op.name.rpartition("/")[2] == "kernel"]


def _orthogonality(config, tasks, variables) -> List[tf.Tensor]:
  unit = config.sluice
  names = sharing_outline.units_after(config.column.layer, unit.after)
  kernels = [variables.get(f"column/{task}/{name}/kernel")
             for task in tasks for name in names]
  return [unit.orthogonality * parameter_penalties.orthogonality(
      kernel, unit.subspaces) for kernel in kernels if kernel is not None]
