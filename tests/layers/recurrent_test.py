"""Tests of the recurrent layers."""

import functools

from absl.testing import absltest
from absl.testing import parameterized
import keras
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context

from mtl_graph.layers import initializers
from mtl_graph.layers import recurrent
from tests import numeric_gradient

_UNITS = 3
_RANDOM = np.random.default_rng(0)
_INPUTS = _RANDOM.normal(size=[6, 4, 2]).astype(np.float32)
_LENGTHS = np.int32([4, 0, 1, 3, 2, 4])
_SHAPES = {
    "lstm": {"kernel": [5, 12], "bias": [12]},
    "gru": {"gates/kernel": [5, 6], "gates/bias": [6],
            "candidate/kernel": [5, 3], "candidate/bias": [3]},
}


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _lstm_row(vectors, kernel, bias):
  h = c = np.zeros(len(bias) // 4)
  for x in vectors:
    i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
    c = c * _sigmoid(f + 1) + _sigmoid(i) * np.tanh(j)
    h = np.tanh(c) * _sigmoid(o)
  return h


def _gru_row(vectors, gates_kernel, gates_bias, kernel, bias):
  h = np.zeros(len(bias))
  for x in vectors:
    r, u = np.split(_sigmoid(
        np.concatenate([x, h]) @ gates_kernel + gates_bias), 2)
    h = u * h + (1 - u) * np.tanh(np.concatenate([x, r * h]) @ kernel + bias)
  return h


def _formula(kind, inputs, *variables, lengths=_LENGTHS):
  row = {"lstm": _lstm_row, "gru": _gru_row}[kind]
  return np.stack([row(vectors[:length], *variables)
                   for vectors, length in zip(inputs, lengths)])


def _build(kind, inputs=None, lengths=None, **kwargs):
  return getattr(recurrent, kind)(
      tf.constant(_INPUTS) if inputs is None else inputs,
      tf.constant(_LENGTHS) if lengths is None else lengths, _UNITS, **kwargs)


def _start(session):
  """Sets all variables, the biases too, to random values and returns them."""
  random = np.random.default_rng(1)
  session.run(tf.global_variables_initializer())
  values = [random.normal(size=v.shape).astype(np.float32)
            for v in tf.trainable_variables()]
  for variable, value in zip(tf.trainable_variables(), values):
    variable.load(value, session)
  return values


@parameterized.named_parameters(("lstm", "lstm"), ("gru", "gru"))
class RecurrentTest(parameterized.TestCase, tf.test.TestCase):

  def test_matches_formula_and_its_gradients(self, kind):
    upstream = np.random.default_rng(2).normal(size=[6, _UNITS])
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      outputs = _build(kind, inputs)
      self.assertEqual(outputs.shape.as_list(), [6, _UNITS])
      gradients = tf.gradients(outputs, [inputs] + tf.trainable_variables(),
                               tf.constant(upstream, tf.float32))
      values = _start(session)
      found, *gradients = session.run([outputs, *gradients])
    parts = [p.astype(np.float64) for p in (_INPUTS, *values)]
    self.assertAllClose(found, _formula(kind, *parts), rtol=1e-5, atol=1e-6)
    self.assertLen(gradients, len(parts))
    for i, gradient in enumerate(gradients):
      def joint(point, i=i):
        return np.sum(upstream * _formula(kind, *parts[:i], point,
                                          *parts[i + 1:]))
      self.assertAllClose(gradient, numeric_gradient.of(joint, parts[i]),
                          rtol=1e-4, atol=1e-5)

  def test_equals_keras(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = _build(kind)
      values = _start(session)
      found = session.run(outputs)
    if kind == "lstm":
      # Its gates are i, f, j, o, and its forget bias is part of the bias.
      kernel, bias = [np.concatenate([p[0], p[2], p[1], p[3]], -1) for p in (
          np.split(value, 4, -1) for value in values)]
      bias[_UNITS:2 * _UNITS] += 1
      make = functools.partial(keras.layers.LSTM, _UNITS)
    else:
      # Its gates are u, r and the candidate.
      kernel, bias = [np.concatenate([*np.split(gates, 2, -1)[::-1], own], -1)
                      for gates, own in (values[::2], values[1::2])]
      make = functools.partial(keras.layers.GRU, _UNITS, reset_after=False)
    mask = np.arange(4) < _LENGTHS[:, np.newaxis]
    with context.eager_mode():  # Whatever ran before in this process.
      layer = make()
      layer.build(_INPUTS.shape)
      layer.set_weights([kernel[:2], kernel[2:], bias])
      expected = layer(_INPUTS, mask=mask).numpy()
    self.assertAllClose(found, expected, rtol=1e-5, atol=1e-6)

  def test_what_lies_past_the_end_counts_for_nothing(self, kind):
    mask = np.arange(4) < _LENGTHS[:, np.newaxis]
    other = np.where(mask[:, :, np.newaxis], _INPUTS, np.float32(1e4))
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = [tf.constant(x) for x in (_INPUTS, other)]
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        outputs = [_build(kind, x) for x in inputs]
      both = [[y] + tf.gradients(y, [x] + tf.trainable_variables())
              for x, y in zip(inputs, outputs)]
      _start(session)
      found, expected = session.run(both)
    for a, b in zip(found, expected):
      self.assertAllEqual(a, b)
    self.assertAllEqual(found[1][~mask], np.zeros([(~mask).sum(), 2]))
    self.assertAllEqual(np.any(found[1] != 0, -1), mask)

  def test_row_without_vectors_gives_zeros(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      outputs = _build(kind, inputs, tf.zeros([6], tf.int32))
      gradients = tf.gradients(outputs, [inputs] + tf.trainable_variables())
      _start(session)
      for found in session.run([outputs, *gradients]):
        self.assertAllEqual(found, np.zeros(found.shape))

  def test_length_beyond_all_reads_all(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        both = [_build(kind, lengths=tf.fill([6], n)) for n in (4, 9)]
      _start(session)
      self.assertAllEqual(*session.run(both))

  def test_variables_and_how_they_start(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("outer"):
        _build(kind, seed=5, name="embedding/pages/rnn")
      scope = "outer/embedding/pages/rnn/"
      self.assertEqual(
          [(v.op.name, v.shape.as_list()) for v in tf.global_variables()],
          [(scope + name, shape) for name, shape in _SHAPES[kind].items()])
      self.assertLen(tf.trainable_variables(), len(_SHAPES[kind]))
      session.run(tf.global_variables_initializer())
      for variable in tf.global_variables():
        name, shape = variable.op.name, variable.shape.as_list()
        if name.endswith("kernel"):
          expected = session.run(initializers.glorot_uniform(5, name)(shape))
        else:
          expected = np.full(shape, float(name.endswith("gates/bias")))
        self.assertAllEqual(session.run(variable), expected)

  def test_unknown_batch_size(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.placeholder(tf.float32, [None, 4, 2])
      lengths = tf.placeholder(tf.int32, [None])
      outputs = _build(kind, inputs, lengths)
      gradients = tf.gradients(outputs, [inputs] + tf.trainable_variables())
      self.assertEqual(outputs.shape.as_list(), [None, _UNITS])
      values = _start(session)
      for size in (0, 1, 5):
        found, *others = session.run([outputs, *gradients], {
            inputs: _INPUTS[:size], lengths: _LENGTHS[:size]})
        self.assertEqual(found.shape, (size, _UNITS))
        if size:
          self.assertAllClose(found, _formula(kind, _INPUTS[:size], *values),
                              rtol=1e-5, atol=1e-6)
        self.assertEqual([g.shape for g in others], [(size, 4, 2)] + [
            tuple(shape) for shape in _SHAPES[kind].values()])

  def test_reuse_makes_nothing_new(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        both = [_build(kind) for _ in range(2)]
      self.assertLen(tf.global_variables(), len(_SHAPES[kind]))
      _start(session)
      self.assertAllEqual(*session.run(both))

  def test_equal_each_time_to_the_bit(self, kind):
    inputs = np.random.default_rng(3).normal(size=[64, 9, 16])
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(inputs, tf.float32)
      outputs = getattr(recurrent, kind)(inputs, tf.range(64) % 10, 16)
      tensors = [outputs] + tf.gradients(outputs,
                                         [inputs] + tf.trainable_variables())
      session.run(tf.global_variables_initializer())
      first = session.run(tensors)
      for _ in range(5):
        for a, b in zip(session.run(tensors), first):
          self.assertAllEqual(a, b)

  def test_equal_under_xla(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      def layer():
        inputs = tf.constant(_INPUTS)
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
          outputs = _build(kind, inputs)
        return [outputs] + tf.gradients(
            tf.square(outputs), [inputs] + tf.trainable_variables())
      plain = layer()
      compiled = tf2.function(layer, jit_compile=True)()
      self.assertLen(tf.global_variables(), len(_SHAPES[kind]))
      _start(session)
      for a, b in zip(*session.run([plain, compiled])):
        self.assertAllClose(a, b, rtol=1e-5, atol=1e-6)

  def test_inside_a_loop_of_the_caller(self, kind):
    # As a block of training steps has it: forward, backward, update, again.
    def descend():
      variables = tf.trainable_variables()
      def body(step, *unused_losses):
        with tf.variable_scope("", reuse=True):
          outputs = _build(kind, _INPUTS + tf.cast(step, tf.float32))
        loss = tf.reduce_sum(tf.square(outputs))
        gradients = tf.gradients(loss, variables)
        with tf.control_dependencies(gradients):
          updates = [v.assign_sub(0.01 * g, read_value=False)
                     for v, g in zip(variables, gradients)]
        with tf.control_dependencies(updates):
          return step + 1, tf.identity(loss)
      loss = tf.while_loop(lambda step, *_: step < 3, body,
                           (tf.constant(0), tf.constant(0.0)),
                           parallel_iterations=1, maximum_iterations=3)[1]
      with tf.control_dependencies([loss]):
        return [tf.identity(loss)] + [v.read_value() for v in variables]
    results = []
    with tf.Graph().as_default(), tf.Session() as session:
      _build(kind)
      for tensors in (descend(), tf2.function(descend, jit_compile=True)()):
        _start(session)
        results.append(session.run(tensors))
    variables = _reference_descent(kind)
    for found in results:
      self.assertLen(found, len(variables))
      for a, b in zip(found, variables):
        self.assertAllClose(a, b, rtol=1e-4, atol=1e-5)

  def test_runs_where_loops_are_those_of_tensorflow_1(self, kind):
    with tf.Graph().as_default() as graph, tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        outputs = [_build(kind, inputs)]
        tf.disable_control_flow_v2()
        self.addCleanup(tf.enable_control_flow_v2)
        outputs.append(_build(kind, inputs))
      self.assertContainsSubset(["StatelessWhile", "NextIteration"],
                                [op.type for op in graph.get_operations()])
      both = [[y] + tf.gradients(y, [inputs] + tf.trainable_variables())
              for y in outputs]
      _start(session)
      for a, b in zip(*session.run(both)):
        self.assertAllClose(a, b, rtol=1e-6, atol=1e-6)

  def test_bad_shape_is_refused(self, kind):
    for shape, rows, message in (
        ([6, 4], [6], r"`inputs` must have shape \[any, L, D\] with L and D "
         r"known, found \(6, 4\)"),
        ([6, None, 2], [6], r"`inputs` .* found \(6, None, 2\)"),
        ([6, 4, None], [6], r"`inputs` .* found \(6, 4, None\)"),
        (None, [6], "`inputs` .* found <unknown>"),
        ([6, 4, 2], [5], r"`lengths` must have shape \[6\], found \(5,\)"),
        ([None, 4, 2], [5, 1],
         r"`lengths` must have shape \[any\], found \(5, 1\)")):
      with tf.Graph().as_default(), self.assertRaisesRegex(
          ValueError, f"^layer: {message}.$"):
        _build(kind, tf.placeholder(tf.float32, shape),
               tf.placeholder(tf.int32, rows), name="layer")


def _reference_descent(kind):
  """Does what `descend` does in numpy; returns the last loss and variables."""
  random = np.random.default_rng(1)
  values = [random.normal(size=shape).astype(np.float32).astype(np.float64)
            for shape in _SHAPES[kind].values()]
  for step in range(3):
    def loss(*variables, step=step):
      return np.sum(_formula(kind, _INPUTS.astype(np.float64) + step,
                             *variables) ** 2)
    last = loss(*values)
    gradients = [
        numeric_gradient.of(
            lambda p, i=i: loss(*values[:i], p, *values[i + 1:]), value)
        for i, value in enumerate(values)]
    values = [v - 0.01 * g for v, g in zip(values, gradients)]
  return [last] + values


if __name__ == "__main__":
  absltest.main()
