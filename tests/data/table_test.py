"""Tests of tables: where rows are, and tables one below the other."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import table as table_lib

_FILES = [("p1", 2), ("p2", 0), ("p3", 3)]


class LocateTest(parameterized.TestCase):

  @parameterized.parameters((0, "p1, row 1"), (1, "p1, row 2"),
                            (2, "p3, row 1"), (4, "p3, row 3"))
  def test_rows_count_from_one_within_their_file(self, row, expected):
    self.assertEqual(table_lib.locate(table_lib.Table({}, _FILES), row),
                     expected)

  @parameterized.parameters((0, "p1, row 2"), (1, "p3, row 1"),
                            (2, "p3, row 3"))
  def test_rows_that_were_chosen_keep_their_numbers(self, row, expected):
    table = table_lib.Table({}, _FILES, np.array([1, 2, 4]))
    self.assertEqual(table_lib.locate(table, row), expected)

  def test_beyond_the_table(self):
    table = table_lib.Table({}, [("p1", 2)])
    with self.assertRaisesRegex(IndexError, "beyond the table"):
      table_lib.locate(table, 2)


class CountTest(absltest.TestCase):

  def test_counts_the_rows_of_all_files(self):
    self.assertEqual(table_lib.count(table_lib.Table({}, _FILES)), 5)

  def test_counts_the_rows_that_were_chosen(self):
    table = table_lib.Table({}, _FILES, np.array([1, 4]))
    self.assertEqual(table_lib.count(table), 2)


class ConcatenateTest(absltest.TestCase):

  def test_columns_files_and_hashes_follow_one_another(self):
    table = table_lib.concatenate([
        table_lib.Table({"a": np.array([1]), "b": np.array([5])}, [("p", 1)],
                        None, np.array([7], np.uint64)),
        table_lib.Table({"a": np.array([2, 3])}, [("q", 2)], None,
                        np.array([8, 9], np.uint64))], ["a"])
    self.assertEqual(list(table.columns), ["a"])
    self.assertEqual(table.columns["a"].tolist(), [1, 2, 3])
    self.assertEqual(table.files, [("p", 1), ("q", 2)])
    self.assertEqual(table.hashes.tolist(), [7, 8, 9])
    self.assertIsNone(table.rows)

  def test_without_hashes(self):
    table = table_lib.concatenate(
        [table_lib.Table({"a": np.array([1])}, [("p", 1)])], ["a"])
    self.assertIsNone(table.hashes)


if __name__ == "__main__":
  absltest.main()
