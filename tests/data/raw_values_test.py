"""Tests of reading the raw values of features, as serving takes them."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph.data import raw_values
from mtl_graph.data import sources
from mtl_graph.protos import data_pb2

_NAN = float("nan")


def _features(text):
  return text_format.Parse(text, data_pb2.Data()).feature


def _column(values):
  """Makes an array of values, of vectors where their lengths differ."""
  if isinstance(values[0], list) and len(set(map(len, values))) > 1:
    rows = np.empty(len(values), object)
    rows[:] = [np.array(v, object if any(isinstance(e, str) for e in v)
                        else float) for v in values]
    return rows
  return np.array(values, object if any(isinstance(v, str) for v in values)
                  else None)


def _read(kind, name="x", **columns):
  arrays = {n: _column(values) for n, values in columns.items()}
  table = sources.Table(arrays, [("p", len(next(iter(arrays.values()))))])
  return raw_values.read(
      _features(f'feature {{ name: "{name}" {kind} }}'), table)


class ReadTest(parameterized.TestCase):

  def _assert_read(self, kind, column, expected, dtype):
    found = _read(kind, x=column)
    self.assertCountEqual(found, ["x"])
    self.assertEqual(found["x"].dtype, dtype)
    np.testing.assert_array_equal(found["x"], np.array(expected, dtype))

  @parameterized.named_parameters(
      ("number", "", ["1.5", "2"], [1.5, 2]),
      ("missing", "missing_value: 7", ["1", ""], [1, _NAN]),
      ("one_wide", "", [[1.0], [2.0]], [1, 2]),
      ("one_wide_missing", "missing_value: 7", [[1.0], []], [1, _NAN]),
      ("one_by_separator", "separator: '|'", ["1.5", "2"], [1.5, 2]),
      ("vector", "size: 2", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
      ("vector_missing", "size: 2 missing_value: 0", [[1, _NAN], [3, 4]],
       [[1, _NAN], [3, 4]]),
      ("vector_of_text", "size: 2 separator: ', '", ["1, 2", "3e1, -4"],
       [[1, 2], [30, -4]]),
      ("vector_of_text_missing", "size: 2 separator: '|' missing_value: 0",
       ["1|", "", "|3"], [[1, _NAN], [_NAN, _NAN], [_NAN, 3]]),
      ("vectors_of_lists", "size: 2 missing_value: 0", [[1.0, 2.0], []],
       [[1, 2], [_NAN, _NAN]]),
      ("log1p", "normalization: LOG1P missing_value: 0", ["", "0"], [_NAN, 0]),
  )
  def test_numbers(self, numeric, column, expected):
    self._assert_read(f"numeric {{ {numeric} }}", column, expected, np.float32)

  @parameterized.named_parameters(
      ("bucket", "num_buckets: 3", ["2", "", "9"], [2, -1, 9], np.int64),
      ("bucket_floats", "num_buckets: 3", [2.0, _NAN], [2, -1], np.int64),
      ("hash", "hash_buckets: 3", ["a", "", "é"], ["a", "", "é"], object),
      ("hash_numbers", "hash_buckets: 3", [1.0, 2.5, _NAN], ["1", "2.5", ""],
       object),
      ("vocabulary", "vocabulary: 'a'", [1, 2], ["1", "2"], object),
      ("counted", "counted_vocabulary { capacity: 2 }", ["a", ""], ["a", ""],
       object),
      ("boundary", "boundary: 0.5", ["0.25", "", "7"], [0.25, _NAN, 7],
       np.float32),
      ("quantiles", "quantile_buckets: 3", [1, 2], [1, 2], np.float32),
  )
  def test_categories(self, categorical, column, expected, dtype):
    self._assert_read(f"categorical {{ {categorical} }}", column, expected,
                      dtype)

  @parameterized.named_parameters(
      ("text", "vocabulary: 'a'", ["b|a", "", "c", "a||b", "a|b|c|d"],
       [["b", "a", ""], ["", "", ""], ["c", "", ""], ["a", "", "b"],
        ["a", "b", "c"]], object),
      ("lists", "hash_buckets: 3", [["b", "a"], [], ["a", "b", "c", "d"]],
       [["b", "a", ""], ["", "", ""], ["a", "b", "c"]], object),
      ("matrix", "hash_buckets: 3", [["b", "a"], ["", "c"]],
       [["b", "a", ""], ["", "c", ""]], object),
      ("numbers", "num_buckets: 3", ["2|1", "", "|0", "1|2|0|1"],
       [[2, 1, -1], [-1, -1, -1], [-1, 0, -1], [1, 2, 0]], np.int64),
      ("one_number", "num_buckets: 3", [2.0, _NAN],
       [[2, -1, -1], [-1, -1, -1]], np.int64),
      ("intervals", "boundary: 1", ["2|0.5", "", "|3"],
       [[2, 0.5, _NAN], [_NAN] * 3, [_NAN, 3, _NAN]], np.float32),
  )
  def test_sets_keep_the_first(self, categorical, column, expected, dtype):
    self._assert_read(
        f"categorical {{ {categorical} values {{ max_values: 3 }} }}", column,
        expected, dtype)

  @parameterized.parameters("lstm", "gru")
  def test_sequences_keep_the_last(self, kind):
    self._assert_read(
        f"categorical {{ hash_buckets: 3 values {{ max_values: 3 {kind} {{ "
        "units: 1 } separator: ' ' } }",
        ["a b c d", "a b", "", "a  b c d ", "d  "],
        [["b", "c", "d"], ["a", "b", ""], ["", "", ""], ["b", "c", "d"],
         ["d", "", ""]], object)

  def test_weights_stand_beside_their_categories(self):
    found = _read("categorical { vocabulary: 'a' values { max_values: 2 "
                  "weight_column: 'w' separator: ';' } }",
                  x=["b;a", "", "c", "a;b;c"], w=["1;0.5", "", "2", "3;4;5"])
    self.assertEqual(list(found), ["x", "x/weights"])
    self.assertEqual(found["x/weights"].dtype, np.float32)
    np.testing.assert_array_equal(
        found["x/weights"],
        np.array([[1, 0.5], [_NAN, _NAN], [2, _NAN], [3, 4]], np.float32))

  def test_a_category_that_is_missing_has_no_weight(self):
    found = _read("categorical { num_buckets: 9 values { max_values: 3 "
                  "weight_column: 'w' } }", x=["1||2"], w=["5||6"])
    np.testing.assert_array_equal(found["x/weights"], [[5, _NAN, 6]])

  @parameterized.named_parameters(
      ("whole", "image { height: 2 width: 1 channels: 2 }", (2, 1, 2)),
      ("flat", "image { height: 2 width: 1 channels: 2 }", (4,)),
      ("gray", "image { height: 2 width: 2 }", (2, 2)),
      ("gray_whole", "image { height: 2 width: 2 }", (2, 2, 1)),
      ("gray_flat", "image { height: 2 width: 2 }", (4,)),
  )
  def test_images(self, kind, shape):
    for dtype in (np.uint8, np.float64):
      pixels = np.arange(12, dtype=dtype).reshape(3, *shape)
      found = _read(kind, x=pixels)["x"]
      image = _features(f"feature {{ {kind} }}")[0].image
      self.assertEqual(found.dtype, np.float32)
      self.assertEqual(found.shape,
                       (3, image.height, image.width, image.channels))
      np.testing.assert_array_equal(found.ravel(), np.arange(12))

  def test_a_cross_reads_nothing(self):
    self.assertEmpty(_read("cross { feature: ['a', 'b'] hash_buckets: 2 }",
                           y=["1"]))

  def test_reads_another_column(self):
    found = _read("column: 'Raw X' numeric {}", **{"Raw X": [1.0]})
    self.assertEqual(found["x"].tolist(), [1])


class ColumnsTest(absltest.TestCase):

  def test_every_column_once(self):
    listed = _features("""
        feature { name: "a" numeric {} }
        feature { name: "b" column: "a" categorical { boundary: 1 } }
        feature { name: "c" column: "z" categorical { hash_buckets: 1
                  values { weight_column: "w" } } }
        feature { name: "d" categorical { values { weight_column: "w" } } }
        feature { name: "e" cross {} }""")
    self.assertEqual([raw_values.column_of(f) for f in listed],
                     ["a", "a", "z", "d", ""])
    self.assertEqual(raw_values.columns_of(listed), ["a", "z", "w", "d"])
    self.assertEqual(raw_values.weights_input(listed[2]), "c/weights")
    self.assertEqual([raw_values.takes_numbers(f.categorical) for f in listed],
                     [False, True, False, False, False])


class RefusedTest(parameterized.TestCase):
  _NUMBER = "a number; feature 'x' has no missing_value to stand for a missing"

  @parameterized.named_parameters(
      ("missing", "numeric {}", ["1", ""],
       f"p, row 2, column 'x': found ''; allowed: {_NUMBER}"),
      ("missing_in_vector", "numeric { size: 2 }", [[1, 2], [3, _NAN]],
       rf"p, row 2, column 'x': found '\[ 3. nan\]'; allowed: {_NUMBER}"),
      ("missing_vector", "numeric { size: 2 separator: '|' }", ["1|2", ""],
       f"p, row 2, column 'x': found ''; allowed: {_NUMBER}"),
      ("no_number", "numeric {}", ["1", "x"],
       "p, row 2, column 'x': found 'x'; allowed: a number"),
      ("no_number_in_vector", "numeric { size: 2 separator: '|' }",
       ["1|2", "3|y"], "p, row 2, column 'x': found 'y'; allowed: a number"),
      ("width", "numeric { size: 3 }", [[1, 2]],
       r"p: column 'x' has shape \[1, 2\]; allowed: \[1, 3\]"),
      ("width_of_text", "numeric { size: 3 separator: '|' }", ["1|2|3", "4"],
       "p, row 2, column 'x': found 1 values; allowed: 3 numbers with '|' "
       "between them, or nothing"),
      ("width_of_one", "numeric {}", [[1.0, 2.0]],
       r"p: column 'x' has shape \[1, 2\]; allowed: \[1\], as feature 'x' has "
       "size 1"),
      ("lists_of_one", "numeric {}", [[1.0], [2.0, 3.0]],
       "p, row 2, column 'x': found 2 values; allowed: one value"),
      ("negative_log1p", "numeric { normalization: LOG1P missing_value: 0 }",
       ["", "-0.5"], "p, row 2, column 'x': found '-0.5'; allowed: at least 0, "
       r"as feature 'x' takes ln\(1 \+ x\)"),
      ("too_large", "numeric {}", ["1", "1e39"], "p, row 2, column 'x': found "
       "'1e39'; allowed: a number that fits 32-bit floating point"),
      ("fraction", "categorical { num_buckets: 3 }", ["0.5"],
       "p, row 1, column 'x': found '0.5'; allowed: a whole number"),
      ("fraction_in_set", "categorical { num_buckets: 3 values { max_values: 2 "
       "} }", ["1|2", "3|0.5"],
       "p, row 2, column 'x': found '0.5'; allowed: a whole number"),
      ("negative_in_set", "categorical { num_buckets: 3 values { max_values: 2 "
       "} }", ["-3"], "p, row 1, column 'x': found '-3'; allowed: a whole "),
      ("vector_of_strings", "categorical { hash_buckets: 3 }", [["a", "b"]],
       r"p: column 'x' has shape \[1, 2\]; allowed: one value per row"),
      ("no_interval", "categorical { boundary: 3 }", ["1", "b"],
       "p, row 2, column 'x': found 'b'; allowed: a number"),
      ("interval_too_large", "categorical { quantile_buckets: 3 }",
       [1.0, 1e300], r"p, row 2, column 'x': found '1e\+300'; allowed: a "
       "number that fits 32-bit"),
      ("vectors_of_intervals", "categorical { boundary: 3 }", [[1, 2]],
       r"p: column 'x' has shape \[1, 2\]; allowed: one value per row"),
      ("cube", "categorical { boundary: 3 values { max_values: 2 } }",
       [[[1, 2]]], r"p: column 'x' has shape \[1, 1, 2\]; allowed: one value, "
       "or a list of them, per row"),
      ("image", "image { height: 2 width: 2 channels: 3 }", [[[1, 2], [3, 4]]],
       r"p: column 'x' has shape \[1, 2, 2\]; allowed: \[1, 2, 2, 3\], as "
       "feature 'x' is an image of 2 x 2 x 3"),
      ("image_on_its_side", "image { height: 3 width: 2 }",
       [[[1, 2, 3], [3, 4, 5]]], r"p: column 'x' has shape \[1, 2, 3\]; "
       r"allowed: \[1, 3, 2, 1\], as feature 'x' is an image of 3 x 2 x 1"),
      ("image_missing", "image { height: 1 width: 2 }", [[1, 2], [3, _NAN]],
       r"p, row 2, column 'x': found '\[ 3. nan\]'; allowed: numbers; an image "
       "has no missing ones"),
      ("image_too_large", "image { height: 1 width: 2 }", [[1, 2], [1e39, 0]],
       r"p, row 2, column 'x': .*; allowed: a number that fits 32-bit"),
  )
  def test_values(self, kind, column, message):
    with self.assertRaisesRegex(sources.DataError, "^" + message) as caught:
      _read(kind, x=column)
    self.assertNotIn("\n", str(caught.exception))

  @parameterized.named_parameters(
      ("too_few", ["1|2", "1"], "row 2, column 'w': found '1'"),
      ("too_many", ["1|2", "1|2|3"], "row 2, column 'w': found '1|2|3'"),
      ("none", ["1|2", ""], "row 2, column 'w': found ''"),
      ("beside_nothing", ["1|2", "1|2", "4"], "row 3, column 'w': found '4'"),
  )
  def test_weights(self, weights, message):
    with self.assertRaisesRegex(sources.DataError, "^p, " + message.replace(
        "|", r"\|") + "; allowed: a weight for each category of column 'x'"):
      _read("categorical { vocabulary: 'a' values { max_values: 3 "
            "weight_column: 'w' } }", x=["b|a", "c|d", ""][:len(weights)],
            w=weights)

  def test_weights_that_are_no_numbers(self):
    with self.assertRaisesRegex(sources.DataError,
                                "^p, row 1, column 'w': found 'y'"):
      _read("categorical { vocabulary: 'a' values { max_values: 3 "
            "weight_column: 'w' } }", x=["b"], w=["y"])


if __name__ == "__main__":
  absltest.main()
