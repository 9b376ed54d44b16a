"""Tests of the search for what is wrong with an experiment's training."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.protos import training_pb2

_TEXT = """
name: "small"
data { feature { name: "c"
  categorical { num_buckets: 5 embedding_dimension: 3 } } }
model {
  hard_sharing { trunk { layer { dense { units: 4 } } } }
  task { name: "late" binary {} tower { layer { dense { units: 2 } } } }
  task { name: "kind" multiclass { num_classes: 3 } }
}
training {
  num_steps: 10
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
}
"""
_GROUPS = ("training.group=[{name: 'shared' scope: ['trunk', 'embedding']}, "
           "{name: 'tasks' scope: ['tower', 'head']}]")
_NAME = ("a lower-case letter, then lower-case letters, digits and '_'")
_NOT_BUILT = "parses, but this version does not build it"


class CheckTrainingTest(parameterized.TestCase):

  def _assert_problems(self, overrides, expected):
    experiment = config.parse(_TEXT)
    for assignment in overrides:
      config.override(experiment, assignment)
    try:
      validation.check(experiment, arrays=["train"])
      problems = []
    except config.ConfigErrors as errors:
      problems = str(errors).split("\n")
    self.assertEqual(problems, list(expected))

  @parameterized.named_parameters(
      ("no_steps", ["training.num_steps=0"],
       "training.num_steps: found 0; allowed: at least 1"),
      ("no_mode", ["training={num_steps: 1 default_optimizer {adam { "
        "learning_rate { constant: 0.1 } }}}"],
       "training: found no mode; allowed: one of joint, independent"),
      ("not_built_mode", ["training.independent={}"],
       f"training.independent: {_NOT_BUILT}; allowed: joint"),
      ("rounds", ["training.num_rounds=3"],
       "training.num_rounds: found 3; allowed: in independent training only; "
       "joint training takes num_steps"),
      ("no_loss", ["training.joint={}"],
       "training.joint.loss: found no kind; allowed: one of sum, "
       "weighted_sum, uncertainty"),
      ("not_built_balancing", ["training.joint.gradient_balancing.pcgrad={}"],
       f"training.joint.gradient_balancing: {_NOT_BUILT}; allowed: leave it "
       "out"),
      ("uncertainty", [
        "training.joint.loss.uncertainty={initial_log_variance: 2 "
        "min_log_variance: 1 max_log_variance: 3}"]),
      ("uncertainty_limits", [
        "training.joint.loss.uncertainty={min_log_variance: 3 "
        "max_log_variance: 3}"],
       "training.joint.loss.uncertainty.min_log_variance: found 3; allowed: "
       "below max_log_variance, 3"),
      ("uncertainty_start", [
        "training.joint.loss.uncertainty={initial_log_variance: -21}"],
       "training.joint.loss.uncertainty.initial_log_variance: found -21; "
       "allowed: -20 to 20"),
      ("log_every", ["training.log_every_steps=0"],
       "training.log_every_steps: found 0; allowed: at least 1"),
      ("checkpoint", ["training.checkpoint={every_steps: -1 keep: 0}"],
       "training.checkpoint.every_steps: found -1; allowed: at least 0",
       "training.checkpoint.keep: found 0; allowed: at least 1"),
      ("checkpoint_at_the_end_only", ["training.checkpoint.every_steps=0"]),
      ("steps_per_block", ["training.execution.steps_per_block=0"],
       "training.execution.steps_per_block: found 0; allowed: at least 1"))
  def test_mode_and_loss(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.named_parameters(
      ("groups", [_GROUPS]),
      ("no_optimizer_at_all", ["training={num_steps: 1 joint { loss { sum {} "
        "} } }"],
       "training.default_optimizer: found nothing; required where no group "
       "is given"),
      ("group_without_optimizer", ["training={num_steps: 1 joint { loss { "
        "sum {} } } group { name: 'a' scope: ['trunk', 'embedding'] "
        "optimizer {adam { learning_rate { constant: 0.1 } }} } group { "
        "name: 'b' scope: ['tower', 'head'] } }"],
       "training.group[1].optimizer: found nothing; required, as there is no "
       "training.default_optimizer"),
      ("group_name", [_GROUPS, "training.group[0].name=A"],
       f"training.group[0].name: found 'A'; allowed: {_NAME}"),
      ("group_twice", [_GROUPS, "training.group[0].name=tasks"],
       "training.group[1].name: found 'tasks' a second time; allowed: each "
       "name once"),
      ("group_without_scope", [_GROUPS, "training.group[1].scope=[]"],
       "training.group[1].scope: found none; allowed: at least one scope",
       "training.group: no group claims tower/late/dense/kernel, "
       "tower/late/dense/bias, head/late/kernel, head/late/bias, "
       "head/kind/kernel, "
       "head/kind/bias; allowed: every trainable variable in exactly one "
       "group"),
      ("group_scope_of_nothing", [_GROUPS,
        "training.group[0].scope=['trunk', 'embedding', 'hed']"],
       "training.group[0].scope[2]: no trainable variable lies in scope "
       "'hed'; nearest: 'head', 'head/late', 'head/kind'"),
      ("group_claims_twice", [_GROUPS, "training.group[1].scope=['tower', "
        "'head', 'trunk/dense/bias']"],
       "training.group[1].scope[2]: variable 'trunk/dense/bias' already "
       "belongs to group 'shared'; allowed: one group per variable"),
      ("frozen", [_GROUPS, "training.group[0].frozen=true"]),
      ("frozen_with_optimizer", [_GROUPS, "training.group[0].frozen=true",
        "training.group[0].optimizer={adam { learning_rate { constant: 0.1 } "
        "}}"],
       "training.group[0].optimizer: found one on a frozen group; allowed: "
       "none"),
      ("frozen_with_clipping", [_GROUPS, "training.group[0].frozen=true",
        "training.group[0].clipping={value: 1}"],
       "training.group[0].clipping: found one on a frozen group; allowed: none"
      ),
      ("all_frozen", [_GROUPS, "training.group[0].frozen=true",
        "training.group[1].frozen=true"],
       "training.group: found only frozen groups; allowed: at least one that "
       "is trained"),
      ("clipping", [_GROUPS, "training.group[0].clipping={global_norm: 1}"]),
      ("clipping_without_rule", [_GROUPS, "training.group[0].clipping={}"],
       "training.group[0].clipping: found no kind; allowed: one of "
       "global_norm, norm, value"),
      ("clipping_to_nothing", [_GROUPS, "training.group[0].clipping={value: "
        "0}"],
       "training.group[0].clipping.value: found 0.0; allowed: above 0"),
      ("optimizer_without_kind", ["training.default_optimizer={}"],
       "training.default_optimizer: found no kind; allowed: one of adam"),
      ("no_learning_rate", ["training.default_optimizer={ adam {} }"],
       "training.default_optimizer.adam.learning_rate: found no kind; "
       "allowed: one of constant, exponential_decay"),
      ("rate_below_zero", [
        "training.default_optimizer.adam.learning_rate.constant=-1"],
       "training.default_optimizer.adam.learning_rate.constant: found -1.0; "
       "allowed: at least 0"),
      ("rate_nan", [
        "training.default_optimizer.adam.learning_rate.constant=nan"],
       "training.default_optimizer.adam.learning_rate.constant: found nan; "
       "allowed: a finite number"),
      ("adam", ["training.default_optimizer={ adam { learning_rate { "
        "constant: 0 } beta1: 1 beta2: -0.5 epsilon: 0 } }"],
       "training.default_optimizer.adam.beta1: found 1.0; allowed: at least "
       "0 and below 1",
       "training.default_optimizer.adam.beta2: found -0.5; allowed: at least "
       "0 and below 1",
       "training.default_optimizer.adam.epsilon: found 0.0; allowed: above 0"),
      ("empty_decay", [
        "training.default_optimizer.adam.learning_rate={exponential_decay {}}"],
       "training.default_optimizer.adam.learning_rate.exponential_decay."
       "initial: "
       "found nothing; required, at least 0",
       "training.default_optimizer.adam.learning_rate.exponential_decay."
       "decay_steps: "
       "found nothing; allowed: at least 1",
       "training.default_optimizer.adam.learning_rate.exponential_decay."
       "decay_rate: "
       "found nothing; allowed: above 0"))
  def test_groups_and_optimizers(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.parameters(*training_pb2.Execution.Mode.items())
  def test_modes_of_execution(self, name, number):
    built = number in (training_pb2.Execution.AUTO,
                       training_pb2.Execution.SESSION)
    self._assert_problems(
        [f"training.execution.mode={name}"],
        [] if built else [f"training.execution.mode: found {name}, which "
                          f"{_NOT_BUILT}; allowed: AUTO, SESSION"])


if __name__ == "__main__":
  absltest.main()
