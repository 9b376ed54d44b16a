"""Values as text: what a CSV file would hold, and what bytes say."""

import math
from typing import List, Sequence

import numpy as np


def of(values: np.ndarray) -> List[str]:
  """Writes each value as text.

  Args:
    values: An array of shape `[N]`.

  Returns:
    A `str` per value, "" where one is missing. A floating point number that is
    whole is written without a point: 5, not 5.0.
  """
  kind = values.dtype.kind
  if kind == "f":
    return ["" if math.isnan(v) else
            str(int(v)) if float(v).is_integer() else repr(v)
            for v in values.tolist()]
  if kind in "biuSUO":  # Python's own values are quicker to write than NumPy's.
    values = values.tolist()
    if set(map(type, values)) == {str}:
      return values
  return [v if type(v) is str else _text(v) for v in values]


def decode(values: Sequence[bytes]) -> List[str]:
  """Reads UTF-8, up to the first value that is none."""
  decoded: List[str] = []
  try:
    decoded.extend(value.decode() for value in values)
  except UnicodeDecodeError:
    pass  # That there are fewer texts than values tells where.
  return decoded


def _text(value) -> str:
  if isinstance(value, bytes):
    return value.decode("utf-8", errors="replace")
  return "" if is_missing(value) else str(value)


def is_missing(value) -> bool:
  """Returns whether a value stands for a missing one, other than ""."""
  # The missing values of pandas go by their type, as a comparison with one is
  # neither true nor false.
  return (value is None or isinstance(value, float) and math.isnan(value)
          or type(value).__name__ in ("NAType", "NaTType")
          or isinstance(value, (np.datetime64, np.timedelta64))
          and bool(np.isnat(value)))
