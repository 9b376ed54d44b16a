"""Tests of the metrics that a task may ask for, against scikit-learn."""

import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics as sklearn_metrics

from mtl_graph.evaluation import task_metrics
from tests.evaluation import random_rows

_NAN = float("nan")


def _check_precision_recall(found, labels, predicted, weights):
  np.testing.assert_allclose(
      found,
      [score(labels, predicted, sample_weight=weights, zero_division=np.nan)
       for score in (sklearn_metrics.precision_score,
                     sklearn_metrics.recall_score)], atol=1e-12)


class PrecisionRecallAtThresholdTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1), weighting=random_rows.WEIGHTINGS, num_levels=(None, 10),
      threshold=(0.0, 0.3, 0.5, 0.95, 1.0))
  def test_equals_scikit_learn(self, seed, weighting, num_levels, threshold):
    labels, probabilities, weights = random_rows.binary(
        seed, 100, weighting, num_levels)
    _check_precision_recall(
        task_metrics.precision_recall_at_threshold(
            labels, probabilities, weights, threshold),
        labels, probabilities > threshold, weights)

  def test_the_threshold_itself_predicts_0(self):
    found = task_metrics.precision_recall_at_threshold(
        [1, 1], [0.25, 0.5], [1.0, 1.0], 0.25)
    self.assertEqual(tuple(found), (1.0, 0.5))

  @parameterized.parameters(-0.1, 1.1, _NAN)
  def test_bad_threshold(self, threshold):
    with self.assertRaisesRegex(
        ValueError, "^precision_recall_at_threshold: `threshold` must be from "
        f"0 to 1, found {threshold}"):
      task_metrics.precision_recall_at_threshold(
          [1], [0.5], [1.0], threshold)


class PrecisionRecallAtTopTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1), weighting=("ones", "random"), num_levels=(None, 10),
      k=(1, 7, 100, 200))
  def test_equals_scikit_learn(self, seed, weighting, num_levels, k):
    labels, probabilities, weights = random_rows.binary(
        seed, 100, weighting, num_levels)
    predicted = np.zeros(100, int)
    predicted[np.argsort(-probabilities, kind="stable")[:k]] = 1
    _check_precision_recall(
        task_metrics.precision_recall_at_top(
            labels, probabilities, weights, k), labels, predicted, weights)

  def test_by_hand(self):
    # Of the three at 0.5 the first two are taken; weight 0 takes no place.
    found = task_metrics.precision_recall_at_top(
        [0, 1, 0, 1, 1], [0.9, 0.5, 0.5, 0.5, 0.8],
        [0.0, 1.0, 2.0, 4.0, 3.0], 3)
    self.assertEqual(tuple(found), (4 / 6, 4 / 8))

  def test_recall_is_nan_without_label_1(self):
    np.testing.assert_equal(
        tuple(task_metrics.precision_recall_at_top(
            [0, 0], [0.1, 0.2], [1.0, 1.0], 1)), (0.0, _NAN))


class TopKAccuracyTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1), weighting=random_rows.WEIGHTINGS, k=(1, 2, 5, 9, 20),
      num_levels=(None, 5), dtype=(np.float32, np.float64))
  def test_equals_scikit_learn(self, seed, weighting, k, num_levels, dtype):
    labels, probabilities, weights = random_rows.multiclass(
        seed, 200, 9, weighting, dtype)
    if num_levels is not None:  # Many ties.
      probabilities = np.round(probabilities * num_levels) / num_levels
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")  # Where k is all classes.
      expected = sklearn_metrics.top_k_accuracy_score(
          labels, probabilities, k=k, sample_weight=weights, labels=range(9))
    self.assertAlmostEqual(
        task_metrics.top_k_accuracy(labels, probabilities, weights, k),
        expected, delta=1e-12)

  def test_last_of_equal_probabilities_are_taken(self):
    for label, expected in ((0, 0.0), (1, 0.0), (2, 1.0)):
      self.assertEqual(
          task_metrics.top_k_accuracy([label], [[0.2, 0.4, 0.4]], [1.0], 1),
          expected)

  def test_bad_shape(self):
    with self.assertRaisesRegex(
        ValueError, r"^top_k_accuracy: `probabilities` must have shape "
        r"\[2, C\], found \[3, 4\]"):
      task_metrics.top_k_accuracy([0, 1], np.ones([3, 4]), [1.0, 1.0], 2)


class GroupedAucTest(parameterized.TestCase):

  @parameterized.parameters(np.int64, str, bytes, object)
  def test_equals_the_mean_of_scikit_learn_areas(self, dtype):
    labels, scores, weights = random_rows.binary(0, 300, "some_zero", 20)
    groups = np.random.default_rng(100).integers(-20, 20, 300)
    counted = weights > 0.0
    areas, totals = [], []
    for group in np.unique(groups):
      rows = counted & (groups == group)
      if len(np.unique(labels[rows])) == 2:
        areas.append(sklearn_metrics.roc_auc_score(
            labels[rows], scores[rows], sample_weight=weights[rows]))
        totals.append(weights[rows].sum())
    self.assertBetween(len(areas), 20, 39)  # Some are left out.
    if dtype is object:
      groups = np.array([str(group) for group in groups], object)
    self.assertAlmostEqual(
        task_metrics.grouped_auc(
            labels, scores, weights, groups.astype(dtype)),
        np.average(areas, weights=totals), delta=1e-12)

  def test_group_with_one_label_of_weight_0_is_left_out(self):
    self.assertEqual(
        task_metrics.grouped_auc(
            [0, 1, 0, 1], [0.1, 0.2, 0.2, 0.1], [1.0, 1.0, 0.0, 1.0],
            ["a", "a", "b", "b"]), 1.0)

  def test_bad_shape_names_the_argument(self):
    with self.assertRaisesRegex(
        ValueError, r"^grouped_auc: `groups` must have shape \[2\], "
        r"found \[3\]\.$"):
      task_metrics.grouped_auc([0, 1], [0.1, 0.2], [1.0, 1.0], [1, 2, 3])
    with self.assertRaisesRegex(
        ValueError, r"^grouped_auc: `scores` must have shape \[2\]"):
      task_metrics.grouped_auc([0, 1], [0.1], [1.0, 1.0], [1, 2])


