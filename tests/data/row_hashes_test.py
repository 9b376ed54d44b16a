"""Tests of the hashes of rows."""

import hashlib
import json
import struct

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import lists
from mtl_graph.data import row_hashes


def _blake2b(content):
  return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(),
                        "little")


def _framed(content):
  return struct.pack("<Q", len(content)) + content


class RowHashesTest(parameterized.TestCase):

  def test_texts(self):
    hashes = row_hashes.of_texts([("a", "ü"), ["", "x,y"]])
    self.assertEqual(hashes.dtype, np.uint64)
    # Another Python, another machine: these must never change.
    self.assertEqual(hashes.tolist(), [_blake2b(b'["a", "\\u00fc"]'),
                                       _blake2b(b'["", "x,y"]')])

  def test_fields_do_not_run_into_one_another(self):
    hashes = row_hashes.of_texts([("a", "bc"), ("ab", "c"), ("abc", ""),
                                  ('a", "bc',)])
    self.assertLen(set(hashes.tolist()), 4)

  def test_columns(self):
    hashes = row_hashes.of_columns({
        "b": np.array([1, 2], np.int16), "a": np.array(["x", "ü"]),
        "c": np.array([[0.5, 1], [2, 3]], np.float32)})
    self.assertEqual(hashes.tolist(), [
        _blake2b(_framed(json.dumps([text]).encode())
                 + _framed(struct.pack("<d", number))
                 + _framed(struct.pack("<2d", *pair)))
        for text, number, pair in (("x", 1, (0.5, 1)), ("ü", 2, (2, 3)))])

  @parameterized.named_parameters(
      ("types", np.array([5, 0], np.int8), np.array([5.0, -0.0])),
      ("byte_order", np.array([1, 2], ">i4"), np.array([1, 2], "<i8")),
      ("nan", np.array([np.nan, 1]), -np.array([np.nan, -1])),
      ("width_of_text", np.array(["a", "b"]), np.array(["a", "b"], "U20")),
      ("objects", np.array(["a", ""]), np.array(["a", None], object)),
  )
  def test_equal_rows_are_equal(self, one, other):
    self.assertEqual(row_hashes.of_columns({"a": one}).tolist(),
                     row_hashes.of_columns({"a": other}).tolist())

  def test_lists_and_their_columns_agree(self):
    values = lists.Lists(np.array([1, 2, 3]), np.array([2, 0, 1]))
    self.assertEqual(
        row_hashes.of_columns({"a": values}).tolist(),
        row_hashes.of_columns({"a": lists.column(values)}).tolist())

  def test_lists_do_not_run_into_one_another(self):
    one = row_hashes.of_columns({"a": lists.Lists(np.arange(3.0),
                                                  np.array([1])),
                                 "b": lists.Lists(np.arange(1.0, 3),
                                                  np.array([2]))})
    other = row_hashes.of_columns({"a": lists.Lists(np.arange(2.0),
                                                    np.array([2])),
                                   "b": lists.Lists(np.array([2.0]),
                                                    np.array([1]))})
    self.assertNotEqual(one.tolist(), other.tolist())

  def test_rows_beyond_a_block(self):
    values = np.arange(10000) % 7
    hashes = row_hashes.of_columns({"a": values})
    self.assertLen(set(hashes.tolist()), 7)
    np.testing.assert_array_equal(hashes, hashes[:7][values])

  def test_fractions_stay_below_one(self):
    fractions = row_hashes.fractions(
        np.array([0, 2 ** 63, 2 ** 64 - 1], np.uint64))
    self.assertEqual(fractions.tolist(), [0, 0.5, 1 - 2.0 ** -53])

  def test_fractions_are_even(self):
    fractions = row_hashes.fractions(row_hashes.of_texts(
        [(str(i),) for i in range(20000)]))
    counts, _ = np.histogram(fractions, 10, (0, 1))
    # Chi squared with 9 degrees of freedom: above 33.7 once in 10000.
    self.assertLess(((counts - 2000) ** 2 / 2000).sum(), 33.7)


if __name__ == "__main__":
  absltest.main()
