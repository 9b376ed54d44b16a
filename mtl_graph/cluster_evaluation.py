"""Follows a run's checkpoints: measures each, keeps the best, exports it."""

import glob
import os
import shutil
import time
from typing import Callable, Optional

import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph import cluster as cluster_lib
from mtl_graph import config
from mtl_graph import row_sets
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from mtl_graph.evaluation import tables
from mtl_graph.protos import evaluation_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import outcome
from mtl_graph.training import waiting

_LOOK = 0.5


def watch(experiment: experiment_pb2.Experiment, model_dir: str,
          log: Callable[[str], None] = print,
          cluster: Optional[cluster_lib.Cluster] = None) -> None:
  """Measures the checkpoints of a run as they come, until it is over.

  All it writes lies in `model_dir/evaluator`: the best checkpoint by
  `evaluation.best` (each is, without that rule), its metrics, and, with a
  `serving` message, its exports.

  Args:
    experiment: The experiment, valid, with validation rows.
    model_dir: The run's folder, which others write to.
    log: Takes a line for each checkpoint.
    cluster: The cluster whose chief writes them.

  Raises:
    ClusterError: If for `wait_seconds` the chief does not answer, and no
      checkpoint comes.
    ConfigErrors: If there are no validation rows.
    DataError: If they cannot be used.
    Interrupted: If it was asked to stop.
  """
  if not row_sets.of(experiment.data, "validation"):
    raise config.ConfigErrors([config.ConfigError(
        "data.validation", "found nothing; required by an evaluator")])
  with interruption_lib.Interruption() as interruption:
    evaluator, seen, absence = None, None, None
    while True:
      over = outcome.is_over(model_dir, experiment)
      path = checkpoints.latest(model_dir)
      if path is not None and path != seen:
        if evaluator is None:
          evaluator = _Evaluator(experiment, model_dir, path, log)
        try:
          evaluator.take(path)
        except checkpoints.CheckpointError as error:
          log(f"passed over: {error}")  # Newer ones have taken its place.
        seen, absence = path, None
      elif over:
        return
      elif cluster is not None:
        absence = absence or waiting.Absence(
            {cluster.chief: cluster.workers[cluster.chief]},
            experiment.training.cluster.wait_seconds, log)
        problem = absence.look()
        if problem:
          raise waiting.ClusterError(problem)
      if interruption.requested():
        raise interruption_lib.Interrupted(
            f"evaluator stopped by {interruption.signal.name}",
            interruption.signal)
      time.sleep(_LOOK)


class _Evaluator:
  """The graph, the validation rows, and the best so far."""

  def __init__(self, experiment, model_dir, path, log):
    self._log, self._experiment = log, experiment
    self._folder = os.path.join(model_dir, "evaluator")
    self._run = saved_run.open_run(experiment, model_dir, path)
    with self._run.session.graph.as_default():
      self._saver = tf.train.Saver()
    read = (splits.read_first if row_sets.is_streamed(experiment.data)
            else splits.read)
    self._rows = read(experiment, "validation")
    self._batch, self._measured = saved_run.batch_of(
        self._run, "validation", self._rows, self._folder, log)
    self._best = None
    record = os.path.join(self._folder, "best.json")
    if os.path.exists(record):
      self._best = tables.read_json(record)["value"]

  def take(self, path: str) -> None:
    """Measures a checkpoint, and keeps and exports it if it is the best."""
    with self._run.session.graph.as_default():
      checkpoints.restore_into(self._run.session, self._saver, path)
    run = self._run._replace(checkpoint=path)
    record = saved_run.record(run, self._batch, self._measured)
    metrics = record.metrics["validation"]
    rule = self._experiment.evaluation.best
    task, _, name = rule.metric.partition("/")
    value = metrics[task][name] if rule.metric else None
    best = self._best is None or value is None or (
        value > self._best if rule.goal == evaluation_pb2.MAXIMIZE
        else value < self._best)
    self._log(f"step {checkpoints.step_of(path)}: "
              + "; ".join(" ".join([task, *(
                  f"{name} {tables.number(value)}" for name, value
                  in found.items())]) for task, found in metrics.items())
              + (" (best)" if best else ""))
    if not best:
      return
    self._keep(path)
    self._best = value
    tables.write_json({"value": value, "checkpoint": os.path.basename(path),
                       "validation": metrics},
                      os.path.join(self._folder, "best.json"))
    if self._experiment.HasField("serving"):
      raw, expected = run.evaluator.sample(self._rows)
      exported = api.exporter(self._folder, self._log)(
          run.experiment, path, raw, expected, record,
          lambda weights: run.evaluator.try_weights(
              weights, self._rows, self._batch, self._measured.groups))
      if exported:
        self._log(f"exported {exported}")

  def _keep(self, path: str) -> None:
    """Copies a checkpoint in place of the best one so far."""
    folder = os.path.join(self._folder, "best")
    os.makedirs(folder, exist_ok=True)
    before = set(os.listdir(folder))
    name = os.path.basename(path)
    for file in glob.glob(glob.escape(path) + ".*"):
      shutil.copy(file, folder)
    tf.train.update_checkpoint_state(folder, name)
    for file in before:
      if file != "checkpoint" and not file.startswith(name + "."):
        os.remove(os.path.join(folder, file))
