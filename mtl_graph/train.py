"""Trains an experiment: `python -m mtl_graph.train --config=exp.pbtxt`."""

import functools
import sys
import types

from absl import flags

from mtl_graph import config
from mtl_graph import importing
from mtl_graph import launching
from mtl_graph import validation

_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
launching.cluster_flags(_FLAGS)
flags.DEFINE_boolean(
    "allow_changes", False, "Go on from a checkpoint of another experiment or "
    "other rows, restoring what fits.", flag_values=_FLAGS)
flags.DEFINE_boolean(
    "dry_run", False, "Check the experiment and its data, print variables and "
    "groups, and stop.", flag_values=_FLAGS)
flags.DEFINE_boolean(
    "profile", False, "Record some steps for TensorBoard's profiler, in "
    "model_dir/profile.", flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the launcher and returns its exit code."""
  return launching.run(argv, _FLAGS, _train, __doc__)


def _train():
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  cluster = launching.cluster_of(_FLAGS)
  if cluster and not experiment.training.HasField("cluster"):
    experiment.training.cluster.asynchronous.SetInParent()
  validation.check(experiment)
  # TensorFlow takes seconds: a bad experiment is refused without it.
  importing.start_tensorflow()
  from mtl_graph import api
  from mtl_graph.training import preparation
  if _FLAGS.dry_run:
    print(preparation.describe(experiment))
    return
  arguments = (experiment, None, launching.model_dir_of(_FLAGS, experiment))
  log = functools.partial(print, flush=True)
  if cluster is None:
    api.train(*arguments, allow_changes=_FLAGS.allow_changes, log=log,
              profile=_FLAGS.profile)
    return
  from mtl_graph import cluster_training
  try:
    cluster_training.train(*arguments, cluster, _FLAGS.allow_changes, log,
                           _FLAGS.profile)
  except cluster_training.Lost as lost:
    launching.start_anew(str(lost), lost.after_steps)


class _CallableModule(types.ModuleType):
  """Keeps `mtl_graph.train(...)` a call after `import mtl_graph.train`."""

  def __call__(self, *args, **kwargs):
    from mtl_graph import api
    return api.train(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
  sys.exit(main(sys.argv))
