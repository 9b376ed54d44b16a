"""Tests of a process's part in a cluster of two on loopback."""

import threading
import time

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import labels
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import training_pb2
from mtl_graph.training import agreement
from mtl_graph.training import control as control_lib
from mtl_graph.training import interruption as interruption_lib
from mtl_graph.training import membership
from mtl_graph.training import waiting
from mtl_graph.training import watching
from tests.training import loopback


class MembershipTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._servers = loopback.Loopback(1)

  def setUp(self):
    super().setUp()
    self._interruption = absltest.mock.create_autospec(
        interruption_lib.Interruption, instance=True)
    self._interruption.noted.return_value = False
    self._interruption.requested.return_value = False

  def _member(self, strategy, index, **more):
    for name, value in dict(_LOOK=0.02, **more).items():
      self.enterContext(absltest.mock.patch.object(watching, name, value))
    training = training_pb2.Training()
    getattr(training.cluster, strategy).SetInParent()
    member = membership.Member(
        cluster_lib.Cluster(self._servers.jobs, "worker", index), training,
        self._interruption, lambda line: None, self._servers.server(index))
    self.addCleanup(member.close, ended=False)
    return member

  def _worker(self, generation):
    """Returns an asynchronous worker that has begun with the chief."""
    member = self._member("asynchronous", 1, _LAST_STEP=0.1)
    basis = agreement.basis(experiment_pb2.Experiment(), labels.Labels(
        *[np.ones([1, 1])] * len(labels.Labels._fields)))
    member.control.announce_basis(basis)
    member.control.announce(generation)
    member.follow(basis)
    return member

  def test_who_is_to_stop_lets_a_step_end_that_is_slow_as_others_were(self):
    member = self._member("synchronous", 0, _GRACE=0.05)
    with tf.Graph().as_default() as graph, tf.device(member.cluster.device):
      step = tf.py_func(lambda: time.sleep(0.4) or 1.0, [], tf.float64)
    session = member.open_session(graph, training_pb2.Execution())
    for asked in (False, True):
      self._interruption.noted.return_value = asked
      with member.with_others(step=True):
        self.assertEqual(session.run(step), 1)

  def test_a_worker_stays_until_its_last_step_is_saved(self):
    member = self._worker(2)
    self.enterContext(absltest.mock.patch.object(membership, "_PAUSE", 0))
    for then in (control_lib.ENDED, 4):
      with absltest.mock.patch.object(
          member.control, "read", side_effect=[
              2, control_lib.SETTLING, None, control_lib.SETTLING, then]) as read:
        if then == control_lib.ENDED:
          member.stay()
        else:  # A chief that was killed before it had saved needs all again.
          with self.assertRaisesRegex(membership.Lost, "^worker 1: lost the "
                                      "cluster: the chief has begun anew$"):
            member.stay()
      self.assertEqual(read.call_count, 5)

  def test_nobody_makes_a_step_of_another_beginning(self):
    member = self._worker(2)
    with member.making_steps():
      self.assertFalse(member.told)
    member.control.announce(4)
    with member.making_steps():
      self.assertTrue(member.told)

  def test_a_step_for_a_chief_that_has_begun_anew_is_cut_short(self):
    member = self._worker(2)
    with tf.Graph().as_default() as graph, tf.device(member.cluster.device):
      never = tf.FIFOQueue(1, [tf.int64], [[]]).dequeue()
    session = member.open_session(graph, training_pb2.Execution())
    member.control.announce(4)
    with self.assertRaises(tf.errors.CancelledError) as caught:
      with member.with_others():
        session.run(never)
    meant = member.explain(caught.exception)
    self.assertIsInstance(meant, membership.Lost)
    self.assertEndsWith(str(meant), ": the chief has begun anew")

  def test_who_gives_up_on_a_server_that_never_came_ends(self):
    own, nobody = loopback.free_addresses(2)
    training, found = training_pb2.Training(), []
    training.cluster.wait_seconds = 1

    def give_up():
      try:
        with membership.taking_part(
            cluster_lib.Cluster({"chief": {0: own}, "ps": {0: nobody}}, "chief",
                                0), training, self._interruption,
            lambda line: None) as member:
          member.open_session(tf.Graph(), training_pb2.Execution())
      except waiting.ClusterError as error:
        found.append(str(error))

    thread = threading.Thread(target=give_up, daemon=True)
    thread.start()
    thread.join(60)
    self.assertLen(found, 1)
    self.assertStartsWith(found[0], f"ps 0 at {nobody}: found no answer for ")

  def test_a_last_step_may_end_though_the_chief_has_told_the_end(self):
    for most, closed in ((60, False), (0.1, True)):
      self.enterContext(absltest.mock.patch.multiple(
          watching, _LOOK=0.02, _LAST_STEP=most))
      control = absltest.mock.create_autospec(control_lib.Control, instance=True)
      control.read.return_value = control_lib.ENDED
      session = absltest.mock.create_autospec(tf.Session, instance=True)
      message = training_pb2.Training().cluster
      message.synchronous.SetInParent()
      watch = watching.Watch(
          cluster_lib.Cluster(self._servers.jobs, "worker", 1), message, control,
          self._interruption, lambda line: None)
      watch.generation = 2
      watch.start(session)
      with watch.with_others():
        time.sleep(0.5)
      watch.stop()
      watch.join()
      self.assertEqual(watch.why, watching.ENDED if closed else None)
      self.assertEqual(session.close.called, closed)

  def test_what_goes_wrong_as_it_looks_is_raised_by_whoever_waits(self):
    member = self._worker(2)
    with tf.Graph().as_default() as graph, tf.device(member.cluster.device):
      never = tf.FIFOQueue(1, [tf.int64], [[]]).dequeue()
    session = member.open_session(graph, training_pb2.Execution())
    wrong = OSError("no more files")
    with absltest.mock.patch.object(member.control, "read", side_effect=wrong):
      with self.assertRaises(tf.errors.CancelledError) as caught:
        with member.with_others():
          session.run(never)
    self.assertIs(member.explain(caught.exception), wrong)

  def test_a_damaged_checkpoint_is_no_lost_process(self):
    member = self._member("asynchronous", 0)
    for cause, meant in (
        (tf.errors.OutOfRangeError, checkpoints.CheckpointError),
        (tf.errors.NotFoundError, checkpoints.CheckpointError),
        (tf.errors.UnavailableError, membership.Lost)):
      error = checkpoints.CheckpointError("run/model.ckpt-5: is short")
      error.__cause__ = cause(None, None, "is short")
      found = member.explain(error)
      self.assertIsInstance(found, meant)
      self.assertFalse(getattr(found, "after_steps", False))


if __name__ == "__main__":
  absltest.main()
