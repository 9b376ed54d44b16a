"""Tests of choosing the rows of a split."""

import hashlib

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph.data import row_hashes
from mtl_graph.data import selection
from mtl_graph.data import table as table_lib
from mtl_graph.protos import data_pb2

_NAN = float("nan")


def _objects(*values):
  result = np.empty(len(values), object)
  result[:] = values
  return result


def _table(hashes=None, **columns):
  columns = {name: values if isinstance(values, np.ndarray)
             else np.array(values) for name, values in columns.items()}
  rows = len(next(iter(columns.values())))
  return table_lib.Table(columns, [("p1", 1), ("p2", rows - 1)], None, hashes)


def _part(text):
  return text_format.Parse(text, data_pb2.Part())


def _condition(text):
  return text_format.Parse(text, data_pb2.Condition())


def _select(table, part=None, drop=()):
  found, count = selection.select(table, part and _part(part),
                                  [_condition(text) for text in drop])
  selection.check_left(count, [path for path, _ in table.files], "data.train")
  return found, count.dropped


def _kept(table, part):
  return _select(table, part)[0].columns["row"].tolist()


class HoldsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("text", 'one_of: ["a", "b"]', _objects("a", "b", "c", "", None),
       [1, 1, 0, 0, 0]),
      ("text_negated", 'one_of: ["a", "b"] negate: true',
       _objects("a", "b", "c", "", None), [0, 0, 1, 1, 1]),
      ("one_of_numbers", 'one_of: "5"', np.array([5.0, 0.5, _NAN]), [1, 0, 0]),
      ("one_of_integers", 'one_of: "5"', np.array([5, 15, 50]), [1, 0, 0]),
      ("greater", "greater_than: 2", _objects("3", "2", "", "-5"),
       [1, 0, 0, 0]),
      ("greater_negated", "greater_than: 2 negate: true",
       np.array([3, 2, _NAN]), [0, 1, 1]),
      ("greater_than_0", "greater_than: 0", np.array([0, 1]), [0, 1]),
      ("less", "less_than: 2", np.array([1.5, 2, _NAN]), [1, 0, 0]),
      ("as_the_column_rounds", "greater_than: 0.1",
       np.array([0.1, 0.2], np.float32), [0, 1]),
      ("missing_text", "missing: true", _objects("a", "", None, _NAN),
       [0, 1, 1, 1]),
      ("missing_numbers", "missing: true", np.array([0, _NAN]), [0, 1]),
      ("missing_integers", "missing: true", np.array([0, 1]), [0, 0]),
      ("not_missing", "missing: true negate: true", _objects("a", ""), [1, 0]),
      ("missing_vectors", "missing: true",
       np.array([[1, 2], [_NAN, 2], [_NAN, _NAN]]), [0, 0, 1]),
      ("missing_lists", "missing: true",
       _objects(np.array([1.0, 2]), np.array([]), np.array([_NAN])),
       [0, 1, 1]),
  )
  def test_holds(self, condition, values, expected):
    held = selection.holds(_condition('column: "c" ' + condition),
                           _table(c=values))
    self.assertEqual(held.dtype, bool)
    self.assertEqual(held.tolist(), expected)

  @parameterized.named_parameters(
      ("text", "less_than: 2", _objects("1", "x"), "p2, row 1, column 'c': "
       "found 'x'; allowed: a number"),
      ("vectors", "less_than: 2", np.ones([2, 2]), r"shape \[2, 2\]"),
      ("lists", 'one_of: "1"', _objects(np.ones(1), np.ones(2)),
       "p2, row 1, column 'c': found 2 values; allowed: one"),
  )
  def test_refused(self, condition, values, message):
    with self.assertRaisesRegex(table_lib.DataError, message):
      selection.holds(_condition('column: "c" ' + condition), _table(c=values))


