"""Turns raw values into normalized numbers and category ids.

Training does it once for all rows, serving for each request, by the same ops.
What is trained, embeddings first of all, comes after: `model/inputs.py`.
"""

import collections
from typing import Collection, Dict, Mapping, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph import vocabularies
from mtl_graph.data import raw_values
from mtl_graph.data import statistics as statistics_lib
from mtl_graph.protos import features_pb2

# numbers: all that are numbers, normalized, float32 [B, F].
# ids: all category ids, -1 where a set or sequence is shorter, int32 [B, C].
Transformed = collections.namedtuple("Transformed", ["numbers", "ids"])


class Part(NamedTuple):
  """What is one feature's of a `Transformed`; what it has not is None.

  Attributes:
    numbers: Normalized numbers, shape `[B, size]`.
    ids: Category ids, shape `[B]`, or `[B, L]` of a set or sequence.
    weights: Weights of the categories of a set, shape `[B, L]`.
  """
  numbers: Optional[tf.Tensor] = None
  ids: Optional[tf.Tensor] = None
  weights: Optional[tf.Tensor] = None


def placeholders(features: Sequence[features_pb2.Feature]
                 ) -> Dict[str, tf.Tensor]:
  """Makes the inputs that take raw values, named like the features."""
  inputs = collections.OrderedDict()

  def add(name, dtype, shape):
    inputs[name] = tf.placeholder(dtype, shape, name=name)

  for feature in features:
    kind = feature.WhichOneof("kind")
    if kind == "numeric":
      size = feature.numeric.size
      add(feature.name, tf.float32, [None] if size == 1 else [None, size])
    elif kind == "image":
      image = feature.image
      add(feature.name, tf.float32,
          [None, image.height, image.width, image.channels])
    elif kind == "categorical":
      categorical = feature.categorical
      shape = [None, None] if categorical.HasField("values") else [None]
      add(feature.name, tf.int64 if categorical.num_buckets else tf.float32
          if raw_values.takes_numbers(categorical) else tf.string, shape)
      if categorical.values.weight_column:
        add(raw_values.weights_input(feature), tf.float32, shape)
  return inputs


def with_rows(raw: Mapping[str, tf.Tensor], optional: Collection[str],
              name: str = "rows") -> Dict[str, tf.Tensor]:
  """Gives inputs of one row, which stand for what a request left out, all rows.

  How many there are is said by an input that no request may leave out, or by
  the longest one if there is none.

  Args:
    raw: Tensors by input, as `placeholders` makes them.
    optional: Names of those that a request may leave out.
    name: Name scope.

  Returns:
    Tensors of as many rows each, by input.
  """
  required = [tensor for input_, tensor in raw.items() if input_ not in optional]
  if not optional or len(raw) == 1:
    return dict(raw)
  with tf.name_scope(name):
    rows = [tf.shape(tensor)[:1] if tensor.shape.rank > 1 else tf.shape(tensor)
            for tensor in required[:1] or raw.values()]
    if len(rows) > 1:
      rows = [tf.reduce_max(tf.concat(rows, 0), keepdims=True)]
    return {input_: tensor if input_ not in optional else tf.broadcast_to(
        tensor, rows[0] if tensor.shape.rank == 1 else tf.concat(
            [rows[0], tf.shape(tensor)[1:]], 0))
            for input_, tensor in raw.items()}


def transform(features: Sequence[features_pb2.Feature],
              raw: Mapping[str, tf.Tensor],
              statistics: Optional[
                  Mapping[str, statistics_lib.Statistics]] = None,
              name: str = "transform") -> Transformed:
  """Turns raw values into normalized numbers and category ids.

  Makes (or reuses) the variables `statistics/<feature>/...`, which are not
  trained and live in the checkpoint.

  Args:
    features: The `Feature` messages.
    raw: Tensors by input, as `placeholders` makes them.
    statistics: Initial values of the statistics; None where a checkpoint brings
      them.
    name: Name scope.

  Returns:
    A `Transformed`.
  """
  parts = transform_apart(features, raw, statistics, name)
  with tf.name_scope(name):
    numbers = [tensor for part in parts.values()
               for tensor in (part.numbers, part.weights) if tensor is not None]
    ids = [tf.expand_dims(part.ids, 1) if part.ids.shape.rank == 1 else part.ids
           for part in parts.values() if part.ids is not None]
    rows = tf.shape(next(iter(raw.values())))[0]
    return Transformed(
        tf.concat(numbers, 1) if numbers else tf.zeros([rows, 0]),
        tf.concat(ids, 1) if ids else tf.zeros([rows, 0], tf.int32))


