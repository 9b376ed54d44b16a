"""Tests of the metrics of classes, against scikit-learn and by hand."""

import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics as sklearn_metrics

from mtl_graph.evaluation import class_metrics
from tests.evaluation import random_rows

_NAN = float("nan")
_NONE = np.zeros(0, int), np.zeros(0, int), np.zeros(0)


def _rows(seed, num_rows, num_classes, weighting):
  random = np.random.default_rng(seed)
  labels, predicted = random.integers(0, num_classes, [2, num_rows])
  predicted = np.where(random.random(num_rows) < 0.5, labels, predicted)
  return labels, predicted, random_rows.weights(random, weighting, num_rows)


class LogLossTest(absltest.TestCase):

  def test_of_a_certain_mistake_is_finite(self):
    for dtype in (np.float32, np.float64):
      self.assertAlmostEqual(
          class_metrics.log_loss(np.zeros(1, dtype), np.ones(1)),
          -np.log(np.finfo(np.float64).eps), delta=1e-12)

  def test_is_clipped_as_in_scikit_learn(self):
    of_label, weights = np.array([0.0, 1.0, 0.25]), np.array([1.0, 2.0, 3.0])
    self.assertAlmostEqual(
        class_metrics.log_loss(of_label, weights),
        sklearn_metrics.log_loss(
            [1, 1, 1], of_label, sample_weight=weights, labels=[0, 1]),
        delta=1e-12)

  def test_no_rows(self):
    self.assertTrue(np.isnan(class_metrics.log_loss(np.zeros(0), np.zeros(0))))


class AccuracyTest(absltest.TestCase):

  def test_by_hand(self):
    self.assertEqual(
        class_metrics.accuracy(np.array([0, 1, 2]), np.array([0, 2, 2]),
                               np.array([1.0, 2.0, 5.0])), 0.75)

  def test_no_rows(self):
    self.assertTrue(np.isnan(class_metrics.accuracy(*_NONE)))


class PrecisionRecallTest(parameterized.TestCase):

  @parameterized.product(seed=(0, 1, 2), weighting=("ones", "random"))
  def test_equals_scikit_learn(self, seed, weighting):
    labels, predicted, weights = _rows(seed, 100, 2, weighting)
    found = class_metrics.precision_recall(labels, predicted, weights)
    self.assertAlmostEqual(
        found.precision, sklearn_metrics.precision_score(
            labels, predicted, sample_weight=weights), delta=1e-12)
    self.assertAlmostEqual(
        found.recall, sklearn_metrics.recall_score(
            labels, predicted, sample_weight=weights), delta=1e-12)

  @parameterized.parameters(
      ([0, 0], [0, 0], _NAN, _NAN),
      ([0, 0], [0, 1], 0.0, _NAN),
      ([0, 1], [0, 0], _NAN, 0.0),
      ([], [], _NAN, _NAN))
  def test_undefined_ones_are_nan(self, labels, predicted, *expected):
    np.testing.assert_equal(
        tuple(class_metrics.precision_recall(
            np.array(labels, int), np.array(predicted, int),
            np.ones(len(labels)))),
        tuple(expected))


class F1OfClassesTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1, 2), weighting=("ones", "random"), num_rows=(0, 3, 100))
  def test_equals_scikit_learn(self, seed, weighting, num_rows):
    labels, predicted, weights = _rows(seed, num_rows, 5, weighting)
    expected = np.full(5, _NAN)
    if num_rows:
      expected = sklearn_metrics.f1_score(
          labels, predicted, sample_weight=weights, average=None,
          labels=range(5), zero_division=np.nan)
    np.testing.assert_allclose(
        class_metrics.f1_of_classes(labels, predicted, weights, 5), expected,
        atol=1e-12)


class QuadraticKappaTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1, 2), weighting=("ones", "random"), num_classes=(2, 4, 30))
  def test_equals_scikit_learn(self, seed, weighting, num_classes):
    labels, predicted, weights = _rows(seed, 100, num_classes, weighting)
    self.assertAlmostEqual(
        class_metrics.quadratic_kappa(labels, predicted, weights, num_classes),
        sklearn_metrics.cohen_kappa_score(
            labels, predicted, weights="quadratic", sample_weight=weights,
            labels=range(num_classes)),
        delta=1e-12)

  def test_matches_the_formula_over_pairs(self):
    labels, predicted, weights = _rows(5, 60, 6, "random")
    observed = np.sum(weights * (labels - predicted)**2)
    by_chance = np.sum(
        np.outer(weights, weights) * np.subtract.outer(labels, predicted)**2)
    self.assertAlmostEqual(
        class_metrics.quadratic_kappa(labels, predicted, weights, 6),
        1.0 - observed * np.sum(weights) / by_chance, delta=1e-12)

  @parameterized.named_parameters(
      ("perfect", [0, 1, 2], [0, 1, 2], 1.0),
      ("reversed", [0, 1], [1, 0], -1.0),
      ("always_the_same", [0, 1, 2], [1, 1, 1], 0.0),
      # Squares 4 of 9 * 4 / 3 by chance: the absent class 1 lies between.
      ("over_an_absent_class", [0, 2, 2], [0, 0, 2], 0.4),
      ("one_class", [1, 1], [1, 1], _NAN),
      ("no_rows", [], [], _NAN))
  def test_by_hand(self, labels, predicted, expected):
    np.testing.assert_allclose(
        class_metrics.quadratic_kappa(
            np.array(labels, int), np.array(predicted, int),
            np.ones(len(labels)), 3),
        expected, atol=1e-15)

  def test_one_class_is_nan_as_in_scikit_learn(self):
    ones = np.ones(3, int)
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      expected = sklearn_metrics.cohen_kappa_score(
          ones, ones, weights="quadratic", labels=range(3))
    np.testing.assert_equal(
        class_metrics.quadratic_kappa(ones, ones, np.full(3, 0.1), 3), expected)


if __name__ == "__main__":
  absltest.main()
