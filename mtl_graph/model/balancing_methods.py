"""Weights of the tasks' gradients by the method that an experiment names."""

from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import balancing_checks
from mtl_graph.model import task_gradients
from mtl_graph.ops import excess_risks
from mtl_graph.ops import gradient_balancing
from mtl_graph.ops import gradient_cones
from mtl_graph.ops import gradient_products
from mtl_graph.ops import gradient_surgery
from mtl_graph.ops import gradient_tracking
from mtl_graph.ops import random_bits
from mtl_graph.protos import balancing_pb2

# What a method remembers of a set of gradients, by name.
Memory = Dict[str, tf.Tensor]


class Seen(NamedTuple):
  """What a method sees.

  Attributes:
    gradients: By task a list of dense gradients by variable; None counts as
      zero.
    losses: Each task's loss as it is weighted, shape `[T]`.
    present: 1 for tasks that have a label in the batch and reach what is
      compared, 0 for others, shape `[T]`.
    step: Number of the step from 0, int64 scalar.
    number: Number of the batch, of which draws are made, int64 scalar.
    key: Tells its draws from others.
    memory: What `starts` began.
    tracked: Of a method that keeps a number per gradient, those by variable,
      each of shape `[T, ...]`, 0 at first.
  """
  gradients: list
  losses: tf.Tensor
  present: tf.Tensor
  step: tf.Tensor
  number: tf.Tensor
  key: int
  memory: Memory
  tracked: list


class Found(NamedTuple):
  """What a method finds.

  Attributes:
    weights: A factor on each task's gradient, shape `[T]`.
    memory: What is to be remembered.
    tracked: What is to be kept of each variable.
    gradients: What the weights are factors of, as in `Seen`.
  """
  weights: tf.Tensor
  memory: Memory
  tracked: list
  gradients: list


def starts(kind: str, num_tasks: int) -> Dict[str, np.ndarray]:
  """Returns what a method remembers of a set of gradients in the beginning.

  Args:
    kind: The method, a field of `GradientBalancing`.
    num_tasks: How many tasks, T.

  Returns:
    Arrays by name; none where it remembers nothing.
  """
  ones = np.ones(num_tasks, np.float32)
  return {
      "gradvac": {"cosines": np.zeros([num_tasks] * 2, np.float32)},
      "moco": {"weights": ones / num_tasks},
      "excess_mtl": {"first_risks": 0 * ones, "weights": ones},
      "sdmgrad": {"weights": ones / num_tasks},
  }.get(kind, {})


def find(message: balancing_pb2.GradientBalancing, seen: Seen) -> Found:
  """Finds the weights of the tasks' gradients.

  Args:
    message: The `GradientBalancing` message, of a kind other than graddrop,
      which has no weights.
    seen: What the method sees.

  Returns:
    A `Found`.
  """
  kind = message.WhichOneof("kind")
  own = getattr(message, kind)
  if kind in balancing_checks.TRACKING:
    return {"moco": _moco, "excess_mtl": _excess_mtl, "db_mtl": _db_mtl}[kind](
        own, seen)
  gramian = gradient_products.gramian_of(seen.gradients)
  weights, memory = _METHODS[kind](own, gramian, seen)
  return Found(weights, memory, [], seen.gradients)


def _order(seen) -> tf.Tensor:
  return gradient_surgery.meeting_order(len(seen.gradients), seen.key,
                                        seen.number)


def _pcgrad(unused_message, gramian, seen):
  return gradient_surgery.pcgrad_weights(gramian, _order(seen)), {}


def _gradvac(message, gramian, seen):
  found = gradient_surgery.gradvac_weights(
      gramian, _order(seen), seen.memory["cosines"], message.beta)
  return found.weights, {"cosines": found.targets}


