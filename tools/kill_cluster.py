"""Kills processes of clusters at random moments, and sees whether runs end well.

Trains an experiment in a cluster on this machine once undisturbed, then again
and again, each time ending a parameter server, the chief or another worker by
SIGKILL at a random moment of the run; it is started again. Each run must end, at
its last step (asynchronous: at most one step per worker beyond), within
`--most_seconds` of the undisturbed run's, with the metric as undisturbed within
`--tolerance`. Prints a line for each run.
"""

import json
import os
import random
import signal
import sys
import time

from absl import flags

from mtl_graph import launching
from tools.clusters import processes

_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
flags.DEFINE_string("metric", None, "Metric of the validation rows, such as "
                    "late/auc.", flag_values=_FLAGS)
flags.DEFINE_float("tolerance", 0.005, "How far it may be off.", lower_bound=0,
                   flag_values=_FLAGS)
flags.DEFINE_integer("times", 20, "How many runs are disturbed.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("ps", 1, "Parameter servers.", lower_bound=0,
                     flag_values=_FLAGS)
flags.DEFINE_integer("workers", 2, "Workers.", lower_bound=2, flag_values=_FLAGS)
flags.DEFINE_float("most_seconds", 60, "How much longer a run may take.",
                   lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_integer("seed", 0, "Seed of the moments.", flag_values=_FLAGS)
flags.mark_flags_as_required(["metric", "model_dir"], flag_values=_FLAGS)


def _run(folder: str, most: float, victim=None, moment: float = 0.0):
  """Trains; returns what went wrong, seconds, step and metric."""
  cluster = processes.LocalCluster(
      [f"--config={_FLAGS.config}", f"--model_dir={folder}",
       *(f"--set={one}" for one in _FLAGS.set)], os.path.join(folder, "logs"),
      _FLAGS.ps, _FLAGS.workers, restart=True)
  began = time.monotonic()
  try:
    problem = None
    if victim is not None:
      problem = cluster.wait(moment)  # Not done by then, as is to be expected.
      process = cluster.processes[victim]
      if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    if victim is None or problem is not None:
      problem = cluster.wait(most)
  finally:
    cluster.stop()
  seconds = time.monotonic() - began
  try:
    with open(os.path.join(folder, "finished.json"), encoding="utf-8") as file:
      result = json.load(file)["result"]
  except OSError:
    return problem or "left no finished.json", seconds, 0, float("nan")
  task, _, metric = _FLAGS.metric.partition("/")
  return (problem, seconds, result["step"],
          result["metrics"]["validation"][task][metric])


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _kill, __doc__)


def _kill():
  from mtl_graph import config
  steps = config.load(_FLAGS.config, _FLAGS.set).training.num_steps
  problem, usual, step, expected = _run(
      os.path.join(_FLAGS.model_dir, "undisturbed"), 600)
  if problem:
    raise flags.Error(f"--config: undisturbed, the run fails: {problem}")
  print(f"undisturbed: {usual:.1f} s, step {step}, {_FLAGS.metric} "
        f"{expected:.4f}", flush=True)
  victims = [*(f"ps-{i}" for i in range(_FLAGS.ps)),
             *(f"worker-{i}" for i in range(_FLAGS.workers))]
  moments, bad = random.Random(_FLAGS.seed), 0
  for i in range(_FLAGS.times):
    victim, moment = moments.choice(victims), moments.uniform(0, usual)
    problem, seconds, step, found = _run(
        os.path.join(_FLAGS.model_dir, f"killed-{i}"),
        usual + _FLAGS.most_seconds, victim, moment)
    if not problem and not steps <= step <= steps + _FLAGS.workers:
      problem = f"{step} steps, not {steps}"
    if not problem and not abs(found - expected) <= _FLAGS.tolerance:
      problem = f"off by {found - expected:+.4f}"
    bad += bool(problem)
    print(f"{i + 1:3d} {victim} killed after {moment:5.1f} s: {seconds:5.1f} s, "
          f"step {step}, {_FLAGS.metric} {found:.4f} {problem or 'well'}",
          flush=True)
  print(f"{_FLAGS.times - bad} of {_FLAGS.times} ended well")
  if bad:
    raise SystemExit(1)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
