"""What a run tells the terminal and TensorBoard."""

import collections
import math
import sys
import time
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from mtl_graph import outline
from mtl_graph.data import batches
from mtl_graph.data import features
from mtl_graph.data import labels
from mtl_graph.data import raw_values
from mtl_graph.data import slices
from mtl_graph.data import splits
from mtl_graph.evaluation import tables
from mtl_graph.model import graphs
from mtl_graph.model import train_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import joint_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.training import execution
from mtl_graph.training import run_state

# The metric shown in the log line beside the loss, by the kind of head.
_SHOWN = {"binary": "auc", "multiclass": "accuracy", "multilabel": "auc",
          "regression": "rmse", "count": "rmse", "ordinal": "accuracy",
          "quantiles": "quantile_loss"}


def ownership_table(model: graphs.Graph) -> str:
  """Lays out which group owns which variable, with shapes and sizes.

  In independent training a variable may be trained by several tasks, and is in
  the table once.
  """
  frozen = {group.name for group in model.groups if group.frozen}
  owners, by_name = collections.OrderedDict(), {}
  for group, variables in model.variables.items():
    for variable in variables:
      by_name[variable.op.name] = variable
      owners.setdefault(variable.op.name, []).append(
          group + (" (frozen)" if group in frozen else ""))
  rows, total = [["variable", "shape", "parameters", "group"]], 0
  for name, groups in owners.items():
    shape = by_name[name].shape.as_list()
    size = int(np.prod(shape))
    total += size
    rows.append([name, "x".join(map(str, shape)) or "scalar", f"{size:,}",
                 ", ".join(groups)])
  rows.append([f"{len(owners)} variables", "", f"{total:,}",
               f"{len(model.variables)} groups"])
  return tables.align(rows)


def convergence_table(courses: Mapping[str, run_state.Course]) -> str:
  """Lays out how each task's validation loss has gone."""
  rows = [["task", "first", "best", "at step", "last", "at step", "verdict"]]
  for task, course in courses.items():
    rows.append([task, tables.number(course.first), tables.number(course.best),
                 str(course.best_step), tables.number(course.last),
                 str(course.last_step), run_state.verdict(course)])
  return tables.align(rows)


def warnings(experiment: experiment_pb2.Experiment,
             rows: Mapping[str, batches.Batch]) -> List[str]:
  """Lists what is allowed but often a mistake.

  Args:
    experiment: The experiment.
    rows: A `Batch` of all rows, by split.

  Returns:
    A line for each feature that reads a task's label, for each whose training
    rows hold categories it does not know, or none, and for each task without a
    label in a split.
  """
  lines = []
  for split, batch in rows.items():
    labelled = np.any([(some != 0).any(axis=0)
                       for some in slices.of(batch.weights)], axis=0)
    for t, task in enumerate(experiment.model.task):
      if not labelled[t] and outline.has_label(task):
        lines.append(f"warning: no {split} row has a label for task "
                     f"'{task.name}'; its metrics there are not numbers")
  by_column = {column: task.name for task in experiment.model.task
               for column in labels.columns_of(task)}
  unknown = _unknown(experiment, rows["train"].ids)
  for feature in experiment.data.feature:
    column = raw_values.column_of(feature)
    if column in by_column:
      lines.append(f"warning: feature '{feature.name}' reads column "
                   f"'{column}', the label of task '{by_column[column]}'")
    if unknown.get(feature.name):
      lines.append(f"warning: feature '{feature.name}': "
                   f"{unknown[feature.name]:,} of {len(rows['train'].ids):,} "
                   "training rows are missing or not known")
  return lines


def _unknown(experiment, ids) -> Dict[str, int]:
  """Counts the rows with a category that is not known, by feature."""
  places = features.id_columns(experiment.data.feature)
  last = {feature.name: outline.table_rows(feature) - 1
          for feature in experiment.data.feature
          if feature.WhichOneof("kind") == "categorical"}
  counts = dict.fromkeys(last, 0)
  for some in slices.of(ids):
    for name, unknown in last.items():
      counts[name] += int((some[:, places[name]] == unknown).any(axis=1).sum())
  return counts


def rows_line(rows: Mapping[str, splits.Split], rows_of_epoch: int) -> str:
  """Says how many rows each split has.

  Args:
    rows: A `Split` by name.
    rows_of_epoch: Rows of an epoch, which resampling may change.

  Returns:
    A clause, with the rows that were dropped and those of an epoch where they
    differ.
  """
  parts = []
  for name, split in rows.items():
    count = len(split.labels.values)
    notes = [f"{split.dropped:,} dropped"] if split.dropped else []
    if name == "train" and rows_of_epoch != count:
      notes.append(f"{rows_of_epoch:,} an epoch as resampled")
    parts.append(f"{name} {count:,}"
                 + (f" ({', '.join(notes)})" if notes else ""))
  return "rows: " + ", ".join(parts)


def introduction(experiment: experiment_pb2.Experiment, model: graphs.Graph,
                 rows: Mapping[str, batches.Batch],
                 splits_read: Mapping[str, splits.Split], rows_of_epoch: int,
                 executed: str) -> List[str]:
  """Lists what a run says before its first step.

  Args:
    experiment: The experiment.
    model: What `graphs.build` returned.
    rows: A `Batch` of all rows, by split.
    splits_read: A `Split` by name.
    rows_of_epoch: Rows of an epoch.
    executed: How steps are executed.

  Returns:
    The ownership table, warnings, rows and execution.
  """
  return [ownership_table(model), *warnings(experiment, rows),
          f"{rows_line(splits_read, rows_of_epoch)}; execution: {executed}"]


