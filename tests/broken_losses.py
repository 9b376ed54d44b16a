"""Ways of making one loss that cannot be, and what must be said of each."""

from tests import small_experiment

_case = small_experiment.line_case

_LOSS = "training.joint.loss"


def _loss(name, text, field, problem, *others, **more):
  """The loss is another one, and one of its fields is wrong."""
  return _case(name, f"{_LOSS}={{{text}}}", f"{_LOSS}.{field}: {problem}",
               *others, **more)


FIELDS = (
    _loss("window_of_no_steps", "dynamic_weight_average {}",
          "dynamic_weight_average.window_steps",
          "found nothing; allowed: at least 1"),
    _loss("temperature_of_zero",
          "dynamic_weight_average { window_steps: 2 temperature: 0 }",
          "dynamic_weight_average.temperature", "found 0.0; allowed: above 0"),
    _loss("negative_alpha", "grad_norm { alpha: -1 }", "grad_norm.alpha",
          "found -1.0; allowed: at least 0"),
    _loss("rate_of_weights_of_zero", "grad_norm { learning_rate: 0 }",
          "grad_norm.learning_rate", "found 0.0; allowed: above 0"),
    _loss("kernel_that_is_not_there", 'grad_norm { kernel: "trunk/dense/kernl" }',
          "grad_norm.kernel", "found 'trunk/dense/kernl'; allowed: the name of "
          "a shared variable; nearest: 'trunk/dense/kernel'..."),
    _loss("kernel_of_one_task",
          'grad_norm { kernel: "tower/click/dense/kernel" }', "grad_norm.kernel",
          "found 'tower/click/dense/kernel'; allowed: the name of a shared "
          "variable..."),
    _case("kernel_without_a_trunk",
          (f"{_LOSS}={{ grad_norm {{}} }}", "model.hard_sharing={}",
           "training.group=[]"),
          f"{_LOSS}.grad_norm.kernel: found nothing, and no trunk; allowed: the "
          "name of a shared variable..."),
    _loss("rate_of_famo", "famo { learning_rate: -1 }", "famo.learning_rate",
          "found -1.0; allowed: above 0"),
    _loss("decay_of_famo", "famo { decay: -0.5 }", "famo.decay",
          "found -0.5; allowed: at least 0"),
    _loss("smoothness_of_zero", "smooth_chebyshev { smoothness: 0 }",
          "smooth_chebyshev.smoothness", "found 0.0; allowed: above 0"),
    _loss("negative_warm_up", "smooth_chebyshev { warm_up_steps: -2 }",
          "smooth_chebyshev.warm_up_steps", "found -2; allowed: at least 0"),
    _loss("factor_of_no_task",
          "weighted_sum { schedule { factor { constant: 1 } } }",
          "weighted_sum.schedule[0].task",
          "found nothing; allowed: a task with a loss..."),
    _loss("factor_of_an_unknown_task", 'weighted_sum { schedule { task: "clik" '
          "factor { constant: 1 } } }", "weighted_sum.schedule[0].task",
          "found 'clik'; allowed: a task with a loss; nearest: 'click'..."),
    _loss("two_factors_of_a_task", 'weighted_sum { schedule { task: "click" '
          'factor { constant: 1 } } schedule { task: "click" factor { constant: '
          "2 } } }", "weighted_sum.schedule[1].task",
          "found 'click' a second time; allowed: each task once"),
    _loss("schedule_without_a_factor",
          'weighted_sum { schedule { task: "click" } }',
          "weighted_sum.schedule[0].factor", "found no kind; allowed: one of "
          "constant, exponential_decay..."),
    _loss("negative_factor", 'weighted_sum { schedule { task: "click" factor { '
          "constant: -1 } } }", "weighted_sum.schedule[0].factor.constant",
          "found -1.0; allowed: at least 0"),
)

COMBINATIONS = (
    _case("batches_that_famo_cannot_go_back_to",
          (f"{_LOSS}={{ famo {{}} }}", "training.accumulate_batches=2"),
          f"{_LOSS}.famo: found it with training.accumulate_batches: 2; allowed: "
          "one batch per step"),
    _case("warm_up_over_batches",
          (f"{_LOSS}={{ smooth_chebyshev {{ warm_up_steps: 5 }} }}",
           "training.accumulate_batches=2"),
          f"{_LOSS}.smooth_chebyshev: found it with "
          "training.accumulate_batches: 2; allowed: one batch per step"),
)

CASES = FIELDS + COMBINATIONS
