"""Tests of labels of several numbers, of conditions and of tasks' weights."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph.data import labels
from mtl_graph.data import sources
from mtl_graph.protos import model_pb2

_NAN = float("nan")
_CLICKS = ["1", "0", "", "1", "1"]


def _tasks(text):
  return text_format.Parse(text, model_pb2.Model()).task


def _column(values):
  """Makes an array of values, of vectors where their lengths differ."""
  if isinstance(values[0], list) and len(set(map(len, values))) > 1:
    rows = np.empty(len(values), object)
    rows[:] = [np.array(value, object if any(
        isinstance(v, str) for v in value) else float) for value in values]
    return rows
  return np.array(values, dtype=object if any(
      isinstance(v, str) for v in values) else None)


def _read(text, weight_column=None, required=True, **columns):
  """Returns values and weights as lists, NaN where a value is missing."""
  table = sources.Table(
      {name: _column(values) for name, values in columns.items()},
      [("p", len(next(iter(columns.values()))))])
  found = labels.read(_tasks(text), table, weight_column)
  if required:
    labels.check_presence(labels.presence(_tasks(text), table, found),
                          _tasks(text), ["p"])
  return found


class VectorTest(parameterized.TestCase):

  def _assert_read(self, task, expected, **columns):
    found = _read(f"task {{ name: 't' {task} }}", **columns)
    expected = np.array(expected, np.float32)
    labelled = ~np.isnan(expected).all(axis=1)
    self.assertEqual(found.values.dtype, np.float32)
    # A row without a label is zero, a gap in one that has a label stays a gap.
    np.testing.assert_array_equal(
        found.values, np.where(labelled[:, np.newaxis], expected, 0))
    np.testing.assert_array_equal(found.weights[:, 0], labelled)

  @parameterized.named_parameters(
      ("matrix", "", [[1, 2], [3, _NAN], [_NAN, _NAN]],
       [[1, 2], [3, _NAN], [_NAN, _NAN]]),
      ("lists", "", [[1.0, 2.0], [], [3.0, 4.0]],
       [[1, 2], [_NAN, _NAN], [3, 4]]),
      ("text", "", ["1|2", "3|", "", "|"],
       [[1, 2], [3, _NAN], [_NAN, _NAN], [_NAN, _NAN]]),
      ("separator", "separator: '; '", ["1; 2", "-3; 4e1"], [[1, 2], [-3, 40]]),
      ("ignored", "ignore_value: -1", ["1|-1", "-1|-1"],
       [[1, _NAN], [_NAN, _NAN]]),
      # The label stays in its own units.
      ("log1p", "log1p: true scale: 3", ["1|0"], [[1, 0]]),
      ("ignored_before_log1p", "log1p: true ignore_value: -1", ["1|-1"],
       [[1, _NAN]]),
  )
  def test_regression(self, label, column, expected):
    self._assert_read(f"regression {{ size: 2 }} label {{ {label} }}", expected,
                      t=column)

  def test_a_column_per_number(self):
    self._assert_read(
        "regression { size: 3 } label { column: ['b', 'a', 'c'] ignore_value: "
        "-1 }", [[4, 1, 7], [_NAN, 2, _NAN], [_NAN] * 3],
        a=["1", "2", ""], b=["4", "", ""], c=[7.0, -1.0, -1.0])

  @parameterized.named_parameters(
      ("matrix", [[1, 0, 1], [0, 0, _NAN], [_NAN] * 3],
       [[1, 0, 1], [0, 0, _NAN], [_NAN] * 3]),
      ("booleans", [[True, False, True]], [[1, 0, 1]]),
      ("text", ["1|0|1", "0||1", ""], [[1, 0, 1], [0, _NAN, 1], [_NAN] * 3]))
  def test_multilabel_by_number(self, column, expected):
    self._assert_read("multilabel { num_labels: 3 }", expected, t=column)

  def test_multilabel_by_column(self):
    self._assert_read(
        "multilabel { num_labels: 2 } label { column: ['a', 'b'] ignore_value: "
        "-1 }", [[1, 0], [_NAN, 1], [_NAN, _NAN]], a=["1", "-1", ""],
        b=["0", "1", "-1"])

  @parameterized.named_parameters(
      ("text", ["c|a", "b", "", "a|b|c"],
       [[1, 0, 1], [0, 1, 0], [_NAN] * 3, [1, 1, 1]]),
      ("gaps", ["|c", "a||b||||c"], [[0, 0, 1], [1, 1, 1]]),
      # More names in a row than there are labels.
      ("again_and_again", ["a|a|a|a|b"], [[1, 1, 0]]),
      ("lists", [["c", "a"], [], ["b"]], [[1, 0, 1], [_NAN] * 3, [0, 1, 0]]),
      ("matrix", [["c", "a"], ["b", ""]], [[1, 0, 1], [0, 1, 0]]))
  def test_multilabel_by_name(self, column, expected):
    self._assert_read("multilabel { vocabulary: ['a', 'b', 'c'] }", expected,
                      t=column)

  def test_names_are_text_whatever_the_column(self):
    self._assert_read("multilabel { vocabulary: ['7', '2.5'] } label { "
                      "separator: ' ' }", [[1, 0], [0, 1]], t=[7.0, 2.5])

  def test_tasks_side_by_side(self):
    found = _read(
        "task { name: 'v' regression { size: 2 } } task { name: 'c' count {} } "
        "task { name: 'm' multilabel { vocabulary: ['a', 'b'] } }",
        v=["1|2", ""], c=["", "3"], m=["b", "a|b"])
    np.testing.assert_array_equal(found.values,
                                  [[1, 2, 0, 0, 1], [0, 0, 3, 1, 1]])
    np.testing.assert_array_equal(found.weights, [[1, 0, 1], [0, 1, 1]])

  @parameterized.named_parameters(
      ("width", "regression { size: 2 }", ["1|2", "3"],
       "p, row 2, column 't': found 1 values; allowed: 2 numbers with '|' "
       "between them, or nothing"),
      ("shape", "regression { size: 2 }", [[1, 2, 3]],
       r"p: column 't' has shape \[1, 3\]; allowed: \[1, 2\]"),
      ("no_number", "regression { size: 2 }", ["1|2", "a|3"],
       "p, row 2, column 't': found 'a'; allowed: a number"),
      ("too_large", "regression { size: 2 }", [[1, 2], [3, 1e300]],
       "p, row 2, column 't': .*; allowed: a number that fits 32-bit"),
      ("log1p", "regression { size: 2 } label { log1p: true }", ["1|2", "-1|3"],
       "p, row 2, column 't': found '-1|3'; allowed: a number of at least 0, as"
       " label.log1p is set"),
      ("no_zero_or_one", "multilabel { num_labels: 2 }", ["1|0", "|2"],
       "p, row 2, column 't': found '|2'; allowed: 0 or 1 for each label, or "
       "nothing where it is missing"),
      ("no_entry", "multilabel { vocabulary: ['red', 'blue'] }",
       ["red", "red|read|blue"], "p, row 2, column 't': found 'read'; allowed: "
       "an entry of the vocabulary; nearest: 'red'"),
      ("beyond_all_entries", "multilabel { vocabulary: 'a' }", ["a", "a|b"],
       "p, row 2, column 't': found 'b'; allowed: an entry of the vocabulary"),
      ("nothing", "multilabel { vocabulary: ['a', 'b'] }", ["", "|"],
       "p: no row has a label of a weight above 0 for task 't' in column 't'; "
       "allowed: at least one"),
  )
  def test_refused(self, task, column, message):
    with self.assertRaisesRegex(
        sources.DataError, "^" + message.replace("|", r"\|")) as caught:
      _read(f"task {{ name: 't' {task} }}", t=column)
    self.assertNotIn("\n", str(caught.exception))

  def test_the_column_that_is_wrong_is_named(self):
    for task in ("regression { size: 2 } label { log1p: true column: ['a', 'b']"
                 " }", "multilabel { num_labels: 2 } label { column: ['a', 'b']"
                 " }"):
      with self.assertRaisesRegex(sources.DataError,
                                  "^p, row 2, column 'b': found '-1'"):
        _read(f"task {{ name: 't' {task} }}", a=["1", "0"], b=["1", "-1"])


class OneNumberTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("count", "count {}", ["0", "-1"], "'-1'; allowed: a whole number of at "
       "least 0, or nothing where there is no label"),
      ("fraction", "count {}", ["0", "0.5"], "'0.5'; allowed: a whole number"),
      ("large_count", "count {}", [0.0, 1e300], r"'1e\+300'; allowed: a number "
       "that fits 32-bit"),
      ("ordinal", "ordinal { num_classes: 3 }", ["0", "3"],
       "'3'; allowed: 0 to 2, or nothing where there is no label"),
      ("ordinal_fraction", "ordinal { num_classes: 3 }", ["0", "0.5"],
       "'0.5'; allowed: 0 to 2"),
      ("ordinal_name", "ordinal { vocabulary: ['lo', 'hi'] }", ["lo", "high"],
       "'high'; allowed: an entry of the vocabulary; nearest: 'hi'"),
      ("ignored_class", "multiclass { num_classes: 3 } label { ignore_value: "
       "-1 }", ["-1", "-2"], "'-2'; allowed: 0 to 2"),
      ("quantiles", "quantiles { level: 0.5 } label { log1p: true }",
       ["0", "-2"], "'-2'; allowed: a number of at least 0, as label.log1p"))
  def test_refused(self, task, column, message):
    with self.assertRaisesRegex(sources.DataError,
                                f"^p, row 2, column 't': found {message}"):
      _read(f"task {{ name: 't' {task} }}", t=column)

  def test_a_number_equals_what_its_column_rounds_it_to(self):
    values = np.array([0.1, 0.2, 0.3], np.float32)
    table = sources.Table({"t": values}, [("p", 3)])
    for label, expected in (("ignore_value: 0.1", [0, 1, 1]),
                            ("ignore_value: 0.10001", [1, 1, 1])):
      found = labels.read(_tasks(
          f"task {{ name: 't' regression {{}} label {{ {label} }} }}"), table)
      self.assertEqual(found.weights[:, 0].tolist(), expected)
    found = labels.read(_tasks(
        "task { name: 't' binary {} label { greater_than: 0.2 } }"), table)
    self.assertEqual(found.values[:, 0].tolist(), [0, 0, 1])


class ConditionTest(parameterized.TestCase):
  _TEXT = ("task {{ name: 'click' binary {{}} label {{ column: 'c' }} }} "
           "task {{ name: 'bought' binary {{}} label {{ column: 'b' {} }} }}")

  def _weights(self, conditions, **columns):
    return _read(self._TEXT.format(conditions), c=_CLICKS,
                 b=["1", "1", "1", "", "0"], **columns).weights[:, 1].tolist()

  def test_on_a_task(self):
    self.assertEqual(self._weights("only_when { task: 'click' }"),
                     [1, 0, 0, 0, 1])

  def test_values_are_zero_where_the_label_does_not_count(self):
    found = _read(self._TEXT.format("only_when { task: 'click' }"), c=_CLICKS,
                  b=["1", "1", "1", "", "0"])
    self.assertEqual(found.values.tolist(),
                     [[1, 1], [0, 0], [0, 0], [1, 0], [1, 0]])
    self.assertEqual(found.weights[:, 0].tolist(), [1, 1, 0, 1, 1])

  @parameterized.named_parameters(
      ("one_of", "one_of: ['u', 'v']", [1, 1, 0, 0, 0]),
      ("missing", "missing: true", [0, 0, 0, 0, 1]),
      ("negated", "one_of: 'u' negate: true", [0, 1, 1, 0, 1]))
  def test_on_a_column(self, condition, expected):
    self.assertEqual(
        self._weights(f"only_when {{ column {{ column: 'd' {condition} }} }}",
                      d=["u", "v", "w", "u", ""]), expected)

  def test_on_a_column_of_numbers(self):
    for condition, expected in (("greater_than: 3", [0, 0, 1, 0, 0]),
                                ("less_than: 3", [1, 0, 0, 0, 0])):
      self.assertEqual(self._weights(
          f"only_when {{ column {{ column: 'd' {condition} }} }}",
          d=[2.0, 3.0, 4.0, 5.0, _NAN]), expected)

  def test_all_of_several(self):
    self.assertEqual(self._weights(
        "only_when { task: 'click' } only_when { column { column: 'd' "
        "greater_than: 0 } }", d=[1, 1, 1, 1, 0]), [1, 0, 0, 0, 0])

  def test_on_a_task_that_comes_later_or_is_read_its_own_way(self):
    found = _read("task { name: 'a' regression { size: 2 } label { only_when { "
                  "task: 'b' } } } task { name: 'b' binary {} label { column: "
                  "'n' greater_than: 2 } }", a=["1|2", "3|", "5|6"],
                  n=[1, 3, 4])
    np.testing.assert_array_equal(found.values,
                                  [[0, 0, 0], [3, _NAN, 1], [5, 6, 1]])
    np.testing.assert_array_equal(found.weights, [[0, 1], [1, 1], [1, 1]])

  def test_that_never_hold_are_an_error_in_training_alone(self):
    text = self._TEXT.format("only_when { column { column: 'b' one_of: '7' } }")
    columns = {"c": ["1", "0"], "b": ["1", "0"]}
    with self.assertRaisesRegex(
        sources.DataError, "^p: no row has a label of a weight above 0 for "
        "task 'bought' in column 'b'; allowed: at least one"):
      _read(text, **columns)
    self.assertEqual(_read(text, required=False, **columns).weights.tolist(),
                     [[1, 0], [1, 0]])


class WeightTest(parameterized.TestCase):
  _TEXT = ("task { name: 'a' regression {} label { weight_column: 'v' } } "
           "task { name: 'b' regression {} }")

  def test_of_a_task_multiplies_that_of_the_source(self):
    columns = {"a": ["1", "2", ""], "b": ["1", "2", "3"],
               "v": ["0.5", "3", "9"], "w": ["2", "4", "5"]}
    self.assertEqual(_read(self._TEXT, **columns).weights.tolist(),
                     [[0.5, 1], [3, 1], [0, 1]])
    self.assertEqual(_read(self._TEXT, "w", **columns).weights.tolist(),
                     [[1, 2], [12, 4], [0, 5]])

  @parameterized.named_parameters(
      ("negative", ["1", "-1"], "p, row 2, column 'v': found '-1'; allowed: a "
       "number of at least 0"),
      ("missing", ["1", ""], "p, row 2, column 'v': found ''"),
      ("no_number", ["1", "x"], "p, row 2, column 'v': found 'x'"),
      ("zero", ["0", "0"], "p: no row has a label of a weight above 0 for task "
       "'a' in column 'a'"))
  def test_bad_ones_are_refused(self, weights, message):
    with self.assertRaisesRegex(sources.DataError, "^" + message):
      _read(self._TEXT, a=["1", "2"], b=["1", "2"], v=weights)


if __name__ == "__main__":
  absltest.main()
