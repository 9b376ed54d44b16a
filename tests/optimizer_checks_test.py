"""Tests of the search for what is wrong with an experiment's optimizers."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import descriptor
from google.protobuf import text_format

from mtl_graph import optimizer_checks
from mtl_graph.protos import optimizers_pb2
from mtl_graph.protos import training_pb2

_OPTIMIZERS = optimizers_pb2.Optimizer.DESCRIPTOR.oneofs_by_name["kind"].fields
_RATES = optimizers_pb2.LearningRate.DESCRIPTOR.oneofs_by_name["kind"].fields
_KINDS = tuple(kind.name for kind in _OPTIMIZERS)
# A schedule of each kind that is as it should be.
_GOOD = {
    "constant": "constant: 0.1",
    "exponential_decay": "exponential_decay { initial: 0.1 decay_steps: 1 "
                         "decay_rate: 0.5 }",
    "piecewise": "piecewise { boundary: 3 boundary: 4 value: 1 value: 3 "
                 "value: 2 }",
    "cosine_decay": "cosine_decay { initial: 0.1 decay_steps: 1 alpha: 1 }",
    "cosine_restarts": "cosine_restarts { initial: 0.1 first_decay_steps: 1 "
                       "t_mul: 1 m_mul: 2 alpha: 0.5 }",
    "polynomial_decay": "polynomial_decay { initial: 0.1 decay_steps: 1 "
                        "end: 0.2 power: 0.5 cycle: true }",
    "inverse_square_root": "inverse_square_root { initial: 0.1 decay_steps: 1 "
                           "}",
}
# Values at and beyond the limits of numbers, by field: good, bad, allowed.
_SHARE = ((0, 0.99), (-0.1, 1), "at least 0 and below 1")
_ABOVE_ZERO = ((1e-9, 5), (0, -1), "above 0")
_AT_LEAST_ZERO = ((0, 5), (-1e-9,), "at least 0")
_FIELDS = {
    "beta1": _SHARE, "beta2": _SHARE, "momentum": _SHARE, "decay": _SHARE,
    "rho": _SHARE, "epsilon": _ABOVE_ZERO,
    "initial_accumulator_value": _ABOVE_ZERO,
    "initial_gradient_squared_accumulator_value": _ABOVE_ZERO,
    "weight_decay": _AT_LEAST_ZERO, "l1": _AT_LEAST_ZERO, "l2": _AT_LEAST_ZERO,
    "l2_shrinkage": _AT_LEAST_ZERO, "beta": _AT_LEAST_ZERO,
    "learning_rate_power": ((0, -2), (0.1,), "at most 0"),
}
_NUMBERS = [(kind.name, field.name)
            for kind in _OPTIMIZERS for field in kind.message_type.fields
            if field.type == descriptor.FieldDescriptor.TYPE_DOUBLE]


def _problems(text):
  problems = []
  optimizer_checks.check(
      text_format.Parse(text, optimizers_pb2.Optimizer()), "at",
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


def _decay_problems(group, default="adam {}"):
  problems = []
  group = text_format.Parse(group, training_pb2.VariableGroup())
  optimizer = (group.optimizer if group.HasField("optimizer")
               else text_format.Parse(default, optimizers_pb2.Optimizer()))
  optimizer_checks.check_weight_decay(
      group, optimizer, "at",
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class CheckOptimizerTest(parameterized.TestCase):

  @parameterized.product(kind=_KINDS, rate=tuple(_GOOD))
  def test_good_one_has_no_problem(self, kind, rate):
    self.assertEmpty(_problems(
        f"{kind} {{ learning_rate {{ {_GOOD[rate]} }} }}"))

  def test_without_kind(self):
    self.assertEqual(_problems(""), [
        f"at: found no kind; allowed: one of {', '.join(_KINDS)}"])

  @parameterized.parameters(*_KINDS)
  def test_without_learning_rate(self, kind):
    self.assertEqual(_problems(f"{kind} {{}}"), [
        f"at.{kind}.learning_rate: found no kind; allowed: one of "
        f"{', '.join(rate.name for rate in _RATES)}"])

  @parameterized.parameters(*_NUMBERS)
  def test_every_number_of_every_optimizer_has_its_range(self, kind, field):
    good, bad, allowed = _FIELDS[field]
    for value in good:
      self.assertEmpty(_problems(f"{kind} {{ learning_rate {{ constant: 1 }} "
                                 f"{field}: {value} }}"))
    for value in bad:
      self.assertEqual(
          _problems(f"{kind} {{ learning_rate {{ constant: 1 }} {field}: "
                    f"{value} }}"),
          [f"at.{kind}.{field}: found {float(value)}; allowed: {allowed}"])

  def test_problems_come_in_the_order_of_the_fields(self):
    self.assertEqual(
        _problems("adam { learning_rate { constant: -1 } beta2: 2 epsilon: 0 "
                  "}"),
        ["at.adam.learning_rate.constant: found -1.0; allowed: at least 0",
         "at.adam.beta2: found 2.0; allowed: at least 0 and below 1",
         "at.adam.epsilon: found 0.0; allowed: above 0"])


class CheckLearningRateTest(parameterized.TestCase):

  def _assert_problems(self, rate, expected, kind="adam"):
    self.assertEqual(
        _problems(f"{kind} {{ learning_rate {{ {rate} }} }}"),
        [f"at.{kind}.learning_rate.{problem}" for problem in expected])

  def test_every_schedule_is_tested(self):
    self.assertCountEqual(_GOOD, [rate.name for rate in _RATES])

  @parameterized.parameters(
      ("constant: -0.1", "constant: found -0.1; allowed: at least 0"),
      ("constant: 0",),
      ("exponential_decay {}",
       "exponential_decay.initial: found nothing; required, at least 0",
       "exponential_decay.decay_steps: found nothing; allowed: at least 1",
       "exponential_decay.decay_rate: found nothing; allowed: above 0"),
      ("exponential_decay { initial: -1 decay_steps: 0 decay_rate: 0 }",
       "exponential_decay.initial: found -1.0; allowed: at least 0",
       "exponential_decay.decay_steps: found 0; allowed: at least 1",
       "exponential_decay.decay_rate: found 0.0; allowed: above 0"),
      ("exponential_decay { initial: 0 decay_steps: 1 decay_rate: 1.5 "
       "staircase: true }",),
      ("piecewise {}",
       "piecewise.boundary: found none; allowed: at least one",
       "piecewise.value: found 0; allowed: 1, one more than boundaries"),
      ("piecewise { boundary: 3 boundary: 3 boundary: 2 boundary: 4 "
       "value: 1 value: -0.5 value: 0 value: -2 value: 0 }",
       "piecewise.boundary[1]: found 3; allowed: above the one before, 3",
       "piecewise.boundary[2]: found 2; allowed: above the one before, 3",
       "piecewise.value[1]: found -0.5; allowed: at least 0",
       "piecewise.value[3]: found -2.0; allowed: at least 0"),
      ("piecewise { boundary: 3 value: 1 }",
       "piecewise.value: found 1; allowed: 2, one more than boundaries"),
      ("piecewise { boundary: 3 value: 1 value: 1 value: 1 }",
       "piecewise.value: found 3; allowed: 2, one more than boundaries"),
      ("cosine_decay {}",
       "cosine_decay.initial: found nothing; required, at least 0",
       "cosine_decay.decay_steps: found nothing; allowed: at least 1"),
      ("cosine_decay { initial: -1 decay_steps: 0 alpha: 1.5 }",
       "cosine_decay.initial: found -1.0; allowed: at least 0",
       "cosine_decay.decay_steps: found 0; allowed: at least 1",
       "cosine_decay.alpha: found 1.5; allowed: 0 to 1"),
      ("cosine_decay { initial: 0 decay_steps: 1 alpha: -0.5 }",
       "cosine_decay.alpha: found -0.5; allowed: 0 to 1"),
      ("cosine_restarts {}",
       "cosine_restarts.initial: found nothing; required, at least 0",
       "cosine_restarts.first_decay_steps: found nothing; allowed: at least 1"),
      ("cosine_restarts { initial: -1 first_decay_steps: 0 t_mul: 0.5 m_mul: 0 "
       "alpha: 2 }",
       "cosine_restarts.initial: found -1.0; allowed: at least 0",
       "cosine_restarts.first_decay_steps: found 0; allowed: at least 1",
       "cosine_restarts.t_mul: found 0.5; allowed: at least 1",
       "cosine_restarts.m_mul: found 0.0; allowed: above 0",
       "cosine_restarts.alpha: found 2.0; allowed: 0 to 1"),
      ("polynomial_decay {}",
       "polynomial_decay.initial: found nothing; required, at least 0",
       "polynomial_decay.decay_steps: found nothing; allowed: at least 1"),
      ("polynomial_decay { initial: -1 decay_steps: 0 end: -2 power: 0 }",
       "polynomial_decay.initial: found -1.0; allowed: at least 0",
       "polynomial_decay.decay_steps: found 0; allowed: at least 1",
       "polynomial_decay.end: found -2.0; allowed: at least 0",
       "polynomial_decay.power: found 0.0; allowed: above 0"),
      ("inverse_square_root {}",
       "inverse_square_root.initial: found nothing; required, at least 0",
       "inverse_square_root.decay_steps: found nothing; allowed: at least 1"),
      ("inverse_square_root { initial: -1 decay_steps: 0 }",
       "inverse_square_root.initial: found -1.0; allowed: at least 0",
       "inverse_square_root.decay_steps: found 0; allowed: at least 1"),
      ("constant: 1 warm_up {}",
       "warm_up.steps: found nothing; allowed: at least 1"),
      ("constant: 1 warm_up { steps: 0 }",
       "warm_up.steps: found 0; allowed: at least 1"),
      ("constant: 1 warm_up { steps: 1 }",))
  def test_schedules(self, rate, *expected):
    self._assert_problems(rate, expected)

  @parameterized.product(
      kind=("adagrad_da", "ftrl", "proximal_adagrad"),
      case=(
          ("constant: 0", "constant: found 0.0; allowed: above 0"),
          ("exponential_decay { initial: 0 decay_steps: 1 decay_rate: 1 }",
           "exponential_decay.initial: found 0.0; allowed: above 0"),
          ("exponential_decay { decay_steps: 1 decay_rate: 1 }",
           "exponential_decay.initial: found nothing; required, above 0"),
          ("piecewise { boundary: 1 value: 1 value: 0 }",
           "piecewise.value[1]: found 0.0; allowed: above 0"),
          ("cosine_decay { initial: 1 decay_steps: 1 }",
           "cosine_decay.alpha: found 0.0; allowed: above 0, at most 1"),
          ("cosine_restarts { initial: 1 first_decay_steps: 1 alpha: 2 }",
           "cosine_restarts.alpha: found 2.0; allowed: above 0, at most 1"),
          ("polynomial_decay { initial: 1 decay_steps: 1 }",
           "polynomial_decay.end: found nothing; allowed: above 0"),
          ("inverse_square_root { initial: 0 decay_steps: 1 }",
           "inverse_square_root.initial: found 0.0; allowed: above 0")))
  def test_rate_of_zero_where_it_would_not_stand_still(self, kind, case):
    rate, expected = case
    self._assert_problems(rate, [expected], kind)


class CheckWeightDecayTest(parameterized.TestCase):

  @parameterized.parameters(
      ("",), ("weight_decay: 0",), ("weight_decay: 0.5",),
      ("weight_decay: 0.5 optimizer { adamw {} }",),
      ("weight_decay: 0 optimizer { ftrl {} }",),
      ("weight_decay: -0.5",
       "at.weight_decay: found -0.5; allowed: at least 0"),
      ("weight_decay: 0.5 optimizer { ftrl {} }",
       "at.weight_decay: found 0.5 with ftrl, which does not keep what is "
       "taken off; allowed: 0, or l2 of ftrl"),
      ("weight_decay: 0.5 optimizer { adagrad_da {} }",
       "at.weight_decay: found 0.5 with adagrad_da, which does not keep what "
       "is taken off; allowed: 0, or l2 of adagrad_da"))
  def test_of_a_group(self, group, *expected):
    self.assertEqual(_decay_problems(group), list(expected))

  def test_of_a_group_without_its_own_optimizer(self):
    self.assertLen(_decay_problems("weight_decay: 0.5", "ftrl {}"), 1)

  def test_of_a_task(self):
    problems = []
    task = text_format.Parse("weight_decay: 0.5 optimizer { ftrl {} }",
                             training_pb2.IndependentTask())
    optimizer_checks.check_weight_decay(
        task, task.optimizer, "at", lambda *problem: problems.append(problem))
    self.assertLen(problems, 1)


class CheckClippingTest(parameterized.TestCase):

  @parameterized.product(message=(training_pb2.VariableGroup,
                                  training_pb2.IndependentTask), case=(
      ("",), ("clipping { global_norm: 1e-3 }",), ("clipping { norm: 2 }",),
      ("clipping { value: 5 }",),
      ("clipping {}", "at.clipping: found no kind; allowed: one of global_norm,"
       " norm, value"),
      ("clipping { global_norm: 0 }",
       "at.clipping.global_norm: found 0.0; allowed: above 0"),
      ("clipping { norm: -1 }",
       "at.clipping.norm: found -1.0; allowed: above 0"),
      ("clipping { value: 0 }",
       "at.clipping.value: found 0.0; allowed: above 0")))
  def test_of_a_group_and_of_a_task(self, message, case):
    text, *expected = case
    problems = []
    optimizer_checks.check_clipping(
        text_format.Parse(text, message()), "at",
        lambda path, problem: problems.append(f"{path}: {problem}"))
    self.assertEqual(problems, expected)


if __name__ == "__main__":
  absltest.main()
