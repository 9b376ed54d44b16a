"""What the benchmark is to show: medians, ratios, and targets met or missed."""

import statistics
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

from tools.benchmarking import cases

# The contestant that stands for the engine: what users get who choose nothing.
ENGINE = "engine AUTO"
RESIDENT = "engine AUTO, resident"
BOUND = "products"
BUILT = "engine SESSION"


class Result(NamedTuple):
  """What one contestant has shown in one case.

  Attributes:
    seconds: Seconds per step, one entry per round.
    graph_seconds: Seconds until the engine's graph was ready, or None.
  """
  seconds: Sequence[float]
  graph_seconds: Optional[float] = None


# Results by contestant, by case. Who could not take part is not in it.
Results = Mapping[str, Mapping[str, Result]]


class Verdict(NamedTuple):
  """A target beside what was found.

  Attributes:
    what: What is measured.
    found: The figure, or None if something is lacking.
    wanted: The target.
    at_least: Whether the figure is to be at least that, else at most.
  """
  what: str
  found: Optional[float]
  wanted: float
  at_least: bool = True

  @property
  def word(self) -> str:
    """Returns "met", "missed" or "not measured"."""
    if self.found is None:
      return "not measured"
    met = (self.found >= self.wanted if self.at_least
           else self.found <= self.wanted)
    return "met" if met else "missed"


def median_seconds(result: Result) -> float:
  """Returns the median of the rounds."""
  return statistics.median(result.seconds)


def speed_ratio(one: Result, other: Result) -> float:
  """Returns how many times as fast `one` is as `other`.

  The median of the ratios round by round: what slows the machine down for a
  while slows both contestants of a round.
  """
  return statistics.median(
      b / a for a, b in zip(one.seconds, other.seconds))


def best(results: Mapping[str, Result], prefix: str) -> Optional[Result]:
  """Returns the fastest of the contestants of a family, if there is any.

  Args:
    results: Results by contestant.
    prefix: How the names of the family begin.
  """
  family = [r for name, r in results.items() if name.startswith(prefix)]
  return min(family, key=median_seconds, default=None)


def rivals(results: Mapping[str, Result]) -> Dict[str, Result]:
  """Returns the results that are neither the engine's nor the bound."""
  return {name: r for name, r in results.items()
          if not name.startswith(("engine", BOUND))}


def verdicts(results: Results) -> List[Verdict]:
  """Compares what was found with the targets.

  Args:
    results: Results by contestant, by case.

  Returns:
    A verdict per target of the cases that were run.
  """
  found = []

  def ratio(case, what, one, other, wanted, at_least=True):
    found.append(Verdict(
        f"{case}: {what}",
        None if one is None or other is None else speed_ratio(one, other),
        wanted, at_least))

  small = results.get("small")
  if small is not None:
    for what, family, wanted in (
        ("the feed_dict loop", "by hand, feed_dict", 3.5),
        ("Keras at its best", "Keras", 3.5),
        ("eager PyTorch on indexed tensors", "PyTorch eager, Adam", 4.5),
        ("the same with fused Adam", "PyTorch eager, fused", 3.5)):
      ratio("small", f"engine to {what}", small.get(ENGINE),
            best(small, family), wanted)
  large = results.get("large")
  if large is not None:
    ratio("large", "engine to the fastest rival", large.get(ENGINE),
          best(rivals(large), ""), 1.0)
    ratio("large", "engine to the bare matrix products", large.get(ENGINE),
          best(large, BOUND), 0.85)
  middle = results.get("middle")
  if middle is not None:
    ratio("middle", "engine to Keras at its best", middle.get(ENGINE),
          best(middle, "Keras"), 3.0)
  streaming = results.get("streaming")
  if streaming is not None:
    for source in ("TFRecord", "CSV"):
      ratio("streaming", f"{source} to resident rows",
            streaming.get(f"engine AUTO, {source}"), streaming.get(RESIDENT),
            0.7)
  embeddings = results.get("embeddings")
  if embeddings is not None:
    ratio("embeddings", "step of 1,000,000 rows to one of 1,000",
          embeddings.get(f"{ENGINE}, 1,000 rows"),
          embeddings.get(ENGINE), 1.2, False)
  return found + _of_tasks(results)


def _of_tasks(results) -> List[Verdict]:
  """Compares the growth of a step with that of the towers' products."""
  counts = [n for n in cases.TASK_COUNTS if f"tasks_{n}" in results]
  found = []
  for count in counts[1:]:
    few, many = results[f"tasks_{counts[0]}"], results[f"tasks_{count}"]
    figures = [r.get(ENGINE) for r in (few, many)] + [
        best(r, BOUND) for r in (few, many)]
    growth = None
    if None not in figures:
      step = speed_ratio(figures[0], figures[1])
      growth = step / speed_ratio(figures[2], figures[3])
    found.append(Verdict(
        f"tasks: growth of the step from {counts[0]} to {count} tasks, to that "
        "of the towers' products", growth, 1.1, False))
  for count in counts:
    built = results[f"tasks_{count}"].get(BUILT)
    if count == cases.TASK_COUNTS[-1]:
      found.append(Verdict(
          f"tasks: seconds until the graph of {count} tasks is ready",
          built.graph_seconds if built else None, 10.0, False))
  return found
