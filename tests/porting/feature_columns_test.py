"""Tests of features made of `tf.feature_column`s."""

import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.data import features as features_lib
from mtl_graph.model import inputs
from mtl_graph.model import stacks
from mtl_graph.porting import feature_columns

_FC = tf.feature_column
_RAW = {
    "Age-Years": np.float32([3, 18, 29.5, 70]),
    "pair": np.float32([[1, 2], [3, 4], [5, 6], [7, 8]]),
    "city": np.array(["x", "b", "a", "a"], object),
    "store": np.array(["s1", "s2", "", "s9"], object),
    "day": np.int64([0, 4, 6, 2]),
    "tags": np.array([["a", "b", ""], ["b", "", ""], ["", "", ""],
                      ["b", "a", "b"]], object),
    "tag_weights": np.float32([[1, 2, 0], [.5, 0, 0], [0, 0, 0], [1, 1, 3]]),
}


def _columns():
  city = _FC.categorical_column_with_vocabulary_list(
      "city", ["a", "b"], num_oov_buckets=1)
  tags = _FC.categorical_column_with_vocabulary_list("tags", ["a", "b"])
  return [
      _FC.numeric_column("pair", shape=(2,)),
      _FC.bucketized_column(_FC.numeric_column("Age-Years"), [18, 30]),
      _FC.indicator_column(city),
      _FC.embedding_column(
          _FC.categorical_column_with_hash_bucket("store", 5), 3),
      _FC.embedding_column(_FC.categorical_column_with_identity("day", 7), 2,
                           combiner="sum"),
      _FC.embedding_column(_FC.weighted_categorical_column(
          tags, "tag_weights"), 2, combiner="sqrtn"),
      _FC.indicator_column(tags)]


def _experiment(conversion):
  """Returns an experiment that reads the features, found to be valid."""
  experiment = config.parse("""
      name: "ported" data { batch_size: 2 feature { name: "more" numeric {} } }
      model { hard_sharing { trunk { layer { dense { units: 2 } } } }
              task { name: "a" label { column: "y" } binary {} } }
      training { num_steps: 1 joint { loss { sum {} } }
        default_optimizer { adam { learning_rate { constant: 1 } } } }""")
  experiment.MergeFrom(config.parse(conversion.text()))
  validation.check(experiment, arrays=["train"])
  return experiment


def _fed():
  """Returns rows as a parser gives them: sparse, without what is nothing."""
  there = np.argwhere(_RAW["tags"] != "")
  fed = {name: tf.constant(value) for name, value in _RAW.items()}
  for name in ("tags", "tag_weights"):
    fed[name] = tf.SparseTensor(there, _RAW[name][tuple(there.T)],
                                _RAW[name].shape)
  return fed


def _original(build):
  """Returns what `build` makes of columns, and its variables by name."""
  with tf.Graph().as_default(), tf.Session() as session:
    output = build()
    random = np.random.default_rng(0)
    values = {v.op.name: random.normal(size=v.shape).astype(np.float32)
              for v in tf.trainable_variables()}
    session.run(tf.tables_initializer())
    for variable in tf.trainable_variables():
      variable.load(values[variable.op.name], session)
    return session.run(output), values


def _converted(conversion, values, build):
  """Returns what `build` makes of features, with the variables of columns."""
  features = _experiment(conversion).data.feature[1:]
  with tf.Graph().as_default(), tf.Session() as session:
    raw = features_lib.placeholders(features)
    parts = features_lib.transform_apart(features, raw)
    output = build(features, inputs.build(
        features, parts, stacks.Mode(0, None, frozenset(), [])))
    session.run([tf.global_variables_initializer(), tf.tables_initializer()])
    variables = {v.op.name: v for v in tf.global_variables()}
    for old, new in conversion.renames.items():
      # What is not known has been nothing.
      missing = variables[new].shape[0] - len(values[old])
      variables[new].load(np.pad(values[old], [[0, missing], [0, 0]]), session)
    feed = {raw[f.name]: _RAW[f.column or f.name] for f in features}
    feed.update((raw[name], _RAW["tag_weights"]) for name in raw
                if name.endswith("/weights"))
    return session.run(output, feed)


