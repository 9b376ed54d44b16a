"""Tests of features: one transformation in training and in serving."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import features
from mtl_graph.data import sources
from mtl_graph.protos import data_pb2

_NAN = float("nan")
_KINDS = """
  feature { name: "plain" numeric {} }
  feature { name: "scaled"
            numeric { normalization: Z_SCORE missing_value: -1 } }
  feature { name: "pair" numeric { size: 2 normalization: Z_SCORE } }
  feature { name: "flat" numeric { normalization: Z_SCORE } }
  feature { name: "amount" numeric { normalization: LOG1P missing_value: 3 } }
  feature { name: "hour"
            categorical { num_buckets: 24 embedding_dimension: 2 } }
  feature { name: "dest"
            categorical { hash_buckets: 16 embedding_dimension: 3 } }
  feature { name: "city"
            categorical { vocabulary: ["oslo", "bern"]
                          embedding_dimension: 2 } }
  feature { name: "code"
            categorical { vocabulary_file: "%s" embedding_dimension: 1 } }
"""
_ROWS = 12
_RANDOM = np.random.default_rng(3)
_RAW = {
    "plain": _RANDOM.normal(size=_ROWS).astype(np.float32),
    "scaled": np.where(np.arange(_ROWS) % 4 == 1, _NAN, 50 + 9 * _RANDOM.normal(
        size=_ROWS)).astype(np.float32),
    "pair": (np.array([1e6, -3]) + _RANDOM.normal(size=[_ROWS, 2])
             * [100, 0.01]).astype(np.float32),
    "flat": np.full(_ROWS, 0.1, np.float32),
    "amount": np.array([0, _NAN, -2] + [1e6] * (_ROWS - 3), np.float32),
    "hour": np.array([0, 23, 24, -1, 10 ** 12] + [5] * (_ROWS - 5)),
    "dest": np.array(["JFK", "LGA", "", "Zürich"] + ["x"] * (_ROWS - 4),
                     object),
    "city": np.array(["bern", "oslo", "rome", "Bern"] + ["oslo"] * (_ROWS - 4),
                     object),
    "code": np.array(["b", "a", "", "ü"] + ["d"] * (_ROWS - 4), object),
}


def _features(text):
  return text_format.Parse(text, data_pb2.Data()).feature


def _read(kind, values):
  table = sources.Table({"x": np.array(values)}, [("p", len(values))])
  return features.read(_features(f'feature {{ name: "x" {kind} }}'), table)["x"]


class TransformTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    path = os.path.join(folder, "codes.txt")
    with open(path, "wb") as file:
      file.write("a\r\nb\r\n\r\nü\r\n".encode())
    cls._features = _features(_KINDS % path)
    cls._statistics = features.measure(cls._features, _RAW)
    with tf.Graph().as_default():
      cls._inputs = features.placeholders(cls._features)
      cls._transformed = features.transform(cls._features, cls._inputs,
                                            cls._statistics)
      cls._built = features.build(cls._features, cls._transformed, seed=4)
      cls._session = cls.enterClassContext(tf.Session())
      cls._session.run([tf.global_variables_initializer(),
                        tf.tables_initializer()])
      cls._variables = {v.op.name: cls._session.run(v)
                        for v in tf.global_variables()}
      cls._trainable = [v.op.name for v in tf.trainable_variables()]
    cls._found = cls._run(_RAW)

  @classmethod
  def _run(cls, raw, fetches=None):
    return cls._session.run(
        cls._transformed if fetches is None else fetches,
        {cls._inputs[name]: values for name, values in raw.items()})

  def test_inputs_bear_the_names_of_the_features(self):
    self.assertEqual([t.op.name for t in self._inputs.values()], list(_RAW))
    self.assertEqual(
        [t.dtype for t in self._inputs.values()],
        [tf.float32] * 5 + [tf.int64] + [tf.string] * 3)
    self.assertEqual(self._inputs["pair"].shape.as_list(), [None, 2])

  def test_numbers(self):
    found = self._found.numbers
    self.assertEqual((found.dtype, found.shape), (np.float32, (_ROWS, 6)))
    self.assertAllEqual(found[:, 0], _RAW["plain"])
    present = _RAW["scaled"][~np.isnan(_RAW["scaled"])].astype(np.float64)
    filled = np.where(np.isnan(_RAW["scaled"]), -1, _RAW["scaled"])
    self.assertAllClose(found[:, 1], (filled - present.mean()) / present.std())
    pair = _RAW["pair"].astype(np.float64)
    self.assertAllClose(found[:, 2:4], (pair - pair.mean(0)) / pair.std(0),
                        atol=1e-3)
    self.assertAllEqual(found[:, 4], np.zeros(_ROWS))

  def test_log1p_replaces_what_is_missing_and_lifts_what_is_negative(self):
    self.assertAllClose(self._found.numbers[:4, 5],
                        [0, np.log(4), 0, np.log1p(1e6)])

  def test_ids(self):
    found = self._found.ids
    self.assertEqual((found.dtype, found.shape), (np.int32, (_ROWS, 4)))
    self.assertAllEqual(found[:6, 0], [0, 23, 24, 24, 24, 5])
    with tf.Graph().as_default(), tf.Session() as session:
      hashed = session.run(tf.strings.to_hash_bucket_fast(
          _RAW["dest"].tolist(), 16))
    self.assertAllEqual(found[:, 1], np.where(_RAW["dest"] == "", 16, hashed))
    self.assertAllEqual(found[:5, 2], [1, 0, 2, 2, 0])
    self.assertAllEqual(found[:5, 3], [1, 0, 3, 2, 3])

  def test_a_missing_category_is_the_last_row(self):
    missing = {**_RAW, "hour": np.full(_ROWS, -1),
               **{name: np.array([""] * _ROWS, object)
                  for name in ("dest", "city", "code")}}
    self.assertAllEqual(self._run(missing).ids, [[24, 16, 2, 3]] * _ROWS)

  def test_pieces_come_to_the_same_bits(self):
    pieces = [self._run({name: values[start:end]
                         for name, values in _RAW.items()})
              for start, end in ((0, 1), (1, 6), (6, 6), (6, _ROWS))]
    for whole, parts in zip(self._found, zip(*pieces)):
      self.assertEqual(np.concatenate(parts).tobytes(), whole.tobytes())

  def test_statistics_are_variables_that_are_not_trained(self):
    self.assertAllClose(self._variables["statistics/pair/mean"],
                        _RAW["pair"].astype(np.float64).mean(0))
    self.assertAllClose(self._variables["statistics/pair/stddev"],
                        _RAW["pair"].astype(np.float64).std(0), rtol=1e-4)
    self.assertContainsSubset(
        [f"statistics/{name}/{key}" for name in ("scaled", "pair", "flat")
         for key in ("mean", "stddev")], self._variables)
    self.assertEqual(self._trainable, [
        f"embedding/{name}/embeddings"
        for name in ("hour", "dest", "city", "code")])

  def test_embeddings_have_one_row_more_than_categories(self):
    self.assertEqual(
        [self._variables[name].shape for name in self._trainable],
        [(25, 2), (17, 3), (3, 2), (4, 1)])

  def test_built_features_keep_their_order_and_width(self):
    self.assertEqual(list(self._built), list(_RAW))
    built = self._run(_RAW, self._built)
    self.assertEqual([built[name].shape[1] for name in _RAW],
                     [1, 1, 2, 1, 1, 2, 3, 2, 1])
    self.assertAllEqual(built["pair"], self._found.numbers[:, 2:4])
    self.assertAllEqual(
        built["city"],
        self._variables["embedding/city/embeddings"][self._found.ids[:, 2]])


class OneKindTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("numbers_only", "numeric {}", np.ones(3, np.float32), (3, 1), (3, 0)),
      ("ids_only", "categorical { num_buckets: 4 embedding_dimension: 1 }",
       np.ones(3, np.int64), (3, 0), (3, 1)),
  )
  def test_the_other_matrix_has_no_columns(self, kind, values, numbers, ids):
    listed = _features(f'feature {{ name: "x" {kind} }}')
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = features.placeholders(listed)
      transformed = features.transform(listed, inputs)
      self.assertEqual([t.shape.as_list()[1] for t in transformed],
                       [numbers[1], ids[1]])
      found = session.run(transformed, {inputs["x"]: values})
    self.assertEqual((found.numbers.shape, found.ids.shape), (numbers, ids))
    self.assertEqual((found.numbers.dtype, found.ids.dtype),
                     (np.float32, np.int32))

  def test_without_statistics_the_variables_await_a_checkpoint(self):
    listed = _features(
        'feature { name: "x" numeric { normalization: Z_SCORE } }')
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = features.placeholders(listed)
      transformed = features.transform(listed, inputs)
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(
          session.run(transformed.numbers, {inputs["x"]: [4.0]}), [[4]])


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
  def test_equals_numpy(self, values, mean, stddev):
    listed = _features(
        'feature { name: "x" numeric { normalization: Z_SCORE } }')
    found = features.measure(listed, {"x": np.array(values, np.float32)})["x"]
    np.testing.assert_allclose(found.mean, [mean], rtol=1e-12)
    np.testing.assert_allclose(found.stddev, [stddev], rtol=1e-12)

  def test_only_z_score_is_measured(self):
    listed = _features(
        'feature { name: "x" numeric { normalization: LOG1P } }'
        'feature { name: "y" numeric {} }')
    self.assertEmpty(features.measure(listed, {"x": np.ones(2),
                                               "y": np.ones(2)}))


class ReadTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("number", "numeric {}", ["1.5", "2"], [1.5, 2], np.float32),
      ("missing", "numeric { missing_value: 7 }", ["1", ""], [1, _NAN],
       np.float32),
      ("one_wide", "numeric {}", [[1.0], [2.0]], [1, 2], np.float32),
      ("vector", "numeric { size: 2 }", [[1, 2], [3, 4]], [[1, 2], [3, 4]],
       np.float32),
      ("vector_missing", "numeric { size: 2 missing_value: 0 }",
       [[1, _NAN], [3, 4]], [[1, _NAN], [3, 4]], np.float32),
      ("bucket", "categorical { num_buckets: 3 }", ["2", "", "9"], [2, -1, 9],
       np.int64),
      ("hash", "categorical { hash_buckets: 3 }", ["a", ""], ["a", ""], object),
      ("vocabulary", 'categorical { vocabulary: "a" }', [1, 2], ["1", "2"],
       object),
  )
  def test_reads(self, kind, values, expected, dtype):
    found = _read(kind, values)
    self.assertEqual(found.dtype, dtype)
    np.testing.assert_array_equal(found, np.array(expected, dtype))

  def test_reads_another_column(self):
    listed = _features('feature { name: "x" column: "Raw X" numeric {} }')
    table = sources.Table({"Raw X": np.array([1.0])}, [("p", 1)])
    self.assertEqual(features.column_of(listed[0]), "Raw X")
    self.assertEqual(features.read(listed, table)["x"].tolist(), [1])

  @parameterized.named_parameters(
      ("missing", "numeric {}", ["1", ""], "^p, row 2, column 'x': found ''; "
       "allowed: a number; feature 'x' has no missing_value"),
      ("missing_in_vector", "numeric { size: 2 }", [[1, 2], [3, _NAN]],
       "p, row 2, column 'x'"),
      ("no_number", "numeric {}", ["1", "x"], "p, row 2, .*found 'x'"),
      ("width", "numeric { size: 3 }", [[1, 2]], r"^p: column 'x' has shape "
       r"\[1, 2\]; allowed: \[1, 3\], as feature 'x' has size 3"),
      ("csv_vector", "numeric { size: 2 }", ["1"], r"has shape \[1\]; allowed: "
       r"\[1, 2\]"),
      ("negative_log1p", "numeric { normalization: LOG1P missing_value: 0 }",
       ["", "-0.5"], "p, row 2, column 'x': found '-0.5'; allowed: at least 0"),
      ("too_large", "numeric {}", ["1", "1e39"], "p, row 2, .*found '1e39'; "
       "allowed: a number that fits 32-bit"),
      ("fraction", "categorical { num_buckets: 3 }", ["0.5"], "a whole number"),
      ("vector_of_strings", "categorical { hash_buckets: 3 }", [["a", "b"]],
       r"has shape \[1, 2\]; allowed: one value per row"),
  )
  def test_refused(self, kind, values, message):
    with self.assertRaisesRegex(sources.DataError, message):
      _read(kind, values)


if __name__ == "__main__":
  absltest.main()
