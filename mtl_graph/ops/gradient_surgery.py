"""Gradients changed pair by pair or element by element: PCGrad and its kin."""

import collections
from typing import Optional, Sequence, Union

import tensorflow.compat.v1 as tf

from mtl_graph.ops import gradient_products
from mtl_graph.ops import random_bits
from mtl_graph.ops import shapes

# weights: what each gradient is multiplied by, shape `[T]`.
# targets: cosines to aim at in the next step, shape `[T, T]`.
GradVacOutput = collections.namedtuple("GradVacOutput", ["weights", "targets"])

# Towards a target of 1 a gradient would become infinitely long; towards this
# one it grows by up to 7 times.
_MAX_TARGET = 0.99


def meeting_order(
    num_tasks: int,
    key: int,
    step: tf.Tensor,
    name: str = "meeting_order") -> tf.Tensor:
  """Draws, for each task, the order in which it meets the others.

  Every order is equally likely. It is a function of key and step, the same in
  every execution.

  Args:
    num_tasks: How many tasks, T.
    key: A number that tells this draw from others, such as
      `random_bits.key_of(...)`.
    step: Step at which the order is drawn, integer scalar.
    name: Name scope of the op.

  Returns:
    When task `i` meets task `j`, int32, shape `[T, T]`: each row holds 0 to
    `T - 2` in some order, and `T - 1` on the diagonal.
  """
  with tf.name_scope(name):
    bits = random_bits.random_bits(num_tasks * num_tasks, key, step)
    # No two lots of a row are equal.
    lots = (tf.reshape(tf.cast(bits, tf.int64), [num_tasks, num_tasks])
            * num_tasks + tf.range(num_tasks, dtype=tf.int64))
    lots = tf.linalg.set_diag(lots, tf.fill([num_tasks], tf.int64.max))
    # Counting is quicker than sorting, for as many as there are tasks.
    return tf.reduce_sum(tf.cast(
        lots[:, tf.newaxis] < lots[:, :, tf.newaxis], tf.int32), 2)


def _meetings(order, num_tasks, op):
  """Returns who meets whom in each round, `[T - 1]` tensors `[T, T]`."""
  shapes.check(order, [num_tasks, num_tasks], "order", op)
  rounds = tf.range(num_tasks - 1)[:, tf.newaxis, tf.newaxis]
  return tf.unstack(tf.cast(tf.equal(order, rounds), tf.float64),
                    num_tasks - 1)


def pcgrad_weights(
    gramian: tf.Tensor,
    order: tf.Tensor,
    name: str = "pcgrad_weights") -> tf.Tensor:
  """Takes from each gradient what conflicts with another, one after the other.

  For each task `i`, and every other task `j` in the order given,

  ```
    h_i <- h_i - min(0, <h_i, g_j>) / ||g_j||^2  g_j
  ```

  starting at `h_i = g_i`, always with the `g_j` that was not changed. The
  direction is the sum of all `h_i`. For two tasks the order does not matter.

  See "Gradient Surgery for Multi-Task Learning" by Yu et al., section 2.3
  (https://arxiv.org/abs/2001.06782). The sum is kept, as in its algorithm 1; a
  mean is `1 / T` of it. All tasks go through their meetings at the same time.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    order: When a task meets another, shape `[T, T]`, as `meeting_order` draws
      it. The paper asks for a random one at each step.
    name: Name scope of the op.

  Returns:
    Weights of at least 1, shape `[T]`; all 1 without a conflict.

  Raises:
    ValueError: If the Gramian is not square or `order` has another shape.
  """
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    num_tasks = of.norms.shape.as_list()[0]
    if num_tasks == 2:
      shapes.check(order, [2, 2], "order", name)
      conflict = tf.minimum(of.cosines[0, 1], 0.0)
      return tf.cast(1 - conflict * of.norms[::-1] * of.inverse_norms,
                     gramian.dtype)
    # Rows of coefficients of unit gradients. A gradient of zero has cosine 0.
    added = tf.zeros_like(of.cosines)
    own = of.norms[:, tf.newaxis] * of.cosines
    for meeting in _meetings(order, num_tasks, name):
      products = own + tf.matmul(added, of.cosines)
      added -= tf.minimum(products, 0.0) * meeting
    return tf.cast(1 + tf.reduce_sum(added, 0) * of.inverse_norms,
                   gramian.dtype)


