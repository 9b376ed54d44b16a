"""Tests of hard parameter sharing."""

from absl.testing import absltest
from google.protobuf import text_format
import tensorflow.compat.v1 as tf

from mtl_graph.model import stacks
from mtl_graph.model.sharing import hard_sharing
from mtl_graph.protos import model_pb2


def _build(text, inputs):
  return hard_sharing.build(
      text_format.Parse(text, model_pb2.HardSharing()), inputs, ["a", "b"],
      stacks.Mode(1, None, frozenset(), []))


class HardSharingTest(tf.test.TestCase):

  def test_every_task_reads_one_trunk(self):
    with tf.Graph().as_default():
      outputs = _build("trunk { layer { dense { units: 4 } } }",
                       tf.zeros([2, 3]))
      self.assertEqual(list(outputs), ["a", "b"])
      self.assertIs(outputs["a"], outputs["b"])
      self.assertEqual(outputs["a"].shape.as_list(), [2, 4])
      self.assertEqual([v.op.name for v in tf.trainable_variables()],
                       ["trunk/dense/kernel", "trunk/dense/bias"])

  def test_empty_trunk_shares_the_features(self):
    with tf.Graph().as_default():
      inputs = tf.zeros([2, 3])
      self.assertIs(_build("", inputs)["a"], inputs)
      self.assertEmpty(tf.trainable_variables())


if __name__ == "__main__":
  absltest.main()
