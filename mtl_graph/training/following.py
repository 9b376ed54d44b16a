"""What the processes of a cluster do that are not its chief."""

import contextlib
import os
import time
from typing import Callable, Optional

import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph import row_sets
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.evaluation import evaluator as evaluator_lib
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import agreement
from mtl_graph.training import control
from mtl_graph.training import failures
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import membership
from mtl_graph.training import outcome
from mtl_graph.training import preparation
from mtl_graph.training import rows as rows_lib
from mtl_graph.training import servers
from mtl_graph.training import training_graph
from mtl_graph.training import waiting as waiting_lib

# Seconds that a worker which is to stop still makes steps with others.
_TAKING_PART = 1.0
# Seconds that a parameter server which is to stop gives the chief to save; that
# a chief who has left is away, and one who is not going to come.
_SAVING, _LEFT, _GONE = 12.0, 1.0, 8.0


def serve(experiment: experiment_pb2.Experiment, model_dir: str,
          cluster: cluster_lib.Cluster, log: Callable[[str], None] = print,
          server: Optional[tf.train.Server] = None) -> None:
  """Holds variables until the chief has left, and then, soon, the others.

  Args:
    experiment: The experiment, valid.
    model_dir: The run's folder, if this process can see it.
    cluster: The cluster; this process is a parameter server.
    log: Takes a line.
    server: Its server; None: one is started.

  Raises:
    ClusterError: If its address is taken, or the chief does not answer.
    Interrupted: If it was asked to stop.
  """
  with interruption_lib.Interruption() as interruption:
    server = server or servers.start(cluster, tf.ConfigProto())
    log(f"parameter server {cluster.index} at {cluster.address}")
    control.wait_for_all(server.target, cluster, _Chief(
        experiment, model_dir, cluster, interruption, log).is_gone)


class _Chief:
  """What a parameter server, whom nobody needs to ask, sees of the chief."""

  def __init__(self, experiment, model_dir, cluster, interruption, log):
    chief, seconds = cluster.chief, experiment.training.cluster.wait_seconds
    self._absence = waiting_lib.Absence(
        {chief: cluster.workers.get(chief, "")}, seconds, log)
    self._is_over = lambda: outcome.is_over(model_dir, experiment)
    self._interruption, self._asked = interruption, None

  def is_gone(self):
    """Returns whether the run is over; raises if there is no chief."""
    problem = self._absence.look()
    if self._interruption.requested():
      self._asked = self._asked or time.monotonic()
      # The chief, who may have been asked as well, saves what is held here.
      if self._absence.seconds() > _LEFT or (
          time.monotonic() - self._asked > _SAVING):
        raise interruption_lib.Interrupted(
            f"parameter server stopped by {self._interruption.signal.name}",
            self._interruption.signal)
    if problem:
      raise waiting_lib.ClusterError(problem)
    return self._absence.seconds() > _GONE and self._is_over()


def train(experiment: experiment_pb2.Experiment, model_dir: str,
          cluster: cluster_lib.Cluster,
          arrays: Optional[preparation.Arrays] = None,
          log: Callable[[str], None] = print,
          server: Optional[tf.train.Server] = None) -> int:
  """Trains as a worker, up to the last step or until the chief ends the run.

  Args:
    experiment: The experiment, valid.
    model_dir: The run's folder.
    cluster: The cluster; this process is a worker other than the chief.
    arrays: Columns by split handed over in Python, in place of files.
    log: Takes each line of the log.
    server: Its server; None: one is started.

  Returns:
    How many steps it took part in.

  Raises:
    ConfigErrors: If the chief has another experiment, or other rows.
    DataError: If the data cannot be used.
    TrainingError: If a loss or a gradient is not finite.
    Interrupted: If it was asked to stop.
    ClusterError: If the cluster cannot be reached.
    Lost: If a process is gone that it cannot do without.
  """
  ran = []
  with interruption_lib.Interruption() as interruption:
    experiment = _with_own_cache(
        preparation.settle(experiment, model_dir), model_dir, cluster)
    late = sessions.set_threads(experiment.training.execution,
                                preparation.threads(experiment))
    if late:
      log(late)
    with contextlib.suppress(waiting_lib.Ended), contextlib.ExitStack() as stack:
      member = stack.enter_context(membership.taking_part(
          cluster, experiment.training, interruption, log, server,
          lambda: outcome.is_over(model_dir, experiment)))
      worker = _Worker(experiment, model_dir, arrays, member, log)
      stack.enter_context(worker.session)
      stack.callback(worker.close)
      worker.train(interruption, ran)
    if interruption.requested():
      raise interruption_lib.Interrupted(
          f"worker {cluster.index} stopped by {interruption.signal.name}; the "
          "others go on", interruption.signal)
  log(f"worker {cluster.index} leaves after {len(ran)} steps")
  return len(ran)


