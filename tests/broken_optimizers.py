"""Optimizers and schedules that cannot be, and what must be said of each."""

from tests import small_experiment

_case = small_experiment.line_case

_OPTIMIZER = "training.default_optimizer"
_RATE = f"{_OPTIMIZER}.adam.learning_rate"
_CONSTANT = "learning_rate {constant: 0.1}"
_SHARE = "allowed: at least 0 and below 1"


def _rule(name, kind, fields, field, problem, *others, **more):
  """The default optimizer is another one, with a rate of 0.1."""
  return _case(name, f"{_OPTIMIZER}={{{kind} {{{_CONSTANT} {fields}}}}}",
               f"{_OPTIMIZER}.{kind}.{field}: {problem}", *others, **more)


def _rate(name, kind, rate, field, problem, *others, **more):
  """The default optimizer is another one, with another rate."""
  return _case(name, f"{_OPTIMIZER}={{{kind} {{learning_rate {{{rate}}}}}}}",
               f"{_OPTIMIZER}.{kind}.learning_rate{field}: {problem}", *others,
               **more)


def _schedule(name, rate, field, problem, *others, **more):
  """Adam with another rate."""
  return _rate(name, "adam", rate, field, problem, *others, **more)


RULES = (
    _rule("beta1_of_adamw", "adamw", "beta1: 1", "beta1",
          f"found 1.0; {_SHARE}"),
    _rule("weight_decay_of_adamw", "adamw", "weight_decay: -0.1",
          "weight_decay", "found -0.1; allowed: at least 0"),
    _rule("epsilon_of_lazy_adam", "lazy_adam", "epsilon: 0", "epsilon",
          "found 0.0; allowed: above 0"),
    _rule("beta2_of_lazy_adam", "lazy_adam", "beta2: -1", "beta2",
          f"found -1.0; {_SHARE}"),
    _rule("momentum_too_large", "momentum", "momentum: 1.5", "momentum",
          f"found 1.5; {_SHARE}"),
    _rule("momentum_of_rmsprop", "rmsprop", "momentum: 1", "momentum",
          f"found 1.0; {_SHARE}"),
    _rule("decay_of_rmsprop", "rmsprop", "decay: -0.5", "decay",
          f"found -0.5; {_SHARE}"),
    _rule("epsilon_of_rmsprop", "rmsprop", "epsilon: 0 centered: true",
          "epsilon", "found 0.0; allowed: above 0"),
    _rule("accumulator_of_adagrad", "adagrad", "initial_accumulator_value: 0",
          "initial_accumulator_value", "found 0.0; allowed: above 0"),
    _rule("rho_of_adadelta", "adadelta", "rho: 1", "rho",
          f"found 1.0; {_SHARE}"),
    _rule("epsilon_of_adadelta", "adadelta", "epsilon: -1e-8", "epsilon",
          "found -1e-08; allowed: above 0"),
    _rule("accumulator_of_adagrad_da", "adagrad_da",
          "initial_gradient_squared_accumulator_value: -1",
          "initial_gradient_squared_accumulator_value",
          "found -1.0; allowed: above 0"),
    _rule("l1_of_adagrad_da", "adagrad_da", "l1: -1", "l1",
          "found -1.0; allowed: at least 0"),
    _rule("power_of_ftrl", "ftrl", "learning_rate_power: 0.5",
          "learning_rate_power", "found 0.5; allowed: at most 0"),
    _rule("shrinkage_of_ftrl", "ftrl", "l2_shrinkage: -2", "l2_shrinkage",
          "found -2.0; allowed: at least 0"),
    _rule("beta_of_ftrl", "ftrl", "beta: -0.5", "beta",
          "found -0.5; allowed: at least 0"),
    _rule("accumulator_of_ftrl", "ftrl", "initial_accumulator_value: 0",
          "initial_accumulator_value", "found 0.0; allowed: above 0"),
    _rule("l2_of_proximal_descent", "proximal_gradient_descent", "l2: -1",
          "l2", "found -1.0; allowed: at least 0"),
    _rule("l1_of_proximal_adagrad", "proximal_adagrad", "l1: -3", "l1",
          "found -3.0; allowed: at least 0"),
    _rule("beta2_almost_1", "adam", "beta2: 0.99999999999", "beta2",
          "found 0.99999999999, which 32-bit floating point takes for 1; "
          "allowed: what it tells from 1"),
    _rule("epsilon_underflows", "adam", "epsilon: 1e-46", "epsilon",
          "found 1e-46, which 32-bit floating point takes for 0; allowed: what "
          "it tells from 0"),
    _case("optimizer_unknown", f"{_OPTIMIZER}={{nadam {{}}}}",
          f"--set {_OPTIMIZER}: found '{{nadam {{}}}}'; no field 'nadam' in "
          "mtl_graph.Optimizer; allowed: adam, adamw, ..."),
    _case("two_optimizers", f"{_OPTIMIZER}={{adam {{}} ftrl {{}}}}",
          f"--set {_OPTIMIZER}: found '{{adam {{}} ftrl {{}}}}'; ..."),
    _case("rate_as_a_number", f"{_OPTIMIZER}.adam.learning_rate=0.1",
          f"--set {_OPTIMIZER}.adam.learning_rate: found '0.1'; ..."),
)

