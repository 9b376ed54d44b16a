"""Measures how fast the engine trains, side by side with others.

Every contestant trains the same model on the same rows: this engine, TensorFlow
by hand, Keras, PyTorch, and a step's bare matrix products. Each is a process of
its own, and they take turns, round by round, so that what else the machine does
meets all of them. With each number of threads each is tried; the faster one
counts. Needs `pip install -e '.[benchmark]'`.
"""

import datetime
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List, NamedTuple

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Run as a script, only the folder of this file is on the path.
sys.path.insert(0, _ROOT)
# pylint: disable=wrong-import-position
from mtl_graph import launching
from tools.benchmarking import cases
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


class Contestant(NamedTuple):
  """Who takes part in a case.

  Attributes:
    name: Its name in tables.
    case: Name of the model in `cases.CASES`.
    kind: Which module runs it, tools/benchmarking/<kind>.py.
    options: What that is told.
  """
  name: str
  case: str
  kind: str
  options: Dict[str, Any]


def contestants(case: str) -> Dict[str, List[Contestant]]:
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
        Contestant("by hand, callable, dense Adam", many, "by_hand",
                   {"call": "callable"}),
        Contestant("Keras, dense Adam", many, "keras_fit",
                   {"steps_per_execution": 1}),
        Contestant("PyTorch eager, SparseAdam", many, "pytorch", {})]}
  return {case: [
      *[_engine(mode, case) for mode in _MODES],
      *[Contestant(f"by hand, {call}", case, "by_hand", {"call": call})
        for call in ("feed_dict", "callable")],
      *[Contestant(f"Keras, {n} steps per execution", case, "keras_fit",
                   {"steps_per_execution": n}) for n in (1, 100)],
      *[Contestant(f"PyTorch {name}", case, "pytorch", options)
        for name, options in (
            ("eager, Adam", {}), ("eager, fused Adam", {"fused": True}),
            ("DataLoader, fused Adam", {"fused": True, "loader": True}),
            ("compiled, fused Adam", {"fused": True, "compiled": True}))],
      *_products(case)]}


def _engine(mode, case, suffix="", **options):
  return Contestant(f"engine {mode}{suffix}", case, "engine",
                    {"mode": mode, **options})


def _products(case, **options):
  return [Contestant(f"products, {library}", case, "products",
                     {"library": library, **options})
          for library in ("numpy", "torch", "tensorflow")]


class Process:
  """A contestant's process, with so many threads."""

  def __init__(self, contestant: Contestant, threads: int, folder: str):
    """Starts it, and waits for its first step.

    Args:
      contestant: Who.
      threads: Threads within an op.
      folder: Where the rows are.
    """
    self.threads = threads
    environment = {**os.environ, **{
        name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS",
                                        "OPENBLAS_NUM_THREADS")}}
    request = {**contestant._asdict(), "threads": threads, "folder": folder,
               "started": time.monotonic()}
    self._errors = os.path.join(folder, f"{contestant.name}.{threads}.log")
    with open(self._errors, "w", encoding="utf-8") as errors:
      self._process = subprocess.Popen(
          [sys.executable, "-m", "tools.benchmarking.worker",
           json.dumps(request)],
          cwd=_ROOT, env=environment, stdin=subprocess.PIPE,
          stdout=subprocess.PIPE, stderr=errors, text=True)
    self.start = self._read()
    self.peak_memory_mb = 0.0
    self._count = 1

  def _read(self):
    line = self._process.stdout.readline()
    if line:
      return json.loads(line)
    self._process.wait()
    with open(self._errors, encoding="utf-8") as errors:
      last = errors.read().strip().rpartition("\n")[2]
    return {"refused": f"it died: {last}"}

  def take_turn(self, seconds: float) -> float:
    """Lets it take steps.

    Args:
      seconds: About how long.

    Returns:
      Seconds per step.

    Raises:
      RuntimeError: If it died.
    """
    self._process.stdin.write(json.dumps({"steps": self._count}) + "\n")
    self._process.stdin.flush()
    reply = self._read()
    if "refused" in reply:
      raise RuntimeError(f"in a turn {reply['refused']}")
    per_step = reply["seconds"] / reply["steps"]
    self._count = max(int(seconds / per_step), 1)
    self.peak_memory_mb = reply["peak_memory_mb"]
    return per_step

  def warm_up(self, seconds: float) -> float:
    """Returns seconds per step once turns have found their length."""
    # From one step on, a turn grows to what the one before says of steps.
    for part in (0.02, 0.2, 1.0):
      per_step = self.take_turn(seconds * part)
    return min(per_step, self.take_turn(seconds))

  def end(self) -> None:
    """Ends it."""
    self._process.stdin.close()
    self._process.wait()
    self._process.stdout.close()


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
        found["cases"][name] = compete(some, rounds, seconds, threads, folder)
  print(report.text(found))
  if _FLAGS.output_dir:
    os.makedirs(_FLAGS.output_dir, exist_ok=True)
    report.write(_FLAGS.output_dir, found)


def compete(some: List[Contestant], rounds: int, seconds: float,
            threads: List[int], folder: str) -> List[Dict[str, Any]]:
  """Lets contestants take turns.

  Args:
    some: Who.
    rounds: How often.
    seconds: About how long a turn takes.
    threads: The numbers of threads that each is tried with.
    folder: Where the rows are.

  Returns:
    An entry per contestant, as `report.case_table` takes it.

  Raises:
    RuntimeError: If a model is not of the size that all agree on.
  """
  entries, running = [], []
  try:
    for contestant in some:
      entry = {"contestant": contestant.name, "seconds": []}
      entries.append(entry)
      process = _start(contestant, threads, seconds, folder, entry)
      if process is not None:
        running.append((process, entry))
        case = cases.CASES[contestant.case]
        entry["batch_size"] = case.batch_size
        if entry["parameters"] not in (None, cases.parameters(case)):
          raise RuntimeError(
              f"{contestant.name} trains {entry['parameters']} parameters, not "
              f"{cases.parameters(case)}")
    for i in range(rounds):
      for process, entry in running:
        entry["seconds"].append(process.take_turn(seconds))
      print(f"round {i + 1} of {rounds} done", file=sys.stderr)
  finally:
    for process, entry in running:
      entry["peak_memory_mb"] = process.peak_memory_mb
      process.end()
  return entries


def _start(contestant, threads, seconds, folder, entry):
  """Starts a contestant with the number of threads that suits it best."""
  best, tried = None, {}
  for count in threads:
    process = Process(contestant, count, folder)
    if "refused" in process.start:
      entry.update(process.start)
      process.end()
      break
    tried[count] = process.warm_up(seconds)
    loser = process
    if best is None or tried[count] < tried[best.threads]:
      best, loser = process, best
    if loser not in (None, best):
      loser.end()
  if best is not None:
    entry.update(best.start, threads=best.threads, tried=tried)
  print(f"{contestant.name}: " + (entry.get("refused") or ", ".join(
      f"{s * 1e6:,.0f} us at {n}" for n, s in tried.items())), file=sys.stderr)
  return best


if __name__ == "__main__":
  sys.exit(main(sys.argv))
