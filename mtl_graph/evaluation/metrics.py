"""Computes the metrics of one task over a whole evaluation set, in numpy.

There is a function for each kind of head. All take `N` rows and compute in
float64. Rows of weight 0 count for nothing, nor does a number that is to be
predicted but is nan, which means missing. A metric is nan if no row has a
positive weight, if a prediction that counts is nan, and where the formula's
docstring, in the files of metrics beside this one, says so.
"""

from typing import Dict, Sequence

import numpy as np

from mtl_graph.evaluation import class_metrics
from mtl_graph.evaluation import counted_rows
from mtl_graph.evaluation import ranking_metrics
from mtl_graph.evaluation import value_metrics

Array = np.ndarray
Metrics = Dict[str, float]


def binary(labels: Array, probabilities: Array, weights: Array) -> Metrics:
  """Computes all metrics of a binary head.

  A probability above 0.5 predicts 1; 0.5 itself predicts 0. Precision is nan
  if nothing is predicted 1, recall, areas and calibration without label 1; F1
  is 0 if label 1 is neither present nor predicted.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    probabilities: Probabilities of label 1, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  rows = counted_rows.of_two_classes(labels, probabilities, weights, "binary")
  results = _two_classes(*rows)
  if rows.labels.size:
    results["f1"] = float(np.nan_to_num(results["f1"]))
  return results


def multiclass(labels: Array, probabilities: Array, weights: Array) -> Metrics:
  """Computes all metrics of a multiclass head.

  The most probable class is predicted; of equals the first one. F1 is the mean
  over the classes that are present or predicted.

  Args:
    labels: Classes, integers in `[0, C)`, shape `[N]`.
    probabilities: Probabilities of the classes, shape `[N, C]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  labels, probabilities, weights = counted_rows.of_classes(
      labels, probabilities, weights, "multiclass")
  predicted = probabilities.argmax(axis=1)
  of_label = probabilities[np.arange(labels.size), labels]
  return {
      "log_loss": class_metrics.log_loss(of_label, weights),
      "accuracy": class_metrics.accuracy(labels, predicted, weights),
      "f1": _mean(class_metrics.f1_of_classes(
          labels, predicted, weights, probabilities.shape[1])),
  }


def multilabel(labels: Array, probabilities: Array, weights: Array) -> Metrics:
  """Computes all metrics of a multilabel head.

  A probability above 0.5 predicts 1. The area under the ROC curve is the mean
  over the labels that have both values, that under the precision-recall curve
  over those that have a 1, F1 over those that are 1 or predicted 1 somewhere;
  log loss and accuracy are over all labels of all rows that are not missing.

  Args:
    labels: Labels, 0, 1, or nan where missing, shape `[N, C]`.
    probabilities: Probabilities that labels are 1, shape `[N, C]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  columns = counted_rows.by_two_classes(
      labels, probabilities, weights, "multilabel")
  by_label = [_two_classes(*rows) for rows in columns]
  by_name = {name: [results[name] for results in by_label]
             for name in by_label[0]}
  return {
      "auc": _mean(by_name["auc"]),
      "pr_auc": _mean(by_name["pr_auc"]),
      "log_loss": counted_rows.mean_of_entries(by_name["log_loss"], columns),
      "accuracy": counted_rows.mean_of_entries(by_name["accuracy"], columns),
      "f1": _mean(by_name["f1"]),
  }


def regression(labels: Array, values: Array, weights: Array) -> Metrics:
  """Computes all metrics of a regression head.

  Of vectors, the errors are over all entries that are not missing; `r2`, which
  is `1 - normalized_mse`, and `normalized_mse` are means over the columns whose
  labels vary, nan if none does.

  Args:
    labels: Labels, nan where missing, shape `[N]` or `[N, D]`.
    values: Predicted values, shape as `labels`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape or a weight is not as above.
  """
  columns = counted_rows.by_column(labels, values, weights, "regression")
  mse, mae = [
      counted_rows.mean_of_entries([metric(*rows) for rows in columns], columns)
      for metric in (value_metrics.mse, value_metrics.mae)]
  normalized_mse = _mean(
      [value_metrics.normalized_mse(*rows) for rows in columns])
  return {
      "rmse": mse**0.5,
      "mae": mae,
      "r2": 1.0 - normalized_mse,
      "normalized_mse": normalized_mse,
  }


