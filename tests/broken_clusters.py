"""Clusters that cannot be, and what must be said of them."""

from tests import small_experiment

_case = small_experiment.line_case

_ADAM = "adam { learning_rate { constant: 1 } }"
_LAZY = f"training.default_optimizer={{ lazy_{_ADAM} }}"
_IN_ORDER = ("training.joint.loss.{}: found it with training.cluster."
             "asynchronous, and it remembers one step for the next; allowed: "
             "with synchronous, or a loss that remembers nothing")


def _with(name, strategy, more, *lines):
  """The small experiment with a strategy, and further overrides."""
  return _case(name, [f"training.cluster={{ {strategy} }}", *more], *lines)


CASES = (
    _with("cluster_without_a_strategy", "", [],
          "training.cluster: found no strategy; allowed: one of asynchronous, "
          "synchronous, all_reduce"),
    _with("waits_not_at_all", "asynchronous {} wait_seconds: 0", [],
          "training.cluster.wait_seconds: found 0; allowed: at least 1"),
    _with("parts_of_nothing", "asynchronous {} min_bytes_per_part: 0", [],
          "training.cluster.min_bytes_per_part: found 0; allowed: at least 1"),
    _with("negative_staleness", "asynchronous { max_staleness: -1 }", [],
          "training.cluster.asynchronous.max_staleness: found -1; allowed: at "
          "least 0"),
    _with("negative_backup", "synchronous { backup_workers: -1 }", [],
          "training.cluster.synchronous.backup_workers: found -1; allowed: at "
          "least 0"),
    _with("order_of_steps", "asynchronous {}",
          ["training.joint.loss={ dynamic_weight_average { window_steps: 1 } }"],
          _IN_ORDER.format("dynamic_weight_average")),
    _with("nadir_out_of_order", "asynchronous {}",
          ["training.joint.loss={ smooth_chebyshev { warm_up_steps: 1 } }"],
          _IN_ORDER.format("smooth_chebyshev")),
    _with("famo_of_several", "synchronous {}",
          ["training.joint.loss={ famo {} }"],
          "training.joint.loss.famo: found it with training.cluster.synchronous"
          ", and it measures losses a second time, after the update; allowed: a "
          "loss made of the task losses of one batch"),
    _with("balancing_of_several", "synchronous {}",
          ["training.joint.gradient_balancing={ pcgrad {} }"],
          "training.joint.gradient_balancing: found it with training.cluster."
          "synchronous, where each worker has the gradients of its own rows only"
          "; allowed: with asynchronous"),
    _with("accumulate_twice", "synchronous {}",
          ["training.accumulate_batches=2"],
          "training.accumulate_batches: found 2 with training.cluster."
          "synchronous; allowed: 1, as each worker adds a batch to the step"),
    _with("lazy_ring", "all_reduce {}", [_LAZY],
          "training.default_optimizer.lazy_adam: found it with training.cluster"
          ".all_reduce, which moves whole tables; allowed: adam, or parameter "
          "servers"),
    _case("no_device", "training.execution.device=[ 'tpu:0', 'cpu:1', 'cpu:1' ]",
          "training.execution.device[0]: found 'tpu:0'; allowed: cpu:0, gpu:0, "
          "gpu:1 and so on",
          "training.execution.device[2]: found 'cpu:1' twice; allowed: each "
          "once"),
    _case("devices_in_a_loop", [
        "training.execution={ mode: LOOP device: 'cpu:0' }",
        "training.cluster={ all_reduce {} }"],
          "training.execution.device: found it with training.execution.mode: "
          "LOOP; allowed: with SESSION or AUTO",
          "training.execution.device: found it with training.cluster; allowed: a"
          " process for each device, or training on one machine"),
    _case("independent_cluster", "training.cluster={ asynchronous {} }",
          "training.cluster: found it with training.independent, whose order of "
          "iterations one process keeps; allowed: with training.joint",
          base="independent"),
)
