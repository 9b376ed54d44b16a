"""Tests of how programs import TensorFlow."""

import gc
import importlib.util
import os
import subprocess
import sys
from unittest import mock

from absl.testing import absltest

from mtl_graph import importing

_START = """
import gc, os, sys
from mtl_graph import importing
importing.start_tensorflow()
print("tensorflow" in sys.modules, "keras" in sys.modules,
      "TF_USE_LEGACY_KERAS" in os.environ, gc.isenabled(),
      gc.get_freeze_count() > 100_000)
"""


class StartTensorflowTest(absltest.TestCase):

  def test_it_comes_without_keras_and_without_a_word(self):
    path = os.pathsep.join(os.path.abspath(p or ".") for p in sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    done = subprocess.run([sys.executable, "-c", _START], env=environment,
                          capture_output=True, text=True, check=False)
    self.assertEqual((done.returncode, done.stdout, done.stderr),
                     (0, "True False False True True\n", ""))

  def test_keras_is_left_out_while_tensorflow_is_imported(self):
    with mock.patch.dict(os.environ), mock.patch.object(
        importlib.util, "find_spec", return_value=None):
      os.environ.pop("TF_USE_LEGACY_KERAS", None)
      with importing._without_keras():
        self.assertEqual(os.environ["TF_USE_LEGACY_KERAS"], "1")
      self.assertNotIn("TF_USE_LEGACY_KERAS", os.environ)

  def test_where_the_older_keras_is_installed_nothing_is_changed(self):
    with mock.patch.dict(os.environ), mock.patch.object(
        importlib.util, "find_spec", return_value=object()):
      os.environ.pop("TF_USE_LEGACY_KERAS", None)
      with importing._without_keras():
        self.assertNotIn("TF_USE_LEGACY_KERAS", os.environ)

  def test_what_the_environment_says_stays(self):
    with mock.patch.dict(os.environ, {"TF_USE_LEGACY_KERAS": "0"}):
      with importing._without_keras():
        self.assertEqual(os.environ["TF_USE_LEGACY_KERAS"], "0")
      self.assertEqual(os.environ["TF_USE_LEGACY_KERAS"], "0")

  def test_garbage_of_whoever_has_tensorflow_already_is_collected(self):
    frozen = gc.get_freeze_count()
    importing.start_tensorflow()
    self.assertEqual((gc.isenabled(), gc.get_freeze_count()), (True, frozen))


if __name__ == "__main__":
  absltest.main()
