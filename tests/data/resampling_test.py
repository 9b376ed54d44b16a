"""Tests of balancing classes by repeating rows or leaving rows out."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph.data import labels as labels_lib
from mtl_graph.data import resampling
from mtl_graph.data import sources
from mtl_graph.protos import data_pb2
from mtl_graph.protos import model_pb2

# The task that is balanced stands behind one that is two columns wide.
_TASKS = text_format.Parse("""
    task { name: "pair" regression { size: 2 } }
    task { name: "click" binary {} }
    task { name: "tier" multiclass { num_classes: 3 } }
    task { name: "stars" ordinal { num_classes: 3 } }
    task { name: "tags" multilabel { num_labels: 3 } }""",
                           model_pb2.Model()).task


def _labels(task, classes):
  """Returns labels of one task, -1 standing for none."""
  place = [t.name for t in _TASKS].index(task)
  classes = np.array(classes)
  # Whatever other tasks hold, it plays no part.
  values = np.random.default_rng(0).integers(
      0, 2, [len(classes), 8]).astype(np.float32)
  weights = values[:, :5].copy()
  values[:, place + 1] = np.maximum(classes, 0)
  weights[:, place] = np.where(classes < 0, 0, 0.5)
  return labels_lib.Labels(values, weights)


def _counts(task, classes, rule="", seed=3):
  """Returns how often each class comes, and each row."""
  message = text_format.Parse(f"task: '{task}' {rule}", data_pb2.Resampling())
  rows = resampling.rows(message, _TASKS, _labels(task, classes), seed)
  return (collections.Counter(np.array(classes)[rows].tolist()),
          collections.Counter(rows.tolist()), rows)


class RowsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("oversample", "click", [0] * 6 + [1] * 2, "", {0: 6, 1: 6}),
      ("undersample", "click", [0] * 6 + [1] * 2, "method: UNDERSAMPLE",
       {0: 2, 1: 2}),
      ("unlabelled_come_once", "click", [-1] * 5 + [0] * 4 + [1],
       "method: UNDERSAMPLE", {-1: 5, 0: 1, 1: 1}),
      ("balanced", "click", [0, 1, 1, 0], "", {0: 2, 1: 2}),
      ("shares", "click", [0] * 8 + [1] * 2, "fraction: [0.75, 0.25]",
       # 8 / 0.75 rows in all, a quarter of them of label 1.
       {0: 8, 1: 3}),
      ("fewer_shares", "click", [0] * 8 + [1] * 2,
       "fraction: [0.75, 0.25] method: UNDERSAMPLE", {0: 6, 1: 2}),
      ("rare_class_rarer", "click", [0] * 4 + [1] * 4, "fraction: [0.9, 0.1]",
       {0: 36, 1: 4}),
      ("classes", "tier", [0] * 4 + [1] * 2 + [2], "", {0: 4, 1: 4, 2: 4}),
      ("ordered_classes", "stars", [0] * 4 + [1] * 2 + [2],
       "fraction: [0.25, 0.25, 0.5]", {0: 4, 1: 4, 2: 8}),
      ("fewer_classes", "tier", [0] * 4 + [1] * 2 + [2], "method: UNDERSAMPLE",
       {0: 1, 1: 1, 2: 1}),
  )
  def test_classes_come_by_their_shares(self, task, classes, rule, expected):
    found, _, rows = _counts(task, classes, rule)
    self.assertEqual(found, expected)
    self.assertEqual(rows.dtype, np.int64)
    self.assertEqual(rows.tolist(), sorted(rows.tolist()))

  def test_oversampling_leaves_no_row_out_and_spreads_repetitions(self):
    classes = [0] * 10 + [1] * 4 + [-1] * 3
    _, rows, _ = _counts("click", classes)
    self.assertEqual([rows[i] for i in range(10)], [1] * 10)
    self.assertEqual([rows[i] for i in range(14, 17)], [1] * 3)
    # Ten rows of label 1 out of four: each twice, two of them thrice.
    self.assertCountEqual([rows[i] for i in range(10, 14)], [2, 2, 3, 3])

  def test_undersampling_repeats_no_row(self):
    _, rows, _ = _counts("tier", [0] * 50 + [1] * 9 + [2] * 30,
                         "method: UNDERSAMPLE")
    self.assertEqual(set(rows.values()), {1})
    self.assertEqual([rows[i] for i in range(50, 59)], [1] * 9)

  def test_the_seed_says_which_rows(self):
    classes = [0] * 40 + [1] * 5
    chosen = {seed: tuple(_counts("click", classes, "method: UNDERSAMPLE",
                                  seed)[2]) for seed in (0, 1, 2, 2 ** 31 - 1)}
    self.assertLen(set(chosen.values()), 4)
    for seed, rows in chosen.items():
      self.assertEqual(rows, tuple(_counts(
          "click", classes, "method: UNDERSAMPLE", seed)[2]))

  def test_every_row_is_as_probable_as_any_other(self):
    classes = [0] * 8 + [1] * 4
    times = sum((_counts("click", classes, "method: UNDERSAMPLE", seed)[1]
                 for seed in range(200)), collections.Counter())
    # Four of eight rows, 200 times: 100 each, give or take 7.
    for i in range(8):
      self.assertBetween(times[i], 100 - 28, 100 + 28)

  @parameterized.named_parameters(
      ("binary", "click", [0, 0, -1], 1), ("first", "click", [1, 1], 0),
      ("multiclass", "tier", [0, 2], 1), ("ordinal", "stars", [0, 1, -1], 2))
  def test_class_without_rows(self, task, classes, empty):
    with self.assertRaisesRegex(
        sources.DataError, f"^data.resampling: no training row of task '{task}'"
        f" is of class {empty}; allowed: at least one of each class"):
      _counts(task, classes)


if __name__ == "__main__":
  absltest.main()
