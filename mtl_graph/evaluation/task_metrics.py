"""Computes the metrics that `evaluation.task_metrics` may ask for, in numpy.

What `metrics` says of rows, weights and nan holds here, too.
"""

import numpy as np

from mtl_graph.evaluation import class_metrics
from mtl_graph.evaluation import counted_rows
from mtl_graph.evaluation import ranking_metrics
from mtl_graph.evaluation import value_metrics

Array = np.ndarray


def precision_recall_at_threshold(
    labels: Array, probabilities: Array, weights: Array,
    threshold: float) -> class_metrics.PrecisionRecall:
  """Computes precision and recall where what is above a threshold predicts 1.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    probabilities: Probabilities of label 1, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    threshold: The threshold, from 0 to 1; a probability equal to it predicts 0.

  Returns:
    A `PrecisionRecall`: the precision is nan if nothing is predicted 1, the
    recall without label 1.

  Raises:
    ValueError: If a shape, a label, a weight or the threshold is not as above.
  """
  name = "precision_recall_at_threshold"
  if not 0.0 <= threshold <= 1.0:
    raise ValueError(
        f"{name}: `threshold` must be from 0 to 1, found {threshold}.")
  labels, probabilities, weights = counted_rows.of_two_classes(
      labels, probabilities, weights, name)
  return class_metrics.precision_recall(
      labels, (probabilities > threshold).astype(np.int64), weights)


def precision_recall_at_top(labels: Array, probabilities: Array, weights: Array,
                            k: int) -> class_metrics.PrecisionRecall:
  """Computes precision and recall where the `k` most probable rows predict 1.

  Rows of weight 0 are none of the `k`. Of rows equally probable the earlier
  ones are taken. If there are fewer than `k` rows, all predict 1.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    probabilities: Probabilities of label 1, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`. They
      weigh the rows taken, but not how many these are.
    k: How many rows to take, at least 1.

  Returns:
    A `PrecisionRecall`; the recall is nan without label 1.

  Raises:
    ValueError: If a shape, a label, a weight or `k` is not as above.
  """
  name = "precision_recall_at_top"
  _check_k(k, name)
  labels, probabilities, weights = counted_rows.of_two_classes(
      labels, probabilities, weights, name)
  return class_metrics.precision_recall(
      labels, ranking_metrics.top_rows(probabilities, k).astype(np.int64),
      weights)


def top_k_accuracy(labels: Array, probabilities: Array, weights: Array,
                   k: int) -> float:
  """Computes the share of rows whose label is among the `k` most probable.

  Of classes equally probable the last ones are taken, as scikit-learn does, so
  that with `k` of 1 ties fall to another class than in `accuracy`.

  Args:
    labels: Classes, integers in `[0, C)`, shape `[N]`.
    probabilities: Probabilities of the classes, shape `[N, C]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    k: How many classes to take, at least 1. From `C` on, the share is 1.

  Returns:
    The share.

  Raises:
    ValueError: If a shape, a label, a weight or `k` is not as above.
  """
  _check_k(k, "top_k_accuracy")
  labels, probabilities, weights = counted_rows.of_classes(
      labels, probabilities, weights, "top_k_accuracy")
  of_label = probabilities[np.arange(labels.size), labels][:, np.newaxis]
  later = np.arange(probabilities.shape[1]) > labels[:, np.newaxis]
  before = ((probabilities > of_label) |
            (later & (probabilities == of_label))).sum(axis=1)
  return counted_rows.ratio(weights[before < k].sum(), weights.sum())


def grouped_auc(labels: Array, scores: Array, weights: Array,
                groups: Array) -> float:
  """Computes the mean of the groups' areas under the ROC curve, by weight.

  The formula is that of `ranking_metrics.mean_auc_of_groups`.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    scores: Scores, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    groups: Group of each row, strings or integers, shape `[N]`.

  Returns:
    The mean; nan if no group has both labels.

  Raises:
    ValueError: If a shape, a label or a weight is not as above.
  """
  groups = np.asarray(groups)
  rows = counted_rows.of_two_classes(
      labels, scores, weights, "grouped_auc", "scores")
  if groups.shape != np.shape(labels):
    raise ValueError(f"grouped_auc: `groups` must have shape "
                     f"[{np.size(labels)}], found {list(groups.shape)}.")
  if not rows.labels.size:
    return float("nan")
  _, groups = np.unique(groups[np.asarray(weights) > 0.0], return_inverse=True)
  return ranking_metrics.mean_auc_of_groups(*rows, groups)


def confusion_matrix(labels: Array, predicted: Array, weights: Array,
                     num_classes: int) -> Array:
  """Sums the weights of the rows by label and predicted class.

  Args:
    labels: Classes, integers in `[0, num_classes)`, shape `[N]`.
    predicted: Predicted classes, integers in `[0, num_classes)`, shape `[N]`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    num_classes: How many classes there are.

  Returns:
    The sums, a row per label and a column per predicted class, shape
    `[num_classes, num_classes]`; zeros, not nan, if no row has a weight.

  Raises:
    ValueError: If a shape, a class or a weight is not as above.
  """
  labels, predicted, weights = counted_rows.of_predicted_classes(
      labels, predicted, weights, num_classes, "confusion_matrix")
  return np.bincount(labels * num_classes + predicted, weights,
                     num_classes**2).reshape([num_classes, num_classes])


def pinball(labels: Array, values: Array, weights: Array,
            level: float) -> float:
  """Computes the pinball loss of values taken as estimates of a quantile.

  The formula is that of `value_metrics.pinball`.

  Args:
    labels: Labels, nan where missing, shape `[N]` or `[N, D]`.
    values: Predicted values, shape as `labels`.
    weights: Weights of the rows, finite and not negative, shape `[N]`.
    level: Level of the quantile, above 0 and below 1.

  Returns:
    The loss; of vectors, over all entries that are not missing.

  Raises:
    ValueError: If a shape, a weight or the level is not as above.
  """
  if not 0.0 < level < 1.0:
    raise ValueError(
        f"pinball: `level` must be above 0 and below 1, found {level}.")
  columns = counted_rows.by_column(labels, values, weights, "pinball")
  return counted_rows.mean_of_entries(
      [value_metrics.pinball(*rows, level) for rows in columns], columns)


def _check_k(k, name):
  if k < 1:
    raise ValueError(f"{name}: `k` must be at least 1, found {k}.")
