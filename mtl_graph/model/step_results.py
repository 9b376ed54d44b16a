"""What a chief tells of a step, on a server, for as long as it is asked for."""

import tensorflow.compat.v1 as tf

# Words that a queue holds.
_MOST = 100_000


class StepResult:
  """A result of a step, which each other worker may ask for again.

  It stays in a variable until that of the next step takes its place. A queue of
  each worker's own only says that it is there: who dies may have taken the word
  out, but nothing that who comes in its place needs.
  """

  def __init__(self, name: str, width: int, workers: int):
    """Makes it in the current graph, on the device in scope.

    Args:
      name: Its name, the same for all workers.
      width: How many numbers it has.
      workers: How many workers there are; 0 is the chief.
    """
    self._name, self._width, self._workers = name, width, workers

    def make(what, shape, dtype, start):
      return tf.get_variable(
          f"cluster/{what}/{name}", shape, dtype, trainable=False,
          initializer=tf.constant_initializer(start), collections=["cluster"])

    self._tag = make("told", [], tf.int64, -1)
    self._values = make("result", [width], tf.float32, 0)

  def _words(self, rank):
    # Ops that block without a queue hold a thread of the server, for good if
    # whoever waits is gone.
    return tf.FIFOQueue(_MOST, [tf.int64], [[]],
                        shared_name=f"cluster/{self._name}/{rank}")

  def _beside(self):
    return tf.colocate_with(self._tag.handle)

  def tell(self, tag: tf.Tensor, values: tf.Tensor) -> tf.Operation:
    """Returns the op that tells the others; the chief runs it.

    Args:
      tag: The tag of the step, int64 scalar.
      values: The result, shape `[width]`.
    """
    with self._beside():
      with tf.control_dependencies([
          self._values.assign(values, read_value=False)]):
        told = self._tag.assign(tag, read_value=False)
      with tf.control_dependencies([told]):
        return tf.group(*[self._words(rank).enqueue(tag)
                          for rank in range(1, self._workers)])

  def hear(self, tag: tf.Tensor, rank: int) -> tf.Tensor:
    """Waits for the result of a step, or of a later one.

    Args:
      tag: The tag of the step, int64 scalar.
      rank: Which of the workers this is.

    Returns:
      The result, shape `[width]`.
    """
    with self._beside():
      words = self._words(rank)
      found = tf.while_loop(lambda at: at < tag,
                            lambda unused_at: words.dequeue(),
                            [self._tag.read_value()], parallel_iterations=1)
      # Written before its tag, and read behind it.
      with tf.control_dependencies([found]):
        return self._values.read_value()

  def empty(self) -> tf.Operation:
    """Returns the op that begins as if nothing had been told."""
    return tf.group(self._tag.initializer, self._values.initializer)
