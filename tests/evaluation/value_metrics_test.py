"""Tests of the metrics of numbers, against scikit-learn and by hand."""

import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics as sklearn_metrics

from mtl_graph.evaluation import value_metrics
from tests.evaluation import random_rows

_INF = float("inf")


class ValueMetricsTest(parameterized.TestCase):

  @parameterized.product(seed=(0, 1, 2), weighting=("ones", "random"))
  def test_equal_scikit_learn(self, seed, weighting):
    labels, values, weights = random_rows.regression(seed, 100, weighting)
    for function, expected in (
        (value_metrics.mse, sklearn_metrics.mean_squared_error),
        (value_metrics.mae, sklearn_metrics.mean_absolute_error)):
      self.assertAlmostEqual(
          function(labels, values, weights),
          expected(labels, values, sample_weight=weights), delta=1e-12)
    self.assertAlmostEqual(
        1.0 - value_metrics.normalized_mse(labels, values, weights),
        sklearn_metrics.r2_score(labels, values, sample_weight=weights),
        delta=1e-12)

  def test_calibration_by_hand(self):
    values, weights = np.array([0.5, 0.25]), np.array([2.0, 4.0])
    self.assertEqual(
        value_metrics.calibration(np.array([1, 0]), values, weights), 1.0)
    self.assertTrue(np.isnan(
        value_metrics.calibration(np.array([0, 0]), values, weights)))

  @parameterized.parameters(
      value_metrics.mse, value_metrics.mae, value_metrics.normalized_mse,
      value_metrics.calibration, value_metrics.poisson_deviance)
  def test_no_rows(self, function):
    self.assertTrue(np.isnan(function(np.zeros(0), np.zeros(0), np.zeros(0))))

  def test_no_rows_of_quantiles(self):
    none = np.zeros(0)
    self.assertTrue(np.isnan(value_metrics.pinball(none, none, none, 0.5)))
    self.assertTrue(np.isnan(value_metrics.coverage(none, none, none, none)))


class PoissonDevianceTest(parameterized.TestCase):

  @parameterized.product(seed=(0, 1, 2), weighting=("ones", "random"))
  def test_equals_scikit_learn(self, seed, weighting):
    labels, rates, weights = random_rows.count(seed, 200, weighting)
    self.assertTrue((labels == 0).any())
    self.assertAlmostEqual(
        value_metrics.poisson_deviance(labels, rates, weights),
        sklearn_metrics.mean_poisson_deviance(
            labels, rates, sample_weight=weights), delta=1e-12)

  @parameterized.parameters(
      (3.0, 3.0, 0.0),
      (0.0, 2.0, 4.0),
      (0.0, 0.0, 0.0),
      (1.0, 0.0, _INF),
      (1.0, _INF, _INF),
      (0.0, _INF, _INF),
      (2.0, 1.0, 4.0 * np.log(2.0) - 2.0))
  def test_of_one_row(self, label, rate, expected):
    with warnings.catch_warnings():
      warnings.simplefilter("error")
      self.assertEqual(
          value_metrics.poisson_deviance(
              np.array([label]), np.array([rate]), np.ones(1)), expected)


class PinballTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1), weighting=("ones", "random"), level=(0.01, 0.5, 0.8))
  def test_equals_scikit_learn(self, seed, weighting, level):
    labels, values, weights = random_rows.regression(seed, 100, weighting)
    self.assertAlmostEqual(
        value_metrics.pinball(labels, values, weights, level),
        sklearn_metrics.mean_pinball_loss(
            labels, values, alpha=level, sample_weight=weights), delta=1e-12)

  @parameterized.parameters((2.0, 0.25 * 2.0), (-2.0, 0.75 * 2.0), (0.0, 0.0))
  def test_of_one_row(self, residual, expected):
    self.assertEqual(
        value_metrics.pinball(
            np.array([5.0 + residual]), np.array([5.0]), np.ones(1), 0.25),
        expected)

  def test_is_least_at_the_quantile(self):
    labels, _, _ = random_rows.regression(3, 101, "ones")
    losses = [value_metrics.pinball(
        labels, np.full(101, value), np.ones(101), 0.3)
              for value in np.sort(labels)]
    self.assertEqual(np.argmin(losses), 30)


class CoverageTest(absltest.TestCase):

  def test_by_hand(self):
    labels = np.array([0.0, 1.0, 2.0, 3.0])
    self.assertEqual(
        value_metrics.coverage(labels, np.full(4, 1.0), np.full(4, 2.0),
                               np.array([1.0, 2.0, 3.0, 4.0])), 0.5)


if __name__ == "__main__":
  absltest.main()
