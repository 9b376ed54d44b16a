"""The page of what compare_methods.py has found."""

import statistics
from typing import List, Mapping, NamedTuple, Optional, Sequence

from tools.comparing import methods


class Row(NamedTuple):
  """What a method came to.

  Attributes:
    method: Its name.
    chosen: What the validation rows chose, in words.
    metrics: The test metric of each task, with each seed.
    deltas: The delta-m of each seed, in percent.
    seconds: Of a step; None: not timed.
  """
  method: str
  chosen: str
  metrics: List[Mapping[str, float]]
  deltas: List[float]
  seconds: Optional[float]


class Table(NamedTuple):
  """What methods came to on a data set.

  Attributes:
    name: The data set.
    note: What a reader should know of it.
    budget: Steps, and what was tried, in words.
    alone: The test metric of each task by itself, with each seed.
    rows: A row per method.
    rates: The learning rates that were tried, rising.
  """
  name: str
  note: str
  budget: str
  alone: Mapping[str, Sequence[float]]
  rows: List[Row]
  rates: Sequence[float]


# More tasks than this have one column, their mean.
_MOST_COLUMNS = 4


def delta_m(metrics: Mapping[str, float], alone: Mapping[str, float],
            higher: Mapping[str, bool]) -> float:
  """Returns how much worse metrics are than those of tasks by themselves.

  ```
    100 / T sum_t (-1)^(higher_t) (M_t - B_t) / B_t
  ```

  Below 0 is better.

  Args:
    metrics: The metric M_t of each task.
    alone: That of the task by itself, B_t.
    higher: Whether a higher one is better.

  Returns:
    Percent.
  """
  losses = [(-1 if higher[task] else 1) * (metrics[task] - b) / b
            for task, b in alone.items()]
  return 100 * sum(losses) / len(losses)


def text(tables: Sequence[Table], heading: Sequence[str]) -> str:
  """Writes the page, in Markdown.

  Args:
    tables: A table per data set.
    heading: Lines on when, where and how this was found.

  Returns:
    The page.
  """
  parts = ["# Every method on real data", *heading]
  for table in tables:
    parts += [f"## {table.name}", f"{table.note} {table.budget}",
              "\n".join(_lines(table)), reading(table)]
  shown = {row.method for table in tables for row in table.rows}
  parts += ["## Fields", "\n".join(
      f"- {name}: `{method.text}`" for name, method in methods.METHODS.items()
      if name in shown)]
  return "\n\n".join(parts) + "\n"


def _lines(table: Table) -> List[str]:
  """Returns the lines of a table."""
  tasks = list(table.alone)
  many = len(tasks) > _MOST_COLUMNS

  def cells(metrics):
    values = [statistics.mean(metrics[task]) for task in tasks]
    return [f"{v:.4f}" for v in ([statistics.mean(values)] if many else values)]

  lines = [["method", "chosen", *(["mean metric"] if many else tasks),
            "delta-m %", "deviation", "ms a step", "to the sum"]]
  lines.append(["each task alone", "each its own", *cells(table.alone), "0",
                "", "", ""])
  plain = next((row.seconds for row in table.rows
                if row.method == methods.SUM), None)
  for row in table.rows:
    metrics = {task: [m[task] for m in row.metrics] for task in tasks}
    times = ["", ""]
    if row.seconds:
      times[0] = f"{1e3 * row.seconds:.2f}"
      if plain:
        times[1] = f"{row.seconds / plain:.2f}"
    lines.append([row.method, row.chosen, *cells(metrics),
                  f"{statistics.mean(row.deltas):+.2f}",
                  f"{_deviation(row):.2f}", *times])
  lines.insert(1, ["---"] * 2 + ["---:"] * (len(lines[0]) - 2))
  return ["| " + " | ".join(line) + " |" for line in lines]


def _deviation(row: Row) -> float:
  return statistics.stdev(row.deltas) if len(row.deltas) > 1 else 0.0


def reading(table: Table) -> str:
  """Says in plain words what a table shows.

  A method counts as better or worse than another where the means of delta-m
  differ by more than both deviations together.

  Args:
    table: The table.

  Returns:
    A paragraph.
  """
  mean = {row.method: statistics.mean(row.deltas) for row in table.rows}
  deviation = {row.method: _deviation(row) for row in table.rows}
  ranked = sorted(mean, key=mean.get)

  def clearly(better, worse):
    return (mean[better] + deviation[better] + deviation[worse]
            < mean[worse])

  best = ranked[0]
  said = [f"Best is {best} ({mean[best]:+.2f} ± {deviation[best]:.2f})."]
  level = [name for name in ranked[1:] if not clearly(best, name)]
  if level:
    said.append("Not told apart from it by the deviations: "
                f"{', '.join(level)}.")
  for fixed in (methods.TUNED, methods.SUM):
    if fixed not in mean:
      continue
    above = [name for name in ranked if clearly(name, fixed)]
    below = [name for name in ranked if clearly(fixed, name)]
    said.append(
        f"{fixed.capitalize()} is number {ranked.index(fixed) + 1} of "
        f"{len(ranked)} ({mean[fixed]:+.2f} ± {deviation[fixed]:.2f}): clearly "
        f"better than it {'are' if len(above) != 1 else 'is'} "
        f"{', '.join(above) or 'none'}; clearly worse "
        f"{', '.join(below) or 'none'}.")
  helped = sum(value < 0 for value in mean.values())
  said.append(f"{helped} of {len(mean)} do better than each task alone, on "
              "average.")
  for end, word in ((table.rates[0], "lowest"), (table.rates[-1], "highest")):
    there = sum(f"{row.chosen},".startswith(f"rate {end:g},")
                for row in table.rows)
    if 2 * there > len(mean):
      said.append(f"{there} of {len(mean)} chose the {word} rate that was "
                  "tried: their best may lie beyond it, and what they have over "
                  "others may be a matter of the rate.")
  return " ".join(said)
