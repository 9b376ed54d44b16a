"""The names an experiment gives rise to, known before any graph is built."""

import collections
import math
from typing import Dict, Iterable, List, Optional, Sequence

from mtl_graph import layer_outline
from mtl_graph import sharing_outline
from mtl_graph import task_graph
from mtl_graph import vocabularies
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import features_pb2
from mtl_graph.protos import joint_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.protos import training_pb2

# The metrics of a task by the kind of its head, `loss` being its task loss.
METRICS = {
    "binary": ("loss", "auc", "pr_auc", "log_loss", "accuracy", "precision",
               "recall", "f1", "calibration"),
    "multiclass": ("loss", "log_loss", "accuracy", "f1"),
    "multilabel": ("loss", "auc", "pr_auc", "log_loss", "accuracy", "f1"),
    "regression": ("loss", "rmse", "mae", "r2", "normalized_mse"),
    "count": ("loss", "rmse", "mae", "poisson_deviance", "calibration"),
    "ordinal": ("loss", "log_loss", "accuracy", "mae", "kappa"),
    "quantiles": ("loss", "quantile_loss", "coverage"),
}

# The forms in which an estimate can be fed forward, by the kind of head.
_CLASS_FORMS = (model_pb2.Estimate.PROBABILITY, model_pb2.Estimate.LOGIT)
ESTIMATE_FORMS = {
    "binary": _CLASS_FORMS,
    "multiclass": _CLASS_FORMS,
    "multilabel": _CLASS_FORMS,
    "regression": (model_pb2.Estimate.VALUE,),
    "count": (model_pb2.Estimate.VALUE,),
    "ordinal": _CLASS_FORMS,
    "quantiles": (model_pb2.Estimate.VALUE,),
}


def build(experiment: experiment_pb2.Experiment,
          report: Optional[layer_outline.Report] = None
          ) -> layer_outline.Outline:
  """Goes through an experiment as the graph is built, over shapes alone.

  An experiment with problems is gone through as far as it makes sense, so that
  names can be checked beside everything else.

  Args:
    experiment: The experiment, valid or not.
    report: Called with a field path and a problem where shapes do not fit.

  Returns:
    A `layer_outline.Outline`.
  """
  report = report or (lambda *unused: None)
  outline = layer_outline.empty()
  model = experiment.model
  shape = _features(experiment.data.feature, outline, report)
  if experiment.data.feature and not any(map(is_deep, experiment.data.feature)):
    _report_idle(model, report)
  shapes = sharing_outline.build(model, shape, outline, report)
  places = {task.name: i for i, task in enumerate(model.task)}
  before_head = {}  # Shape of what each task's head reads.
  for name in task_graph.order(model.task):
    task, path = model.task[places[name]], f"model.task[{places[name]}]"
    if task.HasField("product"):
      outline.tensors[f"head/{name}"] = (1,)
      continue
    read = shapes[name]
    if task.estimate and len(read) != 1:
      if layer_outline.is_known(read):
        report(f"{path}.estimate", "found it beside an image of "
               f"{layer_outline.describe(read)}; allowed: where the shared "
               "part ends in a vector")
      read = (0, 0, 0)
    elif task.estimate:
      read = (read[0] + sum(
          _estimate_width(model.task[places[e.task]], e.form)
          for e in task.estimate if e.task in places),)
    read = layer_outline.build(task.tower.layer, f"tower/{name}", read, outline,
                               f"{path}.tower", report)
    if len(read) != 1 and layer_outline.is_known(read):
      report(path, "found an image of "
             f"{layer_outline.describe(read)} before the head; allowed: a "
             "vector, as flatten or global pooling makes it")
    if task.HasField("transfer"):
      _transfer(task, before_head.get(task.transfer.task, (0,))[-1], read[-1],
                outline)
    before_head[name] = read
    _head(task, read[-1], experiment.data.feature, outline)
    if task.HasField("head_function"):
      outline.functions[f"head/{name}"] = f"{path}.head_function"
  if experiment.training.joint.loss.WhichOneof("kind") == "uncertainty":
    for task in model.task:
      if not task.no_loss:
        outline.variables[f"log_variance/{task.name}"] = []
  return outline


