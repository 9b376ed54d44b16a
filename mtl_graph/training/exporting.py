"""When a run hands its model to whoever exports it."""

import os
from typing import Any, Callable, Dict, Mapping, Optional

import numpy as np

from mtl_graph.data import batches
from mtl_graph.data import splits
from mtl_graph.evaluation import evaluator as evaluator_lib
from mtl_graph.evaluation import measurement
from mtl_graph.evaluation import saved_run
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import rows as rows_lib
from mtl_graph.training import stopping

# Exports a checkpoint: (experiment, checkpoint, raw rows, what the training
# graph answers on them, what is known of the checkpoint, what measures the
# model under other weights) -> path of the version, or None where it was held
# back.
Exporter = Callable[[experiment_pb2.Experiment, str, Dict[str, Any],
                     Dict[str, Any], measurement.Record,
                     Callable[[Mapping[str, np.ndarray]],
                              evaluator_lib.Trial]], Optional[str]]


class Exporting:
  """Hands a run's checkpoints to an exporter."""

  def __init__(self, exporter: Optional[Exporter],
               experiment: experiment_pb2.Experiment,
               evaluator: evaluator_lib.Evaluator,
               rows: Mapping[str, splits.Split],
               validation: Optional[batches.Batch], digests: Mapping[str, str],
               log: Callable[[str], None]):
    """Takes what an export needs beside the checkpoint.

    Args:
      exporter: What is called; None: nothing is exported.
      experiment: The experiment; without a `serving` message nothing is.
      evaluator: Says what the graph answers.
      rows: A `Split` by name; some validation rows are kept for it to answer,
        or training rows where there are no others.
      validation: All validation rows as the graph takes them, if there are any.
      digests: Fingerprints of the rows by split.
      log: Takes a line for each export.
    """
    self._exporter = exporter if experiment.HasField("serving") else None
    self._experiment = experiment
    self._evaluator = evaluator
    self._rows = rows_lib.first(rows.get("validation", rows["train"]))
    self._validation = validation
    self._groups = rows["validation"].groups if "validation" in rows else None
    self._digests = dict(digests)
    self._log = log

  def is_due(self, before: int, step: int, evaluated: bool, best: bool) -> bool:
    """Returns whether the model is to be exported before training ends.

    Args:
      before: The global step when this was last asked.
      step: The global step.
      evaluated: Whether it has just been evaluated.
      best: Whether it was the best so far.
    """
    publishing = self._experiment.serving.publishing
    when = publishing.WhichOneof("during_training")
    if self._exporter is None or when is None:
      return False
    if when == "every_steps":
      return stopping.passes(before, step, publishing.every_steps)
    return best if when == "every_best" else evaluated

  def export(self, step: int, checkpoint: str,
             validation: Optional[measurement.Metrics],
             test: Optional[measurement.Metrics] = None,
             moving: bool = False) -> Optional[str]:
    """Exports the model as the session holds it, and as it was saved.

    Args:
      step: Its step.
      checkpoint: Path of the checkpoint of that step.
      validation: Metrics of the validation rows, if they were measured.
      test: Metrics of the test rows, if they were.
      moving: Whether others change meanwhile what the session holds: what is
        saved is then restored into a graph of its own, and measured there.

    Returns:
      Path of the version; None if nothing was exported.
    """
    if self._exporter is None:
      return None
    if not moving:
      return self._export(self._evaluator, step, checkpoint,
                          {"validation": validation, "test": test})
    run = saved_run.open_run(self._experiment, os.path.dirname(checkpoint),
                             checkpoint)
    with run.session:
      if validation is not None:
        validation = run.evaluator.evaluate(self._validation, self._groups)
      return self._export(run.evaluator, step, checkpoint,
                          {"validation": validation})

  def _export(self, evaluator, step, checkpoint, metrics):
    raw, expected = evaluator.sample(self._rows)
    path = self._exporter(
        self._experiment, checkpoint, raw, expected, measurement.Record(
            step, {split: found for split, found in metrics.items() if found},
            self._digests), lambda weights: evaluator.try_weights(
                weights, self._rows, self._validation, self._groups))
    if path is not None:
      self._log(f"exported {path}")
    return path
