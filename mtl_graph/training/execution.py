"""Executes training steps: how, never what."""

import time
from typing import Callable, List, NamedTuple, Optional, Protocol, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import step_block
from mtl_graph.model import train_step
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import inputs
from mtl_graph.training import schedule as schedule_lib

# How long a block may take: between two of them a run can be interrupted.
_SECONDS_PER_BLOCK = 1.0


class Ran(NamedTuple):
  """A step that was run.

  Attributes:
    step: Its number among the steps that were traced.
    report: What it measured, shape `[R]`.
    passed: By how much the global step has moved: in a cluster others move it
      too.
  """
  step: int
  report: np.ndarray
  passed: int = 1


class Execution(Protocol):
  """Runs steps that were traced into a graph.

  Attributes:
    steps: The steps, as traced into the graph: one in joint training, one per
      task in independent training.
    mode: "SESSION", "LOOP" or "XLA".
  """
  steps: Sequence[train_step.Step]
  mode: str

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

  mode = "SESSION"

  def __init__(self, steps: Sequence[train_step.Step],
               schedule: schedule_lib.Schedule, session: tf.Session,
               rows: inputs.Input, hooks: Optional[hooks_lib.Hooks] = None):
    """Prepares the calls.

    Args:
      steps: The steps, as traced into the session's graph.
      schedule: Says which of them comes next.
      session: The session.
      rows: What the steps read.
      hooks: What runs around every step, or nothing. They have got the session
        before the first step.
    """
    self.steps = steps
    self._schedule = schedule
    self._rows = rows
    self._hooks = hooks
    self._calls = [
        _make_call([step.report, step.train_op], rows.tensors(1, [number]),
                   session, hooks) for number, step in enumerate(steps)]

  def run(self, count: int, stop: Callable[[int], bool]) -> List[Ran]:
    """Runs steps; see `Execution.run`. A hook, too, may ask to leave early."""
    ran = []
    for _ in range(count):
      number = self._schedule.next()
      report = self._calls[number](
          *self._rows.arrays(1, [number], [number]))[0]
      ran.append(Ran(number, report))
      if stop(len(ran)) or not np.isfinite(report).all():
        break
      if self._hooks and self._hooks.stopped_by:
        break
    return ran


class BlockExecution:
  """One `session.run` per block of steps, which are a loop of the graph."""

  def __init__(self, block: step_block.Block, mode: str,
               schedule: schedule_lib.Schedule, session: tf.Session,
               rows: inputs.Input, step: int = 0,
               hooks: Optional[hooks_lib.Hooks] = None):
    """Prepares the call.

    Args:
      block: The steps, as traced into the session's graph.
      mode: "LOOP", or "XLA" where the block is compiled.
      schedule: Says which of them comes next.
      session: The session.
      rows: What the steps read.
      step: The global step.
      hooks: What runs around steps, or nothing: around those at which it acts,
        each a block of its own.
    """
    self.steps = block.steps
    self.mode = mode
    # The first block is one step, as nothing is known of how long steps take.
    self._size, self._limit = block.size, 1
    self._schedule = schedule
    self._rows = rows
    self._objectives = range(len(block.steps))
    feeds = [block.count, block.turns,
             *rows.tensors(block.size, self._objectives)]
    self._call = _make_call(block.reports, feeds, session)
    self._call_within_hooks = hooks and _make_call(block.reports, feeds,
                                                   session, hooks)
    self._turns = np.zeros(block.size, np.int32)
    self._step = step
    self._hooks = hooks

  def run(self, count: int, stop: Callable[[int], bool]) -> List[Ran]:
    """Runs steps; see `Execution.run`. A hook, too, may ask to leave early."""
    ran = []
    while len(ran) < count:
      some = self._run_block(count - len(ran))
      ran += some
      if stop(len(ran)) or not np.isfinite(some[-1].report).all():
        break
      if self._hooks and self._hooks.stopped_by:
        break
    return ran

  def _run_block(self, most: int) -> List[Ran]:
    """Runs one block of at most so many steps."""
    size, call = min(most, self._limit), self._call
    if self._hooks:
      due = self._hooks.steps_until_due(self._step)
      if due == 1:
        size, call = 1, self._call_within_hooks
      else:
        size = int(min(size, due - 1))
    self._turns[:size] = [self._schedule.next() for _ in range(size)]
    started = time.monotonic()
    reports = call(size, self._turns, *self._rows.arrays(
        self._size, self._objectives, self._turns[:size].tolist()))[:size]
    seconds = time.monotonic() - started
    # How many steps are a block changes no bit of them.
    self._limit = max(1, min(self._size, 2 * self._limit, int(
        _SECONDS_PER_BLOCK * size / max(seconds, 1e-9))))
    finite = np.isfinite(reports).all(axis=1)
    if not finite.all():
      reports = reports[:np.argmin(finite) + 1]
    self._step += len(reports)
    return [Ran(number, report[:sum(self.steps[number].sizes)])
            for number, report in zip(self._turns.tolist(), reports)]

  def compile(self) -> None:
    """Runs a block of no steps, which compiles what is to be compiled.

    Raises:
      tf.errors.OpError: If it cannot be compiled.
    """
    self._call(0, self._turns, *self._rows.arrays(
        self._size, self._objectives, []))


def _make_call(fetches, feeds, session, hooks=None):
  """Returns the function from what is fed to what is fetched."""
  if hooks:
    return lambda *values: hooks.run(fetches, dict(zip(feeds, values)))
  return session.make_callable(fetches, feeds)
