"""Tests of the loss of each task."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
from scipy import special
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.model import heads
from mtl_graph.model import losses
from mtl_graph.ops import task_losses
from mtl_graph.protos import model_pb2

_NUMBERS = np.array([[0.0], [1.0], [2.0], [1.0]])
_LABELS = {
    "regression": _NUMBERS, "multiclass": _NUMBERS, "ordinal": _NUMBERS,
    "count": np.array([[0.0], [1.0], [7.0], [3.0]]),
    "quantiles": np.array([[0.25], [-1.5], [2.0], [1.0]]),
    "binary": np.minimum(_NUMBERS, 1),
    "multilabel": np.array([[1, 0, np.nan], [np.nan, np.nan, 1],
                            [0, 0, 1], [1, 1, 1]]),
    "vector": np.array([[1.5, np.nan, 0.5], [np.nan, np.nan, 0.25],
                        [2, 0, 1], [0, 0, np.nan]]),
}
_LOGITS = {
    1: np.array([[0.5], [-2.0], [3.0], [1.0]]),
    3: np.random.default_rng(0).normal(size=[4, 3]),
}


def _task(text, name="late"):
  return text_format.Parse(f'name: "{name}" {text}', model_pb2.Task())


def _labels(task):
  head = task.WhichOneof("head")
  return _LABELS["vector" if head == "regression" and task.regression.size > 1
                 else head]


def _logits(task):
  logits = _LOGITS[outline.logit_count(task)]
  return np.sort(logits) if task.WhichOneof("head") == "ordinal" else logits


def _huber(residual, delta=1.0):
  size = np.abs(residual)
  return np.where(size <= delta, 0.5 * size ** 2, delta * (size - delta / 2))


def _binary(y, z, pos_weight=1.0, smoothing=0.0, gamma=0.0):
  """The formula of each entry's loss."""
  p, t = special.expit(z), y * (1 - smoothing) + smoothing / 2
  return (-pos_weight * t * (1 - p) ** gamma * np.log(p)
          - (1 - t) * p ** gamma * np.log(1 - p))


def _multiclass(y, z, weights=(1, 1, 1), smoothing=0.0, gamma=0.0):
  p, y = special.softmax(z, 1), y[:, 0].astype(int)
  t = np.eye(3)[y] * (1 - smoothing) + smoothing / 3
  return np.array(weights)[y] * -np.sum(t * (1 - p) ** gamma * np.log(p), 1)


def _ordinal(y, c):
  edges = np.concatenate([np.zeros([4, 1]), special.expit(c), np.ones([4, 1])],
                         1)
  return -np.log(np.diff(edges)[np.arange(4), y[:, 0].astype(int)])


def _quantiles(y, z):
  q, r = np.array([0.1, 0.5, 0.9]), y - z
  return np.maximum(q * r, (q - 1) * r).mean(1)


# Text proto, likelihood (scale, exponent), and the loss of labels `[B, W]` and
# logits in float64.
_LOSSES = {
    "squared": ("regression {}", (0.5, 1.0), lambda y, z: (z - y)[:, 0] ** 2),
    "absolute": ("regression { loss: ABSOLUTE }", (1.0, 0.5),
                 lambda y, z: np.abs(z - y)[:, 0]),
    "huber": ("regression { loss: HUBER }", (1.0, 1.0),
              lambda y, z: _huber(z - y)[:, 0]),
    "huber_delta": ("regression { loss: HUBER huber_delta: 0.3 }", (1.0, 1.0),
                    lambda y, z: _huber(z - y, 0.3)[:, 0]),
    "scaled": ("regression {} label { scale: 0.5 }", (0.5, 1.0),
               lambda y, z: (z - 0.5 * y)[:, 0] ** 2),
    "log1p": ("regression {} label { log1p: true }", (0.5, 1.0),
              lambda y, z: (z - np.log1p(y))[:, 0] ** 2),
    "log1p_scaled": ("regression {} label { log1p: true scale: 3 }", (0.5, 1.0),
                     lambda y, z: (z - 3 * np.log1p(y))[:, 0] ** 2),
    "vector": ("regression { size: 3 }", (0.5, 1.0),
               lambda y, z: np.nanmean((z - y) ** 2, 1)),
    "vector_in_units": (
        "regression { size: 3 loss: HUBER huber_delta: 0.5 } "
        "label { log1p: true scale: 2 }", (1.0, 1.0),
        lambda y, z: np.nanmean(_huber(z - 2 * np.log1p(y), 0.5), 1)),
    "binary": ("binary {}", (1.0, 1.0), lambda y, z: _binary(y, z)[:, 0]),
    "binary_modified": (
        "binary { pos_weight: 3 label_smoothing: 0.2 focal { gamma: 1.5 } }",
        (1.0, 1.0), lambda y, z: _binary(y, z, 3, 0.2, 1.5)[:, 0]),
    "binary_focal": ("binary { focal {} }", (1.0, 1.0),
                     lambda y, z: _binary(y, z, gamma=2)[:, 0]),
    "multiclass": ("multiclass { num_classes: 3 }", (1.0, 1.0), _multiclass),
    "multiclass_modified": (
        "multiclass { num_classes: 3 class_weight: [1, 2, 0.5] "
        "label_smoothing: 0.3 focal { gamma: 1 } }", (1.0, 1.0),
        lambda y, z: _multiclass(y, z, (1, 2, 0.5), 0.3, 1)),
    "multilabel": ("multilabel { num_labels: 3 }", (1.0, 1.0),
                   lambda y, z: np.nanmean(_binary(y, z), 1)),
    "multilabel_modified": (
        "multilabel { num_labels: 3 pos_weight: [1, 2, 3] label_smoothing: 0.1 "
        "focal { gamma: 2 } }", (1.0, 1.0), lambda y, z: np.nanmean(
            _binary(y, z, np.array([1, 2, 3]), 0.1, 2), 1)),
    "count": ("count {}", (1.0, 1.0),
              lambda y, z: (np.exp(z) - y * z + special.gammaln(y + 1))[:, 0]),
    "ordinal": ("ordinal { num_classes: 4 }", (1.0, 1.0), _ordinal),
    "quantiles": ("quantiles { level: [0.1, 0.5, 0.9] }", (1.0, 0.5),
                  _quantiles),
    "quantiles_in_units": (
        "quantiles { level: [0.1, 0.5, 0.9] } label { scale: 2 }", (1.0, 0.5),
        lambda y, z: _quantiles(2 * y, z)),
}


