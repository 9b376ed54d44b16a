"""The rows of a run, in memory or on disk, as whoever trains on them needs.

They come in two stages: the graph is built of what is known once rows are
parsed, and turns them into batches once it has variables.
"""

from typing import Callable, Dict, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import row_sets
from mtl_graph.data import batches
from mtl_graph.data import cache as cache_lib
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import splits as splits_lib
from mtl_graph.data import statistics as statistics_lib
from mtl_graph.evaluation import cached_rows
from mtl_graph.evaluation import evaluator as evaluator_lib
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import preparation


class Parsed(NamedTuple):
  """The rows before there is a graph.

  Attributes:
    experiment: The experiment, its vocabularies counted.
    splits: A `Split` by name; of rows on disk, raw values are those of the
      first rows only, and labels are `np.memmap`s.
    statistics: What features are normalized by, measured on training rows.
    cache: The `Cache` of rows on disk; None of rows in memory.
  """
  experiment: experiment_pb2.Experiment
  splits: Dict[str, splits_lib.Split]
  statistics: Dict[str, statistics_lib.Statistics]
  cache: Optional[cache_lib.Cache]


def parse(experiment: experiment_pb2.Experiment, model_dir: str,
          arrays: Optional[preparation.Arrays] = None,
          log: Callable[[str], None] = print) -> Parsed:
  """Parses the rows of every split that there is, or opens their cache.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    model_dir: The run's folder.
    arrays: Columns by split handed over in Python, in place of files.
    log: Takes a line if rows are written to a cache.

  Returns:
    A `Parsed`.

  Raises:
    DataError: If the rows cannot be used.
    WorkerError: If a process that parses ends.
  """
  if not row_sets.is_streamed(experiment.data):
    found = preparation.read_splits(experiment, arrays)
    experiment = preparation.count_vocabularies(experiment, found["train"].raw)
    return Parsed(experiment, found, statistics_lib.measure(
        experiment.data.feature, found["train"].raw), None)
  cache = cached_rows.open_cache(experiment, model_dir, log)
  preparation.check_validation(experiment, cache.rows.splits)
  return Parsed(
      preparation.with_frequent(experiment, cache.rows.frequent),
      cache.rows.splits, cache.rows.statistics, cache)


def transform(parsed: Parsed, evaluator: evaluator_lib.Evaluator,
              session: tf.Session) -> cache_lib.Transformed:
  """Turns rows into batches, or opens those that are in the cache.

  Args:
    parsed: What `parse` returned.
    evaluator: Calls the graph.
    session: Its session, with variables that are initialized or restored.

  Returns:
    A `Transformed`: of rows in memory arrays, of others `np.memmap`s.
  """
  if parsed.cache is None:
    found = {split: evaluator.transform(rows)
             for split, rows in parsed.splits.items()}
    return cache_lib.Transformed(found, {
        split: batches.digest(rows, list(parsed.splits[split].sources.values()))
        for split, rows in found.items()})
  return cached_rows.transform(parsed.cache, parsed.experiment, evaluator,
                               session)


def first(split: splits_lib.Split) -> splits_lib.Split:
  """Returns the first rows of a split, in arrays of their own."""
  count = splits_lib.SAMPLE_ROWS
  return splits_lib.Split(
      {name: np.array(values[:count]) for name, values in split.raw.items()},
      labels_lib.Labels(*[np.array(values[:count]) for values in split.labels]),
      {})
