"""Labels, heads and losses that cannot be, and what must be said of each."""

import functools

from tests import small_experiment

_wide = functools.partial(small_experiment.line_case, base="wide")

# The tasks of `wide_experiment.TEXT` by name.
_TASKS = {name: f"model.task[{i}]" for i, name in enumerate((
    "click", "spent", "offset", "tier", "topics", "flags", "events", "grade",
    "delay"))}
_ONE_OF = "num_classes, vocabulary, vocabulary_file; allowed: exactly one"


def _at(name, task, field, value, problem, *others, **more):
  """A field of a task of the wide experiment with another value."""
  path = f"{_TASKS[task]}.{field}"
  return _wide(name, f"{path}={value}", f"{path}: {problem}", *others, **more)


def _of(name, task, field, value, part, problem, *others, **more):
  """A message of a task with another value, and what is said of a part."""
  path = f"{_TASKS[task]}.{field}"
  return _wide(name, f"{path}={value}", f"{path}{part}: {problem}", *others,
               **more)


COLUMNS = (
    _at("two_columns_of_a_binary_label", "click", "label.column",
        "['clicked', 'dx']", "found 2; allowed: one"),
    _at("three_columns_of_two_numbers", "offset", "label.column",
        "['dx', 'dy', 'age']", "found 3; allowed: one, or 2, one per number",
        process=True),
    _of("column_of_a_vector_twice", "offset", "label.column", "['dx', 'dx']",
        "[1]", "found 'dx' a second time; allowed: the name of a column, each "
        "once"),
    _of("label_column_without_name", "offset", "label.column", "['dx', '']",
        "[1]", "found ''; allowed: the name of a column, each once"),
    _at("columns_beside_a_vocabulary", "topics", "label.column",
        "['art', 'law', 'sea']", "found 3; allowed: one"),
    _at("separator_of_labels_empty", "flags", "label.separator", "",
        "found ''; allowed: at least one character"),
    _at("separator_of_one_number", "click", "label.separator", ";",
        "found it on a binary task; allowed: on regression, multilabel tasks "
        "only"),
)

CONDITIONS = (
    _of("only_when_nothing", "spent", "label.only_when", "[{}]", "[0]",
        "found no what; allowed: one of task, column"),
    _of("only_when_unknown_task", "spent", "label.only_when",
        "[{task: 'klick'}]", "[0].task", "found 'klick'; allowed: another "
        "binary task; nearest: 'click'"),
    _of("only_when_itself", "click", "label.only_when", "[{task: 'click'}]",
        "[0].task", "found 'click'; allowed: another binary task..."),
    _of("only_when_not_binary", "spent", "label.only_when", "[{task: 'tier'}]",
        "[0].task", "found 'tier'; allowed: another binary task: click"),
    _of("only_when_column_of_no_name", "spent", "label.only_when",
        "[{column {missing: true}}]", "[0].column.column",
        "found nothing; required"),
    _of("only_when_of_no_test", "spent", "label.only_when",
        "[{column {column: 'age'}}]", "[0].column", "found none of one_of, "
        "greater_than, less_than, missing; allowed: exactly one"),
    _of("only_when_of_two_tests", "spent", "label.only_when",
        "[{column {column: 'age' less_than: 3 greater_than: 1}}]",
        "[0].column", "found greater_than and less_than of one_of, "
        "greater_than, less_than, missing; allowed: exactly one"),
    _of("only_when_not_missing", "spent", "label.only_when",
        "[{column {column: 'age' missing: false}}]", "[0].column.missing",
        "found false; allowed: true, or nothing; negate: true turns a "
        "condition round"),
    _of("only_when_one_of_nothing", "spent", "label.only_when",
        "[{column {column: 'age' one_of: ''}}]", "[0].column.one_of[0]",
        "found ''; allowed: any string but '', which stands for a missing "
        "value"),
    _of("only_when_above_nan", "spent", "label.only_when",
        "[{column {column: 'age' greater_than: nan}}]",
        "[0].column.greater_than", "found nan; allowed: a finite number"),
    _at("ignored_among_sets", "topics", "label.ignore_value", "9",
        "found it beside a vocabulary; allowed: where the column holds "
        "numbers"),
    _at("ignored_beside_a_vocabulary", "tier", "label.ignore_value", "9",
        "found it beside a vocabulary; allowed: where the column holds "
        "numbers"),
    _at("greater_than_on_a_count", "events", "label.greater_than", "1",
        "found it on a count task; allowed: on binary tasks only"),
    _at("positive_value_on_an_ordinal", "grade", "label.positive_value", "3",
        "found it on an ordinal task; allowed: on binary tasks only"),
    _wide("positive_value_of_nothing",
          "model.task[0].label={column: 'clicked' positive_value: ''}",
          "model.task[0].label.positive_value: found ''; allowed: any string "
          "but '', which stands for no label"),
    _at("log1p_on_a_count", "events", "label.log1p", "true",
        "found it on a count task; allowed: on regression, quantiles tasks "
        "only"),
    _at("scale_on_an_ordinal", "grade", "label.scale", "2",
        "found it on an ordinal task; allowed: on regression, quantiles tasks "
        "only"),
    _at("scale_of_quantiles_0", "delay", "label.scale", "0",
        "found 0.0; allowed: above 0"),
)

