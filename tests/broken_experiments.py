"""Broken experiments, and what must be said of each."""

from tests import small_experiment

Case = small_experiment.Case
_text = small_experiment.text_case
_set = small_experiment.set_case
_flags = small_experiment.flag_case
_content = small_experiment.content

# Pieces of `small_experiment.TEXT` that several cases replace.
_TRAIN = 'train { csv { path: "train.csv" } weight_column: "weight" }'
_CITY = 'vocabulary: ["bern", "oslo", "rome"] embedding_dimension: 2'
_TIER = 'multiclass { vocabulary: ["bronze", "silver", "gold"] }'
_OTHERS = 'group { name: "others" scope: "head/spent" scope: "head/tier" }'
_SHARED = 'group { name: "shared" scope: "embedding" scope: "trunk" }'
_DEFAULT = "default_optimizer { adam { learning_rate { constant: 0.01 } } }"
_ESTIMATE = 'estimate { task: "click" form: PROBABILITY }'
_TRUNK = "layer { dense { units: 4 activation: RELU } }"
_JOINT = "joint { loss { uncertainty {} } }"
_UNCERTAINTY = "training.joint.loss.uncertainty"
_RATE = "training.default_optimizer.adam.learning_rate"

REQUIRED = (
    _text("no_name", 'name: "small"', "",
          "^name: found ''; allowed: letters, digits"),
    _text("no_rows", _TRAIN, "", "^data.train: found nothing; required"),
    _text("no_kind_of_source", _TRAIN, "train {}",
          "^data.train: found no kind; allowed: one of csv, npz"),
    _text("no_path", _TRAIN, "train { csv {} }",
          "^data.train.csv.path: found none; allowed: at least one path"),
    _set("no_features", "data.feature=[]",
         "^data.feature: found none; allowed: at least one"),
    _text("no_kind_of_feature", "numeric { normalization: Z_SCORE }", "",
          r"^data.feature\[0\]: found no kind; allowed: one of numeric, categ"),
    _text("no_domain", _CITY, "embedding_dimension: 2",
          r"^data.feature\[2\].categorical: found none of num_buckets, .*; "
          "allowed: exactly one"),
    _text("no_embedding_dimension", _CITY, 'vocabulary: "bern"',
          r"^data.feature\[2\].categorical.embedding_dimension: found nothing; "
          "allowed: one of embedding_dimension, one_hot, multi_hot"),
    _text("no_sharing", "hard_sharing { trunk { " + _TRUNK + " } }", "",
          "^model: found no sharing; allowed: one of hard_sharing, "),
    _set("no_tasks", "model.task=[]",
         "^model.task: found none; allowed: at least one"),
    _text("no_head", _TIER, "",
          r"^model.task\[2\]: found no head; allowed: one of regression, bin"),
    _text("no_kind_of_layer", _TRUNK, "layer {}",
          r"^model.hard_sharing.trunk.layer\[0\]: found no kind; allowed: one "
          "of dense, dropout"),
    _text("no_units", _TRUNK, "layer { dense {} }",
          r"trunk.layer\[0\].dense.units: found nothing; allowed: at least 1"),
    _text("no_dropout_rate", "dropout { rate: 0.1 }", "dropout {}",
          r"^model.task\[2\].tower.layer\[0\].dropout.rate: found nothing; "
          "allowed: at least 0 and below 1"),
    _text("no_mode", "joint { loss { uncertainty {} } }", "",
          "^training: found no mode; allowed: one of joint, independent"),
    _text("no_loss", "joint { loss { uncertainty {} } }", "joint {}",
          "^training.joint.loss: found no kind; allowed: one of sum, "),
    _text("no_num_steps", "num_steps: 4", "",
          "^training.num_steps: found nothing; allowed: at least 1",
          process=True),
    _text("no_learning_rate", _DEFAULT, "default_optimizer { adam {} }",
          "^training.default_optimizer.adam.learning_rate: found no kind; "
          "allowed: one of constant, exponential_decay"),
    _text("no_kind_of_optimizer", _DEFAULT, "default_optimizer {}",
          "^training.default_optimizer: found no kind; allowed: one of adam"),
    _text("no_decay_fields", "constant: 0.01 ", "exponential_decay {}",
          "exponential_decay.initial: found nothing; required",
          "exponential_decay.decay_steps: found nothing; allowed: at least 1",
          "exponential_decay.decay_rate: found nothing; allowed: above 0"),
    _text("no_kind_of_clipping", "clipping { global_norm: 1 }", "clipping {}",
          r"^training.group\[1\].clipping: found no kind; allowed: one of "),
    _text("no_metric", 'metric: "click/auc" goal', "goal",
          "^evaluation.best.metric: no metric ''; allowed: click/loss, "),
    _text("no_goal", 'metric: "click/auc" goal: MAXIMIZE',
          'metric: "click/auc"',
          "^evaluation.best.goal: found nothing; allowed: MAXIMIZE or MINI"),
    _text("no_patience", "goal: MINIMIZE patience: 9", "goal: MINIMIZE",
          "^evaluation.early_stopping.patience: found nothing; allowed: at le"),
    _text("no_estimate_form", _ESTIMATE, 'estimate { task: "click" }',
          r"^model.task\[1\].estimate\[0\].form: found FORM_UNSPECIFIED .*; "
          "allowed: PROBABILITY, LOGIT"),
)

