"""Rows, metrics and slices chosen in ways that cannot be."""

import functools
import os

from tests import small_experiment

_case = small_experiment.line_case
_wide = functools.partial(small_experiment.line_case, base="wide")

_TESTS = "one_of, greater_than, less_than, missing; allowed: exactly one"
_PART = "data.train.part"
_CLICK = "evaluation.task_metrics[0]"
_TIER = "evaluation.task_metrics[1]"
_SPENT = "evaluation.task_metrics[2]"


def _at(name, path, value, problem, *others, **more):
  """A field of the wide experiment with another value."""
  return _wide(name, f"{path}={value}", f"{path}: {problem}", *others, **more)


def _of(name, path, value, part, problem, *others, **more):
  """A message of the wide experiment, and what is said of a part of it."""
  return _wide(name, f"{path}={value}", f"{path}{part}: {problem}", *others,
               **more)


PARTS = (
    _at("part_by_nothing", _PART, "{to: 0.5}",
        "found no by; allowed: one of row_hash, key_column, column"),
    _of("part_by_no_key", _PART, "{key_column: ''}", ".key_column",
        "found ''; allowed: the name of a column"),
    _of("part_by_no_column", _PART, "{column: '' value: 'x'}", ".column",
        "found ''; allowed: the name of a column"),
    _of("part_of_no_values", _PART, "{column: 'country'}", ".value",
        "found none; allowed: at least one, as the part goes by column"),
    _of("part_of_missing_values", _PART, "{column: 'country' value: ['ch', ''"
        "]}", ".value[1]", "found ''; allowed: any string but '', which stands "
        "for a missing value"),
    _of("part_of_a_range_of_values", _PART,
        "{column: 'country' value: 'ch' from: 0.5 to: 0.7}", ".from",
        "found 0.5; allowed: nothing, as the part goes by column",
        f"{_PART}.to: found 0.7; allowed: nothing, as the part goes by column"),
    _of("part_of_hashes_with_values", _PART, "{row_hash {} value: 'ch'}",
        ".value", "found 'ch'; allowed: nothing, as the part goes by row_hash"),
    _of("part_from_below_0", _PART, "{row_hash {} from: -0.1}", ".from",
        "found -0.1; allowed: 0 to 1"),
    _of("part_from_above_1", _PART, "{row_hash {} from: 70}", ".from",
        "found 70; allowed: 0 to 1"),
    _of("part_to_above_1", _PART, "{row_hash {} to: 1.5}", ".to",
        "found 1.5; allowed: above from, which is 0, and at most 1"),
    _of("part_of_nothing", _PART, "{row_hash {} from: 0.5 to: 0.5}", ".to",
        "found 0.5; allowed: above from, which is 0.5, and at most 1"),
    _of("part_from_nan", _PART, "{row_hash {} from: nan}", ".from",
        "found nan; allowed: a finite number"),
    _wide("part_by_two", f"{_PART}={{row_hash {{}} key_column: 'user'}}",
          f"--set {_PART}: found '{{row_hash {{}} key_column: 'user'}}'; ..."),
    _of("part_of_validation", "data.validation.part", "{key_column: 'user' "
        "from: 0.7 to: 0.2}", ".to", "found 0.2; allowed: above from, which is "
        "0.7, and at most 1"),
)

DROPPED = (
    _of("drop_no_column", "data.drop_rows[0]", "{missing: true}", ".column",
        "found nothing; required"),
    _at("drop_without_test", "data.drop_rows[0]", "{column: 'age'}",
        f"found none of {_TESTS}"),
    _at("drop_by_two_tests", "data.drop_rows[0]",
        "{column: 'age' one_of: '3' missing: true}",
        f"found one_of and missing of {_TESTS}"),
    _of("drop_unless_missing", "data.drop_rows[1]",
        "{column: 'age' missing: false}", ".missing", "found false; allowed: "
        "true, or nothing; negate: true turns a condition round"),
    _of("drop_one_of_nothing", "data.drop_rows[1]",
        "{column: 'age' one_of: ['a', '']}", ".one_of[1]", "found ''; allowed: "
        "any string but '', which stands for a missing value"),
    _of("drop_below_infinity", "data.drop_rows[1]",
        "{column: 'age' less_than: inf}", ".less_than",
        "found inf; allowed: a finite number"),
)

