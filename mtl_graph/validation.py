"""Finds everything wrong with an experiment before anything is built."""

import collections
import glob
import math
import os
import re
from typing import Callable, Collection, List, Optional, Sequence

from mtl_graph import config
from mtl_graph import outline as outline_lib
from mtl_graph import ownership
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.protos import training_pb2

RESERVED_NAMES = ("shared", "total", "serving_default", "predict_examples")
_FLOAT32_MAX = 3.4028234e38
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NOT_BUILT = "parses, but this version does not build it"

Report = Callable[[str, str], None]


def check(experiment: experiment_pb2.Experiment,
          arrays: Optional[Collection[str]] = None) -> None:
  """Raises all problems of an experiment at once.

  Args:
    experiment: The experiment.
    arrays: Names of the splits handed over in Python; None: rows come from the
      sources that the experiment names.

  Raises:
    ConfigErrors: If there is any problem, with a line for each.
  """
  errors = []

  def report(path: str, problem: str) -> None:
    errors.append(config.ConfigError(path, problem))

  for field in ("data", "model", "training"):
    if not experiment.HasField(field):
      report(field, "found nothing; required")
  if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", experiment.name):
    report("name", f"found '{experiment.name}'; allowed: letters, digits, '_', "
           "'-' and '.', at least one")
  if not 0 <= experiment.seed < 2 ** 31:
    report("seed", f"found {experiment.seed}; allowed: 0 to 2147483647")
  _check_finite(experiment, "", report)
  _check_data(experiment.data, arrays is None, report)
  _check_model(experiment.model, experiment.training, report)
  outline = outline_lib.build(experiment)
  for i, name in enumerate(experiment.model.stop_gradient):
    if name not in outline.tensors:
      report(f"model.stop_gradient[{i}]", f"no tensor '{name}'; allowed: the "
             "output of a layer by its scope"
             + (config.nearest(name, outline.tensors) or "; there are: "
                + ", ".join(outline.tensors)))
  _check_training(experiment.training, list(outline.variables), report)
  _check_evaluation(experiment, arrays, report)
  _at_least(experiment.serving, "warmup_requests", 0, "serving", report)
  if errors:
    raise config.ConfigErrors(errors)


def _at_least(message, field, low, path, report) -> None:
  value = getattr(message, field)
  if value < low:
    found = value if message.HasField(field) else "nothing"
    report(f"{path}.{field}", f"found {found}; allowed: at least {low}")


def _above_zero(message, field, path, report) -> None:
  value = getattr(message, field)
  if not value > 0:
    found = value if message.HasField(field) else "nothing"
    report(f"{path}.{field}", f"found {found}; allowed: above 0")


def _kind(message, oneof, path, report):
  """Returns which member of a required oneof is set; reports if none is."""
  kind = message.WhichOneof(oneof)
  if kind is None:
    names = [f.name for f in message.DESCRIPTOR.oneofs_by_name[oneof].fields]
    report(path, f"found no {oneof}; allowed: one of {', '.join(names)}")
  return kind


def _check_finite(message, path, report) -> None:
  """Reports every number of the experiment that is NaN or infinite."""
  for field, value in message.ListFields():
    where = f"{path}.{field.name}" if path else field.name
    if field.message_type is not None:
      elements = (enumerate(value) if field.is_repeated else [(None, value)])
      for i, element in elements:
        _check_finite(element, where if i is None else f"{where}[{i}]", report)
    elif isinstance(value, float) and not math.isfinite(value):
      report(where, f"found {value}; allowed: a finite number")
    elif isinstance(value, float) and abs(value) > _FLOAT32_MAX:
      report(where, f"found {value}; allowed: what fits 32-bit floating point")


def _check_names(messages, path, report, reserved=RESERVED_NAMES) -> None:
  """Checks that names are well formed, not reserved and unique."""
  seen = set()
  for i, message in enumerate(messages):
    where, name = f"{path}[{i}].name", message.name
    if not _NAME.fullmatch(name):
      report(where, f"found '{name}'; allowed: a lower-case letter, then "
             "lower-case letters, digits and '_'")
    elif name in reserved:
      report(where, f"found '{name}', which is reserved; allowed: any name but "
             + ", ".join(reserved))
    elif name in seen:
      report(where, f"found '{name}' a second time; allowed: each name once")
    seen.add(name)


