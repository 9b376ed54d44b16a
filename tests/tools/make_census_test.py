"""Tests for tools/make_census.py."""

import contextlib
import gzip
import io
import os
import pathlib
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import api
from mtl_graph import config
from mtl_graph import validation
from mtl_graph.data import splits
from tools import make_census

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
PUBLISHED = (ROOT.parent / "shared" / "data" / "census_income"
             / "census-income.test.gz")
EXPERIMENT = ROOT.parent / "shared" / "experiments" / "census.pbtxt"

NAMES = ["census-columns.txt", "census-test.csv.gz", "census-train.csv.gz",
         "census-validation.csv.gz", "education.txt"]


def make_rows(count):
  """Makes rows in the published format; every tenth comes twice in a row."""
  random = np.random.RandomState(0)
  rows = []
  for i in range(count):
    if i % 10 == 9:
      rows.append(rows[-1])
      continue
    values = dict.fromkeys(make_census.COLUMNS, "Not in universe")
    values.update(
        age=i % 91, det_occ_code=i % 47, capital_gains=i % 3 * 1000,
        sex=("Male", "Female")[i % 2], class_worker=("Private", "?")[i % 2],
        education=make_census.EDUCATION[i % 17],
        wage_per_hour=i % 4 * 500, instance_weight=f"{1000 + i}.25",
        marital_stat=("Never married", "Widowed")[random.randint(2)],
        income_50k=("- 50000.", "50000+.")[random.randint(2)])
    rows.append(", ".join(map(str, values.values())).encode())
  return rows


def write(path, rows):
  with gzip.open(path, "wb") as file:
    file.write(b"".join(row + b"\n" for row in rows))


def given_experiment():
  """Returns the census experiment as it was given."""
  return config.parse(EXPERIMENT.read_text(encoding="utf-8"))


class MakeCensusTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.input = os.path.join(self.folder, "census-income.test.gz")
    self.output = os.path.join(self.folder, "new")
    write(self.input, make_rows(500))

  def _run(self, *more, path=None):
    """Returns the exit code, and what is written to stdout and stderr."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(
        errors):
      code = make_census.main(["make_census", f"--input={path or self.input}",
                               f"--output_dir={self.output}", *more])
    return code, printed.getvalue(), errors.getvalue()

  def _bytes(self):
    return {path.name: path.read_bytes()
            for path in pathlib.Path(self.output).iterdir()}

  def test_rows_stay_as_published_and_in_order(self):
    self.assertEqual(self._run()[0], 0)
    files = self._bytes()
    self.assertCountEqual(files, NAMES)
    found = {name: gzip.decompress(data).splitlines()
             for name, data in files.items() if name.endswith(".gz")}
    rows = make_rows(500)
    self.assertCountEqual(sum(found.values(), []), rows)
    for some in found.values():
      self.assertNotEmpty(some)
      self.assertEqual(some, [row for row in rows if row in set(some)])

  def test_equal_rows_go_together(self):
    found = make_census.split(make_rows(500))
    self.assertEqual(sum(map(len, found.values())), 500)
    self.assertLen(set().union(*found.values()), 450)
    self.assertEqual(sum(len(set(some)) for some in found.values()), 450)

  def test_sizes_are_as_said_and_order_does_not_matter(self):
    rows = [f"row {i}".encode() for i in range(20000)]
    found = make_census.split(rows)
    for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
      # Four standard deviations of a binomial share.
      spread = 4 * (share * (1 - share) / len(rows)) ** 0.5
      self.assertAlmostEqual(len(found[name]) / len(rows), share, delta=spread)
    again = make_census.split(rows[::-1])
    self.assertEqual({k: v[::-1] for k, v in again.items()}, found)

  def test_bounds_say_where_rows_go(self):
    rows = [f"row {i}".encode() for i in range(20000)]
    found = make_census.split(rows, (0.6, 0.8))
    self.assertAlmostEqual(len(found["train"]) / 20000, 0.6, delta=0.014)
    self.assertAlmostEqual(len(found["test"]) / 20000, 0.2, delta=0.012)
    # A higher bound takes rows from the next split, and moves no other.
    self.assertContainsSubset(found["train"], make_census.split(rows)["train"])
    self._run("--bounds=0.6,0.8")
    self.assertEqual(
        gzip.decompress(self._bytes()["census-train.csv.gz"]).splitlines(),
        make_census.split(make_rows(500), (0.6, 0.8))["train"])

  @parameterized.parameters("0.8", "0.8,0.9,1", "0.9,0.8", "0,0.5", "0.5,1",
                            "a,b", "nan,0.5")
  def test_bad_bounds_give_one_line(self, bounds):
    code, _, errors = self._run(f"--bounds={bounds}")
    self.assertEqual(code, 2)
    self.assertEqual(errors, f"--bounds: found '{bounds}'; allowed: two rising "
                     "numbers between 0 and 1\n")
    self.assertFalse(os.path.exists(self.output))

  def test_names_of_columns_and_classes(self):
    self._run()
    files = self._bytes()
    columns = files["census-columns.txt"].decode().splitlines()
    self.assertLen(set(columns), 42)
    self.assertEqual(columns[24], "instance_weight")
    self.assertEqual(columns[-1], "income_50k")
    classes = files["education.txt"].decode().splitlines()
    self.assertLen(set(classes), 17)
    self.assertEqual(classes, [name.strip() for name in classes])

  def test_bytes_depend_on_the_rows_alone(self):
    rows = make_rows(50)
    first = make_census.make(make_census.split(rows))
    with mock.patch("time.time", return_value=1e9):
      self.assertEqual(make_census.make(make_census.split(rows)), first)
    # Flags, four bytes of time.
    self.assertEqual(first["census-train.csv.gz"][3:8], bytes(5))

  def test_dry_run_writes_nothing(self):
    code, planned, _ = self._run("--dry_run")
    self.assertEqual(code, 0)
    self.assertFalse(os.path.exists(self.output))
    self.assertEqual(planned.replace("would write", "wrote"), self._run()[1])

  def test_never_over_a_file(self):
    self._run()
    before = self._bytes()
    write(self.input, make_rows(20))
    code, _, errors = self._run()
    self.assertEqual(code, 2)
    self.assertRegex(errors, "^--output_dir: '.*' exists; allowed: .*\n$")
    self.assertEqual(self._bytes(), before)

  @parameterized.named_parameters(
      ("not_gzip", b"rows", "found no gzip file that can be read"),
      ("cut_short", gzip.compress(b"1, 2\n" * 99)[:-9], "no gzip file"),
      ("empty", gzip.compress(b""), "found no rows; allowed: at least one"),
      ("fields", gzip.compress(make_rows(1)[0] + b"\n1, 2\n"),
       "line 2: found 2 fields; allowed: 42"),
      ("education", gzip.compress(make_rows(1)[0].replace(b"Child", b"Cold")),
       "line 1: column `education`: found 'Coldren'; allowed: Children, "),
  )
  def test_bad_file_gives_one_line(self, data, message):
    path = os.path.join(self.folder, "bad.gz")
    pathlib.Path(path).write_bytes(data)
    code, _, errors = self._run(path=path)
    self.assertEqual(code, 1)
    self.assertRegex(errors, f"^{path}.*\n$")
    self.assertIn(message, errors)
    self.assertFalse(os.path.exists(self.output))

  def test_absent_file(self):
    code, _, errors = self._run(path="absent.gz")
    self.assertEqual(code, 1)
    self.assertRegex(errors, "^absent.gz: .*No such file.*\n$")


class GivenExperimentTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    if not (PUBLISHED.exists() and EXPERIMENT.exists()):
      raise absltest.SkipTest("the published data are not here")
    cls.rows = make_census.read(str(PUBLISHED))
    cls.files = make_census.make(make_census.split(cls.rows))

  def setUp(self):
    super().setUp()
    before = os.getcwd()
    self.addCleanup(os.chdir, before)
    os.chdir(self.enter_context(tempfile.TemporaryDirectory()))
    for name, data in self.files.items():
      pathlib.Path(name).write_bytes(data)

  def test_published_file(self):
    found = make_census.split(self.rows)
    self.assertEqual(sum(map(len, found.values())), 99762)
    # As the README of the data says, 883 rows come a second time or more.
    self.assertEqual(sum(len(set(some)) for some in found.values()),
                     99762 - 883)
    education = {row.split(b",")[4].strip().decode() for row in self.rows}
    self.assertEqual(education, set(make_census.EDUCATION))

  def test_reads_as_the_experiment_says(self):
    experiment = given_experiment()
    validation.check(experiment)
    read = splits.read(experiment, "validation")
    published = [[field.strip() for field in row.decode().split(",")]
                 for row in make_census.split(self.rows)["validation"]]
    values = dict(zip(make_census.COLUMNS, zip(*published)))
    np.testing.assert_array_equal(read.raw["age"], np.array(values["age"], int))
    np.testing.assert_array_equal(read.raw["det_occ_code"],
                                  np.array(values["det_occ_code"], int))
    self.assertEqual([_text(v) for v in read.raw["class_worker"]],
                     list(values["class_worker"]))

    wage = np.array(values["wage_per_hour"], float)
    names = [task.name for task in experiment.model.task]
    labelled = read.labels.weights[:, names.index("wage")] > 0
    np.testing.assert_array_equal(labelled, wage != 0)
    income = np.array(values["income_50k"]) == "50000+."
    np.testing.assert_array_equal(
        read.labels.values[:, names.index("income")], income)

  def test_trains_end_to_end(self):
    result = api.train(given_experiment(), model_dir="run", overrides=[
        "training.num_steps=150", "training.summaries.enabled=false"],
                       log=lambda line: None)
    self.assertEqual(result.step, 150)
    found = result.metrics["validation"]
    self.assertCountEqual(
        found, ["income", "never_married", "education", "wage"])
    # Age alone tells who has never married; a coin toss is 0.5.
    self.assertGreater(found["never_married"]["auc"], 0.8)
    self.assertGreater(found["income"]["auc"], 0.6)


def _text(value):
  return value.decode() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
  absltest.main()
