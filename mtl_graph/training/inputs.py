"""What training steps read: rows held in the graph, or fed from disk."""

import abc
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph.data import batches
from mtl_graph.data import cache
from mtl_graph.data import mixing
from mtl_graph.data import splits
from mtl_graph.data import streams
from mtl_graph.model import objectives as objectives_lib
from mtl_graph.model import train_step
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import row_numbers

# Runs of rows that the batches of each task are drawn from, by task.
Parts = Mapping[str, List[slice]]

# How much a block of steps is fed at most, unless a single step takes more; as
# much is read ahead.
_BLOCK_BYTES = 1 << 25


class Input(abc.ABC):
  """Gives steps their rows; unless a class says otherwise, without a feed."""

  def __init__(self, experiment: experiment_pb2.Experiment, rows: splits.Split,
               epoch: Sequence[int], parts: Parts, plan: Optional[mixing.Plan]):
    """Notes which rows the batches of each objective are drawn from.

    Args:
      experiment: The experiment, valid.
      rows: The training rows.
      epoch: Which of them make up an epoch, shape `[N]`.
      parts: What `preparation.rows_of_tasks` returned.
      plan: The source of each batch of joint training, where there are several.
    """
    self._plan, self._seed = plan, experiment.seed
    self._sources = list(rows.sources.values())
    self._weights = rows.labels.weights
    if not isinstance(epoch, range):  # Else all rows, in their order.
      self._weights = self._weights[epoch]
    self._parts_of_tasks = parts
    self._per_step = outline.batches_of_step(experiment.training)

  @abc.abstractmethod
  def load(self, session: tf.Session, batch: batches.Batch,
           counters: Sequence[int]) -> None:
    """Takes the rows of an epoch.

    Args:
      session: The session, its variables initialized or restored.
      batch: A `Batch` of arrays in memory or on disk.
      counters: How many steps each objective has behind it.
    """

  @abc.abstractmethod
  def batches_of(self, objective: objectives_lib.Objective, first: tf.Tensor,
                 count: int) -> train_step.BatchOf:
    """Gives the batches of an objective, as `step_block.BatchesOf` has it.

    Args:
      objective: The objective.
      first: Number of the first batch, int64 scalar.
      count: How many.

    Returns:
      A function from the number of one of them to its rows.
    """

  def may_lack_labels(self, objective: objectives_lib.Objective) -> List[bool]:
    """Tells which tasks could be without any label in some step."""
    parts = self._parts(objective)
    if self._plan is not None:
      return batches.may_lack_labels(self._weights, objective.batch_size,
                                     parts).tolist()
    weights = (self._weights[parts[0]] if len(parts) == 1 else
               np.concatenate([self._weights[part] for part in parts]))
    return batches.may_lack_labels(
        weights, objective.batch_size * self._per_step).tolist()

  def _parts(self, objective) -> List[slice]:
    """Returns runs of rows; with a plan, the rows of each source."""
    return (self._sources if self._plan is not None
            else self._parts_of_tasks[objective.tasks[0]])

  def steps_of_block(self, most: int) -> int:
    """Returns how many steps a block may have, at most `most`."""
    return most

  def tensors(self, steps: int, objectives: Sequence[int]) -> List[tf.Tensor]:
    """Returns what steps must be fed.

    Args:
      steps: How many steps there is room for.
      objectives: Numbers of the objectives whose steps they may be.
    """
    del steps, objectives
    return []

  def arrays(self, steps: int, objectives: Sequence[int],
             turns: Sequence[int]) -> List[np.ndarray]:
    """Returns what they are to be fed next.

    Args:
      steps: As `tensors` was given it.
      objectives: As `tensors` was given it.
      turns: Number of the objective of each step that is run, at most `steps`.

    Returns:
      An array per tensor, of `steps` steps, those that are not run being of any
      content.
    """
    del steps, objectives, turns
    return []

  def position(self) -> List[int]:
    """Returns where reading stands."""
    return []

  def go_back(self, position: List[int]) -> None:
    """Goes back to where reading stood."""

  def close(self) -> None:
    """Ends reading."""


class ResidentInput(Input):
  """The training rows in local variables of the graph."""

  def __init__(self, experiment: experiment_pb2.Experiment,
               objectives: Sequence[objectives_lib.Objective],
               rows: splits.Split, epoch: Sequence[int], parts: Parts,
               plan: Optional[mixing.Plan], widths: batches.Batch):
    """Makes the variables in the current graph; see `build`."""
    super().__init__(experiment, rows, epoch, parts, plan)
    del objectives  # All draw from the same variables.
    self._resident, self._feed_rows = batches.resident(
        len(epoch), widths, batches.narrow_dtypes(
            cache.id_type(experiment), rows.labels.values, rows.labels.weights))
    if plan is not None:
      self._planned, self._feed_plan = batches.resident_plan(len(plan.source))
    self._fill = tf.local_variables_initializer()

  def load(self, session: tf.Session, batch: batches.Batch,
           counters: Sequence[int]) -> None:
    """Takes the rows of an epoch into the graph."""
    feed = self._feed_rows(batch)
    if self._plan is not None:
      feed.update(self._feed_plan(self._plan))
    session.run(self._fill, feed)

  def batches_of(self, objective: objectives_lib.Objective, first: tf.Tensor,
                 count: int) -> train_step.BatchOf:
    """Gives the batches of an objective; see `Input.batches_of`."""
    rows = self._rows(objective, first, count)
    if count > 1:
      rows = tf.reshape(rows, [count, objective.batch_size])

    def batch_of(number):
      chosen = rows if count == 1 else tf.gather(rows, number - first)
      return batches.gather(self._resident, chosen)
    return batch_of

  def _rows(self, objective, first, count):
    parts, size = self._parts(objective), objective.batch_size
    if self._plan is None:
      return batches.rows_of_parts(first, parts, size, self._seed, count)
    return batches.planned_rows(
        first, self._planned, [part.start for part in parts],
        [part.stop - part.start for part in parts], size, self._seed, count)


