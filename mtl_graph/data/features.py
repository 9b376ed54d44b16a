"""Makes features of columns: the same transformation in training and serving.

A feature goes through two stages. The first, `transform`, turns raw values into
normalized numbers and category ids; training does it once for all rows, serving
for each request. The second, `build`, looks the ids up in trained embeddings.
"""

import collections
from typing import Dict, Mapping, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph.data import columns
from mtl_graph.data import sources
from mtl_graph.layers import embedding
from mtl_graph.protos import data_pb2

# numbers: normalized numbers of all numeric features, float32 [B, F].
# ids: category ids of all categorical features, int32 [B, C].
Transformed = collections.namedtuple("Transformed", ["numbers", "ids"])

# mean, stddev: float64 arrays of shape [size].
Statistics = collections.namedtuple("Statistics", ["mean", "stddev"])


def column_of(feature: data_pb2.Feature) -> str:
  """Returns the column a feature reads."""
  return feature.column or feature.name


def read(features: Sequence[data_pb2.Feature], table: sources.Table
         ) -> Dict[str, np.ndarray]:
  """Reads the raw values of every feature, as the serving inputs take them.

  Args:
    features: The `Feature` messages.
    table: The rows.

  Returns:
    A dict from feature name to float32 `[N]` or `[N, size]` (NaN where a number
    is missing), int64 `[N]` (-1 where missing) or strings `[N]` ("" where
    missing).

  Raises:
    DataError: If a value is not of its kind, or a number is missing that has no
      `missing_value`.
  """
  raw = {}
  for feature in features:
    column = column_of(feature)
    if feature.WhichOneof("kind") == "numeric":
      raw[feature.name] = _read_numbers(feature, table, column)
    elif feature.categorical.num_buckets:
      raw[feature.name] = columns.integers(table, column)
    else:
      raw[feature.name] = columns.strings(table, column)
  return raw


def _read_numbers(feature, table, column):
  values = columns.numbers(table, column)
  size = feature.numeric.size
  shape = (len(values),) if size == 1 else (len(values), size)
  if size == 1 and values.shape == (len(values), 1):
    values = values[:, 0]
  if values.shape != shape:
    raise sources.DataError(
        f"{table.files[0][0]}: column '{column}' has shape "
        f"{list(values.shape)}; allowed: {list(shape)}, as feature "
        f"'{feature.name}' has size {size}")
  rows = values.reshape(len(values), size)
  bad = np.zeros(len(values), bool)
  allowed = ""
  if not feature.numeric.HasField("missing_value"):
    bad = np.isnan(rows).any(axis=1)
    allowed = (f"a number; feature '{feature.name}' has no missing_value to "
               "stand for a missing one")
  if not bad.any() and feature.numeric.normalization == data_pb2.LOG1P:
    bad = (rows < 0).any(axis=1)
    allowed = f"at least 0, as feature '{feature.name}' takes ln(1 + x)"
  if bad.any():
    row = int(np.argmax(bad))
    raise columns.bad_value(table, row, column, table.columns[column][row],
                            allowed)
  with np.errstate(over="ignore"):
    narrow = values.astype(np.float32)
  if np.isinf(narrow).any():
    row = int(np.argmax(np.isinf(narrow).reshape(len(values), -1).any(axis=1)))
    raise columns.bad_value(table, row, column, table.columns[column][row],
                            "a number that fits 32-bit floating point")
  return narrow


def measure(features: Sequence[data_pb2.Feature],
            raw: Mapping[str, np.ndarray]) -> Dict[str, Statistics]:
  """Measures the statistics that normalization needs, missing values left out.

  Args:
    features: The `Feature` messages.
    raw: What `read` returned for the training rows.

  Returns:
    A dict from the name of each feature under Z_SCORE to its `Statistics`. A
    standard deviation of 0 becomes 1.
  """
  statistics = {}
  for feature in features:
    if _is_z_score(feature):
      values = raw[feature.name].astype(np.float64).reshape(
          -1, feature.numeric.size)
      present = ~np.isnan(values)
      count = np.maximum(present.sum(axis=0), 1)
      mean = np.where(present, values, 0).sum(axis=0) / count
      squares = np.where(present, (values - mean) ** 2, 0)
      stddev = np.sqrt(squares.sum(axis=0) / count)
      # float32 rounding alone leaves a constant column with a tiny spread.
      constant = stddev <= 1e-7 * np.abs(mean)
      statistics[feature.name] = Statistics(mean, np.where(constant, 1, stddev))
  return statistics


def _is_z_score(feature: data_pb2.Feature) -> bool:
  return (feature.WhichOneof("kind") == "numeric"
          and feature.numeric.normalization == data_pb2.Z_SCORE)


