"""Tells what changed from one export to another."""

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from mtl_graph import vocabularies
from mtl_graph.checkpoints import compatibility
from mtl_graph.evaluation import tables
from mtl_graph.serving import file_prediction
from mtl_graph.serving import manifest
from mtl_graph.serving import predictor
from mtl_graph.serving import signature_reader


class Difference(NamedTuple):
  """How far two exports are apart in one output.

  Attributes:
    task: The task.
    output: The output, `<task>/<key>`.
    largest: The largest difference of two numbers; of texts and classes 1 where
      any row has another.
    mean: The mean difference; of texts and classes the share of rows with
      another.
  """
  task: str
  output: str
  largest: float
  mean: float


class _Sum:
  """The differences of one output, summed up batch by batch."""

  def __init__(self):
    self._largest, self._total, self._count = 0.0, 0.0, 0

  def add(self, first: np.ndarray, second: np.ndarray) -> None:
    """Takes the values of some rows."""
    if first.dtype.kind == "f":
      with np.errstate(invalid="ignore"):
        apart = np.abs(first.astype(np.float64) - second.astype(np.float64))
      # The same infinity twice, and no number twice, is no difference.
      apart[(first == second) | (np.isnan(first) & np.isnan(second))] = 0
    else:
      apart = (first != second).astype(np.float64)
    # Of NaN against a number there is no distance: the largest there is.
    apart[np.isnan(apart)] = np.inf
    self._largest = max(self._largest, float(apart.max(initial=0)))
    self._total += float(apart.sum())
    self._count += apart.size

  def of(self, output: str) -> Difference:
    """Returns the differences so far."""
    return Difference(output.rpartition("/")[0], output, self._largest,
                      self._total / max(self._count, 1))


def compare(first: predictor.Predictor, second: predictor.Predictor,
            input_path: Optional[str] = None) -> str:
  """Lays out what changed from one export to another.

  Args:
    first: The earlier export.
    second: The later export.
    input_path: Path, glob or shards of rows that both predict; None: none.

  Returns:
    Lines: signatures, tasks and fields of the experiment that were added, are
    gone or are others; validation metrics; how far predictions are apart.

  Raises:
    DataError: If the rows cannot be used.
  """
  lines = [f"from {_describe(first)}", f"to   {_describe(second)}"]
  for title, changes in (
      ("signatures", signature_changes(first.calls.signatures,
                                       second.calls.signatures)),
      ("tasks", task_changes(_tasks(first), _tasks(second))),
      ("experiment", compatibility.differences(first.experiment,
                                               second.experiment))):
    lines.append(f"{title}:" + ("" if changes else " as before"))
    lines += [f"  {change}" for change in changes]
  measured = {name: manifest.read(export.path).get("metrics", {}).get(
      "validation", {}) for name, export in (("from", first), ("to", second))}
  common = [task for task in measured["from"] if list(
      measured["from"][task]) == list(measured["to"].get(task, {}))]
  if common:
    lines += ["validation metrics:", tables.metrics_table(
        {name: {task: found[task] for task in common}
         for name, found in measured.items()})]
  if input_path is not None:
    rows, differences = predictions_apart(first, second, input_path)
    table = [["output", "task", "largest", "mean"]] + [
        [d.output, d.task, _number(d.largest), _number(d.mean)]
        for d in differences]
    lines += [f"predictions on {rows:,} rows apart by:", tables.align(table)]
  return "\n".join(lines)


def predictions_apart(first: predictor.Predictor, second: predictor.Predictor,
                      input_path: str):
  """Returns the number of rows, and a `Difference` per output of both.

  Both read the same rows, each what its own features say of them.
  """
  sums: Dict[str, _Sum] = {}
  rows, batches = 0, [file_prediction.raw_batches(
      export.experiment, input_path, (), file_prediction.Asked().batch_size)
                      for export in (first, second)]
  for (raw, _), (other, _) in zip(*batches):
    before, after = first.run(raw), second.run(other)
    rows += len(next(iter(before.values())))
    for output in before:
      if output in after and (before[output].shape == after[output].shape):
        sums.setdefault(output, _Sum()).add(before[output], after[output])
  return rows, [one.of(output) for output, one in sorted(sums.items())]


def signature_changes(first: Mapping[str, signature_reader.Signature],
                      second: Mapping[str, signature_reader.Signature]
                      ) -> List[str]:
  """Lists the signatures that were added, are gone or are others."""
  changes = _added_and_gone(first, second)
  for name in first:
    if name not in second:
      continue
    before, after = first[name], second[name]
    if before.method != after.method:
      changes.append(f"{name}: method {before.method}, now {after.method}")
    for what in ("inputs", "outputs"):
      old, new = (_shapes(getattr(one, what)) for one in (before, after))
      changes += [f"{name}: {what} {change}"
                  for change in _added_and_gone(old, new)]
      changes += [f"{name}: {what} {key} is {old[key]}, now {new[key]}"
                  for key in old if key in new and old[key] != new[key]]
    if before.optional != after.optional:
      changes.append(f"{name}: may be left out: {_list(before.optional)}, now "
                     f"{_list(after.optional)}")
  return changes


def task_changes(first: Mapping[str, Mapping[str, Any]],
                 second: Mapping[str, Mapping[str, Any]]) -> List[str]:
  """Lists the tasks that were added, are gone, or have other classes."""
  changes = _added_and_gone(first, second)
  for name in first:
    if name in second:
      for field in ("kind", "classes"):
        before, after = first[name][field], second[name][field]
        if before != after:
          changes.append(f"{name}: {field} {_list(before)}, now {_list(after)}")
  return changes


def _tasks(export):
  exported = list(export.experiment.serving.task)
  return {task.name: {"kind": task.WhichOneof("head"),
                      "classes": vocabularies.class_names(task)}
          for task in export.experiment.model.task
          if not exported or task.name in exported}


def _describe(export):
  says = manifest.read(export.path)
  step = says.get("step")
  return (os.path.normpath(export.path)
          + (f", step {step:,}" if isinstance(step, int) else "")
          + (f", written {says['written']}" if "written" in says else ""))


def _added_and_gone(first, second):
  return ([f"{name} added" for name in second if name not in first]
          + [f"{name} gone" for name in first if name not in second])


def _shapes(tensors):
  return {key: f"{tensor.dtype.name} {tensor.shape}"
          for key, tensor in tensors.items()}


def _list(value):
  return value if isinstance(value, str) else ", ".join(value) or "none"


def _number(value):
  return "0" if value == 0 else "inf" if np.isinf(value) else f"{value:.3g}"
