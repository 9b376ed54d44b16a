"""Tests of measuring a model over whole sets of rows."""

from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics as sklearn_metrics
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.checkpoints import sessions
from mtl_graph.data import splits
from mtl_graph.evaluation import evaluator
from mtl_graph.model import graphs

_TEXT = """
name: "small" seed: 3
data {
  train { weight_column: "weight" }
  validation { weight_column: "weight" }
  feature { name: "x" numeric { size: 2 } }
  feature { name: "city" categorical { vocabulary: ["oslo", "bern"]
                                       embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 5 activation: TANH } }
                         layer { dropout { rate: 0.5 } } } }
  task { name: "late" binary {} }
  task { name: "delay" label { scale: 0.5 log1p: true } regression {} }
  task { name: "plain" label { column: "delay" } regression { loss: ABSOLUTE } }
  task { name: "kind" multiclass { vocabulary: ["a", "b", "c"] } }
}
training {
  num_steps: 1 joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 1 } } }
}
"""
_ROWS = 50
_RANDOM = np.random.default_rng(5)
_BARE = {
    "late": _RANDOM.random(_ROWS) < 0.3,
    "delay": _RANDOM.random(_ROWS) < 0.6,
    "kind": _RANDOM.random(_ROWS) < 0.5,
}
_ARRAYS = {
    "x": _RANDOM.normal(size=[_ROWS, 2]),
    "city": _RANDOM.choice(["oslo", "bern", ""], _ROWS),
    "late": np.where(_BARE["late"], np.nan, _RANDOM.integers(0, 2, _ROWS)),
    "delay": np.where(_BARE["delay"], np.nan, _RANDOM.exponential(3, _ROWS)),
    "kind": np.where(_BARE["kind"], "", _RANDOM.choice(["a", "b", "c"], _ROWS)),
    # Some labelled rows weigh nothing.
    "weight": _RANDOM.integers(0, 4, _ROWS).astype(float),
}


class EvaluatorTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._experiment = config.parse(_TEXT)
    cls._model = graphs.build(cls._experiment)
    cls._session = cls.enterClassContext(
        sessions.open_session(cls._model.graph))
    sessions.initialize(cls._session)
    cls._split = splits.read(cls._experiment, "validation", _ARRAYS)
    cls._whole = cls._evaluator(4096)
    cls._batch = cls._whole.transform(cls._split)
    cls._predictions = cls._whole.predict(cls._batch)
    cls._metrics = cls._whole.evaluate(cls._batch)

  @classmethod
  def _evaluator(cls, batch_size):
    experiment = config.parse(_TEXT)
    experiment.evaluation.batch_size = batch_size
    return evaluator.Evaluator(cls._session, cls._model, experiment)

  def _rows(self, column, prediction):
    """Returns labels, predictions and weights of the rows that count."""
    weights = _ARRAYS["weight"]
    counts = (weights > 0) & ~_BARE[column]
    self.assertBetween(counts.sum(), 10, _ROWS - 10)
    return _ARRAYS[column][counts], prediction[counts].astype(float), weights[
        counts]

  def test_transform_keeps_every_row(self):
    self.assertAllClose(self._batch.numbers, _ARRAYS["x"])
    self.assertAllEqual(self._batch.ids[:, 0], [
        {"oslo": 0, "bern": 1, "": 2}[c] for c in _ARRAYS["city"]])
    self.assertAllEqual(self._batch.labels, self._split.labels.values)
    self.assertAllEqual(self._batch.weights, self._split.labels.weights)

  def test_transform_in_pieces(self):
    with mock.patch.object(evaluator, "TRANSFORM_ROWS", 7):
      pieces = self._whole.transform(self._split)
    for piece, whole in zip(pieces, self._batch):
      self.assertEqual(piece.tobytes(), whole.tobytes())

  def test_binary_equals_scikit_learn(self):
    labels, probabilities, weights = self._rows(
        "late", self._predictions["late"]["probability"])
    found = self._metrics["late"]
    self.assertAlmostEqual(found["auc"], sklearn_metrics.roc_auc_score(
        labels, probabilities, sample_weight=weights))
    log_loss = sklearn_metrics.log_loss(labels, probabilities,
                                        sample_weight=weights)
    self.assertAlmostEqual(found["log_loss"], log_loss)
    self.assertAlmostEqual(found["loss"], log_loss, places=5)
    self.assertAlmostEqual(found["accuracy"], sklearn_metrics.accuracy_score(
        labels, probabilities > 0.5, sample_weight=weights))
    self.assertAlmostEqual(found["f1"], sklearn_metrics.f1_score(
        labels, probabilities > 0.5, sample_weight=weights))
    self.assertAlmostEqual(found["calibration"], np.average(
        probabilities, weights=weights) / np.average(labels, weights=weights))

  def test_regression_equals_scikit_learn_in_the_labels_own_units(self):
    labels, values, weights = self._rows("delay",
                                         self._predictions["delay"]["value"])
    found = self._metrics["delay"]
    self.assertAlmostEqual(found["rmse"], sklearn_metrics.mean_squared_error(
        labels, values, sample_weight=weights) ** 0.5, places=5)
    self.assertAlmostEqual(found["mae"], sklearn_metrics.mean_absolute_error(
        labels, values, sample_weight=weights), places=5)
    self.assertAlmostEqual(found["r2"], sklearn_metrics.r2_score(
        labels, values, sample_weight=weights), places=5)
    self.assertAlmostEqual(found["normalized_mse"], 1 - found["r2"])

  def test_loss_is_in_the_units_of_the_loss(self):
    labels, values, weights = self._rows("delay",
                                         self._predictions["delay"]["value"])
    residuals = 0.5 * (np.log1p(values) - np.log1p(labels))
    self.assertAlmostEqual(self._metrics["delay"]["loss"], np.average(
        residuals ** 2, weights=weights), places=5)
    labels, values, weights = self._rows("delay",
                                         self._predictions["plain"]["value"])
    self.assertAlmostEqual(self._metrics["plain"]["loss"], np.average(
        np.abs(values - labels), weights=weights), places=5)
    self.assertAlmostEqual(self._metrics["plain"]["loss"],
                           self._metrics["plain"]["mae"], places=5)

  def test_multiclass_equals_scikit_learn(self):
    labels, probabilities, weights = self._rows(
        "kind", self._predictions["kind"]["probabilities"])
    labels = np.searchsorted(["a", "b", "c"], labels)
    predicted = probabilities.argmax(1)
    found = self._metrics["kind"]
    log_loss = sklearn_metrics.log_loss(
        labels, probabilities / probabilities.sum(1, keepdims=True),
        sample_weight=weights)
    self.assertAlmostEqual(found["log_loss"], log_loss, places=6)
    self.assertAlmostEqual(found["loss"], log_loss, places=5)
    self.assertAlmostEqual(found["accuracy"], sklearn_metrics.accuracy_score(
        labels, predicted, sample_weight=weights))
    self.assertAlmostEqual(found["f1"], sklearn_metrics.f1_score(
        labels, predicted, sample_weight=weights, average="macro"))

  def test_metrics_are_those_the_outline_names(self):
    self.assertEqual(
        [f"{task}/{name}" for task, named in self._metrics.items()
         for name in named],
        outline.metric_names(self._experiment))

  @parameterized.parameters(1, 7, 49, 50)
  def test_batch_size_changes_nothing(self, batch_size):
    some = self._evaluator(batch_size)
    for task, keyed in some.predict(self._batch).items():
      for key, values in keyed.items():
        self.assertAllClose(values, self._predictions[task][key], atol=1e-6)
    for task, named in some.evaluate(self._batch).items():
      self.assertAllClose(list(named.values()),
                          list(self._metrics[task].values()), rtol=1e-5)

  def test_unlabelled_rows_count_for_nothing(self):
    labels = self._batch.labels.copy()
    unlabelled = self._batch.weights == 0
    self.assertTrue(unlabelled.any())
    labels[unlabelled] = 1
    self.assertEqual(
        self._whole.evaluate(self._batch._replace(labels=labels)),
        self._metrics)

  def test_evaluation_has_no_dropout(self):
    again = self._whole.evaluate(self._batch)
    self.assertEqual(again, self._metrics)
    self.assertNotIn("dropout", " ".join(
        op.name for op in self._model.graph.get_operations()))

  def test_measure_adds_what_is_asked_for_beside_the_metrics(self):
    experiment = config.parse(_TEXT + """evaluation {
        task_metrics { task: "late" group_column: "user" threshold: 0.25 }
        task_metrics { task: "kind" confusion_matrix: true }
        slice { column: "user" } }""")
    users = np.array(["u", "v"], object)[np.arange(_ROWS) % 2]
    some = evaluator.Evaluator(self._session, self._model, experiment)
    measured = some.measure(self._batch, {"user": users})
    self.assertEqual(measured.metrics, some.evaluate(self._batch,
                                                     {"user": users}))
    self.assertEqual(
        [f"{task}/{name}" for task, named in measured.metrics.items()
         for name in named], outline.metric_names(experiment))
    for task, named in self._metrics.items():
      self.assertContainsSubset(named, measured.metrics[task])
    labels, predicted, weights = self._rows(
        "kind", self._predictions["kind"]["class"])
    np.testing.assert_allclose(
        measured.confusion["kind"].matrix, sklearn_metrics.confusion_matrix(
            np.searchsorted(["a", "b", "c"], labels), predicted,
            sample_weight=weights))
    self.assertEqual({value: one.rows for value, one in
                      measured.slices["user"].items()}, {"u": 25, "v": 25})
    of_u = self._whole.evaluate(type(self._batch)(
        *[array[::2] for array in self._batch]))
    for name, value in of_u["delay"].items():
      self.assertAlmostEqual(
          measured.slices["user"]["u"].metrics["delay"][name], value, places=5)

  def test_sample_is_some_rows_as_they_are_served(self):
    raw, predictions = self._whole.sample(self._split, 7)
    self.assertAllClose(raw["x"], _ARRAYS["x"][:7])
    for task, keyed in predictions.items():
      for key, values in keyed.items():
        self.assertAllClose(values, self._predictions[task][key][:7],
                            atol=1e-6)

  def test_predictions_have_a_row_each(self):
    self.assertEqual(
        {f"{task}/{key}": values.shape
         for task, keyed in self._predictions.items()
         for key, values in keyed.items()},
        {"late/probability": (_ROWS,), "late/logit": (_ROWS,),
         "delay/value": (_ROWS,), "plain/value": (_ROWS,),
         "kind/probabilities": (_ROWS, 3), "kind/logits": (_ROWS, 3),
         "kind/class": (_ROWS,)})


if __name__ == "__main__":
  absltest.main()
