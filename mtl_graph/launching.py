"""What the launchers share: flags, exit codes, one line per problem."""

import itertools
import os
import re
import sys
from typing import Callable, Iterable, List, Optional, Sequence, Tuple

from absl import flags

from mtl_graph import cluster as cluster_lib
from mtl_graph import config
from mtl_graph import importing
from mtl_graph import python_functions

# Environment variable that counts restarts in a row without a step, and how many
# there may be.
_RESTARTS, _MOST_RESTARTS = "MTL_GRAPH_RESTARTS", 5


def experiment_flags(values: flags.FlagValues) -> None:
  """Defines the flags that say which experiment."""
  flags.DEFINE_string("config", None, "Path of the experiment file.",
                      flag_values=values)
  flags.DEFINE_string("model_dir", None,
                      "Folder of the run; runs/<name> if unset.",
                      flag_values=values)
  flags.DEFINE_multi_string(
      "set", [], "Overrides one field: --set=training.num_steps=500, "
      "--set='model.task[name=late].weight=2'. May be given several times.",
      flag_values=values)
  python_flag(values)
  flags.mark_flag_as_required("config", flag_values=values)


def python_flag(values: flags.FlagValues) -> None:
  """Defines the flag that lets experiments name functions."""
  flags.DEFINE_list(
      "allow_python", [], "Modules and packages whose functions the experiment "
      "may name, as in --allow_python=my_project,my_models.trunks. They are "
      "imported, and run.", flag_values=values)


def cluster_flags(values: flags.FlagValues) -> None:
  """Defines the flags that say which process of which cluster this is."""
  flags.DEFINE_string("job_name", None, "Job of this process in a cluster: "
                      "chief, worker, ps or evaluator. In place of TF_CONFIG.",
                      flag_values=values)
  flags.DEFINE_integer("task_index", 0, "Its index within the job.",
                       flag_values=values)
  for job in ("chief", "worker", "ps"):
    flags.DEFINE_list(f"{job}_hosts", [], f"Addresses host:port of job {job}, "
                      "separated by commas.", flag_values=values)


def cluster_of(values: flags.FlagValues) -> Optional[cluster_lib.Cluster]:
  """Returns the cluster that flags or TF_CONFIG state; None: there is none.

  Raises:
    ConfigError: If what they state is wrong.
  """
  return cluster_lib.choose(
      cluster_lib.from_flags(values.job_name, values.task_index, {
          job: values[f"{job}_hosts"].value for job in ("chief", "worker", "ps")
      }), cluster_lib.from_environment(os.environ.get("TF_CONFIG")))


class StartedTooOften(Exception):
  """A process that has started anew again and again, and got nowhere."""


def start_anew(line: str, after_steps: bool) -> None:
  """Puts the same command, from its beginning, in the place of this process.

  Args:
    line: Why.
    after_steps: Whether this process has got anywhere.

  Raises:
    StartedTooOften: If neither it nor several before it have.
  """
  times = 0 if after_steps else int(os.environ.get(_RESTARTS, 0)) + 1
  if times > _MOST_RESTARTS:
    raise StartedTooOften(f"{line}; has started anew {_MOST_RESTARTS} times, and "
                          "made no step: gives up")
  os.environ[_RESTARTS] = str(times)
  print(f"{line}; starting anew", flush=True)
  os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def model_dir_of(values: flags.FlagValues, experiment) -> str:
  """Returns the folder of the run."""
  return values.model_dir or os.path.join("runs", experiment.name)


def check_new(paths: Iterable[str]) -> None:
  """Refuses to write over a file.

  Args:
    paths: The files that are about to be written to --output_dir.

  Raises:
    flags.Error: If one of them exists.
  """
  for path in paths:
    if os.path.exists(path):
      raise flags.Error(f"--output_dir: '{path}' exists; allowed: a folder "
                        "without it")


def split_words(argv: Sequence[str]) -> Tuple[List[str], List[str]]:
  """Takes the words off a command line that stand before its first flag.

  Args:
    argv: The command line, program name first.

  Returns:
    The words, and the command line without them, as `run` takes it.
  """
  words = list(itertools.takewhile(lambda word: not word.startswith("-"),
                                   argv[1:]))
  return words, [argv[0], *argv[1 + len(words):]]


def run(argv: Sequence[str], values: flags.FlagValues, main: Callable[[], None],
        usage: str) -> int:
  """Parses flags, runs a launcher, and turns what it raises into a line.

  Args:
    argv: The command line, program name first.
    values: The launcher's flags.
    main: What to run once flags are parsed.
    usage: What --help says first.

  Returns:
    The exit code: 0 done; 1 the run failed; 2 a flag or the experiment is
    wrong; 130 and 143 after SIGINT and SIGTERM.
  """
  for name in values:
    values[name].unparse()  # Else a second call would add to the first one's.
  if any(a in ("--help", "-h", "-help", "--helpfull") for a in argv[1:]):
    print(usage + "\n\n" + values.get_help().strip())
    return 0
  try:
    rest = values(list(argv))
    if len(rest) > 1:
      raise flags.Error(f"found '{rest[1]}', which is no flag; allowed: flags "
                        "only, --help lists them")
    _allow_python(values)
    main()
    return 0
  except flags.Error as error:
    return _fail(2, _explain(str(error)))
  except (config.ConfigErrors, config.ConfigError) as error:
    return _fail(2, error)
  except KeyboardInterrupt:
    return _fail(130, "stopped by SIGINT")
  except BrokenPipeError:
    # Whoever read our output has gone; there is nobody left to tell.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
  except Exception as error:  # pylint: disable=broad-except
    # Errors of data, checkpoints and so on are defined above this floor or
    # beside it; importing them here would import TensorFlow for every flag.
    if hasattr(error, "signal"):
      return _fail(128 + int(error.signal), error)
    if type(error).__module__.startswith("mtl_graph."):
      return _fail(1, error)
    raise


def _allow_python(values) -> None:
  """Lets experiments name functions of what --allow_python names."""
  names = values.allow_python if "allow_python" in values else []
  try:
    python_functions.allow(names)
  except ValueError as error:
    raise flags.Error(f"--allow_python: {error}") from error
  if names:
    # Such code imports TensorFlow itself, with all its notes.
    importing.start_tensorflow()


def _explain(error: str) -> str:
  """Says what is wrong with a flag as everything else says it."""
  error = re.sub(r"^flag --(\w+)=None: .* must have a value other than None\.",
                 r"--\1: found nothing; required", error, flags=re.MULTILINE)
  error = re.sub(r"^flag --(\w+)=(.*): \('Non-boolean argument.*",
                 r"--\1: found '\2'; allowed: true or false", error)
  return re.sub(r"^flag --(\w+)=(.*): allowed: ",
                r"--\1: found '\2'; allowed: ", error, flags=re.MULTILINE)


def _fail(code: int, message) -> int:
  sys.stdout.flush()
  print(str(message), file=sys.stderr)
  return code
