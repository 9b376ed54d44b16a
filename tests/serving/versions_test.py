"""Tests of the folder of versions: numbers, renames, what is left behind."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph.serving import versions

_FILES = {"saved_model.pb": 20_000, "variables/variables.index": 3000,
          "variables/variables.data-00000-of-00001": 400_000,
          "assets.extra/experiment.pbtxt": 900}
# Publishes for ever, file by file, and keeps two versions.
_ENDLESS = """
import os, sys
from mtl_graph.serving import versions
folder, sizes = sys.argv[1], eval(sys.argv[2])
print("ready", flush=True)
while True:
  with versions.writing(folder) as aside:
    for name, size in sizes.items():
      path = os.path.join(aside, name)
      os.makedirs(os.path.dirname(path), exist_ok=True)
      with open(path, "wb") as file:
        for _ in range(10):
          file.write(b"x" * (size // 10))
          file.flush()
    versions.publish(aside, folder)
  versions.remove_old(folder, 2)
"""


class VersionsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = self.enter_context(tempfile.TemporaryDirectory())

  def _version(self, name, *files):
    path = os.path.join(self._dir, name)
    os.makedirs(path)
    for file in files:
      os.makedirs(os.path.dirname(os.path.join(path, file)), exist_ok=True)
      with open(os.path.join(path, file), "wb"):
        pass
    return path

  def _publish(self, step=None):
    with versions.writing(self._dir) as aside:
      with open(os.path.join(aside, "saved_model.pb"), "wb") as file:
        file.write(b"model")
      return versions.publish(aside, self._dir, step)

  @parameterized.parameters(
      ("1", 1), ("00000123", 123), ("0", 0), (str(2 ** 63 - 1), 2 ** 63 - 1),
      (str(2 ** 63), None), ("-1", None), ("1a", None), ("", None),
      ("writing-1", None), ("٣", None), ("1.5", None))
  def test_numbers(self, name, expected):
    self.assertEqual(versions.number_of(name), expected)

  def test_steps_are_numbers(self):
    self.assertEqual(self._publish(100), os.path.join(self._dir, "100"))
    self.assertEqual(self._publish(250), os.path.join(self._dir, "250"))

  @parameterized.parameters("123", "00000123")
  def test_a_number_that_is_taken_is_refused(self, name):
    taken = self._version(name)
    with self.assertRaisesRegex(versions.VersionError, f"^{taken}: exists; "):
      self._publish(123)
    self.assertEqual(os.listdir(self._dir), [name])
    self.assertEmpty(os.listdir(taken))

  def test_a_step_no_server_would_take_up_is_refused(self):
    self._version("200")
    with self.assertRaisesRegex(versions.VersionError,
                                "found step 100 below version 200"):
      self._publish(100)

  def test_time_goes_above_all_numbers(self):
    self._version("00005000")
    with mock.patch.object(versions.time, "time", return_value=1000.7):
      self.assertEqual(self._publish(), os.path.join(self._dir, "5001"))
    with mock.patch.object(versions.time, "time", return_value=7000.7):
      self.assertEqual(self._publish(), os.path.join(self._dir, "7000"))

  def test_the_newest_holds_a_model(self):
    self.assertIsNone(versions.newest(self._dir))
    path = self._version("9", "saved_model.pb")
    self._version("10")
    self.assertEqual(versions.newest(self._dir), path)
    self.assertIsNone(versions.newest(os.path.join(self._dir, "none")))

  def test_old_ones_of_ours_are_removed(self):
    for name in ("1", "2", "00000003", "20"):
      self._version(name, "saved_model.pb", "assets.extra/experiment.pbtxt")
    self._version("4", "saved_model.pb")  # Another's.
    self._version("notes")
    self.assertEmpty(versions.remove_old(self._dir, 0))
    self.assertEqual(versions.remove_old(self._dir, 2), [
        os.path.join(self._dir, name) for name in ("1", "2")])
    self.assertCountEqual(os.listdir(self._dir),
                          ["00000003", "20", "4", "notes"])

  def test_remains_go_but_not_what_is_being_written(self):
    with versions.writing(self._dir) as one:
      for name in ("writing-left", "removing-7", "other"):
        self._version(name, "variables/half")
      with versions.writing(self._dir) as two:
        self.assertCountEqual(
            os.listdir(self._dir),
            [os.path.basename(one), os.path.basename(two), "other"])
    self.assertEqual(os.listdir(self._dir), ["other"])

  def test_a_link_among_the_remains_is_left_alone(self):
    outside = self.enter_context(tempfile.TemporaryDirectory())
    os.symlink(outside, os.path.join(self._dir, "writing-link"))
    self._publish(1)
    self.assertTrue(os.path.isdir(outside))

  def test_without_locks_numbers_are_still_given(self):
    self._version("writing-left")
    with mock.patch.object(versions.fcntl, "flock",
                           side_effect=OSError(37, "No locks available")):
      self.assertEqual(self._publish(3), os.path.join(self._dir, "3"))
    self.assertCountEqual(os.listdir(self._dir), ["3", "writing-left"])

  def test_killed_at_any_moment_nothing_is_half_written(self):
    moments = random.Random(3)
    for _ in range(12):
      process = subprocess.Popen(
          [sys.executable, "-c", _ENDLESS, self._dir, repr(_FILES)],
          stdout=subprocess.PIPE,
          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
      process.stdout.readline()
      time.sleep(moments.uniform(0, 0.05))
      process.send_signal(signal.SIGKILL)
      process.communicate()
      for path in versions.numbered(self._dir).values():
        sizes = {os.path.relpath(os.path.join(folder, name), path):
                 os.path.getsize(os.path.join(folder, name))
                 for folder, _, names in os.walk(path) for name in names}
        self.assertEqual(sizes, _FILES, path)
    self.assertNotEmpty(versions.numbered(self._dir))
    self._publish()
    self.assertEmpty([name for name in os.listdir(self._dir)
                      if versions.number_of(name) is None])


if __name__ == "__main__":
  absltest.main()
