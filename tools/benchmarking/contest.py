"""Lets contestants of a benchmark take turns, each in a process of its own."""

from concurrent import futures
import json
import math
import os
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple

from tools.benchmarking import cases

_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# Turns with each number of threads before the better one is chosen.
_TRIALS = 3


class Contestant(NamedTuple):
  """Who takes part in a case.

  Attributes:
    name: Its name in tables.
    case: Name of the model in `cases.CASES`.
    kind: Which module runs it, tools/benchmarking/<kind>.py.
    options: What that is told.
    learned: How many parameters it has beyond the model's.
  """
  name: str
  case: str
  kind: str
  options: Dict[str, Any]
  learned: int = 0


class Process:
  """A contestant's process, with so many threads."""

  def __init__(self, contestant: Contestant, threads: int, folder: str):
    """Starts it, and waits for its first step.

    Args:
      contestant: Who.
      threads: Threads within an op.
      folder: Where the rows are.
    """
    self.threads = threads
    environment = {**os.environ, **{
        name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS",
                                        "OPENBLAS_NUM_THREADS")}}
    request = {**contestant._asdict(), "threads": threads, "folder": folder,
               "started": time.monotonic()}
    self._errors = os.path.join(folder, f"{contestant.name}.{threads}.log")
    with open(self._errors, "w", encoding="utf-8") as errors:
      self._process = subprocess.Popen(
          [sys.executable, "-m", "tools.benchmarking.worker",
           json.dumps(request)],
          cwd=_ROOT, env=environment, stdin=subprocess.PIPE,
          stdout=subprocess.PIPE, stderr=errors, text=True)
    self.start = self._read()
    self.peak_memory_mb = 0.0
    self._count = 1

  def _read(self):
    line = self._process.stdout.readline()
    if line:
      return json.loads(line)
    self._process.wait()
    with open(self._errors, encoding="utf-8") as errors:
      last = errors.read().strip().rpartition("\n")[2]
    return {"refused": f"it died: {last}"}

  def take_turn(self, seconds: float) -> float:
    """Lets it take steps.

    Args:
      seconds: About how long.

    Returns:
      Seconds per step.

    Raises:
      RuntimeError: If it died.
    """
    self._process.stdin.write(json.dumps({"steps": self._count}) + "\n")
    self._process.stdin.flush()
    reply = self._read()
    if "refused" in reply:
      raise RuntimeError(f"in a turn {reply['refused']}")
    per_step = reply["seconds"] / reply["steps"]
    self._count = max(int(seconds / per_step), 1)
    self.peak_memory_mb = reply["peak_memory_mb"]
    return per_step

  def warm_up(self, seconds: float) -> None:
    """Takes turns until they have found their length."""
    # From one step on, a turn grows to what the one before says of steps.
    for part in (0.02, 0.2, 1.0):
      self.take_turn(seconds * part)

  def end(self) -> None:
    """Ends it."""
    self._process.stdin.close()
    self._process.wait()
    self._process.stdout.close()


def compete(some: List[Contestant], rounds: int, seconds: float,
            threads: List[int], folder: str,
            before_rounds: Callable[[], Any] = lambda: None,
            starting: int = 1) -> List[Dict[str, Any]]:
  """Lets contestants take turns.

  Args:
    some: Who.
    rounds: How often.
    seconds: About how long a turn takes.
    threads: The numbers of threads that each is tried with.
    folder: Where the rows are.
    before_rounds: Is called once all have found their pace.
    starting: How many start at the same time.

  Returns:
    An entry per contestant, as `report.case_table` takes it.

  Raises:
    RuntimeError: If a model is not of the size that all agree on.
  """
  entries = [{"contestant": contestant.name, "seconds": []}
             for contestant in some]
  running = []

  def start(contestant, entry):
    process = _start(contestant, threads, seconds, folder, entry)
    if process is None:
      return
    running.append((process, entry))
    case = cases.CASES[contestant.case]
    entry["batch_size"] = case.batch_size
    expected = cases.parameters(case) + contestant.learned
    if entry["parameters"] not in (None, expected):
      raise RuntimeError(
          f"{contestant.name} trains {entry['parameters']} parameters, not "
          f"{expected}")

  try:
    with futures.ThreadPoolExecutor(starting) as pool:
      list(pool.map(start, some, entries))
    before_rounds()
    for i in range(rounds):
      for process, entry in running:
        entry["seconds"].append(process.take_turn(seconds))
      print(f"round {i + 1} of {rounds} done", file=sys.stderr)
  finally:
    for process, entry in running:
      entry["peak_memory_mb"] = process.peak_memory_mb
      process.end()
  return entries


def _start(contestant, threads, seconds, folder, entry):
  """Starts a contestant with the number of threads that suits it best."""
  running = []
  for count in threads:
    process = Process(contestant, count, folder)
    if "refused" in process.start:
      entry.update(process.start)
      process.end()
      break
    process.warm_up(seconds)
    running.append(process)
  tried = {process.threads: math.inf for process in running}
  # In turns: a busy moment is to speak against none of them.
  for process in running * _TRIALS:
    tried[process.threads] = min(tried[process.threads],
                                 process.take_turn(seconds))
  running.sort(key=lambda process: tried[process.threads])
  for process in running[1:]:
    process.end()
  print(f"{contestant.name}: " + (entry.get("refused") or ", ".join(
      f"{s * 1e6:,.0f} us at {n}" for n, s in tried.items())), file=sys.stderr)
  if not running:
    return None
  entry.update(running[0].start, threads=running[0].threads, tried=tried)
  return running[0]
