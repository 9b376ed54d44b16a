"""Turns the columns of a table into numbers and strings, row by row if bad."""

import itertools
import math
from typing import Optional

import numpy as np

from mtl_graph.data import lists
from mtl_graph.data import table as table_lib
from mtl_graph.data import texts

_NUMBER = "a number, or nothing where it is missing"
_WHOLE = "a whole number of at least 0, or nothing where it is missing"


def numbers(table: table_lib.Table, column: str) -> np.ndarray:
  """Reads a column as numbers.

  Args:
    table: The table.
    column: Name of one of its columns.

  Returns:
    A float64 array of the column's shape, NaN where a value is missing (an
    empty field, or NaN).

  Raises:
    DataError: If a value is no number, or is infinite, or if rows hold
      different numbers of values.
  """
  values = _even(table, column)
  size = int(np.prod(values.shape[1:]))
  result = _parsed(values.reshape(-1), table, column,
                   lambda index: index // size)
  return result.reshape(values.shape)


def integers(table: table_lib.Table, column: str) -> np.ndarray:
  """Reads a column as whole numbers.

  Args:
    table: The table.
    column: Name of one of its columns.

  Returns:
    An int64 array of shape `[N]`, -1 where a value is missing.

  Raises:
    DataError: If a value is no whole number, or is negative.
  """
  values = numbers(table, column)
  check_vector(table, column, values)
  check_rows(table, column, _is_not_whole(values), _WHOLE)
  return np.where(np.isnan(values), -1.0, values).astype(np.int64)


def strings(table: table_lib.Table, column: str) -> np.ndarray:
  """Reads a column as strings.

  Args:
    table: The table.
    column: Name of one of its columns.

  Returns:
    An object array of `str`, shape `[N]`, "" where a value is missing.

  Raises:
    DataError: If the column has more than one value per row, or holds NUL.
  """
  values = _even(table, column)
  check_vector(table, column, values)
  return _written(values, table, column, lambda index: index)


def padded_strings(table: table_lib.Table, column: str, separator: str,
                   width: Optional[int], keep_last: bool) -> np.ndarray:
  """Reads a column of several strings per row.

  Args:
    table: The table.
    column: Name of one of its columns: text with a separator, an array of shape
      `[N, k]`, or vectors of several lengths.
    separator: What stands between the values in a field of text; an empty field
      holds none.
    width: Values per row that are kept; None: all.
    keep_last: Whether of a row that holds more the last are kept, missing ones
      at its end left out, not the first.

  Returns:
    An object array of `str`, shape `[N, width]`, "" behind a row's values and
    where one is missing.

  Raises:
    DataError: If the column has more dimensions, or holds NUL.
  """
  taken = _apart(table, column, separator)
  flat = _written(taken.flat, table, column, _row_of(taken))
  return _pad(taken, flat, flat == "", width, keep_last, "")


def padded_integers(table: table_lib.Table, column: str, separator: str,
                    width: int, keep_last: bool) -> np.ndarray:
  """Reads a column of several whole numbers per row.

  Args:
    table: The table.
    column: As `padded_strings`.
    separator: As `padded_strings`.
    width: As `padded_strings`.
    keep_last: As `padded_strings`.

  Returns:
    An int64 array of shape `[N, width]`, -1 behind a row's values and where one
    is missing.

  Raises:
    DataError: If a value is no whole number, or is negative.
  """
  taken = _apart(table, column, separator)
  values = _parsed(taken.flat, table, column, _row_of(taken))
  _check_flat(taken, _is_not_whole(values), table, column, _WHOLE)
  absent = np.isnan(values)
  return _pad(taken, np.where(absent, -1.0, values).astype(np.int64), absent,
              width, keep_last, -1)


def padded_numbers(table: table_lib.Table, column: str, separator: str,
                   width: int, keep_last: bool) -> np.ndarray:
  """Reads a column of several numbers per row.

  Args:
    table: The table.
    column: As `padded_strings`.
    separator: As `padded_strings`.
    width: As `padded_strings`.
    keep_last: As `padded_strings`.

  Returns:
    A float32 array of shape `[N, width]`, NaN behind a row's values and where
    one is missing.

  Raises:
    DataError: If a value is no number that fits float32.
  """
  taken = _apart(table, column, separator)
  values = _parsed(taken.flat, table, column, _row_of(taken))
  with np.errstate(over="ignore"):
    narrow = values.astype(np.float32)
  _check_flat(taken, np.isinf(narrow), table, column,
              "a number that fits 32-bit floating point")
  return _pad(taken, narrow, np.isnan(narrow), width, keep_last, np.nan)


def vectors(table: table_lib.Table, column: str, separator: Optional[str],
            size: int) -> np.ndarray:
  """Reads a column of as many numbers in each row.

  Args:
    table: The table.
    column: As `padded_strings`.
    separator: What stands between the numbers in a field of text, if anything.
    size: Numbers per row.

  Returns:
    A float64 array of shape `[N, size]`, NaN where a number is missing, and in
    rows that hold nothing.

  Raises:
    DataError: If a value is no number, or a row holds another number of them.
  """
  values = table.columns[column]
  if values.ndim > 1 and values.shape[1:] != (size,):
    raise _bad_shape(table, column, values, [len(values), size])
  taken = _apart(table, column, separator)
  wrong = (taken.lengths != size) & (taken.lengths != 0)
  if wrong.any():
    row = int(np.argmax(wrong))
    between = (f" with '{separator}' between them"
               if separator and values.dtype.kind not in "biuf" else "")
    raise table_lib.DataError(
        f"{table_lib.locate(table, row)}, column '{column}': found "
        f"{taken.lengths[row]} values; allowed: {size} numbers{between}, or "
        "nothing")
  result = np.full([len(taken.lengths), size], np.nan)
  result[taken.lengths > 0] = _parsed(
      taken.flat, table, column, _row_of(taken)).reshape(-1, size)
  return result


def as_stored(number: float, table: table_lib.Table, column: str) -> float:
  """Rounds a number as the column does, so that equal ones compare equal."""
  dtype = table.columns[column].dtype
  return float(dtype.type(number)) if dtype.kind == "f" else number


def bad_value(table: table_lib.Table, row: int, column: str, found,
              allowed: str) -> table_lib.DataError:
  """Returns the error that says what is wrong with one value."""
  text = str(found)
  text = text if len(text) <= 60 else text[:57] + "..."
  return table_lib.DataError(
      f"{table_lib.locate(table, row)}, column '{column}': found '{text}'; "
      f"allowed: {allowed}")


def check_rows(table: table_lib.Table, column: str, wrong: np.ndarray,
               allowed: str) -> None:
  """Raises `DataError` for the first row that is wrong; `wrong` is `[N]`."""
  if wrong.any():
    row = int(np.argmax(wrong))
    raise bad_value(table, row, column, table.columns[column][row], allowed)


def check_vector(table: table_lib.Table, column: str, values: np.ndarray
                 ) -> None:
  """Raises `DataError` unless a column has one value per row."""
  if values.ndim != 1:
    raise _bad_shape(table, column, values, "one value per row")


def _bad_shape(table, column, values, allowed):
  return table_lib.DataError(
      f"{table.files[0][0]}: column '{column}' has shape {list(values.shape)}; "
      f"allowed: {allowed}")


def _even(table, column):
  """Returns a column whose rows hold equally many values."""
  values = table.columns[column]
  if not lists.is_ragged(values):
    return values
  taken = lists.of(values)
  if taken.lengths.max() > 1:
    row = int(np.argmax(taken.lengths > 1))
    raise table_lib.DataError(
        f"{table_lib.locate(table, row)}, column '{column}': found "
        f"{taken.lengths[row]} values; allowed: one value, or nothing where it "
        "is missing")
  return lists.column(taken)


def _apart(table, column, separator) -> lists.Lists:
  """Returns the values of a column that may hold several per row."""
  values = table.columns[column]
  if values.ndim > 2:
    raise _bad_shape(table, column, values, "one value, or a list of them, per "
                     "row")
  if values.ndim == 2 or lists.is_ragged(values):
    return lists.of(values)
  if values.dtype.kind in "biuf":
    present = ~np.isnan(values)
    return lists.Lists(values[present], present.astype(np.int64))
  rows = [[] if not text else text.split(separator) if separator else [text]
          for text in texts.of(values)]
  return lists.Lists(np.array(list(itertools.chain.from_iterable(rows)),
                              object),
                     np.array([len(row) for row in rows], np.int64))


def _row_of(taken):
  """Returns the function from the place of a flat value to its row."""
  return lambda index: int(lists.rows_of(taken.lengths)[index])


def _written(values, table, column, row_of) -> np.ndarray:
  """Returns values as text; `row_of` tells the row of a place among them."""
  written = texts.of(values)
  if "\0" in "".join(written):
    wrong = next(i for i, text in enumerate(written) if "\0" in text)
    raise bad_value(table, row_of(wrong), column, written[wrong],
                    "text without NUL")
  return np.array(written, dtype=object)


def _parsed(values, table, column, row_of) -> np.ndarray:
  """Returns values as float64; `row_of` tells the row of a place among them."""
  if values.dtype.kind in "biuf":
    result = values.astype(np.float64)
  else:
    written = texts.of(values)
    try:
      # Columns repeat themselves: each number is read once.
      numbers_ = {text: _number(text) for text in set(written)}
      result = np.fromiter(map(numbers_.__getitem__, written), np.float64,
                           len(written))
    except ValueError as error:
      wrong = next(i for i, text in enumerate(written) if not _is_number(text))
      raise bad_value(table, row_of(wrong), column, written[wrong], _NUMBER
                      ) from error
  infinite = np.isinf(result)
  if infinite.any():
    wrong = int(np.argmax(infinite))
    raise bad_value(table, row_of(wrong), column, values[wrong],
                    "a finite number")
  return result


def _is_not_whole(values):
  filled = np.where(np.isnan(values), 0, values)
  return (filled != np.floor(filled)) | (filled < 0) | (filled > 2 ** 53)


def _check_flat(taken, wrong, table, column, allowed):
  if wrong.any():
    index = int(np.argmax(wrong))
    raise bad_value(table, _row_of(taken)(index), column, taken.flat[index],
                    allowed)


def _pad(taken, flat, absent, width, keep_last, filler) -> np.ndarray:
  """Cuts and fills rows; `absent` tells which flat values are missing."""
  values = lists.Lists(flat, taken.lengths)
  if keep_last:
    values = lists.without_end(values, absent)
  if width is None:
    width = int(values.lengths.max(initial=0))
  return lists.pad(values, width, keep_last, filler)


def _number(text: str) -> float:
  if "_" in text:
    raise ValueError  # Python reads 1_000 as 1000; no data file means that.
  return float(text) if text else math.nan


def _is_number(text: str) -> bool:
  try:
    _number(text)
  except ValueError:
    return False
  return True
