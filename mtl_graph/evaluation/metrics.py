"""Computes the metrics of one task over a whole evaluation set, in numpy.

All functions take `N` labelled rows and compute in float64; their arguments
and errors are those of `binary`, `multiclass` and `regression`. Rows of weight
0 count for nothing. A metric is nan if no row has a positive weight, if one
that has is predicted nan, and where its docstring says so.

In formulas `y`, `p`, `v` and `w` are the label, probability, value and weight
of a row, sums run over rows, and `[..]` is 1 where the condition holds, else 0.
"""

from typing import Dict

import numpy as np

Array = np.ndarray
Metrics = Dict[str, float]
_EPS = np.finfo(np.float64).eps


def binary(labels: Array, probabilities: Array, weights: Array) -> Metrics:
  """Computes all metrics of a binary head.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    probabilities: Probabilities of label 1, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  rows = _class_rows("binary", labels, probabilities, weights)
  return {"auc": _auc(*rows), **_binary_but_auc(*rows)}


def multiclass(labels: Array, probabilities: Array, weights: Array) -> Metrics:
  """Computes all metrics of a multiclass head.

  Args:
    labels: Classes, integers in `[0, C)`, shape `[N]`.
    probabilities: Probabilities of the classes, shape `[N, C]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  return _multiclass("multiclass", labels, probabilities, weights)


def regression(labels: Array, values: Array, weights: Array) -> Metrics:
  """Computes all metrics of a regression head.

  Args:
    labels: Labels, shape `[N]`.
    values: Predicted values, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.

  Returns:
    A dict from the names in `outline.METRICS` but `loss`, in order, to floats.

  Raises:
    ValueError: If a shape or a weight is not as above.
  """
  return _regression("regression", labels, values, weights)


def auc(labels: Array, scores: Array, weights: Array) -> float:
  """Computes the exact area under the ROC curve; ties count one half.

  `sum_ij(w_i w_j ([s_i > s_j] + 0.5 [s_i = s_j])) / sum_ij(w_i w_j)` over the
  rows `i` of label 1 and `j` of label 0; nan without either.
  """
  return _auc(*_class_rows("auc", labels, scores, weights, "scores"))


def log_loss(labels: Array, probabilities: Array, weights: Array) -> float:
  """Computes `-sum(w (y log(p) + (1 - y) log(1 - p))) / sum(w)`.

  Both `p` and `1 - p` are clipped to `[eps, 1 - eps]`, `eps` that of float64.
  """
  rows = _class_rows("log_loss", labels, probabilities, weights)
  return _binary_but_auc(*rows)["log_loss"]


def accuracy(labels: Array, probabilities: Array, weights: Array) -> float:
  """Computes `sum(w [y = [p > 0.5]]) / sum(w)`: 0.5 itself predicts 0."""
  rows = _class_rows("accuracy", labels, probabilities, weights)
  return _binary_but_auc(*rows)["accuracy"]


def f1(labels: Array, probabilities: Array, weights: Array) -> float:
  """Computes `2 sum(w y [p > 0.5]) / (sum(w y) + sum(w [p > 0.5]))`.

  0 if label 1 is neither present nor predicted.
  """
  rows = _class_rows("f1", labels, probabilities, weights)
  return _binary_but_auc(*rows)["f1"]


def calibration(labels: Array, probabilities: Array, weights: Array) -> float:
  """Computes `sum(w p) / sum(w y)`: 1 is perfect; nan without label 1."""
  rows = _class_rows("calibration", labels, probabilities, weights)
  return _binary_but_auc(*rows)["calibration"]


def multiclass_log_loss(labels: Array, probabilities: Array,
                        weights: Array) -> float:
  """Computes `-sum(w log(p[y])) / sum(w)`, `p` clipped as in `log_loss`."""
  return _multiclass(
      "multiclass_log_loss", labels, probabilities, weights)["log_loss"]


def multiclass_accuracy(labels: Array, probabilities: Array,
                        weights: Array) -> float:
  """Computes `sum(w [y = argmax(p)]) / sum(w)`; of equals the first wins."""
  return _multiclass(
      "multiclass_accuracy", labels, probabilities, weights)["accuracy"]


def multiclass_f1(labels: Array, probabilities: Array, weights: Array) -> float:
  """Computes the mean `f1` of the classes that are present or predicted."""
  return _multiclass("multiclass_f1", labels, probabilities, weights)["f1"]


def rmse(labels: Array, values: Array, weights: Array) -> float:
  """Computes `sqrt(sum(w (y - v)^2) / sum(w))`."""
  return _regression("rmse", labels, values, weights)["rmse"]


def mae(labels: Array, values: Array, weights: Array) -> float:
  """Computes `sum(w |y - v|) / sum(w)`."""
  return _regression("mae", labels, values, weights)["mae"]


def r2(labels: Array, values: Array, weights: Array) -> float:
  """Computes `1 - normalized_mse`: 1 is perfect; nan for constant labels."""
  return _regression("r2", labels, values, weights)["r2"]


def normalized_mse(labels: Array, values: Array, weights: Array) -> float:
  """Computes `rmse^2 / variance(y)`, both weighted; nan for constant labels."""
  return _regression(
      "normalized_mse", labels, values, weights)["normalized_mse"]


def _auc(labels, scores, weights):
  _, tie = np.unique(scores, return_inverse=True)
  positive = np.bincount(tie, weights * labels)
  negative = np.bincount(tie, weights * (1 - labels))
  below = np.cumsum(negative) - 0.5 * negative
  area = _ratio(positive @ below, positive.sum() * negative.sum())
  return float(np.minimum(area, 1.0))  # Rounding may exceed 1; keeps nan.


def _binary_but_auc(labels, probabilities, weights):
  """Returns the binary metrics that need no sort: those of two classes."""
  loss, hit_rate, f1_of_class, _ = _class_metrics(
      labels, np.stack([1.0 - probabilities, probabilities], axis=1), weights)
  return {
      "log_loss": loss,
      "accuracy": hit_rate,
      "f1": float(f1_of_class[1]) if labels.size else float("nan"),
      "calibration": _ratio(weights @ probabilities, weights @ labels),
  }


def _multiclass(name, labels, probabilities, weights):
  loss, hit_rate, f1_of_class, seen = _class_metrics(*_class_rows(
      name, labels, probabilities, weights, num_axes=2))
  macro_f1 = _ratio(f1_of_class.sum(), seen.sum())
  return {"log_loss": loss, "accuracy": hit_rate, "f1": macro_f1}


def _class_metrics(labels, probabilities, weights):
  """Returns log loss, accuracy, F1 of each class, and which classes occur."""
  total, num_classes = weights.sum(), probabilities.shape[1]
  of_label = probabilities[np.arange(labels.size), labels].astype(np.float64)
  of_label = np.clip(of_label, _EPS, 1.0 - _EPS)
  loss = _ratio(weights @ -np.log(of_label), total)
  predicted = probabilities.argmax(axis=1)
  hit = labels == predicted
  hits = np.bincount(labels[hit], weights[hit], num_classes)
  support = (np.bincount(labels, weights, num_classes) +
             np.bincount(predicted, weights, num_classes))
  f1_of_class = 2.0 * hits / np.where(support > 0.0, support, 1.0)
  return loss, _ratio(weights[hit].sum(), total), f1_of_class, support > 0.0


def _regression(name, labels, values, weights):
  labels, values, weights = _rows(name, labels, values, weights, "values", 1)
  total = weights.sum()
  mse = _ratio(weights @ (labels - values)**2, total)
  mean = _ratio(weights @ labels, total)
  variance = _ratio(weights @ (labels - mean)**2, total)
  # Rounding in the mean may give constant labels a variance above zero.
  varies = (labels != labels[:1]).any()
  ratio = _ratio(mse, variance if varies else 0.0)
  return {
      "rmse": mse**0.5,
      "mae": _ratio(weights @ np.abs(labels - values), total),
      "r2": 1.0 - ratio,
      "normalized_mse": ratio,
  }


def _ratio(numerator, denominator):
  return float(numerator / denominator) if denominator else float("nan")


def _class_rows(name, labels, predictions, weights, argument="probabilities",
                num_axes=1):
  labels, predictions, weights = _rows(
      name, labels, predictions, weights, argument, num_axes)
  num_classes = 2 if num_axes == 1 else predictions.shape[1]
  valid = (labels >= 0) & (labels < num_classes) & (labels % 1 == 0)
  if not valid.all():
    raise ValueError(f"{name}: `labels` must be integers in [0, {num_classes}),"
                     f" found {labels[~valid][0]}.")
  return labels.astype(np.int64), predictions, weights


def _rows(name, labels, predictions, weights, argument, num_axes):
  """Returns the rows that count, or none at all if a prediction is nan."""
  labels, weights = np.asarray(labels, float), np.asarray(weights, float)
  # A matrix keeps its type: it may be large, and argmax reads it as it is.
  predictions = np.asarray(predictions, float if num_axes == 1 else None)
  for key, array, axes in (("labels", labels, 1), ("weights", weights, 1),
                           (argument, predictions, num_axes)):
    if array.ndim != axes or array.shape[:1] != labels.shape:
      size = labels.size if labels.ndim == 1 else "N"
      raise ValueError(f"{name}: `{key}` must have shape [{size}"
                       f"{', C' * (axes - 1)}], found {list(array.shape)}.")
  valid = np.isfinite(weights) & (weights >= 0.0)
  if not valid.all():
    raise ValueError(f"{name}: `weights` must be finite and not negative, "
                     f"found {weights[~valid][0]}.")
  keep = weights > 0.0
  rows = labels[keep], predictions[keep], weights[keep]
  return tuple(x[:0] for x in rows) if np.isnan(rows[1]).any() else rows
