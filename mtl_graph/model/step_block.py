"""A block of training steps in one loop of the graph."""

import functools
from typing import Callable, List, NamedTuple, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.model import graphs
from mtl_graph.model import objectives as objectives_lib
from mtl_graph.model import train_step
from mtl_graph.protos import experiment_pb2

# Of an objective, the number of its first batch and how many there are to be:
# the rows of each of them by its number.
BatchesOf = Callable[[objectives_lib.Objective, tf.Tensor, int],
                     train_step.BatchOf]


class Block(NamedTuple):
  """Steps in one loop.

  Attributes:
    steps: What is known of the steps, one per objective; their tensors are the
      loop's own and left out.
    count: Placeholder of how many steps to run, at most `size`, int32.
    turns: Placeholder of the number of the objective whose turn each step is,
      int32, shape `[size]`.
    reports: The report of each step that was run, behind them zeros, shape
      `[size, R]` with R that of the longest; a shorter one ends in zeros.
    size: How many steps there may be.
  """
  steps: List[train_step.Step]
  count: tf.Tensor
  turns: tf.Tensor
  reports: tf.Tensor
  size: int


def build(experiment: experiment_pb2.Experiment, model: graphs.Graph,
          objectives: Sequence[objectives_lib.Objective], batches_of: BatchesOf,
          may_lack_labels: Sequence[Sequence[bool]], size: int, compiled: bool
          ) -> Block:
  """Adds a loop of steps to the current graph.

  The loop runs the ops of `train_step.build` in the order in which a session
  would, one step after the other; it ends early behind a step whose report is
  not finite.

  Args:
    experiment: The experiment, valid.
    model: What `graphs.build` returned.
    objectives: What the steps minimize; by `turns`, if there are several.
    batches_of: Gives the batches of an objective. What has no kernel under XLA
      is done before the loop, for the block as a whole.
    may_lack_labels: As `train_step.build` takes it, for each objective.
    size: The most steps of a block, at least 1.
    compiled: Whether XLA compiles the loop.

  Returns:
    A `Block`.

  Raises:
    ConfigErrors: As `train_step.build`.
  """
  per_step = experiment.training.accumulate_batches
  width = max(_longest_report(objective, model) for objective in objectives)
  steps: List[train_step.Step] = [train_step.Step(None, None, None, {})
                                  for _ in objectives]
  with tf.name_scope("block"):
    count = tf.placeholder(tf.int32, [], "count")
    turns = tf.placeholder(tf.int32, [size], "turns")
    batch_of = [
        batches_of(objective, objective.counter.read_value() * per_step,
                   size * per_step) for objective in objectives]

    def run(number):
      objective = objectives[number]
      step = train_step.build(
          experiment, model, objective, batch_of[number],
          tf.identity(objective.counter.read_value()), may_lack_labels[number])
      steps[number] = step._replace(train_op=None, report=None)
      # What the next step is told hangs on this one's updates.
      with tf.control_dependencies([step.train_op]):
        return tf.pad(step.report, [[0, width - sum(step.sizes)]])

    def body(i, unused_finite, reports):
      if len(objectives) == 1:
        report = run(0)
      else:
        report = tf.switch_case(turns[i], [
            functools.partial(run, number) for number in range(len(objectives))
        ])
      with tf.control_dependencies([report]):
        return (i + 1, tf.reduce_all(tf.is_finite(report)),
                reports.write(i, report))

    def loop(count):
      # Filled with zeros: XLA has no array some of which was never written.
      reports = tf.TensorArray(tf.float32, size, element_shape=[width]).unstack(
          tf.zeros([size, width]))
      # One iteration at a time, or a step could read what the one before has
      # not written.
      return tf.while_loop(
          lambda i, finite, unused_reports: tf.logical_and(i < count, finite),
          body, [tf.constant(0), tf.constant(True), reports],
          parallel_iterations=1)[2].stack()

    if compiled:
      loop = tf.function(loop, jit_compile=True, autograph=False)
    reports = loop(count)
  return Block(steps, count, turns, reports, size)


def _longest_report(objective, model) -> int:
  """Returns the most numbers that a step's report may hold."""
  return (3 * len(objective.tasks) + 2 * len(objective.groups) + 1
          + model.measures)
