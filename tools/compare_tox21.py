"""Trains the Tox21 experiment with several seeds and prints AUCs per task.

Makes the data in a temporary folder, by the scaffold split, trains with seeds
1, 2, 3, and prints the area under the ROC curve of each task on the validation
and the test rows, and its mean over tasks, per seed, with mean and standard
deviation over seeds. Whatever the experiment states was chosen on validation
rows alone.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from mtl_graph import importing
from mtl_graph import launching

importing.start_tensorflow()
# pylint: disable=wrong-import-position
from mtl_graph import api
from mtl_graph.evaluation import tables

_FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "input", "../shared/data/tox21/derived_ecfp4_1024.npz",
    "Path of derived_ecfp4_1024.npz.", flag_values=_FLAGS)
flags.DEFINE_string("config", "protos/examples/large/tox21.pbtxt",
                    "Path of the experiment file.", flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides, as the launchers take them.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("seeds", 3, "How many seeds, from 1 on.", lower_bound=1,
                     flag_values=_FLAGS)


def train(data_dir, seed):
  """Trains with one seed on the files of a folder.

  Args:
    data_dir: Folder of train.npz, validation.npz and test.npz.
    seed: The seed.

  Returns:
    The AUC by split and task.
  """
  overrides = [f"data.{split}.npz.path=['{data_dir}/{split}.npz']"
               for split in ("train", "validation", "test")]
  with tempfile.TemporaryDirectory() as model_dir:
    result = api.train(
        _FLAGS.config, model_dir=model_dir, log=lambda line: None,
        overrides=[*overrides, f"seed={seed}", *_FLAGS.set])
  return {split: {task: metrics["auc"] for task, metrics in tasks.items()}
          for split, tasks in result.metrics.items()}


def layout(found, split):
  """Lays the AUCs of a split out: tasks by seeds, mean and deviation.

  Args:
    found: What `train` returned, for seeds from 1 on.
    split: The split.

  Returns:
    The lines.
  """
  rows = {task: [result[split][task] for result in found]
          for task in found[0][split]}
  rows["mean"] = [statistics.mean(values) for values in zip(*rows.values())]
  heading = [f"{split} AUC"] + [f"seed {i + 1}" for i in range(len(found))]
  lines = [heading + ["mean", "deviation"]]
  for task, values in rows.items():
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    lines.append([task] + [f"{value:.4f}" for value in (
        *values, statistics.mean(values), deviation)])
  return tables.align(lines)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _compare, __doc__)


def _compare():
  found = []
  with tempfile.TemporaryDirectory() as data_dir:
    maker = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                         "make_tox21.py")
    made = subprocess.run(
        [sys.executable, maker, f"--input={_FLAGS.input}",
         f"--output_dir={data_dir}"], capture_output=True, text=True,
        check=False)
    if made.returncode:
      raise flags.Error(f"--input: {made.stderr.strip()}")
    for seed in range(1, _FLAGS.seeds + 1):
      begin = time.monotonic()
      found.append(train(data_dir, seed))
      print(f"seed {seed} done in {time.monotonic() - begin:.0f} s",
            file=sys.stderr)
  for split in found[0]:
    print(layout(found, split))


if __name__ == "__main__":
  sys.exit(main(sys.argv))
