"""Opens a trained run again, to evaluate it or to export it."""

import os
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import row_sets
from mtl_graph import vocabularies
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import splits
from mtl_graph.evaluation import cached_rows
from mtl_graph.evaluation import details
from mtl_graph.evaluation import evaluator as evaluator_lib
from mtl_graph.evaluation import measurement
from mtl_graph.evaluation import tables
from mtl_graph.model import graphs
from mtl_graph.protos import experiment_pb2


class SavedRun(NamedTuple):
  """A checkpoint restored into its graph.

  Attributes:
    checkpoint: Path of the checkpoint.
    experiment: The experiment, its vocabularies in line.
    session: The session.
    evaluator: Runs the model.
  """
  checkpoint: str
  experiment: experiment_pb2.Experiment
  session: tf.Session
  evaluator: evaluator_lib.Evaluator


def open_run(experiment: experiment_pb2.Experiment, model_dir: str,
             which: str = "") -> SavedRun:
  """Restores a checkpoint of a run.

  Args:
    experiment: The experiment, valid.
    model_dir: The run's folder.
    which: "best", "latest", "" (the best if there is one) or a path.

  Returns:
    A `SavedRun`.

  Raises:
    CheckpointError: If there is no such checkpoint, or it cannot be restored.
    ConfigErrors: If the experiment's network is not the one that was trained.
  """
  checkpoint = checkpoints.choose(model_dir, which)
  saved = compatibility.experiment_of(checkpoint)
  experiment = vocabularies.adopt(vocabularies.in_line(experiment), saved)
  compatibility.refuse(
      compatibility.within(compatibility.differences(saved, experiment),
                           compatibility.NETWORK), model_dir,
      "the network that was trained")
  sessions.set_threads(experiment.training.execution)
  model = graphs.build(experiment)
  session = sessions.open_session(model.graph, experiment.training.execution)
  with model.graph.as_default():
    sessions.initialize(session)
    checkpoints.restore_into(session, tf.train.Saver(), checkpoint)
  return SavedRun(checkpoint, experiment, session, evaluator_lib.Evaluator(
      session, model, experiment))


def batch_of(run: SavedRun, split: str, rows: splits.Split, model_dir: str,
             log: Callable[[str], None] = print
             ) -> Tuple[batches.Batch, splits.Split]:
  """Returns rows as the graph takes them.

  Args:
    run: The run.
    split: Name of the rows that are at hand.
    rows: The rows; where rows are streamed the first ones will do.
    model_dir: The run's folder.
    log: Takes a line if rows are parsed.

  Returns:
    A `Batch` of arrays, and their split; of streamed rows those of the cache.
  """
  if not row_sets.is_streamed(run.experiment.data):
    return run.evaluator.transform(rows), rows
  found, read = _cached(run, model_dir, [split], log)
  return found.batches[split], read[split]


def record(run: SavedRun, batch: Optional[batches.Batch], rows: splits.Split
           ) -> measurement.Record:
  """Says what is known of a checkpoint that is to be exported.

  Args:
    run: The run.
    batch: The validation rows as the graph takes them; None: there are none.
    rows: Their split.

  Returns:
    A `Record`.
  """
  digests = {"train": checkpoints.read_state(run.checkpoint).get("digest", "")}
  metrics = {}
  if batch is not None:
    digests["validation"] = batches.digest(batch, list(rows.sources.values()))
    metrics["validation"] = run.evaluator.evaluate(batch, rows.groups)
  return measurement.Record(checkpoints.global_step(run.checkpoint), metrics,
                            digests)


def _cached(run, model_dir, names, log):
  """Returns batches and splits of the cache, for the splits of these names."""
  cache = cached_rows.open_cache(run.experiment, model_dir, log, names)
  return cached_rows.transform(cache, run.experiment, run.evaluator,
                               run.session), cache.rows.splits


def evaluate(experiment: experiment_pb2.Experiment, model_dir: str,
             which: str = "", arrays: Optional[Mapping[str, Mapping[
                 str, np.ndarray]]] = None,
             log: Callable[[str], None] = print
             ) -> Dict[str, measurement.Metrics]:
  """Evaluates a checkpoint on the validation and test rows.

  Prints the metrics and writes them to `model_dir/metrics.json`.

  Args:
    experiment: The experiment, valid.
    model_dir: The run's folder.
    which: Which checkpoint; see `open_run`.
    arrays: Columns by split handed over in Python, in place of files.
    log: Takes the lines.

  Returns:
    Metrics by split, task and name.

  Raises:
    CheckpointError, ConfigErrors: As `open_run`; also if there is no split to
      evaluate.
    DataError: If the rows cannot be used.
  """
  names = [split for split in ("validation", "test")
           if row_sets.of(experiment.data, split, arrays)]
  if not names:
    raise config.ConfigErrors([config.ConfigError(
        "data", "found neither validation nor test; allowed: at least one")])
  run = open_run(experiment, model_dir, which)
  with run.session:
    measured = {}
    if arrays is None and row_sets.is_streamed(experiment.data):
      found, read = _cached(run, model_dir, names, log)
      for split in names:
        measured[split] = run.evaluator.measure(found.batches[split],
                                                read[split].groups)
    else:
      for split, rows in splits.read_all(experiment, arrays, names).items():
        measured[split] = run.evaluator.measure(run.evaluator.transform(rows),
                                                rows.groups)
  log(details.report(run.checkpoint, measured))
  tables.write_json(details.to_json(run.checkpoint, measured),
                    os.path.join(model_dir, "metrics.json"))
  return {split: measure.metrics for split, measure in measured.items()}
