"""Transforms raw values of features in a graph of its own."""

from google.protobuf import text_format
import tensorflow.compat.v1 as tf

from mtl_graph.data import features
from mtl_graph.data import statistics
from mtl_graph.protos import data_pb2


def parse(text):
  """Returns the `Feature` messages of a text."""
  return text_format.Parse(text, data_pb2.Data()).feature


def run(text, raw, measured=None):
  """Transforms raw values.

  Args:
    text: Features, in the text format.
    raw: Arrays by input.
    measured: Statistics by feature; None: those of `raw`.

  Returns:
    A `Transformed` of arrays.
  """
  listed = parse(text)
  if measured is None:
    measured = statistics.measure(listed, raw)
  with tf.Graph().as_default(), tf.Session() as session:
    inputs = features.placeholders(listed)
    transformed = features.transform(listed, inputs, measured)
    session.run([tf.global_variables_initializer(), tf.tables_initializer()])
    return session.run(transformed, {inputs[name]: values
                                     for name, values in raw.items()})
