"""What training steps read: rows held in the graph, or fed from disk."""

from typing import Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.data import cache
from mtl_graph.data import mixing
from mtl_graph.data import splits
from mtl_graph.data import streams
from mtl_graph.model import objectives as objectives_lib
from mtl_graph.model import train_step
from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import row_numbers

# Runs of rows that the batches of each task are drawn from, by task.
Parts = Mapping[str, List[slice]]


class Input(Protocol):
  """Gives steps their rows; one of the classes below."""

  def load(self, session: tf.Session, batch: batches.Batch,
           counters: Sequence[int]) -> None:
    """Takes the rows of an epoch; `counters` are the steps of each objective
    that are behind it."""

  def batches_of(self, objective: objectives_lib.Objective, first: tf.Tensor,
                 count: int) -> train_step.BatchOf:
    """Gives the batches of an objective, as `step_block.BatchesOf` has it."""

  def may_lack_labels(self, objective: objectives_lib.Objective) -> List[bool]:
    """Tells which tasks could be without any label in some step."""

  def tensors(self, steps: int, objectives: Sequence[int]) -> List[tf.Tensor]:
    """Returns what steps must be fed."""

  def arrays(self, steps: int, objectives: Sequence[int], turns: Sequence[int]
             ) -> List[np.ndarray]:
    """Returns what they are to be fed next."""

  def position(self) -> List[int]:
    """Returns where reading stands."""

  def go_back(self, position: List[int]) -> None:
    """Goes back to where reading stood."""

  def close(self) -> None:
    """Ends reading."""


class ResidentInput:
  """The training rows in local variables of the graph.

  Nothing is fed to the steps.
  """

  def __init__(self, experiment: experiment_pb2.Experiment,
               objectives: Sequence[objectives_lib.Objective],
               rows: splits.Split, epoch: Sequence[int], parts: Parts,
               plan: Optional[mixing.Plan], widths: batches.Batch):
    """Makes the variables in the current graph.

    Args:
      experiment: The experiment, valid.
      objectives: What the steps minimize.
      rows: The training rows.
      epoch: Which of them make up an epoch, shape `[N]`.
      parts: What `preparation.rows_of_tasks` returned.
      plan: The source of each batch of joint training, where there are several.
      widths: A `Batch` of the widths of the four matrices.
    """
    del objectives  # All draw from the same variables.
    self._drawn = _Drawn(experiment, rows, epoch, parts, plan)
    self._resident, self._feed_rows = batches.resident(
        len(epoch), widths, batches.narrow_dtypes(
            cache.id_type(experiment), rows.labels.values, rows.labels.weights))
    if plan is not None:
      self._planned, self._feed_plan = batches.resident_plan(len(plan.source))
    self._fill = tf.local_variables_initializer()

  def load(self, session: tf.Session, batch: batches.Batch,
           unused_counters: Sequence[int]) -> None:
    """Takes the rows of an epoch, a `Batch` of arrays, into the graph."""
    feed = self._feed_rows(batch)
    if self._drawn.plan is not None:
      feed.update(self._feed_plan(self._drawn.plan))
    session.run(self._fill, feed)

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
    rows = self._rows(objective, first, count)
    if count > 1:
      rows = tf.reshape(rows, [count, objective.batch_size])

    def batch_of(number):
      chosen = rows if count == 1 else tf.gather(rows, number - first)
      return batches.gather(self._resident, chosen)
    return batch_of

  def _rows(self, objective, first, count):
    parts, size = self._drawn.parts(objective), objective.batch_size
    if self._drawn.plan is None:
      return batches.rows_of_parts(first, parts, size, self._drawn.seed, count)
    return batches.planned_rows(
        first, self._planned, [part.start for part in parts],
        [part.stop - part.start for part in parts], size, self._drawn.seed,
        count)

  def may_lack_labels(self, objective: objectives_lib.Objective) -> List[bool]:
    """Tells which tasks could be without any label in some step."""
    return self._drawn.may_lack_labels(objective)

  def tensors(self, unused_steps: int, unused_objectives: Sequence[int]
              ) -> List[tf.Tensor]:
    """Returns what steps must be fed."""
    return []

  def arrays(self, unused_steps: int, unused_objectives: Sequence[int],
             unused_turns: Sequence[int]) -> List[np.ndarray]:
    """Returns what they are to be fed next."""
    return []

  def position(self) -> List[int]:
    """Returns where reading stands."""
    return []

  def go_back(self, position: List[int]) -> None:
    """Goes back to where reading stood."""

  def close(self) -> None:
    """Ends reading."""


