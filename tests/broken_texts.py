"""Broken experiment files, flags and overrides, and what is said of each."""

from tests import small_experiment

Case = small_experiment.Case
_text = small_experiment.text_case
_set = small_experiment.set_case
_flags = small_experiment.flag_case


def _config(name, data, *expect):
  """A file that is no experiment."""
  return Case(name, expect, prepare=(
      small_experiment.content("small.pbtxt", data),))


SYNTAX = (
    _text("brace_missing", "evaluation {", "evaluation",
          r"small.pbtxt:48:3: .*Expected \"{\"; allowed: a message in braces"),
    _text("brace_too_many", "seed: 7", "seed: 7 }",
          r"small.pbtxt:2:9: .*got }; allowed: the name of a fi", process=True),
    _text("file_cut_off", "goal: MINIMIZE patience: 9 }\n}", "goal:",
          r"small.pbtxt:51:1: no value '' in mtl_graph.Goal; allowed: MAXIM"),
    _text("colon_missing", "num_steps: 4", "num_steps 4",
          r"small.pbtxt:34:13: .*num_steps 4.*; allowed: field: value"),
    _text("quote_missing", '"small"', '"small',
          r"small.pbtxt:1:7: .*ending quote.*; allowed: text in quotes"),
    _text("stray_sign", "seed: 7", "seed: 7 !",
          r"small.pbtxt:2:9: .*got !; allowed: the name of a field"),
    _text("set_twice", "seed: 7", "seed: 7 seed: 8",
          r"small.pbtxt:2:15: .*multiple \"seed\" fields; allowed: it once"),
    _text("two_kinds_of_source", "csv { path: \"train.csv\" }",
          "csv { path: \"train.csv\" } npz { path: \"train.npz\" }",
          r"small.pbtxt:4:37: .*\"npz\".*\"csv\".*; allowed: one of the two"),
    _text("unknown_field", "batch_size: 16", "batchsize: 16",
          r"small.pbtxt:6:3: no field 'batchsize' in mtl_graph.Data; allowed: "
          "train, .*; nearest: 'batch_size'", process=True),
    Case("three_unknown_fields",
         (r"small.pbtxt:2:1: no field 'sed' .*nearest: 'seed'",
          r"small.pbtxt:22:29: no field 'units_' .*nearest: 'units'",
          r"small.pbtxt:40:5: no field 'optimiser' .*nearest: 'optimizer'"),
         edits=(("seed: 7", "sed: 7"), ("units: 3", "units_: 3"),
                ("optimizer { adam { learning_rate { constant: 0.002",
                 "optimiser { adam { learning_rate { constant: 0.002"))),
    _text("unknown_enum_value", "Z_SCORE", "ZSCORE",
          r"small.pbtxt:7:\d+: no value 'ZSCORE' in mtl_graph.Normalization; "
          "allowed: NONE, Z_SCORE, LOG1P, MIN_MAX; nearest: 'Z_SCORE'"),
    _text("unknown_goal", "MAXIMIZE", "MAX",
          r"small.pbtxt:49:36: no value 'MAX' in mtl_graph.Goal; allowed: "
          "MAXIMIZE, MINIMIZE; nearest: 'MAXIMIZE'"),
    _text("enum_number", "Z_SCORE", "9",
          r"small.pbtxt:7:\d+: no value '9' in mtl_graph.Normalization; "
          "allowed: NONE, Z_SCORE, LOG1P"),
    _text("number_for_text", '"small"', "5",
          r"small.pbtxt:1:7: .*name: 5.*; allowed: text in quotes"),
    _text("text_for_number", "seed: 7", 'seed: "7"',
          r"small.pbtxt:2:7: .*seed.*\"7\"; allowed: a whole number"),
    _text("fraction_for_whole", "num_steps: 4", "num_steps: 4.5",
          r"small.pbtxt:34:14: .*num_steps: 4.5.*; allowed: a whole number"),
    _text("int64_overflow", "seed: 7", "seed: 99999999999999999999",
          r"small.pbtxt:2:7: .*9999999999; allowed: a whole number that fits"),
    _text("int32_overflow", "batch_size: 16", "batch_size: 3000000000",
          r"small.pbtxt:6:15: .*: 3000000000; allowed: a whole number that "),
    _text("maybe_for_bool", "log1p: true", "log1p: maybe",
          r"small.pbtxt:25:34: .*log1p: maybe.*; allowed: true or false"),
    _text("words_for_number", "rate: 0.1", "rate: little",
          r"small.pbtxt:30:37: .*rate: little.*; allowed: a number"),
    _text("message_for_number", "seed: 7", "seed { }",
          r"small.pbtxt:2:6: .*seed { }.*; allowed: field: value"),
    _text("number_for_message", "uncertainty {}", "uncertainty: 1",
          r"small.pbtxt:35:31: .*uncertainty: 1.*; allowed: a message in br"),
    _text("escape_not_utf8", '"small"', r'"\xff"',
          r"small.pbtxt:\d+:\d+: .*byte 0xff.*; allowed: UTF-8 text"),
    _text("extension", "seed: 7", "[tf.seed]: 7",
          r"small.pbtxt:2:5: .*not have extensions; allowed: what protos/"),
    _config("json", b'{"name": "small"}',
            r"small.pbtxt:1:1: .*got {; allowed: the name of a field"),
    _config("yaml", b"name: small\ndata:\n  batch_size: 16\n",
            r"small.pbtxt:1:7: .*name: small.*; allowed: text in quotes"),
    _config("not_utf8", b'name: "caf\xe9"',
            r"--config: 'small.pbtxt' cannot be read: it is not UTF-8 text; "
            "give the path"),
    _config("utf16", small_experiment.TEXT.encode("utf-16"),
            r"--config: 'small.pbtxt' cannot be read: it is not UTF-8 text"),
    _config("empty_file", b"", "^name: found ''; allowed: ",
            "^data: found nothing; required", "^model: found nothing; required",
            "^training: found nothing; required"),
    _config("comments_only", b"# To be written.\n", "^name: found ''",
            "^data: found nothing; required"),
)

