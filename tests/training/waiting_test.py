"""Tests of waiting for processes that do not answer."""

import os
import socket
import tempfile

from absl.testing import absltest

from mtl_graph import config
from mtl_graph.training import interruption
from mtl_graph.training import outcome
from mtl_graph.training import waiting
from tests import small_experiment
from tests.training import loopback


class WaitingTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._server = self.enterContext(socket.create_server(("127.0.0.1", 0)))
    self._there = f"127.0.0.1:{self._server.getsockname()[1]}"
    self._nobody = loopback.free_addresses(1)[0]

  def test_who_is_away_for_too_long_is_named_with_its_address(self):
    absence = waiting.Absence({"/job:worker/task:1": self._there,
                               "/job:worker/task:2": self._nobody}, -1)
    self.assertEqual(
        absence.look(), f"worker 2 at {self._nobody}: found no answer for 0 s; "
        "allowed: a process that runs there, or a longer "
        "training.cluster.wait_seconds")

  def test_one_who_is_there_or_dispensable_is_not(self):
    there = waiting.Absence({"/job:worker/task:1": self._there}, -1)
    self.assertIsNone(there.look())
    self.assertEqual(there.seconds(), 0)
    self.assertIsNone(waiting.Absence({
        "/job:worker/task:1": self._nobody}, -1, dispensable=1).look())

  def test_waiting_ends_with_the_run_or_after_a_time(self):
    noted = interruption.Interruption()
    addresses = {"/job:ps/task:0": self._nobody}
    waiting.wait_for({"/job:ps/task:0": self._there}, -1, print, noted)
    with self.assertRaises(waiting.Ended):
      waiting.wait_for(addresses, 99, print, noted, lambda: True)
    with self.assertRaisesRegex(waiting.ClusterError,
                                f"^ps 0 at {self._nobody}: found no answer"):
      waiting.wait_for(addresses, -1, print, noted)

  def test_a_run_is_over_until_it_is_started_again_or_is_to_be_longer(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    experiment = config.parse(small_experiment.TEXT)
    self.assertFalse(outcome.is_over(folder, experiment))
    started = os.path.join(folder, "experiment.pbtxt")
    config.write(experiment, started)
    outcome.write(folder, {}, outcome.Result(4, "", {}, None))
    self.assertTrue(outcome.is_over(folder, experiment))
    longer = config.parse(small_experiment.TEXT)
    config.override(longer, "training.num_steps=5")
    self.assertFalse(outcome.is_over(folder, longer))
    finished = os.path.getmtime(os.path.join(folder, "finished.json"))
    os.utime(started, (finished + 1, finished + 1))
    self.assertFalse(outcome.is_over(folder, experiment))


if __name__ == "__main__":
  absltest.main()