class StreamedInput(Input):
  """The training rows on disk, from which steps are fed their batches."""

  def __init__(self, experiment: experiment_pb2.Experiment,
               objectives: Sequence[objectives_lib.Objective],
               rows: splits.Split, epoch: Sequence[int], parts: Parts,
               plan: Optional[mixing.Plan], widths: batches.Batch):
    """Reads nothing yet; see `build`."""
    super().__init__(experiment, rows, epoch, parts, plan)
    self._objectives = list(objectives)
    self._widths = widths
    # Fed as they are on disk: less to copy, and cast within the step.
    self._dtypes = batches.Batch(
        np.float32, cache.id_type(experiment), rows.labels.values.dtype,
        rows.labels.weights.dtype)
    # By the number of an objective and how many batches it has room for: what
    # is fed, and the arrays that batches are read into.
    self._placeholders: Dict[Tuple[int, int], batches.Batch] = {}
    self._buffers: Dict[Tuple[int, int], batches.Batch] = {}
    self._readers: List[streams.Reader] = []
    self._position: List[int] = []
    buffer = experiment.data.input.shuffle_buffer
    self._rows_of = [row_numbers.build(
        self._parts(one), one.batch_size, experiment.seed, buffer, plan)
                     for one in objectives]

  def load(self, session: tf.Session, batch: batches.Batch,
           counters: Sequence[int]) -> None:
    """Starts to read the rows of an epoch from disk."""
    self._readers = [
        streams.Reader(batch, rows_of, one.batch_size)
        for rows_of, one in zip(self._rows_of, self._objectives)]
    self._position = [count * self._per_step for count in counters]

  def batches_of(self, objective: objectives_lib.Objective, first: tf.Tensor,
                 count: int) -> train_step.BatchOf:
    """Gives the batches of an objective; see `Input.batches_of`."""
    size = objective.batch_size
    fed = batches.Batch(*[
        tf.reshape(matrix, [count, size, matrix.shape[1]])
        for matrix in self._fed(self._objectives.index(objective), count)])
    # Gathered, not sliced: XLA compiles a slice anew for each place of its
    # beginning that it can tell from what it is given, such as `first`.
    return lambda number: batches.gather(fed, number - first)

  def _fed(self, number, count):
    if (number, count) not in self._placeholders:
      objective = self._objectives[number]
      with tf.name_scope(f"streamed/{number}/{count}"):
        self._placeholders[number, count] = batches.placeholders(
            self._widths, count * objective.batch_size, self._dtypes)
    return self._placeholders[number, count]

  def steps_of_block(self, most: int) -> int:
    """Returns how many steps a block may have: not more than memory should."""
    row = sum(width * np.dtype(dtype).itemsize
              for width, dtype in zip(self._widths, self._dtypes))
    step = row * self._per_step * sum(one.batch_size
                                      for one in self._objectives)
    return max(min(most, _BLOCK_BYTES // step), 1)

  def tensors(self, steps: int, objectives: Sequence[int]) -> List[tf.Tensor]:
    """Returns what steps must be fed; see `Input.tensors`."""
    return [matrix for number in objectives
            for matrix in self._fed(number, steps * self._per_step)]

  def arrays(self, steps: int, objectives: Sequence[int],
             turns: Sequence[int]) -> List[np.ndarray]:
    """Returns what they are to be fed next; see `Input.arrays`."""
    turns, found = list(turns), []
    for number in objectives:
      room, count = [many * self._per_step
                     for many in (steps, turns.count(number))]
      buffer = self._buffer(number, room)
      if count:
        self._readers[number].read(self._position[number], count, buffer)
        self._position[number] += count
      found += buffer
    return found

  def _buffer(self, number, count):
    """Returns the arrays of a feed: the same for each, as one is run by one."""
    if (number, count) not in self._buffers:
      self._buffers[number, count] = batches.Batch(*[
          np.zeros(matrix.shape.as_list(), matrix.dtype.as_numpy_dtype)
          for matrix in self._fed(number, count)])
    return self._buffers[number, count]

  def position(self) -> List[int]:
    """Returns where reading stands: batches read of each objective."""
    return list(self._position)

  def go_back(self, position: List[int]) -> None:
    """Goes back to where reading stood."""
    self._position = list(position)

  def close(self) -> None:
    """Ends the threads that read ahead."""
    for reader in self._readers:
      reader.close()


def build(experiment: experiment_pb2.Experiment,
          objectives: Sequence[objectives_lib.Objective], rows: splits.Split,
          epoch: Sequence[int], parts: Parts, plan: Optional[mixing.Plan],
          widths: batches.Batch) -> Input:
  """Makes the input that an experiment asks for, in the current graph.

  Args:
    experiment: The experiment, valid.
    objectives: What the steps minimize.
    rows: The training rows.
    epoch: Which of them make up an epoch, shape `[N]`.
    parts: What `preparation.rows_of_tasks` returned.
    plan: The source of each batch of joint training, where there are several.
    widths: A `Batch` of the widths of the four matrices.

  Returns:
    An `Input`.
  """
  kind = (StreamedInput if row_sets.is_streamed(experiment.data)
          else ResidentInput)
  return kind(experiment, objectives, rows, epoch, parts, plan, widths)