RANGES = (
    _set("seed_negative", "seed=-1", "^seed: found -1; allowed: 0 to 214748"),
    _set("seed_too_large", "seed=2147483648",
         "^seed: found 2147483648; allowed: 0 to 2147483647"),
    _set("batch_size_0", "data.batch_size=0",
         "^data.batch_size: found 0; allowed: at least 1"),
    _set("numeric_size_0", "data.feature[0].numeric.size=0",
         r"^data.feature\[0\].numeric.size: found 0; allowed: at least 1"),
    _set("vector_from_csv", "data.feature[0].numeric.size=3",
         r"^data.feature\[0\].numeric.size: found 3 without a separator; "
         "allowed: 1 from .csv files, more with a separator or from other "),
    _set("num_buckets_negative",
         "data.feature[name=hour].categorical.num_buckets=-5",
         r"^data.feature\[4\].categorical.num_buckets: found -5; allowed: at "),
    _set("hash_buckets_0",
         "data.feature[name=device].categorical.hash_buckets=0",
         r"^data.feature\[3\].categorical.hash_buckets: found 0; allowed: at "),
    _set("embedding_dimension_negative",
         "data.feature[name=city].categorical.embedding_dimension=-2",
         r"^data.feature\[2\].categorical.embedding_dimension: found -2; "
         "allowed: at least 1"),
    _set("missing_value_infinite", "data.feature[1].numeric.missing_value=inf",
         r"^data.feature\[1\].numeric.missing_value: found inf; allowed: a fi"),
    _set("missing_value_too_large",
         "data.feature[1].numeric.missing_value=1e300",
         r"^data.feature\[1\].numeric.missing_value: found 1e\+300; allowed: "),
    _set("units_negative", "model.task[0].tower.layer[0].dense.units=-3",
         r"^model.task\[0\].tower.layer\[0\].dense.units: found -3; allowed: "),
    _set("dropout_1", "model.task[2].tower.layer[0].dropout.rate=1",
         r"tower.layer\[0\].dropout.rate: found 1.0; allowed: at least 0 and"),
    _set("dropout_nan", "model.task[2].tower.layer[0].dropout.rate=nan",
         r"tower.layer\[0\].dropout.rate: found nan; allowed: "),
    _set("one_class", "model.task[2].multiclass={num_classes: 1}",
         r"^model.task\[2\].multiclass.num_classes: found 1; allowed: at least "
         "2"),
    _set("scale_0", "model.task[1].label.scale=0",
         r"^model.task\[1\].label.scale: found 0.0; allowed: above 0"),
    _set("huber_delta_negative", "model.task[1].regression.huber_delta=-2",
         r"^model.task\[1\].regression.huber_delta: found -2.0; allowed: above "
         "0"),
    _set("greater_than_nan", "model.task[0].label.greater_than=nan",
         r"^model.task\[0\].label.greater_than: found nan; allowed: a finite "),
    _flags("task_weight_negative", [
        "--set=training.joint.loss={weighted_sum {}}",
        "--set=model.task[1].weight=-1"],
           r"^model.task\[1\].weight: found -1.0; allowed: at least 0"),
    _set("learning_rate_negative", f"{_RATE}.constant=-0.1",
         f"^{_RATE}.constant: found -0.1; allowed: at least 0"),
    _set("learning_rate_nan", f"{_RATE}.constant=nan",
         f"^{_RATE}.constant: found nan; allowed: a finite number"),
    _set("learning_rate_infinite", f"{_RATE}.constant=inf",
         f"^{_RATE}.constant: found inf; allowed: a finite number"),
    _set("learning_rate_too_large", f"{_RATE}.constant=1e300",
         rf"^{_RATE}.constant: found 1e\+300; allowed: .*32-bit", process=True),
    _set("decay_of_0", f"{_RATE}={{exponential_decay {{initial: -1 "
         "decay_steps: 0 decay_rate: 0}}",
         "exponential_decay.initial: found -1.0; allowed: at least 0",
         "exponential_decay.decay_steps: found 0; allowed: at least 1",
         "exponential_decay.decay_rate: found 0.0; allowed: above 0"),
    _set("beta1_is_1", "training.default_optimizer.adam.beta1=1",
         "^training.default_optimizer.adam.beta1: found 1.0; allowed: at least "
         "0 and below 1"),
    _set("beta2_negative", "training.default_optimizer.adam.beta2=-0.1",
         "^training.default_optimizer.adam.beta2: found -0.1; allowed: "),
    _set("epsilon_0", "training.default_optimizer.adam.epsilon=0",
         "^training.default_optimizer.adam.epsilon: found 0.0; allowed: above"),
    _set("clipping_to_0", "training.group[name=click].clipping.global_norm=0",
         r"^training.group\[1\].clipping.global_norm: found 0.0; allowed: ab"),
    _set("num_steps_0", "training.num_steps=0",
         "^training.num_steps: found 0; allowed: at least 1"),
    _set("log_every_0_steps", "training.log_every_steps=0",
         "^training.log_every_steps: found 0; allowed: at least 1"),
    _set("checkpoint_every_minus_1", "training.checkpoint.every_steps=-1",
         "^training.checkpoint.every_steps: found -1; allowed: at least 0"),
    _set("keep_0_checkpoints", "training.checkpoint.keep=0",
         "^training.checkpoint.keep: found 0; allowed: at least 1"),
    _set("steps_per_block_0", "training.execution.steps_per_block=0",
         "^training.execution.steps_per_block: found 0; allowed: at least 1"),
    _set("evaluate_every_minus_1", "evaluation.every_steps=-1",
         "^evaluation.every_steps: found -1; allowed: at least 0"),
    _set("evaluation_batch_0", "evaluation.batch_size=0",
         "^evaluation.batch_size: found 0; allowed: at least 1"),
    _set("patience_0", "evaluation.early_stopping.patience=0",
         "^evaluation.early_stopping.patience: found 0; allowed: at least 1"),
    _set("min_delta_negative", "evaluation.early_stopping.min_delta=-1",
         "^evaluation.early_stopping.min_delta: found -1.0; allowed: at least"),
    _set("log_variance_bounds_crossed", f"{_UNCERTAINTY}.min_log_variance=30",
         f"^{_UNCERTAINTY}.min_log_variance: found 30; allowed: below max_log"),
    _set("log_variance_out_of_bounds",
         f"{_UNCERTAINTY}.initial_log_variance=25",
         f"^{_UNCERTAINTY}.initial_log_variance: found 25; allowed: -20 to 20"),
)

