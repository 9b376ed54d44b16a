"""Task weights that remember: MoCo, DB-MTL and SDMGrad.

What is remembered goes in and comes out as tensors; the caller keeps it.
"""

import collections
from typing import Optional

import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_products
from mtl_graph.ops import shapes

# weights: what each gradient is multiplied by, shape `[T]`.
# simplex: the part to hand in at the next step, shape `[T]`.
SdmGradOutput = collections.namedtuple("SdmGradOutput", ["weights", "simplex"])


def project_to_simplex(
    vector: tf.Tensor, name: str = "project_to_simplex") -> tf.Tensor:
  """Finds the closest vector of numbers of at least 0 that sum to 1.

  ```
    max(v - h, 0),    h = max_k  (sum of the v_j >= v_k, less 1) / their number
  ```

  See "Efficient Projections onto the l1-Ball for Learning in High Dimensions"
  by Duchi et al., section 3 (ICML 2008), which sorts.

  Args:
    vector: A vector, shape `[T]`.
    name: Name scope of the op.

  Returns:
    A vector of shape `[T]`.
  """
  with tf.name_scope(name):
    return _project(vector[tf.newaxis])[0]


def _project(row):
  """Projects a matrix of one row, `[1, T]`: fewer ops than for a vector."""
  column = tf.transpose(row)
  no_less = tf.cast(row >= column, row.dtype)
  sums = tf.matmul(no_less, column)
  counts = tf.reduce_sum(no_less, 1, keepdims=True)
  return tf.maximum(row - tf.reduce_max((sums - 1) / counts), 0)


def moco_scales(
    gramian: tf.Tensor,
    task_losses: tf.Tensor,
    name: str = "moco_scales") -> tf.Tensor:
  """Scales each gradient to the length of its task's loss, for `track`.

  ```
    loss_t / || g_t ||
  ```

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    task_losses: Scalar task losses, shape `[T]`.
    name: Name scope of the op.

  Returns:
    Factors, shape `[T]`; 0 for a gradient of zero.

  Raises:
    ValueError: If a shape does not fit.
  """
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    shapes.check(task_losses, of.norms.shape.as_list(), "task_losses", name)
    return (tf.stop_gradient(task_losses)
            * tf.cast(of.inverse_norms, task_losses.dtype))


def track(
    jacobian: tf.Tensor,
    tracked: tf.Tensor,
    step: tf.Tensor,
    scales: tf.Tensor,
    beta: float = 0.5,
    beta_decay: float = 0.5,
    name: str = "track") -> tf.Tensor:
  """Moves MoCo's tracked gradients towards those of a batch.

  ```
    y_t <- y_t - beta / step^beta_decay  (y_t - s_t g_t)
  ```

  which have less of the batch's noise, and so less bias in the weights. The
  direction is `sum_t w_t y_t` with the weights of `moco_weights`.

  See "Mitigating Gradient Bias in Multi-objective Learning: A Provably
  Convergent Approach" by Fernando et al., section 3.1
  (https://openreview.net/forum?id=dLAYGdKTi2). Scales that make a gradient as
  long as its loss, and the defaults, are those of the authors' code as LibMTL
  has it; 1 gives the paper's formula.

  Args:
    jacobian: Gradients, one per task along the first dimension, shape
      `[T, ...]`: all of them in one tensor, or those of one variable.
    tracked: Gradients tracked so far, 0 at first, of the same shape.
    step: Number of the step, counted from 1, integer scalar.
    scales: What gradients are multiplied by, shape `[T]`, as `moco_scales`.
    beta: Size of a step at step 1.
    beta_decay: How fast it falls.
    name: Name scope of the op.

  Returns:
    Tracked gradients, shape `[T, ...]`.

  Raises:
    ValueError: If a shape does not fit.
  """
  num_tasks = shapes.num_tasks(jacobian, "jacobian", name)
  shapes.check(tracked, jacobian.shape.as_list(), "tracked", name)
  shapes.check(scales, [num_tasks], "scales", name)
  with tf.name_scope(name):
    factors = tf.reshape(tf.cast(scales, jacobian.dtype),
                         [num_tasks] + [1] * (jacobian.shape.rank - 1))
    rate = beta * tf.cast(step, jacobian.dtype) ** -beta_decay
    return tracked - rate * (
        tracked - tf.stop_gradient(factors * jacobian))


