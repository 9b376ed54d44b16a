"""Chooses how steps are executed, by timing them where that is asked for."""

import copy
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import step_block
from mtl_graph.model import train_step
from mtl_graph.protos import training_pb2
from mtl_graph.training import execution
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import inputs
from mtl_graph.training import schedule as schedule_lib

# Seconds that a loop must be going to take before AUTO tries to compile it:
# compiling takes some, and saves at most a good half.
_WORTH_COMPILING = 20.0
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
               trace: Callable[[str], Traced], rows: inputs.Input,
               hooks: Optional[hooks_lib.Hooks] = None,
               earlier: Optional[str] = None):
    """Traces what is going to be run, or tried first, into the current graph.

    Args:
      message: The `Execution` message.
      trace: Adds the steps to the current graph: of the name of a mode what it
        runs.
      rows: What the steps read.
      hooks: What runs around every step, or nothing.
      earlier: The mode that AUTO chose when the run began; None: it begins.

    Raises:
      ConfigErrors: If a step cannot be built.
    """
    self._trace, self._rows, self._hooks = trace, rows, hooks
    self._devices = list(message.device)
    self._graph = tf.get_default_graph()
    stated = training_pb2.Execution.Mode.Name(message.mode)
    self._is_auto, self._earlier = stated == "AUTO", earlier
    one_by_one = bool(hooks or message.device)
    self._is_open = self._is_auto and not one_by_one and earlier is None
    self._why_not = None
    mode = stated
    if self._is_auto:
      mode = "SESSION" if one_by_one else earlier or "LOOP"
    self._mode, self._traced = self._traced_as(mode)

  def _traced_as(self, mode) -> Tuple[str, Any]:
    """Traces steps; what XLA cannot take in is traced as a plain loop."""
    with self._graph.as_default():
      if mode != "XLA":
        return mode, self._trace(mode)
      try:
        return mode, self._trace(mode)
      except (NotImplementedError, TypeError, tf.errors.OpError) as error:
        self._why_not = _reason(error)
        return "LOOP", self._trace("LOOP")

  def start(self, schedule: schedule_lib.Schedule, session: tf.Session,
            step: int = 0) -> Tuple[execution.Execution, str]:
    """Makes the execution, the session's variables being what they are.

    Args:
      schedule: The run's schedule.
      session: A session on the graph, its variables initialized or restored.
      step: The global step.

    Returns:
      The execution, and what the log should say of it.

    Raises:
      ConfigErrors: If XLA cannot compile steps that hooks run around.
    """
    notes = []
    if self._hooks:
      notes.append(f"within {', '.join(self._hooks.names)}")
    if self._devices:
      notes.append(f"on {', '.join(self._devices)}")
    if self._mode == "SESSION":
      return execution.SessionExecution(
          self._traced, schedule, session, self._rows, self._hooks), _noted(
              "SESSION", notes)
    if self._mode == "XLA":
      seconds = self._compile(self._traced, schedule, session)
      if seconds is None and self._hooks:
        # They have asked for tensors of the steps as they were traced.
        raise config.ConfigErrors([config.ConfigError(
            "training.execution.mode", "XLA cannot compile the steps: "
            f"{self._why_not}; allowed: LOOP or SESSION, as hooks run around "
            "them")])
      if seconds is None:
        self._mode, self._traced = self._traced_as("LOOP")
      else:
        notes.append(f"compiled in {seconds:.1f} s")
    if self._why_not:
      notes.append(f"XLA cannot: {self._why_not}")
    if self._is_open:
      self._mode, self._traced, note = self._tried(schedule, session)
      notes.append(note)
    elif self._is_auto:
      notes.append("AUTO: as before")
    return execution.BlockExecution(
        self._traced, self._mode, schedule, session, self._rows, step,
        self._hooks), _noted(self._mode, notes)

  @property
  def chosen(self) -> Optional[str]:
    """The mode that AUTO has chosen, once started; None where it had no say."""
    if not self._is_auto:
      return None
    return self._earlier if self._hooks or self._devices else self._mode

  def _compile(self, block, schedule, session) -> Optional[float]:
    """Compiles a block; returns the seconds it took, None if it cannot be."""
    started = time.monotonic()
    try:
      execution.BlockExecution(block, "XLA", schedule, session,
                               self._rows).compile()
    except tf.errors.OpError as error:
      self._why_not = _reason(error)
      return None
    return time.monotonic() - started

  def _tried(self, schedule, session) -> Tuple[str, step_block.Block, str]:
    """Times the loop, and XLA where it is worth it; returns what is faster."""
    loop = self._traced
    with _Kept(session):
      worth = _WORTH_COMPILING / max(schedule.remaining(), 1)
      looped = self._time({"LOOP": loop}, schedule, session, worth)["LOOP"]
      took = f"AUTO: {1000 * looped:.2f} ms a step"
      if looped < worth:
        return "LOOP", loop, f"{took}; too short a run to be worth compiling"
      mode, block = self._traced_as("XLA")
      seconds = None
      if mode == "XLA":
        seconds = self._compile(block, schedule, session)
      if seconds is None:
        return "LOOP", loop, f"{took}; XLA cannot: {self._why_not}"
      try:
        found = self._time({"LOOP": loop, "XLA": block}, schedule, session)
      except tf.errors.OpError as error:  # Out of memory, for one.
        return "LOOP", loop, f"{took}; XLA cannot: {_reason(error)}"
    looped, compiled = min(looped, found["LOOP"]), found["XLA"]
    note = (f"AUTO: {1000 * looped:.2f} ms a step in LOOP, "
            f"{1000 * compiled:.2f} in XLA, compiled in {seconds:.1f} s")
    if compiled < _FASTER * looped:
      return "XLA", block, note
    return "LOOP", loop, note

  def _time(self, blocks, schedule, session, enough=0.0) -> Dict[str, float]:
    """Returns the seconds of a step by mode, the least of a few timings.

    In turns, so that what else the machine does meets all modes. In independent
    training, of the steps that come next. One timing below `enough` is the
    last, as no other would change what follows from it.
    """
    trials = {mode: _Trial(block, mode, copy.deepcopy(schedule), session,
                           self._rows) for mode, block in blocks.items()}
    going_on = True
    while going_on:
      going_on = False
      for trial in trials.values():
        going_on |= trial.time(enough)
    return {mode: min(trial.found, default=0.0)
            for mode, trial in trials.items()}


