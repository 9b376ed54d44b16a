"""Tests of the files that paths stand for, here and on other file systems."""

import contextlib
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import paths
from mtl_graph.data import table as table_lib


class PathsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._local = self.enter_context(tempfile.TemporaryDirectory())
    # What lies in memory outlives the test.
    self._remote = f"ram:/{self._local}"

  def _touch(self, root, *names):
    for name in names:
      with tf.io.gfile.GFile(f"{root}/{name}", "wb") as file:
        file.write(name.encode())

  def _expand(self, root, *names):
    found = paths.expand([f"{root}/{name}" for name in names], "data.train")
    return [path.removeprefix(f"{root}/") for path in found]

  def _roots(self):
    return {"local": self._local, "remote": self._remote}

  @parameterized.parameters("local", "remote")
  def test_globs_are_sorted_and_paths_keep_their_order(self, where):
    root = self._roots()[where]
    self._touch(root, "p2", "p10", "p1", "z")
    self.assertEqual(self._expand(root, "z", "p*"), ["z", "p1", "p10", "p2"])

  @parameterized.parameters("local", "remote")
  def test_shards_are_in_order(self, where):
    root = self._roots()[where]
    names = [f"rows-{i:05d}-of-00012" for i in range(12)]
    self._touch(root, *reversed(names))
    self._touch(root, "rows-00000-of-00002")
    self.assertEqual(self._expand(root, "rows@12"), names)

  @parameterized.parameters("local", "remote")
  def test_a_missing_shard_is_named(self, where):
    root = self._roots()[where]
    self._touch(root, "rows-00000-of-00003", "rows-00002-of-00003")
    with self.assertRaisesRegex(
        table_lib.DataError, "^data.train: no file '.*/rows-00001-of-00003', of"
        " which '.*/rows@3' has 3; allowed: all"):
      self._expand(root, "rows@3")

  @parameterized.product(where=("local", "remote"),
                         name=("a[1]", "a*", "rows@2", "a?.csv"))
  def test_a_file_that_is_there_is_meant_itself(self, where, name):
    root = self._roots()[where]
    self._touch(root, name, "a1", "abc", "ab.csv", "rows-00000-of-00002",
                "rows-00001-of-00002")
    self.assertEqual(self._expand(root, name), [name])

  @parameterized.parameters("local", "remote")
  def test_no_file_is_refused_by_its_pattern(self, where):
    with self.assertRaisesRegex(table_lib.DataError, "^data.train: no file "
                                r"matches '.*/gone\*'; allowed: an existing"):
      self._expand(self._roots()[where], "gone*")

  def test_each_file_once(self):
    self._touch(self._local, "a1", "a2")
    with self.assertRaisesRegex(table_lib.DataError, "/a2: is meant by more "
                                "than one path of data.train; allowed: each"):
      self._expand(self._local, "a*", "a2")

  def test_a_file_system_that_is_not_known(self):
    with self.assertRaisesRegex(
        table_lib.DataError, r"^moon://a/\*: cannot be looked for: .*'moon' not"
        r".* \(data.train\); allowed: "):
      paths.expand(["moon://a/*"], "data.train")


class OpenTest(parameterized.TestCase):

  @parameterized.parameters("", "file://", "ram:/")
  def test_reads_forwards_and_anywhere(self, system):
    content = np.random.RandomState(0).bytes(3_000_000)
    with tempfile.TemporaryDirectory() as folder:
      path = f"{system}{folder}/bytes"
      with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)
      with paths.open_binary(path) as file:
        self.assertEqual(file.read(3), content[:3])
        self.assertEqual(file.tell(), 3)
        self.assertEqual(file.read(), content[3:])
        self.assertEqual(file.seek(-5, os.SEEK_END), len(content) - 5)
        self.assertEqual(file.read(9), content[-5:])
        self.assertEqual(file.seek(100), 100)
        self.assertEqual(file.read(10), content[100:110])

  @parameterized.parameters("ram://nothing/here", "/nothing/here")
  def test_what_is_not_there_is_an_os_error(self, path):
    with self.assertRaises(OSError), contextlib.ExitStack() as stack:
      stack.enter_context(paths.open_binary(path)).read()


if __name__ == "__main__":
  absltest.main()
