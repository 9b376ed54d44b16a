"""Tests of predicting the rows of files, in batches and shard by shard."""

import csv
import json
import os
import tempfile
import tracemalloc
from unittest import mock

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import sources
from mtl_graph.serving import file_prediction
from mtl_graph.serving import signature_calls
from tests.serving import three_methods

_EXPERIMENT = config.parse("""
    name: "weather"
    data {
      train { csv { path: "train.csv" } }
      feature { name: "x" numeric {} }
      feature { name: "hour" categorical { num_buckets: 24 } }
      feature { name: "city" column: "City" categorical { hash_buckets: 9 } }
      feature { name: "sizes" numeric { size: 2 separator: " "
                                        missing_value: 0 } }
    }
""")
_SIGNATURES = ("serving_default", "late", "delay", "after_lookups")


def _rows(count, seed=0):
  random = np.random.default_rng(seed)
  return {
      "x": random.normal(size=count).astype(np.float32),
      "hour": random.integers(0, 24, count),
      "city": random.choice(["oslo", "bern", "a, b", ""], count).astype(object),
      "sizes": random.integers(0, 9, (count, 2)).astype(np.float32)}


class FilePredictionTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._path = three_methods.write(os.path.join(folder, "1"))
    os.makedirs(os.path.join(cls._path, "assets.extra"))
    config.write(_EXPERIMENT, os.path.join(cls._path, "assets.extra",
                                           "experiment.pbtxt"))
    cls._calls = cls.enterClassContext(signature_calls.Calls(cls._path))

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._log = []

  def _file(self, name):
    return os.path.join(self._folder, name)

  def _csv(self, name, rows):
    with open(self._file(name), "w", encoding="utf-8", newline="") as file:
      writer = csv.writer(file)
      writer.writerow(["id", "x", "hour", "City", "sizes"])
      for i, row in enumerate(zip(*rows.values())):
        writer.writerow([i, *row[:3], " ".join(map(str, row[3]))])
    return self._file(name)

  def _predict(self, path, output, **asked):
    return file_prediction.predict(self._calls, _EXPERIMENT, path, output,
                                   file_prediction.Asked(**asked))

  def _shards(self, ending=".csv", **asked):
    return file_prediction.predict_shards(
        self._calls, _EXPERIMENT, self._path, self._file("in-*.csv"),
        self._file("out"), ending, file_prediction.Asked(**asked),
        self._log.append)

  def _read(self, path):
    with open(path, encoding="utf-8", newline="") as file:
      names, *rows = csv.reader(file)
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}

  def test_several_signatures_in_one_run_of_the_model(self):
    rows = _rows(25)
    path = self._csv("in.csv", rows)
    with mock.patch.object(self._calls, "_run", wraps=self._calls._run) as run:
      self.assertEqual(self._predict(path, self._file("out.csv"), batch_size=10,
                                     keys=("id",), signatures=_SIGNATURES), 25)
    # Three batches, for each of which the ids are looked up, too.
    self.assertEqual(run.call_count, 6)
    found = self._read(self._file("out.csv"))
    self.assertEqual(found["id"], [str(i) for i in range(25)])
    self.assertEqual(found["late:classes[1]"], ["1"] * 25)
    for name in ("late/probability", "late:scores[1]",
                 "after_lookups:late/probability"):
      np.testing.assert_allclose(np.float64(found[name]),
                                 three_methods.late(rows), rtol=1e-5)
    for name in ("delay/value", "delay:outputs"):
      np.testing.assert_allclose(np.float64(found[name]),
                                 three_methods.delay(rows), rtol=1e-5)

  def test_json_lines(self):
    rows = _rows(5)
    self._predict(self._csv("in.csv", rows), self._file("out.jsonl"),
                  batch_size=2, signatures=("late",))
    with open(self._file("out.jsonl"), encoding="utf-8") as file:
      found = [json.loads(line) for line in file]
    self.assertEqual(found[0]["late:classes"], ["0", "1"])
    np.testing.assert_allclose([row["late:scores"][1] for row in found],
                               three_methods.late(rows), rtol=1e-5)

  def test_tfrecord_files(self):
    rows = _rows(9)
    with tf.io.TFRecordWriter(self._file("in.tfrecord")) as writer:
      for x, hour, city, sizes in zip(*rows.values()):
        example = tf.train.Example()
        features = example.features.feature
        features["x"].float_list.value.append(x)
        features["hour"].int64_list.value.append(hour)
        features["City"].bytes_list.value.append(city.encode())
        features["sizes"].float_list.value.extend(sizes)
        writer.write(example.SerializeToString())
    self.assertEqual(self._predict(self._file("in.tfrecord"),
                                   self._file("out.csv"), batch_size=4), 9)
    np.testing.assert_allclose(
        np.float64(self._read(self._file("out.csv"))["delay/value"]),
        three_methods.delay(rows), rtol=1e-5)

  def test_memory_does_not_grow_with_the_rows(self):
    peaks = []
    for count in (1000, 1000, 10000):  # The first run fills caches.
      path = self._csv("in.csv", _rows(count))
      tracemalloc.start()
      self._predict(path, self._file("out.csv"), batch_size=250)
      peaks.append(tracemalloc.get_traced_memory()[1])
      tracemalloc.stop()
    self.assertLess(peaks[2], 1.3 * peaks[1])

  def test_a_bad_row_late_in_the_file_leaves_no_output(self):
    rows = _rows(20)
    rows["hour"] = rows["hour"].astype(object)
    rows["hour"][17] = "noon"
    path = self._csv("in.csv", rows)
    with self.assertRaisesRegex(sources.DataError, "row 18, column 'hour'"):
      self._predict(path, self._file("out.csv"), batch_size=5)
    self.assertEqual(os.listdir(self._folder), ["in.csv"])

  def test_no_such_signature(self):
    path = self._csv("in.csv", _rows(2))
    with self.assertRaisesRegex(
        file_prediction.OutputError, "^--signatures: no signature 'lat'; "
        "allowed: serving_default, after_lookups, delay, late"):
      self._predict(path, self._file("out.csv"), signatures=("lat",))

  def test_goes_on_with_the_shards_that_are_missing(self):
    parts = [_rows(7, seed) for seed in range(3)]
    for i, rows in enumerate(parts):
      self._csv(f"in-{i}.csv", rows)
    self.assertEqual(self._shards(keys=("id",)), 21)
    first = self._read(self._file("out/in-0.csv"))
    os.remove(self._file("out/in-1.csv"))
    with open(self._file("out/in-2.csv.tmp"), "w", encoding="utf-8"):
      pass  # As of a run that was killed.
    before = os.stat(self._file("out/in-0.csv")).st_mtime_ns
    self._log.clear()
    self.assertEqual(self._shards(keys=("id",)), 7)
    self.assertEqual([line.partition(": ")[2] for line in self._log], [
        f"{self._file('out/in-0.csv')} is there",
        f"7 rows into {self._file('out/in-1.csv')}",
        f"{self._file('out/in-2.csv')} is there"])
    self.assertEqual(os.stat(self._file("out/in-0.csv")).st_mtime_ns, before)
    self.assertEqual(first, self._read(self._file("out/in-0.csv")))
    for i, rows in enumerate(parts):
      np.testing.assert_allclose(
          np.float64(self._read(self._file(f"out/in-{i}.csv"))["delay/value"]),
          three_methods.delay(rows), rtol=1e-5)

  def test_a_folder_of_other_predictions(self):
    self._csv("in-0.csv", _rows(3))
    self._shards()
    with self.assertRaisesRegex(
        file_prediction.OutputError, "^--output_dir: '.*' holds predictions "
        "with other signatures and keys; allowed: a folder of its own"):
      self._shards(signatures=("late",), keys=("id",))

  def test_files_of_one_name(self):
    for folder in ("in-a.csv", "in-b.csv"):
      os.makedirs(self._file(folder))
    self._csv("in-a.csv/x.csv", _rows(3))
    self._csv("in-b.csv/x.csv", _rows(3))
    with self.assertRaisesRegex(
        file_prediction.OutputError, "'.*b.csv/x.csv' and '.*a.csv/x.csv' would"
        " both be predicted into '.*x.csv'; allowed: files with names of"):
      file_prediction.predict_shards(
          self._calls, _EXPERIMENT, self._path, self._file("in-*/x.csv"),
          self._file("out"), ".csv", file_prediction.Asked())


if __name__ == "__main__":
  absltest.main()
