"""Several tasks' gradients of one tensor."""

from typing import List, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_products
from mtl_graph.ops import row_sums


class Column:
  """The tasks' gradients of one tensor, in one form.

  Gradients of a table that stays sparse are of the rows that any of them holds,
  each row once and the other slots zero.

  Attributes:
    name: Name of the variable.
    gradients: A dense tensor per task, None where a task does not reach it.
    empty: Whether none does.
  """

  def __init__(self, variable, gradients, sparse: bool):
    self.name = variable.op.name
    self.empty = all(g is None for g in gradients)
    self._rows = self._shape = None
    if sparse and not self.empty and all(
        g is None or isinstance(g, tf.IndexedSlices) for g in gradients):
      self._rows, self.gradients = _of_rows(gradients)
      self._shape = variable.shape.as_list()
    else:
      self.gradients = [None if g is None else tf.convert_to_tensor(g)
                        for g in gradients]

  def jacobian(self) -> tf.Tensor:
    """Returns the gradients in one tensor, shape `[T, ...]`."""
    return stacked(self.gradients)

  def whole(self, direction):
    """Returns what is of this form as a gradient of the variable."""
    if self._rows is None:
      return direction
    return tf.IndexedSlices(direction, self._rows, tf.constant(self._shape))


def _of_rows(gradients: Sequence[Optional[tf.IndexedSlices]]
             ) -> Tuple[tf.Tensor, List[Optional[tf.Tensor]]]:
  """Returns row numbers, and each task's gradient of them."""
  there = [g for g in gradients if g is not None]
  rows = tf.concat([g.indices for g in there], 0)
  slices = []
  for t, gradient in enumerate(there):
    values = gradient.values[:, tf.newaxis]
    slices.append(tf.pad(values, [[0, 0], [t, len(there) - 1 - t]]
                         + [[0, 0]] * (values.shape.rank - 2)))
  rows, sums, first = row_sums.row_sums(rows, tf.concat(slices, 0))
  first = tf.reshape(first, [-1] + [1] * (sums.shape.rank - 1))
  found = iter(tf.unstack(tf.where_v2(first, sums, tf.zeros_like(sums)),
                          axis=1))
  return rows, [None if g is None else next(found) for g in gradients]


def stacked(gradients) -> tf.Tensor:
  like = next(g for g in gradients if g is not None)
  return tf.stack([tf.zeros_like(like) if g is None else g for g in gradients])


def add(gradients: Sequence[Optional[gradient_products.Gradient]]
        ) -> Optional[gradient_products.Gradient]:
  """Adds up gradients, sparse ones to a sparse one; None is none."""
  there = [g for g in gradients if g is not None]
  if len(there) < 2:
    return there[0] if there else None
  if all(isinstance(g, tf.IndexedSlices) for g in there):
    return tf.IndexedSlices(tf.concat([g.values for g in there], 0),
                            tf.concat([g.indices for g in there], 0),
                            there[0].dense_shape)
  return tf.add_n([tf.convert_to_tensor(g) for g in there])
