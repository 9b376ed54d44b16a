"""Measures what a piece of a graph makes and computes, to be compared."""

import zlib
from typing import Any, Callable, Dict, List

import numpy as np
import tensorflow.compat.v1 as tf

_INPUTS = "measured_inputs"


def _random(name, shape):
  return np.random.default_rng(zlib.crc32(name.encode())).normal(
      size=shape).astype(np.float32)


def inputs(*shape: int, unknown_batch: bool = False,
           name: str = "inputs") -> tf.Tensor:
  """Returns a float32 tensor of random numbers, by which to differentiate."""
  value = _random(f"{name}{shape}", shape)
  tensor = tf.placeholder_with_default(
      value, [None, *shape[1:]] if unknown_batch else shape)
  tf.add_to_collection(_INPUTS, tensor)
  return tensor


def session() -> tf.Session:
  """Opens a session that runs the graph as it is."""
  config = tf.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf.Session(config=config)


def load(session: tf.Session) -> None:
  """Sets every variable to random numbers that depend on its name."""
  session.run(tf.global_variables_initializer())
  for v in tf.global_variables():
    value = 0.5 * _random(v.op.name, v.shape.as_list())
    v.load(np.abs(value) + 0.5 if "variance" in v.op.name else value, session)


def measure(case: Callable[[Any], Any], namespace: Any,
            resources: bool = True) -> Dict[str, Any]:
  """Builds a case and runs it with variables that depend on their names.

  Args:
    case: Function from a namespace of layers to outputs, a structure.
    namespace: What to build it from.
    resources: Whether variables are resources; else they are references, and
      conditions those of TensorFlow 1, as after `disable_v2_behavior`.

  Returns:
    What was found: names, shapes, values and gradients.
  """
  if not resources:
    tf.disable_resource_variables()
    tf.disable_control_flow_v2()
  try:
    with tf.Graph().as_default(), session() as opened:
      return _measure(tf.nest.flatten(case(namespace)), opened)
  finally:
    tf.enable_resource_variables()
    tf.enable_control_flow_v2()


def _measure(outputs: List[tf.Tensor], session: tf.Session) -> Dict[str, Any]:
  variables = tf.global_variables()
  trainable = tf.trainable_variables()
  loss = tf.add_n([tf.reduce_sum(y * tf.cos(tf.reshape(
      tf.range(tf.cast(tf.size(y), y.dtype)), tf.shape(y)))) for y in outputs])
  penalties = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
  by = tf.get_collection(_INPUTS) + trainable
  gradients = tf.gradients(tf.add_n([loss] + penalties), by)
  found = {
      "output names": [y.name for y in outputs],
      "output shapes": [str(y.shape) for y in outputs],
      "variables": [f"{v.name} {v.shape} {v.dtype.base_dtype.name} "
                    f"{type(v).__name__}" for v in variables],
      "trainable": [v.name for v in trainable],
      "penalty names": [p.name for p in penalties],
      "constraints": [v.name for v in variables if v.constraint is not None],
      "texts": tf.get_collection("measured_texts"),
      "without gradient": [x.name for x, g in zip(by, gradients) if g is None],
  }
  load(session)
  found.update(session.run({
      "outputs": outputs, "penalties": penalties,
      "gradients": [tf.convert_to_tensor(g) for g in gradients
                    if g is not None]}))
  updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
  session.run(updates)
  found["updates"] = len(updates)
  found["after updates"] = session.run(variables)
  return found


def differences(found: Dict[str, Any], expected: Dict[str, Any],
                tolerance: float = 1e-6) -> List[str]:
  """Returns what differs between two measurements, a line each.

  Args:
    found: What `measure` returned.
    expected: What it returned of the original.
    tolerance: Of numbers, relative to the largest of their array or to 1.

  Returns:
    The lines.
  """
  lines = []
  for key in expected:
    mine, theirs = found[key], expected[key]
    numbers = (isinstance(theirs, list) and theirs
               and isinstance(theirs[0], (np.ndarray, np.generic)))
    if not numbers or len(mine) != len(theirs):
      if not np.array_equal(mine, theirs):
        lines.append(f"{key}: found {mine}, expected {theirs}")
      continue
    for i, (a, b) in enumerate(zip(mine, theirs)):
      if np.shape(a) != np.shape(b):
        lines.append(f"{key}[{i}]: shapes {np.shape(a)} and {np.shape(b)}")
      elif np.size(b) and not (np.max(np.abs(np.subtract(a, b))) <= tolerance
                               * max(1.0, np.max(np.abs(b)))):
        lines.append(f"{key}[{i}]: off by {np.max(np.abs(np.subtract(a, b)))}")
  return lines
