"""Tests of keeping a run's folder to one process."""

import os
import signal
import subprocess
import sys
import tempfile

from absl.testing import absltest

from mtl_graph.training import model_dir

_HOLD = """
import sys, time
from mtl_graph.training import model_dir
with model_dir.lock(sys.argv[1]):
  print("locked", flush=True)
  time.sleep(60)
"""
_TRY = """
import sys
from mtl_graph.training import model_dir
try:
  with model_dir.lock(sys.argv[1]):
    print("locked")
except model_dir.ModelDirError as error:
  print(error)
"""


class LockTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _start(self, script, folder):
    path = os.pathsep.join(os.path.abspath(p or ".") for p in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", script, folder], stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": path})
    self.addCleanup(process.stdout.close)
    self.addCleanup(process.wait)
    self.addCleanup(process.kill)
    return process

  def _try(self):
    return self._start(_TRY, self._folder).stdout.read().strip()

  def test_makes_the_folder(self):
    folder = os.path.join(self._folder, "runs", "small")
    with model_dir.lock(folder):
      self.assertTrue(os.path.isdir(folder))

  def test_keeps_another_process_out(self):
    with model_dir.lock(self._folder):
      self.assertEqual(
          self._try(), f"{self._folder}: process {os.getpid()} is training "
          "here; allowed: one run per --model_dir")
    self.assertEqual(self._try(), "locked")

  def test_a_killed_process_leaves_nothing_to_clean_up(self):
    process = self._start(_HOLD, self._folder)
    self.assertEqual(process.stdout.readline(), "locked\n")
    with self.assertRaisesRegex(model_dir.ModelDirError,
                                f"process {process.pid} is training here"):
      with model_dir.lock(self._folder):
        self.fail("locked twice")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with model_dir.lock(self._folder):
      self.assertStartsWith(self._try(), f"{self._folder}: process")

  def test_keeps_another_run_of_the_same_process_out(self):
    with model_dir.lock(self._folder):
      with self.assertRaises(model_dir.ModelDirError):
        with model_dir.lock(self._folder):
          self.fail("locked twice")
      # The attempt has taken nothing away.
      self.assertIn("is training here", self._try())

  def test_an_error_inside_lets_go(self):
    with self.assertRaisesRegex(ValueError, "inside"):
      with model_dir.lock(self._folder):
        raise ValueError("inside")
    with model_dir.lock(self._folder):
      self.assertNotEqual(self._try(), "locked")

  def test_a_file_in_the_way(self):
    path = os.path.join(self._folder, "file")
    with open(path, "wb"):
      pass
    for folder in (path, os.path.join(path, "run")):
      with self.assertRaisesRegex(model_dir.ModelDirError,
                                  f"^{folder}: cannot be written to: "):
        with model_dir.lock(folder):
          self.fail("locked a file")

  def test_a_folder_tensorflow_takes_for_a_pattern_is_refused(self):
    # It saves there, but would find nothing to go on from.
    for name in ("a*", "lr[0.1]", "b?"):
      with self.assertRaises(model_dir.ModelDirError):
        with model_dir.lock(os.path.join(self._folder, name)):
          self.fail(f"locked {name}")


if __name__ == "__main__":
  absltest.main()