def kernel_of(grad_norm: joint_pb2.GradNorm, variables: Iterable[str]) -> str:
  """Returns the name of the kernel by which GradNorm measures gradients.

  Args:
    grad_norm: The `GradNorm` message.
    variables: Names of the trainable variables.

  Returns:
    The one that is stated, else that of the trunk's last layer; "" if there is
    none.
  """
  kernels = [name for name in variables
             if name.startswith("trunk/") and name.endswith("/kernel")]
  return grad_norm.kernel or (kernels[-1] if kernels else "")


def _report_idle(model, report) -> None:
  """Reports layers without any input, where no feature is in the deep part."""
  kind, idle = model.WhichOneof("sharing"), {}
  if kind == "hard_sharing":
    idle = sharing_outline.stacks_of(model)
  elif kind:
    report(f"model.{kind}", "found it with nothing to read, as no feature is in"
           " the deep part; allowed: hard_sharing without layers")
  reading = {task.name for task in model.task if task.estimate}
  for i, task in enumerate(model.task):
    if task.name not in reading:
      idle[f"model.task[{i}].tower"] = task.tower.layer
    if task.HasField("transfer") and not reading.issuperset(
        [task.name, task.transfer.task]):
      report(f"model.task[{i}].transfer", "found it with nothing to take over, "
             "as no feature is in the deep part; allowed: between tasks that "
             "read estimates")
  for path, layers in idle.items():
    if layers:
      report(path, "found layers that have nothing to read, as no feature is "
             "in the deep part; allowed: none")


def _features(features, outline, report) -> layer_outline.Shape:
  """Adds the features and returns the shape of all of them together."""
  shapes = collections.OrderedDict()
  for i, feature in enumerate(features):
    if not is_deep(feature):
      continue
    shape = feature_shape(feature)
    if feature.WhichOneof("kind") in ("categorical", "cross"):
      _embedding(feature, outline)
    if has_tensor(feature):
      outline.tensors[f"embedding/{feature.name}"] = shape
    shapes[i] = layer_outline.build(
        feature.encoder.layer, f"encoder/{feature.name}", shape, outline,
        f"data.feature[{i}].encoder", report)
  if not shapes:
    return (0,)
  joined = layer_outline.side_by_side(list(shapes.values()))
  if joined is not None:
    return joined
  first = next(iter(shapes.values()))
  for i, shape in shapes.items():
    if shape[:-1] != first[:-1]:
      if layer_outline.is_known(shape) and layer_outline.is_known(first):
        report(f"data.feature[{i}]", "found "
               + " beside ".join(layer_outline.describe(s)
                                 for s in (shape, first))
               + "; allowed: features that are all vectors, or all images of "
               "one size, as an encoder with flatten or global pooling makes "
               "them")
      break
  return (0,)


def feature_shape(feature: features_pb2.Feature) -> layer_outline.Shape:
  """Returns the shape of a row of a feature, before its encoder."""
  kind = feature.WhichOneof("kind")
  if kind == "numeric":
    return (feature.numeric.size,)
  if kind == "image":
    return (feature.image.height, feature.image.width, feature.image.channels)
  if kind is None:
    return (0,)
  recurrent = recurrent_of(feature)
  if recurrent is not None:
    return (getattr(feature.categorical.values, recurrent).units,)
  message = getattr(feature, kind)
  if message.WhichOneof("representation") == "embedding_dimension":
    return (message.embedding_dimension,)
  return (table_rows(feature),)


def recurrent_of(feature: features_pb2.Feature) -> Optional[str]:
  """Returns "lstm" or "gru" if one reads the feature's categories."""
  pooling = feature.categorical.values.WhichOneof("pooling")
  return pooling if pooling in ("lstm", "gru") else None


