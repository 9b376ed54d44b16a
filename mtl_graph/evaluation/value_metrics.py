"""Computes how far predicted numbers are from their labels.

The functions take rows that count, as `counted_rows.of_numbers` returns them,
of shape `[N]`. In formulas `y`, `v` and `w` are the label, value and weight of
a row, and sums run over rows. Without rows all are nan.
"""

import numpy as np

from mtl_graph.evaluation import counted_rows

Array = np.ndarray


def mse(labels: Array, values: Array, weights: Array) -> float:
  """Computes `sum(w (y - v)^2) / sum(w)`."""
  return counted_rows.ratio(weights @ (labels - values)**2, weights.sum())


def mae(labels: Array, values: Array, weights: Array) -> float:
  """Computes `sum(w |y - v|) / sum(w)`."""
  return counted_rows.ratio(weights @ np.abs(labels - values), weights.sum())


def normalized_mse(labels: Array, values: Array, weights: Array) -> float:
  """Computes `mse / variance(y)`, both weighted; nan for constant labels."""
  mean = counted_rows.ratio(weights @ labels, weights.sum())
  variance = counted_rows.ratio(weights @ (labels - mean)**2, weights.sum())
  # Rounding in the mean may give constant labels a variance above zero.
  varies = (labels != labels[:1]).any()
  return counted_rows.ratio(mse(labels, values, weights),
                            variance if varies else 0.0)


def calibration(labels: Array, values: Array, weights: Array) -> float:
  """Computes `sum(w v) / sum(w y)`: 1 is perfect; nan if all labels are 0."""
  return counted_rows.ratio(weights @ values, weights @ labels)


def poisson_deviance(labels: Array, rates: Array, weights: Array) -> float:
  """Computes `2 sum(w (y log(y / v) - y + v)) / sum(w)`, 0 being perfect.

  Twice what the log likelihood of the Poisson distribution falls short of that
  with rates equal to the labels. `0 log(0)` is 0; a rate of 0 where the label
  is not, or of infinity, makes it infinite.

  Args:
    labels: Labels, at least 0, shape `[N]`.
    rates: Predicted means, at least 0, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.

  Returns:
    The deviance.
  """
  with np.errstate(divide="ignore", over="ignore"):
    odds = np.divide(labels, rates, where=labels > 0.0,
                     out=np.ones_like(labels))
    finite = np.isfinite(rates)
    deviance = labels * np.log(odds, where=finite, out=np.zeros_like(labels))
  return 2.0 * counted_rows.ratio(
      weights @ (deviance - labels + rates), weights.sum())


def pinball(labels: Array, values: Array, weights: Array,
            level: float) -> float:
  """Computes `sum(w max(q r, (q - 1) r)) / sum(w)` with `r = y - v`.

  The value that makes it least is the quantile of level `q`.

  See "Regression Quantiles" by Koenker and Bassett, Econometrica 46(1), 1978
  (https://doi.org/10.2307/1913643).

  Args:
    labels: Labels, shape `[N]`.
    values: Predicted quantiles, shape `[N]`.
    weights: Weights of the rows, above 0, shape `[N]`.
    level: The level `q`, above 0 and below 1.

  Returns:
    The pinball loss.
  """
  residuals = labels - values
  losses = np.maximum(level * residuals, (level - 1.0) * residuals)
  return counted_rows.ratio(weights @ losses, weights.sum())


def coverage(labels: Array, lowest: Array, highest: Array,
             weights: Array) -> float:
  """Computes `sum(w [lowest <= y <= highest]) / sum(w)`."""
  covered = (lowest <= labels) & (labels <= highest)
  return counted_rows.ratio(weights @ covered, weights.sum())
