"""Finds what is wrong with how several processes train together."""

from mtl_graph import cluster as cluster_lib
from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph.protos import cluster_pb2
from mtl_graph.protos import training_pb2

_PATH = "training.cluster"
# What remembers something from one step for the next, in their order.
_ORDERED = ("dynamic_weight_average", "grad_norm", "famo")
# What measures more of a batch than its task losses.
_MEASURING = {"grad_norm": "the gradients of each task's loss",
              "famo": "losses a second time, after the update"}


def check(training: training_pb2.Training, report: field_checks.Report) -> None:
  """Reports what is wrong with `training.cluster`.

  Args:
    training: The `Training` message; it has a cluster.
    report: Takes a field's path and its problem.
  """
  cluster = training.cluster
  strategy = field_checks.kind_of(cluster, "strategy", _PATH, report)
  field_checks.at_least(cluster, "wait_seconds", 1, _PATH, report)
  field_checks.at_least(cluster, "min_bytes_per_part", 1, _PATH, report)
  field_checks.at_least(cluster.asynchronous, "max_staleness", 0,
                        f"{_PATH}.asynchronous", report)
  field_checks.at_least(cluster.synchronous, "backup_workers", 0,
                        f"{_PATH}.synchronous", report)
  if training.WhichOneof("mode") == "independent":
    report(_PATH, "found it with training.independent, whose order of "
           "iterations one process keeps; allowed: with training.joint")
  if strategy is None:
    return
  loss = training.joint.loss
  kind = loss.WhichOneof("kind")
  path = f"training.joint.loss.{kind}"
  if strategy == "asynchronous":
    if kind in _ORDERED or loss.smooth_chebyshev.warm_up_steps:
      report(path, "found it with training.cluster.asynchronous, and it "
             "remembers one step for the next; allowed: with synchronous, or a "
             "loss that remembers nothing")
    return
  if kind in _MEASURING:
    report(path, f"found it with training.cluster.{strategy}, and it measures "
           f"{_MEASURING[kind]}; allowed: a loss made of the task losses of one"
           " batch")
  if training.joint.HasField("gradient_balancing"):
    report("training.joint.gradient_balancing", "found it with training.cluster"
           f".{strategy}, where each worker has the gradients of its own rows "
           "only; allowed: with asynchronous")
  if training.accumulate_batches > 1:
    report("training.accumulate_batches", f"found {training.accumulate_batches}"
           f" with training.cluster.{strategy}; allowed: 1, as each worker adds"
           " a batch to the step")
  if strategy == "all_reduce":
    for where, optimizer in [
        ("training.default_optimizer", training.default_optimizer)] + [
            (f"training.group[{i}].optimizer", group.optimizer)
            for i, group in enumerate(training.group)]:
      if optimizer.WhichOneof("kind") == "lazy_adam":
        report(f"{where}.lazy_adam", "found it with training.cluster.all_reduce"
               ", which moves whole tables; allowed: adam, or parameter servers")


def check_processes(cluster: cluster_lib.Cluster, message: cluster_pb2.Cluster
                    ) -> None:
  """Raises `ConfigErrors` if processes and strategy do not go together."""
  strategy = message.WhichOneof("strategy") or "asynchronous"
  path, problems = f"{_PATH}.{strategy}", []
  workers = cluster.workers
  if strategy == "all_reduce" and cluster.ps:
    problems.append((path, f"found {len(cluster.ps)} ps in the cluster; allowed:"
                     " none, as every worker has all variables"))
  if strategy != "all_reduce" and not cluster.ps:
    problems.append((path, "found no ps in the cluster; allowed: at least one, "
                     f"or {_PATH}.all_reduce"))
  known = set(cluster.jobs.get("worker", {}))
  if strategy != "asynchronous" and known != set(range(len(known))):
    problems.append((path, "found a worker that does not know all others; "
                     "allowed: the addresses of all"))
  backup = message.synchronous.backup_workers
  if strategy == "synchronous" and backup >= len(workers):
    problems.append((f"{path}.backup_workers", f"found {backup} of "
                     f"{len(workers)} workers; allowed: fewer than there are"))
  if problems:
    raise config.ConfigErrors([config.ConfigError(*p) for p in problems])
