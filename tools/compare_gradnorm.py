"""Trains GradNorm and equal weights on tasks that differ in nothing but scale.

The data are made as in Chen et al. 2018, "GradNorm: Gradient Normalization for
Adaptive Loss Balancing in Deep Multitask Networks", section 4: task t is to
learn

  f_t(x) = sigma_t tanh((B + E_t) x)

with elements of B of deviation 10 and of E_t of 3.5, from inputs x of deviation
1 / sqrt(D), on a trunk of dense layers that all share. Two tasks have scales
1 and 100, ten tasks scales from 1 to 100. What counts is the test loss in which
every task is divided by sigma_t^2, as a network that follows the largest scale
alone leaves the others behind.

The learning rate falls to 0 by a cosine, as Adam's steps at a constant one keep
a task of scale 1 from settling. Which method is better depends on where it
falls from, so each is trained from several rates. Prints, for each, the test
loss, the weights at the end, from which step on they are ordered by scale and
how far their sum was from the number of tasks at most; writes a picture of
GradNorm's weights, from the rate that is best for its test loss, if asked to.
"""

import sys
import tempfile
from typing import Dict, List, NamedTuple, Sequence

from absl import flags
import numpy as np

from mtl_graph import importing
from mtl_graph import launching

importing.start_tensorflow()
# pylint: disable=wrong-import-position
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph.evaluation import tables