def placeholders(features: Sequence[data_pb2.Feature]) -> Dict[str, tf.Tensor]:
  """Makes the inputs that take raw values, named like the features."""
  inputs = collections.OrderedDict()
  for feature in features:
    if feature.WhichOneof("kind") == "numeric":
      size = feature.numeric.size
      inputs[feature.name] = tf.placeholder(
          tf.float32, [None] if size == 1 else [None, size], name=feature.name)
    else:
      dtype = tf.int64 if feature.categorical.num_buckets else tf.string
      inputs[feature.name] = tf.placeholder(dtype, [None], name=feature.name)
  return inputs


def transform(features: Sequence[data_pb2.Feature],
              raw: Mapping[str, tf.Tensor],
              statistics: Optional[Mapping[str, Statistics]] = None,
              name: str = "transform") -> Transformed:
  """Turns raw values into normalized numbers and category ids.

  Makes (or reuses) the variables `statistics/<feature>/mean` and `stddev`,
  which are not trained and live in the checkpoint.

  Args:
    features: The `Feature` messages.
    raw: Tensors by feature, as `placeholders` makes them.
    statistics: Initial values of the statistics; None where a checkpoint brings
      them.
    name: Name scope.

  Returns:
    A `Transformed`.
  """
  numbers, ids = [], []
  with tf.name_scope(name):
    for feature in features:
      if feature.WhichOneof("kind") == "numeric":
        numbers.append(_normalize(feature, raw[feature.name], statistics))
      else:
        ids.append(_category_ids(feature, raw[feature.name]))
    rows = tf.shape(next(iter(raw.values())))[0]
    return Transformed(
        tf.concat(numbers, 1) if numbers else tf.zeros([rows, 0]),
        tf.stack(ids, 1) if ids else tf.zeros([rows, 0], tf.int32))


def _normalize(feature, values, statistics):
  """Returns one feature's normalized numbers, shape [B, size]."""
  numeric = feature.numeric
  values = tf.reshape(values, [-1, numeric.size])
  if numeric.HasField("missing_value"):
    values = tf.where(tf.is_nan(values),
                      tf.fill(tf.shape(values), float(numeric.missing_value)),
                      values)
  if numeric.normalization == data_pb2.Z_SCORE:
    initial = (statistics or {}).get(feature.name) or Statistics(
        np.zeros(numeric.size), np.ones(numeric.size))
    with tf.variable_scope(f"statistics/{feature.name}", reuse=tf.AUTO_REUSE):
      mean, stddev = [
          tf.get_variable(key, [numeric.size], trainable=False,
                          initializer=tf.constant_initializer(value))
          for key, value in zip(Statistics._fields, initial)]
    return (values - mean) / stddev
  if numeric.normalization == data_pb2.LOG1P:
    return tf.log1p(tf.maximum(values, 0.0))
  return values


def _category_ids(feature, values):
  """Returns one feature's row numbers in its table, int32 [B]."""
  categorical = feature.categorical
  count = outline.category_count(categorical)
  if categorical.num_buckets:
    known = tf.logical_and(values >= 0, values < count)
    return tf.cast(tf.where(known, values, tf.fill(
        tf.shape(values), tf.constant(count, tf.int64))), tf.int32)
  if categorical.hash_buckets:
    hashed = tf.strings.to_hash_bucket_fast(values, count)
    missing = tf.equal(values, "")
    return tf.cast(tf.where(missing, tf.fill(
        tf.shape(hashed), tf.constant(count, tf.int64)), hashed), tf.int32)
  entries = outline.vocabulary(categorical)
  table = tf.lookup.StaticHashTable(
      tf.lookup.KeyValueTensorInitializer(
          tf.constant(entries), tf.range(count, dtype=tf.int64)),
      default_value=count)
  return tf.cast(table.lookup(values), tf.int32)


def build(features: Sequence[data_pb2.Feature], transformed: Transformed,
          seed: int) -> Dict[str, tf.Tensor]:
  """Looks up embeddings and takes the transformed features apart.

  Args:
    features: The `Feature` messages.
    transformed: A `Transformed`.
    seed: Seed of the embeddings' initial values.

  Returns:
    A dict from feature name to a float32 tensor of shape `[B, D]`, in the order
    of the experiment.
  """
  built = collections.OrderedDict()
  column = number = 0
  for feature in features:
    if feature.WhichOneof("kind") == "numeric":
      size = feature.numeric.size
      with tf.name_scope(f"feature/{feature.name}"):
        built[feature.name] = transformed.numbers[:, number:number + size]
      number += size
    else:
      categorical = feature.categorical
      with tf.name_scope(f"feature/{feature.name}"):
        ids = transformed.ids[:, column]
      built[feature.name] = embedding.embedding(
          ids, outline.category_count(categorical) + 1,
          categorical.embedding_dimension, seed, f"embedding/{feature.name}")
      column += 1
  return built
