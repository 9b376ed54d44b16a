"""Tests of the search for what is wrong with the model."""

import contextlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import model_checks
from mtl_graph.protos import model_pb2

_HEADS = {
    "regression": "regression {}", "binary": "binary {}",
    "multiclass": "multiclass { num_classes: 3 }",
    "multilabel": "multilabel { num_labels: 3 }", "count": "count {}",
    "ordinal": "ordinal { num_classes: 3 }",
    "quantiles": "quantiles { level: 0.5 }",
}
_A = {head: f"an {head}" if head == "ordinal" else f"a {head}"
      for head in _HEADS}
# The heads that each field of a label is for, as protos/model.proto has it.
_LABELS = {
    "greater_than: 1": ["binary"],
    "positive_value: 'x'": ["binary"],
    "log1p: true": ["regression", "quantiles"],
    "scale: 2": ["regression", "quantiles"],
    "ignore_value: -1": list(_HEADS),
    "separator: ','": ["regression", "multilabel"],
}


def _problems(model, weighted=False):
  problems = []
  training = config.parse("training { joint { loss { %s {} } } }" % (
      "weighted_sum" if weighted else "sum")).training
  model_checks.check(
      config.parse(f"model {{ hard_sharing {{}} {model} }}").model, training,
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class _Case(parameterized.TestCase):
  _PATH = "model.task[0]"

  def _assert_problems(self, task, expected):
    self.assertEqual(_problems(f"task {{ name: 't' {task} }}"),
                     [f"{self._PATH}{problem}" for problem in expected])


class ModelTest(_Case):

  def test_every_head_is_tested(self):
    self.assertCountEqual(_HEADS, [
        f.name for f in model_pb2.Task.DESCRIPTOR.oneofs_by_name["head"].fields
    ])

  @parameterized.parameters(*_HEADS.values())
  def test_good_head_has_no_problem(self, head):
    self._assert_problems(head, [])

  def test_what_is_shared_is_checked(self):
    problems = []
    report = lambda path, problem: problems.append(f"{path}: {problem}")
    training = config.parse("").training
    task = "task { name: 't' binary {} }"
    for sharing, expected in (
        ("", ["model: found no sharing; allowed: one of hard_sharing, "
              "mixture_of_experts, soft_sharing, customized_gate_control, "
              "progressive_layered_extraction, task_attention"]),
        ("hard_sharing { trunk { layer {} } }", [
            "model.hard_sharing.trunk.layer[0]: found no kind; allowed: one of "
            "dense, dropout, batch_normalization, layer_normalization, conv2d, "
            "max_pooling, average_pooling, flatten, global_max_pooling, "
            "global_average_pooling, residual, activation, "
            "python"])):
      del problems[:]
      model_checks.check(
          config.parse(f"model {{ {sharing} {task} }}").model, training, report)
      self.assertEqual(problems, expected)

  def test_no_task_has_a_loss(self):
    self.assertEqual(
        _problems("task { name: 't' binary {} no_loss: true }"),
        ["model.task[0].no_loss: found it on a task that nothing else trains; "
         "allowed: on a factor of a product, or where an estimate with "
         "stop_gradient: false is read, of tasks that are trained",
         "model.task.no_loss: found it on every task; allowed: at least one "
         "with a loss"])

  def test_no_tasks(self):
    self.assertEqual(_problems(""),
                     ["model.task: found none; allowed: at least one"])

  @parameterized.named_parameters(
      ("no_head", "", ": found no head; allowed: one of regression, binary, "
       "multiclass, multilabel, count, ordinal, quantiles"),
      ("weight", "binary {} weight: 2", ".weight: found 2; allowed: only under "
       "training.joint.loss.weighted_sum"),
      ("tower", "binary {} tower { layer { dense {} } }",
       ".tower.layer[0].dense.units: found nothing; allowed: at least 1"))
  def test_tasks(self, task, *expected):
    self._assert_problems(task, expected)

  def test_weights(self):
    text = "task { name: 't' binary {} weight: %g }"
    self.assertEmpty(_problems(text % 0, weighted=True))
    self.assertEqual(_problems(text % -0.5, weighted=True), [
        "model.task[0].weight: found -0.5; allowed: at least 0"])

  def test_held_tensors(self):
    problems = []
    model_checks.check_held(
        model_pb2.Model(stop_gradient=["trunk/dense", "head/t", "trunk/dens",
                                       "xyz"]),
        {"trunk/dense": (3,), "head/t": (1,)},
        lambda path, problem: problems.append(f"{path}: {problem}"))
    ending = "allowed: the output of a layer by its scope"
    self.assertEqual(problems, [
        f"model.stop_gradient[2]: no tensor 'trunk/dens'; {ending}; nearest: "
        "'trunk/dense'",
        f"model.stop_gradient[3]: no tensor 'xyz'; {ending}; there are: "
        "trunk/dense, head/t"])


class LabelTest(_Case):
  _PATH = "model.task[0].label"

  @parameterized.product(field=tuple(_LABELS), head=tuple(_HEADS))
  def test_every_field_is_for_some_heads_only(self, field, head):
    name = field.split(":")[0]
    heads = _LABELS[field]
    order = [h for h in model_checks._HEADS_OF_LABELS[name]]
    self.assertCountEqual(order, heads)
    self._assert_problems(f"{_HEADS[head]} label {{ {field} }}", [] if (
        head in heads) else [f".{name}: found it on {_A[head]} task; allowed: "
                             f"on {', '.join(order)} tasks only"])

  @parameterized.named_parameters(
      ("two_ways_to_yes", "binary {} label { greater_than: 1 positive_value: "
       "'x' }", ": found greater_than and positive_value; allowed: at most one "
       "of them"),
      ("ignore_value_beside_positive_value", "binary {} label { ignore_value: "
       "9 positive_value: 'x' }", ": found ignore_value and positive_value; "
       "allowed: at most one of them"),
      ("ignore_value_beside_greater_than", "binary {} label { ignore_value: 9 "
       "greater_than: 3 }"),
      ("positive_value_of_nothing", "binary {} label { positive_value: '' }",
       ".positive_value: found ''; allowed: any string but '', which stands "
       "for no label"),
      ("ignore_value_of_names", "multiclass { vocabulary: ['a', 'b'] } label { "
       "ignore_value: 9 }", ".ignore_value: found it beside a vocabulary; "
       "allowed: where the column holds numbers"),
      ("ignore_value_of_set", "multilabel { vocabulary: ['a', 'b'] } label { "
       "ignore_value: 9 }", ".ignore_value: found it beside a vocabulary; "
       "allowed: where the column holds numbers"),
      ("ignore_value_of_ordered_names", "ordinal { vocabulary: ['a', 'b'] } "
       "label { ignore_value: 9 }", ".ignore_value: found it beside a "
       "vocabulary; allowed: where the column holds numbers"),
      ("scale", "regression {} label { scale: 0 }",
       ".scale: found 0.0; allowed: above 0"),
      ("separator", "regression { size: 2 } label { separator: '' }",
       ".separator: found ''; allowed: at least one character"),
      ("all", "regression { size: 2 } label { column: ['a', 'b'] log1p: true "
       "scale: 0.5 ignore_value: 0 weight_column: 'w' }"),
      ("one_column", "binary {} label { column: ['a', 'b'] }",
       ".column: found 2; allowed: one"),
      ("one_column_of_a_set", "multilabel { vocabulary: ['a', 'b'] } label { "
       "column: ['a', 'b'] }", ".column: found 2; allowed: one"),
      ("one_column_for_all", "regression { size: 3 } label { column: 'a' }"),
      ("too_few_columns", "regression { size: 3 } label { column: ['a', 'b'] }",
       ".column: found 2; allowed: one, or 3, one per number"),
      ("a_column_per_label", "multilabel { num_labels: 3 } label { column: "
       "['a', 'b', 'c'] }"),
      ("columns_twice", "multilabel { num_labels: 3 } label { column: "
       "['a', '', 'a'] }", ".column[1]: found ''; allowed: the name of a "
       "column, each once", ".column[2]: found 'a' a second time; allowed: the "
       "name of a column, each once"),
      ("condition", "binary {} label { only_when { column { column: 'c' "
       "one_of: 'x' } } only_when { column { column: 'c' missing: true negate: "
       "true } } }"),
      ("no_condition", "binary {} label { only_when {} }",
       ".only_when[0]: found no what; allowed: one of task, column"),
      ("bad_condition", "binary {} label { only_when { column {} } }",
       ".only_when[0].column.column: found nothing; required",
       ".only_when[0].column: found none of one_of, greater_than, less_than, "
       "missing; allowed: exactly one"),
      ("when_nobody", "binary {} label { only_when { task: 'x' } }",
       ".only_when[0].task: found 'x'; allowed: another binary task: there is "
       "none"),
      ("when_itself", "binary {} label { only_when { task: 't' } }",
       ".only_when[0].task: found 't'; allowed: another binary task: there is "
       "none"))
  def test_labels(self, task, *expected):
    self._assert_problems(task, expected)

  def test_conditions_on_other_tasks(self):
    tasks = ("task { name: 'click' binary {} } task { name: 'tier' multiclass {"
             " num_classes: 3 } } task { name: 'spent' regression {} label { "
             "only_when { task: '%s' } } }")
    self.assertEmpty(_problems(tasks % "click"))
    for name, hint in (("clik", "; nearest: 'click'"), ("tier", ": click")):
      self.assertEqual(_problems(tasks % name), [
          f"model.task[2].label.only_when[0].task: found '{name}'; allowed: "
          f"another binary task{hint}"])


class HeadTest(_Case):

  @parameterized.named_parameters(
      ("huber", "regression { loss: HUBER huber_delta: 1e-9 }"),
      ("huber_delta", "regression { loss: HUBER huber_delta: 0 }",
       ".regression.huber_delta: found 0.0; allowed: above 0"),
      ("huber_delta_of_squares", "regression { huber_delta: 2 }",
       ".regression.huber_delta: found it without loss: HUBER; allowed: with "
       "that loss only"),
      ("size", "regression { size: 0 }",
       ".regression.size: found 0; allowed: at least 1"),
      ("binary", "binary { pos_weight: 0.5 label_smoothing: 0.99 focal { gamma:"
       " 0 } }"),
      ("binary_limits", "binary { pos_weight: 0 label_smoothing: 1 focal { "
       "gamma: -1 } }",
       ".binary.label_smoothing: found 1; allowed: at least 0 and below 1",
       ".binary.focal.gamma: found -1.0; allowed: at least 0",
       ".binary.pos_weight: found 0.0; allowed: above 0"),
      ("multiclass", "multiclass { vocabulary: ['a', 'b'] class_weight: [0, 2] "
       "label_smoothing: 0 focal {} }"),
      ("multiclass_limits", "multiclass { num_classes: 3 class_weight: [1, -1, "
       "0] label_smoothing: -0.1 focal { gamma: -1 } }",
       ".multiclass.label_smoothing: found -0.1; allowed: at least 0 and below "
       "1", ".multiclass.focal.gamma: found -1.0; allowed: at least 0",
       ".multiclass.class_weight[1]: found -1; allowed: at least 0"),
      ("class_weights_of_nothing", "multiclass { class_weight: [1, 1] }",
       ".multiclass: found none of num_classes, vocabulary, vocabulary_file; "
       "allowed: exactly one"),
      ("class_weights", "multiclass { num_classes: 3 class_weight: [1, 1] }",
       ".multiclass.class_weight: found 2; allowed: 3, one per class, or none"),
      ("one_class", "multiclass { num_classes: 1 }",
       ".multiclass.num_classes: found 1; allowed: at least 2"),
      ("one_class_by_name", "multiclass { vocabulary: 'a' }",
       ".multiclass.vocabulary: found 1 entries; allowed: at least 2"),
      ("one_class_by_file", "multiclass { vocabulary_file: 'one.txt' }",
       ".multiclass.vocabulary_file: found 1 entries; allowed: at least 2"),
      ("no_file", "ordinal { vocabulary_file: 'on.txt' }",
       ".ordinal.vocabulary_file: no file 'on.txt'; allowed: an existing file; "
       "nearest: 'one.txt'"),
      ("classes_twice", "multiclass { vocabulary: ['b', 'b', ''] }",
       ".multiclass.vocabulary: found ''; allowed: any entry but '', which "
       "stands for a missing value",
       ".multiclass.vocabulary: found 'b' more than once; allowed: each entry "
       "once"),
      ("no_classes", "multiclass {}", ".multiclass: found none of num_classes, "
       "vocabulary, vocabulary_file; allowed: exactly one"),
      ("ordinal", "ordinal { num_classes: 2 }"),
      ("one_ordered", "ordinal { num_classes: 1 }",
       ".ordinal.num_classes: found 1; allowed: at least 2"),
      ("two_ways", "ordinal { num_classes: 2 vocabulary: ['a', 'b'] }",
       ".ordinal: found num_classes and vocabulary of num_classes, vocabulary, "
       "vocabulary_file; allowed: exactly one"),
      ("one_label", "multilabel { vocabulary_file: 'one.txt' pos_weight: 3 }"),
      ("no_label", "multilabel { num_labels: 0 }",
       ".multilabel.num_labels: found 0; allowed: at least 1"),
      ("no_labels", "multilabel {}", ".multilabel: found none of num_labels, "
       "vocabulary, vocabulary_file; allowed: exactly one"),
      ("multilabel_limits", "multilabel { num_labels: 2 pos_weight: [1, 0] "
       "label_smoothing: 1 focal { gamma: -2 } }",
       ".multilabel.label_smoothing: found 1; allowed: at least 0 and below 1",
       ".multilabel.focal.gamma: found -2.0; allowed: at least 0",
       ".multilabel.pos_weight[1]: found 0; allowed: above 0"),
      ("pos_weights", "multilabel { num_labels: 2 pos_weight: 1 }",
       ".multilabel.pos_weight: found 1; allowed: 2, one per class, or none"),
      ("quantiles", "quantiles { level: [0.001, 0.999] }"),
      ("no_levels", "quantiles {}",
       ".quantiles.level: found none; allowed: at least one"),
      ("levels", "quantiles { level: [0, 0.5, 0.5, 0.4, 1] }",
       ".quantiles.level[0]: found 0; allowed: above 0 and below 1",
       ".quantiles.level[2]: found 0.5 behind 0.5; allowed: rising numbers",
       ".quantiles.level[3]: found 0.4 behind 0.5; allowed: rising numbers",
       ".quantiles.level[4]: found 1; allowed: above 0 and below 1"))
  def test_heads(self, head, *expected):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.enter_context(contextlib.chdir(folder))
    with open("one.txt", "w", encoding="utf-8") as file:
      file.write("a\n")
    self._assert_problems(head, expected)

  @parameterized.named_parameters(
      ("good", "binary {} additional_loss { weight: 0 binary { focal {} } } "
       "additional_loss { binary { pos_weight: 2 } }"),
      ("good_classes", "multiclass { num_classes: 2 } additional_loss { "
       "multiclass { class_weight: [1, 2] } }"),
      ("good_number", "regression { size: 3 } additional_loss { regression { "
       "loss: HUBER huber_delta: 2 } }"),
      ("nothing", "binary {} additional_loss { weight: -1 }",
       "[0].weight: found -1.0; allowed: at least 0",
       "[0]: found no kind; allowed: one of regression, binary, multiclass"),
      ("another_kind", "ordinal { num_classes: 3 } additional_loss { "
       "multiclass {} }", "[0].multiclass: found it on an ordinal task; "
       "allowed: a loss of the head's own kind"),
      ("sizes", "regression { size: 2 } additional_loss { regression { size: 2 "
       "} }", "[0].regression.size: found it in an additional loss; allowed: "
       "in the head only"),
      ("classes", "multiclass { num_classes: 2 } additional_loss { multiclass "
       "{ num_classes: 2 vocabulary: 'a' vocabulary_file: 'b' } }",
       *(f"[0].multiclass.{field}: found it in an additional loss; allowed: in "
         "the head only" for field in ("num_classes", "vocabulary",
                                       "vocabulary_file"))),
      ("limits", "regression {} additional_loss { regression {} } "
       "additional_loss { regression { huber_delta: 3 } }",
       "[1].regression.huber_delta: found it without loss: HUBER; allowed: "
       "with that loss only"),
      ("class_weights", "multiclass { num_classes: 2 } additional_loss { "
       "multiclass { class_weight: 1 } }", "[0].multiclass.class_weight: found "
       "1; allowed: 2, one per class, or none"))
  def test_additional_losses(self, task, *expected):
    self._assert_problems(task, [f".additional_loss{p}" for p in expected])


class EstimatesTest(parameterized.TestCase):
  _TASKS = "".join(f"task {{ name: '{name}' {head} }} "
                   for name, head in _HEADS.items())

  @parameterized.product(
      head=tuple(_HEADS), form=("PROBABILITY", "LOGIT", "VALUE",
                                "FORM_UNSPECIFIED"))
  def test_forms(self, head, form):
    allowed = (["VALUE"] if head in ("regression", "count", "quantiles")
               else ["PROBABILITY", "LOGIT"])
    found = _problems(f"{self._TASKS} task {{ name: 'z' binary {{}} "
                      f"estimate {{ task: '{head}' form: {form} }} }}")
    self.assertEqual(found, [] if form in allowed else [
        f"model.task[7].estimate[0].form: found {form} of {_A[head]} task; "
        f"allowed: {', '.join(allowed)}"])

  def test_of_nobody(self):
    text = "task { name: 'z' binary {} estimate { task: '%s' form: LOGIT } }"
    self.assertEqual(_problems(text % "y"), [
        "model.task[0].estimate[0].task: no task 'y'; allowed: none, there is "
        "one task"])
    self.assertEqual(_problems("task { name: 'late' binary {} }" + text % "lat"
                              ), [
        "model.task[1].estimate[0].task: no task 'lat'; allowed: late; nearest:"
        " 'late'"])

  def test_each_form_once(self):
    estimates = "".join(f"estimate {{ task: 'binary' form: {form} }} "
                        for form in ("LOGIT", "PROBABILITY", "LOGIT"))
    self.assertEqual(
        _problems(f"{self._TASKS} task {{ name: 'z' count {{}} {estimates} }}"),
        ["model.task[7].estimate[2]: found the estimate of 'binary' a second "
         "time; allowed: each form of it once"])

  def test_cycles(self):
    text = ("task { name: 'a' binary {} estimate { task: '%s' form: LOGIT } } "
            "task { name: 'b' binary {} estimate { task: 'a' form: LOGIT } }")
    for read, cycle in (("b", "a <- b <- a"), ("a", "a <- a")):
      self.assertEqual(_problems(text % read), [
          f"model.task: found tasks that read each other, {cycle}; allowed: no "
          "cycles"])

  def test_cycle_of_several_kinds(self):
    self.assertEqual(_problems(
        "task { name: 'a' binary {} transfer { task: 'b' } } "
        "task { name: 'b' binary {} estimate { task: 'ac' form: LOGIT } } "
        "task { name: 'c' binary {} } "
        "task { name: 'ac' binary {} product { task: ['a', 'c'] } }"), [
            "model.task: found tasks that read each other, a <- b <- ac <- a; "
            "allowed: no cycles"])


if __name__ == "__main__":
  absltest.main()
