"""Finds what is wrong with the evaluation of an experiment."""

from typing import Collection, Optional

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph.protos import evaluation_pb2
from mtl_graph.protos import experiment_pb2

# The kinds of head that each further metric is one of.
_HEADS = {
    "threshold": ("binary",),
    "k": ("binary", "multiclass"),
    "group_column": ("binary",),
    "confusion_matrix": ("binary", "multiclass", "ordinal"),
    "quantile": ("regression",),
}


def check(experiment: experiment_pb2.Experiment,
          arrays: Optional[Collection[str]],
          report: field_checks.Report) -> None:
  """Reports what is wrong with `evaluation`; `arrays` as `validation.check`."""
  evaluation = experiment.evaluation
  field_checks.at_least(evaluation, "every_steps", 0, "evaluation", report)
  field_checks.at_least(evaluation, "batch_size", 1, "evaluation", report)
  metrics = outline.metric_names(experiment)
  for field in ("best", "early_stopping"):
    if not evaluation.HasField(field):
      continue
    _check_rule(experiment, getattr(evaluation, field), metrics,
                f"evaluation.{field}", arrays, report)
  for i, task in enumerate(experiment.training.independent.task):
    if task.HasField("early_stopping"):
      _check_rule(experiment, task.early_stopping, metrics,
                  f"training.independent.task[{i}].early_stopping", arrays,
                  report)
  measured = ("validation", "test")
  splits = [split for split in measured
            if row_sets.of(experiment.data, split, arrays)]
  for field in ("task_metrics", "slice"):
    if getattr(evaluation, field) and not splits:
      report(f"evaluation.{field}", "found it without "
             + " and ".join(row_sets.path(experiment.data, split)
                            for split in measured)
             + "; allowed: with rows to measure")
  tasks = {task.name: task for task in experiment.model.task}
  seen = set()
  for i, metrics_of_task in enumerate(evaluation.task_metrics):
    path = f"evaluation.task_metrics[{i}]"
    name = metrics_of_task.task
    if name not in tasks:
      report(f"{path}.task", f"no task '{name}'; allowed: {', '.join(tasks)}"
             f"{config.nearest(name, tasks)}")
    elif name in seen:
      report(f"{path}.task", f"found '{name}' a second time; allowed: each "
             "task once")
    elif not outline.has_label(tasks[name]):
      report(f"{path}.task", f"found '{name}', which has no label; allowed: "
             "tasks that have one")
    else:
      _check_task_metrics(metrics_of_task, tasks[name].WhichOneof("head"), path,
                          report)
    seen.add(name)
  for i, rule in enumerate(evaluation.slice):
    path = f"evaluation.slice[{i}]"
    if not rule.column:
      report(f"{path}.column", "found nothing; required")
    elif any(rule.column == other.column for other in evaluation.slice[:i]):
      report(f"{path}.column", f"found '{rule.column}' a second time; allowed: "
             "each column once")
    field_checks.at_least(rule, "max_values", 1, path, report)
    field_checks.at_least(rule, "min_rows", 1, path, report)


def _check_rule(experiment, rule, metrics, path, arrays, report) -> None:
  """Reports what is wrong with a `Best` or an `EarlyStopping`."""
  if rule.metric not in metrics:
    report(f"{path}.metric", f"no metric '{rule.metric}'; allowed: "
           f"{', '.join(metrics)}{config.nearest(rule.metric, metrics)}")
  if rule.goal == evaluation_pb2.GOAL_UNSPECIFIED:
    report(f"{path}.goal", "found nothing; allowed: MAXIMIZE or MINIMIZE")
  if not row_sets.of(experiment.data, "validation", arrays):
    report(path, "found it without "
           f"{row_sets.path(experiment.data, 'validation')}; allowed: with "
           "validation rows only")
  if experiment.evaluation.every_steps == 0:
    report(path, "found it with evaluation.every_steps: 0; allowed: with "
           "every_steps of at least 1")
  if isinstance(rule, evaluation_pb2.EarlyStopping):
    field_checks.at_least(rule, "patience", 1, path, report)
    field_checks.at_least(rule, "min_delta", 0, path, report)


def _check_task_metrics(metrics, head, path, report) -> None:
  """Reports what is wrong with the further metrics of one task."""
  for field, allowed in _HEADS.items():
    value = getattr(metrics, field)
    if value and head is not None and head not in allowed:
      report(f"{path}.{field}", f"found it for {field_checks.a_task(head)}; "
             "allowed: for "
             f"{', '.join(allowed)} tasks only")
  for field, ends in (("threshold", True), ("quantile", False)):
    for i, value in enumerate(getattr(metrics, field)):
      if not (0 <= value <= 1 if ends else 0 < value < 1):
        report(f"{path}.{field}[{i}]", f"found {value:g}; allowed: "
               + ("0 to 1" if ends else "above 0 and below 1"))
  for i, k in enumerate(metrics.k):
    if k < 1:
      report(f"{path}.k[{i}]", f"found {k}; allowed: at least 1")
  for field in ("threshold", "k", "quantile"):
    values = [str(v) if field == "k" else f"{v:g}"
              for v in getattr(metrics, field)]
    for i, value in enumerate(values):
      if value in values[:i]:
        report(f"{path}.{field}[{i}]", f"found {value} a second time; allowed: "
               "each once")
