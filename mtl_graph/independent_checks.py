"""Finds what is wrong with the independent training of an experiment."""

from typing import Sequence

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import optimizer_checks
from mtl_graph.protos import experiment_pb2


def check(experiment: experiment_pb2.Experiment, variables: Sequence[str],
          report: field_checks.Report) -> None:
  """Reports what is wrong with `training.independent` and what goes with it.

  Args:
    experiment: The experiment.
    variables: Names of the trainable variables.
    report: Takes a field's path and its problem.
  """
  training = experiment.training
  field_checks.at_least(training, "num_rounds", 1, "training", report)
  for field in ("num_steps", "num_epochs"):
    if training.HasField(field):
      report(f"training.{field}", f"found {getattr(training, field)}; allowed: "
             "in joint training only; independent training takes num_rounds")
  if training.summaries.gradient_cosine:
    report("training.summaries.gradient_cosine", "found it in independent "
           "training; allowed: in joint training")
  if experiment.data.HasField("mixing"):
    report("data.mixing", "found it in independent training; allowed: in joint "
           "training, as here each task states its source")
  names = [task.name for task in experiment.model.task]
  for i, group in enumerate(training.group):
    if group.name in names:
      # What a task trains is a group of its name.
      report(f"training.group[{i}].name", f"found '{group.name}', the name of "
             "a task; allowed: another one")
    if not group.frozen:
      report(f"training.group[{i}]", "found a group that is not frozen; "
             "allowed: frozen ones, as each task trains what it reaches")
  frozen = [scope for group in training.group for scope in group.scope]
  if variables and all(any((v + "/").startswith(s + "/") for s in frozen)
                       for v in variables):
    report("training.group", "found all variables frozen; allowed: at least "
           "one that is trained")
  _check_tasks(experiment, report)


def _check_tasks(experiment, report) -> None:
  """Reports tasks that are listed wrongly, or not at all."""
  path, training = "training.independent.task", experiment.training
  trained = [t.name for t in experiment.model.task if not t.no_loss]
  seen = set()
  for i, task in enumerate(training.independent.task):
    where = f"{path}[{i}]"
    if task.name not in trained:
      report(f"{where}.name", f"no task '{task.name}' that has a loss; allowed:"
             f" {', '.join(trained) or 'none'}"
             f"{config.nearest(task.name, trained)}")
    elif task.name in seen:
      report(f"{where}.name", f"found '{task.name}' a second time; allowed: "
             "each task once")
    seen.add(task.name)
    _check_task(experiment, task, where, report)
  missing = [name for name in trained if name not in seen]
  if missing:
    report(path, f"found nothing of {', '.join(missing)}; allowed: every task "
           "with a loss, with iterations: 0 if it is not trained")
  if seen and not any(t.iterations > 0 for t in training.independent.task):
    report(path, "found iterations: 0 on every task; allowed: at least one "
           "that is trained")


def _check_task(experiment, task, path, report) -> None:
  """Reports what is wrong with one task's share."""
  training, data = experiment.training, experiment.data
  field_checks.at_least(task, "iterations", 0, path, report)
  if task.HasField("optimizer"):
    optimizer_checks.check(task.optimizer, f"{path}.optimizer", report)
  elif not training.HasField("default_optimizer"):
    report(f"{path}.optimizer", "found nothing; required, as there is no "
           "training.default_optimizer")
  if task.HasField("batch_size"):
    field_checks.at_least(task, "batch_size", 1, path, report)
  optimizer_checks.check_clipping(task, path, report)
  optimizer_checks.check_weight_decay(
      task, task.optimizer if task.HasField("optimizer")
      else training.default_optimizer, path, report)
  if not task.HasField("source"):
    return
  names = [source.name for source in data.source
           if not source.task or task.name in source.task]
  if task.source not in names:
    report(f"{path}.source", f"no source '{task.source}' that labels task "
           f"'{task.name}'; allowed: " + (", ".join(names) or "none, as there "
                                          "is no such source")
           + config.nearest(task.source, names))
