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
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import sources
from mtl_graph.training import preparation
from tests.training import small_run

_ARRAYS, _rows = small_run.ARRAYS, small_run.rows
_BEST = "evaluation.best={ metric: 'b/rmse' goal: MINIMIZE }"
_WORST = ("evaluation.every_steps=5",
          "evaluation.best={ metric: 'b/rmse' goal: MAXIMIZE }")


class RunTest(small_run.SmallRunTest):

  def test_log(self):
    self.folder, _, self.lines = small_run.finished()
    number = r"-?\d+\.\d{4}"
    self.assertIn("trunk/dense/kernel", self.lines[0])
    self.assertRegex(self.lines[1],
                     r"^rows: train 30, validation 20; execution: LOOP \(AUTO")
    steps = self.log(r"^step \d+/")
    self.assertLen(steps, 2)
    self.assertRegex(steps[0], rf"^step 10/20 \| loss a {number} b {number} "
                     rf"total {number} \| [\d,]+ examples/s$")
    # The last step is evaluated, whatever evaluation.every_steps.
    self.assertRegex(
        steps[1], rf"^step 20/20 \| loss a {number} b {number} total {number} "
        rf"\| validation a {number} auc {number}, b {number} rmse {number} \| "
        r"[\d,]+ examples/s$")
    self.assertLen(self.log("evaluated once"), 1)
    self.assertIn("metrics of " + self.folder, self.lines[-1])

  def test_loss_of_the_log_falls(self):
    self.train("training.num_steps=200", "training.log_every_steps=20")
    losses = [float(re.search(r"total (\S+)", line).group(1))
              for line in self.log("^step ")]
    self.assertLen(losses, 10)
    self.assertLess(losses[-1], 0.5 * losses[0])

  @parameterized.named_parameters(
      ("three", ("training.checkpoint.keep=3",), [10, 15, 20]),
      ("end", ("training.checkpoint.every_steps=0",), [20]),
      ("off_beat", ("training.checkpoint.every_steps=8",), [16, 20]))
  def test_checkpoints(self, overrides, expected):
    self.check_checkpoints(self.train(*overrides), expected)

  def test_two_checkpoints(self):
    self.folder, result, _ = small_run.finished()
    self.check_checkpoints(result, [15, 20])

  def check_checkpoints(self, result, expected):
    self.assertEqual(self.steps(), expected)
    self.assertEqual(result.step, 20)
    self.assertEqual(result.checkpoint, f"{self.folder}/model.ckpt-20")
    self.assertEqual(checkpoints.latest(self.folder), result.checkpoint)

  def test_checkpoint_holds_variables_slots_and_state_but_no_rows(self):
    result = self.train("training.num_steps=1", "seed=11")
    names = dict(tf.train.list_variables(result.checkpoint))
    self.assertContainsSubset(
        ["global_step", "run_state", "statistics/x/mean", "head/b/bias",
         "optimizer/b/beta1_power", "optimizer/shared/trunk/dense/kernel/Adam"],
        names)
    self.assertFalse([n for n in names if "resident" in n])
    # The experiment is written beside it.
    written = config.load(os.path.join(self.folder, "experiment.pbtxt"))
    self.assertEqual((written.seed, written.training.num_steps), (11, 1))

  def test_result_and_metrics_file(self):
    arrays = {**_ARRAYS, "test": _rows(2, 10)}
    result = self.train(arrays=arrays)
    self.assertEqual({split: list(tasks) for split, tasks in
                      result.metrics.items()},
                     {"validation": ["a", "b"], "test": ["a", "b"]})
    with open(os.path.join(self.folder, "metrics.json"),
              encoding="utf-8") as file:
      saved = json.load(file)
    self.assertEqual(saved, {"checkpoint": result.checkpoint,
                             **result.metrics})
    self.assertAlmostEqual(result.metrics["validation"]["b"]["loss"],
                           self.losses()[20], places=3)

  def test_without_anything_to_evaluate_on(self):
    result = self.train(arrays={"train": _ARRAYS["train"]})
    self.assertEqual((result.step, result.metrics), (20, {}))
    self.assertFalse(self.log("validation|metrics"))

  def test_a_task_without_validation_labels_has_no_metrics(self):
    validation_rows = {**_ARRAYS["validation"], "b": np.full(20, np.nan)}
    result = self.train("evaluation.every_steps=10", arrays={
        **_ARRAYS, "validation": validation_rows})
    self.assertTrue(all(map(np.isnan, result.metrics["validation"]["b"].values(
    ))))
    self.assertTrue(np.isfinite(result.metrics["validation"]["a"]["loss"]))
    self.assertLen(self.log("^warning: no validation row has a label for task "
                             "'b'"), 1)
    # A loss that is not there has not converged.
    self.assertNotIn("converged", self.log("validation loss by task")[0])

  def test_a_task_without_validation_labels_cannot_choose_the_best(self):
    validation_rows = {**_ARRAYS["validation"], "b": np.full(20, np.nan)}
    for field in ("best", "early_stopping"):
      patience = " patience: 2" if field == "early_stopping" else ""
      with self.assertRaisesRegex(sources.DataError, "no row has a label for "
                                  f"task 'b', by which evaluation.{field} "):
        self.train(
            "evaluation.every_steps=10", f"evaluation.{field}="
            '{metric: "b/loss" goal: MINIMIZE' + patience + "}",
            arrays={**_ARRAYS, "validation": validation_rows})

  def test_same_seed_same_run_and_another_seed_another(self):
    def weights(*overrides):
      with tempfile.TemporaryDirectory() as folder:
        self.folder = folder
        reader = tf.train.load_checkpoint(self.train(*overrides).checkpoint)
        return reader.get_tensor("trunk/dense/kernel").tobytes()
    first = weights("training.num_steps=3")
    # How often the log is written or the model measured changes nothing.
    self.assertEqual(weights("training.num_steps=3", "evaluation.every_steps=1",
                             "training.log_every_steps=1"), first)
    self.assertNotEqual(weights("training.num_steps=3", "seed=4"), first)

  def test_batch_larger_than_the_rows(self):
    result = self.train("data.batch_size=70")
    self.assertEqual(result.step, 20)

  def test_data_that_does_not_fit(self):
    with self.assertRaisesRegex(sources.DataError,
                                r"^arrays\['train'\]: no column 'b'"):
      self.train(arrays={"train": {n: v for n, v in _ARRAYS["train"].items()
                                    if n != "b"}})
    self.assertEmpty(self.steps())

  def test_describe_trains_nothing(self):
    table = preparation.describe(config.parse(small_run.TEXT), _ARRAYS)
    self.assertRegex(table, r"trunk/dense/kernel +3x4 +12 +shared")
    self.assertRegex(table, r"head/b/bias +1 +1 +b\n")
    self.assertEmpty(os.listdir(self.folder))


