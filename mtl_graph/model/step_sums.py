"""Sums over the workers of a step, on a server, to which each adds once."""

from typing import Union

import tensorflow.compat.v1 as tf

_Value = Union[tf.Tensor, tf.IndexedSlices]


class StepSum:
  """A sum that workers add to under the tag of a step.

  What comes under an earlier tag than the one that is summed up is dropped.
  TensorFlow's accumulators count what was added, and not by whom: a worker that
  has died and takes its part of a step again would stand for two. So the server
  keeps the tag that each has added under last, and who comes again under that
  goes under an earlier one. The server notes it right behind the addition, by
  nothing that it has yet to be sent: whoever dies leaves both or neither.
  """

  def __init__(self, name: str, shape: tf.TensorShape, rank: int, workers: int,
               sparse: bool = False):
    """Makes it in the current graph, on the device in scope.

    Args:
      name: Its name, the same for all workers.
      shape: Its shape.
      rank: Which of the workers this is.
      workers: How many there are.
      sparse: Whether it is of rows.
    """
    kind = (tf.SparseConditionalAccumulator if sparse
            else tf.ConditionalAccumulator)
    # A server may have one of an earlier run, which is of this kind as well.
    shared = f"cluster/{'rows' if sparse else 'whole'}/{shape}/{name}"
    self._sum = kind(tf.float32, shape=shape, shared_name=shared,
                     name="accumulator", reduction_type="SUM")
    self._shape, self._rank, self._is_sparse = shape, rank, sparse
    with self._beside():
      # Tags by rank, in no checkpoint; `empty` initializes them.
      self._added = tf.get_variable(
          f"cluster/added/{name}", [workers], tf.int64, trainable=False,
          initializer=tf.constant_initializer(-1), collections=["cluster"])

  def _beside(self):
    return tf.colocate_with(self._sum.accumulator_ref)

  def add(self, value: _Value, tag: tf.Tensor) -> tf.Operation:
    """Returns the op that adds a worker's part, if it is not there yet.

    Args:
      value: The part, of the sum's shape; of rows in any order.
      tag: The tag of the step, int64 scalar.
    """
    with self._beside():
      if self._is_sparse:
        # It takes rows in order, each once.
        order = tf.argsort(value.indices)
        rows, places = tf.unique(tf.gather(value.indices, order))
        value = tf.IndexedSlices(tf.math.segment_sum(
            tf.gather(value.values, order), places), tf.cast(rows, tf.int64))
      again = tf.equal(tf.gather(self._added, self._rank), tag)
      with tf.control_dependencies([
          self._apply(value, tag - tf.cast(again, tf.int64))]):
        return tf.raw_ops.ResourceScatterUpdate(
            resource=self._added.handle, indices=self._rank, updates=tag)

  def _apply(self, value, tag):
    return (self._sum.apply_indexed_slices_grad(value, tag) if self._is_sparse
            else self._sum.apply_grad(value, tag))

  def take(self, count: Union[int, tf.Tensor]) -> _Value:
    """Waits for that many parts; returns their sum, and goes on to the next tag.
    """
    if self._is_sparse:
      return self._sum.take_indexed_slices_grad(count)
    taken = self._sum.take_grad(count)
    taken.set_shape(self._shape)
    return taken

  def empty(self, tag: tf.Tensor) -> tf.Operation:
    """Returns the op that drops all that was added, and begins at a tag."""
    with self._beside():
      with tf.control_dependencies([self._added.initializer,
                                    self._sum.set_global_step(tag - 1)]):
        # All there is is taken out; that there is something it sees to itself.
        nothing = self._apply(
            tf.IndexedSlices(tf.zeros([1, *self._shape.as_list()[1:]]),
                             tf.zeros([1], tf.int64))
            if self._is_sparse else tf.zeros(self._shape), tag)
      with tf.control_dependencies([nothing]):  # Whose taking counts as a step.
        taken = self.take(1)
      return (taken.values if self._is_sparse else taken).op
