"""Tests of what a cache is made of; training/rows_test.py has the whole."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph.data import cache
from mtl_graph.protos import experiment_pb2


class IdTypeTest(parameterized.TestCase):

  @parameterized.parameters(
      ("numeric {}", np.uint8),
      ("categorical { num_buckets: 255 }", np.uint8),
      ("categorical { num_buckets: 256 }", np.uint16),
      ("categorical { hash_buckets: 65536 }", np.int32),
      ("cross { hash_buckets: 256 }", np.uint8),
      ("categorical { num_buckets: 127 values {} }", np.int8),
      ("categorical { num_buckets: 129 values {} }", np.int16),
      ("categorical { num_buckets: 40000 values {} }", np.int32))
  def test_holds_every_id(self, feature, expected):
    self.assertEqual(cache.id_type(text_format.Parse(
        f"data {{ feature {{ {feature} }} }}", experiment_pb2.Experiment())),
                     expected)


if __name__ == "__main__":
  absltest.main()
