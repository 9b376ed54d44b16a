"""Scalars for TensorBoard, in `model_dir/summaries`."""

import os
from typing import Dict, Mapping, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.evaluation import measurement
from mtl_graph.model import graphs
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
      cosines: What `gradient_cosines.build` returned, or nothing.
    """
    self._experiment = experiment
    self._model = model
    self._session = session
    self._folder = os.path.join(model_dir, "summaries")
    self._cosines = {f"gradient_cosine/{a}/{b}": cosine
                     for (a, b), cosine in cosines.items()}
    self._writer = None

  def write(self, step: int, steps: int, interval: reporting.Interval,
            rate: float, metrics: Optional[measurement.Metrics]) -> None:
    """Writes the scalars of an interval.

    Args:
      step: The step the interval ends at.
      steps: How many steps it has.
      interval: What they measured.
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
            status=tf.SessionLog.START), step - steps + 1)
      values = scalars(interval, rate, metrics,
                       self._session.run(self._model.log_variances),
                       self._session.run(self._model.counters))
      values.update(self._session.run(self._cosines))
      self._writer.add_summary(tf.Summary(value=[
          tf.Summary.Value(tag=tag, simple_value=float(value))
          for tag, value in values.items()]), step)
      self._writer.flush()

  def close(self) -> None:
    """Closes the file."""
    if self._writer is not None:
      self._writer.close()


def scalars(interval: reporting.Interval, rate: float,
            metrics: Optional[measurement.Metrics],
            log_variances: Mapping[str, float],
            iterations: Mapping[str, int]) -> Dict[str, float]:
  """Names the numbers of an interval as summaries.

  Args:
    interval: What the steps of the interval measured.
    rate: Examples per second.
    metrics: Validation metrics by task and name, or None.
    log_variances: Log variance by task, where it is learned.
    iterations: Iterations by task, in independent training.

  Returns:
    Scalars by tag: `loss/<task>`, `loss/total`, `task_weight/<task>`,
    `log_variance/<task>`, `iterations/<task>`, `learning_rate/<group>`,
    `gradient_norm/<group>`, `gate/<task>/<expert>`, `gate/<task>/entropy`,
    `metric/<task>/<name>`, `throughput/examples_per_second`.
  """
  values = {"throughput/examples_per_second": rate}
  if interval.total is not None:
    values["loss/total"] = interval.total
  named = {"loss": interval.losses, "task_weight": interval.task_weights,
           "gradient_norm": interval.gradient_norms,
           "learning_rate": interval.learning_rates,
           "log_variance": log_variances, "iterations": iterations}
  for kind, some in named.items():
    values.update((f"{kind}/{name}", value) for name, value in some.items())
  values.update(interval.measures)
  for task, some in (metrics or {}).items():
    for name, value in some.items():
      values[f"metric/{task}/{name}"] = value
  return values
