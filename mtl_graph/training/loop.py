"""Trains an experiment: from its rows to its last checkpoint and metrics."""

import contextlib
import functools
import os
import time
from typing import Callable, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph import config
from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.checkpoints import compatibility
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.evaluation import details
from mtl_graph.evaluation import evaluator as evaluator_lib
from mtl_graph.evaluation import tables
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import agreement
from mtl_graph.training import exporting
from mtl_graph.training import failures
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import membership
from mtl_graph.training import model_dir as model_dir_lib
from mtl_graph.training import outcome
from mtl_graph.training import preparation
from mtl_graph.training import profiling
from mtl_graph.training import reporting
from mtl_graph.training import restoring
from mtl_graph.training import rows as rows_lib
from mtl_graph.training import run_state
from mtl_graph.training import stopping
from mtl_graph.training import summaries
from mtl_graph.training import training_graph


def train(experiment: experiment_pb2.Experiment, model_dir: str,
          arrays: Optional[preparation.Arrays] = None,
          allow_changes: bool = False,
          exporter: Optional[exporting.Exporter] = None,
          log: Callable[[str], None] = print,
          hooks: Sequence[tf.train.SessionRunHook] = (),
          profile: bool = False,
          cluster: Optional[cluster_lib.Cluster] = None,
          server: Optional[tf.train.Server] = None) -> outcome.Result:
  """Trains an experiment, from its last checkpoint if there is one.

  Args:
    experiment: The experiment, valid.
    model_dir: Folder of the run; made if need be.
    arrays: Columns by split handed over in Python, in place of files.
    allow_changes: Whether to go on under an experiment or data that differ from
      those of the last checkpoint; what fits is restored.
    exporter: Called at the end, and when `serving.publishing` says, if the
      experiment has a `serving` message.
    log: Takes each line of the log.
    hooks: What runs around every step.
    profile: Whether to record some steps for TensorBoard's profiler.
    cluster, server: The cluster whose chief this is, if there is one.

  Returns:
    An `outcome.Result`.

  Raises:
    ConfigErrors: If the experiment differs from the run's in what may not.
    DataError: If the data cannot be used.
    CheckpointError: If a checkpoint cannot be read or written.
    ModelDirError: If another run holds the folder.
    TrainingError: If a loss or a gradient is not finite.
    Interrupted: If the run was asked to stop; it has saved.
    ProfilingError: If another profile is being recorded.
    ClusterError, Lost, Ended: As `membership.taking_part`.
  """
  with contextlib.ExitStack() as stack:
    interruption = stack.enter_context(interruption_lib.Interruption())
    stack.enter_context(model_dir_lib.lock(model_dir))
    experiment = preparation.settle(experiment, model_dir)
    changes = preparation.check_changes(experiment, model_dir, allow_changes)
    late = sessions.set_threads(experiment.training.execution,
                                preparation.threads(experiment))
    if late:
      log(late)
    hooks = hooks_lib.Hooks(hooks)
    member = cluster and stack.enter_context(membership.taking_part(
        cluster, experiment.training, interruption, log, server,
        lambda: outcome.is_over(model_dir, experiment)))
    run = _Run(experiment, model_dir, arrays, interruption, log, hooks,
               exporter, member)
    stack.enter_context(run.session)
    stack.callback(run.rows.close)
    stack.enter_context(hooks)
    run.start(changes, allow_changes)
    with run.profiled() if profile else contextlib.nullcontext():
      run.train()
    return run.finish()


