"""Writes what the benchmark has found: tables, JSON, Markdown and plots."""

import json
import os
import platform
from typing import Any, Dict, List, Mapping, Sequence

from mtl_graph.evaluation import tables
from tools.benchmarking import cases
from tools.benchmarking import targets

# Names of what is written.
FILES = ("benchmark.json", "benchmark.md", "benchmark.png",
         "benchmark_tasks.png")


def machine() -> Dict[str, Any]:
  """Describes the machine and what runs on it."""
  with open("/proc/cpuinfo", encoding="utf-8") as file:
    models = [line.partition(":")[2].strip() for line in file
              if line.startswith("model name")]
  with open("/proc/meminfo", encoding="utf-8") as file:
    memory = next(int(line.split()[1]) for line in file
                  if line.startswith("MemTotal"))
  return {"processor": models[0], "cores": len(models),
          "memory_gib": round(memory / 2 ** 20, 1),
          "system": platform.platform(), "python": platform.python_version(),
          "load": os.getloadavg()[0]}


def case_table(name: str, entries: Sequence[Mapping[str, Any]]
               ) -> List[List[str]]:
  """Makes the table of one case.

  Args:
    name: Its name.
    entries: As `benchmark.py` puts them: "contestant", then either "refused",
      or "batch_size", "seconds" and what the contestant said of its start.

  Returns:
    Rows of cells, the first one of titles.
  """
  rows = [[name, "examples/s", "us/step", "engine is", "threads", "peak MB",
           "first step s", "without imports"]]
  results = results_of({name: entries})[name]
  engine = results.get(targets.ENGINE) or results.get(
      targets.RESIDENT)
  for entry in entries:
    contestant = entry["contestant"]
    if "refused" in entry:
      rows.append([contestant, _why_not(entry["refused"])]
                  + [""] * 6)
      continue
    seconds = targets.median_seconds(results[contestant])
    rows.append([
        contestant, f"{entry['batch_size'] / seconds:,.0f}",
        f"{seconds * 1e6:,.0f}",
        f"{targets.speed_ratio(engine, results[contestant]):.2f} x"
        if engine else "", str(entry["threads"]),
        f"{entry['peak_memory_mb']:,.0f}",
        f"{entry['first_step_seconds']:.2f}",
        f"{entry['without_imports_seconds']:.2f}"])
  return rows


def _why_not(refused: str) -> str:
  """Says in a few words why a contestant did not take part."""
  return refused[:40] if refused.startswith("it died") else "not built"


def target_table(verdicts: Sequence[targets.Verdict]
                 ) -> List[List[str]]:
  """Makes the table of the targets."""
  return [["target", "wanted", "found", ""]] + [
      [v.what, f"{'>=' if v.at_least else '<='} {v.wanted:g}",
       "" if v.found is None else f"{v.found:.2f}", v.word] for v in verdicts]


def results_of(entries: Mapping[str, Sequence[Mapping[str, Any]]]
               ) -> Dict[str, Dict[str, targets.Result]]:
  """Returns the results of those that took part, by contestant, by case."""
  return {case: {e["contestant"]: targets.Result(
      e["seconds"], e.get("graph_seconds")) for e in some
                 if "refused" not in e} for case, some in entries.items()}


def text(found: Mapping[str, Any]) -> str:
  """Writes the tables.

  Args:
    found: "date", "machine", "versions", "rounds", and "cases", entries by
      case.

  Returns:
    Lines, the tables aligned.
  """
  described = ", ".join(f"{key} {value}" for key, value in {
      **found["machine"], **found["versions"]}.items())
  parts = [f"{found['date']}: {described}; medians of {found['rounds']} rounds"]
  for name, entries in found["cases"].items():
    parts.append(tables.align(case_table(name, entries)))
    parts += [f"{e['contestant']} took {e['execution']}" for e in entries
              if e.get("execution") and " AUTO" in e["contestant"]]
  parts.append(tables.align(target_table(targets.verdicts(
      results_of(found["cases"])))))
  return "\n\n".join(parts)


def write(folder: str, found: Mapping[str, Any]) -> None:
  """Writes all files.

  Args:
    folder: Where to; it exists.
    found: As `text` takes it.
  """
  json_path, markdown, bars, lines = [os.path.join(folder, file)
                                      for file in FILES]
  with open(json_path, "w", encoding="utf-8") as file:
    json.dump(found, file, indent=2)
    file.write("\n")
  with open(markdown, "w", encoding="utf-8") as file:
    file.write(f"# Benchmark of {found['date']}\n\n```\n{text(found)}\n```\n")
  by_case = {name: results for name, results in results_of(
      found["cases"]).items() if results}
  # Where nothing is to be drawn nothing has to be installed.
  from matplotlib import figure
  counted = {name for name in by_case if name.startswith("tasks_")}
  _draw_bars({n: r for n, r in by_case.items() if n not in counted}, bars,
             figure.Figure)
  if counted:
    _draw_tasks(by_case, lines, figure.Figure)


def _draw_bars(by_case, path, new_figure) -> None:
  """Draws microseconds per step of every contestant, a panel per case."""
  if not by_case:
    return
  count = sum(len(results) + 2 for results in by_case.values())
  drawn = new_figure(figsize=(9, 0.28 * count + 0.5), layout="constrained")
  panels = drawn.subplots(
      len(by_case), squeeze=False,
      height_ratios=[len(results) + 1 for results in by_case.values()])[:, 0]
  for panel, (name, results) in zip(panels, by_case.items()):
    seconds = [targets.median_seconds(r) for r in results.values()]
    colors = ["tab:blue" if c.startswith("engine") else
              "tab:gray" if c.startswith(targets.BOUND)
              else "tab:orange" for c in results]
    drawn_bars = panel.barh(list(results), [s * 1e6 for s in seconds],
                            color=colors)
    panel.bar_label(drawn_bars, fmt="%.0f", padding=2, fontsize=7)
    panel.invert_yaxis()
    panel.margins(x=0.1)
    panel.tick_params(labelsize=7)
    panel.set_title(f"{name}: microseconds per step", fontsize=9)
  drawn.savefig(path, dpi=120)


def _draw_tasks(by_case, path, new_figure) -> None:
  """Draws time per step, and until the graph is ready, over tasks."""
  drawn = new_figure(figsize=(9, 3.5), layout="constrained")
  steps, graphs = drawn.subplots(1, 2)
  counts = [n for n in cases.TASK_COUNTS if f"tasks_{n}" in by_case]
  for label, family in (("engine", targets.ENGINE),
                        ("towers' products", targets.BOUND)):
    points = [(n, targets.best(by_case[f"tasks_{n}"], family))
              for n in counts]
    points = [(n, targets.median_seconds(r) * 1e3)
              for n, r in points if r is not None]
    steps.plot(*zip(*points), marker="o", label=label)
  steps.set_ylabel("milliseconds per step")
  steps.legend()
  built = [(n, by_case[f"tasks_{n}"].get(targets.BUILT))
           for n in counts]
  graphs.plot(*zip(*[(n, r.graph_seconds) for n, r in built if r is not None]),
              marker="o")
  graphs.set_ylabel("seconds until the graph is ready")
  for panel in (steps, graphs):
    panel.set_xlabel("tasks")
    panel.set_ylim(bottom=0)
  drawn.savefig(path, dpi=120)
