"""What one batch gives to a step, and the mean of what several give."""

import collections
from typing import Callable, Dict, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf


class Pass(NamedTuple):
  """What one batch, or the mean of several, gives.

  Attributes:
    gradients: By group, None where a loss does not reach a variable.
    task_losses: Mean loss of each task, shape `[T]`.
    label_weights: Weight of each task's labels, shape `[T]`.
    task_weights: Factor on each task's loss, shape `[T]`.
    total: The total loss, shape `[]`.
    measures: What else is measured, shape `[S]`.
    after: Where the losses of the same batch are asked for once the variables
      are updated: computes them, and returns the ops that remember them.
  """
  gradients: Dict[str, List[Optional[tf.Tensor]]]
  task_losses: tf.Tensor
  label_weights: tf.Tensor
  task_weights: tf.Tensor
  total: tf.Tensor
  measures: tf.Tensor
  after: Optional[Callable[[], List[tf.Operation]]] = None


def accumulate(first: Pass, run: Callable[[tf.Tensor], Pass], number: tf.Tensor,
               count: int, updates: List[tf.Operation]) -> Pass:
  """Averages what some batches give, in a loop behind the first of them.

  Args:
    first: What the first gives.
    run: Adds a further one to the current graph, by its number.
    number: Number of the first, int64 scalar.
    count: How many batches there are.
    updates: Takes the ops that update what is remembered; emptied, as they are
      run on the way.

  Returns:
    The mean of all.
  """
  names = [name for name, some in first.gradients.items() for _ in some]
  flat = [g for some in first.gradients.values() for g in some]
  present = [i for i, g in enumerate(flat) if g is not None]

  def summands(one, its_updates):
    found = [g for some in one.gradients.values() for g in some]
    with tf.control_dependencies(its_updates):
      return [tf.identity(t) for t in (
          one.task_losses * one.label_weights, one.label_weights,
          one.task_weights, one.total, one.measures,
          *[found[i] for i in present])]

  def body(k, *sums):
    before = len(updates)
    one = run(number + k)
    # Moving statistics are updated inside of the loop, batch by batch.
    own = updates[before:]
    del updates[before:]
    return [k + 1] + [a + b for a, b in zip(sums, summands(one, own))]

  start = summands(first, updates)
  with tf.control_dependencies(updates):
    # Else the loop would begin beside the first batch: what it is given enters
    # it one by one, and its own updates ask for nothing but the counter.
    second = tf.identity(tf.constant(1, tf.int64))
  del updates[:]
  results = tf.while_loop(
      lambda k, *unused: k < count, body, [second] + start,
      parallel_iterations=1, maximum_iterations=count - 1,
      name="accumulate_batches")
  numerators, weights, task_weights, total, measures = results[1:6]
  mean = [None] * len(flat)
  for i, gradient in zip(present, results[6:]):
    mean[i] = gradient / count
  gradients = collections.OrderedDict((name, []) for name in first.gradients)
  for name, gradient in zip(names, mean):
    gradients[name].append(gradient)
  return Pass(gradients, tf.math.divide_no_nan(numerators, weights), weights,
               task_weights / count, total / count, measures / count)
