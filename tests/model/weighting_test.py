"""Tests of how task losses become one."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import weighting
from mtl_graph.ops import task_losses
from mtl_graph.protos import joint_pb2
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2

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

_STEP = 4


def _scales():
  return _C * np.exp(-_S * _K)


def _sum(mean, tasks):
  return mean.sum(), np.ones(len(tasks))


def _weighted(mean, tasks):
  return np.sum(mean * _FACTORS[tasks]), _FACTORS[tasks]


def _scheduled(mean, tasks):
  weights = _FACTORS * [1, 0.5 ** _STEP, 1, 1, 3, 1]
  return np.sum(mean * weights[tasks]), weights[tasks]


def _uncertainty(mean, tasks):
  weights = _scales()[tasks]
  return np.sum(weights * mean + 0.5 * _S[tasks]), weights


def _non_negative(mean, tasks):
  weights = 0.5 * np.exp(-_S[tasks])
  return np.sum(weights * mean + np.log1p(np.exp(_S[tasks]))), weights


def _impartial(mean, tasks):
  weights = np.exp(-_S[tasks])
  return np.sum(weights * mean + _S[tasks]), weights


def _geometric_mean(mean, tasks):
  loss = np.exp(np.mean(np.log(mean)))
  return loss, loss / (len(tasks) * mean)


def _log_sum(mean, unused_tasks):
  return np.sum(np.log(mean)), 1 / mean


def _chebyshev(mean, tasks):
  powers = np.exp(mean / 2)
  return (len(tasks) * 2 * np.log(powers.sum()),
          len(tasks) * powers / powers.sum())


def _relative_chebyshev(mean, tasks):
  # Measured by the mean losses of the warm-up, which are memory's.
  relative = mean / (_MEMORY[tasks, 0] / _MEMORY[tasks, 1])
  return (len(tasks) * np.log(relative.sum()),
          len(tasks) * relative / relative.sum() / mean)


def _dynamic(mean, tasks):
  # The third window begins: the one before has just ended.
  rates = (_MEMORY[:, 0] / _MEMORY[:, 1]) / _MEMORY[:, 2]
  weights = 6 * np.exp(rates / 2) / np.sum(np.exp(rates / 2))
  return np.sum(mean * weights[tasks]), weights[tasks]


def _famo(mean, tasks):
  z = np.exp(_MEMORY[tasks, 0])
  weights = z / mean / np.sum(z / mean)
  return np.sum(mean * weights), weights


# What is remembered of each task; each method reads its own meaning into it.
_MEMORY = np.random.default_rng(1).uniform(0.5, 2.0, [6, 4])
# A text proto per case, with the total and the weights it leads to, of the mean
# losses and the numbers of the tasks that have a label.
_METHODS = {
    "sum": ("sum {}", _sum),
    "weighted_sum": ("weighted_sum {}", _weighted),
    "schedule": (
        'weighted_sum { schedule { task: "absolute" factor { exponential_decay '
        "{ initial: 1 decay_steps: 1 decay_rate: 0.5 } } } schedule { task: "
        '"classes" factor { constant: 3 } } }', _scheduled),
    "uncertainty": ("uncertainty {}", _uncertainty),
    "non_negative": ("uncertainty { form: NON_NEGATIVE }", _non_negative),
    "impartial": ("uncertainty { form: IMPARTIAL }", _impartial),
    "geometric_mean": ("geometric_mean {}", _geometric_mean),
    "log_sum": ("log_sum {}", _log_sum),
    "smooth_chebyshev": ("smooth_chebyshev { smoothness: 2 }", _chebyshev),
    "relative_chebyshev": ("smooth_chebyshev { warm_up_steps: 4 }",
                           _relative_chebyshev),
    "warming_chebyshev": ("smooth_chebyshev { warm_up_steps: 5 }", _sum),
    "dynamic_weight_average": ("dynamic_weight_average { window_steps: 2 }",
                               _dynamic),
    "dynamic_at_first": ("dynamic_weight_average { window_steps: 3 }", _sum),
    "famo": ("famo {}", _famo),
}
# Tested over steps, in weighting_over_steps_test.
_NOT_HERE = {"grad_norm", "random_weights"}


def _integration(text):
  return text_format.Parse(text, joint_pb2.LossIntegration())


def _build(text, weights=_WEIGHTS):
  """Builds a method, what it remembers being `_MEMORY`."""
  integration = _integration(text)
  remembered = weighting.memory(integration, [task.name for task in _TASKS])
  return weighting.build(integration, _TASKS, _losses(weights),
                         tf.constant(_STEP, tf.int64), 1, remembered)


def _losses(weights=_WEIGHTS):
  return {task.name: task_losses.TaskLoss(
      tf.constant(s * (w > 0), tf.float32), tf.constant(w, tf.float32))
          for task, s, w in zip(_TASKS, _SUMS, weights)}


def _initialize(session, log_variances=_S):
  session.run(tf.global_variables_initializer())
  for task, value in zip(_TASKS, log_variances):
    for variable in tf.trainable_variables(f"log_variance/{task.name}:"):
      variable.load(value, session)
  for task, row in zip(_TASKS, _MEMORY):
    for variable in tf.global_variables(f"task_weighting/{task.name}:"):
      variable.load(row[:variable.shape[0]], session)


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_method_is_tested(self):
    kinds = joint_pb2.LossIntegration.DESCRIPTOR.oneofs_by_name["kind"]
    self.assertEqual({kind.name for kind in kinds.fields}, _NOT_HERE | {
        _integration(text).WhichOneof("kind") for text, _ in _METHODS.values()})

  @parameterized.product(method=list(_METHODS), absent=[False, True])
  def test_matches_formula(self, method, absent):
    text, formula = _METHODS[method]
    present = np.array([0, 1, 2, 4, 5] if absent else range(6))
    with tf.Graph().as_default(), tf.Session() as session:
      combined = _build(text, _WEIGHTS * np.isin(range(6), present))
      _initialize(session)
      loss, task_losses, task_weights = session.run(combined[:3])
      slopes = session.run(tf.gradients(
          combined.loss, combined.task_losses)[0])
    means = _SUMS[present] / _WEIGHTS[present]
    expected, weights = formula(means, present)
    self.assertAllClose(loss, expected, rtol=1e-5)
    self.assertAllClose(task_losses[present], means)
    self.assertAllClose(task_weights[present], weights, rtol=1e-5)
    self.assertAllClose(slopes[present], weights, rtol=1e-5)
    if absent:
      self.assertAllEqual(task_losses[3], 0)

  @parameterized.parameters("sum", "weighted_sum")
  def test_fixed_weights_make_no_variable(self, method):
    with tf.Graph().as_default():
      _build(_METHODS[method][0])
      self.assertEmpty(tf.global_variables())

  def test_empty_message_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError, "^training.joint.loss: found 'None'; allowed"):
      _build("")


class UncertaintyTest(parameterized.TestCase, tf.test.TestCase):

  def test_log_variances_are_trainable_scalars_of_the_tasks(self):
    with tf.Graph().as_default(), tf.Session() as session:
      _build("uncertainty { initial_log_variance: -0.5 }")
      variables = tf.trainable_variables()
      self.assertEqual([v.op.name for v in variables],
                       [f"log_variance/{task.name}" for task in _TASKS])
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(session.run(variables), [-0.5] * 6)

  def test_second_build_uses_the_same_variables(self):
    with tf.Graph().as_default():
      for _ in range(2):
        _build("uncertainty {}")
      self.assertLen(tf.global_variables(), 6)
      self.assertIs(weighting.log_variance("binary", 0.0),
                    tf.trainable_variables("log_variance/binary")[0])

  def test_gradient_vanishes_at_the_optimum_of_each_loss(self):
    means = _SUMS / _WEIGHTS
    optimum = np.log(means * [1, means[1], 2, 2, 2, means[5]])
    with tf.Graph().as_default(), tf.Session() as session:
      combined = _build("uncertainty {}")
      _initialize(session, optimum)
      self.assertAllClose(session.run(tf.gradients(
          combined.loss, tf.trainable_variables())), np.zeros(6), atol=1e-6)

  def test_absent_task_gives_its_log_variance_no_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      combined = _build("uncertainty {}", _WEIGHTS * [1, 0, 1, 0, 1, 1])
      _initialize(session)
      gradients = session.run(tf.gradients(combined.loss,
                                           tf.trainable_variables()))
      self.assertAllEqual(np.array(gradients) == 0,
                          [0, 1, 0, 1, 0, 0])

  def test_limits_come_from_the_message(self):
    with tf.Graph().as_default(), tf.Session() as session:
      combined = _build("uncertainty { min_log_variance: -0.2"
                        " max_log_variance: 0.3 }")
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
      loss = tf.add_n(weighting.penalties(
          {name: text_format.Parse(text, layers_pb2.Regularization())
           for name, text in penalties.items()},
          {"first": [a], "second": [b, c]}))
      session.run(tf.global_variables_initializer())
      return session.run([loss, tf.gradients(
          loss, [a, b, c], unconnected_gradients="zero")])

  def test_matches_formula(self):
    loss, gradients = self._run({"a": "l1: 0.5", "b": "l2: 2",
                                 "c": "l1: 1 l2: 0.5"})
    self.assertAllClose(loss, 0.5 * 3 + 2 * 9 / 2 + (4 + 0.5 * 16 / 2))
    self.assertAllClose(gradients[0], [0.5, -0.5])
    self.assertAllClose(gradients[1], [[6]])
    self.assertAllClose(gradients[2], [1 + 2, 0])

  def test_none_is_no_term(self):
    with tf.Graph().as_default():
      variable = tf.get_variable("a", [2])
      for penalties in ({}, {"a": layers_pb2.Regularization()}):
        self.assertEmpty(weighting.penalties(penalties, {"all": [variable]}))


if __name__ == "__main__":
  absltest.main()
