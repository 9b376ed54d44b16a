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

# What is added to it where a length is measured: no entry of a solution is then
# beyond 1 / sqrt(1e-8) of its length.
_SHIFT_OF_LENGTH = 1e-8

# What counts as negative. Right-hand sides have entries of about one.
_TOLERANCE = 1e-11

# Where the last piece of a path is taken to end. Its square is still a number.
_FAR = 1e100

# Rounds that take back what the shift did to the solution.
_REFINEMENTS = 2


def _tables(matrix, sides):
  """Returns tableaus `[B, T + R, T + R]` of right-hand sides `[B, T, R]`.

  A tableau is the matrix beside its right-hand sides. Rows of zeros below,
  which no pivot changes, make it square and pivots short.
  """
  shifted = matrix + _SHIFT * np.eye(matrix.shape.as_list()[-1])
  above = tf.concat([tf.zeros_like(sides[:, :, :1]) + shifted, sides], 2)
  return tf.pad(above, [[0, 0], [0, sides.shape.as_list()[2]], [0, 0]])


def _pivot(tables, basic, index, live=None):
  """Exchanges an unknown for its slack.

  With `p` the pivot, `row` and `col` the row and column through it and `e` the
  unit vector there, all four cases of a principal pivot are

  ```
    A  -  (col + e) (row - e)' / p
  ```

  Args:
    tables: Tableaus, `[B, T + R, T + R]`.
    basic: 1 for unknowns that have been exchanged, `[B, 1, T + R]`.
    index: Which one to exchange, `[B, 1]`.
    live: 0 for tableaus to leave alone, else 1, `[B, 1, 1]`; None: all live.

  Returns:
    `tables` and `basic` after it.
  """
  unit = tf.one_hot(index, tables.shape.as_list()[-1], dtype=tables.dtype)
  row = tf.matmul(unit, tables)
  column = tf.matmul(unit, tables, transpose_b=True)
  pivot = tf.matmul(row, unit, transpose_b=True)
  if live is None:
    step, exchanged = (row - unit) / pivot, unit
  else:
    # The pivot of one that is left alone may be 0.
    step = (row - unit) * tf.math.divide_no_nan(live, pivot)
    exchanged = unit * live
  tables -= tf.matmul(column + unit, step, transpose_a=True)
  return tables, tf.abs(basic - exchanged)


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
  several = offsets.shape.as_list()[0] != 1
  with tf.name_scope(name):
    tables = _tables(matrix, offsets[:, :, tf.newaxis])

    def state(i, tables, basic):
      values = tables[:, :, size]
      lowest = tf.reduce_min(values, 1, keepdims=True)
      going = tf.logical_and(
          i < 8 * size, tf.reduce_min(lowest) < -_TOLERANCE)
      return i, tables, basic, values, lowest, going

    def exchange(i, tables, basic, values, lowest, going):
      del going  # It is, or this would not be called.
      # With all that is negative made alike, the first of it is least.
      floor = tf.where(i < 2 * size, np.float64(-np.inf),
                       np.float64(-_TOLERANCE))
      least = tf.argmin(tf.maximum(values, floor), 1)
      live = tf.cast(lowest < -_TOLERANCE, tf.float64)[
          :, :, tf.newaxis] if several else None
      return state(i + 1, *_pivot(tables, basic, least[:, tf.newaxis], live))

    found = tf.while_loop(
        lambda *carried: carried[-1], exchange,
        state(tf.constant(0), tables, tf.zeros_like(tables[:, :1])),
        back_prop=False)
    tables, basic = found[1][:, :size, :size], found[2][:, 0, :size]
    return tf.maximum(_refine(matrix, offsets, basic, tables), 0.0)


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
    measure = matrix + _SHIFT_OF_LENGTH * np.eye(size)
    sides = tf.stack([start, -direction])
    tables = _tables(matrix, tf.transpose(sides)[tf.newaxis])

    def short(i, tables, basic, following, arrived):
      del tables, basic, following  # Looked at by `bend`.
      return tf.logical_and(i < 4 * size, tf.logical_not(arrived))

    def bend(i, tables, basic):
      """Looks for the next bend, and whether the length is met before it."""
      at_zero, slope = tables[0, :size, size], tables[0, :size, size + 1]
      bends = tf.where(slope < -_TOLERANCE, -at_zero / slope,
                       tf.fill([size], np.float64(_FAR)))
      level = tf.reduce_min(bends)
      point = (basic[0, :, :size] * (at_zero + level * slope))
      length = tf.matmul(tf.matmul(point, measure), point, transpose_b=True)
      return (i, tables, basic, tf.argmin(bends),
              length[0, 0] >= squared_length)

    def exchange(i, tables, basic, following, arrived):
      del arrived  # It is not, or this would not be called.
      return bend(i + 1, *_pivot(tables, basic, tf.reshape(following, [1, 1])))

    _, tables, basic, _, _ = tf.while_loop(
        short, exchange,
        bend(tf.constant(0), tables, tf.zeros_like(tables[:, :1])),
        back_prop=False)
    tables, basic = tables[:, :size, :size], basic[:, 0, :size]
    pieces = _refine(matrix, sides, basic, tables)
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
