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
    "multilabel": ("multilabel { num_labels: 3 }", 3),
    "count": ("count {}", 1),
    "ordinal": ("ordinal { num_classes: 4 }", 3),
    "quantiles": ("quantiles { level: [0.1, 0.5, 0.9] }", 3),
}
_LOGITS = {
    1: np.array([[0.5], [-2.0], [30.0]]),
    3: np.array([[0.5, 1.0, -1.0], [3.0, -2.0, 2.9], [50.0, 0.0, -50.0]]),
}
# Those of an ordinal task rise.
_RISING = np.array([[-0.2, 0.1, 0.3], [-2.0, 2.9, 3.0], [-9.0, -8.5, 7.0]])


def _task(text):
  return text_format.Parse('name: "late" ' + text, model_pb2.Task())


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _softmax(x):
  return np.exp(x) / np.exp(x).sum(1, keepdims=True)


def _ordinal(c):
  """Probabilities of classes, of logits of being in one or below."""
  below = _sigmoid(np.concatenate([np.full([len(c), 1], -np.inf), c,
                                   np.full([len(c), 1], np.inf)], 1))
  return np.diff(below)


def _logits_of(kind):
  return _RISING if kind == "ordinal" else _LOGITS[_HEADS[kind][1]]


def _predictions(text, logits):
  with tf.Graph().as_default(), tf.Session() as session:
    built = heads.predictions(_task(text), tf.constant(logits, tf.float32))
    return list(built), session.run(dict(built))


class ScoreTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_head_is_tested(self):
    kinds = model_pb2.Task.DESCRIPTOR.oneofs_by_name["head"].fields
    self.assertCountEqual([kind.name for kind in kinds], _HEADS)

  @parameterized.parameters(*(kind for kind in _HEADS if kind != "ordinal"))
  def test_is_a_dense_layer_in_the_scope_of_the_task(self, kind):
    text, units = _HEADS[kind]
    inputs = np.random.default_rng(0).normal(size=[5, 4]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
      task = _task(text)
      scores = heads.score(task, tf.constant(inputs), seed=1)
      logits = heads.logits(task, scores)
      self.assertIs(logits, scores)
      kernel, bias = tf.trainable_variables()
      self.assertEqual([kernel.op.name, bias.op.name],
                       ["head/late/kernel", "head/late/bias"])
      self.assertEqual(kernel.shape.as_list(), [4, units])
      session.run(tf.global_variables_initializer())
      bias.load(np.arange(1.0, 1 + units), session)
      found, value = session.run([logits, kernel])
    self.assertAllClose(found, inputs @ value + np.arange(1.0, 1 + units),
                        rtol=1e-5)

  @parameterized.parameters(("multiclass", 4), ("multilabel", 4),
                            ("ordinal", 3))
  def test_vocabulary_gives_the_number_of_classes(self, kind, count):
    task = _task(kind + ' { vocabulary: ["a", "b", "c", "d"] }')
    with tf.Graph().as_default():
      logits = heads.logits(task, heads.score(task, tf.zeros([2, 3]), seed=1))
      self.assertEqual(logits.shape.as_list(), [2, count])

  def test_a_regression_has_as_many_logits_as_numbers(self):
    task = _task("regression { size: 5 }")
    with tf.Graph().as_default():
      logits = heads.logits(task, heads.score(task, tf.zeros([2, 3]), seed=1))
      self.assertEqual(logits.shape.as_list(), [2, 5])


class ThresholdsTest(parameterized.TestCase, tf.test.TestCase):

  def _thresholds(self, text, value=None):
    """Returns the logits of a score of zero."""
    task = _task(text)
    with tf.Graph().as_default(), tf.Session() as session:
      logits = heads.logits(task, tf.zeros([1, 1]))
      raw, = tf.trainable_variables()
      self.assertEqual(raw.op.name, "head/late/thresholds")
      session.run(tf.global_variables_initializer())
      if value is not None:
        raw.load(value, session)
      return session.run(logits)[0]

  @parameterized.parameters(2, 3, 4, 7, 50)
  def test_all_classes_start_equally_probable(self, count):
    logits = self._thresholds(f"ordinal {{ num_classes: {count} }}")
    self.assertAllClose(logits, np.log(np.arange(1, count)
                                       / np.arange(count - 1, 0, -1)),
                        atol=1e-5)
    self.assertAllClose(_ordinal(logits[None].astype(np.float64))[0],
                        np.full(count, 1 / count), rtol=1e-5)

  def test_rise_whatever_the_variable_holds(self):
    for value in np.random.default_rng(0).normal(0, 4, [20, 6]):
      logits = self._thresholds("ordinal { num_classes: 7 }", value)
      expected = np.cumsum(np.append(value[:1], np.log1p(np.exp(value[1:]))))
      self.assertAllClose(logits, expected, rtol=1e-5)
      self.assertAllGreater(np.diff(logits), 0)

  def test_are_those_of_every_row_less_its_score(self):
    task = _task("ordinal { num_classes: 4 }")
    inputs = np.random.default_rng(0).normal(size=[5, 3]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
      scores = heads.score(task, tf.constant(inputs), seed=1)
      self.assertEqual(scores.shape.as_list(), [5, 1])
      kernel, = tf.trainable_variables()
      self.assertEqual((kernel.op.name, kernel.shape.as_list()),
                       ("head/late/kernel", [3, 1]))
      logits = heads.logits(task, scores)
      session.run(tf.global_variables_initializer())
      found, value = session.run([logits, kernel])
    self.assertAllClose(found, np.log([1 / 3, 1, 3]) - inputs @ value,
                        rtol=1e-5, atol=1e-6)

  def test_a_second_build_uses_the_same_variable(self):
    task = _task("ordinal { num_classes: 4 }")
    with tf.Graph().as_default():
      for reuse in (False, True):
        with tf.variable_scope("", reuse=reuse):
          heads.logits(task, tf.zeros([2, 1]))
      self.assertLen(tf.global_variables(), 1)


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

  def test_regression_of_several_numbers(self):
    names, found = _predictions("regression { size: 3 } label { scale: 2 }",
                                _LOGITS[3])
    self.assertEqual(names, ["value"])
    self.assertAllClose(found["value"], _LOGITS[3] / 2)

  def test_multilabel(self):
    names, found = _predictions("multilabel { num_labels: 3 }", _LOGITS[3])
    self.assertEqual(names, ["probabilities", "logits", "class"])
    self.assertAllClose(found["probabilities"], _sigmoid(_LOGITS[3]))
    self.assertAllClose(found["logits"], _LOGITS[3])
    self.assertAllEqual(found["class"], [1, 0, 0])
    self.assertEqual(found["class"].dtype, np.int64)

  def test_count(self):
    names, found = _predictions("count {}", _LOGITS[1])
    self.assertEqual(names, ["rate"])
    self.assertAllClose(found["rate"], np.exp(_LOGITS[1][:, 0]))

  def test_ordinal(self):
    names, found = _predictions("ordinal { num_classes: 4 }", _RISING)
    self.assertEqual(names, ["probabilities", "logits", "class"])
    self.assertAllClose(found["probabilities"], _ordinal(_RISING), rtol=1e-5)
    self.assertAllClose(found["logits"], _RISING)
    # The most probable, which need not be the one in the middle.
    self.assertAllEqual(found["class"], _ordinal(_RISING).argmax(1))
    self.assertLen(set(found["class"]), 3)
    self.assertEqual(found["class"].dtype, np.int64)

  def test_quantiles_speak_the_labels_own_units(self):
    names, found = _predictions(
        "quantiles { level: [0.1, 0.5, 0.9] } label { log1p: true scale: 2 }",
        _RISING)
    self.assertEqual(names, ["quantiles"])
    self.assertAllClose(found["quantiles"], np.expm1(_RISING / 2), rtol=1e-5)

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
      ("value", "regression", "VALUE", lambda z: z),
      ("probabilities_of_labels", "multilabel", "PROBABILITY", _sigmoid),
      ("logits_of_labels", "multilabel", "LOGIT", lambda z: z),
      ("rate", "count", "VALUE", np.exp),
      ("probabilities_in_order", "ordinal", "PROBABILITY", _ordinal),
      ("cumulative_logits", "ordinal", "LOGIT", lambda z: z),
      ("quantiles", "quantiles", "VALUE", lambda z: z))
  def test_matches_formula(self, kind, form, formula):
    logits = _logits_of(kind)
    with tf.Graph().as_default(), tf.Session() as session:
      estimate = heads.estimate(
          _task(_HEADS[kind][0]), tf.constant(logits, tf.float32),
          model_pb2.Estimate.Form.Value(form))
      self.assertAllClose(session.run(estimate), formula(logits), rtol=1e-5)

  def test_values_of_several_numbers(self):
    with tf.Graph().as_default(), tf.Session() as session:
      estimate = heads.estimate(
          _task("regression { size: 3 } label { scale: 4 }"),
          tf.constant(_LOGITS[3], tf.float32), model_pb2.Estimate.VALUE)
      self.assertAllClose(session.run(estimate), _LOGITS[3] / 4)

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
        widened = kind == "ordinal" and form == "PROBABILITY"
        self.assertEqual(
            heads.estimate(_task(text), logits, value).shape.as_list(),
            [2, units + widened])
      else:
        with self.assertRaisesRegex(
            config.ConfigError, f"^model.task.estimate.form: found .* of the "
            f"{kind} task 'late'; allowed"):
          heads.estimate(_task(text), logits, value)


if __name__ == "__main__":
  absltest.main()