FLAGS = (
    Case("no_config", ("^--config: found nothing; required",), bare=True),
    _flags("empty_config", ["--config="],
           r"--config: '' cannot be read: No such file.*; give the path"),
    _flags("config_is_missing", ["--config=smal.pbtxt"],
           r"--config: 'smal.pbtxt' cannot be read: No such file.*; give the "
           "path of an experiment file", process=True),
    _flags("config_is_a_folder", ["--config=."],
           r"--config: '.' cannot be read: Is a directory; give the path"),
    _flags("unknown_flag", ["--modeldir=run"],
           r"modeldir.*model_dir", process=True),
    _flags("stray_argument", ["small.pbtxt"],
           r"found 'small.pbtxt', which is no flag; allowed: flags only"),
    _flags("flag_of_wrong_type", ["--dry_run=maybe"],
           "^--dry_run: found 'maybe'; allowed: true or false"),
    _flags("flag_without_value", ["--config"], r"config"),
    _flags("flagfile_is_missing", ["--flagfile=flags.txt"], r"flags\.txt"),
    _set("set_unknown_field", "training.numsteps=5",
         r"--set training.numsteps: no field 'numsteps'; allowed: num_steps, .*"
         "nearest: 'num_steps'", process=True),
    _set("set_unknown_root", "trainig.num_steps=5",
         r"--set trainig: no field 'trainig'; allowed: .*nearest: 'training'"),
    _set("set_without_value", "training.num_steps",
         r"--set: found 'training.num_steps'; allowed: field.path=value"),
    _set("set_nothing", "", r"--set: found ''; allowed: field.path=value"),
    _set("set_empty_value", "training.num_steps=",
         r"--set training.num_steps: found ''; .*allowed: "),
    _set("set_no_path", "=5", r"--set: found '=5'; allowed: field.path=value"),
    _set("set_dots", "..=5", r"--set: found no field path.*; allowed: "),
    _set("set_wrong_type", "training.num_steps=many",
         r"--set training.num_steps: found 'many'; .*; allowed: a whole numbe"),
    _set("set_wrong_enum", "evaluation.best.goal=UP",
         r"--set evaluation.best.goal: found 'UP'; no value 'UP' in "
         r"mtl_graph.Goal; allowed: MAXIMIZE, MINIMIZE"),
    _set("set_index_beyond", "model.task[3].weight=1",
         r"--set model.task: found \[3\]; allowed: 0 to 2"),
    _set("set_index_negative", "model.task[-1].weight=1",
         r"--set model.task: found \[-1\]; allowed: \[index\] or \[field=valu"),
    _set("set_index_superscript", "model.task[²].weight=1",
         r"--set model.task: found \[²\]; allowed: \[index\] or \[field=value"),
    _set("set_name_unknown", "model.task[name=klick].weight=1",
         r"--set model.task\[name=klick\]: matches 0 elements; allowed: one of "
         "click, spent, tier; nearest: 'click'"),
    _set("set_selector_field_unknown", "model.task[nam=click].weight=1",
         r"--set model.task: found \[nam=click\]; allowed: \[index\] or "
         r"\[field=value\] with a field of name, "),
    _set("set_selector_missing", "model.task.weight=1",
         r"--set model.task: is repeated; allowed: model.task\[index\] or "),
    _set("set_selector_on_single", "model[0].task=1",
         r"--set model: found \[0\]; it is a single message"),
    _set("set_selector_on_value", "training.num_steps[0]=1",
         r"--set training.num_steps: found \[0\]; it is a single value"),
    _set("set_selectors_two", "model.task[0][1].weight=1",
         r"--set: found 'model.task\[0\]\[1\].weight'; allowed: names"),
    _set("set_scope_beyond", "training.group[0].scope[7]=head",
         r"--set training.group\[0\].scope: found \[7\]; allowed: 0 to 1"),
    _set("set_below_a_value", "training.num_steps.value=1",
         r"--set training.num_steps: holds a plain value; allowed: "
         "training.num_steps=value"),
    _set("set_number_for_message", "training.joint=1",
         r"--set training.joint: found '1'; .*allowed: "),
    _set("set_message_for_number", "seed={}", r"--set seed: found '{}'; "),
    _set("set_message_cut_off", "training.joint={loss {",
         r"--set training.joint: found '{loss {'; .*allowed: "),
    _set("set_list_for_single", "seed=[1, 2]", r"--set seed: found '\[1, 2\]'"),
    _set("set_two_fields", "seed=1 batch_size: 4",
         r"--set seed: found '1 batch_size: 4'; .*allowed: "),
    _set("set_two_fields_of_one_message", "training.num_steps=1 num_rounds: 4",
         r"--set training.num_steps: found '1 num_rounds: 4'; .*allowed: "),
    _set("set_not_utf8", "name=caf\udce9", r"--set name: found 'caf.*allowed:"),
    _flags("set_three_wrong", ["--set=sed=1", "--set=seed=x", "--set=seed"],
           r"--set sed: no field", r"--set seed: found 'x'",
           r"--set: found 'seed'"),
)

CASES = SYNTAX + FLAGS
