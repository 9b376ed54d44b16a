"""The shapes and variables of a stack of layers, known before any graph."""

import collections
from typing import (Callable, Dict, List, NamedTuple, Optional, Sequence,
                    Tuple)

from mtl_graph.protos import layers_pb2

# Of a row: (D,) for a vector, (H, W, C) for an image; an entry is 0 where a
# problem of the experiment leaves it open.
Shape = Tuple[int, ...]
Report = Callable[[str, str], None]

# What works on images, and on nothing else.
_OF_IMAGES = ("conv2d", "max_pooling", "average_pooling", "flatten",
              "global_max_pooling", "global_average_pooling")


class Outline(NamedTuple):
  """What an experiment gives rise to.

  Attributes:
    variables: Name to shape, of every trainable variable.
    tensors: Name to shape of a row, of every tensor that `model.stop_gradient`
      may name.
    penalties: Name to `Regularization`, of the variables that bear one.
    functions: Scope to field path, of what Python functions build: which
      variables lie in it, only the graph knows.
  """
  variables: Dict[str, List[int]]
  tensors: Dict[str, Shape]
  penalties: Dict[str, layers_pb2.Regularization]
  functions: Dict[str, str]


def empty() -> Outline:
  """Returns an outline without anything in it."""
  return Outline(collections.OrderedDict(), collections.OrderedDict(),
                 collections.OrderedDict(), collections.OrderedDict())


def layer_names(layers) -> List[str]:
  """Names layers: by their own name, or by kind, numbered as tf.layers did.

  Args:
    layers: The `Layer` messages.

  Returns:
    A name per layer: `dense`, `dense_1`, `dropout`, `dense_2`, ...
  """
  seen, names = collections.Counter(), []
  for layer in layers:
    if layer.name:
      names.append(layer.name)
      continue
    kind = layer.WhichOneof("kind") or "layer"
    names.append(f"{kind}_{seen[kind]}" if seen[kind] else kind)
    seen[kind] += 1
  return names


def build(layers, scope: str, shape: Shape, outline: Outline,
          path: str = "", report: Optional[Report] = None) -> Shape:
  """Adds what layers applied one after the other give rise to.

  Args:
    layers: The `Layer` messages.
    scope: Their variable scope.
    shape: Shape of a row of their input.
    outline: What is added to.
    path: Where `layers` sits in the experiment; used in problems.
    report: Called with a field path and a problem where a layer cannot take
      what it is given.

  Returns:
    Shape of a row of the last layer's output.
  """
  report = report or (lambda *unused: None)
  for i, (layer, name) in enumerate(zip(layers, layer_names(layers))):
    where = f"{path}.layer[{i}]"
    kind = layer.WhichOneof("kind")
    if kind in _OF_IMAGES and len(shape) != 3:
      if is_known(shape):
        report(f"{where}.{kind}", f"found a vector of {describe(shape)} as its "
               "input; allowed: an image")
      shape = (0, 0, 0)
    elif kind == "dense" and len(shape) != 1:
      if is_known(shape):
        report(f"{where}.{kind}", f"found an image of {describe(shape)} as its "
               "input; allowed: a vector, as flatten or global pooling makes "
               "it")
      shape = (0,)
    shape = _layer(layer, f"{scope}/{name}", shape, outline, where, report)
    outline.tensors[f"{scope}/{name}"] = shape
  return shape


def side_by_side(shapes: Sequence[Shape]) -> Optional[Shape]:
  """Returns the shape of rows of several tensors joined along their last axis.

  Args:
    shapes: Shapes of a row of each, at least one.

  Returns:
    The shape; None where some are vectors and others images, or images differ
    in size.
  """
  if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
    return None
  return shapes[0][:-1] + (sum(shape[-1] for shape in shapes),)


def is_known(shape: Shape) -> bool:
  """Returns whether no problem, reported where it is, leaves a shape open."""
  return min(shape) > 0


def describe(shape: Shape) -> str:
  """Writes the shape of a row as problems name it."""
  return " x ".join(map(str, shape)) + (" numbers" if len(shape) == 1 else "")