def moco_weights(
    gramian: tf.Tensor,
    weights: tf.Tensor,
    step: tf.Tensor,
    gamma: float = 0.1,
    gamma_decay: float = 0.5,
    rho: float = 0.0,
    project: bool = False,
    name: str = "moco_weights") -> tf.Tensor:
  """Moves MoCo's weights against the tracked gradients' squared length.

  ```
    w <- softmax(w - gamma / step^gamma_decay  (K + rho I) w)
  ```

  See "Mitigating Gradient Bias in Multi-objective Learning: A Provably
  Convergent Approach" by Fernando et al., section 3.1
  (https://openreview.net/forum?id=dLAYGdKTi2), which projects onto the simplex
  in place of the softmax. The softmax is that of the authors' code as LibMTL
  has it; of numbers from 0 to 1 it stays close to equal weights unless
  gradients are long.

  Args:
    gramian: Products of the tracked gradients, shape `[T, T]`.
    weights: Weights so far, `1 / T` at first, shape `[T]`.
    step: Number of the step, counted from 1, integer scalar.
    gamma: Size of a step at step 1.
    gamma_decay: How fast it falls.
    rho: How strongly weights are drawn to equal ones.
    project: Whether to project, as the paper does.
    name: Name scope of the op.

  Returns:
    Weights for this step and the next, of at least 0, which sum to 1, shape
    `[T]`.

  Raises:
    ValueError: If a shape does not fit.
  """
  num_tasks = shapes.num_tasks(gramian, "gramian", name)
  shapes.check(gramian, [num_tasks, num_tasks], "gramian", name)
  shapes.check(weights, [num_tasks], "weights", name)
  with tf.name_scope(name):
    before = tf.cast(tf.stop_gradient(weights), tf.float64)
    slope = tf.linalg.matvec(
        tf.cast(tf.stop_gradient(gramian), tf.float64), before) + rho * before
    rate = gamma * tf.cast(step, tf.float64) ** -gamma_decay
    moved = before - rate * slope
    moved = project_to_simplex(moved) if project else tf.nn.softmax(moved)
    return tf.cast(moved, weights.dtype)


def moving_gradients(
    jacobian: tf.Tensor,
    tracked: tf.Tensor,
    step: tf.Tensor,
    beta: float = 0.9,
    beta_decay: float = 0.0,
    name: str = "moving_gradients") -> tf.Tensor:
  """Moves DB-MTL's average of gradients towards those of a batch.

  ```
    y_t <- g_t + beta / step^beta_decay  (y_t - g_t)
  ```

  See "Dual-Balancing for Multi-Task Learning" by Lin et al., section 3.2
  (https://arxiv.org/abs/2308.12029). The decay is that of the authors' code as
  LibMTL has it.

  Args:
    jacobian: Gradients of the logarithms of the task losses, one per task along
      the first dimension, shape `[T, ...]`: all of them in one tensor, or those
      of one variable.
    tracked: The averages so far, 0 at first, of the same shape.
    step: Number of the step, counted from 1, integer scalar.
    beta: Share of the average that stays at step 1.
    beta_decay: How fast it falls.
    name: Name scope of the op.

  Returns:
    The averages, shape `[T, ...]`.

  Raises:
    ValueError: If a shape does not fit.
  """
  shapes.num_tasks(jacobian, "jacobian", name)
  shapes.check(tracked, jacobian.shape.as_list(), "tracked", name)
  with tf.name_scope(name):
    found = tf.stop_gradient(jacobian)
    kept = beta * tf.cast(step, jacobian.dtype) ** -beta_decay
    return found + kept * (tracked - found)


def db_mtl_weights(gramian: tf.Tensor, name: str = "db_mtl_weights"
                   ) -> tf.Tensor:
  """Makes every gradient as long as the longest.

  ```
    w_t = max_s || g_s || / || g_t ||
  ```

  See "Dual-Balancing for Multi-Task Learning" by Lin et al., section 3.2
  (https://arxiv.org/abs/2308.12029), where `g` are the averages of
  `moving_gradients`. A task with a gradient of zero has weight 0.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    name: Name scope of the op.

  Returns:
    Weights of at least 1, or 0, shape `[T]`.

  Raises:
    ValueError: If the Gramian is not square.
  """
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    return tf.cast(tf.reduce_max(of.norms) * of.inverse_norms, gramian.dtype)