class StreamedInput:
  """The training rows on disk, from which steps are fed their batches."""

  def __init__(self, experiment: experiment_pb2.Experiment,
               objectives: Sequence[objectives_lib.Objective],
               rows: splits.Split, epoch: Sequence[int], parts: Parts,
               plan: Optional[mixing.Plan], widths: batches.Batch):
    """Reads nothing yet; see `ResidentInput`."""
    self._drawn = _Drawn(experiment, rows, epoch, parts, plan)
    self._objectives = list(objectives)
    self._per_step = experiment.training.accumulate_batches
    self._widths = widths
    # By the number of an objective and how many batches it has room for.
    self._placeholders: Dict[Tuple[int, int], batches.Batch] = {}
    self._readers: List[streams.Reader] = []
    self._position: List[int] = []
    buffer = experiment.data.input.shuffle_buffer
    self._rows_of = [row_numbers.build(
        self._drawn.parts(one), one.batch_size, experiment.seed, buffer, plan)
                     for one in objectives]

  def load(self, unused_session: tf.Session, batch: batches.Batch,
           counters: Sequence[int]) -> None:
    """Starts to read.

    Args:
      batch: A `Batch` of arrays on disk.
      counters: How many steps each objective has behind it.
    """
    self._readers = [streams.Reader(batch, rows_of) for rows_of in
                     self._rows_of]
    self._position = [count * self._per_step for count in counters]

  def batches_of(self, objective: objectives_lib.Objective, first: tf.Tensor,
                 count: int) -> train_step.BatchOf:
    """Gives the batches of an objective, as `ResidentInput.batches_of`."""
    size = objective.batch_size
    fed = self._fed(self._objectives.index(objective), count)
    if count == 1:
      return lambda unused_number: fed

    def batch_of(number):
      start = tf.cast(number - first, tf.int32) * size
      # In full: what is left to be found out at run time, XLA pads and masks.
      return batches.Batch(*[
          tf.slice(matrix, [start, 0], [size, matrix.shape[1]])
          for matrix in fed])
    return batch_of

  def _fed(self, number, count):
    if (number, count) not in self._placeholders:
      objective = self._objectives[number]
      with tf.name_scope(f"streamed/{number}/{count}"):
        self._placeholders[number, count] = batches.placeholders(
            self._widths, count * objective.batch_size)
    return self._placeholders[number, count]

  def may_lack_labels(self, objective: objectives_lib.Objective) -> List[bool]:
    """Tells which tasks could be without any label in some step."""
    return self._drawn.may_lack_labels(objective)

  def tensors(self, steps: int, objectives: Sequence[int]) -> List[tf.Tensor]:
    """Returns what steps must be fed.

    Args:
      steps: How many steps there is room for.
      objectives: Numbers of the objectives whose steps they may be.
    """
    return [matrix for number in objectives
            for matrix in self._fed(number, steps * self._per_step)]

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
    turns, found = list(turns), []
    for number in objectives:
      room = steps * self._per_step * self._objectives[number].batch_size
      count = turns.count(number) * self._per_step
      if not count:
        found += [np.zeros(matrix.shape.as_list(), matrix.dtype.as_numpy_dtype)
                  for matrix in self._fed(number, steps * self._per_step)]
        continue
      batch = self._readers[number].read(self._position[number], count)
      self._position[number] += count
      for array in batch:
        if len(array) < room:
          array = np.concatenate([array, np.zeros(
              [room - len(array), array.shape[1]], array.dtype)])
        found.append(array)
    return found

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


def build(experiment: experiment_pb2.Experiment, *args) -> Input:
  """Makes the input that an experiment asks for; see `ResidentInput`."""
  if experiment.data.input.kind == data_pb2.Input.STREAMED:
    return StreamedInput(experiment, *args)
  return ResidentInput(experiment, *args)


class _Drawn:
  """Which rows the batches of each objective are drawn from."""

  def __init__(self, experiment, rows, epoch, parts, plan):
    self.plan, self.seed = plan, experiment.seed
    self._sources = list(rows.sources.values())
    self._weights = rows.labels.weights
    if not isinstance(epoch, range):  # Else all rows, in their order.
      self._weights = self._weights[epoch]
    self._parts = parts
    self._per_step = experiment.training.accumulate_batches

  def parts(self, objective) -> List[slice]:
    """Returns runs of rows; with a plan, the rows of each source."""
    return (self._sources if self.plan is not None
            else self._parts[objective.tasks[0]])

  def may_lack_labels(self, objective) -> List[bool]:
    """Tells which tasks could be without any label in some step."""
    parts = self.parts(objective)
    if self.plan is not None:
      return batches.may_lack_labels(self._weights, objective.batch_size,
                                     parts).tolist()
    weights = (self._weights[parts[0]] if len(parts) == 1 else
               np.concatenate([self._weights[part] for part in parts]))
    return batches.may_lack_labels(
        weights, objective.batch_size * self._per_step).tolist()
