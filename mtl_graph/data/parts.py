"""Takes the rows of one set out of a table: raw features, labels and groups.

Imports no TensorFlow, so that a process that does nothing else starts at once.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from mtl_graph import row_sets
from mtl_graph.data import columns as columns_lib
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import raw_values
from mtl_graph.data import selection
from mtl_graph.data import table as table_lib
from mtl_graph.protos import experiment_pb2

# Rows of a split that are kept as they are read, for checking an export.
SAMPLE_ROWS = 256


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


class Part(NamedTuple):
  """What a table holds of a set.

  Attributes:
    split: Its rows, a `Split`; None where there are none.
    count: The `selection.Count`.
    presence: The `labels.Presence`; None where it does not matter.
  """
  split: Optional[Split]
  count: selection.Count
  presence: Optional[labels_lib.Presence]


def columns_of(experiment: experiment_pb2.Experiment, rows: row_sets.RowSet
               ) -> List[str]:
  """Returns the columns that a set is read from, each once."""
  names = raw_values.columns_of(experiment.data.feature)
  names += labels_lib.all_columns(
      [task for task in experiment.model.task if _labels(rows, task.name)])
  names += selection.columns_of(rows.source.part, experiment.data.drop_rows)
  names += [rows.source.weight_column]
  names += group_columns(experiment, [rows])
  return list(dict.fromkeys(name for name in names if name))


def _labels(rows, task) -> bool:
  return not rows.tasks or task in rows.tasks


def group_columns(experiment: experiment_pb2.Experiment,
                  sets: Sequence[row_sets.RowSet]) -> List[str]:
  """Returns the columns that some sets must have to be grouped by."""
  if any(rows.split == "train" for rows in sets):
    return []
  evaluation = experiment.evaluation
  names = [m.group_column for m in evaluation.task_metrics
           if any(_labels(rows, m.task) for rows in sets)]
  names += [s.column for s in evaluation.slice]
  return [name for name in dict.fromkeys(names) if name]


class Needed(NamedTuple):
  """What is to be read for several sets of the same files.

  Attributes:
    columns: Names of columns, each once.
    field_path: Where the sources sit in the experiment; used in errors.
    hash_rows: Whether whole rows are to be hashed.
  """
  columns: List[str]
  field_path: str
  hash_rows: bool


def needed(experiment: experiment_pb2.Experiment,
           sets: Sequence[row_sets.RowSet]) -> Needed:
  """Returns what sets of the same files need between them."""
  return Needed(
      list(dict.fromkeys(column for rows in sets
                         for column in columns_of(experiment, rows))),
      ", ".join(rows.path for rows in sets),
      any(rows.source.part.HasField("row_hash") for rows in sets))


def take(experiment: experiment_pb2.Experiment, rows: row_sets.RowSet,
         table: table_lib.Table) -> Part:
  """Takes one set out of rows that were read.

  Args:
    experiment: The experiment, valid.
    rows: The set.
    table: All rows of its files, or some of them.

  Returns:
    A `Part`.

  Raises:
    DataError: If the rows cannot be used.
  """
  source, labelled = rows.source, rows.tasks or None
  table, count = selection.select(
      table, source.part if source.HasField("part") else None,
      experiment.data.drop_rows)
  if not table_lib.count(table):
    return Part(None, count, None)
  groups = {column: columns_lib.strings(table, column)
            for column in group_columns(experiment, [rows])}
  raw = raw_values.read(experiment.data.feature, table)
  labels = labels_lib.read(experiment.model.task, table, source.weight_column,
                           labelled)
  presence = None
  if rows.split == "train":
    presence = labels_lib.presence(experiment.model.task, table, labels,
                                   labelled)
  return Part(Split(raw, labels, groups, count.dropped), count, presence)


def check(experiment: experiment_pb2.Experiment, rows: row_sets.RowSet,
          paths: Sequence[str], count: selection.Count,
          presence: Optional[labels_lib.Presence]) -> None:
  """Raises for what only all rows of a set together tell.

  Args:
    experiment: The experiment, valid.
    rows: The set.
    paths: Its files.
    count: The `Count` of all of them.
    presence: The `Presence` in all of them.

  Raises:
    DataError: If no row is left, or a task that is trained has no label.
  """
  selection.check_left(count, paths, rows.path)
  if presence is not None:
    labels_lib.check_presence(presence, experiment.model.task, paths,
                              rows.tasks or None)