class _Trial:
  """Timings of one block.

  Attributes:
    found: The seconds of a step in each.
  """

  def __init__(self, block, mode, schedule, session, rows):
    self.found: List[float] = []
    self._schedule, self._rows = schedule, rows
    self._runner = execution.BlockExecution(block, mode, schedule, session,
                                            rows)
    self._most, self._count, self._long_enough = block.size, 1, 0

  def time(self, enough: float) -> bool:
    """Runs some steps unless there are timings enough; returns if it did."""
    if self._long_enough == _TIMINGS or not self._schedule.remaining():
      return False
    position = self._rows.position()
    count = min(self._count, self._schedule.remaining())
    started = time.monotonic()
    ran = self._runner.run(count, lambda unused_steps: False)
    seconds = time.monotonic() - started
    self._rows.go_back(position)
    self.found.append(seconds / len(ran))
    # Short of the count at a report that is not finite, as the run will say.
    if len(ran) < count or self.found[-1] < enough:
      self._long_enough = _TIMINGS
    elif seconds < _TIMED_SECONDS and count < self._most:
      self._count = min(4 * count, self._most)
    else:
      self._long_enough += 1
    return True


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


def _noted(mode: str, notes: Sequence[str]) -> str:
  return mode + (f" ({'; '.join(notes)})" if notes else "")


def _reason(error: Exception) -> str:
  """Returns the part of an error that says what XLA cannot do, as one line."""
  text = getattr(error, "message", None) or str(error)
  lines = [line.strip() for line in text.splitlines()]
  told = [line for line in lines
          if line and line != "Graph execution error:"] or [repr(error)]
  # What stands before is the name that TensorFlow gave to the loop.
  return told[0].rpartition("_JIT: ")[2].partition(" {{node")[0][:200]
