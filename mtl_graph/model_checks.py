"""Finds what is wrong with the model of an experiment."""

from typing import Collection

from mtl_graph import chain_checks
from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import layer_checks
from mtl_graph import outline as outline_lib
from mtl_graph import python_functions
from mtl_graph import sharing_checks
from mtl_graph import source_checks
from mtl_graph import task_graph
from mtl_graph.protos import model_pb2
from mtl_graph.protos import training_pb2

# The kinds of head that a field of a label is for.
_HEADS_OF_LABELS = {
    "greater_than": ("binary",),
    "positive_value": ("binary",),
    "log1p": ("regression", "quantiles"),
    "scale": ("regression", "quantiles"),
    "ignore_value": ("binary", "regression", "multiclass", "multilabel",
                     "ordinal", "count", "quantiles"),
    "separator": ("regression", "multilabel"),
}


def check(model: model_pb2.Model, training: training_pb2.Training,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `model`, given how it is trained."""
  sharing_checks.check(model, report)
  if not model.task:
    report("model.task", "found none; allowed: at least one")
  field_checks.names(model.task, "model.task", report)
  weighted = training.joint.loss.WhichOneof("kind") == "weighted_sum"
  for i, task in enumerate(model.task):
    path = f"model.task[{i}]"
    _check_label(task, model.task, path, report)
    _check_head(task, path, report)
    layer_checks.check(task.tower.layer, f"{path}.tower", report)
    _check_estimates(task, model.task, path, report)
    chain_checks.check(task, model, path, report)
    if task.HasField("weight") and not weighted:
      report(f"{path}.weight", f"found {task.weight:g}; allowed: only under "
             "training.joint.loss.weighted_sum")
    field_checks.at_least(task, "weight", 0, path, report)
  if model.task and all(task.no_loss for task in model.task):
    report("model.task.no_loss", "found it on every task; allowed: at least "
           "one with a loss")
  cycle = task_graph.cycle(model.task)
  if cycle:
    report("model.task", f"found tasks that read each other, "
           f"{' <- '.join(cycle)}; allowed: no cycles")


def check_held(model: model_pb2.Model, tensors: Collection[str],
               report: field_checks.Report) -> None:
  """Reports names in `model.stop_gradient` that no tensor bears."""
  for i, name in enumerate(model.stop_gradient):
    if name not in tensors:
      report(f"model.stop_gradient[{i}]", f"no tensor '{name}'; allowed: the "
             "output of a layer by its scope"
             + (config.nearest(name, tensors) or "; there are: "
                + ", ".join(tensors)))


def _check_label(task, tasks, path, report) -> None:
  label, head = task.label, task.WhichOneof("head")
  path = f"{path}.label"
  for field, heads in _HEADS_OF_LABELS.items():
    if label.HasField(field) and head is not None and head not in heads:
      report(f"{path}.{field}", f"found it on {field_checks.a_task(head)}; "
             f"allowed: on {', '.join(heads)} tasks only")
  if label.HasField("positive_value"):
    for field in ("greater_than", "ignore_value"):
      if label.HasField(field):
        report(path, f"found {field} and positive_value; allowed: at most one "
               "of them")
    if not label.positive_value:
      report(f"{path}.positive_value", "found ''; allowed: any string but '', "
             "which stands for no label")
  if (label.HasField("ignore_value") and head is not None
      and _has_vocabulary(task)):
    report(f"{path}.ignore_value", "found it beside a vocabulary; allowed: "
           "where the column holds numbers")
  field_checks.above_zero(label, "scale", path, report)
  _check_columns(task, label, path, report)
  if not label.separator:
    report(f"{path}.separator", "found ''; allowed: at least one character")
  binary = [other.name for other in tasks
            if other.WhichOneof("head") == "binary" and other.name != task.name]
  for i, condition in enumerate(label.only_when):
    where = f"{path}.only_when[{i}]"
    what = field_checks.kind_of(condition, "what", where, report)
    if what == "column":
      source_checks.check_condition(condition.column, f"{where}.column", report)
    elif what == "task" and condition.task not in binary:
      report(f"{where}.task", f"found '{condition.task}'; allowed: another "
             "binary task"
             + (config.nearest(condition.task, binary)
                or f": {', '.join(binary) or 'there is none'}"))
    elif what == "task" and not all(
        outline_lib.has_label(other) for other in tasks
        if other.name == condition.task):
      report(f"{where}.task", f"found '{condition.task}', which has no label; "
             "allowed: a task with one")


def _check_columns(task, label, path, report) -> None:
  """Reports columns of a label that do not make up its numbers."""
  names, width = list(label.column), outline_lib.label_width(task)
  several = width > 1 and not _has_vocabulary(task)
  if len(names) > 1 and not (several and len(names) == width):
    report(f"{path}.column", f"found {len(names)}; allowed: one"
           + (f", or {width}, one per number" if several else ""))
  for i, name in enumerate(names):
    if not name or name in names[:i]:
      report(f"{path}.column[{i}]", f"found '{name}'"
             + (" a second time" if name else "") + "; allowed: the name of a "
             "column, each once")


def _has_vocabulary(task) -> bool:
  head = task.WhichOneof("head")
  message = getattr(task, head) if head else None
  return bool(getattr(message, "vocabulary", None)
              or getattr(message, "vocabulary_file", None))


def _check_head(task, path, report) -> None:
  head = field_checks.kind_of(task, "head", path, report)
  if head is None:
    return
  message, where = getattr(task, head), f"{path}.{head}"
  _check_loss(task, head, message, where, report)
  if head == "regression":
    field_checks.at_least(message, "size", 1, where, report)
  elif head in ("multiclass", "ordinal"):
    field_checks.domain(message, ("num_classes",), {"": 2}, where, report)
  elif head == "multilabel":
    field_checks.domain(message, ("num_labels",), {}, where, report)
  elif head == "quantiles":
    if not message.level:
      report(f"{where}.level", "found none; allowed: at least one")
    for i, level in enumerate(message.level):
      if not 0 < level < 1:
        report(f"{where}.level[{i}]", f"found {level:g}; allowed: above 0 and "
               "below 1")
      elif i and not message.level[i - 1] < level:
        report(f"{where}.level[{i}]", f"found {level:g} behind "
               f"{message.level[i - 1]:g}; allowed: rising numbers")
  for i, additional in enumerate(task.additional_loss):
    _check_additional(task, head, additional, f"{path}.additional_loss[{i}]",
                      report)
  if task.HasField("head_function"):
    python_functions.check(task.head_function, f"{path}.head_function", report,
                           ["inputs"], layer_checks.OFFERED)
  if task.HasField("loss_function"):
    python_functions.check(task.loss_function, f"{path}.loss_function", report,
                           ["labels", "logits"])


def _check_additional(task, head, additional, path, report) -> None:
  field_checks.at_least(additional, "weight", 0, path, report)
  kind = field_checks.kind_of(additional, "kind", path, report)
  if kind is None:
    return
  if kind != head:
    report(f"{path}.{kind}", f"found it on {field_checks.a_task(head)}; "
           "allowed: a loss of the head's own kind")
    return
  message = getattr(additional, kind)
  for field, _ in message.ListFields():
    if field.name in ("size", "num_classes", "vocabulary", "vocabulary_file"):
      report(f"{path}.{kind}.{field.name}", "found it in an additional loss; "
             "allowed: in the head only")
  _check_loss(task, kind, message, f"{path}.{kind}", report)


def _check_loss(task, head, message, path, report) -> None:
  """Reports what is wrong with the fields that say what the loss is."""
  if head == "regression":
    field_checks.above_zero(message, "huber_delta", path, report)
    if (message.HasField("huber_delta")
        and message.loss != model_pb2.Regression.HUBER):
      report(f"{path}.huber_delta", "found it without loss: HUBER; allowed: "
             "with that loss only")
  if head in ("binary", "multiclass", "multilabel"):
    field_checks.share(message, "label_smoothing", path, report)
    if message.HasField("focal"):
      field_checks.at_least(message.focal, "gamma", 0, f"{path}.focal", report)
  if head == "binary":
    field_checks.above_zero(message, "pos_weight", path, report)
  for field, low, of in (("class_weight", "at least 0", "multiclass"),
                         ("pos_weight", "above 0", "multilabel")):
    if head != of:
      continue
    factors, count = getattr(message, field), outline_lib.logit_count(task)
    if factors and count and len(factors) != count:
      report(f"{path}.{field}", f"found {len(factors)}; allowed: {count}, one "
             "per class, or none")
    elif of == "multiclass" and factors and not any(factors):
      report(f"{path}.{field}", "found only 0; allowed: at least one above 0")
    for i, factor in enumerate(factors):
      if factor < 0 or (factor == 0 and low == "above 0"):
        report(f"{path}.{field}[{i}]", f"found {factor:g}; allowed: {low}")


def _check_estimates(task, tasks, path, report) -> None:
  heads = {other.name: other.WhichOneof("head") for other in tasks}
  seen = set()
  for i, estimate in enumerate(task.estimate):
    where = f"{path}.estimate[{i}]"
    if estimate.task not in heads:
      names = [n for n in heads if n != task.name]
      report(f"{where}.task", f"no task '{estimate.task}'; allowed: "
             f"{', '.join(names) or 'none, there is one task'}"
             f"{config.nearest(estimate.task, names)}")
      continue
    allowed = outline_lib.ESTIMATE_FORMS.get(heads[estimate.task], ())
    if heads[estimate.task] is not None and estimate.form not in allowed:
      form = model_pb2.Estimate.Form
      report(f"{where}.form", f"found {form.Name(estimate.form)} of "
             f"{field_checks.a_task(heads[estimate.task])}; allowed: "
             f"{', '.join(form.Name(f) for f in allowed)}")
    if (estimate.task, estimate.form) in seen:
      report(where, f"found the estimate of '{estimate.task}' a second time; "
             "allowed: each form of it once")
    seen.add((estimate.task, estimate.form))
