"""Training that cannot be, and what must be said of it."""

import functools
import shutil

from tests import small_experiment

_case = small_experiment.line_case
_wide = functools.partial(small_experiment.line_case, base="wide")

_GROUPS = {name: f"training.group[{i}]" for i, name in enumerate((
    "shared", "wide", "own"))}
_FROZEN = "found one on a frozen group; allowed: none"
_PENALTY = ("{}.lazy_adam: found it for 'embedding/tags/embeddings', which "
            "bears a penalty; allowed: adam, or no regularization")
_CLAIMED = "allowed: one group per variable"


def _at(name, path, value, problem, *others, **more):
  """A field of the small experiment with another value."""
  return _case(name, f"{path}={value}", f"{path}: {problem}", *others, **more)


def _group(name, group, field, value, problem, *others, **more):
  """A field of a group of the wide experiment with another value."""
  path = f"{_GROUPS[group]}.{field}"
  return _wide(name, f"{path}={value}", f"{path}: {problem}", *others, **more)


LENGTH = (
    _wide("steps_beside_epochs", "training.num_steps=5",
          "training.num_epochs: found 0.2 beside num_steps: 5; allowed: one of "
          "them"),
    _wide("epochs_0", "training.num_epochs=0",
          "training.num_epochs: found 0.0; allowed: above 0"),
    _wide("epochs_nan", "training.num_epochs=nan",
          "training.num_epochs: found nan; allowed: a finite number"),
    _wide("epochs_negative", "training.num_epochs=-1",
          "training.num_epochs: found -1.0; allowed: above 0"),
    _at("accumulate_0_batches", "training.accumulate_batches", "0",
        "found 0; allowed: at least 1"),
    _wide("accumulate_lazily",
          "training.default_optimizer={lazy_adam {learning_rate {constant: 1}"
          "}}", "training.default_optimizer.lazy_adam: found it with "
          "accumulate_batches: 2; allowed: adam, or one batch per step",
          _PENALTY.format("training.default_optimizer")),
    _wide("accumulate_lazily_in_a_group",
          "training.group[0].optimizer={lazy_adam {learning_rate {constant: 1}"
          "}}", "training.group[0].optimizer.lazy_adam: found it with "
          "accumulate_batches: 2; allowed: adam, or one batch per step",
          _PENALTY.format("training.group[0].optimizer")),
    _case("average_of_nothing", "training.moving_average={}",
          "training.moving_average.decay: found nothing; allowed: above 0 and "
          "below 1"),
    _at("average_that_stands_still", "training.moving_average.decay", "1",
        "found 1; allowed: above 0 and below 1"),
    _at("average_of_one_step", "training.moving_average.decay", "0",
        "found 0; allowed: above 0 and below 1"),
    _at("average_almost_still", "training.moving_average.decay",
        "0.9999999999", "found 0.9999999999, which 32-bit floating point takes "
        "for 1; allowed: what it tells from 1"),
)

GROUPS = (
    _group("start_step_negative", "wide", "start_step", "-1",
           "found -1; allowed: at least 0"),
    _case("start_of_a_frozen_group", "training.group[0]={name: 'shared' scope: "
          "['embedding', 'trunk'] frozen: true start_step: 3}",
          "training.group[0].start_step: found 3 on a frozen group; allowed: "
          "frozen or start_step"),
    _case("clipping_of_a_frozen_group", "training.group[0]={name: 'shared' "
          "scope: ['embedding', 'trunk'] frozen: true clipping {norm: 3}}",
          f"training.group[0].clipping: {_FROZEN}"),
    _case("decay_of_a_frozen_group", "training.group[0]={name: 'shared' "
          "scope: ['embedding', 'trunk'] frozen: true weight_decay: 0.1}",
          f"training.group[0].weight_decay: {_FROZEN}"),
    _group("weight_decay_negative", "shared", "weight_decay", "-0.5",
           "found -0.5; allowed: at least 0"),
    _group("weight_decay_of_ftrl", "wide", "weight_decay", "0.5",
           "found 0.5 with ftrl, which does not keep what is taken off; "
           "allowed: 0, or l2 of ftrl"),
    _case("weight_decay_of_adagrad_da", [
        "training.default_optimizer={adagrad_da {learning_rate {constant: 1}}}",
        "training.group[2].weight_decay=0.5"],
          "training.group[2].weight_decay: found 0.5 with adagrad_da, which "
          "does not keep what is taken off; allowed: 0, or l2 of adagrad_da"),
    _group("clipping_to_a_norm_of_0", "shared", "clipping.norm", "0",
           "found 0.0; allowed: above 0"),
    _group("clipping_to_less_than_0", "own", "clipping.value", "-1",
           "found -1.0; allowed: above 0"),
    _group("clipping_underflows", "own", "clipping.value", "1e-60",
           "found 1e-60, which 32-bit floating point takes for 0; allowed: "
           "what it tells from 0"),
    _wide("clipping_in_two_ways",
          "training.group[0].clipping={norm: 1 value: 1}",
          "--set training.group[0].clipping: found '{norm: 1 value: 1}'; ..."),
    _wide("wide_part_of_no_group", "training.group[1].scope=['wide/click']",
          "training.group: no group claims wide/spent/age/weights, ..."),
    _wide("scopes_of_two_groups",
          "training.group[2].scope=['tower', 'head', 'wide']",
          "training.group[2].scope[2]: variables 'wide/click/age/weights', "
          "'wide/click/city_hour/weights' and 25 more already belong to group "
          f"'wide'; {_CLAIMED}", process=True),
    _wide("scope_within_a_scope", "training.group[0].scope=['trunk', "
          "'embedding', 'encoder', 'encoder/scores/dense']",
          "training.group[0].scope[3]: variables 'encoder/scores/dense/kernel',"
          " 'encoder/scores/dense/bias' already belong to group 'shared'; "
          f"{_CLAIMED}"),
    _wide("sequence_reader_misspelt",
          "training.group[0].scope=['trunk', 'embedding', 'encoder', "
          "'embedding/visits/gru']",
          "training.group[0].scope[3]: no trainable variable lies in scope "
          "'embedding/visits/gru'; nearest: 'embedding/visits', ..."),
    _wide("table_by_the_name_of_a_feature",
          "training.group[0].scope=['trunk', 'encoder', 'embedding/city_hour',"
          " 'embedding/tags', 'embedding/home', 'embedding/place', "
          "'embedding/visits', 'embedding/income']",
          "training.group[0].scope[4]: no trainable variable lies in scope "
          "'embedding/home'; nearest: ..."),
)

