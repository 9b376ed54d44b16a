"""One backward pass over all groups, sliced back group by group."""

import collections
from typing import Dict, List, Mapping, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import partitions
from mtl_graph.ops import row_sums
from mtl_graph.protos import training_pb2


def build(loss: tf.Tensor, groups: Mapping[str, Sequence[tf.Variable]],
          stop_gradients: Optional[Sequence[tf.Tensor]] = None,
          where_ops_are: bool = False) -> Dict[str, List[Optional[tf.Tensor]]]:
  """Computes the gradients of a loss once and slices them by group.

  The pattern that the project exists for: `tf.gradients(loss, shared + a + b)`
  over the concatenated lists, sliced back by the lengths of the lists.

  Args:
    loss: The loss, shape `[]`.
    groups: Variables by group.
    stop_gradients: Tensors to hold constant, as `tf.gradients` takes them.
    where_ops_are: Whether each op's gradient is computed on its device.

  Returns:
    A dict from group to its gradients, None where the loss does not reach the
    variable, `tf.IndexedSlices` where it reaches rows of it.
  """
  concatenated = [v for variables in groups.values() for v in variables]
  return slice_by_group(
      tf.gradients(loss, concatenated, stop_gradients=stop_gradients,
                   colocate_gradients_with_ops=where_ops_are), groups)


def slice_by_group(flat: Sequence[Optional[tf.Tensor]],
                   groups: Mapping[str, Sequence[tf.Variable]]
                   ) -> Dict[str, List[Optional[tf.Tensor]]]:
  """Slices the gradients of all groups' variables, in order, by group."""
  sliced, start = collections.OrderedDict(), 0
  for name, variables in groups.items():
    sliced[name] = list(flat[start:start + len(variables)])
    start += len(variables)
  return sliced


def densify(gradients: Mapping[str, Sequence[Optional[tf.Tensor]]],
            sparse_groups: Optional[Mapping[str, int]] = None,
            variables: Optional[Mapping[str, Sequence[tf.Variable]]] = None,
            again: bool = False) -> Dict[str, List[Optional[tf.Tensor]]]:
  """Turns the gradients of embeddings into dense ones.

  A sparse gradient may hold a row several times; a dense one has a norm, and
  one fused ApplyAdam takes it. TensorFlow's Adam moves every row either way.

  Args:
    gradients: Gradients by group, as `build` returns them.
    sparse_groups: Groups whose optimizer moves only the rows of a sparse
      gradient, each with the least rows of a table whose gradient then stays
      sparse, the sum of a row's slices in one of them, zero in others.
    variables: Variables by group, if some may be parts of one table, whose rows
      count together.
    again: Whether the gradients went through here before. Those that are not to
      stay sparse any longer become dense beside their variable.

  Returns:
    The same with tensors only, but for sparse groups, and None where there is
    none.
  """
  def dense(gradient, group, place):
    if gradient is None:
      return None
    least_rows = (sparse_groups or {}).get(group)
    if least_rows is not None and isinstance(gradient, tf.IndexedSlices):
      if not least_rows or least_rows <= (
          partitions.shape_of(variables[group][place])[0] if variables
          else gradient.shape[0] or 0):
        return gradient if again else _deduplicate(gradient)
    if not again:
      return tf.convert_to_tensor(gradient)
    with tf.get_default_graph().colocate_with(variables[group][place].handle):
      return tf.convert_to_tensor(gradient)

  with tf.name_scope("dense_gradients"):
    return collections.OrderedDict(
        (group, [dense(g, group, i) for i, g in enumerate(some)])
        for group, some in gradients.items())


def _deduplicate(slices):
  """Adds up the slices of each row in one of them, and makes the others zero.

  So that what is computed entry by entry, or summed over entries, is the same
  as of the dense gradient.
  """
  rows, sums, first = row_sums.row_sums(slices.indices, slices.values)
  first = tf.reshape(first, [-1] + [1] * (sums.shape.rank - 1))
  return tf.IndexedSlices(tf.where_v2(first, sums, tf.zeros_like(sums)), rows,
                          slices.dense_shape)


def norm(gradients: Sequence[Optional[tf.Tensor]],
         name: str = "gradient_norm") -> tf.Tensor:
  """Returns the joint Euclidean norm of a group's gradients, shape `[]`.

  Args:
    gradients: The gradients, None where there is none; sparse ones as
      `densify` leaves them.
    name: Name of the op.
  """
  present = [g for g in gradients if g is not None]
  return tf.global_norm(present, name) if present else tf.zeros([])


def clip(clipping: training_pb2.Clipping,
         gradients: Sequence[Optional[tf.Tensor]],
         joint_norm: tf.Tensor, variables: Sequence[tf.Variable] = ()
         ) -> List[Optional[tf.Tensor]]:
  """Clips the gradients of a group.

  Args:
    clipping: The `Clipping` message; empty: not at all.
    gradients: The gradients, None where there is none; sparse ones as
      `densify` leaves them, and they stay sparse.
    joint_norm: What `norm` returned for them.
    variables: The variables, if some may be parts of one table, whose gradients
      have one norm.

  Returns:
    The clipped gradients, in the same order.

  Raises:
    ConfigError: If the rule is not built.
  """
  kind = clipping.WhichOneof("kind")
  if kind is None:
    return list(gradients)
  if kind == "global_norm":
    return tf.clip_by_global_norm(gradients, clipping.global_norm,
                                  use_norm=joint_norm)[0]
  if kind == "norm":
    return _clip_each(gradients, clipping.norm, variables)
  if kind == "value":
    return [g if g is None else
            tf.clip_by_value(g, -clipping.value, clipping.value)
            for g in gradients]
  raise config.ConfigError("training.group.clipping", f"found '{kind}'; "
                           "allowed: one that this version builds")


def _clip_each(gradients, norm_of_each, variables):
  """Clips each variable's gradient, those of a table's parts together."""
  parts = {}
  for variable, gradient in zip(variables, gradients):
    if gradient is not None and partitions.is_part(variable):
      parts.setdefault(partitions.name_of(variable), []).append(gradient)
  norms = {name: norm(some, "norm_of_parts") for name, some in parts.items()}

  def clipped(gradient, place):
    name = variables and partitions.name_of(variables[place])
    if gradient is None:
      return None
    if name in norms:
      return tf.clip_by_global_norm([gradient], norm_of_each,
                                    use_norm=norms[name])[0][0]
    return tf.clip_by_norm(gradient, norm_of_each)
  return [clipped(gradient, i) for i, gradient in enumerate(gradients)]
