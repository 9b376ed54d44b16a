"""Runs an export over files: `python -m mtl_graph.predict --export_dir=...`.

Reads and writes in batches, whatever the size of the files. With --output_dir
each file is predicted into one of its own, and a run that was stopped goes on
with those that are not there yet.
"""

import sys

from absl import flags

from mtl_graph import importing
from mtl_graph import launching

_FLAGS = flags.FlagValues()
flags.DEFINE_string("export_dir", None, "An export, or a folder of versions: "
                    "the newest is taken.", flag_values=_FLAGS)
flags.DEFINE_string("input", None, "CSV, TFRecord (.tfrecord), .npz or .parquet "
                    "files: path, glob or shards (\"rows@8.csv\"), plain or "
                    ".gz.", flag_values=_FLAGS)
flags.DEFINE_string("output", None, "File ending in .csv or .jsonl; - is CSV on "
                    "standard output, and what happens if unset.",
                    flag_values=_FLAGS)
flags.DEFINE_string("output_dir", None, "Folder of an output per input file, in "
                    "place of --output. Files that are there are left alone.",
                    flag_values=_FLAGS)
flags.DEFINE_enum("format", "csv", ["csv", "jsonl"], "What is written into "
                  "--output_dir.", flag_values=_FLAGS)
flags.DEFINE_list("keys", [], "Columns of the input to pass through.",
                  flag_values=_FLAGS)
flags.DEFINE_list("signatures", ["serving_default"], "Signatures that are asked,"
                  " all in one run of the model.", flag_values=_FLAGS)
flags.DEFINE_integer("batch_size", 4096, "Rows of a run of the model.",
                     lower_bound=1, flag_values=_FLAGS)
flags.mark_flags_as_required(["export_dir", "input"], flag_values=_FLAGS)
flags.register_validator(
    "output", lambda path: path in (None, "-")
    or path.endswith((".csv", ".jsonl")),
    "allowed: -, or a path ending in .csv or .jsonl", flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the launcher and returns its exit code."""
  return launching.run(argv, _FLAGS, _predict, __doc__)


def _predict():
  if _FLAGS.output and _FLAGS.output_dir:
    raise flags.Error("--output_dir: found it beside --output; allowed: one of "
                      "the two")
  importing.start_tensorflow()
  from mtl_graph.serving import file_prediction
  from mtl_graph.serving import predictor
  asked = file_prediction.Asked(tuple(_FLAGS.signatures), tuple(_FLAGS.keys),
                                _FLAGS.batch_size)
  with predictor.load(_FLAGS.export_dir) as export:
    if _FLAGS.output_dir:
      rows = file_prediction.predict_shards(
          export.calls, export.experiment, export.path, _FLAGS.input,
          _FLAGS.output_dir, "." + _FLAGS.format, asked,
          lambda line: print(line, file=sys.stderr))
    else:
      rows = file_prediction.predict(
          export.calls, export.experiment, _FLAGS.input,
          _FLAGS.output or "-", asked)
  print(f"predicted {rows:,} rows with {export.path}", file=sys.stderr)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
