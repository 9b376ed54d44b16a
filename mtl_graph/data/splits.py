"""Reads the rows of the splits: raw features, labels, and what else is asked.

Splits that are cut from the same files read them once.
"""

from typing import Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from mtl_graph.data import columns as columns_lib
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import raw_values
from mtl_graph.data import selection
from mtl_graph.data import sources
from mtl_graph.protos import experiment_pb2

NAMES = ("train", "validation", "test")


class Split(NamedTuple):
  """The rows of a split.

  Attributes:
    raw: Raw values by input, as `raw_values.read` returns them.
    labels: A `labels.Labels`.
    groups: Columns that evaluation groups rows by, as strings.
    dropped: How many rows `data.drop_rows` left out.
  """
  raw: Dict[str, np.ndarray]
  labels: labels_lib.Labels
  groups: Dict[str, np.ndarray]
  dropped: int = 0


def read(experiment: experiment_pb2.Experiment, split: str,
         arrays: Optional[Mapping[str, np.ndarray]] = None) -> Split:
  """Reads one split.

  Args:
    experiment: The experiment, valid.
    split: "train", "validation" or "test".
    arrays: Columns handed over in Python, in place of the files.

  Returns:
    A `Split`.

  Raises:
    DataError: If the data cannot be used.
  """
  return read_all(experiment, None if arrays is None else {split: arrays},
                  [split])[split]


def read_all(experiment: experiment_pb2.Experiment,
             arrays: Optional[Mapping[str, Mapping[str, np.ndarray]]] = None,
             names: Optional[List[str]] = None) -> Dict[str, Split]:
  """Reads several splits.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split handed over in Python, in place of the files.
    names: The splits wanted; None: all there are.

  Returns:
    A `Split` by name.

  Raises:
    DataError: If the data cannot be used.
  """
  if names is None:
    names = [name for name in NAMES if (
        experiment.data.HasField(name) if arrays is None else name in arrays)]
  if arrays is not None:
    return {name: _split(experiment, name, sources.from_arrays(
        arrays[name], columns_of(experiment, name), f"arrays['{name}']",
        _hashes_rows(experiment, name))) for name in names}
  sharing = {}
  for name in names:
    sharing.setdefault(_files(experiment, name), []).append(name)
  result = {}
  for together in sharing.values():
    wanted = [c for name in together for c in columns_of(experiment, name)]
    table = sources.read(
        getattr(experiment.data, together[0]), list(dict.fromkeys(wanted)),
        ", ".join(f"data.{name}" for name in together),
        any(_hashes_rows(experiment, name) for name in together))
    for name in together:
      result[name] = _split(experiment, name, table)
  return {name: result[name] for name in names}


def columns_of(experiment: experiment_pb2.Experiment, split: str) -> List[str]:
  """Returns the columns a split must have, each once."""
  source = getattr(experiment.data, split)
  names = raw_values.columns_of(experiment.data.feature)
  names += labels_lib.all_columns(experiment.model.task)
  names += selection.columns_of(source.part, experiment.data.drop_rows)
  names += [source.weight_column]
  if split != "train":
    names += _group_columns(experiment)
  return list(dict.fromkeys(name for name in names if name))


def _group_columns(experiment) -> List[str]:
  evaluation = experiment.evaluation
  names = [m.group_column for m in evaluation.task_metrics]
  names += [s.column for s in evaluation.slice]
  return [name for name in dict.fromkeys(names) if name]


def _files(experiment, name):
  """Returns what two splits have in common that are read from the same files.
  """
  source = getattr(experiment.data, name)
  kind = source.WhichOneof("kind")
  return kind, getattr(source, kind).SerializeToString(deterministic=True)


def _hashes_rows(experiment, name):
  return getattr(experiment.data, name).part.HasField("row_hash")


def _split(experiment, name, table) -> Split:
  """Takes one split out of the rows that were read."""
  source = getattr(experiment.data, name)
  table, dropped = selection.select(
      table, source.part if source.HasField("part") else None,
      experiment.data.drop_rows, f"data.{name}")
  groups = {} if name == "train" else {
      column: columns_lib.strings(table, column)
      for column in _group_columns(experiment)}
  return Split(
      raw_values.read(experiment.data.feature, table),
      labels_lib.read(experiment.model.task, table, source.weight_column,
                      required=name == "train"), groups, dropped)
