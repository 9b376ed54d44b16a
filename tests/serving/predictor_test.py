"""Tests of running an export over arrays and files."""

import contextlib
import csv
import gzip
import io
import json
import os
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph.data import sources
from mtl_graph.serving import file_prediction
from mtl_graph.serving import predictor
from mtl_graph.serving import saved_model
from mtl_graph.training import loop

_TEXT = """
name: "small" seed: 3
data {{
  train {{ csv {{ path: "{0}/train.csv" strip_spaces: true
                  missing_value: ["NA", "?"] }} }}
  batch_size: 8
  feature {{ name: "x" column: "Some X"
             numeric {{ normalization: LOG1P missing_value: 1 }} }}
  feature {{ name: "hour"
             categorical {{ num_buckets: 24 embedding_dimension: 2 }} }}
  feature {{ name: "city"
             categorical {{ vocabulary: ["oslo", "bern"]
                            embedding_dimension: 2 }} }}
}}
model {{
  hard_sharing {{ trunk {{ layer {{ dense {{ units: 4 }} }} }} }}
  task {{ name: "late" binary {{}} }}
  task {{ name: "delay" regression {{}} }}
  task {{ name: "kind" multiclass {{ num_classes: 2 }} }}
}}
training {{
  num_steps: 20
  joint {{ loss {{ sum {{}} }} }}
  default_optimizer {{ adam {{ learning_rate {{ constant: 0.05 }} }} }}
  summaries {{ enabled: false }}
}}
"""
_OUTPUTS = ["delay/value", "kind/class", "kind/logits", "kind/probabilities",
            "late/logit", "late/probability"]
_CSV_OUTPUTS = ["delay/value", "kind/class", "kind/logits[0]", "kind/logits[1]",
                "kind/probabilities[0]", "kind/probabilities[1]", "late/logit",
                "late/probability"]
_ARRAYS = {
    "Some X": [0.5, None, 3, 0], "hour": [0, 23, None, 99],
    "city": ["oslo", "", "rome", None],
}
_ROWS = ("id,Some X,hour,city\n7, 0.5,0,oslo\n\"a,b\",,23,\n9,3, ,rome\n"
         "x\"y,0,99,\n")


class PredictorTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._trained = cls.enterClassContext(tempfile.TemporaryDirectory())
    random = np.random.default_rng(0)
    with open(os.path.join(cls._trained, "train.csv"), "w",
              encoding="utf-8") as file:
      file.write("Some X,hour,city,late,delay,kind\n")
      for x in random.exponential(3, 40):
        file.write(f"{x}, {random.integers(24)},{random.choice(['oslo', ''])},"
                   f"{int(x > 3)},{x},{random.integers(2)}\n")
    cls._experiment = config.parse(_TEXT.format(cls._trained))
    cls._checkpoint = loop.train(
        cls._experiment, os.path.join(cls._trained, "run"),
        log=lambda line: None).checkpoint
    cls._exports = os.path.join(cls._trained, "export")
    cls._version = saved_model.export(cls._experiment, cls._checkpoint,
                                      cls._exports)
    cls._loaded = cls.enterClassContext(predictor.load(cls._exports))
    cls._answers = cls._loaded.predict(_ARRAYS)

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _path(self, name, content=None):
    path = os.path.join(self._folder, name)
    if content is not None:
      with (gzip.open if name.endswith(".gz") else open)(path, "wb") as file:
        file.write(content.encode())
    return path


