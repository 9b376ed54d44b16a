"""Tasks that read each other as they cannot, and what must be said of it."""

import functools

from tests import small_experiment

_case = functools.partial(small_experiment.line_case, base="sharing")

PRODUCTS_AND_TRANSFERS = (
    _case("product_of_one",
          ("model.task[name=sale].product={ task: 'click' }",
           "model.task[name=buy]={ name: 'buy' label { column: 'clicked' } "
           "binary {} }"),
          "model.task[2].product.task: found 1; allowed: at least 2"),
    _case("product_of_a_task_twice",
          "model.task[name=sale].product={ task: ['click', 'buy', 'click'] }",
          "model.task[2].product.task[2]: found 'click' a second time; "
          "allowed: each once"),
    _case("product_of_unknown_tasks",
          "model.task[name=sale].product={ task: ['clik', 'buy', 'sale'] }",
          "model.task[2].product.task[0]: found 'clik'; allowed: another "
          "binary task; nearest: 'click'",
          "model.task[2].product.task[2]: found 'sale'; allowed: another "
          "binary task: click, buy",
          "model.task: found tasks that read each other, sale <- sale; "
          "allowed: no cycles"),
    _case("product_of_a_number",
          "model.task[name=sale].product={ task: ['buy', 'spent'] }",
          "model.task[2].product.task[1]: found 'spent'; allowed: another "
          "binary task: click, buy"),
    _case("number_that_is_a_product",
          ("model.task[name=sale]={ name: 'sale' label { column: 'spent' } "
           "count {} product { task: ['buy', 'click'] } }",
           "model.task[name=tier].estimate[0].form=VALUE",
           "evaluation.best.metric=click/auc"),
          "model.task[2].product: found it on a count task; allowed: on a "
          "binary task"),
    _case("product_with_layers_of_its_own",
          ("model.task[name=sale].tower={ layer { dense { units: 4 } } }",
           "model.task[name=sale].reads=['trunk']"),
          "model.task[2].tower: found it beside product; allowed: on tasks "
          "with layers of their own",
          "model.task[2].reads: found it beside product; allowed: on tasks "
          "with layers of their own"),
    _case("product_that_takes_over",
          ("model.task[name=sale].transfer={ task: 'click' }",
           "model.task[name=sale].estimate={ task: 'click' form: LOGIT }"),
          "model.task[2].estimate: found it beside product; allowed: on tasks "
          "with layers of their own",
          "model.task[2].transfer: found it beside product; allowed: on "
          "tasks with layers of their own"),
    _case("transfer_from_nobody", "model.task[name=spent].transfer={}",
          "model.task[3].transfer.task: found ''; allowed: another task: "
          "click, buy, sale, tier"),
    _case("transfer_from_a_task_misspelt",
          "model.task[name=spent].transfer.task=clik",
          "model.task[3].transfer.task: found 'clik'; allowed: another task; "
          "nearest: 'click'"),
    _case("transfer_from_itself", "model.task[name=spent].transfer.task=spent",
          "model.task[3].transfer.task: found 'spent'; allowed: another task: "
          "click, buy, sale, tier",
          "model.task: found tasks that read each other, spent <- spent; "
          "allowed: no cycles"),
    _case("transfer_from_a_product",
          "model.task[name=spent].transfer.task=sale",
          "model.task[3].transfer.task: found 'sale', which is a product; "
          "allowed: a task with a tower or a head of its own"),
    _case("calibration_below_0",
          "model.task[name=buy].transfer={ task: 'click' calibration_weight: "
          "-1 }",
          "model.task[1].transfer.calibration_weight: found -1.0; allowed: "
          "at least 0"),
    _case("calibration_of_a_number",
          "model.task[name=spent].transfer.calibration_weight=0.5",
          "model.task[3].transfer.calibration_weight: found 0.5 where not "
          "both tasks are binary; allowed: 0"),
    _case("transfer_with_nothing_to_read",
          ("model.hard_sharing={}",
           "data.feature=[{ name: 'age' numeric {} use: WIDE }]",
           "model.task[0].tower={}", "model.task[1].tower={}",
           "model.task[3].tower={}"),
          "model.task[3].transfer: found it with nothing to take over, as no "
          "feature is in the deep part; allowed: between tasks that read "
          "estimates"),
    _case("tasks_that_read_each_other",
          "model.task[name=click].transfer={ task: 'spent' }",
          "model.task: found tasks that read each other, click <- spent <- "
          "click; allowed: no cycles"),
    _case("product_that_its_factor_reads",
          "model.task[name=buy].estimate={ task: 'sale' form: LOGIT }",
          "model.task: found tasks that read each other, buy <- sale <- buy; "
          "allowed: no cycles"),
)

NO_LOSS = (
    _case("no_loss_without_a_reader", "model.task[name=tier].no_loss=true",
          "model.task[4].no_loss: found it on a task that nothing else "
          "trains; allowed: on a factor of a product, or where an estimate "
          "with stop_gradient: false is read, of tasks that are trained"),
    _case("no_loss_where_the_gradient_stops",
          "model.task[name=sale]={ name: 'sale' label { column: 'clicked' } "
          "binary {} estimate { task: 'buy' form: LOGIT } }",
          "model.task[1].no_loss: found it on a task that nothing else "
          "trains; allowed: on a factor of a product, or where an estimate "
          "with stop_gradient: false is read, of tasks that are trained"),
    _case("no_loss_of_all",
          "model.task=[{ name: 'sale' binary {} no_loss: true label { column: "
          "'clicked' } }]",
          "model.task[0].no_loss: found it on a task that nothing else "
          "trains; allowed: on a factor of a product, or where an estimate "
          "with stop_gradient: false is read, of tasks that are trained",
          "model.task.no_loss: found it on every task; allowed: at least one "
          "with a loss"),
    _case("losses_added_to_no_loss",
          ("model.task[name=buy].additional_loss={ binary {} }",
           "model.task[name=buy].weight=2",
           "training.joint.loss.weighted_sum={}"),
          "model.task[1].weight: found it beside no_loss; allowed: on tasks "
          "with a loss",
          "model.task[1].additional_loss: found it beside no_loss; allowed: "
          "on tasks with a loss"),
    _case("no_loss_where_the_head_is_held", "model.stop_gradient='head/buy'",
          "training.group: no task's loss reaches group 'buy'; allowed: groups "
          "that get a gradient, or frozen: true", flags=("--model_dir=new",)),
    _case("best_by_a_task_without_a_label", "evaluation.best.metric=buy/auc",
          "evaluation.best.metric: no metric 'buy/auc'; allowed: "
          "click/loss..."),
    _case("metrics_of_a_task_without_a_label",
          "evaluation.task_metrics={ task: 'buy' k: 3 }",
          "evaluation.task_metrics[0].task: found 'buy', which has no label; "
          "allowed: tasks that have one"),
    _case("label_under_a_task_without_one",
          "model.task[name=spent].label.only_when={ task: 'buy' }",
          "model.task[3].label.only_when[0].task: found 'buy', which has no "
          "label; allowed: a task with one"),
    _case("log_variance_of_a_product",
          ("training.joint.loss.uncertainty={}",
           "training.group={ name: 'all' scope: ['embedding', 'trunk', "
           "'tower', 'head', 'transfer'] }"),
          "training.group: no group claims log_variance/sale; allowed: every "
          "trainable variable in exactly one group"),
)

CASES = PRODUCTS_AND_TRANSFERS + NO_LOSS
