"""Broken CSV files of many columns, and what must be said of each."""

import functools

from tests import small_experiment

_lines = functools.partial(small_experiment.line_case, base="wide", code=1,
                           flags=("--allow_changes",))
_cell = small_experiment.cell
_column = small_experiment.column

_FIRST, _SECOND = "rows-00000-of-00002.csv", "rows-00001-of-00002.csv"
_BOTH = f"{_FIRST}, {_SECOND}"
_CUT = "data.train, data.validation"  # Splits of the same files.
_NOTHING = "or nothing where there is no label"
_NUMBER = "a number, or nothing where it is missing"
_WHOLE = "a whole number of at least 0, or nothing where it is missing"


def _row(name, row, column, value, allowed, sets=(), path=_FIRST, found=None,
         **more):
  """A bad field, of which the line shows `found`."""
  return _lines(name, sets, f"{path}, row {row}, column '{column}': found "
                f"'{value if found is None else found}'; allowed: {allowed}",
                prepare=(_cell(row, column, value, path),), **more)


def _values(name, row, column, value, count, allowed, **more):
  """A field of too few or too many values."""
  return _lines(name, (), f"{_FIRST}, row {row}, column '{column}': found "
                f"{count} values; allowed: {allowed}, or nothing",
                prepare=(_cell(row, column, value, _FIRST),), **more)


def _all(name, column, value, *lines, sets=(), **more):
  """A column that holds the same everywhere."""
  return _lines(name, sets, *lines, prepare=(
      _column(column, value, _FIRST), _column(column, value, _SECOND)), **more)


def _without(column, *paths):
  """Takes a column out of files."""
  def prepare():
    for path in paths:
      names, rows = small_experiment.rows_of(path)
      place = names.index(column)
      small_experiment.write_csv(
          path, names[:place] + names[place + 1:],
          [row[:place] + row[place + 1:] for row in rows])
  return prepare


def _weights(row, categories, weights):
  """Puts categories and their weights into a row."""
  def prepare():
    _cell(row, "tags", categories, _FIRST)()
    _cell(row, "tag_weights", weights, _FIRST)()
  return prepare


def _weighted(name, categories, weights, problem, column="tag_weights"):
  """A row with other categories and weights."""
  return _lines(name, (), f"{_FIRST}, row 4, column '{column}': {problem}",
                prepare=(_weights(4, categories, weights),))


_EACH = "allowed: a weight for each category of column 'tags'"
_THREE = "3 numbers with ';' between them"
_TWO = "2 numbers with '|' between them"

VECTORS = (
    _values("vector_too_short", 5, "scores", "1;2", 2, _THREE, process=True),
    _values("vector_too_long", 6, "scores", "1;2;3;4", 4, _THREE),
    _values("vector_of_one", 7, "scores", "1", 1, _THREE),
    _values("vector_of_another_separator", 8, "scores", "1|2|3", 1, _THREE),
    _row("vector_of_words", 9, "scores", "1;two;3", _NUMBER, found="two"),
    _row("vector_infinite", 10, "scores", "1;2;inf", "a finite number",
         found="inf"),
    _row("vector_overflows", 11, "scores", "1;2;1e39",
         "a number that fits 32-bit floating point"),
    _row("number_missing_in_a_vector", 12, "scores", "1;;3",
         "a number; feature 'scores' has no missing_value to stand for a "
         "missing one",
         sets=("data.feature[1].numeric={size: 3 separator: ';'}",)),
)

