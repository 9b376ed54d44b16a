"""Tests that every kind of feature means one thing wherever it is read.

Training, evaluation and the export share the ops that transform a feature, but
not the way its values come in: from columns, or from a request.
"""

import os
import re
import tempfile

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph
from mtl_graph import config
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from mtl_graph.protos import features_pb2

_SET = "values { max_values: 3 %s } embedding_dimension: 2"
_TEXT = """
name: "every_feature"
seed: 5
data {
  batch_size: 30
  feature { name: "plain" numeric { missing_value: 2 } use: WIDE_AND_DEEP }
  feature { name: "scaled" numeric { normalization: Z_SCORE missing_value: 1 } }
  feature { name: "ranged" column: "plain"
            numeric { normalization: MIN_MAX missing_value: 0 } }
  feature { name: "amount" numeric { normalization: LOG1P missing_value: 0 } }
  feature { name: "pair" numeric { size: 2 normalization: Z_SCORE
                                   missing_value: 0 }
            encoder { layer { dense { units: 3 activation: TANH } }
                      layer { batch_normalization { momentum: 0.5 } } } }
  feature { name: "bucket" categorical { num_buckets: 4
            embedding_dimension: 2 shared_embedding: "t" } use: WIDE_AND_DEEP }
  feature { name: "bucket_too" column: "bucket"
            categorical { num_buckets: 4 embedding_dimension: 2
                          shared_embedding: "t" } }
  feature { name: "hash" categorical { hash_buckets: 5 one_hot {} } }
  feature { name: "word" categorical { vocabulary: ["a", "b"] capacity: 4
            embedding_dimension: 2 initializer { constant: 0.5 } } }
  feature { name: "counted" column: "word"
            categorical { counted_vocabulary { capacity: 5 min_count: 2 }
                          embedding_dimension: 2 } }
  feature { name: "interval" column: "scaled"
            categorical { boundary: [-1, 0, 1] one_hot {} } }
  feature { name: "quantile" column: "scaled"
            categorical { quantile_buckets: 4 embedding_dimension: 2 } }
  feature { name: "only" column: "word"
            categorical { vocabulary: ["b", "c"] } use: CROSS_ONLY }
  feature { name: "cross" cross { feature: ["only", "hash", "interval"]
            hash_buckets: 50 embedding_dimension: 2 } use: WIDE_AND_DEEP }
  feature { name: "wide_cross" use: WIDE
            cross { feature: ["bucket", "counted"] hash_buckets: 9 } }
  feature { name: "set" categorical { vocabulary: ["1", "2", "3"] %(mean)s }
            use: WIDE_AND_DEEP }
  feature { name: "largest" column: "set"
            categorical { hash_buckets: 7 %(max)s } }
  feature { name: "weighted" column: "set" use: WIDE_AND_DEEP
            categorical { num_buckets: 6 %(weighted)s } }
  feature { name: "hot" column: "set"
            categorical { boundary: [2, 4] multi_hot {}
                          values { max_values: 2 } } }
  feature { name: "lstm" column: "past"
            categorical { counted_vocabulary { capacity: 4 } %(lstm)s } }
  feature { name: "gru" column: "past"
            categorical { quantile_buckets: 3 one_hot {}
                          values { max_values: 2 gru { units: 2 } } } }
  feature { name: "photo" image { height: 4 width: 3 channels: 2 }
            encoder { layer { conv2d { filters: 2 kernel_size: 2 } }
                      layer { global_max_pooling {} } } }
}
model {
  hard_sharing { trunk { layer { dense { units: 6 activation: RELU } } } }
  task { name: "yes" binary {} }
  task { name: "size" regression {} tower { layer { dense { units: 3 } } } }
}
training {
  num_steps: 2
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.3 } } }
  log_every_steps: 1
  summaries { enabled: false }
}
serving {}
""" % {"mean": _SET % "", "max": _SET % "combiner: MAX",
       "weighted": _SET % "weight_column: 'w' combiner: SQRTN",
       "lstm": _SET % "lstm { units: 2 }"}


def _lists(rows):
  """Returns rows of any lengths as one column."""
  column = np.empty(len(rows), object)
  column[:] = rows
  return column


