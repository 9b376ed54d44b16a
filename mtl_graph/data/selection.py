"""Chooses the rows of a split, and tells for which rows a condition holds."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mtl_graph.data import columns
from mtl_graph.data import lists
from mtl_graph.data import row_hashes
from mtl_graph.data import table as table_lib
from mtl_graph.data import texts
from mtl_graph.protos import data_pb2


def columns_of(part: Optional[data_pb2.Part],
               drop: Sequence[data_pb2.Condition]) -> List[str]:
  """Returns the columns that a part and conditions look at, each once."""
  names = [condition.column for condition in drop]
  by = part.WhichOneof("by") if part is not None else None
  if by in ("key_column", "column"):
    names.append(getattr(part, by))
  return list(dict.fromkeys(names))


class Count(NamedTuple):
  """How many rows were looked at, are of the part, and were dropped of these.
  """
  rows: int
  inside: int
  dropped: int


def select(table: table_lib.Table, part: Optional[data_pb2.Part],
           drop: Sequence[data_pb2.Condition]
           ) -> Tuple[table_lib.Table, Count]:
  """Keeps the rows of a part for which no condition holds.

  Args:
    table: All rows; with hashes if the part goes by them.
    part: The part; None: all rows.
    drop: Conditions on rows to leave out.

  Returns:
    A `Table` whose `rows` say where each row was, and a `Count`.

  Raises:
    DataError: If a row has no key.
  """
  inside = np.ones(table_lib.count(table), bool)
  if part is not None:
    inside = _belongs(part, table)
  kept = inside.copy()
  for condition in drop:
    kept &= ~holds(condition, table)
  count = Count(len(inside), int(inside.sum()),
                int(inside.sum() - kept.sum()))
  if kept.all():
    return table, count
  rows = np.flatnonzero(kept) if table.rows is None else table.rows[kept]
  return table_lib.Table(
      {name: values[kept] for name, values in table.columns.items()},
      table.files, rows.astype(np.int64),
      None if table.hashes is None else table.hashes[kept]), count


def check_left(count: Count, paths: Sequence[str], field_path: str) -> None:
  """Raises `DataError` if no row is left.

  Args:
    count: What `select` counted in all files.
    paths: The files.
    field_path: Where the source sits in the experiment; used in errors.
  """
  if count.inside == count.dropped:
    raise table_lib.DataError(
        f"{', '.join(paths)}: found {count.rows} rows, of which {count.inside} "
        f"belong to the part, and {count.dropped} of these are dropped "
        f"({field_path}); allowed: at least one left")


def holds(condition: data_pb2.Condition, table: table_lib.Table) -> np.ndarray:
  """Tells for which rows a condition holds.

  Args:
    condition: The condition, valid.
    table: The rows.

  Returns:
    A boolean array of shape `[N]`.

  Raises:
    DataError: If the column cannot be compared.
  """
  column = condition.column
  if condition.one_of:
    held = _is_one_of(condition.one_of, table, column)
  elif condition.missing:
    held = _is_missing(table.columns[column])
  else:
    values = columns.numbers(table, column)
    columns.check_vector(table, column, values)
    if condition.HasField("greater_than"):  # NaN compares false.
      held = values > columns.as_stored(condition.greater_than, table, column)
    else:
      held = values < columns.as_stored(condition.less_than, table, column)
  return ~held if condition.negate else held


def _belongs(part: data_pb2.Part, table: table_lib.Table) -> np.ndarray:
  """Tells which rows belong to a part."""
  by = part.WhichOneof("by")
  if by == "column":
    inside = _is_one_of(part.value, table, part.column)
  else:
    hashes = (table.hashes if by == "row_hash"
              else _key_hashes(table, part.key_column))
    if hashes is None:
      raise ValueError("select: `table` must have hashes, as the part goes by "
                       "row_hash; found none.")
    fractions = row_hashes.fractions(hashes)
    inside = (fractions >= getattr(part, "from")) & (fractions < part.to)
  return ~inside if part.outside else inside


def _key_hashes(table: table_lib.Table, column: str) -> np.ndarray:
  keys = columns.strings(table, column)
  missing = keys == ""
  if missing.any():
    raise columns.bad_value(table, int(np.argmax(missing)), column, "",
                            "a key, as the part goes by this column")
  return row_hashes.join(row_hashes.digest(key.encode()) for key in keys)


def _is_one_of(allowed: Sequence[str], table: table_lib.Table, column: str
               ) -> np.ndarray:
  wanted = set(allowed) - {""}
  return np.array([text in wanted for text in columns.strings(table, column)],
                  bool)


def _is_missing(values: np.ndarray) -> np.ndarray:
  """Tells which rows hold no value at all."""
  taken = lists.of(values)
  present = np.array([text != "" for text in texts.of(taken.flat)], bool)
  missing = np.ones(len(values), bool)
  missing[lists.rows_of(taken.lengths)[present]] = False
  return missing
