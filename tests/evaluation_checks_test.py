"""Tests of the search for what is wrong with the evaluation."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import evaluation_checks
from mtl_graph import outline

_HEADS = {
    "regression": "regression {}", "binary": "binary {}",
    "multiclass": "multiclass { num_classes: 3 }",
    "multilabel": "multilabel { num_labels: 3 }", "count": "count {}",
    "ordinal": "ordinal { num_classes: 3 }",
    "quantiles": "quantiles { level: 0.5 }",
}
# The heads that each further metric is one of; see protos/evaluation.proto.
_METRICS = {
    "threshold: 0.5": ["binary"],
    "k: 2": ["binary", "multiclass"],
    "group_column: 'u'": ["binary"],
    "confusion_matrix: true": ["binary", "multiclass", "ordinal"],
    "quantile: 0.5": ["regression"],
}
_TASKS = "".join(f"task {{ name: '{name}' {head} }} "
                 for name, head in _HEADS.items())
_BEST = "{ metric: 'binary/auc' goal: MAXIMIZE }"
_STOPPING = "{ metric: 'regression/rmse' goal: MINIMIZE patience: 1 }"


def _problems(evaluation, validation="validation { npz {} }", arrays=None):
  problems = []
  experiment = config.parse(
      f"data {{ {validation} }} model {{ {_TASKS} }} "
      f"evaluation {{ {evaluation} }}")
  evaluation_checks.check(
      experiment, arrays,
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems, experiment


class CheckTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("nothing", ""), ("at_the_end", "every_steps: 0 batch_size: 1"),
      ("numbers", "every_steps: -1 batch_size: 0",
       "evaluation.every_steps: found -1; allowed: at least 0",
       "evaluation.batch_size: found 0; allowed: at least 1"),
      ("best", f"every_steps: 1 best {_BEST} early_stopping {_STOPPING}"),
      ("best_without_goal", "every_steps: 1 best { metric: 'binary/auc' }",
       "evaluation.best.goal: found nothing; allowed: MAXIMIZE or MINIMIZE"),
      ("best_without_evaluations", f"best {_BEST}",
       "evaluation.best: found it with evaluation.every_steps: 0; allowed: "
       "with every_steps of at least 1"),
      ("early_stopping", "every_steps: 1 early_stopping { metric: "
       "'regression/r2' goal: MAXIMIZE min_delta: -1 }",
       "evaluation.early_stopping.patience: found nothing; allowed: at least 1",
       "evaluation.early_stopping.min_delta: found -1.0; allowed: at least 0"),
      ("metrics_of_nobody", "task_metrics { task: 'binry' k: -1 }",
       "evaluation.task_metrics[0].task: no task 'binry'; allowed: regression, "
       "binary, multiclass, multilabel, count, ordinal, quantiles; nearest: "
       "'binary'"),
      ("metrics_twice", "task_metrics { task: 'binary' k: 3 } task_metrics { "
       "task: 'binary' }", "evaluation.task_metrics[1].task: found 'binary' a "
       "second time; allowed: each task once"),
      ("metrics", "task_metrics { task: 'binary' threshold: [0, 1] k: 1 } "
       "task_metrics { task: 'regression' quantile: [0.001, 0.999] }"),
      ("limits", "task_metrics { task: 'binary' threshold: [-0.1, 1.1] k: 0 } "
       "task_metrics { task: 'regression' quantile: [0, 1] }",
       "evaluation.task_metrics[0].threshold[0]: found -0.1; allowed: 0 to 1",
       "evaluation.task_metrics[0].threshold[1]: found 1.1; allowed: 0 to 1",
       "evaluation.task_metrics[0].k[0]: found 0; allowed: at least 1",
       "evaluation.task_metrics[1].quantile[0]: found 0; allowed: above 0 and "
       "below 1",
       "evaluation.task_metrics[1].quantile[1]: found 1; allowed: above 0 and "
       "below 1"),
      ("one_name_twice", "task_metrics { task: 'binary' threshold: [0.5, 0.2, "
       "0.50000001] k: [3, 3] } task_metrics { task: 'regression' quantile: "
       "[0.1, 0.1] }",
       # Both would be called precision_at_0.5.
       "evaluation.task_metrics[0].threshold[2]: found 0.5 a second time; "
       "allowed: each once",
       "evaluation.task_metrics[0].k[1]: found 3 a second time; allowed: each "
       "once",
       "evaluation.task_metrics[1].quantile[1]: found 0.1 a second time; "
       "allowed: each once"),
      ("slices", "slice { column: 'c' max_values: 1 min_rows: 1 } slice { "
       "column: 'd' }"),
      ("slice_limits", "slice { max_values: 0 min_rows: 0 } slice { column: 'c'"
       " } slice { column: 'c' }",
       "evaluation.slice[0].column: found nothing; required",
       "evaluation.slice[0].max_values: found 0; allowed: at least 1",
       "evaluation.slice[0].min_rows: found 0; allowed: at least 1",
       "evaluation.slice[2].column: found 'c' a second time; allowed: each "
       "column once"))
  def test_evaluation(self, evaluation, *expected):
    self.assertEqual(_problems(evaluation)[0], list(expected))

  @parameterized.parameters("best", "early_stopping")
  def test_metric_of_nothing(self, field):
    rule = "{ metric: 'binary/auk' goal: MAXIMIZE patience: 1 }"
    if field == "best":
      rule = rule.replace("patience: 1", "")
    problems, experiment = _problems(f"every_steps: 1 {field} {rule}")
    names = ", ".join(outline.metric_names(experiment))
    self.assertLen(problems, 1)
    self.assertStartsWith(
        problems[0], f"evaluation.{field}.metric: no metric 'binary/auk'; "
        f"allowed: {names}; nearest: 'binary/auc'")

  @parameterized.parameters(
      "binary/precision_at_0.3", "binary/recall_at_top_20",
      "binary/grouped_auc", "multiclass/top_2_accuracy",
      "regression/quantile_loss_0.9", "quantiles/coverage", "ordinal/kappa",
      "multilabel/pr_auc", "count/poisson_deviance")
  def test_every_metric_may_be_best(self, metric):
    self.assertEqual(_problems(
        "task_metrics { task: 'binary' threshold: 0.3 k: 20 group_column: 'u' }"
        "task_metrics { task: 'multiclass' k: 2 } "
        "task_metrics { task: 'regression' quantile: 0.9 } every_steps: 1 "
        f"best {{ metric: '{metric}' goal: MAXIMIZE }}")[0], [])

  @parameterized.parameters("best", "early_stopping")
  def test_without_validation_rows(self, field):
    rule = f"every_steps: 1 {field} {_BEST if field == 'best' else _STOPPING}"
    expected = [f"evaluation.{field}: found it without data.validation; "
                "allowed: with validation rows only"]
    self.assertEqual(_problems(rule, validation="")[0], expected)
    self.assertEqual(_problems(rule, arrays=["train", "test"])[0], expected)
    self.assertEmpty(_problems(rule, validation="",
                               arrays=["train", "validation"])[0])

  @parameterized.named_parameters(
      ("good", f"{_STOPPING}"),
      ("nothing", "{}", ".metric: no metric ''; allowed: ...",
       ".goal: found nothing; allowed: MAXIMIZE or MINIMIZE",
       ".patience: found nothing; allowed: at least 1"),
      ("limits", "{ metric: 'count/rmse' goal: MINIMIZE patience: 0 min_delta: "
       "-1 }", ".patience: found 0; allowed: at least 1",
       ".min_delta: found -1.0; allowed: at least 0"))
  def test_of_a_task_of_independent_training(self, rule, *expected):
    problems, _ = _problems(
        "every_steps: 1 } training { independent { task {} task { "
        f"early_stopping {rule} }} }}")
    path = "training.independent.task[1].early_stopping"
    self.assertLen(problems, len(expected))
    for found, line in zip(problems, expected):
      self.assertStartsWith(found, path + line.removesuffix("..."))

  def test_of_a_task_without_measurements(self):
    training = ("} training { independent { task { early_stopping "
                f"{_STOPPING} }} }}")
    path = "training.independent.task[0].early_stopping"
    self.assertEqual(_problems(training, validation="")[0], [
        f"{path}: found it without data.validation; allowed: with validation "
        "rows only",
        f"{path}: found it with evaluation.every_steps: 0; allowed: with "
        "every_steps of at least 1"])

  def test_task_without_a_label(self):
    text = ("data { validation { npz {} } } model { task { name: 'a' binary {} "
            "no_loss: true %s } } evaluation { every_steps: 1 best { metric: "
            "'a/auc' goal: MAXIMIZE } task_metrics { task: 'a' k: 1 } }")
    for label, count in (("", 2), ("label { column: 'b' }", 0)):
      problems = []
      evaluation_checks.check(config.parse(text % label), None,
                              lambda *problem: problems.append(problem))
      self.assertLen(problems, count)
      self.assertContainsSubset([
          ("evaluation.task_metrics[0].task", "found 'a', which has no label; "
           "allowed: tasks that have one")][:count], problems)

  def test_rows_of_sources(self):
    rule = f"every_steps: 1 best {_BEST} slice {{ column: 'c' }}"
    source = "source { name: 's' } source { name: 't' validation {} }"
    self.assertEmpty(_problems(rule, source)[0])
    self.assertEmpty(_problems(rule, source, ["train/s", "validation/s"])[0])
    self.assertEqual(_problems(rule, source, ["train/s", "validation"])[0], [
        "evaluation.best: found it without data.source.validation; allowed: "
        "with validation rows only",
        "evaluation.slice: found it without data.source.validation and "
        "data.source.test; allowed: with rows to measure"])

  @parameterized.product(field=tuple(_METRICS), head=tuple(_HEADS))
  def test_every_metric_is_for_some_heads_only(self, field, head):
    name, heads = field.split(":")[0], _METRICS[field]
    kind = f"an {head}" if head == "ordinal" else f"a {head}"
    self.assertEqual(
        _problems(f"task_metrics {{ task: '{head}' {field} }}")[0],
        [] if head in heads else [
            f"evaluation.task_metrics[0].{name}: found it for {kind} task; "
            f"allowed: for {', '.join(heads)} tasks only"])


if __name__ == "__main__":
  absltest.main()
