"""Finds what is wrong with the optimizers of an experiment."""

from mtl_graph import field_checks
from mtl_graph.protos import optimizers_pb2

# A field's name says what it may hold, the same in every optimizer.
_SHARES = ("beta1", "beta2", "momentum", "decay", "rho")
_ABOVE_ZERO = ("epsilon", "initial_accumulator_value",
               "initial_gradient_squared_accumulator_value")
_AT_LEAST_ZERO = ("weight_decay", "l1", "l2", "l2_shrinkage", "beta")
_AT_MOST_ZERO = ("learning_rate_power",)

# They make the variable anew out of sums of gradients, so that what was taken
# off it before comes back.
_WITHOUT_DECAY = ("adagrad_da", "ftrl")

# At rate zero these do not stand still: the first two set the variable to zero,
# the third's kernel refuses to run.
_RATE_ABOVE_ZERO = ("adagrad_da", "ftrl", "proximal_adagrad")


def check(optimizer: optimizers_pb2.Optimizer, path: str,
          report: field_checks.Report) -> None:
  """Reports what is wrong with an optimizer and its learning rate."""
  kind = field_checks.kind_of(optimizer, "kind", path, report)
  if kind is None:
    return
  rule, path = getattr(optimizer, kind), f"{path}.{kind}"
  check_learning_rate(rule.learning_rate, f"{path}.learning_rate", report,
                       may_be_zero=kind not in _RATE_ABOVE_ZERO)
  for field in rule.DESCRIPTOR.fields:
    value = getattr(rule, field.name)
    if field.name in _SHARES and not 0 <= value < 1:
      report(f"{path}.{field.name}",
             f"found {value}; allowed: at least 0 and below 1")
    elif field.name in _ABOVE_ZERO:
      field_checks.above_zero(rule, field.name, path, report)
    elif field.name in _AT_LEAST_ZERO:
      field_checks.at_least(rule, field.name, 0, path, report)
    elif field.name in _AT_MOST_ZERO and value > 0:
      report(f"{path}.{field.name}", f"found {value}; allowed: at most 0")


def check_weight_decay(group, optimizer: optimizers_pb2.Optimizer, path: str,
                       report: field_checks.Report) -> None:
  """Reports what is wrong with the weight decay of a group.

  Args:
    group: A group that is trained, or a task of independent training.
    optimizer: Its own optimizer, or else the default one.
    path: Where the group sits.
    report: Takes a field path and a problem.
  """
  field_checks.at_least(group, "weight_decay", 0, path, report)
  kind = optimizer.WhichOneof("kind")
  if group.weight_decay > 0 and kind in _WITHOUT_DECAY:
    report(f"{path}.weight_decay", f"found {group.weight_decay} with {kind}, "
           "which does not keep what is taken off; allowed: 0, or l2 of "
           f"{kind}")


def check_learning_rate(rate: optimizers_pb2.LearningRate, path: str,
                        report: field_checks.Report, may_be_zero: bool = True
                        ) -> None:
  """Reports what is wrong with a learning rate.

  Args:
    rate: The `LearningRate` message.
    path: Where it sits.
    report: Takes a field path and a problem.
    may_be_zero: Whether its values may be 0.
  """
  def from_zero(message, field, path):
    if may_be_zero:
      field_checks.at_least(message, field, 0, path, report)
    else:
      field_checks.above_zero(message, field, path, report)

  def initial(message, path):
    if message.HasField("initial"):
      from_zero(message, "initial", path)
    else:
      least = "at least 0" if may_be_zero else "above 0"
      report(f"{path}.initial", f"found nothing; required, {least}")

  def alpha(message, path):
    low = 0 <= message.alpha if may_be_zero else 0 < message.alpha
    if not (low and message.alpha <= 1):
      least = "0 to 1" if may_be_zero else "above 0, at most 1"
      report(f"{path}.alpha", f"found {message.alpha}; allowed: {least}")

  if rate.HasField("warm_up"):
    field_checks.at_least(rate.warm_up, "steps", 1, f"{path}.warm_up", report)
  kind = field_checks.kind_of(rate, "kind", path, report)
  if kind is None:
    return
  if kind == "constant":
    from_zero(rate, "constant", path)
    return
  schedule, path = getattr(rate, kind), f"{path}.{kind}"
  if kind == "piecewise":
    _check_piecewise(schedule, path, report, may_be_zero)
    return
  initial(schedule, path)
  if kind == "cosine_restarts":
    field_checks.at_least(schedule, "first_decay_steps", 1, path, report)
    field_checks.at_least(schedule, "t_mul", 1, path, report)
    field_checks.above_zero(schedule, "m_mul", path, report)
    alpha(schedule, path)
    return
  field_checks.at_least(schedule, "decay_steps", 1, path, report)
  if kind == "exponential_decay":
    field_checks.above_zero(schedule, "decay_rate", path, report)
  elif kind == "cosine_decay":
    alpha(schedule, path)
  elif kind == "polynomial_decay":
    from_zero(schedule, "end", path)
    field_checks.above_zero(schedule, "power", path, report)


def _check_piecewise(piecewise, path, report, may_be_zero) -> None:
  boundaries, values = piecewise.boundary, piecewise.value
  if not boundaries:
    report(f"{path}.boundary", "found none; allowed: at least one")
  elif boundaries[0] < 0:
    report(f"{path}.boundary[0]", f"found {boundaries[0]}; allowed: at least 0")
  for i in range(1, len(boundaries)):
    if not boundaries[i - 1] < boundaries[i]:
      report(f"{path}.boundary[{i}]", f"found {boundaries[i]}; allowed: above "
             f"the one before, {boundaries[i - 1]}")
  if len(values) != len(boundaries) + 1:
    report(f"{path}.value", f"found {len(values)}; allowed: "
           f"{len(boundaries) + 1}, one more than boundaries")
  for i, value in enumerate(values):
    if value < 0 or value == 0 and not may_be_zero:
      report(f"{path}.value[{i}]", f"found {value}; allowed: "
             f"{'at least 0' if may_be_zero else 'above 0'}")


def check_clipping(message, path: str, report: field_checks.Report) -> None:
  """Reports what is wrong with `clipping` of a group or a task.

  Args:
    message: A message with the field `clipping`.
    path: Where it sits in the experiment.
    report: Takes a field's path and its problem.
  """
  if message.HasField("clipping"):
    where = f"{path}.clipping"
    kind = field_checks.kind_of(message.clipping, "kind", where, report)
    if kind is not None:
      field_checks.above_zero(message.clipping, kind, where, report)
