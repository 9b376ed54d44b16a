"""Executes the steps of a worker of a cluster."""

from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import train_step
from mtl_graph.protos import training_pb2
from mtl_graph.training import execution
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import inputs
from mtl_graph.training import membership
from mtl_graph.training import schedule as schedule_lib


class ClusterExecution:
  """One `session.run` per step; the global step may pass by several in it."""

  mode = "SESSION"

  def __init__(self, step: train_step.Step, number: tf.Tensor,
               after: tf.Tensor, batches: int, session: tf.Session,
               rows: inputs.Input, member: membership.Member, at: int,
               hooks: Optional[hooks_lib.Hooks] = None):
    """Prepares the calls.

    Args:
      step: The step, as traced into the session's graph.
      number: Number of its batch, as the step finds it.
      after: The global step once the step is done.
      batches: Batches of this worker in a step.
      session: The session.
      rows: What the step reads.
      member: Makes steps together with others.
      at: The global step.
      hooks: What runs around every step, or nothing.
    """
    self.steps = [step]
    self._number, self._batches, self._rows = number, batches, rows
    self._session, self._at, self._hooks = session, at, hooks
    self._feeds = rows.tensors(1, [0])
    if self._feeds:
      self._feeds = [*self._feeds, number]
    self._member, options = member, member.run_options()
    fetches = [step.report, after, step.train_op]
    if hooks:
      self._call = lambda *values: hooks.run(fetches, dict(zip(
          self._feeds, values)))
    else:
      self._call = lambda *values: session.run(
          fetches, dict(zip(self._feeds, values)), options=options)

  def run(self, count: int, stop: Callable[[int], bool]
          ) -> List[execution.Ran]:
    """Runs steps until the global step is `count` further; see `Execution`."""
    ran, last = [], self._at + count
    while self._at < last:
      fed = self._fed()
      with self._member.with_others(step=True):
        report, after, _ = self._call(*fed)
      ran.append(execution.Ran(0, report, int(after) - self._at))
      self._at = int(after)
      if stop(sum(one.passed for one in ran)) or not np.isfinite(report).all():
        break
      if self._hooks and self._hooks.stopped_by:
        break
    return ran

  def _fed(self) -> Sequence[np.ndarray]:
    """Returns what the next step is fed: the rows of its batch, if any."""
    if not self._feeds:
      return []
    number = self._session.run(self._number)
    self._rows.go_back([int(number) * self._batches])
    return [*self._rows.arrays(1, [0], [0]), number]


class Choice:
  """The execution of a member of a cluster, in place of others."""

  chosen = None

  def __init__(self, message: training_pb2.Execution,
               step: train_step.Step, number: tf.Tensor,
               global_step: tf.Variable, batches: int, rows: inputs.Input,
               member: membership.Member,
               hooks: Optional[hooks_lib.Hooks] = None):
    """Adds what is read after a step to the current graph; see above."""
    self._mode = training_pb2.Execution.Mode.Name(message.mode)
    self._step, self._number, self._batches = step, number, batches
    self._rows, self._member, self._hooks = rows, member, hooks
    with tf.control_dependencies([step.train_op]):
      self._after = global_step.read_value()

  def start(self, schedule: schedule_lib.Schedule, session: tf.Session,
            step: int = 0) -> Tuple[execution.Execution, str]:
    """Makes the execution; see `execution_choice.Choice.start`."""
    del schedule  # One objective, one step after the other.
    others = len(self._member.cluster.workers) - 1
    note = (f"SESSION ({self._member.strategy}, with {others} other worker"
            f"{'' if others == 1 else 's'}")
    if self._mode not in ("AUTO", "SESSION"):
      note += f"; {self._mode} is for one machine"
    return ClusterExecution(
        self._step, self._number, self._after, self._batches, session,
        self._rows, self._member, step, self._hooks), note + ")"
