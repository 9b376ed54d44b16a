"""Reads the rows of the splits: raw features, labels, and what else is asked.

Splits and sources that are cut from the same files read them once.
"""

from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np

from mtl_graph import row_sets
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import parts as parts_lib
from mtl_graph.data import selection
from mtl_graph.data import sources
from mtl_graph.protos import experiment_pb2


# The face of that module, for whoever reads rows.
Split = parts_lib.Split
SAMPLE_ROWS = parts_lib.SAMPLE_ROWS


def read(experiment: experiment_pb2.Experiment, split: str,
         arrays: Optional[Mapping[str, np.ndarray]] = None) -> Split:
  """Reads one split.

  Args:
    experiment: The experiment, valid.
    split: "train", "validation" or "test".
    arrays: Columns handed over in Python, in place of the files; where there
      are sources, such columns by name of the source.

  Returns:
    A `Split`.

  Raises:
    DataError: If the data cannot be used.
  """
  if arrays is not None:
    arrays = ({f"{split}/{name}": own for name, own in arrays.items()}
              if experiment.data.source else {split: arrays})
  return read_all(experiment, arrays, [split])[split]


def read_all(experiment: experiment_pb2.Experiment,
             arrays: Optional[Mapping[str, Mapping[str, np.ndarray]]] = None,
             names: Optional[List[str]] = None) -> Dict[str, Split]:
  """Reads several splits.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split, or by split and source as "train/<source>", handed
      over in Python in place of the files.
    names: The splits wanted; None: all there are.

  Returns:
    A `Split` by name.

  Raises:
    DataError: If the data cannot be used.
  """
  if names is None:
    names = [name for name in row_sets.SPLITS
             if row_sets.of(experiment.data, name, arrays)]
  wanted = {name: row_sets.of(experiment.data, name, arrays) for name in names}
  every = [rows for sets in wanted.values() for rows in sets]
  parts = {}
  for sets in (row_sets.together(every) if arrays is None
               else [[rows] for rows in every]):
    table = _table(experiment, sets, arrays)
    for rows in sets:
      parts[rows.key] = _whole(experiment, rows, table)
  return {name: _joined(experiment, sets, [parts[rows.key] for rows in sets])
          for name, sets in wanted.items()}


def read_first(experiment: experiment_pb2.Experiment, split: str,
               count: int = SAMPLE_ROWS) -> Split:
  """Reads the first rows of a split, and of its files no more than it takes.

  What only all rows together tell is not checked.

  Args:
    experiment: The experiment, valid.
    split: "train", "validation" or "test".
    count: How many rows; fewer where there are fewer.

  Returns:
    A `Split`, its groups and sources left out.

  Raises:
    DataError: If the rows cannot be used, or there are none.
  """
  found = []
  for rows in row_sets.of(experiment.data, split):
    found += _first(experiment, rows, count - sum(map(_count, found)))
    if sum(map(_count, found)) == count:
      break
  return Split(
      {name: np.concatenate([part.raw[name] for part in found])
       for name in found[0].raw},
      labels_lib.Labels(*map(np.concatenate,
                             zip(*[part.labels for part in found]))), {})


def _first(experiment, rows, count) -> List[Split]:
  """Returns the first rows of one set, piece by piece."""
  needed = parts_lib.needed(experiment, [rows])
  found, seen = [], selection.Count(0, 0, 0)
  for piece in sources.pieces(rows.source, *needed, count):
    part = parts_lib.take(experiment, rows, sources.parsed(piece))
    seen = selection.Count(*map(sum, zip(seen, part.count)))
    if part.split is not None:
      left = count - sum(map(_count, found))
      found.append(Split({name: values[:left]
                          for name, values in part.split.raw.items()},
                         labels_lib.Labels(*[values[:left] for values
                                             in part.split.labels]), {}))
    if sum(map(_count, found)) == count:
      break
  paths = sources.paths_of(rows.source, rows.path)
  sources.check_some(seen.rows, paths, rows.path)
  selection.check_left(seen, paths, rows.path)
  return found


def _count(split) -> int:
  return len(split.labels.weights)


def columns_of(experiment: experiment_pb2.Experiment, split: str) -> List[str]:
  """Returns the columns the rows of a split are read from, each once.

  Args:
    experiment: The experiment, valid.
    split: "train", "validation" or "test"; where there are sources, followed by
      one of them as in "train/<source>".

  Returns:
    Names of columns.
  """
  rows, = [rows for rows in row_sets.every(
      experiment.data, split.partition("/")[0]) if rows.key == split]
  return parts_lib.columns_of(experiment, rows)


def _table(experiment, sets, arrays) -> sources.Table:
  """Reads what sets of the same rows need between them."""
  columns, field_path, hash_rows = parts_lib.needed(experiment, sets)
  if arrays is not None:
    key, = [rows.key for rows in sets]
    return sources.from_arrays(arrays[key], columns, f"arrays['{key}']",
                               hash_rows)
  return sources.read(sets[0].source, columns, field_path, hash_rows)


def _whole(experiment, rows, table) -> Split:
  """Takes one set out of all the rows that were read."""
  part = parts_lib.take(experiment, rows, table)
  parts_lib.check(experiment, rows, [path for path, _ in table.files],
                  part.count, part.presence)
  return part.split


def _joined(experiment, sets: Sequence[row_sets.RowSet],
            parts: Sequence[Split]) -> Split:
  """Puts the rows of sources one after the other."""
  if not experiment.data.source:
    return parts[0]
  counts = [len(part.labels.weights) for part in parts]
  ends = np.cumsum(counts).tolist()
  return Split(
      {name: np.concatenate([part.raw[name] for part in parts])
       for name in parts[0].raw},
      labels_lib.Labels(*map(np.concatenate,
                             zip(*[part.labels for part in parts]))),
      {column: np.concatenate([
          part.groups.get(column, np.full(count, "", object))
          for part, count in zip(parts, counts)])
       for column in parts_lib.group_columns(experiment, sets)},
      sum(part.dropped for part in parts),
      {rows.name: slice(end - count, end)
       for rows, count, end in zip(sets, counts, ends)})
