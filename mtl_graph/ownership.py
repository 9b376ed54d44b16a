"""Says which variable group owns which variable, by names alone."""

import collections
from typing import Callable, Dict, List, Sequence

from mtl_graph import config
from mtl_graph.protos import training_pb2


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
      matches = [v for v in variables if (v + "/").startswith(scope + "/")]
      if not scope or not matches:
        scopes = sorted({"/".join(v.split("/")[:depth]) for v in variables
                         for depth in range(1, v.count("/") + 2)})
        report(path, f"no trainable variable lies in scope '{scope}'"
               + (config.nearest(scope, scopes) or "; there are: "
                  + ", ".join(sorted({v.split("/")[0] for v in variables}))))
      for variable in matches:
        if variable in owners:
          report(path, f"variable '{variable}' already belongs to group "
                 f"'{owners[variable]}'; allowed: one group per variable")
        else:
          owners[variable] = group.name
  for variable in variables:
    # A log variance that no group names goes along with its task's head.
    if variable not in owners and variable.startswith("log_variance/"):
      head = f"head/{variable.split('/')[1]}/kernel"
      if head in owners:
        owners[variable] = owners[head]
  orphans = [v for v in variables if v not in owners]
  if orphans:
    report("training.group", f"no group claims {', '.join(orphans)}; allowed: "
           "every trainable variable in exactly one group")
  return collections.OrderedDict(
      (group.name, [v for v in variables if owners.get(v) == group.name])
      for group in groups)