EXECUTION = (
    _at("threads_negative", "training.execution.intra_op_threads", "-1",
        "found -1; allowed: at least 0"),
    _at("threads_between_ops_negative", "training.execution.inter_op_threads",
        "-2", "found -2; allowed: at least 0"),
    _at("no_share_of_a_gpu", "training.execution.gpu_memory_fraction", "0",
        "found 0; allowed: above 0, at most 1"),
    _at("more_than_a_gpu", "training.execution.gpu_memory_fraction", "1.5",
        "found 1.5; allowed: above 0, at most 1"),
    _case("execution_unknown", "training.execution.mode=GRAPH",
          "--set training.execution.mode: found 'GRAPH'; no value 'GRAPH' in "
          "mtl_graph.Execution.Mode; allowed: AUTO, SESSION, LOOP, XLA"),
)


def _start(name, message, *lines, sets=(), prepare=(), code=1, folder="new"):
  """A run that starts from the checkpoint of another one."""
  return _case(name, [f"training.warm_start={{{message}}}", *sets], *lines,
               flags=(f"--model_dir={folder}",), prepare=prepare, code=code)


_RUN = "checkpoint: 'run'"
_NO_CHECKPOINT = ("training.warm_start[0].checkpoint: found no checkpoint '{}';"
                  " allowed: the path of a checkpoint, without its ending, or "
                  "the folder of a run that has trained").format
_ORDER = ("where the checkpoint that the run starts from has '{}'; allowed: "
          "its entries in their order, new ones behind them").format

