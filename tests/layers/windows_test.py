"""Tests of the check of windows."""

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow.compat.v1 as tf

from mtl_graph.layers import windows


class CheckTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("fits", [None, 5, 4, 3], (5, 4), "VALID"),
      ("unknown_size", [None, None, None, 3], (5, 4), "VALID"),
      ("wider_than_the_image", [None, 2, 2, 1], (5, 4), "SAME"))
  def test_accepts_and_adds_no_op(self, shape, size, padding):
    with tf.Graph().as_default() as graph:
      images = tf.placeholder(tf.float32, shape)
      windows.check(images, size, padding, "conv")
      self.assertLen(graph.get_operations(), 1)

  @parameterized.named_parameters(
      ("vector", [None, 3], "SAME", r"`inputs` must have shape \[any, any, any,"
       r" C\] with C known, found \(None, 3\)"),
      ("depth", [None, 5, 5, None], "SAME", r"C\] with C known, found "
       r"\(None, 5, 5, None\)"),
      ("rank", None, "SAME", r"C\] with C known, found <unknown>"),
      ("padding", [None, 5, 5, 1], "FULL",
       "`padding` must be SAME or VALID, found FULL"),
      ("lower_case", [None, 5, 5, 1], "same", "`padding` .* found same"),
      ("height", [None, 2, 9, 1], "VALID", "`inputs` must have at least 3 x 4 "
       r"pixels, the window, found \(None, 2, 9, 1\)"),
      ("width", [None, None, 3, 1], "VALID", "at least 3 x 4 pixels, the "
       r"window, found \(None, None, 3, 1\)"))
  def test_refuses(self, shape, padding, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^conv: .*{message}.$"):
      windows.check(tf.placeholder(tf.float32, shape), (3, 4), padding, "conv")


class CheckImagesTest(parameterized.TestCase):

  def test_accepts(self):
    with tf.Graph().as_default() as graph:
      windows.check_images(tf.placeholder(tf.float32, [None, None, 4, 3]), "p")
      self.assertLen(graph.get_operations(), 1)

  @parameterized.parameters(([3, 4, 1],), ([3, 4, 1, None],), (None,))
  def test_refuses(self, shape):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"^p: `inputs` must have shape \[any, any, any, C\] with C "
        "known, found"):
      windows.check_images(tf.placeholder(tf.float32, shape), "p")


if __name__ == "__main__":
  absltest.main()
