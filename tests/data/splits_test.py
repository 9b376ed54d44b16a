"""Tests of reading a split: features, labels and weights of one set of rows."""

import os
import tempfile
from unittest import mock

from absl.testing import absltest
import numpy as np

from mtl_graph import config
from mtl_graph.data import sources
from mtl_graph.data import splits

_EXPERIMENT = """
data {{
  train {{ csv {{ path: "{0}/train.csv" }} weight_column: "weight" }}
  validation {{ npz {{ path: "{0}/validation.npz" }} }}
  feature {{ name: "x" numeric {{ missing_value: 0 }} }}
  feature {{ name: "delay_before" column: "y" numeric {{ missing_value: 0 }} }}
  feature {{ name: "city" column: "Town"
             categorical {{ vocabulary: "oslo" embedding_dimension: 1 }} }}
}}
model {{
  hard_sharing {{}}
  task {{ name: "y" regression {{}} }}
  task {{ name: "late" label {{ column: "y" greater_than: 15 }} binary {{}} }}
}}
"""


class SplitsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._experiment = config.parse(_EXPERIMENT.format(self._folder))

  def test_columns_are_named_once(self):
    self.assertEqual(splits.columns_of(self._experiment, "train"),
                     ["x", "y", "Town", "weight"])
    self.assertEqual(splits.columns_of(self._experiment, "validation"),
                     ["x", "y", "Town"])

  def test_reads_files(self):
    with open(os.path.join(self._folder, "train.csv"), "w",
              encoding="utf-8") as file:
      file.write("x,Town,y,weight,unused\n1,oslo,20,2,?\n,bern,,3,?\n")
    split = splits.read(self._experiment, "train")
    self.assertEqual(list(split.raw), ["x", "delay_before", "city"])
    np.testing.assert_array_equal(split.raw["x"], [1, np.nan])
    self.assertEqual(split.raw["city"].tolist(), ["oslo", "bern"])
    np.testing.assert_array_equal(split.labels.values, [[20, 1], [0, 0]])
    np.testing.assert_array_equal(split.labels.weights, [[2, 2], [0, 0]])

  def test_splits_have_sources_and_weights_of_their_own(self):
    np.savez(os.path.join(self._folder, "validation.npz"), x=[1.0, 2.0],
             y=[3, 30], Town=["oslo", ""])
    split = splits.read(self._experiment, "validation")
    np.testing.assert_array_equal(split.labels.values, [[3, 0], [30, 1]])
    np.testing.assert_array_equal(split.labels.weights, np.ones([2, 2]))

  def test_arrays_stand_in_for_files(self):
    arrays = {"x": [1, 2], "y": [3, 30], "Town": ["oslo", None],
              "weight": [0.5, 1], "unused": [1]}
    split = splits.read(self._experiment, "train", arrays)
    self.assertEqual(split.raw["city"].tolist(), ["oslo", ""])
    np.testing.assert_array_equal(split.labels.weights, [[0.5, 0.5], [1, 1]])

  def test_errors_name_the_arrays(self):
    with self.assertRaisesRegex(sources.DataError,
                                r"^arrays\['test'\]: no column 'Town'"):
      splits.read(self._experiment, "test", {"x": [1], "y": [2]})
    with self.assertRaisesRegex(
        sources.DataError, r"^arrays\['test'\], row 2, column 'x': found 'b'"):
      splits.read(self._experiment, "test",
                  {"x": [1, "b"], "y": [2, 3], "Town": ["a", "b"]})

  def test_all_that_there_are(self):
    self._write("train.csv", "x,Town,y,weight\n1,oslo,20,2\n")
    np.savez(os.path.join(self._folder, "validation.npz"), x=[1.0], y=[3],
             Town=["oslo"])
    found = splits.read_all(self._experiment)
    self.assertEqual(list(found), ["train", "validation"])
    self.assertEqual(found["validation"].labels.values.tolist(), [[3, 0]])
    self.assertEqual(list(splits.read_all(self._experiment,
                                          names=["validation"])),
                     ["validation"])
    arrays = {"test": {"x": [1], "y": [2], "Town": ["a"]},
              "validation": {"x": [1], "y": [2], "Town": ["a"]}}
    self.assertEqual(list(splits.read_all(self._experiment, arrays)),
                     ["validation", "test"])

  def _write(self, name, content):
    with open(os.path.join(self._folder, name), "w", encoding="utf-8") as file:
      file.write(content)


