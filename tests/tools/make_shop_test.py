"""Tests for tools/make_shop.py."""

import contextlib
import importlib.util
import io
import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import linear_model
from sklearn import metrics

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.data import splits
from tools import make_shop

# Every column but those of the weights, as a feature or a label.
_TEXT = """
name: "shop"
data {
  train { SOURCE weight_column: "weight" }
  feature { name: "price" numeric {} }
  feature { name: "age" numeric { missing_value: -1 } }
  feature { name: "profile" numeric { size: 4 separator: "|" } }
  feature { name: "day" categorical { num_buckets: 31 one_hot {} } }
  feature { name: "set" categorical { hash_buckets: 9 one_hot {} } }
  feature { name: "user" categorical { hash_buckets: 9 one_hot {} } }
  feature {
    name: "city" categorical { vocabulary_file: "cities.txt" one_hot {} }
  }
  feature { name: "category" categorical { hash_buckets: 9 one_hot {} } }
  feature { name: "favourite" categorical { hash_buckets: 9 one_hot {} } }
  feature {
    name: "tags" categorical {
      hash_buckets: 9 one_hot {}
      values { max_values: 4 weight_column: "tag_weights" }
    }
  }
  feature {
    name: "history"
    categorical { hash_buckets: 9 one_hot {} values { max_values: 3 } }
  }
}
model {
  hard_sharing {}
  task { name: "clicked" binary {} }
  task { name: "bought" binary {} }
  task {
    name: "payment" multiclass { vocabulary: ["card", "invoice", "transfer"] }
  }
  task {
    name: "stars" label { weight_column: "trust" }
    ordinal { vocabulary: ["1", "2", "3", "4", "5"] }
  }
  task { name: "size" ordinal { num_classes: 4 } }
  task { name: "pieces" count {} }
  task { name: "colours" multilabel { vocabulary: ["red", "green", "blue"] } }
  task { name: "spent" regression {} }
  task {
    name: "parcel" label { column: ["width", "height"] } regression { size: 2 }
  }
  task { name: "delivery" label { ignore_value: -1 } regression {} }
}
training {
  num_steps: 1
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
}
"""
_SOURCES = (
    ("shards", 'csv { path: "shop@3.csv" }'),
    ("headerless", 'csv { path: "shop-without-header.csv" missing_value: "NA" '
     'header_file: "shop-columns.txt" strip_spaces: true }'),
    ("npz", 'npz { path: "shop.npz" }'),
    ("tfrecord", 'tfrecord { path: "shop.tfrecord.gz" }'),
    ("parquet", 'parquet { path: "shop.parquet" }'),
)


class MakeShopTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.columns = make_shop.make(3000, 1)

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    before = os.getcwd()
    self.addCleanup(os.chdir, before)
    os.chdir(self.folder)

  def _run(self, *more):
    """Returns the exit code, and what is written to stdout and stderr."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(
        errors):
      code = make_shop.main(["make_shop", "--output_dir=new", "--rows=120",
                             *more])
    return code, printed.getvalue(), errors.getvalue()

  def test_writes_the_same_bytes_twice(self):
    self.assertEqual(self._run()[0], 0)
    os.rename("new", "old")
    self.assertEqual(self._run()[0], 0)
    self.assertCountEqual(os.listdir("old"), make_shop.names())
    for name in make_shop.names():
      self.assertEqual(*[pathlib.Path(folder, name).read_bytes()
                         for folder in ("old", "new")])

  def test_another_seed_makes_other_rows(self):
    self.assertFalse(np.array_equal(make_shop.make(100, 1)["price"],
                                    make_shop.make(100, 2)["price"]))

  def test_never_over_a_file(self):
    self._run()
    before = pathlib.Path("new/shop.csv").read_bytes()
    code, _, errors = self._run("--seed=2")
    self.assertEqual(code, 2)
    self.assertIn("exists; allowed: a folder without it", errors)
    self.assertEqual(pathlib.Path("new/shop.csv").read_bytes(), before)

  def test_dry_run_writes_nothing(self):
    code, planned, _ = self._run("--dry_run")
    self.assertEqual(code, 0)
    self.assertFalse(os.path.exists("new"))
    self.assertEqual(planned.replace("would write", "wrote"), self._run()[1])

  def test_without_pyarrow_there_is_no_parquet(self):
    with mock.patch.object(importlib.util, "find_spec", return_value=None):
      self.assertNotIn("shop.parquet", make_shop.names())
      self.assertEqual(self._run()[0], 0)
    self.assertFalse(os.path.exists("new/shop.parquet"))

  @parameterized.named_parameters(*_SOURCES)
  def test_every_format_holds_the_same_rows(self, source):
    if "parquet" in source and not importlib.util.find_spec("pyarrow"):
      self.skipTest("pyarrow is not installed")
    make_shop.write(make_shop.make(200, 1), self.folder)
    found = []
    for text in ('csv { path: "shop.csv" }', source):
      experiment = config.parse(_TEXT.replace("SOURCE", text))
      validation.check(experiment)
      found.append(splits.read(experiment, "train"))
    for name, values in found[0].raw.items():
      np.testing.assert_array_equal(found[1].raw[name], values, name)
    for wanted, labels in zip(*[split.labels for split in found]):
      np.testing.assert_array_equal(labels, wanted)

  def test_photos_are_in_the_arrays_alone_of_text_files(self):
    columns = make_shop.make(100, 1)
    make_shop.write(columns, self.folder)
    with np.load("shop.npz") as archive:
      self.assertEqual(archive["photo"].dtype, np.uint8)
      np.testing.assert_array_equal(archive["photo"], columns["photo"])
    self.assertEqual(columns["photo"].shape, (100, 8, 8))
    self.assertNotIn("photo", pathlib.Path("shop-columns.txt").read_text())

  def test_what_follows_a_click_follows_one(self):
    clicked, bought = self.columns["clicked"], self.columns["bought"]
    self.assertTrue((bought <= clicked).all())
    np.testing.assert_array_equal(self.columns["payment"] != "", bought == 1)
    np.testing.assert_array_equal(~np.isnan(self.columns["stars"]),
                                  clicked == 1)
    # Both labels come, where there is a choice.
    self.assertBetween(bought[clicked == 1].mean(), 0.1, 0.9)

  def test_later_days_are_for_measuring_and_know_a_category_more(self):
    day, sets = self.columns["day"], self.columns["set"]
    self.assertLess(day[sets == "train"].max(),
                    day[sets == "validation"].min())
    self.assertLess(day[sets == "validation"].max(), day[sets == "test"].min())
    category = self.columns["category"]
    self.assertNotIn("garden", category[day <= 10])
    self.assertIn("garden", category[day == 11])

  @parameterized.named_parameters(
      ("clicked", "clicked", 0.7), ("bought", "bought", 0.7))
  def test_yes_or_no_depends_on_features(self, name, least):
    x, rows = self._features(), np.ones(3000, bool)
    if name == "bought":
      rows = self.columns["clicked"] == 1
    train, test = self._sides(rows)
    model = linear_model.LogisticRegression(max_iter=1000)
    model.fit(x[train], self.columns[name][train])
    self.assertGreater(metrics.roc_auc_score(
        self.columns[name][test], model.predict_proba(x[test])[:, 1]), least)

  @parameterized.named_parameters(
      ("payment", "payment"), ("stars", "stars"), ("size", "size"))
  def test_classes_depend_on_features(self, name):
    x, label = self._features(), self.columns[name].astype(str)
    train, test = self._sides((label != "") & (label != "nan"))
    model = linear_model.LogisticRegression(max_iter=1000)
    model.fit(x[train], label[train])
    shares = np.array([(label[train] == c).mean() for c in model.classes_])
    self.assertLess(
        metrics.log_loss(label[test], model.predict_proba(x[test])),
        0.95 * metrics.log_loss(label[test], np.tile(shares, [len(test), 1])))

  @parameterized.named_parameters(
      ("spent", "spent"), ("width", "width"), ("height", "height"),
      ("delivery", "delivery"), ("pieces", "pieces"))
  def test_numbers_depend_on_features(self, name):
    x, label = self._features(), self.columns[name]
    train, test = self._sides(label != -1)
    model = linear_model.Ridge().fit(x[train], label[train])
    self.assertGreater(metrics.r2_score(label[test], model.predict(x[test])),
                       0.15)

  def test_labels_of_a_set_depend_on_features(self):
    train, test = self._sides(np.ones(3000, bool))
    x = self._features()
    for colour in make_shop.COLOURS:
      label = np.array([colour in liked for liked in self.columns["colours"]])
      model = linear_model.LogisticRegression(max_iter=1000)
      model.fit(x[train], label[train])
      self.assertGreater(metrics.roc_auc_score(
          label[test], model.predict_proba(x[test])[:, 1]), 0.7)

  def _sides(self, rows):
    """Returns the numbers of rows to fit, and of rows to measure."""
    chosen = np.flatnonzero(rows)
    cut = len(chosen) * 2 // 3
    return chosen[:cut], chosen[cut:]

  def _features(self):
    """Returns a matrix of what a linear model can make use of."""
    columns = self.columns
    tags = [[dict(zip(*row)).get(tag, 0) for tag in make_shop.TAGS]
            for row in zip(columns["tags"], columns["tag_weights"])]
    again = [bool(seen) and seen[-1] == category for seen, category
             in zip(columns["history"], columns["category"])]
    return np.column_stack([
        np.log(columns["price"]), np.nan_to_num(columns["age"], nan=48) / 20,
        columns["profile"], tags, again,
        columns["category"] == columns["favourite"],
        columns["photo"].mean(axis=(1, 2)) / 255,
        *[columns["city"] == city for city in make_shop.CITIES],
        *[columns["category"] == c for c in make_shop.CATEGORIES]])


if __name__ == "__main__":
  absltest.main()