def _check_data(data, needs_sources, report) -> None:
  if needs_sources and not data.HasField("train"):
    report("data.train", "found nothing; required")
  for split in ("train", "validation", "test"):
    if data.HasField(split) and needs_sources:
      _check_source(getattr(data, split), f"data.{split}", report)
  _at_least(data, "batch_size", 1, "data", report)
  if not data.feature:
    report("data.feature", "found none; allowed: at least one")
  _check_names(data.feature, "data.feature", report)
  for i, feature in enumerate(data.feature):
    path = f"data.feature[{i}]"
    kind = _kind(feature, "kind", path, report)
    if kind == "numeric":
      _at_least(feature.numeric, "size", 1, f"{path}.numeric", report)
      if needs_sources and data.train.HasField("csv") and (
          feature.numeric.size > 1):
        report(f"{path}.numeric.size", f"found {feature.numeric.size}; "
               "allowed: 1 from .csv files, more from .npz files")
    elif kind == "categorical":
      _at_least(feature.categorical, "embedding_dimension", 1,
                f"{path}.categorical", report)
      _check_domain(feature.categorical, ("num_buckets", "hash_buckets"), 1,
                    f"{path}.categorical", report)


def _check_source(source, path, report) -> None:
  kind = _kind(source, "kind", path, report)
  if kind is None:
    return
  files = getattr(source, kind)
  if not files.path:
    report(f"{path}.{kind}.path", "found none; allowed: at least one path")
  for i, pattern in enumerate(files.path):
    if not glob.glob(pattern):
      report(f"{path}.{kind}.path[{i}]", f"no file matches '{pattern}' from "
             f"{os.getcwd()}; allowed: an existing file or a glob"
             + _nearest_file(pattern))
  if kind == "csv" and files.header_file:
    _check_file(files, "header_file", f"{path}.csv", report)


def _check_file(message, field, path, report) -> None:
  name = getattr(message, field)
  if not os.path.isfile(name):
    report(f"{path}.{field}", f"no file '{name}'; allowed: an existing file"
           + _nearest_file(name))


def _nearest_file(name: str) -> str:
  folder = os.path.dirname(name) or "."
  if not os.path.isdir(folder):
    return ""
  return config.nearest(os.path.basename(name), sorted(os.listdir(folder)))


def _check_domain(message, counts, least, path, report) -> None:
  """Checks the fields of which exactly one says which values there are."""
  fields = counts + ("vocabulary", "vocabulary_file")
  present = [f for f in fields if (len(message.vocabulary) if f == "vocabulary"
                                   else message.HasField(f))]
  if len(present) != 1:
    report(path, f"found {' and '.join(present) or 'none'} of "
           f"{', '.join(fields)}; allowed: exactly one")
    return
  if present[0] in counts:
    _at_least(message, present[0], least, path, report)
    return
  if present[0] == "vocabulary_file":
    _check_file(message, "vocabulary_file", path, report)
  try:
    entries = outline_lib.vocabulary(message)
  except (OSError, UnicodeDecodeError):
    if os.path.isfile(message.vocabulary_file):
      report(f"{path}.vocabulary_file",
             f"'{message.vocabulary_file}' cannot be read; allowed: UTF-8 text")
    return
  if len(entries) < least:
    report(f"{path}.{present[0]}",
           f"found {len(entries)} entries; allowed: at least {least}")
  if "" in entries:
    report(f"{path}.{present[0]}", "found ''; allowed: any entry but '', which "
           "stands for a missing value")
  repeated = [e for e, count in collections.Counter(entries).items()
              if count > 1]
  if repeated:
    report(f"{path}.{present[0]}",
           f"found '{min(repeated)}' more than once; allowed: each entry once")


def _check_model(model, training, report) -> None:
  kind = _kind(model, "sharing", "model", report)
  if kind == "hard_sharing":
    _check_stack(model.hard_sharing.trunk, "model.hard_sharing.trunk", report)
  elif kind is not None:
    report(f"model.{kind}", f"{_NOT_BUILT}; allowed: hard_sharing")
  if not model.task:
    report("model.task", "found none; allowed: at least one")
  _check_names(model.task, "model.task", report)
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
    _at_least(task, "weight", 0, path, report)
  cycle = outline_lib.estimate_cycle(model.task)
  if cycle:
    report("model.task.estimate", f"found the cycle {' <- '.join(cycle)}; "
           "allowed: estimates without cycles")


