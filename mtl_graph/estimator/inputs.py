"""Input functions of arrays and data frames, as `tf.estimator.inputs` had them.
"""

import collections
from typing import Any, Callable, Mapping, Optional, Union

import numpy as np
import tensorflow.compat.v1 as tf


def numpy_input_fn(x: Union[np.ndarray, Mapping[str, np.ndarray]],
                   y: Any = None, batch_size: int = 128,
                   num_epochs: Optional[int] = 1,
                   shuffle: Optional[bool] = None, queue_capacity: int = 1000,
                   num_threads: int = 1) -> Callable[[], tf.data.Dataset]:
  """Returns an input function over arrays.

  Args:
    x: Features: an array of one entry per row, or such arrays by name.
    y: Labels: an array, or arrays by name; None: there are none.
    batch_size: Rows of a batch.
    num_epochs: How often all rows come; None: for ever.
    shuffle: Whether rows are shuffled. Required.
    queue_capacity: Among how many rows they are.
    num_threads: Stands for nothing here.

  Returns:
    A function without arguments that returns a dataset.

  Raises:
    ValueError: If `shuffle` is not stated, or there are not as many labels as
      rows.
  """
  del num_threads
  if not isinstance(shuffle, bool):
    raise ValueError(f"shuffle: found {shuffle!r}; allowed: True or False")
  features = collections.OrderedDict(x) if isinstance(x, Mapping) else x
  arrays = features if y is None else (features, y)
  counts = {len(array) for array in tf.nest.flatten(arrays)}
  if len(counts) != 1:
    raise ValueError(f"x and y: found {sorted(counts)} rows; allowed: as many "
                     "in each")

  def input_fn() -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    if shuffle:
      dataset = dataset.shuffle(queue_capacity)
    return dataset.repeat(num_epochs).batch(batch_size)
  return input_fn


def pandas_input_fn(x: Any, y: Any = None, batch_size: int = 128,
                    num_epochs: Optional[int] = 1,
                    shuffle: Optional[bool] = None, queue_capacity: int = 1000,
                    num_threads: int = 1, target_column: str = "target"
                    ) -> Callable[[], tf.data.Dataset]:
  """Returns an input function over a data frame of pandas.

  Args:
    x: The features, a data frame.
    y: The labels, a series or a data frame; None: there are none.
    batch_size: As of `numpy_input_fn`.
    num_epochs: As of `numpy_input_fn`.
    shuffle: As of `numpy_input_fn`.
    queue_capacity: As of `numpy_input_fn`.
    num_threads: As of `numpy_input_fn`.
    target_column: Stands for nothing here: labels come apart from features.

  Returns:
    A function without arguments that returns a dataset.
  """
  del target_column
  labels = y
  if hasattr(y, "columns"):
    labels = {name: y[name].to_numpy() for name in y.columns}
  elif y is not None:
    labels = y.to_numpy()
  return numpy_input_fn({name: x[name].to_numpy() for name in x.columns},
                        labels, batch_size, num_epochs, shuffle,
                        queue_capacity, num_threads)
