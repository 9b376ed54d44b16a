"""Finds what is wrong with the training of an experiment."""

from typing import Collection, Optional, Sequence

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import outline as outline_lib
from mtl_graph import ownership
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import training_pb2


def check(training: training_pb2.Training, variables: Sequence[str],
          report: field_checks.Report) -> None:
  """Reports what is wrong with `training`, given the variables' names."""
  mode = field_checks.kind_of(training, "mode", "training", report)
  if mode == "independent":
    report("training.independent", f"{field_checks.NOT_BUILT}; allowed: joint")
  elif mode == "joint":
    field_checks.at_least(training, "num_steps", 1, "training", report)
    if training.HasField("num_rounds"):
      report("training.num_rounds", f"found {training.num_rounds}; allowed: in "
             "independent training only; joint training takes num_steps")
    loss = field_checks.kind_of(training.joint.loss, "kind",
                                "training.joint.loss", report)
    if loss == "uncertainty":
      _check_uncertainty(training.joint.loss.uncertainty, report)
    if training.joint.HasField("gradient_balancing"):
      report("training.joint.gradient_balancing",
             f"{field_checks.NOT_BUILT}; allowed: leave it out")
  _check_groups(training, variables, report)
  field_checks.at_least(training.checkpoint, "every_steps", 0,
                        "training.checkpoint", report)
  field_checks.at_least(training.checkpoint, "keep", 1, "training.checkpoint",
                        report)
  field_checks.at_least(training, "log_every_steps", 1, "training", report)
  field_checks.at_least(training.execution, "steps_per_block", 1,
                        "training.execution", report)
  built = (training_pb2.Execution.AUTO, training_pb2.Execution.SESSION)
  if training.execution.mode not in built:
    name = training_pb2.Execution.Mode.Name
    report("training.execution.mode", f"found {name(training.execution.mode)}, "
           f"which {field_checks.NOT_BUILT}; allowed: "
           f"{', '.join(name(b) for b in built)}")


def _check_uncertainty(uncertainty, report) -> None:
  path = "training.joint.loss.uncertainty"
  low, high = uncertainty.min_log_variance, uncertainty.max_log_variance
  if not low < high:
    report(f"{path}.min_log_variance", f"found {low:g}; allowed: below "
           f"max_log_variance, {high:g}")
  elif not low <= uncertainty.initial_log_variance <= high:
    report(f"{path}.initial_log_variance",
           f"found {uncertainty.initial_log_variance:g}; allowed: {low:g} to "
           f"{high:g}")


def _check_groups(training, variables: Sequence[str], report) -> None:
  if training.HasField("default_optimizer"):
    _check_optimizer(training.default_optimizer, "training.default_optimizer",
                     report)
  elif not training.group and training.WhichOneof("mode") != "independent":
    report("training.default_optimizer",
           "found nothing; required where no group is given")
  field_checks.names(training.group, "training.group", report, reserved=())
  for i, group in enumerate(training.group):
    path = f"training.group[{i}]"
    if not group.scope:
      report(f"{path}.scope", "found none; allowed: at least one scope")
    if group.frozen and group.HasField("optimizer"):
      report(f"{path}.optimizer", "found one on a frozen group; allowed: none")
    elif group.HasField("optimizer"):
      _check_optimizer(group.optimizer, f"{path}.optimizer", report)
    elif not group.frozen and not training.HasField("default_optimizer"):
      report(f"{path}.optimizer", "found nothing; required, as there is no "
             "training.default_optimizer")
    if group.frozen and group.HasField("clipping"):
      report(f"{path}.clipping", "found one on a frozen group; allowed: none")
    elif group.HasField("clipping"):
      kind = field_checks.kind_of(group.clipping, "kind", f"{path}.clipping",
                                  report)
      if kind is not None:
        field_checks.above_zero(group.clipping, kind, f"{path}.clipping",
                                report)
  if training.group:
    if all(group.frozen for group in training.group):
      report("training.group", "found only frozen groups; allowed: at least "
             "one that is trained")
    ownership.claim(training.group, variables, report)


def _check_optimizer(optimizer, path, report) -> None:
  kind = field_checks.kind_of(optimizer, "kind", path, report)
  if kind != "adam":
    return
  adam, path = optimizer.adam, f"{path}.adam"
  _check_learning_rate(adam.learning_rate, f"{path}.learning_rate", report)
  for field in ("beta1", "beta2"):
    if not 0 <= getattr(adam, field) < 1:
      report(f"{path}.{field}", f"found {getattr(adam, field)}; allowed: at "
             "least 0 and below 1")
  field_checks.above_zero(adam, "epsilon", path, report)


def _check_learning_rate(rate, path, report) -> None:
  kind = field_checks.kind_of(rate, "kind", path, report)
  if kind == "constant":
    field_checks.at_least(rate, "constant", 0, path, report)
  elif kind == "exponential_decay":
    decay, path = rate.exponential_decay, f"{path}.exponential_decay"
    if not decay.HasField("initial"):
      report(f"{path}.initial", "found nothing; required, at least 0")
    field_checks.at_least(decay, "initial", 0, path, report)
    field_checks.at_least(decay, "decay_steps", 1, path, report)
    field_checks.above_zero(decay, "decay_rate", path, report)


def check_evaluation(experiment: experiment_pb2.Experiment,
                     arrays: Optional[Collection[str]],
                     report: field_checks.Report) -> None:
  """Reports what is wrong with `evaluation`; `arrays` as `validation.check`."""
  evaluation = experiment.evaluation
  field_checks.at_least(evaluation, "every_steps", 0, "evaluation", report)
  field_checks.at_least(evaluation, "batch_size", 1, "evaluation", report)
  metrics = outline_lib.metric_names(experiment.model.task)
  for field in ("best", "early_stopping"):
    if not evaluation.HasField(field):
      continue
    rule, path = getattr(evaluation, field), f"evaluation.{field}"
    if rule.metric not in metrics:
      report(f"{path}.metric", f"no metric '{rule.metric}'; allowed: "
             f"{', '.join(metrics)}{config.nearest(rule.metric, metrics)}")
    if rule.goal == training_pb2.GOAL_UNSPECIFIED:
      report(f"{path}.goal", "found nothing; allowed: MAXIMIZE or MINIMIZE")
    if not ("validation" in arrays if arrays is not None
            else experiment.data.HasField("validation")):
      report(path, "found it without data.validation; allowed: with validation "
             "rows only")
    if evaluation.every_steps == 0:
      report(path, "found it with evaluation.every_steps: 0; allowed: with "
             "every_steps of at least 1")
  if evaluation.HasField("early_stopping"):
    path = "evaluation.early_stopping"
    field_checks.at_least(evaluation.early_stopping, "patience", 1, path,
                          report)
    field_checks.at_least(evaluation.early_stopping, "min_delta", 0, path,
                          report)
