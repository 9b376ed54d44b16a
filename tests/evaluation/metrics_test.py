"""Tests of what holds for the metrics of all kinds of heads."""

import os
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import outline
from mtl_graph.evaluation import metrics
from tests.evaluation import random_rows

_NAN = float("nan")
_LEVELS = (0.1, 0.5, 0.9)


def _quantiles(labels, values, weights):
  return metrics.quantiles(labels, values, _LEVELS, weights)


# Name, function, and a function from a seed to 60 rows.
_HEADS = (
    ("binary", metrics.binary, lambda seed: random_rows.binary(
        seed, 60, "random", 10, np.float32)),
    ("multiclass", metrics.multiclass, lambda seed: random_rows.multiclass(
        seed, 60, 4, "random", np.float32)),
    ("multilabel", metrics.multilabel, lambda seed: random_rows.multilabel(
        seed, 60, 3, "random", 0.2, 10, np.float32)),
    ("regression", metrics.regression, lambda seed: random_rows.regression(
        seed, 60, "random", dtype=np.float32)),
    ("vectors", metrics.regression, lambda seed: random_rows.regression(
        seed, 60, "random", 3, 0.2, np.float32)),
    ("count", metrics.count, lambda seed: random_rows.count(
        seed, 60, "random", np.float32)),
    ("ordinal", metrics.ordinal, lambda seed: random_rows.multiclass(
        seed, 60, 4, "random", np.float32)),
    ("quantiles", _quantiles, lambda seed: random_rows.quantiles(
        seed, 60, _LEVELS, "random", np.float32)),
)


class MetricsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      (name, name, compute, make_rows)
      for name, compute, make_rows in _HEADS if name != "vectors")
  def test_names_are_the_keys_in_order(self, name, compute, make_rows):
    self.assertEqual(tuple(compute(*make_rows(0))), outline.METRICS[name][1:])

  @parameterized.named_parameters(*_HEADS)
  def test_all_are_finite_floats(self, compute, make_rows):
    for name, value in compute(*make_rows(1)).items():
      self.assertIs(type(value), float, msg=name)
      self.assertTrue(np.isfinite(value), msg=name)

  @parameterized.named_parameters(*_HEADS)
  def test_rows_of_weight_0_count_for_nothing(self, compute, make_rows):
    labels, predictions, weights = make_rows(2)
    expected = compute(labels, predictions, weights)
    bad = np.full_like(predictions[:2], _NAN)
    bad_labels = np.full_like(labels[:2], _NAN, dtype=np.float64)
    bad_labels[1] = -1.0
    self.assertEqual(
        compute(np.concatenate([labels, bad_labels]),
                np.concatenate([predictions, bad]),
                np.append(weights, [0.0, 0.0])),
        expected)

  @parameterized.named_parameters(*_HEADS)
  def test_scale_of_weights_does_not_matter(self, compute, make_rows):
    labels, predictions, weights = make_rows(3)
    small = compute(labels, predictions, weights)
    large = compute(labels, predictions, 1000.0 * weights)
    for name in small:
      self.assertAlmostEqual(small[name], large[name], delta=1e-12, msg=name)

  @parameterized.named_parameters(*_HEADS)
  def test_integer_weights_equal_repeated_rows(self, compute, make_rows):
    labels, predictions, _ = make_rows(4)
    times = np.random.default_rng(4).integers(0, 4, len(labels))
    weighted = compute(labels, predictions, times)
    repeated = compute(
        np.repeat(labels, times, axis=0), np.repeat(predictions, times, axis=0),
        np.ones(times.sum()))
    for name in weighted:
      self.assertAlmostEqual(
          weighted[name], repeated[name], delta=1e-11, msg=name)

  @parameterized.named_parameters(*_HEADS)
  def test_order_of_rows_does_not_matter(self, compute, make_rows):
    rows = make_rows(5)
    order = np.random.default_rng(5).permutation(60)
    straight = compute(*rows)
    shuffled = compute(*[array[order] for array in rows])
    for name in straight:
      self.assertAlmostEqual(
          straight[name], shuffled[name], delta=1e-11, msg=name)

  @parameterized.named_parameters(*_HEADS)
  def test_all_nan_without_rows_or_weight(self, compute, make_rows):
    labels, predictions, weights = make_rows(6)
    nans = dict.fromkeys(compute(labels, predictions, weights), _NAN)
    np.testing.assert_equal(
        compute(labels[:0], predictions[:0], weights[:0]), nans)
    np.testing.assert_equal(
        compute(labels, predictions, np.zeros_like(weights)), nans)

  @parameterized.named_parameters(*_HEADS)
  def test_all_nan_if_a_prediction_is_nan(self, compute, make_rows):
    labels, predictions, weights = make_rows(7)
    nans = dict.fromkeys(compute(labels, predictions, weights), _NAN)
    row = np.argmin(np.isnan(labels.reshape([60, -1])).any(axis=1))
    predictions.reshape([60, -1])[row, -1] = _NAN
    np.testing.assert_equal(compute(labels, predictions, weights), nans)

  @parameterized.named_parameters(
      head for head in _HEADS
      if head[0] in ("multilabel", "regression", "vectors", "count",
                     "quantiles"))
  def test_missing_labels_count_for_nothing(self, compute, make_rows):
    labels, predictions, weights = make_rows(8)
    without = compute(labels[5:], predictions[5:], weights[5:])
    labels[:5], predictions[:5] = _NAN, _NAN
    missing = compute(labels, predictions, weights)
    for name in without:
      self.assertAlmostEqual(
          missing[name], without[name], delta=1e-12, msg=name)

  @parameterized.named_parameters(*_HEADS)
  def test_arguments_are_not_changed(self, compute, make_rows):
    rows = make_rows(9)
    compute(*rows)
    np.testing.assert_equal(rows, make_rows(9))

  @parameterized.named_parameters(*_HEADS)
  def test_no_warning(self, compute, make_rows):
    labels, predictions, weights = make_rows(10)
    with np.errstate(all="raise"):
      for rows in (60, 1, 0):
        compute(labels[:rows], predictions[:rows], weights[:rows])

  def test_importable_without_tensorflow_or_protobuf(self):
    program = ("import sys; sys.modules.update(tensorflow=None); "
               "sys.modules['google.protobuf'] = None; "
               "from mtl_graph.evaluation import metrics, task_metrics")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


