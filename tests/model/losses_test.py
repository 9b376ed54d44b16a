"""Tests of the loss of each task."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import heads
from mtl_graph.model import losses
from mtl_graph.ops import task_losses
from mtl_graph.protos import model_pb2

_LABELS = np.array([0.0, 1.0, 2.0, 1.0])
_LOGITS = {
    1: np.array([[0.5], [-2.0], [3.0], [1.0]]),
    3: np.random.default_rng(0).normal(size=[4, 3]),
}


def _task(text, name="late"):
  return text_format.Parse(f'name: "{name}" {text}', model_pb2.Task())


def _huber(residual, delta=1.0):
  size = np.abs(residual)
  return np.where(size <= delta, 0.5 * size ** 2, delta * (size - delta / 2))


# Text proto, number of logits, likelihood (scale, exponent), and the loss of
# labels and logits in float64.
_LOSSES = {
    "squared": ("regression {}", 1, (0.5, 1.0),
                lambda y, z: (z[:, 0] - y) ** 2),
    "absolute": ("regression { loss: ABSOLUTE }", 1, (1.0, 0.5),
                 lambda y, z: np.abs(z[:, 0] - y)),
    "huber": ("regression { loss: HUBER }", 1, (1.0, 1.0),
              lambda y, z: _huber(z[:, 0] - y)),
    "huber_delta": ("regression { loss: HUBER huber_delta: 0.3 }", 1,
                    (1.0, 1.0), lambda y, z: _huber(z[:, 0] - y, 0.3)),
    "scaled": ("regression {} label { scale: 0.5 }", 1, (0.5, 1.0),
               lambda y, z: (z[:, 0] - 0.5 * y) ** 2),
    "log1p": ("regression {} label { log1p: true }", 1, (0.5, 1.0),
              lambda y, z: (z[:, 0] - np.log1p(y)) ** 2),
    "log1p_scaled": ("regression {} label { log1p: true scale: 3 }", 1,
                     (0.5, 1.0),
                     lambda y, z: (z[:, 0] - 3 * np.log1p(y)) ** 2),
    "binary": ("binary {}", 1, (1.0, 1.0),
               lambda y, z: np.log1p(np.exp(z[:, 0])) - y * z[:, 0]),
    "multiclass": ("multiclass { num_classes: 3 }", 3, (1.0, 1.0),
                   lambda y, z: np.log(np.exp(z).sum(1))
                   - z[np.arange(len(y)), y.astype(int)]),
}


def _labels(name):
  return np.minimum(_LABELS, 1) if name == "binary" else _LABELS


class PerRowTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_head_and_every_loss_is_tested(self):
    tasks = [_task(text) for text, *_ in _LOSSES.values()]
    fields = model_pb2.Task.DESCRIPTOR.oneofs_by_name["head"].fields
    self.assertSetEqual({field.name for field in fields},
                        {task.WhichOneof("head") for task in tasks})
    self.assertSetEqual(
        set(model_pb2.Regression.Loss.values()),
        {task.regression.loss for task in tasks if task.HasField("regression")})

  @parameterized.parameters(*_LOSSES)
  def test_matches_formula(self, name):
    text, width, _, formula = _LOSSES[name]
    labels, logits = _labels(name), _LOGITS[width]
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run(losses.per_row(
          _task(text), tf.constant(logits, tf.float32),
          tf.constant(labels, tf.float32)))
    self.assertAllClose(found, formula(labels, logits), rtol=1e-5)

  @parameterized.parameters("squared", "absolute", "huber", "huber_delta",
                            "scaled", "log1p", "log1p_scaled")
  def test_is_zero_where_the_value_is_the_label(self, name):
    task = _task(_LOSSES[name][0])
    targets = np.log1p(_LABELS) if task.label.log1p else _LABELS
    with tf.Graph().as_default(), tf.Session() as session:
      logits = tf.constant(task.label.scale * targets[:, None], tf.float32)
      found, value = session.run([
          losses.per_row(task, logits, tf.constant(_LABELS, tf.float32)),
          heads.value(task, logits)])
    self.assertAllClose(found, np.zeros(4), atol=1e-6)
    self.assertAllClose(value[:, 0], _LABELS)

  def test_no_head_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError,
        r"^model.task\[name=late\]: found head 'None'; allowed"):
      losses.per_row(_task(""), tf.zeros([2, 1]), tf.zeros([2]))


class LikelihoodTest(parameterized.TestCase):

  @parameterized.parameters(*_LOSSES)
  def test_constants_by_loss(self, name):
    text, _, expected, _ = _LOSSES[name]
    self.assertEqual(losses.likelihood(_task(text)), expected)


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, labels, weights):
    tasks = [_task("regression {}", "b"), _task("binary {}", "a")]
    with tf.Graph().as_default(), tf.Session() as session:
      logits = {"a": tf.constant(_LOGITS[1], tf.float32),
                "b": tf.constant(2 * _LOGITS[1], tf.float32)}
      built = losses.build(tasks, logits, tf.constant(labels, tf.float32),
                           tf.constant(weights, tf.float32))
      self.assertEqual(list(built), ["b", "a"])
      means = [task_losses.mean(built[name]) for name in ("a", "b")]
      gradients = tf.gradients(tf.add_n(means), [logits["a"], logits["b"]])
      return session.run([dict(built), means, gradients])

  def test_masks_and_weighs_by_the_tasks_column(self):
    labels = np.stack([_LABELS, np.minimum(_LABELS, 1)], 1)
    weights = np.array([[1, 1], [0, 2], [0.5, 0], [0, 1]])
    built, means, gradients = self._run(labels, weights)
    for t, (name, formula, logits) in enumerate((
        ("b", _LOSSES["squared"][3], 2 * _LOGITS[1]),
        ("a", _LOSSES["binary"][3], _LOGITS[1]))):
      rows = formula(labels[:, t], logits)
      self.assertAllClose(built[name].sum, np.sum(weights[:, t] * rows))
      self.assertAllClose(built[name].weight, np.sum(weights[:, t]))
      self.assertAllClose(means[1 - t], np.average(rows, weights=weights[:, t]))
      # Exactly the labelled rows get a gradient.
      self.assertAllEqual(gradients[1 - t][:, 0] != 0, weights[:, t] != 0)

  def test_task_without_labels_has_loss_and_gradient_zero(self):
    built, means, gradients = self._run(np.zeros([4, 2]), [[1, 0]] * 4)
    self.assertAllEqual([built["a"].sum, built["a"].weight, means[0]],
                        [0, 0, 0])
    self.assertAllEqual(gradients[0], np.zeros([4, 1]))
    self.assertAllGreater(np.abs(gradients[1]), 0)


if __name__ == "__main__":
  absltest.main()
