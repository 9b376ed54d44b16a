"""Runs every broken experiment, data file, run and export.

Each must end in its exit code, with lines that say where, what was found and
what is allowed, without a traceback, and with every checkpoint as it was.
"""

import contextlib
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings

from absl.testing import absltest
from absl.testing import parameterized

from tests import broken_chains
from tests import broken_clusters
from tests import broken_experiments
from tests import broken_features
from tests import broken_files
from tests import broken_functions
from tests import broken_independent
from tests import broken_labels
from tests import broken_layers
from tests import broken_losses
from tests import broken_optimizers
from tests import broken_publishing
from tests import broken_records
from tests import broken_selection
from tests import broken_serving
from tests import broken_sharing
from tests import broken_sources
from tests import broken_tables
from tests import broken_texts
from tests import broken_training
from tests import image_experiment
from tests import independent_experiment
from tests import sharing_experiment
from tests import small_experiment
from tests import sources_experiment
from tests import wide_experiment

_EXPERIMENTS = (
    broken_texts.CASES + broken_experiments.CASES + broken_features.CASES
    + broken_labels.CASES + broken_layers.CASES + broken_optimizers.CASES
    + broken_selection.CASES + broken_sources.CASES + broken_training.CASES
    + broken_sharing.CASES + broken_chains.CASES + broken_independent.CASES
    + broken_clusters.CASES + broken_losses.CASES + broken_functions.CASES
    + broken_publishing.CASES + broken_serving.CASES)
_DATA_FILES = (
    broken_files.DATA_FILES + broken_records.CASES + broken_sources.DATA_FILES
    + broken_tables.CASES)
_CASES = _EXPERIMENTS + _DATA_FILES + broken_files.RUNS + broken_files.EXPORTS
_BASES = {"small": small_experiment, "wide": wide_experiment,
          "image": image_experiment, "sources": sources_experiment,
          "sharing": sharing_experiment, "independent": independent_experiment}
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MOST_LINES = 10
# What only those who write the engine should ever read.
_INTERNAL = re.compile(r"Traceback|\.py\b|_pb2|mtl_graph\.[a-z]|site-packages|"
                       r"tensorflow\.python|google\.protobuf|object at 0x")


def _launch(command):
  """Runs a launcher in this process, in the working directory."""
  module = importlib.import_module(f"mtl_graph.{command[0]}")
  stdout, stderr = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
    code = module.main(command)
  return code, stdout.getvalue(), stderr.getvalue()


def _launch_process(command):
  """Runs a launcher as a user does."""
  process = subprocess.run(
      [sys.executable, "-m", f"mtl_graph.{command[0]}", *command[1:]],
      env={**os.environ, "PYTHONPATH": os.pathsep.join([_ROOT, *sys.path])},
      capture_output=True, text=True, check=False)
  return process.returncode, process.stdout, process.stderr


def _files(folder):
  """Returns the contents of all files of a run, but the lock."""
  contents = {}
  for path, _, names in os.walk(folder):
    for name in set(names) - {"lock"}:
      with open(os.path.join(path, name), "rb") as file:
        contents[os.path.join(path, name)] = file.read()
  return contents


class BrokenExperimentsTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._before = os.getcwd()
    cls._folder = tempfile.mkdtemp()
    os.chdir(cls._folder)
    small_experiment.write(".", small_experiment.TEXT)
    code, _, errors = _launch([
        "train", "--config=small.pbtxt", "--model_dir=run",
        "--set=training.num_steps=2", "--set=serving={}"])
    if code:
      raise RuntimeError(f"the sound experiment ends in {code}: {errors}")

  @classmethod
  def tearDownClass(cls):
    os.chdir(cls._before)
    shutil.rmtree(cls._folder)
    super().tearDownClass()

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    shutil.copytree(os.path.join(self._folder, "run"),
                    os.path.join(folder, "run"))
    self.addCleanup(os.chdir, self._folder)
    self.addCleanup(broken_files.release_locks)
    os.chdir(folder)

  @parameterized.named_parameters((case.name, case) for case in _CASES)
  def test_ends_in_clear_lines(self, case):
    base = _BASES[case.base]
    base.write(".", small_experiment.edited(base.TEXT, case.edits))
    for prepare in case.prepare:
      prepare()
    files = _files("run")
    launch = _launch_process if case.process else _launch
    with warnings.catch_warnings(record=True) as noise:
      warnings.simplefilter("always", RuntimeWarning)
      code, output, errors = launch(small_experiment.command(case))
    self.assertEqual(code, case.code, errors)
    for pattern in case.expect:
      self.assertRegex(errors, re.compile(pattern, re.MULTILINE))
    for line in errors.splitlines():
      self.assertRegex(line, r"^\S.*\S", errors)
      self.assertTrue(
          not case.whole or any(re.search(p, line) for p in case.expect),
          f"not expected: {line}")
    self.assertLessEqual(errors.count("\n"), _MOST_LINES, errors)
    self.assertNotRegex(output + errors, _INTERNAL)
    self.assertEmpty([w for w in noise if w.category is RuntimeWarning])
    found = _files("run")
    if "--allow_changes" in case.flags:
      found["run/experiment.pbtxt"] = files["run/experiment.pbtxt"]
    self.assertEqual(found, files)

  def test_sound_experiment_goes_on(self):
    small_experiment.write(".", small_experiment.TEXT)
    code, output, errors = _launch(small_experiment.command(
        small_experiment.Case("sound", ())))
    self.assertEqual((code, errors), (0, ""))
    self.assertIn("going on from step 2", output)

  @parameterized.parameters(*_BASES)
  def test_sound_experiment_is_accepted(self, name):
    _BASES[name].write(".", _BASES[name].TEXT)
    code, output, errors = _launch([
        "train", f"--config={name}.pbtxt", "--dry_run"])
    self.assertEqual((code, errors), (0, ""))
    self.assertRegex(output, r"\d+ variables")

  def test_a_problem_is_a_line(self):
    small_experiment.write(".", small_experiment.TEXT)
    case, = [c for c in _CASES if c.name == "six_problems_at_once"]
    _, _, errors = _launch(small_experiment.command(case))
    self.assertLen(errors.splitlines(), 6, errors)

  def test_second_call_forgets_the_flags_of_the_first(self):
    small_experiment.write(".", small_experiment.TEXT)
    command = ["train", "--config=small.pbtxt", "--set=seed=-1"]
    first, second = _launch(command), _launch(command)
    self.assertEqual(first, second)
    self.assertEqual(_launch(["train", "--set=seed=-1"])[2],
                     "--config: found nothing; required\n")

  def test_there_are_enough(self):
    names = [case.name for case in _CASES]
    self.assertLen(set(names), len(names))
    self.assertGreaterEqual(len(_EXPERIMENTS), 700)
    self.assertGreaterEqual(len(_DATA_FILES), 170)
    self.assertGreaterEqual(
        sum(case.launcher != "train" for case in _CASES), 25)
    self.assertGreaterEqual(sum(case.process for case in _CASES), 20)


if __name__ == "__main__":
  absltest.main()
