"""Opens sessions, all alike."""

from typing import Optional

import tensorflow.compat.v1 as tf

from mtl_graph.protos import training_pb2


def open_session(graph: tf.Graph,
                 execution: Optional[training_pb2.Execution] = None
                 ) -> tf.Session:
  """Opens a session on a graph.

  The graph optimizer is off: with it on, which ops are fused depends on what is
  fetched, and a resumed run would differ in bits; it also costs more at the
  first step than it gains on graphs of this kind.

  Args:
    graph: The graph.
    execution: Which threads and devices the session uses; None: an empty
      message. Threads within an op also take `set_threads`.

  Returns:
    A `tf.Session`.
  """
  return tf.Session(graph=graph, config=session_config(
      execution or training_pb2.Execution()))


def session_config(execution: training_pb2.Execution) -> tf.ConfigProto:
  """Returns the settings of a session.

  Args:
    execution: The `Execution` message.

  Returns:
    A `ConfigProto`.
  """
  config = tf.ConfigProto(
      allow_soft_placement=execution.allow_soft_placement,
      log_device_placement=execution.log_device_placement,
      # What `set_threads` has set, if anything.
      intra_op_parallelism_threads=(
          execution.intra_op_threads
          or tf.config.threading.get_intra_op_parallelism_threads()))
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  if execution.inter_op_threads:
    # A pool of the session's own: `inter_op_parallelism_threads` counts only
    # for the first session of a process.
    config.session_inter_op_thread_pool.add(
        num_threads=execution.inter_op_threads)
  processors = [int(device.rpartition(":")[2]) for device in execution.device
                if device.startswith("cpu:")]
  if processors:
    config.device_count["CPU"] = 1 + max(processors)
  config.gpu_options.allow_growth = execution.gpu_allow_growth
  if execution.HasField("gpu_memory_fraction"):
    config.gpu_options.per_process_gpu_memory_fraction = (
        execution.gpu_memory_fraction)
  return config


def set_threads(execution: training_pb2.Execution, otherwise: int = 0
                ) -> Optional[str]:
  """Sets how many threads an op may use, which a process can do once.

  All sessions of a process share the pool of threads that ops divide their work
  among. What comes first makes it: a session, or TensorFlow's eager part, which
  the first `tf.cond` or `tf.while_loop` of any graph starts, with as many
  threads as there are cores. From then on `intra_op_parallelism_threads` of a
  session is ignored without a word. So this makes the pool, and comes before
  anything else.

  Args:
    execution: The `Execution` message.
    otherwise: How many threads where it states none; 0: as many as there are
      cores.

  Returns:
    None, or what the log should say where a stated number came too late.
  """
  wanted = execution.intra_op_threads or otherwise
  threading = tf.config.threading
  late = None
  try:
    if wanted not in (0, threading.get_intra_op_parallelism_threads()):
      threading.set_intra_op_parallelism_threads(wanted)
  except RuntimeError:
    if execution.intra_op_threads:
      late = ("warning: training.execution.intra_op_threads: found "
              f"{wanted}, but this process has run TensorFlow with another "
              "number already, which stays; allowed: a new process, or the "
              "same number")
  open_session(tf.Graph(), execution).close()
  return late


def initialize(session: tf.Session) -> None:
  """Gives every variable of the graph its initial value, and fills tables."""
  with session.graph.as_default():
    session.run([tf.global_variables_initializer(), tf.tables_initializer()])
