"""Tests of reading splits whose rows are those of several sources."""

import os
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph.data import sources
from mtl_graph.data import splits
from mtl_graph.data import statistics

# "ads" labels clicks and what was spent, "polls" stars; both read `x`, `city`.
_TEXT = """
data {{
  source {{
    name: "ads" task: ["click", "spent"]
    train {{ csv {{ path: "{0}/ads.csv" }} weight_column: "w"
            part {{ column: "fold" value: "a" }} }}
    validation {{ csv {{ path: "{0}/ads.csv" }}
                 part {{ column: "fold" value: "b" }} }}
  }}
  source {{
    name: "polls" task: "stars"
    train {{ npz {{ path: "{0}/polls.npz" }} }}
    validation {{ npz {{ path: "{0}/polls_later.npz" }} }}
    test {{ npz {{ path: "{0}/polls_later.npz" }} }}
  }}
  drop_rows {{ column: "x" greater_than: 50 }}
  feature {{ name: "x" numeric {{ normalization: Z_SCORE missing_value: 0 }} }}
  feature {{ name: "pair" column: "v" numeric {{ size: 2 separator: ";" }} }}
  feature {{ name: "city" categorical {{ hash_buckets: 9
             embedding_dimension: 1 }} }}
}}
model {{
  task {{ name: "click" binary {{}} }}
  task {{ name: "stars" regression {{ size: 2 }} label {{ column: "points" }} }}
  task {{ name: "spent" regression {{}} label {{ weight_column: "sw"
         only_when {{ task: "click" }} }} }}
}}
"""
_ADS = """x,v,city,click,spent,sw,w,fold,group
1,1;2,oslo,1,5,2,3,a,g1
,3;4,bern,0,6,2,1,a,g1
99,3;4,bern,0,6,2,1,a,g1
3,5;6,,1,7,1,1,b,g2
"""


class SourcesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._experiment = config.parse(_TEXT.format(self._folder))
    self._write("ads.csv", _ADS)
    self._save("polls", 3)
    self._save("polls_later", 2)

  def _write(self, name, content):
    with open(os.path.join(self._folder, name), "w", encoding="utf-8") as file:
      file.write(content)

  def _save(self, name, count, **others):
    numbers = np.arange(count)
    np.savez(os.path.join(self._folder, name + ".npz"), **{
        "x": 10.0 + numbers, "v": np.ones([count, 2]),
        "city": np.array(["rome"] * count),
        "points": np.stack([numbers, -numbers], 1), **others})

  def test_rows_follow_each_other_and_label_their_tasks_only(self):
    split = splits.read(self._experiment, "train")
    self.assertEqual(split.sources, {"ads": slice(0, 2), "polls": slice(2, 5)})
    np.testing.assert_array_equal(split.raw["x"], [1, np.nan, 10, 11, 12])
    np.testing.assert_array_equal(
        split.raw["pair"], [[1, 2], [3, 4], [1, 1], [1, 1], [1, 1]])
    self.assertEqual(split.raw["city"].tolist(),
                     ["oslo", "bern", "rome", "rome", "rome"])
    # Click, the two numbers of stars, spent.
    np.testing.assert_array_equal(split.labels.values, [
        [1, 0, 0, 5], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, -1, 0],
        [0, 2, -2, 0]])
    np.testing.assert_array_equal(split.labels.weights, [
        [3, 0, 6], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]])
    self.assertEqual({a.dtype for a in split.labels}, {np.dtype(np.float32)})
    self.assertEqual((split.dropped, split.groups), (1, {}))

  @parameterized.parameters(1, 2, 4, splits.SAMPLE_ROWS)
  def test_the_first_rows(self, count):
    for split in ("train", "validation"):
      whole = splits.read(self._experiment, split)
      found = splits.read_first(self._experiment, split, count)
      self.assertCountEqual(found.raw, whole.raw)
      for name, values in whole.raw.items():
        np.testing.assert_array_equal(found.raw[name], values[:count])
      for values, expected in zip(found.labels, whole.labels):
        np.testing.assert_array_equal(values, expected[:count])

  def test_the_first_rows_take_no_other(self):
    self._write("ads.csv", _ADS + "wrong,1;2,oslo,1,5,2,3,a,g1\n")
    self.assertLen(splits.read_first(self._experiment, "train", 2).raw["x"], 2)
    for count in (3, 4):
      with self.assertRaisesRegex(sources.DataError, "row 5, column 'x'"):
        splits.read_first(self._experiment, "train", count)
    self._write("ads.csv", _ADS.replace(",a,", ",c,"))
    with self.assertRaisesRegex(sources.DataError, "found 4 rows, of which 0 "
                                "belong to the part"):
      splits.read_first(self._experiment, "train")

  def test_a_split_is_what_sources_have_of_it(self):
    found = splits.read_all(self._experiment)
    self.assertEqual(list(found), ["train", "validation", "test"])
    self.assertEqual(found["validation"].sources,
                     {"ads": slice(0, 1), "polls": slice(1, 3)})
    self.assertEqual(found["test"].sources, {"polls": slice(0, 2)})
    np.testing.assert_array_equal(found["test"].labels.weights,
                                  [[0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(found["validation"].labels.weights[0],
                                  [1, 0, 1])

  def test_one_source_that_labels_all(self):
    data = self._experiment.data
    del data.source[1:]
    data.source[0].ClearField("task")
    del self._experiment.model.task[1]
    found = splits.read(self._experiment, "train")
    self.assertEqual(found.sources, {"ads": slice(0, 2)})
    data.train.CopyFrom(data.source[0].train)
    data.ClearField("source")
    alone = splits.read(self._experiment, "train")
    self.assertEqual(alone.sources, {})
    np.testing.assert_array_equal(found.labels.weights, alone.labels.weights)
    for name, values in alone.raw.items():
      np.testing.assert_array_equal(found.raw[name], values)

  def test_columns_are_those_of_the_source(self):
    more = ["x", "v", "city"]
    self.assertEqual(splits.columns_of(self._experiment, "train/ads"),
                     more + ["click", "spent", "sw", "fold", "w"])
    self.assertEqual(splits.columns_of(self._experiment, "train/polls"),
                     more + ["points"])

  def test_files_are_read_once(self):
    with mock.patch.object(sources, "read", wraps=sources.read) as read:
      splits.read_all(self._experiment)
    self.assertEqual([call.args[2] for call in read.call_args_list], [
        "data.source[0].train, data.source[0].validation",
        "data.source[1].train",
        "data.source[1].validation, data.source[1].test"])

  def test_sources_may_be_cut_from_one_file(self):
    source = self._experiment.data.source[1]
    source.task[:] = ["spent"]
    source.train.CopyFrom(self._experiment.data.source[0].train)
    source.train.part.value[:] = ["b"]
    source.ClearField("validation")
    source.ClearField("test")
    self._experiment.data.source[0].task[:] = ["click"]
    del self._experiment.model.task[1]
    self._experiment.model.task[1].label.ClearField("only_when")
    split = splits.read(self._experiment, "train")
    np.testing.assert_array_equal(split.labels.weights,
                                  [[3, 0], [1, 0], [0, 1]])

  def test_statistics_are_of_the_rows_of_all(self):
    split = splits.read(self._experiment, "train")
    measured = statistics.measure(self._experiment.data.feature, split.raw)
    values = np.array([1, 10, 11, 12])
    self.assertAlmostEqual(measured["x"]["mean"][0], values.mean())
    self.assertAlmostEqual(measured["x"]["stddev"][0], values.std(), places=6)

  def test_groups_of_tasks_that_a_source_does_not_label(self):
    evaluation = self._experiment.evaluation
    evaluation.task_metrics.add(task="click", group_column="group")
    evaluation.slice.add(column="city")
    found = splits.read_all(self._experiment)
    self.assertEqual(
        {name: values.tolist()
         for name, values in found["validation"].groups.items()},
        {"group": ["g2", "", ""], "city": ["", "rome", "rome"]})
    self.assertEqual({name: values.tolist()
                      for name, values in found["test"].groups.items()},
                     {"city": ["rome", "rome"]})
    evaluation.slice.add(column="group")
    with self.assertRaisesRegex(sources.DataError, "no column 'group'"):
      splits.read(self._experiment, "test")

  @parameterized.named_parameters(
      ("value", {"points": np.ones(3)}, r"polls\.npz, row 1, column 'points': "
       "found 1 values; allowed: 2 numbers"),
      ("no_label", {"points": np.full([3, 2], np.nan)}, "polls.npz: no row has "
       "a label of a weight above 0 for task 'stars' in column 'points'"),
      ("dropped", {"x": np.full(3, 51.0)}, r"are dropped \(data\.source\[1\]\."
       r"train\); allowed: at least one left"))
  def test_errors_name_file_and_source(self, others, message):
    self._save("polls", 3, **others)
    with self.assertRaisesRegex(sources.DataError, message):
      splits.read_all(self._experiment)

  def test_a_label_may_be_missing_where_it_is_only_measured(self):
    self._save("polls_later", 2, points=np.full([2, 2], np.nan))
    found = splits.read_all(self._experiment)
    self.assertFalse(found["test"].labels.weights.any())


class ArraysTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._experiment = config.parse(_TEXT.format("nowhere"))
    del self._experiment.data.drop_rows[:]
    for source in self._experiment.data.source:
      source.train.ClearField("part")
      source.validation.ClearField("part")
    common = {"v": [[1, 2]] * 2, "city": ["a", None]}
    self._ads = {**common, "x": [1, 2], "click": [0, 1], "spent": [3, 4],
                 "sw": [1, 1], "w": [1, 2]}
    self._polls = {**common, "x": [5, 6], "points": [[7, 8]] * 2}

  def test_by_split_and_source(self):
    found = splits.read_all(self._experiment, {
        "train/ads": self._ads, "train/polls": self._polls,
        "validation/polls": self._polls})
    self.assertEqual(list(found), ["train", "validation"])
    self.assertEqual(found["train"].raw["x"].tolist(), [1, 2, 5, 6])
    np.testing.assert_array_equal(found["train"].labels.weights, [
        [1, 0, 0], [2, 0, 2], [0, 1, 0], [0, 1, 0]])
    self.assertEqual(found["validation"].sources, {"polls": slice(0, 2)})

  def test_of_one_split(self):
    found = splits.read(self._experiment, "test", {"polls": self._polls})
    self.assertEqual(found.raw["x"].tolist(), [5, 6])
    self.assertEqual(found.sources, {"polls": slice(0, 2)})

  def test_errors_name_the_arrays(self):
    del self._polls["points"]
    with self.assertRaisesRegex(
        sources.DataError, r"^arrays\['train/polls'\]: no column 'points'"):
      splits.read(self._experiment, "train",
                  {"ads": self._ads, "polls": self._polls})


if __name__ == "__main__":
  absltest.main()
