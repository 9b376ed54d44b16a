"""Tests of reading TFRecord files."""

import gzip
import hashlib
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import lists
from mtl_graph.data import table as table_lib
from mtl_graph.data import tfrecord_files

_NAN = float("nan")


def _example(**columns):
  """Serializes an example; a value is None or a list of one type."""
  example = tf.train.Example()
  example.features.SetInParent()
  for name, values in columns.items():
    feature = example.features.feature[name]
    for value in values or ():
      if isinstance(value, int):
        feature.int64_list.value.append(value)
      elif isinstance(value, float):
        feature.float_list.value.append(value)
      else:
        feature.bytes_list.value.append(
            value if isinstance(value, bytes) else value.encode())
  return example.SerializeToString()


class TfRecordFilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _write(self, name, *records):
    path = os.path.join(self._folder, name)
    options = tf.io.TFRecordOptions("GZIP" if name.endswith(".gz") else "")
    with tf.io.TFRecordWriter(path, options) as writer:
      for record in records:
        writer.write(record)
    return path

  def _read(self, columns, *names, hash_rows=False):
    return tfrecord_files.read(
        [os.path.join(self._folder, name) for name in names], columns,
        "data.train", hash_rows)

  @parameterized.parameters("t.tfrecord", "t.tfrecord.gz")
  def test_one_value_each(self, name):
    path = self._write(
        name, _example(n=[5], x=[0.1], s=["ü"], other=[1]),
        _example(n=[-2 ** 63], x=[2.0], s=[""], other=[2]))
    table = self._read(["s", "n", "x"], name)
    self.assertEqual(list(table.columns), ["s", "n", "x"])
    self.assertEqual(table.columns["n"].dtype, np.int64)
    self.assertEqual(table.columns["n"].tolist(), [5, -2 ** 63])
    self.assertEqual(table.columns["x"].dtype, np.float32)
    self.assertEqual(table.columns["x"].tolist(), [np.float32(0.1), 2])
    self.assertEqual(table.columns["s"].tolist(), ["ü", ""])
    self.assertEqual(table.files, [(path, 2)])
    self.assertIsNone(table.hashes)

  def test_what_an_example_lacks_is_missing(self):
    self._write("t", _example(n=[5], x=[0.5]), _example(s=["a"], n=None),
                _example(n=[7], x=[], s=None))
    columns = self._read(["n", "x", "s"], "t").columns
    np.testing.assert_array_equal(columns["n"], [5.0, _NAN, 7])
    np.testing.assert_array_equal(columns["x"],
                                  np.array([0.5, _NAN, _NAN], np.float32))
    self.assertEqual(columns["s"].tolist(), ["", "a", ""])

  def test_large_numbers_keep_their_digits_beside_missing_ones(self):
    self._write("t", _example(n=[2 ** 62 + 1]), _example())
    self.assertEqual(self._read(["n"], "t").columns["n"].tolist(),
                     [str(2 ** 62 + 1), ""])

  def test_several_values_each(self):
    self._write("t", _example(n=[1, 2, 3], s=["a", "b"]),
                _example(n=[4, 5, 6], s=["c", ""]))
    columns = self._read(["n", "s"], "t").columns
    self.assertEqual(columns["n"].tolist(), [[1, 2, 3], [4, 5, 6]])
    self.assertEqual(columns["s"].tolist(), [["a", "b"], ["c", ""]])

  def test_rows_of_several_lengths(self):
    self._write("t1", _example(x=[1.0, 2.0], s=["a"]))
    self._write("t2", _example(x=[3.0]), _example(s=["b", "c"]))
    columns = self._read(["x", "s"], "t1", "t2").columns
    self.assertTrue(lists.is_ragged(columns["x"]))
    self.assertEqual([row.tolist() for row in columns["x"]], [[1, 2], [3], []])
    self.assertEqual([row.tolist() for row in columns["s"]],
                     [["a"], [], ["b", "c"]])

  def test_files_follow_one_another(self):
    self._write("t1", _example(n=[1]), _example(n=[2]))
    self._write("t2")
    self._write("t3.gz", _example(n=[3]), _example(other=[3]))
    table = self._read(["n"], "t1", "t2", "t3.gz")
    np.testing.assert_array_equal(table.columns["n"], [1, 2, 3, _NAN])
    self.assertEqual([length for _, length in table.files], [2, 0, 2])

  def test_an_empty_list_of_another_kind_is_nothing(self):
    empty = tf.train.Example()
    empty.features.feature["n"].bytes_list.SetInParent()
    self._write("t", empty.SerializeToString(), _example(n=[1]),
                empty.SerializeToString())
    np.testing.assert_array_equal(self._read(["n"], "t").columns["n"],
                                  [_NAN, 1, _NAN])

  def test_hashes_are_of_records(self):
    records = [_example(n=[1], s=["a"]), _example(n=[1], s=["b"])]
    self._write("t1", *records)
    self._write("t2", records[1])
    self.assertEqual(
        self._read(["n"], "t1", "t2", hash_rows=True).hashes.tolist(),
        [int.from_bytes(hashlib.blake2b(record, digest_size=8).digest(),
                        "little") for record in records + records[1:]])

  def test_no_records(self):
    self._write("t")
    self.assertEqual(table_lib.count(self._read(["n"], "t")), 0)

  @parameterized.named_parameters(
      ("no_column", ["m"], [_example(nn=[1]), _example(mm=[1])],
       r"t: no column 'm' \(data.train\); allowed: nn, mm; nearest: 'mm'"),
      ("other_kind", ["n"], [_example(n=[1]), _example(), _example(n=[1.0])],
       "t, record 3: feature 'n' is a float_list; allowed: int64_list, as in"),
      ("text_among_numbers", ["n"], [_example(n=[1]), _example(n=["x"])],
       "t, record 2: feature 'n' is a bytes_list; allowed: int64_list"),
      ("not_utf_8", ["s"], [_example(s=["a"]), _example(), _example(
          s=["b", b"\xff\xfe"])], "t, record 3: feature 's' holds bytes that "
       r"are not UTF-8: b'\\xff\\xfe'; allowed: UTF-8 text"),
      ("no_example", ["n"], [_example(n=[1]), b"no example at all"],
       "t, record 2: found 17 bytes that are no tf.Example; allowed: records"),
      ("another_message", ["n"], [_example(n=[1]), tf.train.FloatList(
          value=[1]).SerializeToString()], "t, record 2: found 6 bytes that"),
  )
  def test_refused(self, columns, records, message):
    self._write("t", *records)
    with self.assertRaisesRegex(table_lib.DataError, message) as caught:
      self._read(columns, "t")
    self.assertNotIn("\n", str(caught.exception))

  def test_the_file_with_the_bad_record_is_named(self):
    self._write("t1", _example(n=[1], s=["a"]))
    self._write("t2", _example(n=[2]), _example(n=[0.5], s=[b"\xff"]))
    with self.assertRaisesRegex(table_lib.DataError,
                                "/t2, record 2: feature 'n' is a float_list"):
      self._read(["n"], "t1", "t2")
    with self.assertRaisesRegex(table_lib.DataError,
                                "/t2, record 2: feature 's' holds bytes"):
      self._read(["s"], "t1", "t2")

  @parameterized.named_parameters(
      ("cut_off", "t", lambda data: data[:-3], "t, record 3: cannot be read: "),
      ("cut_in_length", "t", lambda data: data + b"abc",
       "t, record 4: cannot be read: "),
      ("bit_flipped", "t",
       lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
       "t, record 3: cannot be read: "),
      ("no_records", "t", lambda data: b"n,x\n1,2\n3,4\n5,6\n",
       "t, record 1: cannot be read: .*; allowed: records of serialized tf.Ex"),
      ("gzip_as_plain", "t", gzip.compress, "t, record 1: cannot be read: "),
      ("plain_as_gzip", "t.gz", gzip.decompress,
       "t.gz, record 1: cannot be read: .*gzip only if the file ends in .gz"),
      ("gzip_cut_off", "t.gz", lambda data: data[:-20],
       r"t.gz, record \d: cannot be read: "),
  )
  def test_damaged_files(self, name, damage, message):
    path = self._write(name, *[_example(n=[i]) for i in range(3)])
    with open(path, "rb") as file:
      content = file.read()
    with open(path, "wb") as file:
      file.write(damage(content))
    with self.assertRaisesRegex(table_lib.DataError, message) as caught:
      self._read(["n"], name)
    self.assertNotIn("\n", str(caught.exception))

  @parameterized.parameters("t", "t.gz")
  def test_no_file_that_is_cut_off_is_read(self, name):
    path = self._write(name, *[_example(n=[i]) for i in range(3)])
    with open(path, "rb") as file:
      content = file.read()
    for size in range(1, len(content)):
      if name == "t" and size % (len(content) // 3) == 0:
        continue  # Between two records; nothing tells that there were more.
      with open(path, "wb") as file:
        file.write(content[:size])
      with self.assertRaises(table_lib.DataError):
        self._read(["n"], name)

  def test_a_folder_is_refused(self):
    os.mkdir(os.path.join(self._folder, "t"))
    with self.assertRaisesRegex(table_lib.DataError, "t, record 1: cannot be"):
      self._read(["n"], "t")


if __name__ == "__main__":
  absltest.main()
