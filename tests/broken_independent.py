"""Training task by task that cannot be, and what must be said of it."""

import functools

from tests import small_experiment

_case = functools.partial(small_experiment.line_case, base="independent")


def _task(name, assignment, *problems, **more):
  """The experiment with another share of a task.

  Args:
    name: Name of the case.
    assignment: What --set takes, behind the path of the tasks.
    *problems: What is said of it, behind that path.
    **more: Further fields of the case.

  Returns:
    The case.
  """
  path = "training.independent.task"
  return _case(name, path + assignment, *(path + p for p in problems), **more)


MODE = (
    _case("no_rounds", "training.num_rounds=0",
          "training.num_rounds: found 0; allowed: at least 1"),
    _case("rounds_below_0", "training.num_rounds=-1",
          "training.num_rounds: found -1; allowed: at least 1"),
    _case("steps_beside_rounds", "training.num_steps=5000000",
          "training.num_steps: found 5000000; allowed: in joint training "
          "only; independent training takes num_rounds"),
    _case("epochs_beside_rounds", "training.num_epochs=1.5",
          "training.num_epochs: found 1.5; allowed: in joint training only; "
          "independent training takes num_rounds"),
    _case("joint_beside_independent", "training.joint={ loss { sum {} } }",
          "training.num_steps: found nothing; allowed: at least 1",
          "training.num_rounds: found 2; allowed: in independent training "
          "only; joint training takes num_steps",
          "training.group: found only frozen groups; allowed: at least one "
          "that is trained",
          "training.group: no group claims embedding/city/embeddings, ..."),
    _case("order_unknown", "training.independent.order=RANDOM",
          "--set training.independent.order: found 'RANDOM'; no value "
          "'RANDOM' in mtl_graph.Independent.Order; allowed: SEQUENTIAL, "
          "INTERLEAVED"),
    _case("cosines_of_tasks_alone",
          "training.summaries={ gradient_cosine: true }",
          "training.summaries.gradient_cosine: found it in independent "
          "training; allowed: in joint training"),
    _case("mixing_of_tasks_alone", "data.mixing={ uniform {} }",
          "data.mixing: found it in independent training; allowed: in joint "
          "training, as here each task states its source"),
    _case("weight_of_a_task_alone", "model.task[name=tier].weight=2",
          "model.task[2].weight: found 2; allowed: only under "
          "training.joint.loss.weighted_sum"),
    _case("lazily_accumulated_alone",
          ("training.independent.task[name=tier].optimizer={ lazy_adam { "
           "learning_rate { constant: 1 } } }",
           "training.accumulate_batches=2"),
          "training.independent.task[2].optimizer.lazy_adam: found it with "
          "accumulate_batches: 2; allowed: adam, or one batch per step"),
)

TASKS = (
    _case("no_task_alone", "training.independent={}",
          "training.independent.task: found nothing of click, spent, tier; "
          "allowed: every task with a loss, with iterations: 0 if it is not "
          "trained"),
    _case("task_left_out",
          "training.independent.task=[{ name: 'click' }, { name: 'tier' }]",
          "training.independent.task: found nothing of spent; allowed: every "
          "task with a loss, with iterations: 0 if it is not trained"),
    _task("task_without_name", "[1]={ batch_size: 8 }",
          "[1].name: no task '' that has a loss; allowed: click, spent, tier",
          ": found nothing of spent; allowed: every task with a loss, with "
          "iterations: 0 if it is not trained"),
    _task("task_misspelt", "[1].name=spend",
          "[1].name: no task 'spend' that has a loss; allowed: click, spent, "
          "tier; nearest: 'spent'",
          ": found nothing of spent; allowed: every task with a loss, with "
          "iterations: 0 if it is not trained"),
    _case("task_trained_twice",
          "training.independent.task=[{ name: 'click' }, { name: 'tier' }, { "
          "name: 'spent' }, { name: 'tier' }]",
          "training.independent.task[3].name: found 'tier' a second time; "
          "allowed: each task once"),
    _case("task_without_a_loss_alone",
          ("model.task[name=click].no_loss=true",
           "model.task[name=spent].estimate[0].stop_gradient=false"),
          "training.independent.task[0].name: no task 'click' that has a "
          "loss; allowed: spent, tier"),
    _task("iterations_below_0", "[name=click].iterations=-1",
          "[0].iterations: found -1; allowed: at least 0"),
    _case("no_iterations_at_all",
          ("training.independent.task[0].iterations=0",
           "training.independent.task[1].iterations=0",
           "training.independent.task[2].iterations=0"),
          "training.independent.task: found iterations: 0 on every task; "
          "allowed: at least one that is trained"),
    _task("batch_of_0_rows", "[name=spent].batch_size=0",
          "[1].batch_size: found 0; allowed: at least 1"),
    _case("no_optimizer_of_a_task",
          "training={ num_rounds: 1 independent { task { name: 'click' } task "
          "{ name: 'spent' optimizer {} } task { name: 'tier' optimizer { "
          "adam { learning_rate { constant: -1 } } } } } }",
          "training.independent.task[0].optimizer: found nothing; required, "
          "as there is no training.default_optimizer",
          "training.independent.task[1].optimizer: found no kind; allowed: "
          "one of adam, ...",
          "training.independent.task[2].optimizer.adam.learning_rate.constant"
          ": found -1.0; allowed: at least 0"),
    _task("clipping_of_a_task_in_no_way", "[name=tier].clipping={}",
          "[2].clipping: found no kind; allowed: one of global_norm, norm, "
          "value"),
    _task("clipping_of_a_task_to_0", "[name=click].clipping={ global_norm: 0 }",
          "[0].clipping.global_norm: found 0.0; allowed: above 0"),
    _task("weight_decay_of_a_task_below_0", "[name=tier].weight_decay=-0.1",
          "[2].weight_decay: found -0.1; allowed: at least 0"),
    _task("weight_decay_of_a_task_under_ftrl",
          "[name=tier].optimizer={ ftrl { learning_rate { constant: 1 } } }",
          "[2].weight_decay: found 0.01 with ftrl, which does not keep what "
          "is taken off; allowed: 0, or l2 of ftrl"),
    _task("source_unknown", "[name=click].source=add",
          "[0].source: no source 'add' that labels task 'click'; allowed: "
          "ads; nearest: 'ads'"),
    _task("source_of_other_tasks", "[name=tier].source=ads",
          "[2].source: no source 'ads' that labels task 'tier'; allowed: shop"),
    _case("source_where_there_is_none",
          "training={ num_rounds: 1 independent { task { name: 'click' "
          "source: 'ads' } task { name: 'spent' } task { name: 'tier' } } "
          "default_optimizer { adam { learning_rate { constant: 1 } } } }",
          "training.independent.task[0].source: no source 'ads' that labels "
          "task 'click'; allowed: none, as there is no such source",
          base="small"),
)

