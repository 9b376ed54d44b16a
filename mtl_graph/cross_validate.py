"""Cross-validates an experiment:
`python -m mtl_graph.cross_validate --config=exp.pbtxt --folds=5`."""

import functools
import sys
import types

from absl import flags

from mtl_graph import config
from mtl_graph import folds
from mtl_graph import importing
from mtl_graph import launching
from mtl_graph import validation

_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
flags.DEFINE_string(
    "folds", "5", "How many parts data.train is cut into; each in turn is left "
    "out of training and measured.", flag_values=_FLAGS)
flags.DEFINE_string(
    "key_column", "", "Column by which rows stay together, such as patient; if "
    "unset, only equal rows do.", flag_values=_FLAGS)
flags.register_validator(
    "folds", lambda text: text.isdecimal() and int(text) >= 2,
    "allowed: a whole number of at least 2", flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the launcher and returns its exit code."""
  return launching.run(argv, _FLAGS, _cross_validate, __doc__)


def _cross_validate():
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  validation.check(folds.split(experiment, int(_FLAGS.folds),
                               _FLAGS.key_column)[0])
  # TensorFlow takes seconds: a bad experiment is refused without it.
  importing.start_tensorflow()
  from mtl_graph import cross_validation
  cross_validation.cross_validate(
      experiment, int(_FLAGS.folds),
      launching.model_dir_of(_FLAGS, experiment), _FLAGS.key_column,
      log=functools.partial(print, flush=True))


class _CallableModule(types.ModuleType):
  """Keeps `mtl_graph.cross_validate(...)` a call after its import."""

  def __call__(self, *args, **kwargs):
    from mtl_graph import cross_validation
    return cross_validation.cross_validate(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
  sys.exit(main(sys.argv))
