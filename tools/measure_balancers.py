"""Measures what each way to weigh gradients costs beyond the gradients.

Prints, for each method and number of tasks, the median microseconds of a step
of its op in a session and compiled by XLA, less those of an op that does
nothing, and the seconds it takes to compile. Ops repeat in a loop, so that a
call's own cost hardly counts. It is processor time with one thread, to which
other programs that run add little.
"""

import statistics
import sys
import time

from absl import flags
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf

from mtl_graph import launching
from mtl_graph.ops import excess_risks
from mtl_graph.ops import gradient_balancing
from mtl_graph.ops import gradient_cones
from mtl_graph.ops import gradient_products
from mtl_graph.ops import gradient_surgery
from mtl_graph.ops import gradient_tracking

_FLAGS = flags.FlagValues()
flags.DEFINE_multi_integer("tasks", [2, 4, 8], "Numbers of tasks.",
                           lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_multi_string("method", [], "Methods; unset: all of them.",
                          flag_values=_FLAGS)
flags.DEFINE_integer("parameters", 10_000, "Elements of each gradient.",
                     lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_integer("runs", 200, "How many calls of each.", lower_bound=1,
                     flag_values=_FLAGS)

# Steps in a loop of one call.
_STEPS = 10


def _order(gramian, step):
  return gradient_surgery.meeting_order(gramian.shape[0], 1, step)


def _excess(gramian, jacobian, step):
  del gramian, step
  risks = excess_risks.excess_risks(jacobian, jacobian ** 2).risks
  ones = tf.ones_like(risks)
  return excess_risks.excess_mtl_weights(risks, ones, ones).weights


def _moco(gramian, jacobian, step):
  ones = tf.ones_like(gramian[0])
  tracked = gradient_tracking.track(
      jacobian, jacobian, step + 1,
      gradient_tracking.moco_scales(gramian, ones))
  return gradient_tracking.moco_weights(
      gradient_products.gramian(tracked), ones, step + 1)


# Each takes a Gramian, a Jacobian and a step, and returns any tensor.
METHODS = {
    "nothing": lambda k, j, s: k[0],
    "gramian": lambda k, j, s: gradient_products.gramian(j)[0],
    "pcgrad": lambda k, j, s: gradient_surgery.pcgrad_weights(k, _order(k, s)),
    "gradvac": lambda k, j, s: gradient_surgery.gradvac_weights(
        k, _order(k, s), 0.1 * tf.ones_like(k)).weights,
    "mgda": lambda k, j, s: gradient_cones.mgda_weights(k),
    "cagrad": lambda k, j, s: gradient_cones.cagrad_weights(k),
    "imtl_g": lambda k, j, s: gradient_balancing.imtl_g_weights(k),
    "graddrop": lambda k, j, s: gradient_surgery.graddrop_direction(j, 1, s),
    "nash_mtl": lambda k, j, s: gradient_balancing.nash_mtl_weights(k),
    "fairgrad": lambda k, j, s: gradient_balancing.fairgrad_weights(k, 2.0),
    "aligned_mtl": lambda k, j, s: gradient_balancing.aligned_mtl_weights(k),
    "upgrad": lambda k, j, s: gradient_cones.upgrad_weights(k),
    "dual_proj": lambda k, j, s: gradient_cones.dual_proj_weights(k),
    "config": lambda k, j, s: gradient_balancing.config_weights(k),
    "moco": _moco,
    "excess_mtl": _excess,
    "sdmgrad": lambda k, j, s: gradient_tracking.sdmgrad_weights(
        k, tf.ones_like(k[0]) / int(k.shape[0])).weights,
}


def jacobian_of(num_tasks: int, parameters: int) -> np.ndarray:
  """Returns gradients, half of whose pairs conflict, float32 `[T, P]`."""
  return np.random.default_rng(num_tasks).normal(
      size=[num_tasks, parameters]).astype(np.float32)


def measure(method, num_tasks: int, parameters: int, runs: int,
            compiled: bool):
  """Returns the median seconds of a step, and those of the first call."""

  def several(jacobian):
    gramian = gradient_products.gramian(jacobian)

    def step(i, total):
      # What depends on the step before cannot be taken out of the loop.
      nudge = 1 + 1e-12 * total
      return i + 1, tf.reduce_sum(
          method(gramian * nudge, jacobian * nudge, i))

    return tf.while_loop(lambda i, total: i < _STEPS, step,
                         [tf.constant(0), tf.constant(0.0)])[1]

  config = tf.ConfigProto(intra_op_parallelism_threads=1,
                          inter_op_parallelism_threads=1)
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    jacobian = tf.placeholder(tf.float32, [num_tasks, parameters])
    output = (tf2.function(several, jit_compile=True)(jacobian) if compiled
              else several(jacobian))
    call = session.make_callable(output, [jacobian])
    value, seconds = jacobian_of(num_tasks, parameters), []
    for _ in range(runs + 1):
      started = time.process_time()
      call(value)
      seconds.append(time.process_time() - started)
  return statistics.median(seconds[1:]) / _STEPS, seconds[0]


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _measure, __doc__)


def _measure():
  for name in _FLAGS.method:
    if name not in METHODS:
      raise flags.Error(
          f"--method: '{name}' is none of {', '.join(METHODS)}")
  print(f"{'method':<12}{'tasks':>6}{'session us':>12}{'xla us':>10}"
        f"{'compiling s':>13}")
  for num_tasks in _FLAGS.tasks:
    base = {}
    for name, method in METHODS.items():
      if _FLAGS.method and name not in ["nothing", *_FLAGS.method]:
        continue
      cells = []
      for compiled in (False, True):
        step, first = measure(method, num_tasks, _FLAGS.parameters,
                              _FLAGS.runs, compiled)
        base.setdefault(compiled, step)
        cells.append(1e6 * (step - base[compiled]))
      print(f"{name:<12}{num_tasks:>6}{cells[0]:>12.1f}{cells[1]:>10.1f}"
            f"{first:>13.2f}", flush=True)


if __name__ == "__main__":
  sys.exit(main(sys.argv))
