"""Columns whose rows hold several values, as flat values and lengths."""

import collections
from typing import Sequence

import numpy as np

# flat: the values of all rows, one after the other; shape [sum of lengths].
# lengths: how many of them each row holds, int64 [N].
Lists = collections.namedtuple("Lists", ["flat", "lengths"])


def is_ragged(values: np.ndarray) -> bool:
  """Returns whether a column's entries are vectors of several lengths."""
  return (values.dtype == object and values.ndim == 1 and len(values) > 0
          and isinstance(values[0], np.ndarray))


def of(values: np.ndarray) -> Lists:
  """Takes a column apart; each row of one value, or of a matrix, is a list."""
  if is_ragged(values):
    lengths = np.array([len(row) for row in values], np.int64)
    return Lists(np.concatenate(values), lengths)
  size = int(np.prod(values.shape[1:]))
  return Lists(values.reshape(-1), np.full(len(values), size, np.int64))


def column(lists: Lists) -> np.ndarray:
  """Puts a column together, in the simplest form that holds all rows.

  Args:
    lists: The values.

  Returns:
    An array of shape `[N]` if no row holds more than one value: NaN, or "",
    where there is none; `[N, k]` if all rows hold `k`; else an object array of
    vectors, shape `[N]`.
  """
  flat, lengths = lists
  most = lengths.max(initial=0)
  if most <= 1:
    return filled(flat, lengths == 1)
  if (lengths == most).all():
    return flat.reshape(len(lengths), int(most))
  rows = np.empty(len(lengths), object)
  ends = np.cumsum(lengths)
  for i, (start, end) in enumerate(zip((ends - lengths).tolist(),
                                       ends.tolist())):
    rows[i] = flat[start:end]
  return rows


def filled(flat: np.ndarray, present: np.ndarray) -> np.ndarray:
  """Puts values where they are present, and NaN or "" where not.

  Args:
    flat: The values that there are.
    present: Where they go, boolean, shape `[N]`.

  Returns:
    An array of shape `[N]`. Whole numbers become float64 where some are
    missing, and text if that would change them.
  """
  if present.all():
    return flat
  if flat.dtype.kind in "biu" and (np.abs(flat.astype(np.float64))
                                   > 2 ** 53).any():
    # As numbers with NaN among them, identifiers would lose their last digits.
    flat = np.array([str(value) for value in flat.tolist()], object)
  if flat.dtype.kind in "biuf":
    dtype = flat.dtype if flat.dtype.kind == "f" else np.float64
    filled = np.full(len(present), np.nan, dtype)
  else:
    filled = np.full(len(present), "", object)
  filled[present] = flat
  return filled


def concatenate(parts: Sequence[Lists]) -> Lists:
  """Puts the rows of several `Lists` one below the other.

  Raises:
    TypeError: If some hold numbers and others text.
  """
  lengths = np.concatenate([part.lengths for part in parts])
  flats = [part.flat for part in parts if len(part.flat)] or [parts[0].flat]
  if len({flat.dtype.kind in "biuf" for flat in flats}) > 1:
    raise TypeError("concatenate: `parts` must hold numbers, or text; found "
                    "both.")
  return Lists(np.concatenate(flats), lengths)


def rows_of(lengths: np.ndarray) -> np.ndarray:
  """Returns which row each flat value belongs to."""
  return np.repeat(np.arange(len(lengths)), lengths)


def pad(lists: Lists, width: int, keep_last: bool, filler) -> np.ndarray:
  """Cuts and fills rows to one width.

  Args:
    lists: The values.
    width: Values per row.
    keep_last: Whether of a row that holds more the last are kept, not the
      first.
    filler: What stands behind the values of a row that holds fewer.

  Returns:
    An array of shape `[N, width]` of the type of the values.
  """
  flat, lengths = lists
  padded = np.full([len(lengths), width], filler, flat.dtype)
  kept = np.minimum(lengths, width)
  first = np.cumsum(lengths) - lengths
  if keep_last:
    first += lengths - kept
  place = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
  padded[rows_of(kept), place] = flat[np.repeat(first, kept) + place]
  return padded


def without_end(lists: Lists, absent: np.ndarray) -> Lists:
  """Leaves out the missing values at the end of each row.

  Args:
    lists: The values.
    absent: Which of them are missing, boolean, as many.

  Returns:
    A `Lists` with as many rows.
  """
  rows = rows_of(lists.lengths)
  place = np.arange(len(rows)) - (np.cumsum(lists.lengths)
                                  - lists.lengths)[rows]
  lengths = np.zeros_like(lists.lengths)
  np.maximum.at(lengths, rows[~absent], place[~absent] + 1)
  return Lists(lists.flat[place < lengths[rows]], lengths)
