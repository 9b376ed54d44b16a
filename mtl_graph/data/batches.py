"""Rows held in the graph, and the batch of a step as a function of the seed."""

import collections
import hashlib
from typing import Callable, Dict, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import mixing
from mtl_graph.data import slices
from mtl_graph.ops import random_bits

# Neighbouring rows that stay together until a window is shuffled: enough that a
# disk reads them in one go, few beside the rows of a window.
_BLOCK_ROWS = 256

# One or more rows, ready for the model.
#   numbers: normalized numbers, float32 [B, F].
#   ids: category ids, int32 [B, C].
#   labels: labels in their own units, the columns of one task after the other,
#     0 where a row has none, NaN where a part of it is missing, float32 [B, W].
#   weights: sample weights, 0 where there is no label, float32 [B, T].
Batch = collections.namedtuple("Batch", ["numbers", "ids", "labels", "weights"])
# The types of the four matrices, as steps read them.
_DTYPES = Batch(np.float32, np.int32, np.float32, np.float32)


def placeholders(widths: Batch, rows: Optional[int] = None,
                 dtypes: Batch = _DTYPES) -> Batch:
  """Makes a `Batch` of placeholders.

  Args:
    widths: A `Batch` of the widths of the four matrices.
    rows: How many rows; None: any number.
    dtypes: A `Batch` of their types; those that steps read, if not given.

  Returns:
    A `Batch` of placeholders.
  """
  return Batch(*[tf.placeholder(dtype, [rows, width], name=name)
                 for name, dtype, width in zip(Batch._fields, dtypes, widths)])


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


def narrow_dtypes(ids: np.dtype, labels: np.ndarray, weights: np.ndarray
                  ) -> Batch:
  """Returns the narrowest types that hold rows as they are.

  Args:
    ids: The narrowest type that holds the category ids.
    labels: Labels, shape `[N, W]`.
    weights: Sample weights, shape `[N, T]`.

  Returns:
    A `Batch` of types.
  """
  return Batch(np.float32, ids, _narrow_dtype(labels), _narrow_dtype(weights))


def _narrow_dtype(values):
  """Returns uint8 if all values are whole numbers it has, else float32."""
  with np.errstate(invalid="ignore"):
    same = np.array_equal(values.astype(np.uint8), values)
  return np.uint8 if same else np.float32


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
    count: Union[int, tf.Tensor] = 1,
    shuffle_buffer: int = 0,
    name: str = "rows_of_batch") -> tf.Tensor:
  """Computes which rows a batch holds, or several batches that follow.

  The rows of an epoch are in the order of a permutation keyed by (seed, epoch);
  batch `n` is the entries `n * batch_size` to `(n + 1) * batch_size - 1` of all
  epochs' permutations one after the other. Every row comes once per epoch, and
  a resumed run goes on where it stopped without any state.

  Args:
    number: Number of the (first) batch, counted over the whole run, int64
      scalar.
    num_rows: Rows there are, a number or an int64 scalar.
    batch_size: Rows per batch.
    seed: Seed of the experiment.
    count: How many batches, a number or an int64 scalar.
    shuffle_buffer: Rows among which a row's place is drawn, see `window_order`;
      0: all of the epoch.
    name: Name scope of the op.

  Returns:
    Row numbers, int64, shape `[count * batch_size]`.
  """
  with tf.name_scope(name):
    num_rows = tf.convert_to_tensor(num_rows, tf.int64)
    position = number * batch_size + tf.range(count * batch_size,
                                              dtype=tf.int64)
    return _rows_at(position, num_rows, seed, shuffle_buffer)


def _rows_at(position, num_rows, seed, shuffle_buffer):
  """Returns the rows at positions of all epochs one after the other.

  Args:
    position: Positions, int64, shape `[P]`.
    num_rows: Rows there are, int64, a scalar or of shape `[P]`.
    seed: Seed of the experiment.
    shuffle_buffer: Rows of a window, or 0.
  """
  epoch = position // num_rows
  known = tf.get_static_value(num_rows)
  if shuffle_buffer and known is not None and known > shuffle_buffer:
    return window_order(position % num_rows, epoch, num_rows, seed,
                        shuffle_buffer)
  whole = _shuffled(position % num_rows, num_rows, seed, "rows", epoch)
  if not shuffle_buffer or known is not None:
    return whole
  return tf.where(num_rows <= shuffle_buffer, whole, window_order(
      position % num_rows, epoch, num_rows, seed, shuffle_buffer))


