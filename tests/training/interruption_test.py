"""Tests of noting signals instead of dying of them."""

import os
import resource
import signal
import threading

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph.training import interruption


class InterruptionTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._taken = []
    for number in (signal.SIGINT, signal.SIGTERM):
      self.addCleanup(signal.signal, number, signal.signal(
          number, lambda n, frame: self._taken.append(n)))

  @parameterized.parameters(signal.SIGINT, signal.SIGTERM)
  def test_notes_the_first_and_lets_the_second_act(self, number):
    with interruption.Interruption() as noted:
      self.assertFalse(noted.requested())
      os.kill(os.getpid(), number)
      self.assertTrue(noted.requested())
      self.assertEqual(noted.signal, number)
      self.assertEmpty(self._taken)
      os.kill(os.getpid(), number)
      self.assertEqual(self._taken, [number])

  @parameterized.parameters(signal.SIGINT, signal.SIGTERM)
  def test_handlers_are_put_back(self, number):
    with interruption.Interruption():
      pass
    os.kill(os.getpid(), number)
    self.assertEqual(self._taken, [number])

  def test_handlers_are_put_back_after_an_error(self):
    with self.assertRaises(ValueError):
      with interruption.Interruption() as noted:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError
    self.assertEqual(noted.signal, signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    self.assertEqual(self._taken, [signal.SIGTERM])

  def test_the_signal_has_a_name(self):
    with interruption.Interruption() as noted:
      os.kill(os.getpid(), signal.SIGTERM)
    self.assertEqual(noted.signal.name, "SIGTERM")

  def test_other_threads_hear_of_it_however_many_files_are_open(self):
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, 1200), most))
    self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (least, most))
    for _ in range(1024):  # Of which `select.select` takes no more.
      self.addCleanup(os.close, os.open(os.devnull, os.O_RDONLY))
    with interruption.Interruption() as noted:
      self.assertFalse(noted.noted())
      os.kill(os.getpid(), signal.SIGTERM)
      self.assertTrue(noted.noted())

  def test_in_another_thread_it_notes_nothing(self):
    seen = []
    def run():
      with interruption.Interruption() as noted:
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append(noted.requested())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    self.assertEqual((seen, self._taken), ([False], [signal.SIGTERM]))


if __name__ == "__main__":
  absltest.main()