SETS = (
    _weighted("weights_too_few", "red|blue", "1", f"found '1'; {_EACH}"),
    _weighted("weights_too_many", "red", "1|2", f"found '1|2'; {_EACH}"),
    _weighted("weights_of_nothing", "", "1", f"found '1'; {_EACH}"),
    _weighted("weights_missing", "red", "", f"found ''; {_EACH}"),
    _weighted("weight_missing_in_between", "red|blue|grey", "1||3",
              f"found '1||3'; {_EACH}"),
    _weighted("weight_of_words", "red|blue", "1|much",
              f"found 'much'; allowed: {_NUMBER}"),
    _weighted("weight_of_a_category_overflows", "red", "1e39", "found '1e39'; "
              "allowed: a number that fits 32-bit floating point"),
    _row("place_of_a_sequence_negative", 3, "visits", "2|-1|3", _WHOLE,
         found="-1"),
    _row("place_of_a_sequence_half", 3, "visits", "2|1.5", _WHOLE, found="1.5"),
    _row("place_of_a_sequence_in_words", 3, "visits", "2|home", _NUMBER,
         found="home"),
    _row("nul_in_a_set", 3, "hobbies", "tea|\x00", "text without NUL",
         found="\\x00"),
    _row("hour_of_a_cross_half", 3, "hour", "3.5", _WHOLE),
    _row("height_in_words", 3, "height", "tall", _NUMBER),
    _row("income_infinite", 3, "income", "-inf", "a finite number"),
    _row("missing_by_another_word", 3, "age", "n/a", _NUMBER),
    _row("missing_by_a_word_unknown", 3, "age", "NA", _NUMBER, sets=(
        "data.train.csv.missing_value=[]",
        "data.validation.csv.missing_value=[]")),
)

LABELS = (
    _row("label_to_be_ignored", 5, "clicked", "-2", "0 or 1, or nothing where "
         "there is no label; other columns take label.greater_than or "
         "label.positive_value"),
    _row("grade_beyond_the_classes", 6, "grade", "4", f"0 to 3, {_NOTHING}"),
    _row("grade_below_the_classes", 6, "grade", "-1", f"0 to 3, {_NOTHING}"),
    _row("grade_between_classes", 6, "grade", "1.5", f"0 to 3, {_NOTHING}"),
    _row("grade_by_name", 6, "grade", "good", _NUMBER, path=_SECOND),
    _row("count_negative", 7, "events", "-1",
         f"a whole number of at least 0, {_NOTHING}"),
    _row("count_half", 7, "events", "2.5",
         f"a whole number of at least 0, {_NOTHING}"),
    _row("count_overflows", 7, "events", "1e39",
         "a number that fits 32-bit floating point"),
    _row("topic_unknown", 8, "topics", "art|war",
         "an entry of the vocabulary; nearest: 'art'", found="war"),
    _row("topic_unknown_behind_all_known", 8, "topics", "art|law|sea|war",
         "an entry of the vocabulary; nearest: 'art'", found="war"),
    _row("flag_of_2", 9, "flags", "0|2", "0 or 1 for each label, or nothing "
         "where it is missing"),
    _values("flags_too_few", 9, "flags", "1", 1, _TWO),
    _values("flags_too_many", 9, "flags", "0|1|1", 3, _TWO),
    _row("offset_in_words", 10, "dy", "north", _NUMBER),
    _row("offset_overflows", 10, "dx", "-1e39",
         "a number that fits 32-bit floating point"),
    _row("delay_infinite", 11, "delay", "inf", "a finite number"),
    _row("spent_below_log1p", 12, "spent", "-1",
         "a number of at least 0, as label.log1p is set"),
    _row("tier_unknown", 13, "tier", "silber",
         "an entry of the vocabulary; nearest: 'silver'"),
    _row("weight_of_a_label_negative", 14, "spent_weight", "-1",
         "a number of at least 0"),
    _row("weight_of_a_label_missing", 14, "spent_weight", "",
         "a number of at least 0"),
    _all("only_when_never", "clicked", "0", f"{_BOTH}: no row has a label of a "
         "weight above 0 for task 'spent' in column 'spent'; allowed: at least "
         "one"),
    _all("every_label_ignored", "events", "99", f"{_BOTH}: no row has a label "
         "of a weight above 0 for task 'events' in column 'events'; allowed: "
         "at least one"),
    _all("no_quantile_labelled", "delay", "NA", f"{_BOTH}: no row has a label "
         "of a weight above 0 for task 'delay' in column 'delay'; allowed: at "
         "least one"),
    _all("no_vector_labelled", "dx", "", f"{_BOTH}: no row has a label of a "
         "weight above 0 for task 'offset' in column 'dx'; allowed: at least "
         "one", sets=("model.task[2].label.column=[]",
                      "model.task[2].label.column=['dx']")),
)

