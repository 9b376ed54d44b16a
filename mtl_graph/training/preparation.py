"""What a run looks at before it starts: its rows, its past, its groups."""

import fractions
import math
from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph import vocabularies
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import mixing
from mtl_graph.data import resampling
from mtl_graph.data import slices
from mtl_graph.data import sources
from mtl_graph.data import splits
from mtl_graph.data import statistics
from mtl_graph.model import graphs
from mtl_graph.model import objectives
from mtl_graph.model import train_step
from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import training_pb2
from mtl_graph.training import reporting
from mtl_graph.training import schedule as schedule_lib
from mtl_graph.training import warm_start

# Multiplications and additions of a product that is better left to one core.
_SMALL_PRODUCT = 5e7
# Steps from which on AUTO is expected to compile: of 0.5 ms each, it tries to.
_COMPILED_STEPS = 20000

# Columns by name, by split.
Arrays = Mapping[str, Mapping[str, np.ndarray]]


def describe(experiment: experiment_pb2.Experiment,
             arrays: Optional[Arrays] = None) -> str:
  """Reads the data and builds the graph, and says which group owns what.

  Of rows that are to be streamed it reads the first ones of each split: what
  they hold changes no shape.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split handed over in Python, in place of files.

  Returns:
    The table of variables, shapes, parameter counts and groups.

  Raises:
    ConfigErrors, DataError: If experiment and data do not fit.
  """
  experiment = vocabularies.in_line(experiment)
  if row_sets.is_streamed(experiment.data):
    rows = {split: splits.read_first(experiment, split)
            for split in row_sets.SPLITS
            if row_sets.of(experiment.data, split)}
  else:
    rows = read_splits(experiment, arrays)
  experiment = count_vocabularies(experiment, rows["train"].raw)
  model = graphs.build(experiment, statistics.measure(
      experiment.data.feature, rows["train"].raw))
  with model.graph.as_default():
    # Only so that what the steps refuse is refused here too.
    for objective in objectives.build(experiment, model):
      train_step.build(experiment, model, objective, lambda number: model.batch,
                       tf.identity(objective.counter),
                       [False] * len(experiment.model.task))
  return reporting.ownership_table(model)


def read_splits(experiment: experiment_pb2.Experiment,
                arrays: Optional[Arrays]) -> Dict[str, splits.Split]:
  """Reads every split that there is.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split handed over in Python, in place of files.

  Returns:
    A `splits.Split` by name.

  Raises:
    DataError: If the rows cannot be used, or no validation row has a label for
      a task that the best checkpoint or early stopping is chosen by.
  """
  rows = splits.read_all(experiment, arrays)
  check_validation(experiment, rows)
  return rows


def check_validation(experiment: experiment_pb2.Experiment,
                     rows: Mapping[str, splits.Split]) -> None:
  """Raises `DataError` if validation rows lack what the run is measured by.

  Args:
    experiment: The experiment, valid.
    rows: A `splits.Split` by name.
  """
  tasks = [task.name for task in experiment.model.task]
  rules = {f"evaluation.{field}": getattr(experiment.evaluation, field)
           for field in ("best", "early_stopping")
           if experiment.evaluation.HasField(field)}
  rules.update((f"training.independent.task[{i}].early_stopping",
                task.early_stopping) for i, task in enumerate(
                    experiment.training.independent.task)
               if task.HasField("early_stopping"))
  for path, rule in rules.items():
    task = rule.metric.partition("/")[0]
    if "validation" in rows and not any(
        some[:, tasks.index(task)].any()
        for some in slices.of(rows["validation"].labels.weights)):
      raise sources.DataError(
          f"{row_sets.path(experiment.data, 'validation')}: no row has a label "
          f"for task '{task}', by which {path} measures; allowed: at least one")


def check_changes(experiment: experiment_pb2.Experiment, model_dir: str,
                  allow_changes: bool) -> List[str]:
  """Returns the changes since the last checkpoint; raises if they are refused.

  What counts is the experiment inside the checkpoint: the file beside it may
  already be that of a run that was killed before its first checkpoint.
  """
  path = checkpoints.newest(model_dir)
  if path is None:
    return []
  changes = compatibility.refused(compatibility.differences(
      compatibility.experiment_of(path), experiment))
  if not allow_changes:
    compatibility.refuse(changes, model_dir, "the same experiment, another "
                         "--model_dir, or --allow_changes")
  return changes


