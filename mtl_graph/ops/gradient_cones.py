"""Task weights from projections onto what the gradients span.

MGDA projects zero onto the simplex of gradients, CAGrad the worst task's
progress onto a ball, UPGrad and DualProj onto the cone of directions that harm
no task. Each is solved exactly, whatever the lengths of the gradients.
"""

from typing import Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import complementarity
from mtl_graph.ops import gradient_products
from mtl_graph.ops import shapes


def mgda_weights(
    gramian: tf.Tensor,
    normalizers: Optional[tf.Tensor] = None,
    present: Optional[tf.Tensor] = None,
    name: str = "mgda_weights") -> tf.Tensor:
  """Finds the shortest convex combination of the gradients.

  ```
    min_w  || sum_t w_t g_t ||^2,    w_t >= 0,    sum_t w_t = 1
  ```

  Its direction `d` satisfies `<g_t, d> >= <d, d>` for every task: no task gets
  worse to first order, and `d = 0` where that is impossible. For two tasks

  ```
    w_1 = clip((K_22 - K_12) / (K_11 + K_22 - 2 K_12), 0, 1)
  ```

  See "Multi-Task Learning as Multi-Objective Optimization" by Sener and Koltun,
  section 3.2 (https://arxiv.org/abs/1810.04650). They use the algorithm of
  Frank and Wolfe, which is slow close to the solution; here it is exact, by
  pivots. The smallest gradient dominates, and a gradient of zero takes all the
  weight; that of a task without a label in the batch can be left out by
  `present`. As weights sum to 1, steps are smaller than those of a sum.

  With gradients of a shared representation in place of parameters this is
  MGDA-UB, section 3.3.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    normalizers: Positive numbers that gradients are divided by while weights
      are sought, such as their norms, their losses or both multiplied, shape
      `[T]`. None: as they are, as in the paper.
    present: Above 0 for tasks that take part, shape `[T]`; others have weight
      0. None: all do.
    name: Name scope of the op.

  Returns:
    Weights that sum to 1, shape `[T]`; all 0 if no task takes part.

  Raises:
    ValueError: If a shape does not fit.
  """
  with tf.name_scope(name):
    products = tf.cast(gramian, tf.float64)
    if normalizers is not None:
      shapes.check(normalizers, gramian.shape.as_list()[:1], "normalizers",
                   name)
      scales = tf.cast(tf.stop_gradient(normalizers), tf.float64)
      products = tf.math.divide_no_nan(products,
                                       scales * scales[:, tf.newaxis])
    if present is None:
      present = tf.ones_like(gramian[0])
    shapes.check(present, gramian.shape.as_list()[:1], "present", name)
    present = tf.stop_gradient(present) > 0
    both = tf.logical_and(present, present[:, tf.newaxis])
    of = gradient_products.cosines(
        tf.where(both, products, tf.zeros_like(products)), op=name)
    shortest = tf.reduce_min(tf.where(present, of.norms,
                                      np.inf * tf.ones_like(of.norms)))
    shortest = tf.where(tf.is_finite(shortest), shortest, 0.0)
    # K y >= 1, y >= 0, y' (K y - 1) = 0 holds for weights over their squared
    # length. Unknowns are counted in gradients of length 1. One whose slack
    # stays at 1 has no share, as nothing else meets it.
    offsets = tf.where(present, -shortest * of.inverse_norms,
                       tf.ones_like(of.norms))
    rays = (complementarity.solve(of.cosines, offsets[tf.newaxis])[0]
            * shortest * of.inverse_norms)
    # Those of zero, of which any mixture is the shortest.
    stopped = tf.cast(tf.logical_and(present, of.norms <= 0), tf.float64)
    rays = tf.where(shortest > 0, rays, stopped)
    return tf.cast(tf.math.divide_no_nan(rays, tf.reduce_sum(rays)),
                   gramian.dtype)


