"""Tests of a training run: its log, checkpoints, evaluations and its end."""

import json
import os
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import sources
from mtl_graph.training import loop
from mtl_graph.training import preparation

_TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE } }
  feature { name: "c" categorical { num_buckets: 4 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} }
  task { name: "b" regression {}
         tower { layer { dense { units: 3 activation: RELU } } } }
}
training {
  num_steps: 20
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
  checkpoint { every_steps: 5 keep: 2 }
  log_every_steps: 10
  summaries { enabled: false }
}
"""
_BEST = "evaluation.best={ metric: 'b/rmse' goal: MINIMIZE }"


def _rows(seed, count):
  random = np.random.default_rng(seed)
  x = random.normal(size=count)
  return {
      "x": x, "c": random.integers(0, 4, count),
      "a": np.where(random.random(count) < 0.3, np.nan, x > 0),
      "b": np.where(random.random(count) < 0.3, np.nan, 2 * x + 1),
  }


_ARRAYS = {"train": _rows(0, 30), "validation": _rows(1, 20)}


class LoopTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._lines = []

  def _train(self, *overrides, arrays=None, **kwargs):
    """Trains in the test's folder; the log goes to `_lines`."""
    experiment = config.parse(_TEXT)
    for assignment in overrides:
      config.override(experiment, assignment)
    arrays = _ARRAYS if arrays is None else arrays
    validation.check(experiment, arrays)
    self._lines = []
    return loop.train(experiment, self._folder, arrays,
                      log=self._lines.append, **kwargs)

  def _steps(self, folder=""):
    """Returns the steps of the checkpoints there are."""
    names = os.listdir(os.path.join(self._folder, folder))
    return sorted(int(match.group(1)) for match in map(
        re.compile(r"model\.ckpt-(\d+)\.index").fullmatch, names) if match)

  def _log(self, pattern):
    """Returns the lines of the log that match a pattern."""
    return [line for line in self._lines if re.search(pattern, line)]

  def _losses(self, task="b"):
    """Returns the validation losses of a task by step, from the log."""
    found = [re.search(rf"step (\d+)/.*validation.* {task} (\S+)", line)
             for line in self._lines]
    return {int(m.group(1)): float(m.group(2)) for m in found if m}