def _mgda(message, gramian, seen):
  normalization, scales = message.normalization, None
  if normalization in (message.LOSS, message.LOSS_AND_NORM):
    scales = seen.losses
  if normalization in (message.NORM, message.LOSS_AND_NORM):
    norms = tf.sqrt(tf.linalg.diag_part(gramian))
    scales = norms if scales is None else scales * norms
  return gradient_cones.mgda_weights(gramian, scales, seen.present), {}


def _sdmgrad(message, gramian, seen):
  found = gradient_tracking.sdmgrad_weights(
      gramian, seen.memory["weights"], message.lamda, message.learning_rate,
      message.momentum, message.num_iterations, seen.present)
  return found.weights, {"weights": found.simplex}


def _scale(message) -> str:
  return message.Scale.Name(message.scale).lower()


_METHODS: Dict[str, Callable[..., Tuple[tf.Tensor, Memory]]] = {
    "pcgrad": _pcgrad,
    "gradvac": _gradvac,
    "mgda": _mgda,
    "cagrad": lambda m, k, s: (gradient_cones.cagrad_weights(k, m.c), {}),
    "imtl_g": lambda m, k, s: (gradient_balancing.imtl_g_weights(k), {}),
    "nash_mtl": lambda m, k, s: (gradient_balancing.nash_mtl_weights(k), {}),
    "fairgrad": lambda m, k, s: (
        gradient_balancing.fairgrad_weights(k, m.alpha), {}),
    "aligned_mtl": lambda m, k, s: (
        gradient_balancing.aligned_mtl_weights(k, _scale(m)), {}),
    "upgrad": lambda m, k, s: (gradient_cones.upgrad_weights(k), {}),
    "dual_proj": lambda m, k, s: (gradient_cones.dual_proj_weights(k), {}),
    "config": lambda m, k, s: (gradient_balancing.config_weights(k), {}),
    "sdmgrad": _sdmgrad,
}


def _jacobians(seen):
  """Returns the gradients by variable, each of shape `[T, ...]`."""
  return [task_gradients.stacked(column) for column in zip(*seen.gradients)]


def _unless_absent(seen, before, after):
  """Keeps what is tracked of tasks without a label in the batch."""
  there = tf.reshape(seen.present > 0, [-1] + [1] * (after.shape.rank - 1))
  return tf.where_v2(there, after, before)


def _by_task(tracked):
  return [list(each) for each in zip(*[tf.unstack(t) for t in tracked])]


def _moco(message, seen) -> Found:
  scales = gradient_tracking.moco_scales(
      gradient_products.gramian_of(seen.gradients), seen.losses)
  step = seen.step + 1
  tracked = [_unless_absent(seen, before, gradient_tracking.track(
      jacobian, before, step, scales, message.beta, message.beta_decay))
             for jacobian, before in zip(_jacobians(seen), seen.tracked)]
  gradients = _by_task(tracked)
  weights = gradient_tracking.moco_weights(
      gradient_products.gramian_of(gradients), seen.memory["weights"], step,
      message.gamma, message.gamma_decay, message.rho, message.project)
  return Found(weights, {"weights": weights}, tracked, gradients)


def _db_mtl(message, seen) -> Found:
  tracked = [_unless_absent(seen, before, gradient_tracking.moving_gradients(
      jacobian, before, seen.step + 1, message.beta, message.beta_decay))
             for jacobian, before in zip(_jacobians(seen), seen.tracked)]
  gradients = _by_task(tracked)
  return Found(gradient_tracking.db_mtl_weights(
      gradient_products.gramian_of(gradients)), {}, tracked, gradients)


def _excess_mtl(message, seen) -> Found:
  found = [excess_risks.excess_risks(jacobian, sums)
           for jacobian, sums in zip(_jacobians(seen), seen.tracked)]
  output = excess_risks.excess_mtl_weights(
      tf.add_n([each.risks for each in found]), seen.memory["first_risks"],
      seen.memory["weights"], message.step_size, seen.present)
  return Found(output.weights, {"weights": output.weights,
                                "first_risks": output.initial_risks},
               [each.squared_sums for each in found], seen.gradients)
