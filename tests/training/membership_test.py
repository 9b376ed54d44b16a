"""Tests of a process's part in a cluster of two on loopback."""

import time

from absl.testing import absltest
import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph.protos import training_pb2
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import membership
from tests.training import loopback


class MembershipTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._servers = loopback.Loopback(1)

  def _member(self, interruption, **more):
    for name, value in dict(_LOOK=0.02, **more).items():
      self.enterContext(absltest.mock.patch.object(membership, name, value))
    training = training_pb2.Training()
    training.cluster.synchronous.SetInParent()
    return membership.Member(
        cluster_lib.Cluster(self._servers.jobs, "worker", 0), training,
        interruption, lambda line: None, self._servers.chief())

  def test_who_is_to_stop_lets_a_step_end_that_is_slow_as_others_were(self):
    interruption = absltest.mock.create_autospec(
        interruption_lib.Interruption, instance=True)
    interruption.noted.return_value = interruption.requested.return_value = (
        False)
    member = self._member(interruption, _GRACE=0.05)
    with tf.Graph().as_default() as graph, tf.device(member.cluster.device):
      step = tf.py_func(lambda: time.sleep(0.4) or 1.0, [], tf.float64)
    session = member.open_session(graph, training_pb2.Execution())
    for asked in (False, True):
      interruption.noted.return_value = asked
      with member.with_others(step=True):
        self.assertEqual(session.run(step), 1)
    member.close(ended=False)


if __name__ == "__main__":
  absltest.main()
