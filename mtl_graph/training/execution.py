"""Executes training steps: how, never what."""

from typing import Callable, Protocol

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import graphs
from mtl_graph.protos import training_pb2


class Execution(Protocol):
  """Runs steps that were traced into a graph.

  Attributes:
    step: The step, as traced into the graph.
    description: What the log says of it.
  """
  step: graphs.Step
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

  def __init__(self, step: graphs.Step, session: tf.Session,
               description: str = "SESSION"):
    """Prepares the call.

    Args:
      step: The step, as traced into the session's graph.
      session: The session.
      description: What the log says of it.
    """
    self.step = step
    self.description = description
    self._call = session.make_callable([step.report, step.train_op])

  def run(self, steps: int, stop: Callable[[int], bool]) -> np.ndarray:
    """Runs steps; see `Execution.run`."""
    reports = []
    for _ in range(steps):
      report = self._call()[0]
      reports.append(report)
      if stop(len(reports)) or not np.isfinite(report).all():
        break
    return np.stack(reports)


def build(config_message: training_pb2.Execution,
          trace: Callable[[], graphs.Step]
          ) -> Callable[[tf.Session], Execution]:
  """Traces the training step for an execution.

  Args:
    config_message: The `Execution` message.
    trace: Function that adds one step to the current graph.

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
  step = trace()
  return lambda session: SessionExecution(step, session, description)
