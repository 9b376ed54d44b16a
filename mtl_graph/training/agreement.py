"""What processes that train an experiment together must have in common."""

import json
from typing import List

import numpy as np

from mtl_graph import config
from mtl_graph import row_sets
from mtl_graph.checkpoints import compatibility
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import slices
from mtl_graph.protos import experiment_pb2

# Where a run may go on under something else, but a worker may not be alone.
_COMMON = ("training.num_steps", "training.num_epochs", "training.num_rounds",
           "training.cluster")
# What each process has of its own, or only the chief makes use of.
_OWN = (*(field for field in compatibility.FREE if field not in _COMMON),
        "training.cluster.wait_seconds", "data.input.cache_dir")


def basis(experiment: experiment_pb2.Experiment, labels: labels_lib.Labels
          ) -> str:
  """Returns what a chief announces, for `check` to hold others against.

  Args:
    experiment: The experiment, its vocabularies in line.
    labels: Those of all training rows.
  """
  return json.dumps({"experiment": config.to_text(experiment),
                     "rows": _moments(labels)})


def check(chief: str, own: str) -> None:
  """Raises `ConfigErrors` if a process has another basis than the chief.

  Args:
    chief: The chief's basis.
    own: That of this process.
  """
  theirs, ours = json.loads(chief), json.loads(own)
  experiment = config.parse(ours["experiment"])
  errors = []
  for change in compatibility.refused(compatibility.differences(
      config.parse(theirs["experiment"]), experiment), _OWN):
    path, found = change.split(": ", 1)
    errors.append(config.ConfigError(
        path, f"found {found} between the chief and this process; allowed: the "
        "same experiment, and the same --set, in all processes"))
  if not errors and theirs["rows"] != ours["rows"]:
    errors.append(config.ConfigError(
        row_sets.path(experiment.data, "train"), f"found other rows than the "
        f"chief: {ours['rows'][0]} here, {theirs['rows'][0]} there, or other "
        "labels or another order; allowed: the same rows in all processes"))
  if errors:
    raise config.ConfigErrors(errors)


def _moments(labels) -> List[str]:
  """Returns how many rows there are, and what their labels come to in order.

  In a few digits: machines may differ in the last one.
  """
  found = [f"{len(labels.values)} rows"]
  for array in labels:
    total, ordered, before = 0.0, 0.0, 0
    for piece in slices.of(array):
      rows = np.nan_to_num(np.asarray(piece, np.float64)).reshape(
          len(piece), -1).sum(axis=1)
      total += rows.sum()
      ordered += rows @ np.arange(before + 1, before + 1 + len(rows))
      before += len(rows)
    found += [f"{total:.6g}", f"{ordered:.6g}"]
  return found