class ConfusionMatrixTest(parameterized.TestCase):

  @parameterized.product(weighting=random_rows.WEIGHTINGS, num_classes=(2, 5))
  def test_equals_scikit_learn(self, weighting, num_classes):
    labels, probabilities, weights = random_rows.multiclass(
        0, 100, num_classes, weighting)
    predicted = probabilities.argmax(1)
    found = task_metrics.confusion_matrix(labels, predicted, weights, 6)
    self.assertEqual((found.shape, found.dtype), ((6, 6), np.float64))
    np.testing.assert_allclose(
        found, sklearn_metrics.confusion_matrix(
            labels, predicted, sample_weight=weights, labels=range(6)),
        atol=1e-12)

  def test_labels_are_rows(self):
    np.testing.assert_array_equal(
        task_metrics.confusion_matrix([0, 0], [1, 1], [1.0, 2.0], 2),
        [[0.0, 3.0], [0.0, 0.0]])

  def test_zeros_without_rows(self):
    np.testing.assert_array_equal(
        task_metrics.confusion_matrix([], [], [], 2), np.zeros([2, 2]))

  @parameterized.parameters((-1,), (2,), (0.5,), (_NAN,))
  def test_bad_class_is_shown(self, bad):
    for argument, classes in (
        ("labels", ([0, bad], [0, 1])), ("predicted", ([0, 1], [0, bad]))):
      with self.assertRaisesRegex(
          ValueError, rf"^confusion_matrix: `{argument}` must be integers in "
          rf"\[0, 2\), found {bad}"):
        task_metrics.confusion_matrix(*classes, np.ones(2), 2)


class PinballTest(parameterized.TestCase):

  @parameterized.product(
      weighting=("ones", "random"), level=(0.1, 0.5), size=(None, 3),
      missing=(0.0, 0.3))
  def test_equals_scikit_learn(self, weighting, level, size, missing):
    labels, values, weights = random_rows.regression(
        0, 100, weighting, size, missing)
    present = ~np.isnan(labels)
    of_entries = np.broadcast_to(
        weights.reshape([100] + [1] * (labels.ndim - 1)), labels.shape)[present]
    self.assertAlmostEqual(
        task_metrics.pinball(labels, values, weights, level),
        sklearn_metrics.mean_pinball_loss(
            labels[present], values[present], alpha=level,
            sample_weight=of_entries), delta=1e-12)

  @parameterized.parameters(0.0, 1.0, _NAN)
  def test_bad_level(self, level):
    with self.assertRaisesRegex(
        ValueError, f"^pinball: `level` must be above 0 .*, found {level}"):
      task_metrics.pinball([1.0], [1.0], [1.0], level)


_SCORES = (
    ("at_threshold",
     lambda *rows: task_metrics.precision_recall_at_threshold(*rows, 0.5)),
    ("at_top", lambda *rows: task_metrics.precision_recall_at_top(*rows, 9)),
    ("grouped_auc", lambda labels, scores, weights: task_metrics.grouped_auc(
        labels, scores, weights, np.zeros(len(labels), int))),
    ("pinball", lambda *rows: task_metrics.pinball(*rows, 0.5)),
    ("top_k", lambda labels, scores, weights: task_metrics.top_k_accuracy(
        labels, np.stack([scores, 1.0 - scores], axis=1), weights, 1)),
)


class AllTest(parameterized.TestCase):

  @parameterized.named_parameters(*_SCORES)
  def test_nan_without_rows_or_weight_or_prediction(self, compute):
    labels, scores, weights = random_rows.binary(0, 20, "ones")
    self.assertTrue(np.isfinite(compute(labels, scores, weights)).all())
    self.assertTrue(
        np.isnan(compute(labels[:0], scores[:0], weights[:0])).all())
    self.assertTrue(np.isnan(compute(labels, scores, 0.0 * weights)).all())
    scores[4] = _NAN
    self.assertTrue(np.isnan(compute(labels, scores, weights)).all())

  @parameterized.named_parameters(*_SCORES)
  def test_rows_of_weight_0_count_for_nothing(self, compute):
    labels, scores, weights = random_rows.binary(0, 20, "random", 5)
    np.testing.assert_equal(
        compute(np.append([1], labels), np.append([_NAN], scores),
                np.append([0.0], weights)),
        compute(labels, scores, weights))

  @parameterized.parameters(
      (task_metrics.precision_recall_at_top, [0.5]),
      (task_metrics.top_k_accuracy, [[0.5, 0.5]]))
  def test_bad_k(self, function, probabilities):
    with self.assertRaisesRegex(
        ValueError, f"^{function.__name__}: `k` must be at least 1, found 0"):
      function([1], probabilities, [1.0], 0)


if __name__ == "__main__":
  absltest.main()