def settle(experiment: experiment_pb2.Experiment, model_dir: str
           ) -> experiment_pb2.Experiment:
  """Returns an experiment that depends on no file, and on the run's past.

  Args:
    experiment: The experiment, valid.
    model_dir: The run's folder.

  Returns:
    A copy with its vocabularies in line, and with the categories that were
    counted by the run's own last checkpoint, else by those it starts from.

  Raises:
    CheckpointError: If that checkpoint cannot be read.
    ConfigErrors: If a vocabulary does not go on from the one that was.
  """
  experiment = vocabularies.in_line(experiment)
  path = checkpoints.newest(model_dir)
  if path is not None:
    return vocabularies.adopt(experiment, compatibility.experiment_of(path))
  earlier = warm_start.experiments(experiment)
  for saved in reversed(earlier):  # What the first has counts.
    experiment = vocabularies.adopt(experiment, saved)
  for i, saved in enumerate(earlier):
    vocabularies.check_kept(experiment, saved, *(
        [f"the checkpoint of training.warm_start[{i}]"] if i else []))
  return experiment


def count_vocabularies(experiment: experiment_pb2.Experiment,
                       raw: Mapping[str, np.ndarray]
                       ) -> experiment_pb2.Experiment:
  """Counts the categories of the features that ask for it.

  Args:
    experiment: The experiment, its vocabularies in line.
    raw: Raw values of the training rows, by input.

  Returns:
    A copy that lists the categories; those it knew keep their rows.
  """
  copy = experiment_pb2.Experiment()
  copy.CopyFrom(experiment)
  for feature in copy.data.feature:
    if feature.categorical.HasField("counted_vocabulary"):
      vocabularies.count(feature.categorical, raw[feature.name].ravel())
  return copy


def with_frequent(experiment: experiment_pb2.Experiment,
                  frequent: Mapping[str, Sequence[str]]
                  ) -> experiment_pb2.Experiment:
  """Gives rows to the categories that training rows hold.

  Args:
    experiment: The experiment, its vocabularies in line.
    frequent: What `vocabularies.frequent` returned, by feature that asks for
      it.

  Returns:
    A copy that lists the categories; those it knew keep their rows.
  """
  copy = experiment_pb2.Experiment()
  copy.CopyFrom(experiment)
  for feature in copy.data.feature:
    if feature.name in frequent:
      vocabularies.extend(feature.categorical, frequent[feature.name])
  return copy


def threads(experiment: experiment_pb2.Experiment) -> int:
  """Returns how many threads an op takes best; 0: as many as there are cores.

  What splits a small product costs more than it gains, while ops that do not
  depend on each other run side by side anyway; not so in what XLA compiles,
  which runs one op after the other. The answer goes by the experiment alone;
  where it is 1, bits depend on no machine's number of cores.

  Args:
    experiment: The experiment, valid.
  """
  training = experiment.training
  steps = training.num_steps or training.num_rounds * sum(
      task.iterations for task in training.independent.task)
  mode = training.execution.mode
  if mode == training_pb2.Execution.XLA or (
      mode == training_pb2.Execution.AUTO and steps >= _COMPILED_STEPS):
    return 0
  return 1 if outline.largest_product(experiment) < _SMALL_PRODUCT else 0


def rows_of_epoch(experiment: experiment_pb2.Experiment,
                  labels: labels_lib.Labels) -> Sequence[int]:
  """Returns the numbers of the training rows that make up an epoch.

  A `range` where each comes once: of rows on disk there may be more than
  numbers of them fit into memory.
  """
  if experiment.data.HasField("resampling"):
    return resampling.rows(experiment.data.resampling, experiment.model.task,
                           labels, experiment.seed)
  return range(len(labels.values))


