"""Measures what a step with balanced gradients or losses costs, beside TorchJD.

The model is that of `benchmark.py --case=tasks`: 64 numbers, a trunk of 128
units, a tower of 64 units per task, batches of 256 rows, Adam per task. Both
sides compare the gradients of the trunk's parameters; what this engine needs
where it compares those of the trunk's output is listed as well. All contestants
of a number of tasks take turns, each in a process of its own (some 500 MB) and
with the number of threads that suits it best. Needs the extra `benchmark`;
--only=engine needs no more.
"""

import datetime
import importlib.metadata
import os
import statistics
import sys
import tempfile
from typing import Any, Dict, List, Sequence

from absl import flags

# Run as a script, only the folder of this file is on the path.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from mtl_graph import launching
from mtl_graph.evaluation import tables
from tools.benchmarking import contest
from tools.benchmarking import files
from tools.benchmarking import report

METHODS = {
    "pcgrad": "pcgrad {}", "gradvac": "gradvac {}", "mgda": "mgda {}",
    "cagrad": "cagrad {}", "imtl_g": "imtl_g {}", "graddrop": "graddrop {}",
    "nash_mtl": "nash_mtl {}", "fairgrad": "fairgrad { alpha: 2 }",
    "aligned_mtl": "aligned_mtl {}", "upgrad": "upgrad {}",
    "dual_proj": "dual_proj {}", "config": "config {}",
    "excess_mtl": "excess_mtl {}", "sdmgrad": "sdmgrad {}"}
WEIGHTINGS = {
    "uncertainty": "uncertainty {}",
    "imtl_l": "uncertainty { form: IMPARTIAL }",
    "dynamic_weight_average": "dynamic_weight_average { window_steps: 25 }",
    "geometric_mean": "geometric_mean {}",
    "random_weights": "random_weights {}",
    "famo": "famo {}",
    "smooth_chebyshev": "smooth_chebyshev { smoothness: 1 }"}
SUM = "sum"
# Weights that are learned are parameters beyond the model's, one per task.
_LEARNED = ("uncertainty", "imtl_l")
# Who follows each gradient of a parameter cannot look at others.
_AT_PARAMETERS_ONLY = ("excess_mtl",)
_SIDES = ("engine", "representation", "TorchJD")

_FLAGS = flags.FlagValues()
flags.DEFINE_multi_integer("tasks", [2, 4, 8], "Numbers of tasks, of 2, 4, 8, "
                           "16 and 32.", flag_values=_FLAGS)
flags.DEFINE_multi_enum("method", list(METHODS), [*METHODS, *WEIGHTINGS],
                        "Methods; unset: all that balance gradients.",
                        flag_values=_FLAGS)
flags.DEFINE_multi_enum("only", list(_SIDES), list(_SIDES), "Sides.",
                        flag_values=_FLAGS)
flags.DEFINE_string("mode", "AUTO", "The engine's training.execution.mode.",
                    flag_values=_FLAGS)
flags.DEFINE_integer("rounds", 5, "Rounds; medians are over them.",
                     lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_float("seconds", 0.2, "About how long a turn takes.",
                   lower_bound=0.01, flag_values=_FLAGS)
flags.DEFINE_boolean("hold", False, "Waits for Enter before the rounds, once "
                     "all contestants are warm: time to stop what else runs.",
                     flag_values=_FLAGS)
flags.DEFINE_integer("starting", 1, "How many contestants start at the same "
                     "time.", lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_list("threads", ["1"], "Numbers of threads that are tried.",
                  flag_values=_FLAGS)


def contestants(tasks: int, method: str, sides: Sequence[str], mode: str
                ) -> List[contest.Contestant]:
  """Returns who takes part for a method; for `SUM`, the plain sums."""
  case, found = f"tasks_{tasks}", []
  learned = tasks if method in _LEARNED else 0
  text = METHODS.get(method, "")
  if "engine" in sides:
    found.append(contest.Contestant(
        f"engine {method}", case, "engine",
        {"mode": mode, "loss": WEIGHTINGS[method]} if method in WEIGHTINGS
        else {"mode": mode, "balancing": text}, learned))
  if ("representation" in sides and text
      and method not in _AT_PARAMETERS_ONLY):
    found.append(contest.Contestant(
        f"representation {method}", case, "engine",
        {"mode": mode, "balancing": f"{text} at: REPRESENTATION"}))
  if "TorchJD" in sides:
    found.append(contest.Contestant(
        f"TorchJD {method}", case, "torchjd_methods",
        {"method": None if method == SUM else method}, learned))
  return found


def layout(tasks: int, seconds: Dict[str, Dict[str, float]]) -> str:
  """Lays the seconds of steps out.

  Args:
    tasks: The number of tasks.
    seconds: Of a step, by method and side.

  Returns:
    The lines.
  """
  heading = [f"{tasks} tasks"] + [
      f"{side} {what}" for side in _SIDES for what in ("ms", "x sum")]
  lines = [heading + ["TorchJD / engine"]]
  plain = seconds[SUM]
  plain = {**plain, "representation": plain.get("engine")}
  for method, of in seconds.items():
    line = [method]
    for side in _SIDES:
      there = side in of
      line += [f"{1e3 * of[side]:.3f}" if there else "-",
               f"{of[side] / plain[side]:.2f}"
               if there and plain.get(side) else "-"]
    both = "engine" in of and "TorchJD" in of
    lines.append(line + [f"{of['TorchJD'] / of['engine']:.2f}" if both else "-"])
  return tables.align(lines)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _measure, __doc__)


def _measure():
  machine, versions = report.machine(), []
  for name in ("mtl-graph", "tensorflow", "torch", "torchjd"):
    try:
      versions.append(f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
      versions.append(f"no {name}")
  print(f"{datetime.date.today().isoformat()}: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['system']}, Python "
        f"{machine['python']}, {', '.join(versions)}; medians of "
        f"{_FLAGS.rounds} rounds")
  threads = [int(count) for count in _FLAGS.threads]
  for tasks in _FLAGS.tasks:
    some = [each for method in [SUM, *_FLAGS.method] for each in contestants(
        tasks, method, _FLAGS.only, _FLAGS.mode)]
    with tempfile.TemporaryDirectory() as folder:
      files.write(folder, some)
      entries = contest.compete(
          some, _FLAGS.rounds, _FLAGS.seconds, threads, folder,
          _wait if _FLAGS.hold else lambda: None, _FLAGS.starting)
    print(layout(tasks, by_method(entries)), flush=True)


def _wait():
  print("ready: press Enter", file=sys.stderr, flush=True)
  sys.stdin.readline()


def by_method(entries: Sequence[Dict[str, Any]]
              ) -> Dict[str, Dict[str, float]]:
  """Returns the median seconds of a step by method and side."""
  found = {}
  for entry in entries:
    side, _, method = entry["contestant"].partition(" ")
    of = found.setdefault(method, {})
    if entry["seconds"]:
      of[side] = statistics.median(entry["seconds"])
  return found


if __name__ == "__main__":
  sys.exit(main(sys.argv))
