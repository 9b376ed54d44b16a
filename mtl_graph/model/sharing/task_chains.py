"""Tasks made of others, and what a task takes over from an earlier one."""

from typing import Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.layers import dense
from mtl_graph.model import stacks
from mtl_graph.ops import parameter_penalties
from mtl_graph.ops import task_chains
from mtl_graph.protos import sharing_pb2


def product(logits: Sequence[tf.Tensor]) -> tf.Tensor:
  """Returns the logit of several binary tasks being 1 at once.

  See "Entire Space Multi-Task Model: An Effective Approach for Estimating
  Post-Click Conversion Rate" by Ma et al., 2018, section 2.2
  (https://arxiv.org/abs/1804.07931).

  Args:
    logits: The logits of the factors, shape `[B, 1]` each.

  Returns:
    The logit, shape `[B, 1]`.
  """
  return task_chains.product_logit(logits)


def take_over(transfer: sharing_pb2.Transfer, tower: tf.Tensor,
              earlier: tf.Tensor, task: str, mode: stacks.Mode) -> tf.Tensor:
  """Mixes a task's tower with what an earlier task knows, by attention.

  ```
    p = relu(dense(earlier))
    z = sum_u w_u value(u),   w = softmax_u(<key(u), query(u)> / sqrt(D))
  ```

  for u in p and the tower's output.

  See "Modeling the Sequential Dependence among Audience Multi-step Conversions
  with Multi-task Learning in Targeted Display Advertising" by Xi et al., 2021,
  section 3.3 (https://arxiv.org/abs/2105.08489).

  Args:
    transfer: The `Transfer` message.
    tower: Output of the task's tower, shape `[B, D]`.
    earlier: What the earlier task's head reads, shape `[B, E]`.
    task: Name of the task.
    mode: A `stacks.Mode`.

  Returns:
    What the task's head reads, shape `[B, D]`.
  """
  if transfer.stop_gradient:
    earlier = tf.stop_gradient(earlier)
  scope, width = f"transfer/{task}", tower.shape.as_list()[1]
  information = dense.dense(earlier, width, tf.nn.relu, seed=mode.seed,
                            name=f"{scope}/information")
  both = tf.concat([information, tower], 0)
  # One product for the two of them, which are taken apart again.
  value, key, query = [
      tf.split(dense.dense(both, width, seed=mode.seed, name=f"{scope}/{name}"),
               2, 0) for name in ("value", "key", "query")]
  return task_chains.transfer(value, key, query)


def add_calibration(transfer: sharing_pb2.Transfer, later: tf.Tensor,
                    earlier: tf.Tensor, task: str, mode: stacks.Mode) -> None:
  """Takes note of the penalty where the later event is the more probable one.

  For training only. See section 3.4 of the paper that `take_over` names.

  Args:
    transfer: The `Transfer` message.
    later: Logits of the task, shape `[B, 1]`.
    earlier: Logits of the earlier task, shape `[B, 1]`.
    task: Name of the task.
    mode: A `stacks.Mode`.
  """
  with tf.name_scope(f"calibration/{task}"):
    mode.penalties.append(stacks.Penalty(
        task, transfer.calibration_weight * parameter_penalties.calibration(
            tf.nn.sigmoid(tf.squeeze(later, 1)),
            tf.nn.sigmoid(tf.squeeze(earlier, 1)))))
