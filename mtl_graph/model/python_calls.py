"""Calls functions of the user's own that build parts of the graph."""

import contextlib
import copy
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional
from typing import Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import python_functions
from mtl_graph.ops import random_bits

_COLLECTIONS = (tf.GraphKeys.UPDATE_OPS, tf.GraphKeys.REGULARIZATION_LOSSES)


class Called(NamedTuple):
  """What a function built.

  Attributes:
    output: What it returned, checked.
    updates: What it added to the collection UPDATE_OPS.
    penalties: What it added to REGULARIZATION_LOSSES, scalars, and what the
      regularizers of its variables give.
  """
  output: tf.Tensor
  updates: List[tf.Operation]
  penalties: List[tf.Tensor]


def build(message: python_functions.Message, path: str, inputs: tf.Tensor,
          units: int, scope: str, seed: int, training: bool) -> Called:
  """Has a function build layers.

  Its variables lie in the scope. An initializer that bears no seed gets one, a
  function of the seed and the variable's name; other random ops get theirs from
  the seed and from where they stand in the graph.

  Args:
    message: The message that names the function.
    path: Where that sits in the experiment.
    inputs: What it is called with, shape `[B, ...]`.
    units: Width of its output.
    scope: Variable scope.
    seed: Seed of the experiment.
    training: Whether this is a training step, whose variables are all there.

  Returns:
    A `Called`, its output of shape `[B, units]`.

  Raises:
    ConfigError: If the function may not be called, raises, makes variables in
      training alone, or returns something else.
  """
  regularizers: Dict[str, Any] = {}
  with tf.variable_scope(
      scope, custom_getter=_getter(seed, regularizers)) as within:
    called = _call(message, path, [inputs], {
        "training": training, "is_training": training, "units": units}, seed,
                   None if training else within.name)
    penalties = list(called.penalties)
    if training:
      penalties += [regularizer(variable)
                    for regularizer, variable in regularizers.values()]
  _check(called.output, [inputs.shape.as_list()[0], units], message, path)
  return called._replace(penalties=[p for p in penalties if p is not None])


def row_losses(message: python_functions.Message, path: str,
               labels: tf.Tensor, logits: tf.Tensor,
               shape: Sequence[Optional[int]]) -> tf.Tensor:
  """Has a function compute a loss on each row.

  Args:
    message: The message that names the function.
    path: Where that sits in the experiment.
    labels: Labels, its first argument.
    logits: Logits, its second.
    shape: Shape of what it returns.

  Returns:
    The losses.

  Raises:
    ConfigError: If the function may not be called, raises, makes variables or
      returns something else.
  """
  called = _call(message, path, [labels, logits], {}, 0, None)
  if called.updates or called.penalties:
    raise _wrong(message, path, "adds to a collection", "a loss that only "
                 "returns a tensor")
  _check(called.output, shape, message, path)
  return called.output


def _call(message, path, positional, offered: Mapping[str, Any], seed,
          scope: Optional[str]) -> Called:
  """Calls a function, and takes what it added out of the collections.

  Args:
    message: The message that names it.
    path: Where that sits in the experiment.
    positional: What it is called with by position.
    offered: What it is called with by name, if it has such parameters.
    seed: Seed of random ops.
    scope: Where it may make variables; None: nowhere.

  Returns:
    A `Called`, its output not checked.
  """
  function = python_functions.load(message, path)
  values = python_functions.keywords(function, message, offered)
  # Lists of the graph itself.
  added = [tf.get_collection_ref(key) for key in _COLLECTIONS]
  before = [len(found) for found in added]
  known = {v.name for v in tf.global_variables()}
  with _seeded(seed):
    try:
      output = function(*positional, **values)
    except config.ConfigError:
      raise
    except Exception as error:  # pylint: disable=broad-except
      raise _wrong(message, path, "raised " + python_functions.explain(error),
                   "a function that builds its part of the graph") from error
  for variable in tf.global_variables():
    name = variable.op.name
    if variable.name in known or (scope and name.startswith(f"{scope}/")):
      continue
    raise _wrong(message, path, f"makes '{name}' "
                 + (f"outside of '{scope}'" if scope else
                    "once more, or in training alone"),
                 "variables of tf.get_variable, the same in training and "
                 "elsewhere; none in a loss")
  found = [list(some[count:]) for some, count in zip(added, before)]
  for some, count in zip(added, before):
    del some[count:]
  return Called(output, *found)


def _getter(seed: int, regularizers: Dict[str, Any]) -> Callable[..., Any]:
  """Returns a `custom_getter` that seeds variables and keeps regularizers.

  TensorFlow adds a regularizer's loss where a variable is made, which is in
  another part of the graph than the steps that train it.
  """
  def get(getter, name, *args, **kwargs):
    regularizer = kwargs.pop("regularizer", None)
    kwargs["initializer"] = _with_seed(
        kwargs.get("initializer"), seed, name,
        tf.as_dtype(kwargs.get("dtype") or tf.float32))
    variable = getter(name, *args, **kwargs)
    if regularizer is not None and kwargs.get("trainable") is not False:
      regularizers[name] = (regularizer, variable)
    return variable
  return get


def _with_seed(initializer, seed, name, dtype):
  """Returns an initializer whose draws are a function of seed and name."""
  if initializer is None:
    if not dtype.is_floating:
      return None
    initializer = tf.glorot_uniform_initializer()
  if isinstance(initializer, type):
    initializer = initializer()
  if getattr(initializer, "seed", 0) is None:
    initializer = copy.copy(initializer)
    initializer.seed = random_bits.key_of(seed, name) >> 1
  return initializer


@contextlib.contextmanager
def _seeded(seed):
  """Gives the random ops that are made within a graph's seed."""
  graph = tf.get_default_graph()
  before = graph.seed
  graph.seed = seed
  try:
    yield
  finally:
    graph.seed = before


def _check(output, shape, message, path) -> None:
  """Raises unless an output is a float32 tensor of a shape."""
  wanted = "one float32 tensor of shape " + _described(shape)
  if not isinstance(output, tf.Tensor):
    found = type(output).__name__
    if isinstance(output, (tuple, list, dict)):
      found += f" of {len(output)}"
    raise _wrong(message, path, f"returned a {found}", wanted)
  if output.dtype != tf.float32:
    raise _wrong(message, path, f"returned {output.dtype.name}", wanted)
  found = output.shape.as_list() if output.shape.rank is not None else None
  if found is None or len(found) != len(shape) or found[1:] != list(
      shape[1:]) or (None not in (found[0], shape[0]) and found[0] != shape[0]):
    raise _wrong(message, path, "returned a tensor of shape "
                 + _described(found), wanted)


def _described(shape) -> str:
  if shape is None:
    return "unknown"
  return "[" + ", ".join("B" if i == 0 and size is None else str(
      "?" if size is None else size) for i, size in enumerate(shape)) + "]"


def _wrong(message, path, found, allowed) -> config.ConfigError:
  return config.ConfigError(
      f"{path}.function", f"'{message.function}' {found}; allowed: {allowed}")