def count(labels: Array, rates: Array, weights: Array) -> Metrics:
  """Computes all metrics of a count head.

  Args:
    labels: Labels, at least 0, or nan where missing, shape `[N]`.
    rates: Predicted means, at least 0, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a label, a rate or a weight is not as above.
  """
  rows = counted_rows.of_numbers(labels, rates, weights, "count", "rates")
  for argument, array in (("labels", rows.labels), ("rates", rows.predictions)):
    if (array < 0.0).any():
      raise ValueError(f"count: `{argument}` must not be negative, found "
                       f"{array[array < 0.0][0]}.")
  return {
      "rmse": value_metrics.mse(*rows)**0.5,
      "mae": value_metrics.mae(*rows),
      "poisson_deviance": value_metrics.poisson_deviance(*rows),
      "calibration": value_metrics.calibration(*rows),
  }


def ordinal(labels: Array, probabilities: Array, weights: Array) -> Metrics:
  """Computes all metrics of an ordinal head.

  The most probable class is predicted; of equals the first one. Errors are in
  classes: `mae` is the mean of how many a prediction is away.

  Args:
    labels: Classes, integers in `[0, K)`, shape `[N]`.
    probabilities: Probabilities of the classes, shape `[N, K]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  labels, probabilities, weights = counted_rows.of_classes(
      labels, probabilities, weights, "ordinal")
  predicted = probabilities.argmax(axis=1)
  of_label = probabilities[np.arange(labels.size), labels]
  return {
      "log_loss": class_metrics.log_loss(of_label, weights),
      "accuracy": class_metrics.accuracy(labels, predicted, weights),
      "mae": value_metrics.mae(labels, predicted, weights),
      "kappa": class_metrics.quadratic_kappa(
          labels, predicted, weights, probabilities.shape[1]),
  }


def quantiles(labels: Array, values: Array, levels: Sequence[float],
              weights: Array) -> Metrics:
  """Computes all metrics of a quantiles head.

  `quantile_loss` is the mean over levels of the pinball loss; `coverage` the
  share of labels from the quantile of the lowest level to that of the highest
  one, both included, nan if there is but one level.

  Args:
    labels: Labels, nan where missing, shape `[N]`.
    values: Predicted quantiles, shape `[N, Q]`.
    levels: Their levels, rising, above 0 and below 1, shape `[Q]`, `Q >= 1`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a level or a weight is not as above.
  """
  labels, values, weights = counted_rows.of_numbers(
      labels, values, weights, "quantiles", num_axes=2)
  _check_levels(levels, values.shape[1])
  losses = [value_metrics.pinball(labels, column, weights, level)
            for column, level in zip(values.T, levels)]
  covered = value_metrics.coverage(
      labels, values[:, 0], values[:, -1], weights)
  return {
      "quantile_loss": float(np.mean(losses)),
      "coverage": covered if len(levels) > 1 else float("nan"),
  }


def _check_levels(levels, size):
  levels = np.asarray(levels, float)
  if levels.shape != (size,):
    raise ValueError(f"quantiles: `levels` must have shape [{size}], found "
                     f"{list(levels.shape)}.")
  if not size or not (np.diff(levels, prepend=0.0, append=1.0) > 0.0).all():
    raise ValueError("quantiles: `levels` must be at least one, rising, above "
                     f"0 and below 1, found {levels.tolist()}.")


def _two_classes(labels, probabilities, weights):
  """Returns all metrics of `binary`; F1 is nan if label 1 never occurs."""
  areas = ranking_metrics.areas(labels, probabilities, weights)
  predicted = (probabilities > 0.5).astype(np.int64)
  of_label = np.where(labels == 1, probabilities, 1.0 - probabilities)
  at_half = class_metrics.precision_recall(labels, predicted, weights)
  f1 = class_metrics.f1_of_classes(labels, predicted, weights, 2)
  return {
      "auc": areas.auc,
      "pr_auc": areas.pr_auc,
      "log_loss": class_metrics.log_loss(of_label, weights),
      "accuracy": class_metrics.accuracy(labels, predicted, weights),
      "precision": at_half.precision,
      "recall": at_half.recall,
      "f1": float(f1[1]),
      "calibration": value_metrics.calibration(labels, probabilities, weights),
  }


def _mean(values):
  """Returns the mean of those that are not nan."""
  return counted_rows.ratio(np.nansum(values), (~np.isnan(values)).sum())
