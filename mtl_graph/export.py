"""Exports a run: `python -m mtl_graph.export --config=exp.pbtxt`.

`python -m mtl_graph.export --diff A B [--input=rows.csv]` tells what changed
from one export to another, and how far predictions on the rows are apart.
"""

import os
import sys

from absl import flags

from mtl_graph import config
from mtl_graph import importing
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

_DIFF_FLAGS = flags.FlagValues()
flags.DEFINE_multi_string(
    "diff", None, "The two exports, or folders of versions, of which the newest "
    "is taken.", flag_values=_DIFF_FLAGS)
flags.DEFINE_string(
    "input", None, "Rows that both predict: CSV, TFRecord, .npz or .parquet "
    "files, path, glob or shards.", flag_values=_DIFF_FLAGS)
flags.register_validator(
    "diff", lambda paths: paths is None or len(paths) == 2,
    "allowed: two exports, as in --diff A B", flag_values=_DIFF_FLAGS)


def main(argv) -> int:
  """Runs the launcher and returns its exit code."""
  if any(a.lstrip("-").partition("=")[0] == "diff" for a in argv[1:]):
    return launching.run(_both(argv), _DIFF_FLAGS, _diff, __doc__)
  return launching.run(argv, _FLAGS, _export, __doc__)


def _both(argv):
  """Returns a command line with a flag of its own for each export."""
  at = next((i for i, a in enumerate(argv) if a in ("--diff", "-diff")), None)
  if at is None:
    return argv
  paths = [a for a in argv[at + 1:at + 3] if not a.startswith("-")]
  return [*argv[:at], *(f"--diff={path}" for path in paths or [""]),
          *argv[at + 1 + len(paths):]]


def _diff():
  importing.start_tensorflow()
  from mtl_graph.serving import comparison
  from mtl_graph.serving import predictor
  before, after = _DIFF_FLAGS.diff
  with predictor.load(before) as first, predictor.load(after) as second:
    print(comparison.compare(first, second, _DIFF_FLAGS.input))


def _export():
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  validation.check(experiment)
  # TensorFlow takes seconds: a bad experiment is refused without it.
  importing.start_tensorflow()
  from mtl_graph.data import splits
  from mtl_graph.evaluation import saved_run
  from mtl_graph.serving import saved_model
  model_dir = launching.model_dir_of(_FLAGS, experiment)
  run = saved_run.open_run(experiment, model_dir, _FLAGS.checkpoint)
  split = ("validation" if row_sets.of(experiment.data, "validation")
           else "train")
  # Of rows on disk no more is read than is needed.
  read = (splits.read_first if row_sets.is_streamed(experiment.data)
          else splits.read)
  rows = read(experiment, split)
  with run.session:
    raw, expected = run.evaluator.sample(rows)
    batch, measured = None, rows
    if split == "validation":
      batch, measured = saved_run.batch_of(run, split, rows, model_dir)
    path = saved_model.export(
        run.experiment, run.checkpoint,
        _FLAGS.export_dir or os.path.join(model_dir, "export"), raw, expected,
        saved_run.record(run, batch, measured),
        lambda weights: run.evaluator.try_weights(weights, rows, batch,
                                                  measured.groups))
  print("exported", path)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
