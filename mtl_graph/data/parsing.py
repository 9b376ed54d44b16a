"""Parses pieces of rows, in whatever process; imports no TensorFlow."""

import functools
from typing import List, Sequence, Union

from mtl_graph import row_sets
from mtl_graph.data import csv_files
from mtl_graph.data import parts
from mtl_graph.data import spills
from mtl_graph.data import table as table_lib
from mtl_graph.protos import experiment_pb2


def parse(experiment: bytes, keys: Sequence[str],
          piece: Union[csv_files.Piece, table_lib.Table]) -> List[parts.Part]:
  """Takes sets of rows out of a piece of the files they have in common.

  Args:
    experiment: The experiment, serialized.
    keys: Which sets.
    piece: The piece, as `sources.pieces` yields it.

  Returns:
    A `Part` per set, its strings as `spills.Coded`.

  Raises:
    DataError: If the rows cannot be used.
  """
  parsed, sets = _prepared(experiment)
  table = (csv_files.parse(piece) if isinstance(piece, csv_files.Piece)
           else piece)
  found = []
  for key in keys:
    part = parts.take(parsed, sets[key], table)
    if part.split is not None:
      part = part._replace(split=part.split._replace(
          raw=_coded(part.split.raw), groups=_coded(part.split.groups)))
    found.append(part)
  return found


@functools.lru_cache(maxsize=1)
def _prepared(serialized):
  """Returns the experiment, and its sets by key."""
  experiment = experiment_pb2.Experiment.FromString(serialized)
  return experiment, {rows.key: rows for split in row_sets.SPLITS
                      for rows in row_sets.of(experiment.data, split)}


def _coded(arrays):
  return {name: spills.encode(values) if values.dtype == object else values
          for name, values in arrays.items()}
