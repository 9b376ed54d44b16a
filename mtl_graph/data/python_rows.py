"""Reads rows that a function of the user's own returns, as input_fns did."""

from typing import Any, Collection, Dict, Mapping

import numpy as np
import tensorflow.compat.v1 as tf
# No public name switches it on once it was switched off.
from tensorflow.python.eager import context

from mtl_graph import python_functions
from mtl_graph.data import arrays as arrays_lib
from mtl_graph.data import table as table_lib
from mtl_graph.protos import layers_pb2

# The column of labels that have no name.
_LABELS = "labels"
_ALLOWED = ("allowed: arrays by name, a pair of features and labels, or a "
            "tf.data.Dataset of batches of them")


def read(message: layers_pb2.PythonFunction, columns: Collection[str],
         field_path: str, hash_rows: bool = False) -> table_lib.Table:
  """Calls a function, and takes the named columns of what it returns.

  Args:
    message: The message that names the function.
    columns: Names of the columns to keep.
    field_path: Where the source sits in the experiment.
    hash_rows: Whether to hash each row.

  Returns:
    A `Table`.

  Raises:
    ConfigError: If the function may not be called.
    DataError: If it raises, or returns something else than rows; if a column is
      missing, or there are no rows.
  """
  path = f"{field_path}.python"
  function = python_functions.load(message, path)
  name = f"{path} '{message.function}'"
  try:
    # Whoever calls may have switched it off, as code of TensorFlow 1 does.
    with context.eager_mode():
      found = function(**python_functions.keywords(function, message, {}))
      if isinstance(found, tf.data.Dataset):
        found = _all_batches(found, name)
  except table_lib.DataError:
    raise
  except Exception as error:  # pylint: disable=broad-except
    raise table_lib.DataError(
        f"{name}: raised {python_functions.explain(error)}; {_ALLOWED}"
    ) from error
  return arrays_lib.read(_columns(found, name), columns, name, hash_rows)


def _columns(found, name) -> Dict[str, Any]:
  """Returns features and labels together, by name."""
  if isinstance(found, Mapping):
    return {str(key): _array(value, key, name) for key, value in found.items()}
  if not (isinstance(found, (tuple, list)) and len(found) == 2
          and isinstance(found[0], Mapping)):
    raise table_lib.DataError(
        f"{name}: returned {type(found).__name__}; {_ALLOWED}")
  features, labels = found
  if not isinstance(labels, Mapping):
    labels = {_LABELS: labels}
  both = set(features) & set(labels)
  if both:
    raise table_lib.DataError(f"{name}: returned '{min(both)}' as a feature and"
                              " as a label; allowed: each name once")
  return _columns({**features, **labels}, name)


def _array(value, key, name):
  """Returns a column, vectors of one number as numbers, bytes as text."""
  if tf.is_tensor(value):
    # One batch of many, most likely: the iterator's first.
    raise table_lib.DataError(f"{name}: returned a tensor for '{key}'; "
                              f"{_ALLOWED}")
  array = value if hasattr(value, "iloc") else np.asarray(value)
  if getattr(array, "ndim", 0) == 2 and array.shape[1] == 1:
    array = array[:, 0]
  if array.dtype.kind == "S" or (array.dtype == object and any(
      isinstance(entry, bytes) for entry in np.ravel(array))):
    array = np.vectorize(lambda entry: entry.decode() if isinstance(
        entry, bytes) else entry, otypes=[object])(array)
  return array


def _all_batches(dataset, name):
  """Returns the rows of all batches of a dataset, one after the other."""
  if tf.data.experimental.cardinality(dataset).numpy() == (
      tf.data.experimental.INFINITE_CARDINALITY):
    raise table_lib.DataError(f"{name}: returned a dataset without an end; "
                              "allowed: one that comes once, as "
                              "data.batch_size and num_steps say how often")
  parts = [tf.nest.map_structure(np.asarray, batch)
           for batch in dataset.as_numpy_iterator()]
  if not parts:
    raise table_lib.DataError(f"{name}: found no rows; allowed: at least one")
  if any(array.ndim == 0 for array in tf.nest.flatten(parts[0])):
    raise table_lib.DataError(f"{name}: returned a dataset of single rows; "
                              "allowed: one of batches")
  return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
