"""Tests of features: one transformation in training and in serving."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import features
from mtl_graph.data import statistics
from tests.data import one_transform

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


class TransformTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    path = os.path.join(folder, "codes.txt")
    with open(path, "wb") as file:
      file.write("a\r\nb\r\n\r\nü\r\n".encode())
    cls._features = one_transform.parse(_KINDS % path)
    cls._statistics = statistics.measure(cls._features, _RAW)
    with tf.Graph().as_default():
      cls._inputs = features.placeholders(cls._features)
      cls._transformed = features.transform(cls._features, cls._inputs,
                                            cls._statistics)
      cls._session = cls.enterClassContext(tf.Session())
      cls._session.run([tf.global_variables_initializer(),
                        tf.tables_initializer()])
      cls._variables = {v.op.name: cls._session.run(v)
                        for v in tf.global_variables()}
      cls._trainable = tf.trainable_variables()
    cls._found = cls._run(_RAW)

  @classmethod
  def _run(cls, raw):
    return cls._session.run(
        cls._transformed,
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
    self.assertCountEqual(
        [f"statistics/{name}/{key}" for name in ("scaled", "pair", "flat")
         for key in ("mean", "stddev")], self._variables)
    self.assertEmpty(self._trainable)


class NumbersTest(parameterized.TestCase, tf.test.TestCase):

  def test_min_max_per_entry(self):
    values = np.array([[1, 7], [5, 7], [2, 7]], np.float32)
    kind = "numeric { size: 2 normalization: MIN_MAX }"
    found = one_transform.run(f"feature {{ name: 'x' {kind} }}", {"x": values})
    self.assertAllClose(found.numbers, [[0, 0], [1, 0], [0.25, 0]])

  def test_min_max_goes_beyond_what_training_rows_hold(self):
    text = ("feature { name: 'x' numeric { normalization: MIN_MAX "
            "missing_value: 3 } }")
    measured = {"x": {"min": np.array([1.0]), "max": np.array([5.0])}}
    found = one_transform.run(text, {"x": np.array([-3, 9, _NAN], np.float32)},
                              measured)
    self.assertAllClose(found.numbers, [[-1], [2], [0.5]])

  @parameterized.parameters("Z_SCORE", "MIN_MAX")
  def test_missing_numbers_are_replaced_before_they_are_scaled(self, rule):
    values = np.array([[2, _NAN], [_NAN, 8], [6, 4]], np.float32)
    found = one_transform.run(
        "feature { name: 'x' numeric { size: 2 missing_value: 5 "
        f"normalization: {rule} }} }}", {"x": values}).numbers
    filled = np.where(np.isnan(values), 5, values).astype(np.float64)
    shift, scale = {"Z_SCORE": ([4, 6], [2, 2]),
                    "MIN_MAX": ([2, 4], [4, 4])}[rule]
    self.assertAllClose(found, (filled - shift) / scale)

  def test_images(self):
    pixels = np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2)
    found = one_transform.run(
        "feature { name: 'n' numeric {} } feature { name: 'x' image { height: 2"
        " width: 3 channels: 2 divisor: 10 } }",
        {"n": np.array([7, 8], np.float32), "x": pixels}).numbers
    self.assertEqual(found.shape, (2, 13))
    self.assertAllClose(found[:, 1:], pixels.reshape(2, 12) / 10)
    self.assertAllEqual(found[:, 0], [7, 8])

  def test_divisor_that_is_not_stated(self):
    found = one_transform.run(
        "feature { name: 'x' image { height: 1 width: 2 } }",
        {"x": np.array([[[[0.0], [255.0]]]], np.float32)})
    self.assertAllClose(found.numbers, [[0, 1]])

  @parameterized.named_parameters(
      ("numbers_only", "numeric {}", np.ones(3, np.float32), (3, 1), (3, 0)),
      ("ids_only", "categorical { num_buckets: 4 embedding_dimension: 1 }",
       np.ones(3, np.int64), (3, 0), (3, 1)),
  )
  def test_the_other_matrix_has_no_columns(self, kind, values, numbers, ids):
    listed = one_transform.parse(f'feature {{ name: "x" {kind} }}')
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = features.placeholders(listed)
      transformed = features.transform(listed, inputs)
      self.assertEqual([t.shape.as_list()[1] for t in transformed],
                       [numbers[1], ids[1]])
      found = session.run(transformed, {inputs["x"]: values})
    self.assertEqual((found.numbers.shape, found.ids.shape), (numbers, ids))
    self.assertEqual((found.numbers.dtype, found.ids.dtype),
                     (np.float32, np.int32))

  @parameterized.named_parameters(
      ("z_score", "numeric { normalization: Z_SCORE }", [4.0], [[4]]),
      ("min_max", "numeric { normalization: MIN_MAX }", [4.0], [[4]]))
  def test_without_statistics_the_variables_await_a_checkpoint(
      self, kind, values, expected):
    found = one_transform.run(f'feature {{ name: "x" {kind} }}',
                              {"x": np.array(values)}, {})
    self.assertAllEqual(found.numbers, expected)


class TakeApartTest(tf.test.TestCase):
  _TEXT = """
      feature { name: "a" numeric { size: 2 } }
      feature { name: "b" categorical { num_buckets: 3 } }
      feature { name: "c" image { height: 1 width: 3 } }
      feature { name: "d" categorical { num_buckets: 3
                values { max_values: 4 weight_column: "w" } } }
      feature { name: "e" categorical { num_buckets: 3 } }
      feature { name: "f" cross { feature: "b" feature: "e" hash_buckets: 5 } }
      feature { name: "g" categorical { num_buckets: 3
                values { max_values: 2 } } }
      feature { name: "h" numeric {} }"""

  def test_every_column_goes_to_one_feature(self):
    listed = one_transform.parse(self._TEXT)
    numbers = np.arange(20, dtype=np.float32).reshape(2, 10)
    ids = np.arange(18, dtype=np.int32).reshape(2, 9)
    with tf.Graph().as_default(), self.session() as session:
      parts = features.take_apart(listed, features.Transformed(
          tf.constant(numbers), tf.constant(ids)))
      found = {name: part._replace(**{
          key: session.run(tensor) for key, tensor in part._asdict().items()
          if tensor is not None}) for name, part in parts.items()}
    self.assertEqual(list(found), list("abcdefgh"))
    expected = {
        "a": (numbers[:, :2], None, None), "b": (None, ids[:, 0], None),
        "c": (numbers[:, 2:5], None, None),
        "d": (None, ids[:, 1:5], numbers[:, 5:9]), "e": (None, ids[:, 5], None),
        "f": (None, ids[:, 6], None), "g": (None, ids[:, 7:], None),
        "h": (numbers[:, 9:], None, None)}
    for name, parts in expected.items():
      for part, wanted in zip(found[name], parts):
        self.assertEqual(part is None, wanted is None)
        if wanted is not None:
          self.assertAllEqual(part, wanted)
    self.assertEqual(features.id_columns(listed), {
        "b": slice(0, 1), "d": slice(1, 5), "e": slice(5, 6),
        "f": slice(6, 7), "g": slice(7, 9)})

  def test_it_is_what_transform_puts_together(self):
    raw = {"a": np.array([[1, 2]], np.float32), "b": np.array([2]),
           "c": np.array([[[[255], [0], [510]]]], np.float32),
           "d": np.array([[0, 7]]), "d/weights": np.array([[0.5, 3]]),
           "e": np.array([0]), "g": np.array([[1, -1]]),
           "h": np.array([9], np.float32)}
    found = one_transform.run(self._TEXT, raw)
    self.assertAllClose(found.numbers, [[1, 2, 1, 0, 2, 0.5, 3, 0, 0, 9]])
    self.assertAllEqual(np.delete(found.ids, 6, 1),
                        [[2, 0, 3, -1, -1, 0, 1, -1]])


if __name__ == "__main__":
  absltest.main()
