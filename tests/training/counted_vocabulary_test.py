"""Tests of runs that count their own categories."""

import os
import tempfile

from absl.testing import absltest
import numpy as np

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from mtl_graph.training import loop

_TEXT = """
name: "counted" seed: 3
data {
  batch_size: 8
  feature { name: "city" categorical {
    counted_vocabulary { capacity: 4 min_count: 2 } embedding_dimension: 2 } }
  feature { name: "tags" categorical {
    counted_vocabulary { capacity: 3 } multi_hot {} values { max_values: 2 } } }
}
model {
  hard_sharing {}
  task { name: "a" regression {} }
}
training {
  num_steps: 6
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
  summaries { enabled: false }
}
"""


def _rows(cities, tags):
  """Returns rows of the given categories by how often they come."""
  city = [name for name, count in cities.items() for _ in range(count)]
  tags = [name for name, count in tags.items() for _ in range(count)]
  return {"city": np.array(city), "tags": np.resize(tags, len(city)),
          "a": np.arange(len(city)) / 10}


_ROWS = _rows({"oslo": 3, "": 4, "bern": 9, "rome": 2, "once": 1},
              {"p|q": 5, "q": 4, "": 3})


def _train(folder, *overrides, rows=None, **kwargs):
  experiment = config.parse(_TEXT)
  for assignment in overrides:
    config.override(experiment, assignment)
  arrays = {"train": _ROWS if rows is None else rows, "validation": _ROWS}
  validation.check(experiment, arrays)
  return loop.train(experiment, folder, arrays,
                    **{"log": lambda line: None, **kwargs})


def _vocabularies(experiment):
  return [list(f.categorical.vocabulary) for f in experiment.data.feature]


class CountedVocabularyTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def test_the_most_frequent_come_first_and_are_written_down(self):
    exported = []
    result = _train(self._folder, "serving={}",
                    exporter=lambda *call: exported.append(call[0]) or "v")
    expected = [["bern", "oslo", "rome"], ["q", "p"]]
    for experiment in (
        compatibility.experiment_of(result.checkpoint), exported[0],
        config.load(os.path.join(self._folder, "experiment.pbtxt"))):
      self.assertEqual(_vocabularies(experiment), expected)

  def test_a_category_has_the_row_of_its_place(self):
    _train(self._folder)
    run = saved_run.open_run(config.parse(_TEXT), self._folder)
    with run.session:
      batch = run.evaluator.transform(splits.read(
          run.experiment, "test", {
              "city": ["rome", "once", "", "bern"],
              "tags": ["p", "r|q", "", "q|p"], "a": [0, 0, 0, 0]}))
    self.assertEqual(batch.ids.tolist(), [
        [2, 1, -1], [4, 3, 0], [4, -1, -1], [0, 0, 1]])

  def test_going_on_counts_nothing_anew(self):
    _train(self._folder, "training.num_steps=3")
    lines = []
    _train(self._folder, log=lines.append)
    self.assertIn("going on from step 3", lines)
    self.assertEqual(
        _vocabularies(compatibility.experiment_of(checkpoints.newest(
            self._folder))), [["bern", "oslo", "rome"], ["q", "p"]])

  def test_other_rows_are_refused_and_where_allowed_add_categories(self):
    other = _rows({"wien": 9, "graz": 8, "rome": 3, "bern": 1},
                  {"r": 5, "s": 4, "p": 2})
    _train(self._folder)
    with self.assertRaisesRegex(config.ConfigErrors,
                                "^data.train: the rows have changed"):
      _train(self._folder, "training.num_steps=9", rows=other)
    _train(self._folder, "training.num_steps=9", rows=other,
           allow_changes=True)
    # Those of before keep their rows; of the new ones one has room left.
    self.assertEqual(
        _vocabularies(compatibility.experiment_of(checkpoints.newest(
            self._folder))), [["bern", "oslo", "rome", "wien"],
                              ["q", "p", "r"]])

  def test_another_rule_is_another_network(self):
    _train(self._folder)
    with self.assertRaisesRegex(
        config.ConfigErrors, r"^data.feature\[0\].categorical."
        "counted_vocabulary.min_count: 2 -> 1 since training in "):
      _train(self._folder, "data.feature[name=city].categorical."
             "counted_vocabulary.min_count=1")

  def test_nothing_to_count(self):
    rows = {**_ROWS, "city": np.array([""] * 19)}
    lines = []
    _train(self._folder, rows=rows, log=lines.append)
    self.assertEqual(
        _vocabularies(compatibility.experiment_of(checkpoints.newest(
            self._folder)))[0], [])
    self.assertIn("warning: feature 'city': 19 of 19 training rows are missing "
                  "or not known", lines)


if __name__ == "__main__":
  absltest.main()
