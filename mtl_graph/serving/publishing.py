"""What is published and what is held back, as `serving.publishing` says."""

import math
import os
from typing import Optional

from mtl_graph.evaluation import measurement
from mtl_graph.evaluation import tables
from mtl_graph.protos import evaluation_pb2
from mtl_graph.protos import serving_pb2
from mtl_graph.serving import manifest
from mtl_graph.serving import versions


class HeldBack(Exception):
  """A model that is worse than the one in place."""


def step_for(publishing: serving_pb2.Publishing,
             record: Optional[measurement.Record]) -> Optional[int]:
  """Returns the number that a version must have; None: the time decides.

  Raises:
    VersionError: If it is to be the step and that is not known.
  """
  if publishing.version != serving_pb2.Publishing.STEP:
    return None
  if record is None:
    raise versions.VersionError(
        "serving.publishing.version: found STEP for a checkpoint whose step is "
        "not known; allowed: TIME")
  return record.step


def check_gate(publishing: serving_pb2.Publishing, export_dir: str,
               record: Optional[measurement.Record]) -> None:
  """Compares a checkpoint with the version in place.

  Args:
    publishing: The `Publishing` message.
    export_dir: Folder of the versions.
    record: What is known of the checkpoint.

  Raises:
    HeldBack: If the gate does not let it pass.
  """
  gate, place = publishing.gate, versions.newest(export_dir)
  if not publishing.HasField("gate") or place is None:
    return
  before = _metric(manifest.read(place).get("metrics", {}), gate.metric)
  if before is None or math.isnan(before):
    return
  now = _metric(record.metrics if record else {}, gate.metric)
  where = "serving.publishing.gate"
  if now is None or math.isnan(now):
    raise HeldBack(f"{where}: {gate.metric} was not measured, and is "
                   f"{tables.number(before)} for {place}; not published")
  worse = (before - now if gate.goal == evaluation_pb2.MAXIMIZE
           else now - before)
  if worse > gate.margin:
    raise HeldBack(
        f"{where}: {gate.metric} is {tables.number(now)}, and "
        f"{tables.number(before)} for {place}; allowed: worse by at most "
        f"{gate.margin:g}; not published")


def in_place(path: str, export_dir: str) -> Optional[str]:
  """Returns the newest version if it is the very model of a path, or None."""
  place = versions.newest(export_dir)
  if place is None or manifest.weights_of(path) != manifest.weights_of(place):
    return None
  name = os.path.join(manifest.EXTRA, "experiment.pbtxt")
  if not _are_equal(os.path.join(path, name), os.path.join(place, name)):
    return None
  return place


def batching_text(batching: serving_pb2.Batching) -> str:
  """Writes what a server reads as batching_params.pbtxt.

  Its numbers are messages of their own there, so that 0 is told from nothing.
  """
  lines = []
  for field, value in batching.ListFields():
    if field.is_repeated:
      lines += [f"{field.name}: {one}" for one in value]
    else:
      lines.append(f"{field.name} {{ value: {value} }}")
  return "".join(line + "\n" for line in lines)


def _metric(by_split, name):
  """Returns a validation metric by `<task>/<metric>`, or None."""
  task, _, metric = name.partition("/")
  return by_split.get("validation", {}).get(task, {}).get(metric)


def _are_equal(first, second):
  if not (os.path.isfile(first) and os.path.isfile(second)):
    return False
  with open(first, "rb") as one, open(second, "rb") as other:
    return one.read() == other.read()
