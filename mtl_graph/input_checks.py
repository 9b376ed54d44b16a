"""Finds what is wrong with where the rows of an experiment lie."""

import os

from mtl_graph import field_checks
from mtl_graph import row_sets
from mtl_graph.protos import data_pb2


def check(data: data_pb2.Data, needs_sources: bool,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `data.input`.

  Args:
    data: The `Data` message.
    needs_sources: Whether rows come from the sources of the experiment; else
      arrays are handed over in Python.
    report: Takes a field's path and its problem.
  """
  rows = data.input
  if not row_sets.is_streamed(data):
    for field in ("shuffle_buffer", "cache_dir"):
      if rows.HasField(field):
        report(f"data.input.{field}", f"found {_shown(getattr(rows, field))}; "
               "allowed: nothing, as data.input.kind is RESIDENT")
    return
  field_checks.at_least(rows, "shuffle_buffer", 0, "data.input", report)
  if rows.HasField("cache_dir"):
    _check_folder(rows.cache_dir, "data.input.cache_dir", report)
  if data.HasField("resampling"):
    report("data.input.kind", "found STREAMED beside data.resampling; allowed: "
           "RESIDENT, or no resampling")
  for rows in (r for split in row_sets.SPLITS
               for r in row_sets.every(data, split)):
    if rows.source.HasField("python"):
      report("data.input.kind", f"found STREAMED beside {rows.path}.python; "
             "allowed: RESIDENT, or files")
  if not needs_sources:
    report("data.input.kind", "found STREAMED for arrays handed over in Python;"
           " allowed: RESIDENT")


def _check_folder(name, path, report) -> None:
  if not name:
    report(path, "found ''; allowed: a folder, made if need be")
  elif "://" in name:
    report(path, f"found '{name}'; allowed: a folder of a local disk, as rows "
           "are read from it at random")
  elif os.path.exists(name) and not os.path.isdir(name):
    report(path, f"found '{name}', which is no folder; allowed: a folder, made "
           "if need be")


def _shown(value) -> str:
  return f"'{value}'" if isinstance(value, str) else str(value)