class PredictTest(PredictorTest):

  def test_columns_as_training_read_them(self):
    self.assertEqual(list(self._answers), _OUTPUTS)
    self.assertEqual({len(values) for values in self._answers.values()}, {4})
    self.assertTrue(all(np.isfinite(v).all() for v in self._answers.values()))

  def test_run_takes_raw_values_by_feature(self):
    found = self._loaded.run({
        "x": np.float32([0.5, np.nan, 3, 0]), "hour": np.array([0, 23, -1, 99]),
        "city": np.array(["oslo", "", "rome", ""], object)})
    for name, values in self._answers.items():
      np.testing.assert_array_equal(found[name], values)

  def test_columns_no_feature_reads_are_left_alone(self):
    found = self._loaded.predict({
        **_ARRAYS, "late": ["?"] * 4, "other": [1], "ragged": [[1], [1, 2]]})
    np.testing.assert_array_equal(found["delay/value"],
                                  self._answers["delay/value"])

  @parameterized.parameters(1, 2, 3)
  def test_batches_change_nothing(self, batch_size):
    with mock.patch.object(predictor, "_BATCH_SIZE", batch_size):
      found = self._loaded.predict(_ARRAYS)
    for name, values in self._answers.items():
      np.testing.assert_allclose(found[name], values, rtol=1e-5)

  def test_one_row(self):
    found = self._loaded.predict({name: values[:1]
                                  for name, values in _ARRAYS.items()})
    np.testing.assert_allclose(found["kind/logits"],
                               self._answers["kind/logits"][:1], rtol=1e-5)

  def test_no_rows(self):
    found = self._loaded.run({"x": np.zeros(0, np.float32),
                              "hour": np.zeros(0, np.int64),
                              "city": np.zeros(0, object)})
    self.assertEqual({name: values.shape for name, values in found.items()}, {
        **{name: (0,) for name in _OUTPUTS},
        "kind/logits": (0, 2), "kind/probabilities": (0, 2)})

  @parameterized.named_parameters(
      ("missing", {"hour": [1], "city": ["a"]}, "no column 'Some X'"),
      ("bad", {"Some X": ["?"], "hour": [1], "city": ["a"]},
       r"^arrays, row 1, column 'Some X': found '\?'"),
      ("lengths", {"Some X": [1, 2], "hour": [1], "city": ["a"]}, "2 rows"))
  def test_refused(self, arrays, message):
    with self.assertRaisesRegex(sources.DataError, message):
      self._loaded.predict(arrays)


class FilesTest(PredictorTest):

  def _read(self, path):
    with open(path, encoding="utf-8", newline="") as file:
      return list(csv.reader(file))

  def _check(self, rows, start=0):
    """Compares the rows of a CSV file, from a column on, with the answers."""
    columns = np.array([row[start:] for row in rows[1:]], float)
    expected = np.concatenate([self._answers[name].reshape(4, -1)
                               for name in _OUTPUTS], 1)
    np.testing.assert_allclose(columns, expected, rtol=1e-6)

  @parameterized.parameters("in.csv", "in.csv.gz")
  def test_csv(self, name):
    path, output = self._path(name, _ROWS), self._path("out.csv")
    self.assertEqual(self._loaded.predict_csv(path, output), 4)
    rows = self._read(output)
    self.assertEqual(rows[0], _CSV_OUTPUTS)
    self._check(rows)
    self.assertCountEqual(os.listdir(self._folder), [name, "out.csv"])

  def test_keys_stand_in_front(self):
    path, output = self._path("in.csv", _ROWS), self._path("out.csv")
    # A key may be a column that a feature reads too.
    self._loaded.predict_csv(path, output, ["id", "city"])
    rows = self._read(output)
    self.assertEqual(rows[0], ["id", "city"] + _CSV_OUTPUTS)
    self.assertEqual([row[:2] for row in rows[1:]], [
        ["7", "oslo"], ["a,b", ""], ["9", "rome"], ['x"y', ""]])
    self._check(rows, 2)

  def test_json_lines(self):
    path, output = self._path("in.csv", _ROWS), self._path("out.jsonl")
    self.assertEqual(self._loaded.predict_csv(path, output, ["id"]), 4)
    with open(output, encoding="utf-8") as file:
      rows = [json.loads(line) for line in file]
    self.assertEqual([row.pop("id") for row in rows], ["7", "a,b", "9", 'x"y'])
    self.assertEqual(list(rows[0]), _OUTPUTS)
    for name in _OUTPUTS:
      np.testing.assert_allclose([row[name] for row in rows],
                                 self._answers[name], rtol=1e-6)
    self.assertIsInstance(rows[0]["kind/class"], int)
    self.assertLen(rows[0]["kind/logits"], 2)

  def test_standard_output(self):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      self._loaded.predict_csv(self._path("in.csv", _ROWS), "-", ["id"])
    rows = list(csv.reader(io.StringIO(printed.getvalue())))
    self.assertEqual(rows[0], ["id"] + _CSV_OUTPUTS)
    self._check(rows, 1)

  def test_globs(self):
    header, *rows = _ROWS.splitlines(keepends=True)
    self._path("p1.csv", header + "".join(rows[:1]))
    self._path("p2.csv", header + "".join(rows[1:]))
    output = self._path("out.csv")
    self._loaded.predict_csv(self._path("p*.csv"), output)
    self._check(self._read(output))

  def test_what_stands_for_a_missing_value(self):
    path = self._path("in.csv", _ROWS.replace(",,23,", ",NA,23,?").replace(
        "9,3, ,rome", "9,3, NA ,rome"))
    output = self._path("out.csv")
    self._loaded.predict_csv(path, output)
    self._check(self._read(output))

  def test_of_sources_the_first_of_text_says_what_is_missing(self):
    with predictor.load(self._version) as loaded:
      data = loaded.experiment.data
      data.source.add().train.npz.path.append("train.npz")
      data.source.add().train.CopyFrom(data.train)
      data.source.add().train.csv.missing_value.append("none")
      data.ClearField("train")
      output = self._path("out.csv")
      loaded.predict_csv(self._path("in.csv", _ROWS.replace(
          ",,23,", ",NA,23,?").replace("9,3, ,rome", "9,3, NA ,rome")), output)
      self._check(self._read(output))
      del data.source[1:]
      loaded.predict_csv(self._path("in.csv", _ROWS.replace(", ", ",").replace(
          " ,", ",")), output)
      self._check(self._read(output))

  @parameterized.named_parameters(
      ("no_column", "hour,city\n1,a\n", r"in.csv: no column 'Some X' "
       r"\(--input\)"),
      ("bad", "Some X,hour,city\n1,2,a\n1,x,a\n",
       "in.csv, row 2, column 'hour'"),
      ("no_key", "Some X,hour,city\n1,2,a\n", r"in.csv: no column 'id'"))
  def test_bad_input_leaves_no_output(self, content, message):
    path, output = self._path("in.csv", content), self._path("out.csv")
    with self.assertRaisesRegex(sources.DataError, message):
      self._loaded.predict_csv(path, output, ["id"] if "id" in message else [])
    self.assertEqual(os.listdir(self._folder), ["in.csv"])

  def test_no_input_is_refused_by_its_path(self):
    with self.assertRaisesRegex(sources.DataError, "gone.csv"):
      self._loaded.predict_csv(self._path("gone.csv"), self._path("out.csv"))

  def test_output_that_cannot_be_written(self):
    path = self._path("in.csv", _ROWS)
    output = os.path.join(self._folder, "no", "out.csv")
    with self.assertRaisesRegex(file_prediction.OutputError,
                                f"^{output}: cannot be written: No such file"):
      self._loaded.predict_csv(path, output)


