"""Reads TFRecord files of serialized tf.Example."""

import array
import gzip
import io
import itertools
from typing import (Callable, Collection, Dict, Iterable, Iterator, List,
                    Mapping, Optional, Sequence, Tuple)
import zlib

from google.protobuf import message
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import lists
from mtl_graph.data import paths as paths_lib
from mtl_graph.data import row_hashes
from mtl_graph.data import table as table_lib
from mtl_graph.data import texts

_ALLOWED = ("records of serialized tf.Example, as tf.io.TFRecordWriter writes "
            "them, gzip only if the file ends in .gz")
# Bytes around each record: its length, and two checksums.
_FRAME = 16
# Examples whose features an error names, where a column is in none.
_NAMED = 100
# Records that are looked through at once for features that others lack.
_SEARCHED = 4096


class _Column:
  """The values of one feature, as they come in."""

  def __init__(self, name: str):
    self.name = name
    self.kind = None  # The field of tf.train.Feature that holds the values.
    self.clear()

  def clear(self):
    """Forgets the values, but not of which kind they are."""
    self.flat = _empty(self.kind)
    self.lengths = array.array("q")


def _empty(kind: Optional[str]):
  """Returns what takes up the values of a kind."""
  if kind in (None, "bytes_list"):
    return []
  return array.array("f" if kind == "float_list" else "q")


def read(paths: Sequence[str], columns: Collection[str], field_path: str,
         hash_rows: bool = False) -> table_lib.Table:
  """Reads TFRecord files, one after the other.

  Args:
    paths: The files.
    columns: Names of the features to keep.
    field_path: Where the source sits in the experiment; used in errors.
    hash_rows: Whether to hash each serialized record.

  Returns:
    A `Table` of float32, int64 (float64 with NaN where some are missing) or
    strings; of several values as `lists.column` puts them.

  Raises:
    DataError: If a file cannot be read, a record is no example, no example has
      a column, or a column changes its kind.
  """
  found = [_Column(name) for name in columns]
  names: Dict[str, None] = {}
  files: List[Tuple[str, int]] = []
  digests: List[bytes] = []
  for path in paths:
    records = _records(path)
    if hash_rows:
      records = _digested(records, digests)
    files.append((path, _parse(path, records, found, names)))
  table = table_lib.Table({}, files, None,
                          row_hashes.join(digests) if hash_rows else None)
  if table_lib.count(table):
    _check_present(columns, found, names, paths, field_path)
  _fill(table, found)
  return table


# Parses many serialized examples at once, where all is well: takes them and the
# field of tf.train.Feature that holds each column, and returns a `Lists` by
# column, of bytes where they are text; None where anything is not as expected.
ParseExamples = Callable[[Sequence[bytes], Mapping[str, str]],
                         Optional[Dict[str, lists.Lists]]]


def pieces(paths: Sequence[str], columns: Collection[str], field_path: str,
           hash_rows: bool, size: int,
           parse_examples: Optional[ParseExamples] = None
           ) -> Iterator[table_lib.Table]:
  """Reads TFRecord files piece by piece; arguments are those of `read`.

  Args:
    paths: The files.
    columns: Names of the features to keep.
    field_path: Where the source sits in the experiment; used in errors.
    hash_rows: Whether to hash each serialized record.
    size: Rows of a piece, the last of a file aside.
    parse_examples: Parses examples in place of Python, many times faster.

  Yields:
    A `Table` each, in order. A feature that no record so far has is missing.

  Raises:
    DataError: As `read`.
  """
  found = [_Column(name) for name in columns]
  for path in paths:
    records, first = _records(path), 0
    while some := list(itertools.islice(records, size)):
      if not all(c.kind for c in found):
        # A name that is misspelt would else be taken for one that is missing.
        _search(found, paths, columns, field_path)
      parsed = parse_examples and parse_examples(
          some, {column.name: column.kind for column in found})
      # A record without any of the columns may be no example at all.
      if not parsed or not sum(one.lengths for one in parsed.values()).all():
        for column in found:
          column.clear()
        _parse(path, some, found, {}, first)
      else:
        for column in found:
          column.flat, column.lengths = parsed[column.name]
      end = first + len(some)
      table = table_lib.Table(
          {}, [(path, end)], np.arange(first, end), row_hashes.join(
              map(row_hashes.digest, some)) if hash_rows else None)
      _fill(table, found)
      yield table
      first = end


def _search(found: Sequence[_Column], paths: Sequence[str],
            columns: Collection[str], field_path: str) -> None:
  """Settles what columns hold; raises if no example has one of them."""
  wanted = [column for column in found if not column.kind]
  names: Dict[str, None] = {}
  for path in paths:
    records, first = _records(path), 0
    while not all(c.kind for c in wanted) and (
        some := list(itertools.islice(records, _SEARCHED))):
      for column in wanted:
        column.clear()
      first += _parse(path, some, wanted, names, first)
  _check_present(columns, found, names, paths, field_path)


