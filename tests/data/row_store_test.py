"""Tests that rows parsed in pieces are those that are parsed at once."""

import contextlib
import csv
import gzip
import os
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import vocabularies
from mtl_graph.data import row_store
from mtl_graph.data import splits
from mtl_graph.data import statistics
from mtl_graph.protos import experiment_pb2
from mtl_graph.evaluation import examples

_KINDS = ("csv", "npz", "tfrecord", "parquet")
_REST = """
data {
  feature { name: "x" numeric { normalization: Z_SCORE missing_value: 0 } }
  feature { name: "low" column: "x"
            numeric { normalization: MIN_MAX missing_value: 0 } }
  feature { name: "cut" column: "x" categorical { quantile_buckets: 4 } }
  feature { name: "n" categorical { num_buckets: 50 } }
  feature { name: "word" categorical {
    counted_vocabulary { capacity: 6 min_count: 2 } } }
  feature { name: "tags" categorical { hash_buckets: 9
            values { max_values: 2 } } }
  drop_rows { column: "n" greater_than: 47 }
}
model {
  task { name: "y" regression {} label { column: "x" } }
  task { name: "yes" binary {} label {
    column: "word" positive_value: "w3" only_when { column {
      column: "n" less_than: 40 } } } }
}
evaluation { slice { column: "word" } }
"""
_ROWS = 100


def _experiment(text):
  """Returns the experiment of a text that says where rows come from."""
  experiment = text_format.Parse(_REST, experiment_pb2.Experiment())
  experiment.MergeFrom(text_format.Parse(text, experiment_pb2.Experiment()))
  return experiment


def _columns(seed=0, rows=_ROWS):
  random = np.random.default_rng(seed)
  x = random.normal(size=rows).astype(np.float32)
  x[::9] = np.nan
  words = np.array([f"w{i}" for i in random.integers(0, 9, rows)], object)
  words[::11] = ""
  tags = ["|".join(map(str, range(i % 4))) for i in range(rows)]
  return {"x": x, "n": random.integers(0, 50, rows), "word": words,
          "tags": np.array(tags, object)}


def _text(value):
  return "" if isinstance(value, float) and np.isnan(value) else str(value)


def write(kind, path, columns):
  """Writes columns to a file of some kind."""
  names = list(columns)
  rows = list(zip(*[values.tolist() for values in columns.values()]))
  if kind == "csv":
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "wt", newline="", encoding="utf-8") as file:
      csv.writer(file).writerows([names, *[map(_text, row) for row in rows]])
  elif kind == "npz":
    np.savez_compressed(path, **{
        name: values.astype(str) if values.dtype == object else values
        for name, values in columns.items()})
  elif kind == "parquet":
    import pyarrow
    from pyarrow import parquet
    parquet.write_table(pyarrow.table(
        {name: pyarrow.array(values.tolist(), from_pandas=True)
         for name, values in columns.items()}), path)
  else:
    with tf.io.TFRecordWriter(path) as writer:
      for row in rows:
        example = tf.train.Example()
        for name, value in zip(names, row):
          feature = example.features.feature[name]
          if isinstance(value, int):
            feature.int64_list.value.append(value)
          elif isinstance(value, str) and value:
            feature.bytes_list.value.append(value.encode())
          elif isinstance(value, float) and not np.isnan(value):
            feature.float_list.value.append(value)
        writer.write(example.SerializeToString())