WARM_START = (
    _start("start_from_nothing", "",
           "training.warm_start[0].checkpoint: found nothing; required",
           code=2),
    _start("start_in_unknown_scope", f"{_RUN} scope: 'trunc'",
           "training.warm_start[0].scope[0]: no trainable variable lies in "
           "scope 'trunc'; nearest: 'trunk'...", code=2),
    _start("start_in_no_scope", f"{_RUN} scope: ''",
           "training.warm_start[0].scope[0]: no trainable variable lies in "
           "scope ''; there are: embedding, head, log_variance, tower, trunk",
           code=2),
    _start("start_from_a_scope_without_names", f"{_RUN} rename {{}}",
           "training.warm_start[0].rename[0].saved: found nothing; required",
           "training.warm_start[0].rename[0].here: found nothing; required",
           code=2),
    _start("start_in_one_scope_twice", f"{_RUN} rename [{{ saved: 'tower/click'"
           " here: 'trunk' }, { saved: 'trunk' here: 'trunk' }]",
           "training.warm_start[0].rename[1].here: found 'trunk' a second time;"
           " allowed: each once", code=2),
    _start("start_in_unknown_scope_renamed",
           f"{_RUN} rename {{ saved: 'trunk' here: 'trunc' }}",
           "training.warm_start[0].rename[0].here: no trainable variable lies "
           "in scope 'trunc'; nearest: 'trunk'...", code=2),
    _start("start_outside_of_its_scopes", f"{_RUN} scope: 'trunk' rename {{ "
           "saved: 'head/tier' here: 'head/click' }",
           "training.warm_start[0].rename[0].here: found 'head/click', of which"
           " nothing is taken; allowed: what lies in `scope`: trunk", code=2),
    _start("start_from_unknown_scope",
           f"{_RUN} rename {{ saved: 'trunc' here: 'trunk' }}",
           "training.warm_start[0].rename[0].saved: found 'trunc', a scope "
           "without variables in run/best/model.ckpt-1; allowed: one that has "
           "some; nearest: 'trunk'..."),
    _start("start_by_rules_that_are_none",
           f"{_RUN} rule [{{}}, {{ regex: '(' }}, {{ regex: 'a' replacement: "
           "'\\\\1' }] ignore: '[' drop: ''",
           "training.warm_start[0].rule[0].regex: found nothing; required",
           "training.warm_start[0].rule[1].regex: found '(', of which ...",
           "training.warm_start[0].rule[2].replacement: found '\\1', of which "
           "invalid group reference 1 ...",
           "training.warm_start[0].ignore[0]: found '[', of which ...",
           "training.warm_start[0].drop[0]: found nothing; required", code=2),
    _start("start_by_a_preset_twice",
           f"{_RUN} preset: [KERNEL_BIAS, KERNEL_BIAS]",
           "training.warm_start[0].preset[1]: found KERNEL_BIAS a second time; "
           "allowed: each once", code=2),
    _start("start_by_a_rule_in_vain", f"{_RUN} rule {{ regex: '^net/' }}",
           "training.warm_start[0].rule[0].regex: found '^net/', which matches "
           "no variable; allowed: a regular expression that does, of ..."),
    _start("start_without_what_is_wanted",
           f"{_RUN} missing: ERROR drop: '^trunk/'",
           "training.warm_start[0].missing: found ERROR, where "
           "run/best/model.ckpt-1 lacks trunk/dense/kernel, trunk/dense/bias; "
           "allowed: a checkpoint with all of them, rules that make their "
           "names, `scope`, WARN or INITIALIZE"),
    _start("start_of_other_shapes_refused", f"{_RUN} shape_mismatch: ERROR",
           "training.warm_start[0].shape_mismatch: found ERROR, where "
           "run/best/model.ckpt-1 has other shapes: trunk/dense/kernel (...",
           sets=("model.hard_sharing.trunk.layer[0].dense.units=7",)),
    _start("start_from_a_missing_folder", "checkpoint: 'runs/nowhere'",
           _NO_CHECKPOINT("runs/nowhere")),
    _start("start_from_an_empty_folder", "checkpoint: 'empty'",
           _NO_CHECKPOINT("empty"),
           prepare=(small_experiment.content("empty/lock", b""),)),
    _start("start_from_a_missing_step", "checkpoint: 'run/model.ckpt-7'",
           _NO_CHECKPOINT("run/model.ckpt-7")),
    _start("start_from_an_index", "checkpoint: 'run/model.ckpt-2.index'",
           _NO_CHECKPOINT("run/model.ckpt-2.index")),
    _start("start_from_a_folder_without_data", "checkpoint: 'copy'",
           "copy/model.ckpt-2: the checkpoint cannot be restored: ...",
           prepare=(lambda: shutil.copytree(
               "run", "copy", ignore=shutil.ignore_patterns(
                   "*.data-*", "best")),)),
    _start("start_from_text", "checkpoint: 'small'",
           "small: the checkpoint cannot be restored: ...",
           prepare=(small_experiment.content("small.index", b"age\n1\n"),)),
    _start("start_with_categories_in_another_order", _RUN,
           f"data.feature[2].categorical.vocabulary[0]: found 'oslo' "
           f"{_ORDER('bern')}", code=2, sets=(
               "data.feature[2].categorical.vocabulary=['oslo', 'bern', 'rome'"
               "]",)),
    _start("start_with_fewer_categories", _RUN,
           "data.feature[2].categorical.vocabulary[2]: found nothing "
           + _ORDER("rome"), code=2, sets=(
               "data.feature[2].categorical.vocabulary=['bern', 'oslo']",)),
    _start("start_with_classes_in_another_order", _RUN,
           f"model.task[2].multiclass.vocabulary[1]: found 'gold' "
           f"{_ORDER('silver')}", code=2, sets=(
               "model.task[2].multiclass.vocabulary=['bronze', 'gold', 'silver'"
               "]",)),
    _start("start_of_other_shapes", f"{_RUN} scope: 'trunk'",
           "training.warm_start[0]: run/best/model.ckpt-1 has none of the "
           "variables wanted, such as trunk/dense/kernel, trunk/dense/bias; "
           "allowed: a checkpoint with at least one of them in the same shape",
           sets=("model.hard_sharing.trunk.layer[0].dense.units=7",)),
    _case("start_from_two_of_which_one_is_missing", [
        f"training.warm_start=[{{ {_RUN} }}, {{ checkpoint: 'nowhere' }}]"],
          _NO_CHECKPOINT("nowhere").replace("[0]", "[1]"),
          flags=("--model_dir=new",), code=1),
    _case("start_from_a_second_one_of_other_names", [
        f"training.warm_start=[{{ {_RUN} }}, {{ {_RUN} scope: 'tower/click' "
        "rename { saved: 'trunk' here: 'tower/click' } }]"],
          "training.warm_start[1]: run/best/model.ckpt-1 has none of the "
          "variables wanted, such as trunk/dense/kernel, trunk/dense/bias; "
          "allowed: a checkpoint with at least one of them in the same shape",
          flags=("--model_dir=new",), code=1),
)

CASES = LENGTH + GROUPS + EXECUTION + WARM_START