def _check_present(columns, found: Sequence[_Column], names: Iterable[str],
                   paths: Sequence[str], field_path: str) -> None:
  present = [c.name for c in found if c.kind] + list(names)
  table_lib.check_present(columns, list(dict.fromkeys(present)),
                          ", ".join(paths), field_path)


def _fill(table: table_lib.Table, found: Sequence[_Column]) -> None:
  """Adds the columns that were found to a table."""
  for column in found:
    table.columns[column.name] = lists.column(
        lists.Lists(_flat(column, table), np.array(column.lengths, np.int64)))


def _records(path: str) -> Iterable[bytes]:
  """Yields the serialized records of a file."""
  options = tf.io.TFRecordOptions("GZIP" if path.endswith(".gz") else "")
  number, size = 1, 0
  try:
    for record in tf.io.tf_record_iterator(path, options):
      yield record
      number += 1
      size += len(record) + _FRAME
    # What is too short to say how long a record is, TensorFlow takes for the
    # end, and so it does a .gz that is cut off.
    is_whole = size == _content_size(path)
  except (tf.errors.OpError, OSError, EOFError, zlib.error) as error:
    reason = getattr(error, "message", None) or error
    raise _unreadable(path, number, reason) from error
  if not is_whole:
    raise _unreadable(path, number, "it is cut off")


def _unreadable(path: str, number: int, reason) -> table_lib.DataError:
  return table_lib.DataError(f"{path}, record {number}: cannot be read: "
                             f"{reason}; allowed: {_ALLOWED}")


def _content_size(path: str) -> int:
  """Returns how many bytes a file holds, unzipped."""
  with paths_lib.open_binary(path) as file:
    if not path.endswith(".gz"):
      return file.seek(0, io.SEEK_END)
    with gzip.open(file) as unzipped:
      return sum(map(len, iter(lambda: unzipped.read(1 << 20), b"")))


def _digested(records: Iterable[bytes], digests: List[bytes]
              ) -> Iterable[bytes]:
  """Yields the records and keeps their digests."""
  for record in records:
    digests.append(row_hashes.digest(record))
    yield record


def _parse(path: str, records: Iterable[bytes], columns: Sequence[_Column],
           names: Dict[str, None], first: int = 0) -> int:
  """Adds the examples of a file to the columns, and returns how many.

  `first` is how many stand before them.
  """
  number = first
  for number, record in enumerate(records, first + 1):
    try:
      example = tf.train.Example.FromString(record)
    except message.DecodeError:
      example = None
    # What else was serialized may parse, as fields that an example lacks.
    if example is None or record and not example.HasField("features"):
      raise table_lib.DataError(
          f"{path}, record {number}: found {len(record)} bytes that are no "
          f"tf.Example; allowed: {_ALLOWED}")
    features = example.features.feature
    if number <= _NAMED:
      names.update(dict.fromkeys(sorted(features)))
    for column in columns:
      feature = features[column.name]  # An empty one if there is none.
      values = getattr(feature, column.kind).value if column.kind else ()
      if not values:
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value if kind else ()
        if values:  # A list of nothing may be of any kind.
          _take_kind(column, kind, path, number)
      if len(values) == 1:  # Several times faster than to extend by it.
        column.flat.append(values[0])
      else:
        column.flat.extend(values)
      column.lengths.append(len(values))
  return number - first


def _take_kind(column: _Column, kind: str, path: str, number: int) -> None:
  """Settles what a column holds; raises if that was something else."""
  if column.kind is not None:
    raise table_lib.DataError(
        f"{path}, record {number}: feature '{column.name}' is a {kind}; "
        f"allowed: {column.kind}, as in the records before")
  column.kind = kind
  column.flat = _empty(kind)


def _flat(column: _Column, table: table_lib.Table) -> np.ndarray:
  """Returns the values as an array, bytes as text."""
  if column.kind != "bytes_list":
    return np.array(column.flat, np.float32 if column.kind == "float_list"
                    else np.int64 if column.kind else np.float32)
  decoded = texts.decode(column.flat)
  if len(decoded) < len(column.flat):
    row = int(lists.rows_of(np.array(column.lengths))[len(decoded)])
    where = table_lib.locate(table, row).replace(", row ", ", record ")
    raise table_lib.DataError(
        f"{where}: feature '{column.name}' holds bytes that are not UTF-8: "
        f"{column.flat[len(decoded)][:20]!r}; allowed: UTF-8 text")
  return np.array(decoded, object)
