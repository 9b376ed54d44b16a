"""How the benchmark talks to its contestants, a process each: in JSON."""

import json
import re
import time
from typing import IO, Callable, Dict, NamedTuple, Optional


class Rival(NamedTuple):
  """A contestant that takes steps when it is asked to.

  Attributes:
    parameters: How many parameters it trains, or None.
    run: Takes about so many steps, at least one, and returns how many.
    losses: Takes so many steps and returns the loss of each.
  """
  parameters: Optional[int]
  run: Callable[[int], int]
  losses: Callable[[int], list]


class Conversation:
  """A contestant's end of the pipe."""

  def __init__(self, requests: IO[str], replies: IO[str], started: float):
    """Takes the pipe.

    Args:
      requests: Where requests come from.
      replies: Where replies go.
      started: When the process was started, by `time.monotonic`.
    """
    self._requests = requests
    self._replies = replies
    self._started = started
    self._imported = None

  def imported(self) -> None:
    """Takes note that the framework has been imported."""
    self._imported = time.monotonic()

  def ready(self, parameters: Optional[int], surplus: float = 0.0,
            **more) -> None:
    """Says that the first step is done.

    Args:
      parameters: How many parameters are trained, or None.
      surplus: Seconds that were spent on steps after the first.
      **more: What else is to be told.
    """
    now = time.monotonic() - surplus
    self._reply({"parameters": parameters,
                 "first_step_seconds": now - self._started,
                 "without_imports_seconds": now - self._imported, **more})

  def refuse(self, why: str) -> None:
    """Says that the contestant cannot take part."""
    self._reply({"refused": why})

  def next(self) -> Optional[int]:
    """Waits for a request.

    Returns:
      How many steps to take, or None to end.
    """
    line = self._requests.readline()
    return json.loads(line)["steps"] if line.strip() else None

  def done(self, steps: int, seconds: float) -> None:
    """Says how many steps were taken, and how long that took."""
    self._reply({"steps": steps, "seconds": seconds,
                 "peak_memory_mb": _peak_memory_mb()})

  def _reply(self, message: Dict) -> None:
    self._replies.write(json.dumps(message) + "\n")
    self._replies.flush()


def _peak_memory_mb() -> float:
  """Returns the most memory this process has held.

  Not `resource.getrusage`, whose figure a process inherits from the one that
  started it.
  """
  with open("/proc/self/status", encoding="utf-8") as file:
    peak = re.search(r"^VmHWM:\s*(\d+) kB", file.read(), re.MULTILINE)
  return int(peak[1]) / 1024


def serve(conversation: Conversation, rival: Rival) -> None:
  """Lets a rival take its first step, then as many as it is asked for.

  Args:
    conversation: The pipe.
    rival: The rival.
  """
  steps = rival.run(1)
  if steps > 1:
    # It takes more than one at a time: by a second call, what the first one
    # took beyond its steps is what had to be built and compiled.
    started = time.monotonic()
    rival.run(1)
    again = time.monotonic() - started
    conversation.ready(rival.parameters, again + again * (steps - 1) / steps)
  else:
    conversation.ready(rival.parameters)
  while True:
    count = conversation.next()
    if count is None:
      return
    started = time.monotonic()
    steps = rival.run(count)
    conversation.done(steps, time.monotonic() - started)
