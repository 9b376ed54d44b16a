"""Tests of what a step moves: the rows of its batch, not the table."""

import os
import shutil
import tempfile
import unittest

from absl.testing import absltest
import tensorflow.compat.v1 as tf

from mtl_graph import cluster
from mtl_graph.training import servers
from tests.training import loopback
from tools import measure_cluster_bytes

_DIMENSION = 16
# Of a row and its number, each way.
_ROW_BYTES = 4 * _DIMENSION + 4


@unittest.skipUnless(shutil.which("ss"), "There is no ss here.")
class MeasureClusterBytesTest(absltest.TestCase):

  def test_bytes_go_by_the_batch(self):
    def measure(rows, batch_size):
      # Servers of their own: variables outlive a run.
      addresses = loopback.free_addresses(3)
      jobs = {"worker": {0: addresses[0]}, "ps": dict(enumerate(addresses[1:]))}
      started = {(job, index): servers.start(
          cluster.Cluster(jobs, job, index), tf.ConfigProto())
                 for job, some in jobs.items() for index in some}
      folder = self.enter_context(tempfile.TemporaryDirectory())
      path = measure_cluster_bytes.write(
          folder, rows, _DIMENSION, batch_size,
          ["training.cluster.min_bytes_per_part=4096"])
      return measure_cluster_bytes.measure(
          path, os.path.join(folder, "run"), jobs, 20, started["worker", 0])

    small, large = measure(10_000, 64), measure(200_000, 64)
    more = measure(200_000, 512)
    for ours, theirs, longer in zip(small, large, more):
      self.assertAlmostEqual(theirs / ours, 1, delta=0.1)
      rows = (longer - theirs) / (512 - 64)
      self.assertBetween(rows / _ROW_BYTES, 0.9, 2.5)


if __name__ == "__main__":
  absltest.main()
