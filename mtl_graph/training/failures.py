"""Says where numbers that are not finite came from."""

import numpy as np

from mtl_graph.checkpoints import checkpoints
from mtl_graph.model import train_step


class TrainingError(Exception):
  """A run that cannot go on."""


def explain(report: np.ndarray, step: train_step.Step) -> str:
  """Names the tasks, or the group, whose numbers are not finite.

  Args:
    report: What the step reported, shape `[R]`.
    step: The step.

  Returns:
    A clause.
  """
  parts = train_step.unpack_report(report, step.sizes)
  found = [f"the loss of task '{task}' is {loss}"
           for task, loss in zip(step.tasks, parts.task_losses)
           if not np.isfinite(loss)]
  groups = [group for group, norm in zip(step.tasks_of_group,
                                         parts.gradient_norms)
            if not np.isfinite(norm)]
  if not found and groups:
    # A task whose own layers are hit comes before what tasks share.
    group = min(groups, key=lambda g: len(step.tasks_of_group[g]))
    found = [f"the gradient of group '{group}' is not finite, reached by task "
             + ", ".join(f"'{t}'" for t in step.tasks_of_group[group])]
  return " and ".join(found) or "the total loss is not finite"


def check(number: int, report: np.ndarray, step: train_step.Step,
          model_dir: str) -> None:
  """Checks the last of the steps that were run.

  Args:
    number: The global step.
    report: What the step reported, shape `[R]`.
    step: The step.
    model_dir: The run's folder.

  Raises:
    TrainingError: If a loss or a gradient is not finite.
  """
  if not np.isfinite(report).all():
    raise TrainingError(
        f"step {number}: {explain(report, step)}; nothing was saved since; "
        f"last good checkpoint: {checkpoints.newest(model_dir) or 'none'}; "
        "lower the learning rate or clip the gradient, in another --model_dir "
        "or with --allow_changes")
