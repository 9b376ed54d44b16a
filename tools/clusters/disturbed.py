"""One run of a cluster on this machine, of which processes are ended midway."""

import glob
import json
import os
import re
import signal
import time
from typing import List, NamedTuple, Optional, Sequence, Tuple

from tools.clusters import processes

# Who may be ended, by SIGKILL. All get SIGTERM, as machines that are taken away
# give it, have to end by themselves, and are started again together.
VICTIMS = ("ps", "chief", "worker", "evaluator", "all")
_LOOK = 0.1
_STEP = re.compile(r"^step (\d+)/\d+", re.MULTILINE)
_WENT_ON = re.compile(r"^going on from step (\d+)$", re.MULTILINE)


class Blow(NamedTuple):
  """What is done to a run.

  Attributes:
    victim: Name of a process, or "all".
    moment: Seconds after the run was started.
    after_step: In place of it, the step that the chief's log has come to.
  """
  victim: str
  moment: float
  after_step: Optional[int] = None


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
    ended_within: Seconds that all took to end, where all were asked to.
    went_on_from: The step that the chief went on from when it was back.
  """
  problem: Optional[str]
  seconds: float
  after_last_step: float = float("nan")
  step: int = 0
  metric: float = float("nan")
  at_step: int = 0
  struck: bool = False
  restarted: Tuple[str, ...] = ()
  ended_within: float = float("nan")
  went_on_from: int = 0


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
  chief = cluster.log_of("worker-0")
  began, at_step, struck, within = time.time(), 0, None, float("nan")
  try:
    problem, goes_on = None, True
    if blow is not None:
      problem, goes_on = _wait_for(blow, cluster)
    if blow is not None and goes_on:
      at_step = _last(_STEP, chief)
      struck, problem, within = _strike(cluster, blow.victim)
    if goes_on and not problem:
      problem = cluster.wait(most - (time.time() - began))
    ended = time.time()
    with_traceback, left = cluster.with_traceback(), cluster.left_over()
    if not problem and with_traceback:
      problem = f"the log of {with_traceback} holds a traceback"
    if not problem and left:
      problem = f"{len(left)} processes outlive the run"
  finally:
    cluster.stop()
  if not problem and cluster.left_over():
    problem = "processes outlive their end"
  # The chief, of all that are asked to end, saves all it has.
  went_on = _last(_WENT_ON, chief)
  if not problem and struck and blow.victim == "all" and went_on < at_step:
    problem = f"went on from step {went_on}, though {at_step} were done"
  result = _result(folder)
  if result is None:
    return Ran(problem or "left no finished.json", ended - began,
               at_step=at_step, struck=bool(struck),
               restarted=tuple(cluster.restarted), ended_within=within,
               went_on_from=went_on)
  after = ended - _last_step(folder, result["step"], struck or 0)
  if not problem and after > processes.GRACE:
    problem = f"ends {after:.1f} s after its last step"
  task, _, name = metric.partition("/")
  return Ran(problem, ended - began, after, result["step"],
             result["metrics"]["validation"][task][name], at_step, bool(struck),
             tuple(cluster.restarted), within, went_on)


def _wait_for(blow, cluster):
  """Returns what goes wrong before the moment has come, and whether it has."""
  seconds = blow.moment if blow.after_step is None else _LOOK
  while True:
    problem = cluster.wait(seconds)
    goes_on = problem == processes.not_done(seconds)
    if not goes_on or blow.after_step is None or blow.after_step <= _last(
        _STEP, cluster.log_of("worker-0")):
      return problem, goes_on


def _strike(cluster, victim):
  """Ends who still runs.

  Returns:
    When, or None: nobody did; what was wrong with how all ended that were asked
    to, and within how many seconds they did.
  """
  began = time.time()
  if victim == "all":
    problem = _ask_all(cluster)
    over = cluster.processes["worker-0"].returncode == 0
    return None if over else began, problem, time.time() - began
  process = cluster.processes[victim]
  process.kill()
  # Who has ended by itself, be it at this moment, does not end of this.
  struck = process.wait() == -signal.SIGKILL
  return began if struck else None, None, float("nan")


def _ask_all(cluster):
  """Asks all to end; returns what is wrong with how they did, or nothing."""
  late = cluster.terminate()
  if late:
    return f"{', '.join(late)} runs {processes.GRACE:.0f} s after SIGTERM"
  codes = {name: process.returncode
           for name, process in cluster.processes.items()}
  if not codes["worker-0"]:
    return None  # The run was over.
  for name, code in codes.items():
    # Without a word only before anything was done that there is a word on.
    if code not in (128 + signal.SIGTERM, -signal.SIGTERM):
      return (f"{name} ended with {code} after SIGTERM: "
              f"{cluster.last_line(name)}")
  return None


def _last(pattern, log):
  """Returns the last number that a log has in such a line, or 0."""
  with open(log, encoding="utf-8", errors="replace") as file:
    found = pattern.findall(file.read())
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
