"""Products of task gradients: their Gramian, cosines and weighted sums."""

import collections
from typing import List, Optional, Sequence, Union

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# A gradient as `tf.gradients` returns it; None where a task does not reach a
# variable, which counts as zero.
Gradient = Optional[Union[tf.Tensor, tf.IndexedSlices]]

# norms: length of each task's gradient, shape `[T]`.
# inverse_norms: one over each length, 0 for a gradient of zero, shape `[T]`.
# cosines: cosine of each pair, 1 on the diagonal, shape `[T, T]`.
# present: 1 for tasks whose gradient is not zero, else 0, shape `[T]`.
# All of them float64.
Cosines = collections.namedtuple(
    "Cosines", ["norms", "inverse_norms", "cosines", "present"])

# Gradients of up to this many elements are stacked, task by task, for one
# product; larger ones are multiplied in pairs where they are, without a copy.
_MAX_STACKED = 1 << 16


def gramian(jacobian: tf.Tensor, name: str = "gramian") -> tf.Tensor:
  """Multiplies each task's gradient with each other's.

  ```
    K_ij = <g_i, g_j>
  ```

  Args:
    jacobian: Tensor of gradients, a row per task, shape `[T, P]`.
    name: Name scope of the op.

  Returns:
    The Gramian, shape `[T, T]`, of the type of `jacobian`.

  Raises:
    ValueError: If `jacobian` is no matrix.
  """
  shapes.check(jacobian, [None, None], "jacobian", name)
  with tf.name_scope(name):
    return tf.matmul(jacobian, jacobian, transpose_b=True)


def gramian_of(
    gradients: Sequence[Sequence[Gradient]],
    max_stacked: int = _MAX_STACKED,
    name: str = "gramian_of") -> tf.Tensor:
  """Multiplies each task's gradient with each other's, variable by variable.

  ```
    K_ij = sum_v  <g_iv, g_jv>
  ```

  The gradients are never copied into one matrix. Those of a small variable are
  stacked for one product, as many small products would cost more than they
  compute; those of a large one are multiplied where they are.

  Args:
    gradients: A list per task, each with a gradient per variable in the same
      order, of any shape; None counts as zero. `tf.IndexedSlices` become
      dense.
    max_stacked: How many elements a gradient may have to be stacked.
    name: Name scope of the op.

  Returns:
    The Gramian, shape `[T, T]`; float32 if no task reaches any variable.

  Raises:
    ValueError: If there is no task, lists differ in length, or the gradients of
      a variable differ in shape.
  """
  by_variable = _by_variable(gradients, name)
  num_tasks = len(gradients)
  with tf.name_scope(name):
    parts = collections.defaultdict(list)
    for column in by_variable:
      reached = tuple(t for t in range(num_tasks) if column[t] is not None)
      if not reached:
        continue
      flat = [tf.reshape(column[t], [-1]) for t in reached]
      sizes = [each.shape.num_elements() for each in flat]
      if None not in sizes and max(sizes) <= max_stacked:
        parts[reached].append(gramian(tf.stack(flat)))
      else:
        parts[reached].append(_pairwise(flat))
    if not parts:
      return tf.zeros([num_tasks, num_tasks])
    sums = []
    for reached, products in parts.items():
      total = tf.add_n(products)
      if len(reached) < num_tasks:
        # Zeros for the tasks that do not reach these variables.
        places = tf.constant(np.eye(num_tasks)[list(reached)], total.dtype)
        total = tf.matmul(
            places, tf.matmul(total, places), transpose_a=True)
      sums.append(total)
    return tf.add_n(sums)


def _pairwise(flat):
  """Returns the Gramian of a list of vectors, pair by pair."""
  products = {}
  for i, a in enumerate(flat):
    for j in range(i, len(flat)):
      products[i, j] = products[j, i] = tf.tensordot(a, flat[j], 1)
  return tf.stack([[products[i, j] for j in range(len(flat))]
                   for i in range(len(flat))])


def combine(
    weights: tf.Tensor,
    gradients: Sequence[Sequence[Gradient]],
    name: str = "combine") -> List[Optional[tf.Tensor]]:
  """Adds up task gradients, each times its task's weight.

  ```
    d_v = sum_t  w_t * g_tv
  ```

  Args:
    weights: Tensor of factors, shape `[T]`. No gradient flows into them.
    gradients: A list per task, each with a gradient per variable in the same
      order; None counts as zero. `tf.IndexedSlices` become dense.
    name: Name scope of the op.

  Returns:
    A list with a gradient per variable, None where no task reaches it.

  Raises:
    ValueError: If there is no task, lists differ in length, the gradients of a
      variable differ in shape, or `weights` is not one number per task.
  """
  by_variable = _by_variable(gradients, name)
  shapes.check(weights, [len(gradients)], "weights", name)
  with tf.name_scope(name):
    factors = tf.unstack(tf.stop_gradient(weights), len(gradients))
    combined = []
    for column in by_variable:
      terms = [tf.cast(factor, gradient.dtype) * gradient
               for factor, gradient in zip(factors, column)
               if gradient is not None]
      combined.append(tf.add_n(terms) if terms else None)
    return combined


def _by_variable(gradients, op):
  """Checks lists per task; returns lists of dense tensors per variable."""
  if not gradients:
    raise ValueError(
        f"{op}: `gradients` must hold a list per task, found none.")
  lengths = [len(each) for each in gradients]
  if len(set(lengths)) > 1:
    raise ValueError(f"{op}: `gradients` must hold lists of one length, found "
                     f"{lengths}.")
  columns = []
  for v, column in enumerate(zip(*gradients)):
    column = [None if each is None else tf.convert_to_tensor(each)
              for each in column]
    there = [each for each in column if each is not None]
    if there:
      shapes.check_alike(there, f"gradients[:][{v}]", op)
    columns.append(column)
  return columns


def cosines(gramian_matrix: tf.Tensor, argument: str = "gramian",
            op: str = "cosines") -> Cosines:
  """Splits a Gramian into lengths and cosines, in float64.

  Lengths of gradients often differ by a factor of a million, so their squares
  by more than float32 can hold beside each other; cosines do not. Rounding may
  lead beyond -1 and 1, which is undone.

  Args:
    gramian_matrix: The Gramian, shape `[T, T]`. No gradient flows into it.
    argument: Name of the argument, for errors.
    op: Name of the op that asks, for errors and as name scope.

  Returns:
    A `Cosines`. A gradient of zero has cosine 0 with all others.

  Raises:
    ValueError: If the Gramian is not square with a known number of tasks.
  """
  found = shapes.check(gramian_matrix, [None, None], argument, op)
  if None in found or found[0] != found[1] or not found[0]:
    raise ValueError(f"{op}: `{argument}` must have shape [T, T] with a known "
                     f"number of tasks, found {gramian_matrix.shape}.")
  products = tf.cast(tf.stop_gradient(gramian_matrix), tf.float64)
  norms = tf.sqrt(tf.maximum(tf.linalg.diag_part(products), 0.0))
  inverse_norms = tf.math.divide_no_nan(tf.ones_like(norms), norms)
  pairs = tf.clip_by_value(
      products * inverse_norms * inverse_norms[:, tf.newaxis], -1.0, 1.0)
  return Cosines(norms, inverse_norms,
                 tf.linalg.set_diag(pairs, tf.ones_like(norms)),
                 tf.cast(norms > 0, tf.float64))
