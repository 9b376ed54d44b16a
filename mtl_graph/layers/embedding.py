"""The embedding look-up."""

from typing import Callable, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.layers import initializers


def embedding(
    ids: tf.Tensor,
    rows: int,
    dimension: int,
    seed: int = 0,
    name: str = "embedding",
    initializer: Optional[Callable[[int, str], Callable]] = None,
    partitioner: Optional[Callable] = None) -> tf.Tensor:
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
    partitioner: As `table` takes it.

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
    return look_up(table(
        "embeddings", rows, dimension,
        initializer(seed, scope.name + "/embeddings"), partitioner), ids)


def table(name: str, rows: int, dimension: int, initializer: Callable,
          partitioner: Optional[Callable] = None
          ) -> List[tf.Variable]:
  """Makes (or reuses) a table, in one piece or cut by rows into parts.

  Args:
    name: Name of the variable within the current scope.
    rows: Rows of the table.
    dimension: Width of a row.
    initializer: Its initializer.
    partitioner: Says of a shape and a type how many parts to cut each dimension
      into, as `tf.get_variable` has it. None: the table is in one piece.

  Returns:
    Its variable `<name>`, or those of its parts, `<name>/part_<i>`, in order.
  """
  shape = tf.TensorShape([rows, dimension])
  if partitioner is None or max(partitioner(shape, tf.float32)) == 1:
    return [tf.get_variable(name, shape, initializer=initializer)]
  return list(tf.get_variable(name, shape, initializer=initializer,
                              partitioner=partitioner))


def look_up(parts: Sequence[tf.Variable], ids: tf.Tensor) -> tf.Tensor:
  """Looks up a row per id.

  Args:
    parts: What `table` returned.
    ids: Row numbers, of any shape.

  Returns:
    The rows, of the shape of `ids` and the width of a row. Each part is read
    where it lies.
  """
  if len(parts) == 1:
    return tf.gather(parts[0], ids)
  # "div": runs of rows, as they were cut.
  return tf.nn.embedding_lookup(list(parts), ids, partition_strategy="div")


def _small(seed, variable_name):
  return initializers.uniform(seed, variable_name, 0.05)
