"""Says how fast an experiment would train on a cluster, and what holds it up.

Takes what a step takes on one machine, `--step_ms`, and how much it varies; the
bytes that a step moves follow from the experiment's variables: all of a dense
one each way, of a table the rows of the batch, but in a ring all of it. Three
strategies are simulated event by event: parameter servers that workers use as
they come (async), or all together, the slowest ones left out (sync), and equal
workers in a ring (all-reduce). Prints bytes by variable, then for each number of
workers examples per second, what share of as many single machines that is, and
the bound.
"""

import heapq
import math
import sys
from typing import Dict, List, NamedTuple

from absl import flags
import numpy as np

from mtl_graph import config
from mtl_graph import launching
from mtl_graph import outline
from mtl_graph.protos import experiment_pb2

_FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "Path of the experiment file.",
                    flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides one field, as in training.",
                          flag_values=_FLAGS)
flags.DEFINE_float("step_ms", None, "What a step takes on one machine alone, its "
                   "update included.", lower_bound=1e-6, flag_values=_FLAGS)
flags.DEFINE_float("jitter", 0.1, "Deviation of the logarithm of that.",
                   lower_bound=0, flag_values=_FLAGS)
flags.DEFINE_multi_integer("workers", [1, 2, 10, 100, 1000],
                           "Numbers of workers.", lower_bound=1,
                           flag_values=_FLAGS)
flags.DEFINE_integer("ps", 0, "Parameter servers; 0: one for every ten workers.",
                     lower_bound=0, flag_values=_FLAGS)
flags.DEFINE_float("gigabits", 10, "Of a machine's network, each way.",
                   lower_bound=1e-6, flag_values=_FLAGS)
flags.DEFINE_float("latency_us", 100, "Of a message.", lower_bound=0,
                   flag_values=_FLAGS)
flags.DEFINE_float("update_ns", 2, "What a parameter server's optimizer takes "
                   "for a number.", lower_bound=0, flag_values=_FLAGS)
flags.DEFINE_integer("steps", 200, "Steps to simulate, of each worker.",
                     lower_bound=2, flag_values=_FLAGS)
flags.DEFINE_integer("seed", 1, "Of the variation.", flag_values=_FLAGS)
flags.mark_flags_as_required(["config", "step_ms"], flag_values=_FLAGS)

_FLOAT, _ROW_NUMBER = 4, 8  # Bytes.


class Traffic(NamedTuple):
  """What a step moves each way between a worker and the variables.

  Attributes:
    dense: Numbers of dense variables.
    sparse: Bytes of rows of tables, their numbers with them.
    rows: Numbers in these rows.
    whole: Numbers in all rows of the tables.
  """
  dense: int
  sparse: int
  rows: int
  whole: int

  @property
  def bytes(self) -> int:
    """All of it."""
    return _FLOAT * self.dense + self.sparse


class Cluster(NamedTuple):
  """What a cluster is made of; times in seconds, rates in bytes per second.

  Attributes:
    workers: How many.
    ps: How many parameter servers.
    step: What a step takes up to its gradients.
    jitter: Deviation of its logarithm.
    rate: Of each machine's network, each way.
    latency: Of a message.
    update: What an optimizer takes for a number.
  """
  workers: int
  ps: int
  step: float
  jitter: float
  rate: float
  latency: float
  update: float

  def draw(self, random: np.random.Generator, shape) -> np.ndarray:
    """Draws what steps take, of the mean `step`."""
    return self.step * np.exp(
        self.jitter * random.normal(size=shape) - self.jitter ** 2 / 2)


def by_variable(experiment: experiment_pb2.Experiment) -> Dict[str, Traffic]:
  """Returns what a step moves of each variable.

  Args:
    experiment: The experiment, valid, its vocabularies in line.

  Returns:
    A `Traffic` by name. A table moves a row for every category of the batch,
    at most all its rows.
  """
  looked_up: Dict[str, int] = {}
  for feature in experiment.data.feature:
    if feature.HasField("categorical") and outline.is_deep(feature):
      several = feature.categorical.values.max_values or 1
      table = f"{outline.table_of(feature)}/embeddings"
      looked_up[table] = looked_up.get(table, 0) + several
  found = {}
  for name, shape in outline.build(experiment).variables.items():
    size = int(np.prod(shape))
    if name in looked_up:
      rows = min(shape[0], looked_up[name] * experiment.data.batch_size)
      numbers = rows * int(np.prod(shape[1:]))
      found[name] = Traffic(0, numbers * _FLOAT + rows * _ROW_NUMBER, numbers,
                            size)
    else:
      found[name] = Traffic(size, 0, 0, 0)
  return found


def total(traffic: Dict[str, Traffic]) -> Traffic:
  """Adds up what a step moves."""
  return Traffic(*(sum(each) for each in zip(*traffic.values())))


def asynchronous(cluster: Cluster, moved: Traffic, steps: int, seed: int
                 ) -> float:
  """Simulates workers that read, compute and write as they come.

  A parameter server holds an equal part of everything. It sends to one worker
  after the other, takes in from one after the other, and updates in between, so
  that who comes early waits.

  Args:
    cluster: The cluster.
    moved: What a step moves each way.
    steps: Steps of each worker, on average.
    seed: Of the variation.

  Returns:
    Steps per second of all workers.
  """
  random = np.random.default_rng(seed)
  share = moved.bytes / cluster.ps / cluster.rate
  # A worker's own network has all parts to itself.
  own = moved.bytes / cluster.rate
  update = cluster.update * (moved.dense + moved.rows) / cluster.ps
  free = {"out": 0.0, "in": 0.0, "update": 0.0}
  # Servers are alike, and each step uses all of them: one stands for all.
  events = [(0.0, worker, "read") for worker in range(cluster.workers)]
  heapq.heapify(events)
  wanted, done, last = steps * cluster.workers, 0, 0.0
  while done < wanted:
    now, worker, what = heapq.heappop(events)
    if what == "read":
      free["out"] = max(now, free["out"]) + share
      ready = max(free["out"], now + own) + cluster.latency
      heapq.heappush(events, (ready + cluster.draw(random, ()), worker,
                              "write"))
    elif what == "write":
      free["in"] = max(now, free["in"]) + share
      arrived = max(free["in"], now + own) + cluster.latency
      heapq.heappush(events, (arrived, worker, "update"))
    else:
      free["update"] = max(now, free["update"]) + update
      done, last = done + 1, free["update"]
      heapq.heappush(events, (last, worker, "read"))
  return done / last


