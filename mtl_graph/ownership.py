"""Says which variable group owns which variable, by names alone."""

import collections
from typing import Callable, Dict, Iterable, List, Sequence

from mtl_graph import config
from mtl_graph.protos import training_pb2

# How many of the variables that a scope claims in vain an error names.
_NAMED = 2


def claim(groups: Sequence[training_pb2.VariableGroup],
          variables: Sequence[str],
          report: Callable[[str, str], None]) -> Dict[str, List[str]]:
  """Says which group owns which variable.

  Args:
    groups: The `VariableGroup` messages.
    variables: Names of the trainable variables.
    report: Called with a field path and a problem where a scope matches no
      variable, or a variable is claimed twice or by none.

  Returns:
    A dict from group name to the names of its variables, in the order of
    `groups` and of `variables`.
  """
  owners = {}
  for i, group in enumerate(groups):
    for j, scope in enumerate(group.scope):
      path = f"training.group[{i}].scope[{j}]"
      matches = [v for v in variables if within(v, scope)]
      if not scope or not matches:
        report_scope(scope, variables, path, report)
      for owner in dict.fromkeys(owners[v] for v in matches if v in owners):
        taken = [v for v in matches if owners.get(v) == owner]
        report(path, f"{_listed(taken)} to group '{owner}'; allowed: one group "
               "per variable")
      for variable in matches:
        owners.setdefault(variable, group.name)
  for variable in variables:
    # A log variance that no group names goes along with its task's head.
    if variable not in owners and variable.startswith("log_variance/"):
      head = f"head/{variable.split('/')[1]}"
      owner = next((owners[v] for v in variables
                    if v in owners and within(v, head)), None)
      if owner is not None:
        owners[variable] = owner
  orphans = [v for v in variables if v not in owners]
  if orphans:
    report("training.group", f"no group claims {', '.join(orphans)}; allowed: "
           "every trainable variable in exactly one group")
  return collections.OrderedDict(
      (group.name, [v for v in variables if owners.get(v) == group.name])
      for group in groups)


def within(name: str, scope: str) -> bool:
  """Returns whether a variable, or a scope, lies in a scope or is it."""
  return (name + "/").startswith(scope + "/")


def _listed(variables: Sequence[str]) -> str:
  """Returns which variables already belong, by name as far as there are few."""
  if len(variables) == 1:
    return f"variable '{variables[0]}' already belongs"
  names = ", ".join(f"'{v}'" for v in variables[:_NAMED])
  more = len(variables) - _NAMED
  return (f"variables {names}" + (f" and {more} more" if more > 0 else "")
          + " already belong")


def scopes_of(variables: Iterable[str]) -> List[str]:
  """Returns every scope that holds a variable, and the variables, in order."""
  return sorted({"/".join(v.split("/")[:depth]) for v in variables
                 for depth in range(1, v.count("/") + 2)})


def report_scope(scope: str, variables: Sequence[str], path: str,
                 report: Callable[[str, str], None]) -> None:
  """Reports a scope that holds no variable.

  Args:
    scope: The scope.
    variables: Names of the variables.
    path: Where the scope is stated in the experiment.
    report: Takes a field's path and its problem.
  """
  report(path, f"no trainable variable lies in scope '{scope}'"
         + (config.nearest(scope, scopes_of(variables)) or "; there are: "
            + ", ".join(sorted({v.split("/")[0] for v in variables}))))
