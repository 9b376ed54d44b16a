"""A process's part in a cluster: its server, its devices, what it is told."""

import contextlib
import signal
import time
from typing import Callable, ContextManager, Iterator, Optional

import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph import cluster_checks
from mtl_graph.model import partitions
from mtl_graph.model import placement
from mtl_graph.model import replicas
from mtl_graph.protos import training_pb2
from mtl_graph.training import agreement
from mtl_graph.training import control as control_lib
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import lost_peers
from mtl_graph.training import servers as servers_lib
from mtl_graph.training import waiting as waiting_lib
from mtl_graph.training import watching

# Seconds between two looks of a worker that has made its last step.
_PAUSE = 0.5
# Tells runs of collective ops from other runs.
_COLLECTIVE = 1
# What a session says of a process that is gone, or was started anew.
_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError,
         tf.errors.CancelledError, tf.errors.FailedPreconditionError,
         tf.errors.InternalError, tf.errors.NotFoundError,
         tf.errors.DeadlineExceededError, tf.errors.OutOfRangeError)

# What it says where a file is gone or cut off, of which a `CheckpointError` is
# made: it will be next time.
_OF_FILES = (tf.errors.NotFoundError, tf.errors.OutOfRangeError)


class Lost(Exception):
  """A cluster that has lost a process: whoever is left has to start anew.

  Attributes:
    after_steps: Whether this process has made a step before.
  """
  after_steps = False


