"""Ways to make one vector of several."""

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

_COMBINERS = ("mean", "sum", "sqrtn")


def combine(
    vectors: tf.Tensor,
    weights: tf.Tensor,
    combiner: str,
    name: str = "combine") -> tf.Tensor:
  """Adds up the vectors of each row, each times its weight.

  With `e_i` the vectors of a row and `w_i` their weights, by `combiner`:

  ```
    mean     sum_i w_i e_i / sum_i w_i
    sum      sum_i w_i e_i
    sqrtn    sum_i w_i e_i / sqrt(sum_i w_i^2)
  ```

  A row whose divisor is zero, as where all weights are, gives zeros and passes
  no gradient on. A vector of weight 0 counts for nothing, but must be finite
  all the same, for 0 times NaN is NaN.

  Args:
    vectors: The vectors, shape `[B, L, D]`.
    weights: Their weights, 0 where there is none, shape `[B, L]`.
    combiner: "mean", "sum" or "sqrtn".
    name: Name scope of the op.

  Returns:
    A vector per row, shape `[B, D]`.

  Raises:
    ValueError: If the shapes do not fit, or `combiner` is none of the three.
  """
  if combiner not in _COMBINERS:
    raise ValueError(f"{name}: `combiner` must be one of "
                     f"{', '.join(_COMBINERS)}, found {combiner}.")
  size = shapes.check(vectors, [None, None, None], "vectors", name)
  shapes.check(weights, size[:2], "weights", name)
  with tf.name_scope(name):
    total = tf.reduce_sum(weights[:, :, tf.newaxis] * vectors, 1)
    if combiner == "sum":
      return total
    divisor = tf.reduce_sum(
        weights if combiner == "mean" else tf.square(weights), 1)
    # Zeros are replaced ahead of the root, whose gradient there is infinite.
    ones, nothing = tf.ones_like(divisor), tf.equal(divisor, 0)
    divisor = tf.where(nothing, ones, divisor)
    if combiner == "sqrtn":
      divisor = tf.sqrt(divisor)
    means = total / divisor[:, tf.newaxis]
    return tf.where(nothing, tf.zeros_like(means), means)


def combine_max(
    vectors: tf.Tensor,
    present: tf.Tensor,
    name: str = "combine_max") -> tf.Tensor:
  """Takes the largest of each entry of the vectors of each row.

  ```
    y_d = max over present i of e_id
  ```

  A row without any gives zeros and passes no gradient on. Where several are the
  largest, they share the gradient equally.

  Args:
    vectors: The vectors, shape `[B, L, D]`.
    present: Whether each of them counts, bool, shape `[B, L]`.
    name: Name scope of the op.

  Returns:
    A vector per row, shape `[B, D]`.

  Raises:
    ValueError: If the shapes do not fit.
  """
  size = shapes.check(vectors, [None, None, None], "vectors", name)
  shapes.check(present, size[:2], "present", name)
  with tf.name_scope(name):
    lowest = tf.constant(vectors.dtype.min, vectors.dtype)
    largest = tf.reduce_max(
        tf.where_v2(present[:, :, tf.newaxis], vectors, lowest), 1)
    return tf.where(tf.reduce_any(present, 1), largest,
                    tf.zeros_like(largest))
