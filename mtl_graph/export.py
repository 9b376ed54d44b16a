"""Exports a run: `python -m mtl_graph.export --config=exp.pbtxt`."""

import os
import sys

from absl import flags

from mtl_graph import config
from mtl_graph import launching
from mtl_graph import row_sets
from mtl_graph import validation

_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
flags.DEFINE_string(
    "export_dir", None, "Folder of the versions; <model_dir>/export if unset.",
    flag_values=_FLAGS)
flags.DEFINE_string(
    "checkpoint", "", "best, latest, or a path; if unset the best if there is "
    "one, else the latest.", flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the launcher and returns its exit code."""
  return launching.run(argv, _FLAGS, _export, __doc__)


def _export():
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  validation.check(experiment)
  # TensorFlow takes seconds: a bad experiment is refused without it.
  launching.start_tensorflow()
  from mtl_graph.data import splits
  from mtl_graph.evaluation import saved_run
  from mtl_graph.serving import saved_model
  model_dir = launching.model_dir_of(_FLAGS, experiment)
  run = saved_run.open_run(experiment, model_dir, _FLAGS.checkpoint)
  split = ("validation" if row_sets.of(experiment.data, "validation")
           else "train")
  rows = splits.read(experiment, split)
  with run.session:
    raw, expected = run.evaluator.sample(rows)
    path = saved_model.export(
        run.experiment, run.checkpoint,
        _FLAGS.export_dir or os.path.join(model_dir, "export"), raw, expected,
        lambda weights: run.evaluator.try_weights(
            weights, rows, run.evaluator.transform(rows)))
  print("exported", path)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
