"""Says which group owns which trainable variable, and which task reaches it."""

import collections
from typing import Dict, List, Sequence, Set

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import ownership
from mtl_graph.protos import training_pb2

# Ops through which no gradient flows although their output is a float.
_BARRIERS = frozenset(["StopGradient", "PreventGradient", "Ceil", "Floor",
                       "Rint", "Round"])

# The scopes of a task's own variables, when no group is given.
_TASK_SCOPES = ("tower/{}", "head/{}", "wide/{}", "log_variance/{}")


def own_scopes(task: str, variables: Sequence[str]) -> List[str]:
  """Returns the scopes of a task's own variables that there are.

  Args:
    task: Name of the task.
    variables: Names of the trainable variables.

  Returns:
    Those of tower/<task>, head/<task>, wide/<task> and log_variance/<task> that
    hold one.
  """
  scopes = [scope.format(task) for scope in _TASK_SCOPES]
  return [s for s in scopes
          if any((v + "/").startswith(s + "/") for v in variables)]


def shared_names(tasks: Sequence[str], variables: Sequence[str]) -> List[str]:
  """Returns the variables that are shared: by scope, those of no task.

  Args:
    tasks: Names of the tasks.
    variables: Names of the trainable variables.

  Returns:
    Names, in the order of `variables`.
  """
  own = [s + "/" for task in tasks for s in own_scopes(task, variables)]
  return [v for v in variables if not (v + "/").startswith(tuple(own))]


def default_groups(tasks: Sequence[str], variables: Sequence[str]
                   ) -> List[training_pb2.VariableGroup]:
  """Returns the document's own groups: one shared, then one per task.

  Args:
    tasks: Names of the tasks.
    variables: Names of the trainable variables.

  Returns:
    `VariableGroup` messages without an optimizer; "shared" is left out where
    nothing is shared.
  """
  shared = shared_names(tasks, variables)
  groups = [training_pb2.VariableGroup(name="shared", scope=shared)
            ] if shared else []
  return groups + [
      training_pb2.VariableGroup(name=task, scope=own_scopes(task, variables))
      for task in tasks]


def assign(groups: Sequence[training_pb2.VariableGroup],
           variables: Sequence[tf.Variable]
           ) -> Dict[str, List[tf.Variable]]:
  """Assigns every variable to exactly one variable group.

  Args:
    groups: The `VariableGroup` messages.
    variables: The trainable variables of the graph.

  Returns:
    A dict from group name to its variables, in the order of `groups` and of
    `variables`.

  Raises:
    ConfigErrors: If a scope matches no variable, or a variable is claimed by
      two scopes or by none.
  """
  errors = []
  by_name = collections.OrderedDict((v.op.name, v) for v in variables)
  names = ownership.claim(
      groups, list(by_name),
      lambda path, problem: errors.append(config.ConfigError(path, problem)))
  if errors:
    raise config.ConfigErrors(errors)
  return collections.OrderedDict(
      (group, [by_name[n] for n in members])
      for group, members in names.items())


def reached(tensor: tf.Tensor, variables: Sequence[tf.Variable],
            stop_gradients: Sequence[tf.Tensor] = ()) -> Set[str]:
  """Finds the variables that a gradient of a tensor can flow into.

  Follows the graph backwards from the tensor, over floating-point tensors only,
  and stops at `tf.stop_gradient` and at rounding. Adds no op, unlike asking
  `tf.gradients`.

  Args:
    tensor: Where to start, such as a loss.
    variables: Variables to look for, resource or reference.
    stop_gradients: Tensors to stop at as well, as in `tf.gradients`.

  Returns:
    Names of those that are reached.
  """
  sources = {_source(v): v.op.name for v in variables}
  stops = {t.ref() for t in stop_gradients}
  found, seen, pending = set(), set(), [tensor]
  while pending:
    tensor = pending.pop()
    if tensor.ref() in stops or not _carries_gradient(tensor.dtype):
      continue
    op = tensor.op
    if op in seen or op.type in _BARRIERS:
      continue
    seen.add(op)
    if op in sources:
      found.add(sources[op])
    pending.extend(op.inputs)
  return found


def _carries_gradient(dtype: tf.DType) -> bool:
  # A resource is the handle of a variable, a variant may be a TensorArray.
  return (dtype.base_dtype.is_floating or dtype.base_dtype.is_complex
          or dtype in (tf.resource, tf.variant))


def _source(variable: tf.Variable) -> tf.Operation:
  """Returns the op whose output stands for a variable in the graph."""
  handle = getattr(variable, "handle", None)
  return handle.op if handle is not None else variable.op
