"""Task weights that follow the course of training.

Each op takes what it remembers as a tensor, a row per task, and returns what it
is to remember next: the caller keeps the variable.
"""

import collections

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# task_weights: the factor on each task loss, shape `[T]`.
# state: what to remember, shape `[T, S]`.
AdaptiveWeights = collections.namedtuple("AdaptiveWeights",
                                         ["task_weights", "state"])

# State of each task in the beginning.
DYNAMIC_START = (0.0, 0.0, 0.0, 0.0)
GRAD_NORM_START = (1.0, 0.0, 0.0, 0.0)
FAMO_START = (0.0, 0.0, 0.0)

# Keeps the logarithm of a loss of zero finite.
_EPSILON = 1e-8
# A relative difference that rounding alone may make.
_ROUNDING = 1e-6


def dynamic_weight_average(
    loss_sums: tf.Tensor,
    label_weights: tf.Tensor,
    state: tf.Tensor,
    step: tf.Tensor,
    window_steps: int,
    temperature: float = 2.0,
    name: str = "dynamic_weight_average") -> AdaptiveWeights:
  """Weighs tasks by how slowly their losses fall (DWA).

  ```
    T * softmax(r / temperature),    r_t = mean_t(k - 1) / mean_t(k - 2)
  ```

  with `mean_t(k)` the task's mean loss over window `k` of the steps, and 1 in
  the first two windows. In the paper a window is an epoch. The scales of losses
  cancel out: a task of large losses keeps its large say.

  See "End-to-End Multi-Task Learning with Attention" by Liu, Johns and Davison,
  section 3.2 (https://arxiv.org/abs/1803.10704).

  Args:
    loss_sums: Tensor of the summed, weighted losses of the batch's rows by
      task, shape `[T]`.
    label_weights: Tensor of the summed weights of those rows, shape `[T]`.
    state: Sums of both in this window, and the mean losses of the last window
      and the one before, shape `[T, 4]`; `DYNAMIC_START` for each task.
    step: Number of the step, from 0, integer scalar.
    window_steps: Steps per window, at least 1.
    temperature: Of the softmax, above 0; the higher, the closer to 1.
    name: Name scope of the op.

  Returns:
    An `AdaptiveWeights`.

  Raises:
    ValueError: If the shapes do not agree.
  """
  num_tasks, = shapes.check(loss_sums, [None], "loss_sums", name)
  shapes.check(label_weights, [num_tasks], "label_weights", name)
  shapes.check(state, [num_tasks, 4], "state", name)
  with tf.name_scope(name):
    total, weight, last, before = tf.unstack(state, axis=1)
    begins = tf.logical_and(step > 0, tf.equal(step % window_steps, 0))
    mean = tf.where(weight > 0, tf.math.divide_no_nan(total, weight), last)
    before = tf.where(begins, last, before)
    last = tf.where(begins, mean, last)
    kept = 1.0 - tf.cast(begins, tf.float32)
    rates = tf.where(before > 0, tf.math.divide_no_nan(last, before),
                     tf.ones_like(last))
    weights = num_tasks * tf.nn.softmax(rates / temperature)
    return AdaptiveWeights(
        tf.where(step < 2 * window_steps, tf.ones_like(weights), weights),
        tf.stop_gradient(tf.stack([kept * total + loss_sums,
                                   kept * weight + label_weights, last, before],
                                  axis=1)))


def grad_norm(
    task_losses: tf.Tensor,
    gradient_norms: tf.Tensor,
    present: tf.Tensor,
    state: tf.Tensor,
    step: tf.Tensor,
    alpha: float = 1.5,
    learning_rate: float = 0.025,
    name: str = "grad_norm") -> AdaptiveWeights:
  """Weighs tasks so that they learn at one pace (GradNorm).

  With `n_t` the norm of the gradient of task `t`'s loss, `G_t = w_t n_t`,
  `l_t` the loss relative to the first, means taken over the tasks with a label
  in the batch, one step of Adam goes down the gradient of

  ```
    sum_t |G_t - mean(G) (l_t / mean(l)) ^ alpha|
  ```

  by `w`, the target held constant: `sign(G_t - target_t) n_t`. No second
  derivative is needed, as `n_t` does not depend on `w`. The weights are then
  kept from going below 0 and made to add up to `T`.

  See "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
  Multitask Networks" by Chen et al., section 3 and algorithm 1
  (https://arxiv.org/abs/1711.02257).

  Args:
    task_losses: Tensor of scalar task losses, shape `[T]`.
    gradient_norms: Tensor of `n_t`, the norms of their gradients by the weights
      of the last shared layer, shape `[T]`.
    present: Tensor of 1 for tasks with a label in the batch and 0 for others,
      shape `[T]`.
    state: `w`, Adam's two moments, and the first loss, shape `[T, 4]`;
      `GRAD_NORM_START` for each task.
    step: Number of the step, from 0, integer scalar.
    alpha: How strongly tasks that lag behind are pulled up, at least 0.
    learning_rate: Adam's.
    name: Name scope of the op.

  Returns:
    An `AdaptiveWeights`: its weights are those of this step.

  Raises:
    ValueError: If the shapes do not agree.
  """
  num_tasks, = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(gradient_norms, [num_tasks], "gradient_norms", name)
  shapes.check(present, [num_tasks], "present", name)
  shapes.check(state, [num_tasks, 4], "state", name)
  with tf.name_scope(name):
    weights, first_moment, second_moment, initial = tf.unstack(state, axis=1)
    count = tf.reduce_sum(present)

    def mean(values):
      return tf.math.divide_no_nan(tf.reduce_sum(present * values), count)

    initial = tf.where(tf.logical_and(present > 0, tf.equal(initial, 0.0)),
                       task_losses, initial)
    relative = tf.math.divide_no_nan(task_losses, initial)
    pace = tf.math.divide_no_nan(relative, mean(relative))
    norms = weights * gradient_norms
    target = mean(norms) * tf.pow(pace, alpha)
    gap = norms - target
    # A task alone in a batch is at its target, whatever way that is rounded.
    gap = tf.where(tf.abs(gap) > _ROUNDING * target, gap, tf.zeros_like(gap))
    gradient = tf.sign(gap) * gradient_norms
    moved, first, second = _adam(weights, gradient, first_moment, second_moment,
                                 step, learning_rate)
    moved = tf.maximum(tf.where(present > 0, moved, weights), 0.0)
    total = tf.reduce_sum(moved)
    # All weights at zero leave no proportions to keep.
    moved = tf.where(total > 0, tf.math.divide_no_nan(num_tasks * moved, total),
                     tf.ones_like(moved))
    return AdaptiveWeights(weights, tf.stop_gradient(tf.stack([
        moved, tf.where(present > 0, first, first_moment),
        tf.where(present > 0, second, second_moment), initial], axis=1)))


