"""Reads the rows of the splits: raw features, labels, and what else is asked.

Splits and sources that are cut from the same files read them once.
"""

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from mtl_graph import row_sets
from mtl_graph.data import columns as columns_lib
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import raw_values
from mtl_graph.data import selection
from mtl_graph.data import sources
from mtl_graph.protos import experiment_pb2


class Split(NamedTuple):
  """The rows of a split.

  Attributes:
    raw: Raw values by input, as `raw_values.read` returns them.
    labels: A `labels.Labels`.
    groups: Columns that evaluation groups rows by, as strings; "" on the rows
      of a source that need not have the column.
    dropped: How many rows `data.drop_rows` left out.
    sources: The rows of each source by name, one source after the other; empty
      where the experiment has none.
  """
  raw: Dict[str, np.ndarray]
  labels: labels_lib.Labels
  groups: Dict[str, np.ndarray]
  dropped: int = 0
  sources: Dict[str, slice] = {}


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
  together = {}  # Sets of the same files, or alone, as arrays are.
  for sets in wanted.values():
    for rows in sets:
      files = _files(rows) if arrays is None else rows.key
      together.setdefault(files, []).append(rows)
  parts = {}
  for sets in together.values():
    table = _table(experiment, sets, arrays)
    for rows in sets:
      parts[rows.key] = _part(experiment, rows, table)
  return {name: _joined(experiment, sets, [parts[rows.key] for rows in sets])
          for name, sets in wanted.items()}


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
  return _columns(experiment, rows)


def _columns(experiment, rows) -> List[str]:
  names = raw_values.columns_of(experiment.data.feature)
  names += labels_lib.all_columns(
      [task for task in experiment.model.task if _labels(rows, task.name)])
  names += selection.columns_of(rows.source.part, experiment.data.drop_rows)
  names += [rows.source.weight_column]
  names += _group_columns(experiment, [rows])
  return list(dict.fromkeys(name for name in names if name))


def _labels(rows, task) -> bool:
  return not rows.tasks or task in rows.tasks


def _group_columns(experiment, sets) -> List[str]:
  """Returns the columns that some sets must have to be grouped by."""
  if any(rows.split == "train" for rows in sets):
    return []
  evaluation = experiment.evaluation
  names = [m.group_column for m in evaluation.task_metrics
           if any(_labels(rows, m.task) for rows in sets)]
  names += [s.column for s in evaluation.slice]
  return [name for name in dict.fromkeys(names) if name]


def _files(rows):
  """Returns what sets have in common that are read from the same files."""
  kind = rows.source.WhichOneof("kind")
  return kind, getattr(rows.source, kind).SerializeToString(deterministic=True)


def _table(experiment, sets, arrays) -> sources.Table:
  """Reads what sets of the same rows need between them."""
  columns = list(dict.fromkeys(
      column for rows in sets for column in _columns(experiment, rows)))
  hash_rows = any(rows.source.part.HasField("row_hash") for rows in sets)
  if arrays is not None:
    key, = [rows.key for rows in sets]
    return sources.from_arrays(arrays[key], columns, f"arrays['{key}']",
                               hash_rows)
  return sources.read(sets[0].source, columns,
                      ", ".join(rows.path for rows in sets), hash_rows)


def _part(experiment, rows, table) -> Split:
  """Takes one set out of the rows that were read."""
  source = rows.source
  table, dropped = selection.select(
      table, source.part if source.HasField("part") else None,
      experiment.data.drop_rows, rows.path)
  groups = {column: columns_lib.strings(table, column)
            for column in _group_columns(experiment, [rows])}
  return Split(
      raw_values.read(experiment.data.feature, table),
      labels_lib.read(experiment.model.task, table, source.weight_column,
                      required=rows.split == "train",
                      labelled=rows.tasks or None), groups, dropped)


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
       for column in _group_columns(experiment, sets)},
      sum(part.dropped for part in parts),
      {rows.name: slice(end - count, end)
       for rows, count, end in zip(sets, counts, ends)})
