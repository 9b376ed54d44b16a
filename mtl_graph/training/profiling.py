"""Records a few training steps for TensorBoard's profiler."""

import os
from typing import Callable, List

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.training import execution as execution_lib
from mtl_graph.training import model_dir as model_dir_lib

# Steps of this process that are left to warm up, and then recorded.
_FIRST, _COUNT = 10, 20


class ProfilingError(Exception):
  """A profile that cannot be recorded."""


class ProfiledExecution:
  """An execution of which some steps are recorded; itself an `Execution`.

  Left as a context manager, it ends a recording that still goes on.

  Attributes:
    steps: The steps, as traced into the graph.
    mode: That of the execution.
  """

  def __init__(self, execution: execution_lib.Execution, model_dir: str,
               steps: int, log: Callable[[str], None]):
    """Prepares to record.

    Of a process that runs 30 steps or more, the 11th to the 30th are recorded;
    of a shorter one, those behind its first third.

    Args:
      execution: What runs the steps.
      model_dir: The run's folder; what is recorded goes to its `profile`.
      steps: Steps that this process is going to run, at most.
      log: Takes the line that says where the profile is.
    """
    self.steps = execution.steps
    self.mode = execution.mode
    self._execution = execution
    self._model_dir = model_dir
    self._log = log
    self._first = min(_FIRST, steps // 3)
    self._end = self._first + _COUNT
    self._steps = 0  # Run by this process so far.
    self._recording = False

  def __enter__(self) -> "ProfiledExecution":
    return self

  def __exit__(self, *unused_exception) -> None:
    if self._recording:
      self._stop()
    elif self._steps <= self._first:
      self._log(f"profile: nothing recorded, as this process has run "
                f"{self._steps} steps")

  def run(self, count: int, stop: Callable[[int], bool]
          ) -> List[execution_lib.Ran]:
    """Runs steps; see `Execution.run`.

    Raises:
      ProfilingError: If another profile is being recorded.
      ModelDirError: If the profile cannot be written.
    """
    ran, asked = [], False

    def stop_all(done: int) -> bool:
      nonlocal asked
      asked = stop(len(ran) + done)
      return asked

    while len(ran) < count and not asked:
      if self._steps == self._first:
        self._start()
      some = count - len(ran)
      if self._recording:
        some = 1
        # TensorBoard tells steps apart by these marks.
        with tf.compat.v2.profiler.experimental.Trace(
            "train", step_num=self._steps, _r=1):
          more = self._execution.run(some, stop_all)
      else:
        if self._steps < self._first:
          some = min(some, self._first - self._steps)
        more = self._execution.run(some, stop_all)
      ran += more
      self._steps += len(more)
      if self._recording and self._steps == self._end:
        self._stop()
      if len(more) < some or not np.isfinite(more[-1].report).all():
        break
    return ran

  def _start(self) -> None:
    try:
      tf.compat.v2.profiler.experimental.start(self._folder)
    except tf.errors.AlreadyExistsError as error:
      raise ProfilingError("profile: this process is recording another one; "
                           "allowed: one at a time") from error
    self._recording = True

  def _stop(self) -> None:
    self._recording = False
    with model_dir_lib.writing(self._model_dir):
      tf.compat.v2.profiler.experimental.stop()
    self._log(f"profile of {self._steps - self._first} steps: {self._folder}; "
              "to look at it: pip install tensorboard tensorboard-plugin-"
              f"profile; tensorboard --logdir={self._folder}")

  @property
  def _folder(self) -> str:
    return os.path.join(self._model_dir, "profile")
