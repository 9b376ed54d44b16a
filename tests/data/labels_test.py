"""Tests of reading labels and which rows bear one."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph.data import labels
from mtl_graph.data import sources
from mtl_graph.protos import model_pb2

_NAN = float("nan")


def _task(text, name="t"):
  return text_format.Parse(f'name: "{name}" {text}', model_pb2.Task())


def _table(**columns):
  columns = {name: np.array(values, dtype=object if any(
      isinstance(v, str) for v in values) else None)
             for name, values in columns.items()}
  return sources.Table(columns, [("p", len(next(iter(columns.values()))))])


def _check(tasks, table, weight_column=None):
  """Reads labels, and checks that there are some."""
  found = labels.read(tasks, table, weight_column)
  labels.check_presence(labels.presence(tasks, table, found), tasks, ["p"])


class LabelsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("regression", "regression {}", ["1.5", "", "-2"], [1.5, _NAN, -2]),
      ("regression_floats", "regression {}", [1.5, _NAN, 0], [1.5, _NAN, 0]),
      # The label stays in its own units: scaling is the loss's business.
      ("log1p", "label { log1p: true scale: 0.1 } regression {}",
       ["0", "", "7"], [0, _NAN, 7]),
      ("ignore", "label { ignore_value: -1 } regression {}",
       ["-1", "1", "-1.0"], [_NAN, 1, _NAN]),
      ("ignore_zero", "label { ignore_value: 0 } regression {}",
       ["0", "1", "2"], [_NAN, 1, 2]),
      ("binary", "binary {}", ["0", "", "1"], [0, _NAN, 1]),
      ("binary_booleans", "binary {}", [True, False], [1, 0]),
      ("binary_ignore", "label { ignore_value: 9 } binary {}",
       ["9", "0", "1"], [_NAN, 0, 1]),
      ("greater_than", "label { greater_than: 15 } binary {}",
       ["15", "15.1", "", "-99"], [0, 1, _NAN, 0]),
      ("greater_than_ignore",
       "label { greater_than: 0 ignore_value: 99 } binary {}",
       ["99", "98", "0"], [_NAN, 1, 0]),
      ("positive_value", 'label { positive_value: "yes" } binary {}',
       ["yes", "no", "", "Yes"], [1, 0, _NAN, 0]),
      ("positive_value_nan", 'label { positive_value: "yes" } binary {}',
       ["yes", _NAN], [1, _NAN]),
      ("num_classes", "multiclass { num_classes: 3 }", ["2", "", "0"],
       [2, _NAN, 0]),
      ("num_classes_floats", "multiclass { num_classes: 3 }", [2.0, _NAN, 0],
       [2, _NAN, 0]),
      ("vocabulary", 'multiclass { vocabulary: ["lo", "mid", "hi"] }',
       ["hi", "lo", "", "mid"], [2, 0, _NAN, 1]),
      ("classes_ignored", "label { ignore_value: -1 } multiclass { "
       "num_classes: 3 }", ["-1", "2", ""], [_NAN, 2, _NAN]),
      ("ordinal", "ordinal { num_classes: 3 }", [2, 0, 1], [2, 0, 1]),
      ("ordinal_vocabulary", 'ordinal { vocabulary: ["lo", "mid", "hi"] }',
       ["hi", "", "lo"], [2, _NAN, 0]),
      ("count", "count {}", ["3", "", "0", "1e3"], [3, _NAN, 0, 1000]),
      ("count_ignored", "label { ignore_value: 9 } count {}", [9.0, 8.0],
       [_NAN, 8]),
      ("quantiles", "quantiles { level: 0.5 }", ["-1.5", "", "2"],
       [-1.5, _NAN, 2]),
      ("quantiles_log1p", "label { log1p: true ignore_value: -1 } quantiles { "
       "level: 0.5 }", ["-1", "7"], [_NAN, 7]),
  )
  def test_reads(self, task, column, expected):
    result = labels.read([_task(task)], _table(t=column))
    expected = np.array(expected)[:, np.newaxis]
    self.assertEqual(result.values.dtype, np.float32)
    self.assertEqual(result.weights.dtype, np.float32)
    np.testing.assert_array_equal(result.values, np.nan_to_num(expected))
    np.testing.assert_array_equal(result.weights, ~np.isnan(expected))

  def test_a_file_names_the_classes(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = os.path.join(folder, "classes.txt")
    with open(path, "w", encoding="utf-8") as file:
      file.write("rot\ngrün\n\nblau\n")
    task = _task(f'multiclass {{ vocabulary_file: "{path}" }}')
    result = labels.read([task], _table(t=["blau", "rot", "", "grün"]))
    self.assertEqual(result.values[:, 0].tolist(), [2, 0, 0, 1])
    self.assertEqual(result.weights[:, 0].tolist(), [1, 1, 0, 1])

  def test_every_task_has_its_column(self):
    tasks = [_task('label { column: "y" } regression {}'),
             _task("binary {}", "u")]
    result = labels.read(tasks, _table(y=["5", ""], u=["1", "0"]))
    np.testing.assert_array_equal(result.values, [[5, 1], [0, 0]])
    np.testing.assert_array_equal(result.weights, [[1, 1], [0, 1]])

  def test_one_column_may_serve_two_tasks(self):
    tasks = [_task('label { column: "delay" greater_than: 15 } binary {}'),
             _task('label { column: "delay" } regression {}', "u")]
    self.assertEqual([labels.columns_of(task) for task in tasks],
                     [["delay"]] * 2)
    result = labels.read(tasks, _table(delay=["20", "", "-3"]))
    np.testing.assert_array_equal(result.values, [[1, 20], [0, 0], [0, -3]])

  @parameterized.named_parameters(
      ("nothing", "binary {}", ["t"]),
      ("everything", """label {
           column: ["a", "b"] weight_column: "w"
           only_when { task: "u" } only_when { column { column: "c" } }
           only_when { column { column: "a" } } }
         regression { size: 2 }""", ["a", "b", "w", "c"]),
  )
  def test_columns_that_are_needed(self, task, expected):
    self.assertEqual(labels.all_columns([_task(task)]), expected)

  def test_a_task_without_loss_may_have_no_label(self):
    tasks = [_task("binary {} no_loss: true", "gate"),
             _task("multilabel { num_labels: 2 } no_loss: true", "tags"),
             _task("regression {}")]
    self.assertEqual([labels.columns_of(task) for task in tasks],
                     [[], [], ["t"]])
    self.assertEqual(labels.all_columns(tasks), ["t"])
    result = labels.read(tasks, _table(t=["2", ""]))
    np.testing.assert_array_equal(result.values, [[0, 0, 0, 2], [0, 0, 0, 0]])
    np.testing.assert_array_equal(result.weights, [[0, 0, 1], [0, 0, 0]])

  def test_a_label_of_a_task_without_loss_is_read_but_not_required(self):
    task = _task('label { positive_value: "yes" } binary {} no_loss: true')
    self.assertEqual(labels.columns_of(task), ["t"])
    result = labels.read([task], _table(t=["yes", "no", ""]))
    np.testing.assert_array_equal(result.weights, [[1], [1], [0]])
    for values in (["no", "no"], ["", ""]):
      _check([task], _table(t=values))
    with self.assertRaisesRegex(sources.DataError, "column 't': found 'x'"):
      labels.read([_task("label {} binary {} no_loss: true")],
                  _table(t=["x"]))

  def test_only_tasks_that_the_rows_label_are_read(self):
    tasks = [_task("regression { size: 2 }", "pair"), _task("binary {}"),
             _task('label { only_when { task: "t" } } count {}', "n")]
    table = _table(t=["1", "0"], n=["3", "4"], pair=["words", "words"])
    result = labels.read(tasks, table, labelled=["n", "t"])
    np.testing.assert_array_equal(result.values, [[0, 0, 1, 3], [0, 0, 0, 0]])
    np.testing.assert_array_equal(result.weights, [[0, 1, 1], [0, 1, 0]])
    with self.assertRaisesRegex(sources.DataError, "column 'pair': found 1 "):
      labels.read(tasks, table)

  def test_sample_weights_count_where_there_is_a_label(self):
    result = labels.read([_task("regression {}")], _table(
        t=["1", "", "3", "4"], w=["2", "3", "0", "0.5"]), "w")
    self.assertEqual(result.weights[:, 0].tolist(), [2, 0, 0, 0.5])

  @parameterized.named_parameters(
      ("number", "regression {}", ["1", "x"],
       "p, row 2, column 't': found 'x'"),
      ("zero_or_one", "binary {}", ["0", "", "2"],
       "p, row 3, column 't': found '2'; allowed: 0 or 1, or nothing.*"
       "greater_than or label.positive_value"),
      ("log1p", "label { log1p: true } regression {}", ["1", "-0.5"],
       "p, row 2, column 't': found '-0.5'; allowed: a number of at least 0"),
      ("positive_value", 'label { positive_value: "yes" } binary {}',
       ["no", "Yes"], "p: no row of column 't' is 'yes'.*there are: Yes, no; "
       "nearest: 'Yes'"),
      ("class", "multiclass { num_classes: 3 }", ["0", "3"],
       "p, row 2, column 't': found '3'; allowed: 0 to 2"),
      ("negative_class", "multiclass { num_classes: 3 }", ["-1"], "found '-1'"),
      ("vocabulary", 'multiclass { vocabulary: ["lo", "hi"] }', ["lo", "high"],
       "p, row 2, column 't': found 'high'; allowed: an entry of the "
       "vocabulary; nearest: 'hi'"),
      ("no_label", "regression {}", ["", ""], "p: no row has a label of a "
       "weight above 0 for task 't' in column 't'"),
      ("vectors", "regression {}", [[1, 2], [3, 4]], "column 't' has shape "),
      ("too_large", "regression {}", [1.0, 1e300], "p, row 2, column 't': found"
       " '1e[+]300'"),
  )
  def test_refused(self, task, column, message):
    with self.assertRaisesRegex(sources.DataError, message) as caught:
      _check([_task(task)], _table(t=column))
    self.assertNotIn("\n", str(caught.exception))

  @parameterized.named_parameters(
      ("negative", ["1", "-1"], "p, row 2, column 'w': found '-1'; allowed: a "
       "number of at least 0"),
      ("missing", ["1", ""], "p, row 2, column 'w': found ''"),
      ("text", ["1", "x"], "found 'x'"),
      ("vector", [[1], [1]], "column 'w' has shape "),
      ("all_zero", ["0", "0"], "no row has a label of a weight above 0"),
      ("too_large", [1.0, 1e300], "p, row 2, column 'w': found '1e[+]300'"),
  )
  def test_bad_weights_are_refused(self, weights, message):
    with self.assertRaisesRegex(sources.DataError, message):
      _check([_task("regression {}")], _table(t=["1", "2"], w=weights), "w")

  def test_presence_in_several_sets_of_rows_is_that_in_all_of_them(self):
    tasks = [_task('label { positive_value: "yes" } binary {}'),
             _task("regression {}", "n")]
    tables = [_table(t=["no", ""], n=["", "1"]), _table(t=["never"], n=[""]),
              _table(t=["yes"], n=[""])]
    found = [labels.presence(tasks, table, labels.read(tasks, table))
             for table in tables]
    some = labels.merged(found[:2])
    self.assertEqual(some.present.tolist(), [True, True])
    self.assertEqual(some.texts, {"t": {"no", "", "never"}})
    with self.assertRaisesRegex(
        sources.DataError, "^a: no row of column 't' is 'yes' .*: , never, no"):
      labels.check_presence(some, tasks, ["a", "b"])
    labels.check_presence(labels.merged(found), tasks, ["a", "b"])
    with self.assertRaisesRegex(
        sources.DataError, "^b, c: no row has a label .* for task 'n'"):
      labels.check_presence(labels.merged(found[1:]), tasks, ["b", "c"])


if __name__ == "__main__":
  absltest.main()
