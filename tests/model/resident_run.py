"""Steps over rows that are resident in the graph, as a run takes them."""

from typing import Callable, Dict, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.model import graphs
from mtl_graph.model import objectives
from mtl_graph.model import replicas
from mtl_graph.model import train_step
from mtl_graph.protos import experiment_pb2


def parse(text: str, *overrides: str) -> experiment_pb2.Experiment:
  """Parses an experiment that is trained on arrays, and validates it."""
  experiment = config.parse(text)
  for assignment in overrides:
    config.override(experiment, assignment)
  validation.check(experiment, arrays=["train"])
  return experiment


class ResidentRun:
  """A session that trains on resident rows.

  Attributes:
    experiment: The experiment.
    data: A `Batch` of arrays with all rows.
    model: What `graphs.build` returned.
    steps: What `train_step.build` returned, for each objective.
    step: The first of them.
    counters: What each reads as its step.
    session: The session.
  """

  def __init__(self, experiment: experiment_pb2.Experiment, data: batches.Batch,
               lacking: Optional[Sequence[bool]] = None,
               partitioner: Optional[Callable] = None,
               replica: Callable[[tf.Variable], replicas.Replica] = (
                   lambda global_step: replicas.ALONE)):
    """Builds the graph and fills it.

    Args:
      experiment: The experiment, valid.
      data: A `Batch` of arrays with all rows.
      lacking: Whether each task may be without labels in a step; None: none.
      partitioner: How tables are cut; None: not at all.
      replica: How the step is one of several workers, by the global step.
    """
    self.experiment, self.data = experiment, data
    self.model = graphs.build(experiment, partitioner=partitioner)
    count, size = len(data.labels), experiment.data.batch_size
    with self.model.graph.as_default():
      resident, feed = batches.resident(count, graphs.widths(
          experiment, self.model.transformed))
      replica = replica(self.model.global_step)
      chosen = objectives.build(experiment, self.model)
      self.counters = [tf.identity(one.counter.read_value()) for one in chosen]
      self.steps = [
          train_step.build(
              experiment, self.model, objective,
              lambda number, rows=objective.batch_size: batches.gather(
                  resident, batches.rows_of_batch(number, count, rows,
                                                  experiment.seed)),
              counter, lacking or [False] * len(experiment.model.task), replica)
          for objective, counter in zip(chosen, self.counters)]
      self.step = self.steps[0]
      self._number = tf.placeholder(tf.int64, [])
      self._rows = batches.rows_of_batch(self._number, count, size,
                                         experiment.seed)
      fill = tf.local_variables_initializer()
      self.session = sessions.open_session(self.model.graph)
      sessions.initialize(self.session)
      self.session.run(fill, feed(data))
      self._variables = tf.global_variables()

  def rows(self, number: int) -> np.ndarray:
    """Returns the rows of a batch, batches counted over the whole run."""
    return self.session.run(self._rows, {self._number: number})

  def values(self) -> Dict[str, np.ndarray]:
    """Returns the value of every global variable by name."""
    return {v.op.name: value for v, value in zip(
        self._variables, self.session.run(self._variables))}

  def load(self, values: Dict[str, np.ndarray]) -> None:
    """Sets variables by name."""
    chosen = [v for v in self._variables if v.op.name in values]
    # All at once: each run of its own would plan the whole graph anew.
    self.session.run(
        [v.initializer for v in chosen],
        {v.initializer.inputs[1]: values[v.op.name] for v in chosen})

  def run(self, task: Optional[str] = None) -> train_step.Report:
    """Runs a step, of a task where each has its own; returns its report."""
    step = self.step if task is None else next(
        s for s in self.steps if list(s.tasks) == [task])
    report, _ = self.session.run([step.report, step.train_op])
    return train_step.unpack_report(report, step.sizes)

  def train(self, steps: int) -> Dict[str, np.ndarray]:
    """Runs steps, and returns the value of every global variable by name."""
    for _ in range(steps):
      self.run()
    return self.values()

  def feed(self, rows: Sequence[int]) -> Dict[tf.Tensor, np.ndarray]:
    """Returns the feed of some rows for the graph of the evaluation."""
    return {placeholder: array[rows]
            for placeholder, array in zip(self.model.batch, self.data)}

  def evaluate(self, rows: Sequence[int]) -> np.ndarray:
    """Returns the mean loss of each task on some rows, 0 without labels."""
    losses = self.session.run(self.model.row_losses, self.feed(rows))
    weights = self.data.weights[rows]
    return (losses * weights).sum(0) / np.maximum(weights.sum(0), 1e-30)


def changed(before: Dict[str, np.ndarray], after: Dict[str, np.ndarray]) -> set:
  """Returns the names of the variables that differ in any bit."""
  return {name for name in before
          if before[name].tobytes() != after[name].tobytes()}


def starting(names: Sequence[str], *prefixes: str) -> set:
  """Returns the names that start with one of the prefixes."""
  return {name for name in names if name.startswith(prefixes)}
