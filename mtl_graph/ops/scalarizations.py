"""Combined losses that are no sums of weighted task losses."""

from typing import Optional

import tensorflow.compat.v1 as tf

from mtl_graph.ops import loss_weighting
from mtl_graph.ops import shapes

# Keeps the logarithm of a loss of zero finite.
_EPSILON = 1e-8
# In place of the logarithm of zero, where it stands in an exponent.
_ABSENT = -1e30


def geometric_mean_loss(
    task_losses: tf.Tensor,
    present: tf.Tensor,
    name: str = "geometric_mean_loss") -> loss_weighting.LossOutput:
  """Takes the geometric mean of the task losses (GLS).

  ```
    (prod_t loss_t) ^ (1 / n)
  ```

  over the `n` tasks with a label in the batch; 0 if there is none. Scaling a
  task's loss scales the whole, and so changes no direction. A task whose loss
  is zero stalls all others.

  See "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy
  for Multi-Task Learning" by Chennupati et al., section 3.2
  (https://arxiv.org/abs/1904.08492).

  Args:
    task_losses: Tensor of scalar task losses of at least 0, shape `[T]`.
    present: Tensor of 1 for tasks with a label in the batch and 0 for others,
      shape `[T]`.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`: the derivative by each
    task loss, `loss / (n loss_t)`.

  Raises:
    ValueError: If the tensors are not vectors of one length.
  """
  num_tasks = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(present, num_tasks, "present", name)
  with tf.name_scope(name):
    count = tf.reduce_sum(present)
    above_zero = task_losses + _EPSILON
    mean_log = tf.math.divide_no_nan(
        tf.reduce_sum(present * tf.math.log(above_zero)), count)
    loss = tf.minimum(count, 1.0) * tf.exp(mean_log)
    weights = tf.math.divide_no_nan(present * loss, count * above_zero)
    return loss_weighting.LossOutput(
        loss, loss_weighting.WeightingExtra(tf.stop_gradient(weights)))


def log_sum_loss(
    task_losses: tf.Tensor,
    present: tf.Tensor,
    name: str = "log_sum_loss") -> loss_weighting.LossOutput:
  """Adds up the logarithms of the task losses (scale-invariant, SI).

  ```
    sum_t  p_t * log loss_t
  ```

  with `p_t` 1 for tasks with a label in the batch, else 0. Scaling a task's
  loss adds a constant, and so changes no gradient. The combined loss may be
  negative: watch the task losses instead.

  See "Multi-Task Learning as a Bargaining Game" by Navon et al., section 6,
  where it is the baseline SI (https://arxiv.org/abs/2202.01017).

  Args:
    task_losses: Tensor of scalar task losses of at least 0, shape `[T]`.
    present: Tensor of `p_t`, shape `[T]`.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`: the derivative by each
    task loss, `p_t / loss_t`.

  Raises:
    ValueError: If the tensors are not vectors of one length.
  """
  num_tasks = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(present, num_tasks, "present", name)
  with tf.name_scope(name):
    above_zero = task_losses + _EPSILON
    return loss_weighting.LossOutput(
        tf.reduce_sum(present * tf.math.log(above_zero)),
        loss_weighting.WeightingExtra(tf.stop_gradient(present / above_zero)))


def smooth_chebyshev_loss(
    task_losses: tf.Tensor,
    present: tf.Tensor,
    smoothness: float = 1.0,
    nadir: Optional[tf.Tensor] = None,
    name: str = "smooth_chebyshev_loss") -> loss_weighting.LossOutput:
  """Takes a smooth maximum of the task losses (STCH).

  ```
    n mu log sum_t p_t exp(x_t / mu),    x_t = log(loss_t / nadir_t)
  ```

  with `p_t` 1 for the `n` tasks with a label in the batch, else 0, and
  `x_t = loss_t` where there is no nadir. As `mu` goes to 0, that goes to `n`
  times the largest `x_t`: the task that is worst off is the one that is
  trained. As `mu` grows, all tasks weigh the same.

  See "Smooth Tchebycheff Scalarization for Multi-Objective Optimization" by Lin
  et al., section 3.2 (https://arxiv.org/abs/2402.19078). The paper's preference
  for each task is 1 here, its ideal point 0. The logarithm, the nadir and the
  factor `n` are not the paper's but those of its authors' code, whose nadir is
  the mean of an epoch after some of training.

  Args:
    task_losses: Tensor of scalar task losses of at least 0, shape `[T]`.
    present: Tensor of `p_t`, shape `[T]`.
    smoothness: The `mu` of the formula, above 0.
    nadir: Tensor of a loss of each task, above 0, that its loss is measured by,
      shape `[T]`; None: losses are compared as they are.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`: the derivative by each
    task loss.

  Raises:
    ValueError: If the tensors are not vectors of one length, or `smoothness` is
      not above 0.
  """
  if not smoothness > 0:
    raise ValueError(f"{name}: `smoothness` must be above 0, found "
                     f"{smoothness}.")
  num_tasks = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(present, num_tasks, "present", name)
  if nadir is not None:
    shapes.check(nadir, num_tasks, "nadir", name)
  with tf.name_scope(name):
    compared, slope = task_losses, tf.ones_like(task_losses)
    if nadir is not None:
      above_zero = task_losses + _EPSILON
      compared = tf.math.log(above_zero / tf.stop_gradient(nadir))
      slope = 1.0 / above_zero
    exponents = tf.where(present > 0, compared / smoothness,
                         tf.fill(num_tasks, _ABSENT))
    count = tf.reduce_sum(present)
    loss = count * smoothness * tf.reduce_logsumexp(exponents)
    weights = count * tf.nn.softmax(exponents) * slope
    return loss_weighting.LossOutput(
        loss, loss_weighting.WeightingExtra(tf.stop_gradient(weights)))
