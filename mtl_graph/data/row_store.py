"""Parses rows in pieces, and keeps them on disk as they are parsed.

The raw values of a set, its labels and its groups are written as pieces come
in; a split is the sets of its sources one after the other.
"""

import collections
import json
import os
import shutil
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph import vocabularies
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import parsing
from mtl_graph.data import parts as parts_lib
from mtl_graph.data import selection
from mtl_graph.data import slices
from mtl_graph.data import sources
from mtl_graph.data import spills
from mtl_graph.data import statistics as statistics_lib
from mtl_graph.data import tfrecord_files
from mtl_graph.data import workers as workers_lib
from mtl_graph.protos import experiment_pb2

_CONTENT = "rows.json"


class Rows(NamedTuple):
  """Parsed rows.

  Attributes:
    splits: A `Split` by name. Its raw values are those of the first rows only;
      its labels are `np.memmap`s.
    statistics: What `statistics.measure` finds in all training rows.
    frequent: What `vocabularies.frequent` finds in them, by feature.
  """
  splits: Dict[str, parts_lib.Split]
  statistics: Dict[str, statistics_lib.Statistics]
  frequent: Dict[str, List[str]]


def write(experiment: experiment_pb2.Experiment, folder: str,
          parse_examples: Optional[tfrecord_files.ParseExamples] = None,
          names: Sequence[str] = row_sets.SPLITS) -> None:
  """Parses all rows of an experiment.

  Args:
    experiment: The experiment, valid, its vocabularies in line.
    folder: Where they are written; made, must not exist.
    parse_examples: See `tfrecord_files.pieces`.
    names: The splits that are wanted, of those that there are. Only of training
      rows there are statistics and frequent categories.

  Raises:
    DataError: If the rows cannot be used.
    WorkerError: If a process that parses ends.
  """
  os.makedirs(folder)
  splits = {split: row_sets.of(experiment.data, split)
            for split in names}
  splits = {split: sets for split, sets in splits.items() if sets}
  writers = {rows.key: _SetWriter(experiment, rows, folder)
             for sets in splits.values() for rows in sets}
  with workers_lib.Workers() as workers:
    for sets in row_sets.together([w.rows for w in writers.values()]):
      _parse(experiment, sets, writers, workers, parse_examples)
  content = {"splits": {
      split: _finish(experiment, sets, [writers[rows.key].close()
                                        for rows in sets], folder, split)
      for split, sets in splits.items()}}
  features = experiment.data.feature if "train" in splits else []
  content["statistics"] = {
      name: {key: values.tolist() for key, values in found.items()}
      for name, found in statistics_lib.measure(
          features, raw(folder, content["splits"]["train"])
      ).items()} if features else {}
  content["frequent"] = {
      feature.name: vocabularies.frequent(
          feature.categorical.counted_vocabulary,
          sum((writers[rows.key].counts[feature.name]
               for rows in splits["train"]), collections.Counter()))
      for feature in features if _is_counted(feature)}
  with open(os.path.join(folder, _CONTENT), "w", encoding="utf-8") as file:
    json.dump(content, file)


def _is_counted(feature) -> bool:
  return feature.categorical.HasField("counted_vocabulary")


def _parse(experiment, sets, writers, workers, parse_examples) -> None:
  """Parses the files that some sets have in common."""
  needed = parts_lib.needed(experiment, sets)
  source, keys = sets[0].source, [rows.key for rows in sets]
  serialized, total = experiment.SerializeToString(), 0
  jobs = ((serialized, keys, piece) for piece in sources.pieces(
      source, *needed, slices.ROWS, parse_examples))
  for found in workers.map(parsing.parse, jobs):
    total += found[0].count.rows
    for key, part in zip(keys, found):
      writers[key].add(part)
  paths = sources.paths_of(source, needed.field_path)
  sources.check_some(total, paths, needed.field_path)
  for key in keys:
    writers[key].check(paths)


class _SetWriter:
  """Writes the rows of one set.

  Attributes:
    rows: The set.
    counts: How often each category comes, by feature that counts them.
  """

  def __init__(self, experiment, rows, folder):
    self.rows = rows
    self.counts = {feature.name: collections.Counter()
                   for feature in experiment.data.feature
                   if _is_counted(feature)}
    self._experiment = experiment
    self._folder = os.path.join("sets", rows.key)
    self._root = folder
    self._columns = {}
    self._count = selection.Count(0, 0, 0)
    self._presences = []
    os.makedirs(os.path.join(folder, self._folder))

  def add(self, part: parts_lib.Part) -> None:
    """Adds what a piece holds of the set."""
    self._count = selection.Count(*map(sum, zip(self._count, part.count)))
    if part.split is None:
      return
    for kind, arrays in (("raw", part.split.raw), ("group", part.split.groups),
                         ("labels", part.split.labels._asdict())):
      for name, values in arrays.items():
        self._append(kind, name, values)
    if self.rows.split == "train":
      # Merged at once: what they say of a value that is nowhere may be long.
      self._presences = [labels_lib.merged([*self._presences, part.presence])]
      for name, counter in self.counts.items():
        codes, entries = part.split.raw[name]
        times = np.bincount(codes.reshape(-1), minlength=len(entries))
        counter.update(dict(zip(entries, times.tolist())))

  def _append(self, kind, name, values):
    if (kind, name) not in self._columns:
      path = os.path.join(self._folder, f"{kind}-{len(self._columns)}")
      self._columns[kind, name] = path, spills.Writer(
          os.path.join(self._root, path))
    if kind == "labels":
      values = values.astype(label_type(self._experiment, name))
    self._columns[kind, name][1].append(values)

  def check(self, paths) -> None:
    """Raises for what only all rows together tell."""
    parts_lib.check(self._experiment, self.rows, paths, self._count,
                    self._presences[0] if self._presences else None)

  def close(self) -> Dict[str, Any]:
    """Ends the files; returns where each column is."""
    found = {"raw": {}, "group": {}, "labels": {},
             "dropped": self._count.dropped, "name": self.rows.name}
    for (kind, name), (path, writer) in self._columns.items():
      found[kind][name] = [path, writer.close()]
    return found


