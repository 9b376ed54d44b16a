"""Tests for tools/compare_census.py."""

import contextlib
import gzip
import io
import os
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph import api
from mtl_graph import config
from mtl_graph import validation
from tools import compare_census
from tools import make_census

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
EXPERIMENT = (ROOT / "protos" / "examples" / "large"
              / "census_shared_bottom.pbtxt")
ALL = ("income", "college", "never_married")


def make_rows(count):
  """Makes rows as published; each task has a column that tells it."""
  random = np.random.RandomState(0)
  rows = []
  for i in range(count):
    rich, graduate, single = random.randint(0, 2, 3)
    values = dict.fromkeys(make_census.COLUMNS, ("?", "Yes", "No")[i % 3])
    values.update({
        "age": i % 91, "wage_per_hour": i % 4 * 500, "capital_gains": rich * 99,
        "capital_losses": i % 2 * 7, "stock_dividends": i % 5, "num_emp": i % 7,
        "weeks_worked": i % 53, "instance_weight": f"{1000 + i}.25",
        "major_occ_code": ("Sales", "Professional specialty")[graduate],
        "education": make_census.EDUCATION[9 + 5 * graduate],
        "tax_filer_stat": ("Joint both under 65", "Single")[single],
        "marital_stat": ("Widowed", "Never married")[single],
        "income_50k": ("- 50000.", "50000+.")[rich]})
    rows.append(", ".join(map(str, values.values())).encode())
  return rows


class CompareCensusTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.input = os.path.join(self.folder, "input.gz")
    with gzip.open(self.input, "wb") as file:
      file.write(b"".join(row + b"\n" for row in make_rows(600)))
    self.base = config.load(str(EXPERIMENT))

  def _run(self, *more):
    """Returns the exit code, and what is written to stdout and stderr."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(
        errors):
      code = compare_census.main([
          "compare_census", f"--config={EXPERIMENT}", f"--input={self.input}",
          f"--output_dir={self.folder}/runs", *more])
    return code, printed.getvalue(), errors.getvalue()

  def _rows(self):
    made = os.path.join(self.folder, "made")
    subprocess.run([
        sys.executable, str(ROOT / "tools" / "make_census.py"),
        f"--input={self.input}", f"--output_dir={made}", "--bounds=0.6,0.8"],
                   check=True, capture_output=True)
    return compare_census.read(made)

  def test_rows_are_split_and_college_is_a_bachelors_degree_or_more(self):
    rows = self._rows()
    sizes = [len(rows[split]["age"]) for split in
             ("train", "validation", "test")]
    self.assertEqual(sum(sizes), 600)
    self.assertAlmostEqual(sizes[0] / 600, 0.6, delta=0.08)
    self.assertAlmostEqual(sizes[1] / 600, 0.2, delta=0.07)
    for some in rows.values():
      self.assertCountEqual(some, [*make_census.COLUMNS, "college"])
      np.testing.assert_array_equal(
          some["college"] == "1", some["education"] == "Masters degree("
          "MA MS MEng MEd MSW MBA)")

  def test_no_feature_tells_a_task(self):
    columns = [feature.column or feature.name
               for feature in self.base.data.feature]
    self.assertCountEqual(
        set(columns), set(make_census.COLUMNS) - {
            "education", "marital_stat", "income_50k", "instance_weight"})

  @parameterized.parameters(*compare_census.METHODS)
  def test_every_setting_of_every_method_is_valid(self, method):
    self.assertLen(compare_census.METHODS[method], 4)
    texts = set()
    for setting in compare_census.METHODS[method]:
      for tasks in ([("income",), ("college",), ("never_married",)]
                    if method == "single task" else compare_census.PAIRS):
        experiment = compare_census.experiment_of(self.base, method, setting,
                                                  tasks, 2)
        validation.check(experiment, {split: {} for split in
                                      ("train", "validation", "test")})
        self.assertCountEqual(
            [task.name for task in experiment.model.task], tasks)
        self.assertEqual(experiment.evaluation.best.metric, tasks[0] + "/auc")
        texts.add(config.to_text(experiment))
    self.assertLen(texts, 12 if method == "single task" else 8)

  def test_validation_chooses(self):
    tried = {"a": {"validation": {"t": 0.7, "u": 0.9}, "test": {"t": 0.9}},
             "b": {"validation": {"t": 0.8, "u": 0.7}, "test": {"t": 0.6}},
             "c": {"validation": {"t": 0.8, "u": 0.8}, "test": {"t": 0.7}}}
    self.assertEqual(compare_census.choose(tried, "t"), "b")
    self.assertEqual(compare_census.choose(tried, "u"), "a")

  def test_layout(self):
    lines = [line.split() for line in compare_census.layout(
        ("a", "b"), {"ours": {"a": [0.5, 0.7], "b": [0.9]}},
        {"ours": (0.1, 0.2), "theirs": (0.3, 0.4)}).splitlines()]
    self.assertEqual(lines, [
        "test AUC a a deviation a paper b b deviation b paper".split(),
        ["ours", "0.6000", "0.1414", "0.1000", "0.9000", "-", "0.2000"],
        ["theirs", "-", "-", "0.3000", "-", "-", "0.4000"]])

  def test_a_run_is_done_once_and_again_where_it_differs(self):
    rows = self._rows()
    method = "shared bottom"
    setting = next(iter(compare_census.METHODS[method]))
    auc = {"validation": {"income": 0.5}, "test": {"income": 0.25}}
    with mock.patch.object(compare_census, "train", return_value=auc) as train:
      for overrides, calls in (([], 1), ([], 1), (["data.batch_size=8"], 2)):
        runs = compare_census.Runs(api.experiment_of(self.base, overrides),
                                   rows, self.folder)
        self.assertEqual(runs.run(method, setting, ALL[:1], 1), auc)
        self.assertEqual(train.call_count, calls)

  def test_one_command_trains_once_and_prints(self):
    some = {method: dict([*compare_census.METHODS[method].items()][-1:])
            for method in ("single task", "MMoE")}
    # One feature of each kind, and those that tell a task: 41 take a minute.
    features = ", ".join(
        f"{{ {text_format.MessageToString(feature, as_one_line=True)} }}"
        for feature in self.base.data.feature if feature.name in (
            "age", "capital_gains", "age_range", "capital_gains_amount",
            "major_occ_code", "tax_filer_stat"))
    command = ("--seeds=1", f"--set=data.feature=[{features}]",
               "--set=training.num_steps=200",
               "--set=evaluation.every_steps=200", "--set=data.batch_size=64",
               "--set=training.moving_average.decay=0.1")
    trees = {"few": {"max_leaf_nodes": 4}}
    with mock.patch.multiple(compare_census, METHODS=some, TREES_SETTINGS=trees,
                             PAIRS=compare_census.PAIRS[:1]):
      code, printed, errors = self._run(*command)
      again = self._run(*command)
    self.assertEqual(code, 0, errors)
    # Each task alone, both together, and trees for each task.
    self.assertLen(errors.splitlines(), 2 + 1 + 2)
    self.assertEqual(again, (0, printed, ""))
    lines = printed.splitlines()
    for line, name in zip(lines[1:4], ("single task", "MMoE", "boosted trees")):
      self.assertStartsWith(line.strip(), name)
      found = line.replace(name, "").split()
      self.assertGreater(min(float(found[0]), float(found[3])), 0.9)
    self.assertStartsWith(lines[-1], "paper: ")

  def test_trees_learn_what_the_columns_tell(self):
    matrices = compare_census.design_matrices(self.base, self._rows())
    auc = compare_census.grow(matrices, "rate 0.1, leaves 15", "college", 1)
    self.assertGreater(auc["test"]["college"], 0.99)

  def test_bad_input_gives_one_line(self):
    code, _, errors = self._run("--input=absent.gz")
    self.assertEqual(code, 2)
    self.assertRegex(errors, "^--input: absent.gz: .*No such file.*\n$")


if __name__ == "__main__":
  absltest.main()
