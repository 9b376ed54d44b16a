"""Waits for other processes, and says so."""

import socket
import time
from typing import Callable, Mapping

from mtl_graph.training import interruption as interruption_lib

# Seconds between two lines that say what is waited for.
_SAY = 10.0


class ClusterError(Exception):
  """A cluster that cannot be reached."""


class Waiting:
  """Says what is waited for, and gives up in the end."""

  def __init__(self, what: str, seconds: float, log: Callable[[str], None],
               interruption: interruption_lib.Interruption):
    self._what, self._seconds, self._log = what, seconds, log
    self._interruption = interruption
    self._began = self._said = time.monotonic()

  def go_on(self) -> None:
    """Sleeps a moment.

    Raises:
      ClusterError: If it has been too long.
      Interrupted: If a signal has come.
    """
    time.sleep(0.1)
    now = time.monotonic()
    waited = now - self._began
    if self._interruption.requested():
      raise interruption_lib.Interrupted(
          f"stopped by {self._interruption.signal.name} while waiting for "
          f"{self._what}", self._interruption.signal)
    if waited > self._seconds:
      raise ClusterError(
          f"{self._what}: found no answer for {waited:.0f} s; allowed: a "
          "process that runs there, or a longer training.cluster.wait_seconds")
    if now - self._said > _SAY:
      self._said = now
      self._log(f"waiting for {self._what} for {waited:.0f} s")


def wait_for(addresses: Mapping[str, str], seconds: float,
             log: Callable[[str], None],
             interruption: interruption_lib.Interruption) -> None:
  """Waits until there is somebody at each of some addresses.

  Args:
    addresses: Addresses by device.
    seconds: How long.
    log: Takes a line now and then.
    interruption: Notes signals.

  Raises:
    ClusterError: If one does not answer.
  """
  for device, address in addresses.items():
    host, _, port = address.rpartition(":")
    waiting = Waiting(f"{title(device)} at {address}", seconds, log,
                      interruption)
    while True:
      try:
        socket.create_connection((host.strip("[]"), int(port)), 1).close()
        break
      except OSError:
        waiting.go_on()


def title(device: str) -> str:
  """Returns "worker 1" of "/job:worker/task:1"."""
  return device.replace("/job:", "").replace("/task:", " ")