class _InFolder(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(contextlib.chdir(
        self.enter_context(tempfile.TemporaryDirectory())))
    self.enter_context(mock.patch.object(row_store.slices, "ROWS", 7))


class RowStoreTest(_InFolder):

  def _write(self, text, parse_examples=None):
    experiment = _experiment(text)
    row_store.write(experiment, "store", parse_examples)
    return experiment, row_store.read("store")

  def check_equal(self, text, parse_examples=None):
    experiment, found = self._write(text, parse_examples)
    expected = splits.read_all(experiment)
    self.assertCountEqual(found.splits, expected)
    content = row_store.content_of("store")["splits"]
    for name, split in expected.items():
      raw = row_store.raw("store", content[name])
      self.assertCountEqual(raw, split.raw)
      for column, values in split.raw.items():
        self.assertEqual(raw[column][:].dtype, values.dtype)
        np.testing.assert_array_equal(raw[column][:], values)
      for array, values in zip(found.splits[name].labels, split.labels):
        np.testing.assert_array_equal(array, values)
      self.assertCountEqual(found.splits[name].groups, split.groups)
      for column, values in split.groups.items():
        np.testing.assert_array_equal(found.splits[name].groups[column], values)
      self.assertEqual(found.splits[name].dropped, split.dropped)
      self.assertEqual(found.splits[name].sources, split.sources)
    features, train = experiment.data.feature, expected["train"].raw
    for name, values in statistics.measure(features, train).items():
      for key, array in values.items():
        np.testing.assert_array_equal(found.statistics[name][key], array)
    counted = features[4].categorical
    vocabularies.count(counted, train["word"])
    self.assertEqual(found.frequent, {"word": list(counted.vocabulary)})
    return found

  @parameterized.parameters(*_KINDS)
  def test_several_files_and_splits(self, kind):
    for i in range(3):
      write(kind, f"train-{i}.{kind}", _columns(i, 30 + i))
    write(kind, f"other.{kind}", _columns(5))
    found = self.check_equal(f"""
        data {{ train {{ {kind} {{ path: "train-*.{kind}" }} }}
                test {{ {kind} {{ path: "other.{kind}" }} }} }}""")
    self.assertLess(len(found.splits["test"].labels.values), _ROWS)
    self.assertEqual(found.splits["test"].labels.weights.dtype, np.uint8)

  @parameterized.parameters(*_KINDS)
  def test_splits_of_one_file(self, kind):
    write(kind, f"rows.{kind}", _columns())
    self.check_equal("data {" + " ".join(
        f'{split} {{ {kind} {{ path: "rows.{kind}" }} part {{ row_hash {{}} '
        f'from: 0.5 outside: {outside} }} }}' for split, outside in
        (("train", "false"), ("validation", "true"))) + "}")

  def test_sources(self):
    write("csv", "a.csv.gz", _columns(1))
    write("npz", "b.npz", _columns(2))
    found = self.check_equal("""data {
      source { name: "a" task: "y"
               train { csv { path: "a.csv.gz" }
                       part { column: "word" value: ["w1", "w2"] } }
               validation { csv { path: "a.csv.gz" } } }
      source { name: "b" train { npz { path: "b.npz" } weight_column: "n" } }
      source { name: "c" task: "y"
               train { csv { path: "a.csv.gz" }
                       part { column: "word" value: ["w3"] } } } }""")
    self.assertEqual(found.splits["train"].labels.weights.dtype, np.float32)

  def test_examples_parsed_many_at_once(self):
    write("tfrecord", "rows", _columns())
    parser = mock.Mock(side_effect=examples.Parser())
    self.check_equal('data { train { tfrecord { path: "rows" } } }',
                     parser)
    self.assertEqual(parser.call_count, 15)

  def test_quotes_and_blank_lines(self):
    columns = _columns()
    columns["note"] = np.array(
        ['a "b"\nc,d\r\n' * (i % 3) for i in range(_ROWS)], object)
    write("csv", "rows.csv", columns)
    with open("rows.csv", encoding="utf-8", newline="") as file:
      text = file.read()
    with open("rows.csv", "w", encoding="utf-8-sig", newline="") as file:
      file.write(text.replace(",w5", ',"w5"') + "\r\n\r\n")
    self.check_equal(
        'data { train { csv { path: "rows.csv" } part { row_hash {} to: 0.7 } }'
        '}')


class ErrorTest(_InFolder):
  """What is wrong is said in the words of whoever reads all rows at once."""

  def check_error(self, text, parse_examples=None):
    experiment = _experiment(text)
    with self.assertRaises(splits.sources.DataError) as expected:
      splits.read_all(experiment)
    with self.assertRaises(splits.sources.DataError) as found:
      row_store.write(experiment, tempfile.mkdtemp(dir=".") + "/store",
                      parse_examples)
    self.assertEqual(str(found.exception), str(expected.exception))
    return str(found.exception)

  @parameterized.product(kind=_KINDS, column=["x", "n"])
  def test_a_bad_value(self, kind, column):
    write(kind, f"a.{kind}", _columns(1))
    columns = _columns(2)
    columns[column] = columns[column].astype(np.float64)
    columns[column][50] = np.inf if column == "x" else 0.5
    if kind == "tfrecord":
      write(kind, f"a.{kind}", {**_columns(1), column: columns[column]})
    write(kind, f"b.{kind}", columns)
    self.assertIn(f"{'b' if kind != 'tfrecord' else 'a'}.{kind}, row 51, ",
                  self.check_error(
        f'data {{ train {{ {kind} {{ path: "?.{kind}" }} }} }}'))

  @parameterized.parameters(*_KINDS)
  def test_no_such_column(self, kind):
    columns = _columns()
    del columns["word"]
    columns["wort"] = columns["x"]
    write(kind, f"a.{kind}", columns)
    self.assertIn("nearest: 'wort'", self.check_error(
        f'data {{ train {{ {kind} {{ path: "a.{kind}" }} }} }}'))

  @parameterized.named_parameters(
      ("short", "1,2", "row 30: found 2 fields"),
      ("open_quote", '"1,2,3,4', "line 31"),
      ("bad_quote", '"1"2,2,3,4', "line 31"),
      ("no_text", "1,2,w\udcff,4", "line 31"),
      ("nul", "1,2,w\0,4", "row 30, column 'word'"),
      ("large", "1e99,2,w,4", "row 30, column 'x'"))
  def test_a_bad_line(self, line, where):
    write("csv", "a.csv", _columns(rows=29))
    with open("a.csv", "a", encoding="utf-8", errors="surrogateescape") as file:
      file.write(line + "\n1,2,w3,4\n")
    self.assertStartsWith(self.check_error(
        'data { train { csv { path: "a.csv" } } }'), f"a.csv, {where}")

  @parameterized.parameters(*_KINDS)
  def test_a_file_that_is_cut_off(self, kind):
    write(kind, f"a.{kind}", _columns())
    if kind == "csv":
      write(kind, "a.csv.gz", _columns())
      kind, path = "csv", "a.csv.gz"
    else:
      path = f"a.{kind}"
    with open(path, "r+b") as file:
      file.truncate(os.path.getsize(path) - 20)
    self.check_error(
        f'data {{ train {{ {kind} {{ path: "{path}" }} }} }}')

  @parameterized.named_parameters(
      ("no_rows", "", ""), ("no_row_left", "", "drop_rows { column: 'n' "
                            "missing: true negate: true }"),
      ("no_label", "task { name: 'b' regression {} label { only_when { column {"
       " column: 'word' one_of: 'w99' } } column: 'n' } }", ""),
      ("no_positive", "task { name: 'b' binary {} label { column: 'word' "
       "positive_value: 'W3' } }", ""))
  def test_what_only_all_rows_tell(self, task, drop):
    write("csv", "a.csv", _columns(rows=60 if task or drop else 0))
    self.check_error('data { train { csv { path: "a.csv" } } ' + drop + "}"
                     + f"model {{ {task} }}")

  def test_examples(self):
    write("tfrecord", "a", _columns())
    text = 'data { train { tfrecord { path: "a" } } }'
    records = list(tf.io.tf_record_iterator("a"))
    other = tf.train.Example()
    other.features.feature["x"].int64_list.value.append(1)
    for wrong, expected in (
        (b"nonsense", "record 41: found 8 bytes that are no tf.Example"),
        (other.SerializeToString(), "record 41: feature 'x' is a int64_list")):
      records[40] = wrong
      with tf.io.TFRecordWriter("a") as writer:
        for record in records:
          writer.write(record)
      self.assertIn(expected, self.check_error(text, examples.Parser()))


if __name__ == "__main__":
  absltest.main()
