"""Measures predictions: all tasks, further metrics, slices of the rows."""

import collections
import math
from typing import Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from mtl_graph import outline
from mtl_graph import vocabularies
from mtl_graph.data import batches
from mtl_graph.evaluation import metrics as metrics_lib
from mtl_graph.evaluation import task_metrics
from mtl_graph.protos import evaluation_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import model_pb2

# Metric by name, by task.
Metrics = Dict[str, Dict[str, float]]

# Predictions by key, by task.
Predictions = Mapping[str, Mapping[str, np.ndarray]]


class Confusion(NamedTuple):
  """Rows of a task by label and by predicted class.

  Attributes:
    classes: Names of the classes.
    matrix: Summed weights, a row per label, shape `[C, C]`.
  """
  classes: List[str]
  matrix: np.ndarray


class Measured(NamedTuple):
  """What a set of rows was measured to be.

  Attributes:
    metrics: Metrics by task and name.
    slices: Rows and metrics by value, by column of `evaluation.slice`.
    confusion: A `Confusion` by task, where one is asked for.
  """
  metrics: Metrics
  slices: Dict[str, Dict[str, "Slice"]]
  confusion: Dict[str, Confusion]


class Record(NamedTuple):
  """What goes along with a checkpoint that is exported.

  Attributes:
    step: Its global step.
    metrics: Metrics by split, task and name.
    digests: Fingerprints of the rows by split.
  """
  step: int
  metrics: Dict[str, Metrics]
  digests: Dict[str, str]


class Slice(NamedTuple):
  """The rows that hold one value.

  Attributes:
    rows: How many they are.
    metrics: Metrics by task and name.
  """
  rows: int
  metrics: Metrics


def tasks(experiment: experiment_pb2.Experiment, batch: batches.Batch,
          predictions: Predictions, row_losses: np.ndarray,
          groups: Mapping[str, np.ndarray],
          chosen: Optional[np.ndarray] = None) -> Metrics:
  """Measures every task, each over the rows that bear its label.

  Args:
    experiment: The experiment.
    batch: A `Batch` of arrays with all rows of a set.
    predictions: What the model says of them.
    row_losses: Loss of each task on each row, shape `[N, T]`.
    groups: Columns that rows are grouped by.
    chosen: Which rows are measured, boolean, shape `[N]`; None: all.

  Returns:
    Metrics by name and task; `loss` is the task loss over the whole set.
  """
  further = {m.task: m for m in experiment.evaluation.task_metrics}
  slices = outline.label_slices(experiment.model.task)
  results = collections.OrderedDict()
  for t, task in enumerate(experiment.model.task):
    rows = batch.weights[:, t] > 0
    if chosen is not None:
      rows &= chosen
    weights = batch.weights[rows, t].astype(np.float64)
    losses = row_losses[rows, t].astype(np.float64)
    values = collections.OrderedDict(
        loss=float(np.average(losses, weights=weights)) if len(losses)
        else math.nan)
    labels = batch.labels[rows, slices[task.name]]
    estimates = _estimates(task, {key: array[rows] for key, array in
                                  predictions[task.name].items()})
    values.update(_of_head(task, labels, estimates, weights))
    if task.name in further:
      values.update(_further(task, further[task.name], labels, estimates,
                             weights, {name: column[rows] for name, column in
                                       groups.items()}))
    results[task.name] = values
  return results


def slices_of(experiment: experiment_pb2.Experiment, batch: batches.Batch,
              predictions: Predictions, row_losses: np.ndarray,
              groups: Mapping[str, np.ndarray]) -> Dict[str, Dict[str, Slice]]:
  """Measures the rows of each value of each column of `evaluation.slice`.

  Args:
    experiment: The experiment.
    batch: A `Batch` of arrays with all rows of a set.
    predictions: What the model says of them.
    row_losses: Loss of each task on each row, shape `[N, T]`.
    groups: Columns that rows are grouped by.

  Returns:
    A `Slice` by value, the most frequent first, by column.
  """
  found = collections.OrderedDict()
  for rule in experiment.evaluation.slice:
    column, found[rule.column] = groups[rule.column], collections.OrderedDict()
    values, counts = np.unique(column.astype(str), return_counts=True)
    for i in np.argsort(-counts, kind="stable")[:rule.max_values]:
      if counts[i] >= rule.min_rows:
        found[rule.column][str(values[i])] = Slice(int(counts[i]), tasks(
            experiment, batch, predictions, row_losses, groups,
            column == values[i]))
  return found