class PartsTest(absltest.TestCase):
  """Splits that are cut from one file."""
  _DATA = """
      {split} {{ csv {{ path: "{folder}/rows.csv" }}
                weight_column: "{weight}" part {{ {part} }} }} """

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._rows = [f"{i},u{i % 7},{'abc'[i % 3]},{i % 5},1" for i in range(60)]
    with open(os.path.join(self._folder, "rows.csv"), "w",
              encoding="utf-8") as file:
      file.write("\n".join(["x,user,fold,v,w", *self._rows]) + "\n")

  def _experiment(self, parts, more="", weight="w"):
    sources_text = "".join(
        self._DATA.format(split=split, folder=self._folder, part=part,
                          weight=weight) for split, part in parts.items())
    return config.parse(f"""
        data {{ {sources_text} {more}
                feature {{ name: "x" numeric {{}} }} }}
        model {{ task {{ name: "y" regression {{}} label {{ column: "v" }} }} }}
        """)

  def _read(self, parts, more="", weight="w"):
    return splits.read_all(self._experiment(parts, more, weight))

  def test_hashes_cut_the_rows_in_two(self):
    for by in ("row_hash {}", "key_column: 'user'"):
      found = self._read({"train": f"{by} to: 0.6",
                          "validation": f"{by} from: 0.6"})
      both = [found[name].raw["x"].tolist() for name in found]
      self.assertCountEqual(both[0] + both[1], range(60))
      self.assertNotEmpty(both[1])
      users = [{int(x) % 7 for x in part} for part in both]
      if "key" in by:
        self.assertEmpty(users[0] & users[1])
      # Rows keep their order, and their labels.
      for part, name in zip(both, found):
        self.assertEqual(part, sorted(part))
        self.assertEqual(found[name].labels.values[:, 0].tolist(),
                         [x % 5 for x in part])

  def test_columns_name_the_part(self):
    found = self._read({"train": "column: 'fold' value: 'c' outside: true",
                        "validation": "column: 'fold' value: 'c'",
                        "test": "column: 'fold' value: ['a', 'b']"})
    self.assertEqual(found["validation"].raw["x"].tolist(),
                     list(range(2, 60, 3)))
    self.assertEqual(found["train"].raw["x"].tolist(),
                     found["test"].raw["x"].tolist())
    self.assertLen(found["train"].raw["x"], 40)

  def test_one_file_is_read_once(self):
    parts = {"train": "row_hash {} to: 0.5", "validation": "row_hash {} from: "
             "0.5", "test": "column: 'fold' value: 'a'"}
    with mock.patch.object(sources, "read", wraps=sources.read) as read:
      found = self._read(parts)
      self.assertEqual(read.call_count, 1)
    for name in parts:
      alone = splits.read(self._experiment(parts), name)
      np.testing.assert_array_equal(alone.raw["x"], found[name].raw["x"])

  def test_dropped_rows_are_counted_by_split(self):
    found = self._read(
        {"train": "column: 'fold' value: ['a', 'b']",
         "validation": "column: 'fold' value: 'c'"},
        "drop_rows { column: 'x' less_than: 10 } drop_rows { column: 'user' "
        "one_of: 'u6' }")
    gone = {x for x in range(60) if x < 10 or x % 7 == 6}
    for name, kept in (("train", (0, 1)), ("validation", (2,))):
      rows = [x for x in range(60) if x % 3 in kept]
      self.assertEqual(found[name].raw["x"].tolist(),
                       [x for x in rows if x not in gone])
      self.assertEqual(found[name].dropped, len(gone & set(rows)))

  def test_arrays_are_cut_just_so(self):
    parts = {"train": "row_hash {} to: 0.5",
             "validation": "row_hash {} from: 0.5"}
    columns = {"x": np.arange(60.0), "v": np.arange(60) % 5, "w": np.ones(60)}
    found = splits.read_all(self._experiment(parts),
                            {"train": columns, "validation": columns})
    self.assertCountEqual([x for name in parts
                           for x in found[name].raw["x"].tolist()], range(60))
    self.assertNotEmpty(found["train"].raw["x"])
    self.assertNotEmpty(found["validation"].raw["x"])

  def test_bad_rows_are_named_by_their_place_in_the_file(self):
    parts = {"train": "column: 'fold' value: 'c'"}
    with self.assertRaisesRegex(
        sources.DataError, r"rows\.csv, row 3, column 'user': found 'u2'; "
        "allowed: a number"):
      self._read(parts, weight="user")

  def test_a_part_without_rows(self):
    with self.assertRaisesRegex(
        sources.DataError, r"rows\.csv: .*allowed: at least one"):
      self._read({"train": "column: 'fold' value: 'z'"})

  def test_columns_that_are_looked_at_are_read(self):
    experiment = self._experiment(
        {"train": "key_column: 'user'", "validation": "column: 'fold' value: "
         "'a'"}, "drop_rows { column: 'd' missing: true }")
    experiment.evaluation.task_metrics.add(task="y", group_column="g")
    experiment.evaluation.slice.add(column="s")
    experiment.evaluation.slice.add(column="x")
    self.assertEqual(splits.columns_of(experiment, "train"),
                     ["x", "v", "d", "user", "w"])
    self.assertEqual(splits.columns_of(experiment, "validation"),
                     ["x", "v", "d", "fold", "w", "g", "s"])


class GroupsTest(absltest.TestCase):

  def test_of_rows_that_are_measured(self):
    experiment = config.parse("""
        data { feature { name: "x" numeric {} } }
        model { task { name: "y" binary {} } }
        evaluation { slice { column: "x" } slice { column: "city" }
                     task_metrics { task: "y" group_column: "city" } }""")
    columns = {"x": [1.0, 2.5], "y": [0, 1], "city": ["a", None]}
    found = splits.read_all(experiment, {"train": columns, "test": columns})
    self.assertEqual(found["train"].groups, {})
    self.assertEqual({name: values.tolist()
                      for name, values in found["test"].groups.items()},
                     {"city": ["a", ""], "x": ["1", "2.5"]})


if __name__ == "__main__":
  absltest.main()