def transform_apart(features: Sequence[features_pb2.Feature],
                    raw: Mapping[str, tf.Tensor],
                    statistics: Optional[
                        Mapping[str, statistics_lib.Statistics]] = None,
                    name: str = "transform",
                    assets: Optional[Mapping[str, str]] = None
                    ) -> Dict[str, Part]:
  """Does what `transform` does, and leaves features apart.

  Args:
    features: The `Feature` messages.
    raw: As for `transform`.
    statistics: As for `transform`.
    name: Name scope.
    assets: Paths of files that hold the vocabularies of features, an entry a
      line; of features without a file they become part of the graph.

  Returns:
    What `take_apart` makes of a `Transformed`.
  """
  parts = collections.OrderedDict()
  assets = assets or {}
  with tf.name_scope(name):
    for feature in features:
      kind = feature.WhichOneof("kind")
      asset = assets.get(feature.name)
      measured = _statistics(feature, statistics)
      if kind == "numeric":
        part = Part(_normalize(feature.numeric, raw[feature.name], measured))
      elif kind == "image":
        part = Part(tf.reshape(
            raw[feature.name] * tf.constant(1.0 / feature.image.divisor),
            [-1, _pixels(feature.image)]))
      elif kind == "cross":
        part = Part(ids=_crossed(feature.cross, features, raw, parts))
      elif _is_several(feature):
        ids, weights = _several(feature, raw, measured, asset)
        part = Part(ids=ids, weights=weights)
      else:
        part = Part(ids=_ids(feature.categorical, raw[feature.name], measured,
                             asset))
      parts[feature.name] = part
  return parts


def _statistics(feature, statistics):
  """Makes the variables of a feature's statistics; a dict by name."""
  values = (statistics or {}).get(feature.name) or statistics_lib.initial(
      feature)
  with tf.variable_scope(f"statistics/{feature.name}", reuse=tf.AUTO_REUSE):
    return {key: tf.get_variable(
        key, value.shape, trainable=False,
        initializer=tf.constant_initializer(value))
            for key, value in values.items()}


def _normalize(numeric, values, measured):
  """Returns one feature's normalized numbers, shape [B, size]."""
  values = tf.reshape(values, [-1, numeric.size])
  if numeric.HasField("missing_value"):
    values = tf.where_v2(tf.is_nan(values), float(numeric.missing_value),
                         values)
  if numeric.normalization == features_pb2.Z_SCORE:
    return (values - measured["mean"]) / measured["stddev"]
  if numeric.normalization == features_pb2.MIN_MAX:
    return tf.math.divide_no_nan(values - measured["min"],
                                 measured["max"] - measured["min"])
  if numeric.normalization == features_pb2.LOG1P:
    return tf.log1p(tf.maximum(values, 0.0))
  return values


def _ids(categorical, values, measured, asset=None):
  """Returns row numbers of categories, int32, of the shape of `values`."""
  count = vocabularies.category_count(categorical)
  unknown = tf.constant(count, tf.int32)
  if categorical.num_buckets:
    known = tf.logical_and(values >= 0, values < count)
    return tf.where_v2(known, tf.cast(values, tf.int32), unknown)
  if categorical.hash_buckets:
    hashed = tf.strings.to_hash_bucket_fast(values, count)
    return tf.where_v2(tf.equal(values, ""), unknown,
                       tf.cast(hashed, tf.int32))
  if raw_values.takes_numbers(categorical):
    boundaries = (tf.constant(list(categorical.boundary), tf.float32)
                  if categorical.boundary else measured["boundaries"])
    bucket = tf.reduce_sum(tf.cast(
        tf.expand_dims(values, -1) >= boundaries, tf.int32), -1)
    return tf.where_v2(tf.is_nan(values), unknown, bucket)
  entries = vocabularies.entries(categorical)
  if not entries:
    # Counted in a run that saw none.
    return tf.fill(tf.shape(values), unknown)
  if asset is None:
    initializer = tf.lookup.KeyValueTensorInitializer(
        tf.constant(entries), tf.range(len(entries), dtype=tf.int64))
  else:
    initializer = tf.lookup.TextFileInitializer(
        asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER)
  table = tf.lookup.StaticHashTable(initializer, default_value=count)
  return tf.cast(table.lookup(values), tf.int32)


def _several(feature, raw, measured, asset):
  """Returns ids [B, L], -1 where there is no category, and weights or None."""
  categorical = feature.categorical
  width = categorical.values.max_values
  values, weights = raw[feature.name], None
  absent = (tf.is_nan(values) if values.dtype.is_floating else
            tf.equal(values, tf.constant(
                "" if values.dtype == tf.string else -1, values.dtype)))
  if outline.recurrent_of(feature) is None:
    values, absent = _fit(values, width), _fit(absent, width, True)
  else:
    values, absent = _last(values, absent, width)
  ids = _ids(categorical, values, measured, asset)
  ids = tf.where_v2(absent, -1, ids)
  ids.set_shape([None, width])
  if categorical.values.weight_column:
    weights = _fit(raw[raw_values.weights_input(feature)], width)
    weights = tf.where_v2(tf.logical_or(absent, tf.is_nan(weights)), 0.0,
                          weights)
    weights.set_shape([None, width])
  return ids, weights


