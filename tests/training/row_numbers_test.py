"""Tests of computing which rows batches hold outside the training graph."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.data import mixing
from mtl_graph.training import row_numbers

_PARTS = [slice(0, 300), slice(400, 1000)]


class RowNumbersTest(parameterized.TestCase):

  @parameterized.parameters(0, 280)
  def test_are_those_of_the_training_graph(self, shuffle_buffer):
    rows_of = row_numbers.build(_PARTS, 16, 5, shuffle_buffer)
    with tf.Graph().as_default(), tf.Session() as session:
      expected = session.run([batches.rows_of_parts(
          tf.constant(number, tf.int64), _PARTS, 16, 5, 1, shuffle_buffer)
                              for number in range(7, 10)])
    np.testing.assert_array_equal(rows_of(7, 3), np.concatenate(expected))
    np.testing.assert_array_equal(rows_of(8, 1), expected[1])

  def test_of_a_plan(self):
    plan = mixing.Plan(np.array([0, 1, 1], np.int32),
                       np.array([0, 0, 1], np.int32))
    found = row_numbers.build(_PARTS, 16, 5, plan=plan)(0, 3).reshape(3, 16)
    for rows, source in zip(found, plan.source):
      part = _PARTS[source]
      self.assertTrue(((rows >= part.start) & (rows < part.stop)).all())


if __name__ == "__main__":
  absltest.main()
