"""Measures what a step of a worker moves to and from its parameter servers.

Trains a small model with one table of embeddings in a cluster on this machine,
asynchronously, each parameter server a process of its own and this one the
worker. Prints, for every size of the table and of the batch, the bytes that a step
sends and receives: what the kernel has counted on the connections between them
(`ss -ti`), without what TCP itself adds.
"""

import os
import re
import subprocess
import sys
import tempfile
from typing import Dict, NamedTuple, Optional, Sequence

from absl import flags
import numpy as np

from mtl_graph import importing
from mtl_graph import launching

_FLAGS = flags.FlagValues()
flags.DEFINE_multi_integer("rows", [50_000, 5_000_000], "Rows of the table.",
                           lower_bound=2, flag_values=_FLAGS)
flags.DEFINE_multi_integer("batch_size", [64, 512], "Rows of a batch.",
                           lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_integer("dimension", 16, "Width of the table.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("ps", 2, "Parameter servers.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("steps", 50, "Steps that are measured, after 10 others.",
                     lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides one field of the experiment, "
                          "as in training.", flag_values=_FLAGS)

_EARLIER = 10
_EXAMPLES = 4096
_TEXT = """
name: "bytes" seed: 1
data {
  train { csv { path: "%s" } } batch_size: %d
  feature { name: "id" categorical { num_buckets: %d embedding_dimension: %d } }
}
model {
  hard_sharing { trunk { layer { dense { units: 8 activation: RELU } } } }
  task { name: "y" binary {} }
}
training {
  num_steps: 1000000
  joint { loss { sum {} } }
  default_optimizer { lazy_adam { learning_rate { constant: 0.001 } } }
  checkpoint { every_steps: 0 }
  log_every_steps: 1000000
  summaries { enabled: false }
  cluster { asynchronous {} }
}
"""


class Moved(NamedTuple):
  """Bytes of a step.

  Attributes:
    sent: From the worker to parameter servers.
    received: From them.
  """
  sent: float
  received: float


class _Measured(Exception):
  """Ends a run that has been measured."""


def write(folder: str, rows: int, dimension: int, batch_size: int,
          overrides: Sequence[str] = ()) -> str:
  """Writes an experiment over a table, and its rows; returns its path.

  Args:
    folder: Where to.
    rows: Rows of the table.
    dimension: Width of the table.
    batch_size: Rows of a batch.
    overrides: As --set takes them.
  """
  from mtl_graph import config
  random = np.random.default_rng(0)
  data, path = (os.path.join(folder, name) for name in ("rows.csv", "exp.pbtxt"))
  with open(data, "w", encoding="utf-8") as file:
    file.write("id,y\n")
    for row, label in zip(random.integers(0, rows, _EXAMPLES),
                          random.integers(0, 2, _EXAMPLES)):
      file.write(f"{row},{label}\n")
  experiment = config.parse(_TEXT % (data, batch_size, rows, dimension))
  for assignment in overrides:
    config.override(experiment, assignment)
  config.write(experiment, path)
  return path


def measure(path: str, model_dir: str, jobs: Dict[str, Dict[int, str]],
            steps: int, server=None) -> Moved:
  """Trains as the one worker of a cluster, and counts bytes on the way.

  Args:
    path: What `write` returned.
    model_dir: Folder of the run.
    jobs: Addresses by job and index, as `cluster.Cluster` has them.
    steps: Steps that are measured.
    server: A server of this process that is running already.

  Returns:
    A `Moved`.
  """
  import tensorflow.compat.v1 as tf
  from mtl_graph import cluster
  from mtl_graph import config
  from mtl_graph import validation
  from mtl_graph.training import loop

  ports = {job: [address.rpartition(":")[2] for address in some.values()]
           for job, some in jobs.items()}

  class Count(tf.train.SessionRunHook):
    """Reads the counters before and after the steps that are measured."""
    ran, before, found = 0, None, None

    def after_run(self, run_context, run_values):
      del run_context, run_values
      self.ran += 1
      if self.ran == _EARLIER:
        self.before = _count(ports)
      elif self.ran == _EARLIER + steps:
        after = _count(ports)
        self.found = Moved(*[(a - b) / steps
                             for a, b in zip(after, self.before)])
        raise _Measured()

  experiment, count = config.load(path), Count()
  validation.check(experiment)
  try:
    loop.train(experiment, model_dir, log=lambda line: None, hooks=[count],
               cluster=cluster.Cluster(jobs, "worker", 0), server=server)
  except _Measured:
    pass
  return count.found


def _count(ports: Dict[str, Sequence[str]]) -> Moved:
  """Returns what the kernel has counted so far, seen from the worker."""
  # Whoever asks for something has opened the connection, and bears no port of
  # the cluster: each connection is looked at from that end.
  asked = [_connections(ports["ps"]), _connections(ports["worker"])]
  return Moved(asked[0].sent + asked[1].received,
               asked[0].received + asked[1].sent)


def _connections(ports) -> Moved:
  text = subprocess.run(
      ["ss", "-tinH", " or ".join(f"dport = :{port}" for port in ports)],
      check=True, capture_output=True, text=True).stdout
  return Moved(*[sum(map(int, re.findall(rf"\bbytes_{what}:(\d+)", text)))
                 for what in ("acked", "received")])


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _measure_all, __doc__)


def _measure_all():
  importing.start_tensorflow()
  print(f"{'rows':>12}{'batch':>8}{'sent':>14}{'received':>14}  bytes a step")
  for rows in _FLAGS.rows:
    for batch_size in _FLAGS.batch_size:
      moved = _alone(rows, batch_size)
      print(f"{rows:>12,}{batch_size:>8,}{moved.sent:>14,.0f}"
            f"{moved.received:>14,.0f}", flush=True)


def _alone(rows: int, batch_size: int) -> Optional[Moved]:
  """Measures in a cluster of its own."""
  from tools.clusters import processes
  addresses = processes.free_addresses(_FLAGS.ps + 1)
  jobs = {"worker": {0: addresses[0]}, "ps": dict(enumerate(addresses[1:]))}
  with tempfile.TemporaryDirectory() as folder:
    path = write(folder, rows, _FLAGS.dimension, batch_size, _FLAGS.set)
    servers = []
    try:
      for index in jobs["ps"]:
        servers.append(subprocess.Popen(
            [sys.executable, "-m", "mtl_graph.train", f"--config={path}",
             "--job_name=ps", f"--task_index={index}",
             f"--ps_hosts={','.join(addresses[1:])}",
             f"--worker_hosts={addresses[0]}"], stdout=subprocess.DEVNULL,
            preexec_fn=processes.die_with_parent))
      return measure(path, os.path.join(folder, "run"), jobs, _FLAGS.steps)
    finally:
      for server in servers:
        server.terminate()
        server.wait()


if __name__ == "__main__":
  sys.exit(main(sys.argv))
