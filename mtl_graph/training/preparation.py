"""What a run looks at before it starts: its rows, its past, its groups."""

from typing import Dict, List, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.data import features
from mtl_graph.data import sources
from mtl_graph.data import splits
from mtl_graph.model import graphs
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import reporting

# Columns by name, by split.
Arrays = Mapping[str, Mapping[str, np.ndarray]]


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
  experiment = outline.with_vocabularies(experiment)
  rows = read_splits(experiment, arrays)
  model = graphs.build(experiment, features.measure(
      experiment.data.feature, rows["train"].raw))
  with model.graph.as_default():
    # Only so that what the step refuses is refused here too.
    graphs.joint_step(experiment, model, model.batch,
                      tf.identity(model.global_step),
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
  if arrays is None:
    names = [s for s in ("train", "validation", "test")
             if experiment.data.HasField(s)]
    rows = {name: splits.read(experiment, name) for name in names}
  else:
    rows = {name: splits.read(experiment, name, columns)
            for name, columns in arrays.items()}
  tasks = [task.name for task in experiment.model.task]
  for field in ("best", "early_stopping"):
    if experiment.evaluation.HasField(field) and "validation" in rows:
      task = getattr(experiment.evaluation, field).metric.partition("/")[0]
      weights = rows["validation"].labels.weights
      if not weights[:, tasks.index(task)].any():
        raise sources.DataError(
            f"data.validation: no row has a label for task '{task}', by which "
            f"evaluation.{field} measures; allowed: at least one")
  return rows


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
