"""What tasks share, alone in a graph, and its parts in numpy."""

from typing import Callable, Dict, Optional, Sequence

from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import stacks
from mtl_graph.protos import model_pb2

Values = Dict[str, np.ndarray]


def parse(text: str) -> model_pb2.Model:
  """Parses a `Model`."""
  return text_format.Parse(text, model_pb2.Model())


class SharedPart:
  """A graph of nothing but what tasks share, of rows in unknown number.

  Attributes:
    inputs: Placeholder of what it reads.
    outputs: What each task reads, by task.
    mode: The `stacks.Mode` with its notes.
    session: A session; every variable has random values.
    trainable: Trainable variables by name.
  """

  def __init__(self, build: Callable, shape: Sequence[int],
               training: bool = False, held: Sequence[str] = ()):
    """Builds it.

    Args:
      build: Function from the inputs and a `stacks.Mode` to a dict of tensors.
      shape: Shape of a row.
      training: Whether it is part of a training step.
      held: Names of the tensors that are held constant.
    """
    with tf.Graph().as_default() as graph:
      self.inputs = tf.placeholder(tf.float32, [None, *shape])
      self.mode = stacks.Mode(
          1, tf.constant(3, tf.int64) if training else None, frozenset(held),
          [])
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        self.outputs = build(self.inputs, self.mode)
      self.trainable = {v.op.name: v for v in tf.trainable_variables()}
      self._variables = {v.op.name: v for v in tf.global_variables()}
      self.session = tf.Session(graph=graph)
      self.session.run(tf.global_variables_initializer())
    self.initial = self.values()
    self.rows = np.random.default_rng(2).normal(size=[5, *shape])
    random = np.random.default_rng(1)
    drawn = {name: random.normal(size=variable.shape)
             for name, variable in self._variables.items()}
    # A variance is above zero.
    self.load({name: np.abs(value) if name.endswith("variance") else value
               for name, value in drawn.items()})

  def load(self, values: Values) -> None:
    """Sets variables by name."""
    initializers = {name: self._variables[name].initializer for name in values}
    self.session.run(initializers, {
        op.inputs[1]: values[name] for name, op in initializers.items()})

  def values(self) -> Values:
    """Returns the value of every variable by name, in 64 bits."""
    return {name: value.astype(np.float64) for name, value in
            self.session.run(self._variables).items()}

  def run(self, what=None, rows: Optional[np.ndarray] = None):
    """Returns the outputs, or other tensors, of some rows."""
    return self.session.run(self.outputs if what is None else what, {
        self.inputs: self.rows if rows is None else rows})

  def reached(self, tensor: tf.Tensor) -> set:
    """Returns the names of the variables that get a gradient of a tensor."""
    with self.session.graph.as_default():
      gradients = tf.gradients(tensor, list(self.trainable.values()))
    return {name for name, gradient in zip(self.trainable, gradients)
            if gradient is not None}


def scopes(names: Sequence[str]) -> set:
  """Returns the scopes that variables lie in."""
  return {name.rpartition("/")[0] for name in names}


def relu(x: np.ndarray) -> np.ndarray:
  return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
  return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
  """Returns the softmax over the last axis."""
  powers = np.exp(x - x.max(-1, keepdims=True))
  return powers / powers.sum(-1, keepdims=True)


def dense(values: Values, scope: str, x: np.ndarray, activation=np.tanh
          ) -> np.ndarray:
  """Returns what a dense layer makes of vectors, or of each pixel."""
  kernel = values[f"{scope}/kernel"]
  y = x @ kernel.reshape(kernel.shape[-2:]) + values.get(f"{scope}/bias", 0)
  return activation(y) if activation else y


def conv2d(values: Values, scope: str, x: np.ndarray, activation=relu
           ) -> np.ndarray:
  """Returns a convolution of odd size, stride 1 and padding SAME."""
  kernel = values[f"{scope}/kernel"]
  high, wide = kernel.shape[0] // 2, kernel.shape[1] // 2
  padded = np.pad(x, [(0, 0), (high, high), (wide, wide), (0, 0)])
  y = values.get(f"{scope}/bias", 0) + sum(
      padded[:, i:i + x.shape[1], j:j + x.shape[2]] @ kernel[i, j]
      for i in range(kernel.shape[0]) for j in range(kernel.shape[1]))
  return activation(y) if activation else y


def normalized(values: Values, scope: str, x: np.ndarray, training: bool = False
               ) -> np.ndarray:
  """Returns batch normalization by moving statistics, or by those of `x`."""
  mean, variance = (values[f"{scope}/moving_{s}"] for s in ("mean", "variance"))
  if training:
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
  return ((x - mean) / np.sqrt(variance + 1e-3) * values[f"{scope}/gamma"]
          + values[f"{scope}/beta"])


def pooled(x: np.ndarray) -> np.ndarray:
  """Returns max pooling by 2, of images of even size."""
  rows, high, wide, depth = x.shape
  return x.reshape(rows, high // 2, 2, wide // 2, 2, depth).max((2, 4))
