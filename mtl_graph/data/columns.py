"""Turns the columns of a table into numbers and strings, row by row if bad."""

import math

import numpy as np

from mtl_graph.data import sources


def numbers(table: sources.Table, column: str) -> np.ndarray:
  """Reads a column as numbers.

  Args:
    table: The table.
    column: Name of one of its columns.

  Returns:
    A float64 array of the column's shape, NaN where a value is missing (an
    empty field, or NaN).

  Raises:
    DataError: If a value is no number, or is infinite.
  """
  values = table.columns[column]
  if values.dtype.kind in "biuf":
    result = values.astype(np.float64)
  else:
    try:
      result = np.array([_number(v) for v in _texts(values)], np.float64)
    except ValueError as error:
      for row, value in enumerate(_texts(values)):
        if not _is_number(value):
          raise bad_value(table, row, column, value, "a number, or nothing "
                          "where it is missing") from error
      raise
  infinite = np.isinf(result).reshape(len(result), -1).any(axis=1)
  if infinite.any():
    row = int(np.argmax(infinite))
    raise bad_value(table, row, column, values[row], "a finite number")
  return result


def integers(table: sources.Table, column: str) -> np.ndarray:
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
  missing = np.isnan(values)
  filled = np.where(missing, -1.0, values)
  wrong = (filled != np.floor(filled)) | ((filled < 0) & ~missing) | (
      filled > 2 ** 53)
  if wrong.any():
    row = int(np.argmax(wrong))
    raise bad_value(table, row, column, table.columns[column][row],
                    "a whole number of at least 0, or nothing where it is "
                    "missing")
  return filled.astype(np.int64)


def strings(table: sources.Table, column: str) -> np.ndarray:
  """Reads a column as strings.

  Args:
    table: The table.
    column: Name of one of its columns.

  Returns:
    An object array of `str`, shape `[N]`, "" where a value is missing.

  Raises:
    DataError: If the column has more than one value per row, or holds NUL.
  """
  values = table.columns[column]
  check_vector(table, column, values)
  if values.dtype.kind == "f":
    # A whole number is written as a CSV file has it: 5, not 5.0.
    return np.array(
        ["" if math.isnan(v) else
         str(int(v)) if float(v).is_integer() else repr(v.item())
         for v in values], dtype=object)
  texts = list(_texts(values))
  for row, text in enumerate(texts):
    if "\0" in text:
      raise bad_value(table, row, column, text, "text without NUL")
  return np.array(texts, dtype=object)


def bad_value(table: sources.Table, row: int, column: str, found,
              allowed: str) -> sources.DataError:
  """Returns the error that says what is wrong with one value."""
  text = str(found)
  text = text if len(text) <= 60 else text[:57] + "..."
  return sources.DataError(f"{sources.locate(table, row)}, column '{column}': "
                           f"found '{text}'; allowed: {allowed}")


def check_vector(table: sources.Table, column: str, values: np.ndarray) -> None:
  """Raises `DataError` unless a column has one value per row."""
  if values.ndim != 1:
    raise sources.DataError(
        f"{table.files[0][0]}: column '{column}' has shape "
        f"{list(values.shape)}; allowed: one value per row")


def _texts(values):
  """Yields the values as `str`."""
  for value in values:
    if isinstance(value, bytes):
      yield value.decode("utf-8", errors="replace")
    elif _is_missing(value):
      yield ""
    else:
      yield str(value)


def _is_missing(value) -> bool:
  # The missing values of pandas go by their type, as a comparison with one is
  # neither true nor false.
  return (value is None or isinstance(value, float) and math.isnan(value)
          or type(value).__name__ in ("NAType", "NaTType"))


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
