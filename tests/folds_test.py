"""Tests of making the experiments of a cross-validation."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import folds
from tests import small_experiment


class FoldsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._experiment = config.parse(small_experiment.TEXT + "serving {}")

  def _split(self, *arguments):
    return folds.split(self._experiment, *arguments)

  @parameterized.parameters(2, 3, 7, 10)
  def test_parts_cover_everything_once(self, count):
    parts = [fold.data.validation.part for fold in self._split(count)]
    self.assertLen(parts, count)
    borders = [(getattr(part, "from"), part.to) for part in parts]
    self.assertEqual((borders[0][0], borders[-1][1]), (0, 1))
    for (low, high), (following, _) in zip(borders, borders[1:]):
      self.assertLess(low, high)
      self.assertEqual(high, following)  # To the bit, else a row is lost.

  def test_a_fold_is_trained_on_all_others(self):
    for fold in self._split(4):
      train, validation = fold.data.train, fold.data.validation
      self.assertTrue(train.part.outside)
      self.assertFalse(validation.part.outside)
      train.part.ClearField("outside")
      self.assertEqual(train, validation)
      self.assertEqual(train.csv.path, ["train.csv"])
      self.assertEqual(train.weight_column, "weight")

  def test_what_a_row_goes_by(self):
    self.assertEqual(
        {fold.data.train.part.WhichOneof("by") for fold in self._split(3)},
        {"row_hash"})
    self.assertEqual({fold.data.validation.part.key_column
                      for fold in self._split(3, "patient")}, {"patient"})

  def test_everything_else_stays_but_serving_goes(self):
    before = config.to_text(self._experiment)
    fold = self._split(3)[1]
    self.assertEqual(config.to_text(self._experiment), before)
    self.assertFalse(fold.HasField("serving"))
    fold.serving.SetInParent()
    for split in ("train", "validation"):
      getattr(fold.data, split).CopyFrom(getattr(self._experiment.data, split))
    self.assertEqual(fold, self._experiment)

  def test_test_rows_stay(self):
    self._experiment.data.test.csv.path.append("test.csv")
    self.assertEqual(self._split(2)[0].data.test, self._experiment.data.test)

  def test_refused(self):
    self._experiment.data.train.part.key_column = "user"
    with self.assertRaises(config.ConfigErrors) as caught:
      self._split(1)
    lines = str(caught.exception).split("\n")
    self.assertLen(lines, 2)
    self.assertEqual(lines[0], "--folds: found 1; allowed: at least 2")
    self.assertStartsWith(lines[1], "data.train.part: found one; allowed: none")

  def test_sources_are_refused(self):
    for split in ("train", "validation"):
      self._experiment.data.ClearField(split)
    source = self._experiment.data.source.add(name="ads")
    source.train.part.key_column = "user"
    with self.assertRaises(config.ConfigErrors) as caught:
      self._split(2)
    self.assertEqual(str(caught.exception), "data.source: found 1; allowed: "
                     "none, as cross-validation cuts data.train into parts")


if __name__ == "__main__":
  absltest.main()