def _check_stack(stack: model_pb2.LayerStack, path, report) -> None:
  for i, layer in enumerate(stack.layer):
    where = f"{path}.layer[{i}]"
    kind = _kind(layer, "kind", where, report)
    if kind == "dense":
      _at_least(layer.dense, "units", 1, f"{where}.dense", report)
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
  _above_zero(label, "scale", f"{path}.label", report)


def _check_head(task, path, report) -> None:
  head = _kind(task, "head", path, report)
  if head == "regression":
    _above_zero(task.regression, "huber_delta", f"{path}.regression", report)
    if (task.regression.HasField("huber_delta")
        and task.regression.loss != model_pb2.Regression.HUBER):
      report(f"{path}.regression.huber_delta", "found it without loss: HUBER; "
             "allowed: with that loss only")
  elif head == "multiclass":
    _check_domain(task.multiclass, ("num_classes",), 2, f"{path}.multiclass",
                  report)


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


def _check_training(training, variables: List[str], report) -> None:
  mode = _kind(training, "mode", "training", report)
  if mode == "independent":
    report("training.independent", f"{_NOT_BUILT}; allowed: joint")
  elif mode == "joint":
    _at_least(training, "num_steps", 1, "training", report)
    if training.HasField("num_rounds"):
      report("training.num_rounds", f"found {training.num_rounds}; allowed: in "
             "independent training only; joint training takes num_steps")
    loss = _kind(training.joint.loss, "kind", "training.joint.loss", report)
    if loss == "uncertainty":
      _check_uncertainty(training.joint.loss.uncertainty, report)
    if training.joint.HasField("gradient_balancing"):
      report("training.joint.gradient_balancing",
             f"{_NOT_BUILT}; allowed: leave it out")
  _check_groups(training, variables, report)
  _at_least(training.checkpoint, "every_steps", 0, "training.checkpoint",
            report)
  _at_least(training.checkpoint, "keep", 1, "training.checkpoint", report)
  _at_least(training, "log_every_steps", 1, "training", report)
  _at_least(training.execution, "steps_per_block", 1, "training.execution",
            report)
  built = (training_pb2.Execution.AUTO, training_pb2.Execution.SESSION)
  if training.execution.mode not in built:
    name = training_pb2.Execution.Mode.Name
    report("training.execution.mode", f"found {name(training.execution.mode)}, "
           f"which {_NOT_BUILT}; allowed: {', '.join(name(b) for b in built)}")


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
  _check_names(training.group, "training.group", report, reserved=())
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
      kind = _kind(group.clipping, "kind", f"{path}.clipping", report)
      if kind is not None:
        _above_zero(group.clipping, kind, f"{path}.clipping", report)
  if training.group:
    if all(group.frozen for group in training.group):
      report("training.group", "found only frozen groups; allowed: at least "
             "one that is trained")
    ownership.claim(training.group, variables, report)


def _check_optimizer(optimizer, path, report) -> None:
  kind = _kind(optimizer, "kind", path, report)
  if kind != "adam":
    return
  adam, path = optimizer.adam, f"{path}.adam"
  _check_learning_rate(adam.learning_rate, f"{path}.learning_rate", report)
  for field in ("beta1", "beta2"):
    if not 0 <= getattr(adam, field) < 1:
      report(f"{path}.{field}", f"found {getattr(adam, field)}; allowed: at "
             "least 0 and below 1")
  _above_zero(adam, "epsilon", path, report)


def _check_learning_rate(rate, path, report) -> None:
  kind = _kind(rate, "kind", path, report)
  if kind == "constant":
    _at_least(rate, "constant", 0, path, report)
  elif kind == "exponential_decay":
    decay, path = rate.exponential_decay, f"{path}.exponential_decay"
    if not decay.HasField("initial"):
      report(f"{path}.initial", "found nothing; required, at least 0")
    _at_least(decay, "initial", 0, path, report)
    _at_least(decay, "decay_steps", 1, path, report)
    _above_zero(decay, "decay_rate", path, report)


def _check_evaluation(experiment, arrays, report) -> None:
  evaluation = experiment.evaluation
  _at_least(evaluation, "every_steps", 0, "evaluation", report)
  _at_least(evaluation, "batch_size", 1, "evaluation", report)
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
    _at_least(evaluation.early_stopping, "patience", 1, path, report)
    _at_least(evaluation.early_stopping, "min_delta", 0, path, report)
