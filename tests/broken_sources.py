"""Sources per task, and ways to mix them, that cannot be."""

import functools

from tests import small_experiment

_sources = functools.partial(small_experiment.line_case, base="sources")
_files = functools.partial(_sources, code=1, flags=("--allow_changes",))
_small = small_experiment.line_case
_cell = small_experiment.cell

_ADS, _SHOP = "data.source[name=ads]", "data.source[name=shop]"
_KINDS = "allowed: one of proportional, uniform, temperature, stated"

CASES = (
    _sources("sources_beside_rows", "data.test={csv {path: 'ads.csv'}}",
             "data.test: found it beside data.source; allowed: at most one of "
             "them", process=True),
    _sources("sources_resampled", "data.resampling={task: 'click'}",
             "data.resampling: found it beside data.source; allowed: at most "
             "one of them"),
    _small("mixing_without_sources", "data.mixing={uniform {}}",
           "data.mixing: found it without data.source; allowed: with sources "
           "only"),
    _sources("mixing_in_no_way", "data.mixing={}",
             f"data.mixing: found no kind; {_KINDS}",
             "data.source[0].rate: found 2; allowed: only under "
             "data.mixing.stated",
             "data.source[1].rate: found 1; allowed: only under "
             "data.mixing.stated"),
    _sources("mixing_in_an_unknown_way", "data.mixing={stirred {}}",
             "--set data.mixing: found '{stirred {}}'; no field 'stirred' in "
             "mtl_graph.Mixing; allowed: proportional, uniform, temperature, "
             "stated..."),
    _sources("temperature_of_0",
             ("data.mixing={temperature: 0}", f"{_ADS}={{name: 'ads' train "
              "{csv {path: 'ads.csv'}} validation {csv {path: 'ads.csv'}} "
              "task: ['click', 'spent']}", "data.source[1]={name: 'shop' task:"
              " 'tier' train {csv {path: 'shop.csv'}}}"),
             "data.mixing.temperature: found 0.0; allowed: above 0"),
    _sources("rate_of_0", f"{_SHOP}.rate=0",
             "data.source[1].rate: found 0.0; allowed: above 0"),
    _sources("rate_below_0", f"{_ADS}.rate=-2",
             "data.source[0].rate: found -2.0; allowed: above 0"),
    _sources("rate_nan", f"{_ADS}.rate=nan",
             "data.source[0].rate: found nan; allowed: a finite number"),
    _sources("rate_left_out", "data.source[1]={name: 'shop' task: 'tier' train "
             "{csv {path: 'shop.csv'}}}",
             "data.source[1].rate: found nothing; allowed: above 0"),
    _sources("source_without_name", f"{_SHOP}.name=",
             "data.source[1].name: found ''; allowed: a lower-case letter, then"
             " lower-case letters, digits and '_'"),
    _sources("source_twice", f"{_SHOP}.name=ads",
             "data.source[1].name: found 'ads' a second time; allowed: each "
             "name once"),
    _sources("source_of_an_unknown_task", f"{_SHOP}.task=['tear']",
             "data.source[1].task[0]: no task 'tear'; allowed: click, spent, "
             "tier; nearest: 'tier'"),
    _sources("source_of_a_task_twice", f"{_SHOP}.task=['tier', 'tier']",
             "data.source[1].task[1]: found 'tier' a second time; allowed: each"
             " task once"),
    _sources("task_of_no_source", f"{_ADS}.task=['click']",
             "data.source: found none with labels of task 'spent'; allowed: at "
             "least one, as the task has a loss"),
    _sources("source_of_half_a_label", f"{_SHOP}.task=['tier', 'spent']",
             "data.source[1].task[1]: found 'spent' without 'click', by whose "
             "label that of 'spent' counts or not; allowed: with it"),
    _sources("source_of_a_task_without_label",
             ("model.task[name=spent].label={}",
              "model.task[name=tier]={name: 'tier' binary {} no_loss: true}",
              "model.task[name=click].estimate={task: 'tier' form: LOGIT "
              "stop_gradient: false}"),
             "data.source[1].task[0]: found 'tier', which has no label; "
             "allowed: tasks that have one"),
    _sources("label_by_what_has_none",
             ("model.task[name=click]={name: 'click' binary {} no_loss: true}",
              "model.task[name=spent].estimate[0].stop_gradient=false",
              f"{_ADS}.task=['spent']", "evaluation={}"),
             "data.source[0].task[0]: found 'spent' without 'click', by whose "
             "label that of 'spent' counts or not; allowed: with it",
             "model.task[1].label.only_when[0].task: found 'click', which has "
             "no label; allowed: a task with one",
             "training.group[1].scope[0]: ..."),
    _sources("source_without_training_rows",
             "data.source[1]={name: 'shop' task: 'tier' rate: 1 validation "
             "{csv {path: 'shop.csv'}}}",
             "data.source[1].train: found nothing; required"),
    _sources("file_of_a_source_missing", f"{_SHOP}.train.csv.path[0]=shopp.csv",
             "data.source[1].train.csv.path[0]: no file matches 'shopp.csv' "
             "from ..."),
    _sources("part_of_a_source_by_nothing",
             f"{_ADS}.validation.part={{to: 0.5}}",
             "data.source[0].validation.part: found no by; allowed: one of "
             "row_hash, key_column, column"),
    _sources("best_of_no_source",
             ("data.source[0]={name: 'ads' rate: 1 task: ['click', 'spent'] "
              "train {csv {path: 'ads.csv'}}}", "data.source[1]={name: 'shop' "
              "rate: 1 task: 'tier' train {csv {path: 'shop.csv'}}}"),
             *(f"evaluation.{field}: found it without data.source.validation; "
               "allowed: with validation rows only"
               for field in ("best", "early_stopping"))),
    _sources("folds_of_sources", "seed=7", "data.source: found 2; allowed: "
             "none, as cross-validation cuts data.train into parts",
             launcher="cross_validate"),
)

DATA_FILES = (
    _files("source_lacks_its_label", f"{_SHOP}.task=['tier', 'click']",
           "shop.csv: no column 'clicked' (data.source[1].train); allowed: age,"
           " ...", process=True),
    _files("source_lacks_a_feature", (), "shop.csv: no column 'age' "
           "(data.source[1].train); allowed: ages, ...",
           prepare=(small_experiment.header("age", "ages", "shop.csv"),)),
    _files("bad_label_of_a_source", (), "ads.csv, row 3, column 'clicked': "
           "found '2'; allowed: 0 or 1, or nothing where there is no label; "
           "...", prepare=(_cell(3, "clicked", "2", "ads.csv"),)),
    _files("bad_label_of_a_later_source", (), "shop_later.csv, row 2, column "
           "'tier': found 'golden'; allowed: an entry of the vocabulary; ...",
           prepare=(_cell(2, "tier", "golden", "shop_later.csv"),)),
    _files("source_without_labels", (), "shop.csv: no row has a label of a "
           "weight above 0 for task 'tier' in column 'tier'; allowed: at least "
           "one", prepare=(small_experiment.column("tier", "", "shop.csv"),)),
    _files("best_without_labels_in_any_source",
           (), "data.source.validation: no row has a label for task 'click', "
           "by which evaluation.best measures; allowed: at least one",
           prepare=(small_experiment.column("clicked", "", "ads_later.csv"),)),
    _files("source_of_an_empty_part", f"{_SHOP}.train.part={{column: 'city' "
           "value: 'paris'}", "shop.csv: found 60 rows, of which 0 belong to "
           "the part, and 0 of these are dropped (data.source[1].train); "
           "allowed: at least one left"),
)