RESAMPLED = (
    _of("balance_no_task", "data.resampling", "{}", ".task", "found ''; "
        "allowed: a binary, multiclass or ordinal task: click, tier, grade"),
    _of("balance_unknown_task", "data.resampling", "{task: 'teir'}", ".task",
        "found 'teir'; allowed: a binary, multiclass or ordinal task; nearest: "
        "'tier'"),
    _of("balance_a_count", "data.resampling", "{task: 'events'}", ".task",
        "found 'events'; allowed: a binary, multiclass or ordinal task: click, "
        "tier, grade"),
    _at("shares_of_two_classes", "data.resampling.fraction", "[0.5, 0.5]",
        "found 2; allowed: 3, one per class, or none"),
    _of("share_of_0", "data.resampling.fraction", "[0.5, 0.5, 0]", "[2]",
        "found 0; allowed: above 0"),
    _at("shares_in_percent", "data.resampling.fraction", "[50, 25, 25]",
        "found shares that add up to 100; allowed: to 1"),
    _of("share_nan", "data.resampling.fraction", "[0.5, 0.5, nan]", "[2]",
        "found nan; allowed: a finite number"),
    _wide("balance_by_smote", "data.resampling.method=SMOTE",
          "--set data.resampling.method: found 'SMOTE'; no value 'SMOTE' in "
          "mtl_graph.Resampling.Method; allowed: OVERSAMPLE, UNDERSAMPLE..."),
)

_SHARDS = "data.train.csv.path[0]"

FILES = (
    _wide("shard_missing", "seed=3",
          f"{_SHARDS}: no file 'rows-00001-of-00002.csv', of which "
          "'rows@2.csv' has 2, from ...",
          "data.validation.csv.path[0]: no file 'rows-00001-of-00002.csv', ..."
          , prepare=(lambda: os.remove("rows-00001-of-00002.csv"),)),
    _wide("another_number_of_shards", f"{_SHARDS}=rows@3.csv",
          f"{_SHARDS}: no file 'rows-00000-of-00003.csv', of which "
          "'rows@3.csv' has 3, from ...", process=True),
    _wide("no_shards", f"{_SHARDS}=rows@0.csv",
          f"{_SHARDS}: no file matches 'rows@0.csv' from ..."),
    _case("no_records", "data.train={tfrecord {}}",
          "data.train.tfrecord.path: found none; allowed: at least one path"),
    _case("records_are_missing", "data.train={tfrecord {path: 'rows@2'}}",
          "data.train.tfrecord.path[0]: no file 'rows-00000-of-00002', of which"
          " 'rows@2' has 2, from ..."),
    _case("parquet_is_missing", "data.test={parquet {path: 'test*.parquet'}}",
          "data.test.parquet.path[0]: no file matches 'test*.parquet' from ..."
          ),
    _case("source_of_test_unknown", "data.test={weight_column: 'weight'}",
          "data.test: found no kind; allowed: one of csv, npz, tfrecord, "
          "parquet, python"),
)

