"""Finds what is wrong with sources per task, and with how they are mixed."""

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph.protos import experiment_pb2


def check(experiment: experiment_pb2.Experiment,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `data.source` and `data.mixing`.

  Their files and parts are for `source_checks`.

  Args:
    experiment: The experiment.
    report: Takes a field's path and its problem.
  """
  data, tasks = experiment.data, experiment.model.task
  if not data.source:
    if data.HasField("mixing"):
      report("data.mixing", "found it without data.source; allowed: with "
             "sources only")
    return
  for field in (*row_sets.SPLITS, "resampling"):
    if data.HasField(field):
      report(f"data.{field}", "found it beside data.source; allowed: at most "
             "one of them")
  field_checks.names(data.source, "data.source", report, ())
  kind = None
  if data.HasField("mixing"):
    kind = field_checks.kind_of(data.mixing, "kind", "data.mixing", report)
  if kind == "temperature":
    field_checks.above_zero(data.mixing, "temperature", "data.mixing", report)
  known = {task.name for task in tasks}
  for i, source in enumerate(data.source):
    path = f"data.source[{i}]"
    if kind == "stated":
      field_checks.above_zero(source, "rate", path, report)
    elif source.HasField("rate"):
      report(f"{path}.rate", f"found {source.rate:g}; allowed: only under "
             "data.mixing.stated")
    _check_tasks(source, tasks, path, report)
  listed = {name for source in data.source for name in source.task or known}
  if not listed <= known:
    return  # A name that is misspelt is missed elsewhere, too.
  for task in tasks:
    if not task.no_loss and task.name not in listed:
      report("data.source", f"found none with labels of task '{task.name}'; "
             "allowed: at least one, as the task has a loss")


def _check_tasks(source, tasks, path, report) -> None:
  """Reports what is wrong with the tasks that a source lists."""
  by_name = {task.name: task for task in tasks}
  for i, name in enumerate(source.task):
    where = f"{path}.task[{i}]"
    if name not in by_name:
      report(where, f"no task '{name}'; allowed: {', '.join(by_name)}"
             f"{config.nearest(name, by_name)}")
      continue
    if name in source.task[:i]:
      report(where, f"found '{name}' a second time; allowed: each task once")
    if not outline.has_label(by_name[name]):
      report(where, f"found '{name}', which has no label; allowed: tasks that "
             "have one")
    for condition in by_name[name].label.only_when:
      other = condition.task
      if other in by_name and other not in source.task:
        report(where, f"found '{name}' without '{other}', by whose label that "
               f"of '{name}' counts or not; allowed: with it")