def sdmgrad_weights(
    products: tf.Tensor,
    simplex: tf.Tensor,
    lamda: float = 0.3,
    learning_rate: float = 5.0,
    momentum: float = 0.5,
    num_iterations: int = 20,
    present: Optional[tf.Tensor] = None,
    name: str = "sdmgrad_weights") -> SdmGradOutput:
  """Shortens a convex combination of gradients that is drawn to their mean.

  ```
    min_w  || sum_t w_t g_t + lamda g_0 ||^2 / 2,    w on the simplex
    d = (sum_t w_t g_t + lamda g_0) / (1 + lamda)
  ```

  by gradient descent with momentum from the `w` of the step before, projected
  onto the simplex after each iteration. With gradients `g_t` and `h_t` of two
  independent batches, the slope `<g_t, sum_s w_s h_s + lamda h_0>` has no bias.

  See "Direction-oriented Multi-objective Learning: Simple and Provable
  Stochastic Algorithms" by Xiao, Ban and Ji, section 4
  (https://arxiv.org/abs/2305.18409). Defaults, and the division of `products`
  by the squared mean length, are those of LibMTL, which took them from the
  authors' code. Their learning rate is so high that `w` jumps between corners
  of the simplex: for the minimum, take some 0.2 and more iterations. Momentum
  starts anew at every step.

  Args:
    products: Products `<g_t, h_s>` of gradients of two batches, or the Gramian
      of one batch, shape `[T, T]`.
    simplex: The `w` of the step before, `1 / T` at first, shape `[T]`.
    lamda: How strongly the direction is drawn to the mean; 0 is MGDA, if
      iterations were enough.
    learning_rate: Size of an iteration.
    momentum: Share of an iteration's change that is repeated in the next.
    num_iterations: How many iterations.
    present: Above 0 for tasks that take part, shape `[T]`; others have weight
      0 and keep their share of the simplex. None: all do.
    name: Name scope of the op.

  Returns:
    An `SdmGradOutput`. The weights belong to the gradients of a further batch,
    or of one of the two; they sum to 1, or are 0 if no task takes part.

  Raises:
    ValueError: If a shape does not fit.
  """
  num_tasks = shapes.num_tasks(products, "products", name)
  shapes.check(products, [num_tasks, num_tasks], "products", name)
  shapes.check(simplex, [num_tasks], "simplex", name)
  if present is None:
    present = tf.ones_like(simplex)
  shapes.check(present, [num_tasks], "present", name)
  with tf.name_scope(name):
    there = tf.stop_gradient(present)[tf.newaxis] > 0
    equal = tf.cast(there, tf.float64)
    equal = tf.math.divide_no_nan(equal, tf.reduce_sum(equal))
    matrix = tf.cast(tf.stop_gradient(products), tf.float64)
    lengths = tf.sqrt(tf.maximum(tf.linalg.diag_part(matrix), 0.0))
    matrix = tf.transpose(tf.math.divide_no_nan(
        learning_rate * matrix, tf.reduce_sum(equal * lengths) ** 2))
    pull = lamda * tf.matmul(equal, matrix)

    def iteration(i, w, change):
      change = momentum * change + tf.matmul(w, matrix) + pull
      w -= change
      # Who is more than 1 below another has no share.
      return i + 1, _project(tf.where(there, w, tf.zeros_like(w)
                                      + tf.reduce_min(w) - 2)), change

    before = tf.cast(tf.stop_gradient(simplex), tf.float64)[tf.newaxis]
    start = tf.where(there, before, tf.zeros_like(before))
    share = tf.reduce_sum(start)
    start = tf.where(share > 0, tf.math.divide_no_nan(start, share), equal)
    found = tf.while_loop(
        lambda i, w, change: i < num_iterations, iteration,
        [tf.constant(0), start, tf.zeros_like(start)], back_prop=False)[1]
    weights = tf.where(there, found + lamda * equal, tf.zeros_like(found))
    kept = tf.where(there, found * share, before)
    return SdmGradOutput(tf.cast(weights[0] / (1 + lamda), products.dtype),
                         tf.cast(kept[0], simplex.dtype))
