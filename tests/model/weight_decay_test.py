"""Tests of decoupled weight decay, against Keras's own AdamW."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import keras
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context

from mtl_graph.model import optimizers
from mtl_graph.protos import optimizers_pb2

_STEPS = 20
# Shapes by name, and which of them decay.
_DECAYED = {"trunk/dense/kernel": [3, 2], "embedding/c/embeddings": [4, 2],
            "wide/late/c/weights": [4, 1], "kernel": [2, 2]}
_KEPT = {"trunk/dense/bias": [2], "head/late/thresholds": [3],
         "trunk/batch_normalization/gamma": [2], "log_variance/kernel": [],
         "kernel/scale": [2]}
_SHAPES = {**_DECAYED, **_KEPT}
_INITIAL = {name: np.asarray(np.random.RandomState(i).randn(*shape),
                             np.float32)
            for i, (name, shape) in enumerate(_SHAPES.items())}
_GRADIENTS = [{name: np.asarray(np.random.RandomState(100 * step + i).randn(
    *shape), np.float32) for i, (name, shape) in enumerate(_SHAPES.items())}
              for step in range(_STEPS)]


def _rate(step):
  return np.float32(0.05 * 0.9 ** step)


def _optimizer(text):
  return text_format.Parse(text, optimizers_pb2.Optimizer())


def _variables():
  return {name: tf.get_variable(name, initializer=value)
          for name, value in _INITIAL.items()}


def _train(text, of_group=0.0, condition=None, without_gradient=()):
  """Returns the values of the variables after each step, by name."""
  with tf.Graph().as_default(), tf.Session() as session:
    variables = _variables()
    gradients = {name: tf.placeholder(tf.float32, shape)
                 for name, shape in _SHAPES.items()}
    rate = tf.placeholder(tf.float32, [])
    update = optimizers.apply(
        optimizers.build(_optimizer(text), rate, tf.constant(0, tf.int64)),
        "optimizer/g", [None if name in without_gradient else g
                        for name, g in gradients.items()],
        list(variables.values()),
        None if condition is None else tf.constant(condition),
        optimizers.weight_decay(_optimizer(text), rate, of_group))
    session.run(tf.global_variables_initializer())
    found = []
    for step in range(_STEPS):
      feed = {gradients[name]: g for name, g in _GRADIENTS[step].items()}
      session.run(update, {**feed, rate: _rate(step)})
      found.append(session.run(variables))
    return found


def _keras(weight_decay):
  """Returns what Keras's AdamW, run eagerly, makes of the same gradients."""
  # Another test of this process may have left TensorFlow in graph mode.
  with context.eager_mode():
    variables = {name: keras.Variable(value)
                 for name, value in _INITIAL.items()}
    adamw = keras.optimizers.AdamW(0.1, weight_decay, epsilon=1e-8)
    adamw.exclude_from_weight_decay(var_list=[variables[n] for n in _KEPT])
    found = []
    for step in range(_STEPS):
      adamw.learning_rate = _rate(step)
      adamw.apply([keras.ops.convert_to_tensor(_GRADIENTS[step][name])
                   for name in variables], list(variables.values()))
      found.append({name: v.numpy() for name, v in variables.items()})
    return found


def _ancestors(op):
  found, pending = set(), [op]
  while pending:
    op = pending.pop()
    before = {i.op for i in op.inputs} | set(op.control_inputs)
    pending.extend(before - found)
    found |= before
  return found


class WeightDecayTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ("adam {}", 0.0, None), ("lazy_adam {}", 0.0, None),
      ("adamw { weight_decay: 0 }", 0.0, None), ("adamw {}", 0.0, 0.004),
      ("adam {}", 0.5, 0.5), ("momentum {}", 0.5, 0.5),
      ("adamw {}", 0.5, 0.504), ("adamw { weight_decay: 0.1 }", 0.2, 0.3))
  def test_of_group_and_of_adamw_add_up(self, text, of_group, expected):
    with tf.Graph().as_default() as graph, tf.Session() as session:
      rate = tf.constant(0.25)
      found = optimizers.weight_decay(_optimizer(text), rate, of_group)
      if expected is None:
        self.assertIsNone(found)
        self.assertLen(graph.get_operations(), 1)
      else:
        self.assertEqual(found.shape.as_list(), [])
        self.assertAllClose(session.run(found), 0.25 * expected, rtol=1e-6,
                            atol=0)


class ApplyTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ("adamw {}", 0.0, 0.004), ("adamw { weight_decay: 0.5 }", 0.0, 0.5),
      ("adam {}", 0.5, 0.5), ("lazy_adam {}", 0.5, 0.5),
      ("adamw { weight_decay: 2 }", 3.0, 5.0))
  def test_adamw_is_kerass_at_every_step(self, text, of_group, weight_decay):
    for found, expected in zip(_train(text, of_group), _keras(weight_decay)):
      for name, value in expected.items():
        self.assertAllClose(found[name], value, rtol=1e-6, atol=1e-6)

  def test_keras_test_would_notice(self):
    for found, other in ((_train("adam {}"), _keras(0.5)),
                         (_train("adamw {}"), _train("adam {}"))):
      for name in _DECAYED:
        self.assertGreater(np.abs(found[-1][name] - other[-1][name]).max(),
                           1e-4)
      for name in _KEPT:
        self.assertAllClose(found[-1][name], other[-1][name], rtol=1e-6,
                            atol=1e-6)

  @parameterized.parameters(
      ("gradient_descent {}",), ("momentum { momentum: 0 }",))
  def test_matches_formula(self, text):
    value = {name: v.astype(np.float64) for name, v in _INITIAL.items()}
    for step, found in enumerate(_train(text, 2.0)):
      rate = float(_rate(step))
      for name, gradient in _GRADIENTS[step].items():
        share = 2.0 * rate if name in _DECAYED else 0.0
        value[name] = value[name] - share * value[name] - rate * gradient
        self.assertAllClose(found[name], value[name], rtol=1e-5, atol=1e-6)

  def test_true_condition_changes_no_bit(self):
    for found, expected in zip(_train("adamw {}", 0.5, condition=True),
                               _train("adamw {}", 0.5)):
      for name, value in expected.items():
        self.assertAllEqual(found[name], value)

  def test_false_condition_keeps_everything_to_the_bit(self):
    for found in _train("adamw {}", 0.5, condition=False):
      for name, value in _INITIAL.items():
        self.assertAllEqual(found[name], value)

  @parameterized.parameters(None, True)
  def test_variable_without_gradient_does_not_decay(self, condition):
    found = _train("adamw {}", 0.5, condition, ["kernel"])[-1]
    self.assertAllEqual(found["kernel"], _INITIAL["kernel"])
    self.assertNotAllEqual(found["trunk/dense/kernel"],
                           _INITIAL["trunk/dense/kernel"])

  @parameterized.parameters("adam {}", "adamw { weight_decay: 0 }",
                            "lazy_adam {}")
  def test_without_decay_there_are_the_ops_of_the_optimizer_only(self, text):
    def ops(update):
      with tf.Graph().as_default() as graph:
        variables = list(_variables().values())
        update([tf.ones_like(v) for v in variables], variables)
        return collections.Counter(op.type for op in graph.get_operations())
    rate = lambda: tf.constant(0.1)
    found = ops(lambda gradients, variables: optimizers.apply(
        optimizers.build(_optimizer(text), rate(), None), "optimizer/g",
        gradients, variables,
        decay=optimizers.weight_decay(_optimizer(text), None, 0.0)))
    self.assertEqual(found, ops(
        lambda gradients, variables: tf.train.AdamOptimizer(
            rate()).apply_gradients(zip(gradients, variables))))

  def test_no_gradient_comes_after_a_decay(self):
    with tf.Graph().as_default() as graph:
      a = tf.get_variable("a/kernel", [2, 2])
      b = tf.get_variable("b/kernel", [2, 2])
      gradients = tf.gradients(tf.reduce_sum(tf.matmul(a, b)), [a, b])
      optimizers.apply(tf.train.AdamOptimizer(0.1), "optimizer/g", gradients,
                       [a, b], decay=tf.constant(0.5))
      decays = [op for op in graph.get_operations()
                if op.type == "AssignSubVariableOp"]
      updates = [op for op in graph.get_operations()
                 if op.type == "ResourceApplyAdam"]
      self.assertLen(decays, 2)
      self.assertLen(updates, 2)
      for decay in decays:
        self.assertContainsSubset({g.op for g in gradients}, _ancestors(decay))
      for update in updates:
        self.assertContainsSubset(set(decays), _ancestors(update))

  @parameterized.parameters(None, True)
  def test_of_a_sparse_gradient_only_its_rows_decay_and_once(self, condition):
    with tf.Graph().as_default(), tf.Session() as session:
      table = tf.get_variable("c/embeddings",
                              initializer=np.ones([5, 2], np.float32))
      gradient, = tf.gradients(
          tf.reduce_sum(tf.gather(table, [3, 1, 3])), [table])
      optimizer = optimizers.build(_optimizer("lazy_adam {}"), tf.constant(0.1),
                                   tf.constant(0, tf.int64))
      update = optimizers.apply(
          optimizer, "optimizer/g", [gradient], [table],
          None if condition is None else tf.constant(condition),
          tf.constant(0.25))
      session.run(tf.global_variables_initializer())
      session.run(update)
      found = session.run(table)
    self.assertAllEqual(found[[0, 2, 4]], np.ones([3, 2]))
    # Adam's first step is the rate.
    self.assertAllClose(found[[1, 3]], np.full([2, 2], 0.75 - 0.1), rtol=1e-6)


if __name__ == "__main__":
  absltest.main()
