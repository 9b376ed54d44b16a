"""Tests of optimizers, learning rates, and the op that runs them all."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import optimizers
from mtl_graph.protos import optimizers_pb2

_INITIAL = {"a": np.array([1.0, -2.0, 0.5]), "b": np.array([[3.0], [0.1]])}


def _optimizer(text):
  return text_format.Parse(text, optimizers_pb2.Optimizer())


def _session():
  exact = tf.ConfigProto()
  exact.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf.Session(config=exact)


def _variables():
  return [tf.get_variable(name, initializer=tf.constant(value, tf.float32))
          for name, value in _INITIAL.items()]


def _gradients(variables, scale=1.0):
  loss = tf.add_n([tf.reduce_sum(tf.sin(3 * v) + 0.5 * v * v)
                   for v in variables])
  return tf.gradients(scale * loss, variables)


def _train(make_train_op, steps=5):
  """Returns every variable's value after some steps, by name."""
  with tf.Graph().as_default(), _session() as session:
    train_op = make_train_op(_variables())
    session.run(tf.global_variables_initializer())
    for _ in range(steps):
      session.run(train_op)
    return {v.op.name: session.run(v) for v in tf.global_variables()}


def _apply(variables, rate=0.01, scope="optimizer/g", condition=None, scale=1.0,
           text="adam {}"):
  return optimizers.apply(
      optimizers.build(_optimizer(text), tf.constant(rate, tf.float32),
                       tf.constant(0, tf.int64)), scope,
      _gradients(variables, scale), variables, condition)


def _ancestors(op):
  """Returns every op that runs before an op."""
  found, pending = set(), [op]
  while pending:
    op = pending.pop()
    before = {i.op for i in op.inputs} | set(op.control_inputs)
    pending.extend(before - found)
    found |= before
  return found


class LearningRateTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("optimizer", ""), ("rate", "adam {}"), ("kind",
                                               "adam { learning_rate {} }"))
  def test_empty_message_is_refused(self, text):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError, "found 'None'; allowed"):
      optimizers.learning_rate(_optimizer(text), tf.constant(0, tf.int64))


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def test_empty_message_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError, "^optimizer: found 'None'; allowed"):
      optimizers.build(_optimizer(""), tf.constant(0.01),
                       tf.constant(0, tf.int64))

  def test_adam_matches_formula(self):
    found = _train(lambda v: _apply(v, 0.02))
    for name, x in _INITIAL.items():
      m = v = 0.0
      for t in range(1, 6):
        g = 3 * np.cos(3 * x) + x
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x = x - 0.02 * (1 - 0.999 ** t) ** 0.5 / (1 - 0.9 ** t) * m / (
            v ** 0.5 + 1e-8)
      self.assertAllClose(found[name], x, rtol=1e-5)


class ApplyTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(None, True)
  def test_slots_lie_in_the_scope_of_the_group(self, condition):
    found = _train(lambda v: _apply(
        v, condition=None if condition is None else tf.constant(condition)))
    self.assertCountEqual(found, [
        "a", "b", "optimizer/g/a/Adam", "optimizer/g/a/Adam_1",
        "optimizer/g/b/Adam", "optimizer/g/b/Adam_1",
        "optimizer/g/beta1_power", "optimizer/g/beta2_power"])

  def test_slots_of_two_groups_lie_apart(self):
    found = _train(lambda v: tf.group(
        _apply(v[:1], scope="optimizer/g"), _apply(v[1:], scope="optimizer/h")))
    self.assertCountEqual([name for name in found if "/" in name], [
        "optimizer/g/a/Adam", "optimizer/g/a/Adam_1", "optimizer/h/b/Adam",
        "optimizer/h/b/Adam_1", "optimizer/g/beta1_power",
        "optimizer/g/beta2_power", "optimizer/h/beta1_power",
        "optimizer/h/beta2_power"])

  def test_variable_without_gradient_is_left_out(self):
    def make(variables):
      gradients = [_gradients(variables)[0], None]
      return optimizers.apply(
          optimizers.build(_optimizer("adam {}"), tf.constant(0.01),
                           tf.constant(0, tf.int64)),
          "optimizer/g", gradients, variables)
    found = _train(make)
    self.assertAllEqual(found["b"], _INITIAL["b"].astype(np.float32))
    self.assertNotIn("optimizer/g/b/Adam", found)

  def test_true_condition_changes_no_bit(self):
    found = _train(lambda v: _apply(v, condition=tf.constant(True)))
    for name, value in _train(_apply).items():
      self.assertAllEqual(found[name], value)

  def test_false_condition_keeps_variables_and_slots_to_the_bit(self):
    with tf.Graph().as_default(), _session() as session:
      condition = tf.placeholder(tf.bool, [])
      update = _apply(_variables(), condition=condition)
      session.run(tf.global_variables_initializer())
      read = lambda: {v.op.name: session.run(v) for v in tf.global_variables()}
      for _ in range(2):
        session.run(update, {condition: True})
      before = read()
      session.run(update, {condition: False})
      for name, value in read().items():
        self.assertAllEqual(value, before[name])
      session.run(update, {condition: True})
      after = read()
      for name, value in _train(_apply, steps=3).items():
        self.assertAllEqual(after[name], value)

  def test_sparse_gradient_made_dense_is_the_same_adam(self):
    def make(densify):
      def train_op(variables):
        gradient, = tf.gradients(
            tf.reduce_sum(tf.square(tf.gather(variables[0], [2, 0, 2]))),
            variables[:1])
        if densify:
          gradient = tf.convert_to_tensor(gradient)
        return optimizers.apply(
            tf.train.AdamOptimizer(0.01), "optimizer/g", [gradient],
            variables[:1])
      return train_op
    self.assertAllClose(_train(make(True))["a"], _train(make(False))["a"],
                        rtol=1e-6)


