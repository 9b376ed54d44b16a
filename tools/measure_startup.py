"""Measures the time from starting a training run to its first finished step.

Runs `import tensorflow.compat.v1` and `python -m mtl_graph.train` in turn, each
in a fresh process, and prints medians and the median of the differences pair by
pair.
"""

import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from mtl_graph import launching

_FLAGS = flags.FlagValues()
flags.DEFINE_string("config", "protos/examples/flights.pbtxt",
                    "Path of the experiment file.", flag_values=_FLAGS)
flags.DEFINE_integer("runs", 5, "How many pairs of runs.", lower_bound=1,
                     flag_values=_FLAGS)


def import_seconds() -> float:
  """Returns how long a process takes that only imports TensorFlow."""
  started = time.monotonic()
  subprocess.run([sys.executable, "-c", "import tensorflow.compat.v1"],
                 check=True, stderr=subprocess.DEVNULL)
  return time.monotonic() - started


def first_step_seconds(config: str) -> float:
  """Returns how long a training run takes to report its first step."""
  with tempfile.TemporaryDirectory() as model_dir:
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mtl_graph.train", f"--config={config}",
         f"--model_dir={model_dir}", "--set=training.log_every_steps=1"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
      if line.startswith("step 1/"):
        seconds = time.monotonic() - started
        break
    else:
      raise flags.Error(f"--config: '{config}' did not reach step 1")
    process.kill()
    process.wait()
    return seconds


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _measure, __doc__)


def _measure():
  imports, steps = [], []
  for _ in range(_FLAGS.runs):
    imports.append(import_seconds())
    steps.append(first_step_seconds(_FLAGS.config))
  beyond = [b - a for a, b in zip(imports, steps)]
  print(f"{_FLAGS.runs} pairs of runs, medians in seconds: "
        f"import {statistics.median(imports):.2f}, "
        f"to the first step {statistics.median(steps):.2f}, "
        f"beyond the import {statistics.median(beyond):.2f} "
        f"({min(beyond):.2f} to {max(beyond):.2f})")


if __name__ == "__main__":
  sys.exit(main(sys.argv))
