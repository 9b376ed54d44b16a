"""Computes how well scores put the rows of label 1 above those of label 0.

The functions take rows that count, as `counted_rows.of_two_classes` returns
them. In formulas `y`, `s` and `w` are the label, score and weight of a row.
"""

import collections

import numpy as np

from mtl_graph.evaluation import counted_rows

Array = np.ndarray

# auc, pr_auc: the areas under the ROC and the precision-recall curve.
Areas = collections.namedtuple("Areas", ["auc", "pr_auc"])


def areas(labels: Array, scores: Array, weights: Array) -> Areas:
  """Computes the exact areas under both curves, with one sort.

  `auc` is the probability that of two rows of different labels that of label 1
  has the greater score; ties count one half:

  ```
    sum_ij(w_i w_j ([s_i > s_j] + 0.5 [s_i = s_j])) / sum_ij(w_i w_j)
  ```

  over the rows `i` of label 1 and `j` of label 0; nan without either.

  `pr_auc` is the average precision, without interpolation between points:

  ```
    sum_i(w_i precision(s_i)) / sum_i(w_i)
    precision(s) = sum(w y [score >= s]) / sum(w [score >= s])
  ```

  over the rows `i` of label 1, so that ties share one precision; nan without
  any, 1 without label 0.

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    scores: Scores, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.

  Returns:
    `Areas`.
  """
  _, tie = np.unique(scores, return_inverse=True)
  positive = np.bincount(tie, weights * labels)
  negative = np.bincount(tie, weights * (1 - labels))
  below = np.cumsum(negative) - 0.5 * negative
  auc = counted_rows.ratio(positive @ below, positive.sum() * negative.sum())

  positive, negative = positive[::-1], negative[::-1]  # The greatest first.
  hits = np.cumsum(positive)
  precision = hits / (hits + np.cumsum(negative))
  pr_auc = counted_rows.ratio(positive @ precision, positive.sum())
  # Rounding may exceed 1; np.minimum keeps nan.
  return Areas(*np.minimum([auc, pr_auc], 1.0).tolist())


def top_rows(scores: Array, k: int) -> Array:
  """Finds the `k` rows of the greatest scores; of equals, the earlier ones.

  Args:
    scores: Scores, shape `[N]`.
    k: How many, at least 1; from `N` on, all.

  Returns:
    Whether each row is one of them, shape `[N]`.
  """
  if k >= scores.size:
    return np.ones(scores.size, bool)
  least = np.partition(scores, -k)[-k]
  top = scores > least
  top[np.flatnonzero(scores == least)[:k - top.sum()]] = True
  return top


def mean_auc_of_groups(labels: Array, scores: Array, weights: Array,
                       groups: Array) -> float:
  """Computes the mean of the groups' `auc`, by weight, with one sort.

  ```
    sum_g(w_g auc_g) / sum_g(w_g)
  ```

  over the groups `g` that have both labels, `w_g` being the weight of all
  their rows; nan without any such group.

  See "Optimized Cost per Click in Taobao Display Advertising" by Zhu et al.
  (https://arxiv.org/abs/1703.02091).

  Args:
    labels: Labels, 0 or 1, shape `[N]`.
    scores: Scores, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.
    groups: Group of each row, integers from 0 without a gap, shape `[N]`.

  Returns:
    The mean.
  """
  of_groups = np.stack(
      [np.bincount(groups, weights * (labels == y)) for y in (0, 1)])
  both = (of_groups > 0.0).all(axis=0)
  kept = both[groups]
  order = np.lexsort((scores[kept], groups[kept]))
  labels, scores, weights, groups = [
      array[kept][order] for array in (labels, scores, weights, groups)]

  # As shares of its group's, a small group's weights lose no digits below.
  shares = weights / of_groups[labels, groups]
  new_group = np.ones(labels.size, bool)
  new_group[1:] = groups[1:] != groups[:-1]
  new_tie = new_group.copy()
  new_tie[1:] |= scores[1:] != scores[:-1]
  tie = np.cumsum(new_tie) - 1
  positive = np.bincount(tie, shares * labels)
  negative = np.bincount(tie, shares * (1 - labels))

  before = np.cumsum(negative) - negative
  starts = new_group[new_tie]  # Of ties: whether one is its group's first.
  of_tie = np.cumsum(starts) - 1
  below = before - before[starts][of_tie] + 0.5 * negative
  areas_of_groups = np.clip(np.bincount(of_tie, positive * below), 0.0, 1.0)
  totals = of_groups.sum(axis=0)[both]
  return counted_rows.ratio(totals @ areas_of_groups, totals.sum())
