"""What an export says of itself, in `assets.extra/export.json`."""

import glob
import hashlib
import os
import time
from typing import Any, Dict, Optional

import tensorflow.compat.v1 as tf

from mtl_graph import __version__
from mtl_graph import vocabularies
from mtl_graph.evaluation import measurement
from mtl_graph.evaluation import tables
from mtl_graph.protos import experiment_pb2
from mtl_graph.serving import signature_reader

EXTRA = "assets.extra"
_NAME = "export.json"


def write(path: str, experiment: experiment_pb2.Experiment,
          record: Optional[measurement.Record]) -> Dict[str, Any]:
  """Writes what programs may want to know of an export.

  Args:
    path: Folder of the version, complete but for this.
    experiment: The experiment, its vocabularies in line.
    record: What is known of the checkpoint; None: nothing.

  Returns:
    What was written: `name`, `written`, `step`, `tasks`, `signatures`,
    `metrics` and `data` by split, `weights`, and versions of the software.
  """
  signatures = signature_reader.read(path)
  outputs = sorted({key for s in signatures.values() for key in s.outputs})
  exported = list(experiment.serving.task) or [
      task.name for task in experiment.model.task]
  content = {
      "name": experiment.name,
      "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
      "step": record.step if record else None,
      "tasks": {task.name: {
          "kind": task.WhichOneof("head"),
          "classes": vocabularies.class_names(task),
          "outputs": [key for key in outputs
                      if key.startswith(task.name + "/")],
          "signatures": [name for name in signatures if name == task.name
                         or name.startswith(task.name + "/")]}
                for task in experiment.model.task if task.name in exported},
      "signatures": {name: {
          "method": s.method, "inputs": _describe(s.inputs),
          "outputs": _describe(s.outputs), "optional": s.optional}
                     for name, s in signatures.items()},
      "metrics": record.metrics if record else {},
      "data": record.digests if record else {},
      "weights": weights_of(path),
      "mtl_graph": __version__,
      "tensorflow": tf.__version__,
  }
  os.makedirs(os.path.join(path, EXTRA), exist_ok=True)
  tables.write_json(content, os.path.join(path, EXTRA, _NAME))
  return content


def read(path: Optional[str]) -> Dict[str, Any]:
  """Reads what an export says of itself; nothing, if it does not."""
  if path is None:
    return {}
  try:
    return tables.read_json(os.path.join(path, EXTRA, _NAME))
  except (OSError, ValueError):
    return {}


def weights_of(path: str) -> str:
  """Returns a fingerprint of the weights of an export.

  They are its variables, or constants of its graph where it has none.
  """
  fingerprint = hashlib.sha256()
  names = glob.glob(os.path.join(glob.escape(path), "variables",
                                 "variables.data-*"))
  for name in sorted(names) or [os.path.join(path, "saved_model.pb")]:
    with open(name, "rb") as file:
      while piece := file.read(1 << 20):
        fingerprint.update(piece)
  return fingerprint.hexdigest()


def _describe(tensors):
  return {key: {"dtype": tensor.dtype.name, "shape": tensor.shape}
          for key, tensor in tensors.items()}
