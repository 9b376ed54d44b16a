"""Task weights by how far tasks are from their optimum: ExcessMTL.

What is remembered goes in and comes out as tensors; the caller keeps it.
"""

import collections
from typing import Optional

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# risks: how far each task seems from its optimum, shape `[T]`.
# squared_sums: sums of squares to hand in at the next step, shape `[T, ...]`.
ExcessRisks = collections.namedtuple("ExcessRisks", ["risks", "squared_sums"])

# weights: what each gradient is multiplied by, shape `[T]`.
# initial_risks: what risks are compared with from now on, shape `[T]`.
ExcessOutput = collections.namedtuple(
    "ExcessOutput", ["weights", "initial_risks"])


def excess_risks(
    jacobian: tf.Tensor,
    squared_sums: tf.Tensor,
    epsilon: float = 1e-7,
    name: str = "excess_risks") -> ExcessRisks:
  """Estimates how far each task is from its optimum, as ExcessMTL does.

  With the Hessian taken as the diagonal one of Adagrad,

  ```
    S_t <- S_t + g_t^2,    r_t = sum over elements of  g_t^2 / sqrt(S_t + eps)
  ```

  Risks of several variables add up.

  See "Robust Multi-Task Learning with Excess Risks" by He et al., section 4.2
  (https://arxiv.org/abs/2402.02009).

  Args:
    jacobian: Gradients, one per task along the first dimension, shape
      `[T, ...]`.
    squared_sums: Sums of squares so far, 0 at first, of the same shape.
    epsilon: What keeps the root from zero.
    name: Name scope of the op.

  Returns:
    An `ExcessRisks`.

  Raises:
    ValueError: If a shape does not fit.
  """
  shapes.num_tasks(jacobian, "jacobian", name)
  shapes.check(squared_sums, jacobian.shape.as_list(), "squared_sums", name)
  with tf.name_scope(name):
    squares = tf.stop_gradient(jacobian) ** 2
    sums = squared_sums + squares
    return ExcessRisks(
        tf.reduce_sum(squares * tf.math.rsqrt(sums + epsilon),
                      list(range(1, jacobian.shape.rank))), sums)


def excess_mtl_weights(
    risks: tf.Tensor,
    initial_risks: tf.Tensor,
    weights: tf.Tensor,
    step_size: float = 0.01,
    present: Optional[tf.Tensor] = None,
    name: str = "excess_mtl_weights") -> ExcessOutput:
  """Raises the weights of tasks that are far from their optimum.

  ```
    w_t <- w_t exp(step_size * r_t / r_t(first)),    sum_t w_t = T
  ```

  See "Robust Multi-Task Learning with Excess Risks" by He et al., section 4
  (https://arxiv.org/abs/2402.02009); the sum is that of the authors' code as
  LibMTL has it. A noisy task, whose loss stays large, earns no weight by that.
  They weigh the losses; weights of gradients of what is shared leave what only
  one task has as it is.

  Args:
    risks: Risks of this step, shape `[T]`, such as those of `excess_risks`.
    initial_risks: Each task's first risk above 0; 0 until there was one, shape
      `[T]`.
    weights: Weights so far, 1 at first, shape `[T]`.
    step_size: How fast weights move.
    present: Above 0 for tasks whose risk could be seen, shape `[T]`; another's
      counts as the mean of theirs, relative to the first ones: the weights of
      those with few labels would go to 0 otherwise. None: all could.
    name: Name scope of the op.

  Returns:
    An `ExcessOutput`, of weights for this step and the next.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  num_tasks = shapes.num_tasks(risks, "risks", name)
  shapes.check(risks, [num_tasks], "risks", name)
  shapes.check(initial_risks, [num_tasks], "initial_risks", name)
  shapes.check(weights, [num_tasks], "weights", name)
  if present is None:
    present = tf.ones_like(risks)
  shapes.check(present, [num_tasks], "present", name)
  with tf.name_scope(name):
    risks = tf.stop_gradient(risks)
    first = tf.where(initial_risks > 0, initial_risks, risks)
    relative = tf.math.divide_no_nan(risks, first)
    there = tf.cast(present > 0, relative.dtype)
    mean = tf.math.divide_no_nan(tf.reduce_sum(there * relative),
                                 tf.reduce_sum(there))
    relative = tf.where(present > 0, relative, mean + tf.zeros_like(relative))
    raised = tf.nn.softmax(tf.log(tf.stop_gradient(weights))
                           + step_size * relative)
    return ExcessOutput(num_tasks * raised, first)
