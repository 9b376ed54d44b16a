"""Checks the rows that metrics are computed from, and keeps those that count.

A row counts if its weight is above 0. Where labels are numbers, one that is
nan is missing: its entry counts for nothing. If a prediction that counts is
nan, no row is left, so that all metrics become nan.
"""

import collections
from typing import List, Sequence, Union

import numpy as np

Array = np.ndarray

# labels, predictions, weights: as the functions below say, all of N rows.
Rows = collections.namedtuple("Rows", ["labels", "predictions", "weights"])


def of_two_classes(labels: Array, probabilities: Array, weights: Array,
                   name: str, argument: str = "probabilities") -> Rows:
  """Keeps the rows of a label that is 0 or 1.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    probabilities: Probabilities or scores of label 1, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    name: Name of the caller, for errors.
    argument: What the caller calls `probabilities`, for errors.

  Returns:
    `Rows` of which the labels are int64, the others float64.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  labels = np.asarray(labels, float)
  probabilities = np.asarray(probabilities, float)
  _check_shape(labels, ["N"], "labels", name)
  _check_shape(probabilities, labels.shape, argument, name)
  rows = _weighted(labels, probabilities, weights, name)
  return _predicted(rows._replace(
      labels=_whole(rows.labels, 2, "labels", name)))


def of_classes(labels: Array, probabilities: Array, weights: Array,
               name: str) -> Rows:
  """Keeps the rows of a label that is one of `C` classes.

  Args:
    labels: Classes, integers in `[0, C)`, shape `[N]`.
    probabilities: Probabilities of the classes, shape `[N, C]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    name: Name of the caller, for errors.

  Returns:
    `Rows` of which the labels are int64, the weights float64.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  # The matrix keeps its type: it may be large, and is mostly compared.
  labels, probabilities = np.asarray(labels, float), np.asarray(probabilities)
  _check_shape(labels, ["N"], "labels", name)
  _check_shape(probabilities, [labels.size, "C"], "probabilities", name)
  rows = _weighted(labels, probabilities, weights, name)
  return _predicted(rows._replace(
      labels=_whole(rows.labels, probabilities.shape[1], "labels", name)))


def of_predicted_classes(labels: Array, predicted: Array, weights: Array,
                         num_classes: int, name: str) -> Rows:
  """Keeps the rows of a label and a prediction that are classes.

  Args:
    labels: Classes, integers in `[0, num_classes)`, shape `[N]`.
    predicted: Predicted classes, integers in `[0, num_classes)`, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    num_classes: How many classes there are.
    name: Name of the caller, for errors.

  Returns:
    `Rows` of which labels and predictions are int64, the weights float64.

  Raises:
    ValueError: If a shape, a class or a weight is not as above.
  """
  labels, predicted = np.asarray(labels, float), np.asarray(predicted, float)
  _check_shape(labels, ["N"], "labels", name)
  _check_shape(predicted, labels.shape, "predicted", name)
  rows = _weighted(labels, predicted, weights, name)
  return Rows(_whole(rows.labels, num_classes, "labels", name),
              _whole(rows.predictions, num_classes, "predicted", name),
              rows.weights)


def of_numbers(labels: Array, values: Array, weights: Array, name: str,
               argument: str = "values", num_axes: int = 1) -> Rows:
  """Keeps the rows of a label that is a number, or missing.

  Args:
    labels: Labels, nan where missing, shape `[N]`.
    values: Predictions, shape `[N]`, or `[N, Q]` if `num_axes` is 2.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    name: Name of the caller, for errors.
    argument: What the caller calls `values`, for errors.
    num_axes: Of `values`, 1 or 2.

  Returns:
    `Rows` in float64.

  Raises:
    ValueError: If a shape or a weight is not as above.
  """
  labels, values = np.asarray(labels, float), np.asarray(values, float)
  _check_shape(labels, ["N"], "labels", name)
  _check_shape(values, [labels.size, "Q"][:num_axes], argument, name)
  return _predicted(_present(_weighted(labels, values, weights, name)))


def by_column(labels: Array, values: Array, weights: Array, name: str,
              argument: str = "values") -> List[Rows]:
  """Keeps, for each entry of a label that is a vector, the rows that have it.

  Args:
    labels: Labels, nan where missing, shape `[N]` or `[N, D]`.
    values: Predictions, shape as `labels`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    name: Name of the caller, for errors.
    argument: What the caller calls `values`, for errors.

  Returns:
    `D` `Rows` in float64, as if each column were a task of its own; one if
    labels are `[N]`. If a prediction that counts is nan, all are empty.

  Raises:
    ValueError: If a shape or a weight is not as above.
  """
  labels, values = np.asarray(labels, float), np.asarray(values, float)
  if labels.ndim not in (1, 2) or not all(labels.shape[1:]):
    raise ValueError(f"{name}: `labels` must have shape [N] or [N, D], "
                     f"found {list(labels.shape)}.")
  _check_shape(values, labels.shape, argument, name)
  rows = _weighted(labels, values, weights, name)
  size = labels.shape[1] if labels.ndim == 2 else 1  # No rows: none to infer.
  columns = [
      _present(Rows(column, predictions, rows.weights))
      for column, predictions in zip(rows.labels.reshape([-1, size]).T,
                                     rows.predictions.reshape([-1, size]).T)]
  if any(np.isnan(column.predictions).any() for column in columns):
    return [_none(column) for column in columns]
  return columns


def by_two_classes(labels: Array, probabilities: Array, weights: Array,
                   name: str) -> List[Rows]:
  """Keeps, for each of several labels that are 0 or 1, the rows that have it.

  Args:
    labels: Labels, 0, 1, or nan where missing, shape `[N, C]`.
    probabilities: Probabilities that labels are 1, shape `[N, C]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    name: Name of the caller, for errors.

  Returns:
    `C` `Rows` as `of_two_classes` returns them. If a prediction that counts is
    nan, all are empty.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  _check_shape(np.asarray(labels), ["N", "C"], "labels", name)
  return [rows._replace(labels=_whole(rows.labels, 2, "labels", name))
          for rows in by_column(labels, probabilities, weights, name,
                                "probabilities")]