NAMES = (
    _set("name_with_slash", "name=a/b", "^name: found 'a/b'; allowed: letters"),
    _set("task_upper_case", "model.task[2].name=Tier",
         r"^model.task\[2\].name: found 'Tier'; allowed: a lower-case letter"),
    _set("task_reserved", "model.task[2].name=total",
         r"^model.task\[2\].name: found 'total', which is reserved; allowed: "
         "any name but shared, total"),
    _set("task_twice", "model.task[2].name=click",
         r"^model.task\[2\].name: found 'click' a second time; allowed: each"),
    _set("feature_with_digit_first", "data.feature[0].name=1st",
         r"^data.feature\[0\].name: found '1st'; allowed: a lower-case letter"),
    _set("feature_reserved", "data.feature[0].name=serving_default",
         r"^data.feature\[0\].name: found 'serving_default', which is reserve"),
    _set("feature_twice", "data.feature[1].name=age",
         r"^data.feature\[1\].name: found 'age' a second time; allowed: each"),
    _set("group_twice", "training.group[2].name=shared",
         r"^training.group\[2\].name: found 'shared' a second time; allowed: "),
    _set("group_with_space", "training.group[2].name=the rest",
         r"^training.group\[2\].name: found 'the rest'; allowed: a lower-case"),
    _set("group_without_name", "training.group[2].name=",
         r"^training.group\[2\].name: found ''; allowed: a lower-case letter"),
)

