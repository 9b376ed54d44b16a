"""Which rows make up a split: one set of them, or one set per source."""

from typing import (Collection, Dict, List, NamedTuple, Optional, Sequence,
                    Tuple)

from mtl_graph.protos import data_pb2

SPLITS = ("train", "validation", "test")


class RowSet(NamedTuple):
  """Rows that are read together, and label the same tasks.

  Attributes:
    split: "train", "validation" or "test".
    name: Name of the `TaskSource`; "" where the experiment has none.
    key: What arrays of these rows are called: "train", or "train/<name>".
    path: Where `source` sits in the experiment.
    source: The `Source`, empty where the experiment states none.
    is_stated: Whether it does.
    tasks: Names of the tasks that the rows label; none: all.
  """
  split: str
  name: str
  key: str
  path: str
  source: data_pb2.Source
  is_stated: bool
  tasks: Tuple[str, ...]


def every(data: data_pb2.Data, split: str) -> List[RowSet]:
  """Returns the sets that a split may have, stated or not, in order."""
  if not data.source:
    return [RowSet(split, "", split, f"data.{split}", getattr(data, split),
                   data.HasField(split), ())]
  return [RowSet(split, source.name, f"{split}/{source.name}",
                 f"data.source[{i}].{split}", getattr(source, split),
                 source.HasField(split), tuple(source.task))
          for i, source in enumerate(data.source)]


def of(data: data_pb2.Data, split: str,
       arrays: Optional[Collection[str]] = None) -> List[RowSet]:
  """Returns the sets that make up a split, in order; none: there is no split.

  Args:
    data: The `Data` message.
    split: "train", "validation" or "test".
    arrays: Keys of the sets handed over in Python; None: rows come from the
      files that the experiment names.

  Returns:
    A `RowSet` each.
  """
  return [rows for rows in every(data, split)
          if (rows.is_stated if arrays is None else rows.key in arrays)]


def path(data: data_pb2.Data, split: str) -> str:
  """Returns the field by which an experiment states a split."""
  return f"data.source.{split}" if data.source else f"data.{split}"


def together(sets: Sequence[RowSet]) -> List[List[RowSet]]:
  """Gathers the sets that are read from the same files."""
  found: Dict[Tuple, List[RowSet]] = {}
  for rows in sets:
    kind = rows.source.WhichOneof("kind")
    files = getattr(rows.source, kind).SerializeToString(deterministic=True)
    found.setdefault((kind, files), []).append(rows)
  return list(found.values())


def is_streamed(data: data_pb2.Data) -> bool:
  """Returns whether training rows are read from disk as they are needed."""
  return data.input.kind == data_pb2.Input.STREAMED
