"""Trains an experiment as one process of a cluster, each in its part."""

from typing import Callable, Mapping, Optional

from mtl_graph import api
from mtl_graph import cluster as cluster_lib
from mtl_graph import cluster_evaluation
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import following
from mtl_graph.training import loop
from mtl_graph.training import membership
from mtl_graph.training import waiting

# What a process of a cluster ends in that should start anew.
Lost = membership.Lost


def train(experiment: experiment_pb2.Experiment,
          arrays: Optional[Mapping[str, api.Columns]], model_dir: str,
          cluster: cluster_lib.Cluster, allow_changes: bool = False,
          log: Callable[[str], None] = print, profile: bool = False) -> None:
  """Takes part in a cluster until its run is over.

  The chief does what `api.train` does, and its folder is the run's; workers add
  their steps to it; parameter servers hold the variables; an evaluator measures
  its checkpoints.

  Args:
    experiment: The experiment, valid.
    arrays: Columns by split, or None.
    model_dir: The run's folder.
    cluster: The cluster.
    allow_changes: As `api.train` takes it.
    log: Takes each line of the log.
    profile: As `api.train` takes it.

  Raises:
    Lost: If a process is gone and this one should start anew.
    ClusterError: If the cluster cannot be reached.
    Exception: What `api.train` raises.
  """
  if cluster.job == "evaluator":
    cluster_evaluation.watch(experiment, model_dir, log, cluster)
  elif cluster.job == "ps":
    following.serve(experiment, model_dir, cluster, log)
  elif cluster.is_chief:
    try:
      loop.train(experiment, model_dir, arrays, allow_changes,
                 api.exporter(model_dir, log), log, profile=profile,
                 cluster=cluster)
    except waiting.Ended:
      log("nothing left to do: the run is over, and the others have gone")
  else:
    following.train(experiment, model_dir, cluster, arrays, log)
