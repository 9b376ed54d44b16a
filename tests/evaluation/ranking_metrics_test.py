"""Tests of the metrics of an order, against scikit-learn and their formulas."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics as sklearn_metrics

from mtl_graph.evaluation import ranking_metrics
from tests.evaluation import random_rows

_NAN = float("nan")


def _areas(labels, scores):
  return ranking_metrics.areas(
      np.array(labels, int), np.array(scores, float), np.ones(len(labels)))


class AreasTest(parameterized.TestCase):

  @parameterized.product(
      weighting=("ones", "random"), num_levels=(None, 3, 1000),
      dtype=(np.float32, np.float64))
  def test_100k_rows_equal_scikit_learn(self, weighting, num_levels, dtype):
    labels, scores, weights = random_rows.binary(
        0, 100000, weighting, num_levels, dtype)
    areas = ranking_metrics.areas(labels, scores, weights)
    self.assertAlmostEqual(
        areas.auc,
        sklearn_metrics.roc_auc_score(labels, scores, sample_weight=weights),
        delta=1e-10)
    self.assertAlmostEqual(
        areas.pr_auc,
        sklearn_metrics.average_precision_score(
            labels, scores, sample_weight=weights),
        delta=1e-10)

  def test_match_their_formulas(self):
    labels, scores, weights = random_rows.binary(7, 200, "random", 5)
    areas = ranking_metrics.areas(labels, scores, weights)
    above = scores[:, None] > scores[None, :]
    equal = scores[:, None] == scores[None, :]
    pairs = np.outer(weights * labels, weights * (1 - labels))
    self.assertAlmostEqual(
        areas.auc, np.sum(pairs * (above + 0.5 * equal)) / np.sum(pairs),
        delta=1e-12)
    precision = [np.sum((weights * labels)[scores >= score]) /
                 np.sum(weights[scores >= score]) for score in scores]
    self.assertAlmostEqual(
        areas.pr_auc, np.average(precision, weights=weights * labels),
        delta=1e-12)

  @parameterized.named_parameters(
      ("perfect", [0, 0, 1, 1], [1, 2, 3, 4], 1.0, 1.0),
      ("reversed", [1, 1, 0, 0], [1, 2, 3, 4], 0.0, (1 / 3 + 2 / 4) / 2),
      ("all_tied", [0, 1, 0, 0], [0.3, 0.3, 0.3, 0.3], 0.5, 0.25),
      ("one_tie_in_four_pairs", [0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], 0.875,
       (1 + 2 / 3) / 2),
      ("infinite_scores", [0, 1, 0, 1], [-np.inf, np.inf, 0, np.inf], 1.0, 1.0),
      ("infinite_ties", [0, 1], [np.inf, np.inf], 0.5, 0.5),
      ("signed_zeros_tie", [0, 1], [-0.0, 0.0], 0.5, 0.5),
      ("float64_neighbours_differ", [0, 1], [1, np.nextafter(1, 2)], 1.0, 1.0),
      ("only_label_1", [1, 1], [0.1, 0.2], _NAN, 1.0),
      ("only_label_0", [0, 0], [0.1, 0.2], _NAN, _NAN))
  def test_by_hand(self, labels, scores, auc, pr_auc):
    np.testing.assert_allclose(_areas(labels, scores), (auc, pr_auc),
                               rtol=1e-15)

  def test_no_rows(self):
    np.testing.assert_equal(tuple(_areas([], [])), (_NAN, _NAN))

  def test_do_not_exceed_1(self):
    for seed in range(200):
      random = np.random.default_rng(seed)
      labels = random.integers(0, 2, 50)
      scores = labels + 0.5 * random.random(50)
      for area in ranking_metrics.areas(
          labels, scores, random.exponential(size=50)):
        self.assertLessEqual(area, 1.0)
        self.assertAlmostEqual(area, 1.0, delta=1e-12)

  def test_are_invariant_to_order_and_monotone_maps(self):
    labels, scores, weights = random_rows.binary(1, 500, "random", 20)
    areas = ranking_metrics.areas(labels, scores, weights)
    order = np.random.default_rng(2).permutation(500)
    shuffled = ranking_metrics.areas(
        labels[order], scores[order], weights[order])
    np.testing.assert_allclose(shuffled, areas, atol=1e-12)
    self.assertEqual(
        ranking_metrics.areas(labels, np.exp(scores), weights), areas)
    self.assertAlmostEqual(
        ranking_metrics.areas(1 - labels, scores, weights).auc,
        1.0 - areas.auc, delta=1e-12)


class TopRowsTest(parameterized.TestCase):

  @parameterized.product(seed=(0, 1, 2), num_levels=(2, 5, None))
  def test_equals_a_stable_sort(self, seed, num_levels):
    _, scores, _ = random_rows.binary(seed, 50, "ones", num_levels)
    order = np.argsort(-scores, kind="stable")
    for k in range(1, 60):
      np.testing.assert_array_equal(
          np.flatnonzero(ranking_metrics.top_rows(scores, k)),
          np.sort(order[:k]))

  def test_no_rows(self):
    self.assertEqual(ranking_metrics.top_rows(np.zeros(0), 3).shape, (0,))


class MeanAucOfGroupsTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1), weighting=("ones", "random"), num_levels=(None, 4),
      num_groups=(1, 7, 80))
  def test_equals_the_mean_of_scikit_learn_areas(
      self, seed, weighting, num_levels, num_groups):
    labels, scores, weights = random_rows.binary(
        seed, 300, weighting, num_levels)
    random = np.random.default_rng(100 + seed)
    _, groups = np.unique(
        random.integers(0, num_groups, 300), return_inverse=True)
    areas, totals = [], []
    for group in np.unique(groups):
      of_group = groups == group
      if len(np.unique(labels[of_group])) == 2:
        areas.append(sklearn_metrics.roc_auc_score(
            labels[of_group], scores[of_group],
            sample_weight=weights[of_group]))
        totals.append(weights[of_group].sum())
    self.assertAlmostEqual(
        ranking_metrics.mean_auc_of_groups(labels, scores, weights, groups),
        np.average(areas, weights=totals), delta=1e-12)

  def test_equals_scikit_learn_on_many_groups(self):
    labels, scores, weights = random_rows.binary(3, 20000, "random", 50)
    groups = np.repeat(np.arange(2000), 10)
    areas, totals = [], []
    for y, s, w in zip(*[array.reshape([2000, 10])
                         for array in (labels, scores, weights)]):
      if 0 < y.sum() < 10:
        pairs = np.outer(w * y, w * (1 - y))
        order = np.sign(s[:, None] - s[None, :])
        areas.append(np.sum(pairs * (order + 1) / 2) / np.sum(pairs))
        totals.append(w.sum())
    shuffle = np.random.default_rng(3).permutation(20000)
    self.assertAlmostEqual(
        ranking_metrics.mean_auc_of_groups(
            *[array[shuffle] for array in (labels, scores, weights, groups)]),
        np.average(areas, weights=totals), delta=1e-12)

  def test_small_group_beside_a_heavy_one_keeps_its_digits(self):
    # Group 0 is left out; of group 1 one pair of four is wrong.
    labels = np.array([0, 0, 0, 1, 1])
    scores = np.array([0.5, 0.1, 0.4, 0.3, 0.8])
    weights = np.array([1e18, 1.0, 1.0, 1.0, 1.0])
    groups = np.array([0, 1, 1, 1, 1])
    self.assertEqual(
        ranking_metrics.mean_auc_of_groups(labels, scores, weights, groups),
        0.75)
    # With a label 1 group 0 counts; both groups have the same area.
    area = ranking_metrics.mean_auc_of_groups(
        np.tile(labels[1:], 2), np.tile(scores[1:], 2),
        np.repeat([1e18, 1.0], 4), np.repeat([0, 1], 4))
    self.assertEqual(area, 0.75)

  @parameterized.parameters(([],), ([0, 0],), ([1, 0],))
  def test_nan_if_no_group_has_both_labels(self, labels):
    size = len(labels)
    self.assertTrue(np.isnan(ranking_metrics.mean_auc_of_groups(
        np.array(labels, int), np.linspace(0, 1, size), np.ones(size),
        np.arange(size))))


if __name__ == "__main__":
  absltest.main()
