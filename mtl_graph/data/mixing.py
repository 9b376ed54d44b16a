"""Draws from which source each batch comes."""

import collections
from typing import Sequence

import numpy as np

from mtl_graph import config
from mtl_graph.ops import random_bits
from mtl_graph.protos import data_pb2

# Which source each batch of a run is of, and its number among the batches of
# that source; int32 [N] each.
Plan = collections.namedtuple("Plan", ["source", "number"])

# Batches drawn at once: where a source stops, those behind it are drawn anew.
_BLOCK = 2 ** 16


def rates(data: data_pb2.Data, rows: Sequence[int]) -> np.ndarray:
  """Computes how likely a batch is to come from each source.

  ```
    p_s = r_s / sum r
    r_s = n_s              proportional, and where `data.mixing` is unset
    r_s = 1                uniform
    r_s = n_s ^ (1 / T)    temperature
    r_s = rate_s           stated
  ```

  The temperature is that of "Massively Multilingual Neural Machine Translation
  in the Wild" by Arivazhagan et al. (https://arxiv.org/abs/1907.05019).

  Args:
    data: The `Data` message, valid, with sources.
    rows: Training rows of each source, n_s, at least 1, shape `[S]`.

  Returns:
    Probabilities, float64, shape `[S]`.
  """
  return _shares(_log_rates(data, rows), np.ones(len(rows), bool))


def plan(data: data_pb2.Data, rows: Sequence[int], batch_size: int,
         num_batches: int, seed: int) -> Plan:
  """Draws the source of every batch.

  Batch n takes the n-th number of a generator keyed by the seed, so the plan of
  a longer run begins with that of a shorter one. A source that stops leaves
  after `ceil(rows / batch_size)` batches of its own; from then on the others
  share its probability in proportion to theirs.

  Args:
    data: The `Data` message, valid, with sources.
    rows: Training rows of each source, at least 1, shape `[S]`.
    batch_size: Rows per batch.
    num_batches: Batches of the run.
    seed: Seed of the experiment.

  Returns:
    A `Plan` of `num_batches` batches, or of fewer if all sources stop before.
  """
  log_rates = _log_rates(data, rows)
  draws = np.random.Generator(np.random.Philox(
      key=[seed, random_bits.key_of(seed, "mixing")])).random(num_batches)
  stops = [s.at_end == data_pb2.TaskSource.STOP for s in data.source]
  left = np.where(stops, -(-np.array(rows, np.int64) // batch_size),
                  num_batches + 1)
  source, start = np.zeros(num_batches, np.int32), 0
  while start < num_batches and (left > 0).any():
    bounds = np.cumsum(_shares(log_rates, left > 0))
    # Divided by the last, which is then 1 to the bit and above every draw.
    chosen = np.searchsorted(bounds / bounds[-1], draws[start:start + _BLOCK],
                             side="right")
    counts = np.bincount(chosen, minlength=len(left))
    ends = [np.flatnonzero(chosen == s)[left[s] - 1] + 1
            for s in np.flatnonzero((left > 0) & (counts >= left))]
    chosen = chosen[:min(ends, default=len(chosen))]
    source[start:start + len(chosen)] = chosen
    left -= np.bincount(chosen, minlength=len(left))
    start += len(chosen)
  source, number = source[:start], np.zeros(start, np.int32)
  for s in range(len(left)):
    own = source == s
    number[own] = np.arange(own.sum(), dtype=np.int32)
  return Plan(source, number)


def _log_rates(data, rows) -> np.ndarray:
  """Returns ln(r_s): n ^ (1 / T) itself may be more than a float can hold."""
  kind = (data.mixing.WhichOneof("kind") if data.HasField("mixing")
          else "proportional")
  if kind == "proportional":
    return np.log(rows)
  if kind == "uniform":
    return np.zeros(len(rows))
  if kind == "temperature":
    return np.log(rows) / data.mixing.temperature
  if kind == "stated":
    return np.log([source.rate for source in data.source])
  raise config.ConfigError("data.mixing", f"found {kind}; allowed: one of "
                           "proportional, uniform, temperature, stated")


def _shares(log_rates, present) -> np.ndarray:
  """Returns the probabilities of the sources that are present, 0 of others."""
  highest = log_rates[present].max()
  shares = np.where(present, np.exp(np.minimum(log_rates - highest, 0)), 0)
  return shares / shares.sum()
