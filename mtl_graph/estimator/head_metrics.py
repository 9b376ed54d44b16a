"""The metrics of an Estimator's heads, by the names that they had."""

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

# A value, and the op that updates it.
Metric = Tuple[tf.Tensor, Any]


def checked_thresholds(thresholds: Optional[Sequence[float]]
                       ) -> Tuple[float, ...]:
  """Returns thresholds, each above 0 and below 1.

  Raises:
    ValueError: If one is not.
  """
  for threshold in thresholds or ():
    if not 0 < threshold < 1:
      raise ValueError(f"thresholds: found {threshold}; allowed: above 0, "
                       "below 1")
  return tuple(thresholds or ())


def mean(values: tf.Tensor, weights: Any) -> Metric:
  """Returns the mean of numbers, each of which weighs what its row weighs."""
  values = tf.cast(values, tf.float32)
  return tf.metrics.mean(values, weights * tf.ones_like(values))


def binary(found: Any, predictions: Mapping[str, tf.Tensor],
           thresholds: Sequence[float]) -> Dict[str, Metric]:
  """Returns the metrics of a head of two classes.

  Args:
    found: The head's `LossSpec`.
    predictions: Predictions by key.
    thresholds: Probabilities from which on a row counts as positive.

  Returns:
    Metrics by name.
  """
  labels, weights = found.processed_labels, found.weights
  chances, numbers = predictions["logistic"], predictions["class_ids"]
  label_mean = mean(labels, weights)
  metrics = {
      "accuracy": tf.metrics.accuracy(labels, numbers, weights),
      "precision": tf.metrics.precision(labels, numbers, weights),
      "recall": tf.metrics.recall(labels, numbers, weights),
      "prediction/mean": mean(chances, weights),
      "label/mean": label_mean,
      # That of always naming the class that is there more often.
      "accuracy_baseline": tuple(tf.maximum(v, 1 - v) for v in label_mean),
      "auc": _auc(labels, chances, weights, "ROC"),
      "auc_precision_recall": _auc(labels, chances, weights, "PR"),
  }
  for threshold in thresholds:
    metrics.update(_at(threshold, labels, chances, weights))
  return metrics


def multi_label(found: Any, predictions: Mapping[str, tf.Tensor],
                thresholds: Sequence[float], classes: Mapping[str, int]
                ) -> Dict[str, Metric]:
  """Returns the metrics of a head of several labels.

  Args:
    found: The head's `LossSpec`.
    predictions: Predictions by key.
    thresholds: Probabilities from which on a label counts as there.
    classes: Numbers of the labels that have metrics of their own, by what
      these are called.

  Returns:
    Metrics by name, over all labels of all rows together.
  """
  labels, weights = found.processed_labels, found.weights
  chances = predictions["probabilities"]
  metrics = {"auc": _auc(labels, chances, weights, "ROC"),
             "auc_precision_recall": _auc(labels, chances, weights, "PR")}
  for threshold in thresholds:
    metrics.update(_at(threshold, labels, chances, weights))
  for name, number in classes.items():
    of_class = slice(number, number + 1)
    own = chances[..., of_class]
    metrics[f"probability_mean/{name}"] = mean(own, weights)
    for key, curve in (("auc", "ROC"), ("auc_precision_recall", "PR")):
      metrics[f"{key}/{name}"] = _auc(labels[..., of_class], own, weights,
                                      curve)
  return metrics


def _auc(labels, chances, weights, curve) -> Metric:
  return tf.metrics.auc(labels, chances, weights * tf.ones_like(chances),
                        curve=curve)


def _at(threshold, labels, chances, weights) -> Dict[str, Metric]:
  """Returns metrics with a threshold."""
  weights = weights * tf.ones_like(chances)
  positive = tf.cast(chances >= threshold, tf.float32)
  metrics = {"accuracy": tf.metrics.accuracy(labels, positive, weights)}
  for name, of in (("precision", tf.metrics.precision_at_thresholds),
                   ("recall", tf.metrics.recall_at_thresholds)):
    metrics[name] = tuple(map(tf.squeeze, of(labels, chances, (threshold,),
                                             weights)))
  return {f"{name}/positive_threshold_{threshold:g}": metric
          for name, metric in metrics.items()}