class FeatureColumnsTest(parameterized.TestCase):

  def test_numbers_are_those_of_input_layer(self):
    with tf.Graph().as_default():
      conversion = feature_columns.convert(_columns(), max_values={"tags": 3})
    self.assertEqual(conversion.differences, [])
    before, values = _original(lambda: _FC.input_layer(_fed(), _columns()))
    self.assertCountEqual(conversion.renames, values)
    after = _converted(conversion, values, lambda _, found: found.deep)
    self.assertEqual([f.name for f in conversion.features], [
        "age_years", "city", "day", "pair", "store", "tags", "tags_2"])
    # One-hot features have a place more, but where a column has one itself.
    more = np.cumsum([4, 3, 2, 2, 3, 3])[[0, 5]] - 1
    np.testing.assert_array_equal(after[:, more[0]], np.zeros(4))
    np.testing.assert_allclose(np.delete(after, more, 1), before, rtol=1e-6,
                               atol=1e-6)

  def test_numbers_are_those_of_linear_model(self):
    def wide():
      return [_FC.categorical_column_with_vocabulary_list(
          "city", ["a", "b"], num_oov_buckets=1),
              _FC.bucketized_column(_FC.numeric_column("Age-Years"), [18, 30]),
              _FC.numeric_column("pair", shape=(2,))]
    with tf.Graph().as_default():
      conversion = feature_columns.convert(wide=wide(), task="a")
    before, values = _original(lambda: _FC.linear_model(_fed(), wide()))
    self.assertCountEqual([*conversion.renames, "linear_model/bias_weights"],
                          values)
    after = _converted(conversion, values, lambda features, found:
                       inputs.wide_logits(features, found.wide, "a", 1))
    np.testing.assert_allclose(
        after + values["linear_model/bias_weights"], before, rtol=1e-5,
        atol=1e-6)

  def test_a_cross_comes_behind_what_it_crosses(self):
    with tf.Graph().as_default():
      conversion = feature_columns.convert(wide=[_FC.crossed_column(
          ["city", _FC.bucketized_column(_FC.numeric_column("age"), [18])],
          9)])
    self.assertEqual(conversion.differences, [
        "column 'age_bucketized_X_city' hashes combinations in another way; its "
        "table begins anew"])
    *parts, cross = _experiment(conversion).data.feature[1:]
    self.assertCountEqual([f.name for f in parts], ["city", "age"])
    self.assertCountEqual(cross.cross.feature, ["city", "age"])
    self.assertEqual(cross.cross.hash_buckets, 9)

  def test_shared_tables(self):
    with tf.Graph().as_default():
      conversion = feature_columns.convert(_FC.shared_embedding_columns(
          [_FC.categorical_column_with_identity(name, 4)
           for name in ("sold", "seen")], 3, "mean", None, "goods"))
    _experiment(conversion)
    self.assertEqual([f.categorical.shared_embedding
                      for f in conversion.features], ["goods", "goods"])
    self.assertEqual(set(conversion.renames.values()),
                     {"embedding/goods/embeddings"})

  def test_every_difference_is_told(self):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
      file.write("a\nb\nc\n")
      file.flush()
      with tf.Graph().as_default():
        columns = [
            _FC.numeric_column("a", default_value=2.0,
                               normalizer_fn=lambda x: x / 2),
            _FC.numeric_column("b", shape=2, default_value=[1, 2]),
            _FC.indicator_column(
                _FC.categorical_column_with_identity("c", 3, 1)),
            _FC.indicator_column(_FC.categorical_column_with_vocabulary_list(
                "d", ["x"], num_oov_buckets=2)),
            _FC.embedding_column(
                _FC.categorical_column_with_vocabulary_file(
                    "e", file.name, 2, default_value=1), 2, max_norm=1.0,
                initializer=tf.ones_initializer(), trainable=False)]
        conversion = feature_columns.convert(columns)
    self.assertEqual(conversion.features[0].numeric.missing_value, 2)
    self.assertEqual([line.partition("; ")[0]
                      for line in conversion.differences], [
        "column 'a' has a normalizer_fn",
        "column 'b' has the defaults [1, 2]",
        "column 'c' takes what is not known for 1",
        "column 'd' has 2 places for what is not known",
        "column 'e' takes 2 of the file's 3 lines",
        "column 'e' takes what is not known for entry 1",
        "column 'e_embedding' has an initializer of its own",
        "column 'e_embedding' has max_norm=1.0",
        "column 'e_embedding' has trainable=False"])

  @parameterized.named_parameters(
      ("no_column", lambda: ["age"],
       "found str 'age'; allowed: columns of tf.feature_column"),
      ("bare", lambda: [_FC.categorical_column_with_identity("c", 3)],
       "found IdentityCategoricalColumn 'c' among the deep columns; allowed: in "
       "an embedding_column or an indicator_column"),
      ("sequence", lambda: [_FC.sequence_numeric_column("s")],
       "found SequenceNumericColumn 's'; allowed: columns that are no sequence"),
      ("weights_of_one", lambda: [_FC.indicator_column(
          _FC.weighted_categorical_column(
              _FC.categorical_column_with_identity("c", 3), "w"))],
       "found weights of 'c', of which a row has one category; allowed: with "
       "max_values={'c': ...}"),
      ("vector", lambda: [_FC.bucketized_column(
          _FC.numeric_column("v", shape=2), [1])],
       r"found 'v_bucketized' over a vector of shape \(2,\); allowed: over one"))
  def test_refused(self, columns, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, "^feature_columns.convert: " + message):
      feature_columns.convert(columns())


if __name__ == "__main__":
  absltest.main()