class SelectTest(parameterized.TestCase):

  def test_nothing_asked(self):
    table = _table(row=[0, 1, 2])
    selected, dropped = _select(table)
    self.assertIs(selected, table)
    self.assertEqual(dropped, 0)

  def test_rows_keep_their_places(self):
    table = _table(np.array([7, 8, 9, 10], np.uint64), row=[0, 1, 2, 3],
                   wide=np.arange(8).reshape(4, 2), c=["x", "y", "x", "y"])
    table, dropped = _select(table, drop=['column: "c" one_of: "x"'])
    self.assertEqual(dropped, 2)
    self.assertEqual(table.columns["row"].tolist(), [1, 3])
    self.assertEqual(table.columns["wide"].tolist(), [[2, 3], [6, 7]])
    self.assertEqual(table.rows.dtype, np.int64)
    self.assertEqual(table.rows.tolist(), [1, 3])
    self.assertEqual(table.hashes.tolist(), [8, 10])
    self.assertEqual(table_lib.locate(table, 1), "p2, row 3")
    table, dropped = _select(table, drop=['column: "row" less_than: 2'])
    self.assertEqual(dropped, 1)
    self.assertEqual(table_lib.locate(table, 0), "p2, row 3")

  def test_any_condition_drops(self):
    table, dropped = _select(_table(row=[0, 1, 2, 3, 4]),
                             drop=['column: "row" less_than: 2',
                                   'column: "row" one_of: ["1", "3"]'])
    self.assertEqual(table.columns["row"].tolist(), [2, 4])
    self.assertEqual(dropped, 3)

  def test_only_rows_of_the_part_count_as_dropped(self):
    table, dropped = _select(
        _table(row=[0, 1, 2, 3], c=["x", "x", "y", "y"]),
        'column: "c" value: "x"', ['column: "row" greater_than: 0'])
    self.assertEqual(table.columns["row"].tolist(), [0])
    self.assertEqual(dropped, 1)

  @parameterized.parameters(("", [0, 3]), ("outside: true", [1, 2, 4]))
  def test_column(self, more, expected):
    table = _table(row=range(5), c=_objects("x", "y", "", "z", "zz"))
    self.assertEqual(_kept(table, 'column: "c" value: ["x", "z"] ' + more),
                     expected)

  @parameterized.parameters(
      ("", [0, 1, 2, 3, 4]), ("to: 0.5", [0, 1]), ("from: 0.5", [2, 3, 4]),
      ("from: 0.25 to: 0.75", [1, 2, 3]),
      ("from: 0.25 to: 0.75 outside: true", [0, 4]), ("from: 0.75", [4]))
  def test_row_hash(self, more, expected):
    table = _table(np.array([0, 2 ** 63 - 2 ** 20, 2 ** 63,
                             3 * 2 ** 62 - 2 ** 20, 2 ** 64 - 1], np.uint64),
                   row=range(5))
    self.assertEqual(_kept(table, "row_hash {} " + more), expected)

  def test_row_hash_needs_hashes(self):
    with self.assertRaisesRegex(ValueError, "^select: `table` must have hash"):
      _select(_table(row=[0]), "row_hash {}")

  def test_parts_share_out_all_rows(self):
    table = _table(row_hashes.of_texts([(str(i),) for i in range(1000)]),
                   row=range(1000))
    parts = [_kept(table, "row_hash {} " + more) for more in (
        "to: 0.7", "from: 0.7 to: 0.85", "from: 0.85")]
    self.assertEqual(sorted(sum(parts, [])), list(range(1000)))
    for part, share in zip(parts, (700, 150, 150)):
      # Five standard deviations of a binomial.
      self.assertLess(abs(len(part) - share), 5 * (share * 0.85) ** 0.5)

  def test_key_column_is_hashed_as_text(self):
    keys = [str(i) for i in range(50)]
    fractions = [int.from_bytes(hashlib.blake2b(
        key.encode(), digest_size=8).digest(), "little") / 2 ** 64
                 for key in keys]
    expected = [i for i, f in enumerate(fractions) if 0.25 <= f < 0.75]
    for values in (_objects(*keys), np.arange(50), np.arange(50.0),
                   np.arange(50, dtype=np.float32)):
      self.assertEqual(
          _kept(_table(row=range(50), key=values),
                'key_column: "key" from: 0.25 to: 0.75'), expected)

  def test_rows_of_one_key_go_together(self):
    keys = np.arange(200) % 20
    inside = _kept(_table(row=range(200), key=keys),
                   'key_column: "key" to: 0.5')
    self.assertLen(inside, 10 * len(set(keys[inside])))
    self.assertBetween(len(set(keys[inside])), 1, 19)

  @parameterized.parameters((_objects("a", "", "b"),),
                            (np.array([1, _NAN, 2]),))
  def test_a_missing_key_is_refused(self, values):
    with self.assertRaisesRegex(
        table_lib.DataError, "^p2, row 1, column 'key': found ''; allowed: a "
        "key, as the part goes by this column"):
      _kept(_table(row=range(3), key=values), 'key_column: "key" to: 0.5')

  def test_nothing_left(self):
    with self.assertRaisesRegex(
        table_lib.DataError, "^p1, p2: found 3 rows, of which 2 belong to the "
        r"part, and 2 of these are dropped \(data.train\); allowed: at least "
        "one left$"):
      _select(_table(row=[0, 1, 2], c=["x", "x", "y"]),
              'column: "c" value: "x"', ['column: "row" less_than: 5'])


class ColumnsOfTest(parameterized.TestCase):

  @parameterized.parameters(
      (None, (), []),
      ("row_hash {}", ("a", "b", "a"), ["a", "b"]),
      ('key_column: "k"', ("a",), ["a", "k"]),
      ('column: "a" value: "x"', ("a",), ["a"]),
      ("", (), []))
  def test_each_once(self, part, conditions, expected):
    self.assertEqual(
        selection.columns_of(None if part is None else _part(part),
                             [data_pb2.Condition(column=column)
                              for column in conditions]), expected)


if __name__ == "__main__":
  absltest.main()