class GroupTest(tf.test.TestCase):

  def test_counts_the_step_after_all_updates(self):
    with tf.Graph().as_default(), _session() as session:
      step = tf.train.get_or_create_global_step()
      a, b = _variables()
      updates = [a.assign(a + 1, read_value=False),
                 b.assign(b + 2, read_value=False)]
      train_op = optimizers.group(updates, step)
      self.assertEqual(train_op.name, "train_op")
      count, = [op for op in train_op.control_inputs if op not in updates]
      self.assertContainsSubset(updates, _ancestors(count))
      session.run(tf.global_variables_initializer())
      session.run(train_op)
      session.run(train_op)
      self.assertEqual(session.run(step), 2)
      self.assertAllClose(session.run(a), _INITIAL["a"] + 2)
      self.assertAllClose(session.run(b), _INITIAL["b"] + 4)

  def test_without_step(self):
    with tf.Graph().as_default(), _session() as session:
      a, _ = _variables()
      train_op = optimizers.group([a.assign_add(tf.ones([3])).op])
      session.run(tf.global_variables_initializer())
      session.run(train_op)
      self.assertAllClose(session.run(a), _INITIAL["a"] + 1)


class AdamPerGroupLawsTest(parameterized.TestCase, tf.test.TestCase):
  """The laws of METHODS.md, section 5."""

  def _two(self, rate_a, rate_b, scale_b=1.0, steps=5):
    return _train(lambda v: tf.group(
        _apply(v[:1], rate_a, "optimizer/a"),
        _apply(v[1:], rate_b, "optimizer/b", scale=scale_b)), steps)

  def test_first_step_moves_each_coordinate_by_its_groups_rate(self):
    found = self._two(0.001, 0.5, steps=1)
    for name, rate in (("a", 0.001), ("b", 0.5)):
      x = _INITIAL[name]
      gradient = 3 * np.cos(3 * x) + x
      self.assertAllClose(found[name] - x, -rate * np.sign(gradient), rtol=1e-3,
                          atol=1e-7)

  def test_rate_zero_freezes_to_the_bit(self):
    found = self._two(0.0, 0.01)
    self.assertAllEqual(found["a"], _INITIAL["a"].astype(np.float32))
    self.assertNotAllEqual(found["b"], _INITIAL["b"].astype(np.float32))

  def test_equal_rates_are_one_adam_to_the_bit(self):
    found = self._two(0.01, 0.01)
    one = _train(lambda v: _apply(v, 0.01))
    for name in _INITIAL:
      self.assertAllEqual(found[name], one[name])
      for slot in ("Adam", "Adam_1"):
        self.assertAllEqual(found[f"optimizer/{name}/{name}/{slot}"],
                            one[f"optimizer/g/{name}/{slot}"])

  @parameterized.parameters(100.0, 0.01)
  def test_scaling_gradients_changes_next_to_nothing(self, scale):
    found, plain = self._two(0.01, 0.01, scale), self._two(0.01, 0.01)
    # Epsilon counts against the root of v, which is not bias-corrected.
    self.assertAllClose(found["b"], plain["b"], rtol=0, atol=1e-5)
    # Whereas scaling the rate does.
    scaled = self._two(0.01, 0.01 * scale)
    self.assertGreater(np.abs(scaled["b"] - plain["b"]).max(), 0.01)

  def test_groups_do_not_touch_each_other(self):
    found, other = self._two(0.01, 0.01), self._two(0.01, 0.5, 7.0)
    self.assertAllEqual(found["a"], other["a"])


if __name__ == "__main__":
  absltest.main()
