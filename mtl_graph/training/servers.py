"""The server of a process of a cluster: its settings, and its start."""

import tensorflow.compat.v1 as tf

from mtl_graph import cluster as cluster_lib
from mtl_graph.checkpoints import sessions
from mtl_graph.protos import training_pb2
from mtl_graph.training import waiting as waiting_lib


def settings_of(cluster: cluster_lib.Cluster,
                training: training_pb2.Training) -> tf.ConfigProto:
  """Returns the settings of the server of a process that trains."""
  config_ = sessions.session_config(training.execution)
  # A session of several processes has no pool of its own; the server's is.
  del config_.session_inter_op_thread_pool[:]
  config_.inter_op_parallelism_threads = training.execution.inter_op_threads
  if training.cluster.WhichOneof("strategy") == "all_reduce":
    config_.experimental.collective_group_leader = cluster.chief.replace(
        "/task", "/replica:0/task")
  return config_


def start(cluster: cluster_lib.Cluster, settings: tf.ConfigProto
          ) -> tf.train.Server:
  """Starts the server of a process, which lives as long as the process.

  Raises:
    ClusterError: If it cannot be bound to its address.
  """
  try:
    return tf.train.Server(tf.train.ClusterSpec(cluster.jobs),
                           job_name=cluster.job, task_index=cluster.index,
                           config=settings)
  except tf.errors.OpError as error:
    raise waiting_lib.ClusterError(
        f"{cluster.address}: found that {waiting_lib.title(cluster.device)} "
        f"cannot be started there: {str(error).splitlines()[0]}; allowed: a "
        "free address of this machine") from error
