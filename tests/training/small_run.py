"""Runs of a small experiment in a folder of the test's own."""

import functools
import os
import re
import shutil
import tempfile
from typing import Dict, List, NamedTuple

from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.training import loop
from mtl_graph.training import outcome

TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE } }
  feature { name: "c" categorical { num_buckets: 4 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} }
  task { name: "b" regression {}
         tower { layer { dense { units: 3 activation: RELU } } } }
}
training {
  num_steps: 20
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
  checkpoint { every_steps: 5 keep: 2 }
  log_every_steps: 10
  summaries { enabled: false }
}
"""


def rows(seed: int, count: int) -> Dict[str, np.ndarray]:
  """Returns columns by name; three labels in ten are missing."""
  random = np.random.default_rng(seed)
  x = random.normal(size=count)
  return {
      "x": x, "c": random.integers(0, 4, count),
      "a": np.where(random.random(count) < 0.3, np.nan, x > 0),
      "b": np.where(random.random(count) < 0.3, np.nan, 2 * x + 1),
  }


ARRAYS = {"train": rows(0, 30), "validation": rows(1, 20)}


class Finished(NamedTuple):
  """A run that has ended.

  Attributes:
    folder: Its folder, which is there as long as the process.
    result: What it returned.
    lines: Its log.
  """
  folder: str
  result: outcome.Result
  lines: List[str]


_FOLDERS = []


@functools.lru_cache(maxsize=None)
def finished(*overrides: str) -> Finished:
  """Trains the experiment with overrides, once per process.

  For tests that look at what a run leaves, and write nothing to its folder.
  """
  _FOLDERS.append(tempfile.TemporaryDirectory())
  folder, lines = _FOLDERS[-1].name, []
  return Finished(folder, _train(overrides, folder, ARRAYS, lines), lines)


def _train(overrides, folder, arrays, lines, **kwargs):
  experiment = config.parse(TEXT)
  for assignment in overrides:
    config.override(experiment, assignment)
  if experiment.training.HasField("num_epochs"):
    experiment.training.ClearField("num_steps")
  validation.check(experiment, arrays)
  return loop.train(experiment, folder, arrays, log=lines.append, **kwargs)


class SmallRunTest(parameterized.TestCase):
  """Trains the experiment, and reads what it left and said."""

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.lines = []

  def train(self, *overrides, arrays=None, **kwargs) -> outcome.Result:
    """Trains in the test's folder; the log goes to `lines`."""
    self.lines = []
    return _train(overrides, self.folder, ARRAYS if arrays is None else arrays,
                  self.lines, **kwargs)

  def take_up(self, *overrides) -> None:
    """Has the test's folder be what such a run has left."""
    shutil.copytree(finished(*overrides).folder, self.folder,
                    dirs_exist_ok=True)

  def steps(self, folder: str = "") -> List[int]:
    """Returns the steps of the checkpoints there are."""
    names = os.listdir(os.path.join(self.folder, folder))
    return sorted(int(match.group(1)) for match in map(
        re.compile(r"model\.ckpt-(\d+)\.index").fullmatch, names) if match)

  def log(self, pattern: str) -> List[str]:
    """Returns the lines of the log that match a pattern."""
    return [line for line in self.lines if re.search(pattern, line)]

  def losses(self, task: str = "b") -> Dict[int, float]:
    """Returns the validation losses of a task by step, from the log."""
    found = [re.search(rf"step (\d+)/.*validation.* {task} (\S+)", line)
             for line in self.lines]
    return {int(m.group(1)): float(m.group(2)) for m in found if m}
