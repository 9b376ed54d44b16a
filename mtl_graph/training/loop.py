"""Trains an experiment: from its rows to its last checkpoint and metrics."""

import contextlib
import os
import time
from typing import Callable, Dict, Mapping, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.checkpoints import compatibility
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import features
from mtl_graph.data import splits
from mtl_graph.evaluation import evaluator as evaluator_lib
from mtl_graph.evaluation import tables
from mtl_graph.model import graphs
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import execution as execution_lib
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import model_dir as model_dir_lib
from mtl_graph.training import reporting
from mtl_graph.training import run_state
from mtl_graph.training import summaries

# Columns by name, by split.
Arrays = Mapping[str, Mapping[str, np.ndarray]]


class TrainingError(Exception):
  """A run that cannot go on."""


class Interrupted(Exception):
  """A run that was asked to stop, and has saved.

  Attributes:
    signal: The signal.
  """

  def __init__(self, message: str, signal):
    super().__init__(message)
    self.signal = signal


class Result(NamedTuple):
  """What a run came to.

  Attributes:
    step: The last step.
    checkpoint: Path of the checkpoint that was evaluated and exported.
    metrics: Metrics by split, task and name; empty where there is nothing to
      evaluate on.
    export_path: The version exported, or None.
  """
  step: int
  checkpoint: str
  metrics: Dict[str, evaluator_lib.Metrics]
  export_path: Optional[str]


# Exports a checkpoint: (experiment, checkpoint, raw rows, what the training
# graph answers on them) -> path of the version.
Exporter = Callable[[experiment_pb2.Experiment, str, Dict, Dict], str]


def describe(experiment: experiment_pb2.Experiment,
             arrays: Optional[Arrays] = None) -> str:
  """Reads the data and builds the graph, and says which group owns what.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split handed over in Python, in place of files.

  Returns:
    The table of variables, shapes, parameter counts and groups.

  Raises:
    ConfigErrors, DataError: If experiment and data do not fit.
  """
  rows = _read_splits(experiment, arrays)
  model = graphs.build(experiment, features.measure(
      experiment.data.feature, rows["train"].raw))
  return reporting.ownership_table(model)


def train(experiment: experiment_pb2.Experiment, model_dir: str,
          arrays: Optional[Arrays] = None, allow_changes: bool = False,
          exporter: Optional[Exporter] = None,
          log: Callable[[str], None] = print) -> Result:
  """Trains an experiment, from its last checkpoint if there is one.

  Args:
    experiment: The experiment, valid.
    model_dir: Folder of the run; made if need be.
    arrays: Columns by split handed over in Python, in place of files.
    allow_changes: Whether to go on under an experiment or data that differ from
      those of the last checkpoint; what fits is restored.
    exporter: Called at the end if the experiment has a `serving` message.
    log: Takes each line of the log.

  Returns:
    A `Result`.

  Raises:
    ConfigErrors: If the experiment differs from the run's in what may not.
    DataError: If the data cannot be used.
    CheckpointError: If a checkpoint cannot be read or written.
    ModelDirError: If another run holds the folder.
    TrainingError: If a loss or a gradient is not finite.
    Interrupted: If the run was asked to stop; it has saved.
  """
  with contextlib.ExitStack() as stack:
    interruption = stack.enter_context(interruption_lib.Interruption())
    stack.enter_context(model_dir_lib.lock(model_dir))
    changed = _check_changes(experiment, model_dir, allow_changes)
    run = _Run(experiment, model_dir, arrays, interruption, log)
    stack.enter_context(run.session)
    run.start(changed, allow_changes)
    run.train()
    return run.finish(exporter)


def _read_splits(experiment, arrays) -> Dict[str, splits.Split]:
  """Reads every split that there is."""
  if arrays is None:
    names = [s for s in ("train", "validation", "test")
             if experiment.data.HasField(s)]
    return {name: splits.read(experiment, name) for name in names}
  return {name: splits.read(experiment, name, columns)
          for name, columns in arrays.items()}


def _check_changes(experiment, model_dir, allow_changes):
  """Returns the changes since the last run; raises if they are refused."""
  if checkpoints_lib.latest(model_dir) is None:
    return []
  changes = compatibility.refused(compatibility.differences(
      compatibility.read(model_dir), experiment))
  if not allow_changes:
    compatibility.refuse(changes, model_dir, "the same experiment, another "
                         "--model_dir, or --allow_changes")
  return changes


