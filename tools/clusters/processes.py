"""The processes of a cluster on this machine."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Dict, List, Optional, Sequence

# Seconds that processes have to end once the chief has, or they were told to.
GRACE = 15.0
_LOOK = 0.05
_PR_SET_PDEATHSIG = 1


class LocalCluster:
  """The processes of a cluster.

  Attributes:
    processes: The processes by name: "ps-0", "worker-1", "evaluator-0".
    restarted: Names of those that were started again, one after the other.
  """

  def __init__(self, arguments: Sequence[str], logs: str, ps: int, workers: int,
               evaluator: bool = False, restart: bool = False):
    """Starts them.

    Args:
      arguments: What every process is called with.
      logs: Folder of their logs.
      ps: How many parameter servers there are.
      workers: How many workers.
      evaluator: Whether there is an evaluator.
      restart: Whether to start again what dies.
    """
    self._arguments, self._logs, self._restart = list(arguments), logs, restart
    addresses = free_addresses(ps + workers)
    self._jobs = {"worker": addresses[:workers]}
    if ps:
      self._jobs["ps"] = addresses[workers:]
    os.makedirs(logs, exist_ok=True)
    self.processes: Dict[str, subprocess.Popen] = {}
    self.restarted: List[str] = []
    for job, count in (("ps", ps), ("worker", workers),
                       ("evaluator", int(evaluator))):
      for index in range(count):
        self._start(job, index)

  def _start(self, job: str, index: int) -> None:
    name = f"{job}-{index}"
    task = {"cluster": self._jobs, "task": {"type": job, "index": index}}
    with open(self.log_of(name), "ab") as log:
      self.processes[name] = subprocess.Popen(
          [sys.executable, "-m", "mtl_graph.train", *self._arguments],
          env={**os.environ, "TF_CONFIG": json.dumps(task)}, stdout=log,
          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
          preexec_fn=die_with_parent)

  def log_of(self, name: str) -> str:
    """Returns the path of the log of a process."""
    return os.path.join(self._logs, f"{name}.log")

  def failed(self) -> Optional[str]:
    """Starts again what was killed; returns what has failed."""
    problem = self._problem()
    if problem:
      return problem
    for name, process in self.processes.items():
      if process.poll():  # Neither running nor done.
        self.restarted.append(name)
        job, _, index = name.partition("-")
        self._start(job, int(index))
    return None

  def _problem(self):
    """Returns what has ended as it must not.

    Codes from 1 to 127 are final, as in Kubernetes.
    """
    for name, process in self.processes.items():
      code = process.poll()
      if code and (not self._restart or 0 < code < 128):
        return f"{name} ended with {code}: {self.last_line(name)}"
    return None

  def last_line(self, name: str) -> str:
    """Returns the last line of the log of a process."""
    with open(self.log_of(name), encoding="utf-8", errors="replace") as log:
      lines = log.read().strip().splitlines()
    return lines[-1] if lines else ""

  def left_over(self) -> List[int]:
    """Returns the ids of all processes that still belong to this cluster.

    Whatever these have started, and what that has, was handed on the addresses.
    """
    mark, found = json.dumps(self._jobs).encode(), []
    for entry in os.listdir("/proc"):
      if entry.isdecimal():
        try:
          with open(f"/proc/{entry}/environ", "rb") as file:
            if mark in file.read():
              found.append(int(entry))
        except OSError:
          continue  # Gone meanwhile, or of somebody else.
    return found

  def wait(self, seconds: float = float("inf")) -> Optional[str]:
    """Waits until the run is over; returns what went wrong, or nothing.

    Args:
      seconds: How long at most.
    """
    began = time.monotonic()
    while self.processes["worker-0"].poll() != 0:
      problem = self.failed()
      if problem:
        return problem
      if time.monotonic() - began > seconds:
        return not_done(seconds)
      time.sleep(_LOOK)
    ended = time.monotonic()
    while any(p.poll() is None for p in self.processes.values()):
      if time.monotonic() - ended > GRACE:
        late = [n for n, p in self.processes.items() if p.poll() is None]
        return f"{', '.join(late)} runs {GRACE:.0f} s after the chief has ended"
      time.sleep(_LOOK)
    return self._problem()

  def terminate(self) -> List[str]:
    """Asks all that run to end, and waits; returns who does not in time."""
    for process in self.processes.values():
      if process.poll() is None:
        process.terminate()
    began, late = time.monotonic(), []
    for name, process in self.processes.items():
      try:
        process.wait(max(GRACE - (time.monotonic() - began), 0.01))
      except subprocess.TimeoutExpired:
        late.append(name)
    return late

  def stop(self) -> None:
    """Ends whatever runs: kindly, and after a while by force."""
    for name in self.terminate():
      self.processes[name].kill()
      self.processes[name].wait()

  def with_traceback(self) -> Optional[str]:
    """Returns the first process whose log holds a traceback, if one does."""
    for name in self.processes:
      with open(self.log_of(name), encoding="utf-8", errors="replace") as log:
        if "Traceback (most recent call last)" in log.read():
          return name
    return None


def not_done(seconds: float) -> str:
  """Returns what `LocalCluster.wait` says of a run that takes longer."""
  return f"not done after {seconds:.0f} s"


def die_with_parent() -> None:
  """Has the kernel end this process once its parent is gone."""
  ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_addresses(count: int) -> List[str]:
  """Returns addresses of this machine that nobody listens at."""
  held = [socket.socket() for _ in range(count)]
  for one in held:
    one.bind(("127.0.0.1", 0))
  found = [f"127.0.0.1:{one.getsockname()[1]}" for one in held]
  for one in held:
    one.close()
  return found
