"""Prints metrics as a table, and writes them as JSON."""

import json
import math
import os
from typing import Any, Dict, Mapping, Sequence


def align(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
  """Lays rows of cells out in columns: the first to the left, others right.

  Args:
    rows: Rows of equally many cells; the first is the heading.
    indent: What each line begins with.

  Returns:
    The lines.
  """
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  lines = []
  for row in rows:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
    lines.append(indent + "  ".join(cells).rstrip())
  return "\n".join(lines)


def number(value: float) -> str:
  """Writes a number with what digits matter."""
  if value is None or math.isnan(value):
    return "-"
  if value == 0 or 1e-3 <= abs(value) < 1e5:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.2f}"
  return f"{value:.3e}"


def metrics_table(results: Mapping[str, Mapping[str, Mapping[str, float]]]
                  ) -> str:
  """Lays metrics out, a line per task and split.

  Args:
    results: Metrics by split, task and name.

  Returns:
    The lines; tasks that have the same metrics stand in one table.
  """
  alike = {}
  first = next(iter(results.values())) if results else {}
  for task, metrics in first.items():
    alike.setdefault(tuple(metrics), []).append(task)
  parts = []
  for names, tasks in alike.items():
    rows = [["task", "split", *names]]
    rows += [[task, split] + [number(metrics[task][name]) for name in names]
             for task in tasks for split, metrics in results.items()]
    parts.append(align(rows))
  return "\n".join(parts)


def write_json(value: Any, path: str) -> None:
  """Writes a value as JSON so that no reader ever sees half of it.

  Numbers that JSON has not (NaN, infinities) become null.

  Args:
    value: Dicts, lists, strings and numbers.
    path: Path of the file.
  """
  with open(path + ".tmp", "w", encoding="utf-8") as file:
    json.dump(finite(value), file, indent=2)
    file.write("\n")
  os.replace(path + ".tmp", path)


def read_json(path: str) -> Any:
  """Reads what `write_json` wrote, null as NaN."""
  def number_or_nan(pairs):
    return {key: math.nan if value is None else value for key, value in pairs}
  with open(path, encoding="utf-8") as file:
    return json.load(file, object_pairs_hook=number_or_nan)


def finite(value: Any) -> Any:
  """Returns a value with None for each number that JSON has not."""
  if isinstance(value, Dict):
    return {key: finite(v) for key, v in value.items()}
  if isinstance(value, (list, tuple)):
    return [finite(v) for v in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
