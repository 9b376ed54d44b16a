"""Tests of the search for everything wrong with an experiment."""

import contextlib
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import validation

_TEXT = """
name: "small"
data {
  train { csv { path: "train.csv" } }
  validation { csv { path: "t*.csv" } }
  feature { name: "x" numeric {} }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 3 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 } } } }
  task { name: "late" binary {} tower { layer { dense { units: 2 } } } }
  task { name: "delay" regression {}
         estimate { task: "late" form: PROBABILITY } }
  task { name: "kind" multiclass { num_classes: 3 } }
}
training {
  num_steps: 10
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
}
evaluation { every_steps: 5 }
"""
_NAME = ("a lower-case letter, then lower-case letters, digits and '_'")


class CheckTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.enter_context(contextlib.chdir(folder))
    for name, content in (("train.csv", b"x\n1\n"), ("empty.txt", b"\n"),
                          ("classes.txt", b"a\nb\n"), ("latin.txt", b"\xe9\n"),
                          ("twice.txt", b"b\na\na\n")):
      with open(name, "wb") as file:
        file.write(content)

  def _problems(self, text, overrides=(), arrays=None):
    experiment = config.parse(text)
    for assignment in overrides:
      config.override(experiment, assignment)
    before = experiment.SerializeToString(deterministic=True)
    try:
      self.assertIsNone(validation.check(experiment, arrays))
      return []
    except config.ConfigErrors as errors:
      return str(errors).split("\n")
    finally:
      self.assertEqual(experiment.SerializeToString(deterministic=True), before)

  def _assert_problems(self, overrides, expected):
    self.assertEqual(self._problems(_TEXT, overrides), list(expected))

  @parameterized.named_parameters(
      ("name", ["name="],
       "name: found ''; allowed: letters, digits, '_', '-' and '.', at least "
       "one"),
      ("name_of_another_folder", ["name=../x"],
       "name: found '../x'; allowed: letters, digits, '_', '-' and '.', at "
       "least one"),
      ("name_with_dots", ["name=a.b-2"]),
      ("seed_below_zero", ["seed=-1"],
       "seed: found -1; allowed: 0 to 2147483647"),
      ("seed_too_large", ["seed=2147483648"],
       "seed: found 2147483648; allowed: 0 to 2147483647"))
  def test_the_experiment(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("no_batch", ["data.batch_size=0"],
       "data.batch_size: found 0; allowed: at least 1"),
      ("no_feature", ["data.feature=[]", "model.hard_sharing.trunk={}"],
       "data.feature: found none; allowed: at least one"),
      ("feature_name", ["data.feature[name=x].name=X"],
       f"data.feature[0].name: found 'X'; allowed: {_NAME}"),
      ("feature_without_name", ["data.feature[name=x]={numeric {}}"],
       f"data.feature[0].name: found ''; allowed: {_NAME}"),
      ("feature_twice", ["data.feature[name=x].name=c"],
       "data.feature[1].name: found 'c' a second time; allowed: each name "
       "once"),
      ("feature_reserved", ["data.feature[name=x].name=total"],
       "data.feature[0].name: found 'total', which is reserved; allowed: any "
       "name but shared, total, serving_default, predict_examples, "
       "run_state"),
      ("missing_value_too_large", [
        "data.feature[name=x].numeric.missing_value=1e39"],
       "data.feature[0].numeric.missing_value: found 1e+39; allowed: what fits "
       "32-bit floating point"),
      ("missing_value_nan", ["data.feature[name=x].numeric.missing_value=nan"],
       "data.feature[0].numeric.missing_value: found nan; allowed: a finite "
       "number"),
      ("boundary_infinite", ["data.feature[name=c].categorical={boundary: "
        "[1, inf] one_hot {}}"],
       "data.feature[1].categorical.boundary[1]: found inf; allowed: a finite "
       "number"),
      ("one_of_several_too_large", ["model.task[name=kind].multiclass={"
        "num_classes: 2 class_weight: [1, 1e39]}"],
       "model.task[2].multiclass.class_weight[1]: found 1e+39; allowed: what "
       "fits 32-bit floating point"),
      ("vector_from_csv", ["data.feature[name=x].numeric.size=3"],
       "data.feature[0].numeric.size: found 3 without a separator; allowed: 1 "
       "from .csv files, more with a separator or from other files"),
      ("resampling", ["data.resampling={task: 'delay'}"],
       "data.resampling.task: found 'delay'; allowed: a binary, multiclass or "
       "ordinal task: late, kind"),
      ("header_file_missing", ["data.train.csv.header_file=trian.csv"],
       "data.train.csv.header_file: no file 'trian.csv'; allowed: an "
       "existing file; nearest: 'train.csv'"))
  def test_data(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("there", "classes.txt"),
      ("missing", "clases.txt", "no file 'clases.txt'; allowed: an existing "
       "file; nearest: 'classes.txt', 'twice.txt', 'latin.txt'"),
      ("empty", "empty.txt", "found 0 entries; allowed: at least 1"),
      ("not_text", "latin.txt",
       "'latin.txt' cannot be read; allowed: UTF-8 text"),
      ("twice", "twice.txt",
       "found 'a' more than once; allowed: each entry once"))
  def test_vocabulary_files(self, name, *expected):
    categorical = f"vocabulary_file: '{name}' embedding_dimension: 2"
    self._assert_problems(
        [f"data.feature[name=c].categorical={{{categorical}}}"],
        ["data.feature[1].categorical.vocabulary_file: " + problem
         for problem in expected])

  @parameterized.named_parameters(
      ("task_name", ["model.task[name=kind].name=1a"],
       f"model.task[2].name: found '1a'; allowed: {_NAME}"),
      ("task_reserved", ["model.task[name=kind].name=shared"],
       "model.task[2].name: found 'shared', which is reserved; allowed: any "
       "name but shared, total, serving_default, predict_examples"),
      ("task_twice", ["model.task[name=kind].name=late"],
       "model.task[2].name: found 'late' a second time; allowed: each name "
       "once"),
      ("weight_without_weighted_sum", ["model.task[name=kind].weight=2"],
       "model.task[2].weight: found 2; allowed: only under "
       "training.joint.loss.weighted_sum"),
      ("weight", ["model.task[name=kind].weight=2",
        "training.joint.loss.weighted_sum={}"]),
      ("stop_gradient", ["model.stop_gradient=['trunk/dense', 'head/late', "
        "'embedding/c', 'tower/late/dense']"]),
      ("stop_gradient_of_nothing", ["model.stop_gradient=['trunk/dense_1', "
        "'xyz', 'embedding/x']"],
       "model.stop_gradient[0]: no tensor 'trunk/dense_1'; allowed: the "
       "output of a layer by its scope; nearest: 'trunk/dense', "
       "'tower/late/dense'",
       "model.stop_gradient[1]: no tensor 'xyz'; allowed: the output of a "
       "layer by its scope; there are: embedding/c, trunk/dense, "
       "tower/late/dense, head/late, head/delay, head/kind",
       "model.stop_gradient[2]: no tensor 'embedding/x'; allowed: the output "
       "of a layer by its scope; nearest: 'embedding/c'"),
      ("one_hot_has_no_tensor", ["data.feature[name=c].categorical={"
        "num_buckets: 5 one_hot {}}", "model.stop_gradient='embedding/c'"],
       "model.stop_gradient[0]: no tensor 'embedding/c'; allowed: the output "
       "of a layer by its scope; there are: trunk/dense, tower/late/dense, "
       "head/late, head/delay, head/kind"),
      ("layers_that_do_not_fit", [
        "model.task[name=late].tower.layer={flatten {}}"],
       "model.task[0].tower.layer[0].flatten: found a vector of 4 numbers as "
       "its input; allowed: an image"),
      ("layers_without_input", ["data.feature={name: 'c' categorical { "
        "num_buckets: 3 } use: WIDE}"],
       *(f"{path}: found layers that have nothing to read, as no feature is in "
         "the deep part; allowed: none"
         for path in ("model.hard_sharing.trunk", "model.task[0].tower"))))
  def test_model(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("best_of_nothing", ["evaluation.best={metric: 'late/xyz' goal: "
        "MAXIMIZE}"], ["evaluation.best.metric"]),
      ("conditions_and_slices", [
        "data.drop_rows={}", "evaluation.slice={}",
        "model.task[name=late].label.only_when={column {}}"],
       ["data.drop_rows[0].column", "data.drop_rows[0]",
        "model.task[0].label.only_when[0].column.column",
        "model.task[0].label.only_when[0].column",
        "evaluation.slice[0].column"]),
      ("warmup", ["serving.warmup_requests=-1"], ["serving.warmup_requests"]),
      ("exports", ["serving.task=['late', 'lat', 'late']"],
       ["serving.task[1]", "serving.task[2]"]),
      ("warm_start", ["training.warm_start={scope: 'trnk'}"],
       ["training.warm_start[0].checkpoint",
        "training.warm_start[0].scope[0]"]))
  def test_every_part_is_checked(self, overrides, paths):
    problems = self._problems(_TEXT, overrides)
    self.assertEqual([p.split(": ")[0] for p in problems], paths)

  def test_file_that_is_not_there(self):
    problems = self._problems(_TEXT, ["data.train.csv.path=['train.csv', "
                                      "'trian.csv']"])
    self.assertEqual(problems, [
        "data.train.csv.path[1]: no file matches 'trian.csv' from "
        f"{os.getcwd()}; allowed: an existing file or a glob; nearest: "
        "'train.csv'"])

  def test_empty_experiment(self):
    problems = self._problems("")
    self.assertEqual([p for p in problems if p.endswith("nothing; required")], [
        "data: found nothing; required", "model: found nothing; required",
        "training: found nothing; required",
        "data.train: found nothing; required"])
    self.assertContainsSubset([
        "data.feature: found none; allowed: at least one",
        "model: found no sharing; allowed: one of hard_sharing, "
        "mixture_of_experts, soft_sharing, customized_gate_control, "
        "progressive_layered_extraction, task_attention",
        "model.task: found none; allowed: at least one",
        "training: found no mode; allowed: one of joint, independent"],
                              problems)

  def test_all_problems_at_once(self):
    problems = self._problems(_TEXT, [
        "seed=-1", "data.batch_size=0", "data.train.csv.path=gone.csv",
        "model.stop_gradient=xyz", "model.task[name=kind].name=total",
        "training.joint={}", "training.log_every_steps=0",
        "serving.warmup_requests=-1"])
    self.assertEqual([p.split(":")[0] for p in problems], [
        "seed", "data.train.csv.path[0]", "data.batch_size",
        "model.task[2].name", "model.stop_gradient[0]", "training.joint.loss",
        "training.log_every_steps", "serving.warmup_requests"])

  def test_arrays_need_no_sources(self):
    overrides = ["data.train={}", "data.validation={}",
                 "evaluation.best={metric: 'late/auc' goal: MAXIMIZE}"]
    self.assertEqual(
        self._problems(_TEXT, overrides, arrays=["train", "validation"]), [])
    self.assertEqual(
        self._problems(_TEXT, overrides, arrays=["train"]),
        ["evaluation.best: found it without data.validation; allowed: with "
         "validation rows only"])
    self.assertLen(self._problems(_TEXT, overrides), 2)


class SharedExperimentsTest(parameterized.TestCase):
  """The experiments that the project is measured by, where they are."""
  _FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                         os.pardir, "shared", "experiments")

  @parameterized.parameters("flights", "document", "independent", "census")
  def test_parses_and_nothing_is_refused(self, name):
    path = os.path.join(self._FOLDER, f"{name}.pbtxt")
    if not os.path.exists(path):
      self.skipTest(f"{path} is not there.")
    experiment = config.load(path)
    self.assertEqual(experiment.name, name)
    self.assertEqual(config.parse(config.to_text(experiment)), experiment)
    try:
      validation.check(experiment, arrays=["train", "validation"])
      found = []
    except config.ConfigErrors as errors:
      found = errors.errors
    # Only the files beside an experiment may be missing.
    self.assertEqual([error.field_path for error in found
                      if not error.field_path.endswith("_file")], [])


if __name__ == "__main__":
  absltest.main()
