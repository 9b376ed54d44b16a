"""Says which group owns which trainable variable, and which task reaches it."""

import collections
import re
from typing import Dict, List, Mapping, Sequence, Set, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import ownership
from mtl_graph.protos import training_pb2

# What lies under one of these and a task's name is the task's own.
_KINDS_OF_OWN = frozenset(["tower", "head", "wide", "log_variance", "column",
                           "expert", "gate", "attention", "transfer"])


def own_scopes(task: str, variables: Sequence[str]) -> List[str]:
  """Returns the scopes of a task's own variables that there are.

  Args:
    task: Name of the task.
    variables: Names of the trainable variables.

  Returns:
    Those of tower/<task>, head/<task>, wide/<task>, column/<task>,
    expert/<task> and the like that hold one, also within a level, as
    level_0/gate/<task>.
  """
  scopes = collections.OrderedDict()
  for variable in variables:
    parts = variable.split("/")
    start = 1 if re.fullmatch(r"level_\d+", parts[0]) else 0
    if len(parts) > start + 1 and parts[start] in _KINDS_OF_OWN and (
        parts[start + 1] == task):
      scopes["/".join(parts[:start + 2])] = None
  return list(scopes)


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
    `VariableGroup` messages without an optimizer; what would hold no variable
    is left out.
  """
  groups = [("shared", shared_names(tasks, variables))]
  groups += [(task, own_scopes(task, variables)) for task in tasks]
  return [training_pb2.VariableGroup(name=name, scope=scopes)
          for name, scopes in groups if scopes]


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


def independent_groups(
    training: training_pb2.Training, variables: Sequence[tf.Variable],
    reached_by: Mapping[str, Set[str]]
    ) -> Tuple[List[training_pb2.VariableGroup], Dict[str, List[tf.Variable]]]:
  """Returns the groups of independent training: what each task's loss reaches.

  Args:
    training: The `Training` message.
    variables: The trainable variables of the graph.
    reached_by: Names of those that each task's loss reaches.

  Returns:
    A `VariableGroup` per task, named like it, with the task's own optimizer,
    and the frozen ones of the experiment; and a dict from group name to its
    variables. Those of tasks may overlap; what is frozen is in none of them.

  Raises:
    ConfigErrors: If a task reaches nothing that is not frozen.
  """
  frozen = ownership.claim(training.group, [v.op.name for v in variables],
                           lambda *unused: None)
  held = {name for names in frozen.values() for name in names}
  groups, owned, errors = [], collections.OrderedDict(), []
  for i, task in enumerate(training.independent.task):
    group = training_pb2.VariableGroup(
        name=task.name, weight_decay=task.weight_decay)
    for field in ("optimizer", "clipping"):
      if task.HasField(field):
        getattr(group, field).CopyFrom(getattr(task, field))
    groups.append(group)
    owned[task.name] = [v for v in variables if v.op.name not in held
                        and v.op.name in reached_by[task.name]]
    if task.iterations and not owned[task.name]:
      errors.append(config.ConfigError(
          f"training.independent.task[{i}]", f"task '{task.name}' reaches no "
          "variable that is not frozen; allowed: iterations: 0, or less that "
          "is frozen"))
  if errors:
    raise config.ConfigErrors(errors)
  owned.update((name, [v for v in variables if v.op.name in names])
               for name, names in frozen.items())
  return groups + list(training.group), owned
