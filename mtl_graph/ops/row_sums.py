"""Adds up what a sparse gradient holds for each row."""

import collections

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# rows: the row numbers in rising order, shape `[N]`.
# sums: the sum of all slices of the slot's row, shape `[N, ...]`.
# first: whether the slot is the first one of its row, shape `[N]`.
RowSums = collections.namedtuple("RowSums", ["rows", "sums", "first"])


def row_sums(rows: tf.Tensor, slices: tf.Tensor, name: str = "row_sums"
             ) -> RowSums:
  """Adds up the slices of each row, one slot per slice.

  ```
    sums_i = sum of slices_j over all j with rows_j = rows_i
  ```

  There are as many slots as slices: unlike those of `tf.unique`, the shapes are
  known before the rows are, which XLA needs. A row that is there twice has two
  slots of the same sum; whoever adds over slots takes the `first` ones.

  Args:
    rows: Row numbers, integers, at least 0, shape `[N]`.
    slices: What belongs to each, shape `[N, ...]`.
    name: Name scope of the op.

  Returns:
    A `RowSums`.

  Raises:
    ValueError: If `rows` is not a vector.
  """
  shapes.check(rows, [None], "rows", name)
  with tf.name_scope(name):
    order = tf.argsort(rows, stable=True)
    rows = tf.gather(rows, order)
    first = tf.not_equal(rows, tf.concat([rows[:1] - 1, rows[:-1]], 0))
    segments = tf.cumsum(tf.cast(first, tf.int32)) - 1
    sums = tf.math.unsorted_segment_sum(tf.gather(slices, order), segments,
                                        tf.size(rows))
    return RowSums(rows, tf.gather(sums, segments), first)
