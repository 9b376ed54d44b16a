"""Kills processes of clusters at random moments, and sees how runs end.

Trains an experiment, without its exports, in a cluster on this machine, by each
strategy: once undisturbed, then again and again, each time ending a parameter
server, the chief or another worker by SIGKILL at a random moment of the run; it
is started again. Each run must end at its last step (asynchronous: at most one
step per worker beyond), within `--most_seconds` of the undisturbed run's time,
with the metric as undisturbed within `--tolerance`; all processes must be gone
15 s after the last step, none may be left, and no log may hold a traceback.
Where all are asked to end, by SIGTERM, they must do so within 15 s, with exit
code 143 (or by the signal, while they start), and once all are started again
the chief must go on from no earlier step than its log had come to. Prints a
line for each run, and writes all of them to `kill_cluster.md` and
`kill_cluster.json` in the model_dir.
"""

import json
import os
import random
import shutil
import sys
from typing import Dict, List, NamedTuple

from absl import flags

from mtl_graph import launching
from tools.clusters import disturbed

# Runs in a row that may be over before their moment has come.
_TRIES = 10
_STRATEGIES = ("asynchronous", "synchronous", "all_reduce")
_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
flags.DEFINE_string("metric", None, "Metric of the validation rows, such as "
                    "late/auc.", flag_values=_FLAGS)
flags.DEFINE_float("tolerance", 0.005, "How far it may be off.", lower_bound=0,
                   flag_values=_FLAGS)
flags.DEFINE_list("times", ["asynchronous:8", "synchronous:8", "all_reduce:4"],
                  "How many runs of each strategy are disturbed.",
                  flag_values=_FLAGS)
flags.DEFINE_multi_enum(
    "victim", ["ps", "chief", "worker"], disturbed.VICTIMS, "Who may be killed; "
    "all: everybody, by SIGTERM. May be given several times.",
    flag_values=_FLAGS)
