"""Linear complementarity problems of a few unknowns, solved by pivots.

Projections onto a cone or a simplex that a handful of gradients spans come down
to such problems. Pivots reach the solution exactly after about as many steps as
there are unknowns that are not zero, however unlike the gradients are; steps of
first order need thousands. They take no decomposition, which is slow under XLA.
"""

import numpy as np
import tensorflow.compat.v1 as tf

# What is added to the diagonal of a matrix of cosines. Rounding of a float32
# Gramian may leave it with an eigenvalue slightly below zero.
_SHIFT = 1e-6

# What is added to it where a length is measured, so that no solution of a length
# has entries beyond 1 / sqrt(1e-8) of it.
_SHIFT_OF_LENGTH = 1e-8

# What counts as negative. Right-hand sides have entries of about one.
_TOLERANCE = 1e-11

# Rounds that take back what the shift did to the solution.
_REFINEMENTS = 2



def _pivot(table, row_index, live, size):
  """Exchanges an unknown for its slack in tableaus `[B, T, T + R]`.

  With `p` the pivot, `row` and `col` the row and column through it and `e` the
  unit vector there, all four cases of a principal pivot are

  ```
    A  -  (col + e) (row - e)' / p
  ```

  Returns:
    The new tableaus, and the unit vectors `[B, T]`, zero where not live.
  """
  width = table.shape.as_list()[-1]
  wide = tf.one_hot(row_index, width, dtype=table.dtype)[:, tf.newaxis]
  unit = wide[:, :, :size]
  row = tf.matmul(unit, table)
  col = tf.matmul(table, wide, transpose_b=True)
  pivot = tf.matmul(unit, col)
  step = (row - wide) * (live[:, tf.newaxis, tf.newaxis] / pivot)
  table -= tf.matmul(col + tf.linalg.matrix_transpose(unit), step)
  return table, unit[:, 0] * live[:, tf.newaxis]


def _refine(matrix, offsets, basic, inverse):
  """Solves for the basic unknowns without the shift, from one with it.

  Args:
    matrix: The matrix without the shift, `[T, T]`.
    offsets: Right-hand sides, `[B, T]`.
    basic: 1 for unknowns that may differ from zero, `[B, T]`.
    inverse: Inverse of the shifted matrix of the basic unknowns, `[B, T, T]`.

  Returns:
    Values of the unknowns, `[B, T]`.
  """
  solution = tf.zeros_like(offsets)
  for i in range(1 + _REFINEMENTS):
    left = offsets + tf.matmul(solution, matrix) if i else offsets
    solution -= basic * tf.linalg.matvec(inverse, basic * left)
  return solution


def solve(matrix: tf.Tensor, offsets: tf.Tensor,
          name: str = "complementarity") -> tf.Tensor:
  """Solves linear complementarity problems that share a matrix.

  Finds for each row `q` of `offsets` the `z` with

  ```
    z >= 0,    M z + q >= 0,    z' (M z + q) = 0
  ```

  which is the minimum of `z' M z / 2 + q' z` over `z >= 0`.

  By principal pivots: the unknown or slack that is most negative is exchanged,
  until none is. That rule may go around in circles; after a few rounds the
  first negative one is taken, which cannot, see "A Note on an Algorithm for
  Linear Complementarity" by Murty (Linear Algebra and its Applications 7,
  1974). No pivot is made if nothing is negative.

  Args:
    matrix: A symmetric matrix with ones on its diagonal and no eigenvalue below
      zero but for rounding, float64, shape `[T, T]` with known T.
    offsets: Right-hand sides with entries of about one, float64, shape
      `[B, T]`.
    name: Name scope of the op.

  Returns:
    The solutions, float64, shape `[B, T]`. If the matrix is singular, one of
    them; if there is none, a large `z` in whose direction `M z` vanishes.
  """
  size = matrix.shape.as_list()[-1]
  with tf.name_scope(name):
    shifted = matrix + _SHIFT * np.eye(size)
    table = tf.concat([tf.zeros_like(offsets)[:, :, tf.newaxis] + shifted,
                       offsets[:, :, tf.newaxis]], 2)

    def negative(i, table, basic):
      del basic  # Tells which unknowns they are, not whether they are negative.
      return tf.logical_and(
          i < 8 * size, tf.reduce_min(table[:, :, size]) < -_TOLERANCE)

    def exchange(i, table, basic):
      values = table[:, :, size]
      # With all that is negative made alike, the first of it is least.
      floor = tf.where(i < 2 * size, np.float64(-np.inf),
                       np.float64(-_TOLERANCE))
      live = tf.cast(tf.reduce_min(values, 1) < -_TOLERANCE, tf.float64)
      least = tf.argmin(tf.maximum(values, floor), 1)
      table, unit = _pivot(table, least, live, size)
      return i + 1, table, tf.abs(basic - unit)

    _, table, basic = tf.while_loop(
        negative, exchange, [tf.constant(0), table, tf.zeros_like(offsets)],
        back_prop=False)
    return tf.maximum(
        _refine(matrix, offsets, basic, table[:, :, :size]), 0.0)


