"""Rows held in the graph, and the batch of a step as a function of the seed."""

import collections
import hashlib
from typing import Callable, Dict, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import mixing
from mtl_graph.ops import random_bits

# One or more rows, ready for the model.
#   numbers: normalized numbers, float32 [B, F].
#   ids: category ids, int32 [B, C].
#   labels: labels in their own units, the columns of one task after the other,
#     0 where a row has none, NaN where a part of it is missing, float32 [B, W].
#   weights: sample weights, 0 where there is no label, float32 [B, T].
Batch = collections.namedtuple("Batch", ["numbers", "ids", "labels", "weights"])


# The types of the four matrices, as steps read them.
_DTYPES = Batch(tf.float32, tf.int32, tf.float32, tf.float32)


def placeholders(shapes: Batch) -> Batch:
  """Makes a `Batch` of placeholders with any number of rows."""
  return Batch(*[tf.placeholder(dtype, [None, width], name=name)
                 for name, dtype, width in zip(Batch._fields, _DTYPES, shapes)])


def resident(rows: int, widths: Batch, dtypes: Batch = _DTYPES
             ) -> Tuple[Batch, Callable[[Batch], Dict]]:
  """Makes local variables that hold all rows inside the graph.

  Args:
    rows: Number of rows.
    widths: A `Batch` of the widths of the four matrices.
    dtypes: A `Batch` of the types that they are held in.

  Returns:
    A `Batch` of variables, and a function from a `Batch` of arrays to the feed
    under which `tf.local_variables_initializer()` fills them.
  """
  return _hold(Batch, dtypes, [[rows, width] for width in widths])


def narrow_dtypes(categories: int, labels: np.ndarray, weights: np.ndarray
                  ) -> Batch:
  """Returns the narrowest types that hold rows as they are.

  Args:
    categories: The most categories that a feature has, what it does not know
      included.
    labels: Labels, shape `[N, W]`.
    weights: Sample weights, shape `[N, T]`.

  Returns:
    A `Batch` of types.
  """
  # Signed, as -1 stands for no category.
  ids = (tf.int8 if categories <= 2 ** 7 else tf.int16
         if categories <= 2 ** 15 else tf.int32)
  return Batch(tf.float32, ids, _narrow_dtype(labels), _narrow_dtype(weights))


def _narrow_dtype(values):
  """Returns uint8 if all values are whole numbers it has, else float32."""
  with np.errstate(invalid="ignore"):
    same = np.array_equal(values.astype(np.uint8), values)
  return tf.uint8 if same else tf.float32


def _hold(kind, dtypes, shapes):
  """Makes a local variable for each field; returns them, and their feed."""
  variables, inputs = [], []
  for name, dtype, shape in zip(kind._fields, dtypes, shapes):
    value = tf.placeholder(dtype, shape, name=f"resident/{name}/input")
    inputs.append(value)
    variables.append(tf.get_variable(
        f"resident/{name}", initializer=value, trainable=False,
        collections=[tf.GraphKeys.LOCAL_VARIABLES]))
  return kind(*variables), lambda values: dict(zip(inputs, values))


def resident_plan(length: int
                  ) -> Tuple[mixing.Plan, Callable[[mixing.Plan], Dict]]:
  """Makes local variables that hold the plan of a run inside the graph.

  Args:
    length: Number of batches that are planned, at least 1.

  Returns:
    A `Plan` of variables, and a function from a `Plan` of arrays to the feed
    under which `tf.local_variables_initializer()` fills them.
  """
  return _hold(mixing.Plan, (tf.int32, tf.int32), [[length], [length]])


def rows_of_batch(
    number: tf.Tensor,
    num_rows: Union[int, tf.Tensor],
    batch_size: int,
    seed: int,
    name: str = "rows_of_batch") -> tf.Tensor:
  """Computes which rows a batch holds.

  The rows of an epoch are in the order of a permutation keyed by (seed, epoch);
  batch `n` is the entries `n * batch_size` to `(n + 1) * batch_size - 1` of all
  epochs' permutations one after the other. Every row comes once per epoch, and
  a resumed run goes on where it stopped without any state.

  Args:
    number: Number of the batch, counted over the whole run, int64, shape `[]`;
      or of several, shape `[K]`.
    num_rows: Rows there are, a number or an int64 scalar; or for each of
      several batches, shape `[K]`.
    batch_size: Rows per batch.
    seed: Seed of the experiment.
    name: Name scope of the op.

  Returns:
    Row numbers, int64, shape `[batch_size]` or `[K, batch_size]`.
  """
  with tf.name_scope(name):
    number = tf.convert_to_tensor(number, tf.int64)
    num_rows = tf.convert_to_tensor(num_rows, tf.int64)
    shape = number.shape + [batch_size]
    position = tf.reshape(number[..., tf.newaxis] * batch_size
                          + tf.range(batch_size, dtype=tf.int64), [-1])
    if num_rows.shape.rank:
      num_rows = tf.repeat(num_rows, batch_size)
    epoch = position // num_rows
    # The op looks at few bits of each word of its key: hashed, they differ from
    # epoch to epoch and from seed to seed. With fewer rounds its order is
    # biased towards the order of the file.
    key = tf.stack([
        random_bits.hash_counter(epoch, random_bits.key_of(seed, f"rows/{i}"))
        for i in range(3)], 1)
    return tf.reshape(tf.raw_ops.RandomIndexShuffle(
        index=position % num_rows, seed=key, max_index=num_rows - 1, rounds=8),
                      shape)


