"""Trains the surface of two tasks by each method and draws where it goes.

The surface is the two-dimensional one of Liu et al. 2021, "Conflict-Averse
Gradient Descent for Multi-task Learning", appendix, also that of Navon et al.
2022, "Multi-Task Learning as a Bargaining Game", section 6.1: for theta_2 > 0
both losses have a steep valley of their own, where gradients conflict and
differ in length; for theta_2 < 0 each is a bowl.

What is trained is the experiment protos/examples/two_valleys.pbtxt, with each
method in its `training.joint` and from each of the three starts of the first
paper: a run of its own for each, as Adam's steps depend on where it has been.
Losses are 20 higher than in the papers, since most weightings need losses above
0. Prints where each run ends and how far the mean loss there is above the
least one, and writes a picture if asked to.

A run of 100,000 steps takes some 5 to 15 seconds, half of which XLA compiles,
all 81 of them a quarter of an hour on two busy cores. With --ledger, what has
been run is kept in a file and not run again.
"""

import os
import sys
import tempfile
from typing import Dict, List, Sequence

from absl import flags
import numpy as np

# Run as a script, only the folder of this file is on the path.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from mtl_graph import importing
from mtl_graph import launching

importing.start_tensorflow()
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph.evaluation import tables
from mtl_graph.protos import experiment_pb2
from protos.examples import two_valleys
from tools.comparing import ledger
from tools.comparing import methods

_FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("method", [], "Methods; unset: all.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("steps", 100_000, "Steps of each run.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_float("learning_rate", 0.001, "Of Adam.", lower_bound=0,
                   flag_values=_FLAGS)
flags.DEFINE_string("picture", None, "Where to write a picture.",
                    flag_values=_FLAGS)
flags.DEFINE_string("ledger", None, "Where to keep what has been run.",
                    flag_values=_FLAGS)

STARTS = ((-8.5, 7.5), (-8.5, -5.0), (9.0, 9.0))
# The two tasks are each other's mirror image, which leaves no weights to tune;
# and the place is its own representation, so that a method is the same there.
_LEFT_OUT = (methods.TUNED, methods.SCHEDULE, "MGDA-UB", "Aligned-MTL-UB")
METHODS = [name for name in methods.METHODS if name not in _LEFT_OUT]
_EXPERIMENT = os.path.join(os.path.dirname(two_valleys.__file__),
                           "two_valleys.pbtxt")
_PLACE = "trunk/python/place"  # The variable.
_POINTS = 25  # Of a path.


def experiment_of(method: str, start: Sequence[float], steps: int, rate: float
                  ) -> experiment_pb2.Experiment:
  """Returns the experiment of a run.

  Args:
    method: One of `METHODS`.
    start: Where from, two numbers.
    steps: How many steps.
    rate: The learning rate.
  """
  place = "model.hard_sharing.trunk.layer[0].python"
  overrides = [
      f"training.joint={{ {methods.METHODS[method].text} }}",
      f"{place}.argument[name=x].number={start[0]}",
      f"{place}.argument[name=y].number={start[1]}",
      f"training.num_steps={steps}", f"training.log_every_steps={steps}",
      f"training.default_optimizer.adam.learning_rate.constant={rate}",
      f"training.checkpoint={{ every_steps: {_stride(steps)} "
      f"keep: {_POINTS + 1} }}",
      "training.execution={ mode: XLA steps_per_block: 1000 }",
      "training.summaries.enabled=false"]
  if method == "GradNorm":
    overrides.append(f"training.joint.loss.grad_norm.kernel={_PLACE}")
  experiment = api.experiment_of(_EXPERIMENT, overrides)
  experiment.ClearField("serving")
  return experiment


def _stride(steps):
  return -(-steps // _POINTS)


def walk(method: str, start: Sequence[float], steps: int, rate: float
         ) -> np.ndarray:
  """Follows a method from a start; for the arguments see `experiment_of`.

  Returns:
    Some places on the way, first and last among them, shape `[N, 2]`.
  """
  experiment = experiment_of(method, start, steps, rate)
  stride, places = _stride(steps), [start]
  with tempfile.TemporaryDirectory() as folder:
    api.train(experiment, model_dir=folder, log=lambda line: None,
              allow_python=[two_valleys.__name__])
    for step in [*range(stride, steps, stride), steps]:
      places.append(tf.train.load_variable(f"{folder}/model.ckpt-{step}",
                                           _PLACE))
  return np.array(places)


def mean_loss(places: np.ndarray) -> np.ndarray:
  """Returns the mean of both losses at places of shape `[..., 2]`."""
  with tf.Graph().as_default(), tf.Session() as session:
    # Each comes twice, as the example's tasks estimate two numbers.
    losses = [two_valleys.height(tf.constant(optimum), tf.constant(
        places, tf.float32))[..., 0] for optimum in two_valleys.OPTIMA.values()]
    return session.run(tf.add_n(losses) / len(losses))


def grid() -> np.ndarray:
  """Returns places all over the surface, shape `[201, 201, 2]`."""
  line = np.linspace(-10, 10, 201)
  return np.stack(np.meshgrid(line, line), -1)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _compare, __doc__)


def _compare():
  for name in _FLAGS.method:
    if name not in METHODS:
      raise flags.Error(f"--method: '{name}' is none of {', '.join(METHODS)}")
  with tempfile.TemporaryDirectory() as folder:
    kept = ledger.Ledger(_FLAGS.ledger or os.path.join(folder, "toy.jsonl"))
    found = {name: _walks(name, kept) for name in _FLAGS.method or METHODS}
  least = mean_loss(grid()).min()
  lines = [["method"] + [f"from {start}" for start in STARTS]]
  for name, walked in found.items():
    ends = np.array([places[-1] for places in walked])
    lines.append([name] + [
        f"({end[0]:.2f}, {end[1]:.2f}) {loss - least:+.3f}"
        for end, loss in zip(ends, mean_loss(ends))])
  print(f"where each ends after {_FLAGS.steps:,} steps, and its mean loss "
        f"there less the least, {least:.3f}")
  print(tables.align(lines))
  if _FLAGS.picture:
    _draw(found, _FLAGS.picture)
    print(f"wrote {_FLAGS.picture}")


def _walks(method: str, kept: ledger.Ledger) -> List[np.ndarray]:
  """Returns a method's places from each start, followed now or before."""
  found = []
  for start in STARTS:
    key = {"method": method, "joint": methods.METHODS[method].text,
           "start": start, "steps": _FLAGS.steps, "rate": _FLAGS.learning_rate}
    if kept.find(key) is None:
      kept.add(key, {"places": walk(method, start, _FLAGS.steps,
                                    _FLAGS.learning_rate).tolist()})
    found.append(np.array(kept.find(key)["places"]))
  return found


def _draw(found: Dict[str, List[np.ndarray]], path: str) -> None:
  """Draws each method's paths over the mean loss."""
  import matplotlib  # pylint: disable=import-outside-toplevel
  matplotlib.use("Agg")
  from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
  places, columns = grid(), 6
  heights = mean_loss(places)
  rows = -(-len(found) // columns)
  figure, axes = pyplot.subplots(rows, columns, squeeze=False, sharex=True,
                                 sharey=True, figsize=(2 * columns, 2.1 * rows))
  for axis in axes.flat[len(found):]:
    axis.set_axis_off()
  for axis, (name, walked) in zip(axes.flat, found.items()):
    axis.contour(places[..., 0], places[..., 1], heights, 12, linewidths=0.4,
                 cmap="Greys_r")
    for each in walked:
      axis.plot(*each.T, linewidth=1.2)
      axis.plot(*each[-1], "k*", markersize=5)
    axis.set_title(name, fontsize=8)
    axis.tick_params(labelsize=6)
  figure.tight_layout()
  figure.savefig(path, dpi=80)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
