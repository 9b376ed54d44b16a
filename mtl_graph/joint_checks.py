"""Finds what is wrong with how joint training makes one loss."""

from typing import Sequence

from mtl_graph import balancing_checks
from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import optimizer_checks
from mtl_graph import outline
from mtl_graph.protos import experiment_pb2

_PATH = "training.joint.loss"
# What remembers something from one batch for the next.
_REMEMBERING = frozenset(["dynamic_weight_average", "grad_norm", "famo"])


def check(experiment: experiment_pb2.Experiment, variables: Sequence[str],
          report: field_checks.Report) -> None:
  """Reports what is wrong with `training.joint`.

  Args:
    experiment: The experiment.
    variables: Names of the trainable variables.
    report: Takes a field's path and its problem.
  """
  training, loss = experiment.training, experiment.training.joint.loss
  kind = field_checks.kind_of(loss, "kind", _PATH, report)
  if kind == "weighted_sum":
    _check_schedules(loss.weighted_sum, experiment.model.task, report)
  elif kind == "uncertainty":
    _check_uncertainty(loss.uncertainty, report)
  elif kind == "dynamic_weight_average":
    path = f"{_PATH}.{kind}"
    field_checks.at_least(loss.dynamic_weight_average, "window_steps", 1, path,
                          report)
    field_checks.above_zero(loss.dynamic_weight_average, "temperature", path,
                            report)
  elif kind == "grad_norm":
    _check_grad_norm(loss.grad_norm, experiment.model.task, variables, report)
  elif kind == "famo":
    path = f"{_PATH}.{kind}"
    field_checks.above_zero(loss.famo, "learning_rate", path, report)
    field_checks.at_least(loss.famo, "decay", 0, path, report)
  elif kind == "smooth_chebyshev":
    path = f"{_PATH}.{kind}"
    field_checks.above_zero(loss.smooth_chebyshev, "smoothness", path, report)
    field_checks.at_least(loss.smooth_chebyshev, "warm_up_steps", 0, path,
                          report)
  warms_up = bool(loss.smooth_chebyshev.warm_up_steps)
  if (kind in _REMEMBERING or warms_up) and training.accumulate_batches > 1:
    report(f"{_PATH}.{kind}", "found it with training.accumulate_batches: "
           f"{training.accumulate_batches}; allowed: one batch per step")
  if training.joint.HasField("gradient_balancing"):
    balancing_checks.check(experiment, report)


def _check_schedules(weighted_sum, tasks, report) -> None:
  names = [task.name for task in tasks if not task.no_loss]
  path = f"{_PATH}.weighted_sum.schedule"
  for i, schedule in enumerate(weighted_sum.schedule):
    where = f"{path}[{i}]"
    if schedule.task not in names:
      found = f"'{schedule.task}'" if schedule.task else "nothing"
      report(f"{where}.task", f"found {found}; allowed: a task with a loss"
             + config.nearest(schedule.task, names))
    elif schedule.task in [s.task for s in weighted_sum.schedule[:i]]:
      report(f"{where}.task", f"found '{schedule.task}' a second time; allowed: "
             "each task once")
    optimizer_checks.check_learning_rate(schedule.factor, f"{where}.factor",
                                         report)


def _check_uncertainty(uncertainty, report) -> None:
  path = f"{_PATH}.uncertainty"
  low, high = uncertainty.min_log_variance, uncertainty.max_log_variance
  if not low < high:
    report(f"{path}.min_log_variance", f"found {low:g}; allowed: below "
           f"max_log_variance, {high:g}")
  elif not low <= uncertainty.initial_log_variance <= high:
    report(f"{path}.initial_log_variance",
           f"found {uncertainty.initial_log_variance:g}; allowed: {low:g} to "
           f"{high:g}")


def _check_grad_norm(grad_norm, tasks, variables, report) -> None:
  path = f"{_PATH}.grad_norm"
  field_checks.at_least(grad_norm, "alpha", 0, path, report)
  field_checks.above_zero(grad_norm, "learning_rate", path, report)
  kernel = outline.kernel_of(grad_norm, variables)
  own = {task.name for task in tasks}
  shared = [name for name in variables if own.isdisjoint(name.split("/"))]
  if kernel not in shared:
    found = f"'{kernel}'" if kernel else "nothing, and no trunk"
    report(f"{path}.kernel", f"found {found}; allowed: the name of a shared "
           "variable" + config.nearest(kernel, shared))
