"""Ways for the columns of several tasks to share what they compute."""

from typing import List, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes


def cross_stitch(columns: Sequence[tf.Tensor], alpha: tf.Tensor,
                 name: str = "cross_stitch") -> List[tf.Tensor]:
  """Makes each task's activations a mixture of those of all tasks.

  ```
    y_a = sum_b  alpha_ab x_b
  ```

  with one `alpha_ab`, or one for each channel. The identity for `alpha` leaves
  activations and their gradients as they are, to the bit.

  See "Cross-stitch Networks for Multi-task Learning" by Misra, Shrivastava,
  Gupta and Hebert, section 3 (https://arxiv.org/abs/1604.03539).

  Args:
    columns: The `T` tensors `x_b`, each of shape `[B, ..., C]`.
    alpha: Tensor of `alpha_ab`, shape `[R, T]` or `[R, T, C]` with R known: a
      row for every column, or only for those that are wanted.
    name: Name scope of the op.

  Returns:
    The `R` tensors `y_a`, each of shape `[B, ..., C]`.

  Raises:
    ValueError: If there is no column, or the shapes do not fit.
  """
  size = shapes.check_alike(columns, "columns", name, least_rank=1)
  rows = [None, len(columns)]
  shapes.check(alpha, rows if alpha.shape.rank != 3 else rows + size[-1:],
               "alpha", name)
  with tf.name_scope(name):
    return _mix(columns, alpha)


def sluice(columns: Sequence[tf.Tensor], alpha: tf.Tensor, subspaces: int,
           name: str = "sluice") -> List[tf.Tensor]:
  """Makes each part of a task's activations a mixture of all parts.

  Each `x_b` is split on its last axis into `S` equal parts, `T S` in all: those
  of the first task, then those of the second, and so on.

  ```
    y_p = sum_q  alpha_pq x_q      p, q = 1 .. T S
  ```

  and the parts of each task are joined again. With one subspace this is
  `cross_stitch`. The identity for `alpha` leaves activations and their
  gradients as they are, to the bit.

  See "Latent Multi-task Architecture Learning" by Ruder, Bingel, Augenstein and
  Sogaard (https://arxiv.org/abs/1705.08142).

  Args:
    columns: The `T` tensors `x_b`, each of shape `[B, ..., C]`.
    alpha: Tensor of `alpha_pq`, shape `[R S, T S]` with R known: the rows of
      every column, or only of those that are wanted.
    subspaces: The number of parts `S`; `C` is a multiple of it.
    name: Name scope of the op.

  Returns:
    The `R` mixed tensors, each of shape `[B, ..., C]`.

  Raises:
    ValueError: If there is no column, or the shapes do not fit.
  """
  size = shapes.check_alike(columns, "columns", name, least_rank=1)
  shapes.check_split(size[-1], subspaces, "columns", name)
  rows = shapes.check(alpha, [None, len(columns) * subspaces], "alpha", name)
  if rows[0] is None or rows[0] % subspaces:
    raise ValueError(f"{name}: the first dimension of `alpha` must be a known "
                     f"multiple of `subspaces`, found {rows[0]} and "
                     f"{subspaces}.")
  with tf.name_scope(name):
    parts = []
    for column in columns:
      parts += tf.split(column, subspaces, -1)
    mixed = _mix(parts, alpha)
    return [tf.concat(mixed[i:i + subspaces], -1)
            for i in range(0, len(mixed), subspaces)]


def mix_layers(outputs: Sequence[tf.Tensor], beta: tf.Tensor,
               name: str = "mix_layers") -> tf.Tensor:
  """Adds up the outputs of a task's layers, each times its weight.

  ```
    sum_l  beta_l x_l
  ```

  See "Latent Multi-task Architecture Learning" by Ruder, Bingel, Augenstein and
  Sogaard (https://arxiv.org/abs/1705.08142).

  Args:
    outputs: The `L` tensors `x_l`, all of one shape.
    beta: Tensor of the weights, shape `[L]`.
    name: Name scope of the op.

  Returns:
    The mixture, the shape of each output.

  Raises:
    ValueError: If there is no output, or the shapes do not fit.
  """
  shapes.check_alike(outputs, "outputs", name)
  shapes.check(beta, [len(outputs)], "beta", name)
  with tf.name_scope(name):
    return _mix(outputs, beta[tf.newaxis])[0]


def _mix(tensors, factors):
  """Returns `sum_q factors[p, q] * tensors[q]` for each `p`.

  Products and sums of single numbers: a matrix product would be free to round
  its factors, as accelerators do, and the identity would be none.
  """
  return [tf.add_n([factor * tensor for factor, tensor in zip(
      tf.unstack(row, len(tensors)), tensors)]) for row in tf.unstack(factors)]
