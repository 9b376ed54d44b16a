"""Tests of the heads: logits, estimates and predictions."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.model import heads
from mtl_graph.protos import model_pb2

# A text proto per kind of head, and its number of logits.
_HEADS = {
    "regression": ("regression {}", 1),
    "binary": ("binary {}", 1),
    "multiclass": ("multiclass { num_classes: 3 }", 3),
}
_LOGITS = {
    1: np.array([[0.5], [-2.0], [30.0]]),
    3: np.array([[0.5, 1.0, -1.0], [3.0, -2.0, 2.9], [50.0, 0.0, -50.0]]),
}


def _task(text):
  return text_format.Parse('name: "late" ' + text, model_pb2.Task())


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _softmax(x):
  return np.exp(x) / np.exp(x).sum(1, keepdims=True)


def _predictions(text, logits):
  with tf.Graph().as_default(), tf.Session() as session:
    built = heads.predictions(_task(text), tf.constant(logits, tf.float32))
    return list(built), session.run(dict(built))


class LogitsTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_head_is_tested(self):
    kinds = model_pb2.Task.DESCRIPTOR.oneofs_by_name["head"].fields
    self.assertCountEqual([kind.name for kind in kinds], _HEADS)

  @parameterized.parameters(*_HEADS)
  def test_is_a_dense_layer_in_the_scope_of_the_task(self, kind):
    text, units = _HEADS[kind]
    inputs = np.random.default_rng(0).normal(size=[5, 4]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
      logits = heads.logits(_task(text), tf.constant(inputs), seed=1)
      kernel, bias = tf.trainable_variables()
      self.assertEqual([kernel.op.name, bias.op.name],
                       ["head/late/kernel", "head/late/bias"])
      self.assertEqual(kernel.shape.as_list(), [4, units])
      session.run(tf.global_variables_initializer())
      bias.load(np.arange(1.0, 1 + units), session)
      found, value = session.run([logits, kernel])
    self.assertAllClose(found, inputs @ value + np.arange(1.0, 1 + units),
                        rtol=1e-5)

  def test_vocabulary_gives_the_number_of_classes(self):
    task = _task('multiclass { vocabulary: ["a", "b", "c", "d"] }')
    with tf.Graph().as_default():
      logits = heads.logits(task, tf.zeros([2, 3]), seed=1)
      self.assertEqual(logits.shape.as_list(), [2, 4])


class PredictionsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(*_HEADS)
  def test_builds_every_head_with_unknown_batch_size(self, kind):
    text, units = _HEADS[kind]
    with tf.Graph().as_default(), tf.Session() as session:
      logits = tf.placeholder(tf.float32, [None, units])
      built = heads.predictions(_task(text), logits)
      for tensor in session.run(dict(built),
                                {logits: np.zeros([2, units])}).values():
        self.assertEqual(tensor.shape[0], 2)

  def test_binary(self):
    names, found = _predictions("binary {}", _LOGITS[1])
    self.assertEqual(names, ["probability", "logit"])
    self.assertAllClose(found["probability"], _sigmoid(_LOGITS[1][:, 0]))
    self.assertAllClose(found["logit"], _LOGITS[1][:, 0])

  def test_multiclass(self):
    names, found = _predictions("multiclass { num_classes: 3 }", _LOGITS[3])
    self.assertEqual(names, ["probabilities", "logits", "class"])
    self.assertAllClose(found["probabilities"], _softmax(_LOGITS[3]))
    self.assertAllClose(found["logits"], _LOGITS[3])
    self.assertAllEqual(found["class"], [1, 0, 0])
    self.assertEqual(found["class"].dtype, np.int64)

  @parameterized.named_parameters(
      ("plain", "regression {}", lambda z: z),
      ("scale", "regression {} label { scale: 0.25 }", lambda z: z / 0.25),
      ("log1p", "regression {} label { log1p: true }", np.expm1),
      ("log1p_and_scale", "regression {} label { log1p: true scale: 2 }",
       lambda z: np.expm1(z / 2)))
  def test_regression_speaks_the_labels_own_units(self, text, invert):
    logits = np.array([[0.0], [0.75], [-0.5], [1e-6], [5.0]])
    names, found = _predictions(text, logits)
    self.assertEqual(names, ["value"])
    self.assertAllClose(found["value"], invert(logits[:, 0]), rtol=1e-5,
                        atol=0)

  def test_no_head_is_refused(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        config.ConfigError,
        r"^model.task\[name=late\]: found head 'None'; allowed"):
      heads.predictions(_task(""), tf.zeros([2, 1]))


class EstimateTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("probability", "binary", "PROBABILITY", _sigmoid),
      ("logit", "binary", "LOGIT", lambda z: z),
      ("probabilities", "multiclass", "PROBABILITY", _softmax),
      ("logits", "multiclass", "LOGIT", lambda z: z),
      ("value", "regression", "VALUE", lambda z: z))
  def test_matches_formula(self, kind, form, formula):
    text, units = _HEADS[kind]
    with tf.Graph().as_default(), tf.Session() as session:
      estimate = heads.estimate(
          _task(text), tf.constant(_LOGITS[units], tf.float32),
          model_pb2.Estimate.Form.Value(form))
      self.assertAllClose(session.run(estimate), formula(_LOGITS[units]))

  def test_value_is_in_the_labels_own_units(self):
    with tf.Graph().as_default(), tf.Session() as session:
      estimate = heads.estimate(
          _task("regression {} label { log1p: true scale: 2 }"),
          tf.constant([[3.0]]), model_pb2.Estimate.VALUE)
      self.assertAllClose(session.run(estimate), [[np.expm1(1.5)]])

  @parameterized.product(kind=tuple(_HEADS),
                         form=tuple(model_pb2.Estimate.Form.keys()))
  def test_forms_are_those_of_the_outline(self, kind, form):
    text, units = _HEADS[kind]
    value = model_pb2.Estimate.Form.Value(form)
    with tf.Graph().as_default():
      logits = tf.zeros([2, units])
      if value in outline.ESTIMATE_FORMS[kind]:
        self.assertEqual(
            heads.estimate(_task(text), logits, value).shape.as_list(),
            [2, units])
      else:
        with self.assertRaisesRegex(
            config.ConfigError, f"^model.task.estimate.form: found .* of the "
            f"{kind} task 'late'; allowed"):
          heads.estimate(_task(text), logits, value)


if __name__ == "__main__":
  absltest.main()
