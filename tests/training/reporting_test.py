"""Tests of what a run tells the terminal."""

import io
import math
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph.data import batches
from mtl_graph.data import labels
from mtl_graph.data import splits
from mtl_graph.model import graphs
from mtl_graph.model import train_step
from mtl_graph.protos import joint_pb2
from mtl_graph.training import execution
from mtl_graph.training import reporting
from mtl_graph.training import run_state

_TEXT = """
seed: 3
data {
  feature { name: "x" numeric {} }
  feature { name: "b" numeric {} }
  feature { name: "c" categorical { num_buckets: 4 embedding_dimension: 2 } }
  feature { name: "d" categorical { hash_buckets: 7 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 3 } } } }
  task { name: "late" binary {} }
  task { name: "delay" label { column: "b" scale: 0.5 } regression {} }
  task { name: "kind" multiclass { num_classes: 3 } }
}
training {
  joint { loss { uncertainty {} } }
  group { name: "all" scope: "trunk" scope: "head" scope: "log_variance" }
  group { name: "still" scope: "embedding" frozen: true }
}
"""
_EXPERIMENT = config.parse(_TEXT)
_TASKS = _EXPERIMENT.model.task
_METRICS = {"late": {"loss": 0.25, "auc": 0.875},
            "delay": {"loss": 2.0, "rmse": 1234.5},
            "kind": {"loss": 1.5, "accuracy": float("nan")}}


# Two steps in turn: one of "late" and "delay", one of "kind".
_STEPS = [
    train_step.Step(None, None, train_step.Report(2, 2, 2, 1, 1, 1, 2),
                    {"all": ["late", "delay"]}, ["late", "delay"],
                    ["gate/late/expert/0", "gate/late/entropy"], rows=10),
    train_step.Step(None, None, train_step.Report(1, 1, 1, 1, 1, 1, 0),
                    {"kind": ["kind"]}, ["kind"], rows=3)]
_RAN = [
    # Losses, label weights, task weights, norm, rate, total, gates.
    execution.Ran(0, np.float32([1, 5, 3, 2, 1, 1, 2, .5, 6, .2, .4])),
    execution.Ran(1, np.float32([7, 4, 1, 3, .125, 7])),
    execution.Ran(0, np.float32([4, 0, 1, 0, 1, 2, 4, .25, 4, .4, .8])),
]


def _interval(losses=(0.5, 2, 3), total=5.5):
  return reporting.Interval(dict(zip(("late", "delay", "kind"), losses)), total,
                            {}, {}, {}, {}, 0)


class LogLineTest(absltest.TestCase):

  def test_without_an_evaluation(self):
    line = reporting.log_line(20, 1000, _TASKS, _interval(), 12345.6, None)
    self.assertEqual(line, "step 20/1000 | loss late 0.5000 delay 2.0000 kind "
                     "3.0000 total 5.5000 | 12,346 examples/s")

  def test_with_an_evaluation(self):
    line = reporting.log_line(20, 1000, _TASKS, _interval(), 10, _METRICS)
    self.assertIn(" | validation late 0.2500 auc 0.8750, delay 2.0000 rmse "
                  "1234.50, kind 1.5000 accuracy - | 10 examples/s", line)

  def test_of_tasks_that_were_trained_without_a_joint_loss(self):
    line = reporting.log_line(20, 1000, _TASKS, _interval([math.nan, 2], None),
                              10, None)
    self.assertEqual(line, "step 20/1000 | loss late - delay 2.0000 | 10 "
                     "examples/s")


