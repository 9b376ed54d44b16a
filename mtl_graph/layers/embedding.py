"""The embedding look-up."""

from typing import Callable, Optional

import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers


def embedding(
    ids: tf.Tensor,
    rows: int,
    dimension: int,
    seed: int = 0,
    name: str = "embedding",
    initializer: Optional[Callable[[int, str], Callable]] = None
    ) -> tf.Tensor:
  """Looks up one vector per id.

  Makes (or reuses) the variable `<scope>/embeddings`, which starts uniform
  within 0.05 of zero: a category says little until it has been trained. Its
  gradient is a `tf.IndexedSlices` of the rows that were looked up.

  Args:
    ids: Row numbers, int32, from 0 to `rows - 1`, shape `[B]`, or `[B, L]` for
      several per row.
    rows: Rows of the table.
    dimension: Width of a vector.
    seed: Seed of the table's initial value.
    name: Variable scope of the layer.
    initializer: Function from the seed and the table's full name to its
      initializer. None: `initializers.uniform` with a limit of 0.05.

  Returns:
    The vectors, shape `[B, dimension]` or `[B, L, dimension]`.

  Raises:
    ValueError: If `ids` is neither a vector nor a matrix.
  """
  if ids.shape.rank not in (1, 2):
    raise ValueError(f"{name}: `ids` must have shape [any] or [any, any], "
                     f"found {ids.shape}.")
  initializer = initializer or _small
  with tf.variable_scope(name) as scope:
    table = tf.get_variable(
        "embeddings", [rows, dimension],
        initializer=initializer(seed, scope.name + "/embeddings"))
    return tf.gather(table, ids)


def _small(seed, variable_name):
  return initializers.uniform(seed, variable_name, 0.05)