def follow(matrix: tf.Tensor, start: tf.Tensor, direction: tf.Tensor,
           squared_length: tf.Tensor, name: str = "complementarity_path"
           ) -> tf.Tensor:
  """Follows a complementarity problem to where its solution has a length.

  With `z(t)` the solution for `q = start - t * direction`, which is zero for a
  low `t` and piecewise linear, finds the `t` where

  ```
    z(t)' M z(t) = squared_length
  ```

  Each pivot leads to the next bend; on the piece where the length is met, `t`
  is the root of a quadratic equation.

  Args:
    matrix: A matrix as `solve` takes it, shape `[T, T]` with known T.
    start: Right-hand side for `t = 0`, float64, shape `[T]`.
    direction: How fast it falls with `t`, at least 0, float64, shape `[T]`. An
      unknown whose direction is 0 must have a right-hand side of at least 0.
    squared_length: What `z' M z` shall be, at least 0, float64, shape `[]`.
    name: Name scope of the op.

  Returns:
    `z(t)`, float64, shape `[T]`. Where no `t` reaches the length, as the matrix
    is singular, a `z` with entries of up to ten thousand times the length.
  """
  size = matrix.shape.as_list()[-1]
  with tf.name_scope(name):
    shifted = matrix + _SHIFT * np.eye(size)
    measure = matrix + _SHIFT_OF_LENGTH * np.eye(size)
    sides = tf.stack([start, -direction])
    table = tf.concat([shifted, tf.transpose(sides)], 1)[tf.newaxis]

    def short(i, table, basic, arrived):
      del table, basic  # Looked at by `exchange`.
      return tf.logical_and(i < 4 * size, tf.logical_not(arrived))

    def exchange(i, table, basic, arrived):
      at_zero, slope = table[0, :, size], table[0, :, size + 1]
      falling = slope < -_TOLERANCE
      bends = tf.where(falling, -at_zero / tf.where(
          falling, slope, -tf.ones_like(slope)),
                       tf.fill([size], np.float64(np.inf)))
      following = tf.argmin(bends)
      level = tf.reduce_min(bends)
      point = basic[0] * (at_zero + level * slope)
      length = tf.tensordot(point, tf.linalg.matvec(measure, point), 1)
      # Beyond the last bend the length is not a number.
      arrived = tf.logical_not(length < squared_length)
      live = tf.cast(tf.logical_not(arrived), tf.float64)[tf.newaxis]
      moved, unit = _pivot(table, following[tf.newaxis], live, size)
      return (i + 1, tf.where(arrived, table, moved), tf.abs(basic - unit),
              arrived)

    _, table, basic, _ = tf.while_loop(
        short, exchange,
        [tf.constant(0), table, tf.zeros_like(start)[tf.newaxis],
         squared_length <= 0], back_prop=False)
    pieces = _refine(matrix, sides, basic, table[:, :, :size])
    products = tf.matmul(pieces, tf.matmul(measure, pieces, transpose_b=True))
    constant, linear, quadratic = (
        products[0, 0] - squared_length, products[0, 1], products[1, 1])
    root = tf.sqrt(tf.maximum(linear ** 2 - quadratic * constant, 0.0))
    level = tf.math.divide_no_nan(root - linear, quadratic)
    point = tf.maximum(pieces[0] + level * pieces[1], 0.0)
    # Without the shift the length is a little less.
    length = tf.tensordot(point, tf.linalg.matvec(matrix, point), 1)
    return point * tf.clip_by_value(tf.sqrt(tf.math.divide_no_nan(
        squared_length, length)), 1.0, 1.1)
