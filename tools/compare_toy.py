"""Draws where each gradient balancing goes on a surface of two tasks.

The surface is the two-dimensional one of Liu et al. 2021, "Conflict-Averse
Gradient Descent for Multi-task Learning", appendix, also that of Navon et al.
2022, "Multi-Task Learning as a Bargaining Game", section 6.1: for theta_2 > 0
both losses have a steep valley of their own, where gradients conflict and
differ in length; for theta_2 < 0 each is a bowl. Its formula is in
protos/examples/two_valleys.py; two_valleys.pbtxt is an experiment on it.

Each method starts from the three points of the first paper and moves by Adam.
Prints how far the mean loss at the end is above the least one, and writes a
picture. These losses fall below 0, which most weightings do not allow: only
balancings are compared, and MoCo, which scales gradients by losses, sees them
20 higher.
"""

import os
import sys
from typing import Dict, List, NamedTuple, Sequence

from absl import flags
from google.protobuf import text_format
import numpy as np

# Run as a script, only the folder of this file is on the path.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# pylint: disable=wrong-import-position
from mtl_graph import launching

launching.start_tensorflow()
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph.evaluation import tables
from mtl_graph.model import balancing_methods
from mtl_graph.ops import gradient_surgery
from mtl_graph.protos import balancing_pb2
from protos.examples import two_valleys

_FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("method", [], "Methods; unset: all.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("steps", 100_000, "Steps of each.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_float("learning_rate", 0.001, "Of Adam.", lower_bound=0,
                   flag_values=_FLAGS)
flags.DEFINE_string("picture", None, "Where to write a picture.",
                    flag_values=_FLAGS)

STARTS = ((-8.5, 7.5), (-8.5, -5.0), (9.0, 9.0))
PLAIN = "sum"
# The fields of a GradientBalancing message by name of the method.
METHODS = {PLAIN: "", **{
    field.name: f"{field.name} {{}}" for field in
    balancing_pb2.GradientBalancing.DESCRIPTOR.oneofs_by_name["kind"].fields}}
# FairGrad with alpha 1 is Nash-MTL.
METHODS["fairgrad"] = "fairgrad { alpha: 2 }"
_POINTS = 100  # Of a path.


class State(NamedTuple):
  """What changes from step to step.

  Attributes:
    place: The two parameters, shape `[2]`.
    first: Adam's mean of gradients, shape `[2]`.
    second: Adam's mean of their squares, shape `[2]`.
    memory: What the method remembers, by name.
    tracked: What it keeps of each gradient, shape `[2, 2]`; none if nothing.
  """
  place: tf.Tensor
  first: tf.Tensor
  second: tf.Tensor
  memory: Dict[str, tf.Tensor]
  tracked: List[tf.Tensor]


def losses(place: tf.Tensor) -> tf.Tensor:
  """Computes both losses.

  Args:
    place: The parameters, shape `[..., 2]`.

  Returns:
    The losses, shape `[..., 2]`.
  """
  # Each comes twice, as the example's tasks estimate two numbers.
  return tf.stack([two_valleys.height(tf.constant(optimum), place)[..., 0]
                   for optimum in two_valleys.OPTIMA.values()], -1)


def start(method: str, place: Sequence[float]) -> State:
  """Returns what a method begins with, in NumPy."""
  kind = _message(method).WhichOneof("kind")
  zeros = np.zeros(2, np.float32)
  return State(np.array(place, np.float32), zeros, zeros,
               balancing_methods.starts(kind, 2),
               [np.zeros([2, 2], np.float32)]
               if kind in balancing_methods.TRACKING else [])


def _message(method):
  return text_format.Parse(METHODS[method], balancing_pb2.GradientBalancing())


def move(method: str, state: State, step: tf.Tensor, rate: float) -> State:
  """Makes one step of Adam along a method's direction.

  Args:
    method: One of `METHODS`.
    state: Where it is.
    step: Number of the step from 0, int64 scalar.
    rate: The learning rate.

  Returns:
    Where it is then.
  """
  message = _message(method)
  kind = message.WhichOneof("kind")
  both = losses(state.place)
  gradients = [tf.gradients(loss, state.place)[0] for loss in tf.unstack(both)]
  memory, tracked = state.memory, state.tracked
  if kind is None:
    direction = tf.add_n(gradients)
  elif kind == "graddrop":
    direction = gradient_surgery.graddrop_direction(tf.stack(gradients), 1, step)
  else:
    found = balancing_methods.find(message, balancing_methods.Seen(
        [[gradient] for gradient in gradients], both + 20.0, tf.ones([2]), step,
        1, memory, tracked))
    memory, tracked = {**memory, **found.memory}, found.tracked
    direction = tf.linalg.matvec(
        tf.concat([tf.stack(some) for some in found.gradients], 0),
        found.weights, transpose_a=True)
  first = 0.9 * state.first + 0.1 * direction
  second = 0.999 * state.second + 0.001 * direction ** 2
  count = tf.cast(step + 1, tf.float32)
  scale = rate * tf.sqrt(1 - 0.999 ** count) / (1 - 0.9 ** count)
  return State(state.place - scale * first / (tf.sqrt(second) + 1e-8), first,
               second, memory, tracked)


def paths(method: str, steps: int, rate: float,
          starts: Sequence[Sequence[float]] = STARTS) -> np.ndarray:
  """Follows a method from each start.

  Args:
    method: One of `METHODS`.
    steps: How many steps.
    rate: The learning rate.
    starts: Where from, N places.

  Returns:
    Some places on the way, first and last among them, shape `[N, M, 2]`.
  """
  stride = -(-steps // _POINTS)
  first = start(method, starts[0])

  def walk(step, *values):
    state = tf.nest.pack_sequence_as(first, values)
    _, state = tf.while_loop(
        lambda i, unused: i < step + stride,
        lambda i, state: (i + 1, move(method, state, i, rate)), [step, state])
    return tf.nest.flatten(state)

  found = []
  with tf.Graph().as_default(), tf.Session() as session:
    inputs = [tf.placeholder(tf.int64, [])] + [
        tf.placeholder(tf.float32, value.shape)
        for value in tf.nest.flatten(first)]
    call = session.make_callable(
        tf2.function(walk, jit_compile=True)(*inputs), inputs)
    for place in starts:
      values, places = tf.nest.flatten(start(method, place)), [place]
      for step in range(0, steps, stride):
        values = call(step, *values)
        places.append(tf.nest.pack_sequence_as(first, values).place)
      found.append(places)
  return np.array(found)


def mean_loss(places: np.ndarray) -> np.ndarray:
  """Returns the mean of both losses at places of shape `[..., 2]`."""
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(tf.reduce_mean(losses(
        tf.constant(places, tf.float32)), -1))


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
  chosen, found = _FLAGS.method or list(METHODS), {}
  least = mean_loss(grid()).min()
  lines = [["method"] + [f"from {place}" for place in STARTS]]
  for name in chosen:
    found[name] = paths(name, _FLAGS.steps, _FLAGS.learning_rate)
    ends = found[name][:, -1]
    lines.append([name] + [
        f"({place[0]:.2f}, {place[1]:.2f}) {loss - least:+.3f}"
        for place, loss in zip(ends, mean_loss(ends))])
  print(f"where each ends, and its mean loss there less the least, {least:.3f}")
  print(tables.align(lines))
  if _FLAGS.picture:
    _draw(found, _FLAGS.picture)
    print(f"wrote {_FLAGS.picture}")


def _draw(found, path):
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
    for places_of in walked:
      axis.plot(*places_of.T, linewidth=1.2)
      axis.plot(*places_of[-1], "k*", markersize=5)
    axis.set_title(name, fontsize=8)
    axis.tick_params(labelsize=6)
  figure.tight_layout()
  figure.savefig(path, dpi=80)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
