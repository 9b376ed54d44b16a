"""Tests of keeping a run's folder to one process."""

import os
import signal
import subprocess
import sys
import tempfile

from absl.testing import absltest
import tensorflow.compat.v1 as tf

from mtl_graph.training import model_dir

_HOLD = """
import sys, time
from mtl_graph.training import model_dir
with model_dir.lock(sys.argv[1]):
  print("locked", flush=True)
  time.sleep(60)
"""

class LockTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _start(self):
    """Starts another process that locks the folder."""
    path = os.pathsep.join(os.path.abspath(p or ".") for p in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, self._folder], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
        # Without Keras, which TensorFlow would import along.
        env={**os.environ, "PYTHONPATH": path, "TF_USE_LEGACY_KERAS": "1"})
    self.addCleanup(process.stdout.close)
    self.addCleanup(process.wait)
    self.addCleanup(process.kill)
    return process

  def _check_locked(self, pid):
    with self.assertRaisesRegex(
        model_dir.ModelDirError, f"^{self._folder}: process {pid} is training "
        "here; allowed: one run per --model_dir$"):
      with model_dir.lock(self._folder):
        self.fail("locked twice")

  def test_makes_the_folder(self):
    folder = os.path.join(self._folder, "runs", "small")
    with model_dir.lock(folder):
      self.assertTrue(os.path.isdir(folder))

  def test_keeps_another_process_out(self):
    with model_dir.lock(self._folder):
      output = self._start().stdout.read()
    self.assertEndsWith(
        output, f"ModelDirError: {self._folder}: process {os.getpid()} is "
        "training here; allowed: one run per --model_dir\n")

  def test_a_killed_process_leaves_nothing_to_clean_up(self):
    process = self._start()
    for line in process.stdout:
      if line == "locked\n":
        break
    self._check_locked(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with model_dir.lock(self._folder):
      self._check_locked(os.getpid())

  def test_keeps_another_run_of_the_same_process_out(self):
    with model_dir.lock(self._folder):
      self._check_locked(os.getpid())
      # The attempt has taken nothing away.
      self._check_locked(os.getpid())

  def test_an_error_inside_lets_go(self):
    with self.assertRaisesRegex(ValueError, "inside"):
      with model_dir.lock(self._folder):
        raise ValueError("inside")
    with model_dir.lock(self._folder):
      self._check_locked(os.getpid())

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


class WritingTest(absltest.TestCase):

  def test_what_goes_wrong_is_one_line(self):
    for error in (OSError(28, "No space left on device"),
                  tf.errors.ResourceExhaustedError(
                      None, None, "No space left on device\nmore")):
      with self.assertRaisesRegex(
          model_dir.ModelDirError,
          "^runs/small: cannot be written to: .*No space left on device; "
          "allowed: a folder of your own") as caught:
        with model_dir.writing("runs/small"):
          raise error
      self.assertNotIn("\n", str(caught.exception))

  def test_other_errors_pass_through(self):
    with self.assertRaisesRegex(KeyError, "inside"):
      with model_dir.writing("runs/small"):
        raise KeyError("inside")


if __name__ == "__main__":
  absltest.main()