def uncertainty_table(tasks: Sequence[model_pb2.Task],
                      log_variances: Mapping[str, float],
                      form: int = joint_pb2.Uncertainty.LIKELIHOOD) -> str:
  """Lays out the log variances learned, s = log sigma^2.

  Args:
    tasks: The `Task` messages.
    log_variances: s by task.
    form: A value of `Uncertainty.Form`; but for LIKELIHOOD there is no sigma.

  Returns:
    The lines. Sigma is in the label's own units: the noise's standard deviation
    for a squared error, its mean absolute value for an absolute error. A loss
    on ln(1 + label) has none in those units, nor has a classification.
  """
  rows = [["task", "log variance", "sigma"]]
  for task in tasks:
    s = log_variances[task.name]
    sigma = math.nan
    if (form == joint_pb2.Uncertainty.LIKELIHOOD and not task.label.log1p
        and task.WhichOneof("head") in ("regression", "quantiles")):
      sigma = math.exp(s / 2) / task.label.scale
    rows.append([task.name, f"{s:.4f}", tables.number(sigma)])
  return tables.align(rows)


class Interval(NamedTuple):
  """What the steps of an interval measured.

  Attributes:
    losses: Mean loss of each task that was trained, NaN without labels.
    total: Mean total loss; None in independent training, where there is none.
    task_weights: Last factor on each task's loss.
    gradient_norms: Mean norm of each group's gradient.
    learning_rates: Last rate of each group.
    measures: Mean of what else is measured, by its name.
    rows: Rows that were seen.
  """
  losses: Dict[str, float]
  total: Optional[float]
  task_weights: Dict[str, float]
  gradient_norms: Dict[str, float]
  learning_rates: Dict[str, float]
  measures: Dict[str, float]
  rows: int


def measure(steps: Sequence[train_step.Step],
            ran: Sequence[execution.Ran]) -> Interval:
  """Sums up what the steps of an interval measured.

  Args:
    steps: The steps as they were traced, several in independent training.
    ran: Those that were run.

  Returns:
    An `Interval`; a task of which no step was run is not in it.
  """
  interval = Interval({}, None, {}, {}, {}, {}, 0)
  rows = 0
  for number, step in enumerate(steps):
    reports = [one.report for one in ran if one.step == number]
    if not reports:
      continue
    report = train_step.unpack_report(np.stack(reports), step.sizes)
    interval.losses.update(zip(step.tasks, interval_losses(report)))
    interval.task_weights.update(zip(step.tasks, report.task_weights[-1]))
    interval.gradient_norms.update(zip(step.tasks_of_group,
                                       report.gradient_norms.mean(axis=0)))
    interval.learning_rates.update(zip(step.tasks_of_group,
                                       report.learning_rates[-1]))
    interval.measures.update(zip(step.measures, report.measures.mean(axis=0)))
    rows += step.rows * sum(one.passed for one in ran if one.step == number)
    if len(steps) == 1:
      interval = interval._replace(total=float(report.total.mean()))
  return interval._replace(rows=rows)


def interval_losses(report: train_step.Report) -> np.ndarray:
  """Returns each task's mean loss over an interval, NaN without labels; [T]."""
  weights = report.label_weights.astype(np.float64)
  total = weights.sum(axis=0)
  with np.errstate(invalid="ignore", divide="ignore"):
    return (report.task_losses * weights).sum(axis=0) / total


def log_line(step: int, num_steps: int, tasks: Sequence[model_pb2.Task],
             interval: Interval, rate: float,
             metrics: Optional[Mapping[str, Mapping[str, float]]]) -> str:
  """Writes the one line of an interval.

  Args:
    step: The global step.
    num_steps: Steps in all.
    tasks: The `Task` messages.
    interval: What the steps of the interval measured.
    rate: Examples per second.
    metrics: Validation metrics by task and name, or None.

  Returns:
    The line.
  """
  losses = [f"{task.name} {tables.number(interval.losses[task.name])}"
            for task in tasks if task.name in interval.losses]
  if interval.total is not None:
    losses.append(f"total {tables.number(interval.total)}")
  parts = [f"step {step}/{num_steps}", " ".join(["loss", *losses])]
  if metrics:
    parts.append("validation " + ", ".join(
        f"{task.name} {tables.number(metrics[task.name]['loss'])} {shown} "
        f"{tables.number(metrics[task.name][shown])}"
        for task in tasks for shown in [_SHOWN[task.WhichOneof("head")]]))
  return " | ".join(parts + [f"{rate:,.0f} examples/s"])


class ProgressBar:
  """A line on the terminal that is drawn over as steps go by.

  On anything but a terminal it draws nothing.
  """

  def __init__(self, num_steps: int, stream=None):
    self._num_steps = num_steps
    self._stream = stream or sys.stderr
    self._shown = self._stream.isatty()
    self._last = 0.0
    self._drawn = False

  def draw(self, step: int) -> None:
    """Draws the bar, at most ten times a second."""
    now = time.monotonic()
    if not self._shown or now - self._last < 0.1:
      return
    self._last, self._drawn = now, True
    filled = round(30 * step / self._num_steps)
    self._stream.write(f"\r[{'=' * filled}{' ' * (30 - filled)}] "
                       f"{step}/{self._num_steps}")
    self._stream.flush()

  def clear(self) -> None:
    """Wipes the bar, so that a line can be printed."""
    if self._drawn:
      self._stream.write("\r" + " " * 60 + "\r")
      self._stream.flush()
      self._drawn = False
