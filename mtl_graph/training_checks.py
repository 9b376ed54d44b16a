"""Finds what is wrong with the training of an experiment."""

import re
from typing import Collection, Sequence

from mtl_graph import cluster_checks
from mtl_graph import field_checks
from mtl_graph import independent_checks
from mtl_graph import joint_checks
from mtl_graph import optimizer_checks
from mtl_graph import ownership
from mtl_graph import row_sets
from mtl_graph import warm_start_checks
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import training_pb2

_DEVICE = re.compile(r"[cg]pu:\d+")


def check(experiment: experiment_pb2.Experiment, variables: Sequence[str],
          report: field_checks.Report, penalized: Collection[str] = ()) -> None:
  """Reports what is wrong with `training`.

  Args:
    experiment: The experiment.
    variables: Names of the trainable variables.
    report: Takes a field's path and its problem.
    penalized: Names of those that bear a penalty.
  """
  training = experiment.training
  mode = field_checks.kind_of(training, "mode", "training", report)
  if mode == "independent":
    independent_checks.check(experiment, variables, report)
  elif mode == "joint":
    _check_length(training, report)
    if training.HasField("num_rounds"):
      report("training.num_rounds", f"found {training.num_rounds}; allowed: in "
             "independent training only; joint training takes num_steps")
    joint_checks.check(experiment, variables, report)
  _check_groups(training, report)
  owned = _claim(training, variables, report)
  _check_lazy(training, owned, penalized, report)
  field_checks.at_least(training.checkpoint, "every_steps", 0,
                        "training.checkpoint", report)
  field_checks.at_least(training.checkpoint, "keep", 1, "training.checkpoint",
                        report)
  field_checks.at_least(training, "log_every_steps", 1, "training", report)
  field_checks.at_least(training.execution, "steps_per_block", 1,
                        "training.execution", report)
  _check_execution(training.execution, report)
  _check_devices(training, report)
  if training.summaries.gradient_cosine and row_sets.is_streamed(
      experiment.data):
    report("training.summaries.gradient_cosine", "found it with data.input.kind"
           ": STREAMED; allowed: with RESIDENT")
  field_checks.at_least(training, "accumulate_batches", 1, "training", report)
  if training.accumulate_batches > 1:
    _check_dense(training, report)
  if training.HasField("moving_average"):
    decay = training.moving_average.decay
    if not 0 < decay < 1:
      found = (f"{decay:g}" if training.moving_average.HasField("decay")
               else "nothing")
      report("training.moving_average.decay", f"found {found}; allowed: above 0"
             " and below 1")
  for i, warm_start in enumerate(training.warm_start):
    warm_start_checks.check(warm_start, f"training.warm_start[{i}]", variables,
                            report)
  if training.HasField("cluster"):
    cluster_checks.check(training, report)


def _check_length(training, report) -> None:
  """Reports unless exactly one field says how long joint training is."""
  if not training.HasField("num_epochs"):
    field_checks.at_least(training, "num_steps", 1, "training", report)
    return
  field_checks.above_zero(training, "num_epochs", "training", report)
  if training.HasField("num_steps"):
    report("training.num_epochs", f"found {training.num_epochs:g} beside "
           f"num_steps: {training.num_steps}; allowed: one of them")


def _check_execution(execution, report) -> None:
  path = "training.execution"
  for field in ("intra_op_threads", "inter_op_threads"):
    field_checks.at_least(execution, field, 0, path, report)
  share = execution.gpu_memory_fraction
  if execution.HasField("gpu_memory_fraction") and not 0 < share <= 1:
    report(f"{path}.gpu_memory_fraction", f"found {share:g}; allowed: above 0, "
           "at most 1")