def largest_product(experiment: experiment_pb2.Experiment) -> float:
  """Returns the multiplications and additions of the largest matrix product.

  ```
    2 batch_size rows columns
  ```

  of the largest kernel of a dense or recurrent layer; infinity where there is a
  convolution, which multiplies its kernel with every place of an image, or a
  Python function.

  Args:
    experiment: The experiment, valid.
  """
  found = build(experiment)
  # What functions of Python multiply, only the graph knows.
  sizes = [math.inf if found.functions else 1]
  for name, shape in found.variables.items():
    if name.endswith("/kernel"):
      sizes.append(math.prod(shape) if len(shape) == 2 else math.inf)
  batch_size = max([experiment.data.batch_size, *(
      task.batch_size for task in experiment.training.independent.task)])
  return 2.0 * batch_size * max(sizes)


def table_rows(feature: features_pb2.Feature) -> int:
  """Returns how many categories a feature has, the unknown one counted."""
  if feature.WhichOneof("kind") == "cross":
    return feature.cross.hash_buckets  # Every combination is known.
  return vocabularies.category_count(feature.categorical) + 1


def has_tensor(feature: features_pb2.Feature) -> bool:
  """Returns whether `embedding/<feature>` is a tensor of the network."""
  kind = feature.WhichOneof("kind")
  return (kind in ("categorical", "cross") and getattr(
      feature, kind).WhichOneof("representation") == "embedding_dimension")


def table_of(feature: features_pb2.Feature) -> str:
  """Returns the scope of a feature's table of embeddings."""
  shared = (feature.categorical.shared_embedding
            if feature.WhichOneof("kind") == "categorical" else "")
  return f"embedding/{shared or feature.name}"


def _embedding(feature, outline) -> None:
  """Adds a table of embeddings, and the recurrent layer that reads it."""
  message = getattr(feature, feature.WhichOneof("kind"))
  width = table_rows(feature)
  if has_tensor(feature):
    width = message.embedding_dimension
    name = f"{table_of(feature)}/embeddings"
    outline.variables[name] = [table_rows(feature), width]
    if message.HasField("regularization"):
      outline.penalties[name] = message.regularization
  recurrent = recurrent_of(feature)
  if recurrent is None:
    return
  units = getattr(message.values, recurrent).units
  scope = f"embedding/{feature.name}/{recurrent}"
  gates = ({"": 4} if recurrent == "lstm" else {"gates/": 2, "candidate/": 1})
  for gate, count in gates.items():
    outline.variables[f"{scope}/{gate}kernel"] = [width + units, count * units]
    outline.variables[f"{scope}/{gate}bias"] = [count * units]


def _head(task, width, features, outline) -> None:
  """Adds a task's head and its wide part."""
  units, scope, score = (logit_count(task), f"head/{task.name}",
                         score_count(task))
  if not task.HasField("head_function"):
    outline.variables[f"{scope}/kernel"] = [width, score]
    if task.WhichOneof("head") != "ordinal":
      outline.variables[f"{scope}/bias"] = [units]
  for feature in features:
    if is_wide(feature):
      rows = (feature.numeric.size if feature.WhichOneof("kind") == "numeric"
              else table_rows(feature))
      outline.variables[f"wide/{task.name}/{feature.name}/weights"] = [
          rows, score]
  if task.WhichOneof("head") == "ordinal":
    outline.variables[f"{scope}/thresholds"] = [units]
  outline.tensors[scope] = (units,)


def _transfer(task, earlier, width, outline) -> None:
  """Adds what a task takes over from an earlier one."""
  scope = f"transfer/{task.name}"
  outline.variables[f"{scope}/information/kernel"] = [earlier, width]
  outline.variables[f"{scope}/information/bias"] = [width]
  for name in ("value", "key", "query"):
    outline.variables[f"{scope}/{name}/kernel"] = [width, width]
    outline.variables[f"{scope}/{name}/bias"] = [width]


