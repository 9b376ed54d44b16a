"""Measures how fast the engine trains, side by side with others.

Every contestant trains the same model on the same rows: this engine, TensorFlow
by hand, Keras, PyTorch, and a step's bare matrix products. Each is a process of
its own, and they take turns, round by round, so that what else the machine does
meets all of them. With each number of threads each is tried; the faster one
counts. Needs `pip install -e '.[benchmark]'`.
"""

import datetime
import importlib.metadata
import os
import sys
import tempfile
from typing import Dict, List

from absl import flags

# Run as a script, only the folder of this file is on the path.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from mtl_graph import launching
from tools.benchmarking import cases
from tools.benchmarking import contest
from tools.benchmarking import files
from tools.benchmarking import report
from tools.benchmarking import targets

CASES = ("small", "middle", "large", "streaming", "embeddings", "tasks")
_MODES = ("SESSION", "LOOP", "XLA", "AUTO")

_FLAGS = flags.FlagValues()
flags.DEFINE_list("case", list(CASES), f"Which of {', '.join(CASES)}.",
                  flag_values=_FLAGS)
flags.DEFINE_integer("rounds", 5, "Rounds; medians are over them.",
                     lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_float("seconds", 1.5, "About how long a contestant's turn takes.",
                   lower_bound=0.01, flag_values=_FLAGS)
flags.DEFINE_list("only", [], "Beginnings of the names of contestants; none: "
                  "all take part.", flag_values=_FLAGS)
flags.DEFINE_boolean("quick", False, "Whether to see only whether everything "
                     "runs: one round, one thread, short turns.",
                     flag_values=_FLAGS)
flags.DEFINE_string("output_dir", None, "Where the results go; unset: only "
                    "printed.", flag_values=_FLAGS)


def contestants(case: str) -> Dict[str, List[contest.Contestant]]:
  """Returns who takes part, by the name under which results are listed.

  Args:
    case: One of the flag's.
  """
  if case == "tasks":
    return {name: [_engine("AUTO", name), _engine("SESSION", name),
                   *_products(name, towers_only=True)]
            for name in (f"tasks_{n}" for n in cases.TASK_COUNTS)}
  if case == "streaming":
    return {case: [
        _engine("AUTO", "middle", ", resident"),
        *[_engine("AUTO", "middle", f", {name}", source=name.lower())
          for name in ("TFRecord", "CSV")]]}
  if case == "embeddings":
    many, few = "embeddings_1000000", "embeddings_1000"
    return {case: [
        *[_engine(mode, many) for mode in _MODES],
        *[_engine(mode, few, ", 1,000 rows") for mode in _MODES],
        contest.Contestant("by hand, callable, dense Adam", many, "by_hand",
                   {"call": "callable"}),
        contest.Contestant("Keras, dense Adam", many, "keras_fit",
                   {"steps_per_execution": 1}),
        contest.Contestant("PyTorch eager, SparseAdam", many, "pytorch", {})]}
  return {case: [
      *[_engine(mode, case) for mode in _MODES],
      *[contest.Contestant(f"by hand, {call}", case, "by_hand", {"call": call})
        for call in ("feed_dict", "callable")],
      *[contest.Contestant(f"Keras, {n} steps per execution", case, "keras_fit",
                   {"steps_per_execution": n}) for n in (1, 100)],
      *[contest.Contestant(f"PyTorch {name}", case, "pytorch", options)
        for name, options in (
            ("eager, Adam", {}), ("eager, fused Adam", {"fused": True}),
            ("DataLoader, fused Adam", {"fused": True, "loader": True}),
            ("compiled, fused Adam", {"fused": True, "compiled": True}))],
      *_products(case)]}


def _engine(mode, case, suffix="", **options):
  return contest.Contestant(f"engine {mode}{suffix}", case, "engine",
                    {"mode": mode, **options})


def _products(case, **options):
  return [contest.Contestant(f"products, {library}", case, "products",
                     {"library": library, **options})
          for library in ("numpy", "torch", "tensorflow")]


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _measure, __doc__)


def _measure():
  for case in _FLAGS.case:
    if case not in CASES:
      raise flags.Error(f"--case: found '{case}'; allowed: {', '.join(CASES)}")
  if _FLAGS.output_dir:
    launching.check_new(os.path.join(_FLAGS.output_dir, file)
                        for file in report.FILES)
  rounds, seconds, threads = _FLAGS.rounds, _FLAGS.seconds, sorted(
      {1, os.cpu_count()})
  if _FLAGS.quick:
    rounds, seconds, threads = 1, 0.1, [1]
  found = {
      "date": datetime.date.today().isoformat(),
      "machine": report.machine(),
      "versions": {name: importlib.metadata.version(name) for name in (
          "mtl-graph", "tensorflow", "keras", "torch", "numpy")},
      "rounds": rounds, "seconds": seconds, "cases": {}}
  for case in _FLAGS.case:
    for name, some in contestants(case).items():
      some = [c for c in some if not _FLAGS.only
              or c.name.startswith(tuple(_FLAGS.only))]
      with tempfile.TemporaryDirectory() as folder:
        files.write(folder, some)
        found["cases"][name] = contest.compete(some, rounds, seconds, threads, folder)
  print(report.text(found))
  if _FLAGS.output_dir:
    os.makedirs(_FLAGS.output_dir, exist_ok=True)
    report.write(_FLAGS.output_dir, found)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