def rows_of_parts(
    number: tf.Tensor,
    parts: Sequence[slice],
    batch_size: int,
    seed: int,
    name: str = "rows_of_parts") -> tf.Tensor:
  """Computes which rows a batch of some parts of all rows holds.

  `rows_of_batch` over the rows of the parts, one part after the other.

  Args:
    number: Number of the batch, or of several, as `rows_of_batch` takes it.
    parts: Runs of rows, none empty, at least one.
    batch_size: Rows per batch.
    seed: Seed of the experiment.
    name: Name scope of the op.

  Returns:
    Row numbers, int64, shape `[batch_size]` or `[K, batch_size]`.
  """
  counts = [part.stop - part.start for part in parts]
  rows = rows_of_batch(number, sum(counts), batch_size, seed)
  ends = np.cumsum(counts)
  offsets = np.array([part.start for part in parts]) - (ends - counts)
  if not offsets.any():
    return rows
  with tf.name_scope(name):
    part = tf.searchsorted(tf.constant(ends, tf.int64), tf.reshape(rows, [-1]),
                           side="right")
    offset = tf.gather(tf.constant(offsets, tf.int64), part)
    return rows + tf.reshape(offset, rows.shape)


def planned_rows(
    number: tf.Tensor,
    plan: mixing.Plan,
    starts: Sequence[int],
    counts: Sequence[int],
    batch_size: int,
    seed: int,
    name: str = "planned_rows") -> tf.Tensor:
  """Computes which rows a batch of one of several sources holds.

  Batch `n` is batch `k` of source `s`, as the plan has it. Of all rows, those
  of the sources one after the other, it takes

  ```
    starts_s + rows_of_batch(k, counts_s, batch_size, seed)
  ```

  so that every row of a source comes once in each of the source's epochs.

  Args:
    number: Number of the batch, or of several, as `rows_of_batch` takes it,
      below the plan's length.
    plan: A `Plan` of int32 tensors or variables, shape `[N]`.
    starts: Number of the first row of each source.
    counts: Rows of each source, at least 1.
    batch_size: Rows per batch.
    seed: Seed of the experiment.
    name: Name scope of the op.

  Returns:
    Row numbers, int64, shape `[batch_size]` or `[K, batch_size]`.
  """
  with tf.name_scope(name):
    source = tf.gather(plan.source, number)
    own = tf.cast(tf.gather(plan.number, number), tf.int64)
    rows = rows_of_batch(own, tf.gather(tf.constant(counts, tf.int64), source),
                         batch_size, seed)
    first = tf.gather(tf.constant(starts, tf.int64), source)
    return first[..., tf.newaxis] + rows


def gather(variables: Batch, rows: tf.Tensor) -> Batch:
  """Takes rows out of resident variables.

  Args:
    variables: A `Batch` of variables with all rows.
    rows: Row numbers, shape `[B]`.

  Returns:
    A `Batch` of tensors, cast to the types that steps read.
  """
  with tf.name_scope("batch"):
    return Batch(*[tf.cast(tf.gather(v, rows), dtype)
                   for v, dtype in zip(variables, _DTYPES)])


def take(batch: Batch, rows: np.ndarray) -> Batch:
  """Returns the given rows of a `Batch` of arrays."""
  if np.array_equal(rows, np.arange(len(batch.labels))):
    return batch
  return Batch(*[array[rows] for array in batch])


def digest(batch: Batch, parts: Sequence[slice] = ()) -> str:
  """Returns a fingerprint of rows: equal for equal data, whatever the files.

  Args:
    batch: A `Batch` of arrays with all rows.
    parts: The rows of each source, where there are several.
  """
  fingerprint = hashlib.blake2b(digest_size=16)
  for part in parts:
    fingerprint.update(f"{part.start}:{part.stop},".encode())
  for array in batch:
    fingerprint.update(str(array.shape).encode())
    fingerprint.update(np.ascontiguousarray(array).tobytes())
  return fingerprint.hexdigest()


def may_lack_labels(weights: np.ndarray, batch_size: int,
                    sources: Sequence[slice] = ()) -> np.ndarray:
  """Tells which tasks could be without any label in some step.

  Args:
    weights: Sample weights, 0 where there is no label, shape `[N, T]`.
    batch_size: Rows per step; with sources rows per batch, of which a step may
      take several from different sources.
    sources: The rows of each source, where a batch holds rows of one of them.

  Returns:
    A boolean array of shape `[T]`. A task that some source does not label is
    among those that could.
  """
  if sources:
    return np.any([may_lack_labels(weights[rows], batch_size)
                   for rows in sources], axis=0)
  unlabelled = (weights == 0).sum(axis=0)
  # A batch meets a row once per epoch that it touches.
  epochs = 2 + batch_size // len(weights)
  return unlabelled * epochs >= batch_size
