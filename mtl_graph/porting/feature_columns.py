"""Makes features of an experiment out of `tf.feature_column`s.

`tf.feature_column.input_layer` itself still runs under TensorFlow 2.21 in graph
mode; this is for code that leaves it.
"""

import re
from typing import Dict, List, Mapping, NamedTuple, Sequence

from google.protobuf import text_format
import numpy as np

from mtl_graph.protos import data_pb2
from mtl_graph.protos import features_pb2

_COMBINERS = {"mean": features_pb2.MEAN, "sum": features_pb2.SUM,
              "sqrtn": features_pb2.SQRTN}
_WEIGHTED = "WeightedCategoricalColumn"


class Conversion(NamedTuple):
  """What became of columns.

  Attributes:
    features: The `Feature` messages; those of `deep` in the order in which
      `input_layer` puts columns side by side, by their names.
    differences: What is not as it was, a line each.
    renames: The engine's name of a table by its name under `input_layer` or
      `linear_model`. The engine's has one row more, the last one, for what is
      missing or not known.
  """
  features: List[features_pb2.Feature]
  differences: List[str]
  renames: Dict[str, str]

  def text(self) -> str:
    """Returns the features as the `data` part of an experiment."""
    return text_format.MessageToString(
        data_pb2.Data(feature=self.features)).join(["data {\n", "}\n"])


def convert(deep: Sequence = (), wide: Sequence = (),
            max_values: Mapping[str, int] = (), task: str = "") -> Conversion:
  """Converts columns.

  Args:
    deep: Columns as `input_layer` takes them.
    wide: Columns as `linear_model` takes them.
    max_values: How many categories a row has at most, by key of a column; of
      others a row has one.
    task: Name of the task whose linear model `linear_model` was, for `renames`.

  Returns:
    A `Conversion`.

  Raises:
    ValueError: If a column is none, or of a kind that no feature stands for.
  """
  work = _Work(dict(max_values), task)
  for column in sorted(deep, key=_name):
    work.add(column, features_pb2.Feature.DEEP)
  for column in sorted(wide, key=_name):
    work.add(column, features_pb2.Feature.WIDE)
  return Conversion(work.features, work.differences, work.renames)


def _name(column) -> str:
  name = getattr(column, "name", None)
  if not isinstance(name, str):
    raise ValueError("feature_columns.convert: found "
                     f"{type(column).__name__} {column!r}; allowed: columns of "
                     "tf.feature_column.")
  return name