class RunTest(LoopTest):

  def test_log(self):
    self._train()
    number = r"-?\d+\.\d{4}"
    self.assertIn("trunk/dense/kernel", self._lines[0])
    self.assertRegex(self._lines[1],
                     "^rows: train 30, validation 20; execution: SESSION")
    steps = self._log(r"^step \d+/")
    self.assertLen(steps, 2)
    self.assertRegex(steps[0], rf"^step 10/20 \| loss a {number} b {number} "
                     rf"total {number} \| [\d,]+ examples/s$")
    # The last step is evaluated, whatever evaluation.every_steps.
    self.assertRegex(
        steps[1], rf"^step 20/20 \| loss a {number} b {number} total {number} "
        rf"\| validation a {number} auc {number}, b {number} rmse {number} \| "
        r"[\d,]+ examples/s$")
    self.assertLen(self._log("evaluated once"), 1)
    self.assertIn("metrics of " + self._folder, self._lines[-1])

  def test_loss_of_the_log_falls(self):
    self._train("training.num_steps=200", "training.log_every_steps=20")
    losses = [float(re.search(r"total (\S+)", line).group(1))
              for line in self._log("^step ")]
    self.assertLen(losses, 10)
    self.assertLess(losses[-1], 0.5 * losses[0])

  @parameterized.named_parameters(
      ("two", (), [15, 20]), ("three", ("training.checkpoint.keep=3",),
                              [10, 15, 20]),
      ("end", ("training.checkpoint.every_steps=0",), [20]),
      ("off_beat", ("training.checkpoint.every_steps=8",), [16, 20]))
  def test_checkpoints(self, overrides, expected):
    result = self._train(*overrides)
    self.assertEqual(self._steps(), expected)
    self.assertEqual(result.step, 20)
    self.assertEqual(result.checkpoint, f"{self._folder}/model.ckpt-20")
    self.assertEqual(checkpoints.latest(self._folder), result.checkpoint)

  def test_checkpoint_holds_variables_slots_and_state_but_no_rows(self):
    result = self._train("training.num_steps=1")
    names = dict(tf.train.list_variables(result.checkpoint))
    self.assertContainsSubset(
        ["global_step", "run_state", "statistics/x/mean", "head/b/bias",
         "optimizer/b/beta1_power", "optimizer/shared/trunk/dense/kernel/Adam"],
        names)
    self.assertFalse([n for n in names if "resident" in n])

  def test_result_and_metrics_file(self):
    arrays = {**_ARRAYS, "test": _rows(2, 10)}
    result = self._train(arrays=arrays)
    self.assertEqual({split: list(tasks) for split, tasks in
                      result.metrics.items()},
                     {"validation": ["a", "b"], "test": ["a", "b"]})
    with open(os.path.join(self._folder, "metrics.json"),
              encoding="utf-8") as file:
      saved = json.load(file)
    self.assertEqual(saved, {"checkpoint": result.checkpoint,
                             **result.metrics})
    self.assertAlmostEqual(result.metrics["validation"]["b"]["loss"],
                           self._losses()[20], places=3)

  def test_without_anything_to_evaluate_on(self):
    result = self._train(arrays={"train": _ARRAYS["train"]})
    self.assertEqual((result.step, result.metrics), (20, {}))
    self.assertFalse(self._log("validation|metrics"))

  def test_a_task_without_validation_labels_has_no_metrics(self):
    validation_rows = {**_ARRAYS["validation"], "b": np.full(20, np.nan)}
    result = self._train("evaluation.every_steps=10", arrays={
        **_ARRAYS, "validation": validation_rows})
    self.assertTrue(all(map(np.isnan, result.metrics["validation"]["b"].values(
    ))))
    self.assertTrue(np.isfinite(result.metrics["validation"]["a"]["loss"]))
    self.assertLen(self._log("^warning: no validation row has a label for task "
                             "'b'"), 1)
    # A loss that is not there has not converged.
    self.assertNotIn("converged", self._log("validation loss by task")[0])

  def test_a_task_without_validation_labels_cannot_choose_the_best(self):
    validation_rows = {**_ARRAYS["validation"], "b": np.full(20, np.nan)}
    for field in ("best", "early_stopping"):
      patience = " patience: 2" if field == "early_stopping" else ""
      with self.assertRaisesRegex(sources.DataError, "no row has a label for "
                                  f"task 'b', by which evaluation.{field} "):
        self._train(
            "evaluation.every_steps=10", f"evaluation.{field}="
            '{metric: "b/loss" goal: MINIMIZE' + patience + "}",
            arrays={**_ARRAYS, "validation": validation_rows})

  def test_experiment_is_written_beside_the_checkpoints(self):
    self._train("training.num_steps=1", "seed=11")
    written = config.load(os.path.join(self._folder, "experiment.pbtxt"))
    self.assertEqual((written.seed, written.training.num_steps), (11, 1))

  def test_same_seed_same_run_and_another_seed_another(self):
    def weights(*overrides):
      with tempfile.TemporaryDirectory() as folder:
        self._folder = folder
        reader = tf.train.load_checkpoint(self._train(*overrides).checkpoint)
        return reader.get_tensor("trunk/dense/kernel").tobytes()
    first = weights("training.num_steps=3")
    # How often the log is written or the model measured changes nothing.
    self.assertEqual(weights("training.num_steps=3", "evaluation.every_steps=1",
                             "training.log_every_steps=1"), first)
    self.assertNotEqual(weights("training.num_steps=3", "seed=4"), first)

  def test_batch_larger_than_the_rows(self):
    result = self._train("data.batch_size=70")
    self.assertEqual(result.step, 20)

  def test_data_that_does_not_fit(self):
    with self.assertRaisesRegex(sources.DataError,
                                r"^arrays\['train'\]: no column 'b'"):
      self._train(arrays={"train": {n: v for n, v in _ARRAYS["train"].items()
                                    if n != "b"}})
    self.assertEmpty(self._steps())

  def test_describe_trains_nothing(self):
    table = preparation.describe(config.parse(_TEXT), _ARRAYS)
    self.assertRegex(table, r"trunk/dense/kernel +3x4 +12 +shared")
    self.assertRegex(table, r"head/b/bias +1 +1 +b\n")
    self.assertEmpty(os.listdir(self._folder))