def mean_of_entries(means: Sequence[float], columns: Sequence[Rows]) -> float:
  """Returns the weighted mean over all entries, of those of their columns."""
  if len(columns) == 1:
    return means[0]  # To the bit.
  totals = np.array([rows.weights.sum() for rows in columns])
  means = np.where(totals > 0.0, means, 0.0)
  return ratio((totals * means).sum(), totals.sum())


def ratio(numerator: float, denominator: float) -> float:
  """Divides; nan, as without any row that counts, where it divides by 0."""
  return float(numerator / denominator) if denominator else float("nan")


def _check_shape(array: Array, shape: Sequence[Union[int, str]], argument: str,
                 name: str) -> None:
  """Raises unless an array has a shape, in which a letter is any size."""
  if array.ndim != len(shape) or any(
      isinstance(wanted, int) and wanted != size
      for wanted, size in zip(shape, array.shape)):
    wanted = ", ".join(str(size) for size in shape)
    raise ValueError(f"{name}: `{argument}` must have shape [{wanted}], "
                     f"found {list(array.shape)}.")


def _weighted(labels, predictions, weights, name):
  """Returns the rows of a weight above 0."""
  weights = np.asarray(weights, float)
  _check_shape(weights, labels.shape[:1], "weights", name)
  valid = np.isfinite(weights) & (weights >= 0.0)
  if not valid.all():
    raise ValueError(f"{name}: `weights` must be finite and not negative, "
                     f"found {weights[~valid][0]}.")
  return _where(weights > 0.0, Rows(labels, predictions, weights))


def _present(rows):
  return _where(~np.isnan(rows.labels), rows)


def _predicted(rows):
  return _none(rows) if np.isnan(rows.predictions).any() else rows


def _where(keep, rows):
  # Most often all rows are kept, and no copy is needed.
  return rows if keep.all() else Rows(*[array[keep] for array in rows])


def _none(rows):
  return Rows(*[array[:0] for array in rows])


def _whole(classes, num_classes, argument, name):
  valid = ((classes >= 0) & (classes < num_classes) &
           (np.floor(classes) == classes))
  if not valid.all():
    raise ValueError(f"{name}: `{argument}` must be integers in "
                     f"[0, {num_classes}), found {classes[~valid][0]}.")
  return classes.astype(np.int64)