def is_deep(feature: features_pb2.Feature) -> bool:
  """Returns whether a feature goes into the shared part of the network."""
  return feature.use in (features_pb2.Feature.DEEP,
                         features_pb2.Feature.WIDE_AND_DEEP)


def is_wide(feature: features_pb2.Feature) -> bool:
  """Returns whether a feature goes into the tasks' linear models."""
  return feature.use in (features_pb2.Feature.WIDE,
                         features_pb2.Feature.WIDE_AND_DEEP)


def logit_count(task: model_pb2.Task) -> int:
  """Returns how many logits a task has per row."""
  head = task.WhichOneof("head")
  if head in ("multiclass", "multilabel"):
    return vocabularies.class_count(getattr(task, head))
  if head == "ordinal":
    return max(vocabularies.class_count(task.ordinal) - 1, 0)
  if head == "regression":
    return task.regression.size
  if head == "quantiles":
    return len(task.quantiles.level)
  return 1


def score_count(task: model_pb2.Task) -> int:
  """Returns how many scores a task's logits are made of, per row."""
  return 1 if task.WhichOneof("head") == "ordinal" else logit_count(task)


def class_count(task: model_pb2.Task) -> int:
  """Returns how many classes a label is one of; 0 where it is none of any."""
  head = task.WhichOneof("head")
  if head == "binary":
    return 2
  if head in ("multiclass", "ordinal"):
    return vocabularies.class_count(getattr(task, head))
  return 0


def batches_of_step(training: training_pb2.Training) -> int:
  """Returns how many batches a process takes in a step, on all its devices."""
  return training.accumulate_batches * max(len(training.execution.device), 1)


def has_label(task: model_pb2.Task) -> bool:
  """Returns whether a task's label is read: one without a loss may have none.
  """
  return not task.no_loss or task.HasField("label")


def label_width(task: model_pb2.Task) -> int:
  """Returns how many numbers a task's label is made of."""
  if task.WhichOneof("head") in ("multilabel", "regression"):
    return logit_count(task)
  return 1


def label_slices(tasks: Sequence[model_pb2.Task]) -> Dict[str, slice]:
  """Returns the columns of each task in the matrix of all labels."""
  slices, start = collections.OrderedDict(), 0
  for task in tasks:
    slices[task.name] = slice(start, start + label_width(task))
    start += label_width(task)
  return slices


def metric_names(experiment: experiment_pb2.Experiment) -> List[str]:
  """Returns every metric of the tasks with a label, as `<task>/<metric>`."""
  configured = {m.task: m for m in experiment.evaluation.task_metrics}
  names = []
  for task in filter(has_label, experiment.model.task):
    head = task.WhichOneof("head")
    names += [f"{task.name}/{metric}" for metric in METRICS.get(head, ())]
    names += [f"{task.name}/{metric}" for metric in task_metric_names(
        head, configured.get(task.name))]
  return names


def task_metric_names(head: str, metrics) -> List[str]:
  """Returns the names of the metrics a `TaskMetrics` adds, None of none."""
  if metrics is None:
    return []
  names = []
  if head == "binary":
    for at in ([f"{t:g}" for t in metrics.threshold]
               + [f"top_{k}" for k in metrics.k]):
      names += [f"precision_at_{at}", f"recall_at_{at}"]
    if metrics.group_column:
      names.append("grouped_auc")
  elif head == "multiclass":
    names += [f"top_{k}_accuracy" for k in metrics.k]
  elif head == "regression":
    names += [f"quantile_loss_{q:g}" for q in metrics.quantile]
  return names


def _estimate_width(task: model_pb2.Task, form) -> int:
  head = task.WhichOneof("head")
  if form not in ESTIMATE_FORMS.get(head, ()):
    return 0
  # An ordinal task has a threshold less than it has classes.
  of_classes = head == "ordinal" and form == model_pb2.Estimate.PROBABILITY
  return logit_count(task) + of_classes
