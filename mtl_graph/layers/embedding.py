"""The embedding look-up."""

import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers


def embedding(
    ids: tf.Tensor,
    rows: int,
    dimension: int,
    seed: int = 0,
    name: str = "embedding") -> tf.Tensor:
  """Looks up one vector per id.

  Makes (or reuses) the variable `<scope>/embeddings`, which starts uniform
  within 0.05 of zero: a category says little until it has been trained.

  Args:
    ids: Row numbers, int32, shape `[B]`, from 0 to `rows - 1`.
    rows: Rows of the table.
    dimension: Width of a vector.
    seed: Seed of the table's initial value.
    name: Variable scope of the layer.

  Returns:
    The vectors, shape `[B, dimension]`.

  Raises:
    ValueError: If `ids` is not a vector.
  """
  if ids.shape.rank != 1:
    raise ValueError(
        f"{name}: `ids` must have shape [any], found {ids.shape}.")
  with tf.variable_scope(name) as scope:
    table = tf.get_variable(
        "embeddings", [rows, dimension],
        initializer=initializers.uniform(
            seed, scope.name + "/embeddings", 0.05))
    return tf.gather(table, ids)