class MeasureTest(absltest.TestCase):

  def test_steps_of_one_objective(self):
    found = reporting.measure(_STEPS[:1], [r for r in _RAN if r.step == 0])
    # A loss is the mean over labelled rows.
    self.assertEqual(found.losses, {"late": (3 * 1 + 1 * 4) / 4, "delay": 5})
    self.assertEqual(found.total, 5)
    self.assertEqual(found.task_weights, {"late": 1, "delay": 2})
    self.assertEqual(found.gradient_norms, {"all": 3})
    self.assertEqual(found.learning_rates, {"all": 0.25})
    self.assertEqual(list(found.measures), ["gate/late/expert/0",
                                         "gate/late/entropy"])
    np.testing.assert_allclose(list(found.measures.values()), [.3, .6], rtol=1e-6)
    self.assertEqual(found.rows, 20)

  def test_steps_of_several_objectives_in_turn(self):
    found = reporting.measure(_STEPS, _RAN)
    self.assertEqual(found.losses, {"late": 1.75, "delay": 5, "kind": 7})
    self.assertIsNone(found.total)
    self.assertEqual(found.gradient_norms, {"all": 3, "kind": 3})
    self.assertEqual(found.learning_rates, {"all": 0.25, "kind": 0.125})
    self.assertEqual(found.rows, 23)

  def test_a_task_whose_turn_did_not_come_is_left_out(self):
    found = reporting.measure(_STEPS, _RAN[1:2])
    self.assertEqual(found.losses, {"kind": 7})
    self.assertEqual(found.rows, 3)

  def test_a_task_without_labels_has_no_loss(self):
    found = reporting.measure(_STEPS, _RAN[2:])
    self.assertEqual(found.losses["late"], 4)
    self.assertTrue(math.isnan(found.losses["delay"]))


class TablesTest(absltest.TestCase):

  def test_ownership(self):
    table = reporting.ownership_table(graphs.build(_EXPERIMENT))
    rows = {line.split()[0]: line.split()[1:] for line in table.split("\n")}
    self.assertEqual(rows["variable"], ["shape", "parameters", "group"])
    self.assertEqual(rows["trunk/dense/kernel"], ["6x3", "18", "all"])
    self.assertEqual(rows["log_variance/late"], ["scalar", "1", "all"])
    self.assertEqual(rows["embedding/c/embeddings"],
                     ["5x2", "10", "still", "(frozen)"])
    parameters = 6 * 3 + 3 + 2 * (3 + 1) + 9 + 3 + 3 + 10 + 16
    self.assertEqual(table.split("\n")[-1].split(),
                     ["13", "variables", str(parameters), "2", "groups"])

  def test_convergence(self):
    table = reporting.convergence_table({
        "late": run_state.Course(2, 10, 1, 30, 1, 30),
        "delay": run_state.Course(2, 10, 1, 20, 9, 30)})
    self.assertEqual([line.split() for line in table.split("\n")[1:]], [
        ["late", "2.0000", "1.0000", "30", "1.0000", "30", "still", "learning"],
        ["delay", "2.0000", "1.0000", "20", "9.0000", "30", "over-fits"]])

  def test_uncertainty_is_in_the_labels_own_units(self):
    table = reporting.uncertainty_table(
        _TASKS, {"late": 0.5, "delay": np.log(4), "kind": -1})
    self.assertEqual([line.split() for line in table.split("\n")], [
        ["task", "log", "variance", "sigma"], ["late", "0.5000", "-"],
        ["delay", "1.3863", "4.0000"], ["kind", "-1.0000", "-"]])

  def test_other_forms_of_uncertainty_learn_no_noise(self):
    learned = {"late": 0.5, "delay": np.log(4), "kind": -1}
    for form in (joint_pb2.Uncertainty.NON_NEGATIVE,
                 joint_pb2.Uncertainty.IMPARTIAL):
      table = reporting.uncertainty_table(_TASKS, learned, form)
      self.assertEqual([line.split()[-1] for line in table.split("\n")[1:]],
                       ["-", "-", "-"])

  def test_warnings(self):
    labelled, bare = np.ones([3, 3]), np.ones([2, 3])
    bare[:, 2] = 0
    train = batches.Batch(None, np.array([[0, 7], [4, 1], [3, 7]]), None,
                          labelled)
    test = batches.Batch(None, np.array([[4, 7], [4, 7]]), None, bare)
    self.assertEqual(reporting.warnings(
        _EXPERIMENT, {"train": train, "test": test}), [
        "warning: no test row has a label for task 'kind'; its metrics there "
        "are not numbers",
        "warning: feature 'b' reads column 'b', the label of task 'delay'",
        "warning: feature 'c': 1 of 3 training rows are missing or not known",
        "warning: feature 'd': 2 of 3 training rows are missing or not known"])

  def test_warnings_of_sets_and_of_labels_of_several_columns(self):
    experiment = config.parse("""
      data {
        feature { name: "y" numeric {} }
        feature { name: "tags" categorical {
          num_buckets: 3 embedding_dimension: 2 values { max_values: 2 } } }
        feature { name: "z" column: "label_1" use: WIDE
                  categorical { num_buckets: 2 } }
        feature { name: "t" use: WIDE
                  cross { feature: "y" feature: "z" hash_buckets: 2 } }
      }
      model { task { name: "v" regression { size: 2 }
                     label { column: ["label_0", "label_1"] } } }""")
    # A set may be empty; one with a category that is not known counts once.
    ids = np.array([[-1, -1, 0, 0], [3, 3, 1, 1], [0, 3, 1, 1]])
    self.assertEqual(reporting.warnings(experiment, {"train": batches.Batch(
        None, ids, None, np.ones([3, 1]))}), [
            "warning: feature 'tags': 2 of 3 training rows are missing or not "
            "known",
            "warning: feature 'z' reads column 'label_1', the label of task "
            "'v'"])

  def test_uncertainty_of_other_heads(self):
    tasks = config.parse("""model {
      task { name: "q" quantiles { level: 0.5 } label { scale: 2 } }
      task { name: "l" regression {} label { log1p: true } }
      task { name: "n" count {} } }""").model.task
    table = reporting.uncertainty_table(tasks, {
        "q": np.log(4), "l": np.log(4), "n": 0})
    # What is learned on a logarithm has no unit of the label's.
    self.assertEqual([line.split()[2] for line in table.split("\n")[1:]],
                     ["1.0000", "-", "-"])


