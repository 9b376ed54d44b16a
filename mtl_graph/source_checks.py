"""Finds what is wrong with the sources of rows and the rows chosen of them."""

import glob
import os

from mtl_graph import field_checks
from mtl_graph import python_functions
from mtl_graph import row_sets
from mtl_graph import shards
from mtl_graph.protos import data_pb2

_TESTS = ("one_of", "greater_than", "less_than", "missing")


def check(data: data_pb2.Data, needs_sources: bool,
          report: field_checks.Report) -> None:
  """Reports what is wrong with the rows, and the sources if they are needed."""
  for split in row_sets.SPLITS:
    for rows in row_sets.every(data, split):
      if rows.is_stated and needs_sources:
        _check_files(rows.source, rows.path, report)
      elif needs_sources and split == "train":
        report(rows.path, "found nothing; required")
      if rows.source.HasField("part"):
        _check_part(rows.source.part, f"{rows.path}.part", report)
  for i, condition in enumerate(data.drop_rows):
    check_condition(condition, f"data.drop_rows[{i}]", report)


def check_condition(condition: data_pb2.Condition, path: str,
                    report: field_checks.Report) -> None:
  """Reports what is wrong with one condition.

  Args:
    condition: The condition.
    path: Where it sits in the experiment.
    report: Takes a field's path and its problem.
  """
  if not condition.column:
    report(f"{path}.column", "found nothing; required")
  present = [f for f in _TESTS if (len(condition.one_of) if f == "one_of"
                                   else condition.HasField(f))]
  if len(present) != 1:
    report(path, f"found {' and '.join(present) or 'none'} of "
           f"{', '.join(_TESTS)}; allowed: exactly one")
  if condition.HasField("missing") and not condition.missing:
    report(f"{path}.missing", "found false; allowed: true, or nothing; "
           "negate: true turns a condition round")
  _check_texts(condition.one_of, f"{path}.one_of", report)


def _check_files(source, path, report) -> None:
  kind = field_checks.kind_of(source, "kind", path, report)
  if kind is None:
    return
  if kind == "python":
    python_functions.check(source.python, f"{path}.python", report, [])
    return
  files = getattr(source, kind)
  if not files.path:
    report(f"{path}.{kind}.path", "found none; allowed: at least one path")
  for i, pattern in enumerate(files.path):
    _check_path(pattern, f"{path}.{kind}.path[{i}]", report)
  if kind == "csv" and files.header_file and "://" not in files.header_file:
    field_checks.file_exists(files, "header_file", f"{path}.csv", report)


def _check_path(pattern, path, report) -> None:
  # Where no TensorFlow is, another file system cannot be asked; reading will.
  if "://" in pattern or os.path.exists(pattern):
    return
  names = shards.names(pattern)
  absent = [name for name in names if not os.path.exists(name)]
  if absent:
    report(path, f"no file '{absent[0]}', of which '{pattern}' has {len(names)}"
           f", from {os.getcwd()}; allowed: all of them there"
           + field_checks.nearest_file(absent[0]))
  elif not names and not glob.glob(pattern):
    report(path, f"no file matches '{pattern}' from {os.getcwd()}; allowed: an "
           "existing file or a glob" + field_checks.nearest_file(pattern))


def _check_part(part, path, report) -> None:
  kind = field_checks.kind_of(part, "by", path, report)
  if kind is None:
    return
  if kind != "row_hash" and not getattr(part, kind):
    report(f"{path}.{kind}", "found ''; allowed: the name of a column")
  if kind == "column":
    if not part.value:
      report(f"{path}.value", "found none; allowed: at least one, as the part "
             "goes by column")
    _check_texts(part.value, f"{path}.value", report)
    for field in ("from", "to"):
      if part.HasField(field):
        report(f"{path}.{field}", f"found {getattr(part, field):g}; allowed: "
               "nothing, as the part goes by column")
    return
  if part.value:
    report(f"{path}.value", f"found '{part.value[0]}'; allowed: nothing, as "
           f"the part goes by {kind}")
  low, high = getattr(part, "from"), part.to
  if low < 0 or low > 1:
    report(f"{path}.from", f"found {low:g}; allowed: 0 to 1")
  elif high > 1 or high <= low:
    report(f"{path}.to", f"found {high:g}; allowed: above from, which is "
           f"{low:g}, and at most 1")


def _check_texts(texts, path, report) -> None:
  for i, text in enumerate(texts):
    if not text:
      report(f"{path}[{i}]", "found ''; allowed: any string but '', which "
             "stands for a missing value")