_FLAGS = flags.FlagValues()
flags.DEFINE_integer("steps", 3000, "Steps of each run.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("inputs", 250, "Numbers that tasks read.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("outputs", 100, "Numbers that each task estimates.",
                     lower_bound=2, flag_values=_FLAGS)
flags.DEFINE_integer("rows", 10000, "Rows to train on.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_multi_float("learning_rate", [0.002, 0.004, 0.008],
                         "From where the learning rate falls.", lower_bound=0,
                         flag_values=_FLAGS)
flags.DEFINE_string("picture", None, "Where to write a picture.",
                    flag_values=_FLAGS)

SCALES = {"two tasks": (1.0, 100.0),
          "ten tasks": tuple(np.geomspace(1.0, 100.0, 10))}
METHODS = {"equal weights": "sum {}",
           "GradNorm": "grad_norm { alpha: 0.12 learning_rate: 0.01 }"}


class Run(NamedTuple):
  """What a run came to.

  Attributes:
    losses: The test loss of each task over its scale squared.
    weights: Of each task after each step, shape `[N, T]`; 1 where none are
      kept.
  """
  losses: List[float]
  weights: np.ndarray


def rows(scales: Sequence[float], inputs: int, outputs: int,
         count: int) -> Dict[str, Dict[str, np.ndarray]]:
  """Makes columns for training, and a quarter as many for a test.

  Args:
    scales: The scale of each task, `sigma_t`.
    inputs: Numbers that tasks read.
    outputs: Numbers that each estimates.
    count: Rows to train on.

  Returns:
    Columns by split.
  """
  random = np.random.default_rng(0)
  common = 10 * random.standard_normal([outputs, inputs])
  own = 3.5 * random.standard_normal([len(scales), outputs, inputs])
  found = {}
  for split, size in (("train", count), ("validation", max(count // 4, 1))):
    x = random.standard_normal([size, inputs]) / np.sqrt(inputs)
    found[split] = {"x": x.astype(np.float32)}
    for t, scale in enumerate(scales):
      labels = scale * np.tanh(x @ (common + own[t]).T)
      found[split][f"task_{t}"] = labels.astype(np.float32)
  return found


def experiment(method: str, tasks: int, inputs: int, outputs: int,
               steps: int, rate: float) -> str:
  """Returns the text of an experiment.

  Args:
    method: One of `METHODS`.
    tasks: How many tasks.
    inputs: Numbers that tasks read.
    outputs: Numbers that each estimates.
    steps: How many steps.
    rate: From where the learning rate falls.
  """
  layer = "layer { dense { units: 100 activation: RELU } }"
  return f"""
name: "gradnorm"
seed: 1
data {{
  batch_size: 200
  feature {{ name: "x" numeric {{ size: {inputs} }} }}
}}
model {{
  hard_sharing {{ trunk {{ {4 * layer} }} }}
  {" ".join(f'task {{ name: "task_{t}" regression {{ size: {outputs} }} }}'
            for t in range(tasks))}
}}
training {{
  num_steps: {steps}
  log_every_steps: {steps}
  joint {{ loss {{ {METHODS[method]} }} }}
  default_optimizer {{ adam {{ learning_rate {{
    cosine_decay {{ initial: {rate} decay_steps: {steps} }}
  }} }} }}
  checkpoint {{ every_steps: 0 }}
  summaries {{ enabled: false }}
}}
"""


class _Weights(tf.train.SessionRunHook):
  """Reads the weights after every step."""

  def __init__(self, tasks):
    self._names = [f"task_weighting/task_{t}" for t in range(tasks)]
    self._variables = []
    self.found = []

  def begin(self):
    there = {v.op.name: v for v in tf.global_variables()}
    self._variables = [there[name] for name in self._names if name in there]

  def after_run(self, run_context, run_values):
    if self._variables:
      states = run_context.session.run(self._variables)
      self.found.append([state[0] for state in states])
    else:
      self.found.append([1.0] * len(self._names))


def train(method: str, scales: Sequence[float], inputs: int, outputs: int,
          count: int, steps: int, rate: float) -> Run:
  """Trains one of the `METHODS`; for the arguments see `rows`, `experiment`."""
  weights = _Weights(len(scales))
  with tempfile.TemporaryDirectory() as model_dir:
    result = api.train(
        experiment(method, len(scales), inputs, outputs, steps, rate),
        rows(scales, inputs, outputs, count), model_dir, log=lambda line: None,
        hooks=[weights])
  found = result.metrics["validation"]
  return Run([found[f"task_{t}"]["loss"] / scale ** 2
              for t, scale in enumerate(scales)], np.array(weights.found))


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _compare, __doc__)


def _compare():
  drawn = {}
  for name, scales in SCALES.items():
    lines, least = [[name, "from rate", "normalized test loss", "ordered from",
                     "|sum - T|", *[f"w, scale {scale:.3g}"
                                    for scale in scales]]], np.inf
    for method in METHODS:
      for rate in _FLAGS.learning_rate:
        run = train(method, scales, _FLAGS.inputs, _FLAGS.outputs, _FLAGS.rows,
                    _FLAGS.steps, rate)
        loss = np.mean(run.losses)
        apart = np.abs(run.weights.sum(1) - len(scales)).max()
        lines.append([method, f"{rate:g}", f"{loss:.4f}",
                      ordered_from(run.weights), f"{apart:.1e}",
                      *[f"{weight:.4f}" for weight in run.weights[-1]]])
        if method == "GradNorm" and loss < least:
          least, drawn[name] = loss, run.weights
    print(tables.align(lines), flush=True)
  if _FLAGS.picture:
    _draw(drawn, _FLAGS.picture)
    print(f"wrote {_FLAGS.picture}")


def ordered_from(weights: np.ndarray) -> str:
  """Returns the step from which on weights fall from task to task, or "-".

  Args:
    weights: Of each task after each step, shape `[N, T]`.
  """
  unordered = np.flatnonzero((np.diff(weights) >= 0).any(1))
  first = unordered[-1] + 1 if unordered.size else 0
  return str(first + 1) if first < len(weights) else "-"


def _draw(drawn, path):
  """Draws GradNorm's weights over steps."""
  import matplotlib  # pylint: disable=import-outside-toplevel
  matplotlib.use("Agg")
  from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
  figure, axes = pyplot.subplots(1, len(drawn), figsize=(9, 3))
  for axis, (name, weights) in zip(axes, drawn.items()):
    for t, scale in enumerate(SCALES[name]):
      axis.plot(weights[:, t], label=f"scale {scale:.3g}")
    axis.set(title=name, xlabel="step", ylabel="weight")
    axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
  figure.tight_layout()
  figure.savefig(path, dpi=80)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
