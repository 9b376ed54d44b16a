"""Runs functions in processes of their own, which load only what those need.

Unlike those of `multiprocessing` they do not load the main module again: a
user's script needs no guard around its main part, and TensorFlow is not loaded.
"""

import collections
from concurrent import futures
import gc
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
from typing import Any, Callable, Iterable, Iterator, Optional, Tuple


class WorkerError(Exception):
  """A process that ended before its time."""


class Workers:
  """Some processes that wait for work; starts them when there is some."""

  def __init__(self, count: Optional[int] = None):
    """Prepares.

    Args:
      count: How many processes; None: one per processor that may be used.
    """
    self._count = count or (len(os.sched_getaffinity(0)) if hasattr(
        os, "sched_getaffinity") else os.cpu_count())
    self._threads = futures.ThreadPoolExecutor(self._count)
    self._own = threading.local()
    self._processes = []

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    for process in self._processes:
      process.kill()
    self._threads.shutdown(cancel_futures=True)
    for process in self._processes:
      process.communicate()

  def map(self, function: Callable[..., Any], jobs: Iterable[Tuple]
          ) -> Iterator[Any]:
    """Calls a function for each job, several at a time.

    A single job is done in this process.

    Args:
      function: A function of a module that can be imported.
      jobs: Its arguments, which must be possible to pickle; they are asked for
        as results are taken, so that there are never many.

    Yields:
      What it returns, in the order of the jobs.

    Raises:
      What the function raises; `WorkerError` if a process ends.
    """
    jobs = iter(jobs)
    first = list(itertools.islice(jobs, 2))
    if len(first) == 1:
      yield function(*first[0])
      return
    waiting = collections.deque()
    for job in itertools.chain(first, jobs):
      waiting.append(self._threads.submit(self._call, function, job))
      if len(waiting) > 2 * self._count:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()

  def _call(self, function, job):
    """Has the process of this thread do a job."""
    if not hasattr(self._own, "process"):
      self._own.process = self._start()
    process = self._own.process
    try:
      pickle.dump((function, job), process.stdin, pickle.HIGHEST_PROTOCOL)
      process.stdin.flush()
      error, result = pickle.load(process.stdout)
    except (EOFError, OSError, pickle.UnpicklingError) as lost:
      raise WorkerError(
          f"a process that parses rows ended with exit code {process.wait()}; "
          "allowed: enough memory, and nobody to end it") from lost
    if error is not None:
      raise error
    return result

  def _start(self):
    # It finds modules where this process does.
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    self._processes.append(process)
    return process


def _serve() -> None:
  """Does jobs from standard input until there are no more."""
  # Ctrl-C goes to all; what ends this process is that nobody asks any more.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  replies = os.fdopen(os.dup(1), "wb")
  os.dup2(2, 1)  # What a library prints is no reply.
  # A piece is many small objects that all live until it is done: looking for
  # garbage among them takes longer than to parse them.
  gc.disable()
  while True:
    try:
      function, job = pickle.load(sys.stdin.buffer)
    except EOFError:
      return
    try:
      reply = None, function(*job)
    except Exception as error:  # pylint: disable=broad-except
      reply = error, None
    pickle.dump(reply, replies, pickle.HIGHEST_PROTOCOL)
    replies.flush()


if __name__ == "__main__":
  _serve()