def famo_weights(
    task_losses: tf.Tensor,
    present: tf.Tensor,
    state: tf.Tensor,
    name: str = "famo_weights") -> tf.Tensor:
  """Returns the task weights of FAMO.

  ```
    w_t = c z_t / loss_t,    z = softmax(xi),    c = 1 / sum_t z_t / loss_t
  ```

  over the tasks with a label in the batch; the others weigh 0. They add up to
  1, and are the derivatives of `c sum_t z_t log loss_t` with `c` and `z` held
  constant.

  See "FAMO: Fast Adaptive Multitask Optimization" by Liu et al., section 3 and
  algorithm 1 (https://arxiv.org/abs/2306.03792).

  Args:
    task_losses: Tensor of scalar task losses of at least 0, shape `[T]`.
    present: Tensor of 1 for tasks with a label in the batch and 0 for others,
      shape `[T]`.
    state: `xi` and Adam's two moments, shape `[T, 3]`; `FAMO_START` for each
      task.
    name: Name scope of the op.

  Returns:
    The weights, shape `[T]`.

  Raises:
    ValueError: If the shapes do not agree.
  """
  num_tasks, = shapes.check(task_losses, [None], "task_losses", name)
  shapes.check(present, [num_tasks], "present", name)
  shapes.check(state, [num_tasks, 3], "state", name)
  with tf.name_scope(name):
    shares = present * tf.nn.softmax(state[:, 0]) / (task_losses + _EPSILON)
    return tf.stop_gradient(
        tf.math.divide_no_nan(shares, tf.reduce_sum(shares)))


def famo_update(
    before: tf.Tensor,
    after: tf.Tensor,
    present: tf.Tensor,
    state: tf.Tensor,
    step: tf.Tensor,
    learning_rate: float = 0.025,
    decay: float = 0.01,
    name: str = "famo_update") -> tf.Tensor:
  """Moves FAMO's logits by what a step did to the losses.

  One step of Adam down

  ```
    z_t (d_t - sum_u z_u d_u) + decay xi_t,    d_t = log before_t - log after_t
  ```

  so that the tasks that improved least gain weight: the one that improves least
  is to improve most. The sum is over the tasks with a label in the batch, among
  which `z` adds up to 1; of the others only `decay` stays, as nothing was seen
  of how they improved.

  Args:
    before: Tensor of the task losses on a batch before the step, shape `[T]`.
    after: Tensor of those on the same batch after it, shape `[T]`.
    present: Tensor of 1 for tasks with a label in the batch and 0 for others,
      shape `[T]`.
    state: As `famo_weights` takes it, shape `[T, 3]`.
    step: Number of the step, from 0, integer scalar.
    learning_rate: Adam's.
    decay: Pulls the logits to 0, the weights of `z` to equal ones.
    name: Name scope of the op.

  Returns:
    The next state, shape `[T, 3]`.

  Raises:
    ValueError: If the shapes do not agree.
  """
  num_tasks, = shapes.check(before, [None], "before", name)
  shapes.check(after, [num_tasks], "after", name)
  shapes.check(present, [num_tasks], "present", name)
  shapes.check(state, [num_tasks, 3], "state", name)
  with tf.name_scope(name):
    logits, first, second = tf.unstack(state, axis=1)
    gains = present * tf.math.log((before + _EPSILON) / (after + _EPSILON))
    shares = present * tf.nn.softmax(logits)
    shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares))
    gradient = (shares * (gains - tf.reduce_sum(shares * gains))
                + decay * logits)
    return tf.stop_gradient(tf.stack(
        _adam(logits, gradient, first, second, step, learning_rate), axis=1))


def _adam(values, gradient, first, second, step, learning_rate):
  """Returns the values and both moments after a step of Adam.

  Algorithm 1 of Kingma and Ba 2015, with their constants.
  """
  count = tf.cast(step, tf.float32) + 1.0
  first = 0.9 * first + 0.1 * gradient
  second = 0.999 * second + 0.001 * tf.square(gradient)
  unbiased = first / (1.0 - tf.pow(0.9, count))
  spread = tf.sqrt(second / (1.0 - tf.pow(0.999, count)))
  return values - learning_rate * unbiased / (spread + 1e-8), first, second
