"""Finds what TensorFlow 1 sources use that today's TensorFlow has no more.

  python tools/scan_source.py PATH [PATH ...] [--json | --sarif]
  python tools/scan_source.py PATH --fix --out=DIR
  python tools/scan_source.py PATH [PATH ...] --sample=100 --seed=1
  python tools/scan_source.py PATH [PATH ...] --try_names

Paths come first: folders or Python files, which are read, never run. Every name
of TensorFlow is resolved through the aliases it is imported under, and looked
up in the TensorFlow that is installed. Exit code 1 if something would fail.
"""

import collections
import contextlib
import io
import os
import sys
import tempfile

from absl import flags

from mtl_graph import importing
from mtl_graph import launching
from mtl_graph.porting import installed as installed_lib
from mtl_graph.porting import python_files
from mtl_graph.porting import rewriting
from mtl_graph.porting import scan_report
from mtl_graph.porting import trial_calls
from mtl_graph.porting import uses
from mtl_graph.porting import verdicts

_FLAGS = flags.FlagValues()
flags.DEFINE_boolean("json", False, "Print JSON.", flag_values=_FLAGS)
flags.DEFINE_boolean("sarif", False, "Print SARIF 2.1.0.", flag_values=_FLAGS)
flags.DEFINE_boolean("fix", False, "Rewrite what is safe into a copy and print "
                     "the difference.", flag_values=_FLAGS)
flags.DEFINE_string("out", None, "Where the copy goes; must not exist.",
                    flag_values=_FLAGS)
flags.DEFINE_integer("sample", None, "Draw this many findings at random and "
                     "print them as CSV, to be judged.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("seed", 0, "Seed of the sample.", flag_values=_FLAGS)
flags.DEFINE_boolean("try_names", False, "Call every function that is said to "
                     "work, with made-up arguments, and print what came of it.",
                     flag_values=_FLAGS)


def scan(root: str) -> scan_report.Scan:
  """Scans a folder or a file.

  Args:
    root: Its path.

  Returns:
    A `Scan`.

  Raises:
    PortingError: If there is nothing to read.
  """
  sources = python_files.read_all([root])[root]
  found = uses.gather(sources)
  installed = None
  if found:
    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Names are Keras 3's here.
    importing.start_tensorflow()
    installed = installed_lib.Installed()
  return scan_report.Scan(root, sources,
                          verdicts.judge_all(sources, found, installed),
                          installed.version if installed else "")


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  paths, rest = launching.split_words(argv)
  failed = []
  return launching.run(
      rest, _FLAGS,
      lambda: failed.extend(_scan(paths)), __doc__) or (1 if failed else 0)


def _scan(paths):
  if not paths:
    raise flags.Error("found no path; allowed: folders or Python files, before "
                      "the flags")
  if _FLAGS.fix != (_FLAGS.out is not None) or _FLAGS.fix and len(paths) > 1:
    raise flags.Error("--fix: found without --out, or with several paths; "
                      "allowed: one path, --fix and --out=DIR")
  scans = [scan(path) for path in paths]
  if _FLAGS.fix:
    sys.stdout.write(rewriting.rewrite(paths[0], _FLAGS.out, scans[0].sources,
                                       scans[0].findings))
  elif _FLAGS.sample:
    sys.stdout.write(scan_report.sample(scans, _FLAGS.sample, _FLAGS.seed))
  elif _FLAGS.try_names:
    return _try_names(scans)
  elif _FLAGS.json:
    print(scan_report.as_json(scans))
  elif _FLAGS.sarif:
    print(scan_report.as_sarif(scans))
  else:
    print("\n\n".join(map(scan_report.as_text, scans)))
  return [f for s in scans for f in s.failing()]


def _try_names(scans):
  """Calls what is said to work; returns the names that raise of themselves."""
  installed = installed_lib.Installed()
  names = sorted({f.name for s in scans for f in s.findings
                  if f.verdict in ("works", "deprecated")
                  and f.name.startswith("tf.")})
  trials, here = {}, os.getcwd()
  # Some of them write files, and some print.
  with tempfile.TemporaryDirectory() as folder, (
      contextlib.redirect_stdout(io.StringIO())):
    os.chdir(folder)
    try:
      for name in names:
        value = installed.find(installed_lib.split(
            "tensorflow" + name.removeprefix("tf"))).value
        if trial_calls.is_callable(value) and not name.startswith(
            trial_calls.UNCALLED):
          trials[name] = trial_calls.call(value)
    finally:
      os.chdir(here)
  for name, trial in trials.items():
    if trial.outcome != "works":
      print(f"{name}: {trial.outcome}: {trial.message}")
  counts = collections.Counter(trial.outcome for trial in trials.values())
  print(f"{len(names)} names are there; {len(trials)} called: "
        + ", ".join(f"{counts[o]} {o}" for o in ("works", "broken", "unknown")))
  return [name for name, trial in trials.items() if trial.outcome == "broken"]


if __name__ == "__main__":
  sys.exit(main(sys.argv))