def _per_row(task, labels, logits):
  """Returns the losses, and their gradient by the logits."""
  with tf.Graph().as_default(), tf.Session() as session:
    z = tf.constant(logits, tf.float32)
    found = losses.per_row(task, z, tf.constant(labels, tf.float32))
    return session.run([found, tf.gradients(found, z)[0]])


class PerRowTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_head_and_every_loss_is_tested(self):
    tasks = [_task(text) for text, *_ in _LOSSES.values()]
    kinds = model_pb2.Task.DESCRIPTOR.oneofs_by_name["head"].fields
    self.assertCountEqual([kind.name for kind in kinds],
                          {task.WhichOneof("head") for task in tasks})
    self.assertCountEqual(
        model_pb2.Regression.Loss.values(),
        {task.regression.loss for task in tasks if task.HasField("regression")})

  @parameterized.parameters(*_LOSSES)
  def test_matches_formula(self, name):
    text, _, formula = _LOSSES[name]
    task = _task(text)
    labels, logits = _labels(task), _logits(task)
    found, gradient = _per_row(task, labels, logits)
    self.assertAllClose(found, formula(labels, logits), rtol=1e-5)
    self.assertAllEqual(np.isfinite(gradient), np.ones(logits.shape))
    if labels.shape[1] > 1:
      # What is missing has no say in anything.
      self.assertAllEqual(gradient == 0, np.isnan(labels))

  @parameterized.parameters("squared", "absolute", "huber", "huber_delta",
                            "scaled", "log1p", "log1p_scaled")
  def test_is_zero_where_the_value_is_the_label(self, name):
    task = _task(_LOSSES[name][0])
    targets = np.log1p(_NUMBERS) if task.label.log1p else _NUMBERS
    with tf.Graph().as_default(), tf.Session() as session:
      logits = tf.constant(task.label.scale * targets, tf.float32)
      found, value = session.run([
          losses.per_row(task, logits, tf.constant(_NUMBERS, tf.float32)),
          heads.value(task, logits)])
    self.assertAllClose(found, np.zeros(4), atol=1e-6)
    self.assertAllClose(value, _NUMBERS)

  @parameterized.parameters("vector", "multilabel")
  def test_a_row_without_any_number_has_no_loss(self, name):
    task = _task(_LOSSES[name][0])
    found, gradient = _per_row(task, np.full([4, 3], np.nan), _LOGITS[3])
    self.assertAllEqual(found, np.zeros(4))
    self.assertAllEqual(gradient, np.zeros([4, 3]))

  def test_no_head_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError,
        r"^model.task\[name=late\]: found head 'None'; allowed"):
      losses.per_row(_task(""), tf.zeros([2, 1]), tf.zeros([2, 1]))


