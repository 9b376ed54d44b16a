"""Tests of heads: losses by numpy, and what they refuse."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import estimator

_LOGITS = np.random.default_rng(0).normal(size=[4, 3])
_ONE = _LOGITS[:, :1]
_SUM = tf.losses.Reduction.SUM


def _cross_entropy(labels, logits):
  return np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - (
      labels * logits)


class HeadsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(tf.Graph().as_default())

  def run_all(self, fetches):
    with tf.Session() as session:
      session.run(tf.tables_initializer())
      return session.run(fetches)

  def loss(self, head, logits, labels, features=None):
    return self.run_all(head.create_loss(
        features or {}, estimator.ModeKeys.EVAL, tf.constant(
            logits, tf.float32), labels).training_loss)

  def test_weights_and_reductions(self):
    labels, weights = np.array([[0], [1], [1], [0.5]]), np.array([1, 2, 0, 4])
    losses = _cross_entropy(labels, _ONE)[:, 0] * weights
    for reduction, expected in (
        (_SUM, losses.sum()),
        (tf.losses.Reduction.SUM_OVER_BATCH_SIZE, losses.mean()),
        (tf.losses.Reduction.MEAN, losses.sum() / weights.sum()),
        (tf.losses.Reduction.SUM_BY_NONZERO_WEIGHTS, losses.sum() / 3)):
      head = estimator.binary_classification_head("w", loss_reduction=reduction)
      self.assertAlmostEqual(self.loss(
          head, _ONE, tf.constant(labels, tf.float32),
          {"w": tf.constant(weights)}), expected, 5)

  def test_sparse_labels_of_several_classes(self):
    there = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]])
    expected = _cross_entropy(there, _LOGITS).sum(1) / 3
    rows, places = np.nonzero(there)
    indices = np.stack([rows, [0, 1, 0, 0, 1, 2]], 1)
    for vocabulary, values in (("a b c".split(), np.array(list("abc"))[places]),
                               (None, places)):
      head = estimator.multi_label_head(3, label_vocabulary=vocabulary)
      labels = tf.SparseTensor(indices, values, [4, 3])
      self.assertAlmostEqual(self.loss(head, _LOGITS, labels), expected.mean(),
                             5)

  def test_a_loss_of_ones_own(self):
    def loss_fn(labels, logits, features):
      return tf.abs(logits - labels) * features["f"]
    head = estimator.regression_head(loss_fn=loss_fn, label_dimension=3,
                                     loss_reduction=_SUM)
    self.assertAlmostEqual(self.loss(head, _LOGITS, tf.zeros([4, 3]),
                                     {"f": 2.0}), 2 * np.abs(_LOGITS).sum(), 4)

  def test_logits_side_by_side(self):
    head = estimator.multi_head([
        estimator.binary_classification_head(name="a"),
        estimator.regression_head(label_dimension=2, name="b")], [2.0, 0.5])
    self.assertEqual((head.name, head.logits_dimension), ("a_b", 3))
    spec = head.create_estimator_spec(
        {}, estimator.ModeKeys.EVAL, tf.constant(_LOGITS, tf.float32),
        {"a": tf.ones([4]), "b": tf.zeros([4, 2])},
        regularization_losses=[tf.constant(100.0)])
    self.assertAlmostEqual(self.run_all(spec.loss), 100 + 2 * _cross_entropy(
        1, _ONE).mean() + 0.5 * np.square(_LOGITS[:, 1:]).mean(), 4)
    self.assertIn(("b", "predictions"), spec.predictions)

  def test_updates_run_with_the_step(self):
    count = tf.get_variable("count", [], initializer=tf.zeros_initializer())
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, count.assign_add(1))
    head = estimator.multi_head([estimator.regression_head(name="b")])
    tf.train.create_global_step()
    weight = tf.get_variable("w", [1, 1])
    spec = head.create_estimator_spec(
        {}, estimator.ModeKeys.TRAIN, {"b": tf.matmul(tf.ones([4, 1]), weight)},
        {"b": tf.zeros([4])}, tf.train.GradientDescentOptimizer(0.1))
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      session.run(spec.train_op)
      self.assertEqual(session.run([count, tf.train.get_global_step()]), [1, 1])

  @parameterized.parameters(
      (lambda: estimator.multi_class_head(2), "n_classes: found 2; allowed: "
       "above 2, else binary_classification_head"),
      (lambda: estimator.multi_label_head(1), "n_classes: found 1"),
      (lambda: estimator.regression_head(label_dimension=0), "label_dimension: "
       "found 0; allowed: at least 1"),
      (lambda: estimator.binary_classification_head(thresholds=[1.0]),
       "thresholds: found 1.0; allowed: above 0, below 1"),
      (lambda: estimator.binary_classification_head(label_vocabulary="yes"),
       "label_vocabulary: found str; allowed: a list of strings"),
      (lambda: estimator.multi_class_head(3, label_vocabulary=["a"]),
       "label_vocabulary: found 1; allowed: 3"),
      (lambda: estimator.multi_label_head(
          3, classes_for_class_based_metrics=[3]),
       "classes_for_class_based_metrics: found 3; allowed: 0 to 2"),
      (lambda: estimator.regression_head(loss_reduction="none"),
       "loss_reduction: found 'none'; allowed: what tf.losses.Reduction has"),
      (lambda: estimator.regression_head(loss_fn=lambda labels: 0),
       "loss_fn: found parameters labels; allowed: labels, logits"),
      (lambda: estimator.multi_head([]), r"heads: found the names \[\]; allow"),
      (lambda: estimator.multi_head([estimator.regression_head()]),
       r"heads: found the names \[None\]; allowed: at least one head"),
      (lambda: estimator.multi_head([estimator.regression_head(name="a")],
                                    [1, 2]), "head_weights: found 2; allowed: "
       "1, one per head"))
  def test_heads_that_cannot_be(self, make, problem):
    with self.assertRaisesRegex(ValueError, problem):
      make()

  @parameterized.parameters(
      (_LOGITS, np.zeros([4]), None, "logits of head 'a': found shape "
       r"\(4, 3\); allowed: \[B, 1\]"),
      (_ONE, None, None, "labels of head 'a': found none; required to train"),
      (_ONE, np.zeros([4, 2]), None, "labels of head 'a': found shape "
       r"\(4, 2\); allowed: \[B, 1\]"),
      (_ONE, np.zeros([4]), {"v": 1}, "weight_column of head 'a': no feature "
       "'w'; allowed: the name of a feature"),
      (_ONE, np.zeros([4]), {"w": np.ones([4, 2])}, "weight_column 'w': found "
       r"shape \(4, 2\); allowed: \[B\] or \[B, 1\]"))
  def test_what_does_not_fit(self, logits, labels, features, problem):
    head = estimator.binary_classification_head("w", name="a")
    with self.assertRaisesRegex(ValueError, problem):
      head.create_loss(features or {"w": tf.ones([4])}, "eval",
                       tf.constant(logits), labels)

  def test_several_heads_without_the_labels_of_one(self):
    head = estimator.multi_head([estimator.regression_head(name=n)
                                 for n in "ab"])
    logits = {"a": tf.ones([4, 1]), "b": tf.ones([4, 1])}
    for wrong, problem in (
        (({"a": logits["a"]}, None), "logits: found a; allowed: logits by the "
         "names of all heads, a, b"),
        ((logits, {"b": 0}), "labels: found b; allowed: labels by the names"),
        ((logits, tf.zeros([4])), "labels: found .*Tensor; allowed")):
      with self.assertRaisesRegex(ValueError, problem):
        head.create_estimator_spec({}, "eval", *wrong)
    with self.assertRaisesRegex(ValueError, "optimizer and train_op_fn: found "
                                "none; allowed: one of them"):
      head.create_estimator_spec({}, "train", logits, logits)


class SpecTest(parameterized.TestCase):

  @parameterized.parameters(
      (("test",), {}, "mode: found 'test'; allowed: train, eval, infer"),
      (("train",), {"loss": 1.0}, "train_op: found nothing; required in mode"),
      (("eval",), {}, "loss: found nothing; required in mode 'eval'"),
      (("infer",), {}, "predictions: found nothing; required in mode 'infer'"),
      (("eval",), {"loss": [1.0, 2.0]}, r"loss: found shape \(2,\); allowed"),
      (("eval",), {"loss": 1.0, "eval_metric_ops": {"a": 3}},
       "eval_metric_ops 'a': found int; allowed: a pair of a value and an upd"),
      (("infer",), {"predictions": 1.0, "export_outputs": {"a": 3}},
       "export_outputs 'a': found int; allowed: PredictOutput, Classification"))
  def test_what_a_mode_needs(self, arguments, more, problem):
    with tf.Graph().as_default(), self.assertRaisesRegex(ValueError, problem):
      estimator.EstimatorSpec(*arguments, **more)

  def test_outputs_and_the_default(self):
    with tf.Graph().as_default():
      output = estimator.export.PredictOutput(tf.ones([2]))
      spec = estimator.EstimatorSpec("infer", 1.0, export_outputs={"a": output})
      self.assertEqual(spec.export_outputs, {"a": output,
                                             "serving_default": output})
      with self.assertRaisesRegex(ValueError, "export_outputs: found a, b; "
                                  "allowed: one of several called 'serving_d"):
        estimator.EstimatorSpec("infer", 1.0, export_outputs={"a": output,
                                                              "b": output})
      for kind, wrong, problem in (
          (estimator.export.RegressionOutput, "a", "value: found string"),
          (estimator.export.ClassificationOutput, "a", "scores: found string"),
          (lambda value: estimator.export.ClassificationOutput(classes=value),
           1, "classes: found int32; allowed: string")):
        with self.assertRaisesRegex(ValueError, problem):
          kind(tf.constant(wrong))

  def test_configurations(self):
    with self.assertRaisesRegex(ValueError, "save_checkpoints_steps: found it "
                                "beside save_checkpoints_secs; allowed"):
      estimator.RunConfig(save_checkpoints_steps=1, save_checkpoints_secs=1)
    config = estimator.RunConfig()
    self.assertEqual((config.save_checkpoints_secs,
                      config.save_checkpoints_steps), (600, None))
    other = config.replace(save_checkpoints_steps=5, save_checkpoints_secs=None)
    self.assertEqual((other.save_checkpoints_secs,
                      other.save_checkpoints_steps), (None, 5))
    with self.assertRaisesRegex(ValueError, "cluster: cannot be replaced"):
      config.replace(cluster=1)


class InputsTest(parameterized.TestCase):

  def read(self, input_fn):
    batches = []
    with tf.Graph().as_default(), tf.Session() as session:
      batch = tf.data.make_one_shot_iterator(input_fn()).get_next()
      while True:
        try:
          batches.append(session.run(batch))
        except tf.errors.OutOfRangeError:
          return batches

  def test_arrays(self):
    x, y = np.arange(5), np.arange(5) * 2
    found = self.read(estimator.inputs.numpy_input_fn(
        {"x": x}, y, batch_size=3, num_epochs=2, shuffle=False))
    self.assertEqual([f["x"].tolist() for f, _ in found],
                     [[0, 1, 2], [3, 4, 0], [1, 2, 3], [4]])
    self.assertEqual([y.tolist() for _, y in found][0], [0, 2, 4])
    shuffled = self.read(estimator.inputs.numpy_input_fn(
        x, batch_size=5, shuffle=True))
    self.assertCountEqual(shuffled[0].tolist(), x.tolist())

  def test_what_is_wrong(self):
    with self.assertRaisesRegex(ValueError, "shuffle: found None; allowed"):
      estimator.inputs.numpy_input_fn(np.zeros(3))
    with self.assertRaisesRegex(ValueError, r"found \[2, 3\] rows; allowed"):
      estimator.inputs.numpy_input_fn(np.zeros(3), np.zeros(2), shuffle=False)


if __name__ == "__main__":
  absltest.main()
