"""Runs that start from other runs' checkpoints."""

import functools
import os
import signal
import tempfile

from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.training import interruption
from mtl_graph.training import loop

TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE } }
  feature { name: "city" categorical {
    counted_vocabulary { capacity: 5 } embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } }
                         layer { batch_normalization {} } } }
  task { name: "a" binary {} }
  task { name: "b" regression {}
         tower { layer { dense { units: 3 activation: RELU } } } }
}
training {
  num_steps: 6
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
  summaries { enabled: false }
}
"""
NEW_TASK = ("model.task=[{ name: 'a' binary {} }, { name: 'b' regression {} "
            "tower { layer { dense { units: 3 activation: RELU } } } }, "
            "{ name: 'c' binary {} label { column: 'a' } }]")
# A task "c" as the task "b" is.
TWIN = ("model.task=[{ name: 'a' binary {} }, { name: 'b' regression {} "
        "tower { layer { dense { units: 3 activation: RELU } } } }, "
        "{ name: 'c' regression {} label { column: 'b' } "
        "tower { layer { dense { units: 3 activation: RELU } } } }]")
AVERAGED = "training.moving_average.decay=0.9"
SUFFIX = "/ExponentialMovingAverage"


def make_rows(seed, cities=("oslo", "bern", "rome"), mean=0):
  random = np.random.default_rng(seed)
  x = random.normal(mean, 1, 30)
  return {"x": x, "city": np.append(random.choice(cities, 27), cities[:3]),
          "a": (x > mean).astype(int), "b": 2 * x}


def train(folder, *overrides, rows=None, log=lambda line: None, text=TEXT):
  experiment = config.parse(text)
  for assignment in overrides:
    config.override(experiment, assignment)
  arrays = {"train": make_rows(0) if rows is None else rows,
            "validation": make_rows(1) if text is TEXT else rows}
  validation.check(experiment, arrays)
  return loop.train(experiment, folder, arrays, log=log)


def start_from(*sources, more=""):
  """Returns the override that starts a run from others."""
  return "training.warm_start=[" + ", ".join(
      f"{{ checkpoint: '{source}' {more} }}" for source in sources) + "]"


def values(path):
  """Returns every variable of a checkpoint by name."""
  reader = tf.train.load_checkpoint(path)
  return {name: np.asarray(reader.get_tensor(name))
          for name in reader.get_variable_to_shape_map()}


def at_start(*overrides, rows=None, text=TEXT):
  """Stops a run before its first step; returns values, experiment and log."""
  lines = []

  def log(line):
    lines.append(line)
    if line.startswith("rows: "):
      os.kill(os.getpid(), signal.SIGTERM)

  with tempfile.TemporaryDirectory() as folder:
    try:
      train(folder, *overrides, rows=rows, log=log, text=text)
    except interruption.Interrupted:
      pass
    path = checkpoints.newest(folder)
    return values(path), compatibility.experiment_of(path), lines


# The run that others start from, trained once per process; none writes to it.
_SOURCE = tempfile.TemporaryDirectory()


@functools.lru_cache(maxsize=None)
def _trained():
  """Returns the path of its checkpoint, and the values in it."""
  path = train(_SOURCE.name, AVERAGED).checkpoint
  return path, values(path)


@functools.lru_cache(maxsize=None)
def _cold():
  """Returns the values with which it began, as every run that is not warm."""
  return at_start(AVERAGED)[0]


class WarmStartTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._source = _SOURCE.name
    cls._path, cls._trained = _trained()
    cls._cold = _cold()

  def _values_at_start(self, *overrides, warm=True, rows=None):
    """Returns the values with which a run starts; its log is in `_lines`."""
    found, self._experiment, self._lines = at_start(
        *([start_from(self._source)] if warm else []), *overrides, rows=rows)
    return found

  def _check_taken(self, found, taken, anew=()):
    """Checks which variables are the other run's, to the bit."""
    def starting(prefixes):
      return {name for name in found if name.startswith(tuple(prefixes))
              and name in self._trained}
    for name in starting(taken) - starting(anew or ["none"]):
      self.assertEqual(found[name].tobytes(), self._trained[name].tobytes(),
                       name)
    for name in starting(anew):
      self.assertEqual(found[name].tobytes(), self._cold[name].tobytes(), name)

  def _not_in_it(self):
    """Returns the variables that the log says are not in the checkpoint."""
    line, = [l for l in self._lines if l.startswith("starting from ")]
    self.assertStartsWith(line, f"starting from {self._path}")
    return line.partition("; not in it: ")[2].split(", ")
