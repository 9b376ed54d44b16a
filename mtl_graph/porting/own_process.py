"""Runs what may end its process in one of its own.

TensorFlow checks less of a graph than it relies on, and where a check of its
own fails it ends the process. Whoever asked still gets one line.
"""

import contextlib
import os
import re
import signal
import sys
import tempfile
from typing import Callable, Iterator

_REASON = re.compile(r"Check failed: (.+)")
_is_own = False  # Whether this process is the copy.


def run(main: Callable[[], int]) -> int:
  """Runs a main function in a copy of this process.

  In a process that has TensorFlow already it runs as it is, as its threads
  would not be in a copy.

  Args:
    main: Returns an exit code.

  Returns:
    Its exit code; 1 if the copy was ended by a signal of its own making, which
    one line on standard error says then.
  """
  if "tensorflow" in sys.modules or not hasattr(os, "fork"):
    return main()
  sys.stdout.flush()
  sys.stderr.flush()
  global _is_own
  with tempfile.TemporaryFile() as errors:
    child = os.fork()
    if child == 0:
      _is_own = True
      os.dup2(errors.fileno(), 2)
      code = 1
      try:
        code = main()
      finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    status = _wait(child)
    errors.seek(0)
    text = errors.read().decode("utf-8", "replace")
  if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
    print("the graph gave no answer within --run_seconds; allowed: loops that "
          "end, or more time", file=sys.stderr)
    return 1
  if os.WIFEXITED(status):
    sys.stderr.write(text)
    return os.WEXITSTATUS(status)
  number = os.WTERMSIG(status)
  if number in (signal.SIGINT, signal.SIGTERM):
    return 128 + number
  reason = _REASON.search(text)
  print(f"TensorFlow was ended by {signal.Signals(number).name}"
        + (f": {reason[1].strip()[:200]}" if reason else "")
        + "; allowed: a graph that it can build and run", file=sys.stderr)
  return 1


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
  """Ends a process that `run` has made where something takes too long.

  A loop within TensorFlow heeds neither Python nor a time limit of its session.

  Args:
    seconds: How long it may take.

  Yields:
    Nothing.
  """
  if not _is_own:
    yield
    return
  signal.signal(signal.SIGALRM, signal.SIG_DFL)
  signal.setitimer(signal.ITIMER_REAL, seconds)
  try:
    yield
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)


def _wait(child) -> int:
  """Waits for a process, and passes on to it what would end this one."""
  def forward(number, unused_frame):
    os.kill(child, number)

  before = {number: signal.signal(number, forward)
            for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    return os.waitpid(child, 0)[1]
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
