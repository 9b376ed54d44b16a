"""Executes training steps: how, never what."""

import functools
from typing import Callable, Optional, Protocol

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import joint_step
from mtl_graph.protos import training_pb2
from mtl_graph.training import hooks as hooks_lib


class Execution(Protocol):
  """Runs steps that were traced into a graph.

  Attributes:
    step: The step, as traced into the graph.
    description: What the log says of it.
  """
  step: joint_step.Step
  description: str

  def run(self, steps: int, stop: Callable[[int], bool]) -> np.ndarray:
    """Runs steps, up to the first whose report is not finite.

    Args:
      steps: How many, at least 1.
      stop: Called after each step (or block of them) with the number of steps
        run so far; returns whether to leave early.

    Returns:
      A report per step that was run, shape `[K, R]`, K at least 1.
    """


class SessionExecution:
  """One `session.run` per step: the literal pattern."""

  def __init__(self, step: joint_step.Step, session: tf.Session,
               description: str = "SESSION",
               hooks: Optional[hooks_lib.Hooks] = None):
    """Prepares the call.

    Args:
      step: The step, as traced into the session's graph.
      session: The session.
      description: What the log says of it.
      hooks: What runs around every step, or nothing. They have got the session
        before the first step.
    """
    self.step = step
    self.description = description
    self._hooks = hooks
    fetches = [step.report, step.train_op]
    self._call = (functools.partial(hooks.run, fetches) if hooks
                  else session.make_callable(fetches))

  def run(self, steps: int, stop: Callable[[int], bool]) -> np.ndarray:
    """Runs steps; see `Execution.run`. A hook, too, may ask to leave early."""
    reports = []
    for _ in range(steps):
      report = self._call()[0]
      reports.append(report)
      if stop(len(reports)) or not np.isfinite(report).all():
        break
      if self._hooks and self._hooks.stopped_by:
        break
    return np.stack(reports)


def build(config_message: training_pb2.Execution,
          trace: Callable[[], joint_step.Step],
          hooks: Optional[hooks_lib.Hooks] = None
          ) -> Callable[[tf.Session], Execution]:
  """Traces the training step for an execution.

  Args:
    config_message: The `Execution` message.
    trace: Function that adds one step to the current graph.
    hooks: What runs around every step, or nothing.

  Returns:
    A function from an initialized session to an `Execution`.

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
  step = trace()
  return lambda session: SessionExecution(step, session, description, hooks)