def _last(values, absent, width):
  """Returns the last categories of sequences, and where there is none.

  What is unknown within a sequence stays in its place.
  """
  places = tf.range(1, tf.shape(values)[1] + 1)
  present = tf.cast(tf.logical_not(absent), tf.int32)
  length = tf.maximum(tf.reduce_max(present * places, 1), 0)
  start = tf.maximum(length - width, 0)
  wanted = start[:, tf.newaxis] + tf.range(width)
  beyond = wanted >= length[:, tf.newaxis]
  padded = _fit(values, tf.maximum(width, tf.shape(values)[1]))
  return tf.gather(padded, tf.where(beyond, tf.zeros_like(wanted), wanted),
                   batch_dims=1), beyond


def _fit(values, width, padding=None):
  """Cuts or pads the second dimension to a width."""
  if padding is None:
    padding = "" if values.dtype == tf.string else 0
  values = values[:, :width]
  return tf.pad(values, [[0, 0], [0, width - tf.shape(values)[1]]],
                constant_values=tf.constant(padding, values.dtype))


def _crossed(cross, features, raw, parts):
  """Returns the hashed combination of the categories of features, int32 [B]."""
  by_name = {feature.name: feature for feature in features}
  keys = []
  for name in cross.feature:
    hashed = by_name[name].categorical.hash_buckets
    # Two strings that one hash takes for one are told apart by the cross.
    keys.append(raw[name] if hashed else tf.as_string(parts[name].ids))
  # A character that no text file holds, so that "a", "bc" is not "ab", "c".
  joined = tf.strings.join(keys, separator="\x1f")
  return tf.cast(tf.strings.to_hash_bucket_fast(joined, cross.hash_buckets),
                 tf.int32)


def _pixels(image):
  return image.height * image.width * image.channels


def lookups(features: Sequence[features_pb2.Feature],
            rows: Mapping[str, tf.Tensor], parts: Mapping[str, Part]
            ) -> Dict[str, tf.Tensor]:
  """Returns what the network reads once strings are looked up.

  Args:
    features: The `Feature` messages.
    rows: Raw values by input, as `transform_apart` took them.
    parts: What it made of them.

  Returns:
    By input, the raw values of features that need no strings, and of those that
    do, crosses included, their ids.
  """
  found = collections.OrderedDict()
  for feature in features:
    name, part = feature.name, parts[feature.name]
    weights = raw_values.weights_input(feature)
    if not (outline.is_deep(feature) or outline.is_wide(feature)):
      continue  # Crosses read it, nothing else.
    if name in rows and rows[name].dtype != tf.string:
      found[name] = rows[name]
      if weights in rows:
        found[weights] = rows[weights]
    else:
      found[name] = part.ids
      if part.weights is not None:
        found[weights] = part.weights
  return found


def id_columns(features: Sequence[features_pb2.Feature]) -> Dict[str, slice]:
  """Returns which columns of `Transformed.ids` are each feature's."""
  found, start = collections.OrderedDict(), 0
  for feature in features:
    if feature.WhichOneof("kind") in ("categorical", "cross"):
      width = (feature.categorical.values.max_values if _is_several(feature)
               else 1)
      found[feature.name] = slice(start, start + width)
      start += width
  return found


def _is_several(feature):
  return (feature.WhichOneof("kind") == "categorical"
          and feature.categorical.HasField("values"))


def take_apart(features: Sequence[features_pb2.Feature],
               transformed: Transformed) -> Dict[str, Part]:
  """Takes the transformed features apart.

  Args:
    features: The `Feature` messages.
    transformed: A `Transformed`.

  Returns:
    A dict from feature name to its `Part`, in the order of the experiment.
  """
  parts, start, places = collections.OrderedDict(), 0, id_columns(features)

  def numbers(size):
    nonlocal start
    start += size
    return transformed.numbers[:, start - size:start]

  for feature in features:
    kind, name = feature.WhichOneof("kind"), feature.name
    with tf.name_scope(f"feature/{name}"):
      if kind == "numeric":
        parts[name] = Part(numbers(feature.numeric.size))
      elif kind == "image":
        parts[name] = Part(numbers(_pixels(feature.image)))
      elif _is_several(feature):
        values = feature.categorical.values
        parts[name] = Part(
            ids=transformed.ids[:, places[name]],
            weights=numbers(values.max_values) if values.weight_column
            else None)
      else:
        parts[name] = Part(ids=transformed.ids[:, places[name].start])
  return parts
