"""What the processes of a cluster tell each other beside their steps."""

import contextlib
import math
import time
from typing import Callable, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph.training import waiting

# What is announced once the run is over; what a worker of a ring announces that
# comes when the others have begun, and would not let it in.
ENDED, ASKED = -1, -2
# What an asynchronous chief announces who wants no more steps, and is to save:
# whoever makes some ends them, and stays.
SETTLING = -4
# Added to the number once all workers of a ring have begun.
UNDER_WAY = 1
# Seconds that a process waits for those that have not said that they leave.
_STRAGGLERS = 8.0
# And for those at whose address nobody has answered for as long: they were
# killed, and are not coming back, or only to see that the run is over.
_AWAY = 2.0
# Seconds between two looks at a queue.
_LOOK = 0.2
# Words that a queue holds, of all workers together.
_MOST = 100_000
# Within which a server answers, however busy the machine is.
_ANSWER_MS = 30000
# What a call raises that is not answered, or whose session is closed.
_UNANSWERED = (tf.errors.OpError, RuntimeError)


class Control:
  """A number that the chief announces, and who has left.

  The number tells one beginning from others: whoever has begun under another
  one has to begin anew. It lies on the first parameter server or, without any,
  with the chief; each server learns by a queue of its own who has left.

  Attributes:
    has_run: Whether its servers have ever answered. The first call to a server
      that nobody has started waits for it, whatever its time limit.
  """

  def __init__(self, target: str, own: str, center: str,
               servers: Sequence[str]):
    """Opens a session of its own, which waits for nobody.

    Args:
      target: Target of this process' server.
      own: Device of this process.
      center: Device of the number.
      servers: Devices that are to know who leaves.
    """
    with tf.Graph().as_default() as graph:
      with tf.device(center):
        self._state = tf.get_variable(
            "cluster/state", [], tf.int64, trainable=False,
            initializer=tf.zeros_initializer(), collections=["cluster"])
        self._read = self._state.read_value()
        self._basis = tf.get_variable(
            "cluster/basis", [], tf.string, trainable=False,
            initializer=tf.constant_initializer(b""), collections=["cluster"])
        self._read_basis = self._basis.read_value()
      self._rank = tf.placeholder(tf.int64, [])
      with tf.device(center):
        active = _queue("active")
        self._say = active.enqueue(self._rank)
        self._active = active.size(), active.dequeue()
      self._leave = []
      for device in servers:
        with tf.device(device):
          self._leave.append(_queue("left").enqueue(self._rank))
    self._session = tf.Session(target, graph=graph, config=tf.ConfigProto(
        device_filters=[own, *sorted({center, *servers})]))
    self.has_run = False

  def _run(self, fetches, feeds=None):
    found = self._session.run(fetches, feeds, options=tf.RunOptions(
        timeout_in_ms=_ANSWER_MS))
    self.has_run = True
    return found

  def new_generation(self) -> int:
    """Returns a number above all earlier ones, with room for steps above it."""
    earlier = max(self.read() or 0, 0) >> 31
    # A clock may have been set back, or be another machine's.
    return max(int(time.time()), earlier + 1) << 31

  def announce(self, number: int) -> None:
    """Announces a beginning, or that the run is over."""
    self._run(self._state.initializer,
              {self._state.initializer.inputs[1]: number})

  def announce_basis(self, basis: str) -> None:
    """Announces what all must have in common who take part in a beginning."""
    self._run(self._basis.initializer,
              {self._basis.initializer.inputs[1]: basis})

  def read_basis(self) -> Optional[str]:
    """Returns what was announced of that; None: nobody answers."""
    with contextlib.suppress(*_UNANSWERED):
      return self._run(self._read_basis).decode()
    return None

  def read(self) -> Optional[int]:
    """Returns what was announced; None: nothing, or nobody answers."""
    with contextlib.suppress(*_UNANSWERED):
      return int(self._run(self._read)) or None
    return None

  def say_active(self, rank: int, active: bool) -> None:
    """Tells the chief that a worker, whose rank is not 0, makes steps, or ends.
    """
    with contextlib.suppress(*_UNANSWERED):
      self._run(self._say, {self._rank: rank if active else -rank})

  def wait_for_active(self, cluster: cluster_lib.Cluster) -> None:
    """Waits, for a while, until no worker makes steps any more.

    Args:
      cluster: The cluster, seen from the chief.
    """
    active, began, away = set(), time.monotonic(), _Away(cluster)
    while True:
      rank = _next(self._run, *self._active)
      if rank is not None:
        (active.add if rank > 0 else active.discard)(abs(rank))
      elif not active or time.monotonic() - began >= _STRAGGLERS:
        return
      else:
        time.sleep(_LOOK)
        active -= away.ranks()

  def leave(self, rank: int) -> None:
    """Tells servers that a worker leaves; those that are gone need not know."""
    for op in self._leave:
      with contextlib.suppress(*_UNANSWERED):
        self._run(op, {self._rank: rank})

  def close(self) -> None:
    """Closes the session."""
    self._session.close()


def wait_for_all(target: str, cluster: cluster_lib.Cluster,
                 is_gone: Callable[[], bool] = lambda: False) -> None:
  """Waits on a server until the chief has left and, for a while, the others.

  Args:
    target: Target of the server of this process.
    cluster: The cluster.
    is_gone: Asked a few times a second whether the chief has left without a
      word; may raise what ends this.
  """
  with tf.Graph().as_default() as graph, tf.device(cluster.device):
    left = _queue("left")
    left = left.size(), left.dequeue()
  there, chief_left, away = set(cluster.ranks), None, None
  with tf.Session(target, graph=graph, config=tf.ConfigProto(
      device_filters=[cluster.device])) as session:
    while there and (chief_left is None
                     or time.monotonic() - chief_left < _STRAGGLERS):
      rank = _next(session.run, *left)
      if rank is not None:
        there.discard(rank)
        if rank == 0:
          chief_left = time.monotonic()
        continue
      if is_gone():
        return
      if chief_left is not None:
        away = away or _Away(cluster)
        there -= away.ranks()
      time.sleep(_LOOK)


class _Away:
  """Looks for those that were killed."""

  def __init__(self, cluster):
    self._ranks = {device: rank for rank, device in cluster.ranks.items()
                   if device != cluster.device}
    self._absence = waiting.Absence(
        {device: cluster.workers[device] for device in self._ranks}, math.inf)

  def ranks(self):
    """Returns the ranks of those who have not answered for a while."""
    self._absence.look()
    return {self._ranks[device] for device in self._absence.missing(_AWAY)}


def _next(run, size, word):
  """Returns the next word of a queue that only this process reads, or None.

  To wait for one with a time limit would lose the word that comes as the time
  ends: it is out of the queue by then, and is not returned.
  """
  return int(run(word)) if run(size) else None


def _queue(name):
  return tf.FIFOQueue(_MOST, [tf.int64], [[]], shared_name=f"cluster/{name}")
