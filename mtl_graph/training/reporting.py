"""What a run tells the terminal and TensorBoard."""

import os
import sys
import time
from typing import Dict, Mapping, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.evaluation import tables
from mtl_graph.model import graphs
from mtl_graph.training import run_state

# The metric shown in the log line beside the loss, by the kind of head.
_SHOWN = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}


def ownership_table(model: graphs.Graph) -> str:
  """Lays out which group owns which variable, with shapes and sizes."""
  frozen = {group.name for group in model.groups if group.frozen}
  rows, total = [["variable", "shape", "parameters", "group"]], 0
  for group, variables in model.variables.items():
    for variable in variables:
      shape = variable.shape.as_list()
      size = int(np.prod(shape))
      total += size
      rows.append([variable.op.name, "x".join(map(str, shape)) or "scalar",
                   f"{size:,}", group + (" (frozen)" if group in frozen else "")])
  rows.append([f"{len(rows) - 1} variables", "", f"{total:,}",
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


def interval_losses(report: graphs.Report) -> np.ndarray:
  """Returns each task's mean loss over an interval, NaN without labels; [T]."""
  weights = report.label_weights.astype(np.float64)
  total = weights.sum(axis=0)
  with np.errstate(invalid="ignore", divide="ignore"):
    return (report.task_losses * weights).sum(axis=0) / total


def log_line(step: int, num_steps: int, tasks: Sequence,
             report: Optional[graphs.Report], rate: Optional[float],
             metrics: Optional[Mapping[str, Mapping[str, float]]]) -> str:
  """Writes the one line of an interval.

  Args:
    step: The global step.
    num_steps: Steps in all.
    tasks: The `Task` messages.
    report: What the steps of the interval measured, or None.
    rate: Examples per second, or None.
    metrics: Validation metrics by task and name, or None.

  Returns:
    The line.
  """
  parts = [f"step {step}/{num_steps}"]
  if report is not None:
    losses = interval_losses(report)
    parts.append("loss " + " ".join(
        [f"{task.name} {tables.number(loss)}"
         for task, loss in zip(tasks, losses)]
        + [f"total {tables.number(float(report.total.mean()))}"]))
  if metrics:
    parts.append("validation " + ", ".join(
        f"{task.name} {tables.number(metrics[task.name]['loss'])} {shown} "
        f"{tables.number(metrics[task.name][shown])}"
        for task in tasks for shown in [_SHOWN[task.WhichOneof("head")]]))
  if rate is not None:
    parts.append(f"{rate:,.0f} examples/s")
  return " | ".join(parts)


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


class SummaryWriter:
  """Writes scalars for TensorBoard, to `model_dir/summaries`."""

  def __init__(self, model_dir: str, step: int):
    """Opens the file and drops, in TensorBoard, what came after `step`.

    Args:
      model_dir: The run's folder.
      step: Step from which the run goes on.
    """
    self._writer = tf.summary.FileWriter(os.path.join(model_dir, "summaries"))
    if step:
      self._writer.add_session_log(
          tf.SessionLog(status=tf.SessionLog.START), step)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes scalars of one step."""
    self._writer.add_summary(tf.Summary(value=[
        tf.Summary.Value(tag=tag, simple_value=float(value))
        for tag, value in scalars.items()]), step)
    self._writer.flush()

  def close(self) -> None:
    """Closes the file."""
    self._writer.close()


def scalars(tasks: Sequence[str], groups: Sequence[str],
            report: Optional[graphs.Report], rate: Optional[float],
            metrics: Optional[Mapping[str, Mapping[str, float]]],
            log_variances: Mapping[str, float]) -> Dict[str, float]:
  """Names the numbers of an interval as summaries.

  Args:
    tasks: Names of the tasks.
    groups: Names of the groups that are trained.
    report: What the steps of the interval measured, or None.
    rate: Examples per second, or None.
    metrics: Validation metrics by task and name, or None.
    log_variances: Log variance by task, where it is learned.

  Returns:
    Scalars by tag: `loss/<task>`, `loss/total`, `task_weight/<task>`,
    `log_variance/<task>`, `learning_rate/<group>`, `gradient_norm/<group>`,
    `metric/<task>/<name>`, `throughput/examples_per_second`.
  """
  values = {}
  if report is not None:
    for task, loss, weight in zip(tasks, interval_losses(report),
                                  report.task_weights[-1]):
      values[f"loss/{task}"] = loss
      values[f"task_weight/{task}"] = weight
    values["loss/total"] = report.total.mean()
    for group, norm, learning_rate in zip(
        groups, report.gradient_norms.mean(axis=0), report.learning_rates[-1]):
      values[f"gradient_norm/{group}"] = norm
      values[f"learning_rate/{group}"] = learning_rate
  for task, value in log_variances.items():
    values[f"log_variance/{task}"] = value
  for task, named in (metrics or {}).items():
    for name, value in named.items():
      values[f"metric/{task}/{name}"] = value
  if rate is not None:
    values["throughput/examples_per_second"] = rate
  return values
