"""Makes the tensors the network reads: embeddings, encoders, the wide part."""

import collections
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph.data import features as features_lib
from mtl_graph.layers import embedding
from mtl_graph.layers import recurrent
from mtl_graph.model import initial_values
from mtl_graph.model import stacks
from mtl_graph.ops import pooling
from mtl_graph.protos import features_pb2


class Inputs(NamedTuple):
  """What the network reads.

  Attributes:
    deep: All features of the deep part side by side, shape `[B, D]`, or
      `[B, H, W, C]` where they are images.
    wide: The parts of the features of the wide part, by name.
  """
  deep: tf.Tensor
  wide: Dict[str, features_lib.Part]


def build(features: Sequence[features_pb2.Feature],
          parts: Mapping[str, features_lib.Part],
          mode: stacks.Mode) -> Inputs:
  """Looks embeddings up, applies encoders, and puts features side by side.

  Args:
    features: The `Feature` messages.
    parts: The transformed rows, a `Part` by feature.
    mode: A `stacks.Mode`.

  Returns:
    An `Inputs`.
  """
  deep, wide = [], collections.OrderedDict()
  for feature in features:
    if outline.is_wide(feature):
      wide[feature.name] = parts[feature.name]
    if outline.is_deep(feature):
      tensor = stacks.hold(_deep(feature, parts[feature.name], mode),
                           f"embedding/{feature.name}", mode)
      deep.append(stacks.build(feature.encoder.layer, tensor,
                               f"encoder/{feature.name}", mode))
  if not deep:
    deep = [tf.zeros([_rows(parts), 0])]
  return Inputs(stacks.side_by_side(deep), wide)


def _rows(parts):
  """Returns how many rows there are."""
  part = next(iter(parts.values()))
  return tf.shape(part.numbers if part.ids is None else part.ids)[0]


def wide_logits(features: Sequence[features_pb2.Feature],
                parts: Dict[str, features_lib.Part], task: str, units: int,
                partitioner: Optional[Callable] = None
                ) -> Optional[tf.Tensor]:
  """Builds a task's linear model over the features of the wide part.

  ```
    logits = sum_f  x_f weights_f
  ```

  with `x_f` the numbers of a feature, or its categories one-hot, several of
  them combined as the feature combines them. The weights
  `wide/<task>/<feature>/weights` start at zero. See "Wide & Deep Learning for
  Recommender Systems" by Cheng et al., 2016, section 3.1
  (https://arxiv.org/abs/1606.07792).

  Args:
    features: The `Feature` messages.
    parts: `Inputs.wide`.
    task: Name of the task.
    units: Width of its head.
    partitioner: As `embedding.table` takes it.

  Returns:
    The logits, shape `[B, units]`; None where there is no wide part.
  """
  terms = []
  for feature in features:
    if feature.name not in parts:
      continue
    part = parts[feature.name]
    with tf.variable_scope(f"wide/{task}/{feature.name}"):
      rows = (feature.numeric.size if part.ids is None
              else outline.table_rows(feature))
      multiplied = (part.ids is None
                    or feature.categorical.HasField("multi_hot"))
      weights = embedding.table("weights", rows, units, tf.zeros_initializer(),
                                None if multiplied else partitioner)
      if part.ids is None:
        terms.append(tf.matmul(part.numbers, *weights))
      elif part.ids.shape.rank == 1:
        terms.append(embedding.look_up(weights, part.ids))
      elif multiplied:
        present = tf.reduce_max(tf.one_hot(part.ids, rows), 1)
        terms.append(tf.matmul(present, *weights))
      else:
        terms.append(_combine(
            feature.categorical.values.combiner,
            embedding.look_up(weights, tf.maximum(part.ids, 0)), part.ids >= 0,
            part.weights))
  return tf.add_n(terms) if terms else None


def _deep(feature, part, mode):
  """Makes what the network reads of one feature, before its encoder."""
  kind = feature.WhichOneof("kind")
  if kind == "numeric":
    return part.numbers
  if kind == "image":
    with tf.name_scope(f"feature/{feature.name}"):
      return tf.reshape(part.numbers, [-1, *outline.feature_shape(feature)])
  message = getattr(feature, kind)
  vectors = _vectors(feature, message, part.ids, mode)
  if part.ids.shape.rank == 1:
    return vectors
  present = part.ids >= 0
  reader = outline.recurrent_of(feature)
  if reader is not None:
    layer = recurrent.lstm if reader == "lstm" else recurrent.gru
    return layer(vectors, tf.reduce_sum(tf.cast(present, tf.int32), 1),
                 getattr(message.values, reader).units, mode.seed,
                 name=f"embedding/{feature.name}/{reader}")
  with tf.name_scope(f"feature/{feature.name}"):
    if message.WhichOneof("representation") == "multi_hot":
      return tf.reduce_max(vectors, 1)
    return _combine(message.values.combiner, vectors, present, part.weights)


def _vectors(feature, message, ids, mode):
  """Returns a vector per category, shape [B, D] or [B, L, D]."""
  rows = outline.table_rows(feature)
  if message.WhichOneof("representation") != "embedding_dimension":
    with tf.name_scope(f"feature/{feature.name}"):
      return tf.one_hot(ids, rows)  # All zeros for -1.
  if ids.shape.rank > 1:
    ids = tf.maximum(ids, 0)
  return embedding.embedding(
      ids, rows, message.embedding_dimension, mode.seed,
      outline.table_of(feature), initial_values.build(message),
      mode.partitioner)


def _combine(combiner, vectors, present, weights):
  """Makes one vector of those of several categories; see `Combiner`."""
  if combiner == features_pb2.MAX:
    return pooling.combine_max(vectors, present)
  kind = {features_pb2.MEAN: "mean", features_pb2.SUM: "sum",
          features_pb2.SQRTN: "sqrtn"}[combiner]
  if weights is None:
    weights = tf.cast(present, tf.float32)
  return pooling.combine(vectors, weights, kind)
