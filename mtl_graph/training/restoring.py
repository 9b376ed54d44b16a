"""Where the values come from that a run begins with."""

from typing import Callable, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.checkpoints import sessions
from mtl_graph.model import averages
from mtl_graph.model import graphs
from mtl_graph.model import partitions
from mtl_graph.protos import training_pb2
from mtl_graph.training import warm_start


def restore(session: tf.Session, model: graphs.Graph,
            checkpoints: checkpoints_lib.Checkpoints, path: Optional[str],
            changed: bool, others: Sequence[training_pb2.WarmStart],
            log: Callable[[str], None]) -> None:
  """Initializes all variables, and restores those that there is something of.

  Args:
    session: The session.
    model: The model.
    checkpoints: The run's checkpoints.
    path: Its newest one, or None.
    changed: Whether it is of another experiment: what fits is restored.
    others: Runs to start from where this one has no checkpoint.
    log: Takes a line of each of the last two.

  Raises:
    CheckpointError: If a checkpoint cannot be restored.
  """
  sessions.initialize(session)
  checkpoints.recover()
  fresh = []
  if path is not None and changed:
    with model.graph.as_default():
      names = list(partitions.together(tf.global_variables()))
    # What is kept of gradients has a row per task, whichever task that was.
    anew = [name for name in names if name.startswith("gradient_balancing/")]
    fresh = checkpoints.restore_matching(
        session, path, set(names) - set(anew)) + anew
    log(f"restored {path} under a changed experiment; {len(fresh)} variables "
        "start anew" + (": " + ", ".join(fresh) if fresh else ""))
  elif path is not None:
    checkpoints.restore(session, path)
  elif others:
    restored = warm_start.restore(others, checkpoints, session)
    fresh = restored.fresh
    for line in warm_start.describe(restored):
      log(line)
  if fresh:  # Averages that were not restored are of variables that were.
    with model.graph.as_default():
      session.run(averages.start_anew(model.averaged, fresh))