class BestTest(LoopTest):

  def test_the_best_by_a_metric_is_kept_and_evaluated(self):
    # The rate grows until training makes the model worse.
    result = self._train(
        "evaluation.every_steps=2", _BEST, "training.num_steps=60",
        "training.default_optimizer.adam.learning_rate.exponential_decay="
        "{ initial: 0.02 decay_steps: 10 decay_rate: 3 }")
    losses = self._losses()
    best = min(losses, key=losses.get)
    self.assertBetween(best, 4, 56)
    self.assertEqual(self._steps("best"), [best])
    self.assertEqual(result.checkpoint,
                     f"{self._folder}/best/model.ckpt-{best}")
    self.assertEqual(result.step, 60)
    self.assertAlmostEqual(result.metrics["validation"]["b"]["loss"],
                           losses[best], places=3)
    self.assertEqual(tf.train.load_variable(result.checkpoint, "global_step"),
                     best)

  def test_the_highest_where_that_is_the_goal(self):
    result = self._train("evaluation.every_steps=2",
                         "evaluation.best={ metric: 'b/r2' goal: MAXIMIZE }")
    losses = self._losses()
    self.assertEndsWith(result.checkpoint,
                        f"best/model.ckpt-{min(losses, key=losses.get)}")

  def test_a_metric_that_is_never_a_number_leaves_the_last(self):
    arrays = {**_ARRAYS, "validation": {**_ARRAYS["validation"],
                                        "a": np.ones(20)}}
    result = self._train("evaluation.every_steps=5",
                         "evaluation.best={ metric: 'a/auc' goal: MAXIMIZE }",
                         arrays=arrays)
    self.assertEqual(result.checkpoint, f"{self._folder}/model.ckpt-20")

  def test_another_metric_starts_anew(self):
    self._train("evaluation.every_steps=5",
                "evaluation.best={ metric: 'b/rmse' goal: MAXIMIZE }")
    # No area under a curve is above the errors of before.
    self._train("evaluation.every_steps=5", "training.num_steps=40",
                "evaluation.best={ metric: 'a/auc' goal: MAXIMIZE }")
    best, = self._steps("best")
    self.assertBetween(best, 25, 40)

  def test_other_validation_rows_start_anew(self):
    measure = ("evaluation.every_steps=5",
               "evaluation.best={ metric: 'b/rmse' goal: MAXIMIZE }")
    self._train(*measure)
    # On these rows no error is as large as on those before.
    easy = {**_rows(2, 20), "b": np.zeros(20)}
    result = self._train(*measure, "training.num_steps=30",
                         arrays={**_ARRAYS, "validation": easy})
    self.assertLen(self._log("^the best checkpoint so far is set aside"), 1)
    self.assertRegex(result.checkpoint, "best/model.ckpt-(25|30)$")

  def test_without_a_metric_the_last_counts_again(self):
    self._train("evaluation.every_steps=5",
                "evaluation.best={ metric: 'b/rmse' goal: MAXIMIZE }")
    result = self._train("training.num_steps=30")
    self.assertEqual(result.checkpoint, f"{self._folder}/model.ckpt-30")


class EarlyStoppingTest(LoopTest):

  def _stopping(self, patience, metric="b/rmse", goal="MAXIMIZE"):
    return ("evaluation.every_steps=3", "evaluation.early_stopping="
            f"{{ metric: '{metric}' goal: {goal} patience: {patience} }}")

  def test_stops_after_evaluations_without_a_best(self):
    # The error falls at first, so as a goal its growth is never met.
    result = self._train(*self._stopping(2), "training.num_steps=100")
    self.assertEqual(result.step, 9)
    self.assertLen(self._log("^stopped early at step 9 of 100: b/rmse has"), 1)
    self.assertEqual(self._steps(), [5, 9])
    self.assertEqual(list(self._losses()), [3, 6, 9])

  def test_goes_on_while_there_is_progress(self):
    result = self._train(
        *self._stopping(1, goal="MINIMIZE"), "training.default_optimizer.adam."
        "learning_rate.constant=0.003")
    self.assertEqual(result.step, 20)

  def test_counts_across_a_resume(self):
    self._train(*self._stopping(3), "training.num_steps=6")
    result = self._train(*self._stopping(3), "training.num_steps=100")
    self.assertEqual(result.step, 12)

  def test_once_stopped_more_steps_do_not_help_but_patience_does(self):
    self._train(*self._stopping(2), "training.num_steps=100")
    result = self._train(*self._stopping(2), "training.num_steps=200")
    self.assertEqual(result.step, 9)
    self.assertLen(self._log(
        "^nothing left to do: stopped early at step 9 of 200: b/rmse has not "
        r"been better than \d.*\(step 3\) for 2 evaluations; raise "
        "evaluation.early_stopping.patience to go on$"), 1)
    result = self._train(*self._stopping(4), "training.num_steps=200")
    self.assertEqual(result.step, 15)

  def test_another_metric_counts_anew(self):
    self._train(*self._stopping(2), "training.num_steps=100")
    result = self._train(*self._stopping(2, "b/r2"), "training.num_steps=20")
    self.assertEqual(result.step, 20)