flags.DEFINE_integer("ps", 1, "Parameter servers; all_reduce has none.",
                     lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_integer("workers", 2, "Workers, the chief among them.",
                     lower_bound=2, flag_values=_FLAGS)
flags.DEFINE_float("most_seconds", 60, "How much longer a run may take.",
                   lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_boolean("at_steps", False, "Whether moments are steps of the "
                     "chief's log, up to nine tenths of the last one, and not "
                     "seconds, half of which a short run takes to start.",
                     flag_values=_FLAGS)
flags.DEFINE_integer("seed", 0, "Seed of victims and moments.",
                     flag_values=_FLAGS)
flags.mark_flags_as_required(["metric", "model_dir"], flag_values=_FLAGS)

_HEAD = ("strategy", "killed", "after, s", "at step", "all ended within, s",
         "went on from", "run, s", "last step to end, s", "steps", "metric",
         "off by", "found")


class _Disturbed(NamedTuple):
  """A disturbed run, and how far off its metric is."""
  strategy: str
  blow: disturbed.Blow
  ran: disturbed.Ran
  off: float

  def cells(self):
    """Returns the cells of the run's line."""
    ran, asked = self.ran, self.blow.victim == "all"
    return (self.strategy, self.blow.victim,
            f"{self.blow.moment:.1f}" if self.blow.after_step is None else "-",
            str(ran.at_step), f"{ran.ended_within:.1f}" if asked else "-",
            str(ran.went_on_from) if asked else "-", f"{ran.seconds:.1f}",
            f"{ran.after_last_step:.1f}", str(ran.step), f"{ran.metric:.4f}",
            f"{self.off:+.4f}", ran.problem or "well")


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _kill, __doc__)


def _times() -> Dict[str, int]:
  """Returns how often each strategy is disturbed."""
  found = {}
  for one in _FLAGS.times:
    strategy, _, times = one.partition(":")
    if strategy not in _STRATEGIES or not times.isdecimal():
      raise flags.Error(f"--times: found '{one}'; allowed: one of "
                        f"{', '.join(_STRATEGIES)}, a colon, and a number")
    found[strategy] = int(times)
  return found


def _kill():
  from mtl_graph import config
  times, random_ = _times(), random.Random(_FLAGS.seed)
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  steps = experiment.training.num_steps
  if not steps:
    raise flags.Error("--config: found no training.num_steps; required")
  experiment.ClearField("serving")
  os.makedirs(_FLAGS.model_dir, exist_ok=True)
  config.write(experiment, _experiment())
  runs, lines = [], []
  for strategy, count in times.items():
    usual = _run(strategy, f"undisturbed-{strategy}", 600)
    if not usual.step:
      raise flags.Error(f"--config: {strategy}, undisturbed, the run fails: "
                        f"{usual.problem}")
    lines.append(f"{strategy}, undisturbed: {usual.seconds:.1f} s, all ended "
                 f"{usual.after_last_step:.1f} s after the last step, step "
                 f"{usual.step}, {_FLAGS.metric} {usual.metric:.4f}"
                 + (f": {usual.problem}" if usual.problem else ""))
    print(lines[-1], flush=True)
    for _ in range(count):
      runs.append(_disturb(strategy, len(runs), usual, steps, random_))
      print(f"{len(runs):3d} " + "  ".join(runs[-1].cells()), flush=True)
      _write(lines, runs, sum(times.values()))
  bad = sum(run.ran.problem is not None for run in runs)
  print(f"{len(runs) - bad} of {len(runs)} ended well")
  if bad:
    raise SystemExit(1)


def _disturb(strategy, number, usual, steps, random_):
  """Returns a disturbed run; one that is over before its moment is no such."""
  kinds = [kind for kind in _FLAGS.victim
           if kind != "ps" or strategy != "all_reduce"]
  for _ in range(_TRIES):
    blow = disturbed.Blow(
        random_.choice(disturbed.names(random_.choice(kinds), _FLAGS.ps,
                                       _FLAGS.workers)),
        random_.uniform(0, usual.seconds),
        random_.randint(1, max(1, steps * 9 // 10)) if _FLAGS.at_steps else None)
    when = blow.moment if blow.after_step is None else blow.after_step
    folder = f"{number + 1:02d}-{strategy}-{blow.victim}-{when:.0f}"
    ran = _run(strategy, folder, usual.seconds + _FLAGS.most_seconds, blow)
    if ran.struck or ran.problem:
      return _judged(strategy, blow, ran, usual, steps)
    print(f"    {folder}: over before", flush=True)
    # A finished run is over at once when it is started again.
    shutil.rmtree(os.path.join(_FLAGS.model_dir, folder))
  raise flags.Error(f"--config: {strategy}: {_TRIES} runs in a row were over "
                    "before anybody was killed; allowed: a longer run")


def _judged(strategy, blow, ran, usual, steps):
  """Returns a run with what is wrong with its end, if anything is."""
  beyond = _FLAGS.workers if strategy == "asynchronous" else 0
  off = ran.metric - usual.metric
  if not ran.problem and not steps <= ran.step <= steps + beyond:
    ran = ran._replace(problem=f"{ran.step} steps, not {steps}")
  if not ran.problem and not abs(off) <= _FLAGS.tolerance:
    ran = ran._replace(problem=f"off by {off:+.4f}")
  return _Disturbed(strategy, blow, ran, off)


def _experiment() -> str:
  return os.path.join(_FLAGS.model_dir, "kill_cluster.pbtxt")


def _run(strategy, name, most, blow=None):
  return disturbed.run(
      [f"--config={_experiment()}",
       f"--allow_python={','.join(_FLAGS.allow_python)}",
       f"--set=training.cluster.{strategy}={{}}"],
      os.path.join(_FLAGS.model_dir, name),
      0 if strategy == "all_reduce" else _FLAGS.ps, _FLAGS.workers,
      _FLAGS.metric, most, blow)


def _write(lines: List[str], runs: List[_Disturbed], wanted: int) -> None:
  """Writes the tables of all runs so far."""
  bad = sum(run.ran.problem is not None for run in runs)
  text = ["# Runs with a process killed", "", *(f"- {line}" for line in lines),
          "", f"{len(runs) - bad} of {len(runs)} ended well"
          + (f", {wanted} wanted" if len(runs) < wanted else "")
          + f"; seed {_FLAGS.seed}.", "", "| " + " | ".join(_HEAD) + " |",
          "|---" * len(_HEAD) + "|",
          *("| " + " | ".join(run.cells()) + " |" for run in runs), ""]
  path = os.path.join(_FLAGS.model_dir, "kill_cluster")
  with open(f"{path}.md", "w", encoding="utf-8") as file:
    file.write("\n".join(text))
  with open(f"{path}.json", "w", encoding="utf-8") as file:
    json.dump([{"strategy": run.strategy, **run.blow._asdict(),
                **run.ran._asdict(), "off": run.off} for run in runs], file,
              indent=1)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
