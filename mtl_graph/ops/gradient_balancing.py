"""Task weights from the Gramian of their gradients: equal or fair progress.

IMTL-G and ConFIG give every task the same share of the direction, Aligned-MTL
makes the gradients orthogonal and of one length, Nash-MTL and FairGrad bargain.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_products

# The least eigenvalue of a matrix of cosines that is divided by. What is below
# is rounding of a float32 Gramian.
_LEAST_EIGENVALUE = 1e-6

# Steps that make of XLA's eigenvectors such as LAPACK's, and how far apart
# eigenvalues must be for their vectors to be turned: so many times what the
# turn is made of, in relation to the larger, and beyond rounding.
_REFINEMENTS = 3
_LEAST_GAPS = (4.0, 1e-4, 1e-13)

# How large a fair share may be, in units of what the task with most to gain
# would have alone; where gradients cancel, shares know no bound.
_MAX_FAIR_SHARE = 1e3
_MAX_FAIR_STEPS = 60


def _equal_shares(of):
  """Solves for the combination of unit gradients that all have product 1 with.

  Returns `x` with `C x = 1`, float64, shape `[T]`, 0 for absent tasks.
  """
  values, vectors = tf.linalg.eigh(of.cosines)
  parts = tf.linalg.matvec(vectors, of.present, transpose_a=True)
  parts /= tf.maximum(values, _LEAST_EIGENVALUE)
  return tf.linalg.matvec(vectors, parts) * of.present


def imtl_g_weights(
    gramian: tf.Tensor,
    name: str = "imtl_g_weights") -> tf.Tensor:
  """Makes the direction's product with each unit gradient the same.

  ```
    <d, g_t> / || g_t ||  equal for all t,    sum_t w_t = 1
  ```

  which is `w` in proportion to `K^-1 sqrt(diag(K))`; for two tasks
  `w = (n_2, n_1) / (n_1 + n_2)` with `n_t` the lengths.

  See "Towards Impartial Multi-task Learning" by Liu et al., section 3.1
  (https://openreview.net/forum?id=IMPnRXEWpvr). Weights of three tasks or more
  may be negative, and large where the sum of what is divided by it is close
  to 0. For parallel gradients there is no one solution; eigenvalues of the
  cosines are kept at 1e-6 or more. A task with a gradient of zero has weight 0.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    name: Name scope of the op.

  Returns:
    Weights that sum to 1, shape `[T]`.

  Raises:
    ValueError: If the Gramian is not square.
  """
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    shares = of.inverse_norms
    if shares.shape.as_list()[0] > 2:
      # With two tasks both shares are equal, whatever the angle.
      shares *= _equal_shares(of)
    return tf.cast(tf.math.divide_no_nan(shares, tf.reduce_sum(shares)),
                   gramian.dtype)


def config_weights(
    gramian: tf.Tensor,
    name: str = "config_weights") -> tf.Tensor:
  """Takes the direction at one angle to all gradients, with their summed reach.

  With `u` the unit vector whose product with every unit gradient is the same,

  ```
    d = (sum_t <g_t, u>) u
  ```

  See "ConFIG: Towards Conflict-free Training of Physics Informed Neural
  Networks" by Liu et al., section 3.1 (https://arxiv.org/abs/2408.11104). The
  pseudoinverse of the unit gradients is found by way of their cosines, whose
  eigenvalues are kept at 1e-6 or more. Where gradients cancel, all weights
  are 0. A task with a gradient of zero has weight 0.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    name: Name scope of the op.

  Returns:
    Weights of `d`, shape `[T]`; some may be negative.

  Raises:
    ValueError: If the Gramian is not square.
  """
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    shares = _equal_shares(of)
    reach = tf.linalg.matvec(of.cosines, shares)
    squared_length = tf.tensordot(shares, reach, 1)
    # A direction made of shares that large, and yet this short, is rounding.
    floor = _LEAST_EIGENVALUE * tf.tensordot(shares, shares, 1)
    factor = tf.where(
        squared_length > floor,
        tf.tensordot(of.norms, reach, 1) / squared_length,
        tf.zeros_like(squared_length))
    return tf.cast(factor * shares * of.inverse_norms, gramian.dtype)


def aligned_mtl_weights(
    gramian: tf.Tensor,
    scale: str = "min",
    rank_tolerance: float = float(np.finfo(np.float32).eps),
    name: str = "aligned_mtl_weights") -> tf.Tensor:
  """Sums gradients made orthogonal and of one length.

  With `K = V diag(e) V'` and `s` the least, the median (the lower of two) or
  the mean of the eigenvalues,

  ```
    B = sqrt(s) V diag(1 / sqrt(e)) V',    w = B 1
  ```

  The rows of `B G` are orthogonal, of length `sqrt(s)`, and as close to the
  gradients `G` as such rows can be.

  See "Independent Component Alignment for Multi-Task Learning" by Senushkin et
  al., section 4 (https://arxiv.org/abs/2305.19000). As there, eigenvalues
  below `T * rank_tolerance` times the largest are left out: with it, what only
  a task contributes whose gradient is a few thousand times shorter than the
  longest. With "min" such a gradient, if it is kept, makes all steps small.
  With gradients of a shared representation this is Aligned-MTL-UB.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    scale: "min", "median" or "rmse", for the least, the median and the mean.
    rank_tolerance: What a task may add to the least eigenvalue that is kept,
      relative to the largest.
    name: Name scope of the op.

  Returns:
    Weights, shape `[T]`; some may be negative. All 0 if all gradients are.

  Raises:
    ValueError: If `scale` is none of these or the Gramian is not square.
  """
  if scale not in ("min", "median", "rmse"):
    raise ValueError(f"{name}: `scale` must be 'min', 'median' or 'rmse', "
                     f"found '{scale}'.")
  with tf.name_scope(name):
    # Only for its checks: lengths matter here.
    num_tasks = gradient_products.cosines(gramian, op=name).norms.shape[0]
    products = tf.cast(tf.stop_gradient(gramian), tf.float64)
    # Their scale changes no weight.
    products = tf.math.divide_no_nan(
        products, tf.reduce_max(tf.linalg.diag_part(products)))
    values, vectors = _exact_eigen(products)
    kept = values > tf.reduce_max(values) * (int(num_tasks) * rank_tolerance)
    zeros = tf.zeros_like(values)
    if scale == "rmse":
      size = tf.math.divide_no_nan(
          tf.reduce_sum(tf.where(kept, values, zeros)),
          tf.reduce_sum(tf.cast(kept, tf.float64)))
    else:
      number = tf.reduce_sum(tf.cast(tf.logical_not(kept), tf.int32))
      if scale == "median":
        number += (num_tasks - number - 1) // 2
      # The largest of those that no more are below: XLA would compile anew for
      # each place at which `values` is sliced. If all are left out, all are 0.
      below = tf.reduce_sum(
          tf.cast(values < values[:, tf.newaxis], tf.int32), 1)
      size = tf.reduce_max(tf.where(below <= number, values, zeros))
    factors = tf.where(kept, tf.sqrt(size / tf.where(
        kept, values, tf.ones_like(values))), zeros)
    sums = tf.reduce_sum(vectors, 0)
    return tf.cast(tf.linalg.matvec(vectors, factors * sums), gramian.dtype)


def _exact_eigen(matrix):
  """Returns eigenvalues and eigenvectors of a symmetric matrix of about 1.

  XLA stops where elements beside the diagonal are a millionth of the largest
  eigenvalue, which the least may be as well. With `R = I - V' V`, `S = V' A V`
  and `e = diag(S) / diag(V' V)`, a step takes `V + V E` in place of `V`, where

  ```
    E_ij = (S_ij + e_j R_ij) / (e_j - e_i)
  ```

  or `R_ij / 2` on the diagonal and where eigenvalues are too close to be told
  apart; what is wrong with `V` is squared by it. See "Iterative Refinement for
  Symmetric Eigenvalue Decomposition" by Ogita and Aishima (Japan Journal of
  Industrial and Applied Mathematics 35, 2018).

  Args:
    matrix: Shape `[T, T]`, float64.

  Returns:
    Eigenvalues, shape `[T]`, whose order is not quite certain where they are
    close, and eigenvectors in columns, shape `[T, T]`.
  """
  values, vectors = tf.linalg.eigh(matrix)
  identity = tf.eye(matrix.shape.as_list()[0], dtype=matrix.dtype)
  times, relative, absolute = _LEAST_GAPS
  for _ in range(_REFINEMENTS):
    lacks = identity - tf.matmul(vectors, vectors, transpose_a=True)
    inside = tf.matmul(vectors, tf.matmul(matrix, vectors), transpose_a=True)
    values = tf.linalg.diag_part(inside) / (1 - tf.linalg.diag_part(lacks))
    gaps = values - values[:, tf.newaxis]
    turns = inside + values * lacks
    sizes = tf.maximum(relative * tf.abs(values), absolute)
    apart = tf.abs(gaps) > tf.maximum(
        times * tf.abs(turns), tf.maximum(sizes, sizes[:, tf.newaxis]))
    vectors += tf.matmul(vectors, tf.where(
        apart, tf.math.divide_no_nan(turns, gaps), lacks / 2))
  return values, vectors


def nash_mtl_weights(
    gramian: tf.Tensor,
    name: str = "nash_mtl_weights") -> tf.Tensor:
  """Takes the bargain that multiplies the tasks' progress to the most.

  ```
    sum_s K_ts w_s = 1 / w_t,    w_t > 0
  ```

  For two tasks with lengths `n_t` and angle `a`,
  `w_t = 1 / (n_t sqrt(1 + cos a))`. Scaling a loss changes no direction, and
  the direction always has length `sqrt(T)`: clip it, or weights grow as
  gradients vanish.

  See "Multi-Task Learning as a Bargaining Game" by Navon et al., section 3.1
  (https://arxiv.org/abs/2202.01017). Their code solves a sequence of convex
  programs, divides the Gramian by its norm first, so that its weights are
  larger by the root of that norm, and clips the direction to length 1; here
  Newton's method finds the solution of the equation as it stands. Where
  gradients cancel there is none: `w_t n_t` is kept at 1,000 or less. A task
  with a gradient of zero has weight 0.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    name: Name scope of the op.

  Returns:
    Weights of at least 0, shape `[T]`.

  Raises:
    ValueError: If the Gramian is not square.
  """
  return fairgrad_weights(gramian, 1.0, name)


def fairgrad_weights(
    gramian: tf.Tensor,
    alpha: float = 1.0,
    name: str = "fairgrad_weights") -> tf.Tensor:
  """Takes the direction that is alpha-fair to the tasks' progress.

  ```
    sum_s K_ts w_s = w_t ^ (-1 / alpha),    w_t > 0
  ```

  With `alpha` 1 this is Nash-MTL; a larger one favours the task that progresses
  least.

  See "Fair Resource Allocation in Multi-Task Learning" by Ban and Ji, section 4
  (https://arxiv.org/abs/2402.15638). They use a least-squares solver; here it
  is Newton's method, with the cautions of `nash_mtl_weights`.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    alpha: How much the worst task matters, above 0.
    name: Name scope of the op.

  Returns:
    Weights of at least 0, shape `[T]`.

  Raises:
    ValueError: If `alpha` is not above 0 or the Gramian is not square.
  """
  if not alpha > 0:
    raise ValueError(f"{name}: `alpha` must be above 0, found {alpha}.")
  power = 1 / alpha
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    num_tasks = of.norms.shape.as_list()[0]
    if alpha == 1 and num_tasks == 2:
      cosine = of.cosines[0, 1]
      return tf.cast(
          of.inverse_norms * tf.math.rsqrt(
              tf.maximum(1 + cosine, _MAX_FAIR_SHARE ** -2)), gramian.dtype)
    # w = units * b, where a task alone would have b = 1. With r the root of
    # what it would reach then, C (r b) = r b^-power.
    units = of.inverse_norms ** (2 / (1 + power))
    roots = units * of.norms + 1 - of.present
    solution = _fair(of.cosines, roots, power)
    return tf.cast(units * solution * of.present, gramian.dtype)


def _fair(matrix, roots, power):
  """Solves `C (r b) = r b^-power` for `b > 0` by Newton's method.

  A step is cut so that no unknown falls to zero or changes its order of
  magnitude, within which the curvature is what the step assumes. Rounding of a
  float32 Gramian may leave an eigenvalue below zero: the matrix that is divided
  by, though not the equation, has a little more on its diagonal.
  """
  largest = _MAX_FAIR_SHARE * tf.reduce_max(roots) / roots
  caution = max(1.0, (1 + power) / 2)
  # Where all are equal, this is how large.
  total = tf.reduce_sum(roots ** 2)
  level = tf.tensordot(roots, tf.linalg.matvec(matrix, roots), 1) / total
  start = tf.fill(roots.shape, tf.maximum(
      level, _LEAST_EIGENVALUE) ** (-1 / (1 + power)))

  def moving(i, values, change):
    del values
    return tf.logical_and(i < _MAX_FAIR_STEPS, change > 1e-7)

  def step(i, values, change):
    del change
    fair = values ** -power
    gap = roots * fair - tf.linalg.matvec(matrix, roots * values)
    slope = tf.linalg.set_diag(
        matrix, 1 + _LEAST_EIGENVALUE + power * fair / values)
    moves = tf.linalg.solve(slope, gap[:, tf.newaxis])[:, 0] / (roots * values)
    factors = 1 + moves / (1 + caution * tf.reduce_max(tf.abs(moves)))
    factors = tf.minimum(factors, largest / values)
    return i + 1, values * factors, tf.reduce_max(tf.abs(factors - 1))

  return tf.while_loop(
      moving, step,
      [tf.constant(0), tf.minimum(start, largest),
       tf.constant(1.0, tf.float64)], back_prop=False)[1]