def cagrad_weights(
    gramian: tf.Tensor,
    c: float = 0.5,
    name: str = "cagrad_weights") -> tf.Tensor:
  """Improves the worst task, within a ball around the mean gradient.

  With `g_0` the mean gradient,

  ```
    max_d  min_t <g_t, d>,    || d - g_0 || <= c || g_0 ||
  ```

  whose solution is, with `g_w = sum_t w_t g_t`,

  ```
    d = g_0 + c || g_0 || / || g_w || * g_w
    w = argmin  <g_w, g_0> + c || g_0 || || g_w ||,  w_t >= 0, sum_t w_t = 1
  ```

  Here `min_t <g_t, d>` is raised step by step until `d` meets the ball, on a
  path that has a bend where a task joins the worst ones.

  See "Conflict-Averse Gradient Descent for Multi-task Learning" by Liu et al.,
  section 3.1 (https://arxiv.org/abs/2110.14048). Its authors' code divides `d`
  by `1 + c^2` (here it is not) and multiplies it by `T` where it is to replace
  a sum. Where `g_w` can be zero, at a Pareto-stationary point, `d` has no
  formula; a finite one is returned. Tasks with a gradient of zero count in the
  mean, not among the worst.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    c: Radius of the ball in lengths of the mean gradient, at least 0 and
      below 1. 0 is the mean.
    name: Name scope of the op.

  Returns:
    Weights of `d`, shape `[T]`; they sum to 1 or more.

  Raises:
    ValueError: If `c` is out of range or the Gramian is not square.
  """
  if not 0 <= c < 1:
    raise ValueError(f"{name}: `c` must be at least 0 and below 1, found {c}.")
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    num_tasks = of.norms.shape.as_list()[0]
    longest = tf.reduce_max(of.norms)
    lengths = tf.math.divide_no_nan(of.norms, longest) / num_tasks
    start = tf.linalg.matvec(of.cosines, lengths)
    radius = c ** 2 * tf.maximum(tf.tensordot(lengths, start, 1), 0.0)
    weights = longest * of.inverse_norms
    added = complementarity.follow(of.cosines, start, weights, radius)
    return tf.cast(1 / num_tasks + weights * added, gramian.dtype)


def upgrad_weights(
    gramian: tf.Tensor,
    name: str = "upgrad_weights") -> tf.Tensor:
  """Projects each gradient onto the directions that harm no task, and averages.

  With `e_t` the unit vector of task `t`,

  ```
    w = sum_t  argmin_v  v' K v,    v >= e_t / T
  ```

  Without a negative product, this is the mean. For two tasks it is half of what
  PCGrad gives.

  See "Jacobian Descent for Multi-Objective Optimization" by Quinton and Rey,
  section 3 (https://arxiv.org/abs/2406.16232). Their code adds a small multiple
  of the identity to the Gramian, which is taken back here.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    name: Name scope of the op.

  Returns:
    Weights of at least `1 / T`, shape `[T]`.

  Raises:
    ValueError: If the Gramian is not square.
  """
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    num_tasks = of.norms.shape.as_list()[0]
    if num_tasks == 2:
      added = tf.fill([2, 2], -tf.minimum(of.cosines[0, 1], 0.0))
      added = tf.linalg.set_diag(added, tf.zeros_like(of.norms))
    else:
      added = complementarity.solve(of.cosines, of.cosines)
    # Row t is in gradients of length 1, relative to the length of task t.
    added = tf.linalg.matvec(added, of.norms, transpose_a=True)
    return tf.cast((1 + added * of.inverse_norms) / num_tasks, gramian.dtype)


def dual_proj_weights(
    gramian: tf.Tensor,
    name: str = "dual_proj_weights") -> tf.Tensor:
  """Projects the mean gradient onto the directions that harm no task.

  ```
    w = argmin_v  v' K v,    v_t >= 1 / T
  ```

  If no task disagrees with the mean, this is the mean.

  See "Gradient Episodic Memory for Continual Learning" by Lopez-Paz and
  Ranzato, section 3 (https://arxiv.org/abs/1706.08840), where the projected
  gradient is that of the current task; the mean takes its place in "Jacobian
  Descent for Multi-Objective Optimization" by Quinton and Rey
  (https://arxiv.org/abs/2406.16232).

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    name: Name scope of the op.

  Returns:
    Weights of at least `1 / T`, shape `[T]`.

  Raises:
    ValueError: If the Gramian is not square.
  """
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    num_tasks = of.norms.shape.as_list()[0]
    longest = tf.reduce_max(of.norms)
    lengths = tf.math.divide_no_nan(of.norms, longest) / num_tasks
    added = complementarity.solve(
        of.cosines, tf.linalg.matvec(of.cosines, lengths)[tf.newaxis])[0]
    return tf.cast(1 / num_tasks + longest * of.inverse_norms * added,
                   gramian.dtype)
