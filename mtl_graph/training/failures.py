"""Says where numbers that are not finite came from."""

from typing import Sequence

import numpy as np

from mtl_graph.model import graphs
from mtl_graph.model import joint_step
from mtl_graph.protos import model_pb2


def explain(report: np.ndarray, step: joint_step.Step, model: graphs.Graph,
            tasks: Sequence[model_pb2.Task]) -> str:
  """Names the tasks, or the group, whose numbers are not finite.

  Args:
    report: What the step reported, shape `[R]`.
    step: The step.
    model: What `graphs.build` returned.
    tasks: The `Task` messages.

  Returns:
    A clause.
  """
  parts = joint_step.unpack_report(report, step.sizes)
  found = [f"the loss of task '{task.name}' is {loss}"
           for task, loss in zip(tasks, parts.task_losses)
           if not np.isfinite(loss)]
  trained = [g.name for g in model.groups if not g.frozen]
  groups = [group for group, norm in zip(trained, parts.gradient_norms)
            if not np.isfinite(norm)]
  if not found and groups:
    # A task whose own layers are hit comes before what tasks share.
    group = min(groups, key=lambda g: len(step.tasks_of_group[g]))
    found = [f"the gradient of group '{group}' is not finite, reached by task "
             + ", ".join(f"'{t}'" for t in step.tasks_of_group[group])]
  return " and ".join(found) or "the total loss is not finite"
