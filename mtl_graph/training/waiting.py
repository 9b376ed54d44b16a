"""Waits for other processes, and says so."""

import socket
import time
from typing import Callable, Dict, Mapping, Optional, Set

from mtl_graph.training import interruption as interruption_lib

# Seconds between two lines that say what is waited for.
_SAY = 10.0


class ClusterError(Exception):
  """A cluster that cannot be reached."""


class Ended(Exception):
  """A run that is over."""


class Waiting:
  """Says what is waited for, and gives up in the end."""

  def __init__(self, what: str, seconds: float, log: Callable[[str], None],
               interruption: interruption_lib.Interruption,
               is_over: Callable[[], bool] = lambda: False):
    """Begins to wait.

    Args:
      what: What for.
      seconds: How long.
      log: Takes a line now and then.
      interruption: Notes signals.
      is_over: Tells whether the run is, of which those who are waited for may
        have gone.
    """
    self._what, self._seconds, self._log = what, seconds, log
    self._interruption, self._is_over = interruption, is_over
    self._began = self._said = time.monotonic()

  def go_on(self) -> None:
    """Sleeps a moment.

    Raises:
      ClusterError: If it has been too long.
      Ended: If the run is over.
      Interrupted: If a signal has come.
    """
    time.sleep(0.1)
    now = time.monotonic()
    waited = now - self._began
    if self._interruption.requested():
      raise interruption_lib.Interrupted(
          f"stopped by {self._interruption.signal.name} while waiting for "
          f"{self._what}", self._interruption.signal)
    if self._is_over():
      raise Ended()
    if waited > self._seconds:
      raise ClusterError(_no_answer(self._what, waited))
    if now - self._said > _SAY:
      self._said = now
      self._log(f"waiting for {self._what} for {waited:.0f} s")


def wait_for(addresses: Mapping[str, str], seconds: float,
             log: Callable[[str], None],
             interruption: interruption_lib.Interruption,
             is_over: Callable[[], bool] = lambda: False) -> None:
  """Waits until there is somebody at each of some addresses.

  Args:
    addresses: Addresses by device.
    seconds: How long.
    log: Takes a line now and then.
    interruption: Notes signals.
    is_over: Tells whether the run is.

  Raises:
    ClusterError: If one does not answer.
    Ended: If the run is over.
  """
  for device, address in addresses.items():
    waiting = Waiting(f"{title(device)} at {address}", seconds, log,
                      interruption, is_over)
    while not answers(address):
      waiting.go_on()


class Absence:
  """Notes since when somebody does not answer, and says so."""

  def __init__(self, addresses: Mapping[str, str], seconds: float,
               log: Callable[[str], None] = lambda line: None,
               dispensable: int = 0):
    """Looks at nobody yet.

    Args:
      addresses: Addresses by device.
      seconds: How long one may be away.
      log: Takes a line now and then.
      dispensable: How many may be away for any time.
    """
    self._addresses, self._seconds, self._log = addresses, seconds, log
    self._dispensable, self._said = dispensable, time.monotonic()
    self._since: Dict[str, float] = {}
    self._now = self._said

  def look(self) -> Optional[str]:
    """Tries the addresses; returns what is wrong once one is away for too long.
    """
    self._now = now = time.monotonic()
    self._since = {
        device: self._since.get(device, now)
        for device, address in self._addresses.items() if not answers(address)}
    if len(self._since) <= self._dispensable:
      return None
    device, since = min(self._since.items(), key=lambda item: item[1])
    what = f"{title(device)} at {self._addresses[device]}"
    if now - since > self._seconds:
      return _no_answer(what, now - since)
    if now - max(since, self._said) > _SAY:
      self._said = now
      self._log(f"waiting for {what} for {now - since:.0f} s")
    return None

  def missing(self, seconds: float) -> Set[str]:
    """Returns who had been away for some seconds at the last look."""
    return {device for device, since in self._since.items()
            if self._now - since > seconds}

  def seconds(self) -> float:
    """Returns how long somebody had been away at the last look; 0: nobody."""
    return self._now - min(self._since.values(), default=self._now)


def answers(address: str) -> bool:
  """Returns whether a process listens at an address."""
  host, _, port = address.rpartition(":")
  try:
    socket.create_connection((host.strip("[]"), int(port)), 1).close()
  except OSError:
    return False
  return True


def _no_answer(what: str, seconds: float) -> str:
  return (f"{what}: found no answer for {seconds:.0f} s; allowed: a process that "
          "runs there, or a longer training.cluster.wait_seconds")


def title(device: str) -> str:
  """Returns "worker 1" of "/job:worker/task:1"."""
  return device.replace("/job:", "").replace("/task:", " ")
