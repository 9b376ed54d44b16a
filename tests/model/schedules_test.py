"""Tests of learning rates as functions of the step."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import schedules
from mtl_graph.protos import optimizers_pb2

_STEPS = tuple(range(43)) + (60, 99, 100, 101)
# Where float32 no longer holds a step's share of a period to 1e-6.
_FAR = (1000, 123456, 2 ** 24 + 1)


def _polynomial(n, initial, steps, end, power, cycle=False):
  if cycle:
    steps *= max(np.ceil(n / steps), 1)
  return (initial - end) * (1 - min(n, steps) / steps) ** power + end


def _restarts(n, initial, steps, t_mul, m_mul, alpha):
  scale, start = 1.0, 0.0
  while n >= start + steps:
    start, steps, scale = start + steps, steps * t_mul, scale * m_mul
  cosine = scale * (1 + np.cos(np.pi * (n - start) / steps)) / 2
  return initial * ((1 - alpha) * cosine + alpha)


def _cosine(n, initial, steps, alpha):
  return initial * ((1 - alpha) * (1 + np.cos(np.pi * min(n / steps, 1))) / 2
                    + alpha)


# A text proto, its formula in float64, and TensorFlow's own where it has one.
_RATES = {
    "constant": ("constant: 0.25", lambda n: 0.25, None),
    "zero": ("constant: 0", lambda n: 0.0, None),
    "exponential_decay": (
        "exponential_decay { initial: 0.5 decay_steps: 10 decay_rate: 0.9 }",
        lambda n: 0.5 * 0.9 ** (n / 10),
        lambda n: tf.train.exponential_decay(0.5, n, 10, 0.9)),
    "growth": (
        "exponential_decay { initial: 0.5 decay_steps: 1000 decay_rate: 1.5 }",
        lambda n: 0.5 * 1.5 ** (n / 1000),
        lambda n: tf.train.exponential_decay(0.5, n, 1000, 1.5)),
    "staircase": (
        "exponential_decay { initial: 0.5 decay_steps: 10 decay_rate: 0.9"
        " staircase: true }", lambda n: 0.5 * 0.9 ** (n // 10),
        lambda n: tf.train.exponential_decay(0.5, n, 10, 0.9, True)),
    "piecewise": (
        "piecewise { boundary: 0 boundary: 10 boundary: 11"
        " value: 0.1 value: 0.7 value: 0.3 value: 0.02 }",
        lambda n: (0.1 if n <= 0 else 0.7 if n <= 10 else 0.3 if n <= 11
                   else 0.02),
        lambda n: tf.train.piecewise_constant(n, [0, 10, 11],
                                              [0.1, 0.7, 0.3, 0.02])),
    "one_boundary": (
        "piecewise { boundary: 5 value: 0 value: 1 }",
        lambda n: 0 if n <= 5 else 1,
        lambda n: tf.train.piecewise_constant(n, [5], [0.0, 1.0])),
    "cosine_decay": (
        "cosine_decay { initial: 0.5 decay_steps: 30 alpha: 0.1 }",
        lambda n: _cosine(n, 0.5, 30, 0.1),
        lambda n: tf.train.cosine_decay(0.5, n, 30, 0.1)),
    "cosine_decay_to_zero": (
        "cosine_decay { initial: 0.5 decay_steps: 30 }",
        lambda n: _cosine(n, 0.5, 30, 0),
        lambda n: tf.train.cosine_decay(0.5, n, 30)),
    "cosine_restarts": (
        "cosine_restarts { initial: 0.5 first_decay_steps: 5 m_mul: 0.9"
        " alpha: 0.1 }", lambda n: _restarts(n, 0.5, 5, 2, 0.9, 0.1),
        lambda n: tf.train.cosine_decay_restarts(0.5, n, 5, 2.0, 0.9, 0.1)),
    "cosine_restarts_of_one_length": (
        "cosine_restarts { initial: 0.5 first_decay_steps: 7 t_mul: 1 }",
        lambda n: _restarts(n, 0.5, 7, 1, 1, 0),
        lambda n: tf.train.cosine_decay_restarts(0.5, n, 7, 1.0)),
    "polynomial_decay": (
        "polynomial_decay { initial: 0.5 decay_steps: 30 end: 0.1 power: 0.5 }",
        lambda n: _polynomial(n, 0.5, 30, 0.1, 0.5),
        lambda n: tf.train.polynomial_decay(0.5, n, 30, 0.1, 0.5)),
    "straight_line": (
        "polynomial_decay { initial: 0.5 decay_steps: 30 }",
        lambda n: _polynomial(n, 0.5, 30, 0, 1),
        lambda n: tf.train.polynomial_decay(0.5, n, 30, 0.0)),
    "rising_line": (
        "polynomial_decay { initial: 0 decay_steps: 30 end: 0.2 power: 2 }",
        lambda n: _polynomial(n, 0, 30, 0.2, 2),
        lambda n: tf.train.polynomial_decay(0.0, n, 30, 0.2, 2.0)),
    "cycle": (
        "polynomial_decay { initial: 0.5 decay_steps: 10 end: 0.1 power: 1.5"
        " cycle: true }", lambda n: _polynomial(n, 0.5, 10, 0.1, 1.5, True),
        lambda n: tf.train.polynomial_decay(0.5, n, 10, 0.1, 1.5, True)),
    "inverse_square_root": (
        "inverse_square_root { initial: 0.5 decay_steps: 12 }",
        lambda n: 0.5 * np.sqrt(12 / max(n, 12)), None),
}
_TENSORFLOWS = [name for name, rate in _RATES.items() if rate[2] is not None]


def _rate(text):
  return text_format.Parse(text, optimizers_pb2.LearningRate())


def _at_steps(make, steps=_STEPS):
  """Returns a rate at each step, one session.run per step."""
  with tf.Graph().as_default(), tf.Session() as session:
    step = tf.placeholder(tf.int64, [])
    rate = make(step)
    return np.array([session.run(rate, {step: n}) for n in steps])


class LearningRateTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_kind_and_every_field_is_tested(self):
    kinds = optimizers_pb2.LearningRate.DESCRIPTOR.oneofs_by_name["kind"].fields
    seen = {kind.name: set() for kind in kinds}
    for text, _, _ in _RATES.values():
      kind = _rate(text).WhichOneof("kind")
      if kind == "constant":
        seen[kind].add("constant")
        continue
      fields = getattr(_rate(text), kind).ListFields()
      seen[kind].update(field.name for field, _ in fields)
    for kind in kinds:
      expected = ({"constant"} if kind.message_type is None
                  else {field.name for field in kind.message_type.fields})
      self.assertEqual(seen[kind.name], expected, kind.name)

  @parameterized.parameters(*_RATES)
  def test_matches_formula(self, name):
    text, formula, _ = _RATES[name]
    found = _at_steps(lambda n: schedules.learning_rate(_rate(text), n))
    self.assertAllClose(found, [formula(n) for n in _STEPS], rtol=1e-6,
                        atol=1e-6)

  @parameterized.parameters(*_TENSORFLOWS)
  def test_equals_tensorflows_to_the_bit(self, name):
    text, _, expected = _RATES[name]
    self.assertAllEqual(
        _at_steps(lambda n: schedules.learning_rate(_rate(text), n),
                  _STEPS + _FAR), _at_steps(expected, _STEPS + _FAR))

  @parameterized.product(name=tuple(_RATES), dtype=(tf.int64, tf.int32))
  def test_is_a_float32_scalar(self, name, dtype):
    with tf.Graph().as_default():
      rate = schedules.learning_rate(_rate(_RATES[name][0] + " warm_up { "
                                           "steps: 3 }"), tf.constant(7, dtype))
      self.assertEqual(rate.dtype, tf.float32)
      self.assertEqual(rate.shape.as_list(), [])

  @parameterized.product(name=tuple(_RATES), steps=(1, 20))
  def test_warm_up_multiplies(self, name, steps):
    text, formula, _ = _RATES[name]
    plain = _at_steps(lambda n: schedules.learning_rate(_rate(text), n))
    found = _at_steps(lambda n: schedules.learning_rate(
        _rate(f"{text} warm_up {{ steps: {steps} }}"), n))
    self.assertAllClose(
        found, [formula(n) * min(1, (n + 1) / steps) for n in _STEPS],
        rtol=1e-6, atol=1e-6)
    # The rate is the schedule's own from the last step of the warm-up on.
    self.assertAllEqual(found[steps - 1:], plain[steps - 1:])

  @parameterized.parameters(*_RATES)
  def test_is_made_anew_in_each_step_of_a_loop(self, name):
    rate = _rate(_RATES[name][0] + " warm_up { steps: 3 }")
    make = lambda n: schedules.learning_rate(rate, n)

    def body(n, rates):
      return n + 1, tf.concat([rates[1:], [make(n)]], 0)
    with tf.Graph().as_default(), tf.Session() as session:
      _, rates = tf.while_loop(
          lambda n, _: n < 45, body, [tf.constant(0, tf.int64), tf.zeros([45])],
          maximum_iterations=45)
      found = session.run(rates)
    self.assertAllEqual(found, _at_steps(make, range(45)))

  @parameterized.parameters(*_RATES)
  def test_under_xla_it_is_the_same_but_for_rounding(self, name):
    rate = _rate(_RATES[name][0] + " warm_up { steps: 3 }")
    make = lambda n: schedules.learning_rate(rate, n)
    found = _at_steps(tf2.function(make, jit_compile=True, autograph=False))
    self.assertAllClose(found, _at_steps(make), rtol=1e-6, atol=1e-7)

  @parameterized.parameters(*_RATES)
  def test_nothing_runs_that_xla_or_a_gpu_lacks(self, name):
    with tf.Graph().as_default() as graph:
      schedules.learning_rate(_rate(_RATES[name][0] + " warm_up { steps: 3 }"),
                              tf.placeholder(tf.int64, []))
      definition = graph.as_graph_def()
    nodes = list(definition.node) + [
        node for function in definition.library.function
        for node in function.node_def]
    self.assertNoCommonElements(
        {node.op for node in nodes}, {"Assert", "StringFormat", "PyFunc"})
    self.assertNotIn(tf.string.as_datatype_enum,
                     {node.attr["dtype"].type for node in nodes})

  @parameterized.parameters("", "warm_up { steps: 3 }")
  def test_without_kind_it_is_refused(self, text):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError, "^learning_rate: found 'None'; allowed"):
      schedules.learning_rate(_rate(text), tf.constant(0, tf.int64))


if __name__ == "__main__":
  absltest.main()