class RowsLineTest(absltest.TestCase):

  def _split(self, count, dropped=0):
    return splits.Split({}, labels.Labels(np.zeros([count, 1]), None), {},
                        dropped)

  def test_counts_the_rows_of_each_split(self):
    self.assertEqual(reporting.rows_line(
        {"train": self._split(1200), "test": self._split(7)}, 1200),
                     "rows: train 1,200, test 7")

  def test_says_what_was_dropped_and_resampled(self):
    self.assertEqual(reporting.rows_line(
        {"train": self._split(1200, 34), "test": self._split(7, 1)}, 2000),
                     "rows: train 1,200 (34 dropped, 2,000 an epoch as "
                     "resampled), test 7 (1 dropped)")
    self.assertEqual(reporting.rows_line({"train": self._split(12)}, 8),
                     "rows: train 12 (8 an epoch as resampled)")


class _Terminal(io.StringIO):

  def isatty(self):
    return True


class ProgressBarTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._now = 100.0
    self.enter_context(mock.patch.object(
        reporting.time, "monotonic", side_effect=lambda: self._now))

  def test_draws_over_itself_and_clears(self):
    stream = _Terminal()
    bar = reporting.ProgressBar(200, stream)
    bar.draw(0)
    self.assertEqual(stream.getvalue(), "\r[" + " " * 30 + "] 0/200")
    self._now += 1
    bar.draw(100)
    self.assertEndsWith(stream.getvalue(),
                        "\r[" + "=" * 15 + " " * 15 + "] 100/200")
    self._now += 1
    bar.draw(200)
    self.assertEndsWith(stream.getvalue(), "\r[" + "=" * 30 + "] 200/200")
    bar.clear()
    self.assertEndsWith(stream.getvalue(), "\r" + " " * 60 + "\r")
    # What is wiped is as wide as what is drawn, and nothing starts a line.
    self.assertNotIn("\n", stream.getvalue())

  def test_draws_at_most_ten_times_a_second(self):
    stream = _Terminal()
    bar = reporting.ProgressBar(1000, stream)
    for step in range(1000):
      self._now = 100 + step / 1000
      bar.draw(step)
    self.assertBetween(stream.getvalue().count("\r"), 9, 11)

  def test_clears_only_what_is_drawn(self):
    stream = _Terminal()
    bar = reporting.ProgressBar(10, stream)
    bar.clear()
    self.assertEqual(stream.getvalue(), "")
    bar.draw(1)
    bar.clear()
    drawn = stream.getvalue()
    bar.clear()
    self.assertEqual(stream.getvalue(), drawn)

  def test_draws_nothing_but_on_a_terminal(self):
    stream = io.StringIO()
    bar = reporting.ProgressBar(10, stream)
    bar.draw(5)
    bar.clear()
    self.assertEqual(stream.getvalue(), "")

  def test_a_long_run_is_still_wiped_whole(self):
    stream = _Terminal()
    bar = reporting.ProgressBar(10 ** 10, stream)
    bar.draw(10 ** 10)
    width = len(stream.getvalue()) - 1
    bar.clear()
    self.assertLessEqual(width, stream.getvalue().count(" "))


if __name__ == "__main__":
  absltest.main()
