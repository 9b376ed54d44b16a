"""The categories of an experiment: their entries, and how many there are."""

import collections
from typing import Iterable, List, Mapping, Optional, Sequence

from mtl_graph import config
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import features_pb2
from mtl_graph.protos import model_pb2

# The heads whose message says which classes or labels there are.
HEADS_WITH_CLASSES = ("multiclass", "multilabel", "ordinal")


def entries(message) -> List[str]:
  """Reads the vocabulary of a `Categorical`, or of a head with classes.

  Args:
    message: A message with the fields `vocabulary` and `vocabulary_file`.

  Returns:
    The entries, in line or one per line of the file; empty where the message
    has neither.

  Raises:
    OSError, UnicodeDecodeError: If the file cannot be read.
  """
  if message.vocabulary_file:
    with open(message.vocabulary_file, encoding="utf-8-sig") as file:
      return [line for line in file.read().split("\n") if line]
  return list(message.vocabulary)


def entries_or_none(message) -> List[str]:
  """Returns what `entries` does, and nothing where the file cannot be read."""
  try:
    return entries(message)
  except (OSError, UnicodeDecodeError):
    return []  # Validation reports the file by itself.


def in_line(experiment: experiment_pb2.Experiment
            ) -> experiment_pb2.Experiment:
  """Returns a copy of an experiment that needs no vocabulary file any more.

  What a run keeps must not change its meaning when a file does.

  Args:
    experiment: The experiment, valid.

  Returns:
    A copy with the entries of each `vocabulary_file` under `vocabulary`.
  """
  copy = experiment_pb2.Experiment()
  copy.CopyFrom(experiment)
  for message in _messages(copy):
    if message.vocabulary_file:
      message.vocabulary.extend(entries(message))
      message.ClearField("vocabulary_file")
  return copy


def adopt(experiment: experiment_pb2.Experiment,
          saved: experiment_pb2.Experiment) -> experiment_pb2.Experiment:
  """Takes over the categories that an earlier run has counted.

  Args:
    experiment: The experiment, valid.
    saved: The experiment of the earlier run.

  Returns:
    A copy of `experiment` in which each feature that counts its categories has
    those that the feature of the same name had counted, if there is one.
  """
  counted = {f.name: f.categorical.vocabulary for f in saved.data.feature
             if f.categorical.HasField("counted_vocabulary")}
  copy = experiment_pb2.Experiment()
  copy.CopyFrom(experiment)
  for feature in copy.data.feature:
    if (feature.categorical.HasField("counted_vocabulary")
        and feature.name in counted):
      del feature.categorical.vocabulary[:]
      feature.categorical.vocabulary.extend(
          counted[feature.name][:category_count(feature.categorical)])
  return copy


def count(categorical: features_pb2.Categorical, values: Iterable[str]) -> None:
  """Counts categories, and gives rows to those that have none yet.

  Args:
    categorical: The message, with a `counted_vocabulary`; see `extend`.
    values: The categories of the training rows; "" is none.
  """
  extend(categorical, frequent(categorical.counted_vocabulary,
                               collections.Counter(values)))


def frequent(rule: features_pb2.CountedVocabulary,
             counts: Mapping[str, int]) -> List[str]:
  """Returns the categories that may get rows, the most frequent first.

  Args:
    rule: Says how many at most, and how often each must occur.
    counts: How often each category occurs in the training rows; "" is none.
  """
  found = sorted((-times, entry) for entry, times in counts.items()
                 if entry and times >= rule.min_count)
  return [entry for _, entry in found[:rule.capacity]]


def extend(categorical: features_pb2.Categorical,
           entries_: Sequence[str]) -> None:
  """Gives rows to frequent categories that have none yet.

  Args:
    categorical: The message, with a `counted_vocabulary`; those of its
      categories that are known keep their rows, new ones follow in
      `vocabulary`.
    entries_: What `frequent` returned. That it leaves others out does no harm:
      each of its entries that is known takes a row, too.
  """
  known = set(categorical.vocabulary)
  free = max(categorical.counted_vocabulary.capacity - len(known), 0)
  categorical.vocabulary.extend(
      [entry for entry in entries_ if entry not in known][:free])


def check_kept(experiment: experiment_pb2.Experiment,
               saved: experiment_pb2.Experiment,
               source: str = "the checkpoint that the run starts from") -> None:
  """Raises where a category or class has got another row than it had.

  Args:
    experiment: The experiment, its vocabularies in line.
    saved: The experiment of the run whose variables are taken over.
    source: What it is called in errors.

  Raises:
    ConfigErrors: If a vocabulary does not go on from the one that was.
  """
  errors = []
  for path, new, old in _pairs(experiment, saved):
    wrong = next((i for i, entry in enumerate(old)
                  if i >= len(new) or new[i] != entry), None)
    if new and old and wrong is not None:
      found = f"'{new[wrong]}'" if wrong < len(new) else "nothing"
      errors.append(config.ConfigError(
          f"{path}.vocabulary[{wrong}]", f"found {found} where {source} has "
          f"'{old[wrong]}'; allowed: its entries in their order, new ones "
          "behind them"))
  if errors:
    raise config.ConfigErrors(errors)


def category_count(categorical: features_pb2.Categorical) -> int:
  """Returns how many rows there are for categories, the unknown one left out.

  It is also the number of the row for what is unknown.
  """
  if categorical.boundary:
    return len(categorical.boundary) + 1
  return (categorical.num_buckets or categorical.hash_buckets
          or categorical.quantile_buckets or categorical.capacity
          or categorical.counted_vocabulary.capacity
          or len(entries_or_none(categorical)))


def class_count(head) -> int:
  """Returns how many classes or labels a head with classes has."""
  stated = (head.num_labels if "num_labels" in head.DESCRIPTOR.fields_by_name
            else head.num_classes)
  return stated or len(entries_or_none(head))


def class_names(task: model_pb2.Task) -> List[str]:
  """Returns the names of a task's classes or labels; none where it has none.

  They are those of the vocabulary, else their numbers; "0" and "1" of a binary
  task.
  """
  head = task.WhichOneof("head")
  if head not in HEADS_WITH_CLASSES:
    return ["0", "1"] if head == "binary" else []
  message = getattr(task, head)
  return entries(message) or [str(i) for i in range(class_count(message))]


def _messages(experiment):
  """Returns every message that may hold a vocabulary."""
  return ([f.categorical for f in experiment.data.feature
           if f.WhichOneof("kind") == "categorical"]
          + [getattr(task, task.WhichOneof("head"))
             for task in experiment.model.task
             if task.WhichOneof("head") in HEADS_WITH_CLASSES])


def _pairs(experiment, saved):
  """Yields field path, new and old entries of what both experiments have."""
  features = {f.name: f for f in saved.data.feature}
  for i, feature in enumerate(experiment.data.feature):
    if feature.name in features:
      yield (f"data.feature[{i}].categorical", feature.categorical.vocabulary,
             features[feature.name].categorical.vocabulary)
  tasks = {task.name: task for task in saved.model.task}
  for i, task in enumerate(experiment.model.task):
    head: Optional[str] = task.WhichOneof("head")
    if task.name in tasks and head in HEADS_WITH_CLASSES:
      yield (f"model.task[{i}].{head}", getattr(task, head).vocabulary,
             getattr(tasks[task.name], head).vocabulary)
