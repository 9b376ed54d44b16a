"""Starts a whole cluster on this machine and trains an experiment in it.

Parameter servers, workers (worker 0 is the chief) and, if asked for, an
evaluator, each a process of `python -m mtl_graph.train` on loopback, each with a
log of its own in `model_dir/logs`. Ends when the run does; a process that fails
ends the others, or is started again with --restart. SIGINT and SIGTERM end all
of them, and none outlives this one.
"""

import os
import signal
import sys
import time

from absl import flags

from mtl_graph import launching
from mtl_graph.training import interruption
from tools.clusters import processes

_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
flags.DEFINE_integer("ps", 1, "Parameter servers; 0 for all_reduce.",
                     lower_bound=0, flag_values=_FLAGS)
flags.DEFINE_integer("workers", 2, "Workers, the chief among them.",
                     lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_boolean("evaluator", False, "Whether there is an evaluator.",
                     flag_values=_FLAGS)
flags.DEFINE_boolean("restart", False, "Whether to start again what is killed.",
                     flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _train, __doc__)


def _train():
  from mtl_graph import config
  model_dir = launching.model_dir_of(_FLAGS, config.load(_FLAGS.config,
                                                         _FLAGS.set))
  signal.signal(signal.SIGTERM, _stop)
  cluster = processes.LocalCluster(
      [f"--config={_FLAGS.config}", f"--model_dir={model_dir}",
       f"--allow_python={','.join(_FLAGS.allow_python)}",
       *(f"--set={one}" for one in _FLAGS.set)], os.path.join(model_dir, "logs"),
      _FLAGS.ps, _FLAGS.workers, _FLAGS.evaluator, _FLAGS.restart)
  print(f"{len(cluster.processes)} processes; logs in {model_dir}/logs",
        flush=True)
  began = time.monotonic()
  try:
    problem = cluster.wait()
  finally:
    cluster.stop()
  if problem:
    print(problem, file=sys.stderr)
    raise SystemExit(1)
  print(f"done in {time.monotonic() - began:.1f} s")


def _stop(number, unused_frame):
  number = signal.Signals(number)
  raise interruption.Interrupted(f"stopped by {number.name}", number)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
