"""Evaluates a run: `python -m mtl_graph.evaluate --config=exp.pbtxt`."""

import sys

from absl import flags

from mtl_graph import config
from mtl_graph import importing
from mtl_graph import launching
from mtl_graph import validation

_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
flags.DEFINE_string(
    "checkpoint", "", "best, latest, or a path; if unset the best if there is "
    "one, else the latest.", flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the launcher and returns its exit code."""
  return launching.run(argv, _FLAGS, _evaluate, __doc__)


def _evaluate():
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  validation.check(experiment)
  # TensorFlow takes seconds: a bad experiment is refused without it.
  importing.start_tensorflow()
  from mtl_graph.evaluation import saved_run
  saved_run.evaluate(experiment, launching.model_dir_of(_FLAGS, experiment),
                     _FLAGS.checkpoint)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
