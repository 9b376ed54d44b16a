"""Tests of the metrics of heads that predict numbers, against scikit-learn."""

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


class RegressionTest(HeadTestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(2, 30, 1000), weighting=("ones", "random"),
      size=(None, 1, 3), dtype=_DTYPES)
  def test_equals_scikit_learn(self, seed, num_rows, weighting, size, dtype):
    labels, values, weights = random_rows.regression(
        seed, num_rows, weighting, size, dtype=dtype)
    result = metrics.regression(labels, values, weights)

    labels, values = labels.astype(np.float64), values.astype(np.float64)
    mse = sklearn_metrics.mean_squared_error(
        labels, values, sample_weight=weights, multioutput="raw_values")
    variance = np.diag(np.atleast_2d(
        np.cov(labels, rowvar=False, aweights=weights, ddof=0)))
    self.check(result, {
        "rmse": np.sqrt(np.mean(mse)),
        "mae": sklearn_metrics.mean_absolute_error(
            labels, values, sample_weight=weights),
        "r2": sklearn_metrics.r2_score(
            labels, values, sample_weight=weights,
            multioutput="uniform_average"),
        "normalized_mse": np.mean(mse / variance),
    })

  @parameterized.product(seed=(0, 1), weighting=random_rows.WEIGHTINGS)
  def test_missing_entries(self, seed, weighting):
    labels, values, weights = random_rows.regression(
        seed, 200, weighting, 3, missing=0.4)
    present = ~np.isnan(labels)
    of_entries = np.repeat(weights[:, np.newaxis], 3, axis=1)[present]
    entries = labels[present], values[present]
    r2 = np.mean([
        sklearn_metrics.r2_score(labels[rows, d], values[rows, d],
                                 sample_weight=weights[rows])
        for d, rows in enumerate(present.T)])
    self.check(metrics.regression(labels, values, weights), {
        "rmse": sklearn_metrics.root_mean_squared_error(
            *entries, sample_weight=of_entries),
        "mae": sklearn_metrics.mean_absolute_error(
            *entries, sample_weight=of_entries),
        "r2": r2,
        "normalized_mse": 1.0 - r2,
    })

  def test_by_hand(self):
    # Errors 0, 2, 1 with weights 1, 1, 2; mean 2, variance (4 + 0 + 2*1) / 4.
    result = metrics.regression([0.0, 2.0, 3.0], [0.0, 4.0, 2.0],
                                [1.0, 1.0, 2.0])
    self.check(result, {"rmse": np.sqrt(1.5), "mae": 1.0, "r2": 0.0,
                        "normalized_mse": 1.0})

  def test_vectors_by_hand(self):
    # Column 1 does not vary, column 2 has one entry, column 3 none.
    labels = [[0.0, 5.0, np.nan, np.nan], [2.0, 5.0, 1.0, np.nan]]
    values = [[1.0, 5.0, 9.0, 9.0], [2.0, 5.0, 3.0, np.nan]]
    result = metrics.regression(labels, values, [1.0, 1.0])
    # Errors 1, 0; 0, 0; 2. Column 0: mse 0.5, variance 1.
    self.check(result, {"rmse": 1.0, "mae": 0.6, "r2": 0.5,
                        "normalized_mse": 0.5})

  @parameterized.parameters(([7],), ([7, 2],))
  def test_constant_labels(self, shape):
    # The mean of these is not 0.1 to the bit.
    labels, weights = np.full(shape, 0.1), np.linspace(0.1, 0.9, 7)
    self.check(metrics.regression(labels, labels + 1.0, weights), {
        "rmse": 1.0, "mae": 1.0, "r2": np.nan, "normalized_mse": np.nan})

  def test_labels_constant_but_for_weight_0(self):
    result = metrics.regression([1.0, 1.0, 5.0], [1.0, 2.0, 3.0],
                                [1.0, 1.0, 0.0])
    self.assertTrue(np.isnan(result["r2"]))


class CountTest(HeadTestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(5, 1000), weighting=random_rows.WEIGHTINGS,
      dtype=_DTYPES)
  def test_equals_scikit_learn(self, seed, num_rows, weighting, dtype):
    labels, rates, weights = random_rows.count(
        seed, num_rows, weighting, dtype)
    weights[0] = 1.0
    labels[0] = 1.0
    result = metrics.count(labels, rates, weights)

    rates = rates.astype(np.float64)
    weighted = {"sample_weight": weights}
    self.check(result, {
        "rmse": sklearn_metrics.root_mean_squared_error(
            labels, rates, **weighted),
        "mae": sklearn_metrics.mean_absolute_error(labels, rates, **weighted),
        "poisson_deviance": sklearn_metrics.mean_poisson_deviance(
            labels, rates, **weighted),
        "calibration": np.sum(weights * rates) / np.sum(weights * labels),
    })

  def test_all_labels_0(self):
    self.check(metrics.count([0.0, 0.0], [1.0, 3.0], [1.0, 1.0]), {
        "rmse": np.sqrt(5.0), "mae": 2.0, "poisson_deviance": 4.0,
        "calibration": np.nan})


class QuantilesTest(HeadTestCase):

  @parameterized.product(
      seed=(0, 1), num_rows=(1, 500), weighting=("ones", "random"),
      levels=([0.5], [0.1, 0.9], [0.05, 0.3, 0.5, 0.99]), dtype=_DTYPES)
  def test_equals_scikit_learn(self, seed, num_rows, weighting, levels, dtype):
    labels, values, weights = random_rows.quantiles(
        seed, num_rows, levels, weighting, dtype)
    result = metrics.quantiles(labels, values, levels, weights)

    labels, values = labels.astype(np.float64), values.astype(np.float64)
    within = (labels >= values[:, 0]) & (labels <= values[:, -1])
    self.check(result, {
        "quantile_loss": np.mean([
            sklearn_metrics.mean_pinball_loss(
                labels, values[:, q], alpha=level, sample_weight=weights)
            for q, level in enumerate(levels)]),
        "coverage": np.average(within, weights=weights)
                    if len(levels) > 1 else np.nan,
    })

  def test_both_ends_are_covered_but_nothing_between_crossed_ones(self):
    values = [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]
    result = metrics.quantiles([1.0, 2.0, 2.5, 1.5], values, [0.1, 0.9],
                               np.ones(4))
    self.assertEqual(result["coverage"], 0.5)

  @parameterized.parameters(
      ([0.5], r"shape \[2\], found \[1\]"),
      ([0.9, 0.1], r"rising, .*, found \[0.9, 0.1\]"),
      ([0.5, 0.5], r"rising, .*, found \[0.5, 0.5\]"),
      ([0.0, 0.5], r"above 0 and below 1, found \[0.0, 0.5\]"),
      ([0.5, 1.0], r"above 0 and below 1, found \[0.5, 1.0\]"))
  def test_bad_levels(self, levels, message):
    with self.assertRaisesRegex(
        ValueError, "^quantiles: `levels` .*" + message):
      metrics.quantiles(np.ones(3), np.ones([3, 2]), levels, np.ones(3))

  def test_no_level(self):
    with self.assertRaisesRegex(ValueError, r"at least one, .*, found \[\]"):
      metrics.quantiles(np.ones(3), np.ones([3, 0]), [], np.ones(3))


if __name__ == "__main__":
  absltest.main()
