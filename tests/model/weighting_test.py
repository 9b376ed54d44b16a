"""Tests of how task losses become one."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import weighting
from mtl_graph.ops import task_losses
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.protos import training_pb2

_TASKS = [text_format.Parse(text, model_pb2.Task()) for text in (
    'name: "squared" regression {} weight: 0.5',
    'name: "absolute" regression { loss: ABSOLUTE } weight: 2',
    'name: "huber" regression { loss: HUBER } weight: 0',
    'name: "binary" binary {}',
    'name: "classes" multiclass { num_classes: 3 } weight: 1',
    'name: "quantiles" quantiles { level: 0.5 } weight: 3')]
# Numerators and denominators of the tasks' losses.
_SUMS = np.array([2.0, 3.0, 8.0, 1.0, 5.0, 4.0])
_WEIGHTS = np.array([4.0, 2.0, 1.0, 0.5, 2.0, 8.0])
_S = np.array([-1.0, 0.5, 2.0, 0.1, -0.3, -0.7])
_FACTORS = np.array([0.5, 2, 0, 1, 1, 3])
# What uncertainty has: c exp(-k s) loss + s / 2.
_C, _K = np.array([0.5, 1, 1, 1, 1, 1]), np.array([1, 0.5, 1, 1, 1, 0.5])

# A text proto per method, with the total and the weights it leads to.
_METHODS = {
    "sum": ("sum {}", lambda mean: (mean.sum(), np.ones(6))),
    "weighted_sum": ("weighted_sum {}", lambda mean: (
        np.sum(mean * _FACTORS), _FACTORS)),
    "uncertainty": ("uncertainty {}", lambda mean: (
        np.sum(_scales() * mean + 0.5 * _S), _scales())),
}


def _scales():
  return _C * np.exp(-_S * _K)


def _integration(text):
  return text_format.Parse(text, training_pb2.LossIntegration())


def _losses(weights=_WEIGHTS):
  return {task.name: task_losses.TaskLoss(
      tf.constant(s * (w > 0), tf.float32), tf.constant(w, tf.float32))
          for task, s, w in zip(_TASKS, _SUMS, weights)}


def _initialize(session, log_variances=_S):
  session.run(tf.global_variables_initializer())
  for task, value in zip(_TASKS, log_variances):
    for variable in tf.trainable_variables(f"log_variance/{task.name}:"):
      variable.load(value, session)


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_method_is_tested(self):
    kinds = training_pb2.LossIntegration.DESCRIPTOR.oneofs_by_name["kind"]
    self.assertCountEqual([kind.name for kind in kinds.fields], _METHODS)

  @parameterized.parameters(*_METHODS)
  def test_matches_formula(self, method):
    text, formula = _METHODS[method]
    with tf.Graph().as_default(), tf.Session() as session:
      combined = weighting.build(_integration(text), _TASKS, _losses())
      _initialize(session)
      found = session.run(combined)
    means = _SUMS / _WEIGHTS
    loss, weights = formula(means)
    self.assertAllClose(found.loss, loss, rtol=1e-6)
    self.assertAllClose(found.task_losses, means)
    self.assertAllClose(found.task_weights, weights)

  @parameterized.parameters(*_METHODS)
  def test_task_without_labels_drops_out(self, method):
    text, _ = _METHODS[method]
    absent = _WEIGHTS * [1, 1, 1, 0, 1, 1]
    with tf.Graph().as_default(), tf.Session() as session:
      combined = weighting.build(_integration(text), _TASKS, _losses(absent))
      _initialize(session)
      found = session.run(combined)
    rest = np.array([0, 1, 2, 4, 5])
    means = _SUMS[rest] / _WEIGHTS[rest]
    expected = {"sum": means.sum(),
                "weighted_sum": np.sum(means * _FACTORS[rest]),
                "uncertainty": np.sum(_scales()[rest] * means + _S[rest] / 2)}
    self.assertAllClose(found.loss, expected[method], rtol=1e-6)
    self.assertAllEqual(found.task_losses[3], 0)

  @parameterized.parameters("sum", "weighted_sum")
  def test_fixed_weights_make_no_variable(self, method):
    with tf.Graph().as_default():
      weighting.build(_integration(_METHODS[method][0]), _TASKS, _losses())
      self.assertEmpty(tf.global_variables())

  def test_empty_message_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError, "^training.joint.loss: found 'None'; allowed"):
      weighting.build(_integration(""), _TASKS, _losses())


class UncertaintyTest(parameterized.TestCase, tf.test.TestCase):

  def test_log_variances_are_trainable_scalars_of_the_tasks(self):
    with tf.Graph().as_default(), tf.Session() as session:
      weighting.build(_integration("uncertainty { initial_log_variance: -0.5 }"
                                  ), _TASKS, _losses())
      variables = tf.trainable_variables()
      self.assertEqual([v.op.name for v in variables],
                       [f"log_variance/{task.name}" for task in _TASKS])
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(session.run(variables), [-0.5] * 6)

  def test_second_build_uses_the_same_variables(self):
    with tf.Graph().as_default():
      for _ in range(2):
        weighting.build(_integration("uncertainty {}"), _TASKS, _losses())
      self.assertLen(tf.global_variables(), 6)
      self.assertIs(weighting.log_variance("binary", 0.0),
                    tf.trainable_variables("log_variance/binary")[0])

  def test_gradient_vanishes_at_the_optimum_of_each_loss(self):
    means = _SUMS / _WEIGHTS
    optimum = np.log(means * [1, means[1], 2, 2, 2, means[5]])
    with tf.Graph().as_default(), tf.Session() as session:
      combined = weighting.build(_integration("uncertainty {}"), _TASKS,
                                 _losses())
      _initialize(session, optimum)
      self.assertAllClose(session.run(tf.gradients(
          combined.loss, tf.trainable_variables())), np.zeros(6), atol=1e-6)

  def test_absent_task_gives_its_log_variance_no_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      combined = weighting.build(_integration("uncertainty {}"), _TASKS,
                                 _losses(_WEIGHTS * [1, 0, 1, 0, 1, 1]))
      _initialize(session)
      gradients = session.run(tf.gradients(combined.loss,
                                           tf.trainable_variables()))
      self.assertAllEqual(np.array(gradients) == 0,
                          [0, 1, 0, 1, 0, 0])

  def test_limits_come_from_the_message(self):
    with tf.Graph().as_default(), tf.Session() as session:
      combined = weighting.build(
          _integration("uncertainty { min_log_variance: -0.2"
                       " max_log_variance: 0.3 }"), _TASKS, _losses())
      _initialize(session)
      weights, gradients = session.run([
          combined.task_weights,
          tf.gradients(combined.loss, tf.trainable_variables())])
    s = np.clip(_S, -0.2, 0.3)
    expected = _C * np.exp(-s * _K)
    self.assertAllClose(weights, expected)
    raw = 0.5 - expected * _K * _SUMS / _WEIGHTS
    outward = np.where(_S < -0.2, raw > 0, (_S > 0.3) & (raw < 0))
    self.assertAllClose(gradients, np.where(outward, 0, raw))


class PenaltiesTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, penalties):
    """Returns the loss with its penalties, and the gradient by a and b."""
    with tf.Graph().as_default(), tf.Session() as session:
      a, b, c = [tf.get_variable(name, initializer=tf.constant(value)) for
                 name, value in (("a", [1.0, -2.0]), ("b", [[3.0]]),
                                 ("c", [4.0, 0.0]))]
      loss = weighting.add_penalties(
          tf.constant(10.0), {name: text_format.Parse(
              text, layers_pb2.Regularization())
                              for name, text in penalties.items()},
          {"first": [a], "second": [b, c]})
      session.run(tf.global_variables_initializer())
      return session.run([loss, tf.gradients(
          loss, [a, b, c], unconnected_gradients="zero")])

  def test_matches_formula(self):
    loss, gradients = self._run({"a": "l1: 0.5", "b": "l2: 2",
                                 "c": "l1: 1 l2: 0.5"})
    self.assertAllClose(loss, 10 + 0.5 * 3 + 2 * 9 / 2 + (4 + 0.5 * 16 / 2))
    self.assertAllClose(gradients[0], [0.5, -0.5])
    self.assertAllClose(gradients[1], [[6]])
    self.assertAllClose(gradients[2], [1 + 2, 0])

  def test_none_leaves_the_very_loss(self):
    with tf.Graph().as_default():
      loss = tf.constant(10.0)
      variable = tf.get_variable("a", [2])
      for penalties in ({}, {"a": layers_pb2.Regularization()}):
        self.assertIs(weighting.add_penalties(loss, penalties,
                                              {"all": [variable]}), loss)


if __name__ == "__main__":
  absltest.main()