def gradvac_weights(
    gramian: tf.Tensor,
    order: tf.Tensor,
    targets: tf.Tensor,
    beta: float = 0.5,
    name: str = "gradvac_weights") -> GradVacOutput:
  """Turns each gradient towards the others, to the cosine they had before.

  For each task `i`, and every other task `j` in the order given, with `r` the
  cosine of `h_i` and `g_j` and `p` the target of this pair,

  ```
    h_i <- h_i + ||h_i|| (p sqrt(1 - r^2) - r sqrt(1 - p^2))
                 / (||g_j|| sqrt(1 - p^2))  g_j           if r < p
    p   <- (1 - beta) p + beta r
  ```

  starting at `h_i = g_i`; after the first line the cosine is `p`. The direction
  is the sum of all `h_i`. With targets of 0, which is where they start, this is
  PCGrad.

  See "Gradient Vaccine: Investigating and Improving Multi-task Optimization in
  Massively Multilingual Models" by Wang et al., section 3.2
  (https://arxiv.org/abs/2010.05874). `beta` is 0.5 in LibMTL and TorchJD. Added
  here: a target counts as 0.99 at most, and -0.99 at least. A pair with a
  gradient of zero is left alone, and so is its target. For one target per layer
  in place of the whole model, call this on each layer's Gramian.

  Args:
    gramian: Products of gradients, shape `[T, T]`.
    order: When a task meets another, shape `[T, T]`, as `meeting_order` draws
      it.
    targets: Cosines to aim at, 0 at the first step, shape `[T, T]`.
    beta: Share of the cosine found in the next target, from 0 to 1.
    name: Name scope of the op.

  Returns:
    A `GradVacOutput`. The targets' diagonal stays as it is.

  Raises:
    ValueError: If a shape does not fit or `beta` is out of range.
  """
  if not 0 <= beta <= 1:
    raise ValueError(f"{name}: `beta` must be from 0 to 1, found {beta}.")
  with tf.name_scope(name):
    of = gradient_products.cosines(gramian, op=name)
    num_tasks = of.norms.shape.as_list()[0]
    shapes.check(targets, [num_tasks, num_tasks], "targets", name)
    aims = tf.clip_by_value(tf.cast(tf.stop_gradient(targets), tf.float64),
                            -_MAX_TARGET, _MAX_TARGET)
    slopes = aims * tf.math.rsqrt(1 - aims ** 2)
    both = of.present * of.present[:, tf.newaxis]
    added = tf.zeros_like(of.cosines)
    own = tf.linalg.diag(of.norms)
    changes = tf.zeros_like(aims)
    for meeting in _meetings(order, num_tasks, name):
      meeting *= both
      coefficients = own + added
      products = tf.matmul(coefficients, of.cosines)
      length = tf.sqrt(tf.maximum(tf.reduce_sum(
          coefficients * products, 1, keepdims=True), 0.0))
      found = tf.clip_by_value(
          tf.math.divide_no_nan(products, length), -1.0, 1.0)
      turn = length * (slopes * tf.sqrt(1 - found ** 2) - found)
      added += tf.where(found < aims, turn, tf.zeros_like(turn)) * meeting
      changes += (found - aims) * meeting
    weights = 1 + tf.reduce_sum(added, 0) * of.inverse_norms
    # Rounding may lead beyond -1 and 1.
    following = tf.clip_by_value(
        targets + tf.cast(beta * changes, targets.dtype), -1, 1)
    return GradVacOutput(tf.cast(weights, gramian.dtype), following)


def graddrop_direction(
    jacobian: tf.Tensor,
    key: int,
    step: tf.Tensor,
    leaks: Union[float, Sequence[float]] = 0.0,
    activations: Optional[tf.Tensor] = None,
    name: str = "graddrop_direction") -> tf.Tensor:
  """Keeps, element by element, the gradients of one sign, drawn by their sum.

  ```
    p = (1 + sum_t g_t / sum_t |g_t|) / 2
    d = sum_t (l_t + (1 - l_t) m_t) g_t,    m_t = [g_t > 0] if u < p
                                                  [g_t < 0] if u > p
  ```

  with `u` uniform from 0 to 1, drawn once for all tasks. The expected direction
  has the sign of the sum where one sign prevails, and is the sum itself where
  all signs are equal.

  See "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign
  Dropout" by Chen et al., section 3 (https://arxiv.org/abs/2010.06808). It
  works on gradients of activations: given those, `p` and `m` are of gradients
  multiplied by the sign of the activation and summed over the batch. Else they
  are of the gradients as they are.

  Args:
    jacobian: Gradients, one per task along the first dimension, shape
      `[T, ...]`.
    key: A number that tells this draw from others, such as
      `random_bits.key_of(...)`. Each variable needs its own.
    step: Step at which signs are drawn, integer scalar.
    leaks: How much of a task's gradient stays in any case, from 0 to 1: a
      number for all tasks, or one per task.
    activations: What the gradients are of, shape `[...]`, rows of a batch first.
    name: Name scope of the op.

  Returns:
    The direction, shape `[...]`.

  Raises:
    ValueError: If the number of tasks is unknown, or leaks are out of range or
      of another number.
  """
  num_tasks = shapes.num_tasks(jacobian, "jacobian", name)
  alike = isinstance(leaks, (int, float))
  leaks = [float(leaks)] * num_tasks if alike else list(leaks)
  if len(leaks) != num_tasks or not all(0 <= leak <= 1 for leak in leaks):
    raise ValueError(f"{name}: `leaks` must be {num_tasks} numbers from 0 to "
                     f"1, found {leaks}.")
  with tf.name_scope(name):
    jacobian = tf.stop_gradient(jacobian)
    seen = jacobian
    if activations is not None:
      seen = tf.reduce_sum(jacobian * tf.sign(tf.stop_gradient(activations)), 1)
    gradients = tf.reshape(seen, [num_tasks, -1])
    total = tf.reduce_sum(gradients, 0)
    sizes = tf.reduce_sum(tf.abs(gradients), 0)
    size = gradients.shape.as_list()[1]
    bits = random_bits.random_bits(
        tf.size(total) if size is None else size, key, step)
    # As many bits as float32 holds, moved off 0 and 1 by half a step.
    uniform = (tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)),
                       tf.float32) + 0.5) * 2.0 ** -24
    # u < p, with both sides multiplied by the sum of sizes.
    sign = tf.sign(total + sizes * tf.cast(1 - 2 * uniform, total.dtype))
    kept = tf.cast(gradients * sign > 0, gradients.dtype)
    if any(leaks):
      leak = tf.constant(leaks, gradients.dtype)[:, tf.newaxis]
      kept = leak + (1 - leak) * kept
    kept = tf.reshape(kept, tf.shape(seen))
    if activations is not None:
      kept = kept[:, tf.newaxis]
    return tf.reduce_sum(kept * jacobian, 0)
