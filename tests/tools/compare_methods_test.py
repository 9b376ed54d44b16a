"""Tests for tools/compare_methods.py."""

import contextlib
import gzip
import io
import os
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import api
from mtl_graph import config
from mtl_graph import validation
from mtl_graph.training import outcome
from tools import compare_methods
from tools import make_census
from tools.comparing import data
from tools.comparing import ledger
from tools.comparing import methods
from tools.comparing import page

ARRAYS = {split: {} for split in ("train", "validation", "test")}


def census(path, count=300):
  """Writes rows as published, in which each task follows from a column."""
  random = np.random.RandomState(0)
  lines = []
  for i in range(count):
    rich, single = random.randint(0, 2, 2)
    values = dict.fromkeys(make_census.COLUMNS, "?")
    values.update({
        "age": 20 + 40 * single, "capital_gains": 99 * rich, "sex": "Male",
        "det_occ_code": i % 40, "wage_per_hour": i % 2 * 500,
        "instance_weight": 1000 + i, "education": make_census.EDUCATION[i % 9],
        "income_50k": ("- 50000.", "50000+.")[rich],
        "marital_stat": ("Never married", "Widowed")[single]})
    lines.append(", ".join(str(v) for v in values.values()))
  with gzip.open(path, "wt") as file:
    file.write("\n".join(lines) + "\n")


def metrics(value):
  """Returns metrics as a run's of the census experiment, all alike."""
  return {task: dict.fromkeys(("auc", "accuracy", "loss"), value)
          for task in ("income", "never_married", "education", "wage")}


def row(method, *deltas, seconds=None):
  return page.Row(method, "rate 1", [{"a": 0.5}] * len(deltas), list(deltas),
                  seconds)


class CompareMethodsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.path = os.path.join(self.folder, "census.gz")

  def _run(self, *arguments):
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(
        errors):
      code = compare_methods.main([
          "compare_methods", "--data=census", f"--census={self.path}",
          f"--output_dir={self.folder}", *arguments])
    return code, printed.getvalue(), errors.getvalue()

  @parameterized.parameters(*data.DATASETS)
  def test_every_trial_of_every_method_is_valid(self, name):
    dataset = data.DATASETS[name]
    base = data.experiment_of(dataset)
    texts = set()
    for method in data.methods_of(name):
      for trial in range(len(methods.FACTORS)):
        experiment = methods.of_trial(base, method, trial, dataset.rate,
                                      dataset.kernel)
        validation.check(experiment, ARRAYS)
        texts.add(config.to_text(experiment))
    self.assertLen(texts, 3 * len(data.methods_of(name)))
    for task in base.model.task:
      alone = methods.alone(base, task.name, 0, dataset.rate)
      validation.check(alone, ARRAYS)
      self.assertEqual([t.name for t in alone.model.task], [task.name])
      data.measured(dataset, task.name)

  def test_all_that_an_experiment_can_name_is_compared(self):
    base = data.experiment_of(data.DATASETS["census"])
    found = [methods.of_trial(base, name, 0, 1, "k").training.joint
             for name in methods.METHODS]
    for kinds, message in (
        ({joint.loss.WhichOneof("kind") for joint in found}, found[0].loss),
        ({joint.gradient_balancing.WhichOneof("kind") for joint in found}
         - {None}, found[0].gradient_balancing)):
      self.assertEqual(kinds, {field.name for field in message.DESCRIPTOR.
                               oneofs_by_name["kind"].fields})

  def test_draws_of_weights_differ_and_add_up_to_the_tasks(self):
    draws = [methods.draw_weights(5, trial) for trial in range(3)]
    np.testing.assert_allclose(np.sum(draws, 1), 5)
    self.assertGreater(np.std(draws, 0).min(), 0)

  def test_delta_m(self):
    # 10 % better, where higher is, and 50 % worse, where lower is better.
    self.assertAlmostEqual(page.delta_m(
        {"a": 0.55, "b": 3.0}, {"a": 0.5, "b": 2.0},
        {"a": True, "b": False}), (-10 + 50) / 2)

  def test_what_has_been_run_outlives_half_a_line(self):
    path = os.path.join(self.folder, "some.jsonl")
    ledger.Ledger(path).add({"method": "a", "seed": 1}, {"x": 1.5})
    with open(path, "ab") as file:
      file.write(b'{"key": {"meth')
    kept = ledger.Ledger(path)
    self.assertEqual(kept.find({"seed": 1, "method": "a"}), {"x": 1.5})
    self.assertIsNone(kept.find({"seed": 2, "method": "a"}))
    kept.add({"method": "b"}, {"x": 2.5})
    self.assertEqual(ledger.Ledger(path).find({"method": "b"}), {"x": 2.5})
    self.assertEqual(ledger.Ledger(path).find({"seed": 1, "method": "a"}),
                     {"x": 1.5})

  def test_the_page_says_what_the_numbers_say(self):
    table = page.Table("some", "Of a kind.", "Ten steps.", {"a": [0.5, 0.6]}, [
        row("sum", 1.0, 1.2, seconds=0.002), row("tuned weights", -1.0, -1.2),
        row("b", -1.1, -1.3, seconds=0.003), row("c", 3.0, 3.0)],
                       [0.1, 1.0])
    text = page.text([table], ["When."])
    self.assertEndsWith(text, "## Fields\n\n- sum: `loss { sum {} }`\n"
                        "- tuned weights: `loss { weighted_sum {} }`\n")
    self.assertIn("| b | rate 1 | 0.5000 | -1.20 | 0.14 | 3.00 | 1.50 |", text)
    self.assertIn("| each task alone | each its own | 0.5500 | 0 |", text)
    self.assertIn("Best is b (-1.20 ± 0.14). Not told apart from it by the "
                  "deviations: tuned weights.", text)
    self.assertIn("Tuned weights is number 2 of 4 (-1.10 ± 0.14): clearly "
                  "better than it are none; clearly worse sum, c.", text)
    self.assertIn("Sum is number 3 of 4 (+1.10 ± 0.14): clearly better than it "
                  "are b, tuned weights; clearly worse c.", text)
    self.assertIn("2 of 4 do better than each task alone", text)
    self.assertIn("4 of 4 chose the highest rate that was tried", text)
    self.assertNotIn("lowest", text)
    within = page.text([table._replace(rates=[0.1, 1.0, 3.0])], ["When."])
    self.assertNotIn("rate that was tried", within)

  def test_the_best_on_validation_is_tested_and_nothing_is_run_twice(self):
    census(self.path)
    wanted = os.path.join(self.folder, "page.md")
    calls = []

    def train(experiment, columns, model_dir, log):
      del columns, model_dir, log
      rate = (experiment.training.default_optimizer.adam.learning_rate
              .cosine_decay.initial)
      tasks = [task.name for task in experiment.model.task]
      calls.append((len(tasks), rate, experiment.seed))
      # The middle rate is the best on validation rows, the last one on others.
      # What is better has a higher AUC and a lower loss.
      good = {"validation": -abs(rate - 0.06), "test": rate}
      found = {split: metrics(0.5 + value) for split, value in good.items()}
      for split, value in good.items():
        found[split]["wage"]["loss"] = 0.5 - value
      return outcome.Result(1, "", {
          split: {task: found[split][task] for task in tasks}
          for split in found}, None)

    some = {name: methods.METHODS[name] for name in (
        "sum", "tuned weights", "PCGrad")}
    with mock.patch.object(api, "train", train), mock.patch.object(
        methods, "METHODS", some):
      code, printed, errors = self._run("--seeds=2")
      self.assertEqual((code, errors), (0, ""))
      # Three trials and a second seed of each task alone and each method.
      self.assertLen(calls, (4 + 3) * 4)
      self.assertLen(printed.splitlines(), (4 + 3) * 4)
      self.assertEqual({rate for _, rate, seed in calls if seed == 2}, {0.06})
      self.assertEqual(self._run("--seeds=2"), (0, "", ""))
      # What has not been run is named, not run.
      with mock.patch.object(methods, "METHODS", {**some, "RLW": some["sum"]}):
        self.assertEqual(self._run("--seeds=2", "--do=page",
                                   f"--page={wanted}")[0], 0)
      with open(wanted, encoding="utf-8") as file:
        self.assertIn("Not run: RLW.", file.read())
      self.assertEqual(self._run("--seeds=2", "--do=page", f"--page={wanted}"),
                       (0, f"wrote {wanted}\n", ""))
    self.assertLen(calls, (4 + 3) * 4)
    with open(wanted, encoding="utf-8") as file:
      text = file.read()
    # Weights are drawn at the rate that the sum has chosen.
    self.assertRegex(text, r"\| tuned weights \| rate 0\.06, weights \d")
    self.assertRegex(text, r"\| PCGrad \| rate 0\.06 \| (0\.5600 \| ){3}"
                     r"0\.4400 \| [+-]0\.00 \| 0\.00 \|")

  def test_a_run_and_a_timing(self):
    census(self.path)
    name = "PCGrad"
    short = {"census": data.DATASETS["census"]._replace(steps=60)}
    with mock.patch.object(data, "DATASETS", short), mock.patch.object(
        compare_methods, "_TIMED_STEPS", 2):
      runs = compare_methods.Runs("census", self.path, self.folder, 1)
      runs.base.data.batch_size = 64
      with contextlib.redirect_stdout(io.StringIO()):
        found = runs.run(name, methods.of_trial(runs.base, name, 1, 0.06, ""),
                         1)
        runs.take_time(name)
      self.assertGreater(runs.seconds(name), 0)
      # Of another experiment there is no time.
      runs.base.data.batch_size = 32
      self.assertIsNone(runs.seconds(name))
    for split in ("validation", "test"):
      self.assertGreater(found[split]["income"], 0.95)
      self.assertGreater(found[split]["never_married"], 0.95)

  def test_bad_input_gives_one_line(self):
    code, _, errors = self._run("--method=some")
    self.assertEqual(code, 2)
    self.assertRegex(errors, "^--method: 'some' is none of sum, .*\n$")
    code, _, errors = self._run()
    self.assertEqual(code, 1)
    self.assertRegex(errors, "^.*census.gz: found no gzip file.*\n$")


if __name__ == "__main__":
  absltest.main()