def rows_of_tasks(experiment: experiment_pb2.Experiment, rows: splits.Split,
                  count: int) -> Dict[str, List[slice]]:
  """Says which rows batches of each task are drawn from, but for mixed ones.

  Args:
    experiment: The experiment, valid.
    rows: The training rows.
    count: Rows of an epoch.

  Returns:
    Runs of rows by task: all of them, or of sources those that the task's share
    of independent training states, else those that label it.
  """
  return {task.name: [rows.sources[source.name] for source in
                      _sources_of(experiment, task.name)] or [slice(0, count)]
          for task in experiment.model.task}


def _sources_of(experiment, task) -> List[data_pb2.TaskSource]:
  """Returns the sources that a task's batches are drawn from, if there are any.
  """
  stated = {t.name: t.source for t in experiment.training.independent.task}
  return [source for source in experiment.data.source
          if (source.name == stated[task] if stated.get(task)
              else not source.task or task in source.task)]


def plan(experiment: experiment_pb2.Experiment, rows: splits.Split,
         workers: int = 1) -> Optional[mixing.Plan]:
  """Draws the source of each batch of joint training, if there are several.

  Args:
    experiment: The experiment, valid.
    rows: The training rows.
    workers: How many workers each add a batch to a step.

  Returns:
    The plan, or None.
  """
  if not rows.sources or experiment.training.WhichOneof("mode") != "joint":
    return None
  counts = [part.stop - part.start for part in rows.sources.values()]
  count = outline.batches_of_step(experiment.training) * workers
  drawn = mixing.plan(
      experiment.data, counts, experiment.data.batch_size,
      num_steps(experiment, sum(counts), workers=workers) * count,
      experiment.seed)
  if len(drawn.source) < count:
    raise sources.DataError(
        f"data.source: found {len(drawn.source)} batches until all sources have"
        f" stopped; allowed: at least {count}, as many as a step takes")
  return drawn


def num_steps(experiment: experiment_pb2.Experiment, rows: int,
              drawn: Optional[mixing.Plan] = None, workers: int = 1) -> int:
  """Returns how many steps joint training has in all.

  Args:
    experiment: The experiment, valid.
    rows: Rows of an epoch.
    drawn: What `plan` returned; the run ends with its batches.
    workers: How many workers each add a batch to a step.
  """
  training = experiment.training
  batches = outline.batches_of_step(training) * workers
  rows_of_step = experiment.data.batch_size * batches
  steps = training.num_steps
  if training.HasField("num_epochs"):
    # 1.1 epochs of 10 rows are 11 rows, not a trifle more.
    epochs = fractions.Fraction(str(training.num_epochs))
    steps = max(math.ceil(epochs * rows / rows_of_step), 1)
  if drawn is not None:
    steps = min(steps, len(drawn.source) // batches)
  return steps


def schedule(experiment: experiment_pb2.Experiment, rows: splits.Split,
             step: int, steps: int) -> schedule_lib.Schedule:
  """Returns the schedule of a run.

  Args:
    experiment: The experiment, valid.
    rows: The training rows.
    step: The step that the run stands at.
    steps: Steps of joint training.

  Returns:
    A `Schedule`, in independent training at its beginning.
  """
  training = experiment.training
  if training.WhichOneof("mode") != "independent":
    return schedule_lib.Schedule.joint(step, steps)
  tasks = [task for task in training.independent.task if task.iterations]
  return schedule_lib.Schedule(
      [task.name for task in tasks], schedule_lib.order(
          [task.iterations for task in tasks], training.independent.order),
      training.num_rounds, _limits(experiment, rows))


def _limits(experiment, rows) -> Dict[str, int]:
  """Returns the most iterations of tasks all of whose sources stop."""
  limits = {}
  for task in experiment.training.independent.task:
    own = _sources_of(experiment, task.name)
    if own and all(s.at_end == data_pb2.TaskSource.STOP for s in own):
      parts = [rows.sources[source.name] for source in own]
      size = ((task.batch_size or experiment.data.batch_size)
              * outline.batches_of_step(experiment.training))
      limits[task.name] = -(-sum(p.stop - p.start for p in parts) // size)
  return limits


def length_field(experiment: experiment_pb2.Experiment) -> str:
  """Returns the field that says how long the run is."""
  if experiment.training.WhichOneof("mode") == "independent":
    return "training.num_rounds"
  if experiment.training.HasField("num_epochs"):
    return "training.num_epochs"
  return "training.num_steps"
