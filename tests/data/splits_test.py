"""Tests of reading a split: features, labels and weights of one set of rows."""

import os
import tempfile

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


if __name__ == "__main__":
  absltest.main()