class Member:
  """One process of a cluster that trains, the chief or a worker.

  Attributes:
    cluster: The `cluster.Cluster`.
    strategy: "asynchronous", "synchronous" or "all_reduce".
    replica: How it makes steps with the others, once `join` was called.
    control: What processes tell each other.
  """

  def __init__(self, cluster: cluster_lib.Cluster,
               training: training_pb2.Training,
               interruption: interruption_lib.Interruption,
               log: Callable[[str], None], server=None,
               is_over: Callable[[], bool] = lambda: False):
    """Starts the server of this process.

    Args:
      cluster: The cluster.
      training: The `Training` message.
      interruption: Notes signals.
      log: Takes a line.
      server: A server that is running already; None: one is started.
      is_over: Tells whether the run is, where nobody answers.

    Raises:
      ConfigErrors: If cluster and strategy do not go together.
      ClusterError: If the address is taken.
    """
    self.cluster, self._message, self._log = cluster, training.cluster, log
    self.strategy = self._message.WhichOneof("strategy") or "asynchronous"
    cluster_checks.check_processes(cluster, self._message)
    self._interruption, self._is_over = interruption, is_over
    self.replica: Optional[replicas.Replica] = None
    self._is_ring = self.strategy == "all_reduce"
    self._config = servers_lib.settings_of(cluster, training)
    self._server = server or servers_lib.start(cluster, self._config)
    # Not before: a server's settings are those of all its sessions, and what
    # the chief announces must be seen from others.
    self._config.isolate_session_state = self._is_ring
    self._config.device_filters.extend(
        [cluster.device] if self._is_ring else ["/job:ps", cluster.device])
    center = cluster.chief if self._is_ring else cluster.ps[0]
    self.control = control_lib.Control(
        self._server.target, cluster.device, center, [center] if self._is_ring
        else cluster.ps)
    # One for the whole graph, as it remembers what is where.
    self._devices = (cluster.device if self._is_ring else
                     placement.on_servers(cluster.ps, cluster.device))
    self._watch = watching.Watch(cluster, self._message, self.control,
                                 interruption, log)
    self._session = self._broadcast = None

  def placed(self) -> ContextManager:
    """Returns the scope that puts variables and ops on their devices."""
    return tf.device(self._devices)

  def at_hand(self) -> ContextManager:
    """Returns the scope of variables that stay with this process."""
    return tf.device(self.cluster.device)

  @property
  def partitioner(self) -> Optional[partitions.Partitioner]:
    """Says how tables are cut, as `graphs.build` takes it."""
    return None if self._is_ring else partitions.by_bytes(
        len(self.cluster.ps), self._message.min_bytes_per_part)

  @property
  def batches(self) -> int:
    """Batches that a step is made of, one by worker."""
    return (1 if self.strategy == "asynchronous"
            else len(self.cluster.workers))

  def join(self, global_step: tf.Variable) -> replicas.Replica:
    """Makes what workers share in the current graph."""
    count, rank = len(self.cluster.workers), self.cluster.rank
    if self._is_ring:
      self.replica = replicas.Ring(count, rank)
    elif self.strategy == "synchronous":
      self.replica = replicas.Synchronous(
          count, rank, self.cluster.ps[0], self.cluster.device,
          self._message.synchronous.backup_workers)
    else:
      most = self._message.asynchronous
      self.replica = replicas.Asynchronous(
          self.cluster.ps[0], global_step, most.max_staleness
          if most.HasField("max_staleness") else None)
    return self.replica

  def prepare(self) -> None:
    """Adds the ops by which a run begins, once the graph has its variables."""
    if self._is_ring:
      with tf.name_scope("broadcast"):
        self._broadcast = self.replica.broadcast(sorted(
            (v for v in tf.global_variables() if v.dtype.base_dtype
             != tf.string), key=lambda v: v.op.name))
    elif self.strategy == "synchronous" and self.cluster.is_chief:
      with tf.name_scope("start_over"):
        self._broadcast = self.replica.start_over()

  def open_session(self, graph: tf.Graph, execution: training_pb2.Execution
                   ) -> tf.Session:
    """Opens a session once the servers that it needs answer.

    Args:
      graph: The graph.
      execution: That of the experiment, which the server has got already.
    """
    del execution
    if not self._is_ring:
      addresses = self.cluster.addresses
      waiting_lib.wait_for(
          {device: addresses[device] for device in self.cluster.ps},
          self._message.wait_seconds, self._log, self._interruption,
          self._is_over)
    self._session = tf.Session(self._server.target, graph=graph,
                               config=self._config)
    self._watch.start(self._session)
    return self._session

  def with_others(self, step: bool = False) -> ContextManager:
    """Surrounds what ends only if others do their part; see `Watch`."""
    return self._watch.with_others(step)

  def run_options(self) -> Optional[tf.RunOptions]:
    """Returns what a step must be run with."""
    if not self._is_ring:
      return None
    options = tf.RunOptions()
    options.experimental.collective_graph_key = _COLLECTIVE
    return options

  def begin(self, step: int, basis: str, claimed: int = 0) -> None:
    """Has everybody begin, from the values that the session has.

    Args:
      step: The global step.
      basis: What all must have in common; see `agreement`.
      claimed: Batches that were claimed by then, as `claimed` has returned it.
    """
    generation = self.control.new_generation()
    if self.strategy == "asynchronous":
      self._load(self.replica.claimed, max(step, claimed))
    elif self.strategy == "synchronous":
      self._load(self.replica.base, generation)
      self._load(self.replica.first, step)
      self._session.run(self._broadcast)
    self.control.announce_basis(basis)
    self.control.announce(generation)
    self._watch.generation = generation
    if self._is_ring:
      self._log(f"waiting for {len(self.cluster.workers) - 1} workers")
      with self.with_others():
        self._session.run(self._broadcast, options=self.run_options())
      self.control.announce(generation + control_lib.UNDER_WAY)

  def claimed(self) -> int:
    """Returns how many batches are claimed, where some are dropped; else 0."""
    return (int(self._session.run(self.replica.claimed))
            if self._message.asynchronous.HasField("max_staleness") else 0)

  def follow(self, basis: str) -> None:
    """Waits until the chief has begun, and begins with it.

    Args:
      basis: What this process has that all must have in common.

    Raises:
      ConfigErrors: If it differs from the chief's.
    """
    chief = self.cluster.chief
    address = self.cluster.workers.get(chief, "an address of its own")
    if self._is_ring:
      waiting_lib.wait_for({chief: address}, self._message.wait_seconds,
                           self._log, self._interruption, self._is_over)
    waiting = waiting_lib.Waiting(
        f"chief at {address}", self._message.wait_seconds, self._log,
        self._interruption, self._is_over)
    asked = False
    while True:
      generation = self.control.read()
      if generation == control_lib.ENDED:
        raise waiting_lib.Ended()
      if asked and not generation:  # Sessions know the server that has gone.
        raise Lost(f"{waiting_lib.title(self.cluster.device)}: the chief has "
                   "begun anew")
      if generation and generation & control_lib.UNDER_WAY:
        # The others may wait for what died in this one's place.
        self.control.announce(control_lib.ASKED)
        asked = True
      elif generation and generation not in (control_lib.ASKED,
                                             control_lib.SETTLING):
        found = self.control.read_basis()
        if found is not None:
          break
      waiting.go_on()
    agreement.check(found, basis)
    self._watch.generation = generation
    if self.strategy == "synchronous":
      self._load(self.replica.base, generation)
      self._session.run(self.replica.first.initializer)
    elif self._is_ring:
      with self.with_others():
        self._session.run(self._broadcast, options=self.run_options())

  @contextlib.contextmanager
  def making_steps(self) -> Iterator[None]:
    """Surrounds the steps of a worker, whom the chief waits for in the end.

    Who comes late reads in there where the run is, and whether there is any step
    left to make: the chief waits only for those who have said that they do.
    """
    if self.strategy != "asynchronous":
      yield
      return
    self.control.say_active(self.cluster.rank, True)
    try:
      self._watch.hear()
      yield
    finally:
      self.control.say_active(self.cluster.rank, False)

  @property
  def told(self) -> bool:
    """Whether an asynchronous worker is to make no further step."""
    return self._watch.told

  def stay(self) -> None:
    """Waits, after a worker's last step, until the chief has saved it.

    A chief who is away goes back to its last checkpoint, and then needs all.

    Raises:
      ClusterError: If the chief has been away for too long.
      Lost: If it has begun anew, or nobody knows.
    """
    address = self.cluster.workers.get(self.cluster.chief)
    absence = waiting_lib.Absence(
        {self.cluster.chief: address} if address else {},
        self._message.wait_seconds, self._log)
    while not self._interruption.requested():
      why = self._watch.hear()
      if why == watching.ENDED or self._is_over():
        return
      if why and why != watching.SETTLING:
        raise self._lost(why)
      problem = absence.look()
      if problem:
        raise waiting_lib.ClusterError(problem)
      time.sleep(_PAUSE)

  def settle(self, global_step: tf.Variable, over: bool) -> int:
    """Returns the global step, once nobody changes it if the run is over."""
    if self.strategy == "asynchronous" and over:
      self.control.announce(control_lib.SETTLING)
      self.control.wait_for_active(self.cluster)
    return int(self._session.run(global_step))

  def dismiss(self) -> None:
    """Has workers leave: the run is over, and what they have done is saved."""
    self.control.announce(control_lib.ENDED)

  def _load(self, variable, value):
    self._session.run(variable.initializer,
                      {variable.initializer.inputs[1]: value})

  def explain(self, error: Exception) -> Exception:
    """Returns what an error means that may be of a cluster that has changed.

    Args:
      error: What has come out of a session, or a `CheckpointError` of it.

    Returns:
      `Lost` if a process is gone, `Ended` if the chief has ended the run,
      `Interrupted` if a signal came while others were waited for, `ClusterError`
      if others have been away for too long; else the error itself.
    """
    cause = error if isinstance(error, tf.errors.OpError) else error.__cause__
    if cause is not error and isinstance(cause, _OF_FILES):
      return error
    if not isinstance(cause, _GONE) and not (
        self._watch.why and isinstance(error, RuntimeError)):  # Of a closed session.
      return error
    if self._interruption.requested() or (
        self._watch.why == watching.INTERRUPTED):
      return interruption_lib.Interrupted(
          "stopped while waiting for others; what was not saved by then is in "
          "no checkpoint", self._interruption.signal or signal.SIGTERM)
    if isinstance(self._watch.why, Exception):
      return self._watch.why
    if self._watch.why == watching.ENDED or not self.cluster.is_chief and (
        self.control.read() == control_lib.ENDED):
      return waiting_lib.Ended()
    return self._lost(
        self._watch.why or lost_peers.explain(cause, self.cluster))

  def _lost(self, reason):
    lost = Lost(f"{waiting_lib.title(self.cluster.device)}: lost the cluster: "
                f"{reason}")
    lost.after_steps = self._watch.made_step
    return lost

  def close(self, ended: bool) -> None:
    """Leaves the cluster.

    Args:
      ended: Whether the run is over, of which the chief tells the others.
    """
    self._watch.stop()
    told = self.cluster.ps or [self.cluster.chief]
    if ended and (self.control.has_run or all(
        waiting_lib.answers(address) for device, address
        in self.cluster.addresses.items() if device in told)):
      if self.cluster.is_chief:
        with contextlib.suppress(tf.errors.OpError):  # Then nobody is there.
          self.control.announce(control_lib.ENDED)
      self.control.leave(self.cluster.rank)
      if self.cluster.is_chief and self._is_ring:
        # The others ask this process whether the run is over.
        control_lib.wait_for_all(self._server.target, self.cluster)
    self._watch.join()
    self.control.close()


@contextlib.contextmanager
def taking_part(cluster: cluster_lib.Cluster, training: training_pb2.Training,
                interruption: interruption_lib.Interruption,
                log: Callable[[str], None], server=None,
                is_over: Callable[[], bool] = lambda: False
                ) -> Iterator[Member]:
  """Makes a `Member`, and leaves the cluster in the end, as its arguments say.

  Yields:
    The member.

  Raises:
    Lost, Ended, Interrupted: See `Member.explain`.
  """
  member = Member(cluster, training, interruption, log, server, is_over)
  try:
    yield member
  except Exception as error:
    meant = member.explain(error)
    # Others wait for who comes back. A chief who has found that the run is over
    # has found nobody to tell.
    comes_back = isinstance(meant, (Lost, interruption_lib.Interrupted))
    member.close(ended=not comes_back and not (
        cluster.is_chief and isinstance(meant, waiting_lib.Ended)))
    if meant is error:
      raise
    raise meant from error
  member.close(ended=True)
