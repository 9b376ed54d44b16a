"""Finds what is wrong with how the tasks' gradients become one."""

from mtl_graph import field_checks
from mtl_graph import task_graph
from mtl_graph.protos import experiment_pb2

_PATH = "training.joint.gradient_balancing"
# What keeps a number for each element of each task's gradient.
TRACKING = frozenset(["moco", "excess_mtl", "db_mtl"])
# What remembers something from one batch for the next.
_REMEMBERING = TRACKING | {"gradvac", "sdmgrad"}
# Whose direction is the same however long each gradient is.
_OF_ANGLES = frozenset(["imtl_g", "nash_mtl", "config", "db_mtl"])
# Which do nothing but make gradients longer or shorter.
_OF_LENGTHS = frozenset(["grad_norm", "random_weights"])


def check(experiment: experiment_pb2.Experiment,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `training.joint.gradient_balancing`.

  Args:
    experiment: The experiment.
    report: Takes a field's path and its problem.
  """
  training = experiment.training
  message = training.joint.gradient_balancing
  kind = field_checks.kind_of(message, "kind", _PATH, report)
  if len(task_graph.with_loss(experiment.model.task)) < 2:
    report(_PATH, "found it with one task; allowed: with two that have a loss, "
           "or more")
  field_checks.at_least(message, "every_steps", 1, _PATH, report)
  if kind is None:
    return
  path = f"{_PATH}.{kind}"
  _check_numbers(kind, getattr(message, kind), path, report)
  at_representation = message.at == message.REPRESENTATION
  if message.granularity == message.LAYER and (
      at_representation or message.every_steps > 1):
    report(f"{_PATH}.granularity", "found LAYER with "
           + ("at: REPRESENTATION" if at_representation
              else f"every_steps: {message.every_steps}")
           + "; allowed: WHOLE_MODEL, as one pass through the shared variables "
           "takes one weight per task")
  if at_representation and kind in TRACKING:
    report(f"{_PATH}.at", f"found REPRESENTATION with {kind}, which keeps a "
           "number for each element from step to step, where the rows are "
           "others; allowed: PARAMETERS")
  if message.every_steps > 1 and (kind in TRACKING or kind == "graddrop"):
    report(f"{_PATH}.every_steps", f"found {message.every_steps} with {kind}, "
           + ("which has no weights to use again" if kind == "graddrop"
              else "which looks at every step's gradients") + "; allowed: 1")
  if training.accumulate_batches > 1 and (
      kind in _REMEMBERING or message.every_steps > 1):
    report(_PATH, f"found {kind}" + (
        "" if kind in _REMEMBERING else f", every_steps: {message.every_steps}")
           + f" with training.accumulate_batches: {training.accumulate_batches}"
           "; allowed: one batch per step")
  _check_composition(kind, training.joint.loss.WhichOneof("kind"), path, report)


def _check_numbers(kind, own, path, report) -> None:
  """Reports numbers out of range."""
  above_zero = {"fairgrad": ["alpha"], "moco": ["beta", "gamma"],
                "excess_mtl": ["step_size"], "sdmgrad": ["learning_rate"]}
  not_below_zero = {"moco": ["beta_decay", "gamma_decay", "rho"],
                    "sdmgrad": ["lamda"], "db_mtl": ["beta_decay"]}
  shares = {"cagrad": ["c"], "sdmgrad": ["momentum"], "db_mtl": ["beta"]}
  up_to_one = {"gradvac": ["beta"], "graddrop": ["leak"]}
  for field in above_zero.get(kind, ()):
    field_checks.above_zero(own, field, path, report)
  for field in not_below_zero.get(kind, ()):
    field_checks.at_least(own, field, 0, path, report)
  for field in shares.get(kind, ()):
    field_checks.share(own, field, path, report)
  for field in up_to_one.get(kind, ()):
    if not 0 <= getattr(own, field) <= 1:
      report(f"{path}.{field}", f"found {getattr(own, field):g}; allowed: from "
             "0 to 1")
  if kind == "moco" and own.beta > 1:
    report(f"{path}.beta", f"found {own.beta:g}; allowed: above 0 and at most "
           "1")
  if kind == "sdmgrad":
    field_checks.at_least(own, "num_iterations", 1, path, report)


def _check_composition(kind, weighting, path, report) -> None:
  """Reports a weighting beside which the method makes no sense."""
  if weighting == "famo":
    report(path, "found it with training.joint.loss.famo, which learns from what"
           " a step along its own weighted sum did to the losses; allowed: one "
           "of the two")
  if weighting in _OF_LENGTHS and kind in _OF_ANGLES:
    report(path, f"found it with training.joint.loss.{weighting}, which sets how"
           " long gradients are, and this does not look at that; allowed: one "
           "of the two")
