"""Random rows for the tests of metrics, one function per kind of head."""

import numpy as np

# How rows are weighted.
WEIGHTINGS = ("ones", "random", "some_zero")


def weights(random, weighting, num_rows):
  """Returns weights of `num_rows` rows."""
  if weighting == "ones":
    return np.ones(num_rows)
  values = random.exponential(size=num_rows)
  if weighting == "some_zero":
    values[random.random(num_rows) < 0.3] = 0.0
  return values


def binary(seed, num_rows, weighting, num_levels=None, dtype=np.float64):
  """Returns rows of which two have both labels and a weight.

  `num_levels` is how many values probabilities take but 0, if not any.
  """
  random = np.random.default_rng(seed)
  labels = random.integers(0, 2, num_rows)
  labels[:2] = [0, 1]
  probabilities = 0.6 * random.random(num_rows) + 0.4 * labels
  if num_levels is not None:
    probabilities = np.round(probabilities * num_levels) / num_levels
  values = weights(random, weighting, num_rows)
  values[:2] = 1.0
  return labels, probabilities.astype(dtype), values


def multiclass(seed, num_rows, num_classes, weighting, dtype=np.float64):
  """Returns rows whose probabilities lean towards the label."""
  random = np.random.default_rng(seed)
  labels = random.integers(0, num_classes, num_rows)
  logits = random.normal(size=[num_rows, num_classes])
  logits[np.arange(num_rows), labels] += 1.0
  probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  return labels, probabilities.astype(dtype), weights(
      random, weighting, num_rows)


def multilabel(seed, num_rows, num_labels, weighting, missing=0.0,
               num_levels=None, dtype=np.float64):
  """Returns rows of which a share `missing` of the labels are nan."""
  random = np.random.default_rng(seed)
  labels = (random.random([num_rows, num_labels]) < 0.4).astype(dtype)
  probabilities = 0.6 * random.random([num_rows, num_labels]) + 0.4 * labels
  if num_levels is not None:
    probabilities = np.round(probabilities * num_levels) / num_levels
  labels[random.random([num_rows, num_labels]) < missing] = np.nan
  return labels, probabilities.astype(dtype), weights(
      random, weighting, num_rows)


def regression(seed, num_rows, weighting, size=None, missing=0.0,
               dtype=np.float64):
  """Returns rows of a number, or of `size` of them on different scales."""
  random = np.random.default_rng(seed)
  shape = [num_rows] if size is None else [num_rows, size]
  scales = 1.0 if size is None else 1.0 + np.arange(size)
  labels = 50.0 + 3.0 * scales * random.normal(size=shape)
  predicted = labels + random.normal(size=shape)
  labels[random.random(shape) < missing] = np.nan
  return labels.astype(dtype), predicted.astype(dtype), weights(
      random, weighting, num_rows)


def count(seed, num_rows, weighting, dtype=np.float64):
  """Returns rows of counts, some of them 0."""
  random = np.random.default_rng(seed)
  rates = random.gamma(2.0, size=num_rows)
  labels = random.poisson(rates).astype(dtype)
  rates *= np.exp(0.3 * random.normal(size=num_rows))
  return labels, rates.astype(dtype), weights(random, weighting, num_rows)


def quantiles(seed, num_rows, levels, weighting, dtype=np.float64):
  """Returns labels, one estimate per level, and weights."""
  random = np.random.default_rng(seed)
  labels = random.normal(size=num_rows)
  predicted = (np.quantile(random.normal(size=1000), levels) +
               0.1 * random.normal(size=[num_rows, 1]))
  return labels.astype(dtype), predicted.astype(dtype), weights(
      random, weighting, num_rows)
