"""A cluster in one process: servers on loopback, workers in threads."""

import faulthandler
import functools
import queue
import socket
import threading

import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph.protos import training_pb2
from mtl_graph.training import control as control_lib
from mtl_graph.training import following
from mtl_graph.training import loop
from mtl_graph.training import servers as servers_lib

# Seconds within which a part joins, and then within which one ends.
_MOST = 180


def free_addresses(count):
  """Returns addresses that nobody listens at."""
  held = [socket.socket() for _ in range(count)]
  for one in held:
    one.bind(("127.0.0.1", 0))
  found = [f"127.0.0.1:{one.getsockname()[1]}" for one in held]
  for one in held:
    one.close()
  return found


class Loopback:
  """Servers of two workers, and of parameter servers; they end with the process.
  """

  def __init__(self, servers: int, started: int = 2):
    """Starts them.

    Args:
      servers: How many parameter servers there are; 0: workers of a ring.
      started: How many of the two workers there are.
    """
    addresses = free_addresses(servers + 2)
    self.jobs = {"worker": dict(enumerate(addresses[:2]))}
    if servers:
      self.jobs["ps"] = dict(enumerate(addresses[2:]))
    training = training_pb2.Training()
    if not servers:
      training.cluster.all_reduce.SetInParent()
    parts = [cluster_lib.Cluster(self.jobs, job, index)
             for job, some in self.jobs.items() for index in some
             if job == "ps" or index < started]
    self._servers = {
        (part.job, part.index): servers_lib.start(
            part, servers_lib.settings_of(part, training)) for part in parts}

  def server(self, index: int) -> tf.train.Server:
    """Returns the server of a worker."""
    return self._servers["worker", index]

  def chief(self) -> tf.train.Server:
    """Returns the server of the chief."""
    return self.server(0)

  def _parts(self, experiment, folder, log):
    """Returns what those do that are not the chief, by their names."""
    found = {}
    for (job, index), server in self._servers.items():
      part = cluster_lib.Cluster(self.jobs, job, index)
      if job == "ps":
        found[f"ps {index}"] = functools.partial(
            following.serve, experiment, folder, part, log, server)
      elif index:
        found[f"worker {index}"] = functools.partial(
            following.train, experiment, folder, part, None, log, server)
    return found

  def _forget_earlier_run(self):
    center = "/job:ps/task:0" if "ps" in self.jobs else "/job:worker/task:0"
    control = control_lib.Control(self._servers["worker", 0].target,
                                  "/job:worker/task:0", center, [])
    control.announce(0)
    control.close()

  def train(self, experiment, folder, log=lambda line: None, **more):
    """Trains in all parts; returns what the chief does, once all are done.

    The chief's first step waits until the other worker has joined. Nobody who
    has failed comes back in here: what another than the chief raises is raised
    at once, and the others are left where they are.
    """
    joined, lines = threading.Event(), []
    self._forget_earlier_run()

    def note(line):
      lines.append(line)
      log(line)
      if line.startswith("worker 1: SESSION"):
        joined.set()
      elif "execution: SESSION" in line:
        joined.wait(_MOST)

    parts = self._parts(experiment, folder, note)
    parts["chief"] = functools.partial(
        loop.train, experiment, folder, log=note,
        cluster=cluster_lib.Cluster(self.jobs, "worker", 0),
        server=self.chief(), **more)
    ended, results = queue.Queue(), {}
    for name, part in parts.items():
      threading.Thread(target=_put, args=(ended, name, part),
                       daemon=True).start()
    while len(results) < len(parts):
      try:
        name, result, error = ended.get(timeout=_MOST)
      except queue.Empty:
        faulthandler.dump_traceback()  # What each thread waits for.
        raise AssertionError("\n".join(
            [f"Ended: {sorted(results)}, not the others", *lines])) from None
      if error and name != "chief" and "chief" not in results:
        raise error
      results[name] = result, error
    result, error = results["chief"]
    if error:
      raise error
    return result


def _put(ended, name, part):
  try:
    ended.put((name, part(), None))
  except BaseException as error:
    ended.put((name, None, error))