COLUMNS = (
    _lines("weights_of_a_set_have_no_column", (),
           f"{_FIRST}: no column 'tag_weights' ({_CUT}); allowed: user, "
           "...", prepare=(_without("tag_weights", _FIRST, _SECOND),)),
    _lines("second_shard_lacks_a_column", (),
           f"{_SECOND}: no column 'visits' ({_CUT}); allowed: user, ...",
           prepare=(_without("visits", _SECOND),)),
    _lines("key_has_no_column", "data.train.part.key_column=customer",
           f"{_FIRST}: no column 'customer' ({_CUT}); allowed: ..."),
    _lines("condition_has_no_column", "data.drop_rows[1].column=county",
           f"{_FIRST}: no column 'county' ({_CUT}); allowed: ..."),
    _lines("only_when_has_no_column",
           "model.task[1].label.only_when[1].column.column=land",
           f"{_FIRST}: no column 'land' ({_CUT}); allowed: ..."),
    _lines("label_weight_has_no_column",
           "model.task[1].label.weight_column=spend_weight",
           f"{_FIRST}: no column 'spend_weight' ({_CUT}); allowed: ..."),
    _lines("groups_have_no_column",
           "evaluation.task_metrics[0].group_column=usr",
           f"{_FIRST}: no column 'usr' ({_CUT}); allowed: ..."),
    _lines("slices_have_no_column", "evaluation.slice[0].column=continent",
           f"{_FIRST}: no column 'continent' ({_CUT}); allowed: ..."),
    _lines("rows_meant_twice", "data.train.csv.path=['rows@2.csv', '*.csv']",
           f"{_FIRST}: is meant by more than one path of data.train; allowed: "
           "each file once"),
    _lines("folds_have_no_key", [
        "data.train.part={}", "data.train={csv {path: 'rows@2.csv' "
        "missing_value: 'NA'}}"],
           f"{_FIRST}: no column 'customer' ({_CUT}); allowed: ...",
           flags=("--folds=3", "--key_column=customer"),
           launcher="cross_validate"),
)

SELECTION = (
    _row("key_missing", 20, "user", "", "a key, as the part goes by this "
         "column"),
    _lines("nothing_left_of_the_rows", "data.drop_rows[0].greater_than=3",
           f"{_BOTH}: found 80 rows, of which ..."),
    _lines("no_row_is_of_the_part",
           "data.train.part={column: 'country' value: 'fr'}",
           f"{_BOTH}: found 80 rows, of which 0 belong to the part, and 0 of "
           "these are dropped (data.train); allowed: at least one left"),
    _lines("no_row_is_of_the_other_part",
           "data.validation.part={key_column: 'user' from: 0.99999}",
           f"{_BOTH}: found 80 rows, of which 0 belong to the part, and 0 of "
           "these are dropped (data.validation); allowed: at least one left"),
    _lines("words_compared_with_a_number",
           "data.drop_rows[1]={column: 'country' greater_than: 3}",
           f"{_FIRST}, row 1, column 'country': found 'no'; allowed: "
           f"{_NUMBER}"),
    _lines("class_without_rows",
           "data.resampling={task: 'click' fraction: [0.5, 0.5]}",
           "data.resampling: no training row of task 'click' is of class 0; "
           "allowed: at least one of each class", prepare=(
               _column("clicked", "1", _FIRST),
               _column("clicked", "1", _SECOND))),
    _lines("epoch_beyond_memory",
           "data.resampling.fraction=[1e-12, 0.4999999, 0.500000099999]",
           "data.resampling.fraction: found shares that make 1.4e+13 rows of "
           "..."),
    _lines("class_left_out_altogether",
           "data.resampling={task: 'tier' method: UNDERSAMPLE fraction: "
           "[0.999, 0.0005, 0.0005]}",
           "data.resampling.fraction: found 0.0005 of class 1 of task 'tier', "
           "of which no row would be left; allowed: shares nearer to those of "
           "the classes, or OVERSAMPLE"),
    _lines("best_by_a_task_without_labels", [
        "model.task[0].label.only_when=[{column {column: 'user' less_than: 15}}"
        "]", "data.train.part={column: 'user' value: ['1', '2', '3', '4', '5']"
        "}", "data.validation.part={column: 'user' value: ['17', '18', '19']}"],
           "data.validation: no row has a label for task 'click', by which "
           "evaluation.best measures; allowed: at least one"),
)

CASES = VECTORS + SETS + LABELS + COLUMNS + SELECTION