class _Run:
  """One run: the graph, its session, and what goes on between steps."""

  def __init__(self, experiment, model_dir, arrays, interruption, log, hooks,
               exporter, member=None):
    self._began = time.monotonic()
    self._model_dir = model_dir
    self._interruption = interruption
    self._hooks = hooks
    self._member = member
    self._log = log
    self._exporter = exporter
    self._tasks = experiment.model.task
    self._parsed = rows_lib.parse(experiment, model_dir, arrays, log)
    self._split_rows, experiment = self._parsed.splits, self._parsed.experiment
    rows = self._split_rows["train"]
    self._experiment = experiment
    self._epoch = preparation.rows_of_epoch(experiment, rows.labels)
    workers = member.batches if member else 1
    self._of_step = outline.batches_of_step(experiment.training) * workers
    plan = preparation.plan(experiment, rows, workers)
    self._num_steps = preparation.num_steps(experiment, len(self._epoch), plan,
                                            workers)
    self._task_rules = stopping.task_rules(experiment)
    self._path = checkpoints_lib.newest(model_dir)
    self._saved = self._path and checkpoints_lib.read_state(self._path)
    self._graph = training_graph.build(
        experiment, rows, self._parsed.statistics, self._epoch, plan, model_dir,
        hooks, self._saved and self._saved.get("execution"), member)
    self._model, self.rows = self._graph.model, self._graph.rows
    self._checkpoints = self._graph.checkpoints
    self.session = (member or sessions).open_session(
        self._model.graph, experiment.training.execution)
    self._evaluator = evaluator_lib.Evaluator(self.session, self._model,
                                              experiment)
    self._summaries = summaries.Summaries(
        experiment, self._model, self.session, model_dir, self._graph.cosines)
    # Set by `start`.
    self._batches = self._digests = self._state = self._execution = None
    self._schedule = self._step = self._first_step = self._exporting = None
    self._saved_step = self._saved_at_start = self._saved_path = None
    self._best_is_stale = False

  def start(self, changes, allow_changes):
    """Initializes or restores, and loads the training rows into the graph."""
    path = self._path
    restoring.restore(
        self.session, self._model, self._checkpoints, path, bool(changes),
        self._experiment.training.warm_start, self._log)
    self._batches, self._digests = rows_lib.transform(
        self._parsed, self._evaluator, self.session)
    self._state = run_state.RunState(config.to_text(self._experiment),
                                     self._digests["train"], self._of_step)
    self._step = int(self.session.run(self._model.global_step))
    self._first_step = self._step
    self._exporting = exporting.Exporting(
        self._exporter, self._experiment, self._evaluator, self._split_rows,
        self._batches.get("validation"), self._digests, self._log)
    self._schedule = preparation.schedule(
        self._experiment, self._split_rows["train"], self._step,
        self._num_steps)
    if path is not None:
      self._take_up(self._saved, changes, allow_changes)
    self._best_is_stale |= self._state.start_evaluating(
        self._experiment.evaluation, self._digests.get("validation", ""),
        self._task_rules)
    self._stop_tasks(self._task_rules)
    self.rows.load(
        self.session, batches.take(self._batches["train"], self._epoch),
        self.session.run([one.counter for one in self._graph.objectives]))
    if changes and self._done():
      raise config.ConfigErrors([config.ConfigError(
          preparation.length_field(self._experiment), f"found {self._num_steps}"
          f" steps, and {path} has {self._step} already; allowed: more steps, "
          "as a changed experiment is to be trained")])
    if path is not None:
      self._saved_step = self._saved_at_start = self._step
    if self._member and not self._done():
      self._member.begin(self._step, agreement.basis(
          self._experiment, self._split_rows["train"].labels),
                         self._state.claimed)
    self._hooks.start(self.session)
    self._execution, description = self._graph.choice.start(
        self._schedule, self.session, self._step)
    self._state.execution = self._graph.choice.chosen
    with model_dir_lib.writing(self._model_dir):
      config.write(self._experiment, compatibility.path_of(self._model_dir))
    self._introduce(path, description)
    del self._batches["train"]  # The graph or the disk holds them from here on.
    self._split_rows["train"] = rows_lib.first(self._split_rows["train"])

  def _take_up(self, saved, changes, allow_changes):
    """Takes up the state of an earlier process, as far as it still holds."""
    same_rows = saved["digest"] == self._state.digest
    if not same_rows and not allow_changes:
      compatibility.refuse(
          [row_sets.path(self._experiment.data, "train")
           + ": the rows have changed"], self._model_dir, "the same rows, "
          "another --model_dir, or --allow_changes")
    if same_rows and not changes:
      self._state.take_up(saved)
    else:
      self._best_is_stale = saved["best"]["value"] is not None
    if saved.get("schedule"):
      self._schedule.take_up(saved["schedule"], same=not changes)
    if not allow_changes and self._schedule.remaining() > 0:
      compatibility.refuse_batches(
          self._path, self._experiment.training, self._of_step, self._model_dir)

  def _introduce(self, path, execution):
    for line in reporting.introduction(
        self._experiment, self._model, self._batches, self._split_rows,
        len(self._epoch), execution):
      self._log(line)
    if path is not None:
      self._log(f"going on from step {self._step}")
    elif checkpoints_lib.remains(self._model_dir):
      self._log(f"warning: {self._model_dir} holds data of checkpoints, but "
                "none that is whole; starting at step 0")

  def profiled(self):
    """Has some steps recorded; returns the context that ends with them."""
    self._execution = profiling.ProfiledExecution(
        self._execution, self._model_dir, self._num_steps - self._step,
        self._log)
    return self._execution

  def train(self):
    """Runs steps up to the last, stopping at every border."""
    training, evaluation = (
        self._experiment.training, self._experiment.evaluation)
    bar = reporting.ProgressBar(self._num_steps)
    ran, seconds = [], 0.0
    if self._done():
      self._log("nothing left to do: " + self._why_done())
    while not self._done() and not self._interruption.requested():
      started = time.monotonic()
      some = self._execution.run(
          stopping.next_border(self._experiment, self._step, self._num_steps)
          - self._step, lambda steps: bar.draw(self._step + steps)
          or self._interruption.requested())
      seconds += time.monotonic() - started
      if self._step == self._first_step:
        bar.clear()
        self._log("first step after "
                  f"{started + seconds / len(some) - self._began:.1f} s")
      ran += some
      before, self._step = self._step, self._step + sum(r.passed for r in some)
      passed = functools.partial(stopping.passes, before, self._step)
      failures.check(self._step, some[-1].report,
                     self._execution.steps[some[-1].step], self._model_dir)
      last = self._step >= self._num_steps or bool(self._hooks.stopped_by)
      evaluated, best = None, False
      if "validation" in self._batches and (
          last or passed(evaluation.every_steps)):
        bar.clear()
        evaluated, best = self._evaluate_and_keep_best()
      if evaluated or last or passed(training.log_every_steps):
        bar.clear()
        self._report(ran, seconds, evaluated)
        ran, seconds = [], 0.0
      due = self._exporting.is_due(before, self._step, evaluated is not None,
                                   best)
      if due or passed(training.checkpoint.every_steps):
        self._save()
      if due:
        bar.clear()
        self._exporting.export(
            self._step, self._saved_path, evaluated, moving=bool(
                self._member and self._member.strategy == "asynchronous"))
    bar.clear()
    over = self._done()
    if self._member:  # Others may have moved it meanwhile.
      self._step = self._member.settle(self._model.global_step, over)
    if self._saved_step != self._step:
      self._save()
    if self._member and over:
      self._member.dismiss()
    if self._step != self._first_step and self._step < self._num_steps and (
        self._done()):
      self._log(self._why_done())
    self._leave_if_asked()
    self._hooks.end()

  def _leave_if_asked(self):
    if self._interruption.requested():
      raise interruption_lib.Interrupted(
          f"stopped by {self._interruption.signal.name} at step {self._step}; "
          + ("nothing new to save" if self._step == self._saved_at_start
             else f"saved in {self._model_dir}")
          + "; run the same command to go on",
          self._interruption.signal)

  def _done(self):
    return (self._step >= self._num_steps or bool(self._hooks.stopped_by)
            or self._state.should_stop(self._experiment.evaluation))

  def _why_done(self):
    return stopping.why(self._experiment, self._step, self._num_steps,
                        self._hooks.stopped_by, self._state.stopping)

  def _evaluate_and_keep_best(self):
    metrics = self._evaluator.evaluate(
        self._batches["validation"], self._split_rows["validation"].groups)
    rules = {task: rule for task, rule in self._task_rules.items()
             if task not in self._schedule.stopped}
    best = self._state.record(self._step, metrics, self._experiment.evaluation,
                              rules)
    self._stop_tasks(rules)
    if best:
      self._set_stale_best_aside()
      self._checkpoints.save_best(self.session, self._state_now(), self._step)
    return metrics, best

  def _state_now(self):
    if self._model.counters:  # Joint training stands where the step says.
      self._state.schedule = self._schedule.to_json()
    if self._member:
      self._state.claimed = self._member.claimed()
    return self._state.to_json()

  def _stop_tasks(self, rules):
    """Ends the iterations of tasks that get no better, without a joint loss."""
    for line in stopping.stop_tasks(
        rules, self._state, self._schedule, self._step):
      self._log(line)
    if self._model.counters:
      self._num_steps = self._step + self._schedule.remaining()

  def _set_stale_best_aside(self):
    """Keeps a best checkpoint that was best by another measure out of the way.

    Not before there is a checkpoint in its place: until then the run as it was
    can still be gone back to.
    """
    if self._best_is_stale:
      self._log("the best checkpoint so far is set aside: it was chosen by "
                "another measure, or under another experiment")
      self._checkpoints.set_best_aside()
      self._best_is_stale = False

  def _save(self):
    self._set_stale_best_aside()
    self._saved_path = self._checkpoints.save(self.session, self._state_now(),
                                              self._step)
    self._saved_step = self._step

  def _report(self, ran, seconds, metrics):
    """Prints the line of an interval and writes its summaries."""
    interval = reporting.measure(self._execution.steps, ran)
    rate = interval.rows / max(seconds, 1e-9)
    self._log(reporting.log_line(self._step, self._num_steps, self._tasks,
                                 interval, rate, metrics))
    with model_dir_lib.writing(self._model_dir):
      self._summaries.write(self._step, len(ran), interval, rate, metrics)

  def finish(self) -> outcome.Result:
    """Evaluates the best or last checkpoint, and exports it."""
    self._summaries.close()
    checkpoint = checkpoints_lib.choose(
        self._model_dir, "" if self._state.best.step is not None else "latest")
    basis = {"steps": self._step, "checkpoint": checkpoint,
             "digests": self._digests, "experiment": self._state.experiment}
    finished = outcome.read(self._model_dir, basis)
    if finished is not None:
      if self._member:  # Others look there to see whether it is over.
        outcome.confirm(self._model_dir)
      return finished
    if self._state.courses:
      self._log("validation loss by task:\n"
                + reporting.convergence_table(self._state.courses))
    if checkpoints_lib.step_of(checkpoint) != self._step:
      self._checkpoints.restore(self.session, checkpoint)
    measured = {split: self._evaluator.measure(
        self._batches[split], self._split_rows[split].groups)
                for split in ("validation", "test") if split in self._batches}
    metrics = {split: measure.metrics for split, measure in measured.items()}
    if self._model.log_variances:
      self._log("learned uncertainty:\n" + reporting.uncertainty_table(
          self._tasks, self.session.run(self._model.log_variances),
          self._experiment.training.joint.loss.uncertainty.form))
    if metrics:
      self._log(details.report(checkpoint, measured))
      with model_dir_lib.writing(self._model_dir):
        tables.write_json(details.to_json(checkpoint, measured),
                          os.path.join(self._model_dir, "metrics.json"))
    self._leave_if_asked()
    export_path = self._exporting.export(
        checkpoints_lib.step_of(checkpoint), checkpoint,
        metrics.get("validation"), metrics.get("test"))
    result = outcome.Result(self._step, checkpoint, metrics, export_path)
    with model_dir_lib.writing(self._model_dir):
      outcome.write(self._model_dir, basis, result)
    return result