def synchronous(cluster: Cluster, moved: Traffic, steps: int, seed: int,
                backups: int = 0) -> float:
  """Simulates workers that wait for each other at every step.

  Args:
    cluster: The cluster.
    moved: What a step moves each way.
    steps: Steps of each worker.
    seed: Of the variation.
    backups: How many of the slowest are not waited for.

  Returns:
    Batches per second that count, of all workers.
  """
  counted = cluster.workers - backups
  compute = np.sort(cluster.draw(np.random.default_rng(seed),
                                 [steps, cluster.workers]), 1)[:, counted - 1]
  share = moved.bytes / cluster.ps / cluster.rate
  own = moved.bytes / cluster.rate
  update = cluster.update * (moved.dense + counted * moved.rows) / cluster.ps
  # Everybody reads at once and writes at about once.
  network = (max(cluster.workers * share, own) + max(counted * share, own)
             + 2 * cluster.latency)
  return counted / float(np.mean(compute) + network + update)


def all_reduce(cluster: Cluster, moved: Traffic, steps: int, seed: int) -> float:
  """Simulates equal workers that add up gradients in a ring.

  Each sends and takes 2 (N - 1) / N of the gradients, in 2 (N - 1) messages.
  Those of tables go around with all their rows, as others do.

  Args:
    cluster: The cluster; there are no parameter servers.
    moved: What a step moves.
    steps: Steps of each worker.
    seed: Of the variation.

  Returns:
    Batches per second of all workers.
  """
  count = cluster.workers
  compute = cluster.draw(np.random.default_rng(seed), [steps, count]).max(1)
  numbers = moved.dense + moved.whole
  ring = 2 * (count - 1) / count * _FLOAT * numbers / cluster.rate
  messages = 2 * (count - 1) * cluster.latency
  return count / float(np.mean(compute) + ring + messages
                       + cluster.update * numbers)


def bounds(cluster: Cluster, moved: Traffic) -> Dict[str, float]:
  """Returns the most steps per second that each part of a cluster lets through.

  Args:
    cluster: The cluster.
    moved: What a step moves each way.

  Returns:
    Steps per second of all workers by what bounds them.
  """
  numbers = moved.dense + moved.rows
  return {
      "workers": cluster.workers / cluster.step,
      "network of parameter servers": (
          cluster.ps * cluster.rate / moved.bytes),
      "updates": (cluster.ps / (cluster.update * numbers)
                  if cluster.update else math.inf),
      "network of workers": cluster.workers * cluster.rate / (2 * moved.bytes),
  }


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _simulate, __doc__)


def _simulate():
  experiment = config.load(_FLAGS.config)
  for assignment in _FLAGS.set:
    config.override(experiment, assignment)
  traffic = by_variable(experiment)
  moved = total(traffic)
  for name, one in sorted(traffic.items(), key=lambda item: -item[1].bytes)[:12]:
    print(f"{one.bytes:14,} bytes a step each way  {name}")
  print(f"{moved.bytes:14,} bytes a step each way, all {len(traffic)} variables")
  alone, batch = 1e3 / _FLAGS.step_ms, experiment.data.batch_size
  print(f"one machine: {alone * batch:,.0f} examples/s")
  for line in _table(moved, alone, batch):
    print(line)


def _table(moved, alone, batch) -> List[str]:
  """Returns lines on each number of workers."""
  lines = [f"{'workers':>7}{'ps':>5}" + "".join(
      f"{name:>16}{'share':>7}" for name in
      ("async", "sync", "sync 5% less", "all-reduce")) + "  bound of async"]
  for workers in _FLAGS.workers:
    update = _FLAGS.update_ns / 1e9
    # Much of a step that is all update is the update of a parameter server.
    gradients = max(1 / alone - update * (moved.dense + moved.rows), 0.1 / alone)
    cluster = Cluster(
        workers, _FLAGS.ps or max(1, math.ceil(workers / 10)), gradients,
        _FLAGS.jitter, _FLAGS.gigabits * 1e9 / 8, _FLAGS.latency_us / 1e6,
        update)
    steps = max(_FLAGS.steps // max(workers // 50, 1), 4)
    found = [asynchronous(cluster, moved, steps, _FLAGS.seed),
             synchronous(cluster, moved, steps, _FLAGS.seed),
             synchronous(cluster, moved, steps, _FLAGS.seed,
                         math.floor(workers * 0.05)),
             all_reduce(cluster, moved, steps, _FLAGS.seed)]
    limits = bounds(cluster, moved)
    bound = min(limits, key=limits.get)
    lines.append(f"{workers:>7}{cluster.ps:>5}" + "".join(
        f"{each * batch:>16,.0f}{each / workers / alone:>7.0%}"
        for each in found) + f"  {bound}")
  return lines


if __name__ == "__main__":
  sys.exit(main(sys.argv))
