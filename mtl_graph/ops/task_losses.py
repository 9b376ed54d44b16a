"""Means of losses over what is labelled: of a row, and of a batch."""

import collections
from typing import Dict, Mapping, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# A task's loss in a batch, its numerator and denominator kept apart so that
# replicas and blocks can add them up before dividing.
#   sum: sum over rows of weight times loss, shape `[]`.
#   weight: sum over rows of weight, shape `[]`.
TaskLoss = collections.namedtuple("TaskLoss", ["sum", "weight"])


def reduce(losses: tf.Tensor, weights: tf.Tensor,
           name: str = "reduce_task_loss") -> TaskLoss:
  """Adds up the weighted losses of a batch and their weights.

  ```
    sum = sum_i w_i l_i      weight = sum_i w_i
  ```

  Rows of weight 0 bear no label. Their loss must be finite all the same: clean
  the label before, for 0 times NaN is NaN.

  Args:
    losses: Losses per row, shape `[B]`.
    weights: Weights per row, 0 where there is no label, shape `[B]`.
    name: Name scope of the op.

  Returns:
    A `TaskLoss`.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  shapes.check(weights, shapes.check(losses, [None], "losses", name), "weights",
               name)
  with tf.name_scope(name):
    return TaskLoss(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))


def together(batches: Sequence[Mapping[str, TaskLoss]],
             name: str = "add_up_task_losses") -> Dict[str, TaskLoss]:
  """Adds up the losses of several batches, and their weights apart.

  Args:
    batches: Of each batch, a `TaskLoss` by task.
    name: Name scope of the op.

  Returns:
    A `TaskLoss` by task, of all their rows.
  """
  if len(batches) == 1:
    return batches[0]
  with tf.name_scope(name):
    return collections.OrderedDict(
        (task, TaskLoss(*[tf.add_n(list(each)) for each in zip(
            *[batch[task] for batch in batches])])) for task in batches[0])


def mean(task_loss: TaskLoss, name: str = "mean_task_loss") -> tf.Tensor:
  """Divides a task's loss by its weight; 0 where no row bears a label.

  Args:
    task_loss: A `TaskLoss`.
    name: Name scope of the op.

  Returns:
    The mean loss, shape `[]`.
  """
  with tf.name_scope(name):
    return tf.math.divide_no_nan(task_loss.sum, task_loss.weight)


def mean_of_present(losses: tf.Tensor, present: tf.Tensor,
                    name: str = "mean_of_present") -> tf.Tensor:
  """Computes each row's mean loss over its entries that are present.

  ```
    sum_d p_bd l_bd / sum_d p_bd      0 where no p_bd is 1
  ```

  The loss of an entry that is not present may be anything, NaN too, and its
  gradient is 0. But whatever computed it multiplies that 0 by a slope of its
  own: to train, clean the label of such an entry before, for 0 times NaN is
  NaN.

  Args:
    losses: Losses per entry, shape `[B, D]`.
    present: Which entries are present, booleans or 0 and 1, shape `[B, D]`.
    name: Name scope of the op.

  Returns:
    The losses per row, shape `[B]`.

  Raises:
    ValueError: If the arguments are not matrices of one shape.
  """
  shapes.check(present, shapes.check(losses, [None, None], "losses", name),
               "present", name)
  with tf.name_scope(name):
    present = tf.cast(present, tf.bool)
    kept = tf.where(present, losses, tf.zeros_like(losses))
    return tf.math.divide_no_nan(
        tf.reduce_sum(kept, 1),
        tf.reduce_sum(tf.cast(present, losses.dtype), 1))
