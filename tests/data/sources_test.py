"""Tests of reading sources of every kind, wherever they lie."""

import gzip
import io
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import columns
from mtl_graph.data import sources
from mtl_graph.protos import data_pb2

try:
  import pyarrow
  from pyarrow import parquet
except ImportError:
  pyarrow = None

# What functions return is no file: python_rows_test.
_KINDS = [f.name for f in data_pb2.Source.DESCRIPTOR.oneofs_by_name["kind"]
          .fields if f.name != "python"]
_ENDINGS = {"csv": ".csv.gz", "tfrecord": ".tfrecord.gz"}


def _content(kind, numbers, folder):
  """Returns the bytes of a file with the columns `a` of numbers and `b`."""
  numbers, texts = list(numbers), [f"text {n}" for n in numbers]
  if kind == "csv":
    return gzip.compress("\n".join(
        ["a,b", *[f"{n},{t}" for n, t in zip(numbers, texts)]]).encode())
  file = io.BytesIO()
  if kind == "npz":
    np.savez(file, a=np.array(numbers, np.int64), b=np.array(texts, "U9"))
  elif kind == "parquet":
    parquet.write_table(pyarrow.table({
        "a": pyarrow.array(numbers, pyarrow.int64()),
        "b": pyarrow.array(texts, pyarrow.string())}), file)
  else:
    path = os.path.join(folder, "written")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
      for number, text in zip(numbers, texts):
        example = tf.train.Example()
        features = example.features.feature
        features["a"].int64_list.value.append(number)
        features["b"].bytes_list.value.append(text.encode())
        writer.write(example.SerializeToString())
    with open(path, "rb") as written:
      return written.read()
  return file.getvalue()


class SourcesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _write(self, kind, name, numbers, system=""):
    if kind == "parquet" and pyarrow is None:
      self.skipTest("pyarrow is not installed")
    path = f"{system}{self._folder}/{name}{_ENDINGS.get(kind, '')}"
    with tf.io.gfile.GFile(path, "wb") as file:
      file.write(_content(kind, numbers, self._folder))
    return path

  def _read(self, kind, paths, hash_rows=False):
    source = data_pb2.Source()
    getattr(source, kind).path.extend(paths)
    return sources.read(source, ["b", "a"], "data.train", hash_rows)

  @parameterized.product(kind=_KINDS, system=("", "file://", "ram:/"))
  def test_every_kind_from_everywhere(self, kind, system):
    paths = [self._write(kind, name, numbers, system)
             for name, numbers in (("p2", [3]), ("p1", [1, 2]), ("p3", []))]
    glob = f"{system}{self._folder}/p*"
    table = self._read(kind, [glob])
    self.assertEqual(list(table.columns), ["b", "a"])
    np.testing.assert_array_equal(columns.numbers(table, "a"), [1, 2, 3])
    self.assertEqual(columns.strings(table, "b").tolist(),
                     ["text 1", "text 2", "text 3"])
    self.assertEqual(table.files,
                     [(paths[1], 2), (paths[0], 1), (paths[2], 0)])
    self.assertIsNone(table.rows)
    self.assertIsNone(table.hashes)

  @parameterized.parameters(_KINDS)
  def test_shards(self, kind):
    for i in range(3):
      self._write(kind, f"rows-0000{i}-of-00003", [i])
    table = self._read(
        kind, [f"{self._folder}/rows@3{_ENDINGS.get(kind, '')}"])
    np.testing.assert_array_equal(columns.numbers(table, "a"), [0, 1, 2])

  @parameterized.parameters(_KINDS)
  def test_rows_are_hashed(self, kind):
    paths = [self._write(kind, "p1", [1, 2]), self._write(kind, "p2", [2, 3])]
    hashes = self._read(kind, paths, True).hashes
    self.assertEqual(hashes.dtype, np.uint64)
    self.assertEqual(hashes[1], hashes[2])
    self.assertLen(set(hashes.tolist()), 3)
    self.assertEqual(self._read(kind, paths[::-1], True).hashes.tolist(),
                     hashes[[2, 3, 0, 1]].tolist())

  @parameterized.parameters(_KINDS)
  def test_no_rows(self, kind):
    path = self._write(kind, "p", [])
    with self.assertRaisesRegex(sources.DataError, "/p[a-z.]*: found no rows; "
                                r"allowed: at least one \(data.train\)"):
      self._read(kind, [path])

  @parameterized.parameters(_KINDS)
  def test_no_column(self, kind):
    path = self._write(kind, "p", [1])
    source = data_pb2.Source()
    getattr(source, kind).path.append(path)
    with self.assertRaisesRegex(sources.DataError, "/p[a-z.]*: no column 'c' "
                                r"\(data.train\); allowed: a, b"):
      sources.read(source, ["a", "c"], "data.train")

  @parameterized.parameters(_KINDS)
  def test_no_file(self, kind):
    for path in ("gone*", "ram://gone/*"):
      with self.assertRaisesRegex(sources.DataError,
                                  "^data.train: no file matches '.*gone"):
        self._read(kind, [path])

  def test_arrays(self):
    table = sources.from_arrays({"a": [1, 2]}, ["a"], "arrays")
    self.assertEqual(sources.count(table), 2)
    self.assertEqual(sources.locate(table, 1), "arrays, row 2")


if __name__ == "__main__":
  absltest.main()
