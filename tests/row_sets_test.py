"""Tests of telling which rows make up a split."""

from absl.testing import absltest
from google.protobuf import text_format

from mtl_graph import row_sets
from mtl_graph.protos import data_pb2


def _data(text):
  return text_format.Parse(text, data_pb2.Data())


class RowSetsTest(absltest.TestCase):

  def test_without_sources_a_split_is_one_set(self):
    data = _data("train { weight_column: 'w' } test {}")
    self.assertEqual(row_sets.of(data, "train"), [row_sets.RowSet(
        "train", "", "train", "data.train", data.train, True, ())])
    self.assertEmpty(row_sets.of(data, "validation"))
    self.assertLen(row_sets.every(data, "validation"), 1)
    self.assertFalse(row_sets.every(data, "validation")[0].is_stated)
    self.assertEqual([rows.path for rows in row_sets.of(data, "test")],
                     ["data.test"])

  def test_a_set_per_source_that_has_the_split(self):
    data = _data("source { name: 'a' train {} test {} task: ['x', 'y'] } "
                 "source { name: 'b' train { weight_column: 'w' } }")
    self.assertEqual(
        [rows[:4] + rows[5:] for rows in row_sets.of(data, "train")],
        [("train", "a", "train/a", "data.source[0].train", True, ("x", "y")),
         ("train", "b", "train/b", "data.source[1].train", True, ())])
    self.assertEqual(row_sets.of(data, "train")[1].source.weight_column, "w")
    self.assertEqual([rows.name for rows in row_sets.of(data, "test")], ["a"])
    self.assertEmpty(row_sets.of(data, "validation"))

  def test_arrays_stand_in_for_what_is_stated(self):
    sources = _data("source { name: 'a' train {} } source { name: 'b' }")
    arrays = ["train/b", "validation/a"]
    self.assertEqual([rows.name for rows in row_sets.of(
        sources, "train", arrays)], ["b"])
    self.assertEqual([rows.name for rows in row_sets.of(
        sources, "validation", arrays)], ["a"])
    plain = _data("train {}")
    self.assertLen(row_sets.of(plain, "test", ["test"]), 1)
    self.assertEmpty(row_sets.of(plain, "train", ["test"]))

  def test_path(self):
    self.assertEqual(row_sets.path(_data("train {}"), "test"), "data.test")
    self.assertEqual(row_sets.path(_data("source {}"), "test"),
                     "data.source.test")


if __name__ == "__main__":
  absltest.main()
