"""Writes a checkpoint anew under other names; the old one stays as it is.

  python tools/rename_checkpoint.py CHECKPOINT --output=NEW
      [--rule='regex=>replacement' ...] [--map=FILE] [--ignore=regex ...]
      [--drop=regex ...] [--preset=NAME ...] [--strip_scope=S] [--add_scope=S]
      [--group=NAME:SCOPE,SCOPE ... | --config=exp.pbtxt] [--dry_run]

Either format is read, the second is written. Presets: kernel_bias (weights and
biases become kernel and bias), slim_to_layers (names of slim become those of
tf.layers), merge_partitions, averages_to_variables, drop_slots. With --group,
or the groups of an experiment, optimizers' state `<variable>/Adam` and
`beta1_power` goes to `optimizer/<group>/...`, where this project keeps it.
"""

import collections
import sys

from absl import flags

from mtl_graph import config
from mtl_graph import importing
from mtl_graph import launching
from mtl_graph import validation
from mtl_graph.checkpoints import renaming

_FLAGS = flags.FlagValues()
flags.DEFINE_string("output", None, "Path of the new checkpoint, without "
                    "ending; must not exist.", flag_values=_FLAGS)
flags.DEFINE_multi_string("rule", [], "regex=>replacement, applied to every "
                          "name, one after the other.", flag_values=_FLAGS)
flags.DEFINE_string("map", None, "File with an old and a new name a line.",
                    flag_values=_FLAGS)
flags.DEFINE_multi_string("ignore", [], "What this regex matches keeps its "
                          "name.", flag_values=_FLAGS)
flags.DEFINE_multi_string("drop", [], "What this regex matches is left out.",
                          flag_values=_FLAGS)
flags.DEFINE_multi_enum("preset", [], list(renaming.PRESETS), "A set of rules.",
                        flag_values=_FLAGS)
flags.DEFINE_string("strip_scope", "", "Scope that names lose.",
                    flag_values=_FLAGS)
flags.DEFINE_string("add_scope", "", "Scope that names gain.",
                    flag_values=_FLAGS)
flags.DEFINE_multi_string("group", [], "A variable group and its scopes, as "
                          "shared:trunk,embedding.", flag_values=_FLAGS)
flags.DEFINE_string("config", None, "Experiment whose groups to take.",
                    flag_values=_FLAGS)
flags.DEFINE_boolean("dry_run", False, "Print the table and write nothing.",
                     flag_values=_FLAGS)
launching.python_flag(_FLAGS)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  words, rest = launching.split_words(argv)
  return launching.run(rest, _FLAGS, lambda: _rename(words), __doc__)


def _rename(words):
  if len(words) != 1:
    raise flags.Error(f"found '{' '.join(words)}'; allowed: one checkpoint, "
                      "before the flags")
  if not _FLAGS.output and not _FLAGS.dry_run:
    raise flags.Error("--output: found nothing; required without --dry_run")
  rules = renaming.Rules(
      [renaming.parse_rule(text) for text in _FLAGS.rule], _map(),
      _patterns("ignore"), _patterns("drop"), _FLAGS.preset,
      _FLAGS.strip_scope.strip("/"), _FLAGS.add_scope.strip("/"), _groups())
  importing.start_tensorflow()
  from mtl_graph.checkpoints import checkpoint_reader
  from mtl_graph.porting import checkpoint_writer
  if _FLAGS.output:
    checkpoint_writer.check_new(_FLAGS.output)
  reader = checkpoint_reader.Reader(words[0])
  rows = renaming.plan({name: saved.shape for name, saved
                        in reader.variables.items()}, rules)
  print(renaming.as_text(rows))
  if not _FLAGS.dry_run:
    checkpoint_writer.write(reader, rows, _FLAGS.output)
    print(f"written: {_FLAGS.output}")


def _map():
  if not _FLAGS.map:
    return {}
  try:
    with open(_FLAGS.map, encoding="utf-8") as file:
      return renaming.parse_map(file.read(), _FLAGS.map)
  except (OSError, UnicodeDecodeError) as error:
    raise renaming.RenamingError(
        f"--map: '{_FLAGS.map}' cannot be read: "
        f"{getattr(error, 'strerror', None) or error}") from error


def _patterns(flag):
  for pattern in _FLAGS[flag].value:
    renaming.parse_pattern(pattern, flag)
  return _FLAGS[flag].value


def _groups():
  if _FLAGS.config:
    if _FLAGS.group:
      raise flags.Error("--group: found beside --config; allowed: one of them")
    experiment = config.load(_FLAGS.config)
    validation.check(experiment)
    if experiment.training.WhichOneof("mode") == "independent":
      raise flags.Error("--config: found independent training, where a variable "
                        "may have several optimizers; allowed: --group")
    importing.start_tensorflow()
    from mtl_graph.porting import checkpoint_comparison
    return checkpoint_comparison.groups_of(experiment)
  groups = collections.OrderedDict()
  for text in _FLAGS.group:
    name, colon, scopes = text.partition(":")
    if not colon or not name or not all(scopes.split(",")) or name in groups:
      raise flags.Error(f"--group: found '{text}'; allowed: NAME:SCOPE,SCOPE, "
                        "each name once")
    groups[name] = [scope.strip("/") for scope in scopes.split(",")]
  return groups


if __name__ == "__main__":
  sys.exit(main(sys.argv))
