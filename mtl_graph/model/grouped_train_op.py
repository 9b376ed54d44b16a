"""The train_op with an optimizer per group, for scripts of their own."""

import collections
from typing import Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.model import gradients as gradients_lib
from mtl_graph.model import optimizers
from mtl_graph.model import reach
from mtl_graph.protos import training_pb2

# name: scope of the group's optimizer state, `optimizer/<name>/...`.
# variables: its trainable variables, resource or reference.
# optimizer: a tf.compat.v1.train.Optimizer of its own.
# clip_norm: limit on the joint norm of the group's gradients, or None.
VariableGroup = collections.namedtuple(
    "VariableGroup", ["name", "variables", "optimizer", "clip_norm"],
    defaults=[None])


def grouped_train_op(
    loss: tf.Tensor,
    groups: Sequence[VariableGroup],
    global_step: Optional[tf.Variable] = None,
    stop_gradients: Optional[Sequence[tf.Tensor]] = None) -> tf.Operation:
  """Minimizes one loss with an optimizer, hence a rate, per variable group.

  One `tf.gradients(loss, shared + a + b)` over the concatenated lists, sliced
  back by their lengths; one `apply_gradients` per optimizer, none before all
  gradients are there; `tf.group` of them all. Works in any graph of
  `tf.compat.v1`, also under `disable_v2_behavior()`.

  Args:
    loss: The loss, shape `[]`.
    groups: `VariableGroup`s that together hold every trainable variable that
      the loss reaches, each once.
    global_step: Variable counted up by 1 after all groups, or None.
    stop_gradients: Tensors that the gradient does not flow through, as in
      `tf.gradients`. It cuts every path, the tensor's own task's too.

  Returns:
    The train_op.

  Raises:
    ValueError: If two groups share a name, a variable or an optimizer, if the
      loss reaches a trainable variable that no group holds, or if it reaches no
      variable of a group.
  """
  _check_groups(loss, groups, stop_gradients or ())
  gradients = gradients_lib.build(
      loss, collections.OrderedDict((g.name, g.variables) for g in groups),
      stop_gradients)
  for group in groups:
    if all(g is None for g in gradients[group.name]):
      raise ValueError(
          f"grouped_train_op: `loss` reaches no variable of group "
          f"'{group.name}', found "
          f"{', '.join(v.op.name for v in group.variables) or 'none in it'}; "
          "allowed: groups with a gradient.")
  clipped = {}
  for group in groups:
    clipped[group.name] = gradients[group.name]
    if group.clip_norm is not None:
      # A row that a sparse gradient holds several times has one norm.
      own = gradients_lib.densify({group.name: gradients[group.name]},
                                  {group.name: 0})[group.name]
      clipped[group.name] = gradients_lib.clip(
          training_pb2.Clipping(global_norm=group.clip_norm), own,
          gradients_lib.norm(own))
  barrier = [g for some in clipped.values() for g in some if g is not None]
  with tf.control_dependencies(barrier):
    updates = [optimizers.apply(group.optimizer, _scope_of(group),
                                clipped[group.name], group.variables)
               for group in groups]
  return optimizers.group(updates, global_step)


def _scope_of(group):
  """Returns the scope of a group's optimizer state.

  A second train_op of the graph keeps its state apart: `optimizer/a_1/...`.
  """
  with tf.name_scope(None):
    return tf.get_default_graph().unique_name(f"optimizer/{group.name}")


def _check_groups(loss, groups, stop_gradients):
  names, owners, seen_optimizers = set(), {}, {}
  for group in groups:
    if group.clip_norm is not None and not group.clip_norm > 0:
      raise ValueError(f"grouped_train_op: `clip_norm` of group '{group.name}' "
                       f"is {group.clip_norm}; allowed: above 0, or None.")
    if group.name in names:
      raise ValueError(f"grouped_train_op: `groups` has '{group.name}' twice; "
                       "allowed: each name once.")
    names.add(group.name)
    if id(group.optimizer) in seen_optimizers:
      raise ValueError(
          "grouped_train_op: one optimizer serves groups "
          f"'{seen_optimizers[id(group.optimizer)]}' and '{group.name}'; "
          "allowed: an optimizer per group.")
    seen_optimizers[id(group.optimizer)] = group.name
    for variable in group.variables:
      if variable.op.name in owners:
        raise ValueError(
            f"grouped_train_op: variable '{variable.op.name}' is claimed by "
            f"groups '{owners[variable.op.name]}' and '{group.name}'; allowed: "
            "one group per variable.")
      owners[variable.op.name] = group.name
  reached = reach.reached(loss, tf.trainable_variables(), stop_gradients)
  orphans = sorted(reached - owners.keys())
  if orphans:
    raise ValueError(
        f"grouped_train_op: no group holds {', '.join(orphans)}, which `loss` "
        "reaches; allowed: every trainable variable in a group, or made with "
        "trainable=False.")
