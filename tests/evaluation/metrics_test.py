"""Tests of the evaluation metrics, against scikit-learn and by hand."""

import os
import subprocess
import sys
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics as sklearn_metrics

from mtl_graph import outline
from mtl_graph.evaluation import metrics

_NAN = float("nan")


def _weights(random, kind, num_rows):
  if kind == "ones":
    return np.ones(num_rows)
  weights = random.exponential(size=num_rows)
  if kind == "some_zero":
    weights[random.random(num_rows) < 0.3] = 0.0
  return weights


def _binary_rows(seed, num_rows, kind, num_levels, dtype):
  """Returns rows whose probabilities take `num_levels` values, None: any."""
  random = np.random.default_rng(seed)
  labels = random.integers(0, 2, num_rows)
  labels[:2] = [0, 1]
  probabilities = 0.6 * random.random(num_rows) + 0.4 * labels
  if num_levels is not None:
    probabilities = np.round(probabilities * num_levels) / num_levels
  weights = _weights(random, kind, num_rows)
  weights[:2] = 1.0
  return labels, probabilities.astype(dtype), weights


def _multiclass_rows(seed, num_rows, num_classes, kind, dtype):
  random = np.random.default_rng(seed)
  labels = random.integers(0, num_classes, num_rows)
  logits = random.normal(size=[num_rows, num_classes])
  logits[np.arange(num_rows), labels] += 1.0
  probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  return labels, probabilities.astype(dtype), _weights(random, kind, num_rows)


def _regression_rows(seed, num_rows, kind, dtype):
  random = np.random.default_rng(seed)
  labels = 50.0 + 3.0 * random.normal(size=num_rows)
  values = labels + random.normal(size=num_rows)
  weights = _weights(random, kind, num_rows)
  return labels.astype(dtype), values.astype(dtype), weights


_KINDS = ("ones", "random", "some_zero")
_DTYPES = (np.float32, np.float64)


class BinaryTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(3, 40, 1000), kind=_KINDS,
      num_levels=(None, 2, 10), dtype=_DTYPES)
  def test_equals_scikit_learn(self, seed, num_rows, kind, num_levels, dtype):
    labels, probabilities, weights = _binary_rows(
        seed, num_rows, kind, num_levels, dtype)
    result = metrics.binary(labels, probabilities, weights)

    exact = probabilities.astype(np.float64)
    predicted = exact > 0.5
    expected = {
        "auc": sklearn_metrics.roc_auc_score(
            labels, exact, sample_weight=weights),
        "log_loss": sklearn_metrics.log_loss(
            labels, exact, sample_weight=weights),
        "accuracy": sklearn_metrics.accuracy_score(
            labels, predicted, sample_weight=weights),
        "f1": sklearn_metrics.f1_score(
            labels, predicted, sample_weight=weights, zero_division=0),
        "calibration": np.average(exact, weights=weights) /
                       np.average(labels, weights=weights),
    }
    for name, value in expected.items():
      self.assertIsInstance(result[name], float)
      self.assertAlmostEqual(result[name], value, delta=1e-12, msg=name)

  @parameterized.product(
      kind=_KINDS, num_levels=(None, 3, 1000), dtype=_DTYPES)
  def test_auc_of_100k_rows(self, kind, num_levels, dtype):
    labels, scores, weights = _binary_rows(
        0, 100000, kind, num_levels, dtype)
    self.assertAlmostEqual(
        metrics.auc(labels, scores, weights),
        sklearn_metrics.roc_auc_score(labels, scores, sample_weight=weights),
        delta=1e-10)

  def test_auc_matches_the_formula_over_pairs(self):
    labels, scores, weights = _binary_rows(7, 200, "random", 5, np.float32)
    above = scores[:, None] > scores[None, :]
    equal = scores[:, None] == scores[None, :]
    pairs = np.outer(weights * labels, weights * (1 - labels))
    self.assertAlmostEqual(
        metrics.auc(labels, scores, weights),
        np.sum(pairs * (above + 0.5 * equal)) / np.sum(pairs), delta=1e-12)

  @parameterized.named_parameters(
      ("perfect", [0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0], 1.0),
      ("reversed", [1, 1, 0, 0], [1.0, 2.0, 3.0, 4.0], 0.0),
      ("all_tied", [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3], 0.5),
      ("one_tie_in_four_pairs", [0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], 0.875),
      ("infinite_scores", [0, 1, 0, 1], [-np.inf, np.inf, 0.0, np.inf], 1.0),
      ("infinite_ties", [0, 1], [np.inf, np.inf], 0.5),
      ("signed_zeros_tie", [0, 1], [-0.0, 0.0], 0.5),
      ("float64_neighbours_differ", [0, 1], [1.0, np.nextafter(1.0, 2.0)], 1.0),
      ("only_label_1", [1, 1], [0.1, 0.2], _NAN),
      ("only_label_0", [0, 0], [0.1, 0.2], _NAN),
  )
  def test_auc_by_hand(self, labels, scores, expected):
    np.testing.assert_equal(
        metrics.auc(np.array(labels), np.array(scores), np.ones(len(labels))),
        expected)

  def test_auc_does_not_exceed_1(self):
    for seed in range(200):
      random = np.random.default_rng(seed)
      labels = random.integers(0, 2, 50)
      value = metrics.auc(labels, labels, random.exponential(size=50))
      self.assertLessEqual(value, 1.0)
      self.assertAlmostEqual(value, 1.0, delta=1e-12)

  def test_auc_is_invariant_to_order_and_monotone_maps(self):
    labels, scores, weights = _binary_rows(1, 500, "random", 20, np.float64)
    value = metrics.auc(labels, scores, weights)
    order = np.random.default_rng(2).permutation(500)
    self.assertAlmostEqual(
        metrics.auc(labels[order], scores[order], weights[order]), value,
        delta=1e-12)
    self.assertEqual(metrics.auc(labels, np.exp(scores), weights), value)
    self.assertAlmostEqual(
        metrics.auc(1 - labels, scores, weights), 1.0 - value, delta=1e-12)

  def test_auc_nan_where_a_class_has_no_weight(self):
    self.assertTrue(np.isnan(metrics.auc(
        np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]),
        np.array([0.0, 1.0, 1.0]))))

  def test_log_loss_of_certain_mistakes_is_finite(self):
    eps = np.finfo(np.float64).eps
    labels, probabilities = np.array([1, 0]), np.array([0.0, 1.0], np.float32)
    for label, probability in zip(labels, probabilities):
      self.assertAlmostEqual(
          metrics.log_loss(
              np.array([label]), np.array([probability]), np.ones(1)),
          -np.log(eps), delta=1e-12)
    self.assertEqual(
        metrics.log_loss(labels, probabilities, np.ones(2)),
        sklearn_metrics.log_loss(labels, probabilities.astype(np.float64)))

  def test_probability_one_half_predicts_0(self):
    half, one = np.array([0.5]), np.ones(1)
    self.assertEqual(metrics.accuracy(np.array([0]), half, one), 1.0)
    self.assertEqual(metrics.accuracy(np.array([1]), half, one), 0.0)
    above = np.nextafter(half, 1.0)
    self.assertEqual(metrics.accuracy(np.array([1]), above, one), 1.0)

  def test_f1_is_0_where_label_1_never_occurs(self):
    self.assertEqual(
        metrics.f1(np.array([0, 0]), np.array([0.1, 0.2]), np.ones(2)), 0.0)

  def test_calibration_by_hand(self):
    labels, probabilities = np.array([1, 0]), np.array([0.5, 0.25])
    self.assertEqual(
        metrics.calibration(labels, probabilities, np.array([2.0, 4.0])), 1.0)
    self.assertTrue(np.isnan(metrics.calibration(
        np.array([0, 0]), probabilities, np.ones(2))))

  def test_perfect_accuracy_and_f1_are_exactly_1(self):
    labels, _, weights = _binary_rows(3, 999, "random", None, np.float64)
    self.assertEqual(metrics.accuracy(labels, labels, weights), 1.0)
    self.assertEqual(metrics.f1(labels, labels, weights), 1.0)

  @parameterized.parameters(bool, np.int8, np.int64, np.float32)
  def test_label_types(self, dtype):
    labels, probabilities, weights = _binary_rows(
        4, 50, "random", 10, np.float32)
    self.assertEqual(
        metrics.binary(labels.astype(dtype), probabilities, weights),
        metrics.binary(labels, probabilities, weights))


class MulticlassTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(1, 5, 1000), num_classes=(2, 3, 20),
      kind=("ones", "random"), dtype=_DTYPES)
  def test_equals_scikit_learn(
      self, seed, num_rows, num_classes, kind, dtype):
    labels, probabilities, weights = _multiclass_rows(
        seed, num_rows, num_classes, kind, dtype)
    result = metrics.multiclass(labels, probabilities, weights)

    predicted = probabilities.argmax(1)
    with warnings.catch_warnings():
      # Rows of float32 do not quite sum to one; scikit-learn only warns.
      warnings.simplefilter("ignore", UserWarning)
      log_loss = sklearn_metrics.log_loss(
          labels, probabilities.astype(np.float64), sample_weight=weights,
          labels=range(num_classes))
    self.assertAlmostEqual(result["log_loss"], log_loss, delta=1e-12)
    self.assertAlmostEqual(
        result["accuracy"],
        sklearn_metrics.accuracy_score(
            labels, predicted, sample_weight=weights),
        delta=1e-12)
    self.assertAlmostEqual(
        result["f1"],
        sklearn_metrics.f1_score(
            labels, predicted, sample_weight=weights, average="macro",
            zero_division=0),
        delta=1e-12)

  def test_f1_leaves_out_classes_that_do_not_occur(self):
    # Class 0: F1 2/3. Class 1: predicted, never right: 0. Class 2, 3: absent.
    probabilities = np.array([[0.9, 0.1, 0.0, 0.0], [0.2, 0.8, 0.0, 0.0]])
    self.assertAlmostEqual(
        metrics.multiclass_f1(np.array([0, 0]), probabilities, np.ones(2)),
        1.0 / 3.0)

  def test_weight_0_makes_no_class_present(self):
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.0, 0.8]])
    self.assertEqual(
        metrics.multiclass_f1(
            np.array([0, 1]), probabilities, np.array([1.0, 0.0])), 1.0)

  def test_first_of_equal_probabilities_wins(self):
    probabilities = np.array([[0.2, 0.4, 0.4]])
    for label, expected in ((1, 1.0), (2, 0.0)):
      self.assertEqual(
          metrics.multiclass_accuracy(
              np.array([label]), probabilities, np.ones(1)), expected)

  def test_log_loss_of_a_certain_mistake_is_finite(self):
    self.assertAlmostEqual(
        metrics.multiclass_log_loss(
            np.array([1]), np.array([[1.0, 0.0]], np.float32), np.ones(1)),
        -np.log(np.finfo(np.float64).eps))

  def test_two_classes_equal_binary(self):
    labels, probabilities, weights = _binary_rows(
        5, 300, "random", 10, np.float64)
    two = np.stack([1.0 - probabilities, probabilities], axis=1)
    binary = metrics.binary(labels, probabilities, weights)
    multiclass = metrics.multiclass(labels, two, weights)
    self.assertEqual(multiclass["log_loss"], binary["log_loss"])
    self.assertEqual(multiclass["accuracy"], binary["accuracy"])


