"""Ends what would never end by itself, as others have gone or begun anew."""

import collections
import contextlib
import threading
import time
from typing import Callable, Iterator, Optional, Union

import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph.protos import cluster_pb2
from mtl_graph.training import control as control_lib
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import waiting as waiting_lib

# Why a session was closed, or no step is to be made, if it was not that a
# process was lost or the chief has begun anew.
INTERRUPTED, ENDED = "interrupted", "ended"
SETTLING = "the chief saves what there is"
# Seconds between two looks at the cluster, and that a look may fail.
_LOOK, PATIENCE = 1.0, 15.0
# Seconds that a step may take to end by itself: at least, and at most. In between
# twice what one of the last so many has taken.
_GRACE, _LONGEST_GRACE, _REMEMBERED = 2.0, 8.0, 20
# Seconds that a worker has to end a step that the run no longer needs; less than
# the chief waits for it.
_LAST_STEP = 5.0


class Watch:
  """Looks at the cluster from another thread, and closes the session if need be.

  Attributes:
    generation: The beginning that this process has taken part in; None: none.
    told: Whether a worker, once it has ended its step, is to make no other one.
    why: Why the session was closed: one of the above, what a process has lost,
      or the error to raise; None: it was not.
    made_step: Whether this process has made one.
  """

  def __init__(self, cluster: cluster_lib.Cluster, message: cluster_pb2.Cluster,
               control: control_lib.Control,
               interruption: interruption_lib.Interruption,
               log: Callable[[str], None]):
    """Looks at nothing yet.

    Args:
      cluster: The cluster.
      message: The `Cluster` message.
      control: What processes tell each other.
      interruption: Notes signals.
      log: Takes a line.
    """
    self.generation: Optional[int] = None
    self.why: Union[None, str, Exception] = None
    self.told = self.made_step = False
    self._cluster, self._control = cluster, control
    self._interruption = interruption
    strategy = message.WhichOneof("strategy") or "asynchronous"
    self._is_free = strategy == "asynchronous"
    self._is_ring = strategy == "all_reduce"
    self._over, self._blocked = threading.Event(), False
    self._took = collections.deque(maxlen=_REMEMBERED)
    self._session = self._thread = None
    self._failing_since = self._asked_since = self._told_since = None
    # What the others ask the chief, the chief sees by their addresses.
    self._absence = cluster.is_chief and not self._is_free and (
        waiting_lib.Absence(
            {device: address for device, address in cluster.workers.items()
             if device != cluster.device}, message.wait_seconds, log,
            message.synchronous.backup_workers))

  def start(self, session: tf.Session) -> None:
    """Starts to look after a session."""
    self._session = session
    self._thread = threading.Thread(target=self._look_on, daemon=True)
    self._thread.start()

  def stop(self) -> None:
    """Tells it to look no longer."""
    self._over.set()

  def join(self) -> None:
    """Waits, for a while, until it no longer does."""
    if self._thread is not None:
      self._thread.join(PATIENCE)

  @contextlib.contextmanager
  def with_others(self, step: bool = False) -> Iterator[None]:
    """Surrounds what ends only if others do their part.

    The session is closed in there only: nothing that this process does by
    itself, such as to save, is cut short.

    Args:
      step: Whether it is a step, of which others tell how long one takes.
    """
    self._blocked, began = True, time.monotonic()
    try:
      yield
    finally:
      self._blocked = False
    if step:
      self.made_step = True
      self._took.append(time.monotonic() - began)

  def hear(self) -> Optional[str]:
    """Reads what is announced; returns why a worker has no step to make."""
    state, now = self._control.read(), time.monotonic()
    # Two threads may be in here.
    self._failing_since = since = None if state else self._failing_since or now
    if not state:
      return (f"no answer for {PATIENCE:.0f} s" if now - since > PATIENCE
              else None)
    why = {control_lib.ENDED: ENDED, control_lib.SETTLING: SETTLING,
           self.generation: None, self.generation + control_lib.UNDER_WAY: None
           }.get(state, "the chief has begun anew")
    self.told |= self._is_free and why is not None
    return why

  def _look_on(self):
    while not self._over.wait(_LOOK):
      try:
        why = self._look()
      except Exception as error:  # Else nobody would look any more.
        why = error
      if why and self._blocked:
        self.why = why
        self._session.close()
        return

  def _look(self):
    """Returns why a step is to be cut short, if it is."""
    now, why = time.monotonic(), None
    if self._interruption.noted():
      self._asked_since = self._asked_since or now
      grace = min(max(_GRACE, 2 * max(self._took, default=0)), _LONGEST_GRACE)
      if now - self._asked_since > grace:
        why = INTERRUPTED
    if not self._cluster.is_chief and self.generation:
      heard = self.hear()
      # Not at once: nobody is to find half a step, nor to lose the last one.
      if self.told or heard == ENDED:
        self._told_since = self._told_since or now
      if not self._told_since or now - self._told_since > _LAST_STEP:
        why = heard or why
    if self._is_ring and self._cluster.is_chief and (
        self._control.read() == control_lib.ASKED):
      why = "a worker has begun anew"
    if self._absence and self.generation:
      problem = self._absence.look()
      if problem:
        why = waiting_lib.ClusterError(problem)
    return why
