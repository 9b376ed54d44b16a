"""Tests of the search for what is wrong with an experiment's training."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.protos import optimizers_pb2
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
_OPTIMIZERS, _RATES = (
    ", ".join(f.name for f in m.DESCRIPTOR.oneofs_by_name["kind"].fields)
    for m in (optimizers_pb2.Optimizer, optimizers_pb2.LearningRate))
_BALANCING = "training.joint.gradient_balancing"
_LAZY = "{lazy_adam { learning_rate { constant: 0.1 } }}"
_PENALTY = ("data.feature[0].categorical.regularization={l2: 1}")
_NO_PENALTY = ("found it for 'embedding/c/embeddings', which bears a penalty; "
               "allowed: adam, or no regularization")


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
      ("independent", ["training.independent={}"],
       "training.num_rounds: found nothing; allowed: at least 1",
       "training.num_steps: found 10; allowed: in joint training only; "
       "independent training takes num_rounds",
       "training.independent.task: found nothing of late, kind; allowed: every "
       "task with a loss, with iterations: 0 if it is not trained"),
      ("rounds", ["training.num_rounds=3"],
       "training.num_rounds: found 3; allowed: in independent training only; "
       "joint training takes num_steps"),
      ("no_loss", ["training.joint={}"],
       "training.joint.loss: found no kind; allowed: one of sum, "
       "weighted_sum, uncertainty, dynamic_weight_average, geometric_mean, "
       "log_sum, random_weights, grad_norm, famo, smooth_chebyshev"),
      ("balancing", [f"{_BALANCING}={{ mgda {{}} at: REPRESENTATION }}"]),
      ("no_balancing", [f"{_BALANCING}={{}}"],
       f"{_BALANCING}: found no kind; allowed: one of pcgrad, gradvac, mgda, "
       "cagrad, imtl_g, graddrop, nash_mtl, fairgrad, aligned_mtl, upgrad, "
       "dual_proj, config, moco, excess_mtl, sdmgrad, db_mtl"),
      ("balancing_of_one", ["model.task[name=kind].no_loss=true",
                            f"{_BALANCING}={{ mgda {{}} }}"],
       "model.task[1].no_loss: found it on a task that nothing else trains; "
       "allowed: on a factor of a product, or where an estimate with "
       "stop_gradient: false is read, of tasks that are trained",
       f"{_BALANCING}: found it with one task; allowed: with two that have a "
       "loss, or more"),
      ("balancing_by_layer", [
          f"{_BALANCING}={{ mgda {{}} granularity: LAYER every_steps: 2 }}"],
       f"{_BALANCING}.granularity: found LAYER with every_steps: 2; allowed: "
       "WHOLE_MODEL, as one pass through the shared variables takes one weight "
       "per task"),
      ("tracking_at_representation", [
          f"{_BALANCING}={{ moco {{}} at: REPRESENTATION }}"],
       f"{_BALANCING}.at: found REPRESENTATION with moco, which keeps a number "
       "for each element from step to step, where the rows are others; "
       "allowed: PARAMETERS"),
      ("drop_now_and_then", [f"{_BALANCING}={{ graddrop {{}} every_steps: 2 }}"],
       f"{_BALANCING}.every_steps: found 2 with graddrop, which has no weights "
       "to use again; allowed: 1"),
      ("track_now_and_then", [f"{_BALANCING}={{ db_mtl {{}} every_steps: 2 }}"],
       f"{_BALANCING}.every_steps: found 2 with db_mtl, which looks at every "
       "step's gradients; allowed: 1"),
      ("balancing_of_several_batches", [
          f"{_BALANCING}={{ gradvac {{}} }}", "training.accumulate_batches=2"],
       f"{_BALANCING}: found gradvac with training.accumulate_batches: 2; "
       "allowed: one batch per step"),
      ("weights_of_several_batches", [
          f"{_BALANCING}={{ mgda {{}} every_steps: 3 }}",
          "training.accumulate_batches=2"],
       f"{_BALANCING}: found mgda, every_steps: 3 with "
       "training.accumulate_batches: 2; allowed: one batch per step"),
      ("famo_and_more", ["training.joint.loss={ famo {} }",
                         f"{_BALANCING}={{ mgda {{}} }}"],
       f"{_BALANCING}.mgda: found it with training.joint.loss.famo, which learns"
       " from what a step along its own weighted sum did to the losses; "
       "allowed: one of the two"),
      ("lengths_and_angles", ["training.joint.loss={ random_weights {} }",
                              f"{_BALANCING}={{ nash_mtl {{}} }}"],
       f"{_BALANCING}.nash_mtl: found it with training.joint.loss."
       "random_weights, which sets how long gradients are, and this does not "
       "look at that; allowed: one of the two"),
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
      ("epochs", ["training.num_epochs=0.5"],
       "training.num_epochs: found 0.5 beside num_steps: 10; allowed: one of "
       "them"),
      ("no_epochs", ["training={num_epochs: 0 joint { loss { sum {} } } "
        "default_optimizer {adam { learning_rate { constant: 0.1 } }}}"],
       "training.num_epochs: found 0.0; allowed: above 0"),
      ("epochs_alone", ["training={num_epochs: 0.5 joint { loss { sum {} } } "
        "default_optimizer {adam { learning_rate { constant: 0.1 } }}}"]),
      ("neither", ["training={joint { loss { sum {} } } "
        "default_optimizer {adam { learning_rate { constant: 0.1 } }}}"],
       "training.num_steps: found nothing; allowed: at least 1"),
      ("batches", ["training.accumulate_batches=0"],
       "training.accumulate_batches: found 0; allowed: at least 1"),
      ("average", ["training.moving_average={decay: 0.999}"]),
      ("no_average", ["training.moving_average={}"],
       "training.moving_average.decay: found nothing; allowed: above 0 and "
       "below 1"),
      ("average_of_nothing", ["training.moving_average={decay: 0}"],
       "training.moving_average.decay: found 0; allowed: above 0 and below 1"),
      ("average_of_all", ["training.moving_average={decay: 1}"],
       "training.moving_average.decay: found 1; allowed: above 0 and below 1"),
      ("warm_start", ["training.warm_start={checkpoint: 'x' scope: ['trunk', "
        "'head/late'] optimizer_state: true}"]),
      ("cold_start", ["training.warm_start={scope: ['trunk', 'trnk', 'trun']}"],
       "training.warm_start[0].checkpoint: found nothing; required",
       "training.warm_start[0].scope[1]: no trainable variable lies in scope "
       "'trnk'; nearest: 'trunk', 'trunk/dense'",
       "training.warm_start[0].scope[2]: no trainable variable lies in scope "
       "'trun'; nearest: 'trunk', 'trunk/dense'"),
      ("warm_start_of_no_scope", ["training.warm_start={checkpoint: 'x' scope: "
        "''}"], "training.warm_start[0].scope[0]: no trainable variable lies in"
       " scope ''; there are: embedding, head, tower, trunk"),
      ("warm_starts", ["training.warm_start=[{checkpoint: 'x'}, {scope: 'hed'}]"
                      ], "training.warm_start[1].checkpoint: found nothing; "
       "required", "training.warm_start[1].scope[0]: no trainable variable lies"
       " in scope 'hed'; nearest: 'head', 'head/late', 'head/kind'"),
      # One scope may start several; their order is no matter.
      ("renamed", ["training.warm_start=[{checkpoint: 'x' rename: [{saved: 'a' "
        "here: 'head/late'}, {saved: 'a' here: 'head'}]}, {checkpoint: 'y' "
        "rename {saved: 'a' here: 'head'}}]"]),
      ("renamed_nothing", ["training.warm_start={checkpoint: 'x' rename: [{}, "
        "{saved: 'a'}, {here: 'trunk'}]}"],
       "training.warm_start[0].rename[0].saved: found nothing; required",
       "training.warm_start[0].rename[0].here: found nothing; required",
       "training.warm_start[0].rename[1].here: found nothing; required",
       "training.warm_start[0].rename[2].saved: found nothing; required"),
      ("renamed_twice", ["training.warm_start={checkpoint: 'x' rename: [{saved:"
        " 'a' here: 'trunk'}, {saved: 'b' here: 'trunk'}]}"],
       "training.warm_start[0].rename[1].here: found 'trunk' a second time; "
       "allowed: each once"),
      ("renamed_to_no_scope", ["training.warm_start={checkpoint: 'x' rename "
        "{saved: 'trunk' here: 'trnk'}}"],
       "training.warm_start[0].rename[0].here: no trainable variable lies in "
       "scope 'trnk'; nearest: 'trunk', 'trunk/dense'"),
      ("renamed_within_and_around", ["training.warm_start={checkpoint: 'x' "
        "scope: ['trunk', 'head/late'] rename: [{saved: 'a' here: 'trunk/dense'"
        "}, {saved: 'b' here: 'head'}]}"]),
      ("renamed_in_vain", ["training.warm_start={checkpoint: 'x' scope: ["
        "'trunk', 'head/late'] rename {saved: 'a' here: 'head/kind'}}"],
       "training.warm_start[0].rename[0].here: found 'head/kind', of which "
       "nothing is taken; allowed: what lies in `scope`: trunk, head/late"),
      ("threads", ["training.execution={intra_op_threads: -1 "
        "inter_op_threads: -2 gpu_memory_fraction: 0}"],
       "training.execution.intra_op_threads: found -1; allowed: at least 0",
       "training.execution.inter_op_threads: found -2; allowed: at least 0",
       "training.execution.gpu_memory_fraction: found 0; allowed: above 0, at "
       "most 1"),
      ("memory", ["training.execution={gpu_memory_fraction: 1.5}"],
       "training.execution.gpu_memory_fraction: found 1.5; allowed: above 0, "
       "at most 1"),
      ("all_memory", ["training.execution={gpu_memory_fraction: 1 "
        "intra_op_threads: 0}"]),
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
      ("frozen_with_decay", [_GROUPS, "training.group[0].frozen=true",
        "training.group[0].weight_decay=0.1"],
       "training.group[0].weight_decay: found one on a frozen group; allowed: "
       "none"),
      ("frozen_until", [_GROUPS, "training.group[0].frozen=true",
        "training.group[0].start_step=3"],
       "training.group[0].start_step: found 3 on a frozen group; allowed: "
       "frozen or start_step"),
      ("start_step", [_GROUPS, "training.group[0].start_step=3"]),
      ("start_before", [_GROUPS, "training.group[0].start_step=-1"],
       "training.group[0].start_step: found -1; allowed: at least 0"),
      ("decay", [_GROUPS, "training.group[0].weight_decay=-1"],
       "training.group[0].weight_decay: found -1.0; allowed: at least 0"),
      ("decay_under_default", [_GROUPS, "training.group[1].weight_decay=1",
        "training.default_optimizer={ftrl {learning_rate {constant: 0.1}}}"],
       "training.group[1].weight_decay: found 1.0 with ftrl, which does not "
       "keep what is taken off; allowed: 0, or l2 of ftrl"),
      ("clipping", [_GROUPS, "training.group[0].clipping={global_norm: 1}"]),
      ("clipping_without_rule", [_GROUPS, "training.group[0].clipping={}"],
       "training.group[0].clipping: found no kind; allowed: one of "
       "global_norm, norm, value"),
      ("clipping_to_nothing", [_GROUPS, "training.group[0].clipping={value: "
        "0}"],
       "training.group[0].clipping.value: found 0.0; allowed: above 0"),
      ("optimizer_without_kind", ["training.default_optimizer={}"],
       "training.default_optimizer: found no kind; allowed: one of "
       f"{_OPTIMIZERS}"),
      ("no_learning_rate", ["training.default_optimizer={ adam {} }"],
       "training.default_optimizer.adam.learning_rate: found no kind; "
       f"allowed: one of {_RATES}"),
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

  @parameterized.named_parameters(
      ("without_penalty", [f"training.default_optimizer={_LAZY}"]),
      ("default", [f"training.default_optimizer={_LAZY}", _PENALTY],
       f"training.default_optimizer.lazy_adam: {_NO_PENALTY}"),
      ("of_the_group", [_GROUPS, f"training.group[0].optimizer={_LAZY}",
        _PENALTY], f"training.group[0].optimizer.lazy_adam: {_NO_PENALTY}"),
      ("default_of_the_group", [_GROUPS, _PENALTY,
        f"training.default_optimizer={_LAZY}"],
       f"training.default_optimizer.lazy_adam: {_NO_PENALTY}"),
      ("of_another_group", [_GROUPS, f"training.group[1].optimizer={_LAZY}",
        _PENALTY]),
      ("frozen", [_GROUPS, f"training.default_optimizer={_LAZY}", _PENALTY,
        "training.group[0].frozen=true"]),
      ("penalty_elsewhere", [f"training.default_optimizer={_LAZY}",
        "model.hard_sharing.trunk.layer[0].dense.regularization={l1: 1}"]),
      ("several_batches", [_GROUPS, f"training.group[1].optimizer={_LAZY}",
        "training.accumulate_batches=2"],
       "training.group[1].optimizer.lazy_adam: found it with "
       "accumulate_batches: 2; allowed: adam, or one batch per step"))
  def test_lazy_optimizers(self, overrides, *expected):
    self._assert_problems(overrides, expected)

  @parameterized.parameters(*training_pb2.Execution.Mode.keys())
  def test_modes_of_execution(self, name):
    self._assert_problems([f"training.execution.mode={name}"], [])


if __name__ == "__main__":
  absltest.main()
