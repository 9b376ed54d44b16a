"""Opens sessions, all alike."""

import tensorflow.compat.v1 as tf


def open_session(graph: tf.Graph) -> tf.Session:
  """Opens a session on a graph.

  The graph optimizer is off: with it on, which ops are fused depends on what is
  fetched, and a resumed run would differ in bits; it also costs more at the
  first step than it gains on graphs of this kind.

  Args:
    graph: The graph.

  Returns:
    A `tf.Session`.
  """
  config = tf.ConfigProto(allow_soft_placement=True)
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf.Session(graph=graph, config=config)


def initialize(session: tf.Session) -> None:
  """Gives every variable of the graph its initial value, and fills tables."""
  with session.graph.as_default():
    session.run([tf.global_variables_initializer(), tf.tables_initializer()])
