"""Executes training steps: how, never what."""

import functools
from typing import Callable, List, NamedTuple, Optional, Protocol, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import train_step
from mtl_graph.protos import training_pb2
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import schedule as schedule_lib


class Ran(NamedTuple):
  """A step that was run.

  Attributes:
    step: Its number among the steps that were traced.
    report: What it measured, shape `[R]`.
  """
  step: int
  report: np.ndarray


class Execution(Protocol):
  """Runs steps that were traced into a graph.

  Attributes:
    steps: The steps, as traced into the graph: one in joint training, one per
      task in independent training.
    description: What the log says of it.
  """
  steps: Sequence[train_step.Step]
  description: str

  def run(self, count: int, stop: Callable[[int], bool]) -> List[Ran]:
    """Runs steps, up to the first whose report is not finite.

    Args:
      count: How many, at least 1, and no more than the schedule has left.
      stop: Called after each step (or block of them) with the number of steps
        run so far; returns whether to leave early.

    Returns:
      The steps that were run, at least one.
    """


class SessionExecution:
  """One `session.run` per step: the literal pattern."""

  def __init__(self, steps: Sequence[train_step.Step],
               schedule: schedule_lib.Schedule, session: tf.Session,
               description: str = "SESSION",
               hooks: Optional[hooks_lib.Hooks] = None):
    """Prepares the calls.

    Args:
      steps: The steps, as traced into the session's graph.
      schedule: Says which of them comes next.
      session: The session.
      description: What the log says of it.
      hooks: What runs around every step, or nothing. They have got the session
        before the first step.
    """
    self.steps = steps
    self.description = description
    self._schedule = schedule
    self._hooks = hooks
    fetches = [[step.report, step.train_op] for step in steps]
    self._calls = [functools.partial(hooks.run, some) if hooks
                   else session.make_callable(some) for some in fetches]

  def run(self, count: int, stop: Callable[[int], bool]) -> List[Ran]:
    """Runs steps; see `Execution.run`. A hook, too, may ask to leave early."""
    ran = []
    for _ in range(count):
      number = self._schedule.next()
      report = self._calls[number]()[0]
      ran.append(Ran(number, report))
      if stop(len(ran)) or not np.isfinite(report).all():
        break
      if self._hooks and self._hooks.stopped_by:
        break
    return ran


def build(config_message: training_pb2.Execution,
          trace: Callable[[], Sequence[train_step.Step]],
          hooks: Optional[hooks_lib.Hooks] = None
          ) -> Callable[[schedule_lib.Schedule, tf.Session], Execution]:
  """Traces the training steps for an execution.

  Args:
    config_message: The `Execution` message.
    trace: Function that adds the steps to the current graph.
    hooks: What runs around every step, or nothing.

  Returns:
    A function from a schedule and an initialized session to an `Execution`.

  Raises:
    ConfigError: If the execution is not built.
  """
  mode = training_pb2.Execution.Mode.Name(config_message.mode)
  if mode not in ("AUTO", "SESSION"):
    raise config.ConfigError("training.execution.mode", f"found {mode}; "
                             "allowed: AUTO, SESSION")
  description = "SESSION" if mode == "SESSION" else (
      "SESSION (AUTO: the only one that this version builds)")
  if hooks:
    description += f" within {', '.join(hooks.names)}"
  steps = trace()
  return lambda schedule, session: SessionExecution(
      steps, schedule, session, description, hooks)
