"""Measures whether training over rows on disk takes more memory as it goes on.

Trains an experiment for several epochs, its rows streamed, and prints the most
memory that the process has held at once up to the end of the first epoch and up
to that of the last. The rows are parsed before, by a process of its own that
takes a step.
"""

import os
import re
import subprocess
import sys
import tempfile
from typing import List, NamedTuple

from absl import flags

from mtl_graph import config
from mtl_graph import launching
from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2

_FLAGS = flags.FlagValues()
flags.DEFINE_string("config", "protos/examples/streamed.pbtxt",
                    "Path of the experiment file; its training is joint.",
                    flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides one field, as in training.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("epochs", 10, "How many.", lower_bound=2,
                     flag_values=_FLAGS)


class Peak(NamedTuple):
  """The most memory that a process has held so far.

  Attributes:
    step: When it has taken this step.
    steps: Of so many.
    megabytes: How much.
  """
  step: int
  steps: int
  megabytes: float


def peaks(experiment: experiment_pb2.Experiment, folder: str) -> List[Peak]:
  """Trains in a process of its own.

  Args:
    experiment: The experiment.
    folder: Where the cache of its rows is; the run's own folder is made there.

  Returns:
    A `Peak` for each line of the log about steps.

  Raises:
    flags.Error: If training fails.
  """
  experiment.data.input.kind = data_pb2.Input.STREAMED
  experiment.data.input.cache_dir = os.path.join(folder, "cache")
  found, line = [], ""
  with tempfile.TemporaryDirectory(dir=folder) as run:
    path = os.path.join(run, "experiment.pbtxt")
    config.write(experiment, path)
    with subprocess.Popen(
        [sys.executable, "-m", "mtl_graph.train", f"--config={path}",
         f"--model_dir={os.path.join(run, 'model')}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
      for line in process.stdout:
        step = re.match(r"step (\d+)/(\d+)", line)
        if step:
          found.append(Peak(int(step[1]), int(step[2]),
                            _peak_megabytes(process.pid)))
  if process.returncode:
    raise flags.Error(f"--config: training failed: {line.strip()}")
  return found


def _peak_megabytes(process: int) -> float:
  with open(f"/proc/{process}/status", encoding="utf-8") as file:
    return int(re.search(r"VmHWM:\s*(\d+) kB", file.read())[1]) / 1024


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _measure, __doc__)


def _measure():
  experiment = config.load(_FLAGS.config, _FLAGS.set)
  training = experiment.training
  with tempfile.TemporaryDirectory() as folder:
    training.ClearField("num_epochs")
    training.num_steps = 1
    peaks(experiment, folder)
    training.ClearField("num_steps")
    training.num_epochs = _FLAGS.epochs
    found = peaks(experiment, folder)
  print(text(found, _FLAGS.epochs))


def text(found: List[Peak], epochs: int) -> str:
  """Returns what is to be said of a run of so many epochs.

  Args:
    found: What `peaks` returned.
    epochs: How many.
  """
  first = next(one for one in found if one.step * epochs >= one.steps)
  last = found[-1]
  return (f"peak memory: {first.megabytes:.0f} MB up to step {first.step} of "
          f"{first.steps}, the end of the first epoch, {last.megabytes:.0f} MB "
          f"up to step {last.step}, the end of the last of {epochs} "
          f"({100 * (last.megabytes / first.megabytes - 1):+.1f} %)")


if __name__ == "__main__":
  sys.exit(main(sys.argv))
