"""Finds what is wrong with tasks that are made of, or taken over from, others.
"""

from typing import Sequence, Set

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import task_graph
from mtl_graph.protos import model_pb2

# Fields of a task that is a product: it has no layers of its own.
_OF_OWN_LAYERS = ("tower", "estimate", "reads", "transfer", "head_function")

# Fields of a task that are about its loss.
_OF_LOSSES = ("weight", "additional_loss", "loss_function")


def check(task: model_pb2.Task, model: model_pb2.Model, path: str,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `product`, `transfer`, `no_loss` and `reads`.

  Args:
    task: The task.
    model: The model that it belongs to.
    path: Where the task sits in the experiment.
    report: Takes a field's path and its problem.
  """
  if task.reads and model.WhichOneof("sharing") not in ("hard_sharing", None):
    report(f"{path}.reads", "found it beside another sharing; allowed: under "
           "hard_sharing")
  others = {other.name: other for other in model.task
            if other.name != task.name}
  if task.HasField("product"):
    _check_product(task, others, path, report)
  if task.HasField("transfer"):
    _check_transfer(task, others, f"{path}.transfer", report)
  if task.no_loss:
    if task.name not in _trained(model.task):
      report(f"{path}.no_loss", "found it on a task that nothing else trains; "
             "allowed: on a factor of a product, or where an estimate with "
             "stop_gradient: false is read, of tasks that are trained")
    for field in _OF_LOSSES:
      if _is_set(task, field):
        report(f"{path}.{field}", "found it beside no_loss; allowed: on tasks "
               "with a loss")


def _trained(tasks: Sequence[model_pb2.Task]) -> Set[str]:
  """Returns the names of the tasks whose logits a loss reaches."""
  reads = {task.name: [*task.product.task, *(
      e.task for e in task.estimate if not e.stop_gradient)] for task in tasks}
  found, pending = set(), task_graph.with_loss(tasks)
  while pending:
    name = pending.pop()
    if name in reads and name not in found:
      found.add(name)
      pending += reads[name]
  return found


def _is_set(task, field) -> bool:
  return any(f.name == field for f, _ in task.ListFields())


def _check_product(task, others, path, report) -> None:
  if task.WhichOneof("head") not in ("binary", None):
    report(f"{path}.product", "found it on "
           f"{field_checks.a_task(task.WhichOneof('head'))}; allowed: on a "
           "binary task")
  for field in _OF_OWN_LAYERS:
    if _is_set(task, field):
      report(f"{path}.{field}", "found it beside product; allowed: on tasks "
             "with layers of their own")
  factors = list(task.product.task)
  if len(factors) < 2:
    report(f"{path}.product.task", f"found {len(factors)}; allowed: at least "
           "2")
  for i, name in enumerate(factors):
    where = f"{path}.product.task[{i}]"
    _check_other(name, others, where, report, ("binary",))
    if name in factors[:i]:
      report(where, f"found '{name}' a second time; allowed: each once")


def _check_transfer(task, others, path, report) -> None:
  transfer = task.transfer
  earlier = others.get(transfer.task)
  _check_other(transfer.task, others, f"{path}.task", report)
  if earlier is not None and earlier.HasField("product"):
    report(f"{path}.task", f"found '{transfer.task}', which is a product; "
           "allowed: a task with a tower or a head of its own")
  field_checks.at_least(transfer, "calibration_weight", 0, path, report)
  heads = {task.WhichOneof("head"),
           earlier.WhichOneof("head") if earlier is not None else "binary"}
  if transfer.calibration_weight and heads != {"binary"}:
    report(f"{path}.calibration_weight",
           f"found {transfer.calibration_weight:g} where not both tasks are "
           "binary; allowed: 0")


def _check_other(name, others, path, report, heads=()) -> None:
  """Reports a name that is not that of another task of one of some kinds."""
  allowed = [other for other, message in others.items()
             if not heads or message.WhichOneof("head") in heads]
  if name not in allowed:
    report(path, f"found '{name}'; allowed: another "
           + "".join(f"{head} " for head in heads) + "task"
           + (config.nearest(name, allowed)
              or f": {', '.join(allowed) or 'there is none'}"))