def _columns(seed, rows, strange=False, longest=5):
  """Makes columns; `strange` ones hold what training rows did not."""
  random = np.random.default_rng(seed)

  def some(values):
    missing = random.random(rows) < 0.2
    return np.where(missing, np.nan if values.dtype.kind == "f" else "", values)

  sets = [random.integers(0, 9 if strange else 5, random.integers(
      0, longest + 1)) for _ in range(rows)]
  words = list("abcdé") + (["", "new", "ä"] if strange else [])
  scale = 30 if strange else 1
  return {
      "plain": some(scale * random.normal(size=rows)),
      "scaled": some(scale * random.normal(size=rows)),
      "amount": some(scale * random.random(rows)),
      "pair": scale * random.normal(size=[rows, 2]),
      "bucket": np.where(random.random(rows) < 0.2, np.nan, random.integers(
          0, 9 if strange else 4, rows)),
      "hash": random.choice(["", "JFK", "LGA", "Zürich"], rows),
      "word": random.choice(words, rows),
      "set": _lists(sets),
      "w": _lists([random.random(len(s)) for s in sets]),
      "past": _lists([random.integers(0, 9, random.integers(0, longest + 1))
                      .astype(float) for _ in range(rows)]),
      "photo": random.integers(0, 256, [rows, 4, 3, 2]),
      "yes": np.arange(rows) % 2, "size": random.normal(size=rows)}


def _request(experiment, columns, extra):
  """Fills values up as a client would, to the longest of a request."""
  request = {}
  for feature in experiment.data.feature:
    if feature.WhichOneof("kind") == "cross":
      continue
    categorical = feature.categorical
    inputs = {feature.name: columns[feature.column or feature.name]}
    if categorical.values.weight_column:
      inputs[f"{feature.name}/weights"] = columns["w"]
    for name, values in inputs.items():
      texts = (feature.WhichOneof("kind") == "categorical" and not (
          categorical.num_buckets or categorical.boundary
          or categorical.quantile_buckets) and not name.endswith("weights"))
      filler, dtype = ("", object) if texts else (np.nan, np.float32)
      if values.dtype == object:
        width = max(map(len, values)) + extra
        filled = np.full([len(values), width], filler, dtype)
        for i, row in enumerate(values):
          filled[i, :len(row)] = ([f"{v:g}" for v in row] if texts else row)
        values = filled
      if categorical.num_buckets and not name.endswith("weights"):
        values = np.where(np.isnan(values.astype(float)), -1, values).astype(
            np.int64)
      request[name] = values
  return request


def _examples(columns):
  """Serializes the rows of columns as a client would; missing is left out."""
  serialized = []
  for i in range(len(columns["plain"])):
    example = tf.train.Example()
    feature = example.features.feature
    for name in ("plain", "scaled", "amount"):
      if not np.isnan(columns[name][i]):
        feature[name].float_list.value.append(columns[name][i])
    for name in ("pair", "photo", "w"):
      feature[name].float_list.value.extend(np.ravel(columns[name][i]))
    if not np.isnan(columns["bucket"][i]):
      feature["bucket"].int64_list.value.append(int(columns["bucket"][i]))
    for name in ("hash", "word"):
      if columns[name][i]:
        feature[name].bytes_list.value.append(columns[name][i].encode())
    # Read as text by some features and as numbers by others.
    for name in ("set", "past"):
      feature[name].bytes_list.value.extend(
          [f"{value:g}".encode() for value in columns[name][i]])
    serialized.append(example.SerializeToString())
  return serialized


class EveryFeatureTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._model_dir = os.path.join(folder, "run")
    cls._train = _columns(1, 30)
    cls._lines = []
    cls._result = mtl_graph.train(
        _TEXT, {"train": cls._train, "validation": cls._train},
        cls._model_dir, log=cls._lines.append)
    cls._experiment = config.load(
        os.path.join(cls._model_dir, "experiment.pbtxt"))
    cls._run = saved_run.open_run(cls._experiment, cls._model_dir)
    cls.enterClassContext(cls._run.session)
    cls._predictor = cls.enterClassContext(
        mtl_graph.load(cls._result.export_path))

  def _evaluated(self, columns):
    """Returns what evaluation predicts, by output of the export."""
    split = splits.read(self._experiment, "test", columns)
    found = self._run.evaluator.predict(self._run.evaluator.transform(split))
    return {f"{task}/{key}": values for task, keyed in found.items()
            for key, values in keyed.items()}

  def _assert_equal(self, found, expected):
    self.assertCountEqual(found, expected)
    for name in expected:
      self.assertAllClose(found[name], expected[name], rtol=1e-5, atol=1e-5)

  def test_every_kind_is_there(self):
    kinds = {f.WhichOneof("kind") for f in self._experiment.data.feature}
    self.assertCountEqual(kinds, [
        f.name for f in features_pb2.Feature.DESCRIPTOR.oneofs_by_name[
            "kind"].fields])
    self.assertCountEqual({f.use for f in self._experiment.data.feature},
                          features_pb2.Feature.Use.values())

  def test_predictions_depend_on_every_column(self):
    before = self._evaluated(self._train)["yes/logit"]
    other = _columns(9, 30)
    names = [[name] for name in self._train if name not in (
        "yes", "size", "w", "set")] + [["w", "set"]]
    for together in names:
      changed = {**self._train, **{name: other[name] for name in together}}
      self.assertNotAllClose(self._evaluated(changed)["yes/logit"], before,
                             msg=together)

  def test_export_predicts_from_columns_as_evaluation_does(self):
    for columns in (self._train, _columns(2, 50), _columns(3, 50, True, 9),
                    _columns(4, 7, True, 1)):
      self._assert_equal(self._predictor.predict(columns),
                         self._evaluated(columns))

  def test_export_predicts_from_requests_of_any_width(self):
    for seed, longest in ((5, 1), (6, 3), (7, 9)):
      columns = _columns(seed, 40, True, longest)
      expected = self._evaluated(columns)
      for extra in (0, 1, 4):
        self._assert_equal(self._predictor.run(
            _request(self._experiment, columns, extra)), expected)

  def test_export_predicts_from_examples_as_evaluation_does(self):
    with tf.Graph().as_default(), tf.Session() as session:
      signature = tf.saved_model.load(
          session, ["serve"], self._result.export_path).signature_def[
              "predict_examples"]
      for columns in (self._train, _columns(2, 50), _columns(3, 50, True, 9),
                      _columns(4, 7, True, 1)):
        self._assert_equal(session.run(
            {name: info.name for name, info in signature.outputs.items()},
            {signature.inputs["inputs"].name: _examples(columns)}),
                           self._evaluated(columns))

  def test_a_row_alone_is_predicted_as_among_others(self):
    columns = _columns(8, 12, True)
    whole = self._predictor.predict(columns)
    for i in range(12):
      self._assert_equal(
          self._predictor.predict({k: v[i:i + 1] for k, v in columns.items()}),
          {name: values[i:i + 1] for name, values in whole.items()})

  def test_categories_were_counted_in_the_training_rows(self):
    features = {f.name: f for f in self._experiment.data.feature}
    words = self._train["word"].tolist()
    self.assertEqual(
        list(features["counted"].categorical.vocabulary),
        sorted({w for w in words if words.count(w) > 1},
               key=lambda w: (-words.count(w), w))[:5])
    self.assertLen(features["lstm"].categorical.vocabulary, 4)

  def test_training_computes_the_losses_that_evaluation_does(self):
    """At rate 0 each step sees the network that is evaluated."""
    folder = self.enter_context(tempfile.TemporaryDirectory())
    lines = []
    mtl_graph.train(
        _TEXT, {"train": self._train, "validation": self._train}, folder,
        ["training.default_optimizer.adam.learning_rate.constant=0",
         # Its batch's own mean and variance are no others' business.
         "data.feature[name=pair].encoder={}", "evaluation.every_steps=1",
         "training.num_steps=1"], log=lines.append)
    line, = [l for l in lines if l.startswith("step 1/1")]
    trained = dict(re.findall(r"(yes|size) ([\d.]+)", line.split("|")[1]))
    evaluated = dict(re.findall(r"(yes|size) ([\d.]+)", line.split("|")[2]))
    self.assertLen(trained, 2)
    self.assertEqual(trained, evaluated)


if __name__ == "__main__":
  absltest.main()