class ErrorsTest(parameterized.TestCase):

  @parameterized.named_parameters(*_HEADS)
  def test_bad_weight_is_shown(self, compute, make_rows):
    labels, predictions, weights = make_rows(0)
    for bad in (-2.0, np.inf, _NAN):
      weights[5] = bad
      with self.assertRaisesRegex(
          ValueError, f"`weights` must be finite and .*, found {bad}"):
        compute(labels, predictions, weights)

  @parameterized.named_parameters(
      ("binary", metrics.binary, [3], "probabilities", "[3]"),
      ("multiclass", metrics.multiclass, [3], "probabilities", "[3, C]"),
      ("multilabel", metrics.multilabel, [3, 2], "probabilities", "[3, 2]"),
      ("regression", metrics.regression, [3], "values", "[3]"),
      ("vectors", metrics.regression, [3, 2], "values", "[3, 2]"),
      ("count", metrics.count, [3], "rates", "[3]"),
      ("ordinal", metrics.ordinal, [3], "probabilities", "[3, C]"),
      ("quantiles", _quantiles, [3], "values", "[3, Q]"))
  def test_bad_shape_of_predictions(self, compute, labels, argument, expected):
    name = compute.__name__.strip("_")
    for found in ([], [4], [4, 2], [3, 2, 1]):
      with self.assertRaises(ValueError) as caught:
        compute(np.ones(labels), np.ones(found), np.ones(3))
      self.assertEqual(
          str(caught.exception),
          f"{name}: `{argument}` must have shape {expected}, found {found}.")

  @parameterized.named_parameters(*_HEADS)
  def test_bad_shape_of_labels_and_weights(self, compute, make_rows):
    name = compute.__name__.strip("_")
    labels, predictions, weights = make_rows(0)
    with self.assertRaisesRegex(
        ValueError, rf"^{name}: `labels` must have shape \[N.*, "
        r"found \[60, 1, 1\]\.$"):
      compute(np.ones([60, 1, 1]), predictions, weights)
    with self.assertRaisesRegex(
        ValueError, rf"^{name}: `weights` must have shape \[60\], "
        r"found \[59\]\.$"):
      compute(labels, predictions, weights[1:])

  @parameterized.parameters(metrics.multilabel, metrics.regression)
  def test_no_column(self, compute):
    with self.assertRaisesRegex(
        ValueError, r"`labels` must have shape .*, found \[3, 0\]"):
      compute(np.ones([3, 0]), np.ones([3, 0]), np.ones(3))

  @parameterized.product(
      compute=(metrics.binary, metrics.multilabel),
      label=(-1.0, 0.5, 2.0, np.inf))
  def test_bad_label_of_two_is_shown(self, compute, label):
    labels = np.array([[1.0, 0.0], [0.0, label]])
    if compute is metrics.binary:
      labels = labels[1]
    with self.assertRaisesRegex(
        ValueError, rf"`labels` must be integers in \[0, 2\), found {label}"):
      compute(labels, np.ones_like(labels), np.ones(2))

  @parameterized.product(
      compute=(metrics.multiclass, metrics.ordinal), label=(-1, 3, 0.5, _NAN))
  def test_bad_class_is_shown(self, compute, label):
    with self.assertRaisesRegex(
        ValueError, rf"`labels` must be integers in \[0, 3\), found {label}"):
      compute(np.array([0, label]), np.ones([2, 3]), np.ones(2))

  def test_missing_binary_label_is_an_error(self):
    with self.assertRaisesRegex(ValueError, "integers in .*, found nan"):
      metrics.binary([1.0, _NAN], np.ones(2), np.ones(2))

  def test_negative_counts_and_rates_are_errors(self):
    with self.assertRaisesRegex(
        ValueError, "^count: `labels` must not be negative, found -2.0"):
      metrics.count([1.0, -2.0], [1.0, 1.0], [1.0, 1.0])
    with self.assertRaisesRegex(
        ValueError, "^count: `rates` must not be negative, found -0.5"):
      metrics.count([1.0, 2.0], [1.0, -0.5], [1.0, 1.0])


if __name__ == "__main__":
  absltest.main()