METRICS = (
    _of("metrics_of_no_task", _CLICK, "{k: 3}", ".task", "no task ''; ...",
        "evaluation.best.metric: no metric 'click/grouped_auc'; ..."),
    _of("metrics_of_unknown_task", _TIER, "{task: 'teir'}", ".task", "no task "
        "'teir'; allowed: click, spent, offset, tier, topics, flags, events, "
        "grade, delay; nearest: 'tier'"),
    _of("metrics_of_a_task_twice", _TIER, "{task: 'click'}", ".task",
        "found 'click' a second time; allowed: each task once",
        "evaluation.best.metric: no metric 'click/grouped_auc'; ..."),
    _of("threshold_of_classes", _TIER, "{task: 'tier' threshold: 0.5}",
        ".threshold", "found it for a multiclass task; allowed: for binary "
        "tasks only"),
    _at("threshold_in_percent", f"{_CLICK}.threshold[0]", "50",
        "found 50; allowed: 0 to 1"),
    _at("threshold_nan", f"{_CLICK}.threshold[0]", "nan",
        "found nan; allowed: a finite number"),
    _of("threshold_twice", f"{_CLICK}.threshold", "[0.5, 0.1, 0.5]", "[2]",
        "found 0.5 a second time; allowed: each once"),
    _at("top_0", f"{_CLICK}.k[0]", "0", "found 0; allowed: at least 1"),
    _of("top_classes_of_an_ordinal", _TIER, "{task: 'grade' k: 2}", ".k",
        "found it for an ordinal task; allowed: for binary, multiclass tasks "
        "only"),
    _of("top_of_millions_twice", f"{_CLICK}.k", "[1000000, 1000001, 1000000]",
        "[2]", "found 1000000 a second time; allowed: each once"),
    _of("groups_of_a_count", _TIER, "{task: 'events' group_column: 'user'}",
        ".group_column", "found it for a count task; allowed: for binary tasks "
        "only"),
    _of("confusion_of_numbers", _TIER,
        "{task: 'offset' confusion_matrix: true}", ".confusion_matrix",
        "found it for a regression task; allowed: for binary, multiclass, "
        "ordinal tasks only"),
    _of("quantile_of_a_binary_task", _SPENT, "{task: 'flags' quantile: 0.5}",
        ".quantile", "found it for a multilabel task; allowed: for regression "
        "tasks only"),
    _at("quantile_loss_of_1", f"{_SPENT}.quantile[0]", "1",
        "found 1; allowed: above 0 and below 1"),
    _of("quantile_loss_twice", f"{_SPENT}.quantile", "[0.5, 0.5]", "[1]",
        "found 0.5 a second time; allowed: each once"),
    _wide("best_by_another_k", "evaluation.best.metric=click/recall_at_top_9",
          "evaluation.best.metric: no metric 'click/recall_at_top_9'; allowed: "
          "..."),
    _wide("best_of_a_slice", "evaluation.best.metric=click/auc/country",
          "evaluation.best.metric: no metric 'click/auc/country'; allowed: "
          "..."),
    _of("slice_of_no_column", "evaluation.slice", "[{max_values: 3}]",
        "[0].column", "found nothing; required"),
    _of("slice_twice", "evaluation.slice",
        "[{column: 'country'}, {column: 'country'}]", "[1].column",
        "found 'country' a second time; allowed: each column once"),
    _at("slice_of_no_values", "evaluation.slice[0].max_values", "0",
        "found 0; allowed: at least 1"),
    _at("slice_of_no_rows", "evaluation.slice[0].min_rows", "-5",
        "found -5; allowed: at least 1"),
    _wide("slices_without_rows", [
        "data={train {csv {path: 'rows@2.csv'}} feature {name: 'age' "
        "numeric {}}}", "training.group=[]", "evaluation={slice {column: 'user'"
        "} task_metrics {task: 'tier' k: 1}}"],
          "evaluation.task_metrics: found it without data.validation and "
          "data.test; allowed: with rows to measure",
          "evaluation.slice: found it without data.validation and data.test; "
          "allowed: with rows to measure"),
)

FOLDS = (
    _case("one_fold", "seed=7", "--folds: found '1'; allowed: a whole number "
          "of at least 2", flags=("--folds=1",), launcher="cross_validate"),
    _case("folds_in_words", "seed=7", "--folds: found 'five'; allowed: a whole "
          "number of at least 2", flags=("--folds=five",),
          launcher="cross_validate", process=True),
    _wide("folds_of_a_part", "seed=7", "data.train.part: found one; allowed: "
          "none, as cross-validation cuts data.train into parts itself; rows "
          "to hold out need files of their own", launcher="cross_validate"),
    _case("folds_of_a_broken_experiment", "data.batch_size=0",
          "data.batch_size: found 0; allowed: at least 1",
          launcher="cross_validate"),
)

CASES = PARTS + DROPPED + RESAMPLED + FILES + METRICS + FOLDS
