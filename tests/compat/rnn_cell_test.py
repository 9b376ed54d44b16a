"""Tests of compat.rnn_cell against formulas, and of what it refuses."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.compat import rnn_cell

_RANDOM = np.random.default_rng(0)
_INPUTS = _RANDOM.normal(size=[3, 4, 2])


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _load(session):
  """Sets all variables to random values and returns them by name."""
  random = np.random.default_rng(1)
  session.run(tf.global_variables_initializer())
  values = {v.op.name.split("/", 2)[2]: random.normal(size=v.shape)
            for v in tf.global_variables()}
  for v, value in zip(tf.global_variables(), values.values()):
    v.load(value, session)
  return values


class FormulaTest(tf.test.TestCase):
  """In double precision, against numpy."""

  def _read(self, cell):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs, state = tf.nn.dynamic_rnn(cell(), tf.constant(_INPUTS),
                                         dtype=tf.float64)
      v = _load(session)
      return *session.run([outputs, state]), v

  def test_lstm(self):
    found, state, v = self._read(lambda: rnn_cell.LSTMCell(
        3, use_peepholes=True, num_proj=2, cell_clip=0.5, proj_clip=0.9,
        forget_bias=0.7))
    c, h = np.zeros([3, 3]), np.zeros([3, 2])
    for t in range(4):
      i, j, f, o = np.split(np.hstack([_INPUTS[:, t], h]) @ v["kernel"]
                            + v["bias"], 4, 1)
      c = np.clip(_sigmoid(f + 0.7 + v["w_f_diag"] * c) * c
                  + _sigmoid(i + v["w_i_diag"] * c) * np.tanh(j), -0.5, 0.5)
      h = np.clip((_sigmoid(o + v["w_o_diag"] * c) * np.tanh(c))
                  @ v["projection/kernel"], -0.9, 0.9)
      self.assertAllClose(found[:, t], h, atol=1e-12, rtol=1e-12)
    self.assertAllClose(state.c, c, atol=1e-12, rtol=1e-12)

  def test_gru(self):
    found, _, v = self._read(lambda: rnn_cell.GRUCell(3))
    h = np.zeros([3, 3])
    for t in range(4):
      r, u = np.split(_sigmoid(np.hstack([_INPUTS[:, t], h])
                               @ v["gates/kernel"] + v["gates/bias"]), 2, 1)
      h = u * h + (1 - u) * np.tanh(
          np.hstack([_INPUTS[:, t], r * h]) @ v["candidate/kernel"]
          + v["candidate/bias"])
      self.assertAllClose(found[:, t], h, atol=1e-12, rtol=1e-12)

  def test_layer_normalized_lstm(self):
    found, _, v = self._read(
        lambda: rnn_cell.LayerNormBasicLSTMCell(3, forget_bias=0.5))
    self.assertEqual(list(v), ["kernel"] + [
        f"{part}/{name}" for part in ("input", "transform", "forget", "output",
                                      "state") for name in ("gamma", "beta")])

    def norm(x, part):
      x = x - x.mean(1, keepdims=True)
      return (x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-12)
              * v[part + "/gamma"] + v[part + "/beta"])

    c, h = np.zeros([3, 3]), np.zeros([3, 3])
    for t in range(4):
      i, j, f, o = np.split(np.hstack([_INPUTS[:, t], h]) @ v["kernel"], 4, 1)
      c = norm(c * _sigmoid(norm(f, "forget") + 0.5)
               + _sigmoid(norm(i, "input")) * np.tanh(norm(j, "transform")),
               "state")
      h = np.tanh(c) * _sigmoid(norm(o, "output"))
      self.assertAllClose(found[:, t], h, atol=1e-9, rtol=1e-9)

  def test_layer_normalized_lstm_without_it(self):
    outputs = []
    for kind, options in ((rnn_cell.BasicLSTMCell, {}),
                          (rnn_cell.LayerNormBasicLSTMCell,
                           {"layer_norm": False})):
      with tf.Graph().as_default(), tf.Session() as session:
        found, _ = tf.nn.dynamic_rnn(kind(3, 0.5, **options),
                                     tf.constant(_INPUTS), dtype=tf.float64)
        _load(session)
        outputs.append(session.run(found))
    self.assertAllClose(*outputs, atol=1e-12, rtol=1e-12)


class CellTest(parameterized.TestCase):

  def test_states_of_zeros(self):
    with tf.Graph().as_default():
      cell = rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(3, num_proj=2),
                                    rnn_cell.GRUCell(4)])
      (c, h), g = cell.zero_state(tf.placeholder(tf.int32, []), tf.float64)
      self.assertEqual([x.shape.as_list() for x in (c, h, g)],
                       [[None, 3], [None, 2], [None, 4]])
      self.assertEqual(
          cell.get_initial_state(tf.zeros([5, 1]))[1].shape.as_list(), [5, 4])

  def test_variables_of_a_stack(self):
    with tf.Graph().as_default():
      stack = rnn_cell.MultiRNNCell([
          rnn_cell.ResidualWrapper(rnn_cell.BasicRNNCell(2)),
          rnn_cell.DropoutWrapper(rnn_cell.GRUCell(3, trainable=False))])
      stack(tf.zeros([1, 2]), stack.zero_state(1, tf.float32))
      self.assertEqual([v.op.name for v in stack.trainable_variables], [
          "multi_rnn_cell/cell_0/basic_rnn_cell/kernel",
          "multi_rnn_cell/cell_0/basic_rnn_cell/bias"])
      self.assertEqual(
          {v.op.name.split("gru_cell/")[1]
           for v in stack.non_trainable_variables},
          {"gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"})

  def test_dropout_leaves_c_as_it_is(self):
    with tf.Graph().as_default(), tf.Session() as session:
      cell = rnn_cell.DropoutWrapper(rnn_cell.BasicLSTMCell(100),
                                     state_keep_prob=tf.constant(0.5))
      _, (c, h) = cell(tf.ones([1, 2]), cell.zero_state(1, tf.float32))
      session.run(tf.global_variables_initializer())
      c, h = session.run([c, h])
    self.assertEqual(np.mean(c == 0), 0)
    self.assertBetween(np.mean(h == 0), 0.3, 0.7)

  @parameterized.named_parameters(
      ("integers", lambda: rnn_cell.GRUCell(2)(
          tf.zeros([1, 2], tf.int32), tf.zeros([1, 2], tf.int32)),
       "gru_cell_1: `inputs` must be of a floating type, found int32"),
      ("rank", lambda: rnn_cell.GRUCell(2)(tf.zeros([2]), tf.zeros([1, 2])),
       "gru_cell_1: `inputs` must have rank 2"),
      ("depth", lambda: rnn_cell.GRUCell(2)(
          tf.placeholder(tf.float32, [1, None]), tf.zeros([1, 2])),
       "`inputs` must have a known last axis"),
      ("none", lambda: rnn_cell.MultiRNNCell([]),
       r"`cells` must be a list of cells, found \[\]"),
      ("no_list", lambda: rnn_cell.MultiRNNCell(rnn_cell.GRUCell(2)),
       "`cells` must be a list of cells, found <"),
      ("tuples", lambda: rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(2)], False),
       "`state_is_tuple` must be True of cells whose states are tuples"),
      ("states", lambda: rnn_cell.MultiRNNCell([rnn_cell.GRUCell(2)])(
          tf.zeros([1, 2]), tf.zeros([1, 2])),
       "`state` must be a tuple of 1, found"),
      ("no_cell", lambda: rnn_cell.ResidualWrapper(tf.tanh),
       "ResidualWrapper: `cell` must be a cell, found"),
      ("widths", lambda: rnn_cell.ResidualWrapper(rnn_cell.GRUCell(2))(
          tf.zeros([1, 3]), tf.zeros([1, 2])),
       "outputs must have the shape of the inputs"),
      ("keep", lambda: rnn_cell.DropoutWrapper(rnn_cell.GRUCell(2), 1.5),
       "`input_keep_prob` must be between 0 and 1, found 1.5"),
      ("dtype", lambda: rnn_cell.DropoutWrapper(
          rnn_cell.GRUCell(2), variational_recurrent=True),
       "`dtype` must be given with `variational_recurrent`"),
      ("input_size", lambda: rnn_cell.DropoutWrapper(
          rnn_cell.GRUCell(2), 0.5, variational_recurrent=True,
          dtype=tf.float32), "`input_size` must be given"),
      ("no_batch", lambda: rnn_cell.GRUCell(2).get_initial_state(),
       "`batch_size` and `dtype` must be given where `inputs` is not"),
      ("no_reuse", lambda: [rnn_cell.GRUCell(2, name="g")(
          tf.zeros([1, 2]), tf.zeros([1, 2])) for _ in range(2)] and [
              rnn_cell.GRUCell(2, name="h", reuse=True)(
                  tf.zeros([1, 2]), tf.zeros([1, 2]))], "does not exist"),
  )
  def test_refused(self, build, message):
    with tf.Graph().as_default():
      with self.assertRaisesRegex((TypeError, ValueError), message):
        build()


if __name__ == "__main__":
  absltest.main()
