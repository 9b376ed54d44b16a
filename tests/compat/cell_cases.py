"""Recurrent networks made of tf.nn.rnn_cell, as TensorFlow 1 code was."""

import numpy as np
import tensorflow.compat.v1 as tf

from tests.compat import measuring

_LENGTHS = np.int32([4, 0, 2])


def _read(*made, **kwargs):
  """Reads vectors with each cell, in scopes `one`, `two`, ..."""
  x = measuring.inputs(3, 4, 2)
  return [tf.nn.dynamic_rnn(cell, x, _LENGTHS, dtype=tf.float32, scope=scope,
                            **kwargs)
          for cell, scope in zip(made, ("one", "two", "three", "four"))]


def plain(cells):
  return _read(cells.BasicRNNCell(3, tf.nn.relu))


def basic_lstm(cells):
  return _read(cells.BasicLSTMCell(
      3, forget_bias=0.5, activation=tf.nn.softsign, name="mine"))


def states_side_by_side(cells):
  return _read(
      cells.LSTMCell(3, num_proj=2, state_is_tuple=False),
      cells.MultiRNNCell([cells.GRUCell(3), cells.BasicLSTMCell(
          2, state_is_tuple=False)], state_is_tuple=False))


def lstm(cells):
  return _read(
      cells.LSTMCell(3, use_peepholes=True, cell_clip=0.3, num_proj=2,
                     proj_clip=0.1),
      cells.LSTMCell(4, num_proj=2, num_unit_shards=2, num_proj_shards=2))


def gru(cells):
  return _read(cells.GRUCell(
      3, tf.nn.relu, kernel_initializer=tf.ones_initializer(),
      bias_initializer=tf.zeros_initializer()))


def stacked(cells):
  stack = cells.MultiRNNCell([cells.BasicLSTMCell(3), cells.ResidualWrapper(
      cells.GRUCell(3)), cells.DeviceWrapper(cells.LSTMCell(2), "/cpu:0")])
  return _read(stack)


def bidirectional(cells):
  x = measuring.inputs(3, 4, 2)
  return tf.nn.bidirectional_dynamic_rnn(
      cells.LSTMCell(3), cells.GRUCell(2), x, _LENGTHS, dtype=tf.float32)


def unrolled(cells):
  x = tf.unstack(measuring.inputs(3, 2, 2), axis=1)
  one = tf.nn.static_rnn(cells.BasicLSTMCell(3), x, dtype=tf.float32)
  two = tf.nn.static_bidirectional_rnn(
      cells.GRUCell(2), cells.BasicRNNCell(2), x, dtype=tf.float32)
  with tf.variable_scope("by_hand"):
    by_hand = cells.GRUCell(2)
    state = by_hand.zero_state(3, tf.float32)
    for vectors in x:
      outputs, state = by_hand(vectors, state)
  return one, two, outputs


def reused(cells):
  x = measuring.inputs(3, 2)
  first = cells.GRUCell(2, name="g")
  second = cells.GRUCell(2, name="g", reuse=True)
  return first(x, tf.ones([3, 2])), second(x, tf.zeros([3, 2])), first(
      x, tf.zeros([3, 2]))


def with_penalties(cells):
  with tf.variable_scope("net", regularizer=lambda w: tf.reduce_sum(w * w),
                         initializer=tf.ones_initializer()):
    return tf.nn.static_rnn(cells.LSTMCell(2), [measuring.inputs(3, 2)] * 2,
                            dtype=tf.float32)


def own_cell(cells):
  class Minimal(cells.RNNCell):
    """A cell of one's own, which makes variables as it goes."""
    state_size = output_size = 2

    def call(self, inputs, state):
      w = tf.get_variable("w", [inputs.shape[1], 2])
      b = tf.get_variable("b", [2], trainable=False)
      h = tf.tanh(tf.matmul(inputs, w) + b + state)
      return h, h
  made = Minimal()
  result = _read(made)
  assert [v.name for v in made.weights] == [v.name
                                            for v in tf.global_variables()]
  return result


def dropout(cells):
  """With seeds, so that the same numbers are dropped.

  Step by step, as nobody knows which step of a loop draws first.
  """
  x = measuring.inputs(3, 2)
  result = []
  for wrapped, size in ((cells.LSTMCell(8), 2), (cells.MultiRNNCell(
      [cells.GRUCell(8), cells.LSTMCell(5)]), 2)):
    for options in ({"input_keep_prob": 0.5, "output_keep_prob": 0.5},
                    {"variational_recurrent": True, "dtype": tf.float32,
                     "input_size": size, "input_keep_prob": 0.6}):
      cell = cells.DropoutWrapper(wrapped, seed=7, state_keep_prob=0.5,
                                  **options)
      result.append(cell(x, tf.nest.map_structure(
          tf.ones_like, cell.zero_state(3, tf.float32))))
  return result


# Those that are measured with reference variables too.
WITH_REFERENCES = ("lstm", "stacked")
CASES = {name: value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and not name.startswith("_")}
