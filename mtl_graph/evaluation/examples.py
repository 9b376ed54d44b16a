"""Parses serialized tf.Example by TensorFlow's own op, many at once."""

from typing import Dict, Mapping, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import sessions
from mtl_graph.data import lists

_DTYPES = {"bytes_list": tf.string, "float_list": tf.float32,
           "int64_list": tf.int64}


class Parser:
  """Parses examples; its graph is made when it is first called."""

  def __init__(self):
    self._calls = {}

  def __call__(self, records: Sequence[bytes], kinds: Mapping[str, str]
               ) -> Optional[Dict[str, lists.Lists]]:
    """Parses examples.

    Args:
      records: Serialized `tf.train.Example`s.
      kinds: The field of `tf.train.Feature` that holds each feature.

    Returns:
      A `Lists` by feature, of bytes where it is text; None where a record is no
      example, or a feature of another kind.
    """
    key = tuple(kinds.items())
    if key not in self._calls:
      self._calls[key] = _make_call(kinds)
    try:
      parsed = self._calls[key](np.array(records, object))
    except tf.errors.InvalidArgumentError:
      return None  # Whoever reads record by record can say which.
    return {name: lists.Lists(
        value.values, np.bincount(value.indices[:, 0], minlength=len(records)))
            for name, value in parsed.items()}


def _make_call(kinds):
  """Makes the function from records to sparse values by feature."""
  with tf.Graph().as_default() as graph:
    records = tf.placeholder(tf.string, [None])
    parsed = tf.io.parse_example(records, {
        name: tf.io.VarLenFeature(_DTYPES[kind])
        for name, kind in kinds.items()})
  return sessions.open_session(graph).make_callable(parsed, [records])
