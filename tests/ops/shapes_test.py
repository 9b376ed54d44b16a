"""Tests of the checks of static shapes."""

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes


class CheckTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("equal", [2, 3], [2, 3]),
      ("scalar", [], []),
      ("any_size_fits", [2, 3], [None, 3]),
      ("unknown_batch_size_fits", [None, 3], [7, 3]),
      ("unknown_batch_size_fits_any", [None], [None]),
      ("unknown_rank_fits", None, [2, 3]),
      ("empty", [0], [None]),
  )
  def test_accepts(self, found, expected):
    with tf.Graph().as_default():
      tensor = tf.placeholder(tf.float32, found)
      found = shapes.check(tensor, expected, "labels", "huber")
      self.assertEqual(found, list(expected) if tensor.shape.rank is None
                       else tensor.shape.as_list())

  @parameterized.named_parameters(
      ("size", [2], [3], r"shape \[3\], found \(2,\)"),
      ("rank", [2, 1], [2], r"shape \[2\], found \(2, 1\)"),
      ("scalar_wanted", [1], [], r"shape \[\], found \(1,\)"),
      ("scalar_found", [], [None], r"shape \[any\], found \(\)"),
      ("one_of_two", [None, 4], [None, 3],
       r"shape \[any, 3\], found \(None, 4\)"),
  )
  def test_refusal_names_op_argument_found_and_allowed(
      self, found, expected, message):
    with tf.Graph().as_default():
      tensor = tf.placeholder(tf.float32, found)
      with self.assertRaisesRegex(
          ValueError, f"^huber: `labels` must have {message}.$"):
        shapes.check(tensor, expected, "labels", "huber")

  def test_adds_no_op(self):
    with tf.Graph().as_default() as graph:
      tensor = tf.placeholder(tf.float32, [2])
      before = len(graph.get_operations())
      shapes.check(tensor, [None], "labels", "huber")
      self.assertLen(graph.get_operations(), before)


class CheckAlikeTest(parameterized.TestCase):

  @parameterized.parameters(
      ([[2, 3]], [2, 3]),
      ([[2, 3], [2, 3]], [2, 3]),
      ([[None, 3], [2, None], [2, 3]], [2, 3]),
      ([None, [None, 3]], [None, 3]),
      ([[], []], []))
  def test_returns_what_all_tell_together(self, found, expected):
    with tf.Graph().as_default():
      self.assertEqual(expected, shapes.check_alike(
          [tf.placeholder(tf.float32, s) for s in found], "columns", "sluice"))

  @parameterized.parameters(
      ([], 1, 0, "`columns` must hold 1 tensors or more, found 0"),
      ([[2]], 2, 0, "`columns` must hold 2 tensors or more, found 1"),
      ([[2, 3], [2]], 1, 0,
       r"`columns\[1\]` must have shape \[2, 3\], found \(2,\)"),
      ([None, [None, 3], [4, 3], [5, 3]], 1, 0,
       r"`columns\[3\]` must have shape \[4, 3\], found \(5, 3\)"),
      ([[2], [2]], 1, 2,
       r"`columns` must have a known rank of 2 or more, found \(2,\)"),
      ([None, None], 1, 0,
       "`columns` must have a known rank of 0 or more, found <unknown>"))
  def test_refuses(self, found, least, least_rank, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^sluice: {message}.$"):
      shapes.check_alike([tf.placeholder(tf.float32, s) for s in found],
                         "columns", "sluice", least, least_rank)


class CheckSplitTest(parameterized.TestCase):

  @parameterized.parameters((6, 1, 6), (6, 3, 2), (6, 6, 1))
  def test_returns_the_size_of_a_part(self, size, parts, expected):
    self.assertEqual(shapes.check_split(size, parts, "kernel", "op"), expected)

  @parameterized.parameters((6, 4), (6, 0), (6, -2), (None, 2), (3, 6))
  def test_refuses(self, size, parts):
    with self.assertRaisesRegex(
        ValueError, "^op: the last dimension of `kernel` must be a known "
        f"multiple of the number of parts, found {size} and {parts} parts.$"):
      shapes.check_split(size, parts, "kernel", "op")


if __name__ == "__main__":
  absltest.main()
