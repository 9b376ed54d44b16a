"""Says what a checkpoint of TensorFlow holds, and what it differs in.

  python tools/inspect_checkpoint.py CHECKPOINT [--json]
  python tools/inspect_checkpoint.py diff FIRST SECOND [--json]
  python tools/inspect_checkpoint.py against CHECKPOINT --config=exp.pbtxt

A checkpoint is given by its path without ending, by one of its files, or by
its folder; either format will do. Of an experiment whose vocabularies are
counted from the rows give the `experiment.pbtxt` of a run, which has them. Exit
code 1 if two differ, if the experiment lacks something, or if a number is not
finite.
"""

import json
import sys

from absl import flags

from mtl_graph import config
from mtl_graph import importing
from mtl_graph import launching
from mtl_graph import validation

_FLAGS = flags.FlagValues()
flags.DEFINE_boolean("json", False, "Print JSON.", flag_values=_FLAGS)
flags.DEFINE_string("config", None, "Path of the experiment file.",
                    flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides one field of the experiment.",
                          flag_values=_FLAGS)
launching.python_flag(_FLAGS)
_ALLOWED = "allowed: CHECKPOINT, diff FIRST SECOND, or against CHECKPOINT"


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  words, rest = launching.split_words(argv)
  bad = []
  return launching.run(
      rest, _FLAGS,
      lambda: bad.append(_inspect(words)), __doc__) or int(any(bad))


def _inspect(words):
  """Prints what is asked for; returns whether something is not as it should."""
  if words[:1] == ["against"] and len(words) == 2:
    if not _FLAGS.config:
      raise flags.Error("--config: found nothing; required with against")
    experiment = config.load(_FLAGS.config, _FLAGS.set)
    validation.check(experiment)
  elif len(words) != (3 if words[:1] == ["diff"] else 1) or (
      words[0] == "against"):
    raise flags.Error(f"found '{' '.join(words)}'; {_ALLOWED}")
  importing.start_tensorflow()
  from mtl_graph.porting import checkpoint_comparison
  from mtl_graph.checkpoints import checkpoint_reader
  from mtl_graph.porting import checkpoint_report
  if words[0] == "diff":
    found = checkpoint_comparison.diff(*map(checkpoint_reader.Reader, words[1:]))
    print(json.dumps(found._asdict(), indent=1) if _FLAGS.json
          else checkpoint_report.diff_as_text(found))
    return bool(found.only_first or found.only_second or found.shapes
                or found.values)
  if words[0] == "against":
    fit = checkpoint_comparison.against(
        checkpoint_reader.Reader(words[1]),
        checkpoint_comparison.wanted_by(experiment))
    print(json.dumps(fit._asdict(), indent=1) if _FLAGS.json
          else checkpoint_report.fit_as_text(fit))
    return bool(fit.missing or fit.shapes)
  reader = checkpoint_reader.Reader(words[0])
  variables = checkpoint_report.contents(reader)
  print(json.dumps({"path": reader.path, "version": reader.version,
                    "variables": variables}, indent=1) if _FLAGS.json
        else checkpoint_report.as_text(reader, variables))
  return any(v["nan"] or v["inf"] for v in variables)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