class _Worker:
  """The graph of a worker, its session, and its steps."""

  def __init__(self, experiment, model_dir, arrays, member, log):
    self._member, self._log, self._model_dir = member, log, model_dir
    self._asked = None
    self._parsed = rows_lib.parse(experiment, model_dir, arrays, log)
    experiment = self._parsed.experiment
    rows = self._parsed.splits["train"]
    self._epoch = preparation.rows_of_epoch(experiment, rows.labels)
    plan = preparation.plan(experiment, rows, member.batches)
    self._num_steps = preparation.num_steps(
        experiment, len(self._epoch), plan, member.batches)
    self._experiment = experiment
    self._basis = agreement.basis(experiment, rows.labels)
    self._graph = training_graph.build(
        experiment, rows, self._parsed.statistics, self._epoch, plan, model_dir,
        hooks_lib.Hooks(), member=member)
    self.session = member.open_session(self._graph.model.graph,
                                       experiment.training.execution)

  def close(self):
    """Ends what reads rows in the background."""
    self._graph.rows.close()

  def train(self, interruption, ran):
    """Waits for the chief, and runs steps; adds them to `ran`."""
    model, session = self._graph.model, self.session
    with model.graph.as_default():
      session.run(tf.tables_initializer())
      if self._member.strategy == "all_reduce":
        sessions.initialize(session)
    self._member.follow(self._basis)
    evaluator = evaluator_lib.Evaluator(session, model, self._experiment)
    found, _ = rows_lib.transform(self._parsed, evaluator, session)
    step = int(session.run(model.global_step))
    self._graph.rows.load(session, batches.take(found["train"], self._epoch),
                          [step])
    with self._member.making_steps():
      if self._member.strategy == "asynchronous":  # Others have not waited.
        step = int(session.run(model.global_step))
      execution, description = self._graph.choice.start(None, session, step)
      self._log(f"worker {self._member.cluster.index}: {description}; joins at "
                f"step {step}")
      while step < self._num_steps and not self._leaves(interruption):
        some = execution.run(self._num_steps - step,
                             lambda unused_steps: self._leaves(interruption))
        ran += some
        step += sum(one.passed for one in some)
        failures.check(step, some[-1].report, execution.steps[0],
                       self._model_dir)
    self._member.stay()

  def _leaves(self, interruption):
    """Returns whether to stop, as was asked for, or as the chief has told.

    If asked, where a step needs all, not at once: the chief, if all were asked, is
    still to end its step, and then to save.
    """
    if not interruption.requested():
      return self._member.told
    self._asked = self._asked or time.monotonic()
    return (self._member.strategy == "asynchronous"
            or time.monotonic() - self._asked > _TAKING_PART)


def _with_own_cache(experiment, model_dir, cluster):
  """Returns an experiment whose rows on disk no other process writes."""
  if row_sets.is_streamed(experiment.data):
    stated, own = experiment.data.input.cache_dir, f"worker-{cluster.index}"
    # The chief empties its own folder, in which nobody else may keep anything.
    experiment.data.input.cache_dir = (
        os.path.join(stated, own) if stated
        else os.path.join(model_dir, f"cache-{own}"))
  return experiment
