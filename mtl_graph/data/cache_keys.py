"""Says what the content of a cache depends on, as names of its folders."""

import hashlib
import json
from typing import Mapping, Sequence

import numpy as np

from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph import vocabularies
from mtl_graph.data import paths
from mtl_graph.data import sources
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import features_pb2
from mtl_graph.protos import model_pb2

# Counts up whenever what is written, or how, changes.
_FORMAT = 1
# What of a feature the model alone goes by.
_OF_MODEL = ("embedding_dimension", "one_hot", "multi_hot", "shared_embedding",
             "initializer", "regularization")


def of_rows(experiment: experiment_pb2.Experiment,
            splits: Sequence[str] = row_sets.SPLITS) -> str:
  """Returns the name for the rows of an experiment, as they are parsed.

  It changes with the files, by path, size and time of change, and with what of
  the experiment says what is read from them.

  Args:
    experiment: The experiment, its vocabularies in line.
    splits: The splits that count, of those that there are.

  Raises:
    DataError: If a file is missing.
  """
  sets, evaluation = [], experiment.evaluation
  for split in splits:
    for rows in row_sets.of(experiment.data, split):
      files = sources.paths_of(rows.source, rows.path)
      if rows.source.csv.header_file:
        files.append(rows.source.csv.header_file)
      sets.append([rows.key, _text(rows.source), rows.tasks,
                   list(map(paths.stamp, files))])
  return _digest([
      _FORMAT, sets, list(map(_text, experiment.data.drop_rows)),
      [_text(_as_read(feature)) for feature in experiment.data.feature],
      list(map(_label, experiment.model.task)),
      [[m.task, m.group_column] for m in evaluation.task_metrics],
      [s.column for s in evaluation.slice]])


def of_features(experiment: experiment_pb2.Experiment,
                statistics: Mapping[str, np.ndarray]) -> str:
  """Returns the name for what becomes of parsed rows in the graph.

  Args:
    experiment: The experiment, its vocabularies in line and counted.
    statistics: What features are normalized by, by name.
  """
  return _digest([
      _FORMAT, [_text(_as_seen(f)) for f in experiment.data.feature],
      {name: np.asarray(values, np.float64).tolist()
       for name, values in sorted(statistics.items())}])


def _as_seen(feature: features_pb2.Feature) -> features_pb2.Feature:
  """Returns a feature without what the model alone goes by."""
  copy = features_pb2.Feature()
  copy.CopyFrom(feature)
  for field in ("use", "encoder"):
    copy.ClearField(field)
  kind = copy.WhichOneof("kind")
  if kind in ("categorical", "cross"):
    message = getattr(copy, kind)
    for field in _OF_MODEL:
      if field in message.DESCRIPTOR.fields_by_name:
        message.ClearField(field)
  return copy


def _as_read(feature: features_pb2.Feature) -> features_pb2.Feature:
  """Returns a feature without what does not say how its column is read."""
  copy = _as_seen(feature)
  if copy.WhichOneof("kind") == "categorical":
    copy.categorical.ClearField("vocabulary")
  return copy


def _label(task: model_pb2.Task):
  """Returns what says how a task's label is read."""
  label = model_pb2.Label()
  label.CopyFrom(task.label)
  label.ClearField("scale")
  head = task.WhichOneof("head")
  message = getattr(task, head)
  classes = (vocabularies.entries(message)
             if "vocabulary" in message.DESCRIPTOR.fields_by_name else [])
  return [task.name, _text(label), task.no_loss, head,
          outline.has_label(task), outline.label_width(task), classes,
          outline.class_count(task) if head in ("multiclass", "ordinal") else 0]


def _text(message) -> str:
  return message.SerializeToString(deterministic=True).hex()


def _digest(content) -> str:
  text = json.dumps(content, sort_keys=True)
  return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
