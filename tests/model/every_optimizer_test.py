"""Tests of every optimizer there is, against TensorFlow's own."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import optimizers
from mtl_graph.protos import optimizers_pb2

_INITIAL = {"a": np.array([1.0, -2.0, 0.5]), "b": np.array([[3.0], [0.1]])}
_SCHEDULE = ("learning_rate { exponential_decay { initial: 0.05 decay_steps: 10"
             " decay_rate: 0.5 } warm_up { steps: 4 } }")
# Per optimizer, text protos of its fields and TensorFlow's own, made from the
# rate and the global step.
_OPTIMIZERS = {
    "adam": [
        ("", lambda r, n: tf.train.AdamOptimizer(r)),
        ("beta1: 0.5 beta2: 0.9 epsilon: 1e-3",
         lambda r, n: tf.train.AdamOptimizer(r, 0.5, 0.9, 1e-3))],
    "adamw": [
        ("", lambda r, n: tf.train.AdamOptimizer(r)),
        ("beta1: 0.5 beta2: 0.9 epsilon: 1e-3 weight_decay: 0.5",
         lambda r, n: tf.train.AdamOptimizer(r, 0.5, 0.9, 1e-3))],
    "lazy_adam": [
        ("", lambda r, n: tf.train.AdamOptimizer(r)),
        ("beta1: 0.5 beta2: 0.9 epsilon: 1e-3",
         lambda r, n: tf.train.AdamOptimizer(r, 0.5, 0.9, 1e-3))],
    "gradient_descent": [
        ("", lambda r, n: tf.train.GradientDescentOptimizer(r))],
    "momentum": [
        ("", lambda r, n: tf.train.MomentumOptimizer(r, 0.9)),
        ("momentum: 0.5 use_nesterov: true",
         lambda r, n: tf.train.MomentumOptimizer(r, 0.5, use_nesterov=True))],
    "rmsprop": [
        ("", lambda r, n: tf.train.RMSPropOptimizer(r)),
        ("decay: 0.7 momentum: 0.2 epsilon: 1e-3 centered: true",
         lambda r, n: tf.train.RMSPropOptimizer(r, 0.7, 0.2, 1e-3,
                                                centered=True))],
    "adagrad": [
        ("", lambda r, n: tf.train.AdagradOptimizer(r)),
        ("initial_accumulator_value: 0.5",
         lambda r, n: tf.train.AdagradOptimizer(r, 0.5))],
    "adadelta": [
        ("", lambda r, n: tf.train.AdadeltaOptimizer(r)),
        ("rho: 0.5 epsilon: 1e-3",
         lambda r, n: tf.train.AdadeltaOptimizer(r, 0.5, 1e-3))],
    "adagrad_da": [
        ("", lambda r, n: tf.train.AdagradDAOptimizer(r, n)),
        ("initial_gradient_squared_accumulator_value: 0.5 l1: 0.01 l2: 0.02",
         lambda r, n: tf.train.AdagradDAOptimizer(r, n, 0.5, 0.01, 0.02))],
    "ftrl": [
        ("", lambda r, n: tf.train.FtrlOptimizer(r)),
        ("learning_rate_power: -0.7 initial_accumulator_value: 0.5 l1: 0.01"
         " l2: 0.02 l2_shrinkage: 0.03 beta: 0.04",
         lambda r, n: tf.train.FtrlOptimizer(
             r, -0.7, 0.5, 0.01, 0.02, beta=0.04,
             l2_shrinkage_regularization_strength=0.03))],
    "proximal_gradient_descent": [
        ("", lambda r, n: tf.train.ProximalGradientDescentOptimizer(r)),
        ("l1: 0.01 l2: 0.02",
         lambda r, n: tf.train.ProximalGradientDescentOptimizer(r, 0.01,
                                                                0.02))],
    "proximal_adagrad": [
        ("", lambda r, n: tf.train.ProximalAdagradOptimizer(r)),
        ("initial_accumulator_value: 0.5 l1: 0.01 l2: 0.02",
         lambda r, n: tf.train.ProximalAdagradOptimizer(r, 0.5, 0.01, 0.02))],
}
_CASES = [(kind, i) for kind, texts in _OPTIMIZERS.items()
          for i in range(len(texts))]


def _optimizer(text):
  return text_format.Parse(text, optimizers_pb2.Optimizer())


def _session():
  exact = tf.ConfigProto()
  exact.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf.Session(config=exact)


def _variables():
  return [tf.get_variable(name, initializer=tf.constant(value, tf.float32))
          for name, value in _INITIAL.items()]


def _gradients(variables):
  loss = tf.add_n([tf.reduce_sum(tf.sin(3 * v) + 0.5 * v * v)
                   for v in variables])
  return tf.gradients(loss, variables)


def _step_of(optimizer, variables, condition=None):
  """Returns the train_op of a step with a schedule, counting the step."""
  global_step = tf.train.get_or_create_global_step()
  step = tf.identity(global_step)
  rate = optimizers.learning_rate(optimizer, step)
  return optimizers.group([optimizers.apply(
      optimizers.build(optimizer, rate, step), "optimizer/g",
      _gradients(variables), variables, condition)], global_step)


def _trace(make_train_op, steps):
  """Returns every variable's value after each step, by name."""
  with tf.Graph().as_default(), _session() as session:
    train_op = make_train_op(_variables())
    session.run(tf.global_variables_initializer())
    variables = {v.op.name: v for v in tf.global_variables()}
    traces = collections.defaultdict(list)
    for _ in range(steps):
      session.run(train_op)
      for name, value in session.run(variables).items():
        traces[name].append(value)
    return traces


class LearningRateTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_OPTIMIZERS)
  def test_is_the_schedule_of_the_optimizer(self, kind):
    with tf.Graph().as_default(), tf.Session() as session:
      step = tf.placeholder(tf.int64, [])
      rate = optimizers.learning_rate(
          _optimizer(f"{kind} {{ {_SCHEDULE} }}"), step)
      for n in (0, 2, 3, 10, 30):
        self.assertAllClose(
            session.run(rate, {step: n}),
            0.05 * 0.5 ** (n / 10) * min(1, (n + 1) / 4), rtol=1e-6, atol=0)


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_optimizer_and_every_field_is_tested(self):
    kinds = optimizers_pb2.Optimizer.DESCRIPTOR.oneofs_by_name["kind"].fields
    self.assertCountEqual([kind.name for kind in kinds], _OPTIMIZERS)
    for kind in kinds:
      seen = {"learning_rate"}
      for text, _ in _OPTIMIZERS[kind.name]:
        message = getattr(_optimizer(f"{kind.name} {{ {text} }}"), kind.name)
        seen.update(field.name for field, _ in message.ListFields())
      self.assertEqual(seen, {f.name for f in kind.message_type.fields})

  @parameterized.product(case=_CASES, condition=(None, True))
  def test_equals_tensorflows_to_the_bit_at_every_step(self, case, condition):
    kind, i = case
    text, make = _OPTIMIZERS[kind][i]

    def found(variables):
      return _step_of(
          _optimizer(f"{kind} {{ {_SCHEDULE} {text} }}"), variables,
          None if condition is None else tf.constant(condition))

    def expected(variables):
      step = tf.train.get_or_create_global_step()
      rate = tf.train.exponential_decay(0.05, step, 10, 0.5)
      rate *= tf.minimum(tf.cast(step + 1, tf.float32) / 4, 1.0)
      return make(rate, step).apply_gradients(
          zip(_gradients(variables), variables), step)
    found, expected = _trace(found, 20), _trace(expected, 20)
    for name, values in expected.items():
      plain = name in _INITIAL or name == "global_step"
      self.assertAllEqual(
          found.pop(name if plain else f"optimizer/g/{name}"), values)
      self.assertTrue(np.isfinite(values).all(), name)
      if name in _INITIAL:
        for before, after in zip([_INITIAL[name]] + values, values):
          self.assertNotAllEqual(before, after)
    self.assertEmpty(found)

  @parameterized.parameters(*_CASES)
  def test_a_loop_of_steps_is_the_same_to_the_bit(self, kind, i):
    text, _ = _OPTIMIZERS[kind][i]
    optimizer = _optimizer(f"{kind} {{ {_SCHEDULE} {text} }}")

    def loop(variables):
      def body(step):
        rate = optimizers.learning_rate(optimizer, step)
        with tf.control_dependencies([optimizers.apply(
            optimizers.build(optimizer, rate, step), "optimizer/g",
            _gradients(variables), variables)]):
          return step + 1
      return tf.while_loop(lambda step: step < 20, body,
                           [tf.constant(0, tf.int64)], maximum_iterations=20)
    found = _trace(loop, 1)
    expected = _trace(lambda variables: _step_of(optimizer, variables), 20)
    expected.pop("global_step")
    self.assertCountEqual(found, expected)
    for name, values in expected.items():
      self.assertAllEqual(found[name][-1], values[-1])

  def test_adagrad_da_counts_its_steps_from_0(self):
    def expected(variables):
      return tf.train.AdagradDAOptimizer(
          0.1, tf.constant(6, tf.int64), 0.1, 0.01, 0.3).apply_gradients(
              zip(_gradients(variables), variables))

    def found(dtype):
      def train_op(variables):
        message = _optimizer("adagrad_da { l1: 0.01 l2: 0.3 }")
        return optimizers.apply(
            optimizers.build(message, tf.constant(0.1), tf.constant(6, dtype)),
            "optimizer/g", _gradients(variables), variables)
      return train_op
    at_6 = _trace(expected, 1)
    for dtype in (tf.int64, tf.int32):
      self.assertAllEqual(_trace(found(dtype), 1)["a"], at_6["a"])
    # By the formula at the seventh step.
    x = _INITIAL["a"]
    gradient = 3 * np.cos(3 * x) + x
    root = np.sqrt(0.1 + gradient ** 2)
    shrunk = np.sign(gradient) * np.maximum(np.abs(gradient) - 7 * 0.01, 0)
    self.assertAllClose(at_6["a"][0], -0.1 * shrunk / (root + 7 * 0.1 * 0.3),
                        rtol=1e-5)


class ApplyTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(kind=tuple(_OPTIMIZERS), condition=(None, True))
  def test_every_optimizers_slots_lie_in_the_scope(self, kind, condition):
    with tf.Graph().as_default():
      _step_of(_optimizer(f"{kind} {{ {_SCHEDULE} }}"), _variables(),
               None if condition is None else tf.constant(condition))
      names = {v.op.name for v in tf.global_variables()}
    names -= {"a", "b", "global_step"}
    if kind not in ("gradient_descent", "proximal_gradient_descent"):
      self.assertNotEmpty(names)
    for name in names:
      self.assertStartsWith(name, "optimizer/g/")

  @parameterized.parameters(*_OPTIMIZERS)
  def test_where_the_condition_is_false_no_optimizer_moves_a_bit(self, kind):
    with tf.Graph().as_default(), _session() as session:
      condition = tf.placeholder(tf.bool, [])
      train_op = _step_of(_optimizer(f"{kind} {{ {_SCHEDULE} }}"), _variables(),
                          condition)
      session.run(tf.global_variables_initializer())
      session.run(train_op, {condition: True})
      read = lambda: {v.op.name: session.run(v) for v in tf.global_variables()}
      before = read()
      session.run(train_op, {condition: False})
      after = read()
    self.assertEqual([before.pop("global_step"), after.pop("global_step")],
                     [1, 2])
    self.assertCountEqual(after, before)
    for name, value in after.items():
      self.assertAllEqual(value, before[name])


if __name__ == "__main__":
  absltest.main()