def _shuffled(index, length, seed, use, counter):
  """Permutes 0 to length - 1, by the seed, a use, and what counter tells it."""
  # The op looks at few bits of each word of its key: hashed, they differ from
  # epoch to epoch and from seed to seed. With fewer rounds its order is
  # biased towards the order of the file.
  key = random_bits.hash_counter(
      counter, [random_bits.key_of(seed, f"{use}/{i}") for i in range(3)])
  return tf.raw_ops.RandomIndexShuffle(index=index, seed=key,
                                       max_index=length - 1, rounds=8)


def window_order(
    place: tf.Tensor,
    epoch: tf.Tensor,
    num_rows: tf.Tensor,
    seed: int,
    shuffle_buffer: int,
    name: str = "window_order") -> tf.Tensor:
  """Computes which rows stand at places of epochs shuffled within windows.

  An epoch begins at a row drawn by (seed, epoch) and goes around. It is cut
  into blocks of b neighbouring rows, which are permuted; windows of W blocks
  that now follow each other are permuted row by row. With the permutations p of
  blocks and q of a window's rows, M = N // b whole blocks, and the last window
  taking the N - M b rows that are left,

  ```
    b = min(256, shuffle_buffer),  W = shuffle_buffer // b
    w = min(place // (W b), ceil(M / W) - 1)
    i = w W b + q_w(place - w W b)
    row = (offset + (b p(i // b) + i % b  if i < M b else  i)) % N
  ```

  so that every row comes once per epoch, and the rows of a window come from W
  places of the file, however many rows there are.

  Args:
    place: Places within an epoch, from 0 to N - 1, int64, shape `[P]`.
    epoch: The epoch of each place, int64, shape `[P]`.
    num_rows: Rows there are, N, int64, a scalar or of shape `[P]`.
    seed: Seed of the experiment.
    shuffle_buffer: Rows of a window, at least 1; W b is the next below that b
      divides.
    name: Name scope of the op.

  Returns:
    Row numbers, int64, shape `[P]`.
  """
  with tf.name_scope(name):
    block_rows = min(_BLOCK_ROWS, shuffle_buffer)
    per_window = shuffle_buffer // block_rows
    window_rows = per_window * block_rows
    blocks = num_rows // block_rows
    windows = tf.maximum(-(-blocks // per_window), 1)
    window = tf.minimum(place // window_rows, windows - 1)
    start = window * window_rows
    length = tf.where(window < windows - 1, tf.fill(
        tf.shape(place), tf.constant(window_rows, tf.int64)), num_rows - start)
    index = start + _shuffled(place - start, length, seed, "window",
                              epoch * windows + window)
    # Places behind the last block look up block 0, and take no notice of it.
    in_block = index < blocks * block_rows
    block = tf.where(in_block, index // block_rows, tf.zeros_like(index))
    moved = index % block_rows + block_rows * _shuffled(
        block, tf.maximum(blocks, 1), seed, "block", epoch)
    # One for all rows of an epoch, hence no permutation.
    offset = tf.cast(random_bits.hash_counter(
        epoch, random_bits.key_of(seed, "offset")), tf.int64) % num_rows
    return (offset + tf.where(in_block, moved, index)) % num_rows


def rows_of_parts(
    number: tf.Tensor,
    parts: Sequence[slice],
    batch_size: int,
    seed: int,
    count: Union[int, tf.Tensor] = 1,
    shuffle_buffer: int = 0,
    name: str = "rows_of_parts") -> tf.Tensor:
  """Computes which rows a batch of some parts of all rows holds.

  `rows_of_batch` over the rows of the parts, one part after the other.

  Args:
    number: Number of the (first) batch, counted over the whole run, int64
      scalar.
    parts: Runs of rows, none empty, at least one.
    batch_size: Rows per batch.
    seed: Seed of the experiment.
    count: How many batches, a number or an int64 scalar.
    shuffle_buffer: Rows among which a row's place is drawn; 0: all.
    name: Name scope of the op.

  Returns:
    Row numbers, int64, shape `[count * batch_size]`.
  """
  counts = [part.stop - part.start for part in parts]
  rows = rows_of_batch(number, sum(counts), batch_size, seed, count,
                       shuffle_buffer)
  ends = np.cumsum(counts)
  offsets = np.array([part.start for part in parts]) - (ends - counts)
  if not offsets.any():
    return rows
  with tf.name_scope(name):
    part = tf.searchsorted(tf.constant(ends, tf.int64), rows, side="right")
    return rows + tf.gather(tf.constant(offsets, tf.int64), part)


def planned_rows(
    number: tf.Tensor,
    plan: mixing.Plan,
    starts: Sequence[int],
    counts: Sequence[int],
    batch_size: int,
    seed: int,
    count: Union[int, tf.Tensor] = 1,
    shuffle_buffer: int = 0,
    name: str = "planned_rows") -> tf.Tensor:
  """Computes which rows a batch of one of several sources holds.

  Batch `n` is batch `k` of source `s`, as the plan has it. Of all rows, those
  of the sources one after the other, it takes

  ```
    starts_s + rows_of_batch(k, counts_s, batch_size, seed)
  ```

  so that every row of a source comes once in each of the source's epochs.

  Args:
    number: Number of the (first) batch, counted over the whole run, below the
      plan's length, int64 scalar.
    plan: A `Plan` of int32 tensors or variables, shape `[N]`.
    starts: Number of the first row of each source.
    counts: Rows of each source, at least 1.
    batch_size: Rows per batch.
    seed: Seed of the experiment.
    count: How many batches, a number or an int64 scalar; those behind the
      plan's last are the last again.
    shuffle_buffer: Rows of a source among which a row's place is drawn; 0: all.
    name: Name scope of the op.

  Returns:
    Row numbers, int64, shape `[count * batch_size]`.
  """
  with tf.name_scope(name):
    # Each row of each batch knows its source, and the number of its batch.
    place = tf.range(count * batch_size, dtype=tf.int64)
    # A block of steps may have room for more batches than the plan has left.
    numbers = tf.minimum(number + place // batch_size,
                         plan.source.shape[0] - 1)
    source = tf.gather(plan.source, numbers)
    own = tf.cast(tf.gather(plan.number, numbers), tf.int64)
    rows = _rows_at(own * batch_size + place % batch_size,
                    tf.gather(tf.constant(counts, tf.int64), source), seed,
                    shuffle_buffer)
    return tf.gather(tf.constant(starts, tf.int64), source) + rows


def gather(variables: Batch, rows: tf.Tensor) -> Batch:
  """Takes rows out of resident variables, or one batch out of several.

  Args:
    variables: A `Batch` of variables with all rows, or of tensors with a batch
      per entry of their first axis.
    rows: Row numbers, shape `[B]`, or the number of a batch, a scalar.

  Returns:
    A `Batch` of tensors, cast to the types that steps read.
  """
  with tf.name_scope("batch"):
    return Batch(*[tf.cast(tf.gather(v, rows), dtype)
                   for v, dtype in zip(variables, _DTYPES)])


def take(batch: Batch, rows: Sequence[int]) -> Batch:
  """Returns the given rows of a `Batch` of arrays."""
  if len(rows) == len(batch.labels) and all(
      np.array_equal(rows[piece], np.arange(piece.start, piece.stop))
      for piece in slices.each(len(rows))):
    return batch
  return Batch(*[array[rows] for array in batch])


def cast(batch: Batch) -> Batch:
  """Returns a `Batch` of arrays in memory, of the types the graph takes."""
  return Batch(*[np.array(array, dtype, copy=None, subok=False)
                 for array, dtype in zip(batch, _DTYPES)])


def digest(batch: Batch, parts: Sequence[slice] = ()) -> str:
  """Returns a fingerprint of rows: equal for equal data, whatever the files.

  Args:
    batch: A `Batch` of arrays with all rows; narrower types count as those that
      the graph takes.
    parts: The rows of each source, where there are several.
  """
  fingerprint = hashlib.blake2b(digest_size=16)
  for part in parts:
    fingerprint.update(f"{part.start}:{part.stop},".encode())
  for array, dtype in zip(batch, _DTYPES):
    fingerprint.update(str(array.shape).encode())
    for piece in slices.of(array):
      fingerprint.update(np.ascontiguousarray(piece, dtype).tobytes())
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
  unlabelled = sum((piece == 0).sum(axis=0) for piece in slices.of(weights))
  # A batch meets a row once per epoch that it touches.
  epochs = 2 + batch_size // len(weights)
  return unlabelled * epochs >= batch_size