MODEL = (
    _set("estimate_of_unknown_task", "model.task[1].estimate[0].task=klick",
         r"^model.task\[1\].estimate\[0\].task: no task 'klick'; allowed: "
         "click, tier; nearest: 'click'", process=True),
    _set("estimate_of_itself",
         "model.task[1].estimate[0]={task: 'spent' form: VALUE}",
         "^model.task: found tasks that read each other, spent <- spent; all"),
    _set("estimates_in_a_circle_of_2",
         "model.task[0].estimate=[{task: 'spent' form: VALUE}]",
         "^model.task: found tasks that read each other, click <- spent <- cl"),
    _flags("estimates_in_a_circle_of_3",
           ["--set=model.task[0].estimate=[{task: 'tier' form: LOGIT}]",
            "--set=model.task[2].estimate=[{task: 'spent' form: VALUE}]"],
           "^model.task: found tasks that read each other, click <- tier <- s"),
    _set("probability_of_regression",
         "model.task[2].estimate=[{task: 'spent' form: PROBABILITY}]",
         r"^model.task\[2\].estimate\[0\].form: found PROBABILITY of a "
         "regression task; allowed: VALUE"),
    _set("value_of_binary", "model.task[1].estimate[0].form=VALUE",
         r"^model.task\[1\].estimate\[0\].form: found VALUE of a binary task; "
         "allowed: PROBABILITY, LOGIT"),
    _text("estimate_twice", _ESTIMATE, f"{_ESTIMATE} {_ESTIMATE}",
          r"^model.task\[1\].estimate\[1\]: found the estimate of 'click' a s"),
    _set("stop_gradient_unknown", "model.stop_gradient=['trunk/dens']",
         r"^model.stop_gradient\[0\]: no tensor 'trunk/dens'; allowed: .*; "
         "nearest: 'trunk/dense'"),
    _set("weight_under_uncertainty", "model.task[0].weight=2",
         r"^model.task\[0\].weight: found 2; allowed: only under training.joi"),
    _set("huber_delta_without_huber", "model.task[1].regression.loss=SQUARED",
         r"^model.task\[1\].regression.huber_delta: found it without loss: HU"),
    _set("greater_than_on_regression", "model.task[1].label.greater_than=3",
         r"^model.task\[1\].label.greater_than: found it on a regression task; "
         "allowed: on binary tasks only"),
    _set("log1p_on_binary", "model.task[0].label.log1p=true",
         r"^model.task\[0\].label.log1p: found it on a binary task; allowed: "),
    _set("ignore_value_on_multiclass", "model.task[2].label.ignore_value=9",
         r"^model.task\[2\].label.ignore_value: found it beside a vocabulary; "
         "allowed: where the column holds numbers"),
    _flags("two_ways_to_a_binary_label",
           ["--set=model.task[0].label.greater_than=3",
            "--set=model.task[0].label.positive_value=yes"],
           r"^model.task\[0\].label: found greater_than and positive_value; "),
    _flags("ignored_number_among_words",
           ["--set=model.task[0].label.ignore_value=9",
            "--set=model.task[0].label.positive_value=yes"],
           r"^model.task\[0\].label: found ignore_value and positive_value; "),
    _set("two_domains", "data.feature[2].categorical.hash_buckets=9",
         r"^data.feature\[2\].categorical: found hash_buckets and vocabulary "
         "of .*; allowed: exactly one"),
    _text("vocabulary_repeats", '"oslo", "rome"', '"oslo", "bern"',
          r"^data.feature\[2\].categorical.vocabulary: found 'bern' more than"),
    _text("classes_repeat", '"bronze", "silver"', '"silver", "silver"',
          r"^model.task\[2\].multiclass.vocabulary: found 'silver' more than"),
    _text("class_without_name", '"bronze", "silver"', '"", "silver"',
          r"^model.task\[2\].multiclass.vocabulary: found ''; allowed: "),
    _text("vocabulary_file_is_missing", _CITY,
          'vocabulary_file: "cities.txt" embedding_dimension: 2',
          r"^data.feature\[2\].categorical.vocabulary_file: no file 'cities.tx"
          "t'; allowed: an existing file; nearest: 'citys.txt'",
          prepare=(_content("citys.txt", b"bern\n"),)),
    _text("vocabulary_file_repeats", _CITY,
          'vocabulary_file: "cities.txt" embedding_dimension: 2',
          "categorical.vocabulary_file: found 'bern' more than once; allowed:",
          prepare=(_content("cities.txt", b"bern\noslo\nbern\n"),)),
    _text("vocabulary_file_is_empty", _CITY,
          'vocabulary_file: "cities.txt" embedding_dimension: 2',
          "categorical.vocabulary_file: found 0 entries; allowed: at least 1",
          prepare=(_content("cities.txt", b"\n"),)),
    _text("vocabulary_file_is_not_utf8", _TIER,
          'multiclass { vocabulary_file: "tiers.txt" }',
          "multiclass.vocabulary_file: 'tiers.txt' cannot be read; allowed: U",
          prepare=(_content("tiers.txt", b"\xff\xfe\n"),)),
)

