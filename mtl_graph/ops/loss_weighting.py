"""Ways to make one loss of several task losses."""

import collections

import tensorflow.compat.v1 as tf

from mtl_graph.ops import random_bits
from mtl_graph.ops import shapes

# loss: the combined loss, shape `[]`.
# extra: a namedtuple of what else the method computed.
LossOutput = collections.namedtuple("LossOutput", ["loss", "extra"])

# task_weights: the factor on each task loss, shape `[T]`.
WeightingExtra = collections.namedtuple("WeightingExtra", ["task_weights"])


def weighted_sum_loss(
    task_losses: tf.Tensor,
    task_weights: tf.Tensor,
    name: str = "weighted_sum_loss") -> LossOutput:
  """Adds up task losses, each times its weight.

  ```
    sum_t  w_t * loss_t
  ```

  With all weights 1 this is the plain sum.

  Args:
    task_losses: Tensor of scalar task losses, shape `[T]`.
    task_weights: Tensor of factors, shape `[T]`. No gradient flows into them.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  num_tasks = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(task_weights, num_tasks, "task_weights", name)
  with tf.name_scope(name):
    task_weights = tf.stop_gradient(task_weights)
    return LossOutput(tf.reduce_sum(task_weights * task_losses),
                      WeightingExtra(task_weights))


def uncertainty_weighted_loss(
    task_losses: tf.Tensor,
    log_variances: tf.Tensor,
    likelihood_scales: tf.Tensor,
    likelihood_exponents: tf.Tensor,
    present: tf.Tensor,
    min_log_variance: float = -20.0,
    max_log_variance: float = 20.0,
    name: str = "uncertainty_weighted_loss") -> LossOutput:
  """Weighs each task loss by the uncertainty learned for its task.

  With `s_t = log sigma_t^2` the log variance of task `t`, the combined loss is

  ```
    sum_t  p_t * (c_t * exp(-k_t * s_t) * loss_t  +  0.5 * s_t)
  ```

  where `p_t` is 1 if the task has a label in the batch, else 0, and

  ```
    c_t = 0.5, k_t = 1     squared error (Gaussian likelihood)
    c_t = 1,   k_t = 0.5   absolute error (Laplace; sigma^2 stands for b^2)
    c_t = 1,   k_t = 1     Huber's loss, and cross entropies (softmax with
                           temperature)
  ```

  A noisy task earns a large `s_t`, hence a small weight; the second term keeps
  `s_t` from growing without bound. For a loss that stays as it is, the optimum
  is `s = log loss` for a squared error and `s = log(2 loss)` for a cross
  entropy. The combined loss may be negative: watch the task losses instead.

  See "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry
  and Semantics" by Kendall, Gal and Cipolla, section 3.2
  (https://arxiv.org/abs/1705.07115). Added here: `s_t` is limited to an
  interval, as the weight of a task whose loss goes to zero would otherwise grow
  without bound. At a limit, the gradient that points back inside is passed on.

  Args:
    task_losses: Tensor of scalar task losses, shape `[T]`.
    log_variances: Tensor of log variances, one per task, shape `[T]`.
    likelihood_scales: Tensor of the constants `c_t`, shape `[T]`.
    likelihood_exponents: Tensor of the constants `k_t`, shape `[T]`.
    present: Tensor of `p_t`, 1 for tasks with a label in the batch and 0 for
      the others, shape `[T]`.
    min_log_variance: Lower limit of `s_t`.
    max_log_variance: Upper limit of `s_t`.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`: the weights are
    `c_t * exp(-k_t * s_t)`.

  Raises:
    ValueError: If the tensors are not vectors of one length.
  """
  num_tasks = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(log_variances, num_tasks, "log_variances", name)
  shapes.check(likelihood_scales, num_tasks, "likelihood_scales", name)
  shapes.check(likelihood_exponents, num_tasks, "likelihood_exponents", name)
  shapes.check(present, num_tasks, "present", name)
  with tf.name_scope(name):
    limited = _limit(log_variances, min_log_variance, max_log_variance)
    task_weights = likelihood_scales * tf.exp(-likelihood_exponents * limited)
    loss = tf.reduce_sum(
        present * (task_weights * task_losses + 0.5 * limited))
    return LossOutput(loss, WeightingExtra(task_weights))


def revised_uncertainty_loss(
    task_losses: tf.Tensor,
    log_variances: tf.Tensor,
    present: tf.Tensor,
    min_log_variance: float = -20.0,
    max_log_variance: float = 20.0,
    name: str = "revised_uncertainty_loss") -> LossOutput:
  """Weighs task losses by learned uncertainty, never below zero.

  With `s_t = log c_t^2` and `p_t` 1 if the task has a label in the batch, else
  0, the combined loss is

  ```
    sum_t  p_t * (0.5 * exp(-s_t) * loss_t  +  log(1 + exp(s_t)))
  ```

  Where `uncertainty_weighted_loss` adds `0.5 * s_t`, which falls without bound,
  this adds what is positive. For a loss that stays as it is, the optimum is
  `c^2 = (loss + sqrt(loss^2 + 8 loss)) / 4`. It is no likelihood any more.

  See "Auxiliary Tasks in Multi-task Learning" by Liebel and Körner, section 3
  (https://arxiv.org/abs/1805.06334).

  Args:
    task_losses: Tensor of scalar task losses, shape `[T]`.
    log_variances: Tensor of `s_t`, shape `[T]`.
    present: Tensor of `p_t`, shape `[T]`.
    min_log_variance: Lower limit of `s_t`.
    max_log_variance: Upper limit of `s_t`.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`: `0.5 * exp(-s_t)`.

  Raises:
    ValueError: If the tensors are not vectors of one length.
  """
  num_tasks = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(log_variances, num_tasks, "log_variances", name)
  shapes.check(present, num_tasks, "present", name)
  with tf.name_scope(name):
    limited = _limit(log_variances, min_log_variance, max_log_variance)
    task_weights = 0.5 * tf.exp(-limited)
    loss = tf.reduce_sum(
        present * (task_weights * task_losses + tf.nn.softplus(limited)))
    return LossOutput(loss, WeightingExtra(task_weights))


def impartial_loss(
    task_losses: tf.Tensor,
    log_weights: tf.Tensor,
    present: tf.Tensor,
    min_log_weight: float = -20.0,
    max_log_weight: float = 20.0,
    name: str = "impartial_loss") -> LossOutput:
  """Learns weights under which every weighted task loss goes to one (IMTL-L).

  With `s_t` the log of task `t`'s weight and `p_t` 1 if the task has a label in
  the batch, else 0, the combined loss is

  ```
    sum_t  p_t * (exp(s_t) * loss_t  -  s_t)
  ```

  whose optimum for a loss that stays as it is, `s = -log loss`, makes the
  weighted loss 1, whatever its scale. It is twice `uncertainty_weighted_loss`
  for squared errors, with `-s` in place of `s`.

  See "Towards Impartial Multi-task Learning" by Liu et al. (ICLR 2021), section
  3.2.

  Args:
    task_losses: Tensor of scalar task losses above 0, shape `[T]`.
    log_weights: Tensor of `s_t`, shape `[T]`.
    present: Tensor of `p_t`, shape `[T]`.
    min_log_weight: Lower limit of `s_t`.
    max_log_weight: Upper limit of `s_t`: that of the weight of a task whose
      loss goes to zero.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`: `exp(s_t)`.

  Raises:
    ValueError: If the tensors are not vectors of one length.
  """
  num_tasks = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(log_weights, num_tasks, "log_weights", name)
  shapes.check(present, num_tasks, "present", name)
  with tf.name_scope(name):
    limited = _limit(log_weights, min_log_weight, max_log_weight)
    task_weights = tf.exp(limited)
    loss = tf.reduce_sum(present * (task_weights * task_losses - limited))
    return LossOutput(loss, WeightingExtra(task_weights))


def randomly_weighted_loss(
    task_losses: tf.Tensor,
    key: int,
    step: tf.Tensor,
    name: str = "randomly_weighted_loss") -> LossOutput:
  """Draws the weights of the task losses anew at every step (RLW).

  ```
    sum_t  w_t * loss_t,    w = softmax(z),    z_t ~ Normal(0, 1)
  ```

  The weights add up to 1: against a plain sum, the loss is T times smaller.

  See "Reasonable Effectiveness of Random Weighting: A Litmus Test for
  Multi-Task Learning" by Lin et al., section 3
  (https://arxiv.org/abs/2111.10603).

  Args:
    task_losses: Tensor of scalar task losses, shape `[T]`.
    key: A number that tells this draw from others; see `random_bits`.
    step: Step at which the weights are drawn, integer scalar.
    name: Name scope of the op.

  Returns:
    A `LossOutput` whose `extra` is a `WeightingExtra`.

  Raises:
    ValueError: If `task_losses` is not a vector.
  """
  num_tasks, = shapes.check(task_losses, [None], "task_losses", name)
  with tf.name_scope(name):
    normal = random_bits.standard_normal(num_tasks, key, step)
    return weighted_sum_loss(task_losses, tf.nn.softmax(normal))


def _limit(values, low, high):
  """Clips values; beyond a limit only gradients that lead back inside pass."""
  @tf.custom_gradient
  def limit(x):
    def gradient(upstream):
      # Descent moves against the gradient.
      outward = tf.logical_or(
          tf.logical_and(x <= low, upstream > 0),
          tf.logical_and(x >= high, upstream < 0))
      return tf.where(outward, tf.zeros_like(upstream), upstream)
    return tf.clip_by_value(x, low, high), gradient
  return limit(values)