def label_type(experiment: experiment_pb2.Experiment, field: str) -> type:
  """Returns the narrowest type that holds labels, or weights, exactly."""
  weighted = any(task.label.weight_column for task in experiment.model.task
                 ) or any(rows.source.weight_column
                          for split in row_sets.SPLITS
                          for rows in row_sets.of(experiment.data, split))
  return np.float32 if field == "values" or weighted else np.uint8


def _finish(experiment, sets, written, folder, split) -> Dict[str, Any]:
  """Joins the labels of sets; returns the content of a split."""
  counts = [one["labels"]["values"][1]["shape"][0] for one in written]
  ends = np.cumsum(counts).tolist()
  labels = {}
  for field in labels_lib.Labels._fields:
    path = f"{split}-{field}"
    _concatenate([os.path.join(folder, one["labels"][field][0])
                  for one in written], os.path.join(folder, path))
    shape = written[0]["labels"][field][1]["shape"]
    labels[field] = [path, [ends[-1], *shape[1:]],
                     np.dtype(label_type(experiment, field)).str]
  kept = {f"raw:{name}": values[:parts_lib.SAMPLE_ROWS]
          for name, values in raw(folder, {"sets": written}).items()}
  for name in parts_lib.group_columns(experiment, sets):
    kept[f"group:{name}"] = np.concatenate([
        _column(folder, one["group"][name])[:] if name in one["group"]
        else np.full(count, "", object) for one, count in zip(written, counts)])
  with open(os.path.join(folder, f"{split}-kept.npz"), "wb") as file:
    np.savez(file, **{name: values.astype(str) if values.dtype == object
                      else values for name, values in kept.items()})
  return {"sets": written, "labels": labels, "kept": f"{split}-kept.npz",
          "sources": {one["name"]: [end - count, end] for one, count, end
                      in zip(written, counts, ends) if one["name"]}}


def _concatenate(paths, path) -> None:
  """Makes one file of several, which are gone then."""
  os.rename(paths[0], path)
  with open(path, "ab") as joined:
    for other in paths[1:]:
      with open(other, "rb") as file:
        shutil.copyfileobj(file, joined, 1 << 20)
      os.remove(other)


def content_of(folder: str) -> Dict[str, Any]:
  """Reads what `write` noted of a folder."""
  with open(os.path.join(folder, _CONTENT), encoding="utf-8") as file:
    return json.load(file)


def raw(folder: str, split: Mapping[str, Any]) -> Dict[str, spills.Joined]:
  """Returns the raw values of a split, as `content_of` has it, by input."""
  return {name: spills.Joined([_column(folder, one["raw"][name])
                               for one in split["sets"]])
          for name in split["sets"][0]["raw"]}


def drop_raw(folder: str) -> None:
  """Removes the raw values, once what becomes of them is written."""
  shutil.rmtree(os.path.join(folder, "sets"))


def has_raw(folder: str) -> bool:
  """Returns whether the raw values are still there."""
  return os.path.exists(os.path.join(folder, "sets"))


def read(folder: str) -> Rows:
  """Reads what `write` wrote but for the raw values."""
  content = content_of(folder)
  return Rows(
      {name: _split(folder, split)
       for name, split in content["splits"].items()},
      {name: {key: np.array(values) for key, values in found.items()}
       for name, found in content["statistics"].items()}, content["frequent"])


def _column(folder, written) -> spills.Column:
  path, content = written
  return spills.Column(os.path.join(folder, path), content)


def _split(folder, split) -> parts_lib.Split:
  labels = [np.memmap(os.path.join(folder, path), dtype, "r",
                      shape=tuple(shape))
            for path, shape, dtype in map(split["labels"].get,
                                          labels_lib.Labels._fields)]
  with np.load(os.path.join(folder, split["kept"])) as kept:
    arrays = {name: values.astype(object) if values.dtype.kind == "U"
              else values for name, values in kept.items()}
  found = {kind: {name[len(kind):]: values for name, values in arrays.items()
                  if name.startswith(kind)} for kind in ("raw:", "group:")}
  return parts_lib.Split(
      found["raw:"], labels_lib.Labels(*labels), found["group:"],
      sum(one["dropped"] for one in split["sets"]),
      {name: slice(*ends) for name, ends in split["sources"].items()})
