"""Compares an export with the graph that it was made of, row for row."""

import csv
from typing import Dict, List, Mapping, NamedTuple, Optional
import zipfile

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.porting import graph_checks
from mtl_graph.porting import python_files

_ROWS = 8
_UNKNOWN = 3  # Dimensions of unknown size, beside that of the rows.


class Difference(NamedTuple):
  """How far two answers are apart.

  Attributes:
    signature: Name of the signature.
    output: Key of the output.
    largest: The largest absolute difference; of what is no number 1 where any
      is another; infinite for other shapes, and for NaN on one side.
  """
  signature: str
  output: str
  largest: float


def read_rows(path: str, inputs: Mapping[str, tf.Tensor]
              ) -> Dict[str, np.ndarray]:
  """Reads rows for a signature from a file.

  Args:
    path: Path of an .npz file, or of a .csv file with a header, for inputs of
      a number or text per row.
    inputs: The placeholders by key.

  Returns:
    Arrays by key.

  Raises:
    PortingError: If the file cannot be read, lacks an input or does not fit it.
  """
  try:
    if path.endswith(".npz"):
      with np.load(path, allow_pickle=False) as file:
        columns = {key: file[key] for key in file.files}
    elif path.endswith(".csv"):
      with open(path, encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file, strict=True))
      columns = {key: np.array([row[key] for row in read])
                 for key in (read[0] if read else ())}
    else:
      raise python_files.PortingError(
          f"--rows: found '{path}'; allowed: a file .npz or .csv")
  except (OSError, ValueError, KeyError, csv.Error, zipfile.BadZipFile,
          EOFError, UnicodeDecodeError) as error:
    raise python_files.PortingError(
        f"--rows: '{path}' cannot be read: "
        f"{getattr(error, 'strerror', None) or error}; allowed: .npz or .csv"
    ) from error
  missing = sorted(inputs.keys() - columns.keys())
  if missing:
    raise python_files.PortingError(
        f"--rows: '{path}' has no '{missing[0]}'; allowed: a column for each "
        f"input: {', '.join(inputs)}")
  return {key: _fit(columns[key], tensor, key, path)
          for key, tensor in inputs.items()}


def _fit(value, tensor, key, path) -> np.ndarray:
  dtype = tensor.dtype.base_dtype
  try:
    if dtype == tf.string:
      value = np.vectorize(
          lambda one: one if isinstance(one, bytes) else str(one).encode(),
          otypes=[object])(value)
    elif dtype == tf.bool and value.dtype.kind in "US":
      value = np.array([{"true": True, "false": False, "1": True, "0": False}[
          str(one).lower()] for one in value.ravel()]).reshape(value.shape)
    else:
      value = value.astype(dtype.as_numpy_dtype)
  except (ValueError, KeyError, TypeError) as error:
    raise python_files.PortingError(
        f"--rows: '{path}': column '{key}' holds what is no {dtype.name}; "
        f"allowed: values of {dtype.name}") from error
  if path.endswith(".csv") and tensor.shape.rank == 2:
    value = value[:, None]
  if not tensor.shape.is_compatible_with(value.shape):
    raise python_files.PortingError(
        f"--rows: '{path}': '{key}' has shape {list(value.shape)}; allowed: "
        f"{tensor.shape}")
  return value


def random_rows(inputs: Mapping[str, tf.Tensor], seed: int = 0
                ) -> Dict[str, np.ndarray]:
  """Makes rows up from the types and shapes of placeholders.

  Args:
    inputs: The placeholders by key.
    seed: Seed.

  Returns:
    Arrays by key: 8 rows where their number is free; numbers from a normal
    distribution, whole ones 0 or 1, texts "0" or "1", of which examples are
    parsed empty ones.

  Raises:
    PortingError: If they would be too large, or of a type without values.
  """
  random, found = np.random.default_rng(seed), {}
  for key, tensor in inputs.items():
    dtype = tensor.dtype.base_dtype
    shape = tensor.shape.as_list() if tensor.shape.rank is not None else [None]
    shape = [size if size is not None else _UNKNOWN if i else _ROWS
             for i, size in enumerate(shape)]
    count = 1
    for size in shape:
      count *= size
    if count * 8 > graph_checks.LARGEST // 8:
      raise python_files.PortingError(
          f"input '{key}': found shape {tensor.shape}, of which rows would have "
          f"{count:,} numbers; allowed: --rows with rows that are not made up")
    whole = random.integers(0, 2, shape)
    if dtype == tf.string:
      parsed = any(op.type.startswith("ParseExample")
                   for op in tensor.consumers())
      found[key] = np.vectorize(lambda one: b"" if parsed else b"%d" % one,
                                otypes=[object])(whole)
    elif dtype.is_floating or dtype.is_complex:
      found[key] = np.asarray(random.normal(size=shape)).astype(
          dtype.as_numpy_dtype)
    elif dtype.is_integer or dtype.is_bool:
      found[key] = np.asarray(whole).astype(dtype.as_numpy_dtype)
    else:
      raise python_files.PortingError(
          f"input '{key}': found {dtype.name}; allowed: numbers and texts")
  return found


def compare(signature: str, wanted: Mapping[str, np.ndarray],
            found: Mapping[str, np.ndarray]) -> List[Difference]:
  """Returns how far answers are apart, by output."""
  return [Difference(signature, key, _largest(np.asarray(wanted[key]),
                                              np.asarray(found[key])))
          for key in wanted]


def _largest(a, b) -> float:
  if a.shape != b.shape or a.dtype != b.dtype:
    return float("inf")
  if a.dtype.kind not in "fc" and a.dtype.name != "bfloat16":
    return float(np.any(a != b))
  wide = np.complex128 if a.dtype.kind == "c" else np.float64
  a, b = a.astype(wide), b.astype(wide)
  with np.errstate(invalid="ignore"):
    apart = np.abs(a - b)
  apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0
  apart[np.isnan(apart)] = np.inf
  return float(apart.max(initial=0))


def refuse(differences: List[Difference], tolerance: float) -> None:
  """Raises a PortingError if an output differs by more than is allowed."""
  bad = [d for d in differences if not d.largest <= tolerance]
  if bad:
    raise python_files.PortingError(
        f"signature '{bad[0].signature}'.outputs['{bad[0].output}']: differs "
        f"from the original graph by {bad[0].largest:.3g}; allowed: "
        f"{tolerance:g}; not published")
