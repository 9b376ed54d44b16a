"""Tests of the metrics of heads that predict classes, against scikit-learn."""

import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics as sklearn_metrics

from mtl_graph.evaluation import metrics
from tests.evaluation import random_rows

_DTYPES = (np.float32, np.float64)


class HeadTestCase(parameterized.TestCase):

  def check(self, result, expected):
    """Checks names in order, and values to nearly the last bits."""
    self.assertEqual(list(result), list(expected))
    for name, value in expected.items():
      self.assertIsInstance(result[name], float, msg=name)
      np.testing.assert_allclose(
          result[name], value, rtol=1e-10, atol=1e-12, err_msg=name)


class BinaryTest(HeadTestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(3, 40, 1000), weighting=random_rows.WEIGHTINGS,
      num_levels=(None, 2, 10), dtype=_DTYPES)
  def test_equals_scikit_learn(
      self, seed, num_rows, weighting, num_levels, dtype):
    labels, probabilities, weights = random_rows.binary(
        seed, num_rows, weighting, num_levels, dtype)
    result = metrics.binary(labels, probabilities, weights)

    exact = probabilities.astype(np.float64)
    predicted = exact > 0.5
    weighted = {"sample_weight": weights}
    self.check(result, {
        "auc": sklearn_metrics.roc_auc_score(labels, exact, **weighted),
        "pr_auc": sklearn_metrics.average_precision_score(
            labels, exact, **weighted),
        "log_loss": sklearn_metrics.log_loss(labels, exact, **weighted),
        "accuracy": sklearn_metrics.accuracy_score(
            labels, predicted, **weighted),
        "precision": sklearn_metrics.precision_score(
            labels, predicted, zero_division=np.nan, **weighted),
        "recall": sklearn_metrics.recall_score(
            labels, predicted, zero_division=np.nan, **weighted),
        "f1": sklearn_metrics.f1_score(
            labels, predicted, zero_division=0, **weighted),
        "calibration": np.average(exact, weights=weights) /
                       np.average(labels, weights=weights),
    })

  def test_probability_one_half_predicts_0(self):
    half, one = np.array([0.5]), np.ones(1)
    self.assertEqual(metrics.binary([0], half, one)["accuracy"], 1.0)
    self.assertEqual(metrics.binary([1], half, one)["accuracy"], 0.0)
    above = np.nextafter(half, 1.0)
    self.assertEqual(metrics.binary([1], above, one)["accuracy"], 1.0)

  def test_without_label_1(self):
    self.check(metrics.binary([0, 0], [0.25, 0.25], [1.0, 1.0]), {
        "auc": np.nan, "pr_auc": np.nan, "log_loss": -np.log(0.75),
        "accuracy": 1.0, "precision": np.nan, "recall": np.nan, "f1": 0.0,
        "calibration": np.nan})

  def test_only_label_1(self):
    self.check(metrics.binary([1, 1], [0.25, 0.25], [1.0, 1.0]), {
        "auc": np.nan, "pr_auc": 1.0, "log_loss": -np.log(0.25),
        "accuracy": 0.0, "precision": np.nan, "recall": 0.0, "f1": 0.0,
        "calibration": 0.25})

  def test_perfect_predictions_are_exactly_1(self):
    labels, _, weights = random_rows.binary(3, 999, "random")
    result = metrics.binary(labels, labels, weights)
    for name in ("accuracy", "precision", "recall", "f1", "calibration"):
      self.assertEqual(result[name], 1.0, msg=name)

  @parameterized.parameters(bool, np.int8, np.int64, np.float32)
  def test_label_types(self, dtype):
    labels, probabilities, weights = random_rows.binary(4, 50, "random", 10)
    self.assertEqual(
        metrics.binary(labels.astype(dtype), probabilities, weights),
        metrics.binary(labels, probabilities, weights))


class MulticlassTest(HeadTestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(1, 5, 1000), num_classes=(2, 3, 20),
      weighting=("ones", "random"), dtype=_DTYPES)
  def test_equals_scikit_learn(
      self, seed, num_rows, num_classes, weighting, dtype):
    labels, probabilities, weights = random_rows.multiclass(
        seed, num_rows, num_classes, weighting, dtype)
    predicted = probabilities.argmax(1)
    self.check(metrics.multiclass(labels, probabilities, weights), {
        "log_loss": _log_loss_of_classes(labels, probabilities, weights),
        "accuracy": sklearn_metrics.accuracy_score(
            labels, predicted, sample_weight=weights),
        "f1": sklearn_metrics.f1_score(
            labels, predicted, sample_weight=weights, average="macro",
            zero_division=0),
    })

  def test_f1_leaves_out_classes_that_do_not_occur(self):
    # Class 0: F1 2/3. Class 1: predicted, never right: 0. Class 2, 3: absent.
    probabilities = np.array([[0.9, 0.1, 0.0, 0.0], [0.2, 0.8, 0.0, 0.0]])
    self.assertAlmostEqual(
        metrics.multiclass([0, 0], probabilities, np.ones(2))["f1"], 1.0 / 3.0)

  def test_weight_0_makes_no_class_present(self):
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.0, 0.8]])
    self.assertEqual(
        metrics.multiclass([0, 1], probabilities, [1.0, 0.0])["f1"], 1.0)

  @parameterized.parameters(metrics.multiclass, metrics.ordinal)
  def test_first_of_equal_probabilities_wins(self, compute):
    for label, expected in ((1, 1.0), (2, 0.0)):
      result = compute([label], [[0.2, 0.4, 0.4]], np.ones(1))
      self.assertEqual(result["accuracy"], expected)

  def test_two_classes_equal_binary(self):
    labels, probabilities, weights = random_rows.binary(5, 300, "random", 10)
    two = np.stack([1.0 - probabilities, probabilities], axis=1)
    binary = metrics.binary(labels, probabilities, weights)
    multiclass = metrics.multiclass(labels, two, weights)
    self.assertEqual(multiclass["log_loss"], binary["log_loss"])
    self.assertEqual(multiclass["accuracy"], binary["accuracy"])


