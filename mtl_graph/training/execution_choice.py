"""Chooses how steps are executed, by timing them where that is asked for."""

import copy
import time
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

import tensorflow.compat.v1 as tf

from mtl_graph.model import step_block
from mtl_graph.model import train_step
from mtl_graph.protos import training_pb2
from mtl_graph.training import execution
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import schedule as schedule_lib

# Seconds that a loop must be going to take before AUTO tries to compile it:
# compiling takes some, and saves at most a good half.
_WORTH_COMPILING = 10.0
# AUTO compiles only what is faster by more than timings scatter.
_FASTER = 0.95
# About how long a timing runs, in seconds, and how often.
_TIMED_SECONDS, _TIMINGS = 0.1, 3

# What can be traced: the steps for SESSION, a block for LOOP and XLA.
Traced = Union[Sequence[train_step.Step], step_block.Block]


class Choice:
  """The execution of a run: traced while the graph is built, then started.

  AUTO is LOOP, which computes what SESSION computes to the bit, or XLA where
  the run is long enough to be worth compiling and XLA proves to be faster. With
  hooks, which are to see every step, it is SESSION.
  """

  def __init__(self, message: training_pb2.Execution,
               trace: Callable[[str], Traced],
               hooks: Optional[hooks_lib.Hooks] = None,
               earlier: Optional[str] = None):
    """Traces what is going to be run, or tried first, into the current graph.

    Args:
      message: The `Execution` message.
      trace: Adds the steps to the current graph: of the name of a mode what it
        runs.
      hooks: What runs around every step, or nothing.
      earlier: The mode that AUTO chose when the run began; None: it begins.

    Raises:
      ConfigErrors: If a step cannot be built.
    """
    self._trace, self._hooks = trace, hooks
    self._graph = tf.get_default_graph()
    stated = training_pb2.Execution.Mode.Name(message.mode)
    self._is_auto = stated == "AUTO"
    self._is_open = self._is_auto and not hooks and earlier is None
    self._why_not = None
    mode = stated
    if self._is_auto:
      mode = "SESSION" if hooks else earlier or "LOOP"
    self._mode, self._traced = self._traced_as(mode)

  def _traced_as(self, mode) -> Tuple[str, Any]:
    """Traces steps; what XLA cannot take in is traced as a plain loop."""
    with self._graph.as_default():
      if mode != "XLA":
        return mode, self._trace(mode)
      try:
        return mode, self._trace(mode)
      except (NotImplementedError, TypeError, tf.errors.OpError) as error:
        self._why_not = _first_line(error)
        return "LOOP", self._trace("LOOP")

  def start(self, schedule: schedule_lib.Schedule, session: tf.Session
            ) -> Tuple[execution.Execution, str]:
    """Makes the execution, the session's variables being what they are.

    Args:
      schedule: The run's schedule.
      session: A session on the graph, its variables initialized or restored.

    Returns:
      The execution, and what the log should say of it.
    """
    if self._mode == "SESSION":
      within = (f" within {', '.join(self._hooks.names)}" if self._hooks
                else "")
      return execution.SessionExecution(self._traced, schedule, session,
                                        self._hooks), "SESSION" + within
    seconds = None
    if self._mode == "XLA":
      chosen, seconds = self._compiled(self._traced, schedule, session)
      if chosen is None:
        self._mode, self._traced = self._traced_as("LOOP")
    if self._mode == "LOOP":
      chosen = execution.BlockExecution(self._traced, "LOOP", schedule, session)
    if self._is_open:
      return self._tried(chosen, schedule, session)
    notes = []
    if self._is_auto:
      notes.append("AUTO: as before")
    if seconds is not None:
      notes.append(f"compiled in {seconds:.1f} s")
    if self._why_not:
      notes.append(f"XLA cannot: {self._why_not}")
    return chosen, chosen.mode + (f" ({'; '.join(notes)})" if notes else "")

  def _compiled(self, block, schedule, session):
    """Returns an execution that is compiled, or None, and the seconds."""
    made = execution.BlockExecution(block, "XLA", schedule, session)
    started = time.monotonic()
    try:
      made.compile()
    except tf.errors.OpError as error:
      self._why_not = _first_line(error)
      return None, None
    return made, time.monotonic() - started

  def _tried(self, loop, schedule, session):
    """Times the loop, and XLA where it is worth it; returns what is faster."""
    left = schedule.remaining()
    with _Kept(session):
      looped = self._time(self._traced, "LOOP", schedule, session)
      if left * looped < _WORTH_COMPILING:
        return loop, (f"LOOP (AUTO: {1000 * looped:.2f} ms a step; the run is "
                      "too short to be worth compiling)")
      mode, block = self._traced_as("XLA")
      compiled, seconds = None, None
      if mode == "XLA":
        compiled, seconds = self._compiled(block, schedule, session)
      if compiled is None:
        return loop, f"LOOP (AUTO: XLA cannot: {self._why_not})"
      timed = self._time(block, "XLA", schedule, session)
    note = (f"AUTO: {1000 * timed:.2f} ms a step in XLA, compiled in "
            f"{seconds:.1f} s, {1000 * looped:.2f} in LOOP")
    if timed < _FASTER * looped:
      return compiled, f"XLA ({note})"
    return loop, f"LOOP ({note})"

  def _time(self, block, mode, schedule, session) -> float:
    """Returns the seconds of a step, the least of a few timings."""
    trial = copy.deepcopy(schedule)
    most = trial.remaining()
    runner = execution.BlockExecution(block, mode, trial, session)
    count, found, ran = 1, [], 0
    while len(found) < _TIMINGS:
      count = min(count, most - ran)
      if count < 1:
        break
      started = time.monotonic()
      runner.run(count, lambda unused_steps: False)
      seconds = time.monotonic() - started
      # The first run of anything is slower than what comes after it.
      if ran and (seconds > _TIMED_SECONDS / 2 or count >= block.size):
        found.append(seconds / count)
      ran += count
      count = min(block.size, 4 * count) if seconds < _TIMED_SECONDS else count
    return min(found, default=seconds / count if ran else 0.0)


class _Kept:
  """Puts all variables of a graph back to what they were before."""

  def __init__(self, session: tf.Session):
    self._session = session
    self._variables: List[tf.Variable] = []
    self._values: List[Any] = []

  def __enter__(self):
    with self._session.graph.as_default():
      self._variables = tf.global_variables()
    self._values = self._session.run(self._variables)

  def __exit__(self, *unused_exception):
    # An initializer assigns what it is fed, without an op of its own.
    self._session.run(
        [v.initializer for v in self._variables],
        {v.initializer.inputs[1]: value
         for v, value in zip(self._variables, self._values)})


def _first_line(error: Exception) -> str:
  """Returns the line of an error that says what is wrong."""
  text = getattr(error, "message", None) or str(error)
  return text.strip().splitlines()[0][:200]