TRAINING = (
    _text("rows_are_missing", "train.csv", "trian.csv",
          r"^data.train.csv.path\[0\]: no file matches 'trian.csv' from /.*; "
          "allowed: an existing file or a glob; nearest: 'train.csv'",
          process=True),
    _text("glob_matches_nothing", "validation.csv", "validation-*.csv",
          r"^data.validation.csv.path\[0\]: no file matches 'validation-\*"),
    _set("folder_of_rows_is_missing", "data.train.csv.path=['rows/*.csv']",
         r"^data.train.csv.path\[0\]: no file matches 'rows/\*.csv' from /"),
    _set("header_file_is_missing", "data.train.csv.header_file=header.csv",
         "^data.train.csv.header_file: no file 'header.csv'; allowed: an exis"),
    _text("orphans", _OTHERS, "",
          "^training.group: no group claims head/spent/kernel, head/spent/bias,"
          " head/tier/kernel, .*; allowed: every trainable variable in exactl"),
    _set("claimed_twice", "training.group[2].scope=['head']",
         r"^training.group\[2\].scope\[0\]: variables 'head/click/kernel', "
         "'head/click/bias' already belong to group 'click'; allowed: one "
         "group per variable"),
    _set("scope_misspelt", "training.group[2].scope[0]=head/spend",
         r"^training.group\[2\].scope\[0\]: no trainable variable lies in "
         "scope 'head/spend'; nearest: 'head/spent'",
         "^training.group: no group claims head/spent/kernel", process=True),
    _set("scope_cut_short", "training.group[0].scope[1]=trun",
         r"^training.group\[0\].scope\[1\]: no trainable variable lies in "
         "scope 'trun'; nearest: 'trunk'"),
    _set("scope_empty", "training.group[2].scope[0]=",
         r"^training.group\[2\].scope\[0\]: no trainable variable lies in sco"),
    _set("group_without_scope", "training.group[2].scope=[]",
         r"^training.group\[2\].scope: found none; allowed: at least one scop"),
    _text("group_without_optimizer", _DEFAULT, "",
          r"^training.group\[0\].optimizer: found nothing; required, as there",
          r"^training.group\[2\].optimizer: found nothing; required"),
    _text("no_optimizer_at_all", _SHARED,
          'group { name: "shared" scope: "embedding" scope: "trunk" '
          "optimizer {} }",
          r"^training.group\[0\].optimizer: found no kind; allowed: one of ad"),
    _flags("all_groups_frozen",
           ["--set=training.group=[{name: 'all' frozen: true scope: ["
            "'embedding', 'trunk', 'tower', 'head', 'log_variance']}]"],
           "^training.group: found only frozen groups; allowed: at least one "),
    _set("frozen_with_optimizer", "training.group[1].frozen=true",
         r"^training.group\[1\].optimizer: found one on a frozen group; allow"),
    _flags("group_that_no_loss_reaches", [
        "--set=model.stop_gradient=['trunk/dense']", "--allow_changes"],
           r"^training.group\[0\]: no task's loss reaches group 'shared'; "
           "allowed: groups that get a gradient, or frozen: true"),
    _set("num_rounds_in_joint_training", "training.num_rounds=3",
         "^training.num_rounds: found 3; allowed: in independent training onl"),
    _set("metric_unknown", "evaluation.best.metric=click/uac",
         "^evaluation.best.metric: no metric 'click/uac'; allowed: .*nearest: "
         "'click/auc'"),
    _set("metric_of_another_head", "evaluation.early_stopping.metric=spent/auc",
         "^evaluation.early_stopping.metric: no metric 'spent/auc'; allowed: "),
    _set("best_without_validation", "data={train {csv {path: 'train.csv'}} "
         "feature {name: 'age' numeric {}}}",
         "^evaluation.best: found it without data.validation; allowed: ",
         "^evaluation.early_stopping: found it without data.validation"),
    _set("best_without_evaluations", "evaluation.every_steps=0",
         "^evaluation.best: found it with evaluation.every_steps: 0; allowed: ",
         "^evaluation.early_stopping: found it with evaluation.every_steps: 0"),
    _flags("six_problems_at_once", [
        "--set=seed=-1", "--set=data.batch_size=0",
        "--set=data.feature[0].name=",
        "--set=training.num_steps=0", "--set=evaluation.best.goal=0",
        "--set=model.task[2].weight=1"],
           "^seed: ", "^data.batch_size: ", r"^data.feature\[0\].name: ",
           "^training.num_steps: ", "^evaluation.best.goal: ",
           r"^model.task\[2\].weight: "),
)

CASES = REQUIRED + RANGES + NAMES + MODEL + TRAINING
