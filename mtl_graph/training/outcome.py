"""What a run came to, kept so that a finished run is not finished twice."""

import os
from typing import Any, Dict, Mapping, NamedTuple, Optional

from mtl_graph import config
from mtl_graph.checkpoints import compatibility
from mtl_graph.evaluation import measurement
from mtl_graph.evaluation import tables
from mtl_graph.protos import experiment_pb2


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
  metrics: Dict[str, measurement.Metrics]
  export_path: Optional[str]


def read(model_dir: str, basis: Mapping[str, Any]) -> Optional[Result]:
  """Reads what a run came to on the same basis.

  Args:
    model_dir: The run's folder.
    basis: All that the result depends on.

  Returns:
    The `Result` that was written with this basis; None if there is none, or if
    what it exported is gone.
  """
  path = _path(model_dir)
  if not os.path.exists(path):
    return None
  try:
    saved = tables.read_json(path)
    result = Result(**saved["result"])
  except (OSError, ValueError, KeyError, TypeError):
    return None  # Half a file of a crashed machine: the run finishes again.
  # JSON has no None of its own left: it reads as NaN.
  if not isinstance(result.export_path, str):
    result = result._replace(export_path=None)
  elif not os.path.isdir(result.export_path):
    return None
  return result if saved.get("basis") == basis else None


def write(model_dir: str, basis: Mapping[str, Any], result: Result) -> None:
  """Writes what a run came to; the last thing it does."""
  tables.write_json({"basis": basis, "result": result._asdict()},
                    _path(model_dir))


def confirm(model_dir: str) -> None:
  """Notes, for `is_over`, that a finished run still is."""
  os.utime(_path(model_dir))


def is_over(model_dir: str, experiment: experiment_pb2.Experiment) -> bool:
  """Tells, to those that only look at the folder, whether a run is finished.

  Args:
    model_dir: The run's folder.
    experiment: What is to be trained there. A run that was finished is not, if
      it is to be longer, or ends by another rule.

  Returns:
    Whether it is finished, and has not been started again since.
  """
  started = compatibility.path_of(model_dir)
  try:
    if os.path.getmtime(_path(model_dir)) < os.path.getmtime(started):
      return False
    run = config.load(started)
  except (OSError, config.ConfigErrors):
    return False
  return run.evaluation == experiment.evaluation and all(
      getattr(run.training, field) == getattr(experiment.training, field)
      for field in ("num_steps", "num_epochs"))


def _path(model_dir: str) -> str:
  return os.path.join(model_dir, "finished.json")
