"""The rows of an experiment on disk, as whoever evaluates it takes them."""

import contextlib
import os
from typing import Callable, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.data import cache as cache_lib
from mtl_graph.data import sources
from mtl_graph.evaluation import evaluator as evaluator_lib
from mtl_graph.evaluation import examples
from mtl_graph.protos import experiment_pb2


def open_cache(experiment: experiment_pb2.Experiment, model_dir: str,
               log: Callable[[str], None],
               splits: Optional[Sequence[str]] = None) -> cache_lib.Cache:
  """Opens the cache of an experiment, and parses rows that are not in it.

  Args:
    experiment: The experiment, valid, its vocabularies in line; its rows are to
      be streamed.
    model_dir: The run's folder.
    log: Takes a line if rows are parsed.
    splits: The splits that are wanted, by somebody who did not make the cache:
      unless it holds them, they alone are parsed, and what it holds stays;
      None: all, by the run whose cache it is.

  Returns:
    A `Cache`.

  Raises:
    DataError: If the rows cannot be used, or the cache cannot be written.
    WorkerError: If a process that parses ends.
  """
  stated = experiment.data.input.cache_dir
  folder = stated or os.path.join(model_dir, "cache")
  alone = not stated and splits is None
  if splits is not None and cache_lib.holds(folder, experiment):
    splits = None
  with _writing(folder):
    return cache_lib.Cache(experiment, folder, alone, log, examples.Parser(),
                           splits)


def transform(cache: cache_lib.Cache, experiment: experiment_pb2.Experiment,
              evaluator: evaluator_lib.Evaluator, session: tf.Session
              ) -> cache_lib.Transformed:
  """Opens rows as the graph takes them, or turns them into such.

  Args:
    cache: The cache.
    experiment: The experiment, its vocabularies counted.
    evaluator: Calls the graph.
    session: Its session, with variables that are initialized or restored.

  Returns:
    A `Transformed`.

  Raises:
    DataError: If the cache cannot be written.
  """
  # A checkpoint may have brought others than were measured.
  variables = session.graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)
  statistics = session.run({v.op.name: v for v in variables
                            if v.op.name.startswith("statistics/")})
  with _writing(cache.folder):
    return cache.transformed(experiment, statistics, evaluator.transform_raw,
                             evaluator_lib.TRANSFORM_ROWS)


@contextlib.contextmanager
def _writing(folder: str):
  """Says of a cache that cannot be written what is wrong with it."""
  try:
    yield
  except OSError as error:
    raise sources.DataError(
        f"data.input.cache_dir: '{folder}' cannot be written: {error.strerror};"
        " allowed: a folder of your own with space in it") from error