class LoadTest(PredictorTest):

  def test_a_version_or_the_newest_of_a_folder(self):
    self.assertEqual(self._loaded.path, self._version)
    newer = saved_model.export(self._experiment, self._checkpoint,
                               self._exports)
    self.addCleanup(os.rename, newer, os.path.join(self._folder, "gone"))
    os.mkdir(os.path.join(self._exports, "99999999999"))  # No export in it.
    self.addCleanup(os.rmdir, os.path.join(self._exports, "99999999999"))
    with predictor.load(self._exports) as newest:
      self.assertEqual(newest.path, newer)
    with predictor.load(self._version) as older:
      self.assertEqual(older.path, self._version)
      self.assertEqual(older.inputs, ["city", "hour", "x"])
      self.assertEqual(older.outputs, _OUTPUTS)
      self.assertEqual(older.experiment, self._experiment)

  @parameterized.named_parameters(
      ("empty", []), ("not_a_number", ["v1"]), ("empty_version", ["12"]))
  def test_no_export(self, folders):
    for name in folders:
      os.mkdir(os.path.join(self._folder, name))
    with self.assertRaisesRegex(
        predictor.PredictError, f"^{self._folder}: found no export; allowed: a "
        "folder with saved_model.pb, or one of numbered versions"):
      predictor.load(self._folder)

  def test_no_folder(self):
    with self.assertRaisesRegex(predictor.PredictError,
                                "gone: found no export"):
      predictor.load(self._path("gone"))

  @parameterized.parameters(
      "saved_model.pb", "variables/variables.index",
      "variables/variables.data-00000-of-00001",
      "assets.extra/experiment.pbtxt")
  def test_a_damaged_export_is_one_line(self, name):
    broken = saved_model.export(self._experiment, self._checkpoint,
                                self._folder)
    with open(os.path.join(broken, name), "wb") as file:
      file.write(b"}{")
    with self.assertRaisesRegex(predictor.PredictError,
                                f"^{broken}: cannot be loaded: ") as caught:
      predictor.load(broken)
    message = str(caught.exception)
    self.assertNotIn("\n", message)
    self.assertNotRegex(message, "cannot be loaded: (Graph execution error:)?$")

  def test_closes(self):
    with predictor.load(self._version) as loaded:
      loaded.predict(_ARRAYS)
    with self.assertRaises(RuntimeError):
      loaded.predict(_ARRAYS)


if __name__ == "__main__":
  absltest.main()