HEADS = (
    _at("regression_of_no_numbers", "spent", "regression.size", "0",
        "found 0; allowed: at least 1"),
    _at("ordinal_of_one_class", "grade", "ordinal.num_classes", "1",
        "found 1; allowed: at least 2"),
    _at("ordinal_of_no_classes", "grade", "ordinal", "{}",
        f"found none of {_ONE_OF}"),
    _of("ordinal_of_one_name", "grade", "ordinal", "{vocabulary: 'low'}",
        ".vocabulary", "found 1 entries; allowed: at least 2"),
    _of("classes_in_two_ways", "grade", "ordinal",
        "{num_classes: 2 vocabulary: ['a', 'b']}", "",
        f"found num_classes and vocabulary of {_ONE_OF}"),
    _at("no_labels_at_all", "flags", "multilabel.num_labels", "0",
        "found 0; allowed: at least 1"),
    _at("multilabel_of_no_labels", "topics", "multilabel", "{}",
        "found none of num_labels, vocabulary, vocabulary_file; allowed: "
        "exactly one"),
    _of("labels_repeat", "topics", "multilabel",
        "{vocabulary: ['art', 'art']}", ".vocabulary",
        "found 'art' more than once; allowed: each entry once"),
    _of("labels_of_a_missing_file", "topics", "multilabel",
        "{vocabulary_file: 'topics.txt'}", ".vocabulary_file",
        "no file 'topics.txt'; allowed: an existing file..."),
    _of("no_quantiles", "delay", "quantiles", "{}", ".level",
        "found none; allowed: at least one"),
    _of("quantile_0", "delay", "quantiles", "{level: [0, 0.5]}", ".level[0]",
        "found 0; allowed: above 0 and below 1"),
    _of("quantile_1", "delay", "quantiles", "{level: [0.5, 1]}", ".level[1]",
        "found 1; allowed: above 0 and below 1"),
    _of("quantiles_fall", "delay", "quantiles", "{level: [0.5, 0.1]}",
        ".level[1]", "found 0.1 behind 0.5; allowed: rising numbers"),
    _of("quantile_twice", "delay", "quantiles", "{level: [0.5, 0.5]}",
        ".level[1]", "found 0.5 behind 0.5; allowed: rising numbers"),
    _of("quantile_in_percent", "delay", "quantiles", "{level: 90}",
        ".level[0]", "found 90; allowed: above 0 and below 1"),
)

