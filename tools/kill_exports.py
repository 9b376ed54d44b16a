"""Kills exports of a run at random moments, and looks at what a server sees.

Starts `python -m mtl_graph.export` again and again, each time ends it by
SIGKILL at a random moment between the first file it writes and its end, and
loads every folder whose name is a number. The last export is left alone: it
removes what the others have left.
"""

import os
import random
import subprocess
import sys
import time

from absl import flags

from mtl_graph import importing
from mtl_graph import launching

_FLAGS = flags.FlagValues()
launching.experiment_flags(_FLAGS)
flags.DEFINE_string("export_dir", None, "Folder of the versions; a new one.",
                    flag_values=_FLAGS)
flags.DEFINE_integer("times", 20, "How many exports are killed.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("seed", 0, "Seed of the moments.", flag_values=_FLAGS)
flags.mark_flag_as_required("export_dir", flag_values=_FLAGS)


def _start(experiment):
  command = [sys.executable, "-m", "mtl_graph.export",
             f"--config={_FLAGS.config}", f"--export_dir={_FLAGS.export_dir}",
             f"--model_dir={launching.model_dir_of(_FLAGS, experiment)}",
             *(f"--set={one}" for one in _FLAGS.set)]
  return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _first_file(process) -> bool:
  """Waits for the folder of an export; returns whether there is one."""
  before = set(os.listdir(_FLAGS.export_dir))
  while process.poll() is None:
    if set(os.listdir(_FLAGS.export_dir)) - before:
      return True
    time.sleep(0.001)
  return False


def broken(export_dir: str) -> list:
  """Returns what is wrong with what bears a number, a line each."""
  from mtl_graph.serving import signature_calls
  from mtl_graph.serving import versions
  lines = []
  for path in versions.numbered(export_dir).values():
    try:
      with signature_calls.Calls(path):
        pass
    except signature_calls.LoadError as error:
      lines.append(str(error))
    for name in ("experiment.pbtxt", "export.json", "SERVING.md"):
      if not os.path.isfile(os.path.join(path, "assets.extra", name)):
        lines.append(f"{path}: has no {name}")
  return lines


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _kill, __doc__)


def _kill():
  from mtl_graph import config
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  if os.path.isdir(_FLAGS.export_dir) and os.listdir(_FLAGS.export_dir):
    raise flags.Error(f"--export_dir: '{_FLAGS.export_dir}' is not empty; "
                      "allowed: a new folder")
  os.makedirs(_FLAGS.export_dir, exist_ok=True)
  process = _start(experiment)
  if not _first_file(process):
    raise flags.Error(f"--config: '{_FLAGS.config}' cannot be exported")
  started = time.monotonic()
  process.wait()
  seconds = time.monotonic() - started
  print(f"an export writes for {seconds:.2f} s")
  importing.start_tensorflow()
  moments, killed, done = random.Random(_FLAGS.seed), 0, 0
  while killed < _FLAGS.times:
    process = _start(experiment)
    _first_file(process)
    started, moment = time.monotonic(), moments.uniform(0, seconds)
    while process.poll() is None and time.monotonic() - started < moment:
      time.sleep(0.001)
    process.kill()
    process.wait()
    if any(not name.isdigit() for name in os.listdir(_FLAGS.export_dir)):
      killed += 1
    else:  # It was done: the moments are to be earlier.
      done += 1
      seconds = min(seconds, time.monotonic() - started)
    for line in broken(_FLAGS.export_dir):
      raise flags.Error(f"export {killed + done + 1}: {line}")
  _start(experiment).wait()
  remains = [n for n in os.listdir(_FLAGS.export_dir) if not n.isdigit()]
  if remains or broken(_FLAGS.export_dir):
    raise flags.Error(f"the last export leaves {', '.join(remains)}")
  print(f"{killed} exports killed while writing, {done} a moment after; "
        f"{len(os.listdir(_FLAGS.export_dir))} versions, all whole; no remains")


if __name__ == "__main__":
  sys.exit(main(sys.argv))
