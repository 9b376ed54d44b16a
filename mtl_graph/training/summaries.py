"""Scalars for TensorBoard, in `model_dir/summaries`."""

import os
from typing import Dict, Mapping, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.evaluation import measurement
from mtl_graph.model import graphs
from mtl_graph.model import joint_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import reporting


class Summaries:
  """Writes what a run measures; opens its file when there is something."""

  def __init__(self, experiment: experiment_pb2.Experiment, model: graphs.Graph,
               session: tf.Session, model_dir: str,
               cosines: Mapping[Tuple[str, str], tf.Tensor]):
    """Prepares a writer.

    Args:
      experiment: The experiment.
      model: The graph.
      session: A session on it.
      model_dir: The run's folder.
      cosines: What `joint_step.gradient_cosines` returned, or nothing.
    """
    self._experiment = experiment
    self._model = model
    self._session = session
    self._folder = os.path.join(model_dir, "summaries")
    self._cosines = {f"gradient_cosine/{a}/{b}": cosine
                     for (a, b), cosine in cosines.items()}
    self._writer = None

  def write(self, step: int, report: joint_step.Report, rate: float,
            metrics: Optional[measurement.Metrics]) -> None:
    """Writes the scalars of an interval.

    Args:
      step: The step the interval ends at.
      report: What its steps measured.
      rate: Examples per second.
      metrics: Validation metrics by task and name, or None.
    """
    if not self._experiment.training.summaries.enabled:
      return
    with self._model.graph.as_default():
      if self._writer is None:
        # Two runs within a second would otherwise write to one file.
        self._writer = tf.summary.FileWriter(
            self._folder, filename_suffix=f".{os.getpid()}.{step}")
        # TensorBoard drops what an earlier process wrote from this step on.
        self._writer.add_session_log(tf.SessionLog(
            status=tf.SessionLog.START), step - len(report.total) + 1)
      values = scalars(
          [task.name for task in self._experiment.model.task],
          [g.name for g in self._model.groups if not g.frozen], report, rate,
          metrics, self._session.run(self._model.log_variances))
      values.update(self._session.run(self._cosines))
      self._writer.add_summary(tf.Summary(value=[
          tf.Summary.Value(tag=tag, simple_value=float(value))
          for tag, value in values.items()]), step)
      self._writer.flush()

  def close(self) -> None:
    """Closes the file."""
    if self._writer is not None:
      self._writer.close()


def scalars(tasks: Sequence[str], groups: Sequence[str],
            report: joint_step.Report, rate: float,
            metrics: Optional[measurement.Metrics],
            log_variances: Mapping[str, float]) -> Dict[str, float]:
  """Names the numbers of an interval as summaries.

  Args:
    tasks: Names of the tasks.
    groups: Names of the groups that are trained.
    report: What the steps of the interval measured.
    rate: Examples per second.
    metrics: Validation metrics by task and name, or None.
    log_variances: Log variance by task, where it is learned.

  Returns:
    Scalars by tag: `loss/<task>`, `loss/total`, `task_weight/<task>`,
    `log_variance/<task>`, `learning_rate/<group>`, `gradient_norm/<group>`,
    `metric/<task>/<name>`, `throughput/examples_per_second`.
  """
  values = {"loss/total": report.total.mean(),
            "throughput/examples_per_second": rate}
  for task, loss, weight in zip(tasks, reporting.interval_losses(report),
                                report.task_weights[-1]):
    values[f"loss/{task}"] = loss
    values[f"task_weight/{task}"] = weight
  for group, norm, learning_rate in zip(
      groups, report.gradient_norms.mean(axis=0), report.learning_rates[-1]):
    values[f"gradient_norm/{group}"] = norm
    values[f"learning_rate/{group}"] = learning_rate
  for task, value in log_variances.items():
    values[f"log_variance/{task}"] = value
  for task, named in (metrics or {}).items():
    for name, value in named.items():
      values[f"metric/{task}/{name}"] = value
  return values