class _Work:
  """Features in the making; the attributes are those of a `Conversion`."""

  def __init__(self, max_values, task):
    self.features: List[features_pb2.Feature] = []
    self.differences: List[str] = []
    self.renames: Dict[str, str] = {}
    self._max_values = max_values
    self._task = task

  def add(self, column, use) -> features_pb2.Feature:
    """Adds the feature of a column; of a cross, what it crosses before it."""
    kind = type(column).__name__
    if kind == "NumericColumn":
      feature = self._numeric(column)
    elif kind in ("EmbeddingColumn", "_SharedEmbeddingColumn"):
      feature = self._embedding(column)
    elif kind == "IndicatorColumn":
      feature = self._categorical(column.categorical_column)
      # Of several, the sum of their places: how often each is there.
      getattr(feature, feature.WhichOneof("kind")).one_hot.SetInParent()
      if feature.categorical.HasField("values"):
        feature.categorical.values.combiner = features_pb2.SUM
    elif kind == "BucketizedColumn":
      feature = self._categorical(column)
      feature.categorical.one_hot.SetInParent()
    else:
      feature = self._categorical(column)
      if use == features_pb2.Feature.DEEP:
        raise ValueError(
            f"feature_columns.convert: found {kind} '{column.name}' among the "
            "deep columns; allowed: in an embedding_column or an "
            "indicator_column.")
    if use == features_pb2.Feature.WIDE:
      if feature.WhichOneof("kind") != "numeric":
        message = getattr(feature, feature.WhichOneof("kind"))
        message.ClearField("one_hot")
        if feature.categorical.HasField("values"):
          feature.categorical.values.combiner = features_pb2.SUM
      self.renames[f"linear_model/{column.name}/weights"] = (
          f"wide/{self._task}/{feature.name}/weights")
    feature.use = use
    self.features.append(feature)
    return feature

  def _feature(self, column, key) -> features_pb2.Feature:
    """Begins a feature of a name that is free."""
    name = re.sub(r"[^a-z0-9_]+", "_", key.lower()).strip("_") or "feature"
    name = name if name[0].isalpha() else f"f_{name}"
    taken = {feature.name for feature in self.features}
    free, count = name, 1
    while free in taken:
      count += 1
      free = f"{name}_{count}"
    feature = features_pb2.Feature(name=free)
    if free != key and type(column).__name__ != "CrossedColumn":
      feature.column = key
    return feature

  def _numeric(self, column) -> features_pb2.Feature:
    feature = self._feature(column, column.key)
    feature.numeric.size = int(np.prod(column.shape))
    if column.default_value is not None:
      values = set(np.ravel(column.default_value).tolist())
      if len(values) > 1:
        self._differs(column, f"has the defaults {sorted(values)}; a feature "
                      "has one missing_value for all")
      else:
        feature.numeric.missing_value = float(values.pop())
    if column.normalizer_fn is not None:
      self._differs(column, "has a normalizer_fn; state normalization, or let "
                    "the files hold what it returns")
    return feature

  def _embedding(self, column) -> features_pb2.Feature:
    source = column.categorical_column
    feature = self._categorical(source)
    message = getattr(feature, feature.WhichOneof("kind"))
    message.embedding_dimension = column.dimension
    # TensorFlow's own, of which the default is an instance.
    deviation = getattr(column.initializer, "stddev", None)
    if type(column.initializer).__name__ == "TruncatedNormal" and deviation:
      message.initializer.truncated_normal = float(deviation)
    elif column.initializer is not None:
      self._differs(column, "has an initializer of its own; state the feature's "
                    "initializer")
    if feature.categorical.HasField("values"):
      feature.categorical.values.combiner = _COMBINERS[column.combiner]
    for attribute, plain in (("max_norm", None), ("trainable", True),
                             ("ckpt_to_load_from", None)):
      if getattr(column, attribute) != plain:
        self._differs(column, f"has {attribute}={getattr(column, attribute)!r}; "
                      + {"max_norm": "a feature has a regularization",
                         "trainable": "put the table in a group with frozen: "
                                      "true",
                         "ckpt_to_load_from": "training.warm_start takes "
                                              "checkpoints"}[attribute])
    shared = getattr(column, "shared_embedding_collection_name", None)
    table, scope = feature.name, column.name
    if shared:
      table = re.sub(r"[^a-z0-9_]+", "_", shared.lower())
      feature.categorical.shared_embedding = table
      scope = shared
    self.renames[f"input_layer/{scope}/embedding_weights"] = (
        f"embedding/{table}/embeddings")
    return feature

  def _categorical(self, column) -> features_pb2.Feature:
    """Makes a feature of categories, without a representation."""
    kind, weights = type(column).__name__, None
    if kind == _WEIGHTED:
      weights, column = column.weight_feature_key, column.categorical_column
      kind = type(column).__name__
    if kind == "CrossedColumn":
      return self._cross(column)
    if kind == "BucketizedColumn":
      key = column.source_column.key
      feature = self._feature(column, key)
      feature.categorical.boundary.extend(map(float, column.boundaries))
      if np.prod(column.source_column.shape) > 1:
        raise ValueError(
            f"feature_columns.convert: found '{column.name}' over a vector of "
            f"shape {column.source_column.shape}; allowed: over one number.")
      if column.source_column.normalizer_fn is not None:
        self._differs(column, "has a normalizer_fn before its boundaries; state "
                      "boundaries for what the files hold")
      return feature
    makers = {
        "HashedCategoricalColumn": self._hashed,
        "IdentityCategoricalColumn": self._numbered,
        "VocabularyListCategoricalColumn": self._listed,
        "VocabularyFileCategoricalColumn": self._in_a_file}
    if kind not in makers:
      raise ValueError(
          f"feature_columns.convert: found {kind} '{_name(column)}'; allowed: "
          "columns that are no sequence.")
    feature = self._feature(column, column.key)
    makers[kind](column, feature.categorical)
    if column.key in self._max_values:
      feature.categorical.values.max_values = self._max_values[column.key]
    if weights:
      if not feature.categorical.HasField("values"):
        raise ValueError(
            f"feature_columns.convert: found weights of '{column.key}', of "
            "which a row has one category; allowed: with max_values="
            f"{{'{column.key}': ...}}.")
      feature.categorical.values.weight_column = weights
    return feature

  def _hashed(self, column, message):
    message.hash_buckets = column.hash_bucket_size

  def _numbered(self, column, message):
    message.num_buckets = column.number_buckets
    if column.default_value is not None:
      self._differs(column, f"takes what is not known for {column.default_value}"
                    "; a feature has a place for it")

  def _listed(self, column, message):
    message.vocabulary.extend(
        entry if isinstance(entry, str) else entry.decode()
        if isinstance(entry, bytes) else str(entry)
        for entry in column.vocabulary_list)
    self._check_unknown(column)

  def _in_a_file(self, column, message):
    message.vocabulary_file = column.vocabulary_file
    with open(column.vocabulary_file, encoding="utf-8") as file:
      lines = sum(1 for _ in file)
    if column.vocabulary_size not in (None, lines):
      self._differs(column, f"takes {column.vocabulary_size} of the file's "
                    f"{lines} lines; a feature takes them all")
    self._check_unknown(column)

  def _check_unknown(self, column):
    if column.num_oov_buckets > 1:
      self._differs(column, f"has {column.num_oov_buckets} places for what is "
                    "not known; a feature has one")
    elif not column.num_oov_buckets and column.default_value not in (None, -1):
      self._differs(column, f"takes what is not known for entry "
                    f"{column.default_value}; a feature has a place for it")

  def _cross(self, column) -> features_pb2.Feature:
    crossed = []
    for key in column.keys:
      if isinstance(key, str):
        feature = self._feature(None, key)
        feature.categorical.hash_buckets = column.hash_bucket_size
      else:
        feature = self._categorical(key)
      feature.use = features_pb2.Feature.CROSS_ONLY
      crossed.append(feature.name)
      self.features.append(feature)
    # What is crossed stands before the cross, and takes its names first.
    cross = self._feature(column, column.name)
    cross.cross.feature.extend(crossed)
    cross.cross.hash_buckets = column.hash_bucket_size
    self._differs(column, "hashes combinations in another way; its table begins "
                  "anew")
    return cross

  def _differs(self, column, how: str):
    self.differences.append(f"column '{column.name}' {how}")