class LengthTest(small_run.SmallRunTest):

  def test_epochs_count_the_rows(self):
    result = self.train("training.num_epochs=2.5")
    self.assertEqual(result.step, 10)  # 75 rows in batches of 8.
    self.assertLen(self.log(r"^step 10/10 \|"), 1)
    self.train("training.num_epochs=2.5")
    self.assertLen(self.log("^nothing left to do: step 10 of 10 reached; raise "
                            "training.num_epochs to go on$"), 1)
    # The same in steps is no change; more of either goes on.
    self.assertEqual(self.train("training.num_steps=10").step, 10)
    self.assertEqual(self.train("training.num_epochs=4").step, 15)
    self.assertIn("going on from step 10", self.lines)

  def test_epochs_count_rows_as_resampled_and_all_batches_of_a_step(self):
    labels = _ARRAYS["train"]["a"]
    zeros, ones = np.sum(labels == 0), np.sum(labels == 1)
    rows = round(max(zeros / 0.2, ones / 0.8)) + np.sum(np.isnan(labels))
    self.assertGreater(rows, 40)
    result = self.train(
        "training.num_epochs=3", "training.accumulate_batches=2",
        "data.resampling={ task: 'a' fraction: [0.2, 0.8] }")
    self.assertEqual(result.step, -(-3 * rows // 16))
    self.assertLen(self.log(rf"^rows: train 30 \({rows} an epoch as resampled\)"
                           ), 1)

  def test_warnings_count_rows_as_they_are(self):
    train = {**_ARRAYS["train"], "c": np.full(30, np.nan)}
    self.train("data.resampling.task=a", "training.num_steps=1",
               arrays={"train": train})
    self.assertLen(self.log("^warning: feature 'c': 30 of 30 training rows"), 1)


class BestTest(small_run.SmallRunTest):

  def test_the_best_by_a_metric_is_kept_and_evaluated(self):
    # The rate grows until training makes the model worse.
    result = self.train(
        "evaluation.every_steps=2", _BEST, "training.num_steps=60",
        "training.default_optimizer.adam.learning_rate.exponential_decay="
        "{ initial: 0.02 decay_steps: 10 decay_rate: 3 }")
    losses = self.losses()
    best = min(losses, key=losses.get)
    self.assertBetween(best, 4, 56)
    self.assertEqual(self.steps("best"), [best])
    self.assertEqual(result.checkpoint,
                     f"{self.folder}/best/model.ckpt-{best}")
    self.assertEqual(result.step, 60)
    self.assertAlmostEqual(result.metrics["validation"]["b"]["loss"],
                           losses[best], places=3)
    self.assertEqual(tf.train.load_variable(result.checkpoint, "global_step"),
                     best)

  def test_the_highest_where_that_is_the_goal(self):
    result = self.train("evaluation.every_steps=2",
                         "evaluation.best={ metric: 'b/r2' goal: MAXIMIZE }")
    losses = self.losses()
    self.assertEndsWith(result.checkpoint,
                        f"best/model.ckpt-{min(losses, key=losses.get)}")

  def test_a_metric_that_is_never_a_number_leaves_the_last(self):
    arrays = {**_ARRAYS, "validation": {**_ARRAYS["validation"],
                                        "a": np.ones(20)}}
    result = self.train("evaluation.every_steps=5",
                         "evaluation.best={ metric: 'a/auc' goal: MAXIMIZE }",
                         arrays=arrays)
    self.assertEqual(result.checkpoint, f"{self.folder}/model.ckpt-20")

  def test_another_metric_starts_anew(self):
    self.take_up(*_WORST)
    # No area under a curve is above the errors of before.
    self.train("evaluation.every_steps=5", "training.num_steps=40",
                "evaluation.best={ metric: 'a/auc' goal: MAXIMIZE }")
    best, = self.steps("best")
    self.assertBetween(best, 25, 40)

  def test_other_validation_rows_start_anew(self):
    self.take_up(*_WORST)
    # On these rows no error is as large as on those before.
    easy = {**_rows(2, 20), "b": np.zeros(20)}
    result = self.train(*_WORST, "training.num_steps=30",
                         arrays={**_ARRAYS, "validation": easy})
    self.assertLen(self.log("^the best checkpoint so far is set aside"), 1)
    self.assertRegex(result.checkpoint, "best/model.ckpt-(25|30)$")

  def test_without_a_metric_the_last_counts_again(self):
    self.take_up(*_WORST)
    result = self.train("training.num_steps=30")
    self.assertEqual(result.checkpoint, f"{self.folder}/model.ckpt-30")


class EarlyStoppingTest(small_run.SmallRunTest):

  def _stopping(self, patience, metric="b/rmse", goal="MAXIMIZE"):
    return ("evaluation.every_steps=3", "evaluation.early_stopping="
            f"{{ metric: '{metric}' goal: {goal} patience: {patience} }}")

  def test_stops_after_evaluations_without_a_best(self):
    # The error falls at first, so as a goal its growth is never met.
    self.folder, result, self.lines = small_run.finished(
        *self._stopping(2), "training.num_steps=100")
    self.assertEqual(result.step, 9)
    self.assertLen(self.log("^stopped early at step 9 of 100: b/rmse has"), 1)
    self.assertEqual(self.steps(), [5, 9])
    self.assertEqual(list(self.losses()), [3, 6, 9])

  def test_goes_on_while_there_is_progress(self):
    result = self.train(
        *self._stopping(1, goal="MINIMIZE"), "training.default_optimizer.adam."
        "learning_rate.constant=0.003")
    self.assertEqual(result.step, 20)

  def test_counts_across_a_resume(self):
    self.train(*self._stopping(3), "training.num_steps=6")
    result = self.train(*self._stopping(3), "training.num_steps=100")
    self.assertEqual(result.step, 12)

  def test_once_stopped_more_steps_do_not_help_but_patience_does(self):
    self.take_up(*self._stopping(2), "training.num_steps=100")
    result = self.train(*self._stopping(2), "training.num_steps=200")
    self.assertEqual(result.step, 9)
    self.assertLen(self.log(
        "^nothing left to do: stopped early at step 9 of 200: b/rmse has not "
        r"been better than \d.*\(step 3\) for 2 evaluations; raise "
        "evaluation.early_stopping.patience to go on$"), 1)
    result = self.train(*self._stopping(4), "training.num_steps=200")
    self.assertEqual(result.step, 15)

  def test_another_metric_counts_anew(self):
    self.take_up(*self._stopping(2), "training.num_steps=100")
    result = self.train(*self._stopping(2, "b/r2"), "training.num_steps=20")
    self.assertEqual(result.step, 20)


class NothingLeftTest(small_run.SmallRunTest):

  def test_a_finished_run_is_left_alone(self):
    exported = []
    def export(*call):
      exported.append(call)
      return "exported"
    first = self.train("serving={}", exporter=export)
    self.assertEqual(first.export_path, "exported")
    before = self.steps()
    second = self.train("serving={}", exporter=export)
    self.assertLen(self.log("^nothing left to do: step 20 of 20 reached; "
                             "raise training.num_steps to go on"), 1)
    self.assertEqual((second.step, second.checkpoint, second.metrics),
                     (first.step, first.checkpoint, first.metrics))
    self.assertEqual(self.steps(), before)
    self.check_exported(*exported[0])

  def check_exported(self, unused_experiment, checkpoint, raw, expected, record,
                     unused_try):
    """The exporter gets real rows and what the graph says of them."""
    self.assertEqual(checkpoint, f"{self.folder}/model.ckpt-20")
    np.testing.assert_allclose(raw["x"], _ARRAYS["validation"]["x"], rtol=1e-6)
    self.assertEqual({task: list(keyed) for task, keyed in expected.items()},
                     {"a": ["probability", "logit"], "b": ["value"]})
    self.assertLen(expected["b"]["value"], 20)
    self.assertEqual(record.step, 20)
    self.assertCountEqual(record.digests, ["train", "validation"])
    self.assertEqual(list(record.metrics), ["validation"])

  def test_no_serving_message_no_export(self):
    self.take_up()
    result = self.train(exporter=lambda *call: self.fail("exported"))
    self.assertLen(self.log("^nothing left to do"), 1)
    self.assertIsNone(result.export_path)

  def test_what_is_asked_for_later_is_still_done(self):
    self.take_up()
    arrays = {**_ARRAYS, "test": _rows(2, 10)}
    result = self.train("serving={}", arrays=arrays,
                         exporter=lambda *call: "exported")
    self.assertEqual(list(result.metrics), ["validation", "test"])
    self.assertEqual(result.export_path, "exported")


if __name__ == "__main__":
  absltest.main()
