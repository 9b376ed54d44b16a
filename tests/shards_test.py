"""Tests of the files that a path with a number of shards stands for."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import shards


class ShardsTest(parameterized.TestCase):

  @parameterized.parameters(
      ("rows@1", ["rows-00000-of-00001"]),
      ("a/rows@3", ["a/rows-00000-of-00003", "a/rows-00001-of-00003",
                    "a/rows-00002-of-00003"]),
      ("gs://b/r@2.csv.gz", ["gs://b/r-00000-of-00002.csv.gz",
                             "gs://b/r-00001-of-00002.csv.gz"]),
      ("me@home@1", ["me@home-00000-of-00001"]))
  def test_names(self, path, expected):
    self.assertEqual(shards.names(path), expected)

  def test_many(self):
    names = shards.names("rows@99999")
    self.assertLen(names, 99999)
    self.assertEqual(names[-1], "rows-99998-of-99999")

  @parameterized.parameters("rows", "rows@", "rows@0", "rows@01", "rows@x",
                            "@3", "rows@3/part", "rows@123456", "rows@-1",
                            "rows@3a", "")
  def test_other_paths(self, path):
    self.assertEmpty(shards.names(path))


if __name__ == "__main__":
  absltest.main()
