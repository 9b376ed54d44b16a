"""One run of a cluster on this machine, of which processes are ended midway."""

import glob
import json
import os
import re
import signal
import time
from typing import List, NamedTuple, Optional, Sequence, Tuple

from tools.clusters import processes

# Who may be ended, and by which signal. All get SIGTERM, as machines that are
# taken away give it.
VICTIMS = ("ps", "chief", "worker", "evaluator", "all")
_STEP = re.compile(r"step (\d+)/\d+")


class Blow(NamedTuple):
  """What is done to a run.

  Attributes:
    victim: Name of a process, or "all".
    moment: Seconds after the run was started.
  """
  victim: str
  moment: float


class Ran(NamedTuple):
  """What has come of a run.

  Attributes:
    problem: What went wrong; None: nothing.
    seconds: From its start until its last process had ended.
    after_last_step: Seconds from its last step until then.
    step: The last step.
    metric: The metric of the validation rows.
    at_step: The step that the log had come to at the blow.
    struck: Whether there was somebody left to end.
    restarted: Names of the processes that were started again.
  """
  problem: Optional[str]
  seconds: float
  after_last_step: float = float("nan")
  step: int = 0
  metric: float = float("nan")
  at_step: int = 0
  struck: bool = False
  restarted: Tuple[str, ...] = ()


def names(kind: str, ps: int, workers: int) -> List[str]:
  """Returns the processes of a kind in `VICTIMS`; worker 0 is the chief."""
  return {"ps": [f"ps-{i}" for i in range(ps)], "chief": ["worker-0"],
          "worker": [f"worker-{i}" for i in range(1, workers)],
          "evaluator": ["evaluator-0"], "all": ["all"]}[kind]


def run(arguments: Sequence[str], folder: str, ps: int, workers: int,
        metric: str, most: float, blow: Optional[Blow] = None) -> Ran:
  """Trains in a cluster, ends some of it, and waits for the run's end.

  Args:
    arguments: Flags of every process but --model_dir.
    folder: The run's folder, a new one.
    ps: Parameter servers.
    workers: Workers, the chief among them.
    metric: "task/name".
    most: Seconds that the run may take.
    blow: What is done to it; None: nothing.

  Returns:
    A `Ran`.
  """
  evaluator = blow is not None and blow.victim == "evaluator-0"
  cluster = processes.LocalCluster(
      [*arguments, f"--model_dir={folder}"], os.path.join(folder, "logs"), ps,
      workers, evaluator=evaluator, restart=True)
  began, at_step, struck = time.time(), 0, None
  try:
    problem = "not done"
    if blow is not None:
      problem = cluster.wait(blow.moment)
      if problem == processes.not_done(blow.moment):
        at_step = _step_of(cluster.log_of("worker-0"))
        struck = _strike(cluster, blow.victim)
    if problem:
      problem = cluster.wait(most - (time.time() - began))
    ended = time.time()
    left = cluster.left_over()
    if not problem and left:
      problem = f"{len(left)} processes outlive the run"
  finally:
    cluster.stop()
  if not problem and cluster.left_over():
    problem = "processes outlive their end"
  result = _result(folder)
  if result is None:
    return Ran(problem or "left no finished.json", ended - began,
               at_step=at_step, struck=bool(struck),
               restarted=tuple(cluster.restarted))
  after = ended - _last_step(folder, result["step"], struck or 0)
  if not problem and after > processes.GRACE:
    problem = f"ends {after:.1f} s after its last step"
  task, _, name = metric.partition("/")
  return Ran(problem, ended - began, after, result["step"],
             result["metrics"]["validation"][task][name], at_step, bool(struck),
             tuple(cluster.restarted))


def _strike(cluster, victim):
  """Ends who still runs; returns when, or None: nobody did."""
  struck = None
  for name in list(cluster.processes) if victim == "all" else [victim]:
    if cluster.processes[name].poll() is None:
      struck = struck or time.time()
      cluster.processes[name].send_signal(
          signal.SIGTERM if victim == "all" else signal.SIGKILL)
  return struck


def _step_of(log):
  with open(log, encoding="utf-8", errors="replace") as file:
    found = _STEP.findall(file.read())
  return int(found[-1]) if found else 0


def _result(folder):
  try:
    with open(os.path.join(folder, "finished.json"), encoding="utf-8") as file:
      return json.load(file)["result"]
  except OSError:
    return None


def _last_step(folder, step, struck):
  """Returns when the last step was done: its checkpoint is written at once.

  A process that is ended after that step has to come back before the run can
  end; then it is when the run's result was written.
  """
  times = [os.path.getmtime(path) for path in glob.glob(os.path.join(
      glob.escape(folder), f"model.ckpt-{step}.index"))]
  if not times or times[0] < struck:
    return os.path.getmtime(os.path.join(folder, "finished.json"))
  return times[0]
