"""Tests of the check of static shapes."""

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


if __name__ == "__main__":
  absltest.main()