MISSING_RATES = tuple(
    _case(f"{kind}_without_rate", f"{_OPTIMIZER}={{{kind} {{}}}}",
          f"{_OPTIMIZER}.{kind}.learning_rate: found no kind; allowed: one of "
          "constant, exponential_decay, piecewise, cosine_decay, "
          "cosine_restarts, polynomial_decay, inverse_square_root")
    for kind in ("adamw", "lazy_adam", "gradient_descent", "momentum",
                 "rmsprop", "adagrad", "adadelta", "adagrad_da", "ftrl",
                 "proximal_gradient_descent", "proximal_adagrad"))

ZERO_RATES = (
    _rate("ftrl_at_rate_0", "ftrl", "constant: 0", ".constant",
          "found 0.0; allowed: above 0"),
    _rate("adagrad_da_decays_to_0", "adagrad_da",
          "polynomial_decay {initial: 0.1 decay_steps: 3}",
          ".polynomial_decay.end", "found nothing; allowed: above 0"),
    _rate("ftrl_decays_to_0", "ftrl",
          "cosine_decay {initial: 0.1 decay_steps: 3}", ".cosine_decay.alpha",
          "found 0.0; allowed: above 0, at most 1"),
    _rate("proximal_adagrad_steps_to_0", "proximal_adagrad",
          "piecewise {boundary: 1 value: [0.1, 0]}", ".piecewise.value[1]",
          "found 0.0; allowed: above 0"),
    _rate("ftrl_without_initial_rate", "ftrl",
          "inverse_square_root {decay_steps: 3}",
          ".inverse_square_root.initial",
          "found nothing; required, above 0"),
)

