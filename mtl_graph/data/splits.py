"""Reads the rows of a split: raw features and labels."""

import collections
from typing import List, Mapping, Optional

import numpy as np

from mtl_graph.data import features
from mtl_graph.data import labels
from mtl_graph.data import sources
from mtl_graph.protos import experiment_pb2

# raw: raw values by feature, as `features.read` returns them.
# labels: a `labels.Labels`.
Split = collections.namedtuple("Split", ["raw", "labels"])


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
  source = getattr(experiment.data, split)
  columns = columns_of(experiment, split)
  table = (sources.read(source, columns, f"data.{split}") if arrays is None
           else sources.from_arrays(arrays, columns, f"arrays['{split}']"))
  return Split(features.read(experiment.data.feature, table),
               labels.read(experiment.model.task, table, source.weight_column,
                           required=split == "train"))


def columns_of(experiment: experiment_pb2.Experiment, split: str) -> List[str]:
  """Returns the columns a split must have, each once."""
  names = [features.column_of(f) for f in experiment.data.feature]
  names += [labels.column_of(t) for t in experiment.model.task]
  weight_column = getattr(experiment.data, split).weight_column
  if weight_column:
    names.append(weight_column)
  return list(dict.fromkeys(names))