HELD = (
    _case("group_that_is_trained_beside_tasks",
          "training.group[0].frozen=false",
          "training.group[0]: found a group that is not frozen; allowed: "
          "frozen ones, as each task trains what it reaches"),
    _case("group_with_an_optimizer_beside_tasks",
          "training.group[0].optimizer={ adam { learning_rate { constant: 1 } "
          "} }",
          "training.group[0].optimizer: found one on a frozen group; "
          "allowed: none"),
    _case("group_called_like_a_task", "training.group[0].name=tier",
          "training.group[0].name: found 'tier', the name of a task; allowed: "
          "another one"),
    _case("group_of_an_unknown_scope_beside_tasks",
          "training.group[0].scope=['embedding/our']",
          "training.group[0].scope[0]: no trainable variable lies in scope "
          "'embedding/our'; nearest: 'embedding/hour', 'embedding', "
          "'embedding/city'"),
    _case("two_groups_that_hold_one_variable",
          "training.group=[{ name: 'held' scope: 'trunk' frozen: true }, { "
          "name: 'too' scope: 'trunk/dense/bias' frozen: true }]",
          "training.group[1].scope[0]: variable 'trunk/dense/bias' already "
          "belongs to group 'held'; allowed: one group per variable"),
    _case("everything_that_a_task_reaches_held",
          "training.group[0].scope=['embedding', 'trunk', 'tower', "
          "'head/click', 'head/spent']",
          "training.independent.task[0]: task 'click' reaches no variable that "
          "is not frozen; allowed: iterations: 0, or less that is frozen",
          "training.independent.task[1]: task 'spent' reaches no variable that "
          "is not frozen; allowed: iterations: 0, or less that is frozen",
          flags=("--model_dir=new",)),
    _case("everything_held",
          "training.group[0].scope=['embedding', 'trunk', 'tower', 'head']",
          "training.group: found all variables frozen; allowed: at least one "
          "that is trained"),
)

STOPPING = (
    _task("stopping_without_a_metric", "[1].early_stopping={}",
          "[1].early_stopping.metric: no metric ''; allowed: click/loss, ...",
          "[1].early_stopping.goal: found nothing; allowed: MAXIMIZE or "
          "MINIMIZE",
          "[1].early_stopping.patience: found nothing; allowed: at least 1"),
    _task("stopping_by_an_unknown_metric",
          "[0].early_stopping.metric=click/logloss",
          "[0].early_stopping.metric: no metric 'click/logloss'; allowed: "
          "click/loss, ..."),
    _case("stopping_out_of_range",
          ("training.independent.task[0].early_stopping.patience=0",
           "training.independent.task[0].early_stopping.min_delta=-1"),
          "training.independent.task[0].early_stopping.patience: found 0; "
          "allowed: at least 1",
          "training.independent.task[0].early_stopping.min_delta: found "
          "-1.0; allowed: at least 0"),
    _case("stopping_without_evaluations", "evaluation.every_steps=0",
          "training.independent.task[0].early_stopping: found it with "
          "evaluation.every_steps: 0; allowed: with every_steps of at least 1"),
    _case("stopping_without_validation",
          "data.source=[{ name: 'ads' train { csv { path: 'ads.csv' } } task: "
          "['click', 'spent'] }, { name: 'shop' task: 'tier' train { csv { "
          "path: 'shop.csv' } } }]",
          "training.independent.task[0].early_stopping: found it without "
          "data.source.validation; allowed: with validation rows only"),
)

SERVING = (
    _case("export_of_an_unknown_task", "serving.task=['tier', 'clik']",
          "serving.task[1]: no task 'clik'; allowed: click, spent, tier; "
          "nearest: 'click'"),
    _case("export_of_a_task_twice", "serving.task=['tier', 'click', 'tier']",
          "serving.task[2]: found 'tier' a second time; allowed: each once"),
)

CASES = MODE + TASKS + HELD + STOPPING + SERVING