LOSSES = (
    _at("class_weight_too_few", "tier", "multiclass.class_weight", "[1, 2]",
        "found 2; allowed: 3, one per class, or none"),
    _of("class_weight_negative", "tier", "multiclass.class_weight",
        "[1, -2, 1]", "[1]", "found -2; allowed: at least 0"),
    _of("class_weight_nan", "tier", "multiclass.class_weight", "[1, nan, 1]",
        "[1]", "found nan; allowed: a finite number"),
    _of("class_weight_too_large", "tier", "multiclass.class_weight",
        "[1, 1, 1e39]", "[2]", "found 1e+39; allowed: what fits 32-bit "
        "floating point"),
    _at("class_weights_0", "tier", "multiclass.class_weight", "[0, 0, 0]",
        "found only 0; allowed: at least one above 0"),
    _at("pos_weight_of_labels_too_many", "flags", "multilabel.pos_weight",
        "[1, 2, 3]", "found 3; allowed: 2, one per class, or none"),
    _of("pos_weight_of_a_label_0", "flags", "multilabel.pos_weight", "[1, 0]",
        "[1]", "found 0; allowed: above 0"),
    _at("pos_weight_0", "click", "binary.pos_weight", "0",
        "found 0.0; allowed: above 0"),
    _at("pos_weight_underflows", "click", "binary.pos_weight", "1e-60",
        "found 1e-60, which 32-bit floating point takes for 0; allowed: what "
        "it tells from 0"),
    _at("smoothing_of_labels_1", "flags", "multilabel.label_smoothing", "1",
        "found 1; allowed: at least 0 and below 1"),
    _at("smoothing_of_classes_negative", "tier", "multiclass.label_smoothing",
        "-0.1", "found -0.1; allowed: at least 0 and below 1"),
    _at("smoothing_of_a_binary_label_nan", "click", "binary.label_smoothing",
        "nan", "found nan; allowed: a finite number"),
    _of("focal_below_0", "tier", "multiclass.focal", "{gamma: -1}", ".gamma",
        "found -1.0; allowed: at least 0"),
    _at("huber_delta_of_a_vector_0", "offset", "regression.huber_delta", "0",
        "found 0.0; allowed: above 0"),
    _at("weight_under_sum", "grade", "weight", "2", "found 2; allowed: only "
        "under training.joint.loss.weighted_sum"),
)

ADDITIONAL = (
    _of("additional_of_no_kind", "click", "additional_loss", "[{weight: 2}]",
        "[0]", "found no kind; allowed: one of regression, binary, multiclass"),
    _of("additional_of_another_kind", "click", "additional_loss",
        "[{multiclass {}}]", "[0].multiclass", "found it on a binary task; "
        "allowed: a loss of the head's own kind"),
    _of("additional_on_a_count", "events", "additional_loss",
        "[{regression {}}]", "[0].regression", "found it on a count task; "
        "allowed: ..."),
    _of("additional_weight_negative", "click", "additional_loss",
        "[{binary {} weight: -1}]", "[0].weight",
        "found -1.0; allowed: at least 0"),
    _of("additional_size", "offset", "additional_loss",
        "[{regression {size: 2}}]", "[0].regression.size",
        "found it in an additional loss; allowed: in the head only"),
    _of("additional_classes", "tier", "additional_loss",
        "[{multiclass {vocabulary: ['a', 'b']}}]", "[0].multiclass.vocabulary",
        "found it in an additional loss; allowed: in the head only"),
    _of("additional_class_weight_too_few", "tier", "additional_loss",
        "[{multiclass {class_weight: 1}}]", "[0].multiclass.class_weight",
        "found 1; allowed: 3, one per class, or none"),
    _of("additional_huber_delta", "spent", "additional_loss",
        "[{regression {huber_delta: 2}}]", "[0].regression.huber_delta",
        "found it without loss: HUBER; allowed: with that loss only"),
    _of("additional_focal_nan", "click", "additional_loss",
        "[{binary {focal {gamma: nan}}}]", "[0].binary.focal.gamma",
        "found nan; allowed: a finite number"),
)

ESTIMATES = (
    _of("probability_of_a_count", "topics", "estimate",
        "[{task: 'events' form: PROBABILITY}]", "[0].form",
        "found PROBABILITY of a count task; allowed: VALUE"),
    _of("value_of_an_ordinal", "topics", "estimate",
        "[{task: 'grade' form: VALUE}]", "[0].form", "found VALUE of an ordinal"
        " task; allowed: PROBABILITY, LOGIT"),
    _of("logit_of_quantiles", "topics", "estimate",
        "[{task: 'delay' form: LOGIT}]", "[0].form",
        "found LOGIT of a quantiles task; allowed: VALUE"),
    _of("value_of_labels", "tier", "estimate",
        "[{task: 'flags' form: VALUE}]", "[0].form",
        "found VALUE of a multilabel task; allowed: PROBABILITY, LOGIT"),
    _wide("estimates_of_each_other", "model.task[3].estimate=[{task: 'topics' "
          "form: LOGIT}]", "model.task: found tasks that read each other, tier "
          "<- topics <- tier; allowed: no cycles"),
)

CASES = COLUMNS + CONDITIONS + HEADS + LOSSES + ADDITIONAL + ESTIMATES
