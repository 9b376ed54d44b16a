"""Tests of finding what is wrong with sources, parts and conditions."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import source_checks
from mtl_graph.protos import data_pb2

# The kinds of files; what a function returns is none.
_KINDS = [f.name for f in data_pb2.Source.DESCRIPTOR.oneofs_by_name["kind"]
          .fields if f.name != "python"]


def _problems(text, needs_sources=True):
  found = []
  source_checks.check(text_format.Parse(text, data_pb2.Data()), needs_sources,
                      lambda path, problem: found.append(f"{path}: {problem}"))
  return found


class FilesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    for name in ("train.csv", "a[1].csv", "rows-00000-of-00002",
                 "rows-00001-of-00002", "part-00000-of-00002.gz"):
      with open(os.path.join(self._folder, name), "wb"):
        pass

  def _problems(self, path, kind="csv", more=""):
    return _problems(f'train {{ {kind} {{ path: "{path}" {more} }} }}')

  @parameterized.product(kind=_KINDS, name=(
      "train.csv", "t*.csv", "a[1].csv", "a[[]1].csv", "rows@2"))
  def test_files_that_are_there(self, kind, name):
    self.assertEmpty(self._problems(f"{self._folder}/{name}", kind))

  @parameterized.parameters("gs://bucket/rows*", "ram://a/rows@3", "s3://b/c")
  def test_other_file_systems_are_left_to_the_reader(self, path):
    self.assertEmpty(self._problems(path, "csv", f'header_file: "{path}"'))

  @parameterized.product(kind=_KINDS, name=("b*.csv", "b[1].csv", "rows@0"))
  def test_no_file(self, kind, name):
    path = f"{self._folder}/{name}"
    problem, = self._problems(path, kind)
    self.assertStartsWith(
        problem, f"data.train.{kind}.path[0]: no file matches '{path}' from "
        f"{os.getcwd()}; allowed: an existing file or a glob")

  @parameterized.parameters(
      ("rows@3", "rows-00000-of-00003", 3),
      ("part@2.gz", "part-00001-of-00002.gz", 2))
  def test_a_shard_is_missing(self, name, absent, count):
    path = f"{self._folder}/{name}"
    problem, = self._problems(path)
    self.assertStartsWith(
        problem, f"data.train.csv.path[0]: no file '{self._folder}/{absent}', "
        f"of which '{path}' has {count}, from {os.getcwd()}; allowed: all of "
        "them there")

  def test_header_file(self):
    problem, = self._problems(f"{self._folder}/train.csv", "csv",
                              f'header_file: "{self._folder}/trian.csv"')
    self.assertRegex(problem, r"^data.train.csv.header_file: no file '.*/trian."
                     "csv'; allowed: an existing file; nearest: 'train.csv'")

  @parameterized.parameters(_KINDS)
  def test_no_path(self, kind):
    self.assertEqual(_problems(f"train {{ {kind} {{}} }}"), [
        f"data.train.{kind}.path: found none; allowed: at least one path"])

  def test_no_kind(self):
    self.assertEqual(_problems("train {} test {}"), [
        f"data.{split}: found no kind; allowed: one of csv, npz, tfrecord, "
        "parquet, python" for split in ("train", "test")])

  def test_sources_that_are_not_needed(self):
    self.assertEqual(_problems(""), ["data.train: found nothing; required"])
    self.assertEmpty(_problems("validation {}", needs_sources=False))

  def test_sources_per_task(self):
    self.assertEqual(
        _problems("source { validation { npz {} } } source { train { csv { "
                  "path: '/no/such' } part {} } test {} }"),
        ["data.source[0].train: found nothing; required",
         "data.source[1].train.csv.path[0]: no file matches '/no/such' from "
         f"{os.getcwd()}; allowed: an existing file or a glob",
         "data.source[1].train.part: found no by; allowed: one of row_hash, "
         "key_column, column",
         "data.source[0].validation.npz.path: found none; allowed: at least "
         "one path",
         "data.source[1].test: found no kind; allowed: one of csv, npz, "
         "tfrecord, parquet, python"])
    self.assertEqual(
        _problems("source {} source { test { part {} } }", False),
        ["data.source[1].test.part: found no by; allowed: one of row_hash, "
         "key_column, column"])


class PartTest(parameterized.TestCase):

  @parameterized.parameters(
      "row_hash {}", "row_hash {} from: 0.5", "row_hash {} to: 0.5",
      'key_column: "k" from: 0.1 to: 0.2 outside: true',
      'column: "c" value: "x"')
  def test_valid(self, part):
    self.assertEmpty(_problems(f"test {{ part {{ {part} }} }}", False))

  @parameterized.named_parameters(
      ("no_by", "to: 0.5",
       ": found no by; allowed: one of row_hash, key_column, column"),
      ("no_key_column", 'key_column: ""',
       ".key_column: found ''; allowed: the name of a column"),
      ("no_column", 'column: "" value: "x"',
       ".column: found ''; allowed: the name of a column"),
      ("no_value", 'column: "c"', ".value: found none; allowed: at least one, "
       "as the part goes by column"),
      ("empty_value", 'column: "c" value: "x" value: ""', ".value[1]: found ''"
       "; allowed: any string but '', which stands for a missing value"),
      ("from_of_column", 'column: "c" value: "x" from: 0.5', ".from: found 0.5"
       "; allowed: nothing, as the part goes by column"),
      ("to_of_column", 'column: "c" value: "x" to: 1',
       ".to: found 1; allowed: nothing, as the part goes by column"),
      ("value_of_hash", 'row_hash {} value: "x"',
       ".value: found 'x'; allowed: nothing, as the part goes by row_hash"),
      ("from_below_0", "row_hash {} from: -0.1",
       ".from: found -0.1; allowed: 0 to 1"),
      ("from_above_1", "row_hash {} from: 1.5",
       ".from: found 1.5; allowed: 0 to 1"),
      ("from_is_1", "row_hash {} from: 1",
       ".to: found 1; allowed: above from, which is 1, and at most 1"),
      ("to_above_1", 'key_column: "k" to: 1.1',
       ".to: found 1.1; allowed: above from, which is 0, and at most 1"),
      ("nothing_between", "row_hash {} from: 0.5 to: 0.5",
       ".to: found 0.5; allowed: above from, which is 0.5, and at most 1"),
  )
  def test_refused(self, part, problem):
    self.assertEqual(_problems(f"test {{ part {{ {part} }} }}", False),
                     [f"data.test.part{problem}"])

  def test_parts_of_files_are_checked(self):
    self.assertEqual(_problems("train { csv {} part {} }")[-1],
                     "data.train.part: found no by; allowed: one of row_hash, "
                     "key_column, column")


class ConditionTest(parameterized.TestCase):

  @parameterized.parameters(
      'one_of: ["a", "b"]', "greater_than: 0", "less_than: -1 negate: true",
      "missing: true")
  def test_valid(self, condition):
    self.assertEmpty(_problems(
        f'drop_rows {{ column: "c" {condition} }}', False))

  @parameterized.named_parameters(
      ("no_column", "missing: true", ".column: found nothing; required"),
      ("nothing_asked", 'column: "c"', ": found none of one_of, greater_than, "
       "less_than, missing; allowed: exactly one"),
      ("two", 'column: "c" less_than: 1 greater_than: 0', ": found greater_than"
       " and less_than of one_of, greater_than, less_than, missing; allowed: "
       "exactly one"),
      ("not_missing", 'column: "c" missing: false', ".missing: found false; "
       "allowed: true, or nothing; negate: true turns a condition round"),
      ("empty_text", 'column: "c" one_of: ""', ".one_of[0]: found ''; allowed: "
       "any string but '', which stands for a missing value"),
  )
  def test_refused(self, condition, problem):
    self.assertEqual(
        _problems(f'drop_rows {{ column: "c" missing: true }} '
                  f"drop_rows {{ {condition} }}", False),
        [f"data.drop_rows[1]{problem}"])

  def test_by_itself(self):
    found = []
    source_checks.check_condition(
        data_pb2.Condition(less_than=1), "model.task[0].only_when",
        lambda path, problem: found.append(path))
    self.assertEqual(found, ["model.task[0].only_when.column"])


if __name__ == "__main__":
  absltest.main()
