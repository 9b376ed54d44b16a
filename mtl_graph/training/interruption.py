"""Lets a run finish its step and save when it is asked to stop."""

import signal
import threading


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

  def __enter__(self) -> "Interruption":
    if threading.current_thread() is threading.main_thread():
      for number in (signal.SIGINT, signal.SIGTERM):
        self._previous[number] = signal.signal(number, self._note)
    return self

  def __exit__(self, *unused_exception) -> None:
    for number, handler in self._previous.items():
      signal.signal(number, handler)

  def requested(self) -> bool:
    """Returns whether a signal has been noted."""
    return self.signal is not None

  def _note(self, number, unused_frame):
    self.signal = signal.Signals(number)
    signal.signal(number, self._previous[number])
