"""Tests of the ids of categories: one per row, sets, sequences, crosses."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import vocabularies
from mtl_graph.data import raw_values
from mtl_graph.data import sources
from tests.data import one_transform

_NAN = float("nan")


def _hashed(strings, buckets):
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(tf.strings.to_hash_bucket_fast(list(strings), buckets))


def _ids(categorical, values, measured=None):
  """Returns the ids of a feature, shape [N, 1], or [N, L] of several."""
  return one_transform.run(
      f"feature {{ name: 'x' categorical {{ {categorical} }} }}",
      {"x": values}, measured).ids


class OneCategoryTest(parameterized.TestCase, tf.test.TestCase):

  def test_boundaries_belong_to_the_interval_above(self):
    values = np.array([-np.inf, -1.5, -1, -0.5, 0, 1e-30, 2.5, np.inf, _NAN],
                      np.float32)
    self.assertAllEqual(_ids("boundary: [-1, 0, 2.5]", values)[:, 0],
                        [0, 0, 1, 1, 2, 2, 3, 3, 4])

  def test_boundaries_equal_numpy(self):
    random = np.random.default_rng(1)
    boundaries = np.sort(random.normal(size=6)).astype(np.float32)
    # Ties with each boundary among them.
    values = np.concatenate([random.normal(size=100), boundaries]).astype(
        np.float32)
    found = _ids(f"boundary: [{', '.join(map(repr, boundaries.tolist()))}]",
                 values)
    self.assertAllEqual(found[:, 0],
                        np.searchsorted(boundaries, values, "right"))

  def test_a_boundary_that_32_bits_round_meets_its_own_number(self):
    self.assertAllEqual(
        _ids("boundary: [0.1, 0.7]", np.array([0.1, 0.7], np.float32))[:, 0],
        [1, 2])

  @parameterized.parameters(2, 5)
  def test_quantile_buckets_equal_numpy(self, buckets):
    values = np.random.default_rng(3).normal(size=60).astype(np.float32)
    values[::7] = _NAN
    found = _ids(f"quantile_buckets: {buckets}", values)[:, 0]
    present = ~np.isnan(values)
    boundaries = np.quantile(values[present].astype(np.float64),
                             np.arange(1, buckets) / buckets)
    self.assertAllEqual(found[~present], [buckets] * (~present).sum())
    self.assertAllEqual(
        found[present],
        np.searchsorted(boundaries.astype(np.float32), values[present],
                        "right"))
    self.assertAllClose(np.bincount(found[present]),
                        [present.sum() / buckets] * buckets, atol=1)

  def test_many_equal_numbers_leave_buckets_empty(self):
    found = _ids("quantile_buckets: 4", np.array([1, 1, 1, 1, 1, 9],
                                                 np.float32))
    self.assertAllEqual(found[:, 0], [3] * 6)

  def test_capacity_keeps_rows_free_before_the_unknown_one(self):
    values = np.array(["b", "z", "", "a"], object)
    self.assertAllEqual(
        _ids("vocabulary: ['a', 'b'] capacity: 5", values)[:, 0], [1, 5, 5, 0])
    self.assertAllEqual(_ids("vocabulary: ['a', 'b']", values)[:, 0],
                        [1, 2, 2, 0])

  @parameterized.named_parameters(
      ("all", "capacity: 9", [1, 0, 9, 9, 2, 0]),
      # Equally frequent ones: the first in the order of their code points.
      ("two", "capacity: 2", [1, 0, 2, 2, 2, 0]),
      ("frequent", "capacity: 9 min_count: 2", [1, 0, 9, 9, 9, 0]),
      ("none", "capacity: 3 min_count: 9", [3, 3, 3, 3, 3, 3]))
  def test_counted_vocabulary(self, rule, expected):
    listed = one_transform.parse(
        "feature { name: 'x' categorical { counted_vocabulary { %s } } }" % rule
    )
    train = np.array(["a", "B", "B", "a", "a", "é", "B", "a", ""], object)
    vocabularies.count(listed[0].categorical, train)
    entries = list(listed[0].categorical.vocabulary)
    names = ", ".join(f"'{entry}'" for entry in entries)
    found = _ids(f"counted_vocabulary {{ {rule} }} vocabulary: [{names}]",
                 np.array(["B", "a", "", "new", "é", "a"], object))
    self.assertAllEqual(found[:, 0], expected)

  def test_hashes_are_those_of_tensorflow(self):
    values = np.array([f"v{i}" for i in range(50)] + [""], object)
    found = _ids("hash_buckets: 7", values)[:, 0]
    self.assertAllEqual(found[:50], _hashed(values[:50], 7))
    self.assertEqual(found[50], 7)


class SeveralCategoriesTest(parameterized.TestCase, tf.test.TestCase):
  _SET = "vocabulary: ['a', 'b', 'c'] values { max_values: 3 }"
  _SEQUENCE = ("vocabulary: ['a', 'b', 'c'] values { max_values: 3 lstm { "
               "units: 1 } }")

  def _assert_ids(self, categorical, rows, expected):
    self.assertAllEqual(_ids(categorical, np.array(rows, object)), expected)

  def test_sets_are_padded(self):
    self._assert_ids(self._SET, [["b"], ["?"], [""]],
                     [[1, -1, -1], [3, -1, -1], [-1, -1, -1]])

  def test_sets_keep_the_first(self):
    self._assert_ids(self._SET, [["c", "b", "a", "b"], ["?", "", "a", "b"]],
                     [[2, 1, 0], [3, -1, 0]])

  def test_sequences_keep_the_last(self):
    self._assert_ids(self._SEQUENCE, [
        ["c", "b", "a", "b", "?"], ["a", "b", "c", "b", ""],
        ["b", "", "", "", ""], ["", "", "", "", ""]],
                     [[0, 1, 3], [1, 2, 1], [1, -1, -1], [-1, -1, -1]])

  def test_what_is_missing_within_a_sequence_is_unknown_in_its_place(self):
    self._assert_ids(self._SEQUENCE, [["a", "", "", "c", ""],
                                      ["", "a", "", "", ""]],
                     [[3, 3, 2], [3, 0, -1]])

  @parameterized.named_parameters(
      ("buckets", "num_buckets: 3", np.array([[2, -1, 7], [-1, -1, -1]]),
       [[2, -1, 3], [-1, -1, -1]]),
      ("intervals", "boundary: [0, 1]",
       np.array([[-5, 1, _NAN], [_NAN, 0, 0.5]], np.float32),
       [[0, 2, -1], [-1, 1, 1]]),
      ("hashes", "hash_buckets: 4", np.array([["p", "", "q"]], object), None))
  def test_every_kind_of_categories(self, domain, values, expected):
    if expected is None:
      hashed = _hashed(["p", "q"], 4)
      expected = [[hashed[0], -1, hashed[1]]]
    self.assertAllEqual(
        _ids(f"{domain} values {{ max_values: 3 }}", values), expected)

  def test_weights(self):
    text = ("feature { name: 'x' categorical { vocabulary: ['a', 'b'] "
            "values { max_values: 3 weight_column: 'w' } } }")
    found = one_transform.run(text, {
        "x": np.array([["a", "?", "", "b"], ["b", "", "a", "a"]], object),
        "x/weights": np.array([[0.5, 2, 9, 9], [_NAN, 7, 3, 4]], np.float32)})
    self.assertAllEqual(found.ids, [[0, 2, -1], [1, -1, 0]])
    self.assertAllEqual(found.numbers, [[0.5, 2, 0], [0, 0, 3]])

  def test_requests_without_any_category(self):
    for categorical in (self._SET, self._SEQUENCE):
      self._assert_ids(categorical, np.zeros([2, 0]), [[-1] * 3] * 2)


class RequestTest(parameterized.TestCase, tf.test.TestCase):
  """What training reads and what a request brings come to the same."""

  @parameterized.product(
      domain=("vocabulary: ['3', '4', '7'] capacity: 5", "hash_buckets: 5",
              "num_buckets: 8", "boundary: [2, 5.5]"),
      reader=("", "gru { units: 1 }", "weight_column: 'w'"),
      longest=(2, 3, 6))
  def test_widths_below_and_above_max_values(self, domain, reader, longest):
    text = (f"feature {{ name: 'x' categorical {{ {domain} values {{ "
            f"max_values: 3 {reader} }} }} }}")
    random = np.random.default_rng(longest)
    rows = [random.integers(0, 10, random.integers(0, longest + 1)).tolist()
            for _ in range(20)] + [[], list(range(longest)), [None, 4]]
    weights = [[value if value is None else float(np.float32(random.random()))
                for value in row] for row in rows]
    table = sources.Table(
        {name: np.array(["|".join("" if value is None else repr(value)
                                  for value in row) for row in columns], object)
         for name, columns in (("x", rows), ("w", weights))},
        [("p", len(rows))])
    read = raw_values.read(one_transform.parse(text), table)
    self.assertEqual(read["x"].shape, (len(rows), 3))
    trained = one_transform.run(text, read)
    for extra in (0, 1, 5):
      request = {"x": self._rectangle(rows, longest + extra, read["x"].dtype)}
      if "w'" in reader:
        request["x/weights"] = self._rectangle(weights, longest, np.float32)
      served = one_transform.run(text, request)
      for found, expected in zip(served, trained):
        self.assertEqual(found.dtype, expected.dtype)
        self.assertAllEqual(found, expected)

  def _rectangle(self, rows, width, dtype):
    """Fills rows up as a client would, no further than it needs."""
    filler = {"O": "", "i": -1, "f": _NAN}[np.dtype(dtype).kind]
    filled = np.full([len(rows), width], filler, dtype)
    for i, row in enumerate(rows):
      filled[i, :len(row)] = [
          filler if value is None else str(value) if filler == "" else value
          for value in row]
    return filled


class CrossTest(parameterized.TestCase, tf.test.TestCase):
  _PAIR = ("feature { name: 'a' categorical { %s } } "
           "feature { name: 'b' categorical { %s } } "
           "feature { name: 'x' cross { feature: ['a', 'b'] hash_buckets: %d } "
           "}")

  def _cross(self, first, second, a, b, buckets=10 ** 6):
    return one_transform.run(
        self._PAIR % (first, second, buckets),
        {"a": np.array(a, object), "b": np.array(b, object)}).ids[:, 2]

  def test_equal_pairs_meet_and_others_mostly_do_not(self):
    pairs = list(itertools.product("abcdefghij", "klmnopqrst"))
    found = self._cross("vocabulary: [%s]" % ", ".join(
        f"'{c}'" for c in "abcdefghij"), "hash_buckets: 3",
                        *zip(*(pairs * 2)))
    self.assertAllEqual(found[:100], found[100:])
    self.assertGreater(len(set(found)), 97)
    self.assertAllInRange(found, 0, 10 ** 6 - 1)

  def test_is_the_hash_of_what_the_members_are(self):
    found = self._cross("vocabulary: ['p', 'q']", "hash_buckets: 3",
                        ["q", "p", "?", ""], ["u", "v", "", "u"], 50)
    self.assertAllEqual(found, _hashed(
        ["1\x1fu", "0\x1fv", "2\x1f", "2\x1fu"], 50))

  def test_buckets_are_all_reached_and_no_other(self):
    pairs = list(itertools.product(map(str, range(20)), repeat=2))
    found = self._cross("hash_buckets: 3", "hash_buckets: 3", *zip(*pairs), 7)
    self.assertEqual(set(found), set(range(7)))
    self.assertGreater(np.bincount(found).min(), 400 / 7 / 2)

  def test_the_order_of_members_matters(self):
    found = self._cross("hash_buckets: 3", "hash_buckets: 3", ["u", "v"],
                        ["v", "u"])
    self.assertNotEqual(found[0], found[1])

  def test_strings_do_not_run_into_each_other(self):
    found = self._cross("hash_buckets: 3", "hash_buckets: 3",
                        ["a", "ab", "", "abc"], ["bc", "c", "abc", ""])
    self.assertLen(set(found), 4)

  def test_hashed_strings_are_told_apart_beyond_their_buckets(self):
    strings = [f"s{i}" for i in range(30)]
    found = self._cross("hash_buckets: 1", "vocabulary: 'k'", strings,
                        ["k"] * 30)
    self.assertLen(set(found), 30)

  def test_unknown_members_are_one_category(self):
    found = self._cross("vocabulary: 'p'", "vocabulary: 'k'",
                        ["?", "!", "", "p"], ["k", "k", "k", "k"])
    self.assertLen(set(found[:3]), 1)
    self.assertNotEqual(found[0], found[3])

  def test_numbers_and_intervals_as_members(self):
    text = ("feature { name: 'a' categorical { num_buckets: 3 } use: CROSS_ONLY"
            " } feature { name: 'b' categorical { boundary: [0, 1] } use: "
            "CROSS_ONLY } feature { name: 'x' cross { feature: ['b', 'a'] "
            "hash_buckets: 99 } }")
    found = one_transform.run(text, {
        "a": np.array([2, -1, 9]), "b": np.array([0.5, -3, _NAN], np.float32)})
    # A member's id is what counts, the unknown one included.
    self.assertAllEqual(found.ids[:, 2],
                        _hashed(["1\x1f2", "0\x1f3", "3\x1f3"], 99))
    self.assertAllEqual(found.ids[:, :2], [[2, 1], [3, 0], [3, 3]])

  def test_three_members(self):
    text = "".join("feature { name: '%s' categorical { hash_buckets: 4 } } " % n
                   for n in "abc")
    found = one_transform.run(
        text + "feature { name: 'x' cross { feature: ['c', 'a', 'b'] "
        "hash_buckets: 99 } }",
        {n: np.array([n.upper()], object) for n in "abc"})
    self.assertAllEqual(found.ids[:, 3], _hashed(["C\x1fA\x1fB"], 99))


if __name__ == "__main__":
  absltest.main()
