"""Runs an export over a CSV file:
`python -m mtl_graph.predict --export_dir=...`."""

import sys

from absl import flags

from mtl_graph import launching

_FLAGS = flags.FlagValues()
flags.DEFINE_string("export_dir", None, "An export, or a folder of versions: "
                    "the newest is taken.", flag_values=_FLAGS)
flags.DEFINE_string("input", None, "CSV file or glob, plain or .gz.",
                    flag_values=_FLAGS)
flags.DEFINE_string("output", "-", "File ending in .csv or .jsonl; - is CSV on "
                    "standard output.", flag_values=_FLAGS)
flags.DEFINE_list("keys", [], "Columns of the input to pass through.",
                  flag_values=_FLAGS)
flags.mark_flags_as_required(["export_dir", "input"], flag_values=_FLAGS)
flags.register_validator(
    "output", lambda path: path == "-" or path.endswith((".csv", ".jsonl")),
    "allowed: -, or a path ending in .csv or .jsonl", flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the launcher and returns its exit code."""
  return launching.run(argv, _FLAGS, _predict, __doc__)


def _predict():
  launching.start_tensorflow()
  from mtl_graph.serving import predictor
  with predictor.load(_FLAGS.export_dir) as export:
    rows = export.predict_csv(_FLAGS.input, _FLAGS.output, _FLAGS.keys)
  print(f"predicted {rows:,} rows with {export.path}", file=sys.stderr)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