def confusions(experiment: experiment_pb2.Experiment, batch: batches.Batch,
               predictions: Predictions) -> Dict[str, Confusion]:
  """Counts rows by label and predicted class, where a task asks for it.

  Args:
    experiment: The experiment.
    batch: A `Batch` of arrays with all rows of a set.
    predictions: What the model says of them.

  Returns:
    A `Confusion` by task.
  """
  wanted = {m.task for m in experiment.evaluation.task_metrics
            if m.confusion_matrix}
  slices = outline.label_slices(experiment.model.task)
  found = collections.OrderedDict()
  for t, task in enumerate(experiment.model.task):
    if task.name in wanted:
      rows = batch.weights[:, t] > 0
      keyed = predictions[task.name]
      predicted = (keyed["class"] if "class" in keyed
                   else keyed["logit"] > 0)[rows]
      classes = vocabularies.class_names(task)
      found[task.name] = Confusion(classes, task_metrics.confusion_matrix(
          batch.labels[rows, slices[task.name].start].astype(np.int64),
          predicted.astype(np.int64), batch.weights[rows, t].astype(np.float64),
          len(classes)))
  return found


def _estimates(task: model_pb2.Task, predictions: Mapping[str, np.ndarray]
               ) -> np.ndarray:
  """Returns what is measured of a task's predictions, one entry per row.

  Probabilities are computed anew from the logits: in float32 all of those above
  17 are 1, and what is more certain would count as a tie.
  """
  head = task.WhichOneof("head")
  if head == "binary":
    return _sigmoid(predictions["logit"])
  if head == "multilabel":
    return _sigmoid(predictions["logits"])
  if head == "multiclass":
    logits = predictions["logits"].astype(np.float64)
    with np.errstate(invalid="ignore"):  # Of infinities there is no number.
      odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)
  return predictions[{"regression": "value", "count": "rate",
                      "ordinal": "probabilities",
                      "quantiles": "quantiles"}[head]]


def _sigmoid(logits):
  return 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))


def _of_head(task, labels, estimates, weights) -> Dict[str, float]:
  """Returns the metrics that every task of a kind has, but for its loss."""
  head = task.WhichOneof("head")
  if head == "multilabel" or (
      head == "regression" and task.regression.size > 1):
    return getattr(metrics_lib, head)(labels, estimates, weights)
  label = labels[:, 0]
  if head == "quantiles":
    return metrics_lib.quantiles(label, estimates, list(task.quantiles.level),
                                 weights)
  if head in ("multiclass", "ordinal"):
    label = label.astype(np.int64)
  return getattr(metrics_lib, head)(label, estimates, weights)


def _further(task, wanted: evaluation_pb2.TaskMetrics, labels, estimates,
             weights, groups) -> Dict[str, float]:
  """Returns the metrics that `wanted` adds, named as `outline` names them."""
  head, values, label = task.WhichOneof("head"), [], labels[:, 0]
  if head == "binary":
    for threshold in wanted.threshold:
      values += task_metrics.precision_recall_at_threshold(
          label, estimates, weights, threshold)
    for k in wanted.k:
      values += task_metrics.precision_recall_at_top(label, estimates, weights,
                                                     k)
    if wanted.group_column:
      values.append(task_metrics.grouped_auc(
          label, estimates, weights, groups[wanted.group_column].astype(str)))
  elif head == "multiclass":
    values = [task_metrics.top_k_accuracy(label.astype(np.int64), estimates,
                                          weights, k) for k in wanted.k]
  elif head == "regression":
    if task.regression.size == 1:
      labels = label
    values = [task_metrics.pinball(labels, estimates, weights, level)
              for level in wanted.quantile]
  return dict(zip(outline.task_metric_names(head, wanted), values))
