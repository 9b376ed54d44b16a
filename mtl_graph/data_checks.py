"""Finds what is wrong with the data of an experiment."""

from mtl_graph import config
from mtl_graph import feature_checks
from mtl_graph import field_checks
from mtl_graph import input_checks
from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph import source_checks
from mtl_graph import task_source_checks
from mtl_graph.protos import experiment_pb2


def check(experiment: experiment_pb2.Experiment, needs_sources: bool,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `data`, sources included if they are needed."""
  data = experiment.data
  source_checks.check(data, needs_sources, report)
  task_source_checks.check(experiment, report)
  input_checks.check(data, needs_sources, report)
  field_checks.at_least(data, "batch_size", 1, "data", report)
  reads_text = any(rows.source.HasField("csv")
                   for rows in row_sets.every(data, "train"))
  feature_checks.check(data.feature, needs_sources and reads_text, report)
  if data.HasField("resampling"):
    _check_resampling(data.resampling, experiment.model.task, report)


def _check_resampling(resampling, tasks, report) -> None:
  path = "data.resampling"
  usable = {task.name: task for task in tasks
            if task.WhichOneof("head") in ("binary", "multiclass", "ordinal")
            and outline.has_label(task)}
  if resampling.task not in usable:
    report(f"{path}.task", f"found '{resampling.task}'; allowed: a binary, "
           "multiclass or ordinal task"
           + (config.nearest(resampling.task, usable)
              or f": {', '.join(usable) or 'there is none'}"))
    return
  shares = resampling.fraction
  count = outline.class_count(usable[resampling.task])
  if shares and count and len(shares) != count:
    report(f"{path}.fraction", f"found {len(shares)}; allowed: {count}, one "
           "per class, or none")
  for i, share in enumerate(shares):
    if not share > 0:
      report(f"{path}.fraction[{i}]", f"found {share:g}; allowed: above 0")
  if shares and abs(sum(shares) - 1) > 1e-6:
    report(f"{path}.fraction", f"found shares that add up to {sum(shares):g}; "
           "allowed: to 1")