class MultilabelTest(HeadTestCase):

  @parameterized.product(
      seed=(0, 1), weighting=random_rows.WEIGHTINGS, missing=(0.0, 0.3),
      num_levels=(None, 10), dtype=_DTYPES)
  def test_equals_scikit_learn(
      self, seed, weighting, missing, num_levels, dtype):
    labels, probabilities, weights = random_rows.multilabel(
        seed, 300, 4, weighting, missing, num_levels, dtype)
    result = metrics.multilabel(labels, probabilities, weights)

    present = ~np.isnan(labels)
    exact = probabilities.astype(np.float64)
    by_label = []
    for c in range(4):
      y, p, w = [array[present[:, c]] for array in
                 (labels[:, c], exact[:, c], weights)]
      by_label.append([
          sklearn_metrics.roc_auc_score(y, p, sample_weight=w),
          sklearn_metrics.average_precision_score(y, p, sample_weight=w),
          sklearn_metrics.f1_score(y, p > 0.5, sample_weight=w)])
    auc, pr_auc, f1 = np.mean(by_label, axis=0)
    entries = labels[present], exact[present]
    of_entries = np.repeat(weights[:, np.newaxis], 4, axis=1)[present]
    self.check(result, {
        "auc": auc,
        "pr_auc": pr_auc,
        "log_loss": sklearn_metrics.log_loss(
            *entries, sample_weight=of_entries),
        "accuracy": sklearn_metrics.accuracy_score(
            entries[0], entries[1] > 0.5, sample_weight=of_entries),
        "f1": f1,
    })

  def test_means_equal_the_macro_averages_of_scikit_learn(self):
    labels, probabilities, weights = random_rows.multilabel(
        5, 200, 6, "random")
    labels, predicted = labels.astype(int), (probabilities > 0.5).astype(int)
    result = metrics.multilabel(labels, probabilities, weights)
    for name, expected in (
        ("auc", sklearn_metrics.roc_auc_score(
            labels, probabilities, sample_weight=weights)),
        ("pr_auc", sklearn_metrics.average_precision_score(
            labels, probabilities, sample_weight=weights)),
        ("f1", sklearn_metrics.f1_score(
            labels, predicted, sample_weight=weights, average="macro"))):
      self.assertAlmostEqual(result[name], expected, delta=1e-12, msg=name)

  def test_labels_without_both_values_are_left_out_of_means(self):
    # Label 0 has both values, 1 no 1, 2 no 0, 3 is missing throughout.
    labels = [[0, 0, 1, np.nan], [1, 0, 1, np.nan]]
    probabilities = [[0.25, 0.25, 0.25, 0.9], [0.75, 0.25, 0.75, 0.9]]
    result = metrics.multilabel(labels, probabilities, [1.0, 1.0])
    self.check(result, {
        "auc": 1.0,  # Of label 0.
        "pr_auc": 1.0,  # Of labels 0 and 2.
        "log_loss": -(5 * np.log(0.75) + np.log(0.25)) / 6,
        "accuracy": 5 / 6,
        "f1": (1.0 + 2 / 3) / 2,  # Of labels 0 and 2.
    })

  def test_one_label_equals_binary(self):
    labels, probabilities, weights = random_rows.binary(6, 300, "random", 10)
    binary = metrics.binary(labels, probabilities, weights)
    for name, value in metrics.multilabel(
        labels[:, np.newaxis], probabilities[:, np.newaxis], weights).items():
      self.assertEqual(value, binary[name], msg=name)

  def test_prediction_of_a_missing_label_does_not_matter(self):
    rows = random_rows.multilabel(7, 30, 3, "random", 0.3)
    expected = metrics.multilabel(*rows)
    rows[1][np.isnan(rows[0])] = np.nan
    self.assertEqual(metrics.multilabel(*rows), expected)


class OrdinalTest(HeadTestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(8, 1000), num_classes=(2, 3, 20),
      weighting=random_rows.WEIGHTINGS, dtype=_DTYPES)
  def test_equals_scikit_learn(
      self, seed, num_rows, num_classes, weighting, dtype):
    labels, probabilities, weights = random_rows.multiclass(
        seed, num_rows, num_classes, weighting, dtype)
    predicted = probabilities.argmax(1)
    weighted = {"sample_weight": weights}
    self.check(metrics.ordinal(labels, probabilities, weights), {
        "log_loss": _log_loss_of_classes(labels, probabilities, weights),
        "accuracy": sklearn_metrics.accuracy_score(
            labels, predicted, **weighted),
        "mae": sklearn_metrics.mean_absolute_error(
            labels, predicted, **weighted),
        "kappa": sklearn_metrics.cohen_kappa_score(
            labels, predicted, weights="quadratic",
            labels=range(num_classes), **weighted),
    })


def _log_loss_of_classes(labels, probabilities, weights):
  with warnings.catch_warnings():
    # Rows of float32 do not quite sum to one; scikit-learn only warns.
    warnings.simplefilter("ignore", UserWarning)
    return sklearn_metrics.log_loss(
        labels, probabilities.astype(np.float64), sample_weight=weights,
        labels=range(probabilities.shape[1]))


if __name__ == "__main__":
  absltest.main()
