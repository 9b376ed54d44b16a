"""Writes what was measured: tables to read, and JSON."""

from typing import Any, Dict, Mapping

from mtl_graph.evaluation import measurement
from mtl_graph.evaluation import tables


def report(checkpoint: str, measured: Mapping[str, measurement.Measured]
           ) -> str:
  """Lays out everything that was measured.

  Args:
    checkpoint: Path of the checkpoint that was.
    measured: A `Measured` by split.

  Returns:
    The lines: the metrics of each task and split; then those of the slices;
    then how rows fell by label and predicted class.
  """
  parts = [f"metrics of {checkpoint}:\n" + tables.metrics_table(
      {split: found.metrics for split, found in measured.items()})]
  for split, found in measured.items():
    for column, slices in found.slices.items():
      parts.append(f"{split} by {column}:\n" + tables.metrics_table(
          {f"{value or '(none)'} ({one.rows:,})": one.metrics
           for value, one in slices.items()}))
    for task, confusion in found.confusion.items():
      rows = [["label \\ predicted"] + confusion.classes]
      rows += [[name] + [f"{weight:g}" for weight in weights]
               for name, weights in zip(confusion.classes, confusion.matrix)]
      parts.append(f"{split}, {task}:\n" + tables.align(rows))
  return "\n".join(parts)


def to_json(checkpoint: str, measured: Mapping[str, measurement.Measured]
            ) -> Dict[str, Any]:
  """Returns everything that was measured as values that JSON has.

  Args:
    checkpoint: Path of the checkpoint that was.
    measured: A `Measured` by split.

  Returns:
    `checkpoint`; metrics by split, task and name; and, where there are any,
    `slices` by split, column and value, and `confusion` by split and task.
  """
  result: Dict[str, Any] = {"checkpoint": checkpoint}
  result.update({split: found.metrics for split, found in measured.items()})
  slices = {split: {column: {value: one._asdict()
                             for value, one in by_value.items()}
                    for column, by_value in found.slices.items()}
            for split, found in measured.items() if found.slices}
  confusion = {split: {task: {"classes": one.classes,
                              "matrix": one.matrix.tolist()}
                       for task, one in found.confusion.items()}
               for split, found in measured.items() if found.confusion}
  if slices:
    result["slices"] = slices
  if confusion:
    result["confusion"] = confusion
  return result
