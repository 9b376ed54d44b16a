"""Measures on training rows what normalization needs to know."""

from typing import Dict, Iterator, Mapping, Sequence

import numpy as np

from mtl_graph.data import slices
from mtl_graph.protos import features_pb2

# Arrays by name: `mean` and `stddev` of Z_SCORE, `min` and `max` of MIN_MAX,
# `boundaries` of quantile buckets.
Statistics = Dict[str, np.ndarray]


def measure(features: Sequence[features_pb2.Feature],
            raw: Mapping[str, np.ndarray]) -> Dict[str, Statistics]:
  """Measures every statistic, missing values left out.

  Rows are gone through in slices that are the same wherever they lie, in memory
  or on disk, and hence so is what is measured, to the bit.

  Args:
    features: The `Feature` messages.
    raw: Raw values of the training rows, by input: arrays, or what has a length
      and gives arrays for slices.

  Returns:
    A dict from the name of each feature that needs any to its `Statistics`, as
    `initial` names and shapes them. A standard deviation of 0 becomes 1.
  """
  measured = {}
  for feature in features:
    if not initial(feature):
      continue
    values = raw[feature.name]
    if feature.WhichOneof("kind") == "categorical":
      measured[feature.name] = _boundaries(
          values, feature.categorical.quantile_buckets)
    elif feature.numeric.normalization == features_pb2.Z_SCORE:
      measured[feature.name] = _moments(values, feature.numeric.size)
    else:
      measured[feature.name] = _range(values, feature.numeric.size)
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


def _pieces(values, size) -> Iterator[np.ndarray]:
  """Yields values as float64, shape [N, size], slice by slice."""
  for piece in slices.of(values):
    yield piece.astype(np.float64).reshape(-1, size)


def _moments(values, size):
  count, total = np.zeros(size, np.int64), np.zeros(size)
  for piece in _pieces(values, size):
    present = ~np.isnan(piece)
    count += present.sum(axis=0)
    total += np.where(present, piece, 0).sum(axis=0)
  count = np.maximum(count, 1)
  mean, squares = total / count, np.zeros(size)
  for piece in _pieces(values, size):
    squares += np.where(np.isnan(piece), 0, (piece - mean) ** 2).sum(axis=0)
  stddev = np.sqrt(squares / count)
  # float32 rounding alone leaves a constant column with a tiny spread.
  constant = stddev <= 1e-7 * np.abs(mean)
  return {"mean": mean, "stddev": np.where(constant, 1, stddev)}


def _range(values, size):
  low, high = np.full(size, np.inf), np.full(size, -np.inf)
  for piece in _pieces(values, size):
    low = np.fmin(low, np.fmin.reduce(piece, axis=0))
    high = np.fmax(high, np.fmax.reduce(piece, axis=0))
  some = low <= high
  return {"min": np.where(some, low, 0), "max": np.where(some, high, 0)}


def _boundaries(values, buckets):
  count = sum(int((~np.isnan(piece)).sum()) for piece in _pieces(values, 1))
  if not count:
    return {"boundaries": np.zeros(buckets - 1)}
  # Of N numbers in order x_0, x_1, ..., the quantile p lies at (N - 1) p,
  # between two of them as far as that does between their numbers; reckoned from
  # the nearer of the two, as np.quantile does.
  place = np.arange(1, buckets) / buckets * (count - 1)
  below = np.floor(place).astype(np.int64)
  above = np.minimum(below + 1, count - 1)
  ranks = np.unique(np.concatenate([below, above]))
  found = _in_order(values, ranks)
  low = found[np.searchsorted(ranks, below)]
  high = found[np.searchsorted(ranks, above)]
  share, apart = place - below, high - low
  return {"boundaries": np.where(share < 0.5, low + apart * share,
                                 high - apart * (1 - share))}


def _in_order(values, ranks):
  """Returns the numbers that have some ranks among float32 numbers, from 0.

  Sorting would need them all in memory: they are counted by the upper half of
  their bits, then by the lower half where a rank falls.
  """
  upper = np.zeros(2 ** 16, np.int64)
  for keys in _keys(values):
    upper += np.bincount(keys >> 16, minlength=len(upper))
  ends = np.cumsum(upper)
  bins = np.searchsorted(ends, ranks, side="right")
  lower = {one: np.zeros(2 ** 16, np.int64) for one in np.unique(bins)}
  for keys in _keys(values):
    for one, counts in lower.items():
      counts += np.bincount(keys[keys >> 16 == one] & 0xffff,
                            minlength=len(counts))
  found = [(int(one) << 16) + np.searchsorted(
      np.cumsum(lower[one]), rank - (ends[one] - upper[one]), side="right")
           for one, rank in zip(bins, ranks)]
  bits = np.array(found, np.uint32)
  bits = np.where(bits >> 31, bits & 0x7fffffff, ~bits)
  return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def _keys(values) -> Iterator[np.ndarray]:
  """Yields whole numbers in the order of the float32 numbers present."""
  for piece in slices.of(values):
    # There is one zero.
    bits = (piece[~np.isnan(piece)].astype(np.float32) + np.float32(0)
            ).view(np.uint32)
    yield np.where(bits >> 31, ~bits, bits | 0x80000000).astype(np.int64)
