"""Tests of the statistics that normalization and quantile buckets need."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph.data import statistics
from mtl_graph.protos import data_pb2

_NAN = float("nan")


def _features(text):
  return text_format.Parse(text, data_pb2.Data()).feature


def _measure(kind, values):
  listed = _features(f'feature {{ name: "x" {kind} }}')
  return statistics.measure(listed, {"x": np.array(values, np.float32)})["x"]


class MeasureTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("plain", [1, 2, 3, 4], 2.5, 1.25 ** 0.5),
      ("missing_left_out", [1, _NAN, 3, _NAN], 2, 1),
      ("constant", [5, 5, 5], 5, 1),
      ("constant_beside_missing", [5, _NAN], 5, 1),
      ("zero", [0, 0], 0, 1),
      ("rounded", [np.float32(0.1)] * 1000, np.float32(0.1), 1),
      ("nothing_but_missing", [_NAN, _NAN], 0, 1),
      ("large_offset", [1e6, 1e6 + 1], 1e6 + 0.5, 0.5),
  )
  def test_moments_equal_numpy(self, values, mean, stddev):
    found = _measure("numeric { normalization: Z_SCORE }", values)
    np.testing.assert_allclose(found["mean"], [mean], rtol=1e-12)
    np.testing.assert_allclose(found["stddev"], [stddev], rtol=1e-12)

  @parameterized.named_parameters(
      ("plain", [3, -1, 2], -1, 3),
      ("missing_left_out", [_NAN, 3, _NAN, 1], 1, 3),
      ("one", [7], 7, 7),
      ("nothing_but_missing", [_NAN, _NAN], 0, 0),
  )
  def test_range(self, values, low, high):
    found = _measure("numeric { normalization: MIN_MAX }", values)
    np.testing.assert_array_equal(found["min"], [low])
    np.testing.assert_array_equal(found["max"], [high])

  @parameterized.parameters("Z_SCORE", "MIN_MAX")
  def test_each_entry_of_a_vector_has_its_own(self, normalization):
    values = np.random.default_rng(2).normal(size=[40, 3]) * [1, 10, 100] + 5
    values[::3, 1] = _NAN
    values = values.astype(np.float32).astype(np.float64)
    found = _measure(
        f"numeric {{ size: 3 normalization: {normalization} }}", values)
    expected = ({"mean": np.nanmean(values, 0), "stddev": np.nanstd(values, 0)}
                if normalization == "Z_SCORE" else
                {"min": np.nanmin(values, 0), "max": np.nanmax(values, 0)})
    self.assertCountEqual(found, expected)
    for key, value in expected.items():
      np.testing.assert_allclose(found[key], value, rtol=1e-12)

  @parameterized.parameters(2, 3, 7)
  def test_boundaries_equal_numpy_quantiles(self, buckets):
    values = np.random.default_rng(2).normal(size=50).astype(np.float32)
    values[[3, 8]] = _NAN
    found = _measure(f"categorical {{ quantile_buckets: {buckets} }}", values)
    self.assertEqual(list(found), ["boundaries"])
    np.testing.assert_array_equal(
        found["boundaries"],
        np.quantile(values[~np.isnan(values)].astype(np.float64),
                    [i / buckets for i in range(1, buckets)]))

  @parameterized.parameters(2, 3, 5, 8)
  def test_parts_are_of_about_equal_size(self, buckets):
    values = np.random.default_rng(4).permutation(200).astype(np.float32)
    boundaries = _measure(
        f"categorical {{ quantile_buckets: {buckets} }}", values)["boundaries"]
    counts = np.bincount(np.searchsorted(boundaries, values, "right"),
                         minlength=buckets)
    self.assertLen(counts, buckets)
    self.assertLessEqual(counts.max() - counts.min(), 1)

  def test_boundaries_of_sets_go_over_all_values(self):
    kind = ("categorical { quantile_buckets: 2 values { max_values: 3 } }")
    found = _measure(kind, [[1, 2, _NAN], [_NAN] * 3, [3, 4, 5]])
    np.testing.assert_array_equal(found["boundaries"], [3])

  def test_boundaries_of_nothing(self):
    found = _measure("categorical { quantile_buckets: 4 }", [_NAN, _NAN])
    np.testing.assert_array_equal(found["boundaries"], np.zeros(3))

  @parameterized.parameters(
      "numeric { size: 2 normalization: Z_SCORE }",
      "numeric { size: 2 normalization: MIN_MAX }",
      "categorical { quantile_buckets: 5 }")
  def test_what_awaits_a_checkpoint_has_the_same_names_and_shapes(self, kind):
    initial = statistics.initial(_features(f"feature {{ {kind} }}")[0])
    found = _measure(kind, [[1, 2], [3, 5]])
    self.assertEqual({key: value.shape for key, value in found.items()},
                     {key: value.shape for key, value in initial.items()})

  def test_what_needs_none_is_not_measured(self):
    kinds = ("numeric {}", "numeric { normalization: LOG1P }",
             "categorical { num_buckets: 3 }", "categorical { boundary: 1 }",
             "image { height: 1 width: 1 }", "cross { hash_buckets: 2 }")
    listed = _features("".join(f'feature {{ name: "f{i}" {kind} }}'
                               for i, kind in enumerate(kinds)))
    self.assertEmpty(statistics.measure(
        listed, {f"f{i}": np.ones(2) for i in range(len(kinds))}))
    for feature in listed:
      self.assertEmpty(statistics.initial(feature))


if __name__ == "__main__":
  absltest.main()
