"""Keeps rows on disk as the graph takes them, from one run to the next.

A folder of the cache holds parsed rows, and is named by what they depend on.
What becomes of them in the graph is in a folder within it, named by what that
depends on. Each folder is renamed to its name when it is whole.
"""

import contextlib
import fcntl
import json
import os
import shutil
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph.data import batches
from mtl_graph.data import cache_keys
from mtl_graph.data import features
from mtl_graph.data import row_store
from mtl_graph.data import slices
from mtl_graph.data import sources
from mtl_graph.data import tfrecord_files
from mtl_graph.protos import experiment_pb2

_CONTENT = "batches.json"

# Turns raw values by input into a `features.Transformed` of arrays.
Transform = Callable[[Mapping[str, np.ndarray]], features.Transformed]


class Transformed(NamedTuple):
  """Rows as the graph takes them.

  Attributes:
    batches: A `Batch` of `np.memmap`s by split, of the narrowest types that
      hold the values; see `batches.cast`.
    digests: What `batches.digest` says of each.
  """
  batches: Dict[str, batches.Batch]
  digests: Dict[str, str]


class Cache:
  """The rows of one experiment.

  Attributes:
    folder: Where the cache is.
    rows: The `row_store.Rows`.
  """

  def __init__(self, experiment: experiment_pb2.Experiment, folder: str,
               alone: bool, log: Callable[[str], None],
               parse_examples: Optional[tfrecord_files.ParseExamples] = None,
               splits: Optional[Sequence[str]] = None):
    """Opens the cache, and parses the rows if they are not in it.

    Args:
      experiment: The experiment, valid, its vocabularies in line.
      folder: Where the cache is; made if need be.
      alone: Whether nothing else is kept there: what is no longer of use goes.
      log: Takes a line if rows are parsed.
      parse_examples: See `tfrecord_files.pieces`.
      splits: The splits that are wanted; None: all there are.

    Raises:
      DataError: If the rows cannot be used.
      WorkerError: If a process that parses ends.
    """
    self._experiment, self._log = experiment, log
    self.folder, self._alone = folder, alone
    self._parse_examples = parse_examples
    self._splits = splits or row_sets.SPLITS
    self._folder = os.path.join(folder, cache_keys.of_rows(experiment,
                                                           self._splits))
    os.makedirs(folder, exist_ok=True)
    with self._locked():
      if not os.path.exists(self._folder):
        self._parse()
      self.rows = row_store.read(self._folder)

  def transformed(self, experiment: experiment_pb2.Experiment,
                  statistics: Mapping[str, np.ndarray], transform: Transform,
                  size: int) -> Transformed:
    """Opens transformed rows, and transforms them if they are not in the cache.

    Args:
      experiment: The experiment with its vocabularies counted.
      statistics: What the graph normalizes features by, by name.
      transform: Calls the graph.
      size: Rows that it is given at a time.

    Returns:
      A `Transformed`.
    """
    folder = os.path.join(self._folder, cache_keys.of_features(
        experiment, statistics))
    with self._locked():
      if not os.path.exists(folder):
        if not row_store.has_raw(self._folder):
          shutil.rmtree(self._folder)
          self._parse()
        with _whole(folder) as partial:
          os.makedirs(partial)
          _write(experiment, self._folder, partial, transform, size)
        row_store.drop_raw(self._folder)
    return _read(folder, self.rows)

  def _parse(self) -> None:
    self._log(f"cache: parsing rows into {self._folder}")
    if self._alone:
      for name in os.listdir(self.folder):
        if os.path.isdir(os.path.join(self.folder, name)):
          shutil.rmtree(os.path.join(self.folder, name))
    with _whole(self._folder) as partial:
      row_store.write(self._experiment, partial, self._parse_examples,
                      self._splits)

  @contextlib.contextmanager
  def _locked(self):
    """Keeps other runs over the same rows waiting."""
    with open(f"{self._folder}.lock", "w", encoding="utf-8") as file:
      fcntl.flock(file, fcntl.LOCK_EX)
      yield


def holds(folder: str, experiment: experiment_pb2.Experiment) -> bool:
  """Returns whether a cache holds the rows of all splits.

  Args:
    folder: Where the cache is.
    experiment: The experiment, valid, its vocabularies in line.
  """
  try:
    return os.path.exists(os.path.join(folder, cache_keys.of_rows(experiment)))
  except sources.DataError:  # Files of a split that may be of no interest.
    return False


@contextlib.contextmanager
def _whole(folder: str):
  """Gives a folder to write to, which gets its name if all goes well."""
  partial = f"{folder}.partial"
  shutil.rmtree(partial, ignore_errors=True)  # Of a run that was killed.
  try:
    yield partial
    os.rename(partial, folder)
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _write(experiment, rows, folder, transform, size) -> None:
  """Transforms the rows of every split."""
  content = {}
  ids_type = id_type(experiment)
  for split, written in row_store.content_of(rows)["splits"].items():
    raw = row_store.raw(rows, written)
    count = len(next(iter(raw.values())))
    paths = [f"{split}-numbers", f"{split}-ids"]
    with contextlib.ExitStack() as stack:
      files = [stack.enter_context(open(os.path.join(folder, path), "wb"))
               for path in paths]
      for piece in slices.each(count, size):
        found = transform({name: values[piece]
                           for name, values in raw.items()})
        for file, array, dtype in zip(files, found, (np.float32, ids_type)):
          file.write(np.ascontiguousarray(array, dtype).data)
    content[split] = [[path, [count, array.shape[1]], np.dtype(dtype).str]
                      for path, array, dtype
                      in zip(paths, found, (np.float32, ids_type))]
  labels = row_store.read(rows).splits
  digests = {split: batches.digest(
      batches.Batch(*_open(folder, matrices), *labels[split].labels),
      list(labels[split].sources.values()))
             for split, matrices in content.items()}
  with open(os.path.join(folder, _CONTENT), "w", encoding="utf-8") as file:
    json.dump({"matrices": content, "digests": digests}, file)


def id_type(experiment: experiment_pb2.Experiment) -> np.dtype:
  """Returns the narrowest type that holds the category ids of all features."""
  kinds = ("categorical", "cross")
  found = [f for f in experiment.data.feature if f.WhichOneof("kind") in kinds]
  high = max((outline.table_rows(f) - 1 for f in found), default=0)
  # -1 stands where a set or a sequence is shorter.
  several = any(f.categorical.HasField("values") for f in found)
  narrow = np.min_scalar_type(-1 - high if several else high)
  return narrow if narrow.itemsize < 4 else np.dtype(np.int32)


def _open(folder, matrices):
  return [np.memmap(os.path.join(folder, path), dtype, "r", shape=tuple(shape))
          if shape[1] else np.zeros(shape, dtype)
          for path, shape, dtype in matrices]


def _read(folder: str, rows: row_store.Rows) -> Transformed:
  """Opens transformed rows."""
  with open(os.path.join(folder, _CONTENT), encoding="utf-8") as file:
    content = json.load(file)
  return Transformed({
      split: batches.Batch(*_open(folder, matrices), *rows.splits[split].labels)
      for split, matrices in content["matrices"].items()}, content["digests"])
