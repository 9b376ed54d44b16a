"""Tests of going on: to the bit as if never stopped, or refused."""

import functools
import os
import re
import shutil
import signal
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import checkpoints
from mtl_graph.training import interruption
from mtl_graph.training import loop

_TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE } }
  feature { name: "c" categorical { num_buckets: 4 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk {
    layer { dense { units: 4 activation: TANH } }
    layer { dropout { rate: 0.25 } }
  } }
  task { name: "a" binary {} }
  task { name: "b" regression {}
         tower { layer { dense { units: 3 activation: RELU } } }
         estimate { task: "a" form: PROBABILITY } }
}
training {
  num_steps: 40
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { exponential_decay {
    initial: 0.05 decay_steps: 10 decay_rate: 0.7 } } } }
  checkpoint { every_steps: 10 keep: 2 }
  # On a busy machine AUTO may find XLA faster in one run and not in another.
  execution { mode: LOOP }
  summaries { enabled: false }
}
evaluation {
  every_steps: 4
  best { metric: "b/rmse" goal: MINIMIZE }
  early_stopping { metric: "a/loss" goal: MINIMIZE patience: 30 }
}
"""
_THIRD = ("model.task=[{ name: 'new' multiclass { num_classes: 3 } label "
          "{ column: 'c3' } }, { name: 'a' binary {} }, { name: 'b' regression "
          "{} tower { layer { dense { units: 3 activation: RELU } } } estimate "
          "{ task: 'a' form: PROBABILITY } }]")


def _rows(seed, count):
  random = np.random.default_rng(seed)
  x = random.normal(size=count)
  return {
      "x": x, "c": random.integers(0, 4, count),
      "c3": random.integers(0, 3, count),
      # Some batches hold no label of a task.
      "a": np.where(random.random(count) < 0.8, np.nan, x > 0),
      "b": np.where(random.random(count) < 0.3, np.nan, 2 * x + 1),
  }


_ARRAYS = {"train": _rows(0, 30), "validation": _rows(1, 20)}


class _Crash(Exception):
  """What the tests stop a run by."""


def _train(folder, *overrides, arrays=None, log=lambda line: None,
           allow_changes=False):
  experiment = config.parse(_TEXT)
  for assignment in overrides:
    config.override(experiment, assignment)
  arrays = _ARRAYS if arrays is None else arrays
  validation.check(experiment, arrays)
  return loop.train(experiment, folder, arrays, allow_changes, log=log)


def _crash_at(step):
  """Returns a log that raises at the line of a step."""
  def log(line):
    if line.startswith(f"step {step}/"):
      raise _Crash
  return log


def _terminate_at(start):
  """Returns a log that sends SIGTERM to this process at a line."""
  def log(line):
    if line.startswith(start):
      os.kill(os.getpid(), signal.SIGTERM)
  return log


def _values(path):
  """Returns every variable of a checkpoint, as bytes, by name."""
  reader = tf.train.load_checkpoint(path)
  return {name: np.asarray(reader.get_tensor(name)).tobytes()
          for name in reader.get_variable_to_shape_map()}


# The run that was never stopped, trained once per process; none writes to it.
_WHOLE = tempfile.TemporaryDirectory()


@functools.lru_cache(maxsize=None)
def _uninterrupted():
  """Returns its result, and the values it has come to."""
  return _train(_WHOLE.name), _values(checkpoints.latest(_WHOLE.name))


class ResumeTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._whole = _WHOLE.name
    cls._result, cls._expected = _uninterrupted()

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._lines = []

  def _train(self, *overrides, **kwargs):
    self._lines = []
    return _train(self._folder, *overrides,
                  **{"log": self._lines.append, **kwargs})

  def _check_equal(self):
    found = _values(checkpoints.latest(self._folder))
    self.assertEqual([name for name in self._expected.keys() | found.keys()
                      if self._expected.get(name) != found.get(name)], [])
    best = [sorted(name for name in os.listdir(os.path.join(folder, "best"))
                   if name.endswith(".index"))
            for folder in (self._whole, self._folder)]
    self.assertEqual(best[0], best[1])


class BitsTest(ResumeTest):

  def test_the_run_is_one_worth_the_comparison(self):
    self.assertContainsSubset(
        ["global_step", "run_state", "log_variance/a", "head/a/kernel",
         "optimizer/a/beta1_power", "optimizer/b/tower/b/dense/kernel/Adam_1",
         "statistics/x/stddev"], self._expected)
    self.assertLess(float(np.frombuffer(
        self._expected["optimizer/b/beta1_power"], np.float32)[0]), 1)
    # Group "a" was left alone in the batches without its labels.
    self.assertNotEqual(self._expected["optimizer/a/beta1_power"],
                        self._expected["optimizer/b/beta1_power"])

  def test_a_second_run_is_equal(self):
    self._train()
    self._check_equal()

  def test_terminated_again_and_again(self):
    # The first, one between, one with a checkpoint, the last but one.
    for step in (1, 9, 30, 39):
      with self.assertRaisesRegex(
          interruption.Interrupted, f"^stopped by SIGTERM at step {step}; saved in "
          f"{self._folder}; run the same command to go on$") as caught:
        self._train("training.log_every_steps=1",
                    log=_terminate_at(f"step {step}/"))
      self.assertEqual(caught.exception.signal, signal.SIGTERM)
      self.assertEndsWith(checkpoints.newest(self._folder), f"-{step}")
    result = self._train()
    self.assertIn("going on from step 39", self._lines)
    self._check_equal()
    self.assertEqual(result.metrics, self._result.metrics)

  def test_terminated_before_the_first_step(self):
    with self.assertRaisesRegex(interruption.Interrupted, "at step 0; saved"):
      self._train(log=_terminate_at("rows: "))
    self._train()
    self._check_equal()

  def test_crashed_again_and_again(self):
    for step, saved in ((8, None), (10, None), (25, 20), (30, 20)):
      with self.assertRaises(_Crash):
        self._train("training.log_every_steps=5", log=_crash_at(step))
      path = checkpoints.latest(self._folder)
      self.assertEqual(path and int(path.rpartition("-")[2]), saved)
    self._train()
    self._check_equal()

  def test_raised_number_of_steps(self):
    self._train("training.num_steps=28")
    self._train()
    self._check_equal()

  def test_moved_folder_and_lost_checkpoint_file(self):
    with self.assertRaises(_Crash):
      self._train(log=_crash_at(24))
    os.remove(os.path.join(self._folder, "checkpoint"))
    self._train()
    self._check_equal()

  def test_a_checkpoint_half_written_before_the_crash_is_no_harm(self):
    with self.assertRaises(_Crash):
      self._train(log=_crash_at(24))
    # Killed in a save: what is not named yet counts for nothing.
    for ending in (".index", ".data-00000-of-00001"):
      with open(os.path.join(self._folder, "model.ckpt-30" + ending),
                "wb") as file:
        file.write(b"half")
    self._train()
    self._check_equal()

  def test_handlers_of_signals_are_put_back(self):
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    with self.assertRaises(interruption.Interrupted):
      self._train(log=_terminate_at("rows: "))
    self.assertEqual([signal.getsignal(s) for s in
                      (signal.SIGINT, signal.SIGTERM)], before)


class ChangesTest(ResumeTest):

  def setUp(self):
    super().setUp()
    shutil.rmtree(self._folder)
    shutil.copytree(self._whole, self._folder)
    self.addCleanup(os.makedirs, self._folder, exist_ok=True)

  def test_a_changed_experiment_is_refused_field_by_field(self):
    with self.assertRaises(config.ConfigErrors) as caught:
      self._train("data.batch_size=9", "model.task[name=b].label.scale=2",
                  "training.num_steps=50")
    lines = str(caught.exception).split("\n")
    self.assertLen(lines, 2)
    self.assertRegex(lines[0], "^data.batch_size: 8 -> 9 since .*allowed: .*"
                     "another --model_dir, or --allow_changes$")
    self.assertRegex(lines[1], r"^model.task\[1\].label.scale: 1.0 -> 2.0 ")
    self._check_equal()

  def test_changed_rows_are_refused(self):
    train = {**_ARRAYS["train"], "x": _ARRAYS["train"]["x"].copy()}
    train["x"][7] += 1e-3
    with self.assertRaisesRegex(config.ConfigErrors, "^data.train: the rows"):
      self._train("training.num_steps=50", arrays={**_ARRAYS, "train": train})
    # Other validation rows are not: they train nothing.
    result = self._train("training.num_steps=50", arrays={
        **_ARRAYS, "validation": _rows(5, 9)})
    self.assertEqual(result.step, 50)

  def test_changed_rows_are_allowed_if_asked_for(self):
    arrays = {**_ARRAYS, "train": _rows(9, 40)}
    result = self._train("training.num_steps=50", arrays=arrays,
                         allow_changes=True)
    self.assertEqual(result.step, 50)
    self.assertIn("going on from step 40", self._lines)
    # From here on these are the rows.
    self.assertEqual(self._train("training.num_steps=60", arrays=arrays).step,
                     60)

  def test_allowed_changes_restore_what_fits(self):
    # Stopped before its first step, the run leaves all as it was.
    with self.assertRaises(interruption.Interrupted):
      self._train("training.num_steps=50", _THIRD, allow_changes=True,
                  log=lambda line: (self._lines.append(line),
                                    _terminate_at("rows: ")(line)))
    self.assertRegex(self._lines[0],
                     r"^restored .*model.ckpt-40 under a changed experiment; "
                     r"\d+ variables start anew: .*head/new/kernel")
    self.assertEndsWith(checkpoints.latest(self._folder), "-40")
    found = _values(checkpoints.latest(self._folder))
    for name, value in self._expected.items():
      if name != "run_state":
        self.assertEqual(found[name], value, name)
    result = self._train("training.num_steps=50", _THIRD, allow_changes=True)
    self.assertEqual(result.step, 50)
    self.assertIn("new", result.metrics["validation"])

  def test_averages_added_later_start_where_the_variables_are(self):
    # A step of no length leaves the variables where they are.
    self._train("training.num_steps=41", "training.moving_average.decay=0.9",
                "training.default_optimizer.adam.learning_rate={ constant: 0 }",
                allow_changes=True)
    found = _values(checkpoints.latest(self._folder))
    suffix = "/ExponentialMovingAverage"
    averaged = [name for name in found if name.endswith(suffix)]
    self.assertLen(averaged, 9)
    for name in averaged:
      self.assertEqual(found[name], self._expected[name[:-len(suffix)]], name)

  def test_a_crash_after_allowed_changes_does_not_bar_the_way(self):
    with self.assertRaises(_Crash):
      self._train("training.num_steps=60", _THIRD, allow_changes=True,
                  log=_crash_at(44))
    result = self._train("training.num_steps=60", _THIRD, allow_changes=True)
    self.assertEqual(result.step, 60)

  def test_after_allowed_changes_no_old_best_is_chosen(self):
    self._train("training.num_steps=50", _THIRD, "evaluation={}",
                allow_changes=True)
    self.assertEqual(checkpoints.choose(self._folder, ""),
                     checkpoints.latest(self._folder))

  def test_old_checkpoints_still_go_after_allowed_changes(self):
    self._train("training.num_steps=60", "data.batch_size=4",
                allow_changes=True)
    kept = sorted(name for name in os.listdir(self._folder)
                  if name.endswith(".index"))
    self.assertEqual(kept, ["model.ckpt-50.index", "model.ckpt-60.index"])

  def test_a_damaged_checkpoint_is_refused(self):
    path = checkpoints.latest(self._folder)
    with open(path + ".data-00000-of-00001", "r+b") as file:
      file.truncate(10)
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "model.ckpt-40: the checkpoint cannot"):
      self._train("training.num_steps=50")

  def test_starting_anew_beside_remains_is_said(self):
    for folder, _, names in os.walk(self._folder):
      for name in names:
        if name.endswith(".index"):
          os.remove(os.path.join(folder, name))
    self._train("training.num_steps=50")
    self.assertLen([line for line in self._lines if re.search(
        "^warning: .* none that is whole; starting at step 0$", line)], 1)


class AddedTaskTest(ResumeTest):

  def _initial(self, *overrides):
    """Returns the values of variables and slots before the first step."""
    with self.assertRaises(interruption.Interrupted):
      self._train(*overrides, log=_terminate_at("rows: "))
    values = _values(checkpoints.latest(self._folder))
    shutil.rmtree(self._folder)
    os.makedirs(self._folder)
    return values

  @parameterized.named_parameters(
      ("task", _THIRD),
      ("feature", "data.feature=[{ name: 'c3' categorical { num_buckets: 3 "
       "embedding_dimension: 2 } }, { name: 'x' numeric { normalization: "
       "Z_SCORE } }, { name: 'c' categorical { num_buckets: 4 "
       "embedding_dimension: 2 } }]"))
  def test_leaves_every_other_initial_value_to_the_bit(self, addition):
    before, after = self._initial(), self._initial(addition)
    added = after.keys() - before.keys()
    self.assertNotEmpty(added)
    self.assertEmpty(before.keys() - after.keys())
    # What reads the addition is wider than before.
    differing = [name for name in before if before[name] != after[name]
                 and len(before[name]) == len(after[name])]
    self.assertEmpty(set(differing) - {"run_state"})
    self.assertIn("optimizer/b/head/b/kernel/Adam", before)


if __name__ == "__main__":
  absltest.main()
