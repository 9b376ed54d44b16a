"""Tests of the names of a cache's folders."""

import contextlib
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph.data import cache_keys
from mtl_graph.data import table
from tests import small_experiment

_STATISTICS = {"statistics/age/mean": np.array([1.5], np.float32)}


def _experiment(*edits):
  return config.parse(small_experiment.edited(small_experiment.TEXT, edits))


class KeysTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(contextlib.chdir(
        self.enter_context(tempfile.TemporaryDirectory())))
    small_experiment.write(".", small_experiment.TEXT)

  @parameterized.named_parameters(
      ("layers", "units: 4", "units: 5"), ("seed", "seed: 7", "seed: 8"),
      ("loss", "huber_delta: 2", "huber_delta: 3"),
      ("embedding", "hash_buckets: 8 embedding_dimension: 2",
       "hash_buckets: 8 embedding_dimension: 3"),
      ("batch_size", "batch_size: 16", "batch_size: 8"),
      ("scale", "log1p: true", "log1p: true scale: 2"))
  def test_the_model_does_not_count(self, old, new):
    for name in (cache_keys.of_rows,
                 lambda one: cache_keys.of_features(one, _STATISTICS)):
      self.assertEqual(name(_experiment()), name(_experiment((old, new))))

  @parameterized.named_parameters(
      ("feature", 'name: "age" numeric {', 'name: "age" column: "income" '
       'numeric {'),
      ("normalization", "normalization: LOG1P ", ""),
      ("missing", "missing_value: 0", "missing_value: 1"),
      ("label", 'label { column: "clicked" }', 'label { column: "age" '
       'greater_than: 30 }'),
      ("classes", '["bronze", "silver"', '["silver", "bronze"'),
      ("drop", "batch_size: 16",
       'batch_size: 16 drop_rows { column: "age" missing: true }'),
      ("part", 'train { csv { path: "train.csv" } ',
       'train { csv { path: "train.csv" } part { row_hash {} to: 0.5 } '),
      ("weights", 'train { csv { path: "train.csv" } weight_column: "weight" }',
       'train { csv { path: "train.csv" } }'),
      ("slices", "every_steps: 1\n  best",
       'every_steps: 1 slice { column: "city" }\n  best'))
  def test_what_is_read_counts(self, old, new):
    self.assertNotEqual(cache_keys.of_rows(_experiment()),
                        cache_keys.of_rows(_experiment((old, new))))

  def test_categories_count_where_they_become_numbers(self):
    other = _experiment(('["bern", "oslo", "rome"]', '["rome", "bern"]'))
    self.assertEqual(cache_keys.of_rows(other),
                     cache_keys.of_rows(_experiment()))
    self.assertNotEqual(cache_keys.of_features(other, _STATISTICS),
                        cache_keys.of_features(_experiment(), _STATISTICS))

  def test_statistics_count(self):
    self.assertNotEqual(
        cache_keys.of_features(_experiment(), _STATISTICS),
        cache_keys.of_features(_experiment(), {
            name: values + 1 for name, values in _STATISTICS.items()}))

  def test_files_count_by_size_and_time(self):
    before = cache_keys.of_rows(_experiment())
    os.utime("validation.csv", ns=(0, 5))
    later = cache_keys.of_rows(_experiment())
    self.assertNotEqual(before, later)
    with open("validation.csv", "a", encoding="utf-8") as file:
      file.write("\n")
    os.utime("validation.csv", ns=(0, 5))
    self.assertNotEqual(later, cache_keys.of_rows(_experiment()))
    os.remove("validation.csv")
    with self.assertRaisesRegex(table.DataError, "no file matches"):
      cache_keys.of_rows(_experiment())


if __name__ == "__main__":
  absltest.main()
