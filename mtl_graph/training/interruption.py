"""Lets a run finish its step and save when it is asked to stop."""

import os
import select
import signal
import threading


class Interrupted(Exception):
  """A run that was asked to stop, and has done so.

  Attributes:
    signal: The signal.
  """

  def __init__(self, message: str, signal_: signal.Signals):
    super().__init__(message)
    self.signal = signal_


class Interruption:
  """Notes SIGINT and SIGTERM instead of dying of them.

  A second signal of the same kind acts as it always does, for a run that hangs.
  In other threads than the main one, where Python takes no signals, it notes
  nothing.

  Attributes:
    signal: The signal noted, or None.
  """

  def __init__(self):
    self.signal = None
    self._previous = {}
    self._pipe = self._earlier = None

  def __enter__(self) -> "Interruption":
    if threading.current_thread() is threading.main_thread():
      for number in (signal.SIGINT, signal.SIGTERM):
        self._previous[number] = signal.signal(number, self._note)
      self._pipe = os.pipe()
      os.set_blocking(self._pipe[1], False)
      self._earlier = signal.set_wakeup_fd(self._pipe[1],
                                           warn_on_full_buffer=False)
    return self

  def __exit__(self, *unused_exception) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)
    if self._pipe:
      signal.set_wakeup_fd(self._earlier)
      for end in self._pipe:
        os.close(end)
      self._pipe = None

  def noted(self) -> bool:
    """Returns, to another thread, whether the process has got a signal.

    The main one may be in a call that lets no handler run.
    """
    if self.signal is None and self._pipe:
      poll = select.poll()  # `select.select` takes no file above the 1,024th.
      poll.register(self._pipe[0], select.POLLIN)
      return bool(poll.poll(0))
    return self.signal is not None

  def requested(self) -> bool:
    """Returns whether a signal has been noted."""
    return self.signal is not None

  def _note(self, number, unused_frame):
    self.signal = signal.Signals(number)
    signal.signal(number, self._previous[number])