class RegressionTest(parameterized.TestCase):

  @parameterized.product(
      seed=(0, 1, 2), num_rows=(2, 30, 1000), kind=("ones", "random"),
      dtype=_DTYPES)
  def test_equals_scikit_learn(self, seed, num_rows, kind, dtype):
    labels, values, weights = _regression_rows(seed, num_rows, kind, dtype)
    result = metrics.regression(labels, values, weights)

    labels, values = labels.astype(np.float64), values.astype(np.float64)
    mse = sklearn_metrics.mean_squared_error(
        labels, values, sample_weight=weights)
    variance = np.cov(labels, aweights=weights, ddof=0)
    expected = {
        "rmse": np.sqrt(mse),
        "mae": sklearn_metrics.mean_absolute_error(
            labels, values, sample_weight=weights),
        "r2": sklearn_metrics.r2_score(labels, values, sample_weight=weights),
        "normalized_mse": mse / variance,
    }
    for name, value in expected.items():
      self.assertIsInstance(result[name], float)
      np.testing.assert_allclose(
          result[name], value, rtol=1e-10, atol=1e-12, err_msg=name)

  def test_by_hand(self):
    # Errors 0, 2, 1 with weights 1, 1, 2; mean 2, variance (4 + 0 + 2*1) / 4.
    result = metrics.regression(
        np.array([0.0, 2.0, 3.0]), np.array([0.0, 4.0, 2.0]),
        np.array([1.0, 1.0, 2.0]))
    self.assertAlmostEqual(result["rmse"], np.sqrt(1.5))
    self.assertAlmostEqual(result["mae"], 1.0)
    self.assertAlmostEqual(result["normalized_mse"], 1.0)
    self.assertAlmostEqual(result["r2"], 0.0)

  def test_constant_labels(self):
    # The mean of these is not 0.1 to the bit.
    labels, weights = np.full(7, 0.1), np.linspace(0.1, 0.9, 7)
    result = metrics.regression(labels, labels + 1.0, weights)
    self.assertAlmostEqual(result["rmse"], 1.0)
    self.assertAlmostEqual(result["mae"], 1.0)
    self.assertTrue(np.isnan(result["r2"]))
    self.assertTrue(np.isnan(result["normalized_mse"]))

  def test_labels_constant_but_for_weight_0(self):
    self.assertTrue(np.isnan(metrics.r2(
        np.array([1.0, 1.0, 5.0]), np.array([1.0, 2.0, 3.0]),
        np.array([1.0, 1.0, 0.0]))))


_HEADS = (
    ("binary", metrics.binary, outline.METRICS["binary"][1:],
     lambda seed: _binary_rows(seed, 60, "random", 10, np.float32)),
    ("multiclass", metrics.multiclass, outline.METRICS["multiclass"][1:],
     lambda seed: _multiclass_rows(seed, 60, 4, "random", np.float32)),
    ("regression", metrics.regression, outline.METRICS["regression"][1:],
     lambda seed: _regression_rows(seed, 60, "random", np.float32)),
)

_SINGLE = {
    "binary": (metrics.auc, metrics.log_loss, metrics.accuracy, metrics.f1,
               metrics.calibration),
    "multiclass": (metrics.multiclass_log_loss, metrics.multiclass_accuracy,
                   metrics.multiclass_f1),
    "regression": (metrics.rmse, metrics.mae, metrics.r2,
                   metrics.normalized_mse),
}


class AllHeadsTest(parameterized.TestCase):

  @parameterized.named_parameters(*_HEADS)
  def test_names_are_the_keys_in_order(self, compute, names, make_rows):
    self.assertEqual(tuple(compute(*make_rows(0))), names)

  @parameterized.named_parameters(*_HEADS)
  def test_single_metrics_equal_the_dict(self, compute, names, make_rows):
    rows = make_rows(1)
    singles = [single(*rows) for single in _SINGLE[compute.__name__]]
    self.assertEqual(dict(zip(names, singles)), compute(*rows))

  @parameterized.named_parameters(*_HEADS)
  def test_rows_of_weight_0_count_for_nothing(
      self, compute, names, make_rows):
    del names  # Unused.
    labels, predictions, weights = make_rows(2)
    expected = compute(labels, predictions, weights)
    bad_labels = np.concatenate([labels, [_NAN, -1.0]])
    bad_predictions = np.concatenate(
        [predictions, np.full_like(predictions[:2], _NAN)])
    self.assertEqual(
        compute(bad_labels, bad_predictions, np.append(weights, [0.0, 0.0])),
        expected)

  @parameterized.named_parameters(*_HEADS)
  def test_scale_of_weights_does_not_matter(self, compute, names, make_rows):
    labels, predictions, weights = make_rows(3)
    small = compute(labels, predictions, weights)
    large = compute(labels, predictions, 1000.0 * weights)
    for name in names:
      self.assertAlmostEqual(small[name], large[name], delta=1e-12)

  @parameterized.named_parameters(*_HEADS)
  def test_integer_weights_equal_repeated_rows(
      self, compute, names, make_rows):
    labels, predictions, _ = make_rows(4)
    times = np.random.default_rng(4).integers(0, 4, len(labels))
    weighted = compute(labels, predictions, times)
    repeated = compute(
        np.repeat(labels, times), np.repeat(predictions, times, axis=0),
        np.ones(times.sum()))
    for name in names:
      self.assertAlmostEqual(weighted[name], repeated[name], delta=1e-11)

  @parameterized.named_parameters(*_HEADS)
  def test_all_nan_without_rows_or_weight(self, compute, names, make_rows):
    labels, predictions, weights = make_rows(5)
    nans = dict.fromkeys(names, _NAN)
    np.testing.assert_equal(
        compute(labels[:0], predictions[:0], weights[:0]), nans)
    np.testing.assert_equal(
        compute(labels, predictions, np.zeros_like(weights)), nans)

  @parameterized.named_parameters(*_HEADS)
  def test_all_nan_if_a_prediction_is_nan(self, compute, names, make_rows):
    labels, predictions, weights = make_rows(6)
    predictions[3] = _NAN
    np.testing.assert_equal(
        compute(labels, predictions, weights), dict.fromkeys(names, _NAN))

  @parameterized.named_parameters(*_HEADS)
  def test_arguments_are_not_changed(self, compute, names, make_rows):
    del names  # Unused.
    rows = make_rows(7)
    compute(*rows)
    np.testing.assert_equal(rows, make_rows(7))

  @parameterized.named_parameters(*_HEADS)
  def test_bad_weight_is_shown(self, compute, names, make_rows):
    del names  # Unused.
    labels, predictions, weights = make_rows(8)
    for bad in (-2.0, np.inf, _NAN):
      weights[5] = bad
      with self.assertRaisesRegex(
          ValueError, f"`weights` must be finite and .*, found {bad}"):
        compute(labels, predictions, weights)

  def test_importable_without_tensorflow_or_protobuf(self):
    program = ("import sys; sys.modules.update(tensorflow=None); "
               "sys.modules['google.protobuf'] = None; "
               "from mtl_graph.evaluation import metrics")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


class ErrorsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("labels", [5, 1], [5], [5],
       r"`labels` must have shape \[N\], found \[5, 1\]"),
      ("scores", [5], [4], [5],
       r"`scores` must have shape \[5\], found \[4\]"),
      ("scores_matrix", [5], [5, 1], [5],
       r"`scores` must have shape \[5\], found \[5, 1\]"),
      ("weights", [5], [5], [],
       r"`weights` must have shape \[5\], found \[\]"),
  )
  def test_bad_shape_names_the_argument(
      self, labels, scores, weights, message):
    with self.assertRaisesRegex(ValueError, "^auc: " + message):
      metrics.auc(np.ones(labels), np.ones(scores), np.ones(weights))

  @parameterized.named_parameters(
      ("vector", [5], r"must have shape \[5, C\], found \[5\]"),
      ("other_length", [4, 3], r"must have shape \[5, C\], found \[4, 3\]"),
  )
  def test_bad_shape_of_multiclass_probabilities(self, shape, message):
    with self.assertRaisesRegex(
        ValueError, "^multiclass: `probabilities` " + message):
      metrics.multiclass(np.ones(5), np.ones(shape), np.ones(5))

  @parameterized.parameters(*(
      function for functions in _SINGLE.values() for function in functions))
  def test_single_metrics_name_themselves(self, function):
    with self.assertRaisesRegex(ValueError, f"^{function.__name__}: `labels`"):
      function(np.ones([2, 2]), np.ones(2), np.ones(2))

  @parameterized.parameters(
      (metrics.regression, "values"), (metrics.binary, "probabilities"))
  def test_head_kinds_name_the_prediction(self, function, argument):
    with self.assertRaisesRegex(
        ValueError, f"^{function.__name__}: `{argument}` must have shape"):
      function(np.ones(2), np.ones(3), np.ones(2))

  @parameterized.parameters(-1.0, 0.5, 2.0, _NAN)
  def test_bad_binary_label_is_shown(self, label):
    with self.assertRaisesRegex(
        ValueError, rf"`labels` must be integers in \[0, 2\), found {label}"):
      metrics.binary(np.array([1.0, label]), np.ones(2), np.ones(2))

  @parameterized.parameters(-1, 3)
  def test_bad_class_is_shown(self, label):
    with self.assertRaisesRegex(
        ValueError, rf"`labels` must be integers in \[0, 3\), found {label}"):
      metrics.multiclass(np.array([0, label]), np.ones([2, 3]), np.ones(2))


if __name__ == "__main__":
  absltest.main()
