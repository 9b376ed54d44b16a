"""Finds what is wrong with the data of an experiment."""

import glob
import os

from mtl_graph import field_checks
from mtl_graph.protos import data_pb2


def check(data: data_pb2.Data, needs_sources: bool,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `data`, sources included if they are needed."""
  if needs_sources and not data.HasField("train"):
    report("data.train", "found nothing; required")
  for split in ("train", "validation", "test"):
    if data.HasField(split) and needs_sources:
      _check_source(getattr(data, split), f"data.{split}", report)
  field_checks.at_least(data, "batch_size", 1, "data", report)
  if not data.feature:
    report("data.feature", "found none; allowed: at least one")
  field_checks.names(data.feature, "data.feature", report)
  for i, feature in enumerate(data.feature):
    path = f"data.feature[{i}]"
    kind = field_checks.kind_of(feature, "kind", path, report)
    if kind == "numeric":
      field_checks.at_least(feature.numeric, "size", 1, f"{path}.numeric",
                            report)
      if needs_sources and data.train.HasField("csv") and (
          feature.numeric.size > 1):
        report(f"{path}.numeric.size", f"found {feature.numeric.size}; "
               "allowed: 1 from .csv files, more from .npz files")
      if (feature.numeric.normalization == data_pb2.LOG1P
          and feature.numeric.missing_value < 0):
        report(f"{path}.numeric.missing_value",
               f"found {feature.numeric.missing_value:g}; allowed: at least 0 "
               "under LOG1P")
    elif kind == "categorical":
      field_checks.at_least(feature.categorical, "embedding_dimension", 1,
                f"{path}.categorical", report)
      field_checks.domain(feature.categorical, ("num_buckets", "hash_buckets"),
                          1, f"{path}.categorical", report)


def _check_source(source, path, report) -> None:
  kind = field_checks.kind_of(source, "kind", path, report)
  if kind is None:
    return
  files = getattr(source, kind)
  if not files.path:
    report(f"{path}.{kind}.path", "found none; allowed: at least one path")
  for i, pattern in enumerate(files.path):
    if not glob.glob(pattern):
      report(f"{path}.{kind}.path[{i}]", f"no file matches '{pattern}' from "
             f"{os.getcwd()}; allowed: an existing file or a glob"
             + field_checks.nearest_file(pattern))
  if kind == "csv" and files.header_file:
    field_checks.file_exists(files, "header_file", f"{path}.csv", report)