class _Run:
  """One run: the graph, its session, and what goes on between steps."""

  def __init__(self, experiment, model_dir, arrays, interruption, log):
    self._experiment = experiment
    self._model_dir = model_dir
    self._interruption = interruption
    self._log = log
    self._tasks = experiment.model.task
    self._split_rows = _read_splits(experiment, arrays)
    labels = self._split_rows["train"].labels
    self._model = graphs.build(experiment, features.measure(
        experiment.data.feature, self._split_rows["train"].raw))
    with self._model.graph.as_default():
      self._resident, self._feed = batches.resident(
          len(labels.values), graphs.widths(experiment, self._model.transformed))
      self._fill = tf.local_variables_initializer()
      self._start_execution = execution_lib.build(
          experiment.training.execution,
          lambda: self._trace(batches.may_lack_labels(
              labels.weights, experiment.data.batch_size)))
      self._checkpoints = checkpoints_lib.Checkpoints(
          model_dir, experiment.training.checkpoint.keep)
    self.session = sessions.open_session(self._model.graph)
    self._evaluator = evaluator_lib.Evaluator(self.session, self._model,
                                              experiment)
    self._batches = {}
    self._state = None
    self._step = self._first_step = 0
    self._saved_step = None
    self._summaries = summaries.Summaries(
        experiment, self._model, self.session, model_dir, self._batch_of_step)
    self._execution = None

  def _trace(self, may_lack_labels):
    """Adds one training step to the graph; see `graphs.joint_step`."""
    step, batch = self._batch_of_step()
    return graphs.joint_step(self._experiment, self._model, batch, step,
                             may_lack_labels)

  def _batch_of_step(self):
    step = tf.identity(self._model.global_step.read_value())
    data = self._experiment.data
    rows = batches.rows_of_step(step, self._resident.labels.shape.as_list()[0],
                                data.batch_size, self._experiment.seed)
    return step, batches.gather(self._resident, rows)

  def start(self, changed, allow_changes):
    """Initializes or restores, and loads the training rows into the graph."""
    sessions.initialize(self.session)
    saved = None
    if changed:
      path = checkpoints_lib.latest(self._model_dir)
      fresh = self._checkpoints.restore_matching(self.session, path)
      self._log(f"restored {path} under a changed experiment; "
                f"{len(fresh)} variables start anew"
                + (": " + ", ".join(fresh) if fresh else ""))
    else:
      saved = self._checkpoints.resume(self.session)
    self._batches = {split: self._evaluator.transform(rows)
                     for split, rows in self._split_rows.items()}
    train_rows = self._batches["train"]
    self._state = run_state.RunState(batches.digest(train_rows))
    if saved:
      state = run_state.RunState.from_json(saved)
      if state.digest != self._state.digest and not allow_changes:
        compatibility.refuse(["data.train: the rows have changed"],
                             self._model_dir, "the same rows, another "
                             "--model_dir, or --allow_changes")
      state.digest = self._state.digest
      self._state = state
    self.session.run(self._fill, self._feed(train_rows))
    self._step = int(self.session.run(self._model.global_step))
    self._first_step = self._step
    self._saved_step = self._step if saved else None
    self._execution = self._start_execution(self.session)
    config.write(self._experiment, compatibility.path_of(self._model_dir))
    self._log(reporting.ownership_table(self._model))
    for line in reporting.warnings(self._experiment, train_rows.ids):
      self._log(line)
    self._log("rows: " + ", ".join(f"{split} {len(rows.labels):,}"
                                   for split, rows in self._batches.items())
              + f"; execution: {self._execution.description}")
    if self._experiment.serving.warmup_requests:
      self._log("serving.warmup_requests: not written by this version")
    if saved or changed:
      self._log(f"going on from step {self._step}")

  def train(self):
    """Runs steps up to the last, stopping at every border."""
    training, evaluation = self._experiment.training, self._experiment.evaluation
    bar = reporting.ProgressBar(training.num_steps)
    reports, seconds = [], 0.0
    if self._done():
      self._log(f"nothing left to do: step {self._step} of {training.num_steps} "
                + ("reached" if self._step >= training.num_steps else
                   "ended by early stopping")
                + "; raise training.num_steps to go on")
    while not self._done() and not self._interruption.requested():
      started = time.monotonic()
      report = self._execution.run(
          min(self._next_border() - self._step, self._steps_between_draws()),
          self._interruption.requested)
      seconds += time.monotonic() - started
      self._check_finite(report)
      reports.append(report)
      self._step += len(report)
      bar.draw(self._step)
      last = self._step >= training.num_steps
      evaluated = None
      if "validation" in self._batches and (
          last or _at(self._step, evaluation.every_steps)):
        bar.clear()
        evaluated = self._evaluate_and_keep_best()
      if evaluated or last or _at(self._step, training.log_every_steps):
        bar.clear()
        self._report(np.concatenate(reports), seconds, evaluated)
        reports, seconds = [], 0.0
      if _at(self._step, training.checkpoint.every_steps):
        self._save()
    bar.clear()
    if self._saved_step != self._step:
      self._save()
    if self._interruption.requested():
      raise Interrupted(
          f"stopped by {self._interruption.signal.name} at step {self._step}; "
          f"saved in {self._model_dir}; run the same command to go on",
          self._interruption.signal)

  def _done(self):
    return (self._step >= self._experiment.training.num_steps
            or self._state.should_stop(self._experiment.evaluation))

  def _next_border(self):
    """Returns the next step at which something other than a step happens."""
    training = self._experiment.training
    borders = [training.num_steps]
    for every in (training.log_every_steps, training.checkpoint.every_steps,
                  self._experiment.evaluation.every_steps):
      if every:
        borders.append((self._step // every + 1) * every)
    return min(borders)

  def _steps_between_draws(self):
    """Returns how many steps to run before the progress bar is looked after."""
    return max(1, self._experiment.training.num_steps // 100)

  def _check_finite(self, reports):
    """Raises if the last step met a loss or a gradient that is not finite."""
    if np.isfinite(reports[-1]).all():
      return
    report = graphs.unpack_report(reports[-1], len(self._tasks))
    step = self._step + len(reports)
    found = [f"the loss of task '{task.name}' is {loss}"
             for task, loss in zip(self._tasks, report.task_losses)
             if not np.isfinite(loss)]
    if not found:
      trained = [g.name for g in self._model.groups if not g.frozen]
      found = [f"the gradient of group '{group}' is {norm}"
               for group, norm in zip(trained, report.gradient_norms)
               if not np.isfinite(norm)]
    last_good = checkpoints_lib.latest(self._model_dir)
    raise TrainingError(
        f"step {step}: {' and '.join(found) or 'the total loss is not finite'}; "
        "nothing was saved since; last good checkpoint: "
        f"{last_good or 'none'}; try a lower learning rate, clipping or other "
        "scales")

  def _evaluate_and_keep_best(self):
    metrics = self._evaluator.evaluate(self._batches["validation"])
    if self._state.record(self._step, metrics, self._experiment.evaluation):
      self._checkpoints.save_best(self.session, self._state.to_json(),
                                  self._step)
    return metrics

  def _save(self):
    self._checkpoints.save(self.session, self._state.to_json(), self._step)
    self._saved_step = self._step

  def _report(self, reports, seconds, metrics):
    """Prints the line of an interval and writes its summaries."""
    report = graphs.unpack_report(reports, len(self._tasks))
    rate = len(reports) * self._experiment.data.batch_size / max(seconds, 1e-9)
    self._log(reporting.log_line(
        self._step, self._experiment.training.num_steps, self._tasks, report,
        rate, metrics))
    self._summaries.write(self._step, report, rate, metrics)

  def finish(self, exporter) -> Result:
    """Evaluates the best or last checkpoint, and exports it."""
    self._summaries.close()
    which = "best" if self._state.best_step is not None else "latest"
    checkpoint = checkpoints_lib.choose(self._model_dir, which)
    finished = self._finished(checkpoint)
    if finished is not None:
      return Result(self._step, checkpoint, finished, None)
    if self._state.courses:
      self._log("validation loss by task:\n"
                + reporting.convergence_table(self._state.courses))
    if checkpoint != checkpoints_lib.latest(self._model_dir):
      self._checkpoints.restore(self.session, checkpoint)
    metrics = {split: self._evaluator.evaluate(self._batches[split])
               for split in ("validation", "test") if split in self._batches}
    log_variances = self.session.run(graphs.log_variances(self._model))
    if log_variances:
      self._log("learned uncertainty:\n"
                + reporting.uncertainty_table(self._tasks, log_variances))
    if metrics:
      self._log(f"metrics of {checkpoint}:\n" + tables.metrics_table(metrics))
    export_path = None
    if exporter is not None and self._experiment.HasField("serving"):
      export_path = exporter(self._experiment, checkpoint, *self._sample())
      self._log(f"exported {export_path}")
    # Last of all: where this file tells of these steps, nothing is left to do.
    tables.write_json({"checkpoint": checkpoint, "trained_steps": self._step,
                       **metrics}, self._metrics_path())
    return Result(self._step, checkpoint, metrics, export_path)

  def _finished(self, checkpoint):
    """Returns the metrics of an earlier run that came this far, or None."""
    if self._step != self._first_step or not os.path.exists(
        self._metrics_path()):
      return None
    saved = tables.read_json(self._metrics_path())
    if (saved.pop("checkpoint", None), saved.pop("trained_steps", None)) != (
        checkpoint, self._step):
      return None
    return saved

  def _metrics_path(self):
    return os.path.join(self._model_dir, "metrics.json")

  def _sample(self, rows=256):
    """Returns some real rows as served, and what the training graph says."""
    split = "validation" if "validation" in self._batches else "train"
    raw = {name: values[:rows]
           for name, values in self._split_rows[split].raw.items()}
    batch = batches.Batch(*[m[:rows] for m in self._batches[split]])
    return raw, self._evaluator.predict(batch)


def _at(step: int, every: int) -> bool:
  return bool(every) and step % every == 0
