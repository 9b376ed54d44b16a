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
_METRICS = ("late/loss, late/auc, late/log_loss, late/accuracy, late/f1, "
            "late/calibration, delay/loss, delay/rmse, delay/mae, delay/r2, "
            "delay/normalized_mse, kind/loss, kind/log_loss, kind/accuracy, "
            "kind/f1")
_NOT_BUILT = "parses, but this version does not build it"


class CheckTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.enter_context(contextlib.chdir(folder))
    for name, content in (("train.csv", b"x\n1\n"), ("empty.txt", b"\n"),
                          ("classes.txt", b"a\nb\n"), ("latin.txt", b"\xe9\n")):
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
      ("feature_without_kind", ["data.feature[name=x]={name: 'x'}"],
       "data.feature[0]: found no kind; allowed: one of numeric, categorical"),
      ("feature_name", ["data.feature[name=x].name=X"],
       f"data.feature[0].name: found 'X'; allowed: {_NAME}"),
      ("feature_without_name", ["data.feature[name=x]={numeric {}}"],
       f"data.feature[0].name: found ''; allowed: {_NAME}"),
      ("feature_twice", ["data.feature[name=x].name=c"],
       "data.feature[1].name: found 'c' a second time; allowed: each name "
       "once"),
      ("feature_reserved", ["data.feature[name=x].name=total"],
       "data.feature[0].name: found 'total', which is reserved; allowed: any "
       "name but shared, total, serving_default, predict_examples"),
      ("numeric_size", ["data.feature[name=x].numeric.size=0"],
       "data.feature[0].numeric.size: found 0; allowed: at least 1"),
      ("numeric_size_from_csv", ["data.feature[name=x].numeric.size=3"],
       "data.feature[0].numeric.size: found 3; allowed: 1 from .csv files, "
       "more from .npz files"),
      ("missing_value_too_large", [
        "data.feature[name=x].numeric.missing_value=1e39"],
       "data.feature[0].numeric.missing_value: found 1e+39; allowed: what fits "
       "32-bit floating point"),
      ("missing_value_nan", ["data.feature[name=x].numeric.missing_value=nan"],
       "data.feature[0].numeric.missing_value: found nan; allowed: a finite "
       "number"),
      ("no_embedding_dimension", [
        "data.feature[name=c].categorical={num_buckets: 5}"],
       "data.feature[1].categorical.embedding_dimension: found nothing; "
       "allowed: at least 1"),
      ("no_categories", [
        "data.feature[name=c].categorical={embedding_dimension: 3}"],
       "data.feature[1].categorical: found none of num_buckets, "
       "hash_buckets, vocabulary, vocabulary_file; allowed: exactly one"),
      ("categories_twice", ["data.feature[name=c].categorical.hash_buckets=3"],
       "data.feature[1].categorical: found num_buckets and hash_buckets of "
       "num_buckets, hash_buckets, vocabulary, vocabulary_file; allowed: "
       "exactly one"),
      ("zero_buckets", ["data.feature[name=c].categorical.num_buckets=0"],
       "data.feature[1].categorical.num_buckets: found 0; allowed: at least 1"),
      ("vocabulary", ["data.feature[name=c].categorical={vocabulary: ['a', "
        "'b'] embedding_dimension: 2}"]),
      ("vocabulary_repeats", ["data.feature[name=c].categorical={vocabulary: "
        "['a', 'b', 'a'] embedding_dimension: 2}"],
       "data.feature[1].categorical.vocabulary: found 'a' more than once; "
       "allowed: each entry once"),
      ("vocabulary_of_nothing", ["data.feature[name=c].categorical={"
        "vocabulary: ['a', ''] embedding_dimension: 2}"],
       "data.feature[1].categorical.vocabulary: found ''; allowed: any entry "
       "but '', which stands for a missing value"),
      ("vocabulary_file", [
        "data.feature[name=c].categorical={vocabulary_file: 'classes.txt' "
        "embedding_dimension: 2}"]),
      ("vocabulary_file_missing", [
        "data.feature[name=c].categorical={vocabulary_file: 'clases.txt' "
        "embedding_dimension: 2}"],
       "data.feature[1].categorical.vocabulary_file: no file 'clases.txt'; "
       "allowed: an existing file; nearest: 'classes.txt', "
       "'latin.txt', 'empty.txt'"),
      ("vocabulary_file_empty", [
        "data.feature[name=c].categorical={vocabulary_file: 'empty.txt' "
        "embedding_dimension: 2}"],
       "data.feature[1].categorical.vocabulary_file: found 0 entries; "
       "allowed: at least 1"),
      ("vocabulary_file_not_text", [
        "data.feature[name=c].categorical={vocabulary_file: 'latin.txt' "
        "embedding_dimension: 2}"],
       "data.feature[1].categorical.vocabulary_file: 'latin.txt' cannot be "
       "read; allowed: UTF-8 text"),
      ("source_without_kind", ["data.train={}"],
       "data.train: found no kind; allowed: one of csv, npz"),
      ("source_without_path", ["data.train.csv={}"],
       "data.train.csv.path: found none; allowed: at least one path"),
      ("header_file_missing", ["data.train.csv.header_file=trian.csv"],
       "data.train.csv.header_file: no file 'trian.csv'; allowed: an "
       "existing file; nearest: 'train.csv'"))
  def test_data(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("not_built_architecture", ["model.mixture_of_experts={}"],
       f"model.mixture_of_experts: {_NOT_BUILT}; allowed: hard_sharing"),
      ("task_name", ["model.task[name=kind].name=1a"],
       f"model.task[2].name: found '1a'; allowed: {_NAME}"),
      ("task_reserved", ["model.task[name=kind].name=shared"],
       "model.task[2].name: found 'shared', which is reserved; allowed: any "
       "name but shared, total, serving_default, predict_examples"),
      ("task_without_head", ["model.task[name=kind]={name: 'kind'}"],
       "model.task[2]: found no head; allowed: one of regression, binary, "
       "multiclass"),
      ("weight_without_weighted_sum", ["model.task[name=kind].weight=2"],
       "model.task[2].weight: found 2; allowed: only under "
       "training.joint.loss.weighted_sum"),
      ("weight", ["model.task[name=kind].weight=2",
        "training.joint.loss.weighted_sum={}"]),
      ("weight_below_zero", ["model.task[name=kind].weight=-2",
        "training.joint.loss.weighted_sum={}"],
       "model.task[2].weight: found -2.0; allowed: at least 0"),
      ("layer_without_kind", ["model.hard_sharing.trunk.layer={}"],
       "model.hard_sharing.trunk.layer[0]: found no kind; allowed: one of "
       "dense, dropout"),
      ("no_units", ["model.task[name=late].tower.layer={ dense {} }"],
       "model.task[0].tower.layer[0].dense.units: found nothing; allowed: at "
       "least 1"),
      ("no_rate", ["model.task[name=late].tower.layer={ dropout {} }"],
       "model.task[0].tower.layer[0].dropout.rate: found nothing; allowed: "
       "at least 0 and below 1"),
      ("rate_one", ["model.task[name=late].tower.layer={ dropout { rate: 1 } "
        "}"],
       "model.task[0].tower.layer[0].dropout.rate: found 1.0; allowed: at "
       "least 0 and below 1"),
      ("rate_zero", ["model.task[name=late].tower.layer={ dropout { rate: 0 "
        "} }"]),
      ("stop_gradient", ["model.stop_gradient=['trunk/dense', 'head/late']"]),
      ("stop_gradient_of_nothing", ["model.stop_gradient=['trunk/dense_1', "
        "'xyz']"],
       "model.stop_gradient[0]: no tensor 'trunk/dense_1'; allowed: the "
       "output of a layer by its scope; nearest: 'trunk/dense', "
       "'tower/late/dense'",
       "model.stop_gradient[1]: no tensor 'xyz'; allowed: the output of a "
       "layer by its scope; there are: embedding/c, trunk/dense, "
       "tower/late/dense, head/late, head/delay, head/kind"))
  def test_model(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("greater_than_of_a_number", [
        "model.task[name=delay].label={greater_than: 3}"],
       "model.task[1].label.greater_than: found it on a regression task; "
       "allowed: on binary tasks only"),
      ("positive_value_of_classes", [
        "model.task[name=kind].label={positive_value: 'x'}"],
       "model.task[2].label.positive_value: found it on a multiclass task; "
       "allowed: on binary tasks only"),
      ("log1p_and_scale_of_yes_or_no", ["model.task[name=late].label={log1p: "
        "true scale: 2}"],
       "model.task[0].label.log1p: found it on a binary task; allowed: on "
       "regression tasks only",
       "model.task[0].label.scale: found it on a binary task; allowed: on "
       "regression tasks only"),
      ("ignore_value_of_classes", [
        "model.task[name=kind].label={ignore_value: 3}"],
       "model.task[2].label.ignore_value: found it on a multiclass task; "
       "allowed: on binary and regression tasks only"),
      ("two_ways_to_yes", ["model.task[name=late].label={greater_than: 1 "
        "positive_value: 'x'}"],
       "model.task[0].label: found greater_than and positive_value; allowed: "
       "at most one of them"),
      ("ignore_value_beside_positive_value", [
        "model.task[name=late].label={ignore_value: 9 positive_value: 'x'}"],
       "model.task[0].label: found ignore_value and positive_value; allowed: "
       "at most one of them"),
      ("scale_zero", ["model.task[name=delay].label={scale: 0}"],
       "model.task[1].label.scale: found 0.0; allowed: above 0"),
      ("label", ["model.task[name=delay].label={log1p: true scale: 0.5 "
        "ignore_value: 0 column: 'd'}"]),
      ("huber_delta", ["model.task[name=delay].regression={loss: HUBER "
        "huber_delta: 2}"]),
      ("huber_delta_zero", ["model.task[name=delay].regression={loss: HUBER "
        "huber_delta: 0}"],
       "model.task[1].regression.huber_delta: found 0.0; allowed: above 0"),
      ("huber_delta_of_squares", [
        "model.task[name=delay].regression={huber_delta: 2}"],
       "model.task[1].regression.huber_delta: found it without loss: HUBER; "
       "allowed: with that loss only"),
      ("one_class", ["model.task[name=kind].multiclass.num_classes=1"],
       "model.task[2].multiclass.num_classes: found 1; allowed: at least 2"),
      ("one_class_by_name", ["model.task[name=kind].multiclass={vocabulary: "
        "'a'}"],
       "model.task[2].multiclass.vocabulary: found 1 entries; allowed: at "
       "least 2"),
      ("no_classes", ["model.task[name=kind].multiclass={}"],
       "model.task[2].multiclass: found none of num_classes, vocabulary, "
       "vocabulary_file; allowed: exactly one"))
  def test_labels_and_heads(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("estimate_of_nobody", ["model.task[name=delay].estimate[0].task=lat"],
       "model.task[1].estimate[0].task: no task 'lat'; allowed: late, kind; "
       "nearest: 'late'"),
      ("estimate_form", ["model.task[name=delay].estimate[0].form=VALUE"],
       "model.task[1].estimate[0].form: found VALUE of a binary task; "
       "allowed: PROBABILITY, LOGIT"),
      ("estimate_without_form", ["model.task[name=delay].estimate={task: "
        "'late'}"],
       "model.task[1].estimate[0].form: found FORM_UNSPECIFIED of a binary "
       "task; allowed: PROBABILITY, LOGIT"),
      ("estimate_twice", ["model.task[name=delay].estimate=[{task: 'late' "
        "form: LOGIT}, {task: 'late' form: PROBABILITY}, {task: 'late' form: "
        "LOGIT}]"],
       "model.task[1].estimate[2]: found the estimate of 'late' a second "
       "time; allowed: each form of it once"),
      ("estimate_cycle", ["model.task[name=late].estimate={task: 'delay' "
        "form: VALUE}"],
       "model.task.estimate: found the cycle late <- delay <- late; allowed: "
       "estimates without cycles"),
      ("estimate_of_itself", ["model.task[name=late].estimate={task: 'late' "
        "form: LOGIT}"],
       "model.task.estimate: found the cycle late <- late; allowed: "
       "estimates without cycles"))
  def test_estimates(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("evaluation", ["evaluation={every_steps: -1 batch_size: 0}"],
       "evaluation.every_steps: found -1; allowed: at least 0",
       "evaluation.batch_size: found 0; allowed: at least 1"),
      ("best", ["evaluation.best={metric: 'late/auc' goal: MAXIMIZE}"]),
      ("best_of_nothing", ["evaluation.best={metric: 'late/auk' goal: "
        "MAXIMIZE}"],
       f"evaluation.best.metric: no metric 'late/auk'; allowed: {_METRICS}; "
       "nearest: 'late/auc', 'late/f1', 'late/accuracy'"),
      ("best_without_goal", ["evaluation.best={metric: 'late/auc'}"],
       "evaluation.best.goal: found nothing; allowed: MAXIMIZE or MINIMIZE"),
      ("best_without_evaluations", ["evaluation={best {metric: 'late/auc' "
        "goal: MAXIMIZE}}"],
       "evaluation.best: found it with evaluation.every_steps: 0; allowed: "
       "with every_steps of at least 1"),
      ("early_stopping", ["evaluation.early_stopping={metric: 'delay/rmse' "
        "goal: MINIMIZE min_delta: -1}"],
       "evaluation.early_stopping.patience: found nothing; allowed: at least "
       "1",
       "evaluation.early_stopping.min_delta: found -1.0; allowed: at least 0"),
      ("warmup", ["serving.warmup_requests=-1"],
       "serving.warmup_requests: found -1; allowed: at least 0"))
  def test_evaluation_and_serving(self, overrides, *expected):
    self._assert_problems(overrides, expected)

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
        "mixture_of_experts",
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

  def test_best_needs_validation_rows(self):
    text = _TEXT.replace('validation { csv { path: "t*.csv" } }', "")
    for rule in ("best={metric: 'late/auc' goal: MAXIMIZE}",
                 "early_stopping={metric: 'late/auc' goal: MAXIMIZE patience: "
                 "1}"):
      self.assertEqual(self._problems(text, ["evaluation." + rule]), [
          f"evaluation.{rule.split('=')[0]}: found it without data.validation; "
          "allowed: with validation rows only"])


class SharedExperimentsTest(parameterized.TestCase):
  """The experiments that the project is measured by, where they are."""
  _FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                         os.pardir, "shared", "experiments")

  @parameterized.parameters(
      ("flights", []), ("document", []),
      ("census", ["model.mixture_of_experts",
                  "training.joint.gradient_balancing"]),
      ("independent", ["training.independent"]))
  def test_parses_and_says_what_is_not_built(self, name, expected):
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
                      if not error.field_path.endswith("_file")], expected)


if __name__ == "__main__":
  absltest.main()
