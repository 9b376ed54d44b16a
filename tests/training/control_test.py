"""Tests of what processes tell each other, on one server of this process."""

import threading
import time

from absl.testing import absltest
import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph.training import control as control_lib
from tests.training import loopback


class ControlTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    own, killed = loopback.free_addresses(2)
    # Nobody is at the worker's address.
    cls._cluster = cluster_lib.Cluster(
        {"chief": {0: own}, "worker": {0: killed}}, "chief", 0)
    # Not of the cluster, whose other process it would wait for.
    cls._server = tf.train.Server({"chief": [own]}, job_name="chief",
                                  task_index=0)
    cls._control = control_lib.Control(
        cls._server.target, cls._cluster.device, cls._cluster.device,
        [cls._cluster.device])
    cls.addClassCleanup(cls._control.close)

  def setUp(self):
    super().setUp()
    # Who is waited for to the end is waited for too long.
    self.enterContext(absltest.mock.patch.object(
        control_lib, "_STRAGGLERS", 1e9))
    self.enterContext(absltest.mock.patch.object(control_lib, "_AWAY", 0.1))

  def _ends(self, function, *args):
    ended = threading.Event()
    threading.Thread(target=lambda: function(*args) or ended.set(),
                     daemon=True).start()
    self.assertTrue(ended.wait(60))

  def test_a_beginning_has_a_number_above_earlier_ones(self):
    later = int(time.time()) + 1000  # As another machine's clock has it.
    self._control.announce((later << 31) + control_lib.UNDER_WAY)
    number = self._control.new_generation()
    self.assertEqual(number, (later + 1) << 31)
    for ended in (control_lib.ENDED, 0):
      self._control.announce(ended)
      self.assertBetween(self._control.new_generation(), 1 << 31, later << 31)

  def test_nobody_waits_for_a_worker_that_was_killed(self):
    self._control.say_active(1, True)
    self._ends(self._control.wait_for_active, self._cluster)
    self._control.leave(0)
    self._ends(control_lib.wait_for_all, self._server.target, self._cluster)


if __name__ == "__main__":
  absltest.main()