class NothingLeftTest(LoopTest):

  def test_a_finished_run_is_left_alone(self):
    exported = []
    def export(experiment, checkpoint, raw, expected):
      exported.append((experiment, checkpoint, raw, expected))
      return "exported"
    first = self._train("serving={}", exporter=export)
    self.assertEqual(first.export_path, "exported")
    before = self._steps()
    second = self._train("serving={}", exporter=export)
    self.assertLen(self._log("^nothing left to do: step 20 of 20 reached; "
                             "raise training.num_steps to go on"), 1)
    self.assertEqual((second.step, second.checkpoint, second.metrics),
                     (first.step, first.checkpoint, first.metrics))
    self.assertEqual(self._steps(), before)

  def test_the_exporter_gets_real_rows_and_what_the_graph_says_of_them(self):
    calls = []
    self._train("serving={}", exporter=lambda *call: calls.append(call) or "v")
    (unused_experiment, checkpoint, raw, expected), = calls
    self.assertEqual(checkpoint, f"{self._folder}/model.ckpt-20")
    np.testing.assert_allclose(raw["x"], _ARRAYS["validation"]["x"], rtol=1e-6)
    self.assertEqual({task: list(keyed) for task, keyed in expected.items()},
                     {"a": ["probability", "logit"], "b": ["value"]})
    self.assertLen(expected["b"]["value"], 20)

  def test_no_serving_message_no_export(self):
    result = self._train(exporter=lambda *call: self.fail("exported"))
    self.assertIsNone(result.export_path)

  def test_what_is_asked_for_later_is_still_done(self):
    self._train()
    arrays = {**_ARRAYS, "test": _rows(2, 10)}
    result = self._train("serving={}", arrays=arrays,
                         exporter=lambda *call: "exported")
    self.assertEqual(list(result.metrics), ["validation", "test"])
    self.assertEqual(result.export_path, "exported")


class NotFiniteTest(LoopTest):

  def test_names_the_task_and_saves_nothing(self):
    with self.assertRaisesRegex(
        loop.TrainingError, "^step 1: the loss of task 'b' is inf; nothing was "
        "saved since; last good checkpoint: none; ") as caught:
      self._train("model.task[name=b].label.scale=1e30")
    self.assertNotIn("\n", str(caught.exception))
    self.assertEmpty(self._steps())

  def test_the_last_good_checkpoint_is_intact(self):
    growing = ("training.default_optimizer.adam.learning_rate.exponential_decay"
               "={ initial: 0.01 decay_steps: 1 decay_rate: 10 }",
               "training.num_steps=100", "training.checkpoint.every_steps=3")
    with self.assertRaisesRegex(loop.TrainingError,
                                "the loss of task 'b' is ") as caught:
      self._train(*growing)
    step = int(re.match(r"step (\d+)", str(caught.exception)).group(1))
    last = checkpoints.latest(self._folder)
    self.assertIn(f"last good checkpoint: {last};", str(caught.exception))
    self.assertEndsWith(last, f"-{(step - 1) // 3 * 3}")
    reader = tf.train.load_checkpoint(last)
    for name in reader.get_variable_to_shape_map():
      if name != "run_state":
        self.assertTrue(np.isfinite(reader.get_tensor(name)).all(), name)
    # The run goes on from it, to the same end.
    with self.assertRaisesRegex(loop.TrainingError, f"^step {step}: "):
      self._train(*growing)

  def test_names_the_group_where_only_a_gradient_is_not_finite(self):
    # The square of the label fits 32-bit floating point, but not four times it.
    arrays = {"train": {**_ARRAYS["train"], "b": np.full(30, 1.5e19)}}
    with self.assertRaisesRegex(
        loop.TrainingError, "^step 1: the gradient of group 'b' is not finite, "
        "reached by task 'b'; nothing was saved since"):
      self._train("data.batch_size=1", arrays=arrays)


if __name__ == "__main__":
  absltest.main()
