"""Computes how often predicted classes are right, and how sure they are.

The functions take rows that count, as `counted_rows` returns them. In formulas
`y`, `c` and `w` are the label, predicted class and weight of a row, and sums
run over rows. Without rows all are nan.
"""

import collections

import numpy as np

from mtl_graph.evaluation import counted_rows

Array = np.ndarray

# precision, recall: of predicting class 1.
PrecisionRecall = collections.namedtuple(
    "PrecisionRecall", ["precision", "recall"])

_EPS = np.finfo(np.float64).eps


def log_loss(of_label: Array, weights: Array) -> float:
  """Computes `-sum(w log(p)) / sum(w)`, `p` being the label's probability.

  Args:
    of_label: Probability that each row gives its label, shape `[N]`; clipped
      to `[eps, 1 - eps]`, `eps` that of float64.
    weights: Weights of the rows, above 0, shape `[N]`.

  Returns:
    The log loss.
  """
  of_label = np.clip(of_label.astype(np.float64), _EPS, 1.0 - _EPS)
  return counted_rows.ratio(weights @ -np.log(of_label), weights.sum())


def accuracy(labels: Array, predicted: Array, weights: Array) -> float:
  """Computes `sum(w [y = c]) / sum(w)`.

  Args:
    labels: Classes, shape `[N]`.
    predicted: Predicted classes, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.

  Returns:
    The accuracy.
  """
  return counted_rows.ratio(weights[labels == predicted].sum(), weights.sum())


def precision_recall(labels: Array, predicted: Array,
                     weights: Array) -> PrecisionRecall:
  """Computes the precision and the recall of class 1.

  `sum(w y c) / sum(w c)` and `sum(w y c) / sum(w y)`: the precision is nan if
  class 1 is never predicted, the recall if it is never the label.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    predicted: Predictions, 0 or 1, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.

  Returns:
    A `PrecisionRecall`.
  """
  hits, present, guessed = _sums(labels, predicted, weights, 2)[:, 1]
  return PrecisionRecall(counted_rows.ratio(hits, guessed),
                         counted_rows.ratio(hits, present))


def f1_of_classes(labels: Array, predicted: Array, weights: Array,
                  num_classes: int) -> Array:
  """Computes the F1 of each class, the harmonic mean of precision and recall.

  `2 sum(w [y = k] [c = k]) / (sum(w [y = k]) + sum(w [c = k]))` of class `k`;
  nan if it is neither present nor predicted.

  Args:
    labels: Classes, integers in `[0, num_classes)`, shape `[N]`.
    predicted: Predicted classes, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.
    num_classes: How many classes there are.

  Returns:
    The F1 of the classes, shape `[num_classes]`.
  """
  hits, present, guessed = _sums(labels, predicted, weights, num_classes)
  occurs = present + guessed > 0.0
  return np.divide(2.0 * hits, present + guessed, where=occurs,
                   out=np.full(num_classes, np.nan))


def quadratic_kappa(labels: Array, predicted: Array, weights: Array,
                    num_classes: int) -> float:
  """Computes Cohen's kappa, a disagreement counting by its square.

  ```
    1 - sum_i(w_i (y_i - c_i)^2) / (sum_ij(w_i w_j (y_i - c_j)^2) / sum_i(w_i))
  ```

  0 if labels and predictions agree no better than by chance; nan if all are
  one and the same class.

  See "Weighted kappa: Nominal scale agreement provision for scaled
  disagreement or partial credit" by Cohen, Psychological Bulletin 70(4), 1968
  (https://doi.org/10.1037/h0026256).

  Args:
    labels: Classes, integers in `[0, num_classes)`, shape `[N]`.
    predicted: Predicted classes, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.
    num_classes: How many classes there are.

  Returns:
    The kappa.
  """
  _, present, guessed = _sums(labels, predicted, weights, num_classes)
  classes = np.arange(num_classes, dtype=np.float64)
  squares = (classes[:, np.newaxis] - classes)**2
  by_chance = counted_rows.ratio(present @ squares @ guessed, weights.sum())
  return 1.0 - counted_rows.ratio(
      weights @ (labels - predicted).astype(np.float64)**2, by_chance)


def _sums(labels, predicted, weights, num_classes):
  """Returns the weights of each class: hit, present, predicted; `[3, C]`."""
  hit = labels == predicted
  return np.stack([np.bincount(labels[hit], weights[hit], num_classes),
                   np.bincount(labels, weights, num_classes),
                   np.bincount(predicted, weights, num_classes)])