def _check_devices(training, report) -> None:
  """Reports devices that are none, and what does without them."""
  execution, path = training.execution, "training.execution.device"
  for i, device in enumerate(execution.device):
    if not _DEVICE.fullmatch(device):
      report(f"{path}[{i}]", f"found '{device}'; allowed: cpu:0, gpu:0, gpu:1 "
             "and so on")
    elif device in execution.device[:i]:
      report(f"{path}[{i}]", f"found '{device}' twice; allowed: each once")
  if not execution.device:
    return
  mode = training_pb2.Execution.Mode.Name(execution.mode)
  if mode not in ("AUTO", "SESSION"):
    report(path, f"found it with training.execution.mode: {mode}; allowed: "
           "with SESSION or AUTO")
  if training.HasField("cluster"):
    report(path, "found it with training.cluster; allowed: a process for each "
           "device, or training on one machine")


def _check_dense(training, report) -> None:
  """Reports lazy optimizers where the gradients of batches are added up."""
  for path, optimizer in [
      ("training.default_optimizer", training.default_optimizer)] + [
          (f"training.group[{i}].optimizer", group.optimizer)
          for i, group in enumerate(training.group)] + [
              (f"training.independent.task[{i}].optimizer", task.optimizer)
              for i, task in enumerate(training.independent.task)]:
    if optimizer.WhichOneof("kind") == "lazy_adam":
      report(f"{path}.lazy_adam", "found it with accumulate_batches: "
             f"{training.accumulate_batches}; allowed: adam, or one batch per "
             "step")


def _claim(training, variables, report):
  """Reports variables in no group or in several; returns those of each group.
  """
  if training.WhichOneof("mode") == "independent":
    # What no group claims is trained by each task that reaches it.
    claimed = ownership.claim(training.group, variables, lambda path, problem:
                              path == "training.group"
                              or report(path, problem))
    frozen = {name for names in claimed.values() for name in names}
    return {task.name: [v for v in variables if v not in frozen]
            for task in training.independent.task}
  if not training.group:
    return {"": variables}
  return ownership.claim(training.group, variables, report)


def _check_groups(training, report) -> None:
  if training.HasField("default_optimizer"):
    optimizer_checks.check(training.default_optimizer,
                           "training.default_optimizer", report)
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
      optimizer_checks.check(group.optimizer, f"{path}.optimizer", report)
    elif not group.frozen and not training.HasField("default_optimizer") and (
        training.WhichOneof("mode") != "independent"):
      report(f"{path}.optimizer", "found nothing; required, as there is no "
             "training.default_optimizer")
    field_checks.at_least(group, "start_step", 0, path, report)
    if group.frozen and group.start_step:
      report(f"{path}.start_step", f"found {group.start_step} on a frozen group"
             "; allowed: frozen or start_step")
    if group.frozen:
      for field in ("clipping", "weight_decay"):
        if group.HasField(field):
          report(f"{path}.{field}", "found one on a frozen group; allowed: "
                 "none")
      continue
    optimizer_checks.check_clipping(group, path, report)
    optimizer_checks.check_weight_decay(
        group, group.optimizer if group.HasField("optimizer")
        else training.default_optimizer, path, report)
  if training.group and training.WhichOneof("mode") != "independent":
    if all(group.frozen for group in training.group):
      report("training.group", "found only frozen groups; allowed: at least "
             "one that is trained")


def _check_lazy(training, owned, penalized, report) -> None:
  """Reports tables under a lazy optimizer whose gradient is in every row."""
  optimizers = {g.name: (f"training.group[{i}].optimizer", g.optimizer)
                for i, g in enumerate(training.group)
                if g.HasField("optimizer") or g.frozen}
  optimizers.update(
      (t.name, (f"training.independent.task[{i}].optimizer", t.optimizer))
      for i, t in enumerate(training.independent.task)
      if t.HasField("optimizer"))
  default = ("training.default_optimizer", training.default_optimizer)
  for group, variables in owned.items():
    path, optimizer = optimizers.get(group, default)
    tables = [v for v in variables
              if v.endswith("/embeddings") and v in penalized]
    if optimizer.WhichOneof("kind") == "lazy_adam" and tables:
      report(f"{path}.lazy_adam", f"found it for '{tables[0]}', which bears a "
             "penalty; allowed: adam, or no regularization")