class AdditionalLossTest(parameterized.TestCase, tf.test.TestCase):

  _CASES = (
      ("squared", ("absolute", "huber_delta")),
      ("huber", ("squared",)), ("binary", ("binary_modified", "binary_focal")),
      ("binary_modified", ("binary", "binary")), ("multiclass", (
          "multiclass_modified",)), ("vector", ("absolute",)),
      ("log1p_scaled", ("absolute",)))

  def _task(self, name, additional, weights):
    """Returns a task of one loss with those of others added."""
    task = _task(_LOSSES[name][0])
    head = task.WhichOneof("head")
    for other, weight in zip(additional, weights):
      added = task.additional_loss.add(weight=weight)
      message = getattr(added, head)
      message.CopyFrom(getattr(_task(_LOSSES[other][0]), head))
      for field in ("size", "num_classes"):
        if field in message.DESCRIPTOR.fields_by_name:
          message.ClearField(field)
    return task

  def _formula(self, name, loss, labels, logits):
    """Returns another loss on the labels in the units of the task `name`."""
    if name == "log1p_scaled":
      labels = 3 * np.log1p(labels)
    if name == "vector":
      return np.nanmean(np.abs(logits - labels), 1)
    return _LOSSES[loss][2](labels, logits)

  @parameterized.parameters(*_CASES)
  def test_is_added_with_its_own_weight(self, name, additional):
    weights = (0.5, 3)[:len(additional)]
    task = self._task(name, additional, weights)
    labels, logits = _labels(task), _logits(task)
    expected = _LOSSES[name][2](labels, logits) + sum(
        weight * self._formula(name, other, labels, logits)
        for weight, other in zip(weights, additional))
    self.assertAllClose(_per_row(task, labels, logits)[0], expected, rtol=1e-5)

  @parameterized.parameters(*_CASES)
  def test_a_weight_of_zero_leaves_the_others_as_they_are(self, name,
                                                          additional):
    labels, logits = _labels(_task(_LOSSES[name][0])), _logits(
        _task(_LOSSES[name][0]))
    whole = self._task(name, additional, (2, 5))
    some = self._task(name, additional, (2, 0))
    first = self._task(name, additional[:1], (2,))
    self.assertAllEqual(_per_row(some, labels, logits)[0],
                        _per_row(first, labels, logits)[0])
    if len(additional) > 1:
      self.assertNotAllClose(_per_row(whole, labels, logits)[0],
                             _per_row(first, labels, logits)[0])

  def test_likelihood_is_that_of_the_head(self):
    task = self._task("squared", ["absolute"], [1])
    self.assertEqual(losses.likelihood(task), (0.5, 1.0))


class LikelihoodTest(parameterized.TestCase):

  @parameterized.parameters(*_LOSSES)
  def test_constants_by_loss(self, name):
    text, expected, _ = _LOSSES[name]
    self.assertEqual(losses.likelihood(_task(text)), expected)


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, labels, weights):
    tasks = [_task("regression {}", "b"), _task("regression { size: 3 }", "v"),
             _task("binary {}", "a")]
    with tf.Graph().as_default(), tf.Session() as session:
      logits = {"a": tf.constant(_LOGITS[1], tf.float32),
                "b": tf.constant(2 * _LOGITS[1], tf.float32),
                "v": tf.constant(_LOGITS[3], tf.float32)}
      built = losses.build(tasks, logits, tf.constant(labels, tf.float32),
                           tf.constant(weights, tf.float32))
      self.assertEqual(list(built), ["b", "v", "a"])
      means = {name: task_losses.mean(built[name]) for name in built}
      gradients = dict(zip(logits, tf.gradients(
          tf.add_n(list(means.values())), list(logits.values()))))
      return session.run([dict(built), means, gradients])

  def test_masks_and_weighs_by_the_tasks_columns(self):
    binary = np.minimum(_NUMBERS, 1)
    labels = np.concatenate([_NUMBERS, _LABELS["vector"], binary], 1)
    weights = np.array([[1, 1, 1], [0, 3, 2], [0.5, 0, 0], [0, 1, 1]])
    built, means, gradients = self._run(labels, weights)
    for t, (name, rows) in enumerate((
        ("b", (2 * _LOGITS[1] - _NUMBERS)[:, 0] ** 2),
        ("v", np.nanmean((_LOGITS[3] - _LABELS["vector"]) ** 2, 1)),
        ("a", _binary(binary, _LOGITS[1])[:, 0]))):
      self.assertAllClose(built[name].sum, np.sum(weights[:, t] * rows))
      self.assertAllClose(built[name].weight, np.sum(weights[:, t]))
      self.assertAllClose(means[name], np.average(rows, weights=weights[:, t]))
      # Exactly the labelled rows get a gradient.
      self.assertAllEqual((gradients[name] != 0).any(1), weights[:, t] != 0)

  def test_task_without_labels_has_loss_and_gradient_zero(self):
    built, means, gradients = self._run(np.zeros([4, 5]), [[1, 1, 0]] * 4)
    self.assertAllEqual([built["a"].sum, built["a"].weight, means["a"]],
                        [0, 0, 0])
    self.assertAllEqual(gradients["a"], np.zeros([4, 1]))
    self.assertAllGreater(np.abs(gradients["b"]), 0)

  def test_vectors_of_which_nothing_is_there_do_no_harm(self):
    # Not labelled at all: their numbers are zeros or missing, alike.
    labels = np.zeros([4, 5])
    labels[:, 1:4] = np.nan
    built, means, gradients = self._run(labels, [[1, 0, 1]] * 4)
    self.assertAllEqual([built["v"].sum, means["v"]], [0, 0])
    self.assertAllEqual(gradients["v"], np.zeros([4, 3]))


if __name__ == "__main__":
  absltest.main()