SCHEDULES = (
    _schedule("warm_up_of_0_steps", "constant: 0.1 warm_up {steps: 0}",
              ".warm_up.steps", "found 0; allowed: at least 1"),
    _schedule("warm_up_of_no_length", "constant: 0.1 warm_up {}",
              ".warm_up.steps", "found nothing; allowed: at least 1"),
    _schedule("warm_up_alone", "warm_up {steps: 3}", "", "found no kind; "
              "allowed: one of constant, exponential_decay, ..."),
    _schedule("piecewise_of_nothing", "piecewise {}", ".piecewise.boundary",
              "found none; allowed: at least one",
              f"{_RATE}.piecewise.value: found 0; allowed: 1, one more than "
              "boundaries"),
    _schedule("piecewise_of_too_few_values",
              "piecewise {boundary: [1, 2] value: [0.1, 0.2]}",
              ".piecewise.value", "found 2; allowed: 3, one more than "
              "boundaries", process=True),
    _schedule("piecewise_falls",
              "piecewise {boundary: [5, 2] value: [0.1, 0.2, 0.3]}",
              ".piecewise.boundary[1]",
              "found 2; allowed: above the one before, 5"),
    _schedule("piecewise_negative",
              "piecewise {boundary: 2 value: [0.1, -0.2]}",
              ".piecewise.value[1]", "found -0.2; allowed: at least 0"),
    _schedule("piecewise_nan", "piecewise {boundary: 2 value: [0.1, nan]}",
              ".piecewise.value[1]", "found nan; allowed: a finite number"),
    _schedule("piecewise_before_the_first_step",
              "piecewise {boundary: [-3, 2] value: [0.1, 0.2, 0.3]}",
              ".piecewise.boundary[0]", "found -3; allowed: at least 0"),
    _schedule("cosine_of_nothing", "cosine_decay {}", ".cosine_decay.initial",
              "found nothing; required, at least 0",
              f"{_RATE}.cosine_decay.decay_steps: found nothing; allowed: at "
              "least 1"),
    _schedule("cosine_above_its_start",
              "cosine_decay {initial: 0.1 decay_steps: 5 alpha: 2}",
              ".cosine_decay.alpha", "found 2.0; allowed: 0 to 1"),
    _schedule("restarts_of_nothing", "cosine_restarts {}",
              ".cosine_restarts.initial", "found nothing; required, at least 0",
              f"{_RATE}.cosine_restarts.first_decay_steps: found nothing; "
              "allowed: at least 1"),
    _schedule("restarts_ever_shorter",
              "cosine_restarts {initial: 1 first_decay_steps: 5 t_mul: 0.5}",
              ".cosine_restarts.t_mul", "found 0.5; allowed: at least 1"),
    _schedule("restarts_from_0",
              "cosine_restarts {initial: 1 first_decay_steps: 5 m_mul: 0}",
              ".cosine_restarts.m_mul", "found 0.0; allowed: above 0"),
    _schedule("restarts_below_0",
              "cosine_restarts {initial: 1 first_decay_steps: 5 alpha: -1}",
              ".cosine_restarts.alpha", "found -1.0; allowed: 0 to 1"),
    _schedule("polynomial_of_power_0",
              "polynomial_decay {initial: 1 decay_steps: 5 power: 0}",
              ".polynomial_decay.power", "found 0.0; allowed: above 0"),
    _schedule("polynomial_to_below_0",
              "polynomial_decay {initial: 1 decay_steps: 5 end: -1}",
              ".polynomial_decay.end", "found -1.0; allowed: at least 0"),
    _schedule("polynomial_of_0_steps",
              "polynomial_decay {initial: 1 decay_steps: 0 cycle: true}",
              ".polynomial_decay.decay_steps", "found 0; allowed: at least 1"),
    _schedule("root_from_below_0",
              "inverse_square_root {initial: -1 decay_steps: 5}",
              ".inverse_square_root.initial", "found -1.0; allowed: at least "
              "0"),
    _schedule("root_of_no_steps", "inverse_square_root {initial: 1}",
              ".inverse_square_root.decay_steps",
              "found nothing; allowed: at least 1"),
    _schedule("exponential_infinite",
              "exponential_decay {initial: 1 decay_steps: 5 decay_rate: inf}",
              ".exponential_decay.decay_rate",
              "found inf; allowed: a finite number"),
    _schedule("rate_underflows", "constant: 1e-60", ".constant", "found 1e-60, "
              "which 32-bit floating point takes for 0; allowed: what it tells "
              "from 0"),
    _case("two_schedules", f"{_RATE}={{constant: 1 piecewise {{}}}}",
          f"--set {_RATE}: found '{{constant: 1 piecewise {{}}}}'; ..."),
)

CASES = RULES + MISSING_RATES + ZERO_RATES + SCHEDULES
