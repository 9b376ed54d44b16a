"""Measures on training rows what normalization needs to know."""

from typing import Dict, Mapping, Sequence

import numpy as np

from mtl_graph.protos import features_pb2

# Arrays by name: `mean` and `stddev` of Z_SCORE, `min` and `max` of MIN_MAX,
# `boundaries` of quantile buckets.
Statistics = Dict[str, np.ndarray]


def measure(features: Sequence[features_pb2.Feature],
            raw: Mapping[str, np.ndarray]) -> Dict[str, Statistics]:
  """Measures every statistic, missing values left out.

  Args:
    features: The `Feature` messages.
    raw: Raw values of the training rows, by input.

  Returns:
    A dict from the name of each feature that needs any to its `Statistics`, as
    `initial` names and shapes them. A standard deviation of 0 becomes 1.
  """
  measured = {}
  for feature in features:
    if not initial(feature):
      continue
    values = raw[feature.name].astype(np.float64)
    if feature.WhichOneof("kind") == "categorical":
      measured[feature.name] = _boundaries(
          values, feature.categorical.quantile_buckets)
    elif feature.numeric.normalization == features_pb2.Z_SCORE:
      measured[feature.name] = _moments(
          values.reshape(-1, feature.numeric.size))
    else:
      measured[feature.name] = _range(values.reshape(-1, feature.numeric.size))
  return measured


def initial(feature: features_pb2.Feature) -> Statistics:
  """Returns statistics that stand until a checkpoint brings the true ones."""
  kind, size = feature.WhichOneof("kind"), feature.numeric.size
  normalization = feature.numeric.normalization
  if kind == "numeric" and normalization == features_pb2.Z_SCORE:
    return {"mean": np.zeros(size), "stddev": np.ones(size)}
  if kind == "numeric" and normalization == features_pb2.MIN_MAX:
    return {"min": np.zeros(size), "max": np.ones(size)}
  if kind == "categorical" and feature.categorical.quantile_buckets:
    return {"boundaries": np.zeros(feature.categorical.quantile_buckets - 1)}
  return {}


def _moments(values):
  present = ~np.isnan(values)
  count = np.maximum(present.sum(axis=0), 1)
  mean = np.where(present, values, 0).sum(axis=0) / count
  squares = np.where(present, (values - mean) ** 2, 0)
  stddev = np.sqrt(squares.sum(axis=0) / count)
  # float32 rounding alone leaves a constant column with a tiny spread.
  constant = stddev <= 1e-7 * np.abs(mean)
  return {"mean": mean, "stddev": np.where(constant, 1, stddev)}


def _range(values):
  present = ~np.isnan(values)
  some = present.any(axis=0)
  low = np.where(present, values, np.inf).min(axis=0)
  high = np.where(present, values, -np.inf).max(axis=0)
  return {"min": np.where(some, low, 0), "max": np.where(some, high, 0)}


def _boundaries(values, buckets):
  present = values[~np.isnan(values)]
  if not len(present):
    return {"boundaries": np.zeros(buckets - 1)}
  return {"boundaries": np.quantile(present, np.arange(1, buckets) / buckets)}
