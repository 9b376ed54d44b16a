"""Tests of what a sparse gradient holds for each row."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.ops import row_sums

_ROWS = {
    "none": [], "one": [0], "each_once": [4, 0, 2], "one_row": [3, 3, 3],
    "some": [7, 0, 7, 2, 0, 7, 1], "large": [2 ** 31 - 1, 5, 2 ** 31 - 1],
}


class RowSumsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(name=tuple(_ROWS), dtype=(np.int32, np.int64),
                         inner=((), (3,), (2, 3)), known=(True, False))
  def test_matches_formula(self, name, dtype, inner, known):
    rows = np.array(_ROWS[name], dtype)
    slices = np.random.RandomState(0).randn(len(rows), *inner).astype(
        np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
      length = [len(rows)] if known else [None]
      feed = {tf.placeholder(dtype, length): rows,
              tf.placeholder(tf.float32, [*length, *inner]): slices}
      output = row_sums.row_sums(*feed)
      found = session.run(output, feed)
    self.assertAllEqual(found.rows, np.sort(rows))
    self.assertAllEqual(
        found.first, [row not in np.sort(rows)[:i]
                      for i, row in enumerate(np.sort(rows))])
    self.assertEqual(found.sums.shape, slices.shape)
    for row, value in zip(found.rows, found.sums):
      self.assertAllClose(
          value, slices[rows == row].astype(np.float64).sum(axis=0), rtol=1e-6,
          atol=1e-6)

  @parameterized.product(name=tuple(_ROWS), dtype=(np.int32, np.int64))
  def test_equal_under_xla(self, name, dtype):
    rows = np.array(_ROWS[name], dtype)
    # Whole numbers, whose sums do not depend on the order.
    slices = np.arange(2 * len(rows), dtype=np.float32).reshape(-1, 2)
    with tf.Graph().as_default(), tf.Session() as session:
      feed = {tf.placeholder(dtype, [len(rows)]): rows,
              tf.placeholder(tf.float32, [len(rows), 2]): slices}
      compiled = tf2.function(row_sums.row_sums, jit_compile=True,
                              autograph=False)
      plain, xla = session.run([row_sums.row_sums(*feed), compiled(*feed)],
                               feed)
    for one, other in zip(plain, xla):
      self.assertAllEqual(one, other)

  def test_duplicates_are_added_in_their_order(self):
    # In 32 bits, (1e8 + 1) - 1e8 + 1 is 1, and (1e8 - 1e8) + 1 + 1 is 2.
    with tf.Graph().as_default(), tf.Session() as session:
      output = row_sums.row_sums(tf.constant([5] * 4),
                                 tf.constant([1e8, 1.0, -1e8, 1.0]))
      self.assertAllEqual(session.run(output.sums), np.ones(4))

  def test_bad_shape_names_the_argument(self):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, "^row_sums: `rows` must have shape"):
      row_sums.row_sums(tf.zeros([2, 2], tf.int32), tf.zeros([2]))


if __name__ == "__main__":
  absltest.main()
