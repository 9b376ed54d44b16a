"""Tests of what a run writes for TensorBoard."""

import glob
import math
import os
import re
import tempfile
import time

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.training import loop

_TEXT = """
name: "small" seed: 3
data { batch_size: 8 feature { name: "x" numeric {} } }
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} }
  task { name: "b" regression {} }
  task { name: "k" multiclass { num_classes: 3 } }
}
training {
  num_steps: 6
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { exponential_decay {
    initial: 0.5 decay_steps: 1 decay_rate: 0.5 } } } }
  log_every_steps: 2
  summaries { gradient_cosine: true }
}
evaluation { every_steps: 4 }
"""


def _rows(seed, count):
  random = np.random.default_rng(seed)
  x = random.normal(size=count)
  return {"x": x, "a": (x > 0).astype(int), "b": 2 * x,
          "k": random.integers(0, 3, count)}


_ARRAYS = {"train": _rows(0, 30), "validation": _rows(1, 20)}
_EVERY_TIME = frozenset(
    [f"{kind}/{task}" for kind in ("loss", "task_weight", "log_variance")
     for task in ("a", "b", "k")]
    + [f"{kind}/{group}" for kind in ("learning_rate", "gradient_norm")
       for group in ("shared", "a", "b", "k")]
    + ["gradient_cosine/a/b", "gradient_cosine/a/k", "gradient_cosine/b/k"]
    + ["loss/total", "throughput/examples_per_second"])
_EVALUATED = frozenset(
    [f"metric/a/{name}" for name in (
        "loss", "auc", "pr_auc", "log_loss", "accuracy", "precision", "recall",
        "f1", "calibration")]
    + [f"metric/b/{name}" for name in ("loss", "rmse", "mae", "r2",
                                       "normalized_mse")]
    + [f"metric/k/{name}" for name in ("loss", "log_loss", "accuracy", "f1")])


def _train(folder, *overrides, **kwargs):
  experiment = config.parse(_TEXT)
  for assignment in overrides:
    config.override(experiment, assignment)
  validation.check(experiment, _ARRAYS)
  return loop.train(experiment, folder, _ARRAYS,
                    **{"log": lambda line: None, **kwargs})


def _events(folder):
  return [event for path in sorted(glob.glob(
      os.path.join(folder, "summaries", "*")))
          for event in tf.train.summary_iterator(path)]


def _scalars(folder):
  """Returns the scalars of each step, a dict by tag, by step."""
  return {event.step: {value.tag: value.simple_value
                       for value in event.summary.value}
          for event in _events(folder) if event.HasField("summary")}


class SummariesTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._lines = []
    cls._result = _train(cls._folder, log=cls._lines.append)
    cls._found = _scalars(cls._folder)

  def test_every_line_of_the_log_has_all_tags(self):
    self.assertEqual(
        {step: set(values) for step, values in self._found.items()},
        {2: _EVERY_TIME, 4: _EVERY_TIME | _EVALUATED,
         6: _EVERY_TIME | _EVALUATED})

  def test_values_are_those_of_the_log(self):
    line, = [l for l in self._lines if l.startswith("step 6/")]
    shown = dict(re.findall(r"(\w+) (-?\d+\.\d+)", line.split(" | ")[1]))
    self.assertEqual(list(shown), ["a", "b", "k", "total"])
    for name, value in shown.items():
      self.assertAlmostEqual(self._found[6][f"loss/{name}"], float(value),
                             places=3)
    for task, shown in (("a", "auc"), ("b", "rmse"), ("k", "accuracy")):
      self.assertAlmostEqual(self._found[6][f"metric/{task}/{shown}"],
                             self._result.metrics["validation"][task][shown],
                             places=5)

  def test_values_obey_their_formulas(self):
    for step, values in self._found.items():
      # The rate of the interval's last step, which found `step - 1`.
      self.assertAlmostEqual(values["learning_rate/shared"],
                             0.5 * 0.5 ** (step - 1), places=6)
      self.assertGreater(values["gradient_norm/b"], 0)
      for pair in ("a/b", "a/k", "b/k"):
        self.assertBetween(values[f"gradient_cosine/{pair}"], -1, 1)
    reader = tf.train.load_checkpoint(self._result.checkpoint)
    for task in ("a", "b", "k"):
      self.assertAlmostEqual(self._found[6][f"log_variance/{task}"],
                             reader.get_tensor(f"log_variance/{task}"))
    self.assertGreater(self._found[6]["throughput/examples_per_second"], 0)

  def test_a_sum_learns_no_log_variance_and_needs_no_cosines(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    _train(folder, "training.joint.loss={ sum {} }", "training.summaries={}",
           "training.num_steps=2")
    found = _scalars(folder)[2]
    self.assertEqual(set(found), {
        tag for tag in _EVERY_TIME | _EVALUATED
        if not tag.startswith(("log_variance/", "gradient_cosine/"))})
    self.assertEqual(found["task_weight/a"], 1)

  def test_a_frozen_group_has_neither_rate_nor_norm(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    _train(folder, "training.num_steps=2", "training.group=[{ name: 'still' "
           "scope: 'trunk' frozen: true }, { name: 'heads' scope: 'head' "
           "scope: 'log_variance' }]")
    tags = _scalars(folder)[2]
    self.assertContainsSubset(["learning_rate/heads", "gradient_norm/heads"],
                              tags)
    self.assertFalse([tag for tag in tags if "still" in tag])

  def test_none_where_they_are_turned_off(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    _train(folder, "training.summaries.enabled=false")
    self.assertFalse(os.path.exists(os.path.join(folder, "summaries")))

  def test_cosines_change_no_variable(self):
    def kernel(*overrides):
      with tempfile.TemporaryDirectory() as folder:
        result = _train(folder, *overrides)
        return tf.train.load_variable(result.checkpoint,
                                      "trunk/dense/kernel").tobytes()
    self.assertEqual(kernel(), kernel("training.summaries.enabled=false"))

  def test_a_task_without_labels_in_an_interval_has_no_loss(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    train = {**_ARRAYS["train"], "a": np.where(np.arange(30) == 3, 1, np.nan)}
    experiment = config.parse(_TEXT)
    config.override(experiment, "data.batch_size=1")
    loop.train(experiment, folder, {"train": train}, log=lambda line: None)
    losses = [values["loss/a"] for values in _scalars(folder).values()]
    self.assertTrue(any(math.isnan(loss) for loss in losses))

  def test_going_on_drops_only_what_came_after_the_checkpoint(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())

    class Crash(Exception):
      pass

    def log(line):
      if line.startswith("step 12/"):
        raise Crash
    longer = ("training.num_steps=16", "training.checkpoint.every_steps=4")
    with self.assertRaises(Crash):
      _train(folder, *longer, log=log)
    time.sleep(1.1)  # The files' names count whole seconds.
    _train(folder, *longer)
    # As TensorBoard does: a start at a step makes it forget that step and all
    # that are later, as far as they were written before.
    kept = []
    for event in _events(folder):
      if event.session_log.status == tf.SessionLog.START:
        kept = [step for step in kept if step < event.step]
      elif event.HasField("summary"):
        kept.append(event.step)
    self.assertEqual(kept, [2, 4, 6, 8, 10, 12, 14, 16])


if __name__ == "__main__":
  absltest.main()
