"""Follows a run's checkpoints: measures each, keeps the best, exports it."""

import glob
import math
import os
import shutil
import time
from typing import Callable, Dict, Optional, Union

import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph import cluster as cluster_lib
from mtl_graph import config
from mtl_graph import row_sets
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import splits
from mtl_graph.evaluation import measurement
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
  `serving` message, its exports. Started again, it goes on behind the last
  checkpoint that it is done with.

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
    evaluator, absence = _Evaluator(experiment, model_dir, log), None
    undone = evaluator.left_undone()
    # A chief without others has no server: nobody listens at its address.
    listens = cluster is not None and len(cluster.addresses) > 1
    log(f"evaluator: follows the checkpoints of {os.path.abspath(model_dir)}")
    while True:
      over = outcome.is_over(model_dir, experiment)
      path = undone or checkpoints.latest(model_dir)
      if path is not None and evaluator.is_new(path):
        try:
          evaluator.take(path)
        except checkpoints.CheckpointError as error:
          log(f"passed over: {error}")  # Newer ones have taken its place.
        undone = absence = None
      elif over:
        return
      elif listens:
        absence = absence or waiting.Absence(
            {cluster.chief: cluster.workers[cluster.chief]},
            experiment.training.cluster.wait_seconds, log)
        problem = absence.look()
        if problem:
          raise waiting.ClusterError(
              problem + (f"; {model_dir} has no checkpoint" if path is None
                         else ""))
      if interruption.requested():
        raise interruption_lib.Interrupted(
            f"evaluator stopped by {interruption.signal.name}",
            interruption.signal)
      time.sleep(_LOOK)


class _Evaluator:
  """The graph, the validation rows, and the best so far.

  `best.json` is written once the best checkpoint is kept and exported,
  `last.json` once all is done that a checkpoint asks for.
  """

  def __init__(self, experiment, model_dir, log):
    self._log, self._experiment, self._model_dir = log, experiment, model_dir
    self._folder = os.path.join(model_dir, "evaluator")
    self._best_folder = os.path.join(self._folder, "best")
    self._run = self._saver = self._rows = self._batch = self._measured = None
    self._best, rule = self._read("best"), experiment.evaluation.best
    self._measure = [rule.metric, evaluation_pb2.Goal.Name(rule.goal)]
    same = not self._best or self._best.get("measured", [])[:2] == self._measure
    self._seen = self._read("last") if same else {}

  def _read(self, name):
    path = os.path.join(self._folder, f"{name}.json")
    return tables.read_json(path) if os.path.exists(path) else {}

  def left_undone(self) -> Optional[str]:
    """Returns the checkpoint that was being kept when a process was ended."""
    path = checkpoints.latest(self._best_folder)
    kept = self._best.get("checkpoint")
    return path if path and os.path.basename(path) != kept else None

  def is_new(self, path: str) -> bool:
    """Returns whether a checkpoint has not been measured yet."""
    return _identity(path) != self._seen

  def take(self, path: str) -> None:
    """Measures a checkpoint, and keeps and exports it if it is the best.

    Raises:
      CheckpointError: If it is damaged, or the chief has dropped it.
    """
    self._seen = _identity(path)
    held = _link(path, _emptied(os.path.join(self._folder, "at_hand")))
    if self._run is None:
      self._open(held)
    else:
      with self._run.session.graph.as_default():
        checkpoints.restore_into(self._run.session, self._saver, held)
    record = saved_run.record(self._run._replace(checkpoint=held), self._batch,
                              self._measured)
    metrics = record.metrics["validation"]
    self._start_comparing(record.digests["validation"])
    task, _, name = self._experiment.evaluation.best.metric.partition("/")
    value = metrics[task][name] if task else None
    best = self._is_best(value)
    self._log(f"step {checkpoints.step_of(path)}: "
              + "; ".join(" ".join([task, *(
                  f"{name} {tables.number(value)}" for name, value
                  in found.items())]) for task, found in metrics.items())
              + (" (best)" if best else ""))
    if best:
      self._export(self._keep(held), record)
      self._best = {"value": value, "measured": self._measure,
                    "checkpoint": os.path.basename(path), "validation": metrics}
      self._write("best", self._best)
    self._write("last", self._seen)
    shutil.rmtree(os.path.dirname(held))

  def _open(self, path):
    """Builds the graph, restores a checkpoint and reads the rows."""
    run = saved_run.open_run(self._experiment, self._model_dir, path)
    with run.session.graph.as_default():
      self._saver = tf.train.Saver()
    read = (splits.read_first if row_sets.is_streamed(self._experiment.data)
            else splits.read)
    self._rows = read(self._experiment, "validation")
    self._batch, self._measured = saved_run.batch_of(
        run, "validation", self._rows, self._folder, self._log)
    self._run = run

  def _start_comparing(self, digest):
    """Forgets a best value that is of another metric, goal or set of rows."""
    self._measure = [*self._measure[:2], digest]
    if self._best and self._best.get("measured") != self._measure:
      self._log("the best checkpoint so far was chosen by another measure: the "
                "next one takes its place")
      self._best = {}

  def _is_best(self, value):
    best = self._best.get("value")
    if value is None or best is None or math.isnan(best):
      return True
    if self._experiment.evaluation.best.goal == evaluation_pb2.MAXIMIZE:
      return value > best
    return value < best

  def _keep(self, path: str) -> str:
    """Puts a checkpoint in place of the best one so far; returns its path."""
    os.makedirs(self._best_folder, exist_ok=True)
    name = os.path.basename(path)
    kept = _link(path, self._best_folder)
    tf.train.update_checkpoint_state(self._best_folder, name)
    for file in os.listdir(self._best_folder):
      if file != "checkpoint" and not file.startswith(name + "."):
        os.remove(os.path.join(self._best_folder, file))
    return kept

  def _export(self, path: str, record: measurement.Record) -> None:
    """Exports what the session holds, if that is wanted."""
    if not self._experiment.HasField("serving"):
      return
    evaluator = self._run.evaluator
    raw, expected = evaluator.sample(self._rows)
    exported = api.exporter(self._folder, self._log)(
        self._run.experiment, path, raw, expected, record,
        lambda weights: evaluator.try_weights(
            weights, self._rows, self._batch, self._measured.groups))
    if exported:
      self._log(f"exported {exported}")

  def _write(self, name, value):
    tables.write_json(value, os.path.join(self._folder, f"{name}.json"))


def _identity(path: str) -> Dict[str, Union[str, int]]:
  """Returns what tells a checkpoint from another one of its name."""
  try:
    saved = os.stat(path + ".index").st_mtime_ns
  except OSError:  # Dropped just now.
    saved = 0
  return {"checkpoint": os.path.basename(path), "saved": saved}


def _emptied(folder: str) -> str:
  shutil.rmtree(folder, ignore_errors=True)
  os.makedirs(folder)
  return folder


def _link(path: str, folder: str) -> str:
  """Has a checkpoint in a folder too, whoever drops it where it was.

  Args:
    path: Path of the checkpoint.
    folder: The folder.

  Returns:
    Its path in the folder.

  Raises:
    CheckpointError: If it has been dropped, or there is no space.
  """
  for file in glob.glob(glob.escape(path) + ".*"):
    there = os.path.join(folder, os.path.basename(file))
    if os.path.exists(there):
      os.remove(there)
    try:
      os.link(file, there)
    except OSError:  # Not every file system has links.
      try:
        shutil.copy2(file, there)
      except OSError as error:
        raise checkpoints.CheckpointError(
            f"{path}: cannot be held: {error}") from error
  return os.path.join(folder, os.path.basename(path))