def pair(numbers) -> Tuple[int, int]:
  """Returns height and width of what may be stated as one number for both."""
  values = tuple(numbers) or (0,)
  return (values[0], values[-1])


def strides(layer) -> Tuple[int, int]:
  """Returns the strides of a `Conv2d` or `Pooling`; see their defaults."""
  if layer.stride:
    return pair(layer.stride)
  return pair(layer.size) if isinstance(layer, layers_pb2.Pooling) else (1, 1)


def projection_strides(inputs: Shape, outputs: Shape
                       ) -> Optional[Tuple[int, int]]:
  """Returns the strides with which a residual's projection fits, or None."""
  found = []
  for before, after in zip(inputs[:-1], outputs[:-1]):
    stride = -(-before // after) if after else 0
    if not stride or -(-before // stride) != after:
      return None
    found.append(stride)
  return tuple(found)


def _layer(layer, scope, shape, outline, where, report) -> Shape:
  """Adds one layer and returns the shape of its output."""
  kind = layer.WhichOneof("kind")
  if kind == "dense":
    return _weights(layer.dense, scope, [shape[-1], layer.dense.units], outline)
  if kind == "conv2d":
    conv = layer.conv2d
    size = _windows(shape, pair(conv.kernel_size), strides(conv), conv.padding,
                    f"{where}.conv2d", report)
    _weights(conv, scope, [*pair(conv.kernel_size), shape[-1], conv.filters],
             outline)
    return size + (conv.filters,)
  if kind in ("max_pooling", "average_pooling"):
    pool = getattr(layer, kind)
    return _windows(shape, pair(pool.size), strides(pool), pool.padding,
                    f"{where}.{kind}", report) + shape[-1:]
  if kind == "flatten":
    return (shape[0] * shape[1] * shape[2],)
  if kind in ("global_max_pooling", "global_average_pooling"):
    return shape[-1:]
  if kind == "batch_normalization":
    for name, present in (("gamma", layer.batch_normalization.scale),
                          ("beta", layer.batch_normalization.center)):
      if present:
        outline.variables[f"{scope}/{name}"] = [shape[-1]]
  if kind == "layer_normalization":
    outline.variables[f"{scope}/gamma"] = [shape[-1]]
    outline.variables[f"{scope}/beta"] = [shape[-1]]
  if kind == "residual":
    return _residual(layer.residual, scope, shape, outline, where, report)
  if kind == "python":
    outline.functions[scope] = f"{where}.python"
    return (layer.python.units,)
  return shape


def _weights(layer, scope, kernel, outline) -> Shape:
  """Adds a kernel and a bias."""
  outline.variables[f"{scope}/kernel"] = kernel
  if layer.HasField("regularization"):
    outline.penalties[f"{scope}/kernel"] = layer.regularization
  if layer.use_bias:
    outline.variables[f"{scope}/bias"] = kernel[-1:]
  return (kernel[-1],)


def _windows(shape, size, steps, padding, where, report) -> Tuple[int, int]:
  """Returns height and width of what a window leaves of an image."""
  found = []
  for pixels, window, stride in zip(shape, size, steps):
    if padding == layers_pb2.VALID:
      pixels = max(pixels - window + 1, 0)
    found.append(-(-pixels // stride) if stride > 0 else 0)
  if is_known(shape) and min(steps) > 0 and not all(found):
    report(where, f"found a window of {size[0]} x {size[1]} on an image of "
           f"{describe(shape)}; allowed: one that fits in, or padding: SAME")
  return tuple(found)


def _residual(residual, scope, shape, outline, where, report) -> Shape:
  result = build(residual.layer, scope, shape, outline, f"{where}.residual",
                 report)
  if result == shape:
    return result
  fits = len(result) == len(shape) and projection_strides(shape, result)
  if fits is None or fits is False:
    if is_known(shape) and is_known(result):
      report(f"{where}.residual", f"found layers that turn {describe(shape)} "
             f"into {describe(result)}; allowed: an output whose size a stride "
             "gives")
  elif len(shape) == 1:
    outline.variables[f"{scope}/projection/kernel"] = [shape[0], result[0]]
  else:
    outline.variables[f"{scope}/projection/kernel"] = [
        1, 1, shape[-1], result[-1]]
  return result
