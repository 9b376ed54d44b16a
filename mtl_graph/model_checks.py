"""Finds what is wrong with the model of an experiment."""

from typing import Collection

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import outline as outline_lib
from mtl_graph.protos import model_pb2
from mtl_graph.protos import training_pb2


def check(model: model_pb2.Model, training: training_pb2.Training,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `model`, given how it is trained."""
  kind = field_checks.kind_of(model, "sharing", "model", report)
  if kind == "hard_sharing":
    _check_stack(model.hard_sharing.trunk, "model.hard_sharing.trunk", report)
  elif kind is not None:
    report(f"model.{kind}", f"{field_checks.NOT_BUILT}; allowed: hard_sharing")
  if not model.task:
    report("model.task", "found none; allowed: at least one")
  field_checks.names(model.task, "model.task", report)
  weighted = training.joint.loss.WhichOneof("kind") == "weighted_sum"
  for i, task in enumerate(model.task):
    path = f"model.task[{i}]"
    _check_label(task, path, report)
    _check_head(task, path, report)
    _check_stack(task.tower, f"{path}.tower", report)
    _check_estimates(task, model.task, path, report)
    if task.HasField("weight") and not weighted:
      report(f"{path}.weight", f"found {task.weight:g}; allowed: only under "
             "training.joint.loss.weighted_sum")
    field_checks.at_least(task, "weight", 0, path, report)
  cycle = outline_lib.estimate_cycle(model.task)
  if cycle:
    report("model.task.estimate", f"found the cycle {' <- '.join(cycle)}; "
           "allowed: estimates without cycles")


def check_held(model: model_pb2.Model, tensors: Collection[str],
               report: field_checks.Report) -> None:
  """Reports names in `model.stop_gradient` that no tensor bears."""
  for i, name in enumerate(model.stop_gradient):
    if name not in tensors:
      report(f"model.stop_gradient[{i}]", f"no tensor '{name}'; allowed: the "
             "output of a layer by its scope"
             + (config.nearest(name, tensors) or "; there are: "
                + ", ".join(tensors)))


def _check_stack(stack: model_pb2.LayerStack, path, report) -> None:
  for i, layer in enumerate(stack.layer):
    where = f"{path}.layer[{i}]"
    kind = field_checks.kind_of(layer, "kind", where, report)
    if kind == "dense":
      field_checks.at_least(layer.dense, "units", 1, f"{where}.dense", report)
    elif kind == "dropout" and not (layer.dropout.HasField("rate")
                                    and 0 <= layer.dropout.rate < 1):
      found = (layer.dropout.rate if layer.dropout.HasField("rate")
               else "nothing")
      report(f"{where}.dropout.rate",
             f"found {found}; allowed: at least 0 and below 1")


def _check_label(task, path, report) -> None:
  label, head = task.label, task.WhichOneof("head")
  for field, heads in (("greater_than", ("binary",)),
                       ("positive_value", ("binary",)),
                       ("log1p", ("regression",)),
                       ("scale", ("regression",)),
                       ("ignore_value", ("binary", "regression"))):
    if label.HasField(field) and head is not None and head not in heads:
      report(f"{path}.label.{field}", f"found it on a {head} task; allowed: on "
             f"{' and '.join(heads)} tasks only")
  for field in ("greater_than", "ignore_value"):
    if label.HasField(field) and label.HasField("positive_value"):
      report(f"{path}.label", f"found {field} and positive_value; allowed: "
             "at most one of them")
  field_checks.above_zero(label, "scale", f"{path}.label", report)


def _check_head(task, path, report) -> None:
  head = field_checks.kind_of(task, "head", path, report)
  if head == "regression":
    field_checks.above_zero(task.regression, "huber_delta",
                            f"{path}.regression", report)
    if (task.regression.HasField("huber_delta")
        and task.regression.loss != model_pb2.Regression.HUBER):
      report(f"{path}.regression.huber_delta", "found it without loss: HUBER; "
             "allowed: with that loss only")
  elif head == "multiclass":
    field_checks.domain(task.multiclass, ("num_classes",), 2,
                        f"{path}.multiclass", report)


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
      report(f"{where}.form", f"found {form.Name(estimate.form)} of a "
             f"{heads[estimate.task]} task; allowed: "
             f"{', '.join(form.Name(f) for f in allowed)}")
    if (estimate.task, estimate.form) in seen:
      report(where, f"found the estimate of '{estimate.task}' a second time; "
             "allowed: each form of it once")
    seen.add((estimate.task, estimate.form))
