"""Tests of functions of Python that build parts of the graph."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import python_functions
from mtl_graph.model import losses
from mtl_graph.model import python_calls
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2

_INPUTS = np.random.default_rng(0).normal(size=[6, 3]).astype(np.float32)
_LABELS = np.array([[1], [0], [2], [1]], np.float32)
_LOGITS = np.random.default_rng(1).normal(size=[4, 3])


def _message(name, text=""):
  return text_format.Parse(
      f'function: "tests.legacy_network:{name}" {text}',
      layers_pb2.PythonFunction())


def _build(name, text="", units=3, training=False, seed=7, inputs=None):
  inputs = tf.constant(_INPUTS) if inputs is None else inputs
  return python_calls.build(_message(name, text), "at", inputs, units, "trunk",
                            seed, training)


def _logistic(x):
  return 1 / (1 + np.exp(-x))


class PythonCallsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(python_functions.allowing(["tests"]))
    self.enterContext(tf.Graph().as_default())
    self.enterContext(tf.variable_scope("", reuse=tf.AUTO_REUSE))

  def run_all(self, *fetches):
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      return session.run(fetches)

  def test_outputs_variables_updates_and_penalties(self):
    text = 'argument { name: "l2" number: 0.5 }'
    plain = _build("trunk", text, 4)
    self.assertEqual((plain.updates, plain.penalties), ([], []))
    trained = _build("trunk", text, 4, training=True)
    self.assertCountEqual([v.op.name for v in tf.trainable_variables()], [
        "trunk/dense/kernel", "trunk/dense/bias",
        "trunk/batch_normalization/gamma", "trunk/batch_normalization/beta"])
    for key in (tf.GraphKeys.UPDATE_OPS, tf.GraphKeys.REGULARIZATION_LOSSES):
      self.assertEmpty(tf.get_collection(key))
    outputs, normalized, penalty = self.run_all(
        plain.output, trained.output, trained.penalties)
    kernel = np.resize([-0.5, 0.25, 0.7, -0.1, 0.4], [3, 4])
    hidden = np.tanh(_INPUTS.astype(np.float64) @ kernel)
    np.testing.assert_allclose(outputs, hidden / np.sqrt(1 + 1e-3), rtol=1e-5,
                               atol=1e-6)
    np.testing.assert_allclose(
        normalized, (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-3),
        rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(penalty, [0.5 * np.square(kernel).sum() / 2],
                               rtol=1e-6)
    self.assertLen(trained.updates, 2)

  def test_what_it_adds_itself_is_a_penalty_too(self):
    _build("drawn")
    called = _build("drawn", training=True)
    kernel, penalties = self.run_all(tf.trainable_variables()[0],
                                     called.penalties)
    np.testing.assert_allclose(penalties, [np.abs(kernel).sum()], rtol=1e-6)

  def test_initial_values_are_a_function_of_seed_and_name(self):
    def drawn(seed, earlier):
      with tf.Graph().as_default(), tf.Session() as session:
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
          if earlier:
            tf.get_variable("earlier", [5])
          _build("drawn", seed=seed)
        session.run(tf.global_variables_initializer())
        return session.run(tf.trainable_variables()[-1])
    first = drawn(1, False)
    np.testing.assert_array_equal(first, drawn(1, True))
    self.assertGreater(np.abs(first - drawn(2, False)).max(), 0.1)
    self.assertLess(np.abs(first).max(), 1.0)

  def test_images_become_vectors(self):
    called = _build("flat", units=20,
                    inputs=tf.placeholder(tf.float32, [None, 2, 5, 2]))
    self.assertEqual(called.output.shape.as_list(), [None, 20])

  @parameterized.parameters(
      ("pair", "returned a tuple of 2; allowed: one float32 tensor of shape "
       r"\[6, 3\]"),
      ("whole", "returned int32; allowed: one float32 tensor of shape"),
      ("summed", r"returned a tensor of shape \[\]; allowed: one float32"),
      ("flat", r"returned a tensor of shape \[6, 3\]; allowed: .* \[6, 4\]", 4),
      ("fails", "raised ValueError: no layer for 2 dimensions; allowed: a "
       "function that builds its part of the graph$"))
  def test_what_is_not_right(self, name, problem, units=3):
    with self.assertRaisesRegex(
        config.ConfigError, r"^at\.function: 'tests\.legacy_network:"
        f"{name}' {problem}"):
      _build(name, units=units)

  @parameterized.parameters(
      ("new_variable", "trunk_1/Variable"), ("in_training", "trunk/late"))
  def test_variables_of_training_alone(self, name, variable):
    _build(name)
    with self.assertRaisesRegex(
        config.ConfigError, rf"^at\.function: '.*{name}' makes '{variable}' "
        "once more, or in training alone; allowed: variables of tf.get_v"):
      _build(name, training=True)

  def test_not_allowed_any_more(self):
    python_functions.allow([])
    with self.assertRaisesRegex(config.ConfigError, "it names none"):
      _build("trunk")


class LossFunctionTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(python_functions.allowing(["tests"]))
    self.enterContext(tf.Graph().as_default())

  def losses(self, name, head, labels, logits, more=""):
    task = text_format.Parse(
        f'name: "t" {head} loss_function {{ function: '
        f'"tests.legacy_network:{name}" {more} }}', model_pb2.Task())
    with tf.Session() as session:
      return session.run(losses.per_row(
          task, tf.constant(logits, tf.float32),
          tf.constant(labels, tf.float32)))

  def test_binary(self):
    labels, logits = np.array([[1], [0], [1]]), np.array([[.5], [.5], [-3]])
    np.testing.assert_allclose(self.losses(
        "hinge", "binary {}", labels, logits,
        'argument { name: "margin" number: 2 }'), [1.5, 2.5, 5])

  def test_classes(self):
    shifted = np.exp(_LOGITS)
    chosen = shifted[np.arange(4), _LABELS[:, 0].astype(int)]
    np.testing.assert_allclose(
        self.losses("cross_entropy", "multiclass { num_classes: 3 }", _LABELS,
                    _LOGITS), np.log(shifted.sum(1) / chosen), rtol=1e-6)

  def test_additional_losses_are_added(self):
    found = self.losses("hinge", "binary {} additional_loss { weight: 3 binary "
                        "{} }", [[1.0]], [[0.25]])
    np.testing.assert_allclose(found, [0.75 - 3 * np.log(_logistic(0.25))],
                               rtol=1e-6)

  def test_scaled_labels_and_vectors_with_gaps(self):
    head = "regression { size: 2 } label { scale: 2 }"
    np.testing.assert_allclose(self.losses(
        "squared", head, [[1, 2], [np.nan, 3], [np.nan, np.nan]],
        [[1, 1], [5, 5], [5, 5]]), [(1 + 9) / 2, 1, 0])
    np.testing.assert_allclose(self.losses(
        "squared", "regression {} label { log1p: true }", [[3]], [[1]]),
                               [(np.log(4) - 1) ** 2], rtol=1e-6)

  @parameterized.parameters(
      ("mean_loss", r"returned a tensor of shape \[\]; allowed: one float32 "
       r"tensor of shape \[1\]"),
      ("learned_loss", "makes 'scale' once more, or in training alone"))
  def test_what_is_no_loss(self, name, problem):
    with self.assertRaisesRegex(
        config.ConfigError, r"^model\.task\[name=t\]\.loss_function\.function: "
        f"'tests.legacy_network:{name}' {problem}"):
      self.losses(name, "regression {}", [[1.0]], [[2.0]])


if __name__ == "__main__":
  absltest.main()
