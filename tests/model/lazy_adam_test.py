"""Tests of the Adam that moves only the rows that a batch reads."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.model import lazy_adam

_ROWS, _WIDTH, _STEPS = 7, 3, 20
_RATE, _BETA1, _BETA2, _EPSILON = 0.05, 0.8, 0.95, 1e-4
_TABLE = np.random.RandomState(0).randn(_ROWS, _WIDTH).astype(np.float32)
# Rows with duplicates, that come and go: 0 in every step, 6 in none, 5 only in
# the first and the last one.
_READ = [np.array(rows) for rows in (
    [[5, 0, 5, 1]] + [[0, 1 + i % 4, 1 + i % 3, 0] for i in range(_STEPS - 2)]
    + [[5, 3, 0, 3]])]
_GRADIENTS = np.random.RandomState(1).randn(_STEPS, 4, _WIDTH).astype(
    np.float32)


def _lazy():
  return lazy_adam.LazyAdamOptimizer(_RATE, _BETA1, _BETA2, _EPSILON)


def _adam():
  return tf.train.AdamOptimizer(_RATE, _BETA1, _BETA2, _EPSILON)


def _train(optimizer, sparse=True, use_resource=True, read=None, dtype=None):
  """Returns the values of all variables after each step, by name."""
  dtype = dtype or tf.float32
  with tf.Graph().as_default(), tf.Session() as session:
    table = tf.get_variable("table", dtype=dtype, use_resource=use_resource,
                            initializer=_TABLE.astype(dtype.as_numpy_dtype))
    rows = tf.placeholder(tf.int32, [None])
    values = tf.placeholder(dtype, [None, _WIDTH])
    gradient = tf.IndexedSlices(values, rows, tf.constant([_ROWS, _WIDTH]))
    if not sparse:
      gradient = tf.convert_to_tensor(gradient)
    train_op = optimizer().apply_gradients([(gradient, table)])
    variables = {v.op.name: v for v in tf.global_variables()}
    session.run(tf.global_variables_initializer())
    found = []
    for ids, slices in zip(read or _READ, _GRADIENTS):
      session.run(train_op, {rows: ids, values: slices[:len(ids)]})
      found.append(session.run(variables))
    return found


def _formula():
  """Returns the table, m and v after each step, in float64."""
  table = _TABLE.astype(np.float64)
  m, v = np.zeros_like(table), np.zeros_like(table)
  found = []
  for t, (ids, slices) in enumerate(zip(_READ, _GRADIENTS), 1):
    for row in set(ids):
      g = slices[ids == row].astype(np.float64).sum(axis=0)
      m[row] = _BETA1 * m[row] + (1 - _BETA1) * g
      v[row] = _BETA2 * v[row] + (1 - _BETA2) * g ** 2
      rate = _RATE * np.sqrt(1 - _BETA2 ** t) / (1 - _BETA1 ** t)
      table[row] -= rate * m[row] / (np.sqrt(v[row]) + _EPSILON)
    found.append((table.copy(), m.copy(), v.copy()))
  return found


class LazyAdamTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(True, False)
  def test_matches_formula_at_every_step(self, use_resource):
    for found, expected in zip(_train(_lazy, use_resource=use_resource),
                               _formula()):
      for name, value in zip(("table", "table/Adam", "table/Adam_1"), expected):
        self.assertAllClose(found[name], value, rtol=1e-5, atol=1e-6)

  def test_in_float64_it_is_the_formula(self):
    for found, expected in zip(_train(_lazy, dtype=tf.float64), _formula()):
      # The rate and the betas are 32-bit constants of Adam's.
      for name, value in zip(("table", "table/Adam", "table/Adam_1"), expected):
        self.assertAllClose(found[name], value, rtol=1e-6, atol=1e-6)

  @parameterized.parameters(True, False)
  def test_a_loop_of_steps_matches_formula(self, use_xla):
    def body(step):
      gradient = tf.IndexedSlices(
          tf.gather(tf.constant(_GRADIENTS), step),
          tf.gather(tf.constant(np.stack(_READ), tf.int32), step),
          tf.constant([_ROWS, _WIDTH]))
      with tf.control_dependencies([
          _lazy().apply_gradients([(gradient, table)])]):
        return step + 1
    loop = lambda: tf.while_loop(lambda step: step < _STEPS, body, [0],
                                 maximum_iterations=_STEPS)
    with tf.Graph().as_default(), tf.Session() as session:
      table = tf.get_variable("table", initializer=_TABLE)
      train_op = (tf2.function(loop, jit_compile=True, autograph=False)()
                  if use_xla else loop())
      variables = {v.op.name: v for v in tf.global_variables()}
      session.run(tf.global_variables_initializer())
      session.run(train_op)
      found = session.run(variables)
    for name, value in zip(("table", "table/Adam", "table/Adam_1"),
                           _formula()[-1]):
      self.assertAllClose(found[name], value, rtol=1e-5, atol=1e-6)
    self.assertAllEqual(found["table"][6], _TABLE[6])

  @parameterized.parameters(True, False)
  def test_rows_that_are_not_read_stay_to_the_bit(self, use_resource):
    found = _train(_lazy, use_resource=use_resource)
    start = {"table": _TABLE, "table/Adam": np.zeros_like(_TABLE),
             "table/Adam_1": np.zeros_like(_TABLE)}
    for before, after, read in zip([start] + found, found, _READ):
      others = [row for row in range(_ROWS) if row not in read]
      for name in start:
        self.assertAllEqual(after[name][others], before[name][others])
        for row in set(read):
          self.assertNotAllEqual(after[name][row], before[name][row])

  def test_rows_read_in_every_step_are_adams(self):
    every = [np.array([0, 2, 5, 2])] * _STEPS
    for lazy, adam in zip(_train(_lazy, read=every),
                          _train(_adam, sparse=False, read=every)):
      for name in ("table", "table/Adam", "table/Adam_1"):
        self.assertAllClose(lazy[name][[0, 2, 5]], adam[name][[0, 2, 5]],
                            rtol=2e-6, atol=1e-7)

  def test_rows_that_come_and_go_are_not_adams(self):
    lazy, adam = _train(_lazy), _train(_adam, sparse=False)
    self.assertGreater(
        np.abs(lazy[-2]["table"] - adam[-2]["table"])[5].max(), 0.01)

  def test_dense_gradient_is_adams_to_the_bit(self):
    for lazy, adam in zip(_train(_lazy, sparse=False),
                          _train(_adam, sparse=False)):
      self.assertCountEqual(lazy, adam)
      for name, value in lazy.items():
        self.assertAllEqual(value, adam[name])

  def test_state_has_adams_names_and_betas(self):
    lazy, adam = _train(_lazy), _train(_adam)
    self.assertCountEqual(lazy[0], [
        "table", "table/Adam", "table/Adam_1", "beta1_power", "beta2_power"])
    self.assertCountEqual(lazy[0], adam[0])
    for name in ("beta1_power", "beta2_power"):
      self.assertAllEqual(lazy[-1][name], adam[-1][name])

  def test_a_step_that_reads_no_row_changes_only_the_betas(self):
    read = [np.array([0, 1]), np.array([], np.int64)]
    first, second = _train(_lazy, read=read)
    for name in ("table", "table/Adam", "table/Adam_1"):
      self.assertAllEqual(second[name], first[name])
    self.assertLess(second["beta1_power"], first["beta1_power"])

  def test_gradient_of_two_look_ups_of_one_table(self):
    with tf.Graph().as_default(), tf.Session() as session:
      table = tf.get_variable("table", initializer=_TABLE)
      loss = (tf.reduce_sum(tf.gather(table, [0, 4]))
              + 2 * tf.reduce_sum(tf.gather(table, [[4, 4], [1, 0]])))
      train_op = _lazy().minimize(loss)
      session.run(tf.global_variables_initializer())
      session.run(train_op)
      found = session.run(table)
    moved = [0, 1, 4]
    gradient = np.array([[3.0], [2.0], [5.0]])
    rate = _RATE * np.sqrt(1 - _BETA2) / (1 - _BETA1)
    m, v = (1 - _BETA1) * gradient, (1 - _BETA2) * gradient ** 2
    self.assertAllClose(found[moved], _TABLE[moved] - rate * m / (
        np.sqrt(v) + _EPSILON), rtol=1e-5)
    self.assertAllEqual(found[[2, 3, 5, 6]], _TABLE[[2, 3, 5, 6]])


if __name__ == "__main__":
  absltest.main()
